/*
 * An aio that fails by rule.  See aio_fault.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fakes/aio_fault.h"

#include "base/fd.h"

#include <stdlib.h>
#include <string.h>

#define FAULT_RULES_MAX 8

struct aio_fault {
	struct msn_aio base;
	struct msn_aio *inner;
	struct aio_fault_rule rules[FAULT_RULES_MAX];
	size_t rule_count;
	unsigned seen[MSN_AIO_FDATASYNC + 1]; /* steps of each kind */
	unsigned hits;
	unsigned inner_count; /* steps that @inner has */
	struct {
		struct msn_aio_req *req;
		int error;
	} errors[1024];
	unsigned error_first, error_count;
};

static struct aio_fault *fault_of(struct msn_aio *aio)
{
	return msn_container_of(aio, struct aio_fault, base);
}

static const struct aio_fault_rule *fault_pick(struct aio_fault *f,
					       enum msn_aio_op op)
{
	unsigned nth = ++f->seen[op];

	for (size_t i = 0; i < f->rule_count; i++)
		if (f->rules[i].op == op &&
		    (f->rules[i].nth == 0 || f->rules[i].nth == nth))
			return &f->rules[i];
	return NULL;
}

static void fault_refuse(struct aio_fault *f, struct msn_aio_req *req,
			 const struct aio_fault_rule *rule)
{
	unsigned at = (f->error_first + f->error_count++) % 1024;

	if (rule->bytes && req->op == MSN_AIO_WRITE &&
	    msn_pwrite_full(req->fd, (char *)req->buf + req->moved, rule->bytes,
			    req->offset + req->moved))
		abort();
	f->errors[at].req = req;
	f->errors[at].error = rule->error;
}

static int fault_submit(struct msn_aio *aio, struct msn_aio_req *req)
{
	struct aio_fault *f = fault_of(aio);
	const struct aio_fault_rule *rule = fault_pick(f, req->op);
	size_t whole = req->len;
	int rc;

	if (rule)
		f->hits++;
	if (rule && rule->error) {
		fault_refuse(f, req, rule);
		return 0;
	}
	if (rule && req->moved + rule->bytes < whole)
		req->len = req->moved + rule->bytes;
	rc = f->inner->ops->submit(f->inner, req);
	req->len = whole;
	if (rc == 0)
		f->inner_count++;
	return rc;
}

static struct msn_aio_req *fault_reap(struct msn_aio *aio, bool block,
				      ssize_t *step)
{
	struct aio_fault *f = fault_of(aio);
	struct msn_aio_req *req;

	if (f->error_count) {
		req = f->errors[f->error_first].req;
		*step = f->errors[f->error_first].error;
		f->error_first = (f->error_first + 1) % 1024;
		f->error_count--;
		return req;
	}
	if (f->inner_count == 0)
		return NULL;
	req = f->inner->ops->reap(f->inner, block, step);
	if (req)
		f->inner_count--;
	return req;
}

static int fault_register(struct msn_aio *aio, const struct iovec *bufs,
			  unsigned count)
{
	return msn_aio_register(fault_of(aio)->inner, bufs, count);
}

static void fault_free(struct msn_aio *aio)
{
	struct aio_fault *f = fault_of(aio);

	msn_aio_free(f->inner);
	free(f);
}

static const struct msn_aio_ops fault_ops = {
	.name = "fault",
	.submit = fault_submit,
	.reap = fault_reap,
	.register_buffers = fault_register,
	.free = fault_free,
};

struct msn_aio *aio_fault_new(struct msn_aio *inner,
			      const struct aio_fault_rule *rules, size_t count)
{
	struct aio_fault *f = calloc(1, sizeof(*f));

	if (!f || count > FAULT_RULES_MAX) {
		free(f);
		return NULL;
	}
	msn_aio_init(&f->base, &fault_ops, inner->depth);
	f->inner = inner;
	memcpy(f->rules, rules, count * sizeof(*rules));
	f->rule_count = count;
	return &f->base;
}

unsigned aio_fault_seen(const struct msn_aio *aio, enum msn_aio_op op)
{
	return msn_container_of(aio, const struct aio_fault, base)->seen[op];
}

unsigned aio_fault_hits(const struct msn_aio *aio)
{
	return msn_container_of(aio, const struct aio_fault, base)->hits;
}
