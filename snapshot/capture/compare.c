/*
 * Comparing a snapshot with a live process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The process is described as a space, as for a capture; then both lists of
 * mappings are walked side by side, cut into pieces where either has a border:
 *
 *    snapshot   |-----a-----|     |---b---|
 *    process         |---a'---------------|----c----|
 *    pieces     |rem.| a=a' |add. | b=a'  |  added  |
 *
 * In a piece that both have, pages are compared that either has of its own;
 * what neither has is the same file's page or zero on both sides.
 */
#include "capture/capture.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "capture/describe.h"
#include "memfile/memfile.h"
#include "platform/address_space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pages that are looked at together. */
#define BATCH_PAGES 256
#define BATCH_BYTES (BATCH_PAGES * MSN_PAGE_SIZE)

struct comparer {
	const struct msn_compare_opts *opts;
	struct msn_compare_stats stats;
	struct msn_failure *why;

	struct msn_store *store;
	struct msn_manifest *m;
	struct msn_reader *reader;

	struct msn_target target;
	struct msn_memfile *memfile;
	struct msn_mm *mm;
	uint64_t object_bytes;
	struct msn_mapping_view *views; /* the process's mappings */
	size_t view_count, view_cap;
	struct msn_private_run *runs; /* pages of the piece at hand */
	size_t run_count, run_cap;

	uint8_t *base, *then, *now;    /* BATCH_BYTES each */
	struct msn_difference pending; /* bytes: grows while pages adjoin */
};

/* A piece of the address space that both sides have. */
struct piece {
	struct msn_addr_range addr;
	const struct msn_manifest_mapping *m;
	const struct msn_mapping_view *v;
	const struct msn_extents *extents;
	uint64_t shift; /* page number in @extents of address 0, wrapping */
	int file; /* descriptor of what lies under a private file mapping */
};

/* ---- Reporting ----------------------------------------------------------- */

static int report(struct comparer *c, const struct msn_difference *d)
{
	if (!c->opts->difference)
		return 0;
	return c->opts->difference(c->opts->difference_ctx, d);
}

static int report_pending(struct comparer *c)
{
	struct msn_difference d = c->pending;

	c->pending = (struct msn_difference){ 0 };
	return d.kind ? report(c, &d) : 0;
}

static int page_differs(struct comparer *c, const struct piece *p,
			uint64_t addr)
{
	int rc;

	c->stats.different_pages++;
	if (c->pending.kind && c->pending.addr.end == addr) {
		c->pending.addr.end += MSN_PAGE_SIZE;
		return 0;
	}
	rc = report_pending(c);
	c->pending = (struct msn_difference){
		.kind = MSN_DIFFERENCE_BYTES,
		.addr = { addr, addr + MSN_PAGE_SIZE },
		.name = p->m->name,
		.what = "",
	};
	return rc;
}

static int mapping_differs(struct comparer *c, enum msn_difference_kind kind,
			   struct msn_addr_range addr, const char *name,
			   const char *what)
{
	const struct msn_difference d = { kind, addr, name, what };

	c->stats.different_mappings++;
	return report(c, &d);
}

/* ---- Pages --------------------------------------------------------------- */

static int unreadable(const struct comparer *c, uint64_t addr, int rc)
{
	if (!msn_tracee_stopped(c->target.tracee))
		return msn_failure_set(
			c->why, -ESRCH, MSN_FAILURE_ABORTED,
			"process %d ended while it was being compared",
			c->opts->pid);
	return msn_failure_errno(c->why, rc > 0 ? -EFAULT : rc,
				 "process %d: reading the page at %" PRIx64,
				 c->opts->pid, addr);
}

/* What both sides show where they have no page of their own. */
static int fill_base(struct comparer *c, const struct piece *p,
		     struct msn_addr_range ar)
{
	size_t len = msn_addr_range_length(ar);
	ssize_t n = 0;

	if (p->file >= 0)
		n = msn_pread_full(p->file, c->base, len,
				   p->m->offset + (ar.start - p->m->start));
	if (n < 0)
		return msn_failure_errno(c->why, (int)n, "reading %s",
					 p->m->name);
	memset(c->base + n, 0, len - (size_t)n);
	memcpy(c->then, c->base, len);
	memcpy(c->now, c->base, len);
	return 0;
}

static int read_then(struct comparer *c, const struct piece *p,
		     struct msn_addr_range ar)
{
	uint64_t page = ar.start / MSN_PAGE_SIZE + p->shift;
	uint64_t count = msn_addr_range_length(ar) / MSN_PAGE_SIZE;

	msn_extents_blank(p->extents, page, count, c->then);
	return msn_pass(msn_reader_read(c->reader, p->extents, page, count,
					c->then, c->why));
}

