/*
 * Copy on write.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The pages that are asked for, and no others: a page that nobody shares any
 * more is taken back as it is, the rest are copied.
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"
#include "mm/zero.h"

#include <errno.h>

/*
 * A copy of one call moves at most this much at once: enough for one system
 * call's worth of pages, little enough that a failure half way costs little.
 */
#define COW_BYTES (UINT64_C(64) << 10)

/* Copies pages of a placement into @to, fresh pages of the memory file. */
static int copy_pages(struct msn_mm *mm, struct msn_file *from,
		      struct msn_file_range src, struct msn_file_range to)
{
	struct msn_file *mf = msn_memfile_file(mm->memfile);

	while (to.start < to.end) {
		struct msn_spans spans;
		int rc =
			msn_file_map_internal(mf, to, MSN_ACCESS_WRITE, &spans);
		size_t done;

		if (rc)
			return msn_pass(rc);
		rc = msn_file_read(from, src.start, spans.span[0].data,
				   spans.span[0].len, &done);
		if (rc == MSN_FILE_E_BUS)
			return MSN_PAGE_E_BUS;
		if (rc)
			return msn_pass(rc);
		src.start += done;
		to.start += done;
	}
	return 0;
}

static bool is_own(const struct msn_mm *mm, const struct msn_pma *p)
{
	return p->private && p->file == msn_memfile_file(mm->memfile);
}

/*
 * Pages whose offsets follow on those of the page below, or end where those of
 * the page above begin, are one run with it: fewer placements, and fewer pieces
 * for whoever saves them.  (An offset of 0 is no wish.)
 */
static void wish_near(struct msn_mm *mm, struct msn_addr_range ar,
		      struct msn_memfile_alloc *want)
{
	struct msn_seg s = msn_pma_set_find(&mm->pmas, ar.start - 1);

	if (msn_seg_ok(s) && is_own(mm, msn_pma_set_value(&mm->pmas, s))) {
		want->near = msn_pma_set_value(&mm->pmas, s)->offset +
			     (ar.start - msn_pma_set_range(s).start);
		return;
	}
	s = msn_pma_set_find(&mm->pmas, ar.end);
	if (!msn_seg_ok(s) || !is_own(mm, msn_pma_set_value(&mm->pmas, s)))
		return;
	want->near = msn_pma_set_value(&mm->pmas, s)->offset +
		     (ar.end - msn_pma_set_range(s).start);
	if (want->near)
		want->direction = MSN_TOP_DOWN;
}

int msn_mm_take_pages(struct msn_mm *mm, struct msn_addr_range ar,
		      struct msn_file_range *pages)
{
	struct msn_memfile_alloc want = {
		.length = msn_addr_range_length(ar),
		.account = mm->account,
	};
	int rc = msn_segset_reserve(&mm->pmas.core, 3);

	if (rc)
		return msn_pass(rc);
	wish_near(mm, ar, &want);
	return msn_pass(msn_memfile_allocate(mm->memfile, &want, pages));
}

int msn_mm_place_fresh(struct msn_mm *mm, struct msn_addr_range ar,
		       uint8_t vma_perms, const struct msn_pma *from,
		       struct msn_file_range src)
{
	struct msn_pma p = { .file = msn_memfile_file(mm->memfile),
			     .perms = MSN_ACCESS_ANY,
			     .vma_perms = vma_perms,
			     .private = true };
	struct msn_file_range pages;
	int rc = msn_mm_take_pages(mm, ar, &pages);

	if (rc)
		return msn_pass(rc);
	if (from && !msn_is_zero_file(from->file))
		rc = copy_pages(mm, from->file, src, pages);
	if (rc) {
		msn_file_dec_ref(p.file, pages);
		return msn_pass(rc);
	}
	p.offset = pages.start;
	msn_mm_drop_pages(mm, ar, false);
	rc = msn_pma_set_insert(&mm->pmas, ar, &p, NULL);
	msn_assert(rc == 0);
	return 0;
}

/* Replaces the placement at @ar, a part of that at @seg, by a copy. */
static int replace_by_copy(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_seg seg)
{
	struct msn_pma old = *msn_pma_set_value(&mm->pmas, seg);

	return msn_pass(msn_mm_place_fresh(
		mm, ar, old.vma_perms, &old,
		msn_pma_file_range(&old, msn_pma_set_range(seg), ar)));
}

/* The space's own pages that nobody shares any more become writable again. */
static int take_over(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct msn_seg seg;
	struct msn_pma *p;
	int rc = msn_pma_set_isolate(&mm->pmas, ar, &seg);

	if (rc)
		return msn_pass(rc);
	p = msn_pma_set_value(&mm->pmas, seg);
	p->need_cow = p->lazy_free = false;
	msn_pma_set_merge_range(&mm->pmas, ar);
	return 0;
}

bool msn_mm_is_shared_copy(struct msn_mm *mm, const struct msn_pma *p,
			   struct msn_addr_range whole,
			   struct msn_addr_range *part)
{
	struct msn_file_range run;
	bool sole;

	if (!p->need_cow || !is_own(mm, p))
		return false;
	sole = msn_memfile_is_sole(mm->memfile,
				   msn_pma_file_range(p, whole, *part), &run);
	part->end = part->start + msn_file_range_length(run);
	return !sole;
}

int msn_mm_unshare(struct msn_mm *mm, struct msn_seg seg,
		   struct msn_addr_range part)
{
	return msn_pass(replace_by_copy(mm, part, seg));
}

int msn_mm_break_cow(struct msn_mm *mm, struct msn_seg seg,
		     struct msn_addr_range want)
{
	struct msn_pma *p = msn_pma_set_value(&mm->pmas, seg);
	struct msn_addr_range whole = msn_pma_set_range(seg);
	struct msn_addr_range ar = msn_addr_range_intersect(want, whole);
	int rc;

	if (is_own(mm, p)) {
		struct msn_file_range run;
		bool sole = msn_memfile_is_sole(
			mm->memfile, msn_pma_file_range(p, whole, ar), &run);

		ar.end = ar.start + msn_file_range_length(run);
		if (sole)
			return msn_pass(take_over(mm, ar));
	}
	if (msn_addr_range_length(ar) > COW_BYTES && !msn_is_zero_file(p->file))
		ar.end = ar.start + COW_BYTES;
	rc = replace_by_copy(mm, ar, seg);
	if (rc == MSN_PAGE_E_BUS && msn_addr_range_length(ar) > MSN_PAGE_SIZE) {
		/* A later page is missing: the first may still be there. */
		ar.end = ar.start + MSN_PAGE_SIZE;
		rc = replace_by_copy(mm, ar, seg);
	}
	return msn_pass(rc);
}
