/*
 * A client of ttrpc for tests.  See rig.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "base/fd.h"
#include "support/check.h"
#include "ttrpc_test.pb-c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

typedef Memsnap__Test__Ttrpc__Request Request;
typedef Memsnap__Test__Ttrpc__Response Response;
typedef Memsnap__Test__Ttrpc__KeyValue KeyValue;

#define PAIRS_MAX 256

void client_open(struct client *c, struct rig *r)
{
	struct msn_failure why = { 0 };
	int ends[2];

	*c = (struct client){ .rig = r };
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			 ends) == 0);
	c->fd = ends[0];
	CHECK(msn_server_adopt(
		      r->server,
		      &(struct msn_listen_opts){
			      .fd = ends[1], .transport = MSN_TRANSPORT_UNIX },
		      &why) == 0);
}

void client_close(struct client *c)
{
	for (size_t i = 0; i < c->fd_count; i++)
		close(c->fds[i]);
	c->fd_count = 0;
	c->fd = msn_close(c->fd);
	free(c->buffer);
	c->buffer = NULL;
	c->len = c->cap = 0;
}

/* ---- out ----------------------------------------------------------------- */

void client_write_fds(struct client *c, const void *data, size_t len,
		      const int *fds, size_t fd_count)
{
	const uint8_t *at = data;

	while (len > 0) {
		struct iovec iov = { (void *)(uintptr_t)at, len };
		_Alignas(struct cmsghdr) char control[2048];
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (fd_count) {
			struct cmsghdr *h;

			memset(control, 0, sizeof(control));
			msg.msg_control = control;
			msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
			h = CMSG_FIRSTHDR(&msg);
			h->cmsg_level = SOL_SOCKET;
			h->cmsg_type = SCM_RIGHTS;
			h->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
			memcpy(CMSG_DATA(h), fds, fd_count * sizeof(int));
		}
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			rig_round(c->rig);
			continue;
		}
		if (n < 0) /* the server has closed it */
			return;
		fd_count = 0;
		at += n;
		len -= (size_t)n;
	}
}

void client_write(struct client *c, const void *data, size_t len)
{
	client_write_fds(c, data, len, NULL, 0);
}

static uint8_t *frame(uint32_t id, uint8_t type, uint8_t flags,
		      const void *data, size_t len)
{
	uint32_t be_len = htonl((uint32_t)len), be_id = htonl(id);
	uint8_t *bytes = calloc(1, 10 + len);

	CHECK(bytes);
	memcpy(bytes, &be_len, 4);
	memcpy(bytes + 4, &be_id, 4);
	bytes[8] = type;
	bytes[9] = flags;
	if (len)
		memcpy(bytes + 10, data, len);
	return bytes;
}

void client_frame(struct client *c, uint32_t id, uint8_t type, uint8_t flags,
		  const void *data, size_t len)
{
	uint8_t *bytes = frame(id, type, flags, data, len);

	client_write(c, bytes, 10 + len);
	free(bytes);
}

static uint8_t *pack(const ProtobufCMessage *m, size_t *len)
{
	uint8_t *bytes;

	*len = m ? protobuf_c_message_get_packed_size(m) : 0;
	bytes = calloc(1, *len + 1);
	CHECK(bytes);
	if (m)
		protobuf_c_message_pack(m, bytes);
	return bytes;
}

static size_t fill_metadata(KeyValue *pairs, KeyValue **list,
			    const char *const *metadata)
{
	size_t n = 0;

	for (; metadata && metadata[2 * n]; n++) {
		CHECK(n < PAIRS_MAX);
		pairs[n] = (KeyValue)MEMSNAP__TEST__TTRPC__KEY_VALUE__INIT;
		pairs[n].key = (char *)(uintptr_t)metadata[2 * n];
		pairs[n].value = (char *)(uintptr_t)metadata[2 * n + 1];
		list[n] = &pairs[n];
	}
	return n;
}

uint8_t *client_request_bytes(struct client *c, const struct request *req,
			      size_t *len)
{
	Request r = MEMSNAP__TEST__TTRPC__REQUEST__INIT;
	KeyValue pairs[PAIRS_MAX], *list[PAIRS_MAX];
	uint8_t *payload, *bytes, *whole;
	const char *service = req->service;

	r.service =
		(char *)(uintptr_t)(service ? service : "memsnap.test.Wire");
	r.method = (char *)(uintptr_t)req->method;
	payload = pack(req->message, &r.payload.len);
	r.payload.data = payload;
	r.timeout_nano = req->timeout_ns;
	r.n_metadata = fill_metadata(pairs, list, req->metadata);
	r.metadata = list;
	bytes = pack(&r.base, len);
	c->last_id += c->last_id ? 2 : 1;
	whole = frame(c->last_id, 1, req->flags, bytes, *len);
	*len += 10;
	free(bytes);
	free(payload);
	return whole;
}

