/*
 * Frame reader.  See frame_reader.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A run is a stretch of one pack that serves a stretch of the snapshot:
 *
 *    snapshot   ...|  A  |  B  | zero | C |...       pages [page, stop)
 *    pack       | h | A      A | h | B   B | x | C |  pages [first, end)
 *
 * It is read in one request, headers (h) and small gaps (x) included.  When it
 * is there, the same extents are walked again to verify and hand out the
 * pieces; so a run needs no list of them.
 */
#include "pack/frame_reader.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/limits.h"
#include "digest/digest.h"
#include "pack/frame_cache.h"
#include "range/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Staging memory is handed out in chunks of one frame.  It is not registered
 * with the kernel: to make all its pages first takes longer than many a read.
 */
#define CHUNK_COUNT 32
#define CHUNK_PAGES 64
#define CHUNK_BYTES (CHUNK_PAGES * MSN_PAGE_SIZE)

#define RUN_PAGES_MAX 256

/* Reading a page that nobody wants is cheaper than another request. */
#define GAP_PAGES_MAX 8

struct fr_run {
	struct msn_aio_req req;
	struct msn_frame_reader *r;
	unsigned chunks; /* which of them it has, as bits */
	uint32_t pack, first, end;
	const struct msn_extent *e;
	uint64_t page, stop;
};

struct msn_frame_reader {
	struct msn_frame_reader_opts opts;
	struct msn_aio *aio;
	struct msn_frame_cache *cache;
	uint8_t *memory;
	uint32_t taken;			 /* chunks, as bits */
	struct fr_run runs[CHUNK_COUNT]; /* by first chunk */

	/* Of the read under way. */
	uint64_t base; /* page that stands at @dst */
	uint8_t *dst;
	struct msn_failure *why;
	int failed;
};

/* A part of an extent that a read wants. */
struct piece {
	uint64_t page, stop;
	uint32_t at, end; /* pages of the pack */
};

static struct piece piece_of(const struct msn_extent *e, uint64_t page,
			     uint64_t stop)
{
	struct piece p = { e->page, e->page + e->count, 0, 0 };

	if (p.page < page)
		p.page = page;
	if (p.stop > stop)
		p.stop = stop;
	p.at = e->at + (uint32_t)(p.page - e->page);
	p.end = p.at + (uint32_t)(p.stop - p.page);
	return p;
}

static int damaged(struct msn_frame_reader *r, uint32_t pack, uint32_t page,
		   const char *what)
{
	char uid[MSN_UID_TEXT];

	msn_uid_format(r->opts.snapshot, uid);
	return msn_failure_set(r->why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
			       "snapshot %s is damaged: page %" PRIu32
			       " of pack %016" PRIx64 " of store %s: %s",
			       uid, page, r->opts.packs[pack].id, r->opts.where,
			       what);
}

static int unreadable(struct msn_frame_reader *r, uint32_t pack, int rc)
{
	return msn_failure_errno(
		r->why, rc, "could not read pack %016" PRIx64 " of store %s",
		r->opts.packs[pack].id, r->opts.where);
}

/* Is this page the header that stands there?  Then it goes into the cache. */
static int header_accept(struct msn_frame_reader *r, uint32_t pack,
			 uint32_t frame, const uint8_t *page,
			 const struct msn_frame_header **out)
{
	const struct msn_frame_pack *p = &r->opts.packs[pack];
	struct msn_frame_header h;
	int rc = msn_frame_header_decode(&h, page);

	if (rc == MSN_PACK_E_NEWER)
		return msn_failure_set(r->why, -EOPNOTSUPP,
				       MSN_FAILURE_UNSUPPORTED,
				       "pack %016" PRIx64 " of store %s was "
				       "written by a newer program",
				       p->id, r->opts.where);
	if (rc)
		return damaged(r, pack, frame, "it is no frame header");
	if (h.kind != MSN_FRAME_PAGES || h.page != frame ||
	    h.pack_id != p->id || h.generation != p->generation)
		return damaged(r, pack, frame,
			       "the header of another frame stands there");
	*out = msn_frame_cache_put(r->cache, pack, frame, &h);
	return 0;
}

