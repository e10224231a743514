/*
 * Peer: who is at the other end of a connection.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Filled when a connection is accepted, by the server's authenticate() hook;
 * what a peer is called and may do is decided there (service/auth) and not
 * here.
 */
#ifndef MSN_WIRE_PEER_H
#define MSN_WIRE_PEER_H

#include "wire/method.h"

#include <stdbool.h>
#include <sys/types.h>

enum msn_transport {
	MSN_TRANSPORT_UNIX = 1,
	MSN_TRANSPORT_TCP, /* loopback, plaintext */
	MSN_TRANSPORT_TLS,
};

struct msn_peer {
	enum msn_transport transport;

	/* Unix sockets, as the kernel says: the connecting process. */
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary; the connection's */
	size_t group_count;
	pid_t pid;
	/*
	 * For methods with MSN_METHOD_PEER_PIDFD, others do not look; -1: none.
	 * Of the process that connected, whatever has its number today.
	 * Not the handler's to close.
	 */
	int pidfd;

	/*
	 * TLS: the verified certificate's first URI or DNS name, which a colon
	 * tells apart; or "".
	 */
	char certificate[128];

	/* By authenticate(): whose things it sees, and what it may do. */
	char owner[80]; /* "uid:1000", "tenant:NAME" */
	enum msn_role role;
	char address[64]; /* for logs: "unix:4711", "127.0.0.1:53412" */
};

#endif /* MSN_WIRE_PEER_H */
