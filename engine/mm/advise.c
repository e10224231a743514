/*
 * madvise(2): what is asked, of which mappings, and with what result.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/madvise.c of Linux: mapping by mapping; a hole does not stop the walk
 * but is told at its end, an error does.  What is done to pages stands in
 * advise_pages.c.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/advise.h"
#include "mm/mm_internal.h"

#include <errno.h>
#include <sys/mman.h>

enum advice_kind {
	ADVICE_UNKNOWN,
	ADVICE_FLAGS,	 /* changes flags of mappings */
	ADVICE_PAGES,	 /* does something to pages */
	ADVICE_REMOVE,	 /* calls the object, without a lock of the space */
	ADVICE_POPULATE, /* stops at the first page that cannot be had */
};

/*
 * MADV_HWPOISON and MADV_SOFT_OFFLINE are unknown, as to a kernel that does not
 * handle memory failures: they are of hardware.
 */
static enum advice_kind kind_of(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
		return ADVICE_FLAGS;
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_COLLAPSE:
	case MADV_GUARD_INSTALL:
	case MADV_GUARD_REMOVE:
		return ADVICE_PAGES;
	case MADV_REMOVE:
		return ADVICE_REMOVE;
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return ADVICE_POPULATE;
	default:
		return ADVICE_UNKNOWN;
	}
}

/* is_discard() of Linux: does it take away what somebody may rely on? */
static bool is_discard(int advice)
{
	switch (advice) {
	case MADV_FREE:
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_WIPEONFORK:
	case MADV_GUARD_INSTALL:
		return true;
	default:
		return false;
	}
}

/* A seal protects what its owner cannot write to either. */
static bool is_sealed_against(const struct msn_vma *v, int advice)
{
	return (v->flags & MSN_VMA_SEALED) && is_discard(advice) &&
	       msn_vma_anonymous(v) && !(v->flags & MSN_VMA_WRITE);
}

/* ---- The walk ------------------------------------------------------------ */

/* Where a walk over the mappings of a range stands. */
struct walk {
	struct msn_addr_range left;
	struct msn_addr_range part; /* of the mapping that was found */
	bool hole;		    /* one was passed */
};

/* The next mapping of the range, or none.  The mapping lock is held. */
static struct msn_seg next_mapping(struct msn_mm *mm, struct walk *w)
{
	struct msn_seg s = { 0 };

	if (msn_addr_range_empty(w->left))
		return s;
	s = msn_vma_set_lower(&mm->vmas, w->left.start);
	if (!msn_seg_ok(s) || msn_vma_set_range(s).start > w->left.start)
		w->hole = true;
	if (!msn_seg_ok(s))
		return s;
	w->part = msn_addr_range_intersect(w->left, msn_vma_set_range(s));
	w->left.start = msn_vma_set_range(s).end;
	return msn_addr_range_empty(w->part) ? (struct msn_seg){ 0 } : s;
}

static int result_of(const struct walk *w)
{
	return w->hole ? msn_fail(-ENOMEM) : 0;
}

/* ---- Advice that changes flags ------------------------------------------- */

static uint32_t without(uint32_t flags, uint32_t gone)
{
	return flags & ~gone;
}

/* What same-page merging leaves alone (ksm_compatible()). */
static bool is_mergeable(const struct msn_vma *v)
{
	return !(v->flags & (MSN_VMA_SHARED | MSN_VMA_MAYSHARE |
			     MSN_VMA_DONTEXPAND | MSN_VMA_DROPPABLE));
}

/* What only says how memory is going to be used. */
static uint32_t usage_flags(const struct msn_vma *v, int advice)
{
	switch (advice) {
	case MADV_NORMAL:
		return without(v->flags, MSN_VMA_RAND_READ | MSN_VMA_SEQ_READ);
	case MADV_RANDOM:
		return without(v->flags, MSN_VMA_SEQ_READ) | MSN_VMA_RAND_READ;
	case MADV_SEQUENTIAL:
		return without(v->flags, MSN_VMA_RAND_READ) | MSN_VMA_SEQ_READ;
	case MADV_HUGEPAGE:
		return without(v->flags, MSN_VMA_NOHUGEPAGE) | MSN_VMA_HUGEPAGE;
	case MADV_NOHUGEPAGE:
		return without(v->flags, MSN_VMA_HUGEPAGE) | MSN_VMA_NOHUGEPAGE;
	case MADV_MERGEABLE:
		return is_mergeable(v) ? v->flags | MSN_VMA_MERGEABLE
				       : v->flags;
	case MADV_UNMERGEABLE:
		return without(v->flags, MSN_VMA_MERGEABLE);
	default:
		return v->flags;
	}
}

/* *@flags become those of @v after @advice. */
static int new_flags(const struct msn_vma *v, int advice, uint32_t *flags)
{
	*flags = v->flags;
	switch (advice) {
	case MADV_DONTFORK:
		*flags |= MSN_VMA_DONTCOPY;
		return 0;
	case MADV_DOFORK:
		*flags = without(*flags, MSN_VMA_DONTCOPY);
		return 0;
	case MADV_WIPEONFORK:
		*flags |= MSN_VMA_WIPEONFORK;
		return v->identity || v->mappable ? msn_fail(-EINVAL) : 0;
	case MADV_KEEPONFORK:
		*flags = without(*flags, MSN_VMA_WIPEONFORK);
		return v->flags & MSN_VMA_DROPPABLE ? msn_fail(-EINVAL) : 0;
	case MADV_DONTDUMP:
		*flags |= MSN_VMA_DONTDUMP;
		return 0;
	case MADV_DODUMP:
		*flags = without(*flags, MSN_VMA_DONTDUMP);
		return v->flags & (MSN_VMA_DONTEXPAND | MSN_VMA_DROPPABLE)
			       ? msn_fail(-EINVAL)
			       : 0;
	default:
		*flags = usage_flags(v, advice);
		return 0;
	}
}

