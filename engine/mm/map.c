/*
 * mmap and munmap.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each call first does everything that may fail, cuts and reservations
 * included, and then changes the sets without a way back.
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

int msn_mm_prepare_unmap(struct msn_mm *mm, struct msn_addr_range ar,
			 struct msn_dropped *d)
{
	size_t mappings = 3; /* two cuts make two more, a new mapping one */
	int rc;

	for (struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);
	     msn_seg_ok(s) && msn_vma_set_range(s).start < ar.end;
	     s = msn_seg_next(s))
		mappings++;
	rc = msn_dropped_reserve(d, mappings);
	if (rc == 0)
		rc = msn_segset_reserve(&mm->vmas.core, 3);
	if (rc == 0) {
		msn_write_scope(&mm->active);
		rc = msn_segset_reserve(&mm->pmas.core, 3);
	}
	return msn_pass(rc);
}

void msn_mm_unmap_prepared(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_dropped *d)
{
	struct msn_seg s;
	int rc;

	{
		msn_write_scope(&mm->active);
		msn_mm_drop_pages(mm, ar, false);
	}
	rc = msn_vma_set_isolate(&mm->vmas, ar, &s);
	msn_assert(rc == 0);
	while (msn_seg_ok(s) && msn_vma_set_range(s).start < ar.end) {
		struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);

		if (v->mappable)
			msn_mappable_remove_mapping(
				v->mappable, &mm->space, msn_vma_set_range(s),
				v->offset, msn_vma_writes_object(v));
		msn_dropped_add(d, v->identity);
		msn_text_unref(v->name);
		s = msn_vma_set_remove(&mm->vmas, s);
	}
}

int msn_mm_munmap(struct msn_mm *mm, uint64_t addr, uint64_t length)
{
	struct msn_dropped dropped = { 0 };
	struct msn_addr_range ar;
	uint64_t len;
	int rc;

	if (!msn_page_aligned(addr) || length == 0 ||
	    !msn_page_up(length, &len) || addr + len < addr)
		return msn_fail(-EINVAL);
	ar = (struct msn_addr_range){ addr, addr + len };
	{
		msn_write_scope(&mm->mapping);
		rc = msn_mm_prepare_unmap(mm, ar, &dropped);
		if (rc == 0)
			msn_mm_unmap_prepared(mm, ar, &dropped);
	}
	msn_dropped_let_go(&dropped);
	return msn_pass(rc);
}

static int check_opts(const struct msn_mmap_opts *o, uint64_t *length)
{
	if (o->length == 0)
		return msn_fail(-EINVAL);
	if (!msn_page_up(o->length, length))
		return msn_fail(-ENOMEM);
	if (o->mappable && !msn_page_aligned(o->offset))
		return msn_fail(-EINVAL);
	if (o->mappable && o->offset + *length < o->offset)
		return msn_fail(-EOVERFLOW);
	if (o->fixed && !msn_page_aligned(o->addr))
		return msn_fail(-EINVAL);
	if (o->perms & ~o->max_perms)
		return msn_fail(-EACCES);
	if ((o->unmap || o->no_replace) && !o->fixed)
		return msn_fail(-EINVAL);
	if (o->unmap && o->no_replace)
		return msn_fail(-EINVAL);
	if (o->grows_down && o->mappable)
		return msn_fail(-EINVAL);
	/* Shared memory that nobody shares would have no pages to point at. */
	if (!o->private && !o->mappable)
		return msn_fail(-EINVAL);
	return 0;
}

static int make_vma(const struct msn_mmap_opts *o, struct msn_vma *v)
{
	*v = (struct msn_vma){
		.mappable = o->mappable,
		.identity = o->mapping_identity,
		.offset = o->mappable ? o->offset : 0,
		.perms = (uint8_t)o->perms,
		.max_perms = (uint8_t)o->max_perms,
		.mlock_mode = (uint8_t)o->mlock_mode,
		.name_mut = (uint8_t)o->name_mut,
		.private = o->private,
		.grows_down = o->grows_down,
		.stack = o->stack,
	};
	return o->name ? msn_pass(msn_text_new(&v->name, o->name)) : 0;
}

/* Inserts a prepared vma, whose references move into the set. */
static int insert_vma(struct msn_mm *mm, struct msn_addr_range ar,
		      struct msn_vma *v, struct msn_seg *out)
{
	int rc;

	if (v->mappable) {
		rc = msn_mappable_add_mapping(v->mappable, &mm->space, ar,
					      v->offset,
					      msn_vma_writes_object(v));
		if (rc)
			return msn_pass(rc);
	}
	msn_identity_inc_ref(v->identity);
	rc = msn_vma_set_insert_unmerged(&mm->vmas, ar, v, out);
	msn_assert(rc == 0); /* a node was reserved */
	v->name = NULL;
	return 0;
}

