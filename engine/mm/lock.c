/*
 * The mlock family.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/mlock.c of Linux: what is locked is a property of mappings and counted
 * as it is set; pages are brought in afterwards, and what cannot be had then is
 * told without taking the lock back.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/mm_internal.h"

#include <errno.h>
#include <sys/mman.h>

/* Mappings that are never locked; the call passes them over. */
#define NEVER_LOCKED (MSN_VMA_DONTEXPAND | MSN_VMA_DROPPABLE)

/* mlock_fixup() of Linux; *@s becomes the mapping that has @part then. */
static int set_part(struct msn_mm *mm, struct msn_seg *s,
		    struct msn_addr_range part, uint32_t lock)
{
	struct msn_vma to = *msn_vma_set_value(&mm->vmas, *s);
	uint64_t bytes = msn_addr_range_length(part);
	uint32_t old = to.flags;
	int rc;

	to.flags = (old & ~(uint32_t)MSN_VMA_LOCK_MASK) | lock;
	if (to.flags == old || (old & NEVER_LOCKED))
		return 0;
	rc = msn_vma_modify(mm, part, &to, s);
	if (rc)
		return msn_pass(rc);
	msn_mm_count_bytes(mm, old, -(int64_t)bytes);
	msn_mm_count_bytes(mm, to.flags, (int64_t)bytes);
	return 0;
}

/* apply_vma_lock_flags() of Linux: ends at the first hole. */
static int set_range(struct msn_mm *mm, struct msn_addr_range ar, uint32_t lock)
{
	uint64_t at = ar.start;

	if (ar.end < ar.start)
		return msn_fail(-EINVAL);
	while (at < ar.end) {
		struct msn_addr_range part = { at, ar.end };
		struct msn_seg s = msn_vma_set_find(&mm->vmas, at);
		int rc;

		if (!msn_seg_ok(s))
			return msn_fail(-ENOMEM);
		part = msn_addr_range_intersect(part, msn_vma_set_range(s));
		rc = set_part(mm, &s, part, lock);
		if (rc)
			return msn_pass(rc);
		at = msn_vma_set_range(s).end;
	}
	return 0;
}

/* Bytes in @ar that are locked already. */
static uint64_t locked_in(struct msn_mm *mm, struct msn_addr_range ar)
{
	uint64_t sum = 0;

	for (struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);
	     msn_seg_ok(s) && msn_vma_set_range(s).start < ar.end;
	     s = msn_seg_next(s))
		if (msn_vma_set_value(&mm->vmas, s)->flags & MSN_VMA_LOCKED)
			sum += msn_addr_range_length(msn_addr_range_intersect(
				ar, msn_vma_set_range(s)));
	return sum;
}

/* Would locking @ar as well be within the limit? */
static bool is_within_limit(struct msn_mm *mm, struct msn_addr_range ar)
{
	/* In pages, so that nothing wraps. */
	uint64_t limit = mm->limits.memlock >> MSN_PAGE_SHIFT;
	uint64_t sum = (mm->sizes.locked >> MSN_PAGE_SHIFT) +
		       (msn_addr_range_length(ar) >> MSN_PAGE_SHIFT);

	if (mm->limits.can_lock || sum <= limit)
		return true;
	if (ar.end < ar.start)
		ar.end = UINT64_MAX;
	return sum - (locked_in(mm, ar) >> MSN_PAGE_SHIFT) <= limit;
}

/*
 * Whole pages, by the arithmetic of Linux: a length that does not fit into 64
 * bits is none at all, and a range may come out to end before it begins.
 */
static struct msn_addr_range whole_pages(uint64_t addr, uint64_t length)
{
	uint64_t start = msn_page_down(addr);

	length = msn_page_down(length + (addr - start) + MSN_PAGE_MASK);
	return (struct msn_addr_range){ start, start + length };
}

/* __mlock_posix_error_return() of Linux. */
static int posix_error(int rc)
{
	if (rc == -EFAULT)
		return msn_fail(-ENOMEM);
	return rc == -ENOMEM ? msn_fail(-EAGAIN) : msn_pass(rc);
}

int msn_mm_mlock(struct msn_mm *mm, uint64_t addr, uint64_t length, int flags)
{
	struct msn_addr_range ar = whole_pages(addr, length);
	uint32_t lock = MSN_VMA_LOCKED;
	int rc;

	if ((unsigned)flags & ~MLOCK_ONFAULT)
		return msn_fail(-EINVAL);
	if ((unsigned)flags & MLOCK_ONFAULT)
		lock |= MSN_VMA_LOCKONFAULT;
	{
		msn_write_scope(&mm->mapping);
		if (!msn_mm_can_lock(mm))
			return msn_fail(-EPERM);
		rc = is_within_limit(mm, ar) ? set_range(mm, ar, lock)
					     : msn_fail(-ENOMEM);
	}
	if (rc)
		return msn_pass(rc);
	return posix_error(msn_mm_populate_range(mm, ar, false));
}

int msn_mm_munlock(struct msn_mm *mm, uint64_t addr, uint64_t length)
{
	msn_write_scope(&mm->mapping);
	return msn_pass(set_range(mm, whole_pages(addr, length), 0));
}

/* Every mapping that can be; one that has to stay as it is does not matter. */
static void set_all(struct msn_mm *mm, uint32_t lock)
{
	struct msn_seg s = msn_vma_set_first(&mm->vmas);

	while (msn_seg_ok(s)) {
		struct msn_addr_range r = msn_vma_set_range(s);
		int rc = set_part(mm, &s, r, lock);

		if (rc)
			s = msn_vma_set_find(&mm->vmas, r.start);
		s = msn_seg_next(s);
	}
}

/* apply_mlockall_flags() of Linux; flags of several calls do not add up. */
static void apply_all(struct msn_mm *mm, int flags)
{
	uint32_t lock = MSN_VMA_LOCKED;

	if (flags & MCL_ONFAULT)
		lock |= MSN_VMA_LOCKONFAULT;
	mm->def_flags &= ~(uint32_t)MSN_VMA_LOCK_MASK;
	if (flags & MCL_FUTURE)
		mm->def_flags |= lock;
	if (flags & MCL_CURRENT)
		set_all(mm, lock);
	else if (!(flags & MCL_FUTURE))
		set_all(mm, 0);
}

int msn_mm_mlockall(struct msn_mm *mm, int flags)
{
	struct msn_addr_range all = { 0, UINT64_MAX };

	if (!flags || flags == MCL_ONFAULT ||
	    (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))
		return msn_fail(-EINVAL);
	{
		msn_write_scope(&mm->mapping);
		if (!msn_mm_can_lock(mm))
			return msn_fail(-EPERM);
		if ((flags & MCL_CURRENT) && !mm->limits.can_lock &&
		    mm->sizes.total > msn_page_down(mm->limits.memlock))
			return msn_fail(-ENOMEM);
		apply_all(mm, flags);
	}
	if (flags & MCL_CURRENT)
		return msn_pass(msn_mm_populate_range(mm, all, true));
	return 0;
}

void msn_mm_munlockall(struct msn_mm *mm)
{
	msn_write_scope(&mm->mapping);
	apply_all(mm, 0);
}
