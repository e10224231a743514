/*
 * Frame writer.  See frame_writer.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    pack     | header | frame | frame | frame | frame | frame | ...
 *                      '---------- stage ------'-- stage ...
 *
 * Three nested things are open at most: a pack, a stage that holds the next
 * pages of that pack, and a frame in that stage.  A stage never holds pages of
 * two packs; a frame never crosses a stage.
 *
 * Life of a stage:  free -> open [stage_open] -> in flight [stage_write]
 *                   -> free [stage_written]
 * Life of a pack:   open [pack_take] -> full [pack_close] -> syncing, once no
 *                   write is in flight [pack_settle] -> gone [pack_synced]
 */
#include "pack/frame_writer.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/limits.h"
#include "digest/digest.h"
#include "range/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STAGE_BYTES (MSN_FRAME_STAGE_PAGES * MSN_PAGE_SIZE)

struct fw_pack {
	struct msn_aio_req sync;
	struct msn_frame_writer *fw;
	struct msn_pack_slot slot; /* slot.next: where the next page goes */
	unsigned writes;	   /* in flight */
	bool full;
};

struct fw_stage {
	struct msn_aio_req req;
	struct fw_pack *pack;
	uint8_t *buf;
	uint32_t first, used; /* pages */
	bool busy;	      /* open or in flight */
};

struct msn_frame_writer {
	struct msn_frame_writer_opts opts;
	uint8_t *memory;  /* of all stages */
	unsigned written; /* stages, until the memory is registered */
	struct fw_stage stages[MSN_FRAME_STAGES];
	struct fw_pack *pack;	      /* open, or NULL */
	struct fw_stage *stage;	      /* open, or NULL */
	struct msn_frame_header head; /* of the open frame; count 0: none */
	unsigned capacity;	      /* of the open frame */
	uint64_t sequence;
	struct msn_pack_fill *fills;
	size_t fill_count, fill_cap;
	unsigned pack_count; /* that are not gone */
	int failed;	     /* first failure: a negated errno */
	uint64_t failed_pack;
	bool io_failed;
};

static int fail(struct msn_frame_writer *fw, struct msn_failure *why)
{
	if (!fw->io_failed)
		return msn_failure_errno(why, fw->failed,
					 "could not write to "
					 "store %s",
					 fw->opts.where);
	return msn_failure_errno(why, fw->failed,
				 "could not write pack %016" PRIx64
				 " of store %s",
				 fw->failed_pack, fw->opts.where);
}

static void note_io(struct msn_frame_writer *fw, const struct fw_pack *p,
		    int rc)
{
	if (fw->failed == 0) {
		fw->failed = rc;
		fw->failed_pack = p->slot.id;
		fw->io_failed = true;
	}
}

static void pack_drop(struct fw_pack *p)
{
	p->fw->pack_count--;
	msn_close(p->slot.fd);
	free(p);
}

static void pack_synced(struct msn_aio_req *req)
{
	struct fw_pack *p = msn_container_of(req, struct fw_pack, sync);

	if (req->result < 0)
		note_io(p->fw, p, (int)req->result);
	pack_drop(p);
}

/* A failed write is not followed by a sync: it could report success. */
static void pack_settle(struct fw_pack *p)
{
	if (!p->full || p->writes)
		return;
	if (p->fw->failed) {
		pack_drop(p);
		return;
	}
	p->sync = (struct msn_aio_req){ .op = MSN_AIO_FDATASYNC,
					.fd = p->slot.fd,
					.done = pack_synced };
	msn_aio_queue(p->fw->opts.aio, &p->sync);
}

static void stage_written(struct msn_aio_req *req)
{
	struct fw_stage *s = msn_container_of(req, struct fw_stage, req);
	struct fw_pack *p = s->pack;

	if (req->result < 0)
		note_io(p->fw, p, (int)req->result);
	s->busy = false;
	p->writes--;
	pack_settle(p);
}

static void stage_write(struct msn_frame_writer *fw)
{
	struct fw_stage *s = msn_steal(fw->stage);

	if (!s)
		return;
	s->req.op = MSN_AIO_WRITE;
	s->req.fd = s->pack->slot.fd;
	s->req.buf = s->buf;
	s->req.len = s->used * MSN_PAGE_SIZE;
	s->req.offset = s->first * MSN_PAGE_SIZE;
	s->req.done = stage_written;
	s->pack->writes++;
	msn_aio_queue(fw->opts.aio, &s->req);
}

/*
 * To register 8 MiB means to make all its pages, 2 ms: more than a small save
 * takes in all.  So it is done when a save has used them once.  A failure only
 * means that requests go on without.
 */
