/*
 * Restore: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_RESTORE_RESTORE_INTERNAL_H
#define MSN_RESTORE_RESTORE_INTERNAL_H

#include "restore/restore.h"

/* An area of the image: what it holds, and where that is in the snapshot. */
struct msn_area {
	uint64_t offset; /* in the image */
	uint64_t length; /* bytes */
	uint64_t page;	 /* number of its first page in @extents */
	const struct msn_extents *extents;
};

/*
 * Where everything is in the image: one area for each mapping that has private
 * pages, in order, then one for each shared object.  Offsets cost nothing, so
 * an area is as long as its mapping, and a clone needs one placement for it.
 */
struct msn_image_layout {
	struct msn_area *areas;
	size_t count;
	size_t *of_mapping; /* mapping -> area, or SIZE_MAX */
	size_t *of_object;  /* object -> area */
	uint64_t size_bytes;
};

MSN_MUST_CHECK int msn_image_layout_make(struct msn_image_layout *l,
					 const struct msn_manifest *m);
void msn_image_layout_deinit(struct msn_image_layout *l);

/*
 * The snapshot behind an image: its manifest, the layout and, as long as pages
 * may still be wanted, a reader.  Owned by the image as its page source.
 */
struct msn_snapshot_source {
	struct msn_page_source base;
	struct msn_manifest *m;		/* set once */
	struct msn_image_layout layout; /* set once */
	struct msn_reader *reader;	/* NULL once everything is loaded */
	struct msn_failure failure;	/* of the last fill that failed */
};

/*
 * Takes @m over.  @reader is opened from @store.  On failure *@out is
 * untouched and @m freed.
 */
MSN_MUST_CHECK int msn_snapshot_source_new(struct msn_snapshot_source **out,
					   struct msn_store *store,
					   struct msn_manifest *m,
					   struct msn_failure *why);

/* Placements in the image; a list of one owner, freed with free(). */
struct msn_run_list {
	struct msn_placement *list;
	size_t count, cap;
};

/*
 * What the image has of a private mapping: its whole area as one placement,
 * whose holes read as zero; over a file or an object, which shows elsewhere,
 * each run. Replaces what is in @out.
 */
MSN_MUST_CHECK int msn_area_runs(const struct msn_snapshot_source *source,
				 struct msn_image *image, size_t index,
				 struct msn_run_list *out);

/*
 * The files and objects behind the mappings of one clone (backing.c).  The
 * space takes references of its own.
 */
struct msn_backing;

MSN_MUST_CHECK int msn_backing_new(struct msn_backing **out,
				   const struct msn_snapshot_source *source,
				   struct msn_image *image, struct msn_mm *mm);

/* NULL is allowed.  Returns NULL. */
struct msn_backing *msn_backing_free(struct msn_backing *b);
MSN_DEFINE_AUTO(struct msn_backing, msn_backing_free)

/*
 * Sets what mapping @index maps, a file or an object; borrowed.  Says in @why
 * what is wrong with a file: PRECONDITION, to be passed over.  Other errors are
 * the caller's to tell.
 */
MSN_MUST_CHECK int msn_backing_set(struct msn_backing *b, size_t index,
				   struct msn_mmap_opts *opts,
				   struct msn_failure *why);

/*
 * Restoring what only later calls can tell (exact.c).  Made once for a clone;
 * the space takes references of its own.
 */
struct msn_exacter;

MSN_MUST_CHECK int msn_exacter_new(struct msn_exacter **out,
				   const struct msn_snapshot_source *source,
				   struct msn_image *image, struct msn_mm *mm);

/* NULL is allowed.  Returns NULL. */
struct msn_exacter *msn_exacter_free(struct msn_exacter *x);

/* Does the manifest say more of mapping @index than a listing? */
bool msn_exacter_knows(const struct msn_exacter *x, size_t index);

/* Maps it: msn_mm_mmap_exact() of @opts. */
MSN_MUST_CHECK int msn_exacter_map(struct msn_exacter *x, size_t index,
				   const struct msn_mmap_opts *opts);

/* What the space itself has.  After the mappings. */
void msn_exacter_finish(struct msn_exacter *x);

struct msn_opened {
	struct msn_image *image;
	struct msn_snapshot_source *source; /* borrowed from the image */
	uint8_t **blobs;		    /* parallel to the manifest's */
};

#endif /* MSN_RESTORE_RESTORE_INTERNAL_H */
