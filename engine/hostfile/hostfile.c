/*
 * Host file: the page cache of the host behind a mappable.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hostfile/hostfile.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/lock.h"
#include "block/window.h"
#include "mapping/mapping_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct msn_hostfile {
	struct msn_mappable mappable;
	struct msn_identity identity;
	struct msn_file file;
	atomic_uint refs;
	int fd;		      /* set once */
	bool writable;	      /* set once */
	atomic_bool buffered; /* only ever becomes true */
	char *path;	      /* set once */
	uint64_t dev, inode;  /* set once */
	struct msn_windows windows;

	struct msn_mutex maps_lock;	/* rank MSN_RANK_MAPPINGS */
	struct msn_mapping_set *mapped; /* under maps_lock */
};

static const struct msn_mappable_ops hostfile_mappable_ops;
static const struct msn_identity_ops hostfile_identity_ops;
static const struct msn_file_ops hostfile_file_ops;

static struct msn_hostfile *of_mappable(struct msn_mappable *obj)
{
	msn_assert(obj->ops == &hostfile_mappable_ops);
	return msn_container_of(obj, struct msn_hostfile, mappable);
}

static struct msn_hostfile *of_identity(struct msn_identity *id)
{
	msn_assert(id->ops == &hostfile_identity_ops);
	return msn_container_of(id, struct msn_hostfile, identity);
}

static struct msn_hostfile *of_file(struct msn_file *file)
{
	msn_assert(file->ops == &hostfile_file_ops);
	return msn_container_of(file, struct msn_hostfile, file);
}

/* ---- As a mappable ------------------------------------------------------- */

static int hostfile_add_mapping(struct msn_mappable *obj,
				struct msn_mapping_space *ms,
				struct msn_addr_range ar, uint64_t offset,
				bool writable)
{
	struct msn_hostfile *hf = of_mappable(obj);

	if (writable && !hf->writable)
		return msn_fail(-EACCES);
	msn_lock_scope(&hf->maps_lock);
	return msn_pass(msn_mapping_set_add(hf->mapped, ms, ar, offset,
					    writable, NULL, NULL));
}

static void hostfile_remove_mapping(struct msn_mappable *obj,
				    struct msn_mapping_space *ms,
				    struct msn_addr_range ar, uint64_t offset,
				    bool writable)
{
	struct msn_hostfile *hf = of_mappable(obj);

	msn_lock_scope(&hf->maps_lock);
	msn_mapping_set_remove(hf->mapped, ms, ar, offset, writable, NULL,
			       NULL);
}

static int hostfile_copy_mapping(struct msn_mappable *obj,
				 struct msn_mapping_space *ms,
				 struct msn_addr_range src,
				 struct msn_addr_range dst, uint64_t offset,
				 bool writable)
{
	(void)src;
	return hostfile_add_mapping(obj, ms, dst, offset, writable);
}

static int file_size(const struct msn_hostfile *hf, uint64_t *size)
{
	struct stat st;

	if (msn_fault("hostfile.stat"))
		return msn_fail(-EIO);
	if (fstat(hf->fd, &st) < 0)
		return msn_fail(-errno);
	*size = (uint64_t)st.st_size;
	return 0;
}

static int hostfile_translate(struct msn_mappable *obj,
			      struct msn_obj_range required,
			      struct msn_obj_range optional, unsigned access,
			      struct msn_translation *out, size_t max, int *why)
{
	struct msn_hostfile *hf = of_mappable(obj);
	struct msn_obj_range run;
	uint64_t size, end;
	int rc = file_size(hf, &size);

