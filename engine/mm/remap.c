/*
 * mremap: growing, shrinking and moving.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * In the order of mm/mremap.c of Linux 6.18: arguments; what the mapping
 * permits; what is in the way at the destination goes; then the move itself,
 * which remap_move.c makes, or growth in place.
 *
 *    resize in place   |----old----|+++ delta +++|       (may join the next)
 *    move              |..........|    ->    |----new----|
 *    keep (DONTUNMAP)  |  empty   |    ->    |----new----|
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/remap.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* <linux/mman.h> since 5.7 */
#endif

#define KNOWN_FLAGS (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)

/* PAGE_ALIGN() of Linux: wraps to 0. */
static uint64_t page_align(uint64_t v)
{
	return msn_page_down(v + MSN_PAGE_MASK);
}

/* Is it certain that there will be a new address? */
static bool has_new_addr(const struct msn_remap *r)
{
	return r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
}

static bool shrinks(const struct msn_remap *r)
{
	return r->new_len < r->old_len;
}

static bool grows(const struct msn_remap *r)
{
	return r->new_len > r->old_len;
}

/* The mapping that is changed, as it is now; none if it is gone. */
static struct msn_seg source(const struct msn_remap *r)
{
	return msn_vma_set_find(&r->mm->vmas, r->addr);
}

/* check_mremap_params() of Linux; the mapping lock is held already. */
static int check_arguments(const struct msn_remap *r)
{
	uint64_t task = r->mm->layout.max_addr;

	if ((r->flags & ~KNOWN_FLAGS) || !msn_page_aligned(r->addr) ||
	    r->new_len == 0 || r->new_len > task)
		return msn_fail(-EINVAL);
	if (!has_new_addr(r))
		return 0;
	if (r->new_addr > task - r->new_len || !msn_page_aligned(r->new_addr) ||
	    !(r->flags & MREMAP_MAYMOVE))
		return msn_fail(-EINVAL);
	if ((r->flags & MREMAP_DONTUNMAP) && r->old_len != r->new_len)
		return msn_fail(-EINVAL);
	if (r->addr + r->old_len > r->new_addr &&
	    r->new_addr + r->new_len > r->addr)
		return msn_fail(-EINVAL);
	/* Unmapping at both ends may cut two mappings. */
	if (r->mm->vmas.core.count + 2 + 3 >= r->mm->limits.mappings)
		return msn_fail(-ENOMEM);
	return 0;
}

/*
 * Would the object's offsets wrap?  Linux counts them in pages and asks the
 * same; a shared mapping of /dev/zero is the one that may start so high.
 */
static bool offsets_wrap(const struct msn_remap *r, const struct msn_vma *v)
{
	uint64_t inside = r->addr - msn_vma_set_range(source(r)).start;
	uint64_t end;

	return v->mappable &&
	       __builtin_add_overflow(v->offset + inside, r->new_len, &end);
}

/* Whether the mapping @v may get longer by what is asked. */
static int check_growth(struct msn_remap *r, const struct msn_vma *v)
{
	if (offsets_wrap(r, v))
		return msn_fail(-EINVAL);
	r->populate = v->flags & MSN_VMA_LOCKED;
	if (v->flags & MSN_VMA_DONTEXPAND)
		return msn_fail(-EFAULT);
	if (!msn_mm_may_lock(r->mm, v->flags, r->delta))
		return msn_fail(-EAGAIN);
	if (!msn_mm_may_expand(r->mm, v->flags, r->delta))
		return msn_fail(-ENOMEM);
	return 0;
}

