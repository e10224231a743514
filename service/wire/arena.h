/*
 * Arena: memory of one call, within a budget.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory is taken from chunks and given back all at once.  Each piece knows its
 * size, which is how an unpacked string with a zero byte in it is told from a
 * whole one (decode.c).
 *
 * Locks: one thread at a time.
 */
#ifndef MSN_WIRE_ARENA_H
#define MSN_WIRE_ARENA_H

#include "wire/budget.h"

#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* owned, the newest first */
	uint8_t *at, *end;	    /* what is free of the newest */
	size_t left;		    /* that may still be taken */
	size_t charged;		    /* to the budget */
	struct budget *budget;	    /* the owner's; NULL: not yet known */
	bool refused;		    /* a piece was: budget or memory */
};

/*
 * Makes an arena for @limit bytes that begins with @first (@len bytes, aligned
 * to 8), which belongs to the caller and may be NULL.
 */
void arena_init(struct arena *a, size_t limit, void *first, size_t len);
void arena_deinit(struct arena *a);

/* Gives everything back; @limit holds from now on. */
void arena_reset(struct arena *a, size_t limit);

/* What it has is charged to @budget from now on. */
void arena_set_budget(struct arena *a, struct budget *budget);

/* @size bytes, aligned to 8 and not zeroed; NULL beyond the limit. */
void *arena_alloc(struct arena *a, size_t size);

/* A copy of @len bytes with a zero behind them, or NULL. */
char *arena_text(struct arena *a, const void *data, size_t len);

/* The @size that @piece was allocated with. */
static inline size_t arena_size(const void *piece)
{
	return (size_t)((const uint64_t *)piece)[-1];
}

#endif /* MSN_WIRE_ARENA_H */
