/*
 * Listings, counts and the checker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_internal.h"

#include "base/error.h"
#include "mm/guard.h"
#include "mm/listing.h"

#include <string.h>
#include <sys/sysmacros.h>

uint64_t msn_mm_mapped_bytes(struct msn_mm *mm)
{
	msn_read_scope(&mm->mapping);
	return mm->vmas.core.span;
}

uint64_t msn_mm_placed_bytes(struct msn_mm *mm)
{
	uint64_t sum = 0;

	msn_read_scope(&mm->active);
	for (struct msn_seg s = msn_pma_set_first(&mm->pmas); msn_seg_ok(s);
	     s = msn_seg_next(s))
		if (msn_pma_takes_memory(msn_pma_set_value(&mm->pmas, s)))
			sum += msn_addr_range_length(msn_pma_set_range(s));
	return sum;
}

void msn_mm_view_mapping(struct msn_mm *mm, struct msn_seg s,
			 struct msn_mapping_view *out)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);

	*out = (struct msn_mapping_view){
		.addr = msn_vma_set_range(s),
		.perms = msn_vma_perms(v),
		.max_perms = msn_vma_max_perms(v),
		.private = msn_vma_private(v),
		.grows_down = v->flags & MSN_VMA_GROWSDOWN,
		.stack = v->flags & MSN_VMA_NOHUGEPAGE,
		.mlock_mode = msn_vma_mlock_mode(v),
		.name_mut = v->name_mut,
		.name = msn_vma_name(v),
		.offset = v->identity ? v->offset : 0,
		.mappable = v->mappable,
		.identity = v->identity,
	};
}

int msn_mm_for_each_mapping(struct msn_mm *mm, msn_mapping_fn fn, void *ctx)
{
	int rc = 0;

	msn_read_scope(&mm->mapping);
	for (struct msn_seg s = msn_vma_set_first(&mm->vmas);
	     msn_seg_ok(s) && rc == 0; s = msn_seg_next(s)) {
		struct msn_mapping_view v;

		msn_mm_view_mapping(mm, s, &v);
		rc = fn(ctx, &v);
	}
	return rc;
}

static void describe_line(const struct msn_mapping_view *v,
			  struct msn_maps_line *out)
{
	uint64_t dev = v->identity ? msn_identity_device_id(v->identity) : 0;

	*out = (struct msn_maps_line){
		.start = v->addr.start,
		.end = v->addr.end,
		.offset = v->offset,
		.inode = v->identity ? msn_identity_inode_id(v->identity) : 0,
		.perms = v->perms,
		.shared = !v->private,
		.dev_major = major(dev),
		.dev_minor = minor(dev),
		.name = v->name,
	};
}

/*
 * vma_is_initial_heap() of Linux.  A name that cannot be changed is one that
 * the mapping was made with, and stays.
 */
static bool is_heap(const struct msn_mm *mm, const struct msn_mapping_view *v)
{
	return !v->identity && !v->mappable && v->addr.start < mm->heap.end &&
	       v->addr.end > mm->heap.start &&
	       (!*v->name || v->name_mut != MSN_NAME_MUT_DISALLOWED);
}

void msn_mm_describe_line(struct msn_mm *mm, struct msn_seg s,
			  struct msn_maps_line *out)
{
	struct msn_mapping_view v;

	msn_mm_view_mapping(mm, s, &v);
	describe_line(&v, out);
	if (is_heap(mm, &v))
		out->name = "[heap]";
}

int msn_mm_maps(struct msn_mm *mm, char **out)
{
	struct msn_listing l = { 0 };

	{
		msn_read_scope(&mm->mapping);
		for (struct msn_seg s = msn_vma_set_first(&mm->vmas);
		     msn_seg_ok(s); s = msn_seg_next(s)) {
			struct msn_maps_line line;

			msn_mm_describe_line(mm, s, &line);
			msn_listing_put_line(&l, &line);
		}
	}
	return msn_pass(msn_listing_finish(&l, out));
}

static const char *check_vmas(struct msn_mm *mm)
{
	struct msn_mm_sizes sum = { 0 };

	for (struct msn_seg s = msn_vma_set_first(&mm->vmas); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);

		if (!msn_addr_range_page_aligned(msn_vma_set_range(s)))
			return "a mapping is not page aligned";
		if (msn_vma_perms(v) & ~msn_vma_max_perms(v))
			return "a mapping permits more than its maximum";
		if ((v->flags & MSN_VMA_GROWSDOWN) && v->mappable)
			return "a stack maps an object";
		if (!msn_vma_private(v) && !v->mappable)
			return "a shared mapping has no object";
		msn_mm_add_sizes(&sum, v->flags,
				 msn_addr_range_length(msn_vma_set_range(s)));
	}
	sum.locked += mm->stuck_locked;
	if (memcmp(&sum, &mm->sizes, sizeof(sum)) != 0)
		return "the sizes that limits count do not add up";
	return NULL;
}

/* Is all of @ar mapped, as a placement with the rights @p->vma_perms needs? */
static bool is_mapped(struct msn_mm *mm, struct msn_addr_range ar,
		      const struct msn_pma *p)
{
	bool private = p->private || p->need_cow;
	uint64_t at = ar.start;

	while (at < ar.end) {
		struct msn_seg s = msn_vma_set_find(&mm->vmas, at);
		const struct msn_vma *v;

		if (!msn_seg_ok(s))
			return false;
		v = msn_vma_set_value(&mm->vmas, s);
		if (private != msn_vma_private(v) ||
		    p->vma_perms != msn_vma_effective_perms(v))
			return false;
		at = msn_vma_set_range(s).end;
	}
	return true;
}

static const char *check_pmas(struct msn_mm *mm)
{
	for (struct msn_seg s = msn_pma_set_first(&mm->pmas); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		const struct msn_pma *p = msn_pma_set_value(&mm->pmas, s);
		struct msn_addr_range r = msn_pma_set_range(s);

		if (!msn_addr_range_page_aligned(r) ||
		    !msn_page_aligned(p->offset))
			return "a placement is not page aligned";
		if (!is_mapped(mm, r, p))
			return "a placement has no mapping of its kind";
		if (p->private && !p->need_cow && !msn_pma_is_guard(p) &&
		    p->file != msn_memfile_file(mm->memfile))
			return "a writable private page is not in the memory "
			       "file";
	}
	return NULL;
}

const char *msn_mm_check(struct msn_mm *mm)
{
	const char *wrong;

	msn_read_scope(&mm->mapping);
	msn_read_scope(&mm->active);
	wrong = msn_segset_check(&mm->vmas.core);
	if (!wrong)
		wrong = msn_segset_check(&mm->pmas.core);
	if (!wrong)
		wrong = check_vmas(mm);
	if (!wrong)
		wrong = check_pmas(mm);
	return wrong;
}
