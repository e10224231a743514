/*
 * A space exactly as it was: what is asked of it, and giving it back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/exact.h"

#include "base/assert.h"
#include "base/error.h"
#include "mm/guard.h"
#include "mm/mm_internal.h"
#include "mm/zero.h"

#include <errno.h>

bool msn_mm_has_page_tables(const struct msn_mm *mm)
{
	return mm->as->ops->kernel_faults;
}

int msn_mm_for_each_exact(struct msn_mm *mm, msn_exact_fn fn, void *ctx)
{
	int rc = 0;

	msn_read_scope(&mm->mapping);
	for (struct msn_seg s = msn_vma_set_first(&mm->vmas);
	     msn_seg_ok(s) && rc == 0; s = msn_seg_next(s)) {
		const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
		struct msn_exact_mapping x = { .flags = v->flags,
					       .offset = v->offset,
					       .policy = v->policy };
		struct msn_mapping_view view;

		{
			msn_read_scope(&mm->active);
			x.anon = v->anon;
		}
		msn_mm_view_mapping(mm, s, &view);
		rc = fn(ctx, &view, &x);
	}
	return rc;
}

void msn_mm_exact_space(struct msn_mm *mm, struct msn_exact_space *out)
{
	msn_read_scope(&mm->mapping);
	*out = (struct msn_exact_space){ .heap = mm->heap,
					 .future_locks = mm->def_flags,
					 .stuck_locked = mm->stuck_locked,
					 .peak = mm->peak,
					 .policy = mm->policy };
}

void msn_mm_set_exact_space(struct msn_mm *mm, const struct msn_exact_space *x)
{
	msn_write_scope(&mm->mapping);
	mm->heap = x->heap;
	mm->def_flags = x->future_locks & MSN_VMA_LOCK_MASK;
	mm->sizes.locked += x->stuck_locked - mm->stuck_locked;
	mm->stuck_locked = x->stuck_locked;
	if (x->peak > mm->peak)
		mm->peak = x->peak;
	msn_policy_ref(x->policy);
	msn_policy_unref(mm->policy);
	mm->policy = x->policy;
}

static enum msn_presence presence_of(const struct msn_pma *p)
{
	if (p->lazy_free)
		return MSN_PRESENT_LAZY;
	if (msn_pma_is_guard(p))
		return MSN_PRESENT_GUARD;
	if (msn_is_zero_file(p->file))
		return MSN_PRESENT_ZERO;
	return p->private ? MSN_PRESENT_OWN : MSN_PRESENT_OBJECT;
}

int msn_mm_for_each_present(struct msn_mm *mm, msn_presence_fn fn, void *ctx)
{
	struct msn_addr_range run = { 0, 0 };
	enum msn_presence how = MSN_PRESENT_OWN;
	int rc = 0;

	msn_read_scope(&mm->mapping);
	msn_read_scope(&mm->active);
	for (struct msn_seg s = msn_pma_set_first(&mm->pmas);
	     msn_seg_ok(s) && rc == 0; s = msn_seg_next(s)) {
		struct msn_addr_range r = msn_pma_set_range(s);
		enum msn_presence now =
			presence_of(msn_pma_set_value(&mm->pmas, s));

		if (msn_mm_has_page_tables(mm) && now != MSN_PRESENT_GUARD)
			continue;
		if (run.end == r.start && how == now) {
			run.end = r.end;
			continue;
		}
		if (!msn_addr_range_empty(run))
			rc = fn(ctx, run, how);
		run = r;
		how = now;
	}
	if (rc == 0 && !msn_addr_range_empty(run))
		rc = fn(ctx, run, how);
	return rc;
}

/* As far as the object reaches. */
static int place_object(struct msn_mm *mm, struct msn_seg vma,
			struct msn_addr_range ar)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	struct msn_identity_saved saved;

	if (!v->mappable)
		return 0;
	if (msn_identity_save(v->identity, &saved) == 0 &&
	    saved.as == MSN_SAVED_AS_PATH)
		return msn_pass(msn_mm_place_resident(mm, vma, ar));
	for (; ar.start < ar.end; ar.start += MSN_PAGE_SIZE) {
		struct msn_addr_range page = { ar.start,
					       ar.start + MSN_PAGE_SIZE };
		int rc =
			msn_mm_place_translated(mm, vma, page, MSN_ACCESS_READ);

		if (rc)
			return rc == MSN_PAGE_E_BUS ? 0 : msn_pass(rc);
	}
	return 0;
}

