/*
 * What a save sees: runs of private pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Under a platform with kernel faults, a placement that is copied on write may
 * have been copied already, page by page, without anybody being told:
 *
 *    placement   |------------- image, need_cow -------------|
 *    page tables      |kernel's copy|          |copy|
 *    runs        |file|    space    |   file   |space|  file |
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

/* A walk over one placement. */
struct walk {
	struct msn_mm *mm;
	msn_private_run_fn fn;
	void *ctx;
	const struct msn_pma *pma;
	struct msn_addr_range whole; /* of @pma */
	uint64_t at;		     /* reported up to here */
};

/* Reports what @ar of the placement holds in its file. */
static int report_file(struct walk *w, struct msn_addr_range ar)
{
	struct msn_file_range left = msn_pma_file_range(w->pma, w->whole, ar);
	uint64_t base = ar.start - left.start;

	while (left.start < left.end) {
		struct msn_file_range data;
		struct msn_private_run run;
		int rc = msn_file_next_data(w->pma->file, left, &data);

		if (rc == MSN_FILE_E_NO_DATA)
			return 0;
		if (rc)
			return msn_pass(rc);
		run = (struct msn_private_run){
			.addr = { base + data.start, base + data.end },
			.file = w->pma->file,
			.offset = data.start,
		};
		rc = w->fn(w->ctx, &run);
		if (rc)
			return msn_pass(rc);
		left.start = data.end;
	}
	return 0;
}

/* Reports the part of the placement up to @end that is not the kernel's. */
static int report_until(struct walk *w, uint64_t end)
{
	struct msn_addr_range ar = { w->at, end };

	w->at = end;
	if (msn_addr_range_empty(ar) || !w->pma->private)
		return 0;
	return msn_pass(report_file(w, ar));
}

static int report_kernel_copy(void *ctx, struct msn_addr_range run)
{
	struct walk *w = ctx;
	int rc = report_until(w, run.start);

	if (rc)
		return msn_pass(rc);
	w->at = run.end;
	return msn_pass(
		w->fn(w->ctx, &(struct msn_private_run){ .addr = run }));
}

static int walk_placement(struct walk *w, struct msn_addr_range ar)
{
	w->at = ar.start;
	if (w->mm->as->ops->kernel_faults && w->pma->need_cow) {
		int rc = msn_address_space_private_runs(w->mm->as, ar,
							report_kernel_copy, w);

		if (rc)
			return msn_pass(rc);
	}
	return msn_pass(report_until(w, ar.end));
}

int msn_mm_for_each_private_run(struct msn_mm *mm, struct msn_addr_range ar,
				msn_private_run_fn fn, void *ctx)
{
	struct walk w = { .mm = mm, .fn = fn, .ctx = ctx };

	msn_read_scope(&mm->mapping);
	msn_read_scope(&mm->active);
	for (struct msn_seg s = msn_pma_set_lower(&mm->pmas, ar.start);
	     msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		int rc;

		w.pma = msn_pma_set_value(&mm->pmas, s);
		w.whole = msn_pma_set_range(s);
		if (!w.pma->private && !w.pma->need_cow)
			continue; /* the object's pages, shared */
		rc = walk_placement(&w, msn_addr_range_intersect(ar, w.whole));
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

int msn_mm_read_private(struct msn_mm *mm, uint64_t addr, void *dst, size_t len)
{
	size_t done;
	int rc = msn_address_space_copy_in(mm->as, addr, dst, len, true, &done);

	return rc > 0 ? msn_fail(-EFAULT) : msn_pass(rc);
}

int msn_mm_invalidate_unsavable(struct msn_mm *mm, char *name, size_t name_size)
{
	msn_read_scope(&mm->mapping);
	for (struct msn_seg s = msn_vma_set_first(&mm->vmas); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
		const char *text = msn_vma_name(v);
		size_t n = 0;
		int rc;

		if (!v->mappable)
			continue;
		rc = msn_mappable_invalidate_unsavable(v->mappable);
		if (rc == 0)
			continue;
		for (; text[n] && n + 1 < name_size; n++)
			name[n] = text[n];
		if (name_size)
			name[n] = '\0';
		return msn_pass(rc);
	}
	return 0;
}
