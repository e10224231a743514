/*
 * mmap.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * In the order of do_mmap() and mmap_region() of Linux: arguments, place,
 * limits, unmapping what is there, and only then the new mapping, merged with
 * its neighbours where that can be.  MAP_POPULATE comes last, without the lock.
 */
#include "mm/mm_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

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
	if (o->perms & ~o->max_perms)
		return msn_fail(-EACCES);
	if ((o->unmap || o->no_replace) && !o->fixed)
		return msn_fail(-EINVAL);
	if (o->unmap && o->no_replace)
		return msn_fail(-EINVAL);
	if (o->grows_down && o->mappable)
		return msn_fail(-EINVAL);
	return 0;
}

/* VM_* of what is asked for, but for the lock mode. */
static uint32_t flags_of(const struct msn_mmap_opts *o, unsigned max_perms)
{
	uint32_t flags = o->perms | max_perms << MSN_VMA_MAY_SHIFT;

	if (!o->private)
		flags |= MSN_VMA_MAYSHARE |
			 (o->file_read_only ? 0u : (unsigned)MSN_VMA_SHARED);
	if (o->grows_down)
		flags |= MSN_VMA_GROWSDOWN;
	if (o->stack)
		flags |= MSN_VMA_NOHUGEPAGE;
	if (o->no_reserve)
		flags |= MSN_VMA_NORESERVE;
	if (o->sync)
		flags |= MSN_VMA_SYNC;
	if (o->droppable)
		flags |= MSN_VMA_DROPPABLE | MSN_VMA_NORESERVE |
			 MSN_VMA_WIPEONFORK | MSN_VMA_DONTDUMP;
	return flags;
}

/* The greater of what is asked for and what mlockall() set. */
static uint32_t lock_flags(const struct msn_mm *mm, enum msn_mlock_mode mode)
{
	uint32_t flags = mm->def_flags & MSN_VMA_LOCK_MASK;

	if (mode != MSN_MLOCK_NONE)
		flags |= MSN_VMA_LOCKED;
	if (mode == MSN_MLOCK_LAZY)
		flags |= MSN_VMA_LOCKONFAULT;
	return flags;
}

static int make_vma(const struct msn_mmap_opts *o, struct msn_vma *v)
{
	unsigned max_perms = o->max_perms;
	int rc = o->mappable ? msn_mappable_check_mmap(o->mappable, !o->private,
						       o->perms, &max_perms)
			     : 0;

	if (rc)
		return msn_pass(rc);
	*v = (struct msn_vma){
		.mappable = o->mappable,
		.identity = o->mapping_identity,
		.offset = o->offset,
		.flags = flags_of(o, max_perms),
		.name_mut = (uint8_t)o->name_mut,
	};
	return o->name ? msn_pass(msn_text_new(&v->name, o->name)) : 0;
}

