/*
 * brk: the heap.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As sys_brk() and do_brk_flags() of Linux.  The heap is an address range only:
 * what is mapped there are ordinary mappings, and a break that goes up makes
 * the one below it longer or adds one.
 *
 *    |start ..... break|        one page   |  next mapping
 *    |== heap mapping ==|+++++| and its gap |
 */
#include "mm/mm_calls.h"

#include "base/assert.h"
#include "base/error.h"
#include "mm/mm_internal.h"

#include <errno.h>

/* VM_DATA_DEFAULT_FLAGS of Linux, and charged. */
#define HEAP_FLAGS                                                             \
	((uint32_t)(MSN_VMA_READ | MSN_VMA_WRITE | MSN_VMA_MAY |               \
		    MSN_VMA_ACCOUNT))

void msn_mm_set_heap(struct msn_mm *mm, uint64_t start)
{
	msn_write_scope(&mm->mapping);
	mm->heap = (struct msn_addr_range){ start, start };
}

/* May @ar become part of the heap, as far as places and locks go? */
static bool has_room(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct msn_mmap_opts opts = { .addr = ar.start,
				      .fixed = true,
				      .unmap = true };
	struct msn_addr_range place;
	struct msn_seg next;

	if (msn_mm_find_place(mm, &opts, ar.end - ar.start, &place) ||
	    !msn_mm_may_lock(mm, mm->def_flags, ar.end - ar.start))
		return false;
	next = msn_vma_set_lower(&mm->vmas, ar.start);
	return !msn_seg_ok(next) ||
	       ar.end + MSN_PAGE_SIZE <= msn_mm_guard_start(mm, next);
}

/* do_brk_flags() of Linux. */
static int map_heap(struct msn_mm *mm, struct msn_addr_range ar,
		    struct msn_dropped *dropped)
{
	uint64_t bytes = msn_addr_range_length(ar);
	struct msn_vma v = { .flags = HEAP_FLAGS | mm->def_flags,
			     .offset = ar.start };
	int rc;

	if (!msn_mm_may_expand(mm, v.flags, bytes) ||
	    mm->vmas.core.count > mm->limits.mappings ||
	    !msn_mm_may_commit(mm, bytes))
		return msn_fail(-ENOMEM);
	rc = msn_mm_reserve_unmap(mm, dropped);
	if (rc)
		return msn_pass(rc);
	/* What lies below the heap is none of it, however well it fits. */
	if (ar.start <= mm->heap.start || !msn_vma_extend(mm, ar, &v)) {
		rc = msn_vma_set_insert(&mm->vmas, ar, &v, NULL);
		msn_assert(rc == 0);
	}
	msn_mm_count_bytes(mm, v.flags, (int64_t)bytes);
	rc = msn_mm_fill(mm, ar);
	if (rc)
		msn_mm_unmap_reserved(mm, ar, dropped);
	return msn_pass(rc);
}

static int unmap_heap(struct msn_mm *mm, struct msn_addr_range ar,
		      struct msn_dropped *dropped)
{
	struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);

	if (!msn_seg_ok(s) || msn_vma_set_range(s).start >= ar.end)
		return msn_fail(-ENOMEM);
	return msn_pass(msn_mm_unmap_locked(mm, ar, dropped));
}

/* *@grown becomes what is new. */
static int set_break(struct msn_mm *mm, uint64_t addr,
		     struct msn_dropped *dropped, struct msn_addr_range *grown)
{
	uint64_t from, to;

	if (!mm->heap.start || addr < mm->heap.start ||
	    (mm->limits.data != MSN_UNLIMITED &&
	     addr - mm->heap.start > mm->limits.data) ||
	    !msn_page_up(addr, &to) || !msn_page_up(mm->heap.end, &from))
		return msn_fail(-ENOMEM);
	if (to < from)
		return msn_pass(unmap_heap(
			mm, (struct msn_addr_range){ to, from }, dropped));
	if (to == from)
		return 0;
	*grown = (struct msn_addr_range){ from, to };
	if (!has_room(mm, *grown))
		return msn_fail(-ENOMEM);
	return msn_pass(map_heap(mm, *grown, dropped));
}

uint64_t msn_mm_brk(struct msn_mm *mm, uint64_t addr)
{
	struct msn_dropped dropped = { 0 };
	struct msn_addr_range grown = { 0 };
	bool locked;
	int rc;

	{
		msn_write_scope(&mm->mapping);
		rc = set_break(mm, addr, &dropped, &grown);
		if (rc == 0)
			mm->heap.end = addr;
		else
			addr = mm->heap.end;
		locked = mm->def_flags & MSN_VMA_LOCKED;
	}
	msn_dropped_let_go(&dropped);
	if (rc == 0 && locked) {
		/* As mm_populate(): what cannot be had comes when touched. */
		rc = msn_mm_populate_range(mm, grown, true);
		(void)rc;
	}
	return addr;
}
