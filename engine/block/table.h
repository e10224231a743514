/*
 * Table: pointers by number, read without a lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A tree of small nodes, as high as its largest number needs: numbers that are
 * far apart cost a few nodes each, and what is not there is passed over by
 * whole subtrees.  A node is made when the first entry in it is needed and
 * stays until the end, so no entry ever moves; a reader needs two loads while
 * numbers are below MSN_TABLE_FANOUT, and one more for each level.
 *
 * Locks: the caller serializes who changes the table.  Readers need nothing: an
 * entry that was there when it was asked for is seen whole (release, acquire).
 */
#ifndef MSN_BLOCK_TABLE_H
#define MSN_BLOCK_TABLE_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

#define MSN_TABLE_BITS 5
#define MSN_TABLE_FANOUT (1u << MSN_TABLE_BITS)

/* Past the last number: enough for a GiB at every offset that a file can have.
 */
#define MSN_TABLE_END (UINT64_C(1) << 35)

struct msn_table_node {
	unsigned shift; /* bits of a number that its slots do not tell apart */
	/* Of entries where @shift is 0, else of nodes; stored with release. */
	void *slot[MSN_TABLE_FANOUT];
};

/* Zero bytes are an empty table. */
struct msn_table {
	struct msn_table_node *root; /* stored with release */
};

/* Frees the nodes and leaves the table empty; the entries are the caller's. */
void msn_table_deinit(struct msn_table *t);

/*
 * Makes sure that storing entry @nr cannot fail.  0, -ENOMEM, or -EOVERFLOW
 * from MSN_TABLE_END on.
 */
MSN_MUST_CHECK int msn_table_reserve(struct msn_table *t, uint64_t nr);

/* Before: entry @nr was reserved. */
void msn_table_put(struct msn_table *t, uint64_t nr, void *entry);

/* The first entry at or after *@nr that is not NULL, and its number; or NULL.
 */
void *msn_table_next(const struct msn_table *t, uint64_t *nr);

/* The root if @nr is among the numbers below it, else NULL. */
static inline struct msn_table_node *
msn_table_root_for(const struct msn_table *t, uint64_t nr)
{
	struct msn_table_node *n = __atomic_load_n(&t->root, __ATOMIC_ACQUIRE);

	return n && nr >> n->shift < MSN_TABLE_FANOUT ? n : NULL;
}

/* Where @n keeps what @nr belongs to. */
static inline void **msn_table_slot(struct msn_table_node *n, uint64_t nr)
{
	return &n->slot[nr >> n->shift & (MSN_TABLE_FANOUT - 1)];
}

/* Entry @nr, or NULL when there is none. */
static inline void *msn_table_get(const struct msn_table *t, uint64_t nr)
{
	struct msn_table_node *n = msn_table_root_for(t, nr);

	while (n) {
		void *in = __atomic_load_n(msn_table_slot(n, nr),
					   __ATOMIC_ACQUIRE);

		if (!n->shift)
			return in;
		n = in;
	}
	return NULL;
}

#endif /* MSN_BLOCK_TABLE_H */
