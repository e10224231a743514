/*
 * Listen: addresses become listening sockets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_DAEMON_LISTEN_H
#define MSN_DAEMON_LISTEN_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "wire/peer.h"

#include <sys/types.h>

struct msn_address {
	enum msn_transport transport;
	char path[108]; /* of a Unix socket */
	char host[64];	/* numeric */
	unsigned short port;
};

/*
 * "unix:/path", "tcp:127.0.0.1:7000", "tcp:[::1]:7000".  INVALID says what is
 * wrong; plaintext is for the loopback only.
 */
MSN_MUST_CHECK int msn_address_parse(const char *text, struct msn_address *out,
				     struct msn_failure *why);

/*
 * A socket that listens there; the caller closes it.  A Unix socket that nobody
 * listens on any more is replaced, with mode @mode; EXISTS if somebody does, or
 * if something else is there.
 */
MSN_MUST_CHECK int msn_address_listen(const struct msn_address *a, mode_t mode,
				      int *fd, struct msn_failure *why);

/* Takes the path of a Unix socket away; of another address, nothing. */
void msn_address_forget(const struct msn_address *a);

/* How it would be given again, with the port that @fd got. */
void msn_address_format(const struct msn_address *a, int fd, char *out,
			size_t size);

#endif /* MSN_DAEMON_LISTEN_H */
