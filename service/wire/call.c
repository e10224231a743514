/*
 * Call: its life, from the codec's first word to the last reference.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/call_private.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "wire/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- open and closed ----------------------------------------------------- */

static void deadline_fired(struct msn_timer *t)
{
	struct msn_call *call =
		msn_container_of(t, struct msn_call, deadline_timer);

	if (msn_clock_ns() >= call->deadline)
		call_cut(call, MSN_CODE_DEADLINE_EXCEEDED, "DEADLINE",
			 "the deadline has passed");
	else
		call_cut(call, MSN_CODE_DEADLINE_EXCEEDED, "REQUEST_TIMEOUT",
			 "the request did not come in time");
}

/* Since when does a handler wait for the client?  UINT64_MAX: it does not. */
static uint64_t waits_since(struct msn_call *call)
{
	uint64_t since = UINT64_MAX;

	msn_lock_scope(&call->lock);
	if (call->queued > 0)
		since = atomic_load(&call->moved_at);
	if (call->receives_since > 0 && call->receives_since < since)
		since = call->receives_since;
	return since;
}

static void stall_fired(struct msn_timer *t)
{
	struct msn_call *call =
		msn_container_of(t, struct msn_call, stall_timer);
	uint64_t since = waits_since(call), now = msn_clock_ns();
	uint64_t stall = call->server->opts.limits.stall_ms * UINT64_C(1000000);

	if (since != UINT64_MAX && since + stall <= now)
		call_cut(call, MSN_CODE_CANCELLED, "STALLED",
			 "the client does not go on");
	else if (since != UINT64_MAX || call_takes_stream(call))
		msn_timer_set(call->server->opts.loop, t,
			      (since < now ? since : now) + stall);
}

void call_watch(struct msn_call *call)
{
	if (!call->stall_timer.is_set && !call->ended)
		msn_timer_set(call->server->opts.loop, &call->stall_timer,
			      msn_clock_ns() +
				      call->server->opts.limits.stall_ms *
					      UINT64_C(1000000));
}

void call_set_timeout(struct msn_call *call, uint64_t timeout_ns)
{
	call->deadline = UINT64_MAX;
	if (timeout_ns < UINT64_MAX - call->opened_at)
		call->deadline = call->opened_at + timeout_ns;
}

static void call_init(struct msn_call *call, struct codec *codec,
		      const struct call_open *opts)
{
	struct conn *conn = codec->conn;

	memset(call, 0, offsetof(struct msn_call, end_status));
	msn_status_clear(&call->end_status);
	msn_status_clear(&call->status);
	call->failure.kind = MSN_FAILURE_NONE;
	call->failure.text[0] = '\0';
	atomic_init(&call->refs, 1);
	call->server = server_ref(conn->server);
	call->link = link_ref(conn->link);
	call->owner = owner_ref(conn->link->owner);
	call->peer = &call->link->peer;
	call->codec = codec;
	call->codec_name = codec->ops->name;
	call->has_flow_control = codec->ops->has_flow_control;
	call->conn = conn;
	call->stream = opts->stream;
	call->opened_at = msn_clock_ns();
	call_set_timeout(call, opts->timeout_ns);
	ring_init(&call->of_owner);
	ring_push(&conn->calls, &call->of_conn);
	conn->call_count++;
	call->deadline_timer.fire = deadline_fired;
	call->stall_timer.fire = stall_fired;
	arena_init(&call->arena, MSN_CALL_ARENA_BASE, call->first,
		   sizeof(call->first));
	arena_init(&call->message_arena, 0, NULL, 0);
	call->arena.budget = call->message_arena.budget = &call->owner->budget;
	msn_mutex_init(&call->lock, MSN_RANK_CALL);
	pthread_cond_init(&call->changed, NULL);
	call->inbox_end = &call->inbox;
	call->outgoing_end = &call->outgoing;
}

int call_open(struct msn_call **out, struct codec *codec,
	      const struct call_open *opts)
{
	struct msn_call *call = msn_realloc_array(NULL, 1, sizeof(*call));
	bool service = false;

	if (!call)
		return msn_fail(-ENOMEM);
	call_init(call, codec, opts);
	call->method = msn_methods_find(call->server->opts.methods, opts->path,
					opts->path_len, &service);
	if (!call->method)
		call->refusal = service ? "no such method" : "no such service";
	*out = call;
	return 0;
}