static int insert_placements(struct msn_mm *mm, const struct msn_vma *v,
			     const struct msn_placement *list, size_t count)
{
	uint8_t perms = msn_vma_effective_perms(v);

	for (size_t i = 0; i < count; i++) {
		struct msn_pma p = { .file = list[i].file,
				     .offset = list[i].offset,
				     .perms = MSN_ACCESS_ANY,
				     .vma_perms = perms,
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

/* Are its pages to come now: MAP_POPULATE and the like, or a lock? */
static bool wants_pages(const struct msn_mm *mm, uint32_t flags,
			const struct msn_mmap_opts *opts)
{
	uint32_t locked = flags & MSN_VMA_LOCK_MASK;

	if (flags & MSN_VMA_DROPPABLE) /* never locked, but filled as if */
		locked = mm->def_flags & MSN_VMA_LOCKED;
	if (locked & MSN_VMA_LOCKONFAULT)
		return false;
	return opts->platform_effect != MSN_PLATFORM_EFFECT_DEFAULT || locked;
}

/* Puts in place what the caller has, and what the platform needs at once. */
static int fill_mapping(struct msn_mm *mm, struct msn_seg vma,
			struct msn_addr_range ar,
			const struct msn_mmap_opts *opts,
			const struct msn_placement *list, size_t count)
{
	struct msn_vma *v = msn_vma_set_value(&mm->vmas, vma);
	struct msn_commit commit = {
		.wanted = opts->platform_effect == MSN_PLATFORM_EFFECT_COMMIT ||
			  msn_vma_mlock_mode(v) == MSN_MLOCK_EAGER,
		.required = opts->require_platform_effect,
	};
	bool kernel = mm->as->ops->kernel_faults;
	bool now = opts->require_platform_effect &&
		   wants_pages(mm, v->flags, opts);
	int rc = 0;

	msn_write_scope(&mm->active);
	/* Nobody tells when the kernel gives it a page of its own. */
	if (count || (kernel && msn_vma_private(v)))
		rc = msn_vma_prepare_anon(mm, vma);
	if (rc == 0)
		rc = insert_placements(mm, v, list, count);
	if (rc == 0 && kernel)
		rc = msn_mm_place_all(mm, vma, ar, commit);
	else if (rc == 0 && now)
		rc = msn_mm_populate(mm, vma, ar);
	if (rc)
		msn_mm_drop_pages(mm, ar, false);
	else
		msn_pma_set_merge_range(&mm->pmas, ar);
	return msn_pass(rc);
}

/* One mmap under way. */
struct mapping {
	const struct msn_mmap_opts *opts;
	struct msn_map_refusal refusal;
	const struct msn_placement *list; /* private pages that are there */
	size_t count;
	struct msn_vma vma;
	struct msn_addr_range ar;
	bool populate; /* once it is done and no lock is held */
	struct msn_dropped dropped;
};

/* Bytes in @ar that are mapped already, and those charged among them. */
static uint64_t mapped_in(struct msn_mm *mm, struct msn_addr_range ar,
			  uint64_t *charged)
{
	uint64_t sum = 0;

	*charged = 0;
	for (struct msn_seg s = msn_vma_set_lower(&mm->vmas, ar.start);
	     msn_seg_ok(s) && msn_vma_set_range(s).start < ar.end;
	     s = msn_seg_next(s)) {
		uint64_t len = msn_addr_range_length(msn_vma_set_range(s));

		sum += len;
		if (msn_vma_set_value(&mm->vmas, s)->flags & MSN_VMA_ACCOUNT)
			*charged += len;
	}
	return sum;
}

/* accountable_mapping() of Linux. */
static bool is_charged(uint32_t flags)
{
	return (flags & (MSN_VMA_NORESERVE | MSN_VMA_SHARED | MSN_VMA_WRITE)) ==
	       MSN_VMA_WRITE;
}

/* What may not grow any further.  Before: @m->ar was gathered. */
static int check_room(struct msn_mm *mm, struct mapping *m)
{
	uint64_t length = msn_addr_range_length(m->ar), charged;
	uint64_t there = mapped_in(mm, m->ar, &charged);

	if (!msn_mm_may_expand(mm, m->vma.flags, length - there))
		return msn_fail(-ENOMEM);
	if (!is_charged(m->vma.flags))
		return 0;
	if (!msn_mm_may_commit(mm, length - charged))
		return msn_fail(-ENOMEM);
	m->vma.flags |= MSN_VMA_ACCOUNT;
	return 0;
}

static int check_locks(struct msn_mm *mm, const struct mapping *m)
{
	if (m->opts->mlock_mode != MSN_MLOCK_NONE && !msn_mm_can_lock(mm))
		return msn_fail(-EPERM);
	if (!msn_mm_may_lock(mm, m->vma.flags, msn_addr_range_length(m->ar)))
		return msn_fail(-EAGAIN);
	return 0;
}

/* Inserts the mapping and fills it, or leaves nothing of it. */
static int put_mapping(struct msn_mm *mm, struct mapping *m)
{
	struct msn_vma *v = &m->vma;
	struct msn_seg seg;
	int rc;

	if (v->mappable) {
		rc = msn_mappable_add_mapping(v->mappable, &mm->space, m->ar,
					      v->offset,
					      msn_vma_writes_object(v));
		if (rc)
			return msn_pass(rc);
	}
	seg = msn_vma_add(mm, m->ar, v);
	msn_mm_count_bytes(mm, v->flags, (int64_t)msn_addr_range_length(m->ar));
	rc = fill_mapping(mm, seg, m->ar, m->opts, m->list, m->count);
	/* Cuts were reserved, so this always goes through. */
	if (rc)
		msn_mm_unmap_reserved(mm, m->ar, &m->dropped);
	m->populate = !m->opts->require_platform_effect &&
		      !mm->as->ops->kernel_faults &&
		      wants_pages(mm, v->flags, m->opts);
	return msn_pass(rc);
}

static int map_locked(struct msn_mm *mm, struct mapping *m, uint64_t length)
{
	int rc;

	/* Linux lets the last one in past the limit, so no ">=". */
	if (mm->vmas.core.count > mm->limits.mappings)
		return msn_fail(-ENOMEM);
	rc = msn_mm_find_place(mm, m->opts, length, &m->ar);
	if (rc)
		return msn_pass(rc);
	if (msn_vma_anonymous(&m->vma) && !m->vma.identity)
		m->vma.offset = m->ar.start;
	m->vma.flags |= lock_flags(mm, m->opts->mlock_mode);
	rc = check_locks(mm, m);
	if (m->vma.flags & MSN_VMA_DROPPABLE) /* counted, but never locked */
		m->vma.flags &= ~(uint32_t)MSN_VMA_LOCK_MASK;
	if (rc == 0 && m->refusal.early)
		rc = msn_fail(m->refusal.early);
	if (rc == 0)
		rc = msn_mm_gather(mm, m->ar, &m->dropped);
	if (rc == 0)
		rc = check_room(mm, m);
	if (rc)
		return msn_pass(rc);
	if (m->opts->unmap)
		msn_mm_unmap_gathered(mm, m->ar, &m->dropped);
	if (m->refusal.late)
		return msn_fail(m->refusal.late);
	return msn_pass(put_mapping(mm, m));
}

static int map(struct msn_mm *mm, struct mapping *m, uint64_t *addr)
{
	bool refused = m->refusal.early || m->refusal.late;
	uint64_t length = 0;
	int rc = check_opts(m->opts, &length);

	if (rc)
		return msn_pass(rc);
	/* Shared memory that nobody shares would have no pages to point at. */
	if (!m->opts->private && !m->opts->mappable && !refused)
		return msn_fail(-EINVAL);
	rc = make_vma(m->opts, &m->vma);
	if (rc)
		return msn_pass(rc);
	{
		msn_write_scope(&mm->mapping);
		rc = map_locked(mm, m, length);
	}
	msn_text_unref(m->vma.name);
	msn_dropped_let_go(&m->dropped);
	if (rc)
		return msn_pass(rc);
	*addr = m->ar.start;
	if (m->populate) {
		/* As mm_populate(): what cannot be had comes when touched. */
		rc = msn_mm_populate_range(mm, m->ar, true);
		(void)rc;
	}
	return 0;
}

int msn_mm_mmap(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		uint64_t *addr)
{
	struct mapping m = { .opts = opts };

	return msn_pass(map(mm, &m, addr));
}

int msn_mm_map_unless(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		      struct msn_map_refusal refusal, uint64_t *addr)
{
	struct mapping m = { .opts = opts, .refusal = refusal };

	return msn_pass(map(mm, &m, addr));
}

int msn_mm_mmap_placed(struct msn_mm *mm, const struct msn_mmap_opts *opts,
		       const struct msn_placement *list, size_t count)
{
	struct mapping m = { .opts = opts, .list = list, .count = count };
	uint64_t addr;

	msn_assert(opts->fixed && opts->private);
	return msn_pass(map(mm, &m, &addr));
}
