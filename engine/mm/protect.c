/*
 * mprotect.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/mprotect.c of Linux: mapping by mapping from the start, stopping at the
 * first that cannot be changed; what came before it stays changed.
 */
#include "mm/mm_internal.h"

#include "base/error.h"
#include "mm/guard.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef PROT_SEM
#define PROT_SEM 0x8 /* <linux/mman.h>: may be used for atomics; no effect */
#endif

/* Tells placements and page tables about new rights in @ar. */
static int protect_placed(struct msn_mm *mm, struct msn_addr_range ar,
			  unsigned perms)
{
	struct msn_seg s;
	int rc;

	msn_write_scope(&mm->active);
	rc = msn_pma_set_isolate(&mm->pmas, ar, &s);
	for (; rc == 0 && msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		struct msn_pma *p = msn_pma_set_value(&mm->pmas, s);

		if (!msn_pma_is_guard(p)) /* never accessible */
			rc = msn_address_space_protect(
				mm->as, msn_pma_set_range(s), perms);
		if (rc == 0)
			p->vma_perms = (uint8_t)msn_access_effective(perms);
	}
	msn_pma_set_merge_range(&mm->pmas, ar);
	return msn_pass(rc);
}

/* Back to the old rights after a failure, as far as the host allows. */
static void unprotect_placed(struct msn_mm *mm, struct msn_addr_range ar,
			     unsigned perms)
{
	int rc = protect_placed(mm, ar, perms);

	(void)rc;
}

/* The flags that @v gets with @perms; what Linux charges for is in them. */
static int new_flags(struct msn_mm *mm, const struct msn_vma *v, unsigned perms,
		     uint64_t bytes, uint32_t *out)
{
	uint32_t old = v->flags,
		 flags = (old & ~(uint32_t)MSN_VMA_ACCESS) | perms;
	const uint32_t free_of_charge = MSN_VMA_ACCOUNT | MSN_VMA_WRITE |
					MSN_VMA_SHARED | MSN_VMA_NORESERVE;

	if (flags & MSN_VMA_WRITE) {
		if (!msn_mm_may_expand(mm, flags, bytes) &&
		    msn_mm_may_expand(mm, old, bytes))
			return msn_fail(-ENOMEM);
		if (!(old & free_of_charge)) {
			if (!msn_mm_may_commit(mm, bytes))
				return msn_fail(-ENOMEM);
			flags |= MSN_VMA_ACCOUNT;
		}
	} else if ((old & MSN_VMA_ACCOUNT) && msn_vma_anonymous(v) &&
		   !v->anon) {
		flags &= ~(uint32_t)MSN_VMA_ACCOUNT;
	}
	*out = flags;
	return 0;
}

/* A locked mapping that became writable gets its own pages at once. */
static void populate_locked(struct msn_mm *mm, struct msn_seg s,
			    struct msn_addr_range part)
{
	int rc;

	msn_write_scope(&mm->active);
	rc = msn_mm_populate(mm, s, part);
	(void)rc; /* what could not be had comes with the next touch */
}

/* mprotect_fixup() of Linux.  *@reached becomes the mapping's end. */
static int protect_part(struct msn_mm *mm, struct msn_addr_range part,
			unsigned perms, uint64_t *reached)
{
	struct msn_seg s = msn_vma_set_find(&mm->vmas, part.start);
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
	uint64_t bytes = msn_addr_range_length(part);
	struct msn_vma to = *v;
	uint32_t old = v->flags;
	int rc;

	*reached = msn_vma_set_range(s).end;
	if (perms & ~msn_vma_max_perms(v))
		return msn_fail(-EACCES);
	if (old & MSN_VMA_SEALED)
		return msn_fail(-EPERM);
	if (msn_vma_perms(v) == perms)
		return 0;
	rc = new_flags(mm, v, perms, bytes, &to.flags);
	if (rc)
		return msn_pass(rc);
	rc = protect_placed(mm, part, perms);
	if (rc == 0)
		rc = msn_vma_modify(mm, part, &to, &s);
	if (rc) {
		unprotect_placed(mm, part, old & MSN_VMA_ACCESS);
		return msn_pass(rc);
	}
	msn_mm_count_bytes(mm, old, -(int64_t)bytes);
	msn_mm_count_bytes(mm, to.flags, (int64_t)bytes);
	if ((old & (MSN_VMA_WRITE | MSN_VMA_SHARED | MSN_VMA_LOCK_MASK)) ==
		    MSN_VMA_LOCKED &&
	    (to.flags & MSN_VMA_WRITE))
		populate_locked(mm, s, part);
	*reached = msn_vma_set_range(s).end;
	return 0;
}

/* Changes the mappings of @ar one by one, as far as there is no hole. */
static int protect_range(struct msn_mm *mm, struct msn_addr_range ar,
			 unsigned perms)
{
	uint64_t at = ar.start;

	while (at < ar.end) {
		struct msn_seg s = msn_vma_set_find(&mm->vmas, at);
		struct msn_addr_range part;
		int rc;

		if (!msn_seg_ok(s))
			return msn_fail(-ENOMEM);
		part = msn_addr_range_intersect(
			msn_vma_set_range(s),
			(struct msn_addr_range){ at, ar.end });
		rc = protect_part(mm, part, perms, &at);
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* Where the change begins: PROT_GROWSDOWN reaches to the start of a stack. */
static int find_start(struct msn_mm *mm, struct msn_addr_range *ar, int grows)
{
	struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar->start);

	if (!msn_seg_ok(s) || msn_vma_set_range(s).start >= ar->end)
		return msn_fail(-ENOMEM);
	if (grows & PROT_GROWSDOWN) {
		ar->start = msn_vma_set_range(s).start;
		return msn_vma_set_value(&mm->vmas, s)->flags &
				       MSN_VMA_GROWSDOWN
			       ? 0
			       : msn_fail(-EINVAL);
	}
	if (msn_vma_set_range(s).start > ar->start)
		return msn_fail(-ENOMEM);
	/* Nothing grows upwards on x86-64. */
	return grows & PROT_GROWSUP ? msn_fail(-EINVAL) : 0;
}

int msn_mm_mprotect(struct msn_mm *mm, uint64_t addr, uint64_t length, int prot)
{
	int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	struct msn_addr_range ar = { addr, 0 };
	uint64_t len;
	int rc;

	prot &= ~grows;
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || !msn_page_aligned(addr))
		return msn_fail(-EINVAL);
	if (length == 0)
		return 0;
	if (!msn_page_up(length, &len) || addr + len <= addr)
		return msn_fail(-ENOMEM);
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return msn_fail(-EINVAL);
	ar.end = addr + len;

	msn_write_scope(&mm->mapping);
	rc = find_start(mm, &ar, grows);
	if (rc == 0)
		rc = protect_range(mm, ar, (unsigned)prot & MSN_VMA_ACCESS);
	return msn_pass(rc);
}