/* Flags of the part of the mapping at *@s, which may come to be another. */
static int flag_part(struct msn_mm *mm, struct msn_seg *s,
		     struct msn_addr_range part, int advice)
{
	struct msn_vma to = *msn_vma_set_value(&mm->vmas, *s);
	int rc;

	if (is_sealed_against(&to, advice))
		return msn_fail(-EPERM);
	rc = new_flags(&to, advice, &to.flags);
	if (rc || to.flags == msn_vma_set_value(&mm->vmas, *s)->flags)
		return msn_pass(rc);
	rc = msn_vma_modify(mm, part, &to, s);
	/* Linux hides that it was memory, or room for one more mapping. */
	return rc == -ENOMEM ? msn_fail(-EAGAIN) : msn_pass(rc);
}

static int advise_flags(struct msn_mm *mm, struct msn_addr_range ar, int advice)
{
	struct walk w = { .left = ar };
	struct msn_seg s;

	msn_write_scope(&mm->mapping);
	while (msn_seg_ok(s = next_mapping(mm, &w))) {
		int rc = flag_part(mm, &s, w.part, advice);

		if (rc)
			return msn_pass(rc);
		w.left.start = msn_vma_set_range(s).end;
	}
	return result_of(&w);
}

/* ---- Advice on pages ----------------------------------------------------- */

static int advise_pages_locked(struct msn_mm *mm, struct msn_addr_range ar,
			       int advice)
{
	struct walk w = { .left = ar };
	struct msn_seg s;

	while (msn_seg_ok(s = next_mapping(mm, &w))) {
		int rc;

		if (is_sealed_against(msn_vma_set_value(&mm->vmas, s), advice))
			return msn_fail(-EPERM);
		rc = msn_mm_advise_pages(mm, s, w.part, advice);
		if (rc)
			return msn_pass(rc);
	}
	return result_of(&w);
}

/* Guards mark their mapping, so its lock is held for writing. */
static int advise_pages(struct msn_mm *mm, struct msn_addr_range ar, int advice)
{
	if (advice == MADV_GUARD_INSTALL) {
		msn_write_scope(&mm->mapping);
		return msn_pass(advise_pages_locked(mm, ar, advice));
	}
	msn_read_scope(&mm->mapping);
	return msn_pass(advise_pages_locked(mm, ar, advice));
}

/* Where to make a hole.  The mapping lock is held. */
static int find_hole(struct msn_mm *mm, struct walk *w,
		     struct msn_identity **id, struct msn_mappable **obj,
		     struct msn_obj_range *r)
{
	struct msn_seg s = next_mapping(mm, w);
	const struct msn_vma *v;

	*obj = NULL;
	if (!msn_seg_ok(s))
		return 0;
	v = msn_vma_set_value(&mm->vmas, s);
	if (is_sealed_against(v, MADV_REMOVE))
		return msn_fail(-EPERM);
	if ((v->flags & MSN_VMA_LOCKED) || (!v->identity && !v->mappable))
		return msn_fail(-EINVAL);
	if (!v->mappable || !msn_vma_writes_object(v))
		return msn_fail(-EACCES);
	*r = msn_vma_obj_range(v, msn_vma_set_range(s), w->part);
	*obj = v->mappable;
	*id = v->identity;
	msn_identity_inc_ref(*id);
	return 0;
}

static int advise_remove(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct walk w = { .left = ar };

	for (;;) {
		/* Keeps the object while no lock does. */
		msn_auto(msn_identity_dec_refp) struct msn_identity *id = NULL;
		struct msn_mappable *obj;
		struct msn_obj_range r;
		int rc;

		{
			msn_read_scope(&mm->mapping);
			rc = find_hole(mm, &w, &id, &obj, &r);
		}
		if (rc == 0 && !obj)
			return result_of(&w);
		if (rc == 0)
			rc = msn_mappable_punch_hole(obj, r);
		if (rc)
			return msn_pass(rc);
		w.left.start = w.part.end;
	}
}

/* faultin_page_range() of Linux: a hole ends it at once. */
static int advise_populate(struct msn_mm *mm, struct msn_addr_range ar,
			   int advice)
{
	bool write = advice == MADV_POPULATE_WRITE;

	msn_read_scope(&mm->mapping);
	while (ar.start < ar.end) {
		struct msn_seg s = msn_vma_set_find(&mm->vmas, ar.start);
		struct msn_addr_range part;
		int rc;

		if (!msn_seg_ok(s))
			return msn_fail(-ENOMEM);
		part = msn_addr_range_intersect(ar, msn_vma_set_range(s));
		rc = msn_mm_populate_as(mm, s, part, write);
		if (rc)
			return msn_pass(rc);
		ar.start = part.end;
	}
	return 0;
}

int msn_mm_madvise(struct msn_mm *mm, uint64_t addr, uint64_t length,
		   int advice)
{
	enum advice_kind kind = kind_of(advice);
	struct msn_addr_range ar = { addr, 0 };
	uint64_t len;

	if (kind == ADVICE_UNKNOWN || !msn_page_aligned(addr) ||
	    !msn_page_up(length, &len) || addr + len < addr)
		return msn_fail(-EINVAL);
	if (len == 0)
		return 0;
	ar.end = addr + len;
	switch (kind) {
	case ADVICE_FLAGS:
		return msn_pass(advise_flags(mm, ar, advice));
	case ADVICE_PAGES:
		return msn_pass(advise_pages(mm, ar, advice));
	case ADVICE_REMOVE:
		return msn_pass(advise_remove(mm, ar));
	default:
		return msn_pass(advise_populate(mm, ar, advice));
	}
}
