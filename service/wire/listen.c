/*
 * Server: sockets that listen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/conn.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Connections accepted in one round of the loop. */
#define ACCEPTS_PER_ROUND 16

/* ---- what kind of socket it is ------------------------------------------- */

static int socket_int(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, SOL_SOCKET, option, &value, &len))
		return -errno;
	return value;
}

/* Is the socket bound, on this side, to this host alone? */
static bool is_loopback(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		return false;
	if (sa.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)&sa;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	return IN6_IS_ADDR_LOOPBACK(
		&((const struct sockaddr_in6 *)(const void *)&sa)->sin6_addr);
}

static const char *check_socket(const struct msn_listen_opts *opts)
{
	int domain = socket_int(opts->fd, SO_DOMAIN);

	if (domain < 0)
		return "is no socket";
	if (socket_int(opts->fd, SO_TYPE) != SOCK_STREAM)
		return "is no stream socket";
	if ((opts->transport == MSN_TRANSPORT_UNIX) != (domain == AF_UNIX))
		return "is of another kind than was said";
	if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6)
		return "is of an unknown kind";
	if (opts->transport == MSN_TRANSPORT_TCP && !is_loopback(opts->fd))
		return "without TLS must be bound to a loopback address";
	if ((opts->transport == MSN_TRANSPORT_TLS) != (opts->tls != NULL))
		return "needs TLS and nothing else does";
	return NULL;
}

static int check(const struct msn_listen_opts *opts, bool listens,
		 struct msn_failure *why)
{
	const char *bad = check_socket(opts);

	if (!bad && (socket_int(opts->fd, SO_ACCEPTCONN) == 1) != listens)
		bad = listens ? "does not listen" : "listens";
	if (bad)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "socket %d %s", opts->fd, bad);
	if (fcntl(opts->fd, F_SETFL, O_RDWR | O_NONBLOCK))
		return msn_failure_errno(why, -errno, "socket %d", opts->fd);
	return 0;
}

/* ---- accepting ----------------------------------------------------------- */

/* Answers leave at once; a peer that vanished is noticed by the kernel after
 * two minutes. */
static void tune_tcp(int fd)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 15 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 4 },
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(options); i++)
		setsockopt(fd, options[i].level, options[i].option,
			   &options[i].value, sizeof(int));
}

static int serve(struct msn_server *s, const struct msn_listen_opts *opts,
		 int fd)
{
	if (opts->transport != MSN_TRANSPORT_UNIX)
		tune_tcp(fd);
	return msn_pass(conn_new(
		s, &(struct conn_opts){ .fd = fd,
					.transport = opts->transport,
					.tls = opts->tls,
					.http_only = opts->metrics_only }));
}

static int accept_socket(const struct listener *l)
{
	if (msn_fault("listen.accept")) {
		errno = EMFILE;
		return -1;
	}
	return accept4(l->opts.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* False: nothing to accept, or nothing to accept it with. */
static bool accept_one(struct listener *l)
{
	struct msn_server *s = l->server;
	int fd = accept_socket(l);

	if (fd < 0) {
		/* Without a free descriptor the socket stays ready. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			server_pause_accept(s);
		return errno == ECONNABORTED || errno == EINTR;
	}
	if (s->conn_count >= s->opts.limits.connections) {
		msn_close(fd);
		s->refused++;
		return true;
	}
	/* One that cannot be served is closed and counted. */
	return serve(s, &l->opts, fd) != -ENOMEM;
}

static int listener_event(sd_event_source *io, int fd, uint32_t events,
			  void *arg)
{
	(void)io;
	(void)fd;
	(void)events;
	for (unsigned i = 0; i < ACCEPTS_PER_ROUND && accept_one(arg); i++)
		;
	return 0;
}

void listener_enable(struct listener *l, bool on)
{
	sd_event_source_set_enabled(l->io, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	sd_event_source_disable_unref(l->io);
	ring_remove(&l->of_server);
	msn_close(l->opts.fd);
	free(l);
}

static int listener_add(struct msn_server *s,
			const struct msn_listen_opts *opts)
{
	struct listener *l = msn_alloc(sizeof(*l));
	int rc;

	if (!l)
		return msn_fail(-ENOMEM);
	l->server = s;
	l->opts = *opts;
	l->opts.fd = -1; /* the caller closes it */
	ring_init(&l->of_server);
	rc = msn_fault("listen.source")
		     ? -ENOMEM
		     : sd_event_add_io(msn_loop_event(s->opts.loop), &l->io,
				       opts->fd, EPOLLIN, listener_event, l);
	if (rc < 0) {
		listener_free(l);
		return msn_fail(rc);
	}
	l->opts.fd = opts->fd;
	ring_push(&s->listeners, &l->of_server);
	if (s->draining || s->accept_paused)
		listener_enable(l, false);
	return 0;
}

int msn_server_listen(struct msn_server *s, const struct msn_listen_opts *opts,
		      struct msn_failure *why)
{
	int rc = check(opts, true, why);

	if (!rc) {
		rc = listener_add(s, opts);
		if (rc)
			msn_failure_errno(why, rc, "socket %d", opts->fd);
	}
	if (rc)
		msn_close(opts->fd);
	return msn_pass(rc);
}

int msn_server_adopt(struct msn_server *s, const struct msn_listen_opts *opts,
		     struct msn_failure *why)
{
	int rc = check(opts, false, why);

	if (rc) {
		msn_close(opts->fd);
		return msn_pass(rc);
	}
	rc = serve(s, opts, opts->fd);
	if (rc)
		msn_failure_errno(why, rc, "socket %d", opts->fd);
	return msn_pass(rc);
}
