/*
 * From an address to a page.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * README.md follows one fault through this file, translate.c and cow.c.
 */
#include "mm/mm_internal.h"

#include "base/error.h"
#include "mm/guard.h"
#include "mm/zero.h"

#include <errno.h>

static void set_place(struct msn_page_place *place, const struct msn_pma *p,
		      struct msn_addr_range whole, struct msn_addr_range want)
{
	struct msn_addr_range part = msn_addr_range_intersect(whole, want);

	place->file = p->file;
	place->offset = msn_pma_file_range(p, whole, part).start;
	place->length = msn_addr_range_length(part);
}

static bool is_usable(const struct msn_pma *p, unsigned access)
{
	if ((access & MSN_ACCESS_WRITE) && (p->need_cow || p->lazy_free))
		return false;
	return p->need_cow || (p->perms & access) == access;
}

bool msn_mm_peek_page(struct msn_mm *mm, struct msn_addr_range want,
		      unsigned access, struct msn_page_place *place)
{
	struct msn_seg seg = msn_pma_set_find(&mm->pmas, want.start);

	if (!msn_seg_ok(seg) ||
	    !is_usable(msn_pma_set_value(&mm->pmas, seg), access))
		return false;
	set_place(place, msn_pma_set_value(&mm->pmas, seg),
		  msn_pma_set_range(seg), want);
	return true;
}

bool msn_mm_peek_permitted(struct msn_mm *mm, struct msn_addr_range want,
			   unsigned access, struct msn_page_place *place)
{
	struct msn_seg seg = msn_pma_set_find(&mm->pmas, want.start);
	const struct msn_pma *p;

	if (!msn_seg_ok(seg))
		return false;
	p = msn_pma_set_value(&mm->pmas, seg);
	if ((access & ~(unsigned)p->vma_perms) || !is_usable(p, access))
		return false;
	set_place(place, p, msn_pma_set_range(seg), want);
	return true;
}

/* Reading what nobody wrote: the zero file, which takes no memory. */
static int place_zero(struct msn_mm *mm, const struct msn_vma *v,
		      struct msn_addr_range gap)
{
	struct msn_pma p = {
		.file = msn_zero_file(),
		.offset = gap.start,
		.perms = MSN_ACCESS_READ,
		.vma_perms = msn_vma_effective_perms(v),
		.private = true,
		.need_cow = true,
	};

	return msn_pass(msn_pma_set_insert(&mm->pmas, gap, &p, NULL));
}

/* Puts something in place at want.start, where nothing is. */
static int fill_hole(struct msn_mm *mm, struct msn_seg vma,
		     struct msn_addr_range want, unsigned access)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	struct msn_addr_range gap = msn_mm_gap_at(mm, want);
	bool writes = access & MSN_ACCESS_WRITE;

	if (!v->mappable)
		return writes ? msn_pass(msn_mm_place_fresh(
					mm, gap, msn_vma_effective_perms(v),
					NULL, (struct msn_file_range){ 0 }))
			      : msn_pass(place_zero(mm, v, gap));
	if (!writes) {
		gap.end = msn_mm_place_around(mm, vma, gap);
		if (msn_seg_ok(msn_pma_set_find(&mm->pmas, gap.start)))
			return 0;
		gap = msn_mm_gap_at(mm, gap);
	}
	return msn_pass(msn_mm_place_translated(
		mm, vma, gap, msn_vma_private(v) ? MSN_ACCESS_READ : access));
}

/* A placement whose rights are not enough is translated again. */
static int upgrade(struct msn_mm *mm, struct msn_seg vma, struct msn_seg seg,
		   struct msn_addr_range want, unsigned access)
{
	struct msn_addr_range r =
		msn_addr_range_intersect(want, msn_pma_set_range(seg));
	unsigned had = msn_pma_set_value(&mm->pmas, seg)->perms;

	return msn_pass(msn_mm_place_translated(mm, vma, r, access | had));
}