static int place_run(struct msn_mm *mm, struct msn_seg vma,
		     const struct msn_exact_run *run)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	struct msn_pma p = {
		.file = run->file,
		.offset = run->offset,
		.perms = MSN_ACCESS_ANY,
		.vma_perms = msn_vma_effective_perms(v),
		.private = true,
		.need_cow = true,
		/* Nobody tells when page tables write to it again. */
		.lazy_free = run->how == MSN_PRESENT_LAZY &&
			     !msn_mm_has_page_tables(mm),
	};
	int rc;

	if (run->how == MSN_PRESENT_OBJECT)
		return msn_pass(place_object(mm, vma, run->addr));
	if (run->how == MSN_PRESENT_GUARD)
		return msn_pass(msn_mm_place_guards(mm, vma, run->addr));
	if (run->how == MSN_PRESENT_ZERO) {
		p.file = msn_zero_file();
		p.offset = run->addr.start;
		p.perms = MSN_ACCESS_READ;
	}
	rc = msn_pma_set_insert(&mm->pmas, run->addr, &p, NULL);
	if (rc == 0)
		msn_file_inc_ref(p.file,
				 msn_pma_file_range(&p, run->addr, run->addr),
				 mm->account);
	return msn_pass(rc);
}

/*
 * Both locks are held for writing.  On failure the caller drops what is there.
 */
static int place_runs(struct msn_mm *mm, struct msn_seg vma,
		      const struct msn_exact_run *list, size_t count)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	bool kernel = msn_mm_has_page_tables(mm);
	struct msn_commit commit = {
		.wanted = msn_vma_mlock_mode(v) == MSN_MLOCK_EAGER,
	};
	int rc = 0;

	/* Nobody tells when the kernel gives it a page of its own. */
	if (kernel && msn_vma_private(v))
		rc = msn_vma_prepare_anon(mm, vma);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = place_run(mm, vma, &list[i]);
	if (rc == 0 && kernel)
		rc = msn_mm_place_all(mm, vma, msn_vma_set_range(vma), commit);
	return msn_pass(rc);
}

/* The value that goes into the set; its references are of the set. */
static int make_vma(const struct msn_mmap_opts *opts,
		    const struct msn_exact_mapping *x, struct msn_vma *v)
{
	*v = (struct msn_vma){
		.mappable = opts->mappable,
		.identity = opts->mapping_identity,
		.offset = x->offset,
		.anon = x->anon,
		.policy = x->policy,
		.flags = x->flags,
		.name_mut = (uint8_t)opts->name_mut,
	};
	return opts->name ? msn_pass(msn_text_new(&v->name, opts->name)) : 0;
}

static int put_mapping(struct msn_mm *mm, struct msn_addr_range ar,
		       const struct msn_vma *v, struct msn_seg *seg)
{
	int rc = msn_segset_reserve(&mm->vmas.core, 1);

	if (rc == 0 && v->mappable)
		rc = msn_mappable_add_mapping(v->mappable, &mm->space, ar,
					      v->offset,
					      msn_vma_writes_object(v));
	if (rc)
		return msn_pass(rc);
	rc = msn_vma_set_insert(&mm->vmas, ar, v, seg);
	msn_assert(rc == 0);
	msn_vma_ref(msn_vma_set_value(&mm->vmas, *seg));
	msn_mm_count_bytes(mm, v->flags, (int64_t)msn_addr_range_length(ar));
	return 0;
}

static int map_exact(struct msn_mm *mm, struct msn_addr_range ar,
		     const struct msn_vma *v, const struct msn_exact_run *list,
		     size_t count, struct msn_dropped *dropped)
{
	struct msn_seg seg;
	int rc;

	msn_write_scope(&mm->mapping);
	if (!msn_vma_set_is_free(&mm->vmas, ar) ||
	    !msn_addr_range_covers(mm->as->region, ar))
		return msn_fail(-ENOMEM);
	rc = msn_mm_gather(mm, ar, dropped);
	if (rc == 0)
		rc = put_mapping(mm, ar, v, &seg);
	if (rc)
		return msn_pass(rc);
	{
		msn_write_scope(&mm->active);
		rc = place_runs(mm, seg, list, count);
	}
	if (rc)
		msn_mm_unmap_gathered(mm, ar, dropped);
	return msn_pass(rc);
}

int msn_mm_mmap_exact(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		      const struct msn_exact_mapping *x,
		      const struct msn_exact_run *list, size_t count)
{
	struct msn_addr_range ar = { opts->addr, opts->addr + opts->length };
	struct msn_dropped dropped = { 0 };
	struct msn_vma v;
	int rc = make_vma(opts, x, &v);

	msn_assert(opts->fixed);
	if (rc)
		return msn_pass(rc);
	rc = map_exact(mm, ar, &v, list, count, &dropped);
	msn_text_unref(v.name);
	msn_dropped_let_go(&dropped);
	return msn_pass(rc);
}
