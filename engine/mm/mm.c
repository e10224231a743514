/*
 * mm: life of a space.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What hints are raised to: CONFIG_LSM_MMAP_MIN_ADDR of most kernels. */
#define LAYOUT_MIN (UINT64_C(1) << 16)
/* TASK_SIZE of x86-64 with four levels of page tables. */
#define LAYOUT_MAX ((UINT64_C(1) << 47) - MSN_PAGE_SIZE)

int msn_dropped_reserve(struct msn_dropped *d, size_t more)
{
	size_t want = d->count + more;
	struct msn_identity **grown;

	if (want <= d->cap)
		return 0;
	/* A call that moves many mappings comes again and again. */
	if (want < 2 * d->cap)
		want = 2 * d->cap;
	grown = msn_realloc_array(d->list, want, sizeof(*grown));
	if (!grown)
		return msn_fail(-ENOMEM);
	d->list = grown;
	d->cap = want;
	return 0;
}

void msn_dropped_add(struct msn_dropped *d, struct msn_identity *id)
{
	if (!id)
		return;
	msn_assert(d->count < d->cap);
	d->list[d->count++] = id;
}

void msn_dropped_let_go(struct msn_dropped *d)
{
	for (size_t i = 0; i < d->count; i++)
		msn_identity_dec_ref(d->list[i]);
	free(d->list);
	*d = (struct msn_dropped){ 0 };
}

static struct msn_layout default_layout(const struct msn_address_space *as)
{
	struct msn_addr_range r = msn_addr_range_intersect(
		as->region, (struct msn_addr_range){ LAYOUT_MIN, LAYOUT_MAX });

	return (struct msn_layout){ .min_addr = r.start,
				    .max_addr = r.end,
				    .top_down_base = r.end };
}

int msn_mm_new(struct msn_mm **out, const struct msn_mm_opts *opts)
{
	msn_auto(msn_address_space_freep) struct msn_address_space *as =
		opts->as;
	struct msn_mm_limits none = msn_mm_no_limits();
	struct msn_mm *mm = msn_alloc(sizeof(*mm));

	if (!mm)
		return msn_fail(-ENOMEM);
	mm->space.ops = &msn_mm_space_ops;
	mm->memfile = opts->memfile;
	mm->as = msn_steal(as);
	mm->account = opts->account;
	mm->layout =
		opts->layout.max_addr ? opts->layout : default_layout(mm->as);
	mm->nodes[0] = 1;
	if (opts->nodes)
		memcpy(mm->nodes, opts->nodes, sizeof(mm->nodes));
	msn_rwlock_init(&mm->mapping, MSN_RANK_MM_MAPPING);
	msn_rwlock_init(&mm->active, MSN_RANK_MM_ACTIVE);
	msn_vma_set_init(&mm->vmas, &msn_vma_ops);
	msn_pma_set_init(&mm->pmas, &msn_pma_ops);
	msn_mm_set_limits(mm, opts->limits ? opts->limits : &none);
	*out = mm;
	return 0;
}

/* Takes the lowest mapping out; its identity is the caller's to let go. */
static struct msn_identity *remove_first(struct msn_mm *mm)
{
	struct msn_seg s = msn_vma_set_first(&mm->vmas);
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
	struct msn_addr_range r = msn_vma_set_range(s);
	struct msn_identity *id = v->identity;

	if (v->mappable)
		msn_mappable_remove_mapping(v->mappable, &mm->space, r,
					    v->offset,
					    msn_vma_writes_object(v));
	msn_vma_unref_all_but_identity(v);
	msn_vma_set_remove(&mm->vmas, s);
	return id;
}

struct msn_mm *msn_mm_free(struct msn_mm *mm)
{
	if (!mm)
		return NULL;
	{
		msn_write_scope(&mm->active);
		msn_mm_drop_pages(mm, (struct msn_addr_range){ 0, UINT64_MAX },
				  false);
	}
	while (mm->vmas.core.count > 0) {
		struct msn_identity *id;

		msn_rwlock_write(&mm->mapping);
		id = remove_first(mm);
		msn_rwlock_unlock(&mm->mapping);
		msn_identity_dec_ref(id);
	}
	msn_address_space_free(mm->as);
	msn_policy_unref(mm->policy);
	msn_vma_set_deinit(&mm->vmas);
	msn_pma_set_deinit(&mm->pmas);
	msn_rwlock_deinit(&mm->mapping);
	msn_rwlock_deinit(&mm->active);
	free(mm->captured);
	free(mm);
	return NULL;
}

struct msn_mapping_space *msn_mm_mapping_space(struct msn_mm *mm)
{
	return &mm->space;
}

msn_account_id msn_mm_account(const struct msn_mm *mm)
{
	return mm->account;
}

struct msn_memfile *msn_mm_memfile(struct msn_mm *mm)
{
	return mm->memfile;
}

void msn_mm_set_origin(struct msn_mm *mm, const uint8_t origin[16])
{
	memcpy(mm->origin, origin, sizeof(mm->origin));
}

void msn_mm_set_account(struct msn_mm *mm, msn_account_id account)
{
	mm->account = account;
}

void msn_mm_origin(const struct msn_mm *mm, uint8_t origin[16])
{
	memcpy(origin, mm->origin, sizeof(mm->origin));
}
