/*
 * Index: the catalog of a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Which snapshots there are, which packs, and which snapshot needs which pack;
 * and what a service keeps beside them (beside.h).  One LMDB environment; the
 * only code that knows so is in this folder.  A write is one transaction that
 * is on disk when the call returns: publishing a snapshot here is what makes it
 * exist.
 *
 * What is read is not trusted, and is looked at when it is used, not before:
 * opening costs the same whatever the catalog holds.  Promised against damage
 * of the file that was there when it was opened, wherever it is:
 *
 *  (1) No call crashes, or reads or writes outside the file.
 *  (2) What a call returns, "there is none" as well, is what was written; else
 *      it fails with DATA_LOSS.  Each value carries a digest of its key and
 *      itself, and each page is held against the bounds that its parent gives.
 *  (3) What is not damaged stays so: before the first write of a process the
 *      list of free pages is held against all pages in use.
 *
 * Not promised: to find damage where nobody looks (msn_index_check() looks
 * everywhere), a page that is whole but older than it should be, or a wrong
 * count of entries, which is for people and decides nothing.
 *
 * A catalog of format version 1 is read as it is, and becomes one of version 2
 * with the first write.
 *
 * Opening the same catalog twice in a process is allowed: both share what LMDB
 * has open.  Not to be used in a forked child.
 *
 * Errors: every function that touches the catalog fills @why.
 * Locks: an index belongs to one thread at a time; two of the same catalog may
 * be used by two threads.
 */
#ifndef MSN_INDEX_INDEX_H
#define MSN_INDEX_INDEX_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "format/uid.h"
#include "index/beside.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSN_INDEX_VERSION 2
#define MSN_INDEX_NAME_MAX 64	/* with its terminating zero */
#define MSN_INDEX_ORIGIN_MAX 64 /* likewise */
#define MSN_INDEX_RUNS_MAX 4

struct msn_index;

struct msn_index_opts {
	const char *dir;      /* the catalog's folder, which exists */
	const char *where;    /* names the store in messages; outlives us */
	struct msn_uid store; /* for a catalog that is made now */
	bool create;	      /* make it unless it is there */
	bool read_only;
	size_t map_bytes; /* first size of the map; 0: default.  It grows */
};

MSN_MUST_CHECK int msn_index_open(struct msn_index **out,
				  const struct msn_index_opts *opts,
				  struct msn_failure *why);
struct msn_index *msn_index_close(struct msn_index *index);
MSN_DEFINE_AUTO(struct msn_index, msn_index_close)

/* Is there a catalog in the folder? */
bool msn_index_exists(const char *dir);

/* The store that the catalog was made for. */
struct msn_uid msn_index_store(const struct msn_index *index);

/* Bytes of the catalog's file. */
MSN_MUST_CHECK int msn_index_bytes(struct msn_index *index, uint64_t *out,
				   struct msn_failure *why);

/*
 * Looks at every page and every record, and whether they fit together.  Costs
 * what reading the file costs.
 */
MSN_MUST_CHECK int msn_index_check(struct msn_index *index,
				   struct msn_failure *why);

/* A stretch of frames that holds a part of a manifest. */
struct msn_index_run {
	uint64_t pack_id, generation;
	uint32_t first, pages;
};

struct msn_index_snapshot {
	struct msn_uid uid, parent;
	char name[MSN_INDEX_NAME_MAX];
	char origin[MSN_INDEX_ORIGIN_MAX];
	int64_t created_ns;
	uint64_t mapping_count;
	struct msn_manifest_stats stats;
	uint64_t manifest_bytes, manifest_sum;
	unsigned run_count; /* 1 to MSN_INDEX_RUNS_MAX */
	struct msn_index_run runs[MSN_INDEX_RUNS_MAX];
};

enum msn_index_pack_state {
	MSN_INDEX_PACK_OPEN = 1, /* the next save may append to it */
	MSN_INDEX_PACK_SEALED,
};

struct msn_index_pack {
	uint64_t id, generation;
	uint32_t pages; /* committed, from its start */
	uint32_t refs;	/* snapshots that need it, > 0 */
	enum msn_index_pack_state state;
};

enum msn_index_error {
	MSN_INDEX_E_ABSENT = 1, /* no such snapshot */
	MSN_INDEX_E_AMBIGUOUS,	/* more than one fits the prefix */
	MSN_INDEX_E_EXISTS,	/* the name is taken */
	MSN_INDEX_E_STALE,	/* a pack referred to is not there any more */
	MSN_INDEX_E_CHANGED,	/* the note has another revision */
	MSN_INDEX_E_TAKEN,	/* a record to be added is there already */
};

/* MSN_INDEX_E_ABSENT. */
MSN_MUST_CHECK int msn_index_by_name(struct msn_index *index, const char *name,
				     struct msn_uid *out,
				     struct msn_failure *why);

/* MSN_INDEX_E_ABSENT, MSN_INDEX_E_AMBIGUOUS. */
MSN_MUST_CHECK int msn_index_by_prefix(struct msn_index *index,
				       struct msn_uid prefix, unsigned digits,
				       struct msn_uid *out,
				       struct msn_failure *why);

/* MSN_INDEX_E_ABSENT. */
MSN_MUST_CHECK int msn_index_snapshot(struct msn_index *index,
				      struct msn_uid uid,
				      struct msn_index_snapshot *out,
				      struct msn_failure *why);

/* How many snapshots there are. */
MSN_MUST_CHECK int msn_index_count(struct msn_index *index, uint64_t *out,
				   struct msn_failure *why);

