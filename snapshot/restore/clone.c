/*
 * Cloning: mappings, and placements that point into the image.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "hostfile/hostfile.h"
#include "restore/restore_internal.h"
#include "shmem/shmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A host file that this clone has opened already. */
struct opened_file {
	const char *path; /* borrowed from the manifest */
	bool writable;
	struct msn_hostfile *hf;
};

/* One clone under way. */
struct cloner {
	struct msn_opened *o;
	const struct msn_manifest *m;
	struct msn_mm *mm;
	const struct msn_clone_opts *opts;
	struct msn_failure *why;

	struct opened_file *files;
	size_t file_count, file_cap;
	struct msn_mappable **objects; /* parallel to m->objects */
	struct msn_identity **object_ids;
	struct msn_run_list runs; /* of one mapping */
	struct msn_exacter *exact;
};

static void base_opts(const struct msn_manifest_mapping *v,
		      struct msn_mmap_opts *o)
{
	*o = (struct msn_mmap_opts){
		.length = v->end - v->start,
		.addr = v->start,
		.fixed = true,
		.unmap = true, /* the space is empty; allows force */
		.force = true, /* a saved address may be outside the layout */
		.perms = v->perms,
		.max_perms = v->max_perms,
		.private = !v->shared,
		.grows_down = v->grows_down,
		.stack = v->stack,
		.mlock_mode = (enum msn_mlock_mode)v->mlock_mode,
		.name_mut = (enum msn_name_mut)v->name_mut,
	};
}

static int blame(struct cloner *c, const struct msn_manifest_mapping *v, int rc)
{
	return msn_failure_errno(c->why, rc,
				 "mapping %" PRIx64 "-%" PRIx64
				 " %s cannot be restored",
				 v->start, v->end, v->name);
}

/* Maps private memory, with the pages of it that the image has. */
static int map_private(struct cloner *c, size_t index,
		       const struct msn_mmap_opts *o)
{
	int rc;

	if (msn_exacter_knows(c->exact, index))
		return msn_pass(msn_exacter_map(c->exact, index, o));
	rc = msn_area_runs(c->o->source, c->o->image, index, &c->runs);
	if (rc)
		return msn_pass(rc);
	return msn_pass(
		msn_mm_mmap_placed(c->mm, o, c->runs.list, c->runs.count));
}

static int clone_anon(struct cloner *c, size_t index)
{
	const struct msn_manifest_mapping *v = &c->m->mappings[index];
	struct msn_mmap_opts o;
	int rc;

	base_opts(v, &o);
	o.name = *v->name ? v->name : NULL;
	rc = map_private(c, index, &o);
	return rc ? blame(c, v, rc) : 0;
}

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
static int open_same(struct cloner *c, const struct msn_manifest_mapping *v,
		     bool writable, int *fd)
{
	const char *changed;
	struct stat st;
	int rc;

	*fd = open(v->name, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC |
				    O_NOCTTY | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &st) < 0) {
		rc = -errno;
		*fd = msn_close(*fd);
		return msn_failure_set(c->why, rc, MSN_FAILURE_PRECONDITION,
				       "file %s, mapped at %" PRIx64
				       ", cannot be opened: %s",
				       v->name, v->start, strerror(-rc));
	}
	changed = what_changed(v, &st);
	if (changed) {
		*fd = msn_close(*fd);
		return msn_failure_set(c->why, -ESTALE,
				       MSN_FAILURE_PRECONDITION,
				       "file %s, mapped at %" PRIx64
				       ", %s: it is not what was saved",
				       v->name, v->start, changed);
	}
	return 0;
}

static struct msn_hostfile *find_file(const struct cloner *c, const char *path,
				      bool writable)
{
	for (size_t i = 0; i < c->file_count; i++)
		if (c->files[i].writable == writable &&
		    strcmp(c->files[i].path, path) == 0)
			return c->files[i].hf;
	return NULL;
}

static int open_file(struct cloner *c, const struct msn_manifest_mapping *v,
		     struct msn_hostfile **out)
{
	bool writable = v->shared && (v->max_perms & MSN_ACCESS_WRITE);
	struct msn_hostfile *hf = find_file(c, v->name, writable);
	int fd, rc;

	if (hf) {
		*out = hf;
		return 0;
	}
	rc = open_same(c, v, writable, &fd);
	if (rc)
		return msn_pass(rc);
	rc = msn_grow((void **)&c->files, &c->file_cap, c->file_count,
		      sizeof(*c->files));
	if (rc) {
		msn_close(fd);
		return blame(c, v, rc);
	}
	rc = msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					   .fd = fd,
					   .path = v->name,
					   .accounts = msn_memfile_accounts(
						   msn_mm_memfile(c->mm)) });
	if (rc)
		return blame(c, v, rc);
	c->files[c->file_count++] =
		(struct opened_file){ v->name, writable, hf };
	*out = hf;
	return 0;
}

/* Maps an object or a file, with the private pages that are over it. */
static int map_object(struct cloner *c, size_t index,
		      const struct msn_mmap_opts *o)
{
	uint64_t addr;

	if (o->private)
		return msn_pass(map_private(c, index, o));
	if (msn_exacter_knows(c->exact, index))
		return msn_pass(msn_exacter_map(c->exact, index, o));
	return msn_pass(msn_mm_mmap(c->mm, o, &addr));
}

