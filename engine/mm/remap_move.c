/*
 * mremap: making a mapping longer, and moving one with its pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pages move without being copied: each placement is first put in at the new
 * address as well, which may fail, then the page tables move, and only then the
 * old placements go.  Nobody sees both, as the active lock is held; the page
 * references pass from the old one to the new one.
 */
#include "mm/remap.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

/* Nodes for the cuts at both ends of a move. */
#define PMA_CUTS 4

static struct msn_vma *value(struct msn_mm *mm, struct msn_seg s)
{
	return msn_vma_set_value(&mm->vmas, s);
}

static struct msn_addr_range at(uint64_t start, uint64_t length)
{
	return (struct msn_addr_range){ start, start + length };
}

/* ---- Pages --------------------------------------------------------------- */

/* Takes the placements in @ar out; the references have others by now. */
static void take_out(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct msn_seg s = msn_pma_set_lower(&mm->pmas, ar.start);

	while (msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end)
		s = msn_pma_set_remove(&mm->pmas, s);
}

/* Puts the placements in @from, cut at its ends, in at @to as well. */
static int double_pages(struct msn_mm *mm, struct msn_addr_range from,
			uint64_t to)
{
	uint64_t next = from.start;
	int rc = 0;

	while (rc == 0) {
		struct msn_seg s = msn_pma_set_lower(&mm->pmas, next);
		struct msn_addr_range r;
		struct msn_pma p;

		if (!msn_seg_ok(s) || msn_pma_set_range(s).start >= from.end)
			break;
		r = msn_pma_set_range(s);
		p = *msn_pma_set_value(&mm->pmas, s);
		rc = msn_pma_set_insert_unmerged(&mm->pmas,
						 at(to + (r.start - from.start),
						    msn_addr_range_length(r)),
						 &p, NULL);
		next = r.end;
	}
	return rc ? msn_pass(rc)
		  : msn_pass(msn_segset_reserve(&mm->pmas.core, PMA_CUTS));
}

/* Moves what page tables have for the placements in @from. */
static int move_tables(struct msn_mm *mm, struct msn_addr_range from,
		       uint64_t to)
{
	struct msn_seg s = msn_pma_set_lower(&mm->pmas, from.start);

	for (; msn_seg_ok(s) && msn_pma_set_range(s).start < from.end;
	     s = msn_seg_next(s)) {
		struct msn_addr_range r = msn_pma_set_range(s);
		int rc = msn_address_space_move(mm->as, r,
						to + (r.start - from.start));

		if (rc == 0)
			continue;
		for (s = msn_seg_prev(s);
		     msn_seg_ok(s) && msn_pma_set_range(s).start >= from.start;
		     s = msn_seg_prev(s)) {
			int back;

			r = msn_pma_set_range(s);
			back = msn_address_space_move(
				mm->as,
				at(to + (r.start - from.start),
				   msn_addr_range_length(r)),
				r.start);
			(void)back; /* there was room a moment ago */
		}
		return msn_pass(rc);
	}
	return 0;
}

/* Active lock held for writing.  On failure nothing has moved. */
static int move_pages(struct msn_mm *mm, struct msn_addr_range from,
		      uint64_t to)
{
	struct msn_addr_range there = at(to, msn_addr_range_length(from));
	int rc = msn_segset_reserve(&mm->pmas.core, PMA_CUTS);

	if (rc == 0)
		rc = msn_pma_set_isolate(&mm->pmas, from, NULL);
	if (rc)
		return msn_pass(rc);
	rc = double_pages(mm, from, to);
	if (rc == 0)
		rc = move_tables(mm, from, to);
	take_out(mm, rc ? there : from);
	msn_pma_set_merge_range(&mm->pmas, rc ? from : there);
	return msn_pass(rc);
}

/* ---- Growing in place ---------------------------------------------------- */

/* Does the host grant what the longer mapping @v is charged for? */
static bool may_charge(const struct msn_remap *r, const struct msn_vma *v)
{
	return !(v->flags & MSN_VMA_ACCOUNT) ||
	       msn_mm_may_commit(r->mm,
				 r->keeps_source ? r->new_len : r->delta);
}

int msn_mm_grow_mapping(struct msn_remap *r)
{
	struct msn_mm *mm = r->mm;
	struct msn_seg s = msn_vma_set_find(&mm->vmas, r->addr);
	struct msn_addr_range whole = msn_vma_set_range(s);
	struct msn_addr_range more = at(whole.end, r->delta);
	struct msn_vma v = *value(mm, s);
	int rc;

	if (!may_charge(r, &v))
		return msn_fail(-ENOMEM);
	rc = msn_mm_reserve_unmap(mm, &r->dropped);
	if (rc)
		return msn_pass(rc);
	v.offset += msn_addr_range_length(whole);
	if (v.mappable)
		rc = msn_mappable_add_mapping(v.mappable, &mm->space, more,
					      v.offset,
					      msn_vma_writes_object(&v));
	if (rc)
		return msn_pass(rc);
	msn_vma_grow(mm, more, &v);
	msn_mm_count_bytes(mm, v.flags, (int64_t)r->delta);
	rc = msn_mm_fill(mm, more);
	if (rc)
		msn_mm_unmap_reserved(mm, more, &r->dropped);
	return msn_pass(rc);
}

