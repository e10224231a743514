/*
 * Message: bytes on their way out.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    | headroom | head | payload | tail |        and descriptors beside it
 *
 * One allocation but for the payload, which lies elsewhere and is not copied.
 * A codec writes its frame in front of the head.  A message that is charged to
 * a call gives that back when it goes, sent or not: this is how senders that
 * wait learn of room.
 *
 * Locks: one thread at a time.
 */
#ifndef MSN_WIRE_MESSAGE_H
#define MSN_WIRE_MESSAGE_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

struct msn_call;
struct msn_payload;

/* Room for frames: 10 bytes of ttrpc and what its Response puts around. */
#define MESSAGE_HEADROOM 32

struct message {
	struct message *next;	     /* of whoever has it */
	struct msn_payload *payload; /* owned, or NULL */
	uint8_t *head, *tail;	     /* in `bytes` */
	size_t head_len, tail_len;
	int *fds; /* owned, with what they say; closed when sent */
	size_t fd_count;
	struct msn_call *call; /* a reference; or NULL */
	size_t charge;	       /* of its queue */
	uint8_t bytes[];
};

/* A message of @len bytes, to be written to `head`; or NULL. */
MSN_MUST_CHECK struct message *message_new(size_t len);

/* Frees what it has; returns NULL.  NULL is allowed. */
struct message *message_free(struct message *m);
MSN_DEFINE_AUTO(struct message, message_free)

/* Makes room for @len bytes (of the headroom) in front of the head. */
uint8_t *message_prepend(struct message *m, size_t len);

/* All bytes of it. */
size_t message_len(const struct message *m);

/* Closes the descriptors and forgets them. */
void message_close_fds(struct message *m);

/* Closes descriptors of this process's own, and frees the list. */
void close_fds(int *fds, size_t count);

#endif /* MSN_WIRE_MESSAGE_H */
