/*
 * The way of a page into a snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    zero?               -> nothing (or a zero extent over a file's page)
 *    the parent's page?  -> the parent's extent        [sums, then bytes]
 *    one stored before?  -> that one's place           [sums, then bytes]
 *    else                -> the writer
 *
 * A batch looks at the parent once: the sums of all its pages first, and the
 * bytes only of those pages whose sums agree.
 */
#include "save/save_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "digest/digest.h"

#include <errno.h>
#include <string.h>

int msn_save_progress(struct msn_saver *sv, uint64_t bytes)
{
	const struct msn_save_opts *o = sv->opts;

	sv->done_bytes += bytes;
	if (!o->progress)
		return 0;
	if (o->progress(o->progress_ctx, sv->done_bytes, sv->total_bytes))
		return msn_failure_set(sv->why, -ECANCELED,
				       MSN_FAILURE_CANCELLED,
				       "the save was cancelled");
	return 0;
}

static int append(struct msn_page_sink *sink, struct msn_extent e)
{
	int rc = msn_extents_append(sink->out, e);

	return rc ? msn_failure_errno(sink->sv->why, rc, "listing pages") : 0;
}

static int append_place(struct msn_page_sink *sink, uint64_t page,
			struct msn_place place)
{
	sink->sv->m->stats.private_pages++;
	return append(sink, (struct msn_extent){ .page = page,
						 .count = 1,
						 .pack = place.pack,
						 .frame = place.frame,
						 .at = place.at });
}

/* Appends [page, page + count) of the parent's extent @e. */
static int inherit_part(struct msn_page_sink *sink, const struct msn_extent *e,
			uint64_t page, uint64_t count)
{
	struct msn_saver *sv = sink->sv;
	struct msn_extent mine = *e;
	int rc;

	mine.page = page;
	mine.count = (uint32_t)count;
	if (e->pack == MSN_EXTENT_ZERO)
		return append(sink, mine);
	mine.at = e->at + (uint32_t)(page - e->page);
	rc = msn_manifest_pack_index(sv->m, sv->parent->packs[e->pack],
				     &mine.pack);
	if (rc)
		return msn_failure_errno(sv->why, rc, "listing packs");
	sv->m->stats.private_pages += count;
	sv->m->stats.inherited += count;
	return append(sink, mine);
}

int msn_save_inherit(struct msn_page_sink *sink, uint64_t page, uint64_t count)
{
	const struct msn_extents *old = sink->old;
	const struct msn_extent *e = msn_extents_lower(old, page);
	uint64_t end = page + count;

	for (; e && e < old->list + old->count && e->page < end; e++) {
		uint64_t from = e->page > page ? e->page : page;
		uint64_t to =
			e->page + e->count < end ? e->page + e->count : end;
		int rc = inherit_part(sink, e, from, to - from);

		if (rc)
			return msn_pass(rc);
	}
	return msn_save_progress(sink->sv, count * MSN_PAGE_SIZE);
}

uint8_t *msn_save_scratch(struct msn_saver *sv)
{
	if (!sv->scratch)
		sv->scratch = msn_alloc_aligned(
			MSN_PAGE_SIZE, MSN_SAVE_BATCH_PAGES * MSN_PAGE_SIZE);
	return sv->scratch;
}

/* Sums of all pages, and a first guess which are the parent's. */
static int examine(struct msn_save_batch *b)
{
	struct msn_saver *sv = b->sink->sv;

	for (size_t i = 0; i < b->count; i++) {
		uint64_t old_sum;
		int rc;

		b->same[i] = b->twin[i] = false;
		b->zero[i] = msn_page_is_zero(msn_save_batch_page(b, i));
		if (b->zero[i])
			continue;
		b->sum[i] = msn_digest_page(msn_save_batch_page(b, i));
		if (!b->sink->old)
			continue;
		rc = msn_reader_sum(sv->reader, b->sink->old, b->page + i,
				    &old_sum, sv->why);
		if (rc < 0)
			return msn_pass(rc);
		b->same[i] = rc == 0 && old_sum == b->sum[i];
	}
	return 0;
}

