/*
 * Segment set: find, insert, remove, split, isolate, merge.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything here works on leaves and leaves the levels above to
 * segset_node.c.  What may fail comes first: nodes are set aside, or a merge
 * makes them unnecessary, before the first entry moves.
 */
#include "range/segset_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

static const struct msn_seg seg_none = { NULL, 0 };

void msn_segset_init(struct msn_segset *set, const struct msn_segset_ops *ops)
{
	msn_assert(ops->value_size <= MSN_SEGSET_VALUE_MAX);
	*set = (struct msn_segset){ .ops = ops };
}

void msn_segset_deinit(struct msn_segset *set)
{
	msn_segset_free_tree(set);
	msn_segset_free_spares(set);
	set->count = 0;
	set->span = 0;
}

void msn_segset_clear(struct msn_segset *set)
{
	msn_segset_free_tree(set);
	set->count = 0;
	set->span = 0;
}

int msn_segset_reserve(struct msn_segset *set, unsigned changes)
{
	/*
	 * One change takes at most a node a level and a new root.  The root
	 * can be split by the first change, and then again only after 30 times
	 * as many have filled up the nodes below the new one.
	 */
	size_t levels = (size_t)set->height + 2;

	for (unsigned n = changes; n >= 30; n /= 30)
		levels++;
	return msn_pass(msn_segset_stock(set, changes * levels));
}

/* A position one past a leaf's end is the first one of the next leaf. */
static struct msn_seg seg_normal(struct msn_seg s)
{
	if (s.leaf && s.index == s.leaf->count)
		return (struct msn_seg){ s.leaf->next, 0 };
	return s;
}

struct msn_seg msn_segset_find(const struct msn_segset *set, uint64_t at)
{
	struct msn_segset_node *leaf;
	unsigned rank;

	if (!set->root)
		return seg_none;
	leaf = segset_leaf_for(set, at);
	rank = segset_rank(leaf, at);
	if (!rank || segset_ends(leaf)[rank - 1] <= at)
		return seg_none;
	return (struct msn_seg){ leaf, rank - 1 };
}

struct msn_seg msn_segset_lower(const struct msn_segset *set, uint64_t at)
{
	struct msn_segset_node *leaf;
	unsigned rank;

	if (!set->root)
		return seg_none;
	leaf = segset_leaf_for(set, at);
	rank = segset_rank(leaf, at);
	if (rank && segset_ends(leaf)[rank - 1] > at)
		rank--;
	return seg_normal((struct msn_seg){ leaf, rank });
}

struct msn_seg msn_segset_first(const struct msn_segset *set)
{
	if (!set->root)
		return seg_none;
	return (struct msn_seg){ segset_leaf_for(set, 0), 0 };
}

struct msn_seg msn_segset_last(const struct msn_segset *set)
{
	struct msn_segset_node *leaf;

	if (!set->root)
		return seg_none;
	leaf = segset_leaf_for(set, UINT64_MAX);
	return (struct msn_seg){ leaf, leaf->count - 1u };
}

struct msn_seg msn_seg_next(struct msn_seg s)
{
	s.index++;
	return seg_normal(s);
}

struct msn_seg msn_seg_prev(struct msn_seg s)
{
	if (s.index)
		return (struct msn_seg){ s.leaf, s.index - 1 };
	if (!s.leaf->prev)
		return seg_none;
	return (struct msn_seg){ s.leaf->prev, s.leaf->prev->count - 1u };
}

struct msn_seg_range msn_seg_range(struct msn_seg s)
{
	return segset_entry_range(s.leaf, s.index);
}

void *msn_seg_value(const struct msn_segset *set, struct msn_seg s)
{
	(void)set;
	return segset_payload(s.leaf, s.index);
}

void msn_segset_set_value(struct msn_segset *set, struct msn_seg s,
			  const void *value)
{
	if (set->ops->value_size)
		memcpy(msn_seg_value(set, s), value, set->ops->value_size);
}

void msn_segset_resize(struct msn_segset *set, struct msn_seg s,
		       struct msn_seg_range r)
{
	struct msn_seg_range old = msn_seg_range(s);

	set->span += (r.end - r.start) - (old.end - old.start);
	segset_starts(s.leaf)[s.index] = r.start;
	segset_ends(s.leaf)[s.index] = r.end;
	msn_segset_node_settle_at(s.leaf, s.index);
}

