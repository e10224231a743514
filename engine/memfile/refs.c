/*
 * Page references of the memory file.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Taking and dropping references cannot fail, although both may cut segments:
 * every call tops up a reserve of nodes that is deep enough for several more
 * calls.  Only if memory cannot be had that many times in a row does the
 * program stop.
 *
 * A range that runs through several arenas is worked off one by one, with one
 * lock at a time.  Nothing is lost by that: the caller holds references on all
 * of it, and nobody can tell in which order they came or went.
 */
#include "memfile/memfile_internal.h"

#include "base/assert.h"

/* Cuts that the reserve is good for: 8 calls with two cuts each. */
#define REFS_RESERVE 16

/* Runs that one hold of the lock drops; each may be one more run of waste. */
#define RUNS_A_HOLD 8

/* As REFS_RESERVE, for waste. */
#define WASTE_RESERVE (2 * RUNS_A_HOLD)

/* Segments that next_used() looks at in one hold of the lock. */
#define SEGMENTS_A_HOLD 1024

static bool refs_merge(struct msn_seg_range a, void *va, struct msn_seg_range b,
		       void *vb)
{
	const struct msn_page_refs *l = va, *r = vb;

	(void)a;
	(void)b;
	return l->refs == r->refs && l->account == r->account && l->refs > 0;
}

const struct msn_segset_ops msn_page_refs_ops = {
	.value_size = sizeof(struct msn_page_refs),
	.merge = refs_merge,
};

static bool waste_merge(struct msn_seg_range a, void *va,
			struct msn_seg_range b, void *vb)
{
	(void)a;
	(void)va;
	(void)b;
	(void)vb;
	return true;
}

const struct msn_segset_ops msn_waste_ops = {
	.value_size = sizeof(struct msn_no_value),
	.merge = waste_merge,
};

/* The arena of @at, which is referenced. */
static struct msn_arena *arena_of(struct msn_memfile *mf, uint64_t at)
{
	struct msn_arena *a = msn_arena_at(mf, at);

	msn_assert(a);
	return a;
}

static struct msn_seg isolate_referenced(struct msn_arena *a,
					 struct msn_file_range r)
{
	struct msn_seg seg;
	int rc = msn_segset_reserve(&a->refs.core, REFS_RESERVE);

	(void)rc; /* what an earlier call reserved is still there */
	rc = msn_refs_set_isolate(&a->refs, r, &seg);
	msn_assert(rc == 0);
	msn_assert(msn_seg_ok(seg));
	return seg;
}

static void add_refs(struct msn_arena *a, struct msn_file_range r)
{
	uint64_t at = r.start;

	msn_lock_scope(&a->lock);
	for (struct msn_seg s = isolate_referenced(a, r);
	     msn_seg_ok(s) && at < r.end; s = msn_seg_next(s)) {
		struct msn_page_refs *v = msn_refs_set_value(&a->refs, s);

		msn_assert(msn_refs_set_range(s).start == at && v->refs > 0);
		v->refs++;
		at = msn_refs_set_range(s).end;
	}
	msn_assert(at == r.end);
	msn_refs_set_merge_range(&a->refs, r);
}

void msn_memfile_inc_ref(struct msn_file *file, struct msn_file_range r,
			 msn_account_id account)
{
	struct msn_memfile *mf = msn_memfile_of(file);

	(void)account; /* fixed when the page was allocated */
	while (r.start < r.end) {
		struct msn_arena *a = arena_of(mf, r.start);

		add_refs(a, msn_file_range_intersect(r, a->range));
		r.start = a->range.end;
	}
}

/* used -> waste, for one segment that lost its last reference. */
static struct msn_seg waste_segment(struct msn_memfile *mf, struct msn_arena *a,
				    struct msn_seg s)
{
	static const struct msn_no_value none;
	struct msn_file_range r = msn_refs_set_range(s);
	int rc;

	if (mf->accounts)
		msn_account_uncharge(
			mf->accounts, msn_refs_set_value(&a->refs, s)->account,
			MSN_ACCOUNT_ANONYMOUS, msn_file_range_length(r));
	rc = msn_waste_set_insert(&a->waste, r, &none, NULL);
	msn_assert(rc == 0);
	return msn_refs_set_remove(&a->refs, s);
}

/*
 * Drops one reference on the first runs of @r, whose pages are in @a.  Returns
 * how far it came; adds what became waste to *@wasted.
 */
static uint64_t drop_refs(struct msn_memfile *mf, struct msn_arena *a,
			  struct msn_file_range r, uint64_t *wasted)
{
	uint64_t at = r.start, was;
	struct msn_seg s;
	int rc;

