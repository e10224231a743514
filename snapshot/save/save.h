/*
 * Save: a space becomes a snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs invalidate_unsavable() on every mappable, refuses by name what cannot be
 * saved before anything is written, then walks the private pages once: pages
 * that still are the parent's are inherited without being read, pages that
 * compare equal to the parent's are inherited too, zero pages vanish, pages
 * equal to one that this save has stored already are stored once.
 *
 * Memory: staging buffers, one batch of pages and a bounded dedup table; at
 * most 64 MiB whatever the size of the space.
 */
#ifndef MSN_SAVE_SAVE_H
#define MSN_SAVE_SAVE_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "mm/mm.h"
#include "store/store.h"

#include <stdint.h>

struct msn_save_blob {
	const char *name;
	const void *data;
	size_t len;
};

struct msn_save_text {
	const char *key, *value;
};

/* Told how far a save is.  Returning non-zero cancels it (-ECANCELED). */
typedef int (*msn_progress_fn)(void *ctx, uint64_t done_bytes,
			       uint64_t total_bytes);

struct msn_save_opts {
	const char *name;	      /* NULL or "": none */
	const struct msn_uid *parent; /* NULL: the snapshot that the space was
					 restored from, if this store has it */
	bool no_parent;		      /* take none, also not that one */
	const struct msn_save_text *labels;
	size_t label_count;
	const struct msn_save_text *attrs;
	size_t attr_count;
	const struct msn_save_blob *blobs;
	size_t blob_count;
	/*
	 * The space stands for another process: what mm knows of it beyond its
	 * listing and its bytes is not that process's and is left out.
	 */
	bool foreign;
	msn_progress_fn progress; /* or NULL */
	void *progress_ctx;

	/*
	 * Called when the space has been read for the last time and before the
	 * disk is waited for: a captured process may run on.  NULL: nothing.
	 */
	void (*space_released)(void *ctx);
	void *released_ctx;

	/*
	 * Asked, when all bytes are on disk, for the note and the records that
	 * are published with the snapshot (store/store.h).  NULL: none.
	 */
	msn_publishing_fn *publishing;
	void *publishing_ctx;
};

/*
 * Saves.  On success *@out is the uid and *@stats (unless NULL) what was found.
 * A failure leaves the store and the space as they were; @why names the mapping
 * where one is to blame.  The space must not change meanwhile.
 */
MSN_MUST_CHECK int msn_save(struct msn_mm *mm, struct msn_store *store,
			    const struct msn_save_opts *opts,
			    struct msn_uid *out,
			    struct msn_manifest_stats *stats,
			    struct msn_failure *why);

/*
 * The same in two steps, for a space that stands still only as long as it must.
 * The first step does what needs no space: it checks @opts, which must live as
 * long as the saver, reads the parent and takes the store's writer's lock.
 * Without opts->parent the parent is @origin, unless that is NULL or a snapshot
 * that the store does not have.
 */
struct msn_saver;

MSN_MUST_CHECK int msn_saver_new(struct msn_saver **out,
				 struct msn_store *store,
				 const struct msn_save_opts *opts,
				 const struct msn_uid *origin,
				 struct msn_failure *why);

/*
 * The second step, once.  Blobs and attributes may be added to the options
 * until here.
 */
MSN_MUST_CHECK int msn_saver_run(struct msn_saver *sv, struct msn_mm *mm,
				 struct msn_uid *out,
				 struct msn_manifest_stats *stats,
				 struct msn_failure *why);

/* NULL is allowed.  Returns NULL. */
struct msn_saver *msn_saver_free(struct msn_saver *sv);
MSN_DEFINE_AUTO(struct msn_saver, msn_saver_free)

#endif /* MSN_SAVE_SAVE_H */
