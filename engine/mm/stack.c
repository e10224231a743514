/*
 * Stacks grow when something below them is touched.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As expand_downwards() and acct_stack_growth() of mm/vma.c of Linux.
 */
#include "mm/mm_internal.h"

#include "base/error.h"

#include <errno.h>

/* May @v, @size bytes long after growing by @more, be that large? */
static bool may_grow(const struct msn_mm *mm, const struct msn_vma *v,
		     uint64_t size, uint64_t more)
{
	return msn_mm_may_expand(mm, v->flags, more) &&
	       size <= mm->limits.stack &&
	       msn_mm_may_lock(mm, v->flags, more) &&
	       msn_mm_may_commit(mm, more);
}

/* Would the stack at @s come too near to what is below it? */
static bool is_blocked(struct msn_mm *mm, struct msn_seg s, uint64_t addr)
{
	struct msn_seg prev = msn_seg_prev(s);
	const struct msn_vma *v;

	if (!msn_seg_ok(prev))
		return false;
	v = msn_vma_set_value(&mm->vmas, prev);
	return !(v->flags & MSN_VMA_GROWSDOWN) && msn_vma_perms(v) &&
	       addr - msn_vma_set_range(prev).end < MSN_GUARD_BYTES;
}

int msn_mm_grow_stack(struct msn_mm *mm, uint64_t addr)
{
	struct msn_seg s = msn_vma_set_lower(&mm->vmas, addr);
	struct msn_addr_range r;
	struct msn_vma *v;
	int rc;

	if (!msn_seg_ok(s))
		return msn_fail(-EFAULT);
	r = msn_vma_set_range(s);
	if (r.start <= addr)
		return 0;
	v = msn_vma_set_value(&mm->vmas, s);
	if (!(v->flags & MSN_VMA_GROWSDOWN))
		return msn_fail(-EFAULT);
	addr = msn_page_down(addr);
	if (addr < mm->layout.min_addr)
		return msn_fail(-EPERM);
	if (is_blocked(mm, s, addr))
		return msn_fail(-ENOMEM);
	rc = msn_vma_prepare_anon(mm, s);
	if (rc)
		return msn_pass(rc);
	if (v->offset < r.start - addr ||
	    !may_grow(mm, v, r.end - addr, r.start - addr))
		return msn_fail(-ENOMEM);
	msn_mm_count_bytes(mm, v->flags, (int64_t)(r.start - addr));
	v->offset -= r.start - addr;
	r.start = addr;
	msn_vma_set_resize(&mm->vmas, s, r);
	return 0;
}
