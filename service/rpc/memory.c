/*
 * SpaceService: bytes of a space.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads go out without being copied again: a message's bytes are read from the
 * space into a buffer that the wire sends and frees.
 */
#include "rpc/rpc.h"

#include "base/alloc.h"
#include "base/error.h"
#include "rpc/convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Data in one message: a quarter of the largest, and what bulk needs. */
#define CHUNK_MAX ((uint64_t)1 << 20)

struct buffer {
	struct msn_payload payload;
	uint8_t data[];
};

static void buffer_release(struct msn_payload *payload)
{
	free(msn_container_of(payload, struct buffer, payload));
}

static struct buffer *buffer_new(size_t size)
{
	struct buffer *b = malloc(sizeof(*b) + size);

	if (b)
		b->payload = (struct msn_payload){ b->data, 0, buffer_release };
	return b;
}

/* ---- Read ---------------------------------------------------------------- */

/* Sends what @b got; takes @b over. */
static int send_chunk(struct msn_call *call, uint64_t address, struct buffer *b)
{
	Memsnap__V1__ReadResponse m;

	memsnap__v1__read_response__init(&m);
	m.address = address;
	m.data.data = b->data;
	m.data.len = b->payload.len;
	return msn_call_send(call, &m.base, &b->payload);
}

static int read_chunk(struct msn_call *call, struct msn_space *space,
		      const Memsnap__V1__ReadRequest *r, uint64_t at,
		      size_t len)
{
	struct msn_mm_io how = { .ignore_permissions = r->ignore_access };
	struct buffer *b = buffer_new(len);
	int rc, sent = 0;

	if (!b)
		return msn_fail(-ENOMEM);
	rc = msn_mm_copy_in(msn_space_mm(space), at, b->data, len, how,
			    &b->payload.len);
	at += b->payload.len;
	if (b->payload.len)
		sent = send_chunk(call, at - b->payload.len, b);
	else
		free(b);
	if (sent)
		return msn_pass(sent);
	if (rc == -EFAULT)
		return rpc_fault(call, "read", at);
	return rc ? rpc_errno(call, rc, "read 0x%" PRIx64, at) : 0;
}

static int read_range(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__ReadRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	uint64_t chunk = r->chunk_bytes ? r->chunk_bytes : CHUNK_MAX;
	uint64_t at = r->address, left = r->length;
	int rc = rpc_find_space(call, r->space, &space);

	if (rc)
		return msn_pass(rc);
	if (chunk > CHUNK_MAX)
		return msn_call_bad_field(call, "chunk_bytes",
					  "chunk_bytes is more than 1 MiB");
	if (at + left < at)
		return rpc_fault(call, "read", at);
	while (!rc && left) {
		uint64_t n = left < chunk ? left : chunk;

		if (msn_call_cancelled(call))
			return msn_fail(-ECANCELED);
		rc = read_chunk(call, space, r, at, n);
		at += n;
		left -= n;
	}
	return msn_pass(rc);
}

/* ---- Write and zero ------------------------------------------------------ */

struct writing {
	struct msn_space *space;
	uint64_t at, written;
	struct msn_mm_io how;
};

static int write_message(struct msn_call *call, struct writing *w,
			 const Memsnap__V1__WriteRequest *m)
{
	size_t done = 0;
	int rc;

	if (m->address)
		w->at = m->address;
	if (m->data.len > CHUNK_MAX)
		return msn_call_bad_field(call, "data",
					  "data is more than 1 MiB");
	msn_space_enter(w->space);
	rc = msn_mm_copy_out(msn_space_mm(w->space), w->at, m->data.data,
			     m->data.len, w->how, &done);
	msn_space_leave(w->space);
	w->written += done;
	w->at += done;
	if (rc == -EFAULT)
		return rpc_fault(call, "write", w->at);
	return rc ? rpc_errno(call, rc, "write 0x%" PRIx64, w->at) : 0;
}