/* check_prep_vma() of Linux: what the mapping itself permits. */
static int check_mapping(struct msn_remap *r)
{
	struct msn_seg s = source(r);
	const struct msn_vma *v;
	uint64_t taken;

	if (!msn_seg_ok(s))
		return msn_fail(-EFAULT);
	v = msn_vma_set_value(&r->mm->vmas, s);
	if (v->flags & MSN_VMA_SEALED)
		return msn_fail(-EPERM);
	r->delta = grows(r) ? r->new_len - r->old_len : r->old_len - r->new_len;
	if (!has_new_addr(r))
		r->new_addr = r->addr;
	if (!grows(r) && !has_new_addr(r))
		return 0;
	if (r->old_len == 0 && msn_vma_private(v))
		return msn_fail(-EINVAL);
	if ((r->flags & MREMAP_DONTUNMAP) && (v->flags & MSN_VMA_DONTEXPAND))
		return msn_fail(-EINVAL);
	/* What shrinking unmaps may lie in several mappings. */
	taken = shrinks(r) ? r->new_len : r->old_len;
	if (taken > msn_vma_set_range(s).end - r->addr)
		return msn_fail(-EFAULT);
	if (taken == r->new_len)
		return 0;
	return msn_pass(check_growth(r, v));
}

/* Finds the new place, or checks the one that was given. */
static int find_new_place(struct msn_remap *r)
{
	struct msn_seg s = source(r);
	struct msn_vma *v = msn_vma_set_value(&r->mm->vmas, s);
	uint64_t inside = r->addr - msn_vma_set_range(s).start;
	bool fixed = r->flags & MREMAP_FIXED;
	struct msn_mmap_opts opts = {
		.mappable = v->mappable,
		.mapping_identity = v->identity,
		.offset = v->identity ? v->offset + inside : 0,
		.private = msn_vma_private(v),
		.addr = has_new_addr(r) ? r->new_addr : 0,
		.fixed = fixed,
		.unmap = fixed,
	};
	struct msn_addr_range place;
	int rc = msn_mm_find_place(r->mm, &opts, r->new_len, &place);

	if (rc == 0)
		r->new_addr = place.start;
	return msn_pass(rc);
}

/* As munmap(2): what reaches past the top is refused. */
static int unmap(struct msn_remap *r, uint64_t start, uint64_t length)
{
	uint64_t task = r->mm->layout.max_addr;

	if (start > task || length > task - start)
		return msn_fail(-EINVAL);
	return msn_pass(msn_mm_unmap_locked(
		r->mm, (struct msn_addr_range){ start, start + length },
		&r->dropped));
}

/* mremap_to() of Linux: to an address that is given, or new in any case. */
static int remap_to(struct msn_remap *r)
{
	int rc = 0;

	if (r->flags & MREMAP_FIXED) {
		rc = unmap(r, r->new_addr, r->new_len);
		/* A wrapping old length lets the two overlap. */
		if (rc == 0 && !msn_seg_ok(source(r)))
			rc = msn_fail(-EFAULT);
	}
	if (rc == 0 && shrinks(r)) {
		rc = unmap(r, r->addr + r->new_len, r->delta);
		r->old_len = r->new_len;
	}
	if (rc)
		return msn_pass(rc);
	if (r->flags & MREMAP_DONTUNMAP) {
		struct msn_vma *v = msn_vma_set_value(&r->mm->vmas, source(r));

		if (!msn_mm_may_expand(r->mm, v->flags, r->old_len))
			return msn_fail(-ENOMEM);
	}
	rc = find_new_place(r);
	if (rc == 0)
		rc = msn_mm_move_mapping(r);
	return msn_pass(rc);
}

/* vma_expandable(): is there room behind the mapping at @whole? */
static bool has_room(struct msn_remap *r, struct msn_addr_range whole)
{
	struct msn_mmap_opts opts = { .addr = whole.start,
				      .fixed = true,
				      .unmap = true };
	struct msn_addr_range grown = { whole.end, whole.end + r->delta };
	struct msn_addr_range place;

	return grown.end > grown.start &&
	       msn_vma_set_is_free(&r->mm->vmas, grown) &&
	       msn_mm_find_place(r->mm, &opts, grown.end - whole.start,
				 &place) == 0;
}