static int read_now(struct comparer *c, struct msn_addr_range ar, size_t run)
{
	for (; run < c->run_count && c->runs[run].addr.start < ar.end; run++) {
		const struct msn_private_run *r = &c->runs[run];
		struct msn_addr_range x = msn_addr_range_intersect(ar, r->addr);
		size_t done;
		int rc;

		if (msn_addr_range_empty(x))
			continue;
		rc = msn_file_read(r->file,
				   r->offset + (x.start - r->addr.start),
				   c->now + (x.start - ar.start),
				   msn_addr_range_length(x), &done);
		if (rc)
			return unreadable(c, x.start + done, rc);
	}
	return 0;
}

/*
 * What the kernel writes by itself is no difference: the CPU that a thread runs
 * on changes whenever it wakes up somewhere else.
 */
static void forgive_kernel(struct comparer *c, struct msn_addr_range ar)
{
	size_t count;
	const struct msn_traced_thread *threads =
		msn_tracee_threads(c->target.tracee, &count);

	for (size_t i = 0; i < count; i++) {
		const struct msn_traced_thread *t = &threads[i];
		struct msn_addr_range r = msn_addr_range_intersect(
			ar, (struct msn_addr_range){
				    t->rseq_addr, t->rseq_addr + t->rseq_len });

		if (!msn_addr_range_empty(r))
			memcpy(c->now + (r.start - ar.start),
			       c->then + (r.start - ar.start),
			       msn_addr_range_length(r));
	}
}

static int compare_batch(struct comparer *c, const struct piece *p,
			 struct msn_addr_range ar, size_t run)
{
	int rc = fill_base(c, p, ar);

	if (rc == 0)
		rc = read_then(c, p, ar);
	if (rc == 0)
		rc = read_now(c, ar, run);
	if (rc == 0)
		forgive_kernel(c, ar);
	for (uint64_t at = ar.start; rc == 0 && at < ar.end;
	     at += MSN_PAGE_SIZE) {
		c->stats.compared_pages++;
		if (memcmp(c->then + (at - ar.start), c->now + (at - ar.start),
			   MSN_PAGE_SIZE) != 0)
			rc = page_differs(c, p, at);
	}
	return msn_pass(rc);
}

/* The first address from @at on where either side has a page of its own. */
static uint64_t next_interesting(const struct comparer *c,
				 const struct piece *p, uint64_t at,
				 size_t *run)
{
	const struct msn_extent *e =
		msn_extents_lower(p->extents, at / MSN_PAGE_SIZE + p->shift);
	uint64_t next = p->addr.end;

	if (e && e->page < at / MSN_PAGE_SIZE + p->shift)
		return at;
	if (e && e->page - p->shift < next / MSN_PAGE_SIZE)
		next = (e->page - p->shift) * MSN_PAGE_SIZE;
	while (*run < c->run_count && c->runs[*run].addr.end <= at)
		++*run;
	if (*run < c->run_count && c->runs[*run].addr.start < next)
		next = c->runs[*run].addr.start;
	return next > at ? next : at;
}

static int compare_pages(struct comparer *c, const struct piece *p)
{
	uint64_t at = p->addr.start;
	size_t run = 0;
	int rc = 0;

	while (rc == 0) {
		struct msn_addr_range ar;

		ar.start = next_interesting(c, p, at, &run);
		if (ar.start >= p->addr.end)
			break;
		ar.end = p->addr.end - ar.start > BATCH_BYTES
				 ? ar.start + BATCH_BYTES
				 : p->addr.end;
		rc = compare_batch(c, p, ar, run);
		at = ar.end;
	}
	return rc ? msn_pass(rc) : report_pending(c);
}

/* ---- What the process has ------------------------------------------------ */

static int add_run(void *ctx, const struct msn_private_run *r)
{
	struct comparer *c = ctx;
	int rc = msn_grow((void **)&c->runs, &c->run_cap, c->run_count,
			  sizeof(*c->runs));

	if (rc == 0)
		c->runs[c->run_count++] = *r;
	return msn_pass(rc);
}

/* The data of one translated run of a shared object. */
static int add_data(struct comparer *c, const struct msn_translation *t,
		    uint64_t addr)
{
	struct msn_file_range left = msn_translation_file_range(t), data;
	int rc = 0;

	while (rc == 0 && left.start < left.end) {
		uint64_t at;

		rc = msn_file_next_data(t->file, left, &data);
		if (rc == MSN_FILE_E_NO_DATA)
			return 0;
		if (rc)
			return msn_pass(rc);
		at = addr + (data.start - t->offset);
		rc = add_run(
			c, &(struct msn_private_run){
				   .addr = { at,
					     at + msn_file_range_length(data) },
				   .file = t->file,
				   .offset = data.start,
			   });
		left.start = data.end;
	}
	return msn_pass(rc);
}

