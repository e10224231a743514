/*
 * The bytes of packs: pack headers and frame headers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A pack is MSN_PACK_PAGES pages: a pack header, then frames one after another.
 * A frame is a header page and up to MSN_FRAME_PAGES_MAX pages, each with its
 * checksum in the header, so that any stored page can be verified from the
 * header and itself.  docs/formats/pack.md has the offsets.
 *
 * Encoders write a whole page; decoders take bytes that nobody vouches for.
 */
#ifndef MSN_PACK_PACK_FORMAT_H
#define MSN_PACK_PACK_FORMAT_H

#include "base/cleanup.h"
#include "format/layout.h"
#include "format/uid.h"

#include <stdint.h>

#define MSN_PACK_VERSION 1

struct msn_pack_header {
	struct msn_uid store;
	uint64_t id;	     /* names the file */
	uint64_t generation; /* grows each time the file is used anew */
};

enum msn_frame_kind {
	MSN_FRAME_PAGES = 1,
	MSN_FRAME_MANIFEST = 2,
};

struct msn_frame_header {
	enum msn_frame_kind kind;
	uint32_t page;	/* of the pack, where this header stands */
	unsigned count; /* pages behind it: 1 to MSN_FRAME_PAGES_MAX */
	uint64_t pack_id, generation;
	struct msn_uid snapshot; /* whose save wrote it */
	uint64_t sequence;	 /* of the frames of that save, from 0 */

	/* The whole manifest's, in a frame of one; else 0. */
	uint64_t manifest_bytes, manifest_sum;

	uint64_t sums[MSN_FRAME_PAGES_MAX]; /* msn_digest_page() of each */
};

/* Outcomes of the decoders. */
enum msn_pack_error {
	MSN_PACK_E_DAMAGED = 1, /* these bytes are no such header */
	MSN_PACK_E_NEWER,	/* written by a later program */
	MSN_PACK_E_BUSY,	/* locked by somebody (pack_file.h) */
	MSN_PACK_E_OTHER,	/* a pack of another id, generation or store */
};

void msn_pack_header_encode(const struct msn_pack_header *h, uint8_t *page);
MSN_MUST_CHECK int msn_pack_header_decode(struct msn_pack_header *h,
					  const uint8_t *page);

void msn_frame_header_encode(const struct msn_frame_header *h, uint8_t *page);
MSN_MUST_CHECK int msn_frame_header_decode(struct msn_frame_header *h,
					   const uint8_t *page);

#endif /* MSN_PACK_PACK_FORMAT_H */
