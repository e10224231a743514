/*
 * Twins: pages that equal one which this save has stored already.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The dedup table knows by checksum where an equal page may be; its bytes
 * decide.  Bytes that this process has mapped are compared where they are.
 * Those that it has to copy, from another process, are fetched by one call for
 * the whole batch.
 */
#include "base/alloc.h"
#include "save/save_internal.h"

#include <string.h>

/* Reads that one batch asks for. */
struct twins {
	struct msn_file *file;
	struct msn_file_io io[MSN_SAVE_BATCH_PAGES];
	size_t index[MSN_SAVE_BATCH_PAGES]; /* of the page that asks */
	size_t count;
};

static bool equal(const void *a, const void *b)
{
	return memcmp(a, b, MSN_PAGE_SIZE) == 0;
}

/* Compares with a page that is mapped; false if it has to be read. */
static bool compare_mapped(struct msn_save_batch *b, size_t i,
			   const struct msn_dedup_entry *e)
{
	struct msn_file_range r = { e->offset, e->offset + MSN_PAGE_SIZE };
	struct msn_spans spans;

	if (msn_file_map_internal(e->file, r, MSN_ACCESS_READ, &spans) != 0)
		return false;
	b->twin[i] = equal(spans.span[0].data, msn_save_batch_page(b, i));
	return true;
}

static void ask(struct twins *t, struct msn_save_batch *b, size_t i,
		const struct msn_dedup_entry *e)
{
	uint8_t *scratch = msn_save_scratch(b->sink->sv);

	/* Without memory, or for a second file: stored once more instead. */
	if (!scratch || (t->count > 0 && t->file != e->file))
		return;
	t->file = e->file;
	t->index[t->count] = i;
	t->io[t->count] = (struct msn_file_io){
		e->offset, scratch + t->count * MSN_PAGE_SIZE, MSN_PAGE_SIZE
	};
	t->count++;
}

void msn_save_find_twins(struct msn_save_batch *b)
{
	struct twins t;

	t.count = 0;
	for (size_t i = 0; i < b->count; i++) {
		const struct msn_dedup_entry *e;

		if (b->zero[i] || b->same[i])
			continue;
		e = msn_dedup_find(b->sink->sv->dedup, b->sum[i]);
		if (!e)
			continue;
		b->place[i] = e->place;
		if (!compare_mapped(b, i, e))
			ask(&t, b, i, e);
	}
	if (t.count == 0 ||
	    msn_file_buffer_read_batch(t.file, t.io, t.count) != 0)
		return;
	for (size_t k = 0; k < t.count; k++)
		b->twin[t.index[k]] =
			equal(t.io[k].buf, msn_save_batch_page(b, t.index[k]));
}

void msn_save_find_twin_inside(struct msn_save_batch *b, size_t i)
{
	const struct msn_dedup *d = b->sink->sv->dedup;
	const struct msn_dedup_entry *e =
		d ? msn_dedup_find(d, b->sum[i]) : NULL;
	uint64_t first = b->origin.offset;

	if (!e || e->file != b->origin.file || e->offset < first ||
	    e->offset >= first + i * MSN_PAGE_SIZE)
		return;
	b->place[i] = e->place;
	b->twin[i] = equal(b->bytes + (e->offset - first),
			   msn_save_batch_page(b, i));
}
