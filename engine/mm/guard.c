/*
 * Guard pages: MADV_GUARD_INSTALL and MADV_GUARD_REMOVE.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/guard.h"

#include "base/assert.h"
#include "base/error.h"
#include "mm/zero.h"

#include <errno.h>

/* There is no byte in it, so there is nothing to save either. */
static int guard_next_data(struct msn_file *file, struct msn_file_range r,
			   struct msn_file_range *out)
{
	(void)file;
	(void)r;
	(void)out;
	return MSN_FILE_E_NO_DATA;
}

static const struct msn_file_ops guard_ops = {
	.name = "guard",
	.next_data = guard_next_data,
};

struct msn_file *msn_guard_file(void)
{
	static struct msn_file file = { &guard_ops };

	return &file;
}

bool msn_pma_takes_memory(const struct msn_pma *p)
{
	return !msn_is_zero_file(p->file) && !msn_pma_is_guard(p);
}

/* Puts guards at @ar, where nothing is placed.  Room was reserved. */
static void put_guards(struct msn_mm *mm, const struct msn_vma *v,
		       struct msn_addr_range ar)
{
	struct msn_pma p = {
		.file = msn_guard_file(),
		.offset = ar.start, /* so that neighbours are one */
		.vma_perms = msn_vma_effective_perms(v),
		.private = msn_vma_private(v),
	};
	int rc = msn_pma_set_insert(&mm->pmas, ar, &p, NULL);

	msn_assert(rc == 0);
}

int msn_mm_place_guards(struct msn_mm *mm, struct msn_seg s,
			struct msn_addr_range ar)
{
	int rc = msn_segset_reserve(&mm->pmas.core, 1);

	if (rc)
		return msn_pass(rc);
	put_guards(mm, msn_vma_set_value(&mm->vmas, s), ar);
	return 0;
}

static int install_guards(struct msn_mm *mm, struct msn_seg s,
			  struct msn_addr_range ar)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
	int rc = msn_segset_reserve(&mm->pmas.core, 3);

	if (rc == 0 && msn_vma_anonymous(v))
		rc = msn_vma_prepare_anon(mm, s);
	if (rc)
		return msn_pass(rc);
	/* All of it, also where the mapping has no guard; it never goes. */
	v->flags |= MSN_VMA_MAYBE_GUARD;
	msn_mm_drop_pages(mm, ar, false);
	put_guards(mm, v, ar);
	return 0;
}

/* Removes the guards at @ar; page tables show what is there instead. */
static int remove_run(struct msn_mm *mm, struct msn_seg s,
		      struct msn_addr_range ar)
{
	int rc;

	if (mm->as->ops->kernel_faults)
		return msn_pass(msn_mm_renew(mm, s, ar));
	rc = msn_segset_reserve(&mm->pmas.core, 2);
	if (rc == 0)
		msn_mm_drop_pages(mm, ar, false);
	return msn_pass(rc);
}

static int remove_guards(struct msn_mm *mm, struct msn_seg s,
			 struct msn_addr_range ar)
{
	struct msn_addr_range part;
	struct msn_seg seg;
	int rc = 0;

	while (rc == 0 &&
	       msn_seg_ok(seg = msn_mm_first_placed(mm, ar, &part))) {
		if (msn_pma_is_guard(msn_pma_set_value(&mm->pmas, seg)))
			rc = remove_run(mm, s, part);
		ar.start = part.end;
	}
	return msn_pass(rc);
}

int msn_mm_guard(struct msn_mm *mm, struct msn_seg s, struct msn_addr_range ar,
		 bool install)
{
	uint32_t flags = msn_vma_set_value(&mm->vmas, s)->flags;

	if ((flags & MSN_VMA_DONTEXPAND) ||
	    (install && (flags & MSN_VMA_LOCKED)))
		return msn_fail(-EINVAL);
	msn_write_scope(&mm->active);
	return install ? msn_pass(install_guards(mm, s, ar))
		       : msn_pass(remove_guards(mm, s, ar));
}
