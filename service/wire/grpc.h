/*
 * gRPC: calls over HTTP/2, by nghttp2.  Private to the files grpc_*.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    grpc.c        the codec: life of a connection, bytes in, bytes out
 *    grpc_head.c   a request's headers
 *    grpc_data.c   its messages
 *    grpc_answer.c messages out, and the end of a call
 *    grpc_text.c   texts of headers;  grpc_walk.c  frames that do no work
 *
 * Sending is lazy: what calls send and how they end is kept with their streams,
 * which are listed as ready; when the connection is settled (ops->flush) all of
 * it is given to nghttp2 and what that makes of it is queued.  So the answer of
 * a unary call, its headers, message and trailers, is one piece.
 *
 * A stream, from the first header to the close:
 *
 *    OPEN      -> its call is being received, or its handler runs
 *    finishing -> ops->finish() was called: trailers follow the last message
 *    closed    -> [on_stream_close] nghttp2 has forgotten it: so do we
 *
 * Invariants
 * (1) A stream has its call from `:path` on, to the close.
 * (2) Bytes of the connection's window are given back at once, so that a call
 *     whose handler is slow holds up no other.  Bytes of a stream's window are
 *     given back when its call has taken them: it holds no more than
 *     GRPC_WINDOW, and GRPC_WINDOW_READ once somebody reads, beside the message
 *     that is coming.
 * (3) A message that is coming is charged with its whole length to its owner
 *     before the window is opened for it.
 */
#ifndef MSN_WIRE_GRPC_H
#define MSN_WIRE_GRPC_H

#include "wire/codec.h"
#include "wire/grpc_walk.h"
#include "wire/ring.h"

#include <nghttp2/nghttp2.h>

/* Bytes that a stream may send before anybody has taken any: what waits for a
 * worker should not be much. */
#define GRPC_WINDOW (256 << 10)
/* And once its handler reads: enough that it need not wait for the client. */
#define GRPC_WINDOW_READ (4 << 20)
/* Of the whole connection; given back at once, so it limits nothing but what is
 * on its way. */
#define GRPC_WINDOW_CONNECTION (8 << 20)

/* Largest frame that we take: fewer of them for large messages. */
#define GRPC_FRAME_MAX (1 << 20)

/* Bytes of a request's headers, by the count of HTTP/2: 32 for each beside its
 * name and value. */
#define GRPC_HEADERS_MAX 16384

/* Streams that a client may reset at once, and a second, before it is told to
 * go: ten times what an impatient one does. */
#define GRPC_RESETS_BURST 1000
#define GRPC_RESETS_PER_SECOND 100

/* CONTINUATION frames of one header block: GRPC_HEADERS_MAX needs two. */
#define GRPC_CONTINUATIONS_MAX 8

/*
 * Body of a request that is not gRPC that is waited for before it is refused:
 * curl hears a refusal that comes before it has sent its body and then waits
 * for ever.  Less than a window, so that whoever sends more gets to it.
 */
#define GRPC_FOREIGN_BODY_MAX ((size_t)16 << 10)

/* Flags and length before each message. */
#define GRPC_PREFIX_BYTES 5

/* Why a request is refused before its method is looked at. */
enum grpc_refusal {
	GRPC_REFUSE_NOT = 0,
	GRPC_REFUSE_METHOD,	 /* not POST: HTTP 405 */
	GRPC_REFUSE_TYPE,	 /* not application/grpc: HTTP 415 */
	GRPC_REFUSE_TE,		 /* no "te: trailers" */
	GRPC_REFUSE_ENCODING,	 /* compressed by what we do not know */
	GRPC_REFUSE_TIMEOUT,	 /* grpc-timeout is none */
	GRPC_REFUSE_METADATA,	 /* not ASCII, or not base64 */
	GRPC_REFUSE_HEADERS_MAX, /* more than GRPC_HEADERS_MAX */
};

struct shared;

struct grpc_stream {
	struct ring of_codec, ready;
	struct grpc *grpc;
	int32_t id;
	struct msn_call *call; /* the codec's reference; NULL before :path */

