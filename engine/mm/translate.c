/*
 * From a page of an object to a placement.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A fault that reads also places the neighbours that are in memory already, in
 * the window that Linux would (do_fault_around()); a fault that writes places
 * what it was asked for.
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"

/* Translations asked for at a time. */
#define RUNS_MAX 8

/* fault_around_bytes of Linux: 64 KiB. */
#define AROUND_PAGES 16
#define AROUND_BYTES (AROUND_PAGES * MSN_PAGE_SIZE)

/* Entries of one page table: the window never leaves it. */
#define TABLE_PAGES 512

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The window around the page at @addr of the mapping at @vma. */
static struct msn_addr_range window_at(struct msn_addr_range vma, uint64_t addr)
{
	uint64_t page = addr >> MSN_PAGE_SHIFT;
	uint64_t slot = page % TABLE_PAGES, base = page - slot;
	uint64_t below = page - (vma.start >> MSN_PAGE_SHIFT);
	uint64_t from = slot - slot % AROUND_PAGES;
	uint64_t to;

	if (below < slot && slot - below > from)
		from = slot - below;
	to = smaller(from + AROUND_PAGES, TABLE_PAGES);
	to = smaller(to, slot + (vma.end >> MSN_PAGE_SHIFT) - page);
	return (struct msn_addr_range){ (base + from) << MSN_PAGE_SHIFT,
					(base + to) << MSN_PAGE_SHIFT };
}

/* Puts the placement @p at @ar, where its pages' references are the caller's.
 */
typedef int (*put_fn)(struct msn_mm *mm, const struct msn_vma *v,
		      struct msn_addr_range ar, const struct msn_pma *p);

/* In place of one that allows less, if there is any. */
static int replace(struct msn_mm *mm, const struct msn_vma *v,
		   struct msn_addr_range ar, const struct msn_pma *p)
{
	int rc = msn_segset_reserve(&mm->pmas.core, 3);

	(void)v;
	if (rc)
		return msn_pass(rc);
	msn_mm_drop_pages(mm, ar, false);
	rc = msn_pma_set_insert(&mm->pmas, ar, p, NULL);
	msn_assert(rc == 0);
	return 0;
}

/* Puts one translated run in place. */
static int place_run(struct msn_mm *mm, const struct msn_vma *v,
		     struct msn_addr_range vma_ar,
		     const struct msn_translation *t, put_fn put)
{
	uint64_t start = vma_ar.start + (t->source.start - v->offset);
	struct msn_addr_range ar = { start,
				     start + msn_obj_range_length(t->source) };
	struct msn_pma p = {
		.file = t->file,
		.offset = t->offset,
		.perms = (uint8_t)t->perms,
		.vma_perms = msn_vma_effective_perms(v),
		.need_cow = msn_vma_private(v),
	};
	int rc;

	msn_file_inc_ref(t->file, msn_translation_file_range(t), mm->account);
	rc = put(mm, v, ar, &p);
	if (rc)
		msn_file_dec_ref(t->file, msn_translation_file_range(t));
	return msn_pass(rc);
}

struct msn_addr_range msn_mm_gap_at(struct msn_mm *mm,
				    struct msn_addr_range want)
{
	struct msn_seg next = msn_pma_set_lower(&mm->pmas, want.start);

	if (msn_seg_ok(next) && msn_pma_set_range(next).start < want.end)
		want.end = msn_pma_set_range(next).start;
	if (want.end < want.start)
		want.end = want.start;
	return want;
}

/*
 * Asks the object once, for as many runs as one answer holds.  *@want becomes
 * what is left.
 */
