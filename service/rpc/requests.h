/*
 * Requests: calls that may be sent again.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A request_id names one intent of one caller.  The first call with it does the
 * work; its answer is kept, and the same call again gets that answer.
 *
 *    (absent) --begin--> at work --end--> answered --(a day, or room)--> gone
 *                           |
 *                           +-- failed --> (absent)
 *
 * Kept in memory: what these calls make, a space, lives no longer.
 *
 * Locks: MSN_RANK_LEAF.  Any thread.
 */
#ifndef MSN_RPC_REQUESTS_H
#define MSN_RPC_REQUESTS_H

#include "base/cleanup.h"
#include "wire/call.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* Longest request_id, in bytes: a UUID has 36. */
#define MSN_REQUEST_ID_MAX 128

struct msn_requests;

struct msn_requests_opts {
	size_t kept_max;   /* answers */
	size_t kept_bytes; /* of them */
	uint64_t kept_ns;
};

MSN_MUST_CHECK int msn_requests_new(struct msn_requests **out,
				    const struct msn_requests_opts *opts);
struct msn_requests *msn_requests_free(struct msn_requests *r);
MSN_DEFINE_AUTO(struct msn_requests, msn_requests_free)

/* Of one handler; no need to deinit. */
struct msn_once {
	struct msn_requests *requests;
	struct request *entry; /* NULL: no request_id, nothing is kept */
};

enum msn_once_outcome {
	MSN_ONCE_E_ANSWERED =
		1, /* the answer was sent; nothing is left to do */
};

/*
 * Begins what @call asks for under @id ("": not to be kept).  0: do the work,
 * then msn_once_end().  ALREADY_EXISTS (REQUEST_ID_REUSED) when the id came
 * with another request; UNAVAILABLE (REQUEST_IN_PROGRESS) while the first is at
 * work; INVALID_ARGUMENT an id that is too long.
 */
MSN_MUST_CHECK int msn_once_begin(struct msn_once *once,
				  struct msn_requests *requests,
				  struct msn_call *call, const char *id,
				  const ProtobufCMessage *request);

/*
 * Ends it: @rc what the work returned, @answer (NULL if it failed) what was
 * sent.  A failure is forgotten: the next one tries again.  Returns @rc.
 */
int msn_once_end(struct msn_once *once, int rc, const ProtobufCMessage *answer);

#endif /* MSN_RPC_REQUESTS_H */
