/*
 * Choosing where a mapping goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/mmap.c of Linux: a hint is taken if it is free; else the highest gap
 * below the top-down base, and if there is none, the lowest gap above it.  The
 * pages below a stack stay free so that it does not grow into a neighbour.
 */
#include "mm/mm_internal.h"

#include "base/error.h"

#include <errno.h>

/* stack_guard_gap of Linux: 256 pages. */
#define GUARD_BYTES (UINT64_C(256) << MSN_PAGE_SHIFT)

/* MAP_32BIT of Linux: the second GiB. */
#define LOW_START (UINT64_C(1) << 30)
#define LOW_END (UINT64_C(1) << 31)

/* The first address that a mapping below @s may not reach. */
static uint64_t guard_start(struct msn_mm *mm, struct msn_seg s)
{
	uint64_t start = msn_vma_set_range(s).start;

	if (!msn_vma_set_value(&mm->vmas, s)->grows_down)
		return start;
	return start > GUARD_BYTES ? start - GUARD_BYTES : 0;
}

/* Is @ar free, with the guard gap of the stack above it respected? */
static bool is_available(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct msn_seg above;

	if (!msn_vma_set_is_free(&mm->vmas, ar))
		return false;
	above = msn_vma_set_lower(&mm->vmas, ar.end);
	return !msn_seg_ok(above) || guard_start(mm, above) >= ar.end;
}

static bool in_layout(struct msn_mm *mm, struct msn_addr_range ar)
{
	return ar.start >= mm->layout.min_addr && ar.end > ar.start &&
	       ar.end <= mm->layout.max_addr;
}

static int fixed_place(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		       struct msn_addr_range ar)
{
	if (ar.end <= ar.start || !msn_addr_range_covers(mm->as->region, ar))
		return msn_fail(-ENOMEM);
	if (!in_layout(mm, ar) && !(opts->force && opts->unmap))
		return msn_fail(-ENOMEM);
	if (opts->unmap || msn_vma_set_is_free(&mm->vmas, ar))
		return 0;
	return msn_fail(opts->no_replace ? -EEXIST : -ENOMEM);
}

/* Highest place in @within, or false. */
static bool search_down(struct msn_mm *mm, struct msn_seg_range within,
			uint64_t length, uint64_t *start)
{
	while (within.start < within.end &&
	       msn_segset_last_gap(&mm->vmas.core, within, length, 1, start)) {
		struct msn_seg above =
			msn_vma_set_lower(&mm->vmas, *start + length);
		uint64_t limit =
			msn_seg_ok(above) ? guard_start(mm, above) : UINT64_MAX;

		if (*start + length <= limit)
			return true;
		within.end = limit;
	}
	return false;
}

/* Lowest place in @within, or false. */
static bool search_up(struct msn_mm *mm, struct msn_seg_range within,
		      uint64_t length, uint64_t *start)
{
	while (within.start < within.end &&
	       msn_segset_first_gap(&mm->vmas.core, within, length, 1, start)) {
		struct msn_seg above =
			msn_vma_set_lower(&mm->vmas, *start + length);

		if (!msn_seg_ok(above) ||
		    guard_start(mm, above) >= *start + length)
			return true;
		within.start = msn_vma_set_range(above).end;
	}
	return false;
}

int msn_mm_find_place(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		      uint64_t length, struct msn_addr_range *out)
{
	const struct msn_layout *l = &mm->layout;
	struct msn_addr_range ar = { opts->addr, opts->addr + length };
	bool found;

	if (opts->fixed) {
		*out = ar;
		return msn_pass(fixed_place(mm, opts, ar));
	}
	ar.start = msn_page_down(ar.start);
	ar.end = ar.start + length;
	if (ar.start && in_layout(mm, ar) && is_available(mm, ar)) {
		*out = ar;
		return 0;
	}
	if (opts->map_32bit)
		found = search_up(mm,
				  (struct msn_seg_range){ LOW_START, LOW_END },
				  length, &ar.start);
	else
		found = search_down(mm,
				    (struct msn_seg_range){ l->min_addr,
							    l->top_down_base },
				    length, &ar.start) ||
			search_up(mm,
				  (struct msn_seg_range){ l->top_down_base,
							  l->max_addr },
				  length, &ar.start);
	if (!found)
		return msn_fail(-ENOMEM);
	*out = (struct msn_addr_range){ ar.start, ar.start + length };
	return 0;
}