/* The codec's side of the call is gone. */
static void call_detach(struct msn_call *call)
{
	if (!call->codec)
		return;
	call->codec = NULL;
	ring_remove(&call->of_conn);
	call->conn->call_count--;
	call->conn = NULL;
}

void call_closed(struct msn_call *call)
{
	msn_assert(call->ended);
	call_detach(call);
	msn_call_unref(call);
}

struct msn_call *msn_call_ref(struct msn_call *call)
{
	atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
	return call;
}

static void call_free(struct msn_call *call)
{
	msn_assert(!call->codec && !call->outgoing && !call->inbox);
	message_free(call->reply);
	owner_close_fds(call->link->owner, call->fds, call->fd_count);
	close_fds(call->out_fds, call->out_fd_count);
	arena_deinit(&call->message_arena);
	arena_deinit(&call->arena);
	pthread_cond_destroy(&call->changed);
	msn_mutex_deinit(&call->lock);
	owner_unref(call->owner);
	link_unref(call->link);
	server_unref(call->server);
	free(call);
}

struct msn_call *msn_call_unref(struct msn_call *call)
{
	if (call && atomic_fetch_sub_explicit(&call->refs, 1,
					      memory_order_acq_rel) == 1)
		call_free(call);
	return NULL;
}

/* ---- may it be? ---------------------------------------------------------- */

void call_add_metadata(struct msn_call *call, const char *key, size_t key_len,
		       const void *value, size_t value_len)
{
	struct call_field *f = arena_alloc(&call->arena, sizeof(*f)), **end;

	if (f) {
		f->next = NULL;
		f->key = arena_text(&call->arena, key, key_len);
		f->value = arena_text(&call->arena, value, value_len);
		f->value_len = value_len;
	}
	if (!f || !f->key || !f->value) {
		call->refusal = "too much metadata";
		return;
	}
	for (end = &call->metadata; *end; end = &(*end)->next)
		;
	*end = f;
}

static int refuse(struct msn_call *call, enum msn_code code, const char *reason,
		  const char *text)
{
	call_cut(call, code, reason, text);
	return -ECANCELED;
}

/* The 32 digits of "00-<trace id>-<span id>-<flags>". */
static void read_trace_id(struct msn_call *call)
{
	size_t len;
	const char *text = msn_call_metadata(call, "traceparent", &len);

	if (!text || len < 55 || text[2] != '-' || text[35] != '-' ||
	    strspn(text + 3, "0123456789abcdef") != 32 ||
	    strspn(text + 3, "0") == 32)
		return;
	memcpy(call->trace_id, text + 3, 32);
}

/* Another owner, whom a token names. */
static int change_owner(struct msn_call *call, struct msn_peer *peer)
{
	struct owner *owner;
	int rc = owners_get(&owner, &call->server->owners, peer->owner);

	if (rc)
		return rc;
	arena_set_budget(&call->arena, &owner->budget);
	call->message_arena.budget = &owner->budget;
	owner_unref(call->owner);
	call->owner = owner;
	call->peer = peer;
	return 0;
}

static int check_token(struct msn_call *call)
{
	const struct msn_server_opts *opts = &call->server->opts;
	const char *text = msn_call_metadata(call, "authorization", NULL);
	struct msn_peer *peer;

	if (!text || !opts->authenticate)
		return 0;
	if (strncasecmp(text, "Bearer ", 7) != 0)
		return refuse(call, MSN_CODE_UNAUTHENTICATED, "TOKEN",
			      "only bearer tokens are understood");
	peer = arena_alloc(&call->arena, sizeof(*peer));
	if (!peer)
		return refuse(call, MSN_CODE_RESOURCE_EXHAUSTED, "BUDGET",
			      "too much metadata");
	*peer = *call->peer;
	if (opts->authenticate(opts->context, peer, text + 7))
		return refuse(call, MSN_CODE_UNAUTHENTICATED, "TOKEN",
			      "this token is not valid");
	if (change_owner(call, peer))
		return refuse(call, MSN_CODE_RESOURCE_EXHAUSTED, "MEMORY",
			      "out of memory");
	return 0;
}