struct msn_seg msn_segset_join(struct msn_segset *set, struct msn_seg s)
{
	struct msn_seg next = msn_seg_next(s), after;
	struct msn_seg_range a = msn_seg_range(s), b = msn_seg_range(next);

	msn_assert(a.end == b.start);
	after = msn_segset_remove(set, next);
	s = msn_seg_ok(after) ? msn_seg_prev(after) : msn_segset_last(set);
	msn_segset_resize(set, s, (struct msn_seg_range){ a.start, b.end });
	return s;
}

/* Makes *@s and its right neighbour one, if they touch and may. */
static bool seg_absorb_next(struct msn_segset *set, struct msn_seg *s)
{
	struct msn_seg next = msn_seg_next(*s);
	struct msn_seg_range a = msn_seg_range(*s), b;

	if (!set->ops->merge || !msn_seg_ok(next))
		return false;
	b = msn_seg_range(next);
	if (a.end != b.start || !set->ops->merge(a, msn_seg_value(set, *s), b,
						 msn_seg_value(set, next)))
		return false;
	*s = msn_segset_join(set, *s);
	return true;
}

/*
 * Makes @r part of a neighbour: @prev ends at or below it, @next starts at or
 * above it.  *@out becomes the segment that holds it.
 */
static bool segset_merge_in(struct msn_segset *set, struct msn_seg_range r,
			    const void *value, struct msn_seg prev,
			    struct msn_seg next, struct msn_seg *out)
{
	_Alignas(16) unsigned char copy[MSN_SEGSET_VALUE_MAX];
	struct msn_seg_range a = { 0, 0 }, b = { 0, 0 };
	bool left, right;

	if (msn_seg_ok(prev))
		a = msn_seg_range(prev);
	if (msn_seg_ok(next))
		b = msn_seg_range(next);
	left = msn_seg_ok(prev) && a.end == r.start;
	right = msn_seg_ok(next) && b.start == r.end;
	if (!left && !right)
		return false;
	if (set->ops->value_size)
		memcpy(copy, value, set->ops->value_size);
	if (left && set->ops->merge(a, msn_seg_value(set, prev), r, copy)) {
		msn_segset_resize(set, prev,
				  (struct msn_seg_range){ a.start, r.end });
		*out = prev;
		if (right)
			(void)seg_absorb_next(set, out);
		return true;
	}
	if (right && set->ops->merge(r, copy, b, msn_seg_value(set, next))) {
		msn_segset_set_value(set, next, copy);
		msn_segset_resize(set, next,
				  (struct msn_seg_range){ r.start, b.end });
		*out = next;
		return true;
	}
	return false;
}

static int segset_put(struct msn_segset *set, struct msn_seg_range r,
		      const void *value, bool merge, struct msn_seg *out)
{
	struct msn_segset_node *leaf = NULL;
	struct msn_seg prev = seg_none, next = seg_none, at;
	unsigned rank = 0;
	int rc;

	msn_assert(r.start < r.end);
	if (set->root) {
		leaf = segset_leaf_for(set, r.start);
		rank = segset_rank(leaf, r.start);
		/* Rank 0 happens in the first leaf only: see segset_slot_for */
		if (rank)
			prev = (struct msn_seg){ leaf, rank - 1 };
		next = seg_normal((struct msn_seg){ leaf, rank });
		msn_assert(!msn_seg_ok(prev) ||
			   msn_seg_range(prev).end <= r.start);
		msn_assert(!msn_seg_ok(next) ||
			   msn_seg_range(next).start >= r.end);
	}
	if (merge && set->ops->merge &&
	    segset_merge_in(set, r, value, prev, next, &at)) {
		if (out)
			*out = at;
		return 0;
	}
	rc = msn_segset_stock(set, leaf ? msn_segset_nodes_for(leaf) : 1);
	if (rc)
		return msn_pass(rc);
	if (!leaf)
		leaf = msn_segset_plant(set);
	at = msn_segset_node_add(set, leaf, rank,
				 (struct msn_segset_entry){ r, value });
	set->count++;
	set->span += r.end - r.start;
	if (out)
		*out = at;
	return 0;
}

