/*
 * gRPC: the codec.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/grpc.h"

#include "base/alloc.h"
#include "base/error.h"
#include "loop/timer.h"
#include "wire/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room of what is written at once: the answers of a few calls; not more, so
 * that it comes from the heap's fast bins. */
#define OUT_BYTES 896

/* What the PING says whose answer shows that the client has heard of the end.
 */
static const uint8_t drain_ping[8] = "drained?";

/* ---- streams ------------------------------------------------------------- */

static struct grpc_stream *stream_new(struct grpc *g, int32_t id)
{
	struct grpc_stream *s = msn_alloc(sizeof(*s));

	if (!s)
		return NULL;
	s->grpc = g;
	s->id = id;
	s->window = GRPC_WINDOW;
	s->queue_end = &s->queue;
	ring_init(&s->ready);
	ring_push(&g->streams, &s->of_codec);
	return s;
}

static void stream_free(struct grpc_stream *s)
{
	ring_remove(&s->of_codec);
	ring_remove(&s->ready);
	grpc_data_drop(s);
	grpc_answer_drop(s);
	if (s->call && !call_has_ended(s->call))
		call_lost(s->call);
	if (s->call)
		call_closed(s->call);
	free(s);
}

void grpc_stream_ready(struct grpc_stream *s)
{
	if (ring_is_empty(&s->ready))
		ring_push(&s->grpc->ready, &s->ready);
	conn_touch(s->grpc->base.conn);
}

/* ---- what nghttp2 tells of requests -------------------------------------- */

static int on_begin_headers(nghttp2_session *session,
			    const nghttp2_frame *frame, void *user_data)
{
	struct grpc_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	s = stream_new(user_data, frame->hd.stream_id);
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, s->id, s);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t value_len, uint8_t flags, void *user_data)
{
	struct grpc_stream *s;

	(void)flags;
	(void)user_data;
	if (frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; /* trailers of the client: they say nothing to gRPC */
	s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!s || grpc_header(s, name, name_len, value, value_len))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id,
		   const uint8_t *data, size_t len, void *user_data)
{
	struct grpc_stream *s =
		nghttp2_session_get_stream_user_data(session, id);

	(void)flags;
	(void)user_data;
	if (nghttp2_session_consume_connection(session, len))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (s)
		grpc_data(s, data, len);
	return 0;
}

static void on_ping(struct grpc *g, const nghttp2_ping *ping)
{
	if (!(ping->hd.flags & NGHTTP2_FLAG_ACK) || !g->draining || g->going ||
	    memcmp(ping->opaque_data, drain_ping, sizeof(drain_ping)) != 0)
		return;
	g->going = true;
	if (nghttp2_submit_goaway(
		    g->session, NGHTTP2_FLAG_NONE,
		    nghttp2_session_get_last_proc_stream_id(g->session),
		    NGHTTP2_NO_ERROR, NULL, 0))
		g->failed = true;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame,
		    void *user_data)
{
	uint8_t type = frame->hd.type;
	struct grpc_stream *s;

	if (type == NGHTTP2_PING)
		on_ping(user_data, &frame->ping);
	if (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA)
		return 0;
	s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!s)
		return 0;
	if (type == NGHTTP2_HEADERS &&
	    frame->headers.cat == NGHTTP2_HCAT_REQUEST && grpc_headers_done(s))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		grpc_data_done(s);
	else if (type == NGHTTP2_HEADERS &&
		 frame->headers.cat != NGHTTP2_HCAT_REQUEST &&
		 grpc_malformed(s)) /* trailers, and not the end */
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code,
			   void *user_data)
{
	struct grpc_stream *s =
		nghttp2_session_get_stream_user_data(session, id);

	(void)code;
	(void)user_data;
	if (s)
		stream_free(s);
	return 0;
}

/* ---- what nghttp2 sends -------------------------------------------------- */

static void queue_out(struct grpc *g)
{
	if (g->out && message_len(g->out) > 0)
		conn_queue(g->base.conn, msn_steal(g->out));
}

static bool make_room(struct grpc *g, size_t len)
{
	size_t room = len < OUT_BYTES ? OUT_BYTES : len;

	if (g->out &&
	    len <= (size_t)(g->out_end - g->out->head) - g->out->head_len)
		return true;
	queue_out(g);
	message_free(g->out);
	g->out = message_new(room);
	if (!g->out)
		return false;
	g->out->head_len = 0;
	g->out_end = g->out->head + room;
	return true;
}