/* expand_vma(): in place if it goes, else somewhere else. */
static int expand(struct msn_remap *r)
{
	struct msn_addr_range whole = msn_vma_set_range(source(r));
	int rc;

	if (whole.end - r->addr == r->old_len && has_room(r, whole))
		return msn_pass(msn_mm_grow_mapping(r));
	if (!(r->flags & MREMAP_MAYMOVE))
		return msn_fail(-ENOMEM);
	rc = find_new_place(r);
	if (rc == 0)
		rc = msn_mm_move_mapping(r);
	return msn_pass(rc);
}

/* One mapping, or as much of it as is asked. */
static int remap_one(struct msn_remap *r)
{
	int rc = check_mapping(r);

	if (rc)
		return msn_pass(rc);
	if (has_new_addr(r))
		return msn_pass(remap_to(r));
	if (shrinks(r))
		return msn_pass(unmap(r, r->addr + r->new_len, r->delta));
	return grows(r) ? msn_pass(expand(r)) : 0;
}

/*
 * vma_multi_allowed(): can the mapping be moved together with others?  Those of
 * /dev/zero choose their places themselves.
 */
static bool moves_with_others(const struct msn_vma *v)
{
	return v->mappable || !v->identity;
}

/*
 * remap_move() of Linux 6.17: every mapping in the range, each as far from the
 * one before as it was; holes are kept but for one at the start.  What came
 * before a failure has moved.
 */
static int move_each(struct msn_remap *r)
{
	uint64_t to = r->new_addr, at = r->addr, end = at + r->old_len;
	uint64_t shift = to - at;
	struct msn_seg s = msn_vma_set_lower(&r->mm->vmas, at);
	bool first = true;
	int rc = -EFAULT;

	if (!msn_seg_ok(s) || msn_vma_set_range(s).start > at)
		return msn_fail(-EFAULT);
	while (at < end && msn_seg_ok(s) && msn_vma_set_range(s).start < end) {
		struct msn_addr_range part = msn_addr_range_intersect(
			msn_vma_set_range(s),
			(struct msn_addr_range){ at, end });

		if (!moves_with_others(msn_vma_set_value(&r->mm->vmas, s)) &&
		    (!first || part.end < end))
			return msn_fail(-EFAULT);
		first = false;
		r->addr = part.start;
		r->new_addr = part.start + shift;
		r->old_len = r->new_len = msn_addr_range_length(part);
		rc = remap_one(r);
		if (rc)
			return msn_pass(rc);
		at = part.end;
		s = msn_vma_set_lower(&r->mm->vmas, at);
	}
	r->new_addr = to;
	return msn_pass(rc);
}

static int remap_locked(struct msn_remap *r)
{
	int rc = check_arguments(r);

	if (rc)
		return msn_pass(rc);
	if ((r->flags & MREMAP_FIXED) && r->old_len == r->new_len)
		return msn_pass(move_each(r));
	return msn_pass(remap_one(r));
}

int msn_mm_mremap(struct msn_mm *mm, uint64_t old_addr, uint64_t old_len,
		  uint64_t new_len, int flags, uint64_t new_addr, uint64_t *out)
{
	struct msn_remap r = {
		.mm = mm,
		.addr = old_addr,
		.old_len = page_align(old_len),
		.new_len = page_align(new_len),
		.new_addr = new_addr,
		.flags = flags,
		.keeps_source = flags & MREMAP_DONTUNMAP,
	};
	int rc;

	{
		msn_write_scope(&mm->mapping);
		rc = remap_locked(&r);
	}
	msn_dropped_let_go(&r.dropped);
	if (rc)
		return msn_pass(rc);
	*out = r.new_addr;
	if (r.populate) {
		struct msn_addr_range grown = { r.new_addr + r.old_len,
						r.new_addr + r.new_len };

		/* As mm_populate(): what cannot be had comes when touched. */
		rc = msn_mm_populate_range(mm, grown, true);
		(void)rc;
	}
	return 0;
}
