/*
 * Connection: what comes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * On a Unix socket bytes are always taken by recvmsg() with room for every
 * descriptor that one sendmsg() can carry: without it the kernel would close
 * them and say nothing.
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
#include <string.h>
#include <sys/socket.h>

/* Reads in one round of the loop, so that others get their turn. */
#define READS_PER_ROUND 2

/* SCM_MAX_FD of the kernel. */
#define MESSAGE_FDS_MAX 253

static const struct codec_ops *const codecs[] = { &codec_grpc, &codec_ttrpc,
						  &codec_http1 };

/* ---- descriptors --------------------------------------------------------- */

/* Descriptors that are taken by nobody. */
static void discard_fds(struct conn *conn, const int *fds, size_t count)
{
	int *copy = count ? msn_alloc_array(count, sizeof(*copy)) : NULL;

	if (copy) {
		memcpy(copy, fds, count * sizeof(*copy));
		atomic_fetch_add(&conn->link->owner->fds, count);
		owner_close_fds(conn->link->owner, copy, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		msn_close(fds[i]);
}

void conn_close_fds(struct conn *conn)
{
	for (size_t i = 0; i < conn->fd_count; i++) {
		atomic_fetch_sub(&conn->link->owner->fds, 1);
		discard_fds(conn, &conn->fds[i].fd, 1);
	}
	free(conn->fds);
	conn->fds = NULL;
	conn->fd_count = 0;
}

/* Ends the connection, its calls too, and says why. */
static void refuse(struct conn *conn, const char *reason, const char *text,
		   const uint8_t *data, size_t len)
{
	conn_cancel_calls(conn, MSN_CODE_RESOURCE_EXHAUSTED, reason, text);
	if (conn->codec->ops->refuse)
		conn->codec->ops->refuse(conn->codec, reason, text, data, len);
	conn_close_soon(conn);
}

/* Keeps descriptors that came with the bytes up to now. */
static bool keep_fds(struct conn *conn, const int *fds, size_t count)
{
	const struct msn_server_limits *max = &conn->server->opts.limits;
	struct owner *owner = conn->link->owner;
	struct conn_fd *array;

	if (conn->fd_count + count > MSN_CONN_FDS_MAX ||
	    atomic_load(&owner->fds) + count > max->fds_per_owner)
		return false;
	array = msn_realloc_array(conn->fds, conn->fd_count + count,
				  sizeof(*conn->fds));
	if (!array)
		return false;
	conn->fds = array;
	for (size_t i = 0; i < count; i++)
		conn->fds[conn->fd_count++] =
			(struct conn_fd){ fds[i], conn->received };
	atomic_fetch_add(&owner->fds, count);
	return true;
}

int conn_take_fds(struct conn *conn, const uint8_t *end, int **fds,
		  size_t *count)
{
	uint64_t at = conn->received - (uint64_t)(conn->scratch_end - end);
	size_t n = 0;

	while (n < conn->fd_count && conn->fds[n].at <= at)
		n++;
	*fds = NULL;
	*count = 0;
	if (n == 0)
		return 0;
	*fds = msn_alloc_array(n, sizeof(**fds));
	if (!*fds)
		return msn_fail(-ENOMEM);
	*count = n;
	for (size_t i = 0; i < n; i++)
		(*fds)[i] = conn->fds[i].fd;
	conn->fd_count -= n;
	memmove(conn->fds, conn->fds + n, conn->fd_count * sizeof(*conn->fds));
	return 0;
}

/* ---- the codec ----------------------------------------------------------- */

static const struct codec_ops *codec_for(const struct conn *conn, uint8_t byte)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(codecs); i++) {
		const struct codec_ops *c = codecs[i];

		if (byte != (uint8_t)c->first_bytes[0] &&
		    byte != (uint8_t)c->first_bytes[1])
			continue;
		if (conn->http_only && c != &codec_http1)
			continue;
		if (c->transports & 1U << conn->link->peer.transport)
			return c;
	}
	return NULL;
}

