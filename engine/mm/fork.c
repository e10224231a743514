/*
 * fork: a second space over the same pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Private pages come to be shared copy-on-write between parent and child. Under
 * a platform with kernel faults the parent goes on running on its page tables,
 * so two more things are done to it: its own pages, which it may write without
 * asking, are frozen by mapping them anew copy-on-write; and what the kernel
 * has copied for it already is copied once more for the child, since nobody
 * else can refer to those pages.
 */
#include "mm/mm_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "mm/guard.h"

#include <errno.h>

/* Bytes copied at a time from the parent's page tables. */
#define COPY_BYTES (UINT64_C(1) << 20)

/*
 * Room for invalidations that come while the child is half made.  Each mapping
 * of the child may be hit by several truncations meanwhile; when the room is
 * full the fork gives up.
 */
static int start_capturing(struct msn_mm *child, size_t mappings)
{
	size_t room = 4 * mappings + 64;

	child->captured = msn_alloc_array(room, sizeof(*child->captured));
	if (!child->captured)
		return msn_fail(-ENOMEM);
	child->captured_cap = room;
	child->capturing = true;
	return 0;
}

/* What the child's mapping is like; its history is its own reference. */
static int child_vma(struct msn_mm *child, uint64_t bytes,
		     const struct msn_vma *from, struct msn_vma *v)
{
	*v = *from;
	v->flags &= ~(uint32_t)MSN_VMA_LOCK_MASK; /* not inherited */
	v->anon = NULL;
	if ((v->flags & MSN_VMA_ACCOUNT) && !msn_mm_may_commit(child, bytes))
		return msn_fail(-ENOMEM);
	if (!from->anon || (v->flags & MSN_VMA_WIPEONFORK))
		return 0;
	return msn_pass(msn_anon_chain_fork(from->anon, &v->anon));
}

static int copy_vma(struct msn_mm *child, struct msn_addr_range ar,
		    const struct msn_vma *from)
{
	uint64_t bytes = msn_addr_range_length(ar);
	struct msn_vma v;
	int rc = msn_segset_reserve(&child->vmas.core, 1);

	if (rc == 0)
		rc = child_vma(child, bytes, from, &v);
	if (rc)
		return msn_pass(rc);
	if (v.mappable)
		rc = msn_mappable_add_mapping(v.mappable, &child->space, ar,
					      v.offset,
					      msn_vma_writes_object(&v));
	if (rc) {
		msn_anon_chain_unref(v.anon);
		return msn_pass(rc);
	}
	msn_identity_inc_ref(v.identity);
	msn_text_ref(v.name);
	msn_policy_ref(v.policy);
	msn_mm_count_bytes(child, v.flags, (int64_t)bytes);
	rc = msn_vma_set_insert(&child->vmas, ar, &v, NULL);
	msn_assert(rc == 0);
	return 0;
}

