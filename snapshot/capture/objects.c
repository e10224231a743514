/*
 * Objects: a table of what is mapped, by device, inode and name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "capture/objects.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BUCKETS 4096

/* One thing that is mapped, as far as it was looked at. */
struct entry {
	struct entry *next;
	uint64_t dev, inode;
	char *name;
	bool found;	   /* its path finds it */
	bool zero;	   /* /dev/zero: anonymous memory by another name */
	const char *unfit; /* why it cannot be saved, or NULL */
	char *path;	   /* real path of what was found */
	struct stat st;	   /* of what was found */
	struct msn_procobj *obj; /* made when wanted; one reference is ours */
};

struct msn_objects {
	const struct msn_target *t;
	uint64_t *read_bytes;
	int root_fd; /* the process's root, or -1: ours */
	struct entry *bucket[BUCKETS];
};

/* ---- Looking at what is mapped ------------------------------------------- */

/* The link that leads to the very file, for those who may follow it. */
static void map_files_path(const struct msn_proc_map *map, char *out,
			   size_t size)
{
	snprintf(out, size, "map_files/%" PRIx64 "-%" PRIx64, map->addr.start,
		 map->addr.end);
}

/*
 * Is the file at the path the mapped one?  The link of map_files decides, for
 * whoever may follow it.  Else device and inode of maps do; file systems that
 * show another device there than stat() does (btrfs, overlayfs) use device
 * numbers without a driver, for which the inode must do.
 */
static bool same_file(const struct msn_proc_map *map, const struct stat *truth,
		      const struct stat *st)
{
	if (truth)
		return truth->st_dev == st->st_dev &&
		       truth->st_ino == st->st_ino;
	if (st->st_ino != map->inode)
		return false;
	if (major(st->st_dev) == map->dev_major &&
	    minor(st->st_dev) == map->dev_minor)
		return true;
	return major(st->st_dev) == 0 && map->dev_major == 0;
}

static bool stat_path(const struct msn_objects *o, const char *path,
		      struct stat *st)
{
	while (*path == '/')
		path++;
	if (o->root_fd >= 0)
		return fstatat(o->root_fd, path, st, 0) == 0;
	msn_auto(msn_closep) int root =
		open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fstatat(root, path, st, 0) == 0;
}

/* Tries the name as it stands, then with its newlines restored. */
static int find_by_path(const struct msn_objects *o, struct entry *e,
			const struct msn_proc_map *map,
			const struct stat *truth)
{
	msn_auto(msn_freep) char *plain = msn_proc_maps_unescape(map->name);
	const char *const names[] = { map->name, plain };

	if (!plain)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < 2; i++) {
		if (!stat_path(o, names[i], &e->st) ||
		    !same_file(map, truth, &e->st))
			continue;
		e->path = msn_strdup(names[i]);
		e->found = true;
		return e->path ? 0 : msn_fail(-ENOMEM);
	}
	/* Shown where a listing is made of it: newlines are escaped again. */
	e->path = msn_steal(plain);
	return 0;
}

static void judge(struct entry *e, const struct stat *st)
{
	if (S_ISREG(st->st_mode))
		return;
	if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 5))
		e->zero = true;
	else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		e->unfit = "is a device's memory";
	else
		e->unfit = "is not of a regular file";
}

static int look(const struct msn_objects *o, struct entry *e,
		const struct msn_proc_map *map)
{
	char link[64];
	struct stat truth;
	bool known;
	int rc;

	map_files_path(map, link, sizeof(link));
	known = fstatat(o->t->proc_fd, link, &truth, 0) == 0;
	if (*map->name != '/' || strncmp(map->name, "/dmabuf:", 8) == 0) {
		e->unfit = "is a kernel object's memory";
		return 0;
	}
	rc = find_by_path(o, e, map, known ? &truth : NULL);
	if (rc)
		return msn_pass(rc);
	if (known)
		judge(e, &truth);
	else if (e->found)
		judge(e, &e->st);
	return 0;
}

/* ---- The table ----------------------------------------------------------- */

/* By inode alone: names of one object stand in one bucket. */
static size_t hash(uint64_t inode)
{
	return (size_t)(inode * UINT64_C(0x9e3779b97f4a7c15) >> 52) % BUCKETS;
}

static struct entry *entry_free(struct entry *e)
{
	if (!e)
		return NULL;
	if (e->obj)
		msn_identity_dec_ref(msn_procobj_identity(e->obj));
	free(e->name);
	free(e->path);
	free(e);
	return NULL;
}
MSN_DEFINE_AUTO(struct entry, entry_free)

static struct entry *find(const struct msn_objects *o, uint64_t dev,
			  uint64_t inode, const char *name)
{
	struct entry *e = o->bucket[hash(inode)];

	while (e && (e->dev != dev || e->inode != inode ||
		     strcmp(e->name, name) != 0))
		e = e->next;
	return e;
}

