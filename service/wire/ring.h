/*
 * Ring: a list whose links lie in what it lists.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_WIRE_RING_H
#define MSN_WIRE_RING_H

#include <stdbool.h>

/* A list's head, and a link of it; a link that is in no list points to itself.
 */
struct ring {
	struct ring *next, *prev;
};

static inline void ring_init(struct ring *r)
{
	r->next = r->prev = r;
}

static inline bool ring_is_empty(const struct ring *r)
{
	return r->next == r;
}

/* Puts @r at the end of @head's list. */
static inline void ring_push(struct ring *head, struct ring *r)
{
	r->next = head;
	r->prev = head->prev;
	head->prev->next = r;
	head->prev = r;
}

/* Takes @r out of the list that it is in, if any. */
static inline void ring_remove(struct ring *r)
{
	r->prev->next = r->next;
	r->next->prev = r->prev;
	ring_init(r);
}

#endif /* MSN_WIRE_RING_H */
