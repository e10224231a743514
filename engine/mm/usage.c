/*
 * What a space uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm.h"

#include "mm/guard.h"
#include "mm/mm_internal.h"

/* Do the object's pages live in memory alone, as those of shmem do? */
static bool is_memory(const struct msn_vma *v)
{
	struct msn_identity_saved saved;

	return v->identity && msn_identity_save(v->identity, &saved) == 0 &&
	       saved.as == MSN_SAVED_AS_CONTENT;
}

/* Adds what is placed in the mapping at @s.  Both locks are held. */
static void add_resident(struct msn_mm *mm, struct msn_seg s,
			 struct msn_mm_usage *out)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
	struct msn_addr_range ar = msn_vma_set_range(s);
	uint64_t *object = is_memory(v) ? &out->rss_shmem : &out->rss_file;

	for (s = msn_pma_set_lower(&mm->pmas, ar.start);
	     msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		const struct msn_pma *p = msn_pma_set_value(&mm->pmas, s);
		uint64_t bytes = msn_addr_range_length(
			msn_addr_range_intersect(ar, msn_pma_set_range(s)));

		if (!msn_pma_takes_memory(p))
			continue;
		*(p->private ? &out->rss_anonymous : object) += bytes;
		if (p->lazy_free)
			out->lazy_free += bytes;
	}
}

void msn_mm_usage(struct msn_mm *mm, struct msn_mm_usage *out)
{
	msn_read_scope(&mm->mapping);
	msn_read_scope(&mm->active);
	*out = (struct msn_mm_usage){
		.total = mm->sizes.total,
		.peak = mm->peak,
		.data = mm->sizes.data,
		.stack = mm->sizes.stack,
		.locked = mm->sizes.locked,
		.mappings = mm->vmas.core.count,
	};
	for (struct msn_seg s = msn_vma_set_first(&mm->vmas); msn_seg_ok(s);
	     s = msn_seg_next(s))
		add_resident(mm, s, out);
}
