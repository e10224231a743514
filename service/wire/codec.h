/*
 * Codec: what stands between a connection's bytes and its calls.  Private to
 * this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A connection (conn.h) moves bytes and descriptors; a codec makes calls of
 * them and bytes of what calls send.  There are grpc_*.c (nghttp2), ttrpc.c and
 * http1.c; a new one is a file, and a row in codecs (conn.c).
 *
 * A call has two sides, which end on their own: its handler's, and that on the
 * wire, which is the codec's.  The codec holds a reference from call_open() to
 * call_closed(); in between the call may end at any time by ops->finish(), also
 * in the middle of any function below that takes the call: after it, what comes
 * for the stream is dropped.
 *
 * Everything here runs on the loop thread.
 */
#ifndef MSN_WIRE_CODEC_H
#define MSN_WIRE_CODEC_H

#include "base/cleanup.h"
#include "status/status.h"
#include "wire/call.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

/* A codec's side of one connection; the codec embeds it. */
struct codec {
	const struct codec_ops *ops;
	struct conn *conn;
};

struct codec_ops {
	const char *name;    /* "grpc", "ttrpc", "http1" */
	char first_bytes[2]; /* either one begins a connection of it */
	unsigned transports; /* that it is spoken on: 1 << enum msn_transport */

	/*
	 * Clients send only as much as consumed() allows.  Without, the whole
	 * connection is not read while its calls hold too much.
	 */
	bool has_flow_control;
	/* Takes the descriptors that come: conn_take_fds(). */
	bool passes_fds;
	/* After drain() it closes the connection itself, at the right time. */
	bool says_goodbye;

	/* Makes the codec of a new connection. */
	int (*open)(struct codec **out, struct conn *conn);

	/* Frees it; call_lost() has been said to its calls, call_closed() is
	 * to be said now. */
	void (*close)(struct codec *self);

	/*
	 * Takes bytes that came: all of them, keeping what is not whole yet.
	 * Opens calls, hands them messages.  A negated errno closes the
	 * connection once what is queued is sent.
	 */
	int (*receive)(struct codec *self, const uint8_t *data, size_t len);

	/*
	 * Sends a message of a call: takes over @m, also on failure.  The codec
	 * frames it and queues it on the connection, now or as flow control
	 * lets it.  -EMSGSIZE: longer than the codec can send.  A codec that
	 * sends it in parts splits the charge among these.
	 */
	int (*send)(struct codec *self, struct msn_call *call,
		    struct message *m);

	/*
	 * Ends a call with its status after what was sent: headers and trailers
	 * of the call with it.  The codec says call_closed() when that is
	 * queued, now or later.  A negated errno closes the connection.
	 */
	int (*finish)(struct codec *self, struct msn_call *call);

	/* @len more bytes of the client stream @call may come. */
	void (*consumed)(struct codec *self, struct msn_call *call, size_t len);

	/* Tells the client to go: no new calls; calls under way go on. */
	int (*drain)(struct codec *self);

	/*
	 * Tells the client, as far as the codec can, that the connection ends
	 * for this reason (RESOURCE_EXHAUSTED).  @data came last and is not to
	 * be handled, but may show whom to tell.  May be NULL.
	 */
	void (*refuse)(struct codec *self, const char *reason, const char *text,
		       const uint8_t *data, size_t len);

	/* Is a frame half received?  Then MSN_CONN_FRAME_MS counts. */
	bool (*is_mid_frame)(const struct codec *self);

	/*
	 * Queues what the codec has kept back, up to CONN_QUEUE_HIGH: before
	 * bytes are written, and again when the queue is below that.  May be
	 * NULL.
	 */
	int (*flush)(struct codec *self);
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
 * -ENOMEM.
 */
MSN_MUST_CHECK int call_open(struct msn_call **out, struct codec *codec,
			     const struct call_open *opts);
void *call_stream(const struct msn_call *call);
void call_set_stream(struct msn_call *call, void *stream);

/* Before call_begin(): a time-out that was not known before. */
void call_set_timeout(struct msn_call *call, uint64_t timeout_ns);

/*
 * Before call_begin(): metadata, -bin values decoded.  A failure is kept for
 * call_begin(), which ends the call with it.
 */
void call_add_metadata(struct msn_call *call, const char *key, size_t key_len,
		       const void *value, size_t value_len);

/*
 * All metadata is there: checks method, role and quotas.  A call that cannot be
 * (no such method, no right, a quota) ends here by ops->finish(): no method is
 * run for it.
 */
void call_begin(struct msn_call *call);

/* One whole message, copied before this returns; @fds (owned) came with it. */
void call_message(struct msn_call *call, const uint8_t *data, size_t len,
		  int *fds, size_t fd_count);

/* The client sends no more. */
void call_half_close(struct msn_call *call);

/* Ends the call from the codec's side, by ops->finish() with this status. */
void call_reject(struct msn_call *call, enum msn_code code, const char *reason,
		 const char *text);

/* The client cancelled, or the connection goes: nothing can be sent any more
 * and no op is called for it. */
void call_lost(struct msn_call *call);

/* The codec has forgotten the call.  Drops its reference. */
void call_closed(struct msn_call *call);

/* Has the call ended on the wire, or is it ending? */
bool call_has_ended(const struct msn_call *call);

/* For finish(): the status, and what a handler set. */
const struct msn_status *call_final_status(const struct msn_call *call);
struct call_field {
	struct call_field *next;
	const char *key;
	const void *value;
	size_t value_len;
};
/* What a handler has set until now, if it cannot set more; else NULL. */
const struct call_field *call_headers(const struct msn_call *call);
const struct call_field *call_trailers(const struct msn_call *call);

/* ---- What a codec asks of its connection: conn.c ------------------------- */

/* Queues bytes, which leave at the end of this round of the loop. */
void conn_queue(struct conn *conn, struct message *m);

/* Bytes queued and not sent: a codec with flow control of its own stops at
 * CONN_QUEUE_HIGH and goes on in ops->flush(). */
#define CONN_QUEUE_HIGH ((size_t)1 << 20)
size_t conn_queued(const struct conn *conn);

/* Has ops->flush() called at the end of this round, and writes. */
void conn_touch(struct conn *conn);

/* A frame is whole: what is half received from now on is another one. */
void conn_frame_done(struct conn *conn);

/*
 * Counts @more bytes that the codec keeps of messages that are not whole.
 * -ENOBUFS when their owner has too much: the connection is to end.
 */
MSN_MUST_CHECK int conn_hold(struct conn *conn, size_t more);
void conn_unhold(struct conn *conn, size_t less);

/*
 * Takes the descriptors that have come up to a place in the bytes that
 * ops->receive() is called with: those of the frame that ends there, when it is
 * called at the end of each.  A descriptor belongs to the frame in which the
 * bytes of the recvmsg() that brought it ended: sendmsg() with descriptors must
 * begin with their frame and hold no other.  *@fds is for close() and free().
 */
MSN_MUST_CHECK int conn_take_fds(struct conn *conn, const uint8_t *end,
				 int **fds, size_t *count);

struct msn_server *conn_server(const struct conn *conn);
const struct msn_peer *conn_peer(const struct conn *conn);

/* Closes after what is queued is sent. */
void conn_close_soon(struct conn *conn);

#endif /* MSN_WIRE_CODEC_H */
