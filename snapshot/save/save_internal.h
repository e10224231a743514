/*
 * Save: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_SAVE_SAVE_INTERNAL_H
#define MSN_SAVE_SAVE_INTERNAL_H

#include "save/dedup.h"
#include "save/save.h"

/* Pages that are looked at together: one look at the parent, one at twins. */
#define MSN_SAVE_BATCH_PAGES 256

/* An object that is saved by its contents, as its first mapping has it. */
struct msn_save_object {
	struct msn_mappable *mappable;
	struct msn_identity *identity;
	struct msn_identity_saved saved;
	struct msn_addr_range addr;
	uint64_t offset; /* into the object, there */
};

/* One save under way. */
struct msn_saver {
	struct msn_mm *mm;
	struct msn_store *store;
	const struct msn_save_opts *opts;
	struct msn_failure *why;

	struct msn_manifest *m;
	struct msn_manifest *parent; /* or NULL */
	struct msn_reader *reader;   /* of @parent, or NULL */
	struct msn_writer *writer;
	struct msn_dedup *dedup; /* NULL once the space is released */

	/* MSN_SAVE_BATCH_PAGES pages to read others' bytes into; lazily made.
	 */
	uint8_t *scratch;

	struct msn_save_object *objects; /* parallel to m->objects */
	size_t object_cap;

	uint64_t done_bytes, total_bytes;
};

/* ---- save_mappings.c ----------------------------------------------------- */

/* Describes every mapping of the space, or names the one that cannot be. */
MSN_MUST_CHECK int msn_save_mappings(struct msn_saver *sv);

/* ---- save_exact.c -------------------------------------------------------- */

/*
 * Adds to the mappings, which are described, what only later calls can tell,
 * and to the manifest what is in place and what the space itself has.
 */
MSN_MUST_CHECK int msn_save_exact(struct msn_saver *sv);

/*
 * The same of an object whose pages are saved, if it can tell: what it is
 * beside its bytes, and which pages it has.
 */
MSN_MUST_CHECK int msn_save_exact_object(const struct msn_save_object *from,
					 struct msn_manifest_object *to);

/* ---- save_pages.c -------------------------------------------------------- */

/* Where pages go, and what is known about those before them. */
struct msn_page_sink {
	struct msn_saver *sv;
	struct msn_extents *out;
	const struct msn_extents *old; /* the parent's, or NULL */
	bool keep_zero; /* zero pages hide a file's: they must be listed */
};

/*
 * Where the bytes of a batch of pages can be found again, to compare them with
 * later ones.
 */
struct msn_page_origin {
	struct msn_file *file; /* NULL: nowhere */
	uint64_t offset;
};

/*
 * Takes @count pages, first of which is page number @page: drops zero ones,
 * inherits what equals the parent's, stores the rest once.
 */
MSN_MUST_CHECK int msn_save_pages(struct msn_page_sink *sink, uint64_t page,
				  size_t count, const uint8_t *bytes,
				  struct msn_page_origin origin);

/* A batch, and what was found out about each of its pages. */
struct msn_save_batch {
	struct msn_page_sink *sink;
	uint64_t page;
	size_t count;
	const uint8_t *bytes;
	struct msn_page_origin origin;
	uint64_t sum[MSN_SAVE_BATCH_PAGES];
	bool zero[MSN_SAVE_BATCH_PAGES];
	bool same[MSN_SAVE_BATCH_PAGES]; /* as the parent's */
	bool twin[MSN_SAVE_BATCH_PAGES]; /* of one stored at @place */
	struct msn_place place[MSN_SAVE_BATCH_PAGES];
};

static inline const uint8_t *msn_save_batch_page(const struct msn_save_batch *b,
						 size_t i)
{
	return b->bytes + i * MSN_PAGE_SIZE;
}

/* The scratch buffer, or NULL if there is no memory. */
uint8_t *msn_save_scratch(struct msn_saver *sv);

/* Takes over the parent's extents for pages that cannot have changed. */
MSN_MUST_CHECK int msn_save_inherit(struct msn_page_sink *sink, uint64_t page,
				    uint64_t count);

/* Counts progress; -ECANCELED if the caller wants no more. */
MSN_MUST_CHECK int msn_save_progress(struct msn_saver *sv, uint64_t bytes);

/* ---- save_twins.c -------------------------------------------------------- */

/*
 * Marks the pages of a batch that equal one which this save has stored before:
 * by their sums first, and then by their bytes.
 */
void msn_save_find_twins(struct msn_save_batch *b);

/* Marks page @i if it equals an earlier page of its own batch. */
void msn_save_find_twin_inside(struct msn_save_batch *b, size_t i);

/* ---- save_walk.c --------------------------------------------------------- */

/* Saves all private pages of the space. */
MSN_MUST_CHECK int msn_save_private(struct msn_saver *sv);

/* Saves the pages of objects, and what they are beside them. */
MSN_MUST_CHECK int msn_save_objects(struct msn_saver *sv);

#endif /* MSN_SAVE_SAVE_INTERNAL_H */