/* Makes the codec that the first byte asks for. */
static int choose_codec(struct conn *conn, uint8_t byte)
{
	const struct codec_ops *ops = codec_for(conn, byte);
	int rc;

	if (!ops)
		return msn_fail(-EPROTO);
	rc = ops->open(&conn->codec, conn);
	if (rc)
		return msn_pass(rc);
	msn_assert(conn->codec->ops == ops && conn->codec->conn == conn);
	/* It opens while the service drains: is told at once. */
	return conn->server->draining ? ops->drain(conn->codec) : 0;
}

static void feed(struct conn *conn, const uint8_t *data, size_t len)
{
	int rc;

	conn->scratch_end = data + len;
	rc = conn->codec->ops->receive(conn->codec, data, len);
	conn->scratch_end = NULL;
	if (rc)
		conn_fail(conn);
}

/* ---- the socket ---------------------------------------------------------- */

/* What one recvmsg() brought beside bytes. */
struct ancillary {
	int fds[MESSAGE_FDS_MAX];
	size_t count;
	bool cut; /* some are lost: no descriptor was free for them */
};

static void read_control(struct msghdr *msg, struct ancillary *out)
{
	struct cmsghdr *c;

	out->count = 0;
	out->cut = msg->msg_flags & MSG_CTRUNC;
	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(out->fds + out->count, CMSG_DATA(c), len);
		out->count += len / sizeof(int);
	}
}

static ssize_t receive_unix(struct conn *conn, struct ancillary *out)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(out->fds))];
	struct iovec iov = { conn->server->scratch, SERVER_SCRATCH_BYTES };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(conn->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	read_control(&msg, out);
	return n;
}

static ssize_t receive(struct conn *conn, struct ancillary *out)
{
	ssize_t n;

	out->count = 0;
	out->cut = false;
	if (msn_fault("conn.receive"))
		return -EIO;
	if (conn->tls)
		return tls_read(conn->tls, conn->server->scratch,
				SERVER_SCRATCH_BYTES);
	if (conn->link->peer.transport == MSN_TRANSPORT_UNIX)
		return receive_unix(conn, out);
	n = recv(conn->fd, conn->server->scratch, SERVER_SCRATCH_BYTES,
		 MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/* Keeps the descriptors that came, or ends the connection: none is lost
 * without a word. */
static bool take_ancillary(struct conn *conn, const struct ancillary *a)
{
	if (!a->count && !a->cut)
		return true;
	if (!a->cut && conn->codec->ops->passes_fds &&
	    keep_fds(conn, a->fds, a->count))
		return true;
	discard_fds(conn, a->fds, a->count);
	return false;
}

static void take(struct conn *conn, const uint8_t *data, size_t len,
		 const struct ancillary *a)
{
	conn->received += len;
	if (!conn->codec && choose_codec(conn, data[0])) {
		discard_fds(conn, a->fds, a->count);
		conn->dead = true;
		return;
	}
	if (take_ancillary(conn, a))
		feed(conn, data, len);
	else
		refuse(conn, "DESCRIPTORS", "too many descriptors", data, len);
}

void conn_read(struct conn *conn)
{
	struct ancillary a;

	conn->again = false;
	for (unsigned i = 0; i < READS_PER_ROUND; i++) {
		ssize_t n = receive(conn, &a);

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n <= 0) {
			conn->dead = true;
			return;
		}
		take(conn, conn->server->scratch, (size_t)n, &a);
		if (conn->dead || conn->closing)
			return;
		/* It was less than there is room for: most likely that was
		 * all, and if not the loop tells of the rest. */
		if (!conn->tls && (size_t)n < SERVER_SCRATCH_BYTES)
			return;
	}
	/* What lies in the TLS layer wakes nobody up. */
	conn->again = conn->tls && tls_has_more(conn->tls);
}
