/*
 * Connection: what goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything queued leaves by one sendmsg() of many parts.  Descriptors travel
 * with the first byte of their message: a sendmsg() that carries some begins
 * with that message and holds no other.
 */
#include "wire/conn.h"

#include "base/assert.h"
#include "base/fault.h"
#include "wire/call_private.h"
#include "wire/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PARTS_MAX 64

/* Written in one round of the loop, so that others get their turn. */
#define WRITE_PER_ROUND ((size_t)1 << 20)

/* ---- the queue ----------------------------------------------------------- */

/* What a message takes that no call is charged for. */
static size_t own_charge(const struct message *m)
{
	return m->call ? 0 : sizeof(*m) + MESSAGE_HEADROOM + message_len(m);
}

void conn_queue(struct conn *conn, struct message *m)
{
	m->next = NULL;
	budget_charge(&conn->link->owner->budget, own_charge(m));
	if (!conn->out)
		conn->moved_at = msn_clock_ns();
	*conn->out_end = m;
	conn->out_end = &m->next;
	conn->out_bytes += message_len(m);
	conn->high |= conn->out_bytes >= CONN_QUEUE_HIGH;
	conn_touch(conn);
}

size_t conn_queued(const struct conn *conn)
{
	return conn->out_bytes;
}

static void pop(struct conn *conn)
{
	struct message *m = conn->out;

	conn->out = m->next;
	if (!conn->out)
		conn->out_end = &conn->out;
	conn->out_done = 0;
	budget_return(&conn->link->owner->budget, own_charge(m));
	message_free(m);
}

void conn_drop_out(struct conn *conn)
{
	while (conn->out)
		pop(conn);
	conn->out_bytes = 0;
}

/* ---- one write ----------------------------------------------------------- */

struct parts {
	struct iovec iov[PARTS_MAX];
	size_t count;
};

/* Adds bytes, of which *@skip have been sent. */
static void add_part(struct parts *p, const void *data, size_t len,
		     size_t *skip)
{
	size_t done = *skip < len ? *skip : len;

	*skip -= done;
	if (done == len || p->count == PARTS_MAX)
		return;
	p->iov[p->count].iov_base = (char *)(uintptr_t)data + done;
	p->iov[p->count++].iov_len = len - done;
}

static void add_message(struct parts *p, const struct message *m, size_t skip)
{
	add_part(p, m->head, m->head_len, &skip);
	if (m->payload)
		add_part(p, m->payload->data, m->payload->len, &skip);
	add_part(p, m->tail, m->tail_len, &skip);
}

/* As many messages as fit; one with descriptors goes alone. */
static void gather(const struct conn *conn, struct parts *p)
{
	const struct message *m = conn->out;

	p->count = 0;
	add_message(p, m, conn->out_done);
	if (m->fd_count)
		return;
	for (m = m->next; m && !m->fd_count && p->count + 3 <= PARTS_MAX;
	     m = m->next)
		add_message(p, m, 0);
}

static ssize_t send_parts(struct conn *conn, struct parts *p)
{
	struct message *m = conn->out;
	size_t len = m->fd_count * sizeof(int);
	_Alignas(struct cmsghdr) char
		control[CMSG_SPACE(MSN_CONN_FDS_MAX * sizeof(int))];
	struct msghdr msg = { .msg_iov = p->iov, .msg_iovlen = p->count };
	ssize_t n;

	if (m->fd_count) {
		struct cmsghdr *c;

		memset(control, 0, sizeof(control));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(len);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(c), m->fds, len);
	}
	n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	message_close_fds(m); /* they are with the first byte */
	return n;
}

/* @n bytes of the queue have left. */
static void note_sent(struct conn *conn, size_t n)
{
	conn->moved_at = msn_clock_ns();
	conn->out_bytes -= n;
	while (n > 0) {
		struct message *m = conn->out;
		size_t left = message_len(m) - conn->out_done;

		if (m->call)
			atomic_store(&m->call->moved_at, conn->moved_at);
		if (n < left) {
			conn->out_done += n;
			return;
		}
		n -= left;
		pop(conn);
	}
}

/* Bytes written, 0 when the socket takes no more. */
static size_t write_once(struct conn *conn)
{
	struct parts p;
	ssize_t n;

	gather(conn, &p);
	if (msn_fault("conn.send"))
		n = -EPIPE;
	else
		n = conn->tls ? tls_write(conn->tls, p.iov, p.count)
			      : send_parts(conn, &p);
	if (n == -EAGAIN || n == -EINTR) {
		conn->blocked = true;
		return 0;
	}
	if (n < 0) {
		conn->dead = true;
		return 0;
	}
	note_sent(conn, (size_t)n);
	return (size_t)n;
}

/* Has the codec queue what there is, while there is room. */
static void flush(struct conn *conn)
{
	const struct codec_ops *ops = conn->codec ? conn->codec->ops : NULL;

	if (conn->out_bytes >= CONN_QUEUE_HIGH)
		return;
	conn->high = false;
	if (ops && ops->flush && ops->flush(conn->codec))
		conn->dead = true;
}

void conn_write(struct conn *conn)
{
	bool in_event = conn->in_event;
	size_t done = 0;

	conn->in_event = true;
	flush(conn);
	while (conn->out && !conn->blocked && !conn->dead &&
	       done < WRITE_PER_ROUND) {
		done += write_once(conn);
		if (conn->high)
			flush(conn);
	}
	conn->in_event = in_event;
	if (conn->out && !conn->blocked && !conn->dead)
		conn_touch(conn); /* the rest in the next round */
}
