/*
 * Pages compared: two extent lists merged, and what is left is read.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A walk goes over a range of addresses and looks on each side at what shows: a
 * page of the space's own, or one of the object beneath it.  Each step takes
 * the longest run on which both sides are of one state; most steps are
 * decided by the states alone, the others go into the batch.  A batch is a list
 * of extents numbered from 0 for each side, so that pages that lie far apart in
 * the space are still read with many reads in flight.
 */
#include "diff/diff.h"

#include "base/alloc.h"
#include "base/error.h"
#include "range/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (MSN_DIFF_BATCH_PAGES * MSN_PAGE_SIZE)

/* What a side shows at a page. */
enum page_state {
	PAGE_ZERO,
	PAGE_BENEATH, /* what is mapped there, whose bytes are not stored */
	PAGE_STORED,
};

struct side {
	struct msn_manifest *m;
	struct msn_reader *reader;
	uint8_t *buf;
	struct msn_extent *batch;
	size_t batch_extents;
};

struct look {
	const struct msn_manifest_mapping *mapping; /* NULL: none */
	enum page_state state;
	bool own;			 /* private, not the object's */
	const struct msn_extent *extent; /* NULL: none has the page */
	uint64_t first;			 /* address page of the extent */
	uint64_t until;			 /* all this holds below this page */
};

struct diff {
	const struct msn_diff_opts *opts;
	struct msn_failure *why;
	struct msn_diff_summary sum;
	struct side side[2];
	bool objects; /* this walk is over what objects show on both sides */
	bool shared;  /* and nobody has copies of it */

	uint64_t *page; /* address page of each page of the batch */
	bool *whole;	/* counts as changed without being compared */
	size_t batch_pages;
	struct msn_diff_run run; /* open run; pages 0: none */
	uint64_t done_pages, total_pages;
};

static void side_deinit(struct side *s)
{
	msn_reader_free(s->reader);
	msn_manifest_free(s->m);
	free(s->buf);
	free(s->batch);
}

static void diff_deinit(struct diff *d)
{
	side_deinit(&d->side[0]);
	side_deinit(&d->side[1]);
	free(d->page);
	free(d->whole);
}

static uint64_t stored_pages(const struct msn_extents *list)
{
	uint64_t n = 0;

	for (size_t i = 0; i < list->count; i++)
		if (list->list[i].pack != MSN_EXTENT_ZERO)
			n += list->list[i].count;
	return n;
}

static int side_open(struct diff *d, struct side *s, struct msn_store *store,
		     struct msn_uid uid)
{
	int rc;

	rc = msn_store_load(store, uid, &s->m, d->why);
	if (rc)
		return msn_pass(rc);
	rc = msn_reader_new(&s->reader, store, s->m, d->why);
	if (rc)
		return msn_pass(rc);
	s->buf = msn_alloc_aligned(MSN_PAGE_SIZE, BATCH_BYTES);
	s->batch = msn_alloc_array(MSN_DIFF_BATCH_PAGES, sizeof(*s->batch));
	if (!s->buf || !s->batch)
		return msn_failure_errno(d->why, -ENOMEM, "could not compare");
	d->total_pages += stored_pages(&s->m->pages);
	for (size_t i = 0; i < s->m->object_count; i++)
		d->total_pages += stored_pages(&s->m->objects[i].pages);
	return 0;
}

static int diff_open(struct diff *d, struct msn_store *store, struct msn_uid a,
		     struct msn_uid b)
{
	int rc;

	d->page = msn_alloc_array(MSN_DIFF_BATCH_PAGES, sizeof(*d->page));
	d->whole = msn_alloc_array(MSN_DIFF_BATCH_PAGES, sizeof(*d->whole));
	if (!d->page || !d->whole)
		return msn_failure_errno(d->why, -ENOMEM, "could not compare");
	rc = side_open(d, &d->side[0], store, a);
	if (rc)
		return msn_pass(rc);
	return msn_pass(side_open(d, &d->side[1], store, b));
}

/* ---- Runs and progress ---------------------------------------------------*/

static int tell_run(struct diff *d)
{
	struct msn_diff_run run = d->run;

	if (!run.pages)
		return 0;
	d->run = (struct msn_diff_run){};
	d->sum.changed_runs++;
	return d->opts->run ? d->opts->run(d->opts->ctx, &run) : 0;
}

