/*
 * Segment set: every invariant of the tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "range/segset_internal.h"

/* What has been seen so far, from the left. */
struct check_walk {
	const struct msn_segset *set;
	uint64_t last_end; /* of the segment before */
	size_t count;
	uint64_t span;
};

static const char *check_node_alone(const struct check_walk *w,
				    const struct msn_segset_node *n)
{
	size_t stride = n->level ? sizeof(struct msn_segset_child)
				 : w->set->ops->value_size;

	if (n->count == 0 || n->count > n->cap)
		return "segset: a node with too few or too many entries";
	if (n->stride != stride)
		return "segset: a node with a foreign payload size";
	if (n->parent && n->prev && n->next && n->count < segset_min_fill(n))
		return "segset: an inside node is less than a third full";
	if (n->prev && (n->prev->next != n || n->prev->level != n->level))
		return "segset: broken link to the left";
	if (n->next && (n->next->prev != n || n->next->level != n->level))
		return "segset: broken link to the right";
	if (n->gap != msn_segset_node_gap(n))
		return "segset: a node's largest gap is out of date";
	return NULL;
}

static const char *check_leaf(struct check_walk *w,
			      const struct msn_segset_node *n)
{
	for (unsigned i = 0; i < n->count; i++) {
		struct msn_seg_range r = segset_entry_range(n, i);

		if (r.start >= r.end)
			return "segset: an empty segment";
		if (r.start < w->last_end)
			return "segset: segments overlap or are out of order";
		w->last_end = r.end;
		w->span += r.end - r.start;
	}
	w->count += n->count;
	return NULL;
}

static const char *check_summary(const struct msn_segset_node *n, unsigned i)
{
	const struct msn_segset_node *child = segset_child(n, i)->node;

	if (child->parent != n)
		return "segset: a child with another parent";
	if (child->level + 1 != n->level)
		return "segset: a child on the wrong level";
	if (i + 1 < n->count && child->next != segset_child(n, i + 1)->node)
		return "segset: siblings are not linked";
	if (segset_starts(n)[i] != segset_starts(child)[0])
		return "segset: a child's first start is out of date";
	if (segset_ends(n)[i] != segset_ends(child)[child->count - 1])
		return "segset: a child's last end is out of date";
	if (segset_child(n, i)->gap != child->gap)
		return "segset: a child's gap is out of date";
	return NULL;
}

/* Recursion: one turn a level, downwards. */
static const char *check_below(struct check_walk *w,
			       const struct msn_segset_node *n)
{
	const char *wrong = check_node_alone(w, n);

	if (wrong)
		return wrong;
	if (!n->level)
		return check_leaf(w, n);
	for (unsigned i = 0; i < n->count; i++) {
		wrong = check_below(w, segset_child(n, i)->node);
		if (!wrong)
			wrong = check_summary(n, i);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *check_spares(const struct msn_segset *set)
{
	size_t n = 0;

	for (struct msn_segset_node *s = set->spare; s; s = s->next)
		n++;
	return n == set->spare_count ? NULL
				     : "segset: spare nodes are miscounted";
}

const char *msn_segset_check(const struct msn_segset *set)
{
	struct check_walk w = { .set = set };
	const char *wrong = check_spares(set);

	if (wrong)
		return wrong;
	if (set->root) {
		if (set->root->parent || set->root->prev || set->root->next)
			return "segset: the root has relatives";
		if (set->root->level + 1u != set->height)
			return "segset: the height is wrong";
		if (set->root->level && set->root->count < 2)
			return "segset: the root has a single child";
		wrong = check_below(&w, set->root);
		if (wrong)
			return wrong;
	} else if (set->height) {
		return "segset: an empty set has a height";
	}
	if (w.count != set->count)
		return "segset: the number of segments is wrong";
	if (w.span != set->span)
		return "segset: the sum of lengths is wrong";
	return NULL;
}