/* The entry of @map, which is looked at the first time. */
static int get_entry(struct msn_objects *o, const struct msn_proc_map *map,
		     struct entry **out)
{
	uint64_t dev = makedev(map->dev_major, map->dev_minor);
	size_t at = hash(map->inode);
	msn_auto(entry_freep) struct entry *e = NULL;
	int rc = 0;

	*out = find(o, dev, map->inode, map->name);
	if (*out)
		return 0;
	e = msn_alloc(sizeof(*e));
	if (!e)
		return msn_fail(-ENOMEM);
	e->dev = dev;
	e->inode = map->inode;
	e->name = msn_strdup(map->name);
	if (!e->name)
		return msn_fail(-ENOMEM);
	if (map->inode || dev)
		rc = look(o, e, map);
	if (rc)
		return msn_pass(rc);
	e->next = o->bucket[at];
	*out = o->bucket[at] = msn_steal(e);
	return 0;
}

/* ---- Opening shared memory ----------------------------------------------- */

static bool is_object(const struct stat *st, const struct entry *e)
{
	return S_ISREG(st->st_mode) && st->st_ino == e->inode &&
	       st->st_dev == e->dev;
}

static int open_if_object(int dirfd, const char *name, const struct entry *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, 0) < 0 || !is_object(&st, e))
		return -1;
	return openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* A descriptor of the process that is open on the object. */