static int insert_placements(struct msn_mm *mm,
			     const struct msn_placement *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct msn_pma p = { .file = list[i].file,
				     .offset = list[i].offset,
				     .perms = MSN_ACCESS_ANY,
				     .private = true,
				     .need_cow = true };
		struct msn_addr_range r = list[i].addr;
		int rc = msn_pma_set_insert_unmerged(&mm->pmas, r, &p, NULL);

		if (rc)
			return msn_pass(rc);
		msn_file_inc_ref(p.file, msn_pma_file_range(&p, r, r),
				 mm->account);
	}
	return 0;
}

/* MAP_POPULATE and the like, where mm puts pages in place itself. */
static int populate(struct msn_mm *mm, struct msn_seg vma,
		    struct msn_addr_range ar, const struct msn_mmap_opts *opts)
{
	int rc;

	if (opts->platform_effect == MSN_PLATFORM_EFFECT_DEFAULT &&
	    opts->mlock_mode != MSN_MLOCK_EAGER)
		return 0;
	rc = msn_mm_populate(mm, vma, ar);
	/* As MAP_POPULATE: what could not be had shows when it is touched. */
	return opts->require_platform_effect ? msn_pass(rc) : 0;
}

/* Puts in place what the caller has, and what the platform needs at once. */
static int fill_mapping(struct msn_mm *mm, struct msn_seg vma,
			struct msn_addr_range ar,
			const struct msn_mmap_opts *opts,
			const struct msn_placement *list, size_t count)
{
	struct msn_commit commit = {
		.wanted = opts->platform_effect == MSN_PLATFORM_EFFECT_COMMIT ||
			  opts->mlock_mode == MSN_MLOCK_EAGER,
		.required = opts->require_platform_effect,
	};
	int rc;

	msn_write_scope(&mm->active);
	rc = insert_placements(mm, list, count);
	if (rc == 0)
		rc = mm->as->ops->kernel_faults
			     ? msn_mm_place_all(mm, vma, ar, commit)
			     : populate(mm, vma, ar, opts);
	if (rc)
		msn_mm_drop_pages(mm, ar, false);
	else
		msn_pma_set_merge_range(&mm->pmas, ar);
	return msn_pass(rc);
}

/*
 * The mapping lock is held for writing.  Nothing is merged until all is done:
 * taking it back then needs no cuts and cannot fail.
 */
static int map_locked(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		      struct msn_vma *v, struct msn_addr_range ar,
		      const struct msn_placement *list, size_t count,
		      struct msn_dropped *dropped)
{
	struct msn_seg seg;
	int rc = msn_mm_prepare_unmap(mm, ar, dropped);

	if (rc)
		return msn_pass(rc);
	if (opts->unmap)
		msn_mm_unmap_prepared(mm, ar, dropped);
	rc = insert_vma(mm, ar, v, &seg);
	if (rc)
		return msn_pass(rc);
	rc = fill_mapping(mm, seg, ar, opts, list, count);
	if (rc)
		msn_mm_unmap_prepared(mm, ar, dropped);
	else
		msn_vma_set_merge_range(&mm->vmas, ar);
	return msn_pass(rc);
}

static int map(struct msn_mm *mm, const struct msn_mmap_opts *opts,
	       const struct msn_placement *list, size_t count, uint64_t *addr)
{
	struct msn_dropped dropped = { 0 };
	struct msn_addr_range ar = { 0, 0 };
	struct msn_vma v;
	uint64_t length = 0;
	int rc = check_opts(opts, &length);

	if (rc)
		return msn_pass(rc);
	rc = make_vma(opts, &v);
	if (rc)
		return msn_pass(rc);
	{
		msn_write_scope(&mm->mapping);
		rc = msn_mm_find_place(mm, opts, length, &ar);
		if (rc == 0)
			rc = map_locked(mm, opts, &v, ar, list, count,
					&dropped);
	}
	msn_text_unref(v.name); /* NULL once the set has it */
	msn_dropped_let_go(&dropped);
	if (rc == 0)
		*addr = ar.start;
	return msn_pass(rc);
}

int msn_mm_mmap(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		uint64_t *addr)
{
	return msn_pass(map(mm, opts, NULL, 0, addr));
}

int msn_mm_mmap_placed(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		       const struct msn_placement *list, size_t count)
{
	uint64_t addr;

	msn_assert(opts->fixed && opts->private);
	return msn_pass(map(mm, opts, list, count, &addr));
}
