/*
 * Segment set: the first and the last gap that is large enough.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Walks the tree and passes over every child whose largest gap is too small.
 * A child that lies wholly inside the bounds and is not passed over holds an
 * answer, unless alignment spoils it; a child that crosses a bound may have
 * its gap outside, which can happen once a level and bound.  Hence O(log n).
 */
#include "range/segset_internal.h"

#include "base/assert.h"

struct gap_query {
	struct msn_seg_range within;
	uint64_t length, align;
	uint64_t *start; /* the answer */
};

/* The part of the gap [from, to) inside the bounds. */
static struct msn_seg_range gap_clip(const struct gap_query *q, uint64_t from,
				     uint64_t to)
{
	return (struct msn_seg_range){
		from > q->within.start ? from : q->within.start,
		to < q->within.end ? to : q->within.end,
	};
}

static bool gap_fits_low(const struct gap_query *q, uint64_t from, uint64_t to)
{
	struct msn_seg_range r = gap_clip(q, from, to);
	uint64_t skip = -r.start & (q->align - 1);

	if (r.start >= r.end || r.end - r.start < q->length ||
	    r.end - r.start - q->length < skip)
		return false;
	*q->start = r.start + skip;
	return true;
}

static bool gap_fits_high(const struct gap_query *q, uint64_t from, uint64_t to)
{
	struct msn_seg_range r = gap_clip(q, from, to);
	uint64_t at;

	if (r.start >= r.end || r.end - r.start < q->length)
		return false;
	at = (r.end - q->length) & ~(q->align - 1);
	if (at < r.start)
		return false;
	*q->start = at;
	return true;
}

/* Can the gaps inside entry @i of an inner node hold an answer? */
static bool gap_worth(const struct gap_query *q,
		      const struct msn_segset_node *n, unsigned i)
{
	return segset_child(n, i)->gap >= q->length &&
	       segset_starts(n)[i] < q->within.end &&
	       segset_ends(n)[i] > q->within.start;
}

/* Recursion: one turn a level, downwards. */
static bool gap_first_below(const struct gap_query *q,
			    const struct msn_segset_node *n)
{
	const uint64_t *starts = segset_starts(n);
	const uint64_t *ends = segset_ends(n);
	unsigned i = segset_slot_for(n, q->within.start);

	for (; i < n->count && starts[i] < q->within.end; i++) {
		if (n->level && gap_worth(q, n, i) &&
		    gap_first_below(q, segset_child(n, i)->node))
			return true;
		if (i + 1 < n->count && gap_fits_low(q, ends[i], starts[i + 1]))
			return true;
	}
	return false;
}

/* As above, from the other side. */
static bool gap_last_below(const struct gap_query *q,
			   const struct msn_segset_node *n)
{
	const uint64_t *starts = segset_starts(n);
	const uint64_t *ends = segset_ends(n);
	unsigned i = segset_slot_for(n, q->within.end - 1) + 1;

	while (i-- > 0) {
		if (i + 1 < n->count &&
		    gap_fits_high(q, ends[i], starts[i + 1]))
			return true;
		if (n->level && gap_worth(q, n, i) &&
		    gap_last_below(q, segset_child(n, i)->node))
			return true;
		if (starts[i] <= q->within.start)
			return false;
	}
	return false;
}

static void gap_check_query(const struct gap_query *q)
{
	msn_assert(q->length > 0);
	msn_assert(q->align > 0 && (q->align & (q->align - 1)) == 0);
}

static struct gap_query gap_query(struct msn_seg_range within, uint64_t length,
				  uint64_t align, uint64_t *start)
{
	return (struct gap_query){ within, length, align ? align : 1, start };
}

bool msn_segset_first_gap(const struct msn_segset *set,
			  struct msn_seg_range within, uint64_t length,
			  uint64_t align, uint64_t *start)
{
	struct gap_query q = gap_query(within, length, align, start);
	struct msn_segset_node *root = set->root;

	gap_check_query(&q);
	if (within.start >= within.end)
		return false;
	if (!root)
		return gap_fits_low(&q, 0, UINT64_MAX);
	return gap_fits_low(&q, 0, segset_starts(root)[0]) ||
	       gap_first_below(&q, root) ||
	       gap_fits_low(&q, segset_ends(root)[root->count - 1], UINT64_MAX);
}

bool msn_segset_last_gap(const struct msn_segset *set,
			 struct msn_seg_range within, uint64_t length,
			 uint64_t align, uint64_t *start)
{
	struct gap_query q = gap_query(within, length, align, start);
	struct msn_segset_node *root = set->root;

	gap_check_query(&q);
	if (within.start >= within.end)
		return false;
	if (!root)
		return gap_fits_high(&q, 0, UINT64_MAX);
	return gap_fits_high(&q, segset_ends(root)[root->count - 1],
			     UINT64_MAX) ||
	       gap_last_below(&q, root) ||
	       gap_fits_high(&q, 0, segset_starts(root)[0]);
}
