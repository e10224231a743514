/*
 * Connection: its life, what it waits for, and when it is freed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/conn.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "wire/call_private.h"
#include "wire/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define MS UINT64_C(1000000)

/* ---- what it waits for --------------------------------------------------- */

/*
 * Are more bytes wanted?  Not while it has too much already, either way, and
 * not while its owner has and it takes no answers.
 */
static bool wants_bytes(const struct conn *conn)
{
	if (conn->closing || conn->out_bytes >= CONN_QUEUE_HIGH ||
	    atomic_load(&conn->link->paused))
		return false;
	return !conn->out || !budget_is_full(&conn->link->owner->budget, 0);
}

static enum conn_wait waits_for(const struct conn *conn)
{
	if (conn->shut)
		return CONN_WAIT_LINGER;
	if (conn->closing)
		return CONN_WAIT_NOTHING; /* out_timer watches that */
	if (conn->server->draining && conn->call_count == 0)
		return CONN_WAIT_LINGER;
	if (!conn->codec)
		return CONN_WAIT_HELLO;
	if (atomic_load(&conn->link->paused))
		return CONN_WAIT_INBOX;
	if (wants_bytes(conn) && conn->codec->ops->is_mid_frame(conn->codec))
		return CONN_WAIT_FRAME;
	return CONN_WAIT_NOTHING;
}

static uint64_t wait_ms(const struct conn *conn, enum conn_wait wait)
{
	const struct msn_server_limits *max = &conn->server->opts.limits;

	switch (wait) {
	case CONN_WAIT_HELLO:
		return max->hello_ms;
	case CONN_WAIT_FRAME:
		return max->frame_ms;
	case CONN_WAIT_INBOX:
		return max->stall_ms;
	default:
		return CONN_LINGER_MS;
	}
}

static void set_timers(struct conn *conn)
{
	struct msn_loop *loop = conn->server->opts.loop;
	enum conn_wait wait = waits_for(conn);

	if (conn->out && !conn->out_timer.is_set)
		msn_timer_set(loop, &conn->out_timer,
			      conn->moved_at +
				      conn->server->opts.limits.stall_ms * MS);
	if (wait == conn->wait &&
	    (wait != CONN_WAIT_FRAME || conn->timed_frame == conn->frames))
		return;
	conn->wait = wait;
	conn->timed_frame = conn->frames;
	if (wait == CONN_WAIT_NOTHING)
		msn_timer_clear(loop, &conn->in_timer);
	else
		msn_timer_set(loop, &conn->in_timer,
			      msn_clock_ns() + wait_ms(conn, wait) * MS);
}

/* Calls whose request is here and whose turn does not come give it up. */
static void drop_waiting(struct conn *conn)
{
	struct ring *r = conn->calls.next;

	while (r != &conn->calls) {
		struct msn_call *call =
			msn_container_of(r, struct msn_call, of_conn);

		r = r->next;
		if (call->state != CALL_WAITING)
			continue;
		call_cut(call, MSN_CODE_RESOURCE_EXHAUSTED, "CONNECTION_FULL",
			 "the connection holds too much that waits");
		r = conn->calls.next; /* others may have gone with it */
	}
}

static void in_timer_fired(struct msn_timer *t)
{
	struct conn *conn = msn_container_of(t, struct conn, in_timer);

	if (conn->wait == CONN_WAIT_INBOX)
		drop_waiting(conn);
	else
		conn->dead = true;
	conn->wait = CONN_WAIT_NOTHING;
	conn_settle(conn);
}

static void out_timer_fired(struct msn_timer *t)
{
	struct conn *conn = msn_container_of(t, struct conn, out_timer);
	uint64_t at = conn->moved_at + conn->server->opts.limits.stall_ms * MS;

	if (!conn->out)
		return;
	if (at <= msn_clock_ns())
		conn->dead = true;
	conn_settle(conn);
}

/*
 * A source that is ready and not wanted would be told of without end: it is
 * switched off when that happens, and not before, which most often saves both
 * calls.
 */
static void set_events(struct conn *conn)
{
	uint32_t events = 0;

	if (conn->shut || wants_bytes(conn))
		events |= EPOLLIN;
	else if (!conn->unwanted)
		events |= conn->watch.events & EPOLLIN;
	if (conn->blocked || (conn->tls && tls_wants_write(conn->tls)))
		events |= EPOLLOUT;
	conn->unwanted = false;
	msn_watch_set(conn->server->opts.loop, &conn->watch, events);
}

