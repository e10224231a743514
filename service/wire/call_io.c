/*
 * Call: its messages, in and out.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What comes waits in the inbox.  What goes is charged to the call until its
 * bytes have left, wherever they are: with the handler, on their way to the
 * loop thread, with the codec, in the connection.
 */
#include "wire/call_private.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "wire/conn.h"
#include "wire/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A codec with flow control is told of so many bytes at once. */
#define CONSUMED_STEP ((size_t)16 << 10)

/* ---- what comes: loop thread --------------------------------------------- */

static struct received *received_new(const uint8_t *data, size_t len)
{
	struct received *r;

	/* Not zeroed: every byte is written. */
	r = msn_fault("call.received") ? NULL : malloc(sizeof(*r) + len);
	if (!r)
		return NULL;
	*r = (struct received){ .len = len };
	if (len)
		memcpy(r->data, data, len);
	return r;
}

static void inbox_push(struct msn_call *call, struct received *r)
{
	atomic_fetch_add(&call->link->inbox, r->len);
	budget_charge(&call->owner->budget, r->len);
	msn_lock_scope(&call->lock);
	*call->inbox_end = r;
	call->inbox_end = &r->next;
	pthread_cond_broadcast(&call->changed);
}

/* Counts a message out of the inbox and frees it. */
static void inbox_done(struct msn_call *call, struct received *r)
{
	atomic_fetch_sub(&call->link->inbox, r->len);
	budget_return(&call->owner->budget, r->len);
	owner_close_fds(call->link->owner, r->fds, r->fd_count);
	free(r);
}

void call_drop_inbox(struct msn_call *call)
{
	struct received *r, *next;

	msn_mutex_lock(&call->lock);
	r = call->inbox;
	call->inbox = NULL;
	call->inbox_end = &call->inbox;
	msn_mutex_unlock(&call->lock);
	if (!r)
		return;
	for (; r; r = next) {
		next = r->next;
		inbox_done(call, r);
	}
	/* The call may have left its connection, which still waits for this. */
	conn_check_inbox(call->link);
}

/* Is there something against one more message? */
static bool refuses_message(struct msn_call *call, size_t len)
{
	if (!call_takes_stream(call) && call->message_count > 0)
		call_cut(call, MSN_CODE_INTERNAL, "MESSAGES",
			 "the method takes one message");
	else if (call->half_closed)
		call_cut(call, MSN_CODE_INTERNAL, "MESSAGES",
			 "a message after the last");
	else if (len > MSN_MESSAGE_BYTES_MAX)
		call_cut(call, MSN_CODE_RESOURCE_EXHAUSTED, "TOO_LONG",
			 "the message is longer than 4 MiB");
	else if (budget_is_full(&call->owner->budget, len))
		call_cut(call, MSN_CODE_RESOURCE_EXHAUSTED, "BUFFERS",
			 "too many bytes of this owner are under way");
	return call->ended;
}

void call_message(struct msn_call *call, const uint8_t *data, size_t len,
		  int *fds, size_t fd_count)
{
	struct received *r = NULL;

	call->received_bytes += len;
	if (!call->ended && !refuses_message(call, len)) {
		r = received_new(data, len);
		if (!r)
			call_cut(call, MSN_CODE_RESOURCE_EXHAUSTED, "MEMORY",
				 "out of memory");
	}
	if (!r) {
		owner_close_fds(call->link->owner, fds, fd_count);
		return;
	}
	r->fds = fds;
	r->fd_count = fd_count;
	call->message_count++;
	inbox_push(call, r);
	conn_check_inbox(call->link);
	if (call_takes_stream(call) && call->state == CALL_RECEIVING)
		call_start(call);
}

void call_half_close(struct msn_call *call)
{
	if (call->ended || call->half_closed)
		return;
	call->half_closed = true;
	if (!call_takes_stream(call) && call->message_count == 0) {
		call_cut(call, MSN_CODE_INTERNAL, "MESSAGES",
			 "the method takes one message");
		return;
	}
	msn_mutex_lock(&call->lock);
	call->client_done = true;
	pthread_cond_broadcast(&call->changed);
	msn_mutex_unlock(&call->lock);
	if (call->state == CALL_RECEIVING)
		call_start(call);
}

/* ---- what comes: the handler's thread ------------------------------------ */

