/*
 * Choosing where a mapping goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/mmap.c, mm/vma.c and arch/x86/kernel/sys_x86_64.c of Linux: a hint is
 * taken if it is free; else the highest gap below the top-down base, and if
 * there is none, the lowest gap above the bottom-up base.  The pages below a
 * stack stay free so that it does not grow into a neighbour.
 */
#include "mm/mm_internal.h"

#include "base/error.h"

#include <errno.h>

/* MAP_32BIT of Linux: the second GiB. */
#define LOW_START (UINT64_C(1) << 30)
#define LOW_END (UINT64_C(1) << 31)

/* Anonymous memory in multiples of this is aligned to it (large pages). */
#define HUGE_BYTES (UINT64_C(1) << 21)

/* The lowest address that Linux ever looks at when it searches. */
#define SEARCH_MIN MSN_PAGE_SIZE

uint64_t msn_mm_guard_start(struct msn_mm *mm, struct msn_seg s)
{
	uint64_t start = msn_vma_set_range(s).start;

	if (!(msn_vma_set_value(&mm->vmas, s)->flags & MSN_VMA_GROWSDOWN))
		return start;
	return start > MSN_GUARD_BYTES ? start - MSN_GUARD_BYTES : 0;
}

/* Does a hint at @addr meet nothing, the guard gap above it included? */
static bool is_available(struct msn_mm *mm, uint64_t addr, uint64_t length)
{
	struct msn_seg s = msn_vma_set_lower(&mm->vmas, addr);

	return !msn_seg_ok(s) || addr + length <= msn_mm_guard_start(mm, s);
}

/* Addresses that Linux takes for an error that somebody handed on. */
#define ERROR_MIN (UINT64_MAX - 4094)

/* Checks that hold for every place, however it was found. */
static int check_place(struct msn_mm *mm, uint64_t addr, uint64_t length)
{
	uint64_t task = mm->layout.max_addr;

	if (length > task)
		return msn_fail(-ENOMEM);
	if (addr >= ERROR_MIN)
		return msn_fail((int)(int64_t)addr);
	if (addr > task - length)
		return msn_fail(-ENOMEM);
	if (!msn_page_aligned(addr))
		return msn_fail(-EINVAL);
	if (addr < (mm->layout.low_addr ? mm->layout.low_addr
					: mm->layout.min_addr) &&
	    !mm->limits.can_map_low)
		return msn_fail(-EPERM);
	return 0;
}

static int fixed_place(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		       struct msn_addr_range ar)
{
	bool forced = opts->force && opts->unmap && ar.end > ar.start;
	int rc = check_place(mm, ar.start, ar.end - ar.start);

	if (rc && !(rc == -ENOMEM && forced))
		return msn_pass(rc);
	if (!msn_addr_range_covers(mm->as->region, ar))
		return msn_fail(-ENOMEM);
	if (opts->unmap || msn_vma_set_is_free(&mm->vmas, ar))
		return 0;
	return msn_fail(opts->no_replace ? -EEXIST : -ENOMEM);
}

