/*
 * Segment set: nodes.  Split, borrow, join, and the summaries that inner nodes
 * keep of their children.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A node that overflows is cut in the middle, unless it stands at an edge of
 * its level and grows outwards: then the full node stays as it is and the
 * entry opens a new one, so that a set filled in order has full nodes.  Nodes
 * at the edges may therefore hold as little as one entry; all others hold at
 * least a third.
 */
#include "range/segset_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Nodes that a shrinking set keeps instead of freeing them: enough for a
 * change that goes back and forth over a node border on every level.
 */
#define SEGSET_SPARES_KEPT 8

int msn_segset_stock(struct msn_segset *set, size_t nodes)
{
	while (set->spare_count < nodes) {
		struct msn_segset_node *n =
			msn_alloc_aligned(64, MSN_SEGSET_NODE_BYTES);

		if (!n)
			return msn_fail(-ENOMEM);
		n->next = set->spare;
		set->spare = n;
		set->spare_count++;
	}
	return 0;
}

size_t msn_segset_nodes_for(const struct msn_segset_node *leaf)
{
	const struct msn_segset_node *n = leaf;
	size_t nodes = 0;

	while (n && n->count == n->cap) {
		nodes += n->parent ? 1 : 2;
		n = n->parent;
	}
	return nodes;
}

static struct msn_segset_node *node_take(struct msn_segset *set, unsigned level)
{
	struct msn_segset_node *n = set->spare;
	size_t stride =
		level ? sizeof(struct msn_segset_child) : set->ops->value_size;

	msn_assert(n);
	set->spare = n->next;
	set->spare_count--;
	n->parent = n->prev = n->next = NULL;
	n->gap = 0;
	n->count = 0;
	n->stride = (uint16_t)stride;
	n->cap = (uint16_t)((MSN_SEGSET_NODE_BYTES - sizeof(*n)) /
			    (2 * sizeof(uint64_t) + stride));
	n->level = (uint16_t)level;
	n->slot = 0;
	return n;
}

static void node_give_back(struct msn_segset *set, struct msn_segset_node *n)
{
	if (set->spare_count >= SEGSET_SPARES_KEPT) {
		free(n);
		return;
	}
	n->next = set->spare;
	set->spare = n;
	set->spare_count++;
}

void msn_segset_free_spares(struct msn_segset *set)
{
	struct msn_segset_node *n;

	while ((n = set->spare)) {
		set->spare = n->next;
		free(n);
	}
	set->spare_count = 0;
}

static struct msn_segset_node *node_leftmost_child(struct msn_segset_node *n)
{
	return n->level ? segset_child(n, 0)->node : NULL;
}

/* Level by level along the links, so that no recursion is needed. */
void msn_segset_free_tree(struct msn_segset *set)
{
	struct msn_segset_node *level = set->root;

	while (level) {
		struct msn_segset_node *below = node_leftmost_child(level);

		while (level) {
			struct msn_segset_node *next = level->next;

			node_give_back(set, level);
			level = next;
		}
		level = below;
	}
	set->root = NULL;
	set->height = 0;
}

struct msn_segset_node *msn_segset_plant(struct msn_segset *set)
{
	set->root = node_take(set, 0);
	set->height = 1;
	return set->root;
}

static struct msn_seg_range node_range(const struct msn_segset_node *n)
{
	return (struct msn_seg_range){ segset_starts(n)[0],
				       segset_ends(n)[n->count - 1] };
}

/* Moves @count entries: the places in @dst are free or move along. */
static void node_copy(struct msn_segset_node *dst, unsigned di,
		      const struct msn_segset_node *src, unsigned si,
		      unsigned count)
{
	memmove(segset_starts(dst) + di, segset_starts(src) + si,
		count * sizeof(uint64_t));
	memmove(segset_ends(dst) + di, segset_ends(src) + si,
		count * sizeof(uint64_t));
	memmove(segset_payload(dst, di), segset_payload(src, si),
		(size_t)count * dst->stride);
}