static int open_by_fd(const struct msn_objects *o, const struct entry *e)
{
	int dirfd =
		openat(o->t->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = dirfd < 0 ? NULL : fdopendir(dirfd);
	struct dirent *d;
	int fd = -1;

	if (!dir) {
		msn_close(dirfd);
		return -1;
	}
	while (fd < 0 && (d = readdir(dir)))
		fd = open_if_object(dirfd, d->d_name, e);
	closedir(dir);
	return fd;
}

static int open_object(const struct msn_objects *o, const struct entry *e,
		       const struct msn_proc_map *map)
{
	char link[64];
	int fd;

	map_files_path(map, link, sizeof(link));
	fd = open_if_object(o->t->proc_fd, link, e);
	return fd >= 0 ? fd : open_by_fd(o, e);
}

/* ---- Making process objects ---------------------------------------------- */

static int make(struct msn_objects *o, struct entry *e, enum msn_saved_as as,
		int fd)
{
	const struct msn_procobj_opts opts = {
		.as = as,
		.name = e->path ? e->path : e->name,
		.dev = e->dev,
		.inode = e->inode,
		.file = {
			.dev_major = major(e->st.st_dev),
			.dev_minor = minor(e->st.st_dev),
			.inode = e->st.st_ino,
			.size_bytes = (uint64_t)e->st.st_size,
			.mtime_ns = e->st.st_mtim.tv_sec *
					    INT64_C(1000000000) +
				    e->st.st_mtim.tv_nsec,
		},
		.memory = msn_procfile_file(o->t->pf),
		.fd = fd,
		.read_bytes = o->read_bytes,
	};

	return msn_pass(msn_procobj_new(&e->obj, &opts));
}

static int make_file(struct msn_objects *o, struct entry *e)
{
	return e->obj ? 0 : msn_pass(make(o, e, MSN_SAVED_AS_PATH, -1));
}

/* Another name of the same shared memory that has its object already. */
static struct msn_procobj *same_object(const struct msn_objects *o,
				       const struct entry *e)
{
	for (const struct entry *x = o->bucket[hash(e->inode)]; x; x = x->next)
		if (x != e && x->obj && !x->found && x->inode == e->inode &&
		    x->dev == e->dev)
			return x->obj;
	return NULL;
}

static int make_object(struct msn_objects *o, struct entry *e,
		       const struct msn_proc_map *map)
{
	struct stat st;
	int fd, rc;

	if (e->obj)
		return 0;
	e->obj = same_object(o, e);
	if (e->obj) {
		msn_identity_inc_ref(msn_procobj_identity(e->obj));
		return 0;
	}
	fd = open_object(o, e, map);
	if (fd >= 0 && fstat(fd, &st) < 0)
		fd = msn_close(fd);
	rc = make(o, e, MSN_SAVED_AS_CONTENT, fd);
	if (rc == 0 && fd >= 0) {
		uint64_t size;

		if (!msn_page_up((uint64_t)st.st_size, &size))
			size = msn_page_down((uint64_t)st.st_size);
		msn_procobj_set_size(e->obj, size);
	}
	return msn_pass(rc);
}

/* Without a descriptor, an object is as large as what is mapped of it. */
static int add_place(struct msn_objects *o, struct msn_procobj *obj,
		     const struct msn_proc_map *map)
{
	struct msn_obj_range r = { map->offset, map->offset };
	uint64_t len;
	int rc;

	if (msn_procobj_opts(obj)->fd >= 0)
		return 0;
	rc = msn_target_readable(o->t, map->addr.start,
				 msn_addr_range_length(map->addr), &len);
	if (rc)
		return msn_pass(rc);
	r.end += len;
	if (r.end > msn_procobj_size(obj))
		msn_procobj_set_size(obj, r.end);
	return msn_pass(msn_procobj_add_place(obj, r, map->addr.start));
}

/* ---- Deciding ------------------------------------------------------------ */

static int refuse(const struct msn_objects *o, const struct msn_proc_map *map,
		  const char *what, struct msn_failure *why)
{
	return msn_failure_set(why, -EOPNOTSUPP, MSN_FAILURE_PRECONDITION,
			       "process %d cannot be captured: mapping %" PRIx64
			       "-%" PRIx64 " %s %s",
			       o->t->pid, map->addr.start, map->addr.end,
			       map->name, what);
}

static int failed(const struct msn_objects *o, const struct msn_proc_map *map,
		  int rc, struct msn_failure *why)
{
	return msn_failure_errno(
		why, rc, "process %d: mapping %" PRIx64 "-%" PRIx64 " %s",
		o->t->pid, map->addr.start, map->addr.end, map->name);
}

/* The kernel's own mappings have a name in brackets and no file. */
static bool is_kernels(const struct msn_proc_map *map)
{
	static const char *const ours[] = { "[heap]", "[stack", "[anon" };

	if (*map->name != '[' || map->inode || map->dev_major || map->dev_minor)
		return false;
	for (size_t i = 0; i < MSN_ARRAY_LEN(ours); i++)
		if (strncmp(map->name, ours[i], strlen(ours[i])) == 0)
			return false;
	return true;
}

static int classify_kernel(struct msn_objects *o,
			   const struct msn_proc_map *map,
			   struct msn_mapped *out)
{
	struct entry *e;
	int rc = get_entry(o, map, &e);

	if (rc == 0 && !e->obj)
		rc = make(o, e, MSN_SAVED_AS_KERNEL, -1);
	if (rc)
		return msn_pass(rc);
	out->kind = strcmp(map->name, "[vdso]") == 0 ? MSN_MAPPED_KERNEL_CODE
						     : MSN_MAPPED_KERNEL;
	out->obj = e->obj;
	return 0;
}

static int classify_file(struct msn_objects *o, const struct msn_proc_map *map,
			 struct entry *e, struct msn_mapped *out)
{
	int rc;

	if (e->zero ||
	    (!map->shared && (map->flags & MSN_VM_HUGETLB) && !e->found)) {
		out->kind = MSN_MAPPED_ANON;
		return 0;
	}
	if (e->found) {
		rc = make_file(o, e);
		out->kind = MSN_MAPPED_FILE;
	} else if (map->shared) {
		rc = make_object(o, e, map);
		if (rc == 0)
			rc = add_place(o, e->obj, map);
		out->kind = MSN_MAPPED_OBJECT;
	} else {
		out->kind = MSN_MAPPED_ORPHAN;
		return 0;
	}
	out->obj = e->obj;
	return msn_pass(rc);
}

int msn_objects_classify(struct msn_objects *o, const struct msn_proc_map *map,
			 struct msn_mapped *out, struct msn_failure *why)
{
	struct entry *e;
	int rc;

	*out = (struct msn_mapped){ .kind = MSN_MAPPED_ANON };
	if (is_kernels(map)) {
		rc = classify_kernel(o, map, out);
		return rc ? failed(o, map, rc, why) : 0;
	}
	if (map->flags & (MSN_VM_IO | MSN_VM_PFNMAP))
		return refuse(o, map, "is a device's memory", why);
	if (!map->inode && !map->dev_major && !map->dev_minor && !map->shared)
		return 0;
	rc = get_entry(o, map, &e);
	if (rc == 0 && e->unfit)
		return refuse(o, map, e->unfit, why);
	if (rc == 0)
		rc = classify_file(o, map, e, out);
	return rc ? failed(o, map, rc, why) : 0;
}

int msn_objects_new(struct msn_objects **out, const struct msn_target *t,
		    uint64_t *read_bytes)
{
	struct msn_objects *o = msn_alloc(sizeof(*o));

	if (!o)
		return msn_fail(-ENOMEM);
	o->t = t;
	o->read_bytes = read_bytes;
	o->root_fd =
		openat(t->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	*out = o;
	return 0;
}

struct msn_objects *msn_objects_free(struct msn_objects *o)
{
	if (!o)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (o->bucket[i]) {
			struct entry *e = o->bucket[i];

			o->bucket[i] = e->next;
			entry_free(e);
		}
	}
	msn_close(o->root_fd);
	free(o);
	return NULL;
}
