/*
 * Fault walks over gRPC: whatever fails, the client gets a status or an end,
 * and the server serves the next one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "support/check.h"
#include "wire/call.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One call of a client that is nghttp2's, and what came of it. */
struct http2 {
	struct rig *rig;
	int fd;
	nghttp2_session *session;
	uint8_t *request; /* messages with their prefixes; owned */
	size_t len, sent;
	size_t received; /* bytes of messages */
	int code;	 /* grpc-status, or -1 */
	bool closed;	 /* the stream */
};

struct scene {
	const char *path;
	const ProtobufCMessage *message;
	unsigned count; /* how often it is sent */
	const char *key, *value;
};

static struct walk {
	struct rig rig;
	const struct scene *scene;
} walk;

/* ---- the client ---------------------------------------------------------- */

static ssize_t provide(nghttp2_session *session, int32_t id, uint8_t *buf,
		       size_t length, uint32_t *flags,
		       nghttp2_data_source *source, void *arg)
{
	struct http2 *h = source->ptr;
	size_t n = h->len - h->sent < length ? h->len - h->sent : length;

	(void)session;
	(void)id;
	(void)arg;
	memcpy(buf, h->request + h->sent, n);
	h->sent += n;
	if (h->sent == h->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t value_len, uint8_t flags, void *arg)
{
	struct http2 *h = arg;

	(void)session;
	(void)frame;
	(void)value_len;
	(void)flags;
	if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
		h->code = atoi((const char *)value);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id,
		   const uint8_t *data, size_t len, void *arg)
{
	(void)session;
	(void)flags;
	(void)id;
	(void)data;
	((struct http2 *)arg)->received += len;
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code,
		    void *arg)
{
	(void)session;
	(void)id;
	(void)code;
	((struct http2 *)arg)->closed = true;
	return 0;
}

static void make_session(struct http2 *h)
{
	nghttp2_session_callbacks *c;

	CHECK(nghttp2_session_callbacks_new(&c) == 0);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
	CHECK(nghttp2_session_client_new(&h->session, c, h) == 0);
	nghttp2_session_callbacks_del(c);
	CHECK(nghttp2_submit_settings(h->session, 0, NULL, 0) == 0);
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name,
			     (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

static void submit(struct http2 *h, const struct scene *scene)
{
	nghttp2_data_provider body = { .source.ptr = h,
				       .read_callback = provide };
	const nghttp2_nv fields[] = {
		field(":method", "POST"),
		field(":scheme", "http"),
		field(":path", scene->path),
		field("te", "trailers"),
		field("content-type", "application/grpc"),
		field(scene->key ? scene->key : "x-none",
		      scene->key ? scene->value : "none"),
	};
	size_t len = protobuf_c_message_get_packed_size(scene->message);

	h->len = scene->count * (5 + len);
	h->request = malloc(h->len + 1);
	CHECK(h->request);
	for (unsigned i = 0; i < scene->count; i++) {
		uint8_t *at = h->request + i * (5 + len);
		const uint8_t prefix[5] = { 0, 0, (uint8_t)(len >> 16),
					    (uint8_t)(len >> 8), (uint8_t)len };

		memcpy(at, prefix, sizeof(prefix));
		protobuf_c_message_pack(scene->message, at + 5);
	}
	CHECK(nghttp2_submit_request(h->session, NULL, fields,
				     sizeof(fields) / sizeof(fields[0]), &body,
				     NULL) > 0);
}

/* Writes what there is to write; false: the server has closed. */
static bool pump_out(struct http2 *h)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(h->session, &data)) > 0) {
		while (n > 0) {
			ssize_t sent =
				send(h->fd, data, (size_t)n, MSG_NOSIGNAL);

			if (sent < 0 && errno != EAGAIN)
				return false;
			if (sent < 0)
				rig_round(h->rig);
			data += sent > 0 ? sent : 0;
			n -= sent > 0 ? sent : 0;
		}
	}
	return n == 0;
}