bool grpc_write(struct grpc *g, const void *data, size_t len)
{
	if (!make_room(g, len))
		return false;
	memcpy(g->out->head + g->out->head_len, data, len);
	g->out->head_len += len;
	return true;
}

bool grpc_write_payload(struct grpc *g, struct msn_payload *payload,
			struct msn_call *call, size_t charge)
{
	if (!make_room(g, 0))
		return false;
	g->out->payload = payload;
	g->out->call = call ? msn_call_ref(call) : NULL;
	g->out->charge = charge;
	queue_out(g);
	return true;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data,
		       size_t len, int flags, void *user_data)
{
	struct grpc *g = user_data;

	(void)session;
	(void)flags;
	if (conn_queued(g->base.conn) >= CONN_QUEUE_HIGH)
		return NGHTTP2_ERR_WOULDBLOCK;
	if (!grpc_write(g, data, len))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return (ssize_t)len;
}

/* The call is at its end: the client need not send the rest. */
static int end_request(struct grpc *g, int32_t id)
{
	return nghttp2_submit_rst_stream(g->session, NGHTTP2_FLAG_NONE, id,
					 NGHTTP2_NO_ERROR);
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame,
		   void *user_data)
{
	struct grpc *g = user_data;
	int32_t id = frame->hd.stream_id;

	/* nghttp2 sends PINGs before all else: this one must come after. */
	if (frame->hd.type == NGHTTP2_GOAWAY && g->draining && !g->going &&
	    nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, drain_ping))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	walk_worked(&g->walk);
	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
	    nghttp2_session_get_stream_remote_close(session, id))
		return 0;
	return end_request(g, id) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static ssize_t frame_length(nghttp2_session *session, uint8_t type, int32_t id,
			    int32_t connection_window, int32_t stream_window,
			    uint32_t frame_max, void *user_data)
{
	(void)session;
	(void)type;
	(void)id;
	(void)connection_window;
	(void)stream_window;
	(void)user_data;
	return frame_max < GRPC_FRAME_MAX ? (ssize_t)frame_max : GRPC_FRAME_MAX;
}

/* ---- life ---------------------------------------------------------------- */

static nghttp2_option *make_options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o))
		return NULL;
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_no_http_messaging(o, 1); /* grpc_head.c does it */
	nghttp2_option_set_stream_reset_rate_limit(o, GRPC_RESETS_BURST,
						   GRPC_RESETS_PER_SECOND);
	nghttp2_option_set_max_continuations(o, GRPC_CONTINUATIONS_MAX);
	return o;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c))
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(c,
							       on_stream_close);
	nghttp2_session_callbacks_set_send_callback(c, on_send);
	nghttp2_session_callbacks_set_send_data_callback(c, grpc_answer_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
	nghttp2_session_callbacks_set_data_source_read_length_callback(
		c, frame_length);
	return c;
}

static int make_session(struct grpc *g)
{
	nghttp2_session_callbacks *callbacks = make_callbacks();
	nghttp2_option *options = make_options();
	int rc = -1;

	if (callbacks && options)
		rc = nghttp2_session_server_new2(&g->session, callbacks, g,
						 options);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(options);
	return rc ? msn_fail(-ENOMEM) : 0;
}

static int send_settings(struct grpc *g)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MSN_CONN_CALLS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_FRAME_SIZE, GRPC_FRAME_MAX },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_MAX },
	};

	if (nghttp2_submit_settings(g->session, NGHTTP2_FLAG_NONE, settings,
				    MSN_ARRAY_LEN(settings)) ||
	    nghttp2_session_set_local_window_size(g->session, NGHTTP2_FLAG_NONE,
						  0, GRPC_WINDOW_CONNECTION))
		return msn_fail(-ENOMEM);
	return 0;
}

static void grpc_close(struct codec *codec)
{
	struct grpc *g = msn_container_of(codec, struct grpc, base);

	while (!ring_is_empty(&g->streams))
		stream_free(msn_container_of(g->streams.next,
					     struct grpc_stream, of_codec));
	nghttp2_session_del(g->session);
	message_free(g->out);
	free(g);
}

static int grpc_open(struct codec **out, struct conn *conn)
{
	struct grpc *g = msn_alloc(sizeof(*g));
	int rc;

	if (!g)
		return msn_fail(-ENOMEM);
	g->base = (struct codec){ &codec_grpc, conn };
	ring_init(&g->streams);
	ring_init(&g->ready);
	walk_init(&g->walk, msn_clock_ns());
	rc = make_session(g);
	if (!rc)
		rc = send_settings(g);
	if (rc) {
		grpc_close(&g->base);
		return msn_pass(rc);
	}
	*out = &g->base;
	return 0;
}