/* ---- Moving -------------------------------------------------------------- */

/*
 * copy_vma() of Linux: what the mapping is like at its new place.  Memory that
 * never got a page of its own starts anew, so that it can merge there.
 */
static struct msn_vma new_look(const struct msn_remap *r)
{
	struct msn_seg s = msn_vma_set_find(&r->mm->vmas, r->addr);
	struct msn_vma v = *value(r->mm, s);

	if (msn_vma_anonymous(&v) && !v.anon)
		v.offset = r->new_addr;
	else
		v.offset += r->addr - msn_vma_set_range(s).start;
	return v;
}

/*
 * dontunmap_complete(): what stays behind is not locked any more, all of the
 * mapping; without any page it also forgets its history.
 */
static void leave_empty(struct msn_remap *r, struct msn_addr_range whole)
{
	struct msn_mm *mm = r->mm;
	struct msn_seg s = msn_vma_set_find(&mm->vmas, r->addr);
	struct msn_addr_range now = msn_vma_set_range(s);
	struct msn_vma *v = value(mm, s);
	uint64_t bytes = msn_addr_range_length(now);
	bool merged = now.start <= r->new_addr && r->new_addr < now.end;

	if (v->flags & MSN_VMA_LOCKED) {
		/* Linux goes on counting them for good, and so do we. */
		mm->stuck_locked += bytes;
		v->flags &= ~(uint32_t)MSN_VMA_LOCK_MASK;
	}
	if (!merged && whole.start == r->addr &&
	    whole.end == r->addr + r->old_len && !mm->as->ops->kernel_faults) {
		msn_anon_chain_unref(v->anon);
		v->anon = NULL;
	}
}

/* The mapping at the new place, with the pages; the source still stands. */
static int make_copy(struct msn_remap *r, const struct msn_vma *v)
{
	struct msn_mm *mm = r->mm;
	struct msn_addr_range src = at(r->addr, r->old_len);
	struct msn_addr_range dst = at(r->new_addr, r->new_len);
	int rc = 0;

	if (v->mappable)
		rc = msn_mappable_copy_mapping(v->mappable, &mm->space, src,
					       dst, v->offset,
					       msn_vma_writes_object(v));
	if (rc)
		return msn_pass(rc);
	msn_vma_add(mm, dst, v);
	msn_mm_count_bytes(mm, v->flags, (int64_t)r->new_len);
	rc = msn_mm_fill(
		mm, (struct msn_addr_range){ dst.start + r->old_len, dst.end });
	if (rc == 0 && r->old_len) {
		msn_write_scope(&mm->active);
		rc = move_pages(mm, src, r->new_addr);
	}
	if (rc)
		msn_mm_unmap_reserved(mm, dst, &r->dropped);
	return msn_pass(rc);
}

/*
 * Back where it was.  If there is no memory even for that, the pages are what
 * matters: they stay at the new place, and the source goes.
 */
static void undo_copy(struct msn_remap *r)
{
	struct msn_mm *mm = r->mm;
	struct msn_addr_range src = at(r->addr, r->old_len);
	struct msn_addr_range dst = at(r->new_addr, r->old_len);
	int rc;

	{
		msn_write_scope(&mm->active);
		rc = move_pages(mm, dst, r->addr);
	}
	msn_mm_unmap_reserved(mm, rc ? src : dst, &r->dropped);
}

int msn_mm_move_mapping(struct msn_remap *r)
{
	struct msn_mm *mm = r->mm;
	struct msn_addr_range src = at(r->addr, r->old_len);
	struct msn_addr_range whole =
		msn_vma_set_range(msn_vma_set_find(&mm->vmas, r->addr));
	struct msn_vma v = new_look(r);
	int rc;

	/* The copy, and the cuts at the source, may make three more. */
	if (mm->vmas.core.count + 3 >= mm->limits.mappings ||
	    !may_charge(r, &v))
		return msn_fail(-ENOMEM);
	rc = msn_mm_reserve_unmap(mm, &r->dropped);
	if (rc == 0)
		rc = make_copy(r, &v);
	if (rc)
		return msn_pass(rc);
	if (r->keeps_source) {
		rc = msn_mm_fill(mm, src);
		if (rc)
			undo_copy(r);
		else
			leave_empty(r, whole);
	} else if (r->old_len) {
		msn_mm_unmap_reserved(mm, src, &r->dropped);
	}
	return msn_pass(rc);
}