static int check_method(struct msn_call *call)
{
	const struct msn_method *m = call->method;

	if (!m)
		return refuse(call, MSN_CODE_UNIMPLEMENTED, "METHOD",
			      call->refusal);
	if (call->refusal)
		return refuse(call, MSN_CODE_RESOURCE_EXHAUSTED, "METADATA",
			      call->refusal);
	if ((m->flags & MSN_METHOD_GRPC_ONLY) && !call->has_flow_control)
		return refuse(
			call, MSN_CODE_UNIMPLEMENTED, "GRPC_REQUIRED",
			"this method needs flow control: call it by gRPC");
	if (call->server->draining && !(m->flags & MSN_METHOD_WHILE_DRAINING))
		return refuse(call, MSN_CODE_UNAVAILABLE, "DRAINING",
			      "the service is about to end");
	if (m->flags & MSN_METHOD_PEER_PIDFD)
		link_open_pidfd(call->link, call->conn->fd);
	return 0;
}

static int check_role(struct msn_call *call)
{
	static const char *const needs[] = {
		[MSN_ROLE_NONE] = "",
		[MSN_ROLE_READ] = "this method needs the role read",
		[MSN_ROLE_OPERATE] = "this method needs the role operate",
		[MSN_ROLE_ADMIN] = "this method needs the role admin",
	};

	if (call->peer->role >= call->method->role)
		return 0;
	return refuse(call, MSN_CODE_PERMISSION_DENIED, "ROLE",
		      needs[call->method->role]);
}

/* Too often: tells when to try again. */
static int refuse_rate(struct msn_call *call, unsigned wait_ms)
{
	struct msn_status *s = &call->end_status;

	msn_status_set(s, MSN_CODE_RESOURCE_EXHAUSTED, "RATE",
		       "%s makes more than %u calls a second",
		       call->owner->name,
		       call->server->opts.limits.calls_per_second);
	s->retry_ms = wait_ms;
	call_end(call, s);
	return -ECANCELED;
}

static int check_quotas(struct msn_call *call)
{
	const struct msn_server_limits *max = &call->server->opts.limits;
	unsigned wait_ms;

	if (call->conn->call_count > MSN_CONN_CALLS_MAX)
		return refuse(call, MSN_CODE_RESOURCE_EXHAUSTED, "CALLS",
			      "too many calls on this connection");
	if (call->owner->calls >= max->calls_per_owner)
		return refuse(call, MSN_CODE_RESOURCE_EXHAUSTED, "CALLS",
			      "too many calls of this owner");
	if (budget_is_full(&call->owner->budget, 0))
		return refuse(call, MSN_CODE_RESOURCE_EXHAUSTED, "BUFFERS",
			      "too many bytes of this owner are under way");
	wait_ms = owner_take_call(call->owner, max->calls_per_second,
				  call->opened_at);
	return wait_ms ? refuse_rate(call, wait_ms) : 0;
}

/* A request that is begun must come, deadline or not. */
static void set_request_timer(struct msn_call *call)
{
	uint64_t at = UINT64_MAX;

	if (!call_takes_stream(call))
		at = call->opened_at +
		     call->server->opts.limits.frame_ms * UINT64_C(1000000);
	if (call->deadline < at)
		at = call->deadline;
	msn_timer_set(call->server->opts.loop, &call->deadline_timer, at);
}

static void wants_fds(struct msn_call *call)
{
	const char *text = msn_call_metadata(call, "memsnap-fds", NULL);

	call->gives_fds = text && strcmp(text, "ok") == 0 &&
			  call->peer->transport == MSN_TRANSPORT_UNIX &&
			  call->codec->ops->passes_fds;
}

void call_begin(struct msn_call *call)
{
	msn_assert(call->state == CALL_OPENED || call->ended);
	if (call->ended)
		return;
	read_trace_id(call);
	if (check_method(call) || check_token(call) || check_role(call) ||
	    check_quotas(call))
		return;
	if (call->deadline <= call->opened_at) {
		refuse(call, MSN_CODE_DEADLINE_EXCEEDED, "DEADLINE",
		       "the deadline has passed");
		return;
	}
	wants_fds(call);
	call->state = CALL_RECEIVING;
	call->counted = true;
	call->owner->calls++;
	call->server->call_count++;
	set_request_timer(call);
}

