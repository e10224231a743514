/*
 * What is in memory: mincore(2) and the words of /proc/PID/pagemap.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A placement is to a space what a present page table entry is to a process.
 * Of an object's page that is not placed, the object says whether it is there.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/guard.h"
#include "mm/mm_internal.h"

#include <errno.h>
#include <string.h>

/* Calls that look at placements one after another. */
typedef void (*placement_fn)(void *ctx, struct msn_addr_range part,
			     const struct msn_pma *p,
			     struct msn_file_range pages);

/* The active lock is held. */
static void each_placement(struct msn_mm *mm, struct msn_addr_range ar,
			   placement_fn fn, void *ctx)
{
	for (struct msn_seg s = msn_pma_set_lower(&mm->pmas, ar.start);
	     msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		struct msn_pma *p = msn_pma_set_value(&mm->pmas, s);
		struct msn_addr_range r = msn_pma_set_range(s);
		struct msn_addr_range part = msn_addr_range_intersect(r, ar);

		fn(ctx, part, p, msn_pma_file_range(p, r, part));
	}
}

/* Bytes for the pages from @start on. */
struct vector {
	uint64_t start;
	uint8_t *vec;
};

static void mark_present(void *ctx, struct msn_addr_range part,
			 const struct msn_pma *p, struct msn_file_range pages)
{
	const struct vector *v = ctx;

	(void)pages;
	if (msn_pma_is_guard(p))
		return; /* what is behind it counts */
	memset(v->vec + (part.start - v->start) / MSN_PAGE_SIZE, 1,
	       msn_addr_range_length(part) / MSN_PAGE_SIZE);
}

/* The part @ar of one mapping.  The mapping lock is held. */
static int look_at_mapping(struct msn_mm *mm, struct msn_seg s,
			   struct msn_addr_range ar, uint8_t *vec)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
	struct vector out = { ar.start, vec };
	int rc = 0;

	msn_read_scope(&mm->active);
	memset(vec, 0, msn_addr_range_length(ar) / MSN_PAGE_SIZE);
	if (v->mappable)
		rc = msn_mappable_resident(
			v->mappable,
			msn_vma_obj_range(v, msn_vma_set_range(s), ar), vec);
	if (rc)
		return msn_pass(rc);
	each_placement(mm, ar, mark_present, &out);
	return 0;
}

int msn_mm_mincore(struct msn_mm *mm, uint64_t addr, uint64_t length,
		   uint8_t *vec)
{
	struct msn_addr_range ar = { addr, 0 };
	uint64_t len;

	if (!msn_page_aligned(addr))
		return msn_fail(-EINVAL);
	if (!msn_page_up(length, &len) || addr > mm->layout.max_addr ||
	    len > mm->layout.max_addr - addr)
		return msn_fail(-ENOMEM);
	ar.end = addr + len;

	msn_read_scope(&mm->mapping);
	while (ar.start < ar.end) {
		struct msn_seg s = msn_vma_set_find(&mm->vmas, ar.start);
		struct msn_addr_range part;
		int rc;

		if (!msn_seg_ok(s))
			return msn_fail(-ENOMEM);
		part = msn_addr_range_intersect(ar, msn_vma_set_range(s));
		rc = look_at_mapping(mm, s, part,
				     vec + (ar.start - addr) / MSN_PAGE_SIZE);
		if (rc)
			return msn_pass(rc);
		ar.start = part.end;
	}
	return 0;
}

/* Words for the pages from @start on. */
struct words {
	struct msn_mm *mm;
	uint64_t start;
	uint64_t *out;
};

static void put_words(void *ctx, struct msn_addr_range part,
		      const struct msn_pma *p, struct msn_file_range pages)
{
	const struct words *w = ctx;
	uint64_t *out = w->out + (part.start - w->start) / MSN_PAGE_SIZE;
	bool guard = msn_pma_is_guard(p);
	bool memory = msn_pma_takes_memory(p);

	while (pages.start < pages.end) {
		struct msn_file_range run = pages;
		uint64_t word = guard ? MSN_PAGEMAP_SWAP | MSN_PAGEMAP_GUARD
				      : MSN_PAGEMAP_PRESENT;

		if (memory && !p->private)
			word |= MSN_PAGEMAP_FILE;
		if (memory && msn_mm_sharers(w->mm, p, pages, &run) == 1)
			word |= MSN_PAGEMAP_EXCLUSIVE;
		for (; pages.start < run.end; pages.start += MSN_PAGE_SIZE)
			*out++ = word;
	}
}

int msn_mm_pagemap(struct msn_mm *mm, uint64_t addr, size_t pages,
		   uint64_t *out)
{
	struct msn_addr_range ar = { addr, addr + pages * MSN_PAGE_SIZE };
	struct words w = { mm, addr, out };

	if (!msn_page_aligned(addr) || ar.end < ar.start)
		return msn_fail(-EINVAL);
	memset(out, 0, pages * sizeof(*out));
	msn_read_scope(&mm->active);
	each_placement(mm, ar, put_words, &w);
	return 0;
}
