/*
 * msync(2).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As mm/msync.c of Linux: the object writes back with no lock of the space
 * held, after which its place in the range is looked up anew.
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "mm/mm_internal.h"

#include <errno.h>
#include <sys/mman.h>

/* One call under way. */
struct sync {
	struct msn_addr_range left;
	int flags;
	bool hole; /* one was passed */
	/* To be written back now; a reference, or NULL. */
	struct msn_identity *id;
	struct msn_obj_range r;
};

/* What ends the call at the mapping at @s, where the range stands. */
static int look_at(struct sync *c, struct msn_mm *mm, struct msn_seg s)
{
	if (!msn_seg_ok(s))
		return msn_fail(-ENOMEM);
	if (c->left.start < msn_vma_set_range(s).start) {
		if (c->flags == MS_ASYNC)
			return msn_fail(-ENOMEM);
		c->left.start = msn_vma_set_range(s).start;
		c->hole = true;
		if (c->left.start >= c->left.end)
			return msn_fail(-ENOMEM);
	}
	if ((c->flags & MS_INVALIDATE) &&
	    (msn_vma_set_value(&mm->vmas, s)->flags & MSN_VMA_LOCKED))
		return msn_fail(-EBUSY);
	return 0;
}

/*
 * Goes on to the next mapping that is to be written back, or to the end.  The
 * mapping lock is held.
 */
static int find_next(struct sync *c, struct msn_mm *mm)
{
	while (c->left.start < c->left.end) {
		struct msn_seg s = msn_vma_set_lower(&mm->vmas, c->left.start);
		int rc = look_at(c, mm, s);
		struct msn_addr_range r, part;
		const struct msn_vma *v;

		if (rc)
			return msn_pass(rc);
		v = msn_vma_set_value(&mm->vmas, s);
		r = msn_vma_set_range(s);
		part = msn_addr_range_intersect(c->left, r);
		c->left.start = r.end;
		if ((c->flags & MS_SYNC) && v->mappable && v->identity &&
		    (v->flags & MSN_VMA_SHARED)) {
			c->r = msn_vma_obj_range(v, r, part);
			c->id = v->identity;
			msn_identity_inc_ref(c->id);
			return 0;
		}
	}
	return 0;
}

static int sync_range(struct msn_mm *mm, struct sync *c)
{
	do {
		int rc;

		{
			msn_read_scope(&mm->mapping);
			rc = find_next(c, mm);
		}
		if (rc == 0 && c->id) {
			rc = msn_identity_msync(c->id, c->r);
			msn_identity_dec_ref(c->id);
			c->id = NULL;
		}
		if (rc)
			return msn_pass(rc);
	} while (c->left.start < c->left.end);
	return c->hole ? msn_fail(-ENOMEM) : 0;
}

int msn_mm_msync(struct msn_mm *mm, uint64_t addr, uint64_t length, int flags)
{
	struct sync c = { .flags = flags };

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) ||
	    !msn_page_aligned(addr) ||
	    ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return msn_fail(-EINVAL);
	/* As Linux computes it: a length that does not fit is none. */
	c.left.start = addr;
	c.left.end = addr + msn_page_down(length + MSN_PAGE_MASK);
	if (c.left.end < addr)
		return msn_fail(-ENOMEM);
	return msn_pass(sync_range(mm, &c));
}