int msn_segset_insert(struct msn_segset *set, struct msn_seg_range r,
		      const void *value, struct msn_seg *out)
{
	return segset_put(set, r, value, true, out);
}

int msn_segset_insert_unmerged(struct msn_segset *set, struct msn_seg_range r,
			       const void *value, struct msn_seg *out)
{
	return segset_put(set, r, value, false, out);
}

struct msn_seg msn_segset_remove(struct msn_segset *set, struct msn_seg s)
{
	struct msn_seg_range r = msn_seg_range(s);

	set->count--;
	set->span -= r.end - r.start;
	return seg_normal(msn_segset_node_drop(set, s.leaf, s.index));
}

int msn_segset_split(struct msn_segset *set, struct msn_seg s, uint64_t at,
		     struct msn_seg *left, struct msn_seg *right)
{
	struct msn_seg_range r = msn_seg_range(s);
	struct msn_seg_range upper = { at, r.end };
	void *vl, *vr;
	int rc;

	msn_assert(r.start < at && at < r.end);
	rc = msn_segset_stock(set, msn_segset_nodes_for(s.leaf));
	if (rc)
		return msn_pass(rc);
	segset_ends(s.leaf)[s.index] = at;
	*right = msn_segset_node_add(set, s.leaf, s.index + 1,
				     (struct msn_segset_entry){ upper, NULL });
	*left = msn_seg_prev(*right);
	set->count++;
	vl = msn_seg_value(set, *left);
	vr = msn_seg_value(set, *right);
	if (set->ops->value_size)
		memcpy(vr, vl, set->ops->value_size);
	if (set->ops->split)
		set->ops->split(r, vl, at, vr);
	return 0;
}

/* The segment that has @at strictly inside, or none. */
static struct msn_seg segset_crossing(const struct msn_segset *set, uint64_t at)
{
	struct msn_seg s = msn_segset_find(set, at);

	return msn_seg_ok(s) && msn_seg_range(s).start < at ? s : seg_none;
}

static int segset_cut_at(struct msn_segset *set, uint64_t at)
{
	struct msn_seg s = segset_crossing(set, at);

	if (!msn_seg_ok(s))
		return 0;
	return msn_segset_split(set, s, at, &(struct msn_seg){ 0 },
				&(struct msn_seg){ 0 });
}

/* Two cuts that both need memory must not fail between them. */
static int segset_stock_for_cuts(struct msn_segset *set, struct msn_seg_range r)
{
	struct msn_seg low = segset_crossing(set, r.start);
	struct msn_seg high = segset_crossing(set, r.end);
	unsigned room;

	if (!msn_seg_ok(low) || !msn_seg_ok(high))
		return 0;
	room = low.leaf->cap - low.leaf->count;
	if (low.leaf == high.leaf ? room >= 2
				  : room && high.leaf->count < high.leaf->cap)
		return 0;
	return msn_pass(msn_segset_reserve(set, 2));
}

int msn_segset_isolate(struct msn_segset *set, struct msn_seg_range r,
		       struct msn_seg *out)
{
	struct msn_seg s;
	int rc;

	msn_assert(r.start <= r.end);
	rc = segset_stock_for_cuts(set, r);
	if (rc)
		return msn_pass(rc);
	rc = segset_cut_at(set, r.start);
	if (rc)
		return msn_pass(rc);
	rc = segset_cut_at(set, r.end);
	if (rc)
		return msn_pass(rc);
	if (out) {
		s = msn_segset_lower(set, r.start);
		if (msn_seg_ok(s) && msn_seg_range(s).start >= r.end)
			s = seg_none;
		*out = s;
	}
	return 0;
}

void msn_segset_merge_range(struct msn_segset *set, struct msn_seg_range r)
{
	struct msn_seg s, next;

	s = msn_segset_lower(set, r.start ? r.start - 1 : 0);
	while (msn_seg_ok(s)) {
		next = msn_seg_next(s);
		if (!msn_seg_ok(next) || msn_seg_range(next).start > r.end)
			return;
		if (!seg_absorb_next(set, &s))
			s = next;
	}
}

bool msn_segset_is_free(const struct msn_segset *set, struct msn_seg_range r)
{
	struct msn_seg s = msn_segset_lower(set, r.start);

	return r.start >= r.end || !msn_seg_ok(s) ||
	       msn_seg_range(s).start >= r.end;
}