/* ---- bytes --------------------------------------------------------------- */

static void go_away(struct grpc *g, uint32_t code, const char *text)
{
	int32_t last = nghttp2_session_get_last_proc_stream_id(g->session);

	if (nghttp2_submit_goaway(g->session, NGHTTP2_FLAG_NONE, last, code,
				  (const uint8_t *)text, strlen(text)))
		g->failed = true;
}

static int grpc_receive(struct codec *codec, const uint8_t *data, size_t len)
{
	struct grpc *g = msn_container_of(codec, struct grpc, base);
	unsigned frames = g->walk.frames;
	ssize_t rc;

	if (!walk_take(&g->walk, data, len, msn_clock_ns())) {
		go_away(g, NGHTTP2_ENHANCE_YOUR_CALM,
			"too many frames that do no work");
		return msn_fail(-EPROTO);
	}
	if (frames != g->walk.frames)
		conn_frame_done(codec->conn);
	rc = nghttp2_session_mem_recv(g->session, data, len);
	if (rc < 0) {
		go_away(g, NGHTTP2_ENHANCE_YOUR_CALM,
			nghttp2_strerror((int)rc));
		return msn_fail(-EPROTO);
	}
	return 0;
}

static int grpc_flush(struct codec *codec)
{
	struct grpc *g = msn_container_of(codec, struct grpc, base);

	while (!ring_is_empty(&g->ready)) {
		struct grpc_stream *s = msn_container_of(
			g->ready.next, struct grpc_stream, ready);

		ring_remove(&s->ready);
		if (!s->ended && grpc_answer(s))
			return msn_fail(-ENOMEM);
	}
	if (nghttp2_session_send(g->session) || g->failed)
		return msn_fail(-ENOMEM);
	queue_out(g);
	if (!nghttp2_session_want_read(g->session) &&
	    !nghttp2_session_want_write(g->session))
		conn_close_soon(codec->conn);
	return 0;
}

static bool grpc_is_mid_frame(const struct codec *codec)
{
	return walk_is_mid_frame(
		&msn_container_of(codec, struct grpc, base)->walk);
}

/* ---- calls --------------------------------------------------------------- */

static int grpc_send(struct codec *codec, struct msn_call *call,
		     struct message *m)
{
	struct grpc_stream *s = call_stream(call);

	(void)codec;
	m->next = NULL;
	*s->queue_end = m;
	s->queue_end = &m->next;
	s->queued += GRPC_PREFIX_BYTES + message_len(m);
	grpc_stream_ready(s);
	return 0;
}

static int grpc_finish(struct codec *codec, struct msn_call *call)
{
	struct grpc_stream *s = call_stream(call);

	(void)codec;
	s->finishing = true;
	grpc_stream_ready(s);
	return 0;
}

static void grpc_consumed(struct codec *codec, struct msn_call *call,
			  size_t len)
{
	grpc_data_consumed(call_stream(call), len);
	conn_touch(codec->conn);
}

/* ---- the end ------------------------------------------------------------- */

/*
 * In two steps, so that no call is lost that is on its way: first "soon", and
 * when the client has answered the PING behind it, "no more from here on".
 */
static int grpc_drain(struct codec *codec)
{
	struct grpc *g = msn_container_of(codec, struct grpc, base);

	if (g->draining)
		return 0;
	g->draining = true;
	if (nghttp2_submit_shutdown_notice(g->session))
		return msn_fail(-ENOMEM);
	conn_touch(codec->conn);
	return 0;
}

static void grpc_refuse(struct codec *codec, const char *reason,
			const char *text, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	struct grpc *g = msn_container_of(codec, struct grpc, base);

	(void)reason;
	go_away(g, NGHTTP2_ENHANCE_YOUR_CALM, text);
	conn_touch(codec->conn);
}

const struct codec_ops codec_grpc = {
	.name = "grpc",
	.first_bytes = { 'P', 'P' },
	.transports = 1U << MSN_TRANSPORT_UNIX | 1U << MSN_TRANSPORT_TCP |
		      1U << MSN_TRANSPORT_TLS,
	.has_flow_control = true,
	.says_goodbye = true,
	.open = grpc_open,
	.close = grpc_close,
	.receive = grpc_receive,
	.send = grpc_send,
	.finish = grpc_finish,
	.consumed = grpc_consumed,
	.drain = grpc_drain,
	.refuse = grpc_refuse,
	.is_mid_frame = grpc_is_mid_frame,
	.flush = grpc_flush,
};