static int place_answer(struct msn_mm *mm, struct msn_seg vma,
			struct msn_addr_range *want, unsigned access,
			put_fn put)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	struct msn_addr_range var = msn_vma_set_range(vma);
	struct msn_obj_range r = msn_vma_obj_range(v, var, *want);
	struct msn_translation runs[RUNS_MAX];
	int why;
	int n = msn_mappable_translate(v->mappable, r, r, access, runs,
				       RUNS_MAX, &why);

	if (n < 0)
		return msn_pass(n);
	if (n == 0)
		return why == MSN_MAPPABLE_E_BUS ? MSN_PAGE_E_BUS
						 : msn_pass(why);
	for (int i = 0; i < n; i++) {
		int rc = place_run(mm, v, var, &runs[i], put);

		if (rc)
			return msn_pass(rc);
		want->start += msn_obj_range_length(runs[i].source);
	}
	return 0;
}

int msn_mm_place_translated(struct msn_mm *mm, struct msn_seg vma,
			    struct msn_addr_range want, unsigned access)
{
	uint64_t first = want.start;
	int rc = 0;

	while (rc == 0 && !msn_addr_range_empty(want))
		rc = place_answer(mm, vma, &want, access, replace);
	return want.start > first ? 0 : msn_pass(rc);
}

int msn_mm_renew_translated(struct msn_mm *mm, struct msn_seg vma,
			    struct msn_addr_range ar)
{
	int rc = 0;

	while (rc == 0 && !msn_addr_range_empty(ar))
		rc = place_answer(mm, vma, &ar, MSN_ACCESS_READ, msn_mm_cover);
	if (rc != MSN_PAGE_E_BUS)
		return msn_pass(rc);
	/* Past the object's end nothing shows. */
	rc = msn_segset_reserve(&mm->pmas.core, 2);
	if (rc == 0)
		msn_mm_drop_pages(mm, ar, false);
	return msn_pass(rc);
}

/* @hole is no longer than a window. */
static int place_resident(struct msn_mm *mm, struct msn_seg vma,
			  struct msn_addr_range hole)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	uint8_t there[AROUND_PAGES];
	size_t count = msn_addr_range_length(hole) >> MSN_PAGE_SHIFT, i = 0;
	int rc = msn_mappable_resident(
		v->mappable, msn_vma_obj_range(v, msn_vma_set_range(vma), hole),
		there);

	while (rc == 0 && i < count) {
		struct msn_addr_range run = { hole.start + i * MSN_PAGE_SIZE,
					      0 };

		run.end = run.start;
		for (; i < count && there[i]; i++)
			run.end += MSN_PAGE_SIZE;
		if (run.end == run.start)
			i++;
		else
			rc = msn_mm_place_translated(mm, vma, run,
						     MSN_ACCESS_READ);
	}
	return msn_pass(rc);
}

int msn_mm_place_resident(struct msn_mm *mm, struct msn_seg vma,
			  struct msn_addr_range hole)
{
	int rc = 0;

	while (rc == 0 && hole.start < hole.end) {
		struct msn_addr_range part = hole;

		part.end = smaller(hole.end, hole.start + AROUND_BYTES);
		rc = place_resident(mm, vma, part);
		hole.start = part.end;
	}
	return msn_pass(rc);
}

/* Places what is in memory of @w, where nothing is placed. */
static void place_window(struct msn_mm *mm, struct msn_seg vma,
			 struct msn_addr_range w)
{
	while (w.start < w.end) {
		struct msn_addr_range hole = msn_mm_gap_at(mm, w);
		struct msn_seg s;

		if (!msn_addr_range_empty(hole)) {
			/* One that cannot be had is no concern of this fault.
			 */
			if (place_resident(mm, vma, hole) != 0)
				return;
			w.start = hole.end;
		}
		s = msn_pma_set_find(&mm->pmas, w.start);
		if (msn_seg_ok(s))
			w.start = msn_pma_set_range(s).end;
	}
}

uint64_t msn_mm_place_around(struct msn_mm *mm, struct msn_seg vma,
			     struct msn_addr_range want)
{
	struct msn_addr_range w = window_at(msn_vma_set_range(vma), want.start);
	/* Pages of the next block have a window of their own. */
	uint64_t block = (want.start | (AROUND_BYTES - 1)) + 1;

	place_window(mm, vma, w);
	return smaller(smaller(want.end, w.end), block);
}
