/*
 * ttrpc: the codec.  As ttrpc 1.2 has it; there is no flow control, no frame to
 * cancel and none to say good-bye.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/ttrpc.h"

#include "base/alloc.h"
#include "base/error.h"
#include "wire/call_private.h"
#include "wire/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ttrpc {
	struct codec base;
	struct ttrpc_framer framer;
	uint32_t last_id;    /* the highest stream that was opened */
	struct ring streams; /* struct stream: those whose end is not queued */
	/* Once the connection is refused: for every frame. */
	const char *refusal_reason, *refusal_text;
};

/* One stream: its call's. */
struct stream {
	struct ring of_codec;
	struct msn_call *call; /* the codec's reference */
	uint32_t id;
	bool is_unary; /* the client said so: one response ends it */
};

static struct ttrpc *ttrpc_of(const struct codec *c)
{
	return msn_container_of(c, struct ttrpc, base);
}

static struct stream *find_stream(struct ttrpc *t, uint32_t id)
{
	for (struct ring *r = t->streams.next; r != &t->streams; r = r->next) {
		struct stream *s = msn_container_of(r, struct stream, of_codec);

		if (s->id == id)
			return s;
	}
	return NULL;
}

/* The end of the stream is queued, or its connection goes. */
static void stream_free(struct stream *s)
{
	ring_remove(&s->of_codec);
	call_closed(s->call);
	free(s);
}

/* ---- frames out ---------------------------------------------------------- */

/* Queues @m as a frame; takes it over. */
static void send_frame(struct ttrpc *t, struct message *m, uint32_t id,
		       uint8_t type, uint8_t flags)
{
	struct ttrpc_frame f = {
		.id = id, .type = type, .flags = flags, .len = message_len(m)
	};

	ttrpc_put_header(message_prepend(m, TTRPC_HEADER_BYTES), &f);
	conn_queue(t->base.conn, m);
}

/* Writes the tag of a field of bytes; returns its length. */
static size_t put_tag(uint8_t *at, unsigned number, size_t len)
{
	at[0] = (uint8_t)(number << 3 | PB_BYTES);
	return 1 + pb_put_varint(at + 1, len);
}

/* A Response whose payload is @m. */
static int send_response(struct ttrpc *t, struct message *m, uint32_t id)
{
	size_t len = message_len(m);
	uint8_t tag[11];
	size_t n = put_tag(tag, TTRPC_RESPONSE_PAYLOAD, len);

	if (len + n > TTRPC_FRAME_MAX) {
		message_free(m);
		return msn_fail(-EMSGSIZE);
	}
	if (len > 0)
		memcpy(message_prepend(m, n), tag, n);
	send_frame(t, m, id, TTRPC_RESPONSE, 0);
	return 0;
}

/* A Response with nothing but a status. */
static int send_status(struct ttrpc *t, uint32_t id, const struct msn_status *s)
{
	msn_auto(msn_freep) uint8_t *status = NULL;
	struct message *m;
	uint8_t tag[11];
	size_t len, n;
	int rc = msn_status_encode(s, &status, &len);

	if (rc)
		return msn_pass(rc);
	n = put_tag(tag, TTRPC_RESPONSE_STATUS, len);
	m = message_new(n + len);
	if (!m)
		return msn_fail(-ENOMEM);
	memcpy(m->head, tag, n);
	memcpy(m->head + n, status, len);
	send_frame(t, m, id, TTRPC_RESPONSE, 0);
	return 0;
}

/* The end of a stream that went well. */
static int send_end(struct ttrpc *t, uint32_t id)
{
	struct message *m = message_new(0);

	if (!m)
		return msn_fail(-ENOMEM);
	send_frame(t, m, id, TTRPC_DATA, TTRPC_CLOSED | TTRPC_NO_DATA);
	return 0;
}

static int ttrpc_send(struct codec *self, struct msn_call *call,
		      struct message *m)
{
	struct stream *s = call_stream(call);

	if (!call_sends_stream(call))
		return msn_pass(send_response(ttrpc_of(self), m, s->id));
	send_frame(ttrpc_of(self), m, s->id, TTRPC_DATA, 0);
	return 0;
}

static int ttrpc_finish(struct codec *self, struct msn_call *call)
{
	const struct msn_status *status = call_final_status(call);
	struct stream *s = call_stream(call);
	int rc = 0;

	if (status->code != MSN_CODE_OK)
		rc = send_status(ttrpc_of(self), s->id, status);
	else if (call_sends_stream(call))
		rc = send_end(ttrpc_of(self), s->id);
	/* A single answer has ended its stream itself. */
	if (!rc)
		stream_free(s);
	return msn_pass(rc);
}