/* The header of a frame, wherever it can be had. */
static int header_get(struct msn_frame_reader *r, const struct fr_run *run,
		      uint32_t pack, uint32_t frame,
		      const struct msn_frame_header **out)
{
	_Alignas(4096) uint8_t page[MSN_PAGE_SIZE];
	ssize_t n;

	*out = msn_frame_cache_find(r->cache, pack, frame);
	if (*out)
		return 0;
	if (run && run->first <= frame && frame < run->end)
		return msn_pass(header_accept(r, pack, frame,
					      (uint8_t *)run->req.buf +
						      (frame - run->first) *
							      MSN_PAGE_SIZE,
					      out));
	n = msn_pread_full(r->opts.packs[pack].fd, page, sizeof(page),
			   frame * MSN_PAGE_SIZE);
	if (n < 0)
		return unreadable(r, pack, (int)n);
	if (n != (ssize_t)sizeof(page))
		return damaged(r, pack, frame, "the file ends before it");
	return msn_pass(header_accept(r, pack, frame, page, out));
}

/* Verifies one piece of a run that has been read, and hands it out. */
static int piece_finish(struct msn_frame_reader *r, const struct fr_run *run,
			const struct msn_extent *e)
{
	struct piece p = piece_of(e, run->page, run->stop);
	const struct msn_frame_header *h = NULL;
	const uint8_t *from =
		(uint8_t *)run->req.buf + (p.at - run->first) * MSN_PAGE_SIZE;
	int rc = header_get(r, run, e->pack, e->frame, &h);

	if (rc)
		return msn_pass(rc);
	if (p.end - e->frame - 1 > h->count)
		return damaged(r, e->pack, p.at, "its frame is shorter");
	for (uint32_t at = p.at; at < p.end; at++) {
		if (msn_digest_page(from) != h->sums[at - e->frame - 1])
			return damaged(r, e->pack, at,
				       "its checksum does not fit");
		memcpy(r->dst + (p.page - r->base) * MSN_PAGE_SIZE, from,
		       MSN_PAGE_SIZE);
		from += MSN_PAGE_SIZE;
		p.page++;
	}
	return 0;
}

static int run_finish(struct msn_frame_reader *r, const struct fr_run *run)
{
	const struct msn_extent *e = run->e;
	int rc = 0;

	if (run->req.result < 0)
		return unreadable(r, run->pack, (int)run->req.result);
	if ((size_t)run->req.result != run->req.len)
		return damaged(r, run->pack, run->first,
			       "the file is too "
			       "short");
	for (; rc == 0; e++) {
		if (e->pack != MSN_EXTENT_ZERO)
			rc = piece_finish(r, run, e);
		if (e->page + e->count >= run->stop)
			break;
	}
	return msn_pass(rc);
}

static void run_done(struct msn_aio_req *req)
{
	struct fr_run *run = msn_container_of(req, struct fr_run, req);
	struct msn_frame_reader *r = run->r;

	if (r->failed == 0)
		r->failed = run_finish(r, run);
	r->taken &= ~run->chunks;
}

/* First of @count free chunks in a row, or CHUNK_COUNT. */
static unsigned chunks_find(uint32_t taken, unsigned count)
{
	uint32_t mask = (UINT32_C(1) << count) - 1;

	for (unsigned i = 0; i + count <= CHUNK_COUNT; i++)
		if ((taken >> i & mask) == 0)
			return i;
	return CHUNK_COUNT;
}

