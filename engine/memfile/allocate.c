/*
 * Allocation: where in the file a range comes to be.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Looked at in this order: the arena that the caller wants to be near; the
 * arena that this thread used last, and the others after it, passing by those
 * that somebody holds; a new arena.  So threads that get into each other's way
 * part for good, and a single one fills the file from one end.
 *
 * Inside an arena waste is as good as free: a small range takes it over and
 * zeroes it, which costs a tenth of giving memory back and having new one
 * (README.md).  A large range passes it by, since most of it may never be
 * touched.
 */
#include "memfile/memfile_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

/* Outcome of taking from an arena. */
enum { ARENA_E_FULL = 1 };

/* What is asked for. */
struct wish {
	uint64_t length, align, near;
	enum msn_direction direction;
	msn_account_id account;
	bool huge;    /* from an arena for huge pages */
	bool recycle; /* waste will do */
};

/* What was found. */
struct found {
	struct msn_file_range r;
	bool waste; /* some of it was waste, and is to be zeroed */
};

/* The first (@last: the last) waste that meets @r. */
static bool waste_in(const struct msn_arena *a, struct msn_file_range r,
		     bool last, struct msn_file_range *out)
{
	struct msn_seg s =
		msn_waste_set_lower(&a->waste, last ? r.end - 1 : r.start);

	if (last && (!msn_seg_ok(s) || msn_waste_set_range(s).start >= r.end))
		s = msn_seg_ok(s) ? msn_seg_prev(s)
				  : msn_segset_last(&a->waste.core);
	if (!msn_seg_ok(s))
		return false;
	*out = msn_waste_set_range(s);
	return msn_file_range_overlaps(*out, r);
}

/* A place for @w inside @within. */
static bool find_within(const struct msn_arena *a, const struct wish *w,
			struct msn_file_range within, struct msn_file_range *r)
{
	bool up = w->direction == MSN_BOTTOM_UP;
	struct msn_file_range waste;

	while (msn_file_range_length(within) >= w->length) {
		struct msn_seg_range in = { within.start, within.end };
		bool ok =
			up ? msn_segset_first_gap(&a->refs.core, in, w->length,
						  w->align, &r->start)
			   : msn_segset_last_gap(&a->refs.core, in, w->length,
						 w->align, &r->start);

		if (!ok)
			return false;
		r->end = r->start + w->length;
		if (w->recycle || !waste_in(a, *r, up, &waste))
			return true;
		/* Whatever begins before that waste ends meets it again. */
		if (up)
			within.start = waste.end;
		else
			within.end = waste.start;
		if (within.start >= within.end)
			return false;
	}
	return false;
}

static bool find_place(const struct msn_arena *a, const struct wish *w,
		       struct msn_file_range *r)
{
	struct msn_file_range side = a->range;

	if (w->near > side.start && w->near < side.end) {
		if (w->direction == MSN_BOTTOM_UP)
			side.start = w->near;
		else
			side.end = w->near;
		if (find_within(a, w, side, r))
			return true;
	}
	return find_within(a, w, a->range, r);
}

/* waste -> used, for what of @r is waste.  Two changes are reserved. */
static bool take_waste(struct msn_arena *a, struct msn_file_range r)
{
	struct msn_seg s;
	int rc = msn_waste_set_isolate(&a->waste, r, &s);

	msn_assert(rc == 0);
	if (!msn_seg_ok(s))
		return false;
	while (msn_seg_ok(s) && msn_waste_set_range(s).start < r.end)
		s = msn_waste_set_remove(&a->waste, s);
	return true;
}

/* Takes from @a, under its lock.  0, ARENA_E_FULL, or -ENOMEM. */
static int take_from(struct msn_memfile *mf, struct msn_arena *a,
		     const struct wish *w, struct found *out)
{
	struct msn_page_refs one = { 1, w->account };
	bool waste = a->waste.core.count > 0;
	struct msn_file_range r;
	int rc = 0;

	if (!find_place(a, w, &r))
		return ARENA_E_FULL;
	if (waste)
		rc = msn_segset_reserve(&a->waste.core, 2);
	if (rc == 0)
		rc = msn_refs_set_insert(&a->refs, r, &one, NULL);
	if (rc)
		return msn_pass(rc);
	out->r = r;
	out->waste = waste && take_waste(a, r);
	msn_arena_settle(mf, a);
	return 0;
}

static bool may_fit(const struct msn_arena *a, const struct wish *w)
{
	return a->huge == w->huge &&
	       atomic_load_explicit(&a->room, memory_order_relaxed) >=
		       w->length;
}

