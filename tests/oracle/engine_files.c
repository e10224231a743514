/*
 * Engine files: opening, and what descriptors do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/engine_files.h"

#include "mapping/open_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- /dev/zero: there is one, and it stays ------------------------------- */

static void zero_count(struct msn_identity *id)
{
	(void)id;
}

static const char *zero_name(struct msn_identity *id)
{
	(void)id;
	return "/dev/zero";
}

static uint64_t zero_number(struct msn_identity *id)
{
	(void)id;
	return 5;
}

static int zero_msync(struct msn_identity *id, struct msn_obj_range r)
{
	(void)id;
	(void)r;
	return 0;
}

static const struct msn_identity_ops zero_ops = {
	.name = "zero device",
	.inc_ref = zero_count,
	.dec_ref = zero_count,
	.mapped_name = zero_name,
	.device_id = zero_number,
	.inode_id = zero_number,
	.msync = zero_msync,
};

static struct msn_identity zero_identity = { &zero_ops };

/* ---- Opening ------------------------------------------------------------- */

/* The inode of an open file stands at its first descriptor. */
static unsigned inode_of(unsigned file)
{
	switch (file) {
	case FILE_MEM_RO:
		return FILE_MEM;
	case FILE_TMP_RO:
	case FILE_TMP_WO:
		return FILE_TMP;
	default:
		return file;
	}
}

/* An object with the bytes and the seals of a memfd. */
static void make_shmem(struct engine_files *f, unsigned file,
		       struct msn_memfile *mf)
{
	static const char prefix[] = "/memfd:";
	struct engine_inode *inode = &f->inode[file];
	char name[sizeof(f->files.name[file])];
	int fd = f->files.fd[file];
	struct file_state st;

	snprintf(name, sizeof(name), "%s",
		 f->files.name[file] + strlen(prefix));
	*strchr(name, ' ') = '\0';
	if (msn_memfd_create(
		    &inode->shmem,
		    &(struct msn_memfd_opts){ .memfile = mf,
					      .name = name,
					      .flags = MFD_ALLOW_SEALING }))
		die("no object");
	file_read_state(fd, &st);
	if (msn_shmem_pwrite(inode->shmem, st.data, st.len, 0) !=
		    (ssize_t)st.len ||
	    msn_shmem_add_seals(inode->shmem, (unsigned)fcntl(fd, F_GET_SEALS)))
		die("cannot fill an object");
}

static void make_host(struct engine_files *f, unsigned file)
{
	struct engine_inode *inode = &f->inode[file];
	int rc;

	inode->fd = f->files.fd[file];
	rc = msn_hostfile_new(
		&inode->host,
		&(struct msn_hostfile_opts){
			.fd = fcntl(inode->fd, F_DUPFD_CLOEXEC, 0),
			.path = f->files.name[file] });
	if (rc)
		die("no host file %u: %s", file, strerror(-rc));
}

static struct msn_identity *inode_identity(const struct engine_inode *i)
{
	return i->shmem ? msn_shmem_identity(i->shmem)
			: msn_hostfile_identity(i->host);
}

static void open_file(struct engine_files *f, unsigned file)
{
	const struct engine_inode *inode = &f->inode[inode_of(file)];
	int fd = f->files.fd[file], flags = fcntl(fd, F_GETFL) & O_ACCMODE;
	struct msn_open_file *o = &f->open[file];
	struct msn_hostfile_info info;

	o->readable = flags != O_WRONLY;
	o->writable = flags != O_RDONLY;
	if (msn_hostfile_examine(fd, &info) == 0)
		o->no_exec = info.no_exec;
	if (file == FILE_PIPE)
		return;
	o->zero = file == FILE_ZERO;
	if (o->zero) {
		o->identity = &zero_identity;
		return;
	}
	if (msn_open_identity_new(&o->identity, inode_identity(inode)))
		die("no memory");
	o->mappable = inode->shmem ? msn_shmem_mappable(inode->shmem)
				   : msn_hostfile_mappable(inode->host);
}

void engine_files_open(struct engine_files *f, struct msn_memfile *mf)
{
	files_open(&f->files);
	make_shmem(f, FILE_MEM, mf);
	make_shmem(f, FILE_SEALED, mf);
	make_shmem(f, FILE_SEALED_FUTURE, mf);
	make_host(f, FILE_TMP);
	for (unsigned i = 1; i < FILE_COUNT; i++)
		open_file(f, i);
}

void engine_files_close(struct engine_files *f)
{
	for (unsigned i = 1; i < FILE_COUNT; i++) {
		struct engine_inode *inode = &f->inode[i];

		msn_identity_dec_ref(f->open[i].identity);
		if (inode->shmem || inode->host)
			msn_identity_dec_ref(inode_identity(inode));
	}
	files_close(&f->files);
}

const struct msn_open_file *engine_files_get(struct engine_files *f,
					     uint64_t file)
{
	return file != FILE_NONE && file < FILE_COUNT ? &f->open[file] : NULL;
}

/* ---- Calls on a descriptor ----------------------------------------------- */

void engine_files_read_state(struct engine_files *f, unsigned file,
			     struct file_state *out)
{
	struct msn_shmem *s = f->inode[file].shmem;
	struct msn_shmem_stat st;
	ssize_t n;

	if (!s) {
		file_read_state(f->files.fd[file], out);
		return;
	}
	n = msn_shmem_pread(s, out->data, sizeof(out->data), 0);
	if (n < 0 || msn_shmem_stat(s, &st))
		die("cannot read object %u", file);
	out->len = (size_t)n;
	out->size = st.size_bytes;
	out->blocks = st.allocated_bytes / 512;
}

/* The inode that a descriptor may write, or NULL. */
static struct engine_inode *to_write(struct engine_files *f, uint64_t file)
{
	const struct msn_open_file *o = engine_files_get(f, file);

	return o && o->writable ? &f->inode[inode_of((unsigned)file)] : NULL;
}

static int64_t result(int64_t n)
{
	return n < 0 ? -errno : n;
}

int64_t engine_files_write(struct engine_files *f, uint64_t file,
			   const void *buf, size_t len, uint64_t offset)
{
	struct engine_inode *i = to_write(f, file);

	if (!i)
		return -EBADF;
	return i->shmem ? msn_shmem_pwrite(i->shmem, buf, len, (int64_t)offset)
			: result(pwrite(i->fd, buf, len, (off_t)offset));
}

int64_t engine_files_truncate(struct engine_files *f, uint64_t file,
			      uint64_t size)
{
	struct engine_inode *i = to_write(f, file);

	if (!i)
		return -EINVAL;
	return i->shmem ? msn_shmem_truncate(i->shmem, (int64_t)size)
			: msn_hostfile_truncate(i->host, size);
}

int64_t engine_files_allocate(struct engine_files *f, uint64_t file, int mode,
			      uint64_t offset, uint64_t len)
{
	struct engine_inode *i = to_write(f, file);

	if (!i)
		return -EBADF;
	if (i->shmem)
		return msn_shmem_fallocate(i->shmem, mode, (int64_t)offset,
					   (int64_t)len);
	if (len == 0)
		return -EINVAL;
	if (mode)
		return msn_mappable_punch_hole(
			msn_hostfile_mappable(i->host),
			(struct msn_obj_range){ offset, offset + len });
	return result(fallocate(i->fd, 0, (off_t)offset, (off_t)len));
}
