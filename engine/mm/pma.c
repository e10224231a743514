/*
 * pma: merging and cutting placements.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/pma.h"

static bool pma_merge(struct msn_seg_range a, void *va, struct msn_seg_range b,
		      void *vb)
{
	const struct msn_pma *l = va, *r = vb;

	(void)b;
	return l->file == r->file &&
	       l->offset + (a.end - a.start) == r->offset &&
	       l->perms == r->perms && l->vma_perms == r->vma_perms &&
	       l->private == r->private && l->need_cow == r->need_cow &&
	       l->lazy_free == r->lazy_free;
}

static void pma_split(struct msn_seg_range r, void *value, uint64_t at,
		      void *right)
{
	(void)value;
	((struct msn_pma *)right)->offset += at - r.start;
}

const struct msn_segset_ops msn_pma_ops = {
	.value_size = sizeof(struct msn_pma),
	.merge = pma_merge,
	.split = pma_split,
};
