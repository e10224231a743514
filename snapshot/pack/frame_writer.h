/*
 * Frame writer: pages in, whole frames on disk.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pages are copied into staging buffers of 1 MiB (four full frames); a full
 * buffer is written while the next ones are filled.  Packs come from a supply,
 * which the layer above provides; a pack that is full is synced as soon as its
 * last write is done.
 *
 *    struct msn_frame_writer *fw;
 *
 *    msn_frame_writer_new(&fw, &opts, &why);
 *    msn_frame_writer_add(fw, page, sum, &place, &why);	each page
 *    msn_frame_writer_finish(fw, &why);			all on disk
 *
 * After a failure every later call fails the same way.
 * Memory: MSN_FRAME_STAGES staging buffers.
 */
#ifndef MSN_PACK_FRAME_WRITER_H
#define MSN_PACK_FRAME_WRITER_H

#include "aio/aio.h"
#include "base/cleanup.h"
#include "base/failure.h"
#include "pack/pack_format.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Of 1 MiB each.  Two in flight fill the disks measured; eight also cover a
 * caller who pauses to look at memory, and a sync.
 */
#define MSN_FRAME_STAGES 8
#define MSN_FRAME_STAGE_PAGES 256

struct msn_frame_writer;

/* A pack to write to. */
struct msn_pack_slot {
	int fd; /* the writer closes it */
	uint64_t id, generation;
	uint32_t next; /* first page that is free */
};

/* Where packs come from. */
struct msn_pack_supply {
	/* Gives the next pack, with room for at least one frame. */
	int (*next)(struct msn_pack_supply *supply, struct msn_pack_slot *out,
		    struct msn_failure *why);
};

struct msn_frame_writer_opts {
	struct msn_aio *aio; /* nothing in flight; used until the free */
	struct msn_pack_supply *supply;
	struct msn_uid snapshot;
	const char *where; /* names the store in messages; outlives us */
};

MSN_MUST_CHECK int
msn_frame_writer_new(struct msn_frame_writer **out,
		     const struct msn_frame_writer_opts *opts,
		     struct msn_failure *why);

/* Waits for writes in flight; closes packs.  NULL is allowed.  Returns NULL. */
struct msn_frame_writer *msn_frame_writer_free(struct msn_frame_writer *fw);
MSN_DEFINE_AUTO(struct msn_frame_writer, msn_frame_writer_free)

/* Where a page was put. */
struct msn_frame_place {
	uint64_t pack_id, generation;
	uint32_t frame, at;
};

/* Adds one page with its msn_digest_page(). */
MSN_MUST_CHECK int msn_frame_writer_add(struct msn_frame_writer *fw,
					const void *page, uint64_t sum,
					struct msn_frame_place *out,
					struct msn_failure *why);

/* A run of frames that hold a part of a manifest, header pages included. */
struct msn_frame_run {
	uint64_t pack_id, generation;
	uint32_t first, pages;
};

/*
 * A manifest of MSN_MANIFEST_BYTES_MAX spans two packs, three when the first
 * one is nearly full.
 */
#define MSN_FRAME_RUNS_MAX 4

/*
 * Writes a manifest of @len > 0 bytes in frames of its own, and tells where.
 * To be read with msn_frame_manifest_read().
 */
MSN_MUST_CHECK int msn_frame_writer_manifest(struct msn_frame_writer *fw,
					     const uint8_t *bytes, size_t len,
					     struct msn_frame_run *runs,
					     unsigned *run_count,
					     struct msn_failure *why);

/* Returns when everything added is on disk. */
MSN_MUST_CHECK int msn_frame_writer_finish(struct msn_frame_writer *fw,
					   struct msn_failure *why);

/* A pack that was written to, and how far: valid after finish. */
struct msn_pack_fill {
	uint64_t id, generation;
	uint32_t pages; /* from its start */
};

/* Packs in the order of their use; borrowed. */
const struct msn_pack_fill *
msn_frame_writer_fills(const struct msn_frame_writer *fw, size_t *count);

/* Did writing or syncing fail (and not just getting a pack)? */
bool msn_frame_writer_io_failed(const struct msn_frame_writer *fw);

#endif /* MSN_PACK_FRAME_WRITER_H */
