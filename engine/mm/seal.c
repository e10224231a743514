/*
 * mseal: mappings that stay as they are.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/mseal.c of Linux: a hole is found before anything is sealed.  Who must
 * not change a sealed mapping looks for MSN_VMA_SEALED itself.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/mm_internal.h"

#include <errno.h>

static bool has_hole(struct msn_mm *mm, struct msn_addr_range ar)
{
	uint64_t at = ar.start;

	while (at < ar.end) {
		struct msn_seg s = msn_vma_set_find(&mm->vmas, at);

		if (!msn_seg_ok(s))
			return true;
		at = msn_vma_set_range(s).end;
	}
	return false;
}

static int seal_range(struct msn_mm *mm, struct msn_addr_range ar)
{
	if (has_hole(mm, ar))
		return msn_fail(-ENOMEM);
	while (ar.start < ar.end) {
		struct msn_seg s = msn_vma_set_find(&mm->vmas, ar.start);
		struct msn_addr_range part =
			msn_addr_range_intersect(msn_vma_set_range(s), ar);
		struct msn_vma to = *msn_vma_set_value(&mm->vmas, s);

		if (!(to.flags & MSN_VMA_SEALED)) {
			int rc;

			to.flags |= MSN_VMA_SEALED;
			rc = msn_vma_modify(mm, part, &to, &s);
			if (rc)
				return msn_pass(rc);
		}
		ar.start = part.end;
	}
	return 0;
}

int msn_mm_mseal(struct msn_mm *mm, uint64_t addr, uint64_t length,
		 unsigned long flags)
{
	uint64_t len;

	if (flags || !msn_page_aligned(addr) || !msn_page_up(length, &len) ||
	    addr + len < addr)
		return msn_fail(-EINVAL);
	msn_write_scope(&mm->mapping);
	return msn_pass(
		seal_range(mm, (struct msn_addr_range){ addr, addr + len }));
}
