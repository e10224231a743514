/*
 * Server: what holds connections together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/server_private.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "wire/call_private.h"
#include "wire/conn.h"

#include <errno.h>
#include <stdlib.h>

#define MS UINT64_C(1000000)

/* How long nothing is accepted when no descriptor is left, unless one becomes
 * free. */
#define ACCEPT_PAUSE_MS 1000

/* ---- references ---------------------------------------------------------- */

struct msn_server *server_ref(struct msn_server *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

struct msn_server *server_unref(struct msn_server *s)
{
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	owners_deinit(&s->owners);
	free(s->scratch);
	free(s);
	return NULL;
}

/* ---- draining ------------------------------------------------------------ */

/* Closes what has nothing more to say and does not close itself. */
static void close_idle(struct msn_server *s)
{
	for (struct ring *r = s->conns.next; r != &s->conns; r = r->next) {
		struct conn *conn = msn_container_of(r, struct conn, of_server);

		if (conn->call_count == 0 && !conn->closing &&
		    !(conn->codec && conn->codec->ops->says_goodbye))
			conn_close_soon(conn);
	}
}

static void say_drained(struct msn_server *s)
{
	void (*fn)(void *) = s->drained;

	s->drained = NULL;
	msn_timer_clear(s->opts.loop, &s->drain_timer);
	fn(s->drained_context);
}

/*
 * Drained is a server whose clients have gone, which they do when they have
 * read the last answer: one that ended before would take it from them.
 */
static void check_drained(struct msn_server *s)
{
	if (!s->drained)
		return;
	close_idle(s);
	if (s->call_count == 0 && s->conn_count == 0)
		say_drained(s);
}

/* Time is up: what is left is cancelled, and given a moment to say so. */
static void drain_fired(struct msn_timer *t)
{
	struct msn_server *s =
		msn_container_of(t, struct msn_server, drain_timer);
	struct ring *r, *next;

	if (s->cut) {
		say_drained(s);
		return;
	}
	s->cut = true;
	msn_timer_set(s->opts.loop, t, msn_clock_ns() + CONN_LINGER_MS * MS);
	for (r = s->conns.next; r != &s->conns; r = next) {
		struct conn *conn = msn_container_of(r, struct conn, of_server);

		next = r->next;
		conn_cancel_calls(conn, MSN_CODE_UNAVAILABLE, "DRAINING",
				  "the service ends");
		conn_settle(conn);
	}
}

void msn_server_drain(struct msn_server *s, unsigned timeout_ms,
		      void (*done)(void *context), void *context)
{
	struct ring *r;

	msn_assert(!s->draining);
	s->draining = true;
	s->drained = done;
	s->drained_context = context;
	for (r = s->listeners.next; r != &s->listeners; r = r->next)
		listener_enable(msn_container_of(r, struct listener, of_server),
				false);
	for (r = s->conns.next; r != &s->conns; r = r->next) {
		struct conn *conn = msn_container_of(r, struct conn, of_server);

		if (conn->codec && conn->codec->ops->drain(conn->codec))
			conn_fail(conn);
		conn_touch(conn);
	}
	msn_timer_set(s->opts.loop, &s->drain_timer,
		      msn_clock_ns() + timeout_ms * MS);
	server_poke(s);
}

/* ---- the end of a round -------------------------------------------------- */

static void flush_run(struct msn_task *task)
{
	struct msn_server *s = msn_container_of(task, struct msn_server, flush);
	struct ring now;

	s->flush_posted = false;
	/* Those that come meanwhile have their turn in the next round. */
	ring_init(&now);
	while (!ring_is_empty(&s->dirty)) {
		struct ring *r = s->dirty.next;

		ring_remove(r);
		ring_push(&now, r);
	}
	while (!ring_is_empty(&now))
		conn_settle(msn_container_of(now.next, struct conn, dirty));
	check_drained(s);
	server_unref(s);
}

void server_poke(struct msn_server *s)
{
	if (s->flush_posted || s->closed)
		return;
	s->flush_posted = true;
	s->flush.run = flush_run;
	server_ref(s);
	msn_loop_post(s->opts.loop, &s->flush);
}

/* ---- accepting ----------------------------------------------------------- */

static void enable_listeners(struct msn_server *s, bool on)
{
	for (struct ring *r = s->listeners.next; r != &s->listeners;
	     r = r->next)
		listener_enable(msn_container_of(r, struct listener, of_server),
				on);
}

void server_pause_accept(struct msn_server *s)
{
	s->accept_paused = true;
	enable_listeners(s, false);
	msn_timer_set(s->opts.loop, &s->accept_timer,
		      msn_clock_ns() + ACCEPT_PAUSE_MS * MS);
}

void server_resume_accept(struct msn_server *s)
{
	if (!s->accept_paused || s->closed)
		return;
	s->accept_paused = false;
	msn_timer_clear(s->opts.loop, &s->accept_timer);
	if (!s->draining)
		enable_listeners(s, true);
}

static void accept_fired(struct msn_timer *t)
{
	server_resume_accept(
		msn_container_of(t, struct msn_server, accept_timer));
}

/* ---- life ---------------------------------------------------------------- */

static void set_default(unsigned *limit, unsigned value)
{
	if (*limit == 0)
		*limit = value;
}

static void set_defaults(struct msn_server_limits *l)
{
	set_default(&l->connections, 16384);
	set_default(&l->connections_per_owner, 1024);
	set_default(&l->calls_per_owner, 1024);
	set_default(&l->blocking_per_owner, 16);
	set_default(&l->fds_per_owner, 1024);
	set_default(&l->hello_ms, MSN_CONN_HELLO_MS);
	set_default(&l->frame_ms, MSN_CONN_FRAME_MS);
	set_default(&l->stall_ms, MSN_CALL_STALL_MS);
	if (l->buffered_bytes == 0)
		l->buffered_bytes = (size_t)256 << 20;
}

int msn_server_new(struct msn_server **out, const struct msn_server_opts *opts,
		   struct msn_failure *why)
{
	struct msn_server *s = msn_alloc(sizeof(*s));

	if (s)
		s->scratch = msn_alloc(SERVER_SCRATCH_BYTES);
	if (!s || !s->scratch) {
		free(s);
		return msn_failure_errno(why, -ENOMEM, "server");
	}
	atomic_init(&s->refs, 1);
	s->opts = *opts;
	set_defaults(&s->opts.limits);
	owners_init(&s->owners, s->opts.limits.buffered_bytes, s->opts.workers);
	ring_init(&s->listeners);
	ring_init(&s->conns);
	ring_init(&s->dirty);
	s->drain_timer.fire = drain_fired;
	s->accept_timer.fire = accept_fired;
	*out = s;
	return 0;
}

struct msn_server *msn_server_free(struct msn_server *s)
{
	if (!s)
		return NULL;
	msn_assert(msn_loop_is_current(s->opts.loop));
	s->closed = true;
	s->drained = NULL;
	msn_timer_clear(s->opts.loop, &s->drain_timer);
	msn_timer_clear(s->opts.loop, &s->accept_timer);
	while (!ring_is_empty(&s->listeners))
		listener_free(msn_container_of(s->listeners.next,
					       struct listener, of_server));
	while (!ring_is_empty(&s->conns))
		conn_free(msn_container_of(s->conns.next, struct conn,
					   of_server));
	/* Of what comes later nobody is told. */
	s->opts.ended = NULL;
	return server_unref(s);
}

void msn_server_usage(const struct msn_server *s, struct msn_server_usage *out)
{
	*out = (struct msn_server_usage){
		.connections = s->conn_count,
		.calls = s->call_count,
		.accepted = s->accepted,
		.refused = s->refused,
		.buffered_bytes = budget_used(&s->owners.budget),
	};
}
