/*
 * Placing pages ahead: MAP_POPULATE, mlock(2), and platforms with page tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_internal.h"

#include "base/error.h"
#include "mm/guard.h"
#include "mm/zero.h"

#include <errno.h>

/* See next_table(). */
#define POPULATE_BYTES (UINT64_C(2) << 20)

/* Brings in what reads or writes of @ar would.  Both locks are held. */
static int fault_in(struct msn_mm *mm, struct msn_seg vma,
		    struct msn_addr_range ar, bool write)
{
	unsigned access =
		write ? MSN_ACCESS_READ | MSN_ACCESS_WRITE : MSN_ACCESS_READ;
	bool is_object = msn_vma_set_value(&mm->vmas, vma)->mappable;

	if (mm->as->ops->kernel_faults) {
		int rc = msn_mm_place_missing(mm, vma, ar);

		return rc ? msn_pass(rc)
			  : msn_pass(msn_address_space_advise(
				    mm->as, ar,
				    write ? MSN_AS_POPULATE_WRITE
					  : MSN_AS_POPULATE_READ));
	}
	while (ar.start < ar.end) {
		struct msn_page_place place;
		int rc = msn_mm_get_page(mm, vma, ar, access, &place);

		if (rc > 0)
			return msn_fail(-EFAULT); /* whatever signal */
		if (rc < 0)
			return msn_pass(rc);
		if (is_object && !msn_mm_touch_pages(&place))
			return msn_fail(-EFAULT);
		ar.start += place.length;
	}
	return 0;
}

int msn_mm_populate(struct msn_mm *mm, struct msn_seg vma,
		    struct msn_addr_range ar)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	bool writes =
		(v->flags & (MSN_VMA_WRITE | MSN_VMA_SHARED)) == MSN_VMA_WRITE;

	if (msn_vma_perms(v) == MSN_ACCESS_NONE)
		return msn_fail(-EFAULT);
	/* The host reads ahead only what may be read. */
	if (mm->as->ops->kernel_faults && !writes &&
	    !(msn_vma_perms(v) & MSN_ACCESS_READ))
		return 0;
	return msn_pass(fault_in(mm, vma, ar, writes));
}

int msn_mm_populate_as(struct msn_mm *mm, struct msn_seg vma,
		       struct msn_addr_range ar, bool write)
{
	unsigned perms = msn_vma_perms(msn_vma_set_value(&mm->vmas, vma));

	if (!(perms & (write ? MSN_ACCESS_WRITE : MSN_ACCESS_READ)))
		return msn_fail(-EINVAL);
	msn_write_scope(&mm->active);
	return msn_pass(fault_in(mm, vma, ar, write));
}

/*
 * Pages of one page table (2 MiB) are brought in at a time: others get at pages
 * between two of them.  No window of fault-around leaves one.
 */
static struct msn_addr_range next_table(struct msn_addr_range ar)
{
	uint64_t end = (ar.start | (POPULATE_BYTES - 1)) + 1;

	if (end < ar.end)
		ar.end = end;
	return ar;
}

/* The part @ar of the mapping at @s.  Mapping lock held; takes active. */
static int populate_part(struct msn_mm *mm, struct msn_seg s,
			 struct msn_addr_range ar)
{
	int rc = 0;

	while (rc == 0 && !msn_addr_range_empty(ar)) {
		struct msn_addr_range now = next_table(ar);

		msn_write_scope(&mm->active);
		rc = msn_mm_populate(mm, s, now);
		ar.start = now.end;
	}
	return msn_pass(rc);
}

int msn_mm_populate_range(struct msn_mm *mm, struct msn_addr_range ar,
			  bool ignore)
{
	struct msn_seg s;

	if (msn_addr_range_empty(ar))
		return 0;
	msn_read_scope(&mm->mapping);
	for (s = msn_vma_set_lower(&mm->vmas, ar.start);
	     msn_seg_ok(s) && msn_vma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		struct msn_addr_range part =
			msn_addr_range_intersect(ar, msn_vma_set_range(s));
		int rc;

		if (msn_vma_set_value(&mm->vmas, s)->flags &
		    MSN_VMA_LOCKONFAULT)
			continue;
		rc = populate_part(mm, s, part);
		if (rc && !ignore)
			return msn_pass(rc);
	}
	return 0;
}

/* Puts one placement, or the part of it in @ar, into the page tables. */
static int map_placement(struct msn_mm *mm, const struct msn_vma *v,
			 struct msn_seg seg, struct msn_addr_range ar,
			 struct msn_commit commit)
{
	struct msn_pma *p = msn_pma_set_value(&mm->pmas, seg);
	struct msn_addr_range whole = msn_pma_set_range(seg);
	struct msn_addr_range part = msn_addr_range_intersect(whole, ar);
	struct msn_as_mapping m = {
		.addr = part,
		.file = p->file,
		.offset = msn_pma_file_range(p, whole, part).start,
		.perms = msn_vma_perms(v),
		.cow = p->need_cow,
		.commit = commit.wanted,
		.must_commit = commit.required,
	};

	return msn_pass(msn_address_space_map_file(mm->as, &m));
}

