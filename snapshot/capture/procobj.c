/*
 * Process object: translation by places, or by the open object.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The object is at the same time the file behind its own translations when it
 * could be opened: file offsets are object offsets then.
 */
#include "capture/procobj.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fd.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct place {
	struct msn_obj_range r;
	uint64_t addr;
};

struct side {
	struct msn_identity identity;
	struct msn_procobj *o;
};

struct msn_procobj {
	struct side sides[2]; /* set once */
	struct msn_mappable mappable;
	struct msn_file file;
	_Atomic unsigned refs;
	struct msn_procobj_opts opts; /* set once; name and fd are ours */
	uint64_t size;
	struct place *places; /* ascending, disjoint */
	size_t count, cap;
};

static struct msn_procobj *of_identity(struct msn_identity *id);
static struct msn_procobj *of_mappable(struct msn_mappable *obj);
static struct msn_procobj *of_file(struct msn_file *file);

/* ---- Identity ------------------------------------------------------------ */

static void identity_inc_ref(struct msn_identity *id)
{
	atomic_fetch_add_explicit(&of_identity(id)->refs, 1,
				  memory_order_relaxed);
}

static void identity_dec_ref(struct msn_identity *id)
{
	struct msn_procobj *o = of_identity(id);

	/* The last one sees what all others did before they let go. */
	if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
		return;
	msn_close(o->opts.fd);
	free((char *)(uintptr_t)o->opts.name);
	free(o->places);
	free(o);
}

static const char *identity_name(struct msn_identity *id)
{
	return of_identity(id)->opts.name;
}

static uint64_t identity_device(struct msn_identity *id)
{
	return of_identity(id)->opts.dev;
}

static uint64_t identity_inode(struct msn_identity *id)
{
	return of_identity(id)->opts.inode;
}

/* The process writes back its own files. */
static int identity_msync(struct msn_identity *id, struct msn_obj_range r)
{
	(void)id;
	(void)r;
	return 0;
}

static int identity_save(struct msn_identity *id,
			 struct msn_identity_saved *out)
{
	const struct msn_procobj *o = of_identity(id);

	out->as = o->opts.as;
	out->file = o->opts.file;
	if (o->opts.as == MSN_SAVED_AS_CONTENT)
		out->file.size_bytes = o->size;
	return 0;
}

static const struct msn_identity_ops identity_ops = {
	.name = "procobj",
	.inc_ref = identity_inc_ref,
	.dec_ref = identity_dec_ref,
	.mapped_name = identity_name,
	.device_id = identity_device,
	.inode_id = identity_inode,
	.msync = identity_msync,
	.save = identity_save,
};

/* ---- Mappable ------------------------------------------------------------ */

