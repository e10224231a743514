/*
 * Image: the memory of one snapshot on this host.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One memfd that holds a snapshot's pages at offsets chosen by its maker,
 * filled from a page source when pages are wanted, and shared by all clones: a
 * clone's placements point into the image with need_cow.  Nobody writes to an
 * image after a page was filled, so a MAP_PRIVATE mapping of it is a clone.
 *
 * Pages that the source does not have stay holes and read as zero.
 *
 * Life: counted; every user holds a reference.  Also usable in a forked child
 * once it is wholly filled.
 * Locks: MSN_RANK_FILE inside (filling holds it: one fill at a time).
 */
#ifndef MSN_IMAGE_IMAGE_H
#define MSN_IMAGE_IMAGE_H

#include "base/cleanup.h"
#include "mapping/file.h"
#include "mapping/page_source.h"
#include "range/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_image;

/* Where a run of a space's addresses is in the image. */
struct msn_image_piece {
	struct msn_addr_range addr;
	uint64_t offset;
};

struct msn_image_opts {
	uint64_t size_bytes;		/* page multiple */
	struct msn_page_source *source; /* taken over, also on failure */
	uint8_t origin[16];		/* uid of the snapshot */
	/* Ascending by offset; copied.  Answers msn_image_origin(). */
	const struct msn_image_piece *pieces;
	size_t piece_count;
};

MSN_MUST_CHECK int msn_image_new(struct msn_image **out,
				 const struct msn_image_opts *opts);

void msn_image_ref(struct msn_image *img);

/* NULL is allowed.  Returns NULL. */
struct msn_image *msn_image_unref(struct msn_image *img);
MSN_DEFINE_AUTO(struct msn_image, msn_image_unref)

struct msn_file *msn_image_file(struct msn_image *img);

/* The image behind @file, or NULL if it is another kind of file. */
struct msn_image *msn_image_of(struct msn_file *file);

/*
 * Makes sure that the pages of @r are loaded.  0, or what the source said
 * (-EBADMSG: damaged); then what it did not deliver is as it was.  Blocks.
 */
MSN_MUST_CHECK int msn_image_fill(struct msn_image *img,
				  struct msn_file_range r);

/* Loads everything. */
MSN_MUST_CHECK int msn_image_fill_all(struct msn_image *img);

/*
 * The snapshot that the image was made from, and the address that @offset had
 * there.  False if @offset is in no piece.
 */
bool msn_image_origin(const struct msn_image *img, uint64_t offset,
		      uint8_t origin[16], uint64_t *addr);

uint64_t msn_image_size(const struct msn_image *img);

#endif /* MSN_IMAGE_IMAGE_H */
