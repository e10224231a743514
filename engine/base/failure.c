/*
 * Texts for people.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/failure.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Paths and names come from outside: one line stays one line. */
static void one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

int msn_failure_set(struct msn_failure *f, int rc, enum msn_failure_kind kind,
		    const char *fmt, ...)
{
	va_list args;

	if (!f || f->kind != MSN_FAILURE_NONE)
		return msn_pass(rc);
	f->kind = kind;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	one_line(f->text);
	return msn_fail(rc);
}

int msn_failure_errno(struct msn_failure *f, int rc, const char *fmt, ...)
{
	char text[384];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return msn_failure_set(f, rc, msn_failure_kind_of(rc), "%s: %s", text,
			       strerror(-rc));
}

enum msn_failure_kind msn_failure_kind_of(int rc)
{
	switch (-rc) {
	case ENOENT:
	case ESRCH:
		return MSN_FAILURE_NOT_FOUND;
	case EEXIST:
		return MSN_FAILURE_EXISTS;
	case EINVAL:
	case ERANGE:
	case ENAMETOOLONG:
		return MSN_FAILURE_INVALID;
	case EPERM:
	case EACCES:
	case EROFS:
		return MSN_FAILURE_DENIED;
	case ENOSPC:
	case EDQUOT:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return MSN_FAILURE_EXHAUSTED;
	case EBUSY:
	case EAGAIN:
		return MSN_FAILURE_UNAVAILABLE;
	case ECANCELED:
		return MSN_FAILURE_CANCELLED;
	case EBADMSG:
		return MSN_FAILURE_DATA_LOSS;
	case EOPNOTSUPP:
	case ENOSYS:
		return MSN_FAILURE_UNSUPPORTED;
	default:
		return MSN_FAILURE_INTERNAL;
	}
}

const char *msn_failure_kind_name(enum msn_failure_kind kind)
{
	static const char *const names[] = {
		[MSN_FAILURE_NONE] = "OK",
		[MSN_FAILURE_INTERNAL] = "INTERNAL",
		[MSN_FAILURE_INVALID] = "INVALID_ARGUMENT",
		[MSN_FAILURE_NOT_FOUND] = "NOT_FOUND",
		[MSN_FAILURE_EXISTS] = "ALREADY_EXISTS",
		[MSN_FAILURE_PRECONDITION] = "FAILED_PRECONDITION",
		[MSN_FAILURE_ABORTED] = "ABORTED",
		[MSN_FAILURE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
		[MSN_FAILURE_DENIED] = "PERMISSION_DENIED",
		[MSN_FAILURE_UNAVAILABLE] = "UNAVAILABLE",
		[MSN_FAILURE_CANCELLED] = "CANCELLED",
		[MSN_FAILURE_DATA_LOSS] = "DATA_LOSS",
		[MSN_FAILURE_UNSUPPORTED] = "UNIMPLEMENTED",
	};

	return names[kind];
}