/* Index of the first place that ends behind @at. */
static size_t first_behind(const struct msn_procobj *o, uint64_t at)
{
	size_t low = 0, high = o->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->places[mid].r.end <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The place that contains @offset, or NULL. */
static const struct place *find_place(const struct msn_procobj *o,
				      uint64_t offset)
{
	size_t i = first_behind(o, offset);

	if (i == o->count || !msn_obj_range_contains(o->places[i].r, offset))
		return NULL;
	return &o->places[i];
}

/* What one place, or the open object, has from @at on. */
static bool translate_at(struct msn_procobj *o, uint64_t at, uint64_t end,
			 struct msn_translation *out)
{
	const struct place *p;

	*out = (struct msn_translation){
		.source = { at, end },
		.file = &o->file,
		.offset = at,
		.perms = MSN_ACCESS_READ | MSN_ACCESS_EXEC,
	};
	if (o->opts.fd >= 0) {
		if (out->source.end > o->size)
			out->source.end = o->size;
		return at < o->size;
	}
	p = find_place(o, at);
	if (!p)
		return false;
	out->source = msn_obj_range_intersect(out->source, p->r);
	out->file = o->opts.memory;
	out->offset = p->addr + (at - p->r.start);
	return true;
}

static int translate(struct msn_mappable *obj, struct msn_obj_range required,
		     struct msn_obj_range optional, unsigned access,
		     struct msn_translation *out, size_t max, int *why)
{
	struct msn_procobj *o = of_mappable(obj);
	uint64_t at = required.start;
	size_t n = 0;

	(void)optional;
	if (access & MSN_ACCESS_WRITE) {
		*why = -EACCES;
		return 0;
	}
	while (at < required.end && n < max) {
		if (!translate_at(o, at, required.end, &out[n])) {
			*why = MSN_MAPPABLE_E_BUS;
			break;
		}
		at = out[n++].source.end;
	}
	return (int)n;
}

static const struct msn_mappable_ops mappable_ops = {
	.name = "procobj",
	.translate = translate,
};

/* ---- File: the open object ----------------------------------------------- */

static int file_read(struct msn_file *file, uint64_t offset, void *buf,
		     size_t len, size_t *done)
{
	struct msn_procobj *o = of_file(file);
	ssize_t n = msn_pread_full(o->opts.fd, buf, len, offset);

	*done = n < 0 ? 0 : (size_t)n;
	if (n < 0)
		return msn_pass((int)n);
	if (o->opts.read_bytes)
		*o->opts.read_bytes += (size_t)n;
	/* The last page of a file of odd length ends in zeros. */
	while (*done < len && offset + *done < o->size)
		((char *)buf)[(*done)++] = 0;
	return *done == len ? 0 : MSN_FILE_E_BUS;
}

static int file_next_data(struct msn_file *file, struct msn_file_range r,
			  struct msn_file_range *out)
{
	int fd = of_file(file)->opts.fd;
	off_t data = lseek(fd, (off_t)r.start, SEEK_DATA), hole;

	if (data < 0)
		return errno == ENXIO ? MSN_FILE_E_NO_DATA : msn_fail(-errno);
	if ((uint64_t)data >= r.end)
		return MSN_FILE_E_NO_DATA;
	hole = lseek(fd, data, SEEK_HOLE);
	if (hole < 0)
		return msn_fail(-errno);
	out->start = msn_page_down((uint64_t)data);
	if (!msn_page_up((uint64_t)hole, &out->end))
		out->end = r.end;
	*out = msn_file_range_intersect(*out, r);
	return 0;
}

static const struct msn_file_ops file_ops = {
	.name = "procobj",
	.buffer_read_at = file_read,
	.next_data = file_next_data,
};

/* ---- Life ---------------------------------------------------------------- */

static struct msn_procobj *of_identity(struct msn_identity *id)
{
	msn_assert(id->ops == &identity_ops);
	return msn_container_of(id, struct side, identity)->o;
}

static struct msn_procobj *of_mappable(struct msn_mappable *obj)
{
	msn_assert(obj->ops == &mappable_ops);
	return msn_container_of(obj, struct msn_procobj, mappable);
}

static struct msn_procobj *of_file(struct msn_file *file)
{
	msn_assert(file->ops == &file_ops);
	return msn_container_of(file, struct msn_procobj, file);
}

int msn_procobj_new(struct msn_procobj **out,
		    const struct msn_procobj_opts *opts)
{
	msn_auto(msn_closep) int fd = opts->fd;
	msn_auto(msn_freep) struct msn_procobj *o = msn_alloc(sizeof(*o));

	if (!o)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < MSN_ARRAY_LEN(o->sides); i++) {
		o->sides[i].identity.ops = &identity_ops;
		o->sides[i].o = o;
	}
	o->mappable.ops = &mappable_ops;
	o->file.ops = &file_ops;
	o->refs = 1;
	o->opts = *opts;
	o->opts.name = msn_strdup(opts->name);
	if (!o->opts.name)
		return msn_fail(-ENOMEM);
	fd = -1;
	*out = msn_steal(o);
	return 0;
}

struct msn_identity *msn_procobj_identity(struct msn_procobj *o, size_t line)
{
	return &o->sides[line % MSN_ARRAY_LEN(o->sides)].identity;
}

struct msn_mappable *msn_procobj_mappable(struct msn_procobj *o)
{
	return &o->mappable;
}

const struct msn_procobj_opts *msn_procobj_opts(const struct msn_procobj *o)
{
	return &o->opts;
}

static int insert_place(struct msn_procobj *o, size_t at, struct place p)
{
	int rc = msn_grow((void **)&o->places, &o->cap, o->count,
			  sizeof(*o->places));

	if (rc)
		return msn_pass(rc);
	for (size_t i = o->count; i > at; i--)
		o->places[i] = o->places[i - 1];
	o->places[at] = p;
	o->count++;
	return 0;
}

int msn_procobj_add_place(struct msn_procobj *o, struct msn_obj_range r,
			  uint64_t addr)
{
	/* Only what no earlier place has, so that places stay disjoint. */
	while (r.start < r.end) {
		size_t i = first_behind(o, r.start);
		uint64_t from = i < o->count ? o->places[i].r.start : r.end;
		uint64_t end = from < r.end ? from : r.end;

		if (r.start < end) {
			struct place p = { { r.start, end }, addr };
			int rc = insert_place(o, i, p);

			if (rc)
				return msn_pass(rc);
			i++;
		}
		if (i == o->count || end == r.end)
			return 0;
		end = o->places[i].r.end;
		if (end >= r.end)
			return 0;
		addr += end - r.start;
		r.start = end;
	}
	return 0;
}

void msn_procobj_set_size(struct msn_procobj *o, uint64_t size_bytes)
{
	o->size = size_bytes;
}

uint64_t msn_procobj_size(const struct msn_procobj *o)
{
	return o->size;
}