/* Tells the loop thread that there is room, where somebody waits for that. */
static void tell_consumed(struct msn_call *call, size_t len)
{
	bool paused = atomic_load(&call->link->paused);

	msn_lock_scope(&call->lock);
	call->consumed += len;
	if (paused ||
	    (call->has_flow_control && call->consumed >= CONSUMED_STEP))
		call_kick(call);
}

/* Decodes a message, whose descriptors are now to be taken; frees it. */
static int decode(struct msn_call *call, struct arena *arena,
		  struct received *r, const ProtobufCMessage **out)
{
	size_t len = r->len;
	int rc;

	owner_close_fds(call->link->owner, call->fds, call->fd_count);
	call->fds = msn_steal(r->fds);
	call->fd_count = r->fd_count;
	r->fd_count = 0;
	rc = message_decode(out, call->method->request, arena, r->data, len,
			    &call->status);
	inbox_done(call, r);
	tell_consumed(call, len);
	return msn_pass(rc);
}

/* Takes the first of the inbox, which is the caller's to count out. */
static struct received *inbox_pop(struct msn_call *call)
{
	struct received *r = call->inbox;

	if (r) {
		call->inbox = r->next;
		if (!call->inbox)
			call->inbox_end = &call->inbox;
	}
	return r;
}

int call_decode(struct msn_call *call)
{
	struct received *r;

	msn_mutex_lock(&call->lock);
	r = inbox_pop(call);
	msn_mutex_unlock(&call->lock);
	if (!r)
		return -ECANCELED; /* meanwhile */
	call->arena.left += MSN_CALL_ARENA_FACTOR * r->len;
	return decode(call, &call->arena, r, &call->request);
}

int msn_call_receive(struct msn_call *call, const ProtobufCMessage **out)
{
	struct received *r;

	msn_assert(call_takes_stream(call));
	msn_mutex_lock(&call->lock);
	call->receives_since = msn_clock_ns();
	while (!call->inbox && !call->client_done &&
	       !atomic_load(&call->cancelled))
		pthread_cond_wait(&call->changed, &call->lock.raw);
	call->receives_since = 0;
	r = inbox_pop(call);
	msn_mutex_unlock(&call->lock);
	if (!r && atomic_load(&call->cancelled))
		return msn_fail(-ECANCELED);
	if (!r)
		return MSN_CALL_E_END;
	arena_reset(&call->message_arena,
		    MSN_CALL_ARENA_BASE + MSN_CALL_ARENA_FACTOR * r->len);
	return decode(call, &call->message_arena, r, out);
}

/* ---- what goes: the handler's thread ------------------------------------- */

/* Packs a message, but for the payload. */
struct encoder {
	ProtobufCBuffer base;
	struct message *m;
	const struct msn_payload *payload; /* until it has been met */
	uint8_t *at, *end;
};

static void encoder_append(ProtobufCBuffer *base, size_t len,
			   const uint8_t *data)
{
	struct encoder *e = msn_container_of(base, struct encoder, base);
	struct message *m = e->m;

	if (e->payload && data == e->payload->data && len == e->payload->len) {
		e->payload = NULL;
		m->head_len = (size_t)(e->at - m->head);
		m->tail = e->at;
		m->tail_len = (size_t)(e->end - e->at);
		return;
	}
	msn_assert(len <= (size_t)(e->end - e->at));
	memcpy(e->at, data, len);
	e->at += len;
}

static int too_long(struct msn_call *call, size_t len)
{
	return msn_call_fail(call, MSN_CODE_RESOURCE_EXHAUSTED, "TOO_LONG",
			     "an answer of %zu bytes is longer than 4 MiB",
			     len);
}

static int encode(struct message **out, struct msn_call *call,
		  const ProtobufCMessage *message, struct msn_payload *payload)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	struct encoder e = { .base.append = encoder_append };

	msn_assert(message->descriptor == call->method->response);
	if (len <= MSN_MESSAGE_BYTES_MAX)
		e.m = message_new(len - (payload ? payload->len : 0));
	if (!e.m) {
		if (payload)
			payload->release(payload);
		return len > MSN_MESSAGE_BYTES_MAX ? too_long(call, len)
						   : msn_fail(-ENOMEM);
	}
	e.at = e.m->head;
	e.end = e.m->head + e.m->head_len;
	e.payload = payload;
	protobuf_c_message_pack_to_buffer(message, &e.base);
	/* A payload that the message does not have is a bug. */
	msn_assert(e.at == e.end && !e.payload);
	e.m->payload = payload;
	*out = e.m;
	return 0;
}

