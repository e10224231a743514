/*
 * Host file: its life, and as an identity.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hostfile/hostfile_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct msn_identity_ops identity_ops;

static struct msn_hostfile *of_identity(struct msn_identity *id)
{
	msn_assert(id->ops == &identity_ops);
	return msn_container_of(id, struct msn_hostfile, identity);
}

int msn_hostfile_size(const struct msn_hostfile *hf, uint64_t *size)
{
	struct stat st;

	if (msn_fault("hostfile.stat"))
		return msn_fail(-EIO);
	if (hf->is_block)
		return ioctl(hf->fd, BLKGETSIZE64, size) < 0 ? msn_fail(-errno)
							     : 0;
	if (fstat(hf->fd, &st) < 0)
		return msn_fail(-errno);
	*size = (uint64_t)st.st_size;
	return 0;
}

uint64_t msn_hostfile_page_end(uint64_t size)
{
	uint64_t end;

	return msn_page_up(size, &end) ? end : msn_page_down(UINT64_MAX);
}

/* ---- As an identity ------------------------------------------------------ */

static void inc_ref(struct msn_identity *id)
{
	/* Relaxed: whoever adds has a reference already. */
	atomic_fetch_add_explicit(&of_identity(id)->refs, 1,
				  memory_order_relaxed);
}

bool msn_hostfile_try_ref(struct msn_hostfile *hf)
{
	unsigned refs = atomic_load_explicit(&hf->refs, memory_order_relaxed);

	/* Relaxed: the list's lock orders this with the file's end. */
	while (refs > 0)
		if (atomic_compare_exchange_weak_explicit(
			    &hf->refs, &refs, refs + 1, memory_order_relaxed,
			    memory_order_relaxed))
			return true;
	return false;
}

static void close_descriptors(struct msn_hostfile *hf)
{
	if (hf->io_fd != hf->fd)
		msn_close(hf->io_fd);
	if (hf->window_fd != hf->fd)
		msn_close(hf->window_fd);
	msn_close(hf->fd);
}

/* What was kept gets its last chance. */
static void write_kept(struct msn_hostfile *hf)
{
	int rc = msn_hostfile_kept_write(
		hf, (struct msn_file_range){ 0, UINT64_MAX });

	(void)rc; /* nobody is left who could be told */
	msn_hostfile_kept_cut(hf, 0);
}

