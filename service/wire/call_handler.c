/*
 * Call: what a handler asks of it, beside its messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/call_private.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "wire/server_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- what it is about ---------------------------------------------------- */

const struct msn_method *msn_call_method(const struct msn_call *call)
{
	return call->method;
}

const struct msn_peer *msn_call_peer(const struct msn_call *call)
{
	return call->peer;
}

void *msn_call_context(const struct msn_call *call)
{
	return call->server->opts.context;
}

const char *msn_call_metadata(const struct msn_call *call, const char *key,
			      size_t *len)
{
	for (const struct call_field *f = call->metadata; f; f = f->next) {
		if (strcmp(f->key, key) != 0)
			continue;
		if (len)
			*len = f->value_len;
		return f->value;
	}
	return NULL;
}

uint64_t msn_call_deadline(const struct msn_call *call)
{
	return call->deadline;
}

const char *msn_call_trace_id(const struct msn_call *call)
{
	return call->trace_id;
}

void *msn_call_alloc(struct msn_call *call, size_t size)
{
	void *p = arena_alloc(&call->arena, size);

	if (p)
		memset(p, 0, size);
	return p;
}

/* ---- headers and trailers ------------------------------------------------ */

static int add_field(struct msn_call *call, struct call_field **list,
		     const char *key, const void *value, size_t len)
{
	struct call_field *f = arena_alloc(&call->arena, sizeof(*f));

	if (!f)
		return msn_fail(-ENOMEM);
	*f = (struct call_field){ .key = arena_text(&call->arena, key,
						    strlen(key)),
				  .value = arena_text(&call->arena, value, len),
				  .value_len = len };
	if (!f->key || !f->value)
		return msn_fail(-ENOMEM);
	while (*list)
		list = &(*list)->next;
	*list = f;
	return 0;
}

int msn_call_set_header(struct msn_call *call, const char *key,
			const void *value, size_t len)
{
	msn_assert(!call->has_sent);
	return add_field(call, &call->headers, key, value, len);
}

int msn_call_set_trailer(struct msn_call *call, const char *key,
			 const void *value, size_t len)
{
	return add_field(call, &call->trailers, key, value, len);
}

/* ---- descriptors --------------------------------------------------------- */

int msn_call_take_fd(struct msn_call *call, uint32_t index, int *fd)
{
	if (index >= call->fd_count || call->fds[index] < 0)
		return msn_fail(-ENOENT);
	*fd = call->fds[index];
	call->fds[index] = -1;
	atomic_fetch_sub(&call->link->owner->fds, 1);
	return 0;
}

int msn_call_give_fd(struct msn_call *call, int fd, uint32_t *index)
{
	size_t count = call->out_fd_count;
	int copy, *fds;

	if (!call->gives_fds)
		return msn_fail(-EOPNOTSUPP);
	if (count >= MSN_CONN_FDS_MAX)
		return msn_fail(-E2BIG);
	fds = msn_realloc_array(call->out_fds, count + 1, sizeof(*fds));
	if (!fds)
		return msn_fail(-ENOMEM);
	call->out_fds = fds;
	copy = msn_fault("call.dup") ? -EMFILE : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return msn_fail(copy == -1 ? -errno : copy);
	fds[count] = copy;
	call->out_fd_count++;
	*index = (uint32_t)count;
	return 0;
}

/* ---- failing, and being cancelled ---------------------------------------- */

struct msn_status *msn_call_status(struct msn_call *call)
{
	return &call->status;
}

struct msn_failure *msn_call_failure(struct msn_call *call)
{
	return &call->failure;
}

/* An errno for each code; what a handler returns only has to be negative. */
static int errno_of(enum msn_code code)
{
	switch (code) {
	case MSN_CODE_CANCELLED:
		return ECANCELED;
	case MSN_CODE_INVALID_ARGUMENT:
	case MSN_CODE_OUT_OF_RANGE:
		return EINVAL;
	case MSN_CODE_DEADLINE_EXCEEDED:
		return ETIMEDOUT;
	case MSN_CODE_NOT_FOUND:
		return ENOENT;
	case MSN_CODE_ALREADY_EXISTS:
		return EEXIST;
	case MSN_CODE_PERMISSION_DENIED:
	case MSN_CODE_UNAUTHENTICATED:
		return EACCES;
	case MSN_CODE_RESOURCE_EXHAUSTED:
		return ENOSPC;
	case MSN_CODE_FAILED_PRECONDITION:
	case MSN_CODE_ABORTED:
	case MSN_CODE_UNAVAILABLE:
		return EBUSY;
	case MSN_CODE_UNIMPLEMENTED:
		return EOPNOTSUPP;
	case MSN_CODE_DATA_LOSS:
		return EBADMSG;
	default:
		return EIO;
	}
}

int msn_call_fail(struct msn_call *call, enum msn_code code, const char *reason,
		  const char *fmt, ...)
{
	char text[sizeof(call->status.text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	msn_status_set(&call->status, code, reason, "%s", text);
	return msn_fail(-errno_of(code));
}

int msn_call_bad_field(struct msn_call *call, const char *field,
		       const char *fmt, ...)
{
	struct msn_status *s = &call->status;
	char text[sizeof(s->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	msn_status_set(s, MSN_CODE_INVALID_ARGUMENT, "INVALID_FIELD", "%s",
		       text);
	snprintf(s->field, sizeof(s->field), "%s", field);
	return msn_fail(-EINVAL);
}

bool msn_call_cancelled(const struct msn_call *call)
{
	return atomic_load(&call->cancelled);
}

void msn_call_on_cancel(struct msn_call *call,
			void (*fn)(struct msn_call *call, void *ctx), void *ctx)
{
	msn_assert(msn_loop_is_current(call->server->opts.loop));
	if (fn && msn_call_cancelled(call)) {
		fn(call, ctx);
		return;
	}
	call->on_cancel = fn;
	call->cancel_ctx = ctx;
}
