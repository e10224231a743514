/*
 * From an address to a page: placements are made, copied and upgraded here.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * README.md follows one fault through this file.
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

#include <errno.h>

/*
 * A broken copy-on-write copies at most this much at once: enough for one
 * system call's worth of pages, little enough that a failure half way costs
 * little.
 */
#define COW_BYTES (UINT64_C(64) << 10)

/* Translations asked for at a time. */
#define RUNS_MAX 8

/* The part of @want from its start that has no placement. */
static struct msn_addr_range gap_at(struct msn_mm *mm,
				    struct msn_addr_range want)
{
	struct msn_seg next = msn_pma_set_lower(&mm->pmas, want.start);

	if (msn_seg_ok(next) && msn_pma_set_range(next).start < want.end)
		want.end = msn_pma_set_range(next).start;
	return want;
}

/* The whole hole in placements around want.start, inside the mapping. */
static struct msn_addr_range hole_around(struct msn_mm *mm,
					 struct msn_addr_range vma, uint64_t at)
{
	struct msn_seg next = msn_pma_set_lower(&mm->pmas, at);
	struct msn_seg prev = msn_seg_ok(next)
				      ? msn_seg_prev(next)
				      : msn_segset_last(&mm->pmas.core);

	if (msn_seg_ok(next) && msn_pma_set_range(next).start < vma.end)
		vma.end = msn_pma_set_range(next).start;
	if (msn_seg_ok(prev) && msn_pma_set_range(prev).end > vma.start)
		vma.start = msn_pma_set_range(prev).end;
	return vma;
}

/* New pages of the space itself at @ar, which has no placement. */
static int place_anonymous(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct msn_file *file = msn_memfile_file(mm->memfile);
	struct msn_file_range pages;
	struct msn_pma p = { .file = file,
			     .perms = MSN_ACCESS_ANY,
			     .private = true };
	int rc = msn_memfile_allocate(
		mm->memfile,
		&(struct msn_memfile_alloc){ .length =
						     msn_addr_range_length(ar),
					     .account = mm->account },
		&pages);

	if (rc)
		return msn_pass(rc);
	p.offset = pages.start;
	rc = msn_pma_set_insert(&mm->pmas, ar, &p, NULL);
	if (rc)
		msn_file_dec_ref(file, pages);
	return msn_pass(rc);
}

/* Puts one translated run in place. */
static int place_run(struct msn_mm *mm, const struct msn_vma *v,
		     struct msn_addr_range vma_ar,
		     const struct msn_translation *t)
{
	uint64_t start = vma_ar.start + (t->source.start - v->offset);
	struct msn_addr_range ar = { start,
				     start + msn_obj_range_length(t->source) };
	struct msn_pma p = { .file = t->file,
			     .offset = t->offset,
			     .perms = (uint8_t)t->perms,
			     .need_cow = v->private };
	int rc = msn_segset_reserve(&mm->pmas.core, 3);

	if (rc)
		return msn_pass(rc);
	msn_file_inc_ref(t->file, msn_translation_file_range(t), mm->account);
	msn_mm_drop_pages(mm, ar, false); /* a read-only one, replaced */
	rc = msn_pma_set_insert(&mm->pmas, ar, &p, NULL);
	msn_assert(rc == 0);
	return 0;
}

/*
 * Asks the object for the pages behind @required, as a part of @optional.  0 if
 * at least the first page of @required is in place now.
 */