static int clone_file(struct cloner *c, size_t index)
{
	const struct msn_manifest_mapping *v = &c->m->mappings[index];
	struct msn_hostfile *hf = NULL;
	struct msn_mmap_opts o;
	int rc = open_file(c, v, &hf);

	if (rc && c->opts->files == MSN_FILE_POLICY_SKIP &&
	    c->why->kind == MSN_FAILURE_PRECONDITION) {
		c->why->kind = MSN_FAILURE_NONE;
		return 0;
	}
	if (rc)
		return msn_pass(rc);
	base_opts(v, &o);
	o.mapping_identity = msn_hostfile_identity(hf);
	o.mappable = msn_hostfile_mappable(hf);
	o.offset = v->offset;
	rc = map_object(c, index, &o);
	return rc ? blame(c, v, rc) : 0;
}

/* Copies an object's pages out of the image: shared memory cannot be cow. */
static int fill_object(struct cloner *c, size_t index)
{
	const struct msn_area *a =
		&c->o->source->layout
			 .areas[c->o->source->layout.of_object[index]];
	struct msn_file *image = msn_image_file(c->o->image);
	struct msn_file_range left = { a->offset, a->offset + a->length };
	struct msn_translation t;
	int why, rc;

	if (!a->length)
		return 0;
	/* One run for all of it; the pages that are written take memory. */
	rc = msn_mappable_translate(c->objects[index],
				    (struct msn_obj_range){ 0, a->length },
				    (struct msn_obj_range){ 0, a->length },
				    MSN_ACCESS_NONE, &t, 1, &why);
	if (rc < 0)
		return msn_pass(rc);
	while (left.start < left.end) {
		struct msn_file_range data;
		struct msn_spans spans;
		size_t done;

		rc = msn_file_next_data(image, left, &data);
		if (rc == MSN_FILE_E_NO_DATA)
			return 0;
		if (rc == 0)
			rc = msn_file_map_internal(image, data, MSN_ACCESS_READ,
						   &spans);
		if (rc == 0)
			rc = msn_file_write(
				t.file, t.offset + (data.start - a->offset),
				spans.span[0].data, spans.span[0].len, &done);
		if (rc)
			return rc > 0 ? msn_fail(-ENOMEM) : msn_pass(rc);
		left.start = data.start + done;
	}
	return 0;
}

static int make_object(struct cloner *c, const struct msn_manifest_mapping *v)
{
	struct msn_shmem_opts opts = {
		.memfile = msn_mm_memfile(c->mm),
		.size = c->m->objects[v->object].size_bytes,
		.name = v->name,
		.account = msn_mm_account(c->mm),
	};
	struct msn_shmem *s;
	int rc = msn_shmem_new(&s, &opts);

	if (rc)
		return msn_pass(rc);
	c->objects[v->object] = msn_shmem_mappable(s);
	c->object_ids[v->object] = msn_shmem_identity(s);
	return msn_pass(fill_object(c, v->object));
}

static int clone_object(struct cloner *c, size_t index)
{
	const struct msn_manifest_mapping *v = &c->m->mappings[index];
	struct msn_mmap_opts o;
	int rc = 0;

	if (!c->object_ids[v->object])
		rc = make_object(c, v);
	if (rc)
		return blame(c, v, rc);
	base_opts(v, &o);
	o.mapping_identity = c->object_ids[v->object];
	o.mappable = c->objects[v->object];
	o.offset = v->offset;
	rc = map_object(c, index, &o);
	return rc ? blame(c, v, rc) : 0;
}

/* Saved vdso pages, for reading: the kernel's own cannot be put there. */
static int clone_kernel(struct cloner *c, size_t index)
{
	if (!c->opts->keep_kernel ||
	    c->o->source->layout.of_mapping[index] == SIZE_MAX)
		return 0;
	return msn_pass(clone_anon(c, index));
}

static int clone_mapping(struct cloner *c, size_t index)
{
	switch (c->m->mappings[index].kind) {
	case MSN_MAPPING_ANON:
		return msn_pass(clone_anon(c, index));
	case MSN_MAPPING_FILE:
		return msn_pass(clone_file(c, index));
	case MSN_MAPPING_OBJECT:
		return msn_pass(clone_object(c, index));
	default:
		return msn_pass(clone_kernel(c, index));
	}
}

/* The space holds its own references by now. */
static void cloner_deinit(struct cloner *c)
{
	for (size_t i = 0; i < c->file_count; i++)
		msn_identity_dec_ref(msn_hostfile_identity(c->files[i].hf));
	if (c->object_ids)
		for (size_t i = 0; i < c->m->object_count; i++)
			msn_identity_dec_ref(c->object_ids[i]);
	msn_exacter_free(c->exact);
	free(c->files);
	free(c->objects);
	free(c->object_ids);
	free(c->runs.list);
}

int msn_clone(struct msn_opened *o, struct msn_mm *mm,
	      const struct msn_clone_opts *opts, struct msn_failure *why)
{
	struct msn_failure local = { 0 };
	struct cloner c = { .o = o,
			    .m = o->source->m,
			    .mm = mm,
			    .opts = opts,
			    .why = why ? why : &local };
	int rc = 0;

	c.objects = msn_alloc_array(c.m->object_count, sizeof(*c.objects));
	c.object_ids =
		msn_alloc_array(c.m->object_count, sizeof(*c.object_ids));
	if (!c.objects || !c.object_ids ||
	    msn_exacter_new(&c.exact, o->source, o->image, mm))
		rc = msn_failure_errno(c.why, -ENOMEM, "cloning");
	for (size_t i = 0; rc == 0 && i < c.m->mapping_count; i++)
		rc = clone_mapping(&c, i);
	if (rc == 0)
		msn_exacter_finish(c.exact);
	if (rc == 0)
		msn_mm_set_origin(mm, c.m->uid.bytes);
	cloner_deinit(&c);
	return msn_pass(rc);
}
