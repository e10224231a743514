/*
 * Shared anonymous memory: a mappable over one reserved range of the memory
 * file.  Its pages never move, so nothing is ever invalidated and nobody needs
 * to be remembered.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "memfile/memfile.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

struct shared {
	struct msn_mappable mappable;
	struct msn_identity identity;
	atomic_uint refs;
	struct msn_memfile *mf;	     /* set once */
	struct msn_file_range pages; /* set once; one reference held */
	uint64_t inode;		     /* set once */
	char *name;		     /* set once */
};

static const struct msn_mappable_ops shared_mappable_ops;
static const struct msn_identity_ops shared_identity_ops;

static struct shared *shared_of(struct msn_mappable *obj)
{
	msn_assert(obj->ops == &shared_mappable_ops);
	return msn_container_of(obj, struct shared, mappable);
}

static struct shared *shared_of_id(struct msn_identity *id)
{
	msn_assert(id->ops == &shared_identity_ops);
	return msn_container_of(id, struct shared, identity);
}

static int shared_translate(struct msn_mappable *obj,
			    struct msn_obj_range required,
			    struct msn_obj_range optional, unsigned access,
			    struct msn_translation *out, size_t max, int *why)
{
	struct shared *sh = shared_of(obj);
	struct msn_obj_range all = { 0, msn_file_range_length(sh->pages) };
	struct msn_obj_range run = msn_obj_range_intersect(optional, all);

	(void)access;
	(void)max;
	if (run.end < required.end)
		*why = MSN_MAPPABLE_E_BUS;
	if (!msn_obj_range_contains(run, required.start))
		return 0;
	out[0] = (struct msn_translation){
		.source = run,
		.file = msn_memfile_file(sh->mf),
		.offset = sh->pages.start + run.start,
		.perms = MSN_ACCESS_ANY,
	};
	return 1;
}

static const struct msn_mappable_ops shared_mappable_ops = {
	.name = "shared anonymous memory",
	.translate = shared_translate,
};

static void shared_inc_ref(struct msn_identity *id)
{
	/* Relaxed: whoever adds has a reference already. */
	atomic_fetch_add_explicit(&shared_of_id(id)->refs, 1,
				  memory_order_relaxed);
}

static void shared_dec_ref(struct msn_identity *id)
{
	struct shared *sh = shared_of_id(id);

	/* Acquire-release: the last owner sees what the others did. */
	if (atomic_fetch_sub_explicit(&sh->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_file_dec_ref(msn_memfile_file(sh->mf), sh->pages);
	free(sh->name);
	free(sh);
}

static const char *shared_name(struct msn_identity *id)
{
	return shared_of_id(id)->name;
}

/* Linux keeps such objects on an unnamed device of its own; 0:1 is usual. */
static uint64_t shared_device(struct msn_identity *id)
{
	(void)id;
	return makedev(0, 1);
}

static uint64_t shared_inode(struct msn_identity *id)
{
	return shared_of_id(id)->inode;
}

static int shared_msync(struct msn_identity *id, struct msn_obj_range r)
{
	(void)id;
	(void)r;
	return 0; /* there is nothing behind it */
}

static int shared_save(struct msn_identity *id, struct msn_identity_saved *out)
{
	struct shared *sh = shared_of_id(id);

	*out = (struct msn_identity_saved){
		.as = MSN_SAVED_AS_CONTENT,
		.file = { .dev_minor = 1,
			  .inode = sh->inode,
			  .size_bytes = msn_file_range_length(sh->pages) },
	};
	return 0;
}

static const struct msn_identity_ops shared_identity_ops = {
	.name = "shared anonymous memory",
	.inc_ref = shared_inc_ref,
	.dec_ref = shared_dec_ref,
	.mapped_name = shared_name,
	.device_id = shared_device,
	.inode_id = shared_inode,
	.msync = shared_msync,
	.save = shared_save,
};

int msn_shared_new(struct msn_memfile *mf, uint64_t size, const char *name,
		   msn_account_id account, struct msn_mappable **obj,
		   struct msn_identity **id)
{
	static atomic_uint_fast64_t next_inode = 1;
	msn_auto(msn_freep) struct shared *sh = msn_alloc(sizeof(*sh));
	msn_auto(msn_freep) char *copy =
		msn_strdup(name ? name : "/dev/zero (deleted)");
	int rc;

	if (!sh || !copy)
		return msn_fail(-ENOMEM);
	rc = msn_memfile_allocate(mf,
				  &(struct msn_memfile_alloc){
					  .length = size, .account = account },
				  &sh->pages);
	if (rc)
		return msn_pass(rc);
	sh->mappable.ops = &shared_mappable_ops;
	sh->identity.ops = &shared_identity_ops;
	atomic_init(&sh->refs, 1);
	sh->mf = mf;
	sh->inode = atomic_fetch_add(&next_inode, 1);
	sh->name = msn_steal(copy);
	*obj = &sh->mappable;
	*id = &sh->identity;
	msn_steal(sh);
	return 0;
}
