/*
 * Codec: what stands between a connection's bytes and its calls.  Private to
 * this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A connection (conn.h) moves bytes and descriptors; a codec makes calls of
 * them and bytes of what calls send.  There are grpc_*.c (nghttp2), ttrpc.c and
 * http1.c; a new one is a file, and a row in msn_codecs.
 *
 * Everything here runs on the loop thread.
 */
#ifndef MSN_WIRE_CODEC_H
#define MSN_WIRE_CODEC_H

#include "base/cleanup.h"
#include "status/status.h"
#include "wire/call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct conn;

/* Bytes on their way out: a part that is owned, then a payload, then the rest. */
struct message {
	uint8_t *head; /* owned, for free(): the encoded message's start */
	size_t head_len;
	struct msn_payload *payload; /* or NULL */
	uint8_t *tail;		     /* owned; what follows the payload */
	size_t tail_len;
	int *fds; /* owned, closed when sent */
	size_t fd_count;
};

static inline size_t message_len(const struct message *m)
{
	return m->head_len + (m->payload ? m->payload->len : 0) + m->tail_len;
}

/* Frees what @m has; @m itself is the caller's. */
void message_deinit(struct message *m);

/* A codec's side of one connection; the codec embeds it. */
struct codec {
	const struct codec_ops *ops;
	struct conn *conn;
};

struct codec_ops {
	const char *name; /* "grpc", "ttrpc", "http1" */
	char first_byte;

	/* Makes the codec of a new connection. */
	int (*open)(struct codec **out, struct conn *conn);

	/* Frees it; its calls have been ended with call_lost(). */
	void (*close)(struct codec *self);

	/*
	 * Takes bytes that came: all of them, keeping what is not whole yet.
	 * Opens calls, hands them messages.  A negated errno closes the
	 * connection once what is queued is sent.
	 */
	int (*receive)(struct codec *self, const uint8_t *data, size_t len);

	/*
	 * Sends a message of a call: takes over what @m has.  The codec frames
	 * it and queues it on the connection, now or as flow control lets it,
	 * and tells call_sent() as bytes leave.
	 */
	int (*send)(struct codec *self, struct msn_call *call,
		    struct message *m);

	/*
	 * Ends a call with its status after what was sent: headers and trailers
	 * of the call with it.  The codec forgets the call when that is queued.
	 */
	int (*finish)(struct codec *self, struct msn_call *call);

	/* More bytes of the client stream @call may come (flow control). */
	void (*consumed)(struct codec *self, struct msn_call *call, size_t len);

	/* Tells the client to go: no new calls; calls under way go on. */
	int (*drain)(struct codec *self);

	/* Is a frame half received?  Then MSN_CONN_FRAME_MS counts. */
	bool (*is_mid_frame)(const struct codec *self);

	/* The connection's out queue has room again.  May be NULL. */
	int (*writable)(struct codec *self);
};

extern const struct codec_ops codec_grpc, codec_ttrpc, codec_http1;

/* ---- What a codec asks of calls: call.c ---------------------------------- */

struct call_open {
	const char *path; /* "/service/method", @path_len bytes */
	size_t path_len;
	uint64_t timeout_ns; /* UINT64_MAX: none */
	void *stream;	     /* the codec's own, call_stream() */
};

/*
 * Opens a call: *@out is the codec's reference, given back with call_closed().
 * A call that cannot be (no such method, no right, a quota) is opened too and
 * ends itself with its status through ops->finish(), by and by: no method is
 * run for it and what the client sends is dropped.  -ENOMEM.
 */
MSN_MUST_CHECK int call_open(struct msn_call **out, struct codec *codec,
			     const struct call_open *opts);
void *call_stream(const struct msn_call *call);
void call_set_stream(struct msn_call *call, void *stream);

/* Before call_begin(): metadata, -bin values decoded. */
MSN_MUST_CHECK int call_add_metadata(struct msn_call *call, const char *key,
				     size_t key_len, const void *value,
				     size_t value_len);

/* All metadata is there: checks method, role and quotas. */
void call_begin(struct msn_call *call);

/* One whole message, copied before this returns; @fds (owned) came with it. */
void call_message(struct msn_call *call, const uint8_t *data, size_t len,
		  int *fds, size_t fd_count);

/* The client sends no more. */
void call_half_close(struct msn_call *call);

/* Ends the call from the codec's side, with a status of its own making. */
void call_reject(struct msn_call *call, enum msn_code code, const char *reason,
		 const char *text);

/* The client cancelled, or the connection goes: nothing can be sent any more. */
void call_lost(struct msn_call *call);

/* @len bytes of messages have left this process. */
void call_sent(struct msn_call *call, size_t len);

/* The codec has forgotten the call.  Drops its reference. */
void call_closed(struct msn_call *call);

/* For finish(): the status, and what a handler set. */
const struct msn_status *call_final_status(const struct msn_call *call);
struct call_field {
	struct call_field *next;
	const char *key;
	const void *value;
	size_t value_len;
};
const struct call_field *call_headers(const struct msn_call *call);
const struct call_field *call_trailers(const struct msn_call *call);

/* ---- What a codec asks of its connection: conn.c ------------------------- */

/*
 * Queues bytes: @m is taken over, also on failure.  @sent (or NULL) is called
 * when they have left or never will.
 */
struct conn_sent {
	void (*fn)(struct conn_sent *self, size_t len, bool lost);
};
MSN_MUST_CHECK int conn_queue(struct conn *conn, struct message *m,
			      struct conn_sent *sent);

/* Bytes queued and not sent: a codec with flow control of its own stops at
 * CONN_QUEUE_HIGH and goes on in ops->writable(). */
#define CONN_QUEUE_HIGH ((size_t)1 << 20)
size_t conn_queued(const struct conn *conn);

/* Sends what is queued at the end of this round of the loop. */
void conn_flush(struct conn *conn);

/* Descriptors that have come and belong to the message just received: all of
 * them, *@count, for free() and close(). */
MSN_MUST_CHECK int conn_take_fds(struct conn *conn, int **fds, size_t *count);
bool conn_can_pass_fds(const struct conn *conn);

struct msn_server *conn_server(const struct conn *conn);
const struct msn_peer *conn_peer(const struct conn *conn);

/* Closes after what is queued is sent. */
void conn_close_soon(struct conn *conn);

#endif /* MSN_WIRE_CODEC_H */