/* Unshares what is placed at want.start, or says how far nothing need be. */
static int pin(struct msn_mm *mm, struct msn_addr_range *want)
{
	struct msn_seg seg = msn_pma_set_find(&mm->pmas, want->start);
	struct msn_addr_range whole, part;

	if (!msn_seg_ok(seg))
		return 0;
	whole = msn_pma_set_range(seg);
	part = msn_addr_range_intersect(*want, whole);
	if (msn_mm_is_shared_copy(mm, msn_pma_set_value(&mm->pmas, seg), whole,
				  &part))
		return msn_pass(msn_mm_unshare(mm, seg, part));
	want->end = part.end;
	return 0;
}

static int get_page(struct msn_mm *mm, struct msn_seg vma,
		    struct msn_addr_range want, unsigned access,
		    struct msn_page_place *place)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	int rc = 0;

	place->length = MSN_PAGE_SIZE; /* what a missing page holds up */
	/* Each turn gets closer: nothing -> object's page -> own page. */
	for (;;) {
		struct msn_seg seg = msn_pma_set_find(&mm->pmas, want.start);
		struct msn_pma *p = msn_seg_ok(seg)
					    ? msn_pma_set_value(&mm->pmas, seg)
					    : NULL;

		if (p && is_usable(p, access)) {
			set_place(place, p, msn_pma_set_range(seg), want);
			return 0;
		}
		if (p && msn_pma_is_guard(p))
			return MSN_PAGE_E_GUARD;
		if ((access & MSN_ACCESS_WRITE) && msn_vma_private(v))
			rc = msn_vma_prepare_anon(mm, vma);
		if (rc)
			return msn_pass(rc);
		if (!p)
			rc = fill_hole(mm, vma, want, access);
		else if (p->need_cow || p->lazy_free)
			rc = msn_mm_break_cow(mm, seg, want);
		else
			rc = upgrade(mm, vma, seg, want, access);
		if (rc)
			return msn_pass(rc);
	}
}

int msn_mm_get_page(struct msn_mm *mm, struct msn_seg vma,
		    struct msn_addr_range want, unsigned access,
		    struct msn_page_place *place)
{
	int rc = access & MSN_ACCESS_PIN ? pin(mm, &want) : 0;

	if (rc)
		return msn_pass(rc);
	return msn_pass(
		get_page(mm, vma, want, access & ~MSN_ACCESS_PIN, place));
}

bool msn_mm_touch_pages(const struct msn_page_place *place)
{
	for (uint64_t at = 0; at < place->length; at += MSN_PAGE_SIZE) {
		size_t done;
		char c;

		if (msn_file_read(place->file, place->offset + at, &c, 1,
				  &done))
			return false;
	}
	return true;
}

/* Lets the stack above @addr grow down to it, if there is one. */
static bool grow_to(struct msn_mm *mm, uint64_t addr)
{
	msn_write_scope(&mm->mapping);
	return msn_mm_grow_stack(mm, addr) == 0;
}

bool msn_mm_reach(struct msn_mm *mm, uint64_t addr)
{
	{
		msn_read_scope(&mm->mapping);
		if (msn_seg_ok(msn_vma_set_find(&mm->vmas, addr)))
			return true;
	}
	return grow_to(mm, addr);
}

int msn_mm_handle_fault(struct msn_mm *mm, uint64_t addr, unsigned access)
{
	uint64_t page = msn_page_down(addr);
	struct msn_addr_range want = { page, page + MSN_PAGE_SIZE };
	struct msn_page_place place;
	struct msn_seg vma;
	int rc;

	if (!mm->as->ops->kernel_faults && !msn_mm_reach(mm, addr))
		return MSN_MM_E_MAPERR;
	msn_read_scope(&mm->mapping);
	vma = msn_vma_set_find(&mm->vmas, addr);
	if (!msn_seg_ok(vma))
		return MSN_MM_E_MAPERR;
	if (access & ~(unsigned)msn_vma_effective_perms(
			     msn_vma_set_value(&mm->vmas, vma)))
		return MSN_MM_E_ACCERR;
	if (mm->as->ops->kernel_faults) {
		rc = msn_mm_fault_missing(mm, vma, addr);
	} else {
		msn_write_scope(&mm->active);
		rc = msn_mm_get_page(mm, vma, want, access, &place);
	}
	if (rc == MSN_PAGE_E_GUARD)
		return MSN_MM_E_MAPERR; /* as Linux tells it */
	return rc == MSN_PAGE_E_BUS ? MSN_MM_E_BUS : msn_pass(rc);
}