uint32_t client_request(struct client *c, const struct request *req)
{
	size_t len;
	uint8_t *bytes = client_request_bytes(c, req, &len);

	client_write_fds(c, bytes, len, req->fds, req->fd_count);
	free(bytes);
	return c->last_id;
}

void client_send(struct client *c, uint32_t id, const ProtobufCMessage *m,
		 uint8_t flags)
{
	size_t len;
	uint8_t *bytes = pack(m, &len);

	client_frame(c, id, 3, flags, bytes, len);
	free(bytes);
}

/* ---- in ------------------------------------------------------------------ */

static void take_control(struct client *c, struct msghdr *msg)
{
	CHECK(!(msg->msg_flags & MSG_CTRUNC));
	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h;
	     h = CMSG_NXTHDR(msg, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		CHECK(c->fd_count + n <= MSN_ARRAY_LEN(c->fds));
		memcpy(c->fds + c->fd_count, CMSG_DATA(h), n * sizeof(int));
		c->fd_count += n;
	}
}

/* Reads what is there; lets the server run when that is nothing. */
static void read_some(struct client *c)
{
	_Alignas(struct cmsghdr) char control[2048];
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	if (c->cap - c->len < 65536) {
		c->cap = (c->cap + 65536) * 2;
		c->buffer = realloc(c->buffer, c->cap);
		CHECK(c->buffer);
	}
	iov = (struct iovec){ c->buffer + c->len, c->cap - c->len };
	n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == EAGAIN) {
		rig_round(c->rig);
		return;
	}
	if (n <= 0) {
		c->closed = true;
		return;
	}
	take_control(c, &msg);
	c->len += (size_t)n;
}

static void read_response(struct reply *out)
{
	Response *r = memsnap__test__ttrpc__response__unpack(NULL, out->len,
							     out->data);

	CHECK(r);
	if (r->status.len)
		CHECK(msn_status_decode(&out->status, r->status.data,
					r->status.len) == 0);
	/* It lies at the end of the frame. */
	out->payload_len = r->payload.len;
	out->payload = out->data + out->len - r->payload.len;
	memsnap__test__ttrpc__response__free_unpacked(r, NULL);
}

bool client_receive(struct client *c, struct reply *out)
{
	uint32_t len = 0, id;

	for (;;) {
		if (c->len >= 10) {
			memcpy(&len, c->buffer, 4);
			len = ntohl(len);
			if (c->len >= 10 + (size_t)len)
				break;
		}
		if (c->closed)
			return false;
		read_some(c);
	}
	memcpy(&id, c->buffer + 4, 4);
	*out = (struct reply){ .id = ntohl(id),
			       .type = c->buffer[8],
			       .flags = c->buffer[9],
			       .data = calloc(1, len + 1),
			       .len = len };
	CHECK(out->data);
	memcpy(out->data, c->buffer + 10, len);
	c->len -= 10 + len;
	memmove(c->buffer, c->buffer + 10 + len, c->len);
	if (out->type == 2)
		read_response(out);
	return true;
}

void reply_free(struct reply *r)
{
	free(r->data);
	r->data = NULL;
}

void client_await_end(struct client *c)
{
	while (!c->closed) {
		read_some(c);
		c->len = 0;
	}
}

enum msn_code client_call(struct client *c, const struct request *req,
			  struct reply *out)
{
	uint32_t id = client_request(c, req);

	CHECK(client_receive(c, out));
	EXPECT(out->id == id && out->type == 2);
	return out->status.code;
}

Memsnap__Test__EchoResponse *reply_echo(const struct reply *r)
{
	Memsnap__Test__EchoResponse *e;

	CHECK(r->status.code == MSN_CODE_OK);
	e = memsnap__test__echo_response__unpack(NULL, r->payload_len,
						 r->payload);
	CHECK(e);
	return e;
}

Memsnap__Test__EchoResponse *client_echo(struct client *c, const char *method,
					 const char *text)
{
	struct request req = { .method = method,
			       .message =
				       ECHO(.text = (char *)(uintptr_t)text) };
	Memsnap__Test__EchoResponse *e;
	struct reply r;

	CHECK(client_call(c, &req, &r) == MSN_CODE_OK);
	e = reply_echo(&r);
	reply_free(&r);
	return e;
}

void free_echo(Memsnap__Test__EchoResponse *e)
{
	memsnap__test__echo_response__free_unpacked(e, NULL);
}
