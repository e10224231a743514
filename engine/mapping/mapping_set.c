/*
 * Mapping set: every place that maps a part of an object, in two orders.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A place is a longest run: (space, writable, address minus offset) is its key,
 * and the places of one key do not even touch.  All places stand in two trees:
 *
 *    by key     (key, start): where add finds what to merge with, and remove
 *               what to cut
 *    by offset  (start, key), each node knowing the largest end below it: an
 *               interval tree, for invalidation and for the question who else
 *               maps a page
 *
 * Nothing is kept per page or per segment of the object, so neither adding nor
 * removing depends on how many other places there are but for the depth of the
 * trees.  What nobody maps is found by leaping: from an offset, the largest end
 * among all places that start at or below it is where coverage may stop; so the
 * steps are as many as places are needed, at the least, to cover the range.
 */
#include "mapping/mapping_set.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/limits.h"
#include "mapping/place_pool.h"

#include <errno.h>
#include <stdlib.h>

struct msn_mapping_set {
	struct msn_tree by_offset, by_key;
	struct msn_place_pool pool;
	size_t count;  /* places */
	size_t needed; /* sum of place_worst() */
	/*
	 * Places that no sequence of removes can exceed; never more than the
	 * pool has.  Less than needed when a run whose pieces were limited by
	 * its space's number of mappings was cut: the limit is for all of them
	 * together.
	 */
	size_t promised;
	uint64_t visits; /* nodes looked at since the set was made */
};

static struct msn_place *at_offset(const struct msn_tree_node *n)
{
	return msn_container_of(n, struct msn_place, by_offset);
}

