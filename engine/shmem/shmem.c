/*
 * Shared memory object: its life, and its faces as a mappable and an identity.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "shmem/shmem_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "shmem/seals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static const struct msn_mappable_ops shmem_mappable_ops;
static const struct msn_identity_ops shmem_identity_ops;

static struct msn_shmem *shmem_of(struct msn_mappable *obj)
{
	msn_assert(obj->ops == &shmem_mappable_ops);
	return msn_container_of(obj, struct msn_shmem, mappable);
}

static struct msn_shmem *shmem_of_id(struct msn_identity *id)
{
	msn_assert(id->ops == &shmem_identity_ops);
	return msn_container_of(id, struct msn_shmem, identity);
}

/* ---- As a mappable ------------------------------------------------------- */

static int shmem_add_mapping(struct msn_mappable *obj,
			     struct msn_mapping_space *ms,
			     struct msn_addr_range ar, uint64_t offset,
			     bool writable)
{
	struct msn_shmem *s = shmem_of(obj);
	int rc;

	msn_lock_scope(&s->maps_lock);
	if (writable && (s->seals & F_SEAL_WRITE))
		return msn_fail(-EPERM);
	rc = msn_mapping_set_add(s->mapped, ms, ar, offset, writable, NULL,
				 NULL);
	if (rc == 0 && writable)
		s->writable_bytes += msn_addr_range_length(ar);
	return msn_pass(rc);
}

static void shmem_remove_mapping(struct msn_mappable *obj,
				 struct msn_mapping_space *ms,
				 struct msn_addr_range ar, uint64_t offset,
				 bool writable)
{
	struct msn_shmem *s = shmem_of(obj);

	msn_lock_scope(&s->maps_lock);
	msn_mapping_set_remove(s->mapped, ms, ar, offset, writable, NULL, NULL);
	if (!writable)
		return;
	msn_assert(s->writable_bytes >= msn_addr_range_length(ar));
	s->writable_bytes -= msn_addr_range_length(ar);
}

static int shmem_copy_mapping(struct msn_mappable *obj,
			      struct msn_mapping_space *ms,
			      struct msn_addr_range src,
			      struct msn_addr_range dst, uint64_t offset,
			      bool writable)
{
	(void)src;
	return msn_pass(shmem_add_mapping(obj, ms, dst, offset, writable));
}

/*
 * Translates with the data lock held.  Before: nothing is missing.  Returns the
 * count.
 */
static int translate_locked(struct msn_shmem *s, struct msn_obj_range required,
			    struct msn_obj_range optional, bool touched,
			    struct msn_translation *out, size_t max, int *why)
{
	struct msn_obj_range all = { 0, msn_shmem_page_end(s->size) };
	struct msn_obj_range want = msn_obj_range_intersect(required, all);

	if (want.end < required.end || msn_obj_range_empty(want))
		*why = MSN_MAPPABLE_E_BUS;
	if (msn_obj_range_empty(want))
		return 0;
	return msn_shmem_pages_translate(&s->pages, want,
					 msn_obj_range_intersect(optional, all),
					 touched, out, max);
}

/* The part of @required that exists and is not filled yet? */
static bool is_missing(const struct msn_shmem *s, struct msn_obj_range required,
		       bool touched, struct msn_obj_range *missing)
{
	struct msn_obj_range all = { 0, msn_shmem_page_end(s->size) };

	*missing = msn_obj_range_intersect(required, all);
	return !msn_obj_range_empty(*missing) &&
	       !msn_shmem_pages_filled(&s->pages, *missing, touched);
}

static int shmem_translate(struct msn_mappable *obj,
			   struct msn_obj_range required,
			   struct msn_obj_range optional, unsigned access,
			   struct msn_translation *out, size_t max, int *why)
{
	struct msn_shmem *s = shmem_of(obj);
	bool touched = access != MSN_ACCESS_NONE;
	struct msn_obj_range missing;
	int rc;

	{
		msn_read_scope(&s->data_lock);
		if (!is_missing(s, required, touched, &missing))
			return translate_locked(s, required, optional, touched,
						out, max, why);
	}
	msn_write_scope(&s->data_lock);
	if (is_missing(s, required, touched, &missing)) {
		rc = msn_shmem_pages_fill(&s->pages, missing, touched);
		if (rc)
			return msn_pass(rc);
	}
	return translate_locked(s, required, optional, touched, out, max, why);
}

static int shmem_punch_hole(struct msn_mappable *obj, struct msn_obj_range r)
{
	return msn_pass(msn_shmem_punch(shmem_of(obj), r));
}