static void memory_register(struct msn_frame_writer *fw)
{
	struct iovec memory = { fw->memory, MSN_FRAME_STAGES * STAGE_BYTES };

	if (++fw->written != MSN_FRAME_STAGES + 1)
		return;
	msn_aio_drain(fw->opts.aio);
	if (msn_aio_register(fw->opts.aio, &memory, 1))
		return;
	for (size_t i = 0; i < MSN_FRAME_STAGES; i++)
		fw->stages[i].req.buf_index = 1;
}

static void stage_open(struct msn_frame_writer *fw)
{
	struct fw_stage *s = NULL;

	memory_register(fw);

	while (!s) {
		for (size_t i = 0; !s && i < MSN_FRAME_STAGES; i++)
			if (!fw->stages[i].busy)
				s = &fw->stages[i];
		if (!s)
			msn_assert(msn_aio_wait(fw->opts.aio));
	}
	s->busy = true;
	s->pack = fw->pack;
	s->first = fw->pack->slot.next;
	s->used = 0;
	fw->stage = s;
}

static void frame_close(struct msn_frame_writer *fw)
{
	struct msn_frame_header *h = &fw->head;
	struct fw_stage *s = fw->stage;

	if (h->count == 0)
		return;
	msn_frame_header_encode(h, s->buf + s->used * MSN_PAGE_SIZE);
	s->used += 1 + h->count;
	fw->pack->slot.next += 1 + h->count;
	h->count = 0;
}

static void pack_close(struct msn_frame_writer *fw)
{
	struct fw_pack *p = fw->pack;

	if (!p)
		return;
	frame_close(fw);
	stage_write(fw);
	fw->fills[fw->fill_count - 1].pages = p->slot.next;
	fw->pack = NULL;
	p->full = true;
	pack_settle(p);
}

/* Room for a frame of one page? */
static bool pack_has_room(const struct fw_pack *p)
{
	return p && p->slot.next + 2 <= MSN_PACK_PAGES;
}

static int pack_take(struct msn_frame_writer *fw, struct msn_failure *why)
{
	msn_auto(msn_freep) struct fw_pack *p = msn_alloc(sizeof(*p));
	int rc;

	if (!p)
		return msn_fail(-ENOMEM);
	rc = msn_grow((void **)&fw->fills, &fw->fill_cap, fw->fill_count,
		      sizeof(*fw->fills));
	if (rc)
		return msn_pass(rc);
	rc = fw->opts.supply->next(fw->opts.supply, &p->slot, why);
	if (rc)
		return msn_pass(rc);
	msn_assert(pack_has_room(p));
	fw->fills[fw->fill_count++] =
		(struct msn_pack_fill){ p->slot.id, p->slot.generation,
					p->slot.next };
	p->fw = fw;
	fw->pack_count++;
	fw->pack = msn_steal(p);
	return 0;
}

static int frame_open(struct msn_frame_writer *fw, enum msn_frame_kind kind,
		      struct msn_failure *why)
{
	struct msn_frame_header *h = &fw->head;
	uint32_t stage_room, pack_room;
	int rc = 0;

	if (!pack_has_room(fw->pack)) {
		pack_close(fw);
		rc = pack_take(fw, why);
	}
	if (rc) {
		fw->failed = rc;
		return msn_pass(rc);
	}
	if (fw->stage && fw->stage->used + 2 > MSN_FRAME_STAGE_PAGES)
		stage_write(fw);
	if (!fw->stage)
		stage_open(fw);

	stage_room = MSN_FRAME_STAGE_PAGES - fw->stage->used - 1;
	pack_room = MSN_PACK_PAGES - fw->pack->slot.next - 1;
	fw->capacity = MSN_FRAME_PAGES_MAX;
	if (fw->capacity > stage_room)
		fw->capacity = stage_room;
	if (fw->capacity > pack_room)
		fw->capacity = pack_room;
	h->kind = kind;
	h->page = fw->pack->slot.next;
	h->pack_id = fw->pack->slot.id;
	h->generation = fw->pack->slot.generation;
	h->sequence = fw->sequence++;
	return 0;
}

/* Copies @len bytes into the next page of a frame of @kind. */
static int add(struct msn_frame_writer *fw, enum msn_frame_kind kind,
	       const void *bytes, size_t len, struct msn_frame_place *out,
	       struct msn_failure *why)
{
	struct msn_frame_header *h = &fw->head;
	uint8_t *to;
	int rc;

	if (fw->failed)
		return fail(fw, why);
	if (h->count == 0 || h->count == fw->capacity || h->kind != kind) {
		frame_close(fw);
		rc = frame_open(fw, kind, why);
		if (rc)
			return fail(fw, why);
	}
	to = fw->stage->buf + (fw->stage->used + 1 + h->count) * MSN_PAGE_SIZE;
	memcpy(to, bytes, len);
	memset(to + len, 0, MSN_PAGE_SIZE - len);
	out->pack_id = h->pack_id;
	out->generation = h->generation;
	out->frame = h->page;
	out->at = h->page + 1 + h->count;
	h->sums[h->count++] =
		kind == MSN_FRAME_MANIFEST ? msn_digest_page(to) : 0;
	return 0;
}

