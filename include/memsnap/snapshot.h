/*
 * Snapshots: a space is saved; a snapshot is opened and cloned.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Restoring takes two steps.  Opening a snapshot makes its image in this
 * process; cloning makes a space of the image, at the addresses that were
 * saved.  All clones of an image share its pages until they write to them, so a
 * clone costs its mappings and not its memory.
 *
 *    open ---> image ---> clone ---> space ---> save ---> snapshot
 *
 * Since a clone stands at the saved addresses, one process has one clone of a
 * snapshot at a time; many clones live in forked children.
 */
#ifndef MEMSNAP_SNAPSHOT_H
#define MEMSNAP_SNAPSHOT_H

#include <memsnap/error.h>
#include <memsnap/space.h>
#include <memsnap/store.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Saving -------------------------------------------------------------- */

/* Opaque state that is saved beside the memory. */
struct memsnap_blob {
	const char *name; /* 1 to 255 bytes, unique in its snapshot */
	const void *data;
	size_t len; /* at most 64 MiB */
};

/* A label: what the user says about a snapshot. */
struct memsnap_label {
	const char *key, *value;
};

/* Told how far a save is.  Returning non-zero cancels it (-ECANCELED). */
typedef int (*memsnap_progress_fn)(void *ctx, uint64_t done_bytes,
				   uint64_t total_bytes);

enum memsnap_save_flags {
	/* Store every page, also those that a parent has. */
	MEMSNAP_SAVE_NO_PARENT = 1 << 0,
};

struct memsnap_save_opts {
	size_t size;	  /* sizeof(struct memsnap_save_opts) */
	const char *name; /* [a-z0-9][a-z0-9._-]{0,62}; NULL: none */
	/*
	 * The snapshot whose pages need not be stored again, by reference as in
	 * memsnap_store_info().  NULL: the one that the space was cloned from,
	 * if the store has it.
	 */
	const char *parent;
	uint32_t flags; /* enum memsnap_save_flags */
	const struct memsnap_label *labels;
	size_t label_count; /* at most 256 */
	const struct memsnap_blob *blobs;
	size_t blob_count;	      /* at most 1024 */
	memsnap_progress_fn progress; /* NULL: none */
	void *progress_ctx;
};

/*
 * Saves @space to @store.  Private and shared anonymous memory is stored; host
 * files are noted by path, device, inode, size and mtime, and what private
 * mappings of them have changed is stored.  When it returns 0 the snapshot is
 * on disk: *@uid is its uid and *@stats (NULL: not wanted; its size is set)
 * what was found.  @opts may be NULL.
 *
 * Nothing may write to the space meanwhile; reading is allowed.  A failure
 * leaves the store and the space as they were.  EXISTS if the name is taken,
 * UNAVAILABLE while another process writes to the store, CANCELLED.
 * Blocks for the disk.  Uses at most 64 MiB whatever the size of the space.
 */
MEMSNAP_MUST_CHECK int
memsnap_save(struct memsnap_space *space, struct memsnap_store *store,
	     const struct memsnap_save_opts *opts, struct memsnap_uid *uid,
	     struct memsnap_stats *stats, struct memsnap_error *err);

/* ---- Restoring ----------------------------------------------------------- */

struct memsnap_image;

enum memsnap_open_flags {
	/*
	 * Read and verify every page before returning.  The image then needs
	 * the store no longer and may be cloned in forked children.  Without:
	 * pages are read when they are wanted.
	 */
	MEMSNAP_OPEN_EAGER = 1 << 0,
};

struct memsnap_open_opts {
	size_t size;	/* sizeof(struct memsnap_open_opts) */
	uint32_t flags; /* enum memsnap_open_flags */
};

/*
 * Opens the snapshot @ref (as in memsnap_store_info()) of @store.  *@out is the
 * caller's, to be closed with memsnap_image_close(); clones live on without it.
 * Blobs are read and verified by this call.  @opts may be NULL.  DATA_LOSS if
 * bytes are not what was stored.
 *
 * Threads: an image opened eagerly is used by any number of threads; one on
 * demand by the thread of its store.  Blocks for the disk.
 */
MEMSNAP_MUST_CHECK int memsnap_image_open(struct memsnap_image **out,
					  struct memsnap_store *store,
					  const char *ref,
					  const struct memsnap_open_opts *opts,
					  struct memsnap_error *err);

/* Closes an image; NULL is allowed. */
void memsnap_image_close(struct memsnap_image *image);

/* The snapshot's uid. */
struct memsnap_uid memsnap_image_uid(const struct memsnap_image *image);

/*
 * The addresses from the lowest to the highest mapping: what a clone needs free
 * in this process.  Both are 0 for a snapshot without mappings.
 */
void memsnap_image_span(const struct memsnap_image *image, void **base,
			size_t *length);

/* A blob's bytes, valid as long as the image is open.  NOT_FOUND. */
MEMSNAP_MUST_CHECK int memsnap_image_blob(const struct memsnap_image *image,
					  const char *name, const void **data,
					  size_t *len,
					  struct memsnap_error *err);

/* A label's value, valid as long as the image is open; NULL if there is none.
 */
const char *memsnap_image_label(const struct memsnap_image *image,
				const char *key);

enum memsnap_clone_flags {
	/*
	 * Leave out mappings of host files that are gone or have changed since
	 * the save, instead of failing; their addresses fault.
	 */
	MEMSNAP_CLONE_SKIP_FILES = 1 << 0,
};

struct memsnap_clone_opts {
	size_t size;	/* sizeof(struct memsnap_clone_opts) */
	uint32_t flags; /* enum memsnap_clone_flags */
	/* The region of the new space, as in memsnap_space_create(); covers the
	 * image's span.  NULL and 0: the span itself. */
	void *base;
	size_t length;
};

/*
 * Makes a space that is a copy of the snapshot, at the same addresses of this
 * process, with a fresh generation.  *@out is the caller's, to be destroyed
 * with memsnap_space_destroy().  @opts may be NULL.  Costs O(mappings), not
 * O(pages), when the image was opened eagerly.
 *
 * -EEXIST if anything is mapped in the region, PRECONDITION naming a host file
 * that is gone or has changed, DATA_LOSS.
 */
MEMSNAP_MUST_CHECK int memsnap_clone(struct memsnap_image *image,
				     const struct memsnap_clone_opts *opts,
				     struct memsnap_space **out,
				     struct memsnap_error *err);

#ifdef __cplusplus
}
#endif

#endif /* MEMSNAP_SNAPSHOT_H */