/* The descriptors given since the last message go with this one. */
static void attach_fds(struct msn_call *call, struct message *m)
{
	m->fds = msn_steal(call->out_fds);
	m->fd_count = call->out_fd_count;
	call->out_fd_count = 0;
	call->has_sent = true;
}

/* Under the lock. */
static void charge(struct msn_call *call, struct message *m)
{
	m->charge = message_len(m);
	m->call = msn_call_ref(call);
	if (call->queued == 0)
		atomic_store(&call->moved_at, msn_clock_ns());
	call->queued += m->charge;
	budget_charge(&call->owner->budget, m->charge);
}

void call_uncharge(struct msn_call *call, size_t len)
{
	budget_return(&call->owner->budget, len);
	atomic_store(&call->moved_at, msn_clock_ns());
	msn_lock_scope(&call->lock);
	msn_assert(call->queued >= len);
	call->queued -= len;
	pthread_cond_broadcast(&call->changed);
	if (call->queued == 0 && call->wants_drained) {
		call->wants_drained = false;
		call->drained = true;
		call_kick(call);
	}
}

/* Under the lock.  One message always fits. */
static bool has_room(const struct msn_call *call, size_t len)
{
	return call->queued == 0 ||
	       (call->queued + len <= MSN_CALL_QUEUE_BYTES &&
		!budget_is_tight(&call->owner->budget));
}

/* From a worker: waits for room, then hands it to the loop thread. */
static int send_over(struct msn_call *call, struct message **m)
{
	size_t len = message_len(*m);

	msn_lock_scope(&call->lock);
	while (!atomic_load(&call->cancelled) && !has_room(call, len))
		pthread_cond_wait(&call->changed, &call->lock.raw);
	if (atomic_load(&call->cancelled))
		return msn_fail(-ECANCELED);
	attach_fds(call, *m);
	charge(call, *m);
	*call->outgoing_end = *m;
	call->outgoing_end = &(*m)->next;
	*m = NULL;
	call_kick(call);
	return 0;
}

/* On the loop thread. */
static int send_here(struct msn_call *call, struct message **m)
{
	msn_assert(msn_loop_is_current(call->server->opts.loop));
	msn_mutex_lock(&call->lock);
	if (!has_room(call, message_len(*m))) {
		msn_mutex_unlock(&call->lock);
		return -EAGAIN;
	}
	attach_fds(call, *m);
	charge(call, *m);
	msn_mutex_unlock(&call->lock);
	call_send_now(call, msn_steal(*m));
	return call->ended ? msn_fail(-ECANCELED) : 0;
}

/* The one answer waits for the handler's result. */
static int keep_reply(struct msn_call *call, struct message **m)
{
	msn_assert(!call->reply);
	attach_fds(call, *m);
	msn_mutex_lock(&call->lock);
	charge(call, *m);
	msn_mutex_unlock(&call->lock);
	call->reply = msn_steal(*m);
	return 0;
}

int msn_call_send(struct msn_call *call, const ProtobufCMessage *message,
		  struct msn_payload *payload)
{
	msn_auto(message_freep) struct message *m = NULL;
	int rc = encode(&m, call, message, payload);

	if (rc)
		return msn_pass(rc);
	if (msn_call_cancelled(call))
		return msn_fail(-ECANCELED);
	if (!call_sends_stream(call))
		return keep_reply(call, &m);
	return call_blocks(call) ? send_over(call, &m) : send_here(call, &m);
}

/* ---- what goes: loop thread ---------------------------------------------- */

void call_send_now(struct msn_call *call, struct message *m)
{
	int rc;

	if (!call->codec || call->ended) {
		message_free(m);
		return;
	}
	m->next = NULL;
	call->headers_out = true;
	call->sent_bytes += message_len(m);
	rc = call->codec->ops->send(call->codec, call, m);
	if (rc)
		call_cut(call, MSN_CODE_RESOURCE_EXHAUSTED,
			 rc == -EMSGSIZE ? "TOO_LONG" : "MEMORY",
			 rc == -EMSGSIZE ? "the answer is longer than 4 MiB"
					 : "out of memory");
	else if (call_sends_stream(call))
		call_watch(call);
}

void msn_call_on_drained(struct msn_call *call,
			 void (*fn)(struct msn_call *call, void *ctx),
			 void *ctx)
{
	call->on_drained = fn;
	call->drained_ctx = ctx;
	msn_lock_scope(&call->lock);
	call->wants_drained = fn && call->queued > 0;
	if (fn && call->queued == 0) {
		call->drained = true;
		call_kick(call);
	}
}