static void run_start(struct msn_frame_reader *r, const struct fr_run *plan)
{
	uint32_t pages = plan->end - plan->first;
	unsigned count = (pages + CHUNK_PAGES - 1) / CHUNK_PAGES;
	unsigned at = chunks_find(r->taken, count);
	struct fr_run *run;

	while (at == CHUNK_COUNT) {
		msn_assert(msn_aio_wait(r->aio));
		at = chunks_find(r->taken, count);
	}
	run = &r->runs[at];
	*run = *plan;
	run->r = r;
	run->chunks = ((UINT32_C(1) << count) - 1) << at;
	run->req = (struct msn_aio_req){
		.op = MSN_AIO_READ,
		.fd = r->opts.packs[plan->pack].fd,
		.buf = r->memory + at * CHUNK_BYTES,
		.len = pages * MSN_PAGE_SIZE,
		.offset = plan->first * MSN_PAGE_SIZE,
		.done = run_done,
	};
	r->taken |= run->chunks;
	msn_aio_queue(r->aio, &run->req);
}

/* Can @p be had with @run, perhaps a longer one? */
static bool run_takes(struct fr_run *run, const struct msn_extent *e,
		      const struct piece *p, uint32_t need)
{
	if (!run->e || run->pack != e->pack || need < run->first ||
	    need > run->end + GAP_PAGES_MAX ||
	    p->end > run->first + RUN_PAGES_MAX)
		return false;
	if (p->end > run->end)
		run->end = p->end;
	run->stop = p->stop;
	return true;
}

static void piece_plan(struct msn_frame_reader *r, struct fr_run *run,
		       const struct msn_extent *e, const struct piece *p)
{
	bool known = msn_frame_cache_find(r->cache, e->pack, e->frame);
	uint32_t need = known ? p->at : e->frame;

	if (run_takes(run, e, p, need))
		return;
	if (run->e)
		run_start(r, run);
	*run = (struct fr_run){ .pack = e->pack,
				.first = need,
				.end = p->end,
				.e = e,
				.page = p->page,
				.stop = p->stop };
}

int msn_frame_reader_read(struct msn_frame_reader *r,
			  const struct msn_extents *extents, uint64_t page,
			  uint64_t count, void *dst, struct msn_failure *why)
{
	const struct msn_extent *e = msn_extents_lower(extents, page);
	const struct msn_extent *end = extents->list + extents->count;
	struct fr_run run = { 0 };

	r->base = page;
	r->dst = dst;
	r->why = why;
	r->failed = 0;
	for (; e && e < end && e->page < page + count && !r->failed; e++) {
		struct piece p = piece_of(e, page, page + count);

		if (e->pack != MSN_EXTENT_ZERO) {
			msn_assert(e->pack < r->opts.pack_count);
			piece_plan(r, &run, e, &p);
		}
	}
	if (run.e && !r->failed)
		run_start(r, &run);
	msn_aio_drain(r->aio);
	return msn_pass(r->failed);
}

int msn_frame_reader_sum(struct msn_frame_reader *r, const struct msn_extent *e,
			 uint64_t page, uint64_t *sum, struct msn_failure *why)
{
	const struct msn_frame_header *h = NULL;
	struct piece p = piece_of(e, page, page + 1);
	int rc;

	msn_assert(e->page <= page && page < e->page + e->count);
	r->why = why;
	rc = header_get(r, NULL, e->pack, e->frame, &h);
	if (rc)
		return msn_pass(rc);
	if (p.end - e->frame - 1 > h->count)
		return damaged(r, e->pack, p.at, "its frame is shorter");
	*sum = h->sums[p.at - e->frame - 1];
	return 0;
}

static int reader_init(struct msn_frame_reader *r)
{
	int rc;

	rc = msn_frame_cache_new(&r->cache);
	if (rc)
		return msn_pass(rc);
	r->memory = msn_alloc_aligned(MSN_PAGE_SIZE, CHUNK_COUNT * CHUNK_BYTES);
	if (!r->memory)
		return msn_fail(-ENOMEM);
	rc = msn_aio_new(&r->aio,
			 &(struct msn_aio_opts){ .method = r->opts.aio,
						 .depth = CHUNK_COUNT });
	return msn_pass(rc);
}

int msn_frame_reader_new(struct msn_frame_reader **out,
			 const struct msn_frame_reader_opts *opts,
			 struct msn_failure *why)
{
	msn_auto(msn_frame_reader_freep) struct msn_frame_reader *r = NULL;
	int rc;

