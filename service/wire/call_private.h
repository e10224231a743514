/*
 * What a call is made of; for the files of this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A call has two sides.
 *
 * The handler's (enum call_state), where "over" means that no handler has the
 * call or ever will:
 *
 *    OPENED     -> RECEIVING  [call_begin]
 *    RECEIVING  -> RUNNING    [call_start: on the loop thread, or a worker]
 *    RECEIVING  -> WAITING    [call_start: the owner has enough on workers]
 *    WAITING    -> RUNNING    [call_start_waiting]
 *    RUNNING    -> OVER       [call_handler_done]
 *    before     -> OVER       [call_end]
 *
 * The wire's: `ended` once the status is decided and ops->finish() was called
 * [call_end], and `codec` NULL once the codec has forgotten it [call_closed] or
 * can no longer send [call_lost].
 *
 * Invariants
 * (1) call_end() goes through once; the status that it was first called with is
 *     that of the call.
 * (2) A call that has ended before its handler is cancelled, which the handler
 *     is told; what it sends, returns or finishes after that is dropped.
 * (3) Only RUNNING calls have a thread other than the loop's, and only if they
 *     are on a worker.
 * (4) Who hands a call to another thread gives it a reference.
 */
#ifndef MSN_WIRE_CALL_PRIVATE_H
#define MSN_WIRE_CALL_PRIVATE_H

#include "base/lock.h"
#include "loop/timer.h"
#include "wire/arena.h"
#include "wire/codec.h"
#include "wire/link.h"

enum call_state {
	CALL_OPENED,	/* its metadata is coming */
	CALL_RECEIVING, /* allowed; its request is coming */
	CALL_WAITING,	/* whole; waits for a worker in its owner's list */
	CALL_RUNNING,	/* its handler has it */
	CALL_OVER,	/* no handler has it, or will */
};

/* A message that came, and the descriptors that came with it. */
struct received {
	struct received *next;
	int *fds;
	size_t fd_count;
	size_t len;
	uint8_t data[];
};

/* A call's first memory: metadata and requests that are small. */
#define CALL_FIRST_BYTES 1024

struct msn_call {
	atomic_uint refs;

	/* Set once, before its handler runs. */
	struct msn_server *server; /* a reference */
	struct link *link;	   /* a reference */
	struct owner *owner;	   /* a reference */
	const struct msn_peer *peer;
	const struct msn_method *method; /* NULL: there is no such */
	uint64_t opened_at, deadline;	 /* ns */
	char trace_id[33];
	bool gives_fds;	       /* the client takes descriptors */
	bool has_flow_control; /* of the codec */
	const char *codec_name;

	/* Thread of the loop. */
	struct codec *codec; /* NULL: nothing can be sent */
	struct conn *conn;   /* with codec */
	void *stream;	     /* the codec's */
	struct ring of_conn, of_owner;
	enum call_state state;
	bool counted; /* among the calls of its owner */
	bool ended;
	bool half_closed;
	bool headers_out; /* a message has been sent: they stay as they are */
	const char *refusal; /* why it cannot be: metadata */
	size_t message_count;
	uint64_t received_bytes, sent_bytes;
	struct msn_timer deadline_timer, stall_timer;
	void (*on_cancel)(struct msn_call *call, void *ctx);
	void *cancel_ctx;
	void (*on_drained)(struct msn_call *call, void *ctx);
	void *drained_ctx;
	const struct msn_status *final; /* once it has ended */

	/* Thread of the handler; of the loop when it is not RUNNING. */
	struct call_field *metadata, *headers, *trailers;
	struct arena arena;	    /* lives as long as the call */
	struct arena message_arena; /* of the last message of a stream */
	const ProtobufCMessage *request;
	int *fds; /* owned: of the last message; -1 where one was taken */
	size_t fd_count;
	int *out_fds; /* owned: of the next message */
	size_t out_fd_count;
	struct message *reply; /* of a method that does not stream */
	bool has_sent;	       /* a message: headers are out */

	/* Any thread. */
	atomic_bool cancelled;
	atomic_uint_least64_t moved_at; /* ns: when bytes last left */
	struct msn_mutex lock;
	pthread_cond_t changed; /* of what is under lock */

	/* Under lock. */
	struct received *inbox, **inbox_end;
	bool client_done;
	uint64_t receives_since; /* ns: a handler waits; 0: none does */
	size_t consumed;	 /* of the inbox, not told to the codec */
	struct message *outgoing, **outgoing_end;
	size_t queued; /* charges that have not come back */
	bool work_done;
	bool wants_drained, drained;
	int work_rc;
	bool kicked; /* `kick` is on its way, with a reference */

	struct msn_task kick; /* to the loop */
	struct msn_task work; /* to a worker */

	/*
	 * From here on a new call is cleared, not zeroed: these are 5 KiB, and
	 * most calls need none of it.
	 */
	struct msn_status end_status; /* loop: made by this side */
	struct msn_status status;     /* the handler's */
	struct msn_failure failure;   /* the handler's */
	_Alignas(8) uint8_t first[CALL_FIRST_BYTES];
};

/* ---- call.c -------------------------------------------------------------- */

/* Ends the call on the wire, if it has not ended; @status lives in it, or for
 * ever. */
void call_end(struct msn_call *call, const struct msn_status *status);

/* The same with a status of this side's making. */
void call_cut(struct msn_call *call, enum msn_code code, const char *reason,
	      const char *text);

/* Looks now and then whether the client of a stream goes on. */
void call_watch(struct msn_call *call);

/* No handler has it any more: takes it out of all counts. */
void call_over(struct msn_call *call);

/* ---- call_run.c ---------------------------------------------------------- */

/* The request is whole, or a stream has begun: has its handler run. */
void call_start(struct msn_call *call);

/* Gives what an owner's calls wait for to the next of them. */
void call_start_waiting(struct msn_server *server, struct owner *owner);

/* The handler has returned or finished. */
void call_handler_done(struct msn_call *call, int rc);

/* Has the loop thread look at the call; under its lock. */
void call_kick(struct msn_call *call);

/* ---- call_io.c ----------------------------------------------------------- */

/* Decodes the request: the first message.  Handler's thread. */
MSN_MUST_CHECK int call_decode(struct msn_call *call);

/* Forgets what came and was not received. */
void call_drop_inbox(struct msn_call *call);

/* Hands a message to the codec, or drops it.  A negated errno ends the call. */
void call_send_now(struct msn_call *call, struct message *m);

/* Bytes of the call's queue are gone, sent or not.  Any thread. */
void call_uncharge(struct msn_call *call, size_t len);

static inline bool call_blocks(const struct msn_call *call)
{
	return call->method->flags & MSN_METHOD_BLOCKS;
}

static inline bool call_takes_stream(const struct msn_call *call)
{
	return call->method->flags & MSN_METHOD_CLIENT_STREAM;
}

static inline bool call_sends_stream(const struct msn_call *call)
{
	return call->method->flags & MSN_METHOD_SERVER_STREAM;
}

#endif /* MSN_WIRE_CALL_PRIVATE_H */
