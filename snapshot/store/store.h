/*
 * Store: a folder of snapshots.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    store/
 *      memsnap-store     what this folder is, and its format version
 *      catalog/          LMDB: snapshots, names, packs (index/ reads it)
 *      packs/            the page bytes, manifests among them
 *      lock              flock()ed by the one process that writes
 *
 * One process writes at a time, any number read meanwhile.  A snapshot is
 * published by one catalog transaction after its bytes are on disk (README.md:
 * the commit protocol and its numbered invariants); what was not published is
 * space that the next writer takes back.
 *
 * Errors: every function that touches the disk fills @why.
 * Locks: a store belongs to one thread.  Not to be used in a forked child.
 */
#ifndef MSN_STORE_STORE_H
#define MSN_STORE_STORE_H

#include "aio/aio.h"
#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "format/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_store;

struct msn_store_opts {
	const char *path;
	bool create;	/* make it if the folder is missing or empty */
	bool read_only; /* change nothing, make no files */
	enum msn_aio_method aio;
};

MSN_MUST_CHECK int msn_store_open(struct msn_store **out,
				  const struct msn_store_opts *opts,
				  struct msn_failure *why);

/* NULL is allowed.  Returns NULL. */
struct msn_store *msn_store_close(struct msn_store *store);
MSN_DEFINE_AUTO(struct msn_store, msn_store_close)

const char *msn_store_path(const struct msn_store *store);

/* The store's own uid, made when it was. */
struct msn_uid msn_store_uid(const struct msn_store *store);

/* "io_uring" or "sync": how this store moves bytes. */
const char *msn_store_aio_name(const struct msn_store *store);

/* Are packs written past the page cache (O_DIRECT)?  Else through it. */
bool msn_store_direct(const struct msn_store *store);

/* What a listing shows of a snapshot, without reading its manifest. */
struct msn_snapshot_info {
	struct msn_uid uid, parent;
	char name[64];	    /* "" for none */
	int64_t created_ns; /* since the epoch */
	uint64_t mapping_count;
	struct msn_manifest_stats stats;
	uint64_t manifest_bytes;
	char origin[64]; /* for people, "pid 17 python3": the attribute origin
			  */
};

/*
 * Resolves a reference: a name, a uid, or a unique prefix of at least
 * MSN_UID_PREFIX_MIN digits.  A name wins over a prefix.  NOT_FOUND names
 * @ref; INVALID says that a prefix is ambiguous or too short.
 */
MSN_MUST_CHECK int msn_store_find(struct msn_store *store, const char *ref,
				  struct msn_uid *out, struct msn_failure *why);

/* All snapshots, oldest first: an array for free(). */
MSN_MUST_CHECK int msn_store_list(struct msn_store *store,
				  struct msn_snapshot_info **out, size_t *count,
				  struct msn_failure *why);

MSN_MUST_CHECK int msn_store_info(struct msn_store *store, struct msn_uid uid,
				  struct msn_snapshot_info *out,
				  struct msn_failure *why);

/* Reads, verifies and decodes a manifest.  DATA_LOSS names the snapshot. */
MSN_MUST_CHECK int msn_store_load(struct msn_store *store, struct msn_uid uid,
				  struct msn_manifest **out,
				  struct msn_failure *why);

/*
 * Forgets a snapshot and recycles the packs that nobody refers to any more.
 * Takes the writer's lock.  A pack that somebody is reading is left for the
 * next writer.
 */
MSN_MUST_CHECK int msn_store_remove(struct msn_store *store, struct msn_uid uid,
				    struct msn_failure *why);

struct msn_store_usage {
	uint64_t snapshot_count;
	uint64_t pack_count, spare_count; /* files in use; recycled ones */
	uint64_t pack_bytes;		  /* committed bytes in packs in use */
	uint64_t catalog_bytes;
};

MSN_MUST_CHECK int msn_store_usage(struct msn_store *store,
				   struct msn_store_usage *out,
				   struct msn_failure *why);

/* ---- Writing: one snapshot at a time -------------------------------------*/

struct msn_writer;

/* Where a page went: what a caller puts into an extent. */
struct msn_place {
	uint32_t pack; /* index into the manifest's pack table */
	uint32_t frame, at;
};

/*
 * Starts writing the snapshot @m (its uid is set, its pack table may be
 * filled already with a parent's packs; both live longer than the writer).
 * Takes the writer's lock: UNAVAILABLE names the store and who has it.
 */
MSN_MUST_CHECK int msn_writer_begin(struct msn_writer **out,
				    struct msn_store *store,
				    struct msn_manifest *m,
				    struct msn_failure *why);

/*
 * Appends one page of MSN_PAGE_SIZE bytes, copied before this returns; @sum is
 * its msn_digest_page(), which the caller often has already.  May wait for the
 * disk.  *@out is where it will be found once committed.
 */
MSN_MUST_CHECK int msn_writer_add(struct msn_writer *w, const void *page,
				  uint64_t sum, struct msn_place *out,
				  struct msn_failure *why);

/*
 * Publishes: manifest behind the pages, everything on disk, one catalog
 * transaction.  When this returns 0 the snapshot survives a power cut.  EXISTS
 * if the name is taken.  The writer is done either way: free it.
 */
MSN_MUST_CHECK int msn_writer_commit(struct msn_writer *w,
				     struct msn_failure *why);

/* Gives up what was not committed.  NULL is allowed.  Returns NULL. */
struct msn_writer *msn_writer_free(struct msn_writer *w);
MSN_DEFINE_AUTO(struct msn_writer, msn_writer_free)

/* ---- Reading the pages of one snapshot -----------------------------------*/

struct msn_reader;

/*
 * Opens the packs of @m and keeps them from being recycled.  @m lives longer
 * than the reader.  NOT_FOUND if the snapshot was removed meanwhile; DATA_LOSS
 * if a pack is missing or is not what the manifest says.
 */
MSN_MUST_CHECK int msn_reader_new(struct msn_reader **out,
				  struct msn_store *store,
				  const struct msn_manifest *m,
				  struct msn_failure *why);

/* NULL is allowed.  Returns NULL. */
struct msn_reader *msn_reader_free(struct msn_reader *r);
MSN_DEFINE_AUTO(struct msn_reader, msn_reader_free)

/*
 * Reads pages [page, page + count) of @extents to @dst.  Pages in no extent,
 * or in a zero one, are not written: @dst holds zeros (or a file's bytes)
 * already.  Every page read is checked against its checksum: -EBADMSG /
 * DATA_LOSS names the snapshot, the pack and the page.  Many reads are in
 * flight at once.
 */
MSN_MUST_CHECK int msn_reader_read(struct msn_reader *r,
				   const struct msn_extents *extents,
				   uint64_t page, uint64_t count, void *dst,
				   struct msn_failure *why);

/*
 * The stored checksum of page @page, without reading its bytes: a hint for
 * "this cannot be the same page".  MSN_READER_E_ABSENT if @page is in no extent
 * or in a zero one.
 */
enum msn_reader_error { MSN_READER_E_ABSENT = 1 };
MSN_MUST_CHECK int msn_reader_sum(struct msn_reader *r,
				  const struct msn_extents *extents,
				  uint64_t page, uint64_t *sum,
				  struct msn_failure *why);

/* Reads a whole blob into a buffer for free(), zero-terminated beyond @len. */
MSN_MUST_CHECK int msn_reader_blob(struct msn_reader *r,
				   const struct msn_manifest_blob *blob,
				   uint8_t **out, size_t *len,
				   struct msn_failure *why);

#endif /* MSN_STORE_STORE_H */
