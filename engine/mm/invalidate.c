/*
 * Invalidation: mm as the mapping space that mappables see.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Under a platform with kernel faults the page tables map the object's own
 * file, so what the host does to that file shows by itself; only private copies
 * that the space holds apart have to go, and the object's pages take their
 * place.
 */
#include "mm/mm_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

/* The cut of at most two placements; an invalidation has no way to fail. */
static void invalidate_now(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_invalidate_opts opts)
{
	int rc = msn_segset_reserve(&mm->pmas.core, 3);

	/* What an earlier call left in reserve may still be enough. */
	(void)rc;
	msn_mm_zap_pages(mm, ar, !opts.invalidate_private);
}

static void capture(struct msn_mm *mm, struct msn_addr_range ar,
		    struct msn_invalidate_opts opts)
{
	if (mm->captured_count == mm->captured_cap)
		mm->overflowed = true;
	else
		mm->captured[mm->captured_count++] =
			(struct msn_captured){ ar, opts };
}

static void mm_invalidate(struct msn_mapping_space *ms,
			  struct msn_addr_range ar,
			  struct msn_invalidate_opts opts)
{
	struct msn_mm *mm = msn_mm_of(ms);

	msn_write_scope(&mm->active);
	if (mm->capturing) {
		capture(mm, ar, opts);
		return;
	}
	if (!mm->as->ops->kernel_faults)
		invalidate_now(mm, ar, opts);
}

int msn_mm_replay_captured(struct msn_mm *mm)
{
	mm->capturing = false;
	for (size_t i = 0; i < mm->captured_count; i++)
		invalidate_now(mm, mm->captured[i].addr, mm->captured[i].opts);
	mm->captured_count = 0;
	return mm->overflowed ? msn_fail(-EAGAIN) : 0;
}

const struct msn_mapping_space_ops msn_mm_space_ops = {
	.invalidate = mm_invalidate,
};
