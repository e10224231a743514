/*
 * The public face's failures, options and version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "embed/embed.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The public codes are the internal kinds under names of their own. */
#define SAME(pub, kind)                                                        \
	static_assert((int)MEMSNAP_##pub == (int)MSN_FAILURE_##kind,           \
		      "public codes follow failure kinds")
SAME(OK, NONE);
SAME(INTERNAL, INTERNAL);
SAME(INVALID, INVALID);
SAME(NOT_FOUND, NOT_FOUND);
SAME(EXISTS, EXISTS);
SAME(PRECONDITION, PRECONDITION);
SAME(ABORTED, ABORTED);
SAME(EXHAUSTED, EXHAUSTED);
SAME(DENIED, DENIED);
SAME(UNAVAILABLE, UNAVAILABLE);
SAME(CANCELLED, CANCELLED);
SAME(DATA_LOSS, DATA_LOSS);
SAME(UNSUPPORTED, UNSUPPORTED);

static_assert(MEMSNAP_ERROR_TEXT == sizeof(((struct msn_failure *)0)->text),
	      "no text is cut on its way out");

int msn_embed_finish(int rc, const struct msn_failure *why,
		     struct memsnap_error *err)
{
	struct msn_failure plain = { 0 };

	if (rc >= 0 || !err)
		return rc;
	if (why->kind == MSN_FAILURE_NONE) {
		(void)msn_failure_set(&plain, rc, msn_failure_kind_of(rc), "%s",
				      strerror(-rc));
		why = &plain;
	}
	err->code = (enum memsnap_code)why->kind;
	memcpy(err->text, why->text, sizeof(err->text));
	return rc;
}

/* No options struct is that large; a size beyond it was never set. */
#define OPTS_MAX 4096

int msn_embed_take(void *dst, size_t size, const void *src, const char *what,
		   struct msn_failure *why)
{
	const unsigned char *bytes = src;
	size_t given;

	memset(dst, 0, size);
	if (!src)
		return 0;
	memcpy(&given, src, sizeof(given));
	if (given < sizeof(given) || given > OPTS_MAX)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "%s: size is %zu, not sizeof the struct",
				       what, given);
	for (size_t i = size; i < given; i++)
		if (bytes[i])
			return msn_failure_set(
				why, -E2BIG, MSN_FAILURE_UNSUPPORTED,
				"%s: asks for something newer than libmemsnap "
				"%s",
				what, MEMSNAP_VERSION);
	memcpy(dst, src, given < size ? given : size);
	return 0;
}

int msn_embed_give(void *dst, const void *src, size_t size, const char *what,
		   struct msn_failure *why)
{
	size_t room;

	if (!dst)
		return 0;
	memcpy(&room, dst, sizeof(room));
	if (room < sizeof(room) || room > OPTS_MAX)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "%s: size is %zu, not sizeof the struct",
				       what, room);
	memset((char *)dst + sizeof(room), 0, room - sizeof(room));
	if (size > room)
		size = room;
	memcpy((char *)dst + sizeof(room), (const char *)src + sizeof(room),
	       size - sizeof(room));
	return 0;
}

int msn_embed_flags(uint32_t flags, uint32_t known, const char *what,
		    struct msn_failure *why)
{
	if (!(flags & ~known))
		return 0;
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "%s: unknown flags 0x%x", what, flags & ~known);
}

int msn_embed_owner(pid_t owner, const char *what, struct msn_failure *why)
{
	if (getpid() == owner)
		return 0;
	return msn_failure_set(why, -EPERM, MSN_FAILURE_PRECONDITION,
			       "this %s belongs to process %d and cannot be "
			       "used in its child",
			       what, (int)owner);
}

const char *memsnap_code_name(enum memsnap_code code)
{
	static const char *const names[] = {
		[MEMSNAP_OK] = "OK",
		[MEMSNAP_INTERNAL] = "INTERNAL",
		[MEMSNAP_INVALID] = "INVALID",
		[MEMSNAP_NOT_FOUND] = "NOT_FOUND",
		[MEMSNAP_EXISTS] = "EXISTS",
		[MEMSNAP_PRECONDITION] = "PRECONDITION",
		[MEMSNAP_ABORTED] = "ABORTED",
		[MEMSNAP_EXHAUSTED] = "EXHAUSTED",
		[MEMSNAP_DENIED] = "DENIED",
		[MEMSNAP_UNAVAILABLE] = "UNAVAILABLE",
		[MEMSNAP_CANCELLED] = "CANCELLED",
		[MEMSNAP_DATA_LOSS] = "DATA_LOSS",
		[MEMSNAP_UNSUPPORTED] = "UNSUPPORTED",
	};

	if ((unsigned)code >= MSN_ARRAY_LEN(names))
		return "UNKNOWN";
	return names[code];
}

const char *memsnap_version(void)
{
	return MEMSNAP_VERSION;
}
