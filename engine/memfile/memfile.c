/*
 * Memory file: its life, its operations, its checker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "memfile/memfile_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int memfile_fd(struct msn_file *file)
{
	return msn_memfile_of(file)->fd;
}

static const struct msn_file_ops memfile_ops = {
	.name = "memory file",
	.inc_ref = msn_memfile_inc_ref,
	.dec_ref = msn_memfile_dec_ref,
	.map_internal = msn_memfile_map_internal,
	.fd = memfile_fd,
	.next_data = msn_memfile_next_data,
	.resident = msn_memfile_resident,
	.sharers = msn_memfile_sharers,
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
	mf->huge = opts->huge;
	mf->fd = memfd_create(opts->name ? opts->name : "memsnap", MFD_CLOEXEC);
	if (mf->fd < 0)
		return msn_fail(-errno);
	for (int huge = 0; huge < 2; huge++) {
		msn_windows_init(&mf->windows[huge], mf->fd,
				 PROT_READ | PROT_WRITE);
		msn_windows_advise(&mf->windows[huge],
				   huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	}
	msn_mutex_init(&mf->grow, MSN_RANK_FILE);
	msn_releaser_init(mf, opts->releaser);
	*out = msn_steal(mf);
	return 0;
}

struct msn_memfile *msn_memfile_free(struct msn_memfile *mf)
{
	if (!mf)
		return NULL;
	msn_releaser_deinit(mf);
	msn_arenas_free(mf);
	msn_windows_deinit(&mf->windows[0]);
	msn_windows_deinit(&mf->windows[1]);
	msn_mutex_deinit(&mf->grow);
	msn_close(mf->fd);
	free(mf);
	return NULL;
}

struct msn_file *msn_memfile_file(struct msn_memfile *mf)
{
	return &mf->base;
}

struct msn_account_table *msn_memfile_accounts(struct msn_memfile *mf)
{
	return mf->accounts;
}

uint64_t msn_memfile_used(struct msn_memfile *mf)
{
	unsigned count = atomic_load(&mf->arena_count);
	uint64_t used = 0;

	for (unsigned nr = 0; nr < count; nr++) {
		struct msn_arena *a = msn_arena_nr(mf, nr);

		msn_lock_scope(&a->lock);
		used += a->refs.core.span - a->releasing_bytes;
	}
	return used;
}

uint64_t msn_memfile_waste(struct msn_memfile *mf)
{
	unsigned count = atomic_load(&mf->arena_count);
	uint64_t waste = 0;

	for (unsigned nr = 0; nr < count; nr++) {
		struct msn_arena *a = msn_arena_nr(mf, nr);

		msn_lock_scope(&a->lock);
		waste += a->waste.core.span + a->releasing_bytes;
	}
	return waste;
}

const char *msn_memfile_check(struct msn_memfile *mf)
{
	unsigned count = atomic_load(&mf->arena_count);
	uint64_t end = 0;

	for (unsigned nr = 0; nr < count; nr++) {
		struct msn_arena *a = msn_arena_nr(mf, nr);
		const char *wrong;

		if (!a || a->nr != nr || a->range.start != end)
			return "the arenas do not follow one another";
		for (; end < a->range.end; end += MSN_WINDOW_BYTES)
			if (msn_arena_at(mf, end) != a)
				return "a window is not of its arena";
		wrong = msn_arena_check(a);
		if (wrong)
			return wrong;
	}
	return NULL;
}