/* The first message says where. */
static int begin_writing(struct msn_call *call, struct writing *w,
			 const Memsnap__V1__WriteRequest *m)
{
	w->how.ignore_permissions = m->ignore_access;
	return msn_pass(rpc_find_space(call, m->space, &w->space));
}

static int write_stream(struct msn_call *call, struct writing *w)
{
	const ProtobufCMessage *m;
	int rc;

	while ((rc = msn_call_receive(call, &m)) == 0) {
		const Memsnap__V1__WriteRequest *r = (const void *)m;

		if (!w->space)
			rc = begin_writing(call, w, r);
		if (!rc)
			rc = write_message(call, w, r);
		if (rc)
			break;
	}
	if (rc == MSN_CALL_E_END && !w->space)
		return msn_call_bad_field(call, "space", "no space is named");
	return rc == MSN_CALL_E_END ? 0 : msn_pass(rc);
}

static int write_range(struct msn_call *call, const ProtobufCMessage *request)
{
	Memsnap__V1__WriteResponse answer;
	struct writing w = { 0 };
	int rc;

	(void)request;
	memsnap__v1__write_response__init(&answer);
	rc = write_stream(call, &w);
	msn_space_unref(w.space);
	if (rc) {
		msn_status_note(msn_call_status(call), "written", "%" PRIu64,
				w.written);
		return msn_pass(rc);
	}
	answer.written = w.written;
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int zero_range(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__ZeroRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__ZeroResponse answer;
	size_t done = 0;
	int rc = rpc_find_space(call, r->space, &space);

	if (rc)
		return msn_pass(rc);
	memsnap__v1__zero_response__init(&answer);
	msn_space_enter(space);
	rc = msn_mm_zero_out(msn_space_mm(space), r->address, r->length,
			     (struct msn_mm_io){ 0 }, &done);
	msn_space_leave(space);
	if (rc == -EFAULT)
		return rpc_fault(call, "write", r->address + done);
	if (rc)
		return rpc_errno(call, rc, "zero 0x%" PRIx64, r->address);
	answer.written = done;
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

/* ---- Words --------------------------------------------------------------- */

static int compare_and_swap(struct msn_call *call,
			    const ProtobufCMessage *request)
{
	const Memsnap__V1__CompareAndSwapRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__CompareAndSwapResponse answer;
	int rc = rpc_find_space(call, r->space, &space);

	if (rc)
		return msn_pass(rc);
	if (r->address % 4)
		return msn_call_bad_field(call, "address",
					  "0x%" PRIx64 " is no multiple of 4",
					  r->address);
	memsnap__v1__compare_and_swap_response__init(&answer);
	msn_space_enter(space);
	rc = msn_mm_cas32(msn_space_mm(space), r->address, r->expected,
			  r->desired, &answer.seen);
	msn_space_leave(space);
	if (rc == -EFAULT)
		return rpc_fault(call, "change", r->address);
	if (rc)
		return rpc_errno(call, rc, "change 0x%" PRIx64, r->address);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

#define ROW(rpc, snake, handler, needs, how)                                   \
	{                                                                      \
		.path = "/memsnap.v1.SpaceService/" rpc,                       \
		.request = &memsnap__v1__##snake##_request__descriptor,        \
		.response = &memsnap__v1__##snake##_response__descriptor,      \
		.role = (needs), .flags = MSN_METHOD_BLOCKS | (how),           \
		.run = (handler)                                               \
	}

const struct msn_method msn_rpc_memory[] = {
	ROW("Read", read, read_range, MSN_ROLE_READ, MSN_METHOD_SERVER_STREAM),
	ROW("Write", write, write_range, MSN_ROLE_OPERATE,
	    MSN_METHOD_CLIENT_STREAM),
	ROW("Zero", zero, zero_range, MSN_ROLE_OPERATE, 0),
	ROW("CompareAndSwap", compare_and_swap, compare_and_swap,
	    MSN_ROLE_OPERATE, 0),
	{}
};