static int add_object_runs(struct comparer *c, const struct piece *p)
{
	struct msn_obj_range left;
	uint64_t addr = p->addr.start;
	int why = 0, n, rc = 0;

	left.start = p->v->offset + (p->addr.start - p->v->addr.start);
	left.end = left.start + msn_addr_range_length(p->addr);
	while (rc == 0 && left.start < left.end) {
		struct msn_translation t;

		n = msn_mappable_translate(p->v->mappable, left, left,
					   MSN_ACCESS_READ, &t, 1, &why);
		if (n < 0 || (n == 0 && why < 0))
			return msn_pass(n < 0 ? n : why);
		if (n == 0)
			return 0; /* past the object's end */
		rc = add_data(c, &t, addr);
		addr += msn_obj_range_length(t.source);
		left.start = t.source.end;
	}
	return msn_pass(rc);
}

static int gather(struct comparer *c, const struct piece *p)
{
	int rc;

	c->run_count = 0;
	if (p->m->kind == MSN_MAPPING_OBJECT)
		rc = add_object_runs(c, p);
	else
		rc = msn_mm_for_each_private_run(c->mm, p->addr, add_run, c);
	return rc ? unreadable(c, p->addr.start, rc) : 0;
}

/* ---- Pieces -------------------------------------------------------------- */

static bool same_object_offset(const struct piece *p)
{
	return p->m->offset - p->m->start == p->v->offset - p->v->addr.start;
}

static const char *file_differs(const struct piece *p)
{
	struct msn_identity_saved saved;

	if (!p->v->identity || !p->v->mappable)
		return "file";
	if (msn_identity_inode_id(p->v->identity) != p->m->inode ||
	    msn_identity_save(p->v->identity, &saved) ||
	    saved.as != MSN_SAVED_AS_PATH)
		return "file";
	if (saved.file.size_bytes != p->m->file_size ||
	    saved.file.mtime_ns != p->m->file_mtime_ns)
		return "contents of the file";
	return same_object_offset(p) ? NULL : "offset";
}

/* In what way the mappings of a piece differ, or NULL. */
static const char *what_differs(const struct piece *p)
{
	if (p->m->perms != p->v->perms)
		return "rights";
	if (p->m->max_perms != p->v->max_perms)
		return "rights that may be given";
	if (p->m->shared == p->v->private)
		return "sharing";
	if (strcmp(p->m->name, p->v->name) != 0)
		return "name";
	switch (p->m->kind) {
	case MSN_MAPPING_FILE:
		return file_differs(p);
	case MSN_MAPPING_OBJECT:
		/* Of a process, copies of an object are private memory. */
		if (!p->v->mappable || p->v->private)
			return "kind";
		return same_object_offset(p) ? NULL : "offset";
	default:
		return p->v->mappable ? "kind" : NULL;
	}
}