	/* Headers. */
	unsigned pseudo_seen; /* bits, in the order of grpc_head.c's table */
	bool regular_seen, connects;
	bool has_type, has_te;
	bool malformed; /* reset; what still comes is dropped */
	enum grpc_refusal refusal;
	bool held; /* is refused when it has ended, or is too long */
	size_t header_bytes;

	/* The message that is coming. */
	uint8_t prefix[GRPC_PREFIX_BYTES];
	uint8_t prefix_len;
	uint8_t *body; /* owned; NULL: all of it came at once */
	size_t body_len, body_got;
	int32_t window;	  /* what it was last opened to */
	bool client_done; /* no more will come */

	/* Messages that go. */
	struct message *queue, **queue_end; /* owned */
	size_t queued; /* bytes of them, prefixes too, that are not framed */
	size_t done;   /* of the first, prefix too, that are framed */
	struct shared *shared; /* the first one, while parts of it are sent */
	bool begun;	       /* headers are with nghttp2 */
	bool deferred;	       /* nghttp2 waits for more to send */
	bool finishing, ended; /* trailers are to come, are with nghttp2 */
};

struct grpc {
	struct codec base;
	nghttp2_session *session;
	struct ring streams; /* of_codec */
	struct ring ready;
	struct walk walk;
	struct message *out;  /* being filled; owned */
	uint8_t *out_end;     /* of what it has room for */
	bool draining, going; /* has been told so, finally */
	bool failed;	      /* out of memory: the connection ends */
};

/* Did the request speak HTTP, but not gRPC? */
static inline bool grpc_is_foreign(const struct grpc_stream *s)
{
	return s->refusal == GRPC_REFUSE_METHOD ||
	       s->refusal == GRPC_REFUSE_TYPE;
}

/* ---- grpc_head.c --------------------------------------------------------- */

/* One field of a request. */
MSN_MUST_CHECK int grpc_header(struct grpc_stream *s, const uint8_t *name,
			       size_t name_len, const uint8_t *value,
			       size_t value_len);

/* Resets the stream of a request that HTTP/2 does not allow. */
MSN_MUST_CHECK int grpc_malformed(struct grpc_stream *s);

/* All fields are there: begins the call, or refuses it. */
MSN_MUST_CHECK int grpc_headers_done(struct grpc_stream *s);

/* Ends the call of a refused request. */
void grpc_refuse_request(struct grpc_stream *s);

/* ---- grpc_data.c --------------------------------------------------------- */

/* Bytes of messages. */
void grpc_data(struct grpc_stream *s, const uint8_t *data, size_t len);

/* The client has sent its last. */
void grpc_data_done(struct grpc_stream *s);

/* The call has taken bytes, or never will: the client may send more. */
void grpc_data_consumed(struct grpc_stream *s, size_t len);

/* Forgets the message that is coming. */
void grpc_data_drop(struct grpc_stream *s);

/* ---- grpc_answer.c ------------------------------------------------------- */

/* Gives nghttp2 what a stream has to send. */
MSN_MUST_CHECK int grpc_answer(struct grpc_stream *s);

/* nghttp2's, for a DATA frame whose head it made. */
int grpc_answer_data(nghttp2_session *session, nghttp2_frame *frame,
		     const uint8_t *head, size_t length,
		     nghttp2_data_source *source, void *user_data);

/* Forgets what is queued. */
void grpc_answer_drop(struct grpc_stream *s);

/* ---- grpc.c -------------------------------------------------------------- */

/* Adds bytes to those that leave next; false: no memory. */
bool grpc_write(struct grpc *g, const void *data, size_t len);

/*
 * Queues what has been written with @payload behind it, which is taken over if
 * this returns true; @charge bytes of @call's queue go with it.
 */
bool grpc_write_payload(struct grpc *g, struct msn_payload *payload,
			struct msn_call *call, size_t charge);

/* The stream has something to send. */
void grpc_stream_ready(struct grpc_stream *s);

#endif /* MSN_WIRE_GRPC_H */