/* As node_copy() between two nodes: children learn of their new parent. */
static void node_move(struct msn_segset_node *dst, unsigned di,
		      struct msn_segset_node *src, unsigned si, unsigned count)
{
	node_copy(dst, di, src, si, count);
	for (unsigned i = 0; dst->level && i < count; i++)
		segset_child(dst, di + i)->node->parent = dst;
}

static void node_write(struct msn_segset_node *n, unsigned i,
		       struct msn_segset_entry e)
{
	segset_starts(n)[i] = e.range.start;
	segset_ends(n)[i] = e.range.end;
	if (e.payload && n->stride)
		memcpy(segset_payload(n, i), e.payload, n->stride);
	if (n->level)
		segset_child(n, i)->node->parent = n;
}

/* Which entry of its parent is @n?  Mostly the same one as last time. */
static unsigned node_slot(struct msn_segset_node *n)
{
	const struct msn_segset_node *parent = n->parent;
	unsigned slot = n->slot;

	if (slot < parent->count && segset_child(parent, slot)->node == n)
		return slot;
	/*
	 * The parent's starts may be out of date, but only so far that the
	 * search ends one entry too low; an emptied node has no start at all.
	 */
	slot = n->count ? segset_slot_for(parent, segset_starts(n)[0]) : 0;
	while (slot < parent->count && segset_child(parent, slot)->node != n)
		slot++;
	msn_assert(slot < parent->count);
	n->slot = (uint16_t)slot;
	return slot;
}

uint64_t msn_segset_node_gap(const struct msn_segset_node *n)
{
	const uint64_t *starts = segset_starts(n);
	const uint64_t *ends = segset_ends(n);
	uint64_t gap = 0, inside = 0;

	for (unsigned i = 1; i < n->count; i++) {
		uint64_t between = starts[i] - ends[i - 1];

		gap = between > gap ? between : gap;
	}
	if (!n->level)
		return gap;
	for (unsigned i = 0; i < n->count; i++) {
		uint64_t below = segset_child(n, i)->gap;

		inside = below > inside ? below : inside;
	}
	return gap > inside ? gap : inside;
}

/* The largest gap inside entry @i of an inner node and on both sides of it. */
static uint64_t node_gap_around(const struct msn_segset_node *n, unsigned i)
{
	const uint64_t *starts = segset_starts(n);
	const uint64_t *ends = segset_ends(n);
	uint64_t gap = segset_child(n, i)->gap;

	if (i > 0 && starts[i] - ends[i - 1] > gap)
		gap = starts[i] - ends[i - 1];
	if (i + 1 < n->count && starts[i + 1] - ends[i] > gap)
		gap = starts[i + 1] - ends[i];
	return gap;
}

/* Writes the summary of @child into its entry @i; the gap of @n stays. */
static void node_summarize(struct msn_segset_node *n, unsigned i,
			   const struct msn_segset_node *child)
{
	struct msn_seg_range r = node_range(child);

	segset_starts(n)[i] = r.start;
	segset_ends(n)[i] = r.end;
	segset_child(n, i)->gap = child->gap;
}

/* Is the summary of @child in its entry @i out of date? */
static bool node_is_stale(const struct msn_segset_node *n, unsigned i,
			  const struct msn_segset_node *child)
{
	struct msn_seg_range r = node_range(child);

	return segset_starts(n)[i] != r.start || segset_ends(n)[i] != r.end ||
	       segset_child(n, i)->gap != child->gap;
}

/*
 * Carries the summary of @n upwards until nothing changes.  The gap of a
 * parent is searched anew only when the part that changed held the largest.
 */
static void node_tell_parents(struct msn_segset_node *n)
{
	struct msn_segset_node *parent;

	for (; (parent = n->parent); n = parent) {
		unsigned slot = node_slot(n);
		uint64_t before, after;

		if (!node_is_stale(parent, slot, n))
			return;
		before = node_gap_around(parent, slot);
		node_summarize(parent, slot, n);
		after = node_gap_around(parent, slot);
		if (after >= parent->gap)
			parent->gap = after;
		else if (before == parent->gap)
			parent->gap = msn_segset_node_gap(parent);
	}
}