/*
 * The note of a snapshot: revision 0 if it has none.  @out->bytes is for
 * free().  MSN_INDEX_E_ABSENT.
 */
MSN_MUST_CHECK int msn_index_note(struct msn_index *index, struct msn_uid uid,
				  struct msn_note *out,
				  struct msn_failure *why);

struct msn_index_page_opts {
	const struct msn_snapshot_cursor *after; /* NULL: from the oldest on */
	size_t limit;				 /* > 0 */
	bool notes;				 /* with their notes */
};

struct msn_index_entry {
	struct msn_index_snapshot snapshot;
	struct msn_note note;
};

struct msn_index_page {
	struct msn_index_entry *list; /* for msn_index_page_deinit() */
	size_t count;
	bool more; /* there are more than were asked for */
};

/*
 * Snapshots by their age, oldest first, and of one age by their uids.  Costs
 * what is listed; a catalog of version 1 is read whole.
 */
MSN_MUST_CHECK int msn_index_page(struct msn_index *index,
				  const struct msn_index_page_opts *opts,
				  struct msn_index_page *out,
				  struct msn_failure *why);
void msn_index_page_deinit(struct msn_index_page *page);

/* All snapshots in the order of their uids: an array for free(). */
MSN_MUST_CHECK int msn_index_snapshots(struct msn_index *index,
				       struct msn_index_snapshot **out,
				       size_t *count, struct msn_failure *why);

/* All packs in the order of their ids (an array for free()); the next id. */
MSN_MUST_CHECK int msn_index_packs(struct msn_index *index,
				   struct msn_index_pack **out, size_t *count,
				   uint64_t *next_id, struct msn_failure *why);

struct msn_index_publish {
	const struct msn_index_snapshot *snapshot;

	/* Packs that were written to; refs is not looked at. */
	const struct msn_index_pack *packs;
	size_t pack_count;

	/* All packs that the snapshot needs, each once. */
	const struct msn_manifest_pack *needs;
	size_t need_count;

	const void *note; /* NULL: none */
	size_t note_len;
	struct msn_beside beside;
};

/*
 * MSN_INDEX_E_EXISTS, MSN_INDEX_E_STALE, MSN_INDEX_E_TAKEN: nothing is changed
 * then.
 */
MSN_MUST_CHECK int msn_index_publish(struct msn_index *index,
				     const struct msn_index_publish *what,
				     struct msn_failure *why);

struct msn_index_update {
	struct msn_uid uid;
	uint64_t revision; /* that its note must have; or MSN_NOTE_ANY */
	const char *name;  /* that it gets; NULL: as it is, "": none */
	const void *note;  /* that it gets; NULL: as it is */
	size_t note_len;
	struct msn_beside beside;
};

/*
 * Changes what may be changed of a snapshot.  Its note gets the next revision,
 * told in *@revision unless that is NULL, whatever is changed.
 * MSN_INDEX_E_ABSENT, MSN_INDEX_E_CHANGED, MSN_INDEX_E_EXISTS (the name),
 * MSN_INDEX_E_TAKEN: nothing is changed then.
 */
MSN_MUST_CHECK int msn_index_update(struct msn_index *index,
				    const struct msn_index_update *what,
				    uint64_t *revision,
				    struct msn_failure *why);

struct msn_index_removal {
	struct msn_uid uid;
	uint64_t revision;	  /* as in struct msn_index_update */
	msn_note_check_fn *check; /* NULL: whatever the note says */
	void *check_ctx;
	struct msn_beside beside;
};

/*
 * Forgets a snapshot with its note, and the packs that no other one needs:
 * tells whether there were any.  MSN_INDEX_E_ABSENT, MSN_INDEX_E_CHANGED,
 * MSN_INDEX_E_TAKEN, and what the check says: nothing is changed then.
 */
MSN_MUST_CHECK int msn_index_remove(struct msn_index *index,
				    const struct msn_index_removal *what,
				    bool *packs_freed, struct msn_failure *why);

/* Nobody appends to this pack any more. */
MSN_MUST_CHECK int msn_index_seal(struct msn_index *index, uint64_t pack_id,
				  struct msn_failure *why);

/* ---- Records ------------------------------------------------------------ */

/* All of them or none.  MSN_INDEX_E_TAKEN. */
MSN_MUST_CHECK int msn_index_change(struct msn_index *index,
				    const struct msn_beside *what,
				    struct msn_failure *why);

/*
 * The value of one record: *@out is for free(), zero-terminated beyond @len.
 * MSN_INDEX_E_ABSENT.
 */
MSN_MUST_CHECK int msn_index_record(struct msn_index *index,
				    enum msn_record_kind kind, const void *key,
				    size_t key_len, uint8_t **out, size_t *len,
				    struct msn_failure *why);

MSN_MUST_CHECK int msn_index_records(struct msn_index *index,
				     const struct msn_record_walk *walk,
				     struct msn_records *out,
				     struct msn_failure *why);

MSN_MUST_CHECK int msn_index_record_count(struct msn_index *index,
					  enum msn_record_kind kind,
					  uint64_t *out,
					  struct msn_failure *why);

/*
 * Deletes the records of a kind whose keys are smaller than @before, the
 * smallest first and some at a time: what was deleted when it fails stays so.
 * The last one of its kind stays in any case, so that numbers go on from it.
 */
MSN_MUST_CHECK int msn_index_record_trim(struct msn_index *index,
					 enum msn_record_kind kind,
					 const void *before, size_t before_len,
					 struct msn_failure *why);

#endif /* MSN_INDEX_INDEX_H */