	(void)max;
	if (rc)
		return msn_pass(rc);
	if ((access & MSN_ACCESS_WRITE) && !hf->writable)
		return msn_fail(-EACCES);
	if (!msn_page_up(size, &end))
		end = msn_page_down(UINT64_MAX);
	run = msn_obj_range_intersect(optional,
				      (struct msn_obj_range){ 0, end });
	if (run.end < required.end)
		*why = MSN_MAPPABLE_E_BUS;
	if (!msn_obj_range_contains(run, required.start))
		return 0;
	out[0] = (struct msn_translation){
		.source = run,
		.file = &hf->file,
		.offset = run.start,
		.perms = hf->writable ? MSN_ACCESS_ANY
				      : MSN_ACCESS_READ | MSN_ACCESS_EXEC,
	};
	return 1;
}

static const struct msn_mappable_ops hostfile_mappable_ops = {
	.name = "host file",
	.add_mapping = hostfile_add_mapping,
	.remove_mapping = hostfile_remove_mapping,
	.copy_mapping = hostfile_copy_mapping,
	.translate = hostfile_translate,
};

/* ---- As a file ----------------------------------------------------------- */

static int hostfile_map_internal(struct msn_file *file, struct msn_file_range r,
				 unsigned access, struct msn_spans *out)
{
	struct msn_hostfile *hf = of_file(file);
	int rc;

	if ((access & MSN_ACCESS_WRITE) && !hf->writable)
		return msn_fail(-EACCES);
	/* Relaxed: a late look costs one more mmap that fails. */
	if (atomic_load_explicit(&hf->buffered, memory_order_relaxed))
		return MSN_FILE_E_BUFFERED;
	rc = msn_windows_map(&hf->windows, r, out);
	if (rc == -ENODEV || rc == -EACCES || rc == -EPERM) {
		atomic_store_explicit(&hf->buffered, true,
				      memory_order_relaxed);
		return MSN_FILE_E_BUFFERED;
	}
	return msn_pass(rc);
}

static int hostfile_read_at(struct msn_file *file, uint64_t offset, void *buf,
			    size_t len, size_t *done)
{
	ssize_t n =
		msn_fault("hostfile.read")
			? -EIO
			: msn_pread_full(of_file(file)->fd, buf, len, offset);
	uint64_t end;

	if (n < 0)
		return n == -EIO ? MSN_FILE_E_BUS : msn_pass((int)n);
	*done = (size_t)n;
	if (*done == len)
		return 0;
	/* The last page's bytes past the end of the file are zero. */
	if (!msn_page_up(offset + *done, &end) || end > offset + len)
		end = offset + len;
	memset((char *)buf + *done, 0, end - offset - *done);
	*done = end - offset;
	return *done == len ? 0 : MSN_FILE_E_BUS;
}

static int hostfile_write_at(struct msn_file *file, uint64_t offset,
			     const void *buf, size_t len, size_t *done)
{
	struct msn_hostfile *hf = of_file(file);
	uint64_t size = 0, last, n = len;
	int rc = file_size(hf, &size);

	if (rc)
		return msn_pass(rc);
	/* A write through a mapping never makes a file longer. */
	if (offset >= size)
		n = 0;
	else if (n > size - offset)
		n = size - offset;
	rc = n ? msn_pwrite_full(hf->fd, buf, n, offset) : 0;
	if (rc)
		return msn_pass(rc);
	/* Past the end, in the last page, it goes nowhere. */
	if (!msn_page_up(size, &last) || offset >= last)
		return MSN_FILE_E_BUS;
	*done = len < last - offset ? len : last - offset;
	return *done == len ? 0 : MSN_FILE_E_BUS;
}

static int hostfile_fd(struct msn_file *file)
{
	return of_file(file)->fd;
}

static const struct msn_file_ops hostfile_file_ops = {
	.name = "host file",
	.map_internal = hostfile_map_internal,
	.buffer_read_at = hostfile_read_at,
	.buffer_write_at = hostfile_write_at,
	.fd = hostfile_fd,
};

/* ---- As an identity ------------------------------------------------------ */

static void hostfile_id_inc_ref(struct msn_identity *id)
{
	/* Relaxed: whoever adds has a reference already. */
	atomic_fetch_add_explicit(&of_identity(id)->refs, 1,
				  memory_order_relaxed);
}

