/*
 * Reading a space: every private page once, in order of addresses.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pages that this process has mapped are looked at where they are.  Pages that
 * it cannot map (another process's) are read in batches of many runs at once,
 * since one call costs more than a page, and ahead of those who look at them.
 */
#include "save/save_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "image/image.h"
#include "save/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct walk {
	struct msn_saver *sv;
	struct msn_page_sink sink;
	size_t mapping; /* index of the mapping that is walked */
	uint8_t *buf;	/* MSN_SAVE_BATCH_PAGES pages of page tables; lazily */
	struct msn_fetch *fetch;       /* made when it is needed */
	struct msn_fetch_batch *batch; /* that is being filled, or NULL */
};

static void walk_init(struct walk *w, struct msn_saver *sv)
{
	*w = (struct walk){ .sv = sv };
	w->sink.sv = sv;
}

static void walk_deinit(struct walk *w)
{
	msn_fetch_free(w->fetch);
	free(w->buf);
}

static int no_memory(struct walk *w)
{
	return msn_failure_errno(w->sv->why, -ENOMEM, "saving");
}

static int unreadable(struct walk *w, uint64_t page, int rc)
{
	uint64_t addr = page * MSN_PAGE_SIZE;

	if (rc == MSN_FILE_E_BUS || rc == -ESRCH)
		return msn_failure_set(w->sv->why, -ESTALE, MSN_FAILURE_ABORTED,
				       "the page at %" PRIx64
				       " is gone: the space changed while it "
				       "was saved",
				       addr);
	return msn_failure_errno(w->sv->why, rc, "reading the page at %" PRIx64,
				 addr);
}