static int shmem_check_mmap(struct msn_mappable *obj, bool shared,
			    unsigned perms, unsigned *max_perms)
{
	struct msn_shmem *s = shmem_of(obj);

	msn_read_scope(&s->data_lock);
	if (!shared || !(s->seals & MSN_SHMEM_SEALS_WRITE))
		return 0;
	if (perms & MSN_ACCESS_WRITE)
		return msn_fail(-EPERM);
	*max_perms &= ~(unsigned)MSN_ACCESS_WRITE;
	return 0;
}

static int shmem_next_data(struct msn_mappable *obj, struct msn_obj_range r,
			   struct msn_obj_range *out)
{
	struct msn_shmem *s = shmem_of(obj);

	msn_read_scope(&s->data_lock);
	return msn_pass(msn_shmem_pages_next(&s->pages, r,
					     MSN_SHMEM_FIND_NONZERO, out));
}

static int shmem_resident(struct msn_mappable *obj, struct msn_obj_range r,
			  uint8_t *vec)
{
	struct msn_shmem *s = shmem_of(obj);
	uint64_t start = r.start;
	struct msn_obj_range found;

	memset(vec, 0, msn_obj_range_length(r) >> MSN_PAGE_SHIFT);
	msn_read_scope(&s->data_lock);
	while (r.start < r.end) {
		int rc = msn_shmem_pages_next(&s->pages, r,
					      MSN_SHMEM_FIND_RESIDENT, &found);

		if (rc == MSN_MAPPABLE_E_NO_DATA)
			break;
		if (rc)
			return msn_pass(rc);
		memset(vec + ((found.start - start) >> MSN_PAGE_SHIFT), 1,
		       msn_obj_range_length(found) >> MSN_PAGE_SHIFT);
		r.start = found.end;
	}
	return 0;
}

static int shmem_next_allocated(struct msn_mappable *obj,
				struct msn_obj_range r,
				struct msn_obj_range *out, bool *written)
{
	struct msn_shmem *s = shmem_of(obj);

	msn_read_scope(&s->data_lock);
	return msn_pass(
		msn_shmem_pages_next_allocated(&s->pages, r, out, written));
}

static const struct msn_mappable_ops shmem_mappable_ops = {
	.name = "shared memory",
	.add_mapping = shmem_add_mapping,
	.remove_mapping = shmem_remove_mapping,
	.copy_mapping = shmem_copy_mapping,
	.translate = shmem_translate,
	.punch_hole = shmem_punch_hole,
	.check_mmap = shmem_check_mmap,
	.next_data = shmem_next_data,
	.resident = shmem_resident,
	.next_allocated = shmem_next_allocated,
};

/* ---- As an identity ------------------------------------------------------ */

static void shmem_inc_ref(struct msn_identity *id)
{
	/* Relaxed: whoever adds has a reference already. */
	atomic_fetch_add_explicit(&shmem_of_id(id)->refs, 1,
				  memory_order_relaxed);
}

static void shmem_dec_ref(struct msn_identity *id)
{
	struct msn_shmem *s = shmem_of_id(id);

	/* Acquire-release: the last owner sees what the others did. */
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_shmem_pages_deinit(&s->pages);
	msn_mapping_set_free(s->mapped);
	msn_rwlock_deinit(&s->data_lock);
	msn_mutex_deinit(&s->maps_lock);
	free(s->name);
	free(s);
}

static const char *shmem_name(struct msn_identity *id)
{
	return shmem_of_id(id)->name;
}

/* Linux keeps such objects on an unnamed device of its own; 0:1 is usual. */
static uint64_t shmem_device(struct msn_identity *id)
{
	(void)id;
	return makedev(0, 1);
}

static uint64_t shmem_inode(struct msn_identity *id)
{
	return shmem_of_id(id)->inode;
}

static int shmem_msync(struct msn_identity *id, struct msn_obj_range r)
{
	(void)id;
	(void)r;
	return 0; /* there is nothing behind it */
}

static int shmem_save(struct msn_identity *id, struct msn_identity_saved *out)
{
	struct msn_shmem *s = shmem_of_id(id);

	msn_read_scope(&s->data_lock);
	*out = (struct msn_identity_saved){
		.as = MSN_SAVED_AS_CONTENT,
		.file = { .dev_minor = 1,
			  .inode = s->inode,
			  .size_bytes = s->size },
		.mode = s->mode,
		.seals = s->seals,
	};
	return 0;
}

static const struct msn_identity_ops shmem_identity_ops = {
	.name = "shared memory",
	.inc_ref = shmem_inc_ref,
	.dec_ref = shmem_dec_ref,
	.mapped_name = shmem_name,
	.device_id = shmem_device,
	.inode_id = shmem_inode,
	.msync = shmem_msync,
	.save = shmem_save,
};