static int copy_vmas(struct msn_mm *mm, struct msn_mm *child)
{
	for (struct msn_seg s = msn_vma_set_first(&mm->vmas); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
		int rc = v->flags & MSN_VMA_DONTCOPY
				 ? 0
				 : copy_vma(child, msn_vma_set_range(s), v);

		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* Maps the parent's own pages at @s anew, so that it writes to copies. */
static int freeze(struct msn_mm *mm, const struct msn_vma *v, struct msn_seg s)
{
	struct msn_pma *p = msn_pma_set_value(&mm->pmas, s);
	struct msn_as_mapping m = {
		.addr = msn_pma_set_range(s),
		.file = p->file,
		.offset = p->offset,
		.perms = msn_vma_perms(v),
		.cow = true,
	};
	int rc = msn_address_space_map_file(mm->as, &m);

	if (rc == 0)
		p->need_cow = true;
	return msn_pass(rc);
}

/*
 * Shares @part of the parent's placement at *@s, which is in the mapping @v,
 * with the child.  *@s becomes the placement that has @part then.
 */
static int share_pma(struct msn_mm *mm, struct msn_mm *child,
		     const struct msn_vma *v, struct msn_seg *s,
		     struct msn_addr_range part)
{
	struct msn_pma *p = msn_pma_set_value(&mm->pmas, *s);
	bool own = p->private && !msn_pma_is_guard(p);
	struct msn_file_range pages;
	struct msn_pma copy;
	int rc = msn_segset_reserve(&child->pmas.core, 1);

	if (rc == 0 && own && !p->need_cow && mm->as->ops->kernel_faults) {
		/* What is frozen is marked, also if the fork fails later. */
		rc = msn_pma_set_isolate(&mm->pmas, part, s);
		if (rc == 0)
			rc = freeze(mm, v, *s);
	}
	if (rc)
		return msn_pass(rc);
	p = msn_pma_set_value(&mm->pmas, *s);
	p->need_cow |= own;
	pages = msn_pma_file_range(p, msn_pma_set_range(*s), part);
	copy = *p;
	copy.offset = pages.start;
	/* Nobody tells when page tables write again to what was given up. */
	copy.lazy_free &= !child->as->ops->kernel_faults;
	msn_file_inc_ref(p->file, pages, child->account);
	rc = msn_pma_set_insert(&child->pmas, part, &copy, NULL);
	msn_assert(rc == 0);
	return 0;
}

struct copies {
	struct msn_mm *parent, *child;
};

/* Gives the child its own copy of pages that only page tables have. */
static int copy_run(struct copies *c, struct msn_addr_range ar)
{
	struct msn_file *file = msn_memfile_file(c->child->memfile);
	struct msn_seg vma = msn_vma_set_find(&c->child->vmas, ar.start);
	struct msn_pma p = {
		.file = file,
		.perms = MSN_ACCESS_ANY,
		.vma_perms = msn_vma_effective_perms(
			msn_vma_set_value(&c->child->vmas, vma)),
		.private = true,
	};
	struct msn_file_range pages;
	struct msn_spans spans;
	int rc = msn_mm_take_pages(c->child, ar, &pages);

	if (rc)
		return msn_pass(rc);
	for (uint64_t at = pages.start; rc == 0 && at < pages.end;
	     at += spans.span[0].len) {
		rc = msn_file_map_internal(
			file, (struct msn_file_range){ at, pages.end },
			MSN_ACCESS_WRITE, &spans);
		if (rc == 0)
			rc = msn_mm_read_private(
				c->parent, ar.start + (at - pages.start),
				spans.span[0].data, spans.span[0].len);
	}
	if (rc) {
		msn_file_dec_ref(file, pages);
		return msn_pass(rc);
	}
	p.offset = pages.start;
	msn_mm_drop_pages(c->child, ar, false);
	rc = msn_pma_set_insert(&c->child->pmas, ar, &p, NULL);
	msn_assert(rc == 0);
	return 0;
}

/*
 * Page by page, as far as there are any: when somebody shortens a file of the
 * host, that takes the copies past the end away without asking us.
 */
static int copy_what_is_there(struct copies *c, struct msn_addr_range ar)
{
	for (uint64_t at = ar.start; at < ar.end; at += MSN_PAGE_SIZE) {
		int rc = copy_run(
			c, (struct msn_addr_range){ at, at + MSN_PAGE_SIZE });

		if (rc && rc != -EFAULT)
			return msn_pass(rc);
	}
	return 0;
}

static int copy_kernel_run(void *ctx, struct msn_addr_range run)
{
	for (uint64_t at = run.start; at < run.end; at += COPY_BYTES) {
		struct msn_addr_range part = { at, at + COPY_BYTES };
		int rc;

		part = msn_addr_range_intersect(run, part);
		rc = copy_run(ctx, part);
		if (rc == -EFAULT)
			rc = copy_what_is_there(ctx, part);
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/*
 * vma_needs_copy() of Linux: a mapping without pages of its own brings them in
 * when they are touched.
 */
static bool shares_pages(const struct msn_vma *v)
{
	return (v->anon || (v->flags & MSN_VMA_MAYBE_GUARD)) &&
	       !(v->flags & (MSN_VMA_DONTCOPY | MSN_VMA_WIPEONFORK));
}

/* Shares what is placed in the mapping at @vma.  Both active locks are held. */
static int share_vma(struct msn_mm *mm, struct msn_mm *child,
		     struct msn_seg vma)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	struct msn_addr_range ar = msn_vma_set_range(vma);
	struct copies c = { mm, child };
	bool kernel = mm->as->ops->kernel_faults;
	int rc = 0;

	for (struct msn_seg s = msn_pma_set_lower(&mm->pmas, ar.start);
	     rc == 0 && msn_seg_ok(s) && msn_pma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		const struct msn_pma *p = msn_pma_set_value(&mm->pmas, s);
		struct msn_addr_range part =
			msn_addr_range_intersect(ar, msn_pma_set_range(s));
		bool copied = kernel && p->need_cow;

		if (!kernel || p->private || msn_pma_is_guard(p))
			rc = share_pma(mm, child, v, &s, part);
		if (rc == 0 && copied)
			rc = msn_address_space_private_runs(
				mm->as, part, copy_kernel_run, &c);
	}
	msn_pma_set_merge_range(&mm->pmas, ar);
	return msn_pass(rc);
}

static int share_pmas(struct msn_mm *mm, struct msn_mm *child)
{
	for (struct msn_seg s = msn_vma_set_first(&mm->vmas); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		int rc = shares_pages(msn_vma_set_value(&mm->vmas, s))
				 ? share_vma(mm, child, s)
				 : 0;

		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* A child with page tables of its own gets everything into them. */
static int place_child(struct msn_mm *child)
{
	if (!child->as->ops->kernel_faults)
		return 0;
	for (struct msn_seg s = msn_vma_set_first(&child->vmas); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		int rc = 0;

		/* Nobody tells when the kernel gives it a page of its own. */
		if (msn_vma_private(msn_vma_set_value(&child->vmas, s)))
			rc = msn_vma_prepare_anon(child, s);
		if (rc == 0)
			rc = msn_mm_place_all(child, s, msn_vma_set_range(s),
					      (struct msn_commit){ 0 });
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* The parent's mapping lock is held. */
static int fork_pages(struct msn_mm *mm, struct msn_mm *child)
{
	int rc, replayed;

	msn_write_scope(&mm->active);
	msn_rwlock_write_nested(&child->active);
	rc = share_pmas(mm, child);
	if (rc == 0)
		rc = place_child(child);
	replayed = msn_mm_replay_captured(child);
	if (rc == 0)
		rc = replayed;
	msn_rwlock_unlock(&child->active);
	return msn_pass(rc);
}

int msn_mm_fork(struct msn_mm *mm, struct msn_address_space *as,
		struct msn_mm **out)
{
	msn_auto(msn_mm_freep) struct msn_mm *child = NULL;
	int rc = msn_mm_new(&child,
			    &(struct msn_mm_opts){ .memfile = mm->memfile,
						   .as = as,
						   .layout = mm->layout,
						   .account = mm->account,
						   .nodes = mm->nodes });

	if (rc)
		return msn_pass(rc);
	msn_mm_set_origin(child, mm->origin);
	{
		/*
		 * For writing, as Linux does: no fault may give a mapping its
		 * first own page between the copy of it and that of its pages.
		 */
		msn_write_scope(&mm->mapping);
		rc = start_capturing(child, mm->vmas.core.count);
		if (rc)
			return msn_pass(rc);
		msn_rwlock_write_nested(&child->mapping);
		child->limits = mm->limits;
		child->heap = mm->heap;
		child->policy = msn_policy_ref(mm->policy);
		rc = copy_vmas(mm, child);
		if (rc == 0)
			rc = fork_pages(mm, child);
		msn_rwlock_unlock(&child->mapping);
	}
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(child);
	return 0;
}
