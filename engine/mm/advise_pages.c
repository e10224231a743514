/*
 * madvise(2): what is done to pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Without page tables, to forget a page is to drop its placement.  With page
 * tables, something must show at every address at all times: entries of an
 * object's pages are dropped where the kernel can bring them in again, and the
 * space's own pages are replaced by others before they are given up.
 */
#include "mm/advise.h"

#include "base/error.h"
#include "mm/guard.h"
#include "mm/mm_calls.h"

#include <errno.h>
#include <sys/mman.h>

/* ---- MADV_DONTNEED ------------------------------------------------------- */

/* Page tables: forgets what one placement has at @ar. */
static int discard_one(struct msn_mm *mm, struct msn_seg s,
		       struct msn_addr_range ar, const struct msn_pma *p)
{
	/*
	 * The object may have given up the page that the kernel made a copy of:
	 * see keep_copies() of invalidate.c.
	 */
	bool may_be_stale =
		p->need_cow && p->file == msn_memfile_file(mm->memfile);

	if (msn_pma_is_guard(p))
		return 0;
	return p->private || may_be_stale
		       ? msn_pass(msn_mm_renew(mm, s, ar))
		       : msn_pass(msn_address_space_advise(mm->as, ar,
							   MSN_AS_DISCARD));
}

static int discard_kernel(struct msn_mm *mm, struct msn_seg s,
			  struct msn_addr_range ar)
{
	struct msn_addr_range left = ar, part;
	struct msn_seg seg;
	int rc = 0;

	while (rc == 0 &&
	       msn_seg_ok(seg = msn_mm_first_placed(mm, left, &part))) {
		rc = discard_one(mm, s, part,
				 msn_pma_set_value(&mm->pmas, seg));
		left.start = part.end;
	}
	msn_pma_set_merge_range(&mm->pmas, ar);
	return msn_pass(rc);
}

/* zap_page_range_single() of Linux. */
static int discard(struct msn_mm *mm, struct msn_seg s,
		   struct msn_addr_range ar)
{
	int rc;

	msn_write_scope(&mm->active);
	if (mm->as->ops->kernel_faults)
		return msn_pass(discard_kernel(mm, s, ar));
	rc = msn_segset_reserve(&mm->pmas.core, 2);
	if (rc == 0)
		msn_mm_zap_pages(mm, ar, false);
	return msn_pass(rc);
}

/* ---- MADV_FREE ----------------------------------------------------------- */

/*
 * Marks the pages of the placement at *@seg from @at on that nobody else has;
 * *@at becomes the address up to which that is decided.
 */
static int mark_run(struct msn_mm *mm, struct msn_seg seg, uint64_t *at,
		    uint64_t end)
{
	struct msn_pma *p = msn_pma_set_value(&mm->pmas, seg);
	struct msn_addr_range whole = msn_pma_set_range(seg);
	struct msn_addr_range part = { *at, end };
	struct msn_file_range pages, run;
	int rc;

	part = msn_addr_range_intersect(part, whole);
	pages = run = msn_pma_file_range(p, whole, part);
	*at = part.end;
	if (p->lazy_free || !p->private || !msn_pma_takes_memory(p))
		return 0;
	if (p->file == msn_memfile_file(mm->memfile)) {
		bool sole = msn_memfile_is_sole(mm->memfile, pages, &run);

		part.end = part.start + msn_file_range_length(run);
		*at = part.end;
		if (!sole)
			return 0; /* another space still relies on them */
	}
	rc = msn_pma_set_isolate(&mm->pmas, part, &seg);
	if (rc)
		return msn_pass(rc);
	msn_pma_set_value(&mm->pmas, seg)->lazy_free = true;
	return 0;
}

/*
 * Marks own pages as free to take.  Where page tables exist nobody would tell
 * that one was written again, so there the pages just stay, which the caller
 * must be ready for anyway.
 */
static int mark_free(struct msn_mm *mm, struct msn_addr_range ar)
{
	uint64_t at = ar.start;
	int rc = 0;

	if (mm->as->ops->kernel_faults)
		return 0;
	msn_write_scope(&mm->active);
	while (rc == 0 && at < ar.end) {
		struct msn_seg seg = msn_pma_set_lower(&mm->pmas, at);

		if (!msn_seg_ok(seg) || msn_pma_set_range(seg).start >= ar.end)
			break;
		if (at < msn_pma_set_range(seg).start)
			at = msn_pma_set_range(seg).start;
		rc = mark_run(mm, seg, &at, ar.end);
	}
	msn_pma_set_merge_range(&mm->pmas, ar);
	return msn_pass(rc);
}