void msn_segset_node_settle(struct msn_segset_node *n)
{
	n->gap = msn_segset_node_gap(n);
	node_tell_parents(n);
}

void msn_segset_node_settle_at(struct msn_segset_node *n, unsigned i)
{
	uint64_t gap = msn_segset_node_gap(n);

	/* A split or join changed a second entry of an inner node. */
	if (!n->level && gap == n->gap && i > 0 && i + 1 < n->count)
		return;
	n->gap = gap;
	node_tell_parents(n);
}

/* Moves the entries from @cut on to a new right neighbour. */
static struct msn_segset_node *
node_split(struct msn_segset *set, struct msn_segset_node *n, unsigned cut)
{
	struct msn_segset_node *right = node_take(set, n->level);

	right->parent = n->parent;
	right->prev = n;
	right->next = n->next;
	if (n->next)
		n->next->prev = right;
	n->next = right;
	right->count = (uint16_t)(n->count - cut);
	node_move(right, 0, n, cut, right->count);
	n->count = (uint16_t)cut;
	return right;
}

/* Where to cut a full node that is to get an entry at @i. */
static unsigned node_cut_for(const struct msn_segset_node *n, unsigned i)
{
	if (i == n->count && !n->next)
		return n->count;
	if (i == 0 && !n->prev)
		return 0;
	return n->count / 2;
}

static struct msn_segset_entry node_entry(const struct msn_segset_node *n,
					  struct msn_segset_child *child)
{
	child->gap = n->gap;
	child->node = (struct msn_segset_node *)n;
	return (struct msn_segset_entry){ node_range(n), child };
}

static void node_new_root(struct msn_segset *set, struct msn_segset_node *left,
			  struct msn_segset_node *right)
{
	struct msn_segset_node *root = node_take(set, left->level + 1u);
	struct msn_segset_child child;

	root->count = 2;
	node_write(root, 0, node_entry(left, &child));
	node_write(root, 1, node_entry(right, &child));
	root->gap = msn_segset_node_gap(root);
	set->root = root;
	set->height++;
}

/* @n was split: enters @right above. */
static void node_enter_sibling(struct msn_segset *set,
			       struct msn_segset_node *n,
			       struct msn_segset_node *right)
{
	struct msn_segset_child child;
	unsigned slot;

	n->gap = msn_segset_node_gap(n);
	right->gap = msn_segset_node_gap(right);
	if (!n->parent) {
		node_new_root(set, n, right);
		return;
	}
	slot = node_slot(n);
	node_summarize(n->parent, slot, n);
	(void)msn_segset_node_add(set, n->parent, slot + 1,
				  node_entry(right, &child));
}

static void node_put(struct msn_segset_node *n, unsigned i,
		     struct msn_segset_entry e)
{
	node_copy(n, i + 1, n, i, n->count - i);
	n->count++;
	node_write(n, i, e);
}

/* Recursion: one turn a level, upwards. */
struct msn_seg msn_segset_node_add(struct msn_segset *set,
				   struct msn_segset_node *n, unsigned i,
				   struct msn_segset_entry e)
{
	struct msn_segset_node *right;
	unsigned cut;

	if (n->count < n->cap) {
		node_put(n, i, e);
		msn_segset_node_settle_at(n, i);
		return (struct msn_seg){ n, i };
	}
	cut = node_cut_for(n, i);
	right = node_split(set, n, cut);
	if (i > cut || !right->count) {
		node_put(right, i - cut, e);
		node_enter_sibling(set, n, right);
		return (struct msn_seg){ right, i - cut };
	}
	node_put(n, i, e);
	node_enter_sibling(set, n, right);
	return (struct msn_seg){ n, i };
}