/* Puts pages where nothing is; those of an object as far as it has any. */
static int place_gap(struct msn_mm *mm, struct msn_seg vma,
		     struct msn_addr_range gap)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);

	if (v->mappable)
		return msn_pass(msn_mm_place_translated(
			mm, vma, gap,
			msn_vma_private(v) ? MSN_ACCESS_READ
					   : MSN_ACCESS_NONE));
	return msn_pass(msn_mm_place_fresh(mm, gap, msn_vma_effective_perms(v),
					   NULL, (struct msn_file_range){ 0 }));
}

int msn_mm_place_all(struct msn_mm *mm, struct msn_seg vma,
		     struct msn_addr_range ar, struct msn_commit commit)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	uint64_t at = ar.start;

	while (at < ar.end) {
		struct msn_addr_range gap = { at, ar.end };
		struct msn_seg seg = msn_pma_set_find(&mm->pmas, at);
		int rc;

		if (msn_seg_ok(seg) &&
		    msn_pma_is_guard(msn_pma_set_value(&mm->pmas, seg))) {
			at = msn_pma_set_range(seg).end; /* shows nothing */
			continue;
		}
		if (msn_seg_ok(seg) &&
		    !msn_is_zero_file(
			    msn_pma_set_value(&mm->pmas, seg)->file)) {
			rc = map_placement(mm, v, seg, ar, commit);
			if (rc)
				return msn_pass(rc);
			at = msn_pma_set_range(seg).end;
			continue;
		}
		if (msn_seg_ok(seg)) /* no page tables can show it */
			gap = msn_addr_range_intersect(gap,
						       msn_pma_set_range(seg));
		else
			gap = msn_mm_gap_at(mm, gap);
		rc = place_gap(mm, vma, gap);
		if (rc == MSN_PAGE_E_BUS && commit.required)
			return msn_fail(-EFAULT);
		if (rc == MSN_PAGE_E_BUS)
			at = gap.end; /* past the object's end: left out */
		else if (rc)
			return msn_pass(rc);
	}
	return 0;
}

int msn_mm_place_missing(struct msn_mm *mm, struct msn_seg vma,
			 struct msn_addr_range ar)
{
	while (ar.start < ar.end) {
		struct msn_addr_range gap = msn_mm_gap_at(mm, ar);
		struct msn_seg seg;
		int rc = msn_mm_place_all(mm, vma, gap,
					  (struct msn_commit){ 0 });

		if (rc) {
			/* Placed or not, but never half. */
			msn_mm_drop_pages(mm, gap, false);
			return msn_pass(rc);
		}
		seg = msn_pma_set_find(&mm->pmas, gap.end);
		ar.start =
			msn_seg_ok(seg) ? msn_pma_set_range(seg).end : gap.end;
	}
	return 0;
}

/* New pages of zeros. */
static int renew_memory(struct msn_mm *mm, const struct msn_vma *v,
			struct msn_addr_range ar)
{
	struct msn_pma p = {
		.file = msn_memfile_file(mm->memfile),
		.perms = MSN_ACCESS_ANY,
		.vma_perms = msn_vma_effective_perms(v),
		.private = true,
	};
	struct msn_file_range pages;
	int rc = msn_mm_take_pages(mm, ar, &pages);

	if (rc)
		return msn_pass(rc);
	p.offset = pages.start;
	rc = msn_mm_cover(mm, v, ar, &p);
	if (rc)
		msn_file_dec_ref(p.file, pages);
	return msn_pass(rc);
}

int msn_mm_renew(struct msn_mm *mm, struct msn_seg vma,
		 struct msn_addr_range ar)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);

	return v->mappable ? msn_pass(msn_mm_renew_translated(mm, vma, ar))
			   : msn_pass(renew_memory(mm, v, ar));
}

int msn_mm_fault_missing(struct msn_mm *mm, struct msn_seg vma, uint64_t addr)
{
	uint64_t page = msn_page_down(addr);
	struct msn_addr_range ar = { page, page + MSN_PAGE_SIZE };
	struct msn_seg seg;
	int rc;

	msn_write_scope(&mm->active);
	rc = msn_mm_place_missing(mm, vma, ar);
	if (rc)
		return msn_pass(rc);
	seg = msn_pma_set_find(&mm->pmas, page);
	if (!msn_seg_ok(seg))
		return MSN_PAGE_E_BUS;
	return msn_pma_is_guard(msn_pma_set_value(&mm->pmas, seg))
		       ? MSN_PAGE_E_GUARD
		       : 0;
}

int msn_mm_fill(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct msn_seg s;
	int rc = 0;

	if (!mm->as->ops->kernel_faults || msn_addr_range_empty(ar))
		return 0;
	s = msn_vma_set_find(&mm->vmas, ar.start);
	msn_write_scope(&mm->active);
	/* Nobody tells when the kernel gives it a page of its own. */
	if (msn_vma_private(msn_vma_set_value(&mm->vmas, s)))
		rc = msn_vma_prepare_anon(mm, s);
	if (rc == 0)
		rc = msn_mm_place_all(mm, s, ar, (struct msn_commit){ 0 });
	if (rc)
		msn_mm_drop_pages(mm, ar, false);
	return msn_pass(rc);
}