/* Saves the pages of a batch that was read. */
static int save_fetched(struct walk *w, const struct msn_fetch_batch *b)
{
	if (b->rc)
		return unreadable(w, b->page[0], b->rc);
	for (size_t i = 0; i < b->count; i++) {
		int rc;

		w->sink.keep_zero = b->flag[i];
		rc = msn_save_pages(
			&w->sink, b->page[i], b->io[i].len / MSN_PAGE_SIZE,
			b->io[i].buf,
			(struct msn_page_origin){ b->file, b->io[i].offset });
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* Saves the oldest batch under way; *@none if there is none. */
static int save_oldest(struct walk *w, bool *none)
{
	struct msn_fetch_batch *b = msn_fetch_take(w->fetch);
	int rc = 0;

	*none = !b;
	if (b) {
		rc = save_fetched(w, b);
		msn_fetch_release(w->fetch, b);
	}
	return msn_pass(rc);
}

/* Starts the batch that is being filled. */
static void start_batch(struct walk *w)
{
	if (w->batch)
		msn_fetch_start(w->fetch, w->batch);
	w->batch = NULL;
}

/* Saves everything that is under way. */
static int flush(struct walk *w)
{
	bool none = !w->fetch;
	int rc = 0;

	start_batch(w);
	while (rc == 0 && !none)
		rc = save_oldest(w, &none);
	return msn_pass(rc);
}

/* A batch with room for a piece of @file. */
static int open_batch(struct walk *w, struct msn_file *file)
{
	struct msn_fetch_batch *b = w->batch;
	bool none;
	int rc;

	if (b && b->file == file && b->count < MSN_FETCH_PIECES &&
	    b->used < MSN_FETCH_BYTES)
		return 0;
	if (!w->fetch && msn_fetch_new(&w->fetch))
		return no_memory(w);
	start_batch(w);
	w->batch = msn_fetch_open(w->fetch);
	if (!w->batch) {
		rc = save_oldest(w, &none);
		if (rc)
			return msn_pass(rc);
		w->batch = msn_fetch_open(w->fetch);
	}
	msn_assert(w->batch);
	w->batch->file = file;
	return 0;
}

/* Queues a run for buffered reads, in as many pieces as batches ask for. */
static int enqueue(struct walk *w, uint64_t page, bool keep_zero,
		   struct msn_file *file, struct msn_file_range r)
{
	while (r.start < r.end) {
		size_t len = msn_file_range_length(r);
		struct msn_fetch_batch *b;
		int rc = open_batch(w, file);

		if (rc)
			return msn_pass(rc);
		b = w->batch;
		if (len > MSN_FETCH_BYTES - b->used)
			len = MSN_FETCH_BYTES - b->used;
		b->page[b->count] = page;
		b->flag[b->count] = keep_zero;
		b->io[b->count++] =
			(struct msn_file_io){ r.start, b->buf + b->used, len };
		b->used += len;
		r.start += len;
		page += len / MSN_PAGE_SIZE;
	}
	return 0;
}

static int save_spans(struct walk *w, uint64_t page, struct msn_file *file,
		      uint64_t offset, const struct msn_spans *spans,
		      uint64_t *moved)
{
	*moved = 0;
	for (size_t i = 0; i < spans->count; i++) {
		size_t len = spans->span[i].len;
		int rc = msn_save_pages(
			&w->sink, page + *moved / MSN_PAGE_SIZE,
			len / MSN_PAGE_SIZE, spans->span[i].data,
			(struct msn_page_origin){ file, offset + *moved });

		if (rc)
			return msn_pass(rc);
		*moved += len;
	}
	return 0;
}

/* Saves a run of a file's pages under the numbers from @page on. */
static int save_file_run(struct walk *w, uint64_t page, bool keep_zero,
			 struct msn_file *file, struct msn_file_range r)
{
	while (r.start < r.end) {
		struct msn_spans spans;
		uint64_t moved;
		int rc =
			msn_file_map_internal(file, r, MSN_ACCESS_READ, &spans);

		if (rc == MSN_FILE_E_BUFFERED)
			return msn_pass(enqueue(w, page, keep_zero, file, r));
		if (rc)
			return unreadable(w, page, rc);
		rc = flush(w);
		w->sink.keep_zero = keep_zero;
		if (rc == 0)
			rc = save_spans(w, page, file, r.start, &spans, &moved);
		if (rc)
			return msn_pass(rc);
		r.start += moved;
		page += moved / MSN_PAGE_SIZE;
	}
	return 0;
}

/* Saves pages that only the platform's page tables have. */
static int save_space_run(struct walk *w, bool keep_zero,
			  struct msn_addr_range ar)
{
	const struct msn_page_origin nowhere = { 0 };
	int rc = flush(w);

	if (!w->buf)
		w->buf = msn_alloc_aligned(
			MSN_PAGE_SIZE, MSN_SAVE_BATCH_PAGES * MSN_PAGE_SIZE);
	if (!w->buf)
		return no_memory(w);
	w->sink.keep_zero = keep_zero;
	while (rc == 0 && ar.start < ar.end) {
		size_t len = msn_addr_range_length(ar);

		if (len > MSN_SAVE_BATCH_PAGES * MSN_PAGE_SIZE)
			len = MSN_SAVE_BATCH_PAGES * MSN_PAGE_SIZE;
		rc = msn_mm_read_private(w->sv->mm, ar.start, w->buf, len);
		if (rc)
			return unreadable(w, ar.start / MSN_PAGE_SIZE, rc);
		rc = msn_save_pages(&w->sink, ar.start / MSN_PAGE_SIZE,
				    len / MSN_PAGE_SIZE, w->buf, nowhere);
		ar.start += len;
	}
	return msn_pass(rc);
}

/*
 * Is the run the parent snapshot's own memory, at the address it had there?
 * Then nothing of it can have changed.
 */
static bool is_parents(const struct walk *w, const struct msn_private_run *r)
{
	struct msn_image *img = r->file ? msn_image_of(r->file) : NULL;
	struct msn_uid uid;
	uint64_t addr;

	return img && w->sv->parent &&
	       msn_image_origin(img, r->offset, uid.bytes, &addr) &&
	       addr == r->addr.start && msn_uid_equal(uid, w->sv->parent->uid);
}

/* The part of a run that lies in one mapping. */
static int save_part(struct walk *w, const struct msn_manifest_mapping *m,
		     const struct msn_private_run *r)
{
	bool keep_zero = msn_manifest_mapping_backed(m);
	uint64_t page = r->addr.start / MSN_PAGE_SIZE;
	uint64_t len = msn_addr_range_length(r->addr);
	int rc;

	if (is_parents(w, r)) {
		rc = flush(w);
		return rc ? msn_pass(rc)
			  : msn_save_inherit(&w->sink, page,
					     len / MSN_PAGE_SIZE);
	}
	if (!r->file)
		return msn_pass(save_space_run(w, keep_zero, r->addr));
	return msn_pass(save_file_run(
		w, page, keep_zero, r->file,
		(struct msn_file_range){ r->offset, r->offset + len }));
}

static int save_run(void *ctx, const struct msn_private_run *run)
{
	struct walk *w = ctx;
	struct msn_private_run part = *run;

	while (part.addr.start < run->addr.end) {
		const struct msn_manifest_mapping *m =
			&w->sv->m->mappings[w->mapping];
		int rc;

		if (w->mapping < w->sv->m->mapping_count &&
		    m->end <= part.addr.start) {
			w->mapping++;
			continue;
		}
		if (w->mapping == w->sv->m->mapping_count ||
		    m->start > part.addr.start)
			return unreadable(w, part.addr.start / MSN_PAGE_SIZE,
					  -ESRCH);
		part.addr.end = run->addr.end < m->end ? run->addr.end : m->end;
		rc = save_part(w, m, &part);
		if (rc)
			return msn_pass(rc);
		part.offset += msn_addr_range_length(part.addr);
		part.addr.start = part.addr.end;
	}
	return 0;
}

int msn_save_private(struct msn_saver *sv)
{
	struct walk w;
	int rc;

	walk_init(&w, sv);
	w.sink.out = &sv->m->pages;
	w.sink.old = sv->parent ? &sv->parent->pages : NULL;
	rc = msn_mm_for_each_private_run(
		sv->mm, (struct msn_addr_range){ 0, UINT64_MAX }, save_run, &w);
	if (rc == 0)
		rc = flush(&w);
	walk_deinit(&w);
	if (rc == 0)
		return 0;
	return msn_failure_errno(sv->why, rc, "reading the space");
}

/* The same object in the parent: mapped at the same place. */
static const struct msn_extents *parent_object(const struct msn_saver *sv,
					       const struct msn_save_object *o)
{
	const struct msn_manifest_mapping *m =
		sv->parent ? msn_manifest_mapping_at(sv->parent, o->addr.start)
			   : NULL;

	if (!m || m->kind != MSN_MAPPING_OBJECT || m->start != o->addr.start ||
	    m->offset != o->offset)
		return NULL;
	return &sv->parent->objects[m->object].pages;
}

/* Saves what a translated run of an object holds. */
static int save_translation(struct walk *w, const struct msn_translation *t)
{
	struct msn_file_range left = msn_translation_file_range(t);

	while (left.start < left.end) {
		struct msn_file_range data;
		uint64_t page;
		int rc = msn_file_next_data(t->file, left, &data);

		if (rc == MSN_FILE_E_NO_DATA)
			return 0;
		page = (t->source.start + (data.start - t->offset)) /
		       MSN_PAGE_SIZE;
		if (rc == 0)
			rc = save_file_run(w, page, false, t->file, data);
		if (rc)
			return msn_pass(rc);
		left.start = data.end;
	}
	return 0;
}

/* Saves the pages of @left, which exist. */
static int save_object_part(struct walk *w, struct msn_mappable *obj,
			    struct msn_obj_range left)
{
	while (left.start < left.end) {
		struct msn_translation t;
		int why;
		int n = msn_mappable_translate(obj, left, left, MSN_ACCESS_READ,
					       &t, 1, &why);

		if (n < 0)
			return msn_pass(n);
		if (n == 0 && why < 0)
			return msn_pass(why);
		if (n == 0) {
			left.start += MSN_PAGE_SIZE; /* no such page */
			continue;
		}
		n = save_translation(w, &t);
		if (n)
			return msn_pass(n);
		left.start = t.source.end;
	}
	return 0;
}

/* Only pages with data are asked for: asking may bring a page into being. */
static int save_object(struct walk *w, struct msn_mappable *obj, uint64_t size)
{
	struct msn_obj_range left = { 0, size };

	while (left.start < left.end) {
		struct msn_obj_range data;
		int rc = msn_mappable_next_data(obj, left, &data);

		if (rc == MSN_MAPPABLE_E_NO_DATA)
			break;
		if (rc == 0)
			rc = save_object_part(w, obj, data);
		if (rc)
			return msn_pass(rc);
		left.start = data.end;
	}
	return msn_pass(flush(w));
}

int msn_save_objects(struct msn_saver *sv)
{
	struct walk w;
	int rc = 0;

	walk_init(&w, sv);
	for (size_t i = 0; rc == 0 && i < sv->m->object_count; i++) {
		w.sink.out = &sv->m->objects[i].pages;
		w.sink.old = parent_object(sv, &sv->objects[i]);
		rc = save_object(&w, sv->objects[i].mappable,
				 sv->m->objects[i].size_bytes);
		if (rc == 0)
			rc = msn_save_exact_object(&sv->objects[i],
						   &sv->m->objects[i]);
	}
	walk_deinit(&w);
	return rc ? msn_failure_errno(sv->why, rc, "reading a shared object")
		  : 0;
}
