/*
 * gRPC: messages that go, and the end of a call.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * nghttp2 asks how much there is (provide()), makes the head of a DATA frame,
 * and has us write it and the bytes (grpc_answer_data()): short pieces are
 * copied behind it, long ones are sent from where they lie.
 */
#include "wire/grpc.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "wire/grpc_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A piece shorter than this is copied: as dear as sending it by itself. */
#define COPY_MAX 4096

/* ---- header blocks ------------------------------------------------------- */

/* :status, content-type, grpc-status and -message, details, and one more. */
#define FIXED_MAX 6

struct block {
	nghttp2_nv few[FIXED_MAX], *nv;
	size_t count, max;
	char *text, *at; /* for what is encoded */
};

static void add_flagged(struct block *b, const char *name, const void *value,
			size_t len, uint8_t flags)
{
	msn_assert(b->count < b->max);
	b->nv[b->count++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = len,
		.flags = flags,
	};
}

/* What stays where it is until the frame is sent. */
static void add_static(struct block *b, const char *name, const char *value)
{
	add_flagged(b, name, value, strlen(value),
		    NGHTTP2_NV_FLAG_NO_COPY_NAME |
			    NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

static void add(struct block *b, const char *name, const void *value,
		size_t len)
{
	add_flagged(b, name, value, len, NGHTTP2_NV_FLAG_NONE);
}

static void add_base64(struct block *b, const char *name, const void *data,
		       size_t len)
{
	size_t n = grpc_base64_encode(b->at, data, len);

	add(b, name, b->at, n);
	b->at += n;
}

static void count_fields(const struct call_field *f, size_t *count,
			 size_t *text)
{
	for (; f; f = f->next) {
		++*count;
		*text += GRPC_BASE64_LEN(f->value_len);
	}
}

static void add_fields(struct block *b, const struct call_field *f)
{
	for (; f; f = f->next)
		if (grpc_is_binary(f->key, strlen(f->key)))
			add_base64(b, f->key, f->value, f->value_len);
		else
			add(b, f->key, f->value, f->value_len);
}

static int block_init(struct block *b, size_t fields, size_t text)
{
	*b = (struct block){ .nv = b->few, .max = FIXED_MAX + fields };
	if (fields) {
		b->nv = msn_alloc_array(b->max, sizeof(*b->nv));
		if (!b->nv)
			return msn_fail(-ENOMEM);
	}
	if (text) {
		b->text = b->at = msn_alloc(text);
		if (!b->text)
			return msn_fail(-ENOMEM);
	}
	return 0;
}

static void block_deinit(struct block *b)
{
	if (b->nv != b->few)
		free(b->nv);
	free(b->text);
}

static void add_http(struct block *b, const char *status)
{
	add_static(b, ":status", status);
	if (status[0] == '2')
		add_static(b, "content-type", "application/grpc");
}

/* ---- how a call ended ---------------------------------------------------- */

static void add_status(struct block *b, const struct msn_status *status,
		       const uint8_t *details, size_t details_len)
{
	static const char *const codes[] = {
		"0", "1",  "2",	 "3",  "4",  "5",  "6",	 "7",  "8",
		"9", "10", "11", "12", "13", "14", "15", "16",
	};

	msn_assert((unsigned)status->code < MSN_ARRAY_LEN(codes));
	add_static(b, "grpc-status", codes[status->code]);
	if (status->text[0]) {
		size_t n = grpc_message_encode(b->at, status->text,
					       strlen(status->text));

		add(b, "grpc-message", b->at, n);
		b->at += n;
	}
	if (details)
		add_base64(b, "grpc-status-details-bin", details, details_len);
}

/* A block that ends the call; with @http the only one. */
static int end_block(struct block *b, const struct msn_call *call,
		     const char *http)
{
	const struct msn_status *status = call_final_status(call);
	const struct call_field *headers = http ? call_headers(call) : NULL;
	msn_auto(msn_freep) uint8_t *details = NULL;
	size_t details_len = 0, fields = 0, text = 3 * strlen(status->text);
	int rc = 0;

	if (status->code != MSN_CODE_OK)
		rc = msn_status_encode(status, &details, &details_len);
	count_fields(headers, &fields, &text);
	count_fields(call_trailers(call), &fields, &text);
	text += GRPC_BASE64_LEN(details_len);
	if (!rc)
		rc = block_init(b, fields, text);
	if (rc)
		return msn_pass(rc);
	if (http)
		add_http(b, http);
	add_fields(b, headers);
	add_fields(b, call_trailers(call));
	add_status(b, status, details, details_len);
	return 0;
}

static int submit_trailers(struct grpc_stream *s)
{
	struct block b = { .nv = b.few, .max = FIXED_MAX };
	int rc = end_block(&b, s->call, NULL);

	if (!rc &&
	    nghttp2_submit_trailer(s->grpc->session, s->id, b.nv, b.count))
		rc = msn_fail(-ENOMEM);
	block_deinit(&b);
	return msn_pass(rc);
}

/* The whole answer is one block without a body. */
static int submit_end(struct grpc_stream *s)
{
	struct block b = { .nv = b.few, .max = FIXED_MAX };
	int rc = 0;

	if (s->refusal == GRPC_REFUSE_METHOD) {
		add_http(&b, "405");
		add_static(&b, "allow", "POST");
	} else if (s->refusal == GRPC_REFUSE_TYPE) {
		add_http(&b, "415");
	} else {
		rc = end_block(&b, s->call, "200");
	}
	if (!rc && s->refusal == GRPC_REFUSE_ENCODING)
		add_static(&b, "grpc-accept-encoding", "identity");
	if (!rc && nghttp2_submit_response(s->grpc->session, s->id, b.nv,
					   b.count, NULL))
		rc = msn_fail(-ENOMEM);
	block_deinit(&b);
	s->begun = s->ended = true;
	return msn_pass(rc);
}

/* ---- what there is to send ----------------------------------------------- */

static ssize_t provide(nghttp2_session *session, int32_t id, uint8_t *buf,
		       size_t length, uint32_t *flags,
		       nghttp2_data_source *source, void *user_data)
{
	struct grpc_stream *s = source->ptr;
	size_t n = s->queued < length ? s->queued : length;

	(void)session;
	(void)id;
	(void)buf;
	(void)user_data;
	if (n == 0 && !s->finishing) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags = NGHTTP2_DATA_FLAG_NO_COPY;
	if (n < s->queued || !s->finishing)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	s->ended = true;
	return submit_trailers(s) ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t)n;
}

static int submit_begin(struct grpc_stream *s)
{
	const struct call_field *headers = call_headers(s->call);
	nghttp2_data_provider provider = { .source.ptr = s,
					   .read_callback = provide };
	size_t fields = 0, text = 0;
	struct block b = { .nv = b.few, .max = FIXED_MAX };
	int rc;

	count_fields(headers, &fields, &text);
	rc = block_init(&b, fields, text);
	if (!rc) {
		add_http(&b, "200");
		add_fields(&b, headers);
	}
	if (!rc && nghttp2_submit_response(s->grpc->session, s->id, b.nv,
					   b.count, &provider))
		rc = msn_fail(-ENOMEM);
	block_deinit(&b);
	s->begun = true;
	return msn_pass(rc);
}

/* No message and no headers of the handler's: one block says it all. */
static bool is_bare(const struct grpc_stream *s)
{
	return s->finishing && s->queued == 0 &&
	       (!s->call || call_final_status(s->call)->code != MSN_CODE_OK ||
		!call_headers(s->call));
}

int grpc_answer(struct grpc_stream *s)
{
	if (!s->begun)
		return msn_pass(is_bare(s) ? submit_end(s) : submit_begin(s));
	if (s->deferred) {
		s->deferred = false;
		if (nghttp2_session_resume_data(s->grpc->session, s->id))
			return msn_fail(-ENOMEM);
	}
	return 0;
}

/* ---- the bytes of a message ---------------------------------------------- */

/* A message whose bytes are sent from where they lie, in parts. */
struct shared {
	struct message *m;
	size_t refs;
};

struct part {
	struct msn_payload payload;
	struct shared *shared;
};

static void shared_unref(struct shared *shared)
{
	if (--shared->refs > 0)
		return;
	message_free(shared->m);
	free(shared);
}

static void part_release(struct msn_payload *payload)
{
	struct part *p = msn_container_of(payload, struct part, payload);

	shared_unref(p->shared);
	free(p);
}

static struct shared *share_first(struct grpc_stream *s)
{
	if (s->shared || msn_fault("grpc.share"))
		return s->shared;
	s->shared = malloc(sizeof(*s->shared));
	if (s->shared)
		*s->shared = (struct shared){ s->queue, 1 };
	return s->shared;
}

/* False where there is no memory to do it: then they are copied. */
static bool write_shared(struct grpc_stream *s, const uint8_t *data, size_t len)
{
	struct shared *shared = share_first(s);
	struct part *p = shared ? malloc(sizeof(*p)) : NULL;
	struct message *m = s->queue;
	size_t charge = m->charge < len ? m->charge : len;

	if (!p)
		return false;
	*p = (struct part){
		.payload = { data, len, part_release },
		.shared = shared,
	};
	if (!grpc_write_payload(s->grpc, &p->payload, m->call, charge)) {
		free(p);
		return false;
	}
	m->charge -= charge;
	shared->refs++;
	return true;
}

static void pop(struct grpc_stream *s)
{
	struct message *m = s->queue;

	s->queue = m->next;
	if (!s->queue)
		s->queue_end = &s->queue;
	s->done = 0;
	if (s->shared)
		shared_unref(s->shared);
	else
		message_free(m);
	s->shared = NULL;
}

/* The piece of a message that begins at @at: the rest of a part of it. */
static size_t piece_at(const struct message *m, size_t at, const uint8_t **data)
{
	size_t payload_len = m->payload ? m->payload->len : 0;

	if (at < m->head_len) {
		*data = m->head + at;
		return m->head_len - at;
	}
	at -= m->head_len;
	if (at < payload_len) {
		*data = (const uint8_t *)m->payload->data + at;
		return payload_len - at;
	}
	at -= payload_len;
	*data = m->tail + at;
	return m->tail_len - at;
}

static bool write_prefix(struct grpc_stream *s, size_t len)
{
	size_t n = message_len(s->queue);
	const uint8_t prefix[GRPC_PREFIX_BYTES] = {
		0,
		(uint8_t)(n >> 24),
		(uint8_t)(n >> 16),
		(uint8_t)(n >> 8),
		(uint8_t)n,
	};

	return grpc_write(s->grpc, prefix + s->done, len);
}

/* Writes up to @max bytes of the first message; 0: no memory. */
static size_t write_some(struct grpc_stream *s, size_t max)
{
	bool in_prefix = s->done < GRPC_PREFIX_BYTES;
	const uint8_t *data = NULL;
	size_t n;

	if (in_prefix)
		n = GRPC_PREFIX_BYTES - s->done;
	else
		n = piece_at(s->queue, s->done - GRPC_PREFIX_BYTES, &data);
	if (n > max)
		n = max;
	if (in_prefix)
		return write_prefix(s, n) ? n : 0;
	if (n >= COPY_MAX && write_shared(s, data, n))
		return n;
	return grpc_write(s->grpc, data, n) ? n : 0;
}

int grpc_answer_data(nghttp2_session *session, nghttp2_frame *frame,
		     const uint8_t *head, size_t length,
		     nghttp2_data_source *source, void *user_data)
{
	struct grpc_stream *s = source->ptr;
	struct grpc *g = user_data;

	(void)session;
	(void)frame;
	/* Not after the head: what follows it must be the frame's bytes. */
	if (conn_queued(g->base.conn) >= CONN_QUEUE_HIGH)
		return NGHTTP2_ERR_WOULDBLOCK;
	if (!grpc_write(g, head, WALK_HEAD_BYTES))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	while (length > 0) {
		size_t n = write_some(s, length);

		if (n == 0)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		length -= n;
		s->done += n;
		s->queued -= n;
		if (s->done == GRPC_PREFIX_BYTES + message_len(s->queue))
			pop(s);
	}
	return 0;
}

void grpc_answer_drop(struct grpc_stream *s)
{
	while (s->queue)
		pop(s);
	s->queued = 0;
}