	r = msn_alloc(sizeof(*r));
	if (!r)
		return msn_failure_errno(why, -ENOMEM, "could not read from %s",
					 opts->where);
	r->opts = *opts;
	rc = reader_init(r);
	if (rc)
		return msn_failure_errno(why, rc, "could not read from %s",
					 opts->where);
	*out = msn_steal(r);
	return 0;
}

struct msn_frame_reader *msn_frame_reader_free(struct msn_frame_reader *r)
{
	if (!r)
		return NULL;
	msn_aio_free(r->aio);
	msn_frame_cache_free(r->cache);
	free(r->memory);
	free(r);
	return NULL;
}

/* A manifest being put together. */
struct gather {
	const struct msn_frame_manifest *m;
	uint8_t *stage; /* one frame */
	uint8_t *bytes;
	uint64_t got;
};

/* Takes the frame that stands in the stage; tells its pages. */
static int gather_frame(struct gather *g, const struct msn_frame_run *run,
			uint32_t at, uint32_t *pages)
{
	const uint8_t *from = g->stage + MSN_PAGE_SIZE;
	struct msn_frame_header h;
	int rc = msn_frame_header_decode(&h, g->stage);

	if (rc == MSN_PACK_E_NEWER)
		return msn_fail(-EOPNOTSUPP);
	if (rc || h.kind != MSN_FRAME_MANIFEST || h.page != at ||
	    h.pack_id != run->pack_id || h.generation != run->generation ||
	    !msn_uid_equal(h.snapshot, g->m->snapshot) ||
	    h.count + 1 > run->first + run->pages - at)
		return msn_fail(-EBADMSG);
	for (unsigned i = 0; i < h.count; i++, from += MSN_PAGE_SIZE) {
		uint64_t n = g->m->bytes - g->got;

		if (n == 0 || msn_digest_page(from) != h.sums[i])
			return msn_fail(-EBADMSG);
		if (n > MSN_PAGE_SIZE)
			n = MSN_PAGE_SIZE;
		memcpy(g->bytes + g->got, from, n);
		g->got += n;
	}
	*pages = h.count + 1;
	return 0;
}

static int gather_run(struct gather *g, const struct msn_frame_run *run, int fd)
{
	uint32_t end = run->first + run->pages;

	for (uint32_t at = run->first; at < end;) {
		uint32_t pages = end - at;
		ssize_t n;
		int rc;

		if (pages > CHUNK_PAGES)
			pages = CHUNK_PAGES;
		n = msn_pread_full(fd, g->stage, pages * MSN_PAGE_SIZE,
				   at * MSN_PAGE_SIZE);
		if (n < 0)
			return msn_pass((int)n);
		if ((size_t)n != pages * MSN_PAGE_SIZE)
			return msn_fail(-EBADMSG);
		rc = gather_frame(g, run, at, &pages);
		if (rc)
			return msn_pass(rc);
		at += pages;
	}
	return 0;
}

int msn_frame_manifest_read(const struct msn_frame_manifest *m, uint8_t **out)
{
	msn_auto(msn_freep) uint8_t *stage = NULL;
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	struct gather g = { .m = m };
	int rc = 0;

	msn_assert(m->bytes > 0 && m->bytes <= MSN_MANIFEST_BYTES_MAX);
	stage = msn_alloc_aligned(MSN_PAGE_SIZE, CHUNK_BYTES);
	bytes = msn_alloc(m->bytes);
	if (!stage || !bytes)
		return msn_fail(-ENOMEM);
	g.stage = stage;
	g.bytes = bytes;
	for (unsigned i = 0; rc == 0 && i < m->run_count; i++)
		rc = gather_run(&g, &m->runs[i], m->fds[i]);
	if (rc)
		return msn_pass(rc);
	if (g.got != m->bytes || msn_digest_bytes(bytes, m->bytes) != m->sum)
		return msn_fail(-EBADMSG);
	*out = msn_steal(bytes);
	return 0;
}
