/*
 * Convert: between messages and what the parts below use.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything that is made for an answer lies in the call's arena.
 */
#ifndef MSN_RPC_CONVERT_H
#define MSN_RPC_CONVERT_H

#include "base/cleanup.h"
#include "format/uid.h"
#include "rpc/rpc.h"
#include "wire/call.h"

#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "memsnap/v1/operation.pb-c.h"
#include "memsnap/v1/space.pb-c.h"
#include "memsnap/v1/types.pb-c.h"

static inline struct msn_rpc *rpc_of(const struct msn_call *call)
{
	return msn_call_context(call);
}

/* ---- Values -------------------------------------------------------------- */

/* NULL: no memory, which the caller reports with -ENOMEM. */
char *rpc_text(struct msn_call *call, const char *text);
char *rpc_uid(struct msn_call *call, struct msn_uid uid); /* "" for none */
char *rpc_number(struct msn_call *call, uint64_t n);
Google__Protobuf__Timestamp *rpc_time(struct msn_call *call, int64_t ns);
Google__Protobuf__Duration *rpc_duration(struct msn_call *call, uint64_t ns);

/*
 * A duration of a request in ns; @absent for none.  INVALID_ARGUMENT names
 * @field for one that is negative or too long.
 */
MSN_MUST_CHECK int rpc_take_duration(struct msn_call *call, const char *field,
				     const Google__Protobuf__Duration *d,
				     uint64_t absent, uint64_t *ns);

/* An etag of a request; "" is 0.  One that never was is no etag of ours. */
MSN_MUST_CHECK int rpc_take_etag(struct msn_call *call, const char *text,
				 uint64_t *etag);

/* Labels of a request, to be deinited. */
MSN_MUST_CHECK int rpc_take_labels(struct msn_call *call,
				   Memsnap__V1__Label *const *list, size_t n,
				   struct msn_labels *out);
MSN_MUST_CHECK int rpc_labels(struct msn_call *call,
			      const struct msn_labels *labels, size_t *n,
			      Memsnap__V1__Label ***out);

/* The value of a label of a message, or NULL. */
const char *rpc_label(Memsnap__V1__Label *const *list, size_t n,
		      const char *key);

/* ---- Pages of a listing -------------------------------------------------- */

/* How many are wanted: @size of the request within 1..@max. */
static inline size_t rpc_page_size(uint32_t size, size_t usual, size_t max)
{
	size_t n = size ? size : usual;

	return n < max ? n : max;
}

/* ---- Things -------------------------------------------------------------- */

/* The caller's space @ref; *@out is a reference. */
MSN_MUST_CHECK int rpc_find_space(struct msn_call *call, const char *ref,
				  struct msn_space **out);

/* A space as an answer shows it. */
MSN_MUST_CHECK int rpc_space(struct msn_call *call, struct msn_space *space,
			     Memsnap__V1__Space **out);

MSN_MUST_CHECK int rpc_operation(struct msn_call *call,
				 struct msn_operation *op,
				 Memsnap__V1__Operation **out);

/*
 * Fails a memory call with errno @rc, as space.proto says: the status that
 * fits, the reason ERRNO and the note "errno".  Returns @rc.
 */
int rpc_errno(struct msn_call *call, int rc, const char *fmt, ...)
	MSN_PRINTF(3, 4);

/* OUT_OF_RANGE (FAULT) at @address. */
int rpc_fault(struct msn_call *call, const char *verb, uint64_t address);

#endif /* MSN_RPC_CONVERT_H */