static void dec_ref(struct msn_identity *id)
{
	struct msn_hostfile *hf = of_identity(id);

	/* Acquire-release: the last owner sees what the others did. */
	if (atomic_fetch_sub_explicit(&hf->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_hostfile_delist(hf);
	write_kept(hf);
	msn_mapping_set_free(hf->mapped);
	msn_hostfile_give_slots(hf->window_count);
	msn_windows_deinit(&hf->windows);
	msn_page_counts_deinit(&hf->counts);
	msn_rwlock_deinit(&hf->io_lock);
	msn_mutex_deinit(&hf->lock);
	msn_mutex_deinit(&hf->maps_lock);
	close_descriptors(hf);
	free(hf->path);
	free(hf);
}

static const char *mapped_name(struct msn_identity *id)
{
	return of_identity(id)->path;
}

static uint64_t device_id(struct msn_identity *id)
{
	return of_identity(id)->dev;
}

static uint64_t inode_id(struct msn_identity *id)
{
	return of_identity(id)->inode;
}

/* By path, if the path still leads here. */
static int save(struct msn_identity *id, struct msn_identity_saved *out)
{
	struct msn_hostfile *hf = of_identity(id);
	struct stat here, there;

	if (fstat(hf->fd, &here) < 0)
		return msn_fail(-errno);
	if (stat(hf->path, &there) < 0 || there.st_dev != here.st_dev ||
	    there.st_ino != here.st_ino)
		return msn_fail(-EOPNOTSUPP);
	*out = (struct msn_identity_saved){
		.as = MSN_SAVED_AS_PATH,
		.file = msn_file_identity_of(&here),
	};
	return 0;
}

static const struct msn_identity_ops identity_ops = {
	.name = "host file",
	.inc_ref = inc_ref,
	.dec_ref = dec_ref,
	.mapped_name = mapped_name,
	.device_id = device_id,
	.inode_id = inode_id,
	.msync = msn_hostfile_msync,
	.save = save,
};

/* ---- Life ---------------------------------------------------------------- */

/* The same file opened once more, or -1. */
static int open_again(int fd, int flags)
{
	char path[32];

	if (msn_fault("hostfile.reopen"))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/*
 * A descriptor that takes any read and write: O_DIRECT wants them aligned, and
 * to O_APPEND Linux appends whatever offset it is given.
 */
static int choose_io_fd(struct msn_hostfile *hf)
{
	int flags = fcntl(hf->fd, F_GETFL);
	int awkward = flags & (O_DIRECT | O_APPEND);

	hf->io_fd = hf->fd;
	if (flags < 0)
		return msn_fail(-errno);
	if (!awkward)
		return 0;
	hf->io_fd = open_again(hf->fd, hf->writable ? O_RDWR : O_RDONLY);
	if (hf->io_fd >= 0) {
		hf->direct = flags & O_DIRECT;
		return 0;
	}
	hf->io_fd = hf->fd;
	if (!hf->writable)
		awkward &= ~O_APPEND; /* and may not be taken off */
	return fcntl(hf->fd, F_SETFL, flags & ~awkward) < 0 ? msn_fail(-errno)
							    : 0;
}

/* Linux lets a writable descriptor of what only grows be mapped by nobody. */
static void choose_window_fd(struct msn_hostfile *hf)
{
	hf->window_fd = hf->fd;
	if (!hf->info.append_only)
		return;
	hf->window_fd = open_again(hf->fd, O_RDONLY);
	if (hf->window_fd >= 0)
		return;
	hf->window_fd = hf->fd;
	atomic_store(&hf->buffered, true);
}

/* What the descriptor is, and whether it can be mapped. */
static int examine(struct msn_hostfile *hf, bool buffered)
{
	struct stat st;
	int rc = msn_hostfile_examine(hf->fd, &hf->info);

	if (rc)
		return msn_pass(rc);
	if (!hf->info.readable)
		return msn_fail(-EACCES);
	if (fstat(hf->fd, &st) < 0)
		return msn_fail(-errno);
	if (hf->info.map_error && !(buffered && S_ISREG(st.st_mode)))
		return msn_fail(hf->info.map_error);
	hf->writable = hf->info.writable && !hf->info.append_only &&
		       !hf->info.write_sealed;
	hf->is_block = S_ISBLK(st.st_mode);
	hf->dev = st.st_dev;
	hf->inode = st.st_ino;
	return 0;
}

static void init(struct msn_hostfile *hf, const struct msn_hostfile_opts *opts)
{
	hf->mappable.ops = &msn_hostfile_mappable_ops;
	hf->identity.ops = &identity_ops;
	hf->file.ops = &msn_hostfile_file_ops;
	atomic_init(&hf->refs, 1);
	hf->windows_max = opts->windows_max ? opts->windows_max
					    : MSN_HOSTFILE_WINDOWS_MAX;
	msn_page_counts_init(&hf->counts, opts->accounts, MSN_ACCOUNT_MAPPED);
	msn_windows_init(&hf->windows, hf->window_fd,
			 PROT_READ | (hf->writable ? PROT_WRITE : 0));
	msn_mutex_init(&hf->maps_lock, MSN_RANK_MAPPINGS);
	msn_mutex_init(&hf->lock, MSN_RANK_FILE);
	msn_rwlock_init(&hf->io_lock, MSN_RANK_FILE);
}

int msn_hostfile_new(struct msn_hostfile **out,
		     const struct msn_hostfile_opts *opts)
{
	msn_auto(msn_closep) int fd = opts->fd;
	msn_auto(msn_freep) struct msn_hostfile *hf = msn_alloc(sizeof(*hf));
	msn_auto(msn_freep) char *path = msn_strdup(opts->path);
	int rc;

	if (!hf || !path)
		return msn_fail(-ENOMEM);
	hf->fd = fd;
	atomic_init(&hf->buffered, opts->buffered);
	rc = examine(hf, opts->buffered);
	if (rc == 0)
		rc = msn_mapping_set_new(&hf->mapped);
	if (rc)
		return msn_pass(rc);
	rc = choose_io_fd(hf);
	if (rc) {
		msn_mapping_set_free(hf->mapped);
		return msn_pass(rc);
	}
	choose_window_fd(hf);
	init(hf, opts);
	hf->path = msn_steal(path);
	msn_hostfile_enlist(hf);
	fd = -1;
	*out = msn_steal(hf);
	return 0;
}

int msn_hostfile_open(struct msn_hostfile **out, const char *path,
		      bool writable)
{
	int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC |
				    O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return msn_fail(-errno);
	return msn_pass(msn_hostfile_new(
		out, &(struct msn_hostfile_opts){ .fd = fd, .path = path }));
}

struct msn_mappable *msn_hostfile_mappable(struct msn_hostfile *hf)
{
	return &hf->mappable;
}

struct msn_identity *msn_hostfile_identity(struct msn_hostfile *hf)
{
	return &hf->identity;
}

struct msn_hostfile_info msn_hostfile_info(const struct msn_hostfile *hf)
{
	struct msn_hostfile_info info = hf->info;

	info.write_sealed |= info.writable && msn_hostfile_is_sealed(hf);
	return info;
}

bool msn_hostfile_writable(const struct msn_hostfile *hf)
{
	return hf->writable;
}

struct msn_hostfile_stats msn_hostfile_stats(struct msn_hostfile *hf)
{
	struct msn_hostfile_stats s = {
		.reads = atomic_load(&hf->did.reads),
		.read_bytes = atomic_load(&hf->did.read_bytes),
		.writes = atomic_load(&hf->did.writes),
		.write_bytes = atomic_load(&hf->did.write_bytes),
		.submissions = atomic_load(&hf->did.submissions),
		.syncs = atomic_load(&hf->did.syncs),
	};

	{
		msn_lock_scope(&hf->lock);
		s.windows = hf->window_count;
		s.mapped_bytes = hf->counts.set.core.span;
	}
	msn_read_scope(&hf->io_lock);
	s.kept_bytes = hf->kept_bytes;
	return s;
}
