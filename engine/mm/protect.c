/*
 * mprotect.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_internal.h"

#include "base/error.h"

#include <errno.h>

/* Tells the page tables about new rights for what is placed in @ar. */
static int protect_placed(struct msn_mm *mm, struct msn_addr_range ar,
			  unsigned perms)
{
	struct msn_seg s;

	msn_write_scope(&mm->active);
	for (s = msn_pma_set_lower(&mm->pmas, ar.start);
	     msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		struct msn_addr_range part =
			msn_addr_range_intersect(ar, msn_pma_set_range(s));
		int rc = msn_address_space_protect(mm->as, part, perms);

		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* Changes the mappings of @ar one by one, as far as there is no hole. */
static int protect_range(struct msn_mm *mm, struct msn_addr_range ar,
			 unsigned perms)
{
	struct msn_seg s;
	uint64_t reached = ar.start;
	int rc = msn_vma_set_isolate(&mm->vmas, ar, &s);

	if (rc)
		return msn_pass(rc);
	for (; msn_seg_ok(s) && reached < ar.end; s = msn_seg_next(s)) {
		struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
		struct msn_addr_range r = msn_vma_set_range(s);

		if (r.start != reached)
			break;
		if (perms & ~(unsigned)v->max_perms)
			return msn_fail(-EACCES);
		rc = protect_placed(mm, r, perms);
		if (rc)
			return msn_pass(rc);
		v->perms = (uint8_t)perms;
		reached = r.end;
	}
	return reached < ar.end ? msn_fail(-ENOMEM) : 0;
}

/* PROT_GROWSDOWN: the change reaches down to the start of the stack. */
static int reach_down(struct msn_mm *mm, struct msn_addr_range *ar)
{
	struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar->start);

	if (!msn_seg_ok(s) || msn_vma_set_range(s).start >= ar->end)
		return msn_fail(-ENOMEM);
	if (!msn_vma_set_value(&mm->vmas, s)->grows_down)
		return msn_fail(-EINVAL);
	ar->start = msn_vma_set_range(s).start;
	return 0;
}

int msn_mm_mprotect(struct msn_mm *mm, uint64_t addr, uint64_t length,
		    unsigned perms, bool grows_down)
{
	struct msn_addr_range ar = { addr, 0 };
	uint64_t len;
	int rc = 0;

	if (!msn_page_aligned(addr))
		return msn_fail(-EINVAL);
	if (length == 0)
		return 0;
	if (!msn_page_up(length, &len) || addr + len <= addr)
		return msn_fail(-ENOMEM);
	ar.end = addr + len;

	msn_write_scope(&mm->mapping);
	if (grows_down)
		rc = reach_down(mm, &ar);
	if (rc == 0)
		rc = protect_range(mm, ar, perms);
	msn_vma_set_merge_range(&mm->vmas, ar);
	return msn_pass(rc);
}