	msn_lock_scope(&a->lock);
	s = isolate_referenced(a, r);
	rc = msn_segset_reserve(&a->waste.core, WASTE_RESERVE);
	(void)rc; /* as for references */
	was = a->waste.core.span;
	for (int i = 0; i < RUNS_A_HOLD && msn_seg_ok(s) && at < r.end; i++) {
		struct msn_page_refs *v = msn_refs_set_value(&a->refs, s);

		msn_assert(msn_refs_set_range(s).start == at && v->refs > 0);
		at = msn_refs_set_range(s).end;
		s = --v->refs ? msn_seg_next(s) : waste_segment(mf, a, s);
	}
	msn_assert(at > r.start);
	msn_refs_set_merge_range(&a->refs,
				 (struct msn_file_range){ r.start, at });
	*wasted += a->waste.core.span - was;
	msn_arena_settle(mf, a);
	return at;
}

void msn_memfile_dec_ref(struct msn_file *file, struct msn_file_range r)
{
	struct msn_memfile *mf = msn_memfile_of(file);
	uint64_t wasted = 0;

	while (r.start < r.end) {
		struct msn_arena *a = arena_of(mf, r.start);

		r.start = drop_refs(
			mf, a, msn_file_range_intersect(r, a->range), &wasted);
	}
	if (wasted)
		msn_memfile_wasted(mf, wasted);
}

/* What is_sole() and sharers() ask of a segment. */
static uint64_t answer(const struct msn_page_refs *v, bool sole)
{
	return sole ? v->refs == 1 : v->refs;
}

/*
 * The answer for the first page of @r, in *@run the longest prefix of @r within
 * @a for which it is the same.  A page that nobody references has none.
 */
static uint64_t ask_arena(struct msn_arena *a, struct msn_file_range r,
			  bool sole, struct msn_file_range *run)
{
	uint64_t got = 0;
	struct msn_seg s;

	r = msn_file_range_intersect(r, a->range);
	*run = (struct msn_file_range){ r.start, r.start };
	msn_lock_scope(&a->lock);
	s = msn_refs_set_lower(&a->refs, r.start);
	while (run->end < r.end) {
		struct msn_file_range seg = r;
		uint64_t here = 0;

		if (msn_seg_ok(s))
			seg = msn_refs_set_range(s);
		else
			seg.start = r.end;
		if (seg.start > run->end) {
			seg.end = seg.start; /* nobody's */
		} else {
			here = answer(msn_refs_set_value(&a->refs, s), sole);
			s = msn_seg_next(s);
		}
		if (run->end == r.start)
			got = here;
		else if (here != got)
			break;
		run->end = seg.end < r.end ? seg.end : r.end;
	}
	return got;
}

static uint64_t ask(struct msn_memfile *mf, struct msn_file_range r, bool sole,
		    struct msn_file_range *run)
{
	struct msn_file_range rest = r, more;
	uint64_t got = ask_arena(arena_of(mf, r.start), r, sole, run);

	/* It may go on in the next arena. */
	while (run->end < r.end &&
	       run->end == arena_of(mf, run->end - 1)->range.end) {
		rest.start = run->end;
		if (ask_arena(arena_of(mf, rest.start), rest, sole, &more) !=
		    got)
			break;
		run->end = more.end;
	}
	return got;
}

bool msn_memfile_is_sole(struct msn_memfile *mf, struct msn_file_range r,
			 struct msn_file_range *run)
{
	return ask(mf, r, true, run);
}

uint64_t msn_memfile_sharers(struct msn_file *file, struct msn_file_range r,
			     struct msn_file_range *run)
{
	return ask(msn_memfile_of(file), r, false, run);
}

/* The first run of used pages of @r within @a. */
static bool next_used_in(struct msn_arena *a, struct msn_file_range r,
			 struct msn_file_range *run)
{
	struct msn_file_range seg;
	struct msn_seg s;

	r = msn_file_range_intersect(r, a->range);
	msn_lock_scope(&a->lock);
	s = msn_refs_set_lower(&a->refs, r.start);
	while (msn_seg_ok(s) && msn_refs_set_value(&a->refs, s)->refs == 0)
		s = msn_seg_next(s);
	if (!msn_seg_ok(s) || msn_refs_set_range(s).start >= r.end)
		return false;
	*run = msn_file_range_intersect(r, msn_refs_set_range(s));
	for (int i = 0; i < SEGMENTS_A_HOLD && run->end < r.end; i++) {
		s = msn_seg_next(s);
		if (!msn_seg_ok(s) ||
		    msn_refs_set_value(&a->refs, s)->refs == 0)
			break;
		seg = msn_refs_set_range(s);
		if (seg.start != run->end)
			break;
		run->end = seg.end < r.end ? seg.end : r.end;
	}
	return true;
}

bool msn_memfile_next_used(struct msn_memfile *mf, struct msn_file_range r,
			   struct msn_file_range *run)
{
	while (r.start < r.end) {
		struct msn_arena *a = msn_arena_at(mf, r.start);

		if (!a)
			return false;
		if (next_used_in(a, r, run))
			return true;
		r.start = a->range.end;
	}
	return false;
}