/* The arena on the side of w->near where the range is wanted. */
static int take_near(struct msn_memfile *mf, const struct wish *w,
		     struct found *out)
{
	struct msn_arena *a = NULL;

	if (w->near)
		a = msn_arena_at(mf, w->direction == MSN_BOTTOM_UP
					     ? w->near
					     : w->near - 1);
	if (!a || !may_fit(a, w))
		return ARENA_E_FULL;
	msn_lock_scope(&a->lock);
	return msn_pass(take_from(mf, a, w, out));
}

/* This thread's slot among the homes; threads share them in turn. */
static unsigned home_slot(void)
{
	static atomic_uint threads;
	static _Thread_local unsigned slot;

	if (slot == 0)
		slot = 1 + atomic_fetch_add(&threads, 1) % MEMFILE_HOMES;
	return slot - 1;
}

/*
 * Any arena that is there, from this thread's on.  *@busy becomes true if one
 * was passed by because somebody held it and not @wait.
 */
static int take_anywhere(struct msn_memfile *mf, const struct wish *w,
			 bool wait, bool *busy, struct found *out)
{
	_Atomic(struct msn_arena *) *home = &mf->home[w->huge][home_slot()];
	struct msn_arena *first = atomic_load(home);
	unsigned count = atomic_load(&mf->arena_count);
	int rc = ARENA_E_FULL;

	for (unsigned i = 0; i < count && rc == ARENA_E_FULL; i++) {
		unsigned nr = (first ? first->nr : 0) + i;
		struct msn_arena *a = msn_arena_nr(mf, nr % count);

		if (!may_fit(a, w))
			continue;
		if (wait) {
			msn_mutex_lock(&a->lock);
		} else if (!msn_mutex_trylock(&a->lock)) {
			*busy = true;
			continue;
		}
		rc = take_from(mf, a, w, out);
		msn_mutex_unlock(&a->lock);
		if (rc == 0 && a != first)
			atomic_store(home, a);
	}
	return msn_pass(rc);
}

static int take(struct msn_memfile *mf, const struct wish *w, struct found *out)
{
	bool busy = false;
	int rc = take_near(mf, w, out);

	if (rc == ARENA_E_FULL)
		rc = take_anywhere(mf, w, false, &busy, out);
	if (rc == ARENA_E_FULL && busy &&
	    atomic_load(&mf->arena_count) >= MEMFILE_HOMES)
		rc = take_anywhere(mf, w, true, &busy, out);
	while (rc == ARENA_E_FULL) {
		struct msn_arena *a;

		rc = msn_arena_new(mf, w->length, w->huge, &a);
		if (rc == 0) {
			atomic_store(&mf->home[w->huge][home_slot()], a);
			rc = take_anywhere(mf, w, true, &busy, out);
		} else if (busy &&
			   take_anywhere(mf, w, true, &busy, out) == 0) {
			rc = 0; /* had to wait after all */
		}
	}
	return msn_pass(rc);
}

int msn_memfile_allocate(struct msn_memfile *mf,
			 const struct msn_memfile_alloc *opts,
			 struct msn_file_range *out)
{
	struct wish w = {
		.length = opts->length,
		.align = 1,
		.near = opts->near,
		.direction = opts->direction,
		.account = opts->account,
		.huge = opts->huge && mf->huge == MSN_MEMFILE_HUGE_ADVISE,
		.recycle = opts->length <= MSN_RECYCLE_BYTES_MAX,
	};
	struct found found;
	int rc = 0;

	msn_assert(opts->length > 0 && msn_page_aligned(opts->length));
	msn_assert(msn_page_aligned(opts->near));
	if (msn_memfile_is_forked(mf))
		return msn_fail(-EPERM);
	if (w.huge && w.length % MEMFILE_HUGE_BYTES == 0)
		w.align = MEMFILE_HUGE_BYTES;
	if (mf->accounts)
		rc = msn_account_try_charge(mf->accounts, opts->account,
					    MSN_ACCOUNT_ANONYMOUS,
					    opts->length);
	if (rc)
		return msn_pass(rc);
	rc = take(mf, &w, &found);
	if (rc) {
		if (mf->accounts)
			msn_account_uncharge(mf->accounts, opts->account,
					     MSN_ACCOUNT_ANONYMOUS,
					     opts->length);
		return msn_pass(rc);
	}
	if (found.waste)
		msn_memfile_zero(mf, found.r);
	*out = found.r;
	return 0;
}