/* The file under a private mapping, as the process sees it. */
static int open_under(const struct comparer *c, const struct piece *p)
{
	char path[64];
	int fd;

	if (p->m->kind != MSN_MAPPING_FILE || p->m->shared)
		return -1;
	snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64,
		 p->v->addr.start, p->v->addr.end);
	fd = openat(c->target.proc_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0)
		return fd;
	return open(p->m->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static int compare_piece(struct comparer *c, struct piece *p)
{
	const char *what = what_differs(p);
	int rc;

	if (what)
		return mapping_differs(c, MSN_DIFFERENCE_MAPPING, p->addr,
				       p->m->name, what);
	p->extents = &c->m->pages;
	if (p->m->kind == MSN_MAPPING_OBJECT) {
		p->extents = &c->m->objects[p->m->object].pages;
		p->shift = p->m->offset / MSN_PAGE_SIZE -
			   p->m->start / MSN_PAGE_SIZE;
	}
	rc = gather(c, p);
	if (rc)
		return msn_pass(rc);
	msn_auto(msn_closep) int file = open_under(c, p);
	p->file = file;
	return msn_pass(compare_pages(c, p));
}

/* One step of the walk: the piece at *@at, which ends where *@at then is. */
static int step(struct comparer *c, size_t *i, size_t *k, uint64_t *at)
{
	const struct msn_manifest_mapping *m =
		*i < c->m->mapping_count ? &c->m->mappings[*i] : NULL;
	const struct msn_mapping_view *v =
		*k < c->view_count ? &c->views[*k] : NULL;
	uint64_t ms = m && m->start > *at ? m->start : *at;
	uint64_t vs = v && v->addr.start > *at ? v->addr.start : *at;
	struct piece p = { .m = m, .v = v, .file = -1 };
	int rc;

	if (m && (!v || ms < vs)) {
		uint64_t end = v && vs < m->end ? vs : m->end;

		rc = mapping_differs(c, MSN_DIFFERENCE_REMOVED,
				     (struct msn_addr_range){ ms, end },
				     m->name, "");
		*at = end;
	} else if (!m || vs < ms) {
		uint64_t end = m && ms < v->addr.end ? ms : v->addr.end;

		rc = mapping_differs(c, MSN_DIFFERENCE_ADDED,
				     (struct msn_addr_range){ vs, end },
				     v->name, "");
		*at = end;
	} else {
		uint64_t end = m->end < v->addr.end ? m->end : v->addr.end;

		p.addr = (struct msn_addr_range){ ms, end };
		rc = compare_piece(c, &p);
		*at = end;
	}
	*i += m && m->end <= *at;
	*k += v && v->addr.end <= *at;
	return rc;
}

static int walk(struct comparer *c)
{
	size_t i = 0, k = 0;
	uint64_t at = 0;
	int rc = 0;

	while (rc == 0 && (i < c->m->mapping_count || k < c->view_count))
		rc = step(c, &i, &k, &at);
	return rc;
}

/* ---- The whole ----------------------------------------------------------- */

static int add_view(void *ctx, const struct msn_mapping_view *v)
{
	struct comparer *c = ctx;
	int rc = msn_grow((void **)&c->views, &c->view_cap, c->view_count,
			  sizeof(*c->views));

	if (rc == 0)
		c->views[c->view_count++] = *v;
	return msn_pass(rc);
}

static int out_of_memory(const struct comparer *c, int rc)
{
	return msn_failure_errno(c->why, rc, "comparing process %d",
				 c->opts->pid);
}

/* What needs no process. */
static int prepare(struct comparer *c)
{
	struct msn_mm_opts opts = { 0 };
	int rc;

	rc = msn_store_load(c->store, c->opts->uid, &c->m, c->why);
	if (rc == 0)
		rc = msn_reader_new(&c->reader, c->store, c->m, c->why);
	if (rc)
		return msn_pass(rc);
	c->base = msn_alloc_aligned(MSN_PAGE_SIZE, BATCH_BYTES);
	c->then = msn_alloc_aligned(MSN_PAGE_SIZE, BATCH_BYTES);
	c->now = msn_alloc_aligned(MSN_PAGE_SIZE, BATCH_BYTES);
	if (!c->base || !c->then || !c->now)
		return out_of_memory(c, -ENOMEM);
	rc = msn_memfile_new(&c->memfile, &(struct msn_memfile_opts){ 0 });
	if (rc == 0)
		rc = msn_platform_none_new(&opts.as);
	if (rc)
		return out_of_memory(c, rc);
	opts.memfile = c->memfile;
	rc = msn_mm_new(&c->mm, &opts);
	return rc ? out_of_memory(c, rc) : 0;
}

static int stop_and_walk(struct comparer *c)
{
	struct msn_describe_opts opts = { .object_bytes = &c->object_bytes };
	int rc;

	rc = msn_target_stop(&c->target, c->why);
	if (rc)
		return msn_pass(rc);
	opts.memory = msn_procfile_file(c->target.pf);
	rc = msn_describe(&c->target, c->mm, &opts, c->why);
	if (rc)
		return msn_pass(rc);
	/* A dead process has no private pages: that is no answer. */
	if (!msn_tracee_stopped(c->target.tracee))
		return unreadable(c, 0, -ESRCH);
	rc = msn_mm_for_each_mapping(c->mm, add_view, c);
	if (rc)
		return out_of_memory(c, rc);
	rc = walk(c);
	msn_tracee_resume(c->target.tracee);
	c->stats.pause_ns = msn_tracee_pause_ns(c->target.tracee);
	return rc;
}

int msn_capture_compare(struct msn_store *store,
			const struct msn_compare_opts *opts,
			struct msn_compare_stats *stats,
			struct msn_failure *why)
{
	struct comparer c = { .opts = opts, .store = store, .why = why };
	int rc;

	rc = msn_target_open(&c.target, opts->pid, why);
	if (rc)
		return msn_pass(rc);
	rc = prepare(&c);
	if (rc == 0)
		rc = stop_and_walk(&c);
	if (rc == 0 && stats)
		*stats = c.stats;
	msn_mm_free(c.mm);
	msn_memfile_free(c.memfile);
	msn_reader_free(c.reader);
	msn_manifest_free(c.m);
	msn_target_close(&c.target);
	free(c.views);
	free(c.runs);
	free(c.base);
	free(c.then);
	free(c.now);
	return rc;
}