/* Highest place in @within, or false. */
static bool search_down(struct msn_mm *mm, struct msn_seg_range within,
			uint64_t length, uint64_t *start)
{
	if (within.start < mm->layout.min_addr)
		within.start = mm->layout.min_addr;
	while (within.start < within.end &&
	       msn_segset_last_gap(&mm->vmas.core, within, length, 1, start)) {
		struct msn_seg above =
			msn_vma_set_lower(&mm->vmas, *start + length);
		uint64_t limit = msn_seg_ok(above)
					 ? msn_mm_guard_start(mm, above)
					 : UINT64_MAX;

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
	if (within.start < mm->layout.min_addr)
		within.start = mm->layout.min_addr;
	while (within.start < within.end &&
	       msn_segset_first_gap(&mm->vmas.core, within, length, 1, start)) {
		struct msn_seg above =
			msn_vma_set_lower(&mm->vmas, *start + length);

		if (!msn_seg_ok(above) ||
		    msn_mm_guard_start(mm, above) >= *start + length)
			return true;
		within.start = msn_vma_set_range(above).end;
	}
	return false;
}

static uint64_t bottom_up_base(const struct msn_layout *l)
{
	uint64_t base = l->bottom_up_base;

	if (!base && !msn_page_up(l->max_addr / 3, &base))
		base = l->min_addr;
	return base < l->min_addr ? l->min_addr : base;
}

/* arch_get_unmapped_area() of Linux. */
static bool bottom_up(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		      uint64_t hint, uint64_t length, uint64_t *start)
{
	struct msn_seg_range in = { bottom_up_base(&mm->layout),
				    mm->layout.max_addr };

	if (opts->map_32bit)
		in = (struct msn_seg_range){ LOW_START, LOW_END };
	if (length > in.end)
		return false;
	*start = hint;
	if (hint && hint <= in.end - length && is_available(mm, hint, length))
		return true;
	return search_up(mm, in, length, start);
}

/* arch_get_unmapped_area_topdown() of Linux. */
static bool top_down(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		     uint64_t hint, uint64_t length, uint64_t *start)
{
	const struct msn_layout *l = &mm->layout;

	if (length > l->max_addr)
		return false;
	*start = hint;
	if (hint && hint <= l->max_addr - length &&
	    is_available(mm, hint, length))
		return true;
	return search_down(
		       mm,
		       (struct msn_seg_range){ SEARCH_MIN, l->top_down_base },
		       length, start) ||
	       bottom_up(mm, opts, hint, length, start);
}

static bool search(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		   uint64_t hint, uint64_t length, uint64_t *start)
{
	return opts->map_32bit || mm->layout.bottom_up
		       ? bottom_up(mm, opts, hint, length, start)
		       : top_down(mm, opts, hint, length, start);
}

/*
 * thp_get_unmapped_area() of Linux: a longer place is looked for, and the part
 * of it taken where large pages of the object would be aligned.
 */
static bool search_aligned(struct msn_mm *mm, const struct msn_mmap_opts *opts,
			   uint64_t hint, uint64_t length, uint64_t *start)
{
	uint64_t off = opts->offset, padded = length + HUGE_BYTES, skew;
	uint64_t first = (off + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);

	if (off + length <= first || off + length - first < HUGE_BYTES ||
	    padded < length || off + padded < off ||
	    !search(mm, opts, hint, padded, start))
		return false;
	if (hint && *start == hint)
		return true;
	skew = (off - *start) & (HUGE_BYTES - 1);
	if (!skew && !mm->layout.bottom_up)
		skew = HUGE_BYTES;
	*start += skew;
	return true;
}

/* Is it memory for which Linux looks for such a place? */
static bool wants_aligned(const struct msn_mmap_opts *opts, uint64_t hint,
			  uint64_t length)
{
	if (opts->mappable || !opts->private)
		return false;
	/* Private /dev/zero is asked about, anonymous memory is told. */
	return opts->mapping_identity || (!hint && length % HUGE_BYTES == 0);
}

/* A hint, rounded as round_hint_to_min() of Linux does. */
static uint64_t round_hint(const struct msn_mm *mm, uint64_t addr)
{
	addr = msn_page_down(addr);
	if (addr && addr < mm->layout.min_addr)
		addr = mm->layout.min_addr;
	return addr;
}

int msn_mm_find_place(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		      uint64_t length, struct msn_addr_range *out)
{
	struct msn_addr_range ar = { opts->addr, opts->addr + length };
	uint64_t hint = round_hint(mm, opts->addr);
	bool found = false;

	if (opts->fixed) {
		*out = ar;
		return msn_pass(fixed_place(mm, opts, ar));
	}
	if (wants_aligned(opts, hint, length))
		found = search_aligned(mm, opts, hint, length, &ar.start);
	if (!found)
		found = search(mm, opts, hint, length, &ar.start);
	if (!found)
		return msn_fail(-ENOMEM);
	*out = (struct msn_addr_range){ ar.start, ar.start + length };
	return msn_pass(check_place(mm, ar.start, length));
}