int msn_frame_writer_new(struct msn_frame_writer **out,
			 const struct msn_frame_writer_opts *opts,
			 struct msn_failure *why)
{
	msn_auto(msn_frame_writer_freep) struct msn_frame_writer *fw = NULL;

	fw = msn_alloc(sizeof(*fw));
	if (!fw)
		return msn_failure_errno(why, -ENOMEM, "could not write to %s",
					 opts->where);
	fw->opts = *opts;
	fw->head.snapshot = opts->snapshot;
	fw->memory = msn_alloc_aligned(MSN_PAGE_SIZE,
				       MSN_FRAME_STAGES * STAGE_BYTES);
	if (!fw->memory)
		return msn_failure_errno(why, -ENOMEM, "could not write to %s",
					 opts->where);
	for (size_t i = 0; i < MSN_FRAME_STAGES; i++)
		fw->stages[i].buf = fw->memory + i * STAGE_BYTES;
	*out = msn_steal(fw);
	return 0;
}

struct msn_frame_writer *msn_frame_writer_free(struct msn_frame_writer *fw)
{
	if (!fw)
		return NULL;
	if (fw->failed == 0)
		fw->failed = -ECANCELED; /* no sync for what nobody wants */
	if (fw->pack) {
		fw->head.count = 0;
		fw->stage = NULL;
		pack_close(fw);
	}
	msn_aio_drain(fw->opts.aio);
	msn_assert(fw->pack_count == 0);
	/* Ends the registration; without one there is nothing to fail. */
	msn_assert(msn_aio_register(fw->opts.aio, NULL, 0) == 0);
	free(fw->memory);
	free(fw->fills);
	free(fw);
	return NULL;
}

int msn_frame_writer_add(struct msn_frame_writer *fw, const void *page,
			 uint64_t sum, struct msn_frame_place *out,
			 struct msn_failure *why)
{
	int rc = add(fw, MSN_FRAME_PAGES, page, MSN_PAGE_SIZE, out, why);

	if (rc)
		return msn_pass(rc);
	fw->head.sums[fw->head.count - 1] = sum;
	return 0;
}

/* Takes the frame of @place into the list of runs. */
static bool run_extend(struct msn_frame_run *runs, unsigned *count,
		       const struct msn_frame_place *place)
{
	struct msn_frame_run *last = *count ? &runs[*count - 1] : NULL;

	if (!last || last->pack_id != place->pack_id ||
	    last->first + last->pages < place->frame) {
		if (*count == MSN_FRAME_RUNS_MAX)
			return false;
		last = &runs[(*count)++];
		*last = (struct msn_frame_run){ place->pack_id,
						place->generation, place->frame,
						0 };
	}
	last->pages = place->at + 1 - last->first;
	return true;
}

int msn_frame_writer_manifest(struct msn_frame_writer *fw, const uint8_t *bytes,
			      size_t len, struct msn_frame_run *runs,
			      unsigned *run_count, struct msn_failure *why)
{
	struct msn_frame_place place;
	int rc;

	msn_assert(len > 0 && len <= MSN_MANIFEST_BYTES_MAX);
	*run_count = 0;
	if (!fw->failed)
		frame_close(fw);
	fw->head.manifest_bytes = len;
	fw->head.manifest_sum = msn_digest_bytes(bytes, len);
	for (size_t at = 0; at < len; at += MSN_PAGE_SIZE) {
		size_t n = len - at < MSN_PAGE_SIZE ? len - at : MSN_PAGE_SIZE;

		rc = add(fw, MSN_FRAME_MANIFEST, bytes + at, n, &place, why);
		if (rc)
			return msn_pass(rc);
		msn_assert(run_extend(runs, run_count, &place));
	}
	frame_close(fw);
	fw->head.manifest_bytes = 0;
	fw->head.manifest_sum = 0;
	return 0;
}

int msn_frame_writer_finish(struct msn_frame_writer *fw,
			    struct msn_failure *why)
{
	if (fw->failed)
		return fail(fw, why);
	pack_close(fw);
	msn_aio_drain(fw->opts.aio);
	if (fw->failed)
		return fail(fw, why);
	msn_assert(fw->pack_count == 0);
	return 0;
}

const struct msn_pack_fill *
msn_frame_writer_fills(const struct msn_frame_writer *fw, size_t *count)
{
	*count = fw->fill_count;
	return fw->fills;
}

bool msn_frame_writer_io_failed(const struct msn_frame_writer *fw)
{
	return fw->io_failed;
}
