/*
 * munmap.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * First everything that may fail, cuts and reservations included; then the sets
 * change without a way back.  mmap over something and mremap use the same two
 * steps.
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

/* Nodes for the two cuts of one call, and for two more changes after it. */
#define CUTS 4

static struct msn_vma *value(struct msn_mm *mm, struct msn_seg s)
{
	return msn_vma_set_value(&mm->vmas, s);
}

static void cut(struct msn_mm *mm, uint64_t at)
{
	msn_vma_cut_reserved(mm, (struct msn_addr_range){ at, at });
}

/* Cuts at the start of @ar; @first is the first mapping that meets it. */
static int cut_start(struct msn_mm *mm, struct msn_addr_range ar,
		     struct msn_seg first)
{
	struct msn_addr_range r = msn_vma_set_range(first);

	if (ar.start <= r.start)
		return 0;
	/* A hole in the middle makes one mapping more in the end. */
	if (ar.end < r.end && mm->vmas.core.count >= mm->limits.mappings)
		return msn_fail(-ENOMEM);
	if (value(mm, first)->flags & MSN_VMA_SEALED)
		return msn_fail(-EPERM);
	cut(mm, ar.start);
	return 0;
}

/* Counts what will be dropped; -EPERM at the first sealed mapping. */
static int look_through(struct msn_mm *mm, struct msn_addr_range ar,
			size_t *mappings)
{
	for (struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);
	     msn_seg_ok(s) && msn_vma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		if (value(mm, s)->flags & MSN_VMA_SEALED)
			return msn_fail(-EPERM);
		++*mappings;
	}
	return 0;
}

int msn_mm_gather(struct msn_mm *mm, struct msn_addr_range ar,
		  struct msn_dropped *d)
{
	struct msn_seg first = msn_vma_set_lower(&mm->vmas, ar.start);
	size_t mappings = 2; /* what a caller may have to take back */
	int rc = msn_segset_reserve(&mm->vmas.core, CUTS);

	if (rc == 0) {
		msn_write_scope(&mm->active);
		rc = msn_segset_reserve(&mm->pmas.core, CUTS);
	}
	if (rc == 0 && msn_seg_ok(first) &&
	    msn_vma_set_range(first).start < ar.end)
		rc = cut_start(mm, ar, first);
	if (rc == 0)
		rc = look_through(mm, ar, &mappings);
	if (rc == 0)
		rc = msn_dropped_reserve(d, mappings);
	if (rc == 0)
		cut(mm, ar.end);
	return msn_pass(rc);
}

void msn_mm_unmap_gathered(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_dropped *d)
{
	struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);

	{
		msn_write_scope(&mm->active);
		msn_mm_drop_pages(mm, ar, false);
	}
	while (msn_seg_ok(s) && msn_vma_set_range(s).start < ar.end) {
		struct msn_vma *v = value(mm, s);
		struct msn_addr_range r = msn_vma_set_range(s);

		if (v->mappable)
			msn_mappable_remove_mapping(v->mappable, &mm->space, r,
						    v->offset,
						    msn_vma_writes_object(v));
		msn_mm_count_bytes(mm, v->flags,
				   -(int64_t)msn_addr_range_length(r));
		msn_dropped_add(d, v->identity);
		msn_vma_unref_all_but_identity(v);
		s = msn_vma_set_remove(&mm->vmas, s);
	}
}

int msn_mm_unmap_locked(struct msn_mm *mm, struct msn_addr_range ar,
			struct msn_dropped *d)
{
	int rc = msn_mm_gather(mm, ar, d);

	if (rc == 0)
		msn_mm_unmap_gathered(mm, ar, d);
	return msn_pass(rc);
}

int msn_mm_reserve_unmap(struct msn_mm *mm, struct msn_dropped *d)
{
	/* One to add, and two cuts for each of the two. */
	int rc = msn_segset_reserve(&mm->vmas.core, CUTS + 1);

	if (rc == 0) {
		msn_write_scope(&mm->active);
		rc = msn_segset_reserve(&mm->pmas.core, CUTS);
	}
	if (rc == 0)
		rc = msn_dropped_reserve(d, CUTS);
	return msn_pass(rc);
}

void msn_mm_unmap_reserved(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_dropped *d)
{
	msn_vma_cut_reserved(mm, ar);
	msn_mm_unmap_gathered(mm, ar, d);
}

int msn_mm_munmap(struct msn_mm *mm, uint64_t addr, uint64_t length)
{
	struct msn_dropped dropped = { 0 };
	uint64_t task = mm->layout.max_addr;
	struct msn_addr_range ar;
	uint64_t len;
	int rc;

	if (!msn_page_aligned(addr) || addr > task || length > task - addr ||
	    !msn_page_up(length, &len) || len == 0)
		return msn_fail(-EINVAL);
	ar = (struct msn_addr_range){ addr, addr + len };
	{
		msn_write_scope(&mm->mapping);
		rc = msn_mm_unmap_locked(mm, ar, &dropped);
	}
	msn_dropped_let_go(&dropped);
	return msn_pass(rc);
}
