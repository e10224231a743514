/*
 * Backing: the files and objects behind a clone's mappings.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each is there once, however many mappings it has; and so is each open file of
 * it, since mappings by two are not made one.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "hostfile/hostfile.h"
#include "mapping/open_identity.h"
#include "mm/exact.h"
#include "restore/restore_internal.h"
#include "shmem/shmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A host file that this clone has opened already. */
struct opened_file {
	const char *path; /* borrowed from the manifest */
	bool writable;
	struct msn_hostfile *hf;
};

/* An open file of an inode. */
struct open_file {
	struct msn_identity *inode;
	uint32_t nr;
	struct msn_identity *identity;
};

struct msn_backing {
	const struct msn_snapshot_source *source;
	const struct msn_manifest *m;
	struct msn_image *image; /* borrowed */
	struct msn_mm *mm;
	struct opened_file *files;
	size_t file_count, file_cap;
	struct msn_shmem **objects; /* parallel to m->objects; or NULL */
	void *open_files;	    /* of tsearch(): struct open_file */
};

/* ---- Host files ---------------------------------------------------------- */

/* What about the file is not as it was saved; NULL if it is the same. */
static const char *what_changed(const struct msn_manifest_mapping *v,
				const struct stat *st)
{
	struct msn_file_identity now = msn_file_identity_of(st);

	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (now.inode != v->inode)
		return "is another file now";
	if (now.size_bytes != v->file_size)
		return "has another size now";
	if (now.mtime_ns != v->file_mtime_ns)
		return "was modified";
	return NULL;
}

/*
 * Opens the file and compares it with what was saved.  0 with *@fd, or the
 * failure, set.
 */
static int open_same(const struct msn_manifest_mapping *v, bool writable,
		     int *fd, struct msn_failure *why)
{
	const char *changed;
	struct stat st;
	int rc;

	*fd = open(v->name, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC |
				    O_NOCTTY | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &st) < 0) {
		rc = -errno;
		*fd = msn_close(*fd);
		return msn_failure_set(why, rc, MSN_FAILURE_PRECONDITION,
				       "file %s, mapped at %" PRIx64
				       ", cannot be opened: %s",
				       v->name, v->start, strerror(-rc));
	}
	changed = what_changed(v, &st);
	if (changed) {
		*fd = msn_close(*fd);
		return msn_failure_set(why, -ESTALE, MSN_FAILURE_PRECONDITION,
				       "file %s, mapped at %" PRIx64
				       ", %s: it is not what was saved",
				       v->name, v->start, changed);
	}
	return 0;
}

/* Is @v a shared mapping that may ever write to its file? */
static bool writes_file(const struct msn_manifest_mapping *v)
{
	return v->kind == MSN_MAPPING_FILE && v->shared &&
	       (v->max_perms & MSN_ACCESS_WRITE);
}

/* One opening serves all mappings of a file: does any of them write to it? */
static bool is_written(const struct msn_manifest *m,
		       const struct msn_manifest_mapping *of)
{
	for (size_t i = 0; i < m->mapping_count; i++) {
		const struct msn_manifest_mapping *v = &m->mappings[i];

		if (v->inode == of->inode && writes_file(v) &&
		    strcmp(v->name, of->name) == 0)
			return true;
	}
	return false;
}

static struct msn_hostfile *find_file(const struct msn_backing *b,
				      const struct msn_manifest_mapping *v)
{
	for (size_t i = 0; i < b->file_count; i++) {
		const struct opened_file *f = &b->files[i];

		if ((f->writable || !writes_file(v)) &&
		    strcmp(f->path, v->name) == 0)
			return f->hf;
	}
	return NULL;
}

/* Opens the file of @v, for all its mappings or, failing that, for this one. */
static int open_for_all(struct msn_backing *b,
			const struct msn_manifest_mapping *v, bool *writable,
			int *fd, struct msn_failure *why)
{
	int rc;

	*writable = is_written(b->m, v);
	rc = open_same(v, *writable, fd, why);
	if (rc == 0 || !*writable || writes_file(v))
		return msn_pass(rc);
	*writable = false;
	*why = (struct msn_failure){ 0 };
	return msn_pass(open_same(v, false, fd, why));
}

