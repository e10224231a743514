/*
 * Index: the catalog of a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Which snapshots there are, which packs, and which snapshot needs which pack.
 * One LMDB environment; the only code that knows so is in this folder.  A write
 * is one transaction that is on disk when the call returns: publishing a
 * snapshot here is what makes it exist.
 *
 * What is read is not trusted: the tree is checked when it is opened, each
 * record carries a digest of its key and value.
 *
 * Opening the same catalog twice in a process is allowed: both share what LMDB
 * has open.  Not to be used in a forked child.
 *
 * Errors: every function that touches the catalog fills @why.
 * Locks: an index belongs to one thread; two of the same catalog may be used by
 * two threads.
 */
#ifndef MSN_INDEX_INDEX_H
#define MSN_INDEX_INDEX_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "format/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSN_INDEX_VERSION 1
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
};

/* MSN_INDEX_E_EXISTS, MSN_INDEX_E_STALE: nothing is changed then. */
MSN_MUST_CHECK int msn_index_publish(struct msn_index *index,
				     const struct msn_index_publish *what,
				     struct msn_failure *why);

/*
 * Forgets a snapshot, and the packs that no other one needs: tells whether
 * there were any.  MSN_INDEX_E_ABSENT.
 */
MSN_MUST_CHECK int msn_index_remove(struct msn_index *index, struct msn_uid uid,
				    bool *packs_freed, struct msn_failure *why);

/* Nobody appends to this pack any more. */
MSN_MUST_CHECK int msn_index_seal(struct msn_index *index, uint64_t pack_id,
				  struct msn_failure *why);

#endif /* MSN_INDEX_INDEX_H */