/* ---- settling ------------------------------------------------------------ */

/* Everything is sent: says so, and takes what the other side still has. */
static void shut_down(struct conn *conn)
{
	if (conn->tls)
		tls_goodbye(conn->tls);
	if (shutdown(conn->fd, SHUT_WR))
		conn->dead = true;
	conn->shut = true;
}

static void read_again(struct conn *conn)
{
	conn->in_event = true;
	conn_read(conn);
	conn->in_event = false;
}

void conn_settle(struct conn *conn)
{
	ring_remove(&conn->dirty);
	if (!conn->dead && conn->again && wants_bytes(conn))
		read_again(conn);
	if (!conn->dead)
		conn_write(conn);
	if (!conn->dead && conn->closing && !conn->out && !conn->shut)
		shut_down(conn);
	if (conn->dead) {
		conn_free(conn);
		return;
	}
	set_timers(conn);
	set_events(conn);
	if (conn->again && wants_bytes(conn))
		conn_touch(conn);
	if (conn->server->draining)
		server_poke(conn->server);
}

void conn_touch(struct conn *conn)
{
	if (conn->in_event || !ring_is_empty(&conn->dirty))
		return;
	ring_push(&conn->server->dirty, &conn->dirty);
	server_poke(conn->server);
}

/* ---- events -------------------------------------------------------------- */

static void handshake(struct conn *conn)
{
	int rc = tls_handshake(conn->tls);

	if (rc == -EAGAIN)
		return;
	if (rc == 0) {
		tls_identify(conn->tls, &conn->link->peer);
		rc = conn_admit(conn);
	}
	if (rc)
		conn->dead = true;
}

