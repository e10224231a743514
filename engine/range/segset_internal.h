/*
 * Segment set: the node, shared by the segset_*.c files and nobody else.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Leaves and inner nodes have one layout: entries, each a start, an end and
 * `stride` bytes of payload.  A leaf's entry is a segment with its value; an
 * inner node's entry is the summary of a child (first start, last end) whose
 * payload is struct msn_segset_child.  So one routine searches, splits,
 * borrows and joins on every level.
 *
 * A node is a block of MSN_SEGSET_NODE_BYTES:
 *
 *    header | start[cap] | end[cap] | payload[cap]
 *
 * The three arrays are apart because a search reads nothing but starts.
 */
#ifndef MSN_RANGE_SEGSET_INTERNAL_H
#define MSN_RANGE_SEGSET_INTERNAL_H

#include "range/segset.h"

#include <string.h>

/*
 * Measured with a 64-byte value (README.md): half of this makes a million
 * segments one level higher, twice this moves more bytes than it saves misses.
 */
#ifndef MSN_SEGSET_NODE_BYTES
#define MSN_SEGSET_NODE_BYTES 2048
#endif

struct msn_segset_node {
	struct msn_segset_node *parent;	     /* NULL: the root */
	struct msn_segset_node *prev, *next; /* neighbours on this level */
	uint64_t gap;	 /* the largest gap between two segments below */
	uint16_t count;	 /* entries */
	uint16_t cap;	 /* most entries */
	uint16_t stride; /* bytes of payload an entry */
	uint16_t level;	 /* 0: a leaf */
	uint16_t slot;	 /* a guess: its entry in the parent */
	_Alignas(16) uint64_t word[];
};

/* Payload of an inner node's entry. */
struct msn_segset_child {
	uint64_t gap; /* of the child */
	struct msn_segset_node *node;
};

/* An entry on its way into a node. */
struct msn_segset_entry {
	struct msn_seg_range range;
	const void *payload; /* NULL: the caller writes it afterwards */
};

static inline uint64_t *segset_starts(const struct msn_segset_node *n)
{
	return (uint64_t *)n->word;
}

static inline uint64_t *segset_ends(const struct msn_segset_node *n)
{
	return (uint64_t *)n->word + n->cap;
}

static inline unsigned char *segset_payload(const struct msn_segset_node *n,
					    unsigned i)
{
	return (unsigned char *)(n->word + 2 * (size_t)n->cap) +
	       (size_t)i * n->stride;
}

static inline struct msn_segset_child *
segset_child(const struct msn_segset_node *n, unsigned i)
{
	return (struct msn_segset_child *)(void *)segset_payload(n, i);
}

static inline struct msn_seg_range
segset_entry_range(const struct msn_segset_node *n, unsigned i)
{
	return (struct msn_seg_range){ segset_starts(n)[i], segset_ends(n)[i] };
}

/* Entries that start at or below @at.  No branch depends on the data. */
static inline unsigned segset_rank(const struct msn_segset_node *n, uint64_t at)
{
	const uint64_t *base = n->word;
	size_t left = n->count;

	while (left > 1) {
		size_t half = left / 2;

		base += -(size_t)(base[half - 1] <= at) & half;
		left -= half;
	}
	return (unsigned)(base - n->word) + (left && *base <= at);
}

/* The entry whose subtree @at belongs to: the last that starts at or below. */
static inline unsigned segset_slot_for(const struct msn_segset_node *n,
				       uint64_t at)
{
	unsigned rank = segset_rank(n, at);

	return rank ? rank - 1 : 0;
}

/* The leaf that @at belongs to.  Before: the set is not empty. */
static inline struct msn_segset_node *
segset_leaf_for(const struct msn_segset *set, uint64_t at)
{
	struct msn_segset_node *n = set->root;

	while (n->level)
		n = segset_child(n, segset_slot_for(n, at))->node;
	return n;
}

/* Fewest entries of a node with neighbours on both sides. */
static inline unsigned segset_min_fill(const struct msn_segset_node *n)
{
	return n->cap / 3;
}

/* Makes sure that at least @nodes spare nodes are there. */
MSN_MUST_CHECK int msn_segset_stock(struct msn_segset *set, size_t nodes);

/* Spare nodes that one more entry in @leaf may take. */
size_t msn_segset_nodes_for(const struct msn_segset_node *leaf);

void msn_segset_free_spares(struct msn_segset *set);
void msn_segset_free_tree(struct msn_segset *set);

/* Makes the first leaf, with no entry in it yet.  Before: a spare is there. */
struct msn_segset_node *msn_segset_plant(struct msn_segset *set);

/*
 * Puts an entry at index @i of @n, splitting upwards as needed.  Before: the
 * spares that msn_segset_nodes_for() asks for are there.  Returns where it is.
 */
struct msn_seg msn_segset_node_add(struct msn_segset *set,
				   struct msn_segset_node *n, unsigned i,
				   struct msn_segset_entry e);

/*
 * Takes entry @i out of @n, borrowing and joining upwards as needed.  Returns
 * the place of the entry after it, which may be one past the end of a leaf.
 */
struct msn_seg msn_segset_node_drop(struct msn_segset *set,
				    struct msn_segset_node *n, unsigned i);

/* The largest gap below @n, found anew from its entries. */
uint64_t msn_segset_node_gap(const struct msn_segset_node *n);

/* Brings the summaries of @n and everything above up to date. */
void msn_segset_node_settle(struct msn_segset_node *n);

/*
 * As above when entry @i came, changed, or went from before it: an entry in the
 * middle of a leaf that leaves the largest gap as it was ends the matter there,
 * without a look at the parent.
 */
void msn_segset_node_settle_at(struct msn_segset_node *n, unsigned i);

#endif /* MSN_RANGE_SEGSET_INTERNAL_H */