uint64_t msn_mm_reclaim_lazy(struct msn_mm *mm)
{
	struct msn_seg s;
	uint64_t bytes = 0;

	msn_write_scope(&mm->active);
	s = msn_pma_set_first(&mm->pmas);
	while (msn_seg_ok(s)) {
		struct msn_addr_range r = msn_pma_set_range(s);

		if (!msn_pma_set_value(&mm->pmas, s)->lazy_free) {
			s = msn_seg_next(s);
			continue;
		}
		bytes += msn_addr_range_length(r);
		msn_mm_drop_pages(mm, r, false);
		s = msn_pma_set_lower(&mm->pmas, r.end);
	}
	return bytes;
}

/* ---- MADV_PAGEOUT -------------------------------------------------------- */

/*
 * Forgets the first pages of @part, a part of the placement at @seg, if they
 * are an object's and placed nowhere else: there they stay, while the space's
 * own have nowhere else to be.  *@end: how far that went.
 */
static int page_out_run(struct msn_mm *mm, struct msn_seg seg,
			struct msn_addr_range part, uint64_t *end)
{
	const struct msn_pma *p = msn_pma_set_value(&mm->pmas, seg);
	struct msn_file_range pages =
		msn_pma_file_range(p, msn_pma_set_range(seg), part);
	struct msn_file_range run = pages;
	uint64_t sharers;
	int rc;

	*end = part.end;
	if (p->private || msn_pma_is_guard(p))
		return 0;
	sharers = msn_mm_sharers(mm, p, pages, &run);
	part.end = *end = part.start + msn_file_range_length(run);
	if (sharers != 1)
		return 0;
	rc = msn_segset_reserve(&mm->pmas.core, 2);
	if (rc == 0)
		msn_mm_drop_pages(mm, part, false);
	return msn_pass(rc);
}

static int page_out(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct msn_addr_range part;
	struct msn_seg seg;
	int rc = 0;

	msn_write_scope(&mm->active);
	while (rc == 0 && msn_seg_ok(seg = msn_mm_first_placed(mm, ar, &part)))
		rc = page_out_run(mm, seg, part, &ar.start);
	return msn_pass(rc);
}

/* ---- The rest ------------------------------------------------------------ */

/* Tells the host what it may like to know; whatever it says is as well. */
static int hint(struct msn_mm *mm, struct msn_addr_range ar,
		enum msn_as_advice advice)
{
	int rc;

	msn_write_scope(&mm->active);
	rc = msn_address_space_advise(mm->as, ar, advice);
	(void)rc;
	return 0;
}

/* Short of memory is what Linux calls temporary here. */
static int temporary(int rc)
{
	return rc == -ENOMEM ? msn_fail(-EAGAIN) : msn_pass(rc);
}

int msn_mm_advise_pages(struct msn_mm *mm, struct msn_seg s,
			struct msn_addr_range ar, int advice)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);

	if (advice == MADV_WILLNEED)
		return hint(mm, ar, MSN_AS_WILLNEED);
	if (advice == MADV_GUARD_INSTALL || advice == MADV_GUARD_REMOVE)
		return msn_pass(
			msn_mm_guard(mm, s, ar, advice == MADV_GUARD_INSTALL));
	if (advice == MADV_DONTNEED_LOCKED)
		return temporary(discard(mm, s, ar));
	if (v->flags & MSN_VMA_LOCKED)
		return msn_fail(-EINVAL);
	switch (advice) {
	case MADV_DONTNEED:
		return temporary(discard(mm, s, ar));
	case MADV_FREE:
		return msn_vma_anonymous(v) ? temporary(mark_free(mm, ar))
					    : msn_fail(-EINVAL);
	case MADV_COLD:
		return hint(mm, ar, MSN_AS_COLD);
	case MADV_PAGEOUT:
		return mm->as->ops->kernel_faults ? hint(mm, ar, MSN_AS_PAGEOUT)
						  : temporary(page_out(mm, ar));
	default:
		/* There are no huge pages: MADV_COLLAPSE has nothing to make */
		return msn_fail(-EINVAL);
	}
}