static int add_changed(struct diff *d, uint64_t page, uint64_t bytes)
{
	uint64_t addr = page << MSN_PAGE_SHIFT;
	int rc;

	if (d->run.end != addr) {
		rc = tell_run(d);
		if (rc)
			return rc;
	}
	if (!d->run.pages)
		d->run = (struct msn_diff_run){ .start = addr,
						.shared = d->shared };
	d->run.end = addr + MSN_PAGE_SIZE;
	d->run.pages++;
	d->run.bytes += bytes;
	d->sum.changed_pages++;
	d->sum.changed_bytes += bytes;
	return 0;
}

static int tell_progress(struct diff *d)
{
	const struct msn_diff_opts *o = d->opts;
	uint64_t done = d->done_pages;

	/* An object that is mapped twice is compared twice. */
	if (done > d->total_pages)
		done = d->total_pages;
	if (!o->progress ||
	    !o->progress(o->progress_ctx, done << MSN_PAGE_SHIFT,
			 d->total_pages << MSN_PAGE_SHIFT))
		return 0;
	return msn_failure_set(d->why, -ECANCELED, MSN_FAILURE_CANCELLED,
			       "comparing was cancelled");
}

/* ---- The batch -----------------------------------------------------------*/

static struct look look_at(const struct side *s, uint64_t page, uint64_t end);

/* What of the run that @l has is at @page, as page @at of a batch. */
static struct msn_extent part_of(const struct look *l, uint64_t page,
				 uint32_t count, uint64_t at)
{
	return (struct msn_extent){
		.page = at,
		.count = count,
		.pack = l->extent->pack,
		.frame = l->extent->frame,
		.at = l->extent->at + (uint32_t)(page - l->first),
	};
}

/* Reads one page of the batch alone; a failure names its address. */
static int read_alone(struct diff *d, struct side *s, uint64_t page)
{
	struct look l = look_at(s, page, page + 1);
	struct msn_failure f = {};
	struct msn_extent one;
	struct msn_extents list = { &one, 1, 1 };
	int rc;

	if (l.state != PAGE_STORED)
		return 0;
	one = part_of(&l, page, 1, 0);
	rc = msn_reader_read(s->reader, &list, 0, 1, s->buf, &f);
	if (!rc)
		return 0;
	return msn_failure_set(d->why, rc, f.kind,
			       "cannot read address 0x%" PRIx64 ": %s",
			       page << MSN_PAGE_SHIFT, f.text);
}

/*
 * A batch could not be read: its pages once more, to know which one it was.
 */
static int read_again(struct diff *d, struct side *s, int rc,
		      const struct msn_failure *f)
{
	for (size_t i = 0; i < d->batch_pages; i++) {
		int again = read_alone(d, s, d->page[i]);

		if (again)
			return msn_pass(again);
	}
	if (f->kind == MSN_FAILURE_NONE)
		return msn_failure_errno(d->why, rc, "could not read a page");
	return msn_failure_set(d->why, rc, f->kind, "%s", f->text);
}

static int read_side(struct diff *d, struct side *s)
{
	const struct msn_extents list = { s->batch, s->batch_extents,
					  s->batch_extents };
	struct msn_failure f = {};
	int rc;

	memset(s->buf, 0, d->batch_pages * MSN_PAGE_SIZE);
	if (!s->batch_extents)
		return 0;
	rc = msn_reader_read(s->reader, &list, 0, d->batch_pages, s->buf, &f);
	s->batch_extents = 0;
	return rc ? read_again(d, s, rc, &f) : 0;
}

static uint64_t count_differing(const uint8_t *a, const uint8_t *b)
{
	uint64_t n = 0;

	if (memcmp(a, b, MSN_PAGE_SIZE) == 0)
		return 0;
	for (size_t i = 0; i < MSN_PAGE_SIZE; i++)
		n += a[i] != b[i];
	return n;
}