/* The bytes decide: clears what only seemed to be the parent's. */
static int compare_with_parent(struct msn_save_batch *b)
{
	struct msn_saver *sv = b->sink->sv;
	for (size_t i = 0; i < b->count; i++) {
		size_t run = 0;
		uint8_t *old;
		int rc;

		while (i + run < b->count && b->same[i + run])
			run++;
		if (run == 0)
			continue;
		old = msn_save_scratch(sv);
		if (!old)
			return msn_failure_errno(sv->why, -ENOMEM,
						 "comparing with the parent");
		rc = msn_reader_read(sv->reader, b->sink->old, b->page + i, run,
				     old, sv->why);
		if (rc)
			return msn_pass(rc);
		for (size_t k = 0; k < run; k++)
			b->same[i + k] = memcmp(old + k * MSN_PAGE_SIZE,
						msn_save_batch_page(b, i + k),
						MSN_PAGE_SIZE) == 0;
		i += run - 1;
	}
	return 0;
}

static int store_page(struct msn_save_batch *b, size_t i)
{
	struct msn_saver *sv = b->sink->sv;
	struct msn_place place;
	int rc;

	if (!b->twin[i])
		msn_save_find_twin_inside(b, i);
	if (b->twin[i]) {
		sv->m->stats.deduped++;
		return append_place(b->sink, b->page + i, b->place[i]);
	}
	rc = msn_writer_add(sv->writer, msn_save_batch_page(b, i), b->sum[i],
			    &place, sv->why);
	if (rc)
		return msn_pass(rc);
	sv->m->stats.stored++;
	if (sv->dedup && b->origin.file)
		msn_dedup_add(
			sv->dedup, b->sum[i],
			&(struct msn_dedup_entry){ .file = b->origin.file,
						   .offset = b->origin.offset +
							     i * MSN_PAGE_SIZE,
						   .place = place });
	return append_place(b->sink, b->page + i, place);
}

static int take_page(struct msn_save_batch *b, size_t i)
{
	struct msn_page_sink *sink = b->sink;

	if (b->zero[i]) {
		sink->sv->m->stats.zero++;
		return sink->keep_zero
			       ? append(sink,
					(struct msn_extent){
						.page = b->page + i,
						.count = 1,
						.pack = MSN_EXTENT_ZERO })
			       : 0;
	}
	if (b->same[i])
		return inherit_part(sink,
				    msn_extents_lower(sink->old, b->page + i),
				    b->page + i, 1);
	return msn_pass(store_page(b, i));
}

static int save_batch(struct msn_save_batch *b)
{
	int rc = examine(b);

	if (rc == 0 && b->sink->old)
		rc = compare_with_parent(b);
	if (rc == 0 && b->sink->sv->dedup)
		msn_save_find_twins(b);
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		rc = take_page(b, i);
	return rc ? msn_pass(rc)
		  : msn_save_progress(b->sink->sv, b->count * MSN_PAGE_SIZE);
}

int msn_save_pages(struct msn_page_sink *sink, uint64_t page, size_t count,
		   const uint8_t *bytes, struct msn_page_origin origin)
{
	struct msn_save_batch b; /* examine() sets what is looked at */

	b.sink = sink;
	b.page = page;
	b.bytes = bytes;
	b.origin = origin;

	while (count > 0) {
		int rc;

		b.count = count < MSN_SAVE_BATCH_PAGES ? count
						       : MSN_SAVE_BATCH_PAGES;
		rc = save_batch(&b);
		if (rc)
			return msn_pass(rc);
		b.page += b.count;
		b.bytes += b.count * MSN_PAGE_SIZE;
		b.origin.offset += b.count * MSN_PAGE_SIZE;
		count -= b.count;
	}
	return 0;
}
