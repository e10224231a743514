/*
 * The listing of /proc/PID/smaps.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Resident is what is placed and takes memory; a page's share is one part in as
 * many as placements have it.  What the engine cannot know without page tables
 * stands in docs/differences.md.
 */
#include "mm/mm_internal.h"

#include "base/error.h"
#include "mm/guard.h"
#include "mm/listing.h"
#include "mm/smaps.h"

#include <inttypes.h>
#include <stdio.h>

/* Fractions of a byte that shares are counted in (PSS_SHIFT of Linux). */
#define SHARE_SHIFT 12

uint64_t msn_mm_sharers(struct msn_mm *mm, const struct msn_pma *p,
			struct msn_file_range r, struct msn_file_range *run)
{
	uint64_t n = msn_file_sharers(p->file, r, run);

	/* An object has a reference on its own pages of the memory file. */
	if (!p->private && p->file == msn_memfile_file(mm->memfile) && n > 1)
		n--;
	return n;
}

/* Adds the pages of one placement. */
static void add_pages(struct msn_mm *mm, struct msn_smaps *m,
		      const struct msn_pma *p, struct msn_file_range pages,
		      bool dirty)
{
	while (pages.start < pages.end) {
		struct msn_file_range run = pages;
		uint64_t n = msn_mm_sharers(mm, p, pages, &run);
		uint64_t bytes = msn_file_range_length(run);
		/* Page by page, as the rounding of Linux goes. */
		uint64_t share = (MSN_PAGE_SIZE << SHARE_SHIFT) / (n ? n : 1) *
				 (bytes >> MSN_PAGE_SHIFT);

		m->rss += bytes;
		m->pss += share;
		if (p->private)
			m->anonymous += bytes;
		if (p->lazy_free)
			m->lazy_free += bytes;
		if (n > 1)
			*(dirty ? &m->shared_dirty : &m->shared_clean) += bytes;
		else
			*(dirty ? &m->private_dirty : &m->private_clean) +=
				bytes;
		if (dirty)
			m->pss_dirty += share;
		pages.start = run.end;
	}
}

void msn_mm_sum_placed(struct msn_mm *mm, struct msn_addr_range ar,
		       const struct msn_vma *v, struct msn_smaps *out)
{
	bool writes = (v->flags & (MSN_VMA_WRITE | MSN_VMA_SHARED)) ==
		      (MSN_VMA_WRITE | MSN_VMA_SHARED);

	*out = (struct msn_smaps){ .size = msn_addr_range_length(ar) };
	for (struct msn_seg s = msn_pma_set_lower(&mm->pmas, ar.start);
	     msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		struct msn_pma *p = msn_pma_set_value(&mm->pmas, s);
		struct msn_addr_range r = msn_pma_set_range(s);

		if (!msn_pma_takes_memory(p))
			continue;
		add_pages(mm, out, p,
			  msn_pma_file_range(p, r,
					     msn_addr_range_intersect(r, ar)),
			  p->private ? !p->lazy_free : writes);
	}
	out->pss >>= SHARE_SHIFT;
	out->pss_dirty >>= SHARE_SHIFT;
}

static void put_kb(struct msn_listing *l, const char *name, uint64_t bytes)
{
	char label[32];

	snprintf(label, sizeof(label), "%s:", name);
	msn_listing_put(l, "%-16s%8" PRIu64 " kB\n", label, bytes >> 10);
}

static void put_sums(struct msn_listing *l, const struct msn_smaps *m,
		     bool locked)
{
	put_kb(l, "Size", m->size);
	put_kb(l, "KernelPageSize", MSN_PAGE_SIZE);
	put_kb(l, "MMUPageSize", MSN_PAGE_SIZE);
	put_kb(l, "Rss", m->rss);
	put_kb(l, "Pss", m->pss);
	put_kb(l, "Pss_Dirty", m->pss_dirty);
	put_kb(l, "Shared_Clean", m->shared_clean);
	put_kb(l, "Shared_Dirty", m->shared_dirty);
	put_kb(l, "Private_Clean", m->private_clean);
	put_kb(l, "Private_Dirty", m->private_dirty);
	put_kb(l, "Referenced", m->rss);
	put_kb(l, "Anonymous", m->anonymous);
	put_kb(l, "KSM", 0);
	put_kb(l, "LazyFree", m->lazy_free);
	put_kb(l, "AnonHugePages", 0);
	put_kb(l, "ShmemPmdMapped", 0);
	put_kb(l, "FilePmdMapped", 0);
	put_kb(l, "Shared_Hugetlb", 0);
	put_kb(l, "Private_Hugetlb", 0);
	put_kb(l, "Swap", 0);
	put_kb(l, "SwapPss", 0);
	put_kb(l, "Locked", locked ? m->pss : 0);
	msn_listing_put(l, "THPeligible:           0\n");
}

/* In the order of Linux's bits. */
static void put_flags(struct msn_listing *l, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{ MSN_VMA_READ, "rd" },	      { MSN_VMA_WRITE, "wr" },
		{ MSN_VMA_EXEC, "ex" },	      { MSN_VMA_SHARED, "sh" },
		{ MSN_VMA_MAYREAD, "mr" },    { MSN_VMA_MAYWRITE, "mw" },
		{ MSN_VMA_MAYEXEC, "me" },    { MSN_VMA_MAYSHARE, "ms" },
		{ MSN_VMA_GROWSDOWN, "gd" },  { MSN_VMA_MAYBE_GUARD, "gu" },
		{ MSN_VMA_LOCKED, "lo" },     { MSN_VMA_SEQ_READ, "sr" },
		{ MSN_VMA_RAND_READ, "rr" },  { MSN_VMA_DONTCOPY, "dc" },
		{ MSN_VMA_DONTEXPAND, "de" }, { MSN_VMA_LOCKONFAULT, "lf" },
		{ MSN_VMA_ACCOUNT, "ac" },    { MSN_VMA_NORESERVE, "nr" },
		{ MSN_VMA_SYNC, "sf" },	      { MSN_VMA_WIPEONFORK, "wf" },
		{ MSN_VMA_DONTDUMP, "dd" },   { MSN_VMA_HUGEPAGE, "hg" },
		{ MSN_VMA_NOHUGEPAGE, "nh" }, { MSN_VMA_MERGEABLE, "mg" },
		{ MSN_VMA_DROPPABLE, "dp" },  { MSN_VMA_SEALED, "sl" },
	};

	msn_listing_put(l, "VmFlags: ");
	for (size_t i = 0; i < MSN_ARRAY_LEN(names); i++)
		if (flags & names[i].flag)
			msn_listing_put(l, "%s ", names[i].name);
	msn_listing_put(l, "\n");
}

static void put_mapping(struct msn_mm *mm, struct msn_seg s,
			struct msn_listing *l)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
	struct msn_maps_line line;
	struct msn_smaps sums;

	msn_mm_describe_line(mm, s, &line);
	msn_listing_put_line(l, &line);
	{
		msn_read_scope(&mm->active);
		msn_mm_sum_placed(mm, msn_vma_set_range(s), v, &sums);
	}
	put_sums(l, &sums, v->flags & MSN_VMA_LOCKED);
	put_flags(l, v->flags);
}

int msn_mm_smaps(struct msn_mm *mm, char **out)
{
	struct msn_listing l = { 0 };

	{
		msn_read_scope(&mm->mapping);
		for (struct msn_seg s = msn_vma_set_first(&mm->vmas);
		     msn_seg_ok(s); s = msn_seg_next(s))
			put_mapping(mm, s, &l);
	}
	return msn_pass(msn_listing_finish(&l, out));
}
