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
 * One process saves or removes snapshots at a time, any number read meanwhile.
 * A snapshot is published by one catalog transaction after its bytes are on
 * disk (README.md: the commit protocol and its numbered invariants); what was
 * not published is space that the next writer takes back.  Notes and records
 * (index/beside.h) are catalog transactions alone: whoever has a store open
 * for writing may change them, also while somebody saves.
 *
 * Opening costs the same however many snapshots there are.
 *
 * Errors: every function that touches the disk fills @why.
 * Locks: a store, and what is opened from it, belongs to one thread at a time
 * and may change threads between calls.  A process may have the same store open
 * many times, one for each thread.  Not to be used in a forked child.
 */
#ifndef MSN_STORE_STORE_H
#define MSN_STORE_STORE_H

#include "aio/aio.h"
#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "format/uid.h"
#include "index/beside.h"

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

/*
 * Takes the writer's lock and keeps it until the store is closed or
 * msn_store_unlock(): what is written through this store needs not take it
 * then, and nobody else can.  UNAVAILABLE names who has it.
 */
MSN_MUST_CHECK int msn_store_lock(struct msn_store *store,
				  struct msn_failure *why);
void msn_store_unlock(struct msn_store *store);

/*
 * Looks at everything in the catalog, and whether it fits together: DATA_LOSS
 * says what does not.
 */
MSN_MUST_CHECK int msn_store_check(struct msn_store *store,
				   struct msn_failure *why);

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

struct msn_store_page_opts {
	const struct msn_snapshot_cursor *after; /* NULL: from the oldest on */
	size_t limit;				 /* > 0 */
	bool notes;				 /* with their notes */
};

struct msn_snapshot_entry {
	struct msn_snapshot_info info;
	struct msn_note note; /* revision 0 unless asked for */
};

struct msn_snapshot_page {
	struct msn_snapshot_entry *list; /* for msn_snapshot_page_deinit() */
	size_t count;
	bool more; /* there are more than were asked for */
};

/*
 * Snapshots after a cursor, oldest first, those of one age by their uids.
 * Costs what is listed.  A cursor stays good when its snapshot is removed.
 */
MSN_MUST_CHECK int msn_store_page(struct msn_store *store,
				  const struct msn_store_page_opts *opts,
				  struct msn_snapshot_page *out,
				  struct msn_failure *why);
void msn_snapshot_page_deinit(struct msn_snapshot_page *page);

MSN_MUST_CHECK int msn_store_info(struct msn_store *store, struct msn_uid uid,
				  struct msn_snapshot_info *out,
				  struct msn_failure *why);

/*
 * Reads, verifies and decodes a manifest; its name is the one that the snapshot
 * has now.  DATA_LOSS names the snapshot.
 */
MSN_MUST_CHECK int msn_store_load(struct msn_store *store, struct msn_uid uid,
				  struct msn_manifest **out,
				  struct msn_failure *why);

enum msn_store_error {
	MSN_STORE_E_CHANGED = 1, /* the note has another revision */
	MSN_STORE_E_TAKEN,	 /* a record to be added is there already */
};

struct msn_remove_opts {
	uint64_t revision;	  /* that its note must have; or MSN_NOTE_ANY */
	msn_note_check_fn *check; /* NULL: whatever the note says */
	void *check_ctx;
	struct msn_beside beside; /* changed in the same transaction */
};

/*
 * Forgets a snapshot and recycles the packs that nobody refers to any more.
 * Takes the writer's lock.  A pack that somebody is reading is left for the
 * next writer.  @opts NULL: whatever its note is, and nothing beside.  With
 * @opts MSN_STORE_E_CHANGED, MSN_STORE_E_TAKEN, and what the check says: then
 * nothing was changed.
 */
MSN_MUST_CHECK int msn_store_remove(struct msn_store *store, struct msn_uid uid,
				    const struct msn_remove_opts *opts,
				    struct msn_failure *why);

/* ---- Notes and records (index/beside.h) ----------------------------------*/

/* The note of a snapshot: revision 0 if it has none. */
MSN_MUST_CHECK int msn_store_note(struct msn_store *store, struct msn_uid uid,
				  struct msn_note *out,
				  struct msn_failure *why);

struct msn_update_opts {
	uint64_t revision; /* that its note must have; or MSN_NOTE_ANY */
	const char *name;  /* that it gets; NULL: as it is, "": none */
	const void *note;  /* that it gets; NULL: as it is */
	size_t note_len;
	struct msn_beside beside; /* changed in the same transaction */
};

/*
 * Changes what may be changed of a snapshot.  Its note gets the next revision,
 * told in *@revision unless that is NULL.  EXISTS if the name is taken.
 * MSN_STORE_E_CHANGED, MSN_STORE_E_TAKEN: nothing was changed.
 */
MSN_MUST_CHECK int msn_store_update(struct msn_store *store, struct msn_uid uid,
				    const struct msn_update_opts *opts,
				    uint64_t *revision,
				    struct msn_failure *why);

/* Changes records: all or none.  MSN_STORE_E_TAKEN. */
MSN_MUST_CHECK int msn_store_change(struct msn_store *store,
				    const struct msn_beside *what,
				    struct msn_failure *why);

/*
 * The value of one record: *@out is for free(), zero-terminated beyond @len.
 * NOT_FOUND.
 */
MSN_MUST_CHECK int msn_store_record(struct msn_store *store,
				    enum msn_record_kind kind, const void *key,
				    size_t key_len, uint8_t **out, size_t *len,
				    struct msn_failure *why);

/* Records in the order of their keys, for msn_records_deinit(). */
MSN_MUST_CHECK int msn_store_records(struct msn_store *store,
				     const struct msn_record_walk *walk,
				     struct msn_records *out,
				     struct msn_failure *why);

MSN_MUST_CHECK int msn_store_record_count(struct msn_store *store,
					  enum msn_record_kind kind,
					  uint64_t *out,
					  struct msn_failure *why);

/*
 * Deletes the records with keys smaller than @before, the smallest first and
 * some at a time: what was deleted when it fails stays so.  The last one of its
 * kind stays in any case, so that numbers go on from it.
 */
MSN_MUST_CHECK int msn_store_record_trim(struct msn_store *store,
					 enum msn_record_kind kind,
					 const void *before, size_t before_len,
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

/* What is published with a snapshot, in the same transaction. */
struct msn_companions {
	const void *note; /* its first; NULL: none */
	size_t note_len;
	struct msn_beside beside;
};

/*
 * Says what is published with a snapshot, when all its bytes are on disk:
 * @info is what a listing will show.  What it puts into *@out, which is empty,
 * stays its own until the commit has returned.  0, or a negated errno and @why
 * to give the snapshot up.
 */
typedef int msn_publishing_fn(void *ctx, const struct msn_snapshot_info *info,
			      struct msn_companions *out,
			      struct msn_failure *why);

/*
 * Publishes: manifest behind the pages, everything on disk, one catalog
 * transaction.  When this returns 0 the snapshot survives a power cut.  EXISTS
 * if the name, or a record to be added with it, is taken.  @publishing may be
 * NULL.  The writer is done either way: free it.
 */
MSN_MUST_CHECK int msn_writer_commit(struct msn_writer *w,
				     msn_publishing_fn *publishing, void *ctx,
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
