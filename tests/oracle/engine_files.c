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

static struct msn_mappable *inode_mappable(const struct engine_inode *i)
{
	return i->shmem ? msn_shmem_mappable(i->shmem)
			: msn_hostfile_mappable(i->host);
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
	o->mappable = inode_mappable(inode);
}

void engine_files_open(struct engine_files *f, struct msn_memfile *mf,
		       bool linked)
{
	files_open(&f->files, linked);
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

/* ---- After a restore ----------------------------------------------------- */

struct finding {
	const struct engine_files *f;
	struct engine_files_places *out;
};

static int note_place(void *ctx, const struct msn_mapping_view *v)
{
	struct finding *n = ctx;

	for (unsigned i = 1; v->mappable && i < FILE_COUNT; i++)
		if (n->f->open[i].identity == v->identity)
			n->out->at[i] = v->addr.start;
	return 0;
}

void engine_files_find(const struct engine_files *f, struct msn_mm *mm,
		       struct engine_files_places *out)
{
	struct finding n = { f, out };

	*out = (struct engine_files_places){ 0 };
	if (msn_mm_for_each_mapping(mm, note_place, &n))
		die("cannot look for files");
}

struct following {
	struct engine_files *f;
	const struct engine_files_places *places;
};

/* Takes over open file @file, and its inode, from the mapping @v of it. */
static void follow(struct engine_files *f, unsigned file,
		   const struct msn_mapping_view *v)
{
	struct engine_inode *inode = &f->inode[inode_of(file)];
	struct msn_shmem *shmem = msn_shmem_of(v->mappable);
	struct msn_hostfile *host = msn_hostfile_of(v->mappable);

	if (!shmem == !inode->shmem && !host == !inode->host) {
		struct msn_identity *old = inode_identity(inode);

		inode->shmem = shmem;
		inode->host = host;
		msn_identity_inc_ref(inode_identity(inode));
		msn_identity_dec_ref(old);
	} else {
		die("file %u came back as something else", file);
	}
	msn_identity_inc_ref(v->identity);
	msn_identity_dec_ref(f->open[file].identity);
	f->open[file].identity = v->identity;
	f->open[file].mappable = v->mappable;
}

static int follow_mapping(void *ctx, const struct msn_mapping_view *v)
{
	struct following *n = ctx;

	for (unsigned i = 1; i < FILE_COUNT; i++)
		if (n->places->at[i] && n->places->at[i] == v->addr.start)
			follow(n->f, i, v);
	return 0;
}

/* Opens again what the space does not map, of an inode that it does. */
static void open_others(struct engine_files *f,
			const struct engine_files_places *places)
{
	for (unsigned i = 1; i < FILE_COUNT; i++) {
		const struct engine_inode *inode = &f->inode[inode_of(i)];
		struct msn_open_file *o = &f->open[i];

		if (places->at[i] || !o->mappable)
			continue;
		msn_identity_dec_ref(o->identity);
		if (msn_open_identity_new(&o->identity, inode_identity(inode)))
			die("no memory");
		o->mappable = inode_mappable(inode);
	}
}

void engine_files_follow(struct engine_files *f, struct msn_mm *mm,
			 const struct engine_files_places *places)
{
	struct following n = { f, places };

	if (msn_mm_for_each_mapping(mm, follow_mapping, &n))
		die("cannot follow files");
	open_others(f, places);
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
