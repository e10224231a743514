/*
 * Call: one request under way, whatever codec brought it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a handler sees of the wire.  The same handler serves gRPC and ttrpc; it
 * does not know which.
 *
 *     opened --> receiving --> running --> finished
 *        |           |            |
 *        +-----------+------------+--> cancelled (client gone, RST_STREAM,
 *                                      deadline), which a handler notices
 *
 * Two kinds of handler (enum msn_method_flags):
 * - on the loop thread: returns at once; may keep the call and answer later, on
 *   the loop thread;
 * - on a worker (MSN_METHOD_BLOCKS): plain blocking code.  Sending waits for
 *   the client to read (MSN_CALL_QUEUE_BYTES), receiving for it to write.
 *
 * Memory: what a request needs lies in the call's arena, which is bounded
 * (MSN_CALL_ARENA_FACTOR times the message); it goes with the call.
 *
 * Locks: a call is used by one thread at a time, its handler's; those functions
 * that any thread may call say so.
 */
#ifndef MSN_WIRE_CALL_H
#define MSN_WIRE_CALL_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "status/status.h"
#include "wire/method.h"
#include "wire/peer.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_call;

/* Largest message, either way: the hard limit of ttrpc, gRPC's default. */
#define MSN_MESSAGE_BYTES_MAX ((size_t)4 << 20)

/*
 * A request's arena: 8 times the message and 64 KiB.  Honest messages take less
 * than 3 times their size; 4 MiB of empty sub-messages would take 76 times.
 */
#define MSN_CALL_ARENA_FACTOR 8
#define MSN_CALL_ARENA_BASE ((size_t)64 << 10)

/* Bytes queued for a client that does not read before a sender waits. */
#define MSN_CALL_QUEUE_BYTES ((size_t)4 << 20)

/* A sender whose client takes nothing for so long is cancelled. */
#define MSN_CALL_STALL_MS 60000

struct msn_call *msn_call_ref(struct msn_call *call);
/* Returns NULL.  Any thread. */
struct msn_call *msn_call_unref(struct msn_call *call);
MSN_DEFINE_AUTO(struct msn_call, msn_call_unref)

const struct msn_method *msn_call_method(const struct msn_call *call);
const struct msn_peer *msn_call_peer(const struct msn_call *call);

/* What the server was made with (struct msn_server_opts). */
void *msn_call_context(const struct msn_call *call);

/*
 * The value of a metadata key (lower case), or NULL.  Of several the first.  A
 * key that ends in -bin has been decoded: *@len bytes, which may be NULL for
 * texts.
 */
const char *msn_call_metadata(const struct msn_call *call, const char *key,
			      size_t *len);

/* For a response: sent before the first message, and with the end. */
MSN_MUST_CHECK int msn_call_set_header(struct msn_call *call, const char *key,
				       const void *value, size_t len);
MSN_MUST_CHECK int msn_call_set_trailer(struct msn_call *call, const char *key,
					const void *value, size_t len);

/* CLOCK_MONOTONIC in ns, or UINT64_MAX for none. */
uint64_t msn_call_deadline(const struct msn_call *call);

/* W3C trace id of the caller's traceparent: 32 digits, or "". */
const char *msn_call_trace_id(const struct msn_call *call);

/* Memory that lives as long as the call.  NULL when the budget is used up. */
void *msn_call_alloc(struct msn_call *call, size_t size);

/*
 * Takes descriptor @index that came with the request (SCM_RIGHTS): it is the
 * caller's, to be closed.  -ENOENT.
 */
MSN_MUST_CHECK int msn_call_take_fd(struct msn_call *call, uint32_t index,
				    int *fd);

/*
 * Sends @fd (a copy; the caller keeps its own) with the next message; *@index
 * is its place in it.  -EOPNOTSUPP where the transport or the client (no
 * "memsnap-fds: ok" in its metadata) cannot take descriptors.
 */
MSN_MUST_CHECK int msn_call_give_fd(struct msn_call *call, int fd,
				    uint32_t *index);

/* ---- The end of a call --------------------------------------------------- */

/* To be filled by a handler before it returns a negated errno. */
struct msn_status *msn_call_status(struct msn_call *call);

/* The same for layers that know no status: one text.  Status wins. */
struct msn_failure *msn_call_failure(struct msn_call *call);

/*
 * Fails with these: fills the status and returns a negated errno that fits, so
 * that a handler can return it.
 */
MSN_MUST_CHECK int msn_call_fail(struct msn_call *call, enum msn_code code,
				 const char *reason, const char *fmt, ...)
	MSN_PRINTF(4, 5);

/* INVALID_ARGUMENT with the field's name: reason INVALID_FIELD. */
MSN_MUST_CHECK int msn_call_bad_field(struct msn_call *call, const char *field,
				      const char *fmt, ...) MSN_PRINTF(3, 4);

/* Has the client gone, cancelled, or let the deadline pass?  Any thread. */
bool msn_call_cancelled(const struct msn_call *call);

/*
 * Has @fn called, once, on the loop thread when the call is cancelled; at once
 * if it was already.  Loop thread.  NULL: no longer.
 */
void msn_call_on_cancel(struct msn_call *call,
			void (*fn)(struct msn_call *call, void *ctx),
			void *ctx);

/*
 * Ends a call that was kept (MSN_METHOD_E_LATER): @rc as a handler returns it.
 * Loop thread; the reference stays the caller's.
 */
void msn_call_finish(struct msn_call *call, int rc);

/* ---- Messages ------------------------------------------------------------ */

/* Bytes that a message carries without their being copied. */
struct msn_payload {
	const void *data;
	size_t len;
	void (*release)(struct msn_payload *self); /* any thread, once */
};

/*
 * Sends a message of the response's type; encoded before this returns.
 *
 * On a worker: waits while more than MSN_CALL_QUEUE_BYTES are queued;
 * -ECANCELED when the call is cancelled meanwhile.  On the loop thread: never
 * waits; -EAGAIN when the queue is that long, and nothing is queued.
 *
 * With @payload, a bytes field of @message that points to payload->data is not
 * copied: @payload is taken over, also on failure, and released when the bytes
 * are sent or never will be.  NULL: everything is copied.
 */
MSN_MUST_CHECK int msn_call_send(struct msn_call *call,
				 const ProtobufCMessage *message,
				 struct msn_payload *payload);

/*
 * Has @fn called on the loop thread when the queue is empty again.  Loop
 * thread; for those that got -EAGAIN.
 */
void msn_call_on_drained(struct msn_call *call,
			 void (*fn)(struct msn_call *call, void *ctx),
			 void *ctx);

enum msn_call_outcome {
	MSN_CALL_E_END = 1, /* the client sends no more */
};

/*
 * The next message of a client stream, decoded into @out: it lives until the
 * next one is received.  Workers only; waits.  -ECANCELED, or the failure of a
 * message that is no good.
 */
MSN_MUST_CHECK int msn_call_receive(struct msn_call *call,
				    const ProtobufCMessage **out);

#endif /* MSN_WIRE_CALL_H */