static struct msn_place *at_key(const struct msn_tree_node *n)
{
	return msn_container_of(n, struct msn_place, by_key);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_keys(const struct msn_place *a, const struct msn_place *b)
{
	int order = compare_numbers((uintptr_t)a->space, (uintptr_t)b->space);

	if (!order)
		order = compare_numbers(a->writable, b->writable);
	return order ? order : compare_numbers(a->delta, b->delta);
}

static int compare_by_offset(const struct msn_tree_node *x,
			     const struct msn_tree_node *y)
{
	const struct msn_place *a = at_offset(x), *b = at_offset(y);
	int order = compare_numbers(a->r.start, b->r.start);

	return order ? order : compare_keys(a, b);
}

static int compare_by_key(const struct msn_tree_node *x,
			  const struct msn_tree_node *y)
{
	const struct msn_place *a = at_key(x), *b = at_key(y);
	int order = compare_keys(a, b);

	return order ? order : compare_numbers(a->r.start, b->r.start);
}

static uint64_t node_max_end(const struct msn_tree_node *n)
{
	return n ? at_offset(n)->max_end : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t expected_max_end(const struct msn_tree_node *n)
{
	return larger(at_offset(n)->r.end, larger(node_max_end(n->child[0]),
						  node_max_end(n->child[1])));
}

static void update_max_end(struct msn_tree_node *n)
{
	at_offset(n)->max_end = expected_max_end(n);
}

static const struct msn_tree_ops by_offset_ops = {
	.compare = compare_by_offset,
	.update = update_max_end,
};

static const struct msn_tree_ops by_key_ops = {
	.compare = compare_by_key,
};

int msn_mapping_set_new(struct msn_mapping_set **out)
{
	struct msn_mapping_set *set = msn_alloc(sizeof(*set));

	if (!set)
		return msn_fail(-ENOMEM);
	set->by_offset.ops = &by_offset_ops;
	set->by_offset.visits = &set->visits;
	set->by_key.ops = &by_key_ops;
	set->by_key.visits = &set->visits;
	*out = set;
	return 0;
}

struct msn_mapping_set *msn_mapping_set_free(struct msn_mapping_set *set)
{
	if (set) {
		msn_assert(msn_mapping_set_empty(set));
		msn_place_pool_deinit(&set->pool);
		free(set);
	}
	return NULL;
}

/*
 * The most pieces that @r can fall into.  A piece is at least one mapping of
 * its space, of which there are never more than the limit.
 */
static size_t place_worst(struct msn_obj_range r)
{
	uint64_t pages = msn_obj_range_length(r) >> MSN_PAGE_SHIFT;
	uint64_t pieces = pages / 2 + pages % 2;

	return pieces < MSN_MAPPING_COUNT_MAX ? (size_t)pieces
					      : MSN_MAPPING_COUNT_MAX;
}

/* Enters a place of @key over @r.  Before: room was set aside. */
static void place_enter(struct msn_mapping_set *set,
			const struct msn_place *key, struct msn_obj_range r)
{
	struct msn_place *p = msn_place_pool_take(&set->pool);

	*p = *key;
	p->r = r;
	msn_tree_insert(&set->by_offset, &p->by_offset);
	msn_tree_insert(&set->by_key, &p->by_key);
	set->count++;
	set->needed += place_worst(r);
}

static void set_promise_no_more(struct msn_mapping_set *set)
{
	if (set->promised > set->needed)
		set->promised = set->needed;
}

static void place_drop(struct msn_mapping_set *set, struct msn_place *p)
{
	msn_tree_remove(&set->by_offset, &p->by_offset);
	msn_tree_remove(&set->by_key, &p->by_key);
	set->count--;
	set->needed -= place_worst(p->r);
	msn_place_pool_give(&set->pool, p);
}

/* The last place of @key that starts at or below @at, or NULL. */
static struct msn_place *place_floor(const struct msn_mapping_set *set,
				     const struct msn_place *key, uint64_t at)
{
	struct msn_tree_node *n = set->by_key.root;
	struct msn_place *best = NULL;

	while (n) {
		struct msn_place *p = at_key(n);
		int order = compare_keys(p, key);

		++*set->by_key.visits;
		if (!order && p->r.start <= at)
			best = p;
		if (!order)
			order = p->r.start <= at ? -1 : 1;
		n = n->child[order < 0];
	}
	return best;
}

/* The first place of @key that ends above @r.start and starts below @r.end. */
static struct msn_place *place_meeting(const struct msn_mapping_set *set,
				       const struct msn_place *key,
				       struct msn_obj_range r)
{
	struct msn_tree_node *n = set->by_key.root;
	struct msn_place *best = NULL;

	while (n) {
		struct msn_place *p = at_key(n);
		int order = compare_keys(p, key);

		++*set->by_key.visits;
		if (!order && p->r.end > r.start)
			best = p;
		if (!order)
			order = p->r.end > r.start ? 1 : -1;
		n = n->child[order < 0];
	}
	return best && best->r.start < r.end ? best : NULL;
}

/* The largest end among all places that start at or below @at; 0 for none. */
static uint64_t covered_until(const struct msn_mapping_set *set, uint64_t at)
{
	const struct msn_tree_node *n = set->by_offset.root;
	uint64_t end = 0;

	while (n) {
		const struct msn_place *p = at_offset(n);

		++*set->by_offset.visits;
		if (p->r.start > at) {
			n = n->child[0];
			continue;
		}
		end = larger(end, larger(p->r.end, node_max_end(n->child[0])));
		n = n->child[1];
	}
	return end;
}

/* The lowest start above @at, or @otherwise. */
static uint64_t next_start(const struct msn_mapping_set *set, uint64_t at,
			   uint64_t otherwise)
{
	const struct msn_tree_node *n = set->by_offset.root;
	uint64_t start = otherwise;

	while (n) {
		const struct msn_place *p = at_offset(n);
		bool above = p->r.start > at;

		++*set->by_offset.visits;
		if (above && p->r.start < start)
			start = p->r.start;
		n = n->child[!above];
	}
	return start;
}

/* Calls @fn for each part of @r that nobody maps. */
static void each_unmapped(const struct msn_mapping_set *set,
			  struct msn_obj_range r, msn_mapping_set_range_fn fn,
			  void *ctx)
{
	uint64_t at = r.start, end;

	while (fn && at < r.end) {
		end = covered_until(set, at);
		if (end <= at) {
			end = next_start(set, at, r.end);
			fn(ctx, (struct msn_obj_range){ at, end });
		}
		at = end;
	}
}

static struct msn_place place_key(struct msn_mapping_space *ms,
				  struct msn_addr_range ar, uint64_t offset,
				  bool writable)
{
	return (struct msn_place){
		.space = ms,
		.delta = ar.start - offset,
		.writable = writable,
	};
}

static struct msn_obj_range object_range(struct msn_addr_range ar,
					 uint64_t offset)
{
	struct msn_obj_range r = { offset, offset + msn_addr_range_length(ar) };

	msn_assert(!msn_addr_range_empty(ar) && r.start < r.end);
	msn_assert(msn_addr_range_page_aligned(ar));
	msn_assert(msn_obj_range_page_aligned(r));
	return r;
}

int msn_mapping_set_add(struct msn_mapping_set *set,
			struct msn_mapping_space *ms, struct msn_addr_range ar,
			uint64_t offset, bool writable,
			msn_mapping_set_range_fn fresh, void *ctx)
{
	struct msn_place key = place_key(ms, ar, offset, writable);
	struct msn_obj_range r = object_range(ar, offset);
	struct msn_place *p = place_floor(set, &key, r.start);
	int rc;

	if (p && msn_obj_range_covers(p->r, r))
		return 0;
	rc = msn_place_pool_reserve(&set->pool, set->promised + place_worst(r));
	if (rc)
		return msn_pass(rc);
	set->promised += place_worst(r);
	each_unmapped(set, r, fresh, ctx);
	/* Of those that touch r the last one starts highest. */
	while ((p = place_floor(set, &key, r.end)) && p->r.end >= r.start) {
		r.start = p->r.start < r.start ? p->r.start : r.start;
		r.end = larger(p->r.end, r.end);
		place_drop(set, p);
	}
	place_enter(set, &key, r);
	set_promise_no_more(set);
	return 0;
}

/* Takes @r out of @p, which covers it. */
static void place_cut(struct msn_mapping_set *set, const struct msn_place *key,
		      struct msn_place *p, struct msn_obj_range r)
{
	struct msn_obj_range whole = p->r;

	place_drop(set, p);
	if (whole.start < r.start)
		place_enter(set, key,
			    (struct msn_obj_range){ whole.start, r.start });
	if (r.end < whole.end)
		place_enter(set, key,
			    (struct msn_obj_range){ r.end, whole.end });
}

void msn_mapping_set_remove(struct msn_mapping_set *set,
			    struct msn_mapping_space *ms,
			    struct msn_addr_range ar, uint64_t offset,
			    bool writable, msn_mapping_set_range_fn gone,
			    void *ctx)
{
	struct msn_place key = place_key(ms, ar, offset, writable);
	struct msn_obj_range r = object_range(ar, offset);
	struct msn_place *p;

	while (!msn_obj_range_empty(r) && (p = place_meeting(set, &key, r))) {
		struct msn_obj_range piece = msn_obj_range_intersect(p->r, r);

		place_cut(set, &key, p, piece);
		each_unmapped(set, piece, gone, ctx);
		r.start = piece.end;
	}
	set_promise_no_more(set);
	if (!set->count)
		msn_place_pool_rest(&set->pool);
}

/* Recursion: one turn a level, downwards. */
static void each_below(const struct msn_mapping_set *set,
		       const struct msn_tree_node *n, struct msn_obj_range r,
		       msn_mapping_set_place_fn fn, void *ctx)
{
	const struct msn_place *p;
	struct msn_mapping_of_range place;
	struct msn_obj_range part;

	if (node_max_end(n) <= r.start)
		return;
	++*set->by_offset.visits;
	each_below(set, n->child[0], r, fn, ctx);
	p = at_offset(n);
	if (p->r.start >= r.end)
		return;
	part = msn_obj_range_intersect(p->r, r);
	if (!msn_obj_range_empty(part)) {
		place = (struct msn_mapping_of_range){
			.space = p->space,
			.addr = { part.start + p->delta, part.end + p->delta },
			.writable = p->writable,
		};
		fn(ctx, part, &place);
	}
	each_below(set, n->child[1], r, fn, ctx);
}

void msn_mapping_set_for_each(struct msn_mapping_set *set,
			      struct msn_obj_range r,
			      msn_mapping_set_place_fn fn, void *ctx)
{
	if (!msn_obj_range_empty(r))
		each_below(set, set->by_offset.root, r, fn, ctx);
}

static void invalidate_place(void *ctx, struct msn_obj_range r,
			     const struct msn_mapping_of_range *place)
{
	const struct msn_invalidate_opts *opts = ctx;

	(void)r;
	msn_mapping_space_invalidate(place->space, place->addr, *opts);
}

void msn_mapping_set_invalidate(struct msn_mapping_set *set,
				struct msn_obj_range r,
				struct msn_invalidate_opts opts)
{
	msn_mapping_set_for_each(set, r, invalidate_place, &opts);
}

void msn_mapping_set_invalidate_all(struct msn_mapping_set *set,
				    struct msn_invalidate_opts opts)
{
	msn_mapping_set_invalidate(set, (struct msn_obj_range){ 0, UINT64_MAX },
				   opts);
}

bool msn_mapping_set_empty(const struct msn_mapping_set *set)
{
	return set->count == 0;
}

bool msn_mapping_set_is_mapped(const struct msn_mapping_set *set,
			       struct msn_obj_range r)
{
	return !msn_obj_range_empty(r) &&
	       covered_until(set, r.end - 1) > r.start;
}

uint64_t msn_mapping_set_visits(const struct msn_mapping_set *set)
{
	return set->visits;
}

struct check_walk {
	const struct msn_place *last; /* by key */
	size_t by_offset, by_key, needed;
};

static const char *check_by_offset(struct check_walk *w,
				   const struct msn_tree_node *n)
{
	const char *wrong;

	if (!n)
		return NULL;
	if (at_offset(n)->max_end != expected_max_end(n))
		return "mapping set: the largest end below is out of date";
	w->by_offset++;
	wrong = check_by_offset(w, n->child[0]);
	return wrong ? wrong : check_by_offset(w, n->child[1]);
}

static const char *check_place(struct check_walk *w, const struct msn_place *p)
{
	if (msn_obj_range_empty(p->r))
		return "mapping set: an empty place";
	if (w->last && !compare_keys(w->last, p) &&
	    w->last->r.end >= p->r.start)
		return "mapping set: two places of one key touch";
	w->last = p;
	w->by_key++;
	w->needed += place_worst(p->r);
	return NULL;
}

static const char *check_by_key(struct check_walk *w,
				const struct msn_tree_node *n)
{
	const char *wrong;

	if (!n)
		return NULL;
	wrong = check_by_key(w, n->child[0]);
	if (!wrong)
		wrong = check_place(w, at_key(n));
	return wrong ? wrong : check_by_key(w, n->child[1]);
}

const char *msn_mapping_set_check(const struct msn_mapping_set *set)
{
	struct check_walk w = { 0 };
	const char *wrong = msn_tree_check(&set->by_offset);

	if (!wrong)
		wrong = msn_tree_check(&set->by_key);
	if (!wrong)
		wrong = check_by_offset(&w, set->by_offset.root);
	if (!wrong)
		wrong = check_by_key(&w, set->by_key.root);
	if (wrong)
		return wrong;
	if (w.by_offset != set->count || w.by_key != set->count)
		return "mapping set: the two trees disagree";
	if (w.needed != set->needed)
		return "mapping set: what splits may need is miscounted";
	if (set->promised > set->needed || set->promised > set->pool.capacity)
		return "mapping set: too little is set aside for splits";
	return NULL;
}