static int open_file(struct msn_backing *b,
		     const struct msn_manifest_mapping *v,
		     struct msn_hostfile **out, struct msn_failure *why)
{
	struct msn_hostfile *hf = find_file(b, v);
	bool writable;
	int fd, rc;

	if (hf) {
		*out = hf;
		return 0;
	}
	rc = open_for_all(b, v, &writable, &fd, why);
	if (rc)
		return msn_pass(rc);
	rc = msn_grow((void **)&b->files, &b->file_cap, b->file_count,
		      sizeof(*b->files));
	if (rc) {
		msn_close(fd);
		return msn_pass(rc);
	}
	rc = msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					   .fd = fd,
					   .path = v->name,
					   .accounts = msn_memfile_accounts(
						   msn_mm_memfile(b->mm)) });
	if (rc)
		return msn_pass(rc);
	b->files[b->file_count++] =
		(struct opened_file){ v->name, writable, hf };
	*out = hf;
	return 0;
}

/* ---- Objects ------------------------------------------------------------- */

/* Pages of @how, with zeros in them. */
static int populate(const struct msn_manifest_object *o, struct msn_shmem *s,
		    enum msn_presence how)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < o->present.count; i++) {
		const struct msn_manifest_presence *p = &o->present.list[i];
		struct msn_obj_range r = { p->page << MSN_PAGE_SHIFT,
					   (p->page + p->count)
						   << MSN_PAGE_SHIFT };

		if (p->how == how)
			rc = msn_shmem_populate(s, r, how == MSN_PRESENT_OWN);
	}
	return msn_pass(rc);
}

/*
 * Page tables will want all pages placed: as one run, which they are not if
 * they come one by one.
 */
static int place_whole(struct msn_shmem *s, uint64_t length)
{
	struct msn_obj_range all = { 0, length };
	struct msn_translation t;
	int why, n;

	if (!length)
		return 0;
	n = msn_mappable_translate(msn_shmem_mappable(s), all, all,
				   MSN_ACCESS_NONE, &t, 1, &why);
	return n < 0 ? msn_pass(n) : 0;
}

/* Copies the bytes out of the image: shared memory cannot be cow. */
static int copy_bytes(struct msn_backing *b, const struct msn_area *a,
		      struct msn_shmem *s)
{
	struct msn_file *image = msn_image_file(b->image);
	struct msn_file_range left = { a->offset, a->offset + a->length };

	while (left.start < left.end) {
		struct msn_file_range data;
		struct msn_spans spans;
		int rc = msn_file_next_data(image, left, &data);

		if (rc == MSN_FILE_E_NO_DATA)
			return 0;
		if (rc == 0)
			rc = msn_file_map_internal(image, data, MSN_ACCESS_READ,
						   &spans);
		if (rc == 0)
			rc = msn_shmem_put(s, spans.span[0].data,
					   spans.span[0].len,
					   data.start - a->offset);
		if (rc)
			return rc > 0 ? msn_fail(-ENOMEM) : msn_pass(rc);
		left.start = data.start + spans.span[0].len;
	}
	return 0;
}

static int fill_object(struct msn_backing *b, size_t index, struct msn_shmem *s)
{
	const struct msn_manifest_object *o = &b->m->objects[index];
	const struct msn_image_layout *l = &b->source->layout;
	const struct msn_area *a = &l->areas[l->of_object[index]];
	int rc = populate(o, s, MSN_PRESENT_RESERVED);

	if (rc == 0 && msn_mm_has_page_tables(b->mm))
		rc = place_whole(s, a->length);
	if (rc == 0)
		rc = populate(o, s, MSN_PRESENT_OWN);
	return rc ? msn_pass(rc) : msn_pass(copy_bytes(b, a, s));
}

/* The object of @v, made with the first mapping that has it. */
static int make_object(struct msn_backing *b,
		       const struct msn_manifest_mapping *v,
		       struct msn_shmem **out)
{
	const struct msn_manifest_object *o = &b->m->objects[v->object];
	const struct msn_shmem_was was = { o->mode, o->seals };
	const struct msn_shmem_opts opts = {
		.memfile = msn_mm_memfile(b->mm),
		.size = o->size_bytes,
		.name = o->exact ? o->name : v->name,
		.was = o->exact ? &was : NULL,
		.account = msn_mm_account(b->mm),
	};
	int rc = 0;