static void node_unlink(struct msn_segset *set, struct msn_segset_node *n)
{
	if (n->prev)
		n->prev->next = n->next;
	if (n->next)
		n->next->prev = n->prev;
	node_give_back(set, n);
}

/* The root may be as empty as it likes, but not a chain. */
static void root_shrink(struct msn_segset *set)
{
	struct msn_segset_node *root = set->root;

	while (root &&
	       (root->count == 0 || (root->level && root->count == 1))) {
		set->root = root->count ? segset_child(root, 0)->node : NULL;
		set->height--;
		node_give_back(set, root);
		root = set->root;
		if (root)
			root->parent = NULL;
	}
}

/* Moves entries over the border of two neighbours until both have as many. */
static void node_level_out(struct msn_segset_node *left,
			   struct msn_segset_node *right)
{
	unsigned want = (left->count + right->count) / 2u;
	unsigned n;

	if (left->count > want) {
		n = left->count - want;
		node_copy(right, n, right, 0, right->count);
		node_move(right, 0, left, want, n);
		right->count = (uint16_t)(right->count + n);
	} else {
		n = want - left->count;
		node_move(left, left->count, right, 0, n);
		right->count = (uint16_t)(right->count - n);
		node_copy(right, 0, right, n, right->count);
	}
	left->count = (uint16_t)want;
}

static void node_summarize_two(struct msn_segset_node *left, unsigned slot,
			       struct msn_segset_node *right)
{
	left->gap = msn_segset_node_gap(left);
	right->gap = msn_segset_node_gap(right);
	node_summarize(left->parent, slot, left);
	node_summarize(left->parent, slot + 1, right);
	msn_segset_node_settle(left->parent);
}

/* An emptied node without a sibling: goes, and its parent with it. */
static struct msn_seg node_vanish(struct msn_segset *set,
				  struct msn_segset_node *n)
{
	struct msn_seg after = { n->next, 0 };
	struct msn_segset_node *parent = n->parent;

	node_unlink(set, n);
	(void)msn_segset_node_drop(set, parent, 0);
	return after;
}

/* @n has too few entries: joins it with a sibling, or levels the two. */
static struct msn_seg node_refill(struct msn_segset *set,
				  struct msn_segset_node *n, unsigned i)
{
	struct msn_segset_node *parent = n->parent;
	unsigned slot = node_slot(n);
	struct msn_segset_node *left, *right;
	unsigned before;

	if (slot)
		slot--;
	left = segset_child(parent, slot)->node;
	right = segset_child(parent, slot + 1)->node;
	before = left->count;
	if (before + right->count > n->cap) {
		node_level_out(left, right);
		node_summarize_two(left, slot, right);
		/* The one with too few entries is never the one that gives. */
		if (n == right)
			i += before - left->count;
		return (struct msn_seg){ n, i };
	}
	node_move(left, before, right, 0, right->count);
	left->count = (uint16_t)(before + right->count);
	if (n == right)
		i += before;
	node_unlink(set, right);
	left->gap = msn_segset_node_gap(left);
	node_summarize(parent, slot, left);
	(void)msn_segset_node_drop(set, parent, slot + 1);
	return (struct msn_seg){ left, i };
}

/* Recursion: one turn a level, upwards. */
struct msn_seg msn_segset_node_drop(struct msn_segset *set,
				    struct msn_segset_node *n, unsigned i)
{
	n->count--;
	node_copy(n, i, n, i + 1, n->count - i);
	if (!n->parent) {
		n->gap = msn_segset_node_gap(n);
		root_shrink(set);
		return (struct msn_seg){ set->root ? n : NULL, i };
	}
	if (n->count < segset_min_fill(n) || !n->count) {
		if (n->parent->count > 1)
			return node_refill(set, n, i);
		if (!n->count)
			return node_vanish(set, n);
	}
	msn_segset_node_settle_at(n, i);
	return (struct msn_seg){ n, i };
}