static int place_translated(struct msn_mm *mm, struct msn_seg vma,
			    struct msn_addr_range required,
			    struct msn_addr_range optional, unsigned access)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	struct msn_addr_range var = msn_vma_set_range(vma);
	struct msn_translation runs[RUNS_MAX];
	int why;
	int n = msn_mappable_translate(v->mappable,
				       msn_vma_obj_range(v, var, required),
				       msn_vma_obj_range(v, var, optional),
				       access, runs, RUNS_MAX, &why);

	if (n < 0)
		return msn_pass(n);
	if (n == 0)
		return why == MSN_MAPPABLE_E_BUS ? MSN_PAGE_E_BUS
						 : msn_pass(why);
	for (int i = 0; i < n; i++) {
		int rc = place_run(mm, v, var, &runs[i]);

		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* Copies pages of a placement into @to, fresh pages of the memory file. */
static int copy_pages(struct msn_mm *mm, struct msn_file *from,
		      struct msn_file_range src, struct msn_file_range to)
{
	struct msn_file *mf = msn_memfile_file(mm->memfile);

	while (to.start < to.end) {
		struct msn_spans spans;
		int rc =
			msn_file_map_internal(mf, to, MSN_ACCESS_WRITE, &spans);
		size_t done;

		if (rc)
			return msn_pass(rc);
		rc = msn_file_read(from, src.start, spans.span[0].data,
				   spans.span[0].len, &done);
		if (rc == MSN_FILE_E_BUS)
			return MSN_PAGE_E_BUS;
		if (rc)
			return msn_pass(rc);
		src.start += done;
		to.start += done;
	}
	return 0;
}

/* Replaces the placement at @ar by a copy of its pages.  Two cuts reserved. */
static int replace_by_copy(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_seg seg)
{
	struct msn_pma old = *msn_pma_set_value(&mm->pmas, seg);
	struct msn_file_range src =
		msn_pma_file_range(&old, msn_pma_set_range(seg), ar);
	struct msn_pma p = { .file = msn_memfile_file(mm->memfile),
			     .perms = MSN_ACCESS_ANY,
			     .private = true };
	struct msn_file_range pages;
	int rc = msn_memfile_allocate(
		mm->memfile,
		&(struct msn_memfile_alloc){ .length =
						     msn_addr_range_length(ar),
					     .account = mm->account },
		&pages);

	if (rc)
		return msn_pass(rc);
	rc = copy_pages(mm, old.file, src, pages);
	if (rc) {
		msn_file_dec_ref(p.file, pages);
		return msn_pass(rc);
	}
	p.offset = pages.start;
	msn_mm_drop_pages(mm, ar, false);
	rc = msn_pma_set_insert(&mm->pmas, ar, &p, NULL);
	msn_assert(rc == 0);
	return 0;
}

/* The space's own pages that nobody shares any more become writable again. */
static int take_over(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct msn_seg seg;
	int rc = msn_pma_set_isolate(&mm->pmas, ar, &seg);

	if (rc)
		return msn_pass(rc);
	msn_pma_set_value(&mm->pmas, seg)->need_cow = false;
	msn_pma_set_merge_range(&mm->pmas, ar);
	return 0;
}

/*
 * Makes the placement at want.start writable, by taking it over or by copying
 * as much of @want as it covers, COW_BYTES at most.
 */
static int break_cow(struct msn_mm *mm, struct msn_seg seg,
		     struct msn_addr_range want)
{
	struct msn_pma *p = msn_pma_set_value(&mm->pmas, seg);
	struct msn_addr_range whole = msn_pma_set_range(seg);
	struct msn_addr_range ar = msn_addr_range_intersect(want, whole);
	int rc = msn_segset_reserve(&mm->pmas.core, 3);

	if (rc)
		return msn_pass(rc);
	if (p->private && p->file == msn_memfile_file(mm->memfile)) {
		struct msn_file_range run;
		bool sole = msn_memfile_is_sole(
			mm->memfile, msn_pma_file_range(p, whole, ar), &run);

		ar.end = ar.start + msn_file_range_length(run);
		if (sole)
			return msn_pass(take_over(mm, ar));
	}
	if (msn_addr_range_length(ar) > COW_BYTES)
		ar.end = ar.start + COW_BYTES;
	rc = replace_by_copy(mm, ar, seg);
	if (rc == MSN_PAGE_E_BUS && msn_addr_range_length(ar) > MSN_PAGE_SIZE) {
		/* A later page is missing: the first may still be there. */
		ar.end = ar.start + MSN_PAGE_SIZE;
		rc = replace_by_copy(mm, ar, seg);
	}
	return msn_pass(rc);
}

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
	if ((access & MSN_ACCESS_WRITE) && p->need_cow)
		return false;
	return p->need_cow || (p->perms & access) == access;
}

bool msn_mm_peek_page(struct msn_mm *mm, struct msn_seg vma,
		      struct msn_addr_range want, unsigned access,
		      struct msn_page_place *place)
{
	struct msn_seg seg = msn_pma_set_find(&mm->pmas, want.start);

	(void)vma;
	if (!msn_seg_ok(seg) ||
	    !is_usable(msn_pma_set_value(&mm->pmas, seg), access))
		return false;
	set_place(place, msn_pma_set_value(&mm->pmas, seg),
		  msn_pma_set_range(seg), want);
	return true;
}

/* Puts something in place at want.start, where nothing is. */
static int fill_hole(struct msn_mm *mm, struct msn_seg vma,
		     struct msn_addr_range want, unsigned access,
		     struct msn_page_place *place)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	struct msn_addr_range gap = gap_at(mm, want);

	if (v->mappable)
		return msn_pass(place_translated(
			mm, vma, gap,
			hole_around(mm, msn_vma_set_range(vma), gap.start),
			v->private ? MSN_ACCESS_READ : access));
	if (access & MSN_ACCESS_WRITE)
		return msn_pass(place_anonymous(mm, gap));
	place->length = msn_addr_range_length(gap);
	return MSN_PAGE_E_ZERO;
}