static bool pump_in(struct http2 *h)
{
	uint8_t bytes[16384];
	ssize_t n = recv(h->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && errno == EAGAIN) {
		rig_round(h->rig);
		return true;
	}
	return n > 0 &&
	       nghttp2_session_mem_recv(h->session, bytes, (size_t)n) == n;
}

/* False: the server does not take the connection. */
static bool open_connection(struct http2 *h, struct rig *rig)
{
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			 ends) == 0);
	h->rig = rig;
	h->fd = ends[0];
	if (msn_server_adopt(
		    rig->server,
		    &(struct msn_listen_opts){
			    .fd = ends[1], .transport = MSN_TRANSPORT_UNIX },
		    NULL) == 0)
		return true;
	close(h->fd);
	return false;
}

static int call(struct rig *rig, const struct scene *scene, size_t *received)
{
	struct http2 h = { .code = -1 };

	if (!open_connection(&h, rig))
		return -1;
	make_session(&h);
	submit(&h, scene);
	while (pump_out(&h) && !h.closed && pump_in(&h))
		;
	nghttp2_session_del(h.session);
	free(h.request);
	close(h.fd);
	if (received)
		*received = h.received;
	return h.code;
}

/* ---- the walk ------------------------------------------------------------ */

static void *prepare(void)
{
	rig_init(&walk.rig, NULL);
	return &walk;
}

static int body(void *state)
{
	struct walk *w = state;

	return call(&w->rig, w->scene, NULL);
}

static void verify(void *state, int rc, const char *name)
{
	const struct scene plain = { "/memsnap.test.Wire/Echo",
				     ECHO(.text = "t"), 1, NULL, NULL };
	struct walk *w = state;
	size_t received;

	EXPECT(name || rc == MSN_CODE_OK);
	while (rig_usage(&w->rig).calls > 0 ||
	       rig_usage(&w->rig).connections > 0)
		rig_round(&w->rig);
	rig_await_memory(&w->rig);
	EXPECT(call(&w->rig, &plain, &received) == MSN_CODE_OK);
	EXPECT(received > 5);
	rig_settle(&w->rig);
	rig_deinit(&w->rig);
}

static unsigned walk_scene(const struct scene *scene)
{
	walk = (struct walk){ .scene = scene };
	return check_every_fault(prepare, body, verify);
}

static void a_call_on_the_loop_thread(void)
{
	EXPECT(walk_scene(&(struct scene){ "/memsnap.test.Wire/Echo",
					   ECHO(.text = "t"), 1, "x-bin",
					   "q6s" }) > 5);
}

static void a_call_on_a_worker(void)
{
	EXPECT(walk_scene(&(struct scene){ "/memsnap.test.Wire/EchoSlow",
					   ECHO(.text = "t"), 1, NULL, NULL }) >
	       5);
}

/* Put together from pieces, and answered from where it lies. */
static void a_long_message(void)
{
	static uint8_t data[100 << 10];

	EXPECT(walk_scene(&(struct scene){ "/memsnap.test.Wire/Echo",
					   ECHO(.data = { sizeof(data), data }),
					   1, NULL, NULL }) > 7);
}

static void a_stream_of_answers(void)
{
	EXPECT(walk_scene(&(struct scene){ "/memsnap.test.Wire/Count",
					   COUNT(3, 30000), 1, NULL, NULL }) >
	       7);
}

static void a_stream_both_ways(void)
{
	EXPECT(walk_scene(&(struct scene){ "/memsnap.test.Wire/Chat",
					   ECHO(.text = "t"), 3, NULL, NULL }) >
	       7);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_call_on_the_loop_thread),
		CHECK_TEST(a_call_on_a_worker),
		CHECK_TEST(a_long_message),
		CHECK_TEST(a_stream_of_answers),
		CHECK_TEST(a_stream_both_ways),
		{}
	};

	return check_main(argc, argv, "grpc faults", tests);
}