/* Answers a frame that belongs to no call. */
static int answer(struct ttrpc *t, uint32_t id, enum msn_code code,
		  const char *reason, const char *text)
{
	struct msn_status s = { 0 };

	msn_status_set(&s, code, reason, "%s", text);
	return msn_pass(send_status(t, id, &s));
}

/* ---- frames in ----------------------------------------------------------- */

/* Descriptors that came with a frame; owned. */
struct passed {
	int *fds;
	size_t count;
};

static struct stream *stream_new(struct ttrpc *t, const struct ttrpc_frame *f,
				 const struct ttrpc_request *req)
{
	struct stream *s = msn_alloc(sizeof(*s));
	struct call_open open = { .path = req->path,
				  .path_len = req->path_len,
				  .timeout_ns = req->timeout_ns,
				  .stream = s };

	if (!s)
		return NULL;
	s->id = f->id;
	s->is_unary = !(f->flags & (TTRPC_CLOSED | TTRPC_OPEN));
	if (call_open(&s->call, &t->base, &open)) {
		free(s);
		return NULL;
	}
	ring_push(&t->streams, &s->of_codec);
	return s;
}

/* Hands a request to its call, which may end at any point of this. */
static void deliver_request(struct msn_call *call, const struct ttrpc_frame *f,
			    struct ttrpc_request *req, struct passed *passed)
{
	bool more = f->flags & TTRPC_OPEN;
	struct ttrpc_pair pair;

	while (ttrpc_next_pair(&req->message, &pair))
		call_add_metadata(call, (const char *)pair.key.data,
				  pair.key.len, pair.value.data,
				  pair.value.len);
	call_begin(call);
	if (f->flags == 0 && !call_has_ended(call) && call_sends_stream(call))
		call_reject(call, MSN_CODE_UNIMPLEMENTED, "STREAM",
			    "the method sends a stream, for which the request "
			    "does not ask");
	/* A stream may begin with its first message, and need not. */
	if (!more || req->payload.len > 0)
		call_message(call, req->payload.data, req->payload.len,
			     msn_steal(passed->fds), passed->count);
	if (!more)
		call_half_close(call);
}

static int take_request(struct ttrpc *t, const struct ttrpc_frame *f,
			struct passed *passed)
{
	struct ttrpc_request req;
	struct msn_call *call;
	struct stream *s;
	const char *bad;

	if (f->id <= t->last_id)
		return answer(t, f->id, MSN_CODE_INVALID_ARGUMENT, "STREAM_ID",
			      "the stream has been used before");
	t->last_id = f->id;
	bad = ttrpc_read_request(&req, f->data, f->len);
	if (bad)
		return answer(t, f->id, MSN_CODE_INVALID_ARGUMENT,
			      "UNDECODABLE", bad);
	s = stream_new(t, f, &req);
	if (!s)
		return answer(t, f->id, MSN_CODE_RESOURCE_EXHAUSTED, "MEMORY",
			      "out of memory");
	call = msn_call_ref(s->call);
	deliver_request(call, f, &req, passed);
	msn_call_unref(call);
	return 0;
}

static int take_data(struct ttrpc *t, const struct ttrpc_frame *f,
		     struct passed *passed)
{
	struct stream *s = find_stream(t, f->id);
	struct msn_call *call;

	/* What was on its way when a stream ended is passed over. */
	if (!s && f->id <= t->last_id)
		return 0;
	if (!s)
		return answer(t, f->id, MSN_CODE_INVALID_ARGUMENT, "STREAM_ID",
			      "there is no such stream");
	call = msn_call_ref(s->call);
	if (s->is_unary)
		call_reject(call, MSN_CODE_INVALID_ARGUMENT, "STREAM",
			    "data after a request that opens no stream");
	if (!(f->flags & TTRPC_NO_DATA))
		call_message(call, f->data, f->len, msn_steal(passed->fds),
			     passed->count);
	if (f->flags & TTRPC_CLOSED)
		call_half_close(call);
	msn_call_unref(call);
	return 0;
}

static int take_frame(struct ttrpc *t, const struct ttrpc_frame *f,
		      struct passed *passed)
{
	/* Other types are of a later version, or what was passed over. */
	if (f->type != TTRPC_REQUEST && f->type != TTRPC_DATA)
		return 0;
	if (f->id % 2 == 0)
		return answer(t, f->id, MSN_CODE_INVALID_ARGUMENT, "STREAM_ID",
			      "streams of clients have odd numbers");
	return f->type == TTRPC_REQUEST ? take_request(t, f, passed)
					: take_data(t, f, passed);
}