/* ---- the end ------------------------------------------------------------- */

static void tell_ended(struct msn_call *call)
{
	const struct msn_server_opts *opts = &call->server->opts;
	struct msn_call_record record = {
		.method = call->method,
		.peer = call->peer,
		.status = call->final,
		.codec = call->codec_name,
		.trace_id = call->trace_id,
		.received_bytes = call->received_bytes,
		.sent_bytes = call->sent_bytes,
	};

	if (!opts->ended)
		return;
	record.duration_ns = msn_clock_ns() - call->opened_at;
	opts->ended(opts->context, &record);
}

/* The handler, if there is one, is told; others give up their place. */
static void leave_handler(struct msn_call *call)
{
	void (*fn)(struct msn_call *, void *) = call->on_cancel;

	call_drop_inbox(call);
	switch (call->state) {
	case CALL_WAITING:
		ring_remove(&call->of_owner);
		call_over(call);
		msn_call_unref(call); /* the handler's, which never ran */
		break;
	case CALL_RUNNING:
		call->on_cancel = NULL;
		call->on_drained = NULL;
		if (fn)
			fn(call, call->cancel_ctx);
		break;
	default:
		call_over(call);
	}
}

static void set_cancelled(struct msn_call *call)
{
	msn_lock_scope(&call->lock);
	atomic_store(&call->cancelled, true);
	pthread_cond_broadcast(&call->changed);
}

void call_end(struct msn_call *call, const struct msn_status *status)
{
	struct msn_loop *loop = call->server->opts.loop;

	if (call->ended)
		return;
	msn_call_ref(call); /* finish() may drop the codec's */
	call->ended = true;
	call->final = status;
	msn_timer_clear(loop, &call->deadline_timer);
	msn_timer_clear(loop, &call->stall_timer);
	if (call->state != CALL_OVER)
		set_cancelled(call);
	tell_ended(call);
	if (call->codec) {
		struct conn *conn = call->conn;

		if (call->codec->ops->finish(call->codec, call))
			conn_fail(conn);
	}
	if (call->state != CALL_OVER)
		leave_handler(call);
	msn_call_unref(call);
}

void call_cut(struct msn_call *call, enum msn_code code, const char *reason,
	      const char *text)
{
	if (call->ended)
		return;
	msn_status_set(&call->end_status, code, reason, "%s", text);
	call_end(call, &call->end_status);
}

void call_reject(struct msn_call *call, enum msn_code code, const char *reason,
		 const char *text)
{
	call_cut(call, code, reason, text);
}

void call_lost(struct msn_call *call)
{
	msn_call_ref(call);
	call_detach(call);
	call_cut(call, MSN_CODE_CANCELLED, "CLIENT_GONE",
		 "the client has cancelled or gone");
	msn_call_unref(call);
}

void call_over(struct msn_call *call)
{
	call->state = CALL_OVER;
	if (!call->counted)
		return;
	call->counted = false;
	call->owner->calls--;
	if (--call->server->call_count == 0 && call->server->draining)
		server_poke(call->server);
}

/* ---- for codecs ---------------------------------------------------------- */

void *call_stream(const struct msn_call *call)
{
	return call->stream;
}

void call_set_stream(struct msn_call *call, void *stream)
{
	call->stream = stream;
}

bool call_has_ended(const struct msn_call *call)
{
	return call->ended;
}

const struct msn_status *call_final_status(const struct msn_call *call)
{
	msn_assert(call->ended);
	return call->final;
}

/* While a handler runs, what it sets is its own. */
static bool is_frozen(const struct msn_call *call)
{
	return call->state == CALL_OVER;
}

const struct call_field *call_headers(const struct msn_call *call)
{
	return call->headers_out || is_frozen(call) ? call->headers : NULL;
}

const struct call_field *call_trailers(const struct msn_call *call)
{
	return is_frozen(call) ? call->trailers : NULL;
}
