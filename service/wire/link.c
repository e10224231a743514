/*
 * Link: see link.h; and who is at the other end of a socket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/link.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

struct link *link_new(void)
{
	struct link *l = msn_alloc(sizeof(*l));

	if (l) {
		atomic_init(&l->refs, 1);
		l->peer.pidfd = -1;
	}
	return l;
}

struct link *link_ref(struct link *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

struct link *link_unref(struct link *l)
{
	if (!l ||
	    atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	owner_unref(l->owner);
	msn_close(l->peer.pidfd);
	free(l->groups);
	free(l);
	return NULL;
}

/* Until authenticate() has said better: everybody may do everything. */
static void set_default(struct msn_peer *p, const char *owner)
{
	p->role = MSN_ROLE_ADMIN;
	snprintf(p->owner, sizeof(p->owner), "%s", owner);
}

/* As many as there were when the socket was connected. */
static int read_groups(struct link *l, int fd)
{
	socklen_t len = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
		return 0;
	if (errno != ERANGE)
		return msn_fail(-ENOTCONN);
	l->groups = msn_alloc(len);
	if (!l->groups)
		return msn_fail(-ENOMEM);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, l->groups, &len))
		return msn_fail(-ENOTCONN);
	l->peer.groups = l->groups;
	l->peer.group_count = len / sizeof(*l->groups);
	return 0;
}

static int identify_unix(struct link *l, int fd)
{
	struct msn_peer *p = &l->peer;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char owner[32];

	if (msn_fault("link.peercred") ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return msn_fail(-ENOTCONN);
	p->uid = cred.uid;
	p->gid = cred.gid;
	p->pid = cred.pid;
	snprintf(p->address, sizeof(p->address), "unix:%d", (int)cred.pid);
	snprintf(owner, sizeof(owner), "uid:%u", (unsigned)cred.uid);
	set_default(p, owner);
	return msn_pass(read_groups(l, fd));
}

static int identify_tcp(struct msn_peer *p, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char host[48], port[8];

	if (getpeername(fd, (struct sockaddr *)&sa, &len) ||
	    getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return msn_fail(-ENOTCONN);
	p->uid = (uid_t)-1;
	p->gid = (gid_t)-1;
	snprintf(p->address, sizeof(p->address),
		 strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	set_default(p, "tcp");
	return 0;
}

int link_identify(struct link *l, int fd, enum msn_transport transport)
{
	l->peer.transport = transport;
	return msn_pass(transport == MSN_TRANSPORT_UNIX
				? identify_unix(l, fd)
				: identify_tcp(&l->peer, fd));
}

void link_open_pidfd(struct link *l, int fd)
{
	int pidfd;
	socklen_t len = sizeof(pidfd);

	if (l->peer.transport == MSN_TRANSPORT_UNIX && l->peer.pidfd < 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
		l->peer.pidfd = pidfd;
}