static void hostfile_id_dec_ref(struct msn_identity *id)
{
	struct msn_hostfile *hf = of_identity(id);

	/* Acquire-release: the last owner sees what the others did. */
	if (atomic_fetch_sub_explicit(&hf->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_mapping_set_free(hf->mapped);
	msn_mutex_deinit(&hf->maps_lock);
	msn_windows_deinit(&hf->windows);
	msn_close(hf->fd);
	free(hf->path);
	free(hf);
}

static const char *hostfile_name(struct msn_identity *id)
{
	return of_identity(id)->path;
}

static uint64_t hostfile_device(struct msn_identity *id)
{
	return of_identity(id)->dev;
}

static uint64_t hostfile_inode(struct msn_identity *id)
{
	return of_identity(id)->inode;
}

static int hostfile_msync(struct msn_identity *id, struct msn_obj_range r)
{
	(void)r; /* the host offers no smaller unit that is as durable */
	return fdatasync(of_identity(id)->fd) < 0 ? msn_fail(-errno) : 0;
}

/* By path, if the path still leads here. */
static int hostfile_save(struct msn_identity *id,
			 struct msn_identity_saved *out)
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

static const struct msn_identity_ops hostfile_identity_ops = {
	.name = "host file",
	.inc_ref = hostfile_id_inc_ref,
	.dec_ref = hostfile_id_dec_ref,
	.mapped_name = hostfile_name,
	.device_id = hostfile_device,
	.inode_id = hostfile_inode,
	.msync = hostfile_msync,
	.save = hostfile_save,
};

/* ---- Life ---------------------------------------------------------------- */

/* What the descriptor is, and whether it can be mapped. */
static int examine(struct msn_hostfile *hf)
{
	int flags = fcntl(hf->fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(hf->fd, &st) < 0)
		return msn_fail(-errno);
	if (flags & O_PATH)
		return msn_fail(-EBADF);
	if ((flags & O_ACCMODE) == O_WRONLY)
		return msn_fail(-EACCES);
	if (!S_ISREG(st.st_mode))
		return msn_fail(-ENODEV);
	hf->writable = (flags & O_ACCMODE) == O_RDWR;
	hf->dev = st.st_dev;
	hf->inode = st.st_ino;
	return 0;
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
	rc = examine(hf);
	if (rc == 0)
		rc = msn_mapping_set_new(&hf->mapped);
	if (rc)
		return msn_pass(rc);
	hf->mappable.ops = &hostfile_mappable_ops;
	hf->identity.ops = &hostfile_identity_ops;
	hf->file.ops = &hostfile_file_ops;
	atomic_init(&hf->refs, 1);
	atomic_init(&hf->buffered, opts->buffered);
	hf->path = msn_steal(path);
	msn_windows_init(&hf->windows, fd,
			 PROT_READ | (hf->writable ? PROT_WRITE : 0));
	msn_mutex_init(&hf->maps_lock, MSN_RANK_MAPPINGS);
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

bool msn_hostfile_writable(const struct msn_hostfile *hf)
{
	return hf->writable;
}

int msn_hostfile_truncate(struct msn_hostfile *hf, uint64_t size)
{
	struct msn_obj_range gone;
	uint64_t old;
	int rc = file_size(hf, &old);

	if (rc)
		return msn_pass(rc);
	if (!msn_page_up(size, &gone.start) || !msn_page_up(old, &gone.end))
		return msn_fail(-EFBIG);
	if (ftruncate(hf->fd, (off_t)size) < 0)
		return msn_fail(-errno);
	if (msn_obj_range_empty(gone))
		return 0;
	msn_lock_scope(&hf->maps_lock);
	msn_mapping_set_invalidate(
		hf->mapped, gone,
		(struct msn_invalidate_opts){ .invalidate_private = true });
	return 0;
}