static int compare_batch(struct diff *d)
{
	for (size_t i = 0; i < d->batch_pages; i++) {
		uint64_t bytes = MSN_PAGE_SIZE;
		int rc;

		if (!d->whole[i]) {
			size_t at = i * MSN_PAGE_SIZE;

			bytes = count_differing(d->side[0].buf + at,
						d->side[1].buf + at);
			d->sum.compared_pages++;
		}
		rc = bytes ? add_changed(d, d->page[i], bytes) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int flush(struct diff *d)
{
	int rc;

	if (!d->batch_pages)
		return 0;
	rc = read_side(d, &d->side[0]);
	if (!rc)
		rc = read_side(d, &d->side[1]);
	if (!rc)
		rc = compare_batch(d);
	d->batch_pages = 0;
	if (rc)
		return msn_pass(rc);
	return tell_progress(d);
}

static void batch_side(struct diff *d, struct side *s, const struct look *l,
		       uint64_t page, uint32_t n)
{
	if (l->state == PAGE_STORED)
		s->batch[s->batch_extents++] =
			part_of(l, page, n, d->batch_pages);
}

static int batch_add(struct diff *d, const struct look look[2], uint64_t page,
		     uint64_t end)
{
	bool whole =
		look[0].state == PAGE_BENEATH || look[1].state == PAGE_BENEATH;

	while (page < end) {
		uint64_t room = MSN_DIFF_BATCH_PAGES - d->batch_pages;
		uint64_t n = end - page < room ? end - page : room;
		int rc;

		if (!whole) {
			batch_side(d, &d->side[0], &look[0], page, (uint32_t)n);
			batch_side(d, &d->side[1], &look[1], page, (uint32_t)n);
		}
		for (uint64_t i = 0; i < n; i++) {
			d->page[d->batch_pages] = page + i;
			d->whole[d->batch_pages++] = whole;
		}
		page += n;
		if (d->batch_pages < MSN_DIFF_BATCH_PAGES)
			continue;
		rc = flush(d);
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* ---- The walk ------------------------------------------------------------*/

/* Index of the first mapping that ends above @addr. */
static size_t mapping_lower(const struct msn_manifest *m, uint64_t addr)
{
	size_t low = 0, high = m->mapping_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->mappings[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The mapping at @page, or NULL; and how far that is so. */
static void look_for_mapping(const struct side *s, uint64_t page,
			     struct look *l)
{
	size_t i = mapping_lower(s->m, page << MSN_PAGE_SHIFT);
	const struct msn_manifest_mapping *v;
	uint64_t edge;

	if (i == s->m->mapping_count)
		return;
	v = &s->m->mappings[i];
	edge = v->start >> MSN_PAGE_SHIFT;
	if (edge <= page) {
		edge = v->end >> MSN_PAGE_SHIFT;
		l->mapping = v;
	}
	if (edge < l->until)
		l->until = edge;
}

/* The run of @list at @page, if any; @shift: address page minus list page. */
static void look_for_extent(const struct msn_extents *list, uint64_t shift,
			    uint64_t page, struct look *l)
{
	const struct msn_extent *e = msn_extents_lower(list, page - shift);
	uint64_t edge;

	if (!e)
		return;
	edge = e->page + shift;
	if (edge <= page) {
		l->extent = e;
		l->first = edge;
		l->state = e->pack == MSN_EXTENT_ZERO ? PAGE_ZERO : PAGE_STORED;
		edge += e->count;
	}
	if (edge < l->until)
		l->until = edge;
}

static struct look look_at(const struct side *s, uint64_t page, uint64_t end)
{
	struct look l = { .state = PAGE_ZERO, .until = end };
	const struct msn_manifest_mapping *v;

	look_for_mapping(s, page, &l);
	v = l.mapping;
	if (!v || !v->shared)
		look_for_extent(&s->m->pages, 0, page, &l);
	l.own = l.extent;
	if (!v || l.own || v->kind == MSN_MAPPING_ANON)
		return l;
	if (v->kind == MSN_MAPPING_OBJECT)
		look_for_extent(&s->m->objects[v->object].pages,
				(v->start >> MSN_PAGE_SHIFT) -
					(v->offset >> MSN_PAGE_SHIFT),
				page, &l);
	else
		l.state = PAGE_BENEATH;
	return l;
}

static bool shows_object(const struct look *l)
{
	return l->mapping && l->mapping->kind == MSN_MAPPING_OBJECT;
}

/* Is there nothing to compare, in this walk? */
static bool is_passed(const struct diff *d, const struct look look[2])
{
	if (look[0].state == PAGE_ZERO && look[1].state == PAGE_ZERO)
		return true;
	if (d->objects)
		return false;
	/* Where both show an object, the other walk looks. */
	if (shows_object(&look[0]) && shows_object(&look[1]))
		return true;
	/* Neither has pages of its own: what is mapped there is told apart. */
	return !look[0].own && !look[1].own;
}

static bool same_place(const struct diff *d, const struct look look[2],
		       uint64_t page)
{
	const struct msn_manifest_pack *pack[2];
	uint64_t at[2];

	for (int i = 0; i < 2; i++) {
		const struct msn_extent *e = look[i].extent;

		if (look[i].state != PAGE_STORED)
			return false;
		pack[i] = &d->side[i].m->packs[e->pack];
		at[i] = e->at + (page - look[i].first);
	}
	return pack[0]->id == pack[1]->id &&
	       pack[0]->generation == pack[1]->generation && at[0] == at[1];
}

static int walk_step(struct diff *d, uint64_t *page, uint64_t end)
{
	struct look look[2];
	uint64_t start = *page, until;

	for (int i = 0; i < 2; i++)
		look[i] = look_at(&d->side[i], start, end);
	until = look[0].until < look[1].until ? look[0].until : look[1].until;
	*page = until;
	for (int i = 0; i < 2; i++)
		if (look[i].state == PAGE_STORED && (d->objects || look[i].own))
			d->done_pages += until - start;
	if (is_passed(d, look))
		return 0;
	if (same_place(d, look, start)) {
		d->sum.same_place_pages += until - start;
		return 0;
	}
	return batch_add(d, look, start, until);
}

static int walk(struct diff *d, uint64_t page, uint64_t end)
{
	int rc;

	while (page < end) {
		rc = walk_step(d, &page, end);
		if (rc)
			return msn_pass(rc);
	}
	rc = flush(d);
	if (rc)
		return msn_pass(rc);
	return tell_run(d);
}

/* The page behind the last extent of either side. */
static uint64_t last_page(const struct diff *d)
{
	uint64_t end = 0;

	for (int i = 0; i < 2; i++) {
		const struct msn_extents *list = &d->side[i].m->pages;
		const struct msn_extent *e;

		if (!list->count)
			continue;
		e = &list->list[list->count - 1];
		if (e->page + e->count > end)
			end = e->page + e->count;
	}
	return end;
}

static int walk_private(struct diff *d)
{
	d->objects = d->shared = false;
	return walk(d, 0, last_page(d));
}

/* Compares what two mappings of objects show where they meet. */
static int walk_object(struct diff *d, const struct msn_manifest_mapping *v[2])
{
	uint64_t start = v[0]->start > v[1]->start ? v[0]->start : v[1]->start;
	uint64_t end = v[0]->end < v[1]->end ? v[0]->end : v[1]->end;

	if (start >= end || v[0]->kind != MSN_MAPPING_OBJECT ||
	    v[1]->kind != MSN_MAPPING_OBJECT)
		return 0;
	d->objects = true;
	d->shared = v[0]->shared && v[1]->shared;
	return walk(d, start >> MSN_PAGE_SHIFT, end >> MSN_PAGE_SHIFT);
}

static int walk_objects(struct diff *d)
{
	const struct msn_manifest *a = d->side[0].m, *b = d->side[1].m;
	size_t i = 0, j = 0;

	while (i < a->mapping_count && j < b->mapping_count) {
		const struct msn_manifest_mapping *v[2] = { &a->mappings[i],
							    &b->mappings[j] };
		int rc = walk_object(d, v);

		if (rc)
			return rc;
		if (v[0]->end <= v[1]->end)
			i++;
		else
			j++;
	}
	return 0;
}

static int count_mapping(void *ctx, const struct msn_diff_mapping *m)
{
	struct diff *d = ctx;

	switch (m->change) {
	case MSN_DIFF_ADDED:
		d->sum.mappings_added++;
		break;
	case MSN_DIFF_REMOVED:
		d->sum.mappings_removed++;
		break;
	case MSN_DIFF_CHANGED:
		d->sum.mappings_changed++;
		break;
	}
	return d->opts->mapping ? d->opts->mapping(d->opts->ctx, m) : 0;
}

static int diff_opened(struct diff *d)
{
	int rc;

	rc = msn_diff_mappings(d->side[0].m, d->side[1].m, count_mapping, d);
	if (!rc)
		rc = tell_progress(d);
	if (!rc)
		rc = walk_private(d);
	if (!rc)
		rc = walk_objects(d);
	if (rc)
		return msn_pass(rc);
	d->done_pages = d->total_pages;
	return tell_progress(d);
}

int msn_diff(struct msn_store *store, struct msn_uid a, struct msn_uid b,
	     const struct msn_diff_opts *opts, struct msn_diff_summary *out,
	     struct msn_failure *why)
{
	struct diff d = { .opts = opts, .why = why };
	int rc;

	rc = diff_open(&d, store, a, b);
	if (!rc)
		rc = diff_opened(&d);
	diff_deinit(&d);
	if (!rc && out)
		*out = d.sum;
	return msn_pass(rc);
}
