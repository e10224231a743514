/*
 * gRPC: messages that come.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    | 0 | length, 4 bytes | message |   ...   cut into DATA frames anywhere
 *
 * A message that lies in one piece of what was received is handed over from
 * there; of others the pieces are put together first.
 */
#include "wire/grpc.h"

#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

/* Gives bytes of the stream's window back. */
static void give_back(struct grpc_stream *s, size_t len)
{
	if (nghttp2_session_consume_stream(s->grpc->session, s->id, len))
		s->grpc->failed = true;
}

/* Has the stream's window hold @bytes at least. */
static void open_window(struct grpc_stream *s, int32_t bytes)
{
	if (s->window >= bytes)
		return;
	s->window = bytes;
	if (nghttp2_session_set_local_window_size(
		    s->grpc->session, NGHTTP2_FLAG_NONE, s->id, bytes))
		s->grpc->failed = true;
}

static void unhold(struct grpc_stream *s)
{
	if (s->body)
		conn_unhold(s->grpc->base.conn, s->body_len);
	free(s->body);
	s->body = NULL;
}

void grpc_data_drop(struct grpc_stream *s)
{
	if (s->prefix_len == GRPC_PREFIX_BYTES)
		give_back(s, s->body_got);
	unhold(s);
	s->prefix_len = 0;
}

/* ---- one message --------------------------------------------------------- */

static void reject(struct grpc_stream *s, enum msn_code code,
		   const char *reason, const char *text)
{
	call_reject(s->call, code, reason, text);
}

static bool check_prefix(struct grpc_stream *s)
{
	if (s->prefix[0] == 1)
		reject(s, MSN_CODE_INTERNAL, "ENCODING",
		       "a compressed message, and no grpc-encoding");
	else if (s->prefix[0] != 0)
		reject(s, MSN_CODE_INTERNAL, "MESSAGE",
		       "a message with flags that do not exist");
	else if (s->body_len > MSN_MESSAGE_BYTES_MAX)
		reject(s, MSN_CODE_RESOURCE_EXHAUSTED, "TOO_LONG",
		       "the message is longer than 4 MiB");
	return !call_has_ended(s->call);
}

/* Makes room for a message of which not all is here. */
static void begin_body(struct grpc_stream *s)
{
	if (conn_hold(s->grpc->base.conn, s->body_len)) {
		reject(s, MSN_CODE_RESOURCE_EXHAUSTED, "BUFFERS",
		       "too many bytes of this owner are under way");
		return;
	}
	s->body = msn_fault("grpc.body") ? NULL : malloc(s->body_len);
	if (!s->body) {
		conn_unhold(s->grpc->base.conn, s->body_len);
		reject(s, MSN_CODE_RESOURCE_EXHAUSTED, "MEMORY",
		       "out of memory");
		return;
	}
	open_window(s, (int32_t)s->body_len + GRPC_WINDOW);
}

static size_t take_prefix(struct grpc_stream *s, const uint8_t *data,
			  size_t len)
{
	size_t n = (size_t)GRPC_PREFIX_BYTES - s->prefix_len;

	if (n > len)
		n = len;
	memcpy(s->prefix + s->prefix_len, data, n);
	s->prefix_len = (uint8_t)(s->prefix_len + n);
	give_back(s, n);
	if (s->prefix_len < GRPC_PREFIX_BYTES)
		return n;
	s->body_len = (size_t)s->prefix[1] << 24 | (size_t)s->prefix[2] << 16 |
		      (size_t)s->prefix[3] << 8 | s->prefix[4];
	s->body_got = 0;
	if (check_prefix(s) && s->body_len > len - n)
		begin_body(s);
	return n;
}

static size_t take_body(struct grpc_stream *s, const uint8_t *data, size_t len)
{
	size_t n = s->body_len - s->body_got;

	if (n > len)
		n = len;
	if (s->body && n)
		memcpy(s->body + s->body_got, data, n);
	s->body_got += n;
	if (s->body_got < s->body_len)
		return n;
	s->prefix_len = 0;
	call_message(s->call, s->body ? s->body : data, s->body_len, NULL, 0);
	unhold(s);
	return n;
}

/* What is no gRPC is not looked at, but counted. */
static void take_foreign(struct grpc_stream *s, size_t len)
{
	s->body_got += len;
	give_back(s, len);
	if (s->body_got > GRPC_FOREIGN_BODY_MAX)
		grpc_refuse_request(s);
}

void grpc_data(struct grpc_stream *s, const uint8_t *data, size_t len)
{
	if (s->held) {
		take_foreign(s, len);
		return;
	}
	while (s->call && !s->malformed && !call_has_ended(s->call)) {
		size_t n;

		if (s->prefix_len == GRPC_PREFIX_BYTES)
			n = take_body(s, data, len);
		else if (len > 0)
			n = take_prefix(s, data, len);
		else
			return;
		data += n;
		len -= n;
		if (len == 0 && (s->prefix_len < GRPC_PREFIX_BYTES ||
				 s->body_got < s->body_len))
			return;
	}
	/* Nobody wants the rest. */
	grpc_data_drop(s);
	give_back(s, len);
}

void grpc_data_done(struct grpc_stream *s)
{
	s->client_done = true;
	if (s->held) {
		grpc_refuse_request(s);
		return;
	}
	if (!s->call || s->malformed || call_has_ended(s->call))
		return;
	if (s->prefix_len > 0)
		reject(s, MSN_CODE_INTERNAL, "MESSAGE",
		       "the request ends in the middle of a message");
	else
		call_half_close(s->call);
}

void grpc_data_consumed(struct grpc_stream *s, size_t len)
{
	if (s->client_done)
		return;
	give_back(s, len);
	open_window(s, GRPC_WINDOW_READ);
}
