/*
 * Memory file: its life, and the choice of a range.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "memfile/memfile_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* tmpfs takes any offset below this one; the rest of off_t is left alone. */
#define MEMFILE_MAX (UINT64_C(1) << 56)

static int memfile_map_internal(struct msn_file *file, struct msn_file_range r,
				unsigned access, struct msn_spans *out)
{
	struct msn_memfile *mf = msn_memfile_of(file);

	(void)access; /* windows allow reading and writing */
	return msn_pass(msn_windows_map(&mf->windows, r, out));
}

static int memfile_fd(struct msn_file *file)
{
	return msn_memfile_of(file)->fd;
}

static int memfile_next_data(struct msn_file *file, struct msn_file_range r,
			     struct msn_file_range *out)
{
	int fd = msn_memfile_of(file)->fd;
	off_t start = lseek(fd, (off_t)r.start, SEEK_DATA);
	off_t end;

	if (start < 0)
		return errno == ENXIO ? MSN_FILE_E_NO_DATA : msn_fail(-errno);
	if ((uint64_t)start >= r.end)
		return MSN_FILE_E_NO_DATA;
	end = lseek(fd, start, SEEK_HOLE);
	if (end < 0)
		return msn_fail(-errno);
	*out = msn_file_range_intersect(
		r, (struct msn_file_range){ (uint64_t)start, (uint64_t)end });
	return 0;
}

static const struct msn_file_ops memfile_ops = {
	.name = "memory file",
	.inc_ref = msn_memfile_inc_ref,
	.dec_ref = msn_memfile_dec_ref,
	.map_internal = memfile_map_internal,
	.fd = memfile_fd,
	.next_data = memfile_next_data,
};

struct msn_memfile *msn_memfile_of(struct msn_file *file)
{
	msn_assert(file->ops == &memfile_ops);
	return msn_container_of(file, struct msn_memfile, base);
}

int msn_memfile_new(struct msn_memfile **out,
		    const struct msn_memfile_opts *opts)
{
	msn_auto(msn_freep) struct msn_memfile *mf = msn_alloc(sizeof(*mf));

	if (!mf)
		return msn_fail(-ENOMEM);
	if (msn_fault("memfile.create"))
		return msn_fail(-EMFILE);
	mf->base.ops = &memfile_ops;
	mf->accounts = opts->accounts;
	mf->fd = memfd_create(opts->name ? opts->name : "memsnap", MFD_CLOEXEC);
	if (mf->fd < 0)
		return msn_fail(-errno);
	msn_windows_init(&mf->windows, mf->fd, PROT_READ | PROT_WRITE);
	msn_mutex_init(&mf->lock, MSN_RANK_FILE);
	msn_refs_set_init(&mf->refs, &msn_page_refs_ops);
	*out = msn_steal(mf);
	return 0;
}

struct msn_memfile *msn_memfile_free(struct msn_memfile *mf)
{
	if (!mf)
		return NULL;
	msn_assert(mf->refs.core.count == 0);
	msn_windows_deinit(&mf->windows);
	msn_refs_set_deinit(&mf->refs);
	msn_mutex_deinit(&mf->lock);
	msn_close(mf->fd);
	free(mf);
	return NULL;
}

struct msn_file *msn_memfile_file(struct msn_memfile *mf)
{
	return &mf->base;
}

/* Makes the file at least @length longer, in whole windows. */
static int memfile_grow(struct msn_memfile *mf, uint64_t length)
{
	uint64_t more =
		(length + MSN_WINDOW_BYTES - 1) & ~(MSN_WINDOW_BYTES - 1);

	if (length > MEMFILE_MAX || more > MEMFILE_MAX - mf->size_bytes)
		return msn_fail(-ENOMEM);
	if (msn_fault("memfile.grow"))
		return msn_fail(-ENOMEM);
	if (ftruncate(mf->fd, (off_t)(mf->size_bytes + more)) < 0)
		return msn_fail(-errno);
	mf->size_bytes += more;
	return 0;
}

static bool memfile_find_gap(struct msn_memfile *mf,
			     const struct msn_memfile_alloc *opts,
			     uint64_t *start)
{
	struct msn_seg_range all = { 0, mf->size_bytes };

	return opts->direction == MSN_TOP_DOWN
		       ? msn_segset_last_gap(&mf->refs.core, all, opts->length,
					     1, start)
		       : msn_segset_first_gap(&mf->refs.core, all, opts->length,
					      1, start);
}

int msn_memfile_allocate(struct msn_memfile *mf,
			 const struct msn_memfile_alloc *opts,
			 struct msn_file_range *out)
{
	struct msn_page_refs one = { 1, opts->account };
	struct msn_file_range r;
	int rc;

	msn_assert(opts->length > 0 && msn_page_aligned(opts->length));
	if (mf->accounts) {
		rc = msn_account_prepare(mf->accounts, opts->account);
		if (rc)
			return msn_pass(rc);
	}
	msn_lock_scope(&mf->lock);
	while (!memfile_find_gap(mf, opts, &r.start)) {
		rc = memfile_grow(mf, opts->length);
		if (rc)
			return msn_pass(rc);
	}
	r.end = r.start + opts->length;
	rc = msn_refs_set_insert(&mf->refs, r, &one, NULL);
	if (rc)
		return msn_pass(rc);
	mf->used_bytes += opts->length;
	if (mf->accounts)
		msn_account_charge(mf->accounts, opts->account,
				   MSN_ACCOUNT_ANONYMOUS, opts->length);
	*out = r;
	return 0;
}

uint64_t msn_memfile_used(struct msn_memfile *mf)
{
	msn_lock_scope(&mf->lock);
	return mf->used_bytes;
}

const char *msn_memfile_check(struct msn_memfile *mf)
{
	const char *wrong;
	uint64_t used = 0;

	msn_lock_scope(&mf->lock);
	wrong = msn_segset_check(&mf->refs.core);
	if (wrong)
		return wrong;
	for (struct msn_seg s = msn_refs_set_first(&mf->refs); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		struct msn_file_range r = msn_refs_set_range(s);

		if (!msn_file_range_page_aligned(r))
			return "a referenced range is not page aligned";
		if (r.end > mf->size_bytes)
			return "a referenced range lies past the file's end";
		if (msn_refs_set_value(&mf->refs, s)->refs > 0)
			used += msn_file_range_length(r);
	}
	return used == mf->used_bytes ? NULL : "used bytes do not add up";
}