/* Bytes of somebody to whom nothing more is to be said. */
static void take_rest(struct conn *conn)
{
	ssize_t n = recv(conn->fd, conn->server->scratch, SERVER_SCRATCH_BYTES,
			 MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn->dead = true;
}

static void conn_ready(struct msn_watch *watch, uint32_t events)
{
	struct conn *conn = msn_container_of(watch, struct conn, watch);

	conn->in_event = true;
	if (events & EPOLLOUT)
		conn->blocked = false;
	if (conn->tls && !tls_is_open(conn->tls)) {
		handshake(conn);
	} else if (events & ~(uint32_t)EPOLLOUT) {
		if (conn->shut)
			take_rest(conn);
		else if (wants_bytes(conn))
			conn_read(conn);
		else if (events & (EPOLLHUP | EPOLLERR))
			conn->dead = true; /* nobody is there any more */
		else
			conn->unwanted = true;
	}
	conn->in_event = false;
	conn_settle(conn);
}

/* ---- life ---------------------------------------------------------------- */

int conn_admit(struct conn *conn)
{
	struct msn_server *s = conn->server;
	struct msn_peer *peer = &conn->link->peer;
	struct owner *owner;
	int rc;

	if (s->opts.authenticate) {
		rc = s->opts.authenticate(s->opts.context, peer, NULL);
		if (rc)
			return msn_fail(rc);
	}
	rc = owners_get(&owner, &s->owners, peer->owner);
	if (rc)
		return msn_pass(rc);
	conn->link->owner = owner;
	if (owner->connections >= s->opts.limits.connections_per_owner)
		return msn_fail(-EUSERS);
	owner->connections++;
	conn->admitted = true;
	return 0;
}

static void conn_init(struct conn *conn, struct msn_server *s,
		      const struct conn_opts *opts)
{
	conn->server = s;
	conn->fd = opts->fd;
	conn->http_only = opts->http_only;
	conn->watch = (struct msn_watch){ .ready = conn_ready, .fd = -1 };
	conn->out_end = &conn->out;
	conn->in_timer.fire = in_timer_fired;
	conn->out_timer.fire = out_timer_fired;
	ring_init(&conn->of_server);
	ring_init(&conn->dirty);
	ring_init(&conn->calls);
}

static int conn_start(struct conn *conn, const struct conn_opts *opts)
{
	struct msn_server *s = conn->server;
	int rc;

	conn->link = link_new();
	if (!conn->link)
		return msn_fail(-ENOMEM);
	conn->link->conn = conn;
	rc = link_identify(conn->link, opts->fd, opts->transport);
	if (!rc && opts->tls)
		rc = tls_new(&conn->tls, opts->tls, opts->fd);
	else if (!rc)
		rc = conn_admit(conn);
	if (rc)
		return msn_pass(rc);
	rc = msn_watch_add(s->opts.loop, &conn->watch, conn->fd, EPOLLIN);
	if (rc)
		return msn_pass(rc);
	ring_push(&s->conns, &conn->of_server);
	s->conn_count++;
	s->accepted++;
	set_timers(conn);
	return 0;
}

int conn_new(struct msn_server *s, const struct conn_opts *opts)
{
	struct conn *conn = msn_alloc(sizeof(*conn));
	int rc = -ENOMEM;

	if (conn) {
		conn_init(conn, s, opts);
		rc = conn_start(conn, opts);
	} else {
		msn_close(opts->fd);
	}
	if (rc)
		s->refused++;
	if (rc && conn)
		conn_free(conn);
	return msn_pass(rc);
}

static void lose_calls(struct conn *conn)
{
	while (!ring_is_empty(&conn->calls))
		call_lost(msn_container_of(conn->calls.next, struct msn_call,
					   of_conn));
}

void conn_fail(struct conn *conn)
{
	lose_calls(conn);
	conn_close_soon(conn);
}

void conn_cancel_calls(struct conn *conn, enum msn_code code,
		       const char *reason, const char *text)
{
	while (!ring_is_empty(&conn->calls)) {
		struct msn_call *call = msn_container_of(
			conn->calls.next, struct msn_call, of_conn);

		if (call->ended)
			call_lost(call); /* its status is on its way */
		else
			call_cut(call, code, reason, text);
	}
}

void conn_free(struct conn *conn)
{
	struct msn_server *s = conn->server;

	if (conn->link)
		conn->link->conn = NULL;
	lose_calls(conn);
	if (conn->codec)
		conn->codec->ops->close(conn->codec);
	conn_drop_out(conn);
	conn_close_fds(conn);
	msn_timer_clear(s->opts.loop, &conn->in_timer);
	msn_timer_clear(s->opts.loop, &conn->out_timer);
	ring_remove(&conn->dirty);
	if (conn->watch.fd >= 0) {
		msn_watch_remove(s->opts.loop, &conn->watch);
		ring_remove(&conn->of_server);
		s->conn_count--;
	}
	if (conn->admitted)
		conn->link->owner->connections--;
	msn_assert(conn->held == 0);
	tls_free(conn->tls);
	link_unref(conn->link);
	msn_close(conn->fd);
	free(conn);
	server_resume_accept(s);
	if (s->draining)
		server_poke(s);
}

/* ---- for codecs and calls ------------------------------------------------ */

struct msn_server *conn_server(const struct conn *conn)
{
	return conn->server;
}

const struct msn_peer *conn_peer(const struct conn *conn)
{
	return &conn->link->peer;
}

void conn_close_soon(struct conn *conn)
{
	conn->closing = true;
	conn_touch(conn);
}

void conn_frame_done(struct conn *conn)
{
	conn->frames++;
}

int conn_hold(struct conn *conn, size_t more)
{
	if (budget_is_full(&conn->link->owner->budget, more))
		return msn_fail(-ENOBUFS);
	budget_charge(&conn->link->owner->budget, more);
	conn->held += more;
	return 0;
}

void conn_unhold(struct conn *conn, size_t less)
{
	msn_assert(conn->held >= less);
	if (less)
		budget_return(&conn->link->owner->budget, less);
	conn->held -= less;
}

void conn_check_inbox(struct link *link)
{
	struct conn *conn = link->conn;

	if (!conn || conn->codec->ops->has_flow_control)
		return;
	if (atomic_load(&link->paused)) {
		if (atomic_load(&link->inbox) >= CONN_INBOX_LOW)
			return;
		atomic_store(&link->paused, false);
		conn_touch(conn);
		return;
	}
	if (atomic_load(&link->inbox) < CONN_INBOX_HIGH)
		return;
	/* Whoever took some before `paused` was set has told nobody. */
	atomic_store(&link->paused, true);
	if (atomic_load(&link->inbox) < CONN_INBOX_LOW)
		atomic_store(&link->paused, false);
	conn_touch(conn);
}