static int whole(void *ctx, const struct ttrpc_frame *f, const uint8_t *end)
{
	struct ttrpc *t = ctx;
	struct conn *conn = t->base.conn;
	struct passed passed;
	int rc = conn_take_fds(conn, end, &passed.fds, &passed.count);

	if (rc)
		return msn_pass(rc);
	conn_frame_done(conn);
	rc = take_frame(t, f, &passed);
	if (passed.fds)
		owner_close_fds(conn->link->owner, passed.fds, passed.count);
	return msn_pass(rc);
}

static int too_long(void *ctx, const struct ttrpc_frame *f)
{
	static const char text[] = "a frame of more than 4 MiB";
	struct ttrpc *t = ctx;
	struct stream *s = find_stream(t, f->id);

	if (f->type == TTRPC_DATA && s)
		call_reject(s->call, MSN_CODE_RESOURCE_EXHAUSTED, "TOO_LONG",
			    text);
	if (f->type != TTRPC_REQUEST || s)
		return 0;
	if (f->id > t->last_id)
		t->last_id = f->id;
	return answer(t, f->id, MSN_CODE_RESOURCE_EXHAUSTED, "TOO_LONG", text);
}

/* ---- the connection's side ----------------------------------------------- */

static int ttrpc_open(struct codec **out, struct conn *conn)
{
	struct ttrpc *t = msn_alloc(sizeof(*t));

	if (!t)
		return msn_fail(-ENOMEM);
	t->base = (struct codec){ .ops = &codec_ttrpc, .conn = conn };
	t->framer.conn = conn;
	t->framer.ctx = t;
	t->framer.whole = whole;
	t->framer.too_long = too_long;
	ring_init(&t->streams);
	*out = &t->base;
	return 0;
}

static void ttrpc_close(struct codec *self)
{
	struct ttrpc *t = ttrpc_of(self);

	while (!ring_is_empty(&t->streams))
		stream_free(msn_container_of(t->streams.next, struct stream,
					     of_codec));
	ttrpc_framer_deinit(&t->framer);
	free(t);
}

/* To the stream whose frame is coming, if there is one. */
static void refuse_half(struct ttrpc *t, const char *reason, const char *text)
{
	if (t->framer.header_len == TTRPC_HEADER_BYTES)
		(void)!answer(t, t->framer.frame.id,
			      MSN_CODE_RESOURCE_EXHAUSTED, reason, text);
}

static int refuse_whole(void *ctx, const struct ttrpc_frame *f,
			const uint8_t *end)
{
	struct ttrpc *t = ctx;

	(void)end;
	return answer(t, f->id, MSN_CODE_RESOURCE_EXHAUSTED, t->refusal_reason,
		      t->refusal_text);
}

static void ttrpc_refuse(struct codec *self, const char *reason,
			 const char *text, const uint8_t *data, size_t len)
{
	struct ttrpc *t = ttrpc_of(self);

	t->refusal_reason = reason;
	t->refusal_text = text;
	t->framer.whole = refuse_whole;
	if (ttrpc_framer_feed(&t->framer, data, len) == 0)
		refuse_half(t, reason, text);
}

static int ttrpc_receive(struct codec *self, const uint8_t *data, size_t len)
{
	struct ttrpc *t = ttrpc_of(self);
	int rc = ttrpc_framer_feed(&t->framer, data, len);

	if (rc == -ENOBUFS)
		refuse_half(t, "BUFFERS",
			    "too many bytes of this owner are under way");
	return msn_pass(rc);
}

static int ttrpc_drain(struct codec *self)
{
	(void)self; /* ttrpc has no word for it: new calls are refused */
	return 0;
}

static bool ttrpc_is_mid_frame(const struct codec *self)
{
	return ttrpc_framer_is_mid_frame(&ttrpc_of(self)->framer);
}

const struct codec_ops codec_ttrpc = {
	.name = "ttrpc",
	.first_bytes = { 0, 0 },
	.transports = 1 << MSN_TRANSPORT_UNIX,
	.passes_fds = true,
	.open = ttrpc_open,
	.close = ttrpc_close,
	.receive = ttrpc_receive,
	.send = ttrpc_send,
	.finish = ttrpc_finish,
	.drain = ttrpc_drain,
	.refuse = ttrpc_refuse,
	.is_mid_frame = ttrpc_is_mid_frame,
};
