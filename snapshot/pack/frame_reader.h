/*
 * Frame reader: pages out of packs, each one verified.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pieces that stand near each other in a pack are read together, up to 1 MiB a
 * request and 32 requests at a time, through the page cache into staging
 * buffers; a page goes to the caller only after its checksum was found right.
 *
 * Memory: 8 MiB of staging and the frame cache, whatever is read.
 * Locks: none.  A reader belongs to one thread at a time.
 */
#ifndef MSN_PACK_FRAME_READER_H
#define MSN_PACK_FRAME_READER_H

#include "aio/aio.h"
#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "pack/frame_writer.h"
#include "pack/pack_format.h"

#include <stddef.h>
#include <stdint.h>

struct msn_frame_reader;

/* A pack that is open for reading; the header was compared already. */
struct msn_frame_pack {
	int fd; /* borrowed */
	uint64_t id, generation;
};

struct msn_frame_reader_opts {
	const struct msn_frame_pack *packs; /* extents count through them */
	size_t pack_count;
	enum msn_aio_method aio;
	struct msn_uid snapshot; /* for messages */
	const char *where;	 /* names the store in messages */
};

/* What @opts points to outlives the reader. */
MSN_MUST_CHECK int
msn_frame_reader_new(struct msn_frame_reader **out,
		     const struct msn_frame_reader_opts *opts,
		     struct msn_failure *why);
struct msn_frame_reader *msn_frame_reader_free(struct msn_frame_reader *r);
MSN_DEFINE_AUTO(struct msn_frame_reader, msn_frame_reader_free)

/*
 * Reads pages [page, page + count) of @extents to @dst, which stays as it is
 * where no extent stores a page.  -EBADMSG: DATA_LOSS names snapshot, pack and
 * page; @dst may then hold part of the pages, all of them right.
 */
MSN_MUST_CHECK int msn_frame_reader_read(struct msn_frame_reader *r,
					 const struct msn_extents *extents,
					 uint64_t page, uint64_t count,
					 void *dst, struct msn_failure *why);

/* The stored checksum of page @page of @e, which is not a zero extent. */
MSN_MUST_CHECK int msn_frame_reader_sum(struct msn_frame_reader *r,
					const struct msn_extent *e,
					uint64_t page, uint64_t *sum,
					struct msn_failure *why);

/* A manifest to read: what msn_frame_writer_manifest() told. */
struct msn_frame_manifest {
	struct msn_uid snapshot;
	uint64_t bytes, sum; /* bytes: 1 to MSN_MANIFEST_BYTES_MAX */
	const struct msn_frame_run *runs;
	const int *fds; /* of each run's pack */
	unsigned run_count;
};

/*
 * Reads a manifest's bytes into a buffer for free(), verified.  -EBADMSG
 * without a text: the caller knows the noun.
 */
MSN_MUST_CHECK int msn_frame_manifest_read(const struct msn_frame_manifest *m,
					   uint8_t **out);

#endif /* MSN_PACK_FRAME_READER_H */
