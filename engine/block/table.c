/*
 * Table: a tree that grows at its root.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "block/table.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

/* Recursion: one turn a level, downwards. */
static void node_free(struct msn_table_node *n)
{
	for (size_t i = 0; n->shift && i < MSN_TABLE_FANOUT; i++)
		if (n->slot[i])
			node_free(n->slot[i]);
	free(n);
}

void msn_table_deinit(struct msn_table *t)
{
	if (t->root)
		node_free(t->root);
	t->root = NULL;
}

static struct msn_table_node *node_new(unsigned shift)
{
	struct msn_table_node *n = msn_alloc(sizeof(*n));

	if (n)
		n->shift = shift;
	return n;
}

/* Puts roots above the one that there is until @nr is below one. */
static int cover(struct msn_table *t, uint64_t nr)
{
	while (!msn_table_root_for(t, nr)) {
		struct msn_table_node *old = t->root, *n;
		unsigned shift = old ? old->shift + MSN_TABLE_BITS : 0;

		/* The first one can be as high as it has to be. */
		while (!old && nr >> shift >= MSN_TABLE_FANOUT)
			shift += MSN_TABLE_BITS;
		n = node_new(shift);
		if (!n)
			return msn_fail(-ENOMEM);
		n->slot[0] = old;
		__atomic_store_n(&t->root, n, __ATOMIC_RELEASE);
	}
	return 0;
}

int msn_table_reserve(struct msn_table *t, uint64_t nr)
{
	int rc = nr < MSN_TABLE_END ? cover(t, nr) : msn_fail(-EOVERFLOW);

	if (rc)
		return msn_pass(rc);
	for (struct msn_table_node *n = t->root; n->shift;) {
		void **slot = msn_table_slot(n, nr);

		if (!*slot) {
			struct msn_table_node *below =
				node_new(n->shift - MSN_TABLE_BITS);

			if (!below)
				return msn_fail(-ENOMEM);
			__atomic_store_n(slot, below, __ATOMIC_RELEASE);
		}
		n = *slot;
	}
	return 0;
}

void msn_table_put(struct msn_table *t, uint64_t nr, void *entry)
{
	struct msn_table_node *n = msn_table_root_for(t, nr);

	while (n && n->shift)
		n = *msn_table_slot(n, nr);
	msn_assert(n);
	__atomic_store_n(msn_table_slot(n, nr), entry, __ATOMIC_RELEASE);
}

void *msn_table_next(const struct msn_table *t, uint64_t *nr)
{
	struct msn_table_node *n;

	while ((n = msn_table_root_for(t, *nr))) {
		void *in = __atomic_load_n(msn_table_slot(n, *nr),
					   __ATOMIC_ACQUIRE);

		while (in && n->shift) {
			n = in;
			in = __atomic_load_n(msn_table_slot(n, *nr),
					     __ATOMIC_ACQUIRE);
		}
		if (in)
			return in;
		/* On to the next slot, perhaps of another node. */
		*nr = ((*nr >> n->shift) + 1) << n->shift;
	}
	return NULL;
}
