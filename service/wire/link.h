/*
 * Link: what a connection and its calls share, and what outlives the connection
 * while a call does.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Locks: the fields are set before the first call is opened; counters any
 * thread.
 */
#ifndef MSN_WIRE_LINK_H
#define MSN_WIRE_LINK_H

#include "wire/owner.h"
#include "wire/peer.h"

struct conn;

struct link {
	atomic_uint refs;
	struct msn_peer peer; /* its pidfd is closed with the link */
	gid_t *groups;	      /* the peer's; owned */
	struct owner *owner;  /* a reference; NULL until it is known */
	struct conn *conn;    /* thread of the loop; NULL: it is gone */

	/*
	 * Bytes that came for calls and that no handler has taken.  Whoever
	 * takes some and then finds `paused` tells the loop thread; that one
	 * sets `paused` and then looks at `inbox` once more.
	 */
	atomic_size_t inbox;
	atomic_bool paused;
};

struct link *link_new(void);

/* Fills the peer with what the kernel says of this socket. */
MSN_MUST_CHECK int link_identify(struct link *l, int fd,
				 enum msn_transport transport);

/* Opens the peer's pidfd, if it is not open, where the kernel can. */
void link_open_pidfd(struct link *l, int fd);

struct link *link_ref(struct link *l);
struct link *link_unref(struct link *l);

#endif /* MSN_WIRE_LINK_H */