int msn_mm_get_page(struct msn_mm *mm, struct msn_seg vma,
		    struct msn_addr_range want, unsigned access,
		    struct msn_page_place *place)
{
	/* Each turn gets closer: nothing -> object's page -> own page. */
	for (;;) {
		struct msn_seg seg = msn_pma_set_find(&mm->pmas, want.start);
		struct msn_pma *p;
		int rc;

		if (msn_seg_ok(seg)) {
			p = msn_pma_set_value(&mm->pmas, seg);
			if (is_usable(p, access)) {
				set_place(place, p, msn_pma_set_range(seg),
					  want);
				return 0;
			}
			rc = p->need_cow
				     ? break_cow(mm, seg, want)
				     : place_translated(
					       mm, vma,
					       msn_addr_range_intersect(
						       want,
						       msn_pma_set_range(seg)),
					       msn_pma_set_range(seg),
					       access | p->perms);
		} else {
			rc = fill_hole(mm, vma, want, access, place);
		}
		if (rc == MSN_PAGE_E_BUS)
			place->length = MSN_PAGE_SIZE;
		if (rc)
			return msn_pass(rc);
	}
}

int msn_mm_handle_fault(struct msn_mm *mm, uint64_t addr, unsigned access)
{
	uint64_t page = msn_page_down(addr);
	struct msn_addr_range want = { page, page + MSN_PAGE_SIZE };
	struct msn_page_place place;
	struct msn_vma *v;
	struct msn_seg vma;
	int rc;

	msn_read_scope(&mm->mapping);
	vma = msn_vma_set_find(&mm->vmas, addr);
	if (!msn_seg_ok(vma))
		return MSN_MM_E_MAPERR;
	v = msn_vma_set_value(&mm->vmas, vma);
	if (access & ~msn_access_effective(v->perms))
		return MSN_MM_E_ACCERR;
	if (mm->as->ops->kernel_faults)
		return 0; /* everything that there is has been placed */
	msn_write_scope(&mm->active);
	rc = msn_mm_get_page(mm, vma, want, access, &place);
	if (rc == MSN_PAGE_E_BUS)
		return MSN_MM_E_BUS;
	return rc == MSN_PAGE_E_ZERO ? 0 : msn_pass(rc);
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
		.perms = v->perms,
		.cow = p->need_cow,
		.commit = commit.wanted,
		.must_commit = commit.required,
	};

	return msn_pass(msn_address_space_map_file(mm->as, &m));
}

int msn_mm_populate(struct msn_mm *mm, struct msn_seg vma,
		    struct msn_addr_range ar)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	unsigned access = v->private && (v->perms & MSN_ACCESS_WRITE)
				  ? MSN_ACCESS_READ | MSN_ACCESS_WRITE
				  : MSN_ACCESS_READ;

	if (v->perms == MSN_ACCESS_NONE)
		return 0;
	while (ar.start < ar.end) {
		struct msn_page_place place;
		int rc = msn_mm_get_page(mm, vma, ar, access, &place);

		if (rc == MSN_PAGE_E_BUS)
			return msn_fail(-EFAULT);
		if (rc < 0)
			return msn_pass(rc);
		ar.start += place.length;
	}
	return 0;
}

int msn_mm_place_all(struct msn_mm *mm, struct msn_seg vma,
		     struct msn_addr_range ar, struct msn_commit commit)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	uint64_t at = ar.start;

	while (at < ar.end) {
		struct msn_addr_range want = { at, ar.end };
		struct msn_seg seg = msn_pma_set_find(&mm->pmas, at);
		struct msn_addr_range gap;
		int rc;

		if (msn_seg_ok(seg)) {
			rc = map_placement(mm, v, seg, ar, commit);
			if (rc)
				return msn_pass(rc);
			at = msn_pma_set_range(seg).end;
			continue;
		}
		gap = gap_at(mm, want);
		rc = v->mappable
			     ? place_translated(mm, vma, gap, gap,
						v->private ? MSN_ACCESS_READ
							   : MSN_ACCESS_NONE)
			     : place_anonymous(mm, gap);
		if (rc == MSN_PAGE_E_BUS && commit.required)
			return msn_fail(-EFAULT);
		if (rc == MSN_PAGE_E_BUS)
			at = gap.end; /* past the object's end: left out */
		else if (rc)
			return msn_pass(rc);
	}
	return 0;
}
