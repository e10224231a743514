/*
 * Arenas: the file is made longer by one when nothing else has room.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An arena is as many whole windows as its first allocation needs, so that no
 * allocation is ever split.  Arenas are never given up: an empty one is a
 * stretch of offsets, and those are plenty.
 */
#include "memfile/memfile_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* tmpfs takes any offset below this one; the rest of off_t is left alone. */
#define MEMFILE_MAX (UINT64_C(1) << 56)

static struct msn_arena *arena_make(struct msn_file_range range, unsigned nr,
				    bool huge)
{
	struct msn_arena *a = msn_alloc(sizeof(*a));

	if (!a)
		return NULL;
	a->range = range;
	a->nr = nr;
	a->huge = huge;
	msn_mutex_init(&a->lock, MSN_RANK_FILE);
	msn_refs_set_init(&a->refs, &msn_page_refs_ops);
	msn_waste_set_init(&a->waste, &msn_waste_ops);
	atomic_init(&a->room, msn_file_range_length(range));
	return a;
}

static void arena_free(struct msn_arena *a)
{
	msn_refs_set_deinit(&a->refs);
	msn_waste_set_deinit(&a->waste);
	msn_mutex_deinit(&a->lock);
	free(a);
}

/* Everything that may fail of adding an arena at @range. */
static int prepare(struct msn_memfile *mf, struct msn_file_range range)
{
	uint64_t first = range.start / MSN_WINDOW_BYTES;
	uint64_t end = range.end / MSN_WINDOW_BYTES;
	int rc = msn_table_reserve(&mf->by_nr, atomic_load(&mf->arena_count));

	for (uint64_t nr = first; rc == 0 && nr < end; nr++)
		rc = msn_table_reserve(&mf->by_window, nr);
	if (rc)
		return msn_pass(rc);
	if (msn_fault("memfile.grow"))
		return msn_fail(-ENOMEM);
	if (ftruncate(mf->fd, (off_t)range.end) < 0)
		return msn_fail(-errno);
	return 0;
}

int msn_arena_new(struct msn_memfile *mf, uint64_t length, bool huge,
		  struct msn_arena **out)
{
	uint64_t more =
		(length + MSN_WINDOW_BYTES - 1) & ~(MSN_WINDOW_BYTES - 1);
	struct msn_file_range range;
	struct msn_arena *a;
	int rc;

	msn_lock_scope(&mf->grow);
	if (length > MEMFILE_MAX || more > MEMFILE_MAX - mf->size_bytes)
		return msn_fail(-ENOMEM);
	range = (struct msn_file_range){ mf->size_bytes,
					 mf->size_bytes + more };
	rc = prepare(mf, range);
	if (rc)
		return msn_pass(rc);
	a = arena_make(range, atomic_load(&mf->arena_count), huge);
	if (!a)
		return msn_fail(-ENOMEM);
	for (uint64_t at = range.start; at < range.end; at += MSN_WINDOW_BYTES)
		msn_table_put(&mf->by_window, at / MSN_WINDOW_BYTES, a);
	msn_table_put(&mf->by_nr, a->nr, a);
	mf->size_bytes = range.end;
	atomic_store(&mf->arena_count, a->nr + 1);
	*out = a;
	return 0;
}

void msn_arenas_free(struct msn_memfile *mf)
{
	struct msn_arena *a;

	for (uint64_t nr = 0; (a = msn_table_next(&mf->by_nr, &nr)); nr++) {
		msn_assert(msn_memfile_is_forked(mf) ||
			   a->refs.core.count == 0);
		arena_free(a);
	}
	msn_table_deinit(&mf->by_nr);
	msn_table_deinit(&mf->by_window);
}

void msn_arena_settle(struct msn_memfile *mf, struct msn_arena *a)
{
	uint64_t was =
		atomic_load_explicit(&a->waste_bytes, memory_order_relaxed);
	uint64_t is = a->waste.core.span;

	atomic_store_explicit(
		&a->room, msn_file_range_length(a->range) - a->refs.core.span,
		memory_order_relaxed);
	if (is == was)
		return;
	atomic_store_explicit(&a->waste_bytes, is, memory_order_relaxed);
	/* Wraps where it is less; the order is for the releaser's awake. */
	atomic_fetch_add(&mf->waste_bytes, is - was);
}

static const char *check_refs(struct msn_arena *a)
{
	uint64_t releasing = 0;

	for (struct msn_seg s = msn_refs_set_first(&a->refs); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		struct msn_file_range r = msn_refs_set_range(s);

		if (!msn_file_range_page_aligned(r))
			return "a referenced range is not page aligned";
		if (!msn_file_range_covers(a->range, r))
			return "a referenced range lies outside its arena";
		if (msn_refs_set_value(&a->refs, s)->refs == 0)
			releasing += msn_file_range_length(r);
	}
	return releasing == a->releasing_bytes
		       ? NULL
		       : "releasing bytes do not add up";
}

static const char *check_waste(struct msn_arena *a)
{
	for (struct msn_seg s = msn_waste_set_first(&a->waste); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		struct msn_file_range r = msn_waste_set_range(s);

		if (!msn_file_range_page_aligned(r))
			return "a wasted range is not page aligned";
		if (!msn_file_range_covers(a->range, r))
			return "a wasted range lies outside its arena";
		if (!msn_refs_set_is_free(&a->refs, r))
			return "a wasted page is in use";
	}
	return NULL;
}

const char *msn_arena_check(struct msn_arena *a)
{
	const char *wrong;

	msn_lock_scope(&a->lock);
	wrong = msn_segset_check(&a->refs.core);
	if (!wrong)
		wrong = msn_segset_check(&a->waste.core);
	if (!wrong)
		wrong = check_refs(a);
	if (!wrong)
		wrong = check_waste(a);
	if (wrong)
		return wrong;
	if (atomic_load(&a->waste_bytes) != a->waste.core.span)
		return "an arena's waste is not what it says";
	if (atomic_load(&a->room) + a->refs.core.span !=
	    msn_file_range_length(a->range))
		return "an arena's room is not what it says";
	return NULL;
}
