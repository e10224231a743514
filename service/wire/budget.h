/*
 * Budget: how much memory callers may make this process hold.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Counted are bytes that came and nobody has handled, requests that are being
 * decoded, and answers that have not left.  There is one sum for all, and one
 * for each owner, so that nobody can use up what others need:
 *
 *    a quarter of all    what an owner's streams send waits until their own
 *                        queues are empty
 *    half of all         the owner's new calls are refused, half frames end
 *                        their connections
 *    all                 the same for everybody who holds something
 *
 * Locks: any thread; counters only.
 */
#ifndef MSN_WIRE_BUDGET_H
#define MSN_WIRE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
	atomic_size_t used;
	size_t limit;	       /* set once */
	struct budget *of_all; /* set once; NULL for the sum of all */
};

static inline void budget_charge(struct budget *b, size_t len)
{
	atomic_fetch_add_explicit(&b->used, len, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->of_all->used, len, memory_order_relaxed);
}

static inline void budget_return(struct budget *b, size_t len)
{
	atomic_fetch_sub_explicit(&b->used, len, memory_order_relaxed);
	atomic_fetch_sub_explicit(&b->of_all->used, len, memory_order_relaxed);
}

static inline size_t budget_used(const struct budget *b)
{
	return atomic_load_explicit(&b->used, memory_order_relaxed);
}

static inline bool budget_is_tight(const struct budget *b)
{
	return budget_used(b) > b->of_all->limit / 4;
}

/* Would @more be too much? */
static inline bool budget_is_full(const struct budget *b, size_t more)
{
	size_t used = budget_used(b);

	return used + more > b->limit ||
	       (used > 0 && budget_used(b->of_all) + more > b->of_all->limit);
}

#endif /* MSN_WIRE_BUDGET_H */
