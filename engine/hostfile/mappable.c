/*
 * Host file as a mappable: who maps it, where its pages are, how long it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A translation hands out pages up to the end that the file has at that moment
 * and remembers the highest end since the last look.  Nobody tells when
 * somebody else shortens the file, so every call that may invalidate looks
 * first.
 */
#include "hostfile/hostfile_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>

struct msn_hostfile *msn_hostfile_of_mappable(struct msn_mappable *obj)
{
	msn_assert(obj->ops == &msn_hostfile_mappable_ops);
	return msn_container_of(obj, struct msn_hostfile, mappable);
}

void msn_hostfile_invalidate_locked(struct msn_hostfile *hf,
				    struct msn_obj_range r, bool copies_too)
{
	msn_mapping_set_invalidate(hf->mapped, r,
				   (struct msn_invalidate_opts){
					   .invalidate_private = copies_too });
}

int msn_hostfile_revalidate_locked(struct msn_hostfile *hf)
{
	struct msn_obj_range gone;
	uint64_t size;
	int rc = msn_hostfile_size(hf, &size);

	if (rc)
		return msn_pass(rc);
	gone.start = msn_hostfile_page_end(size);
	/* Relaxed: a translation that runs now may be noticed next time. */
	gone.end = atomic_exchange_explicit(&hf->handed_out, gone.start,
					    memory_order_relaxed);
	if (!msn_obj_range_empty(gone))
		msn_hostfile_invalidate_locked(hf, gone, true);
	return 0;
}

int msn_hostfile_revalidate(struct msn_hostfile *hf)
{
	msn_lock_scope(&hf->maps_lock);
	return msn_pass(msn_hostfile_revalidate_locked(hf));
}

bool msn_hostfile_is_sealed(const struct msn_hostfile *hf)
{
	int seals = fcntl(hf->fd, F_GET_SEALS);

	return seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
}

static int add_mapping(struct msn_mappable *obj, struct msn_mapping_space *ms,
		       struct msn_addr_range ar, uint64_t offset, bool writable)
{
	struct msn_hostfile *hf = msn_hostfile_of_mappable(obj);
	int rc;

	if (writable && !hf->writable)
		return msn_fail(-EACCES);
	msn_lock_scope(&hf->maps_lock);
	rc = msn_hostfile_revalidate_locked(hf);
	if (rc)
		return msn_pass(rc);
	return msn_pass(msn_mapping_set_add(hf->mapped, ms, ar, offset,
					    writable, NULL, NULL));
}

static void remove_mapping(struct msn_mappable *obj,
			   struct msn_mapping_space *ms,
			   struct msn_addr_range ar, uint64_t offset,
			   bool writable)
{
	struct msn_hostfile *hf = msn_hostfile_of_mappable(obj);

	msn_lock_scope(&hf->maps_lock);
	msn_mapping_set_remove(hf->mapped, ms, ar, offset, writable, NULL,
			       NULL);
}

/* A mapping that is there may be moved whatever was sealed since. */
static int copy_mapping(struct msn_mappable *obj, struct msn_mapping_space *ms,
			struct msn_addr_range src, struct msn_addr_range dst,
			uint64_t offset, bool writable)
{
	struct msn_hostfile *hf = msn_hostfile_of_mappable(obj);

	(void)src;
	msn_lock_scope(&hf->maps_lock);
	return msn_pass(msn_mapping_set_add(hf->mapped, ms, dst, offset,
					    writable, NULL, NULL));
}

static int check_mmap(struct msn_mappable *obj, bool shared, unsigned perms,
		      unsigned *max_perms)
{
	struct msn_hostfile *hf = msn_hostfile_of_mappable(obj);

	if (!shared || !msn_hostfile_is_sealed(hf))
		return 0;
	if (perms & MSN_ACCESS_WRITE)
		return msn_fail(-EPERM);
	*max_perms &= ~(unsigned)MSN_ACCESS_WRITE;
	return 0;
}

static void note_handed_out(struct msn_hostfile *hf, uint64_t end)
{
	uint_fast64_t seen =
		atomic_load_explicit(&hf->handed_out, memory_order_relaxed);

	while (seen < end &&
	       !atomic_compare_exchange_weak_explicit(&hf->handed_out, &seen,
						      end, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

/* References come next and cannot fail: what they need is set aside here. */
static int prepare_references(struct msn_hostfile *hf)
{
	msn_lock_scope(&hf->lock);
	return msn_pass(msn_page_counts_reserve(&hf->counts));
}

static int translate(struct msn_mappable *obj, struct msn_obj_range required,
		     struct msn_obj_range optional, unsigned access,
		     struct msn_translation *out, size_t max, int *why)
{
	struct msn_hostfile *hf = msn_hostfile_of_mappable(obj);
	struct msn_obj_range run;
	uint64_t size;
	int rc = msn_hostfile_size(hf, &size);

	(void)max;
	if (rc == 0)
		rc = prepare_references(hf);
	if (rc)
		return msn_pass(rc);
	if ((access & MSN_ACCESS_WRITE) && !hf->writable)
		return msn_fail(-EACCES);
	run = msn_obj_range_intersect(
		optional,
		(struct msn_obj_range){ 0, msn_hostfile_page_end(size) });
	if (run.end < required.end)
		*why = MSN_MAPPABLE_E_BUS;
	if (!msn_obj_range_contains(run, required.start))
		return 0;
	note_handed_out(hf, run.end);
	out[0] = (struct msn_translation){
		.source = run,
		.file = &hf->file,
		.offset = run.start,
		.perms = hf->writable ? MSN_ACCESS_ANY
				      : MSN_ACCESS_READ | MSN_ACCESS_EXEC,
	};
	return 1;
}

struct msn_hostfile *msn_hostfile_of(struct msn_mappable *obj)
{
	return obj->ops == &msn_hostfile_mappable_ops
		       ? msn_hostfile_of_mappable(obj)
		       : NULL;
}

const struct msn_mappable_ops msn_hostfile_mappable_ops = {
	.name = "host file",
	.add_mapping = add_mapping,
	.remove_mapping = remove_mapping,
	.copy_mapping = copy_mapping,
	.translate = translate,
	.invalidate_unsavable = msn_hostfile_invalidate_unsavable,
	.punch_hole = msn_hostfile_punch_hole,
	.check_mmap = check_mmap,
};
