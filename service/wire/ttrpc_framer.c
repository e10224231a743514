/*
 * ttrpc: bytes into frames.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "wire/conn.h"
#include "wire/ttrpc.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the first part of a frame is kept in. */
#define BODY_MIN 1024

void ttrpc_put_header(uint8_t *at, const struct ttrpc_frame *f)
{
	uint32_t len = htobe32((uint32_t)f->len), id = htobe32(f->id);

	memcpy(at, &len, 4);
	memcpy(at + 4, &id, 4);
	at[8] = f->type;
	at[9] = f->flags;
}

void ttrpc_get_header(struct ttrpc_frame *f, const uint8_t *at)
{
	uint32_t len, id;

	memcpy(&len, at, 4);
	memcpy(&id, at + 4, 4);
	*f = (struct ttrpc_frame){ .len = be32toh(len),
				   .id = be32toh(id),
				   .type = at[8],
				   .flags = at[9] };
}

bool ttrpc_framer_is_mid_frame(const struct ttrpc_framer *f)
{
	return f->header_len > 0;
}

static void forget(struct ttrpc_framer *f)
{
	conn_unhold(f->conn, f->body_cap);
	free(f->body);
	f->body = NULL;
	f->body_len = f->body_cap = f->header_len = 0;
}

void ttrpc_framer_deinit(struct ttrpc_framer *f)
{
	forget(f);
}

/* A whole header: is it one, and of what?  Sets `skip` for one too long. */
static int begin(struct ttrpc_framer *f, const uint8_t *header)
{
	/* Reserved: no length needs the first byte. */
	if (header[0] != 0)
		return msn_fail(-EPROTO);
	ttrpc_get_header(&f->frame, header);
	if (f->frame.len <= TTRPC_FRAME_MAX)
		return 0;
	f->skip = f->frame.len;
	return f->too_long(f->ctx, &f->frame);
}

/* The frame of which the last part has come ends at @end. */
static int end_kept(struct ttrpc_framer *f, const uint8_t *end)
{
	int rc;

	f->frame.data = f->body;
	rc = f->whole(f->ctx, &f->frame, end);
	forget(f);
	return rc;
}

static int grow(struct ttrpc_framer *f, size_t more)
{
	size_t cap = f->body_cap ? f->body_cap : BODY_MIN;
	uint8_t *body;
	int rc;

	if (f->body_len + more <= f->body_cap)
		return 0;
	while (cap < f->body_len + more)
		cap *= 2;
	if (cap > f->frame.len)
		cap = f->frame.len;
	rc = conn_hold(f->conn, cap - f->body_cap);
	if (rc)
		return msn_pass(rc);
	body = msn_realloc_array(f->body, cap, 1);
	if (!body) {
		conn_unhold(f->conn, cap - f->body_cap);
		return msn_fail(-ENOMEM);
	}
	f->body = body;
	f->body_cap = cap;
	return 0;
}

/* ---- one step: each takes some bytes, *@used ----------------------------- */

static int step_skip(struct ttrpc_framer *f, const uint8_t *data, size_t len,
		     size_t *used)
{
	static const struct ttrpc_frame nothing;

	*used = f->skip < len ? f->skip : len;
	f->skip -= *used;
	if (f->skip > 0)
		return 0;
	forget(f);
	return f->whole(f->ctx, &nothing, data + *used);
}

static int step_header(struct ttrpc_framer *f, const uint8_t *data, size_t len,
		       size_t *used)
{
	size_t left = TTRPC_HEADER_BYTES - f->header_len;
	int rc;

	*used = left < len ? left : len;
	memcpy(f->header + f->header_len, data, *used);
	f->header_len += *used;
	if (f->header_len < TTRPC_HEADER_BYTES)
		return 0;
	rc = begin(f, f->header);
	if (!rc && f->frame.len == 0)
		rc = end_kept(f, data + *used);
	return rc;
}

static int step_body(struct ttrpc_framer *f, const uint8_t *data, size_t len,
		     size_t *used)
{
	size_t left = f->frame.len - f->body_len;
	int rc;

	*used = left < len ? left : len;
	rc = grow(f, *used);
	if (rc)
		return msn_pass(rc);
	memcpy(f->body + f->body_len, data, *used);
	f->body_len += *used;
	return f->body_len == f->frame.len ? end_kept(f, data + *used) : 0;
}

/* A frame that lies whole in @data; *@used 0: there is none. */
static int step_whole(struct ttrpc_framer *f, const uint8_t *data, size_t len,
		      size_t *used)
{
	struct ttrpc_frame frame;

	*used = 0;
	if (f->header_len > 0 || len < TTRPC_HEADER_BYTES || data[0] != 0)
		return 0;
	ttrpc_get_header(&frame, data);
	if (frame.len > TTRPC_FRAME_MAX || frame.len > len - TTRPC_HEADER_BYTES)
		return 0;
	frame.data = data + TTRPC_HEADER_BYTES;
	*used = TTRPC_HEADER_BYTES + frame.len;
	return f->whole(f->ctx, &frame, data + *used);
}

int ttrpc_framer_feed(struct ttrpc_framer *f, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t used = 0;
		int rc = 0;

		if (f->skip > 0)
			rc = step_skip(f, data, len, &used);
		else
			rc = step_whole(f, data, len, &used);
		if (!rc && used == 0)
			rc = f->header_len < TTRPC_HEADER_BYTES
				     ? step_header(f, data, len, &used)
				     : step_body(f, data, len, &used);
		if (rc)
			return msn_pass(rc);
		data += used;
		len -= used;
	}
	return 0;
}
