/*
 * Status: how a call ended, in the words of gRPC.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Below the service a failure is a kind and one line of text (base/failure.h).
 * On the wire it is a code of gRPC, the same text, and details: an ErrorInfo
 * with a reason that programs may rely on, and where they help a field that
 * was wrong, or a time after which to try again.  Both sides of the wire use
 * this: the service encodes, the client library decodes.
 *
 * Locks: none; a status belongs to its holder.
 */
#ifndef MSN_STATUS_STATUS_H
#define MSN_STATUS_STATUS_H

#include "base/cleanup.h"
#include "base/failure.h"

#include <stddef.h>
#include <stdint.h>

/* google.rpc.Code. */
enum msn_code {
	MSN_CODE_OK = 0,
	MSN_CODE_CANCELLED = 1,
	MSN_CODE_UNKNOWN = 2,
	MSN_CODE_INVALID_ARGUMENT = 3,
	MSN_CODE_DEADLINE_EXCEEDED = 4,
	MSN_CODE_NOT_FOUND = 5,
	MSN_CODE_ALREADY_EXISTS = 6,
	MSN_CODE_PERMISSION_DENIED = 7,
	MSN_CODE_RESOURCE_EXHAUSTED = 8,
	MSN_CODE_FAILED_PRECONDITION = 9,
	MSN_CODE_ABORTED = 10,
	MSN_CODE_OUT_OF_RANGE = 11,
	MSN_CODE_UNIMPLEMENTED = 12,
	MSN_CODE_INTERNAL = 13,
	MSN_CODE_UNAVAILABLE = 14,
	MSN_CODE_DATA_LOSS = 15,
	MSN_CODE_UNAUTHENTICATED = 16,
};

/* Entries of ErrorInfo.metadata that one status carries: errno, address, ... */
#define MSN_STATUS_NOTES_MAX 6

struct msn_status_note {
	char key[24], value[136];
};

struct msn_status {
	enum msn_code code;
	char text[512];	   /* one line, UTF-8; "" for OK */
	char reason[40];   /* UPPER_SNAKE; "" only for OK */
	char field[64];	   /* the request's field that was wrong, or "" */
	uint32_t retry_ms; /* RetryInfo; 0: none */
	size_t note_count;
	struct msn_status_note notes[MSN_STATUS_NOTES_MAX];
};

/* "NOT_FOUND", ...; "UNKNOWN" for a number that is no code.  Never NULL. */
const char *msn_code_name(enum msn_code code);

/* What a failure's kind is on the wire, and the other way. */
enum msn_code msn_code_of_kind(enum msn_failure_kind kind);
enum msn_failure_kind msn_kind_of_code(enum msn_code code);

/* Makes it OK, without text, reason, field or notes. */
void msn_status_clear(struct msn_status *s);

/*
 * Fills @s, replacing what was there.  A text that is no UTF-8 has its bad
 * bytes replaced, a code that is none becomes UNKNOWN.
 */
void msn_status_set(struct msn_status *s, enum msn_code code,
		    const char *reason, const char *fmt, ...) MSN_PRINTF(4, 5);

/*
 * Fills @s from a failure of the layers below; @rc, the negated errno, becomes
 * the note "errno" and chooses the kind if @why has none.  A status that was
 * filled before keeps its reason, field and notes: who knew more, knew it
 * first.  Without one the reason is that of the kind, "NOT_FOUND" and so on.
 */
void msn_status_failure(struct msn_status *s, int rc,
			const struct msn_failure *why);

/* Adds a note, or replaces the one of that key; one more than fits is dropped.
 */
void msn_status_note(struct msn_status *s, const char *key, const char *fmt,
		     ...) MSN_PRINTF(3, 4);

/* The value of a note, or NULL. */
const char *msn_status_find(const struct msn_status *s, const char *key);

/*
 * google.rpc.Status with its details (ErrorInfo of domain "memsnap"; BadRequest
 * if a field is named; RetryInfo).  *@out is the caller's, for free().
 */
MSN_MUST_CHECK int msn_status_encode(const struct msn_status *s, uint8_t **out,
				     size_t *len);

/*
 * The other way; details that are not known are passed over.  -EBADMSG for
 * bytes that are no google.rpc.Status: @s is untouched then.
 */
MSN_MUST_CHECK int msn_status_decode(struct msn_status *s, const uint8_t *data,
				     size_t len);

#endif /* MSN_STATUS_STATUS_H */
