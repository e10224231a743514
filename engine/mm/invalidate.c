/*
 * Invalidation: mm as the mapping space that mappables see.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Under a platform with kernel faults the page tables map files of the host.  A
 * host file's own pages need nothing: what the host does to the file shows by
 * itself.  Pages of the memory file do: the object has given them up, so they
 * leave the page tables, and with them the copies that the kernel made of them
 * if those are to go.  What the object has there now can only be asked for with
 * the mapping lock, which stands above the locks that are held here; so the
 * addresses are left without a page, and msn_mm_place_missing() fills them when
 * mm is next asked to touch them.  Code that runs on the page tables gets a
 * SIGSEGV until then, as it does past the end of an object.
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

/* Drops what the kernel has not copied of @ar, which may be empty. */
static void drop_uncopied(struct msn_mm *mm, struct msn_addr_range ar)
{
	if (!msn_addr_range_empty(ar))
		invalidate_now(mm, ar, (struct msn_invalidate_opts){ 0 });
}

struct uncopied {
	struct msn_mm *mm;
	uint64_t at; /* how far the walk has come */
};

static int pass_over_copies(void *ctx, struct msn_addr_range copies)
{
	struct uncopied *u = ctx;

	drop_uncopied(u->mm, (struct msn_addr_range){ u->at, copies.start });
	u->at = copies.end;
	return 0;
}

/*
 * Drops an object's pages at @ar but not the private copies of them.  Where
 * the page tables cannot be asked, all stay: old bytes do less harm than
 * losing new ones, and the placement keeps the page from being used again.
 */
static void keep_copies(struct msn_mm *mm, struct msn_addr_range ar)
{
	struct uncopied u = { mm, ar.start };

	if (msn_address_space_private_runs(mm->as, ar, pass_over_copies, &u))
		return;
	drop_uncopied(mm, (struct msn_addr_range){ u.at, ar.end });
}

/* One placement's part @ar of an invalidation. */
static void invalidate_placed(struct msn_mm *mm, struct msn_addr_range ar,
			      struct msn_pma p, struct msn_invalidate_opts opts)
{
	/* The host does the same to its own file, and to copies of that. */
	if (!p.private && p.file != msn_memfile_file(mm->memfile))
		return;
	if (p.need_cow && !p.private && !opts.invalidate_private)
		keep_copies(mm, ar);
	else
		invalidate_now(mm, ar, opts);
}

static void invalidate_tables(struct msn_mm *mm, struct msn_addr_range ar,
			      struct msn_invalidate_opts opts)
{
	struct msn_addr_range part;
	struct msn_seg s;

	while (msn_seg_ok(s = msn_mm_first_placed(mm, ar, &part))) {
		invalidate_placed(mm, part, *msn_pma_set_value(&mm->pmas, s),
				  opts);
		ar.start = part.end;
	}
}

static void invalidate(struct msn_mm *mm, struct msn_addr_range ar,
		       struct msn_invalidate_opts opts)
{
	if (mm->as->ops->kernel_faults)
		invalidate_tables(mm, ar, opts);
	else
		invalidate_now(mm, ar, opts);
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
	invalidate(mm, ar, opts);
}

int msn_mm_replay_captured(struct msn_mm *mm)
{
	mm->capturing = false;
	for (size_t i = 0; i < mm->captured_count; i++)
		invalidate(mm, mm->captured[i].addr, mm->captured[i].opts);
	mm->captured_count = 0;
	return mm->overflowed ? msn_fail(-EAGAIN) : 0;
}

const struct msn_mapping_space_ops msn_mm_space_ops = {
	.invalidate = mm_invalidate,
};