	if (!b->objects[v->object]) {
		rc = msn_shmem_new(&b->objects[v->object], &opts);
		if (rc == 0)
			rc = fill_object(b, v->object, b->objects[v->object]);
	}
	*out = b->objects[v->object];
	return msn_pass(rc);
}

/* ---- Open files ---------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct open_file *x = a, *y = b;
	uintptr_t l = (uintptr_t)x->inode, r = (uintptr_t)y->inode;

	if (l != r)
		return (l > r) - (l < r);
	return (x->nr > y->nr) - (x->nr < y->nr);
}

static void free_open_file(void *node)
{
	struct open_file *f = node;

	msn_identity_dec_ref(f->identity);
	free(f);
}

/* The identity of open file @nr of @inode, made with its first mapping. */
static int identity_of(struct msn_backing *b, struct msn_identity *inode,
		       uint32_t nr, struct msn_identity **out)
{
	struct open_file look = { .inode = inode, .nr = nr }, *made;
	struct open_file **found = tfind(&look, &b->open_files, compare);
	int rc;

	if (found) {
		*out = (*found)->identity;
		return 0;
	}
	made = msn_alloc(sizeof(*made));
	if (!made)
		return msn_fail(-ENOMEM);
	*made = look;
	rc = msn_open_identity_new(&made->identity, inode);
	if (rc == 0 && !tsearch(made, &b->open_files, compare))
		rc = msn_fail(-ENOMEM);
	if (rc) {
		free_open_file(made);
		return msn_pass(rc);
	}
	*out = made->identity;
	return 0;
}

/* ---- The whole ----------------------------------------------------------- */

int msn_backing_new(struct msn_backing **out,
		    const struct msn_snapshot_source *source,
		    struct msn_image *image, struct msn_mm *mm)
{
	msn_auto(msn_backing_freep) struct msn_backing *b =
		msn_alloc(sizeof(*b));

	if (!b)
		return msn_fail(-ENOMEM);
	b->source = source;
	b->m = source->m;
	b->image = image;
	b->mm = mm;
	b->objects = msn_alloc_array(b->m->object_count, sizeof(*b->objects));
	if (!b->objects)
		return msn_fail(-ENOMEM);
	*out = msn_steal(b);
	return 0;
}

struct msn_backing *msn_backing_free(struct msn_backing *b)
{
	if (!b)
		return NULL;
	tdestroy(b->open_files, free_open_file);
	for (size_t i = 0; i < b->file_count; i++)
		msn_identity_dec_ref(msn_hostfile_identity(b->files[i].hf));
	for (size_t i = 0; b->objects && i < b->m->object_count; i++)
		if (b->objects[i])
			msn_identity_dec_ref(msn_shmem_identity(b->objects[i]));
	free(b->files);
	free(b->objects);
	free(b);
	return NULL;
}

int msn_backing_set(struct msn_backing *b, size_t index,
		    struct msn_mmap_opts *opts, struct msn_failure *why)
{
	const struct msn_manifest_mapping *v = &b->m->mappings[index];
	struct msn_identity *inode;
	struct msn_hostfile *hf = NULL;
	struct msn_shmem *s = NULL;
	int rc;

	if (v->kind == MSN_MAPPING_FILE) {
		rc = open_file(b, v, &hf, why);
		if (rc)
			return msn_pass(rc);
		opts->mappable = msn_hostfile_mappable(hf);
		inode = msn_hostfile_identity(hf);
	} else {
		rc = make_object(b, v, &s);
		if (rc)
			return msn_pass(rc);
		opts->mappable = msn_shmem_mappable(s);
		inode = msn_shmem_identity(s);
		/* Shared anonymous memory can have a name for a part of it. */
		if (strcmp(v->name, msn_identity_mapped_name(inode)) != 0)
			opts->name = v->name;
	}
	opts->offset = v->offset;
	return msn_pass(
		identity_of(b, inode, v->opened, &opts->mapping_identity));
}