/* ---- Life ---------------------------------------------------------------- */

/* Owns @name, also on failure. */
static int make(struct msn_shmem **out, struct msn_memfile *mf, char *name,
		msn_account_id account)
{
	static atomic_uint_fast64_t next_inode = 1;
	msn_auto(msn_freep) char *owned = name;
	msn_auto(msn_freep) struct msn_shmem *s = msn_alloc(sizeof(*s));
	int rc;

	if (!owned || !s)
		return msn_fail(-ENOMEM);
	rc = msn_mapping_set_new(&s->mapped);
	if (rc)
		return msn_pass(rc);
	s->mappable.ops = &shmem_mappable_ops;
	s->identity.ops = &shmem_identity_ops;
	atomic_init(&s->refs, 1);
	s->inode = atomic_fetch_add(&next_inode, 1);
	s->name = msn_steal(owned);
	msn_mutex_init(&s->maps_lock, MSN_RANK_MAPPINGS);
	msn_rwlock_init(&s->data_lock, MSN_RANK_MAPPABLE_DATA);
	msn_shmem_pages_init(&s->pages, mf, account);
	s->mode = 0777;
	s->seals = F_SEAL_SEAL;
	*out = msn_steal(s);
	return 0;
}

int msn_shmem_new(struct msn_shmem **out, const struct msn_shmem_opts *opts)
{
	struct msn_shmem *s;
	int rc;

	if (opts->size > INT64_MAX)
		return msn_fail(-EINVAL);
	rc = make(&s, opts->memfile,
		  msn_strdup(opts->name ? opts->name : "/dev/zero (deleted)"),
		  opts->account);
	if (rc)
		return msn_pass(rc);
	s->size = opts->size;
	if (opts->was) {
		s->mode = opts->was->mode;
		s->seals = opts->was->seals;
	}
	*out = s;
	return 0;
}

int msn_memfd_create(struct msn_shmem **out, const struct msn_memfd_opts *opts)
{
	struct msn_shmem *s;
	int rc;

	if (opts->flags & ~(unsigned)(MFD_CLOEXEC | MFD_ALLOW_SEALING |
				      MFD_NOEXEC_SEAL | MFD_EXEC))
		return msn_fail(-EINVAL);
	if ((opts->flags & MFD_EXEC) && (opts->flags & MFD_NOEXEC_SEAL))
		return msn_fail(-EINVAL);
	if (strnlen(opts->name, MSN_MEMFD_NAME_MAX + 1) > MSN_MEMFD_NAME_MAX)
		return msn_fail(-EINVAL);
	rc = make(&s, opts->memfile,
		  msn_format("/memfd:%s (deleted)", opts->name), opts->account);
	if (rc)
		return msn_pass(rc);
	if (opts->flags & MFD_NOEXEC_SEAL) {
		s->mode = 0666;
		s->seals = F_SEAL_EXEC;
	} else if (opts->flags & MFD_ALLOW_SEALING) {
		s->seals = 0;
	}
	*out = s;
	return 0;
}

struct msn_mappable *msn_shmem_mappable(struct msn_shmem *s)
{
	return &s->mappable;
}

struct msn_identity *msn_shmem_identity(struct msn_shmem *s)
{
	return &s->identity;
}

void msn_shmem_set_mapped(struct msn_shmem *s, struct msn_mmap_opts *opts)
{
	opts->mappable = &s->mappable;
	opts->mapping_identity = &s->identity;
}

struct msn_shmem *msn_shmem_of(struct msn_mappable *obj)
{
	return obj->ops == &shmem_mappable_ops ? shmem_of(obj) : NULL;
}

static void count_place(void *ctx, struct msn_obj_range r,
			const struct msn_mapping_of_range *place)
{
	(void)r;
	(void)place;
	++*(uint64_t *)ctx;
}

uint64_t msn_shmem_place_count(struct msn_shmem *s)
{
	struct msn_obj_range all = { 0, msn_page_down(UINT64_MAX) };
	uint64_t count = 0;

	msn_lock_scope(&s->maps_lock);
	msn_mapping_set_for_each(s->mapped, all, count_place, &count);
	return count;
}

const char *msn_shmem_check(struct msn_shmem *s)
{
	const char *wrong;

	msn_lock_scope(&s->maps_lock);
	msn_read_scope(&s->data_lock);
	wrong = msn_mapping_set_check(s->mapped);
	if (!wrong)
		wrong = msn_shmem_pages_check(&s->pages);
	if (!wrong && s->size > INT64_MAX)
		wrong = "an object is larger than a file can be";
	return wrong;
}
