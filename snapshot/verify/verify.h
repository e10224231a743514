/*
 * Verify: is every byte that a snapshot needs still what was stored?
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads the manifest, and every page of the space, of its objects and of its
 * blobs, and checks each against its checksum.  Damage does not end the walk:
 * each damaged run is told to the caller, and what is left is still read.
 *
 * Memory: the manifest and one batch of MSN_VERIFY_BATCH_PAGES pages.
 */
#ifndef MSN_VERIFY_VERIFY_H
#define MSN_VERIFY_VERIFY_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/uid.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Pages of one batch of reads: 4 MiB, enough to keep a disk busy and little
 * enough that nobody notices the memory.
 */
#define MSN_VERIFY_BATCH_PAGES 1024

/* What a damaged run is part of. */
enum msn_damage_part {
	MSN_DAMAGE_MANIFEST, /* nothing else of the snapshot can be found */
	MSN_DAMAGE_SPACE,    /* private pages of the space */
	MSN_DAMAGE_OBJECT,   /* shared memory */
	MSN_DAMAGE_BLOB,
};

/* A stable lower-case word for JSON and tables. */
const char *msn_damage_part_name(enum msn_damage_part part);

/* One damaged run.  Texts are borrowed for the length of the call. */
struct msn_damage {
	struct msn_uid snapshot;
	enum msn_damage_part part;
	uint32_t object;     /* OBJECT: which one */
	const char *blob;    /* BLOB: its name; else NULL */
	uint64_t start, end; /* addresses in the space, else byte offsets; a
				manifest: 0, 0 */
	bool has_pack;
	uint64_t pack; /* id of the pack that holds the bytes */
	const char *reason;
};

/* A result that is not 0 ends the walk and is returned. */
typedef int (*msn_damage_fn)(void *ctx, const struct msn_damage *d);

/* Told how far a walk is.  Returning non-zero cancels it (-ECANCELED). */
typedef int (*msn_verify_progress_fn)(void *ctx, uint64_t done_bytes,
				      uint64_t total_bytes);

struct msn_verify_opts {
	msn_damage_fn damaged; /* or NULL */
	void *damaged_ctx;
	msn_verify_progress_fn progress; /* or NULL */
	void *progress_ctx;
};

struct msn_verify_summary {
	uint64_t pages;		/* that the snapshot uses, of all parts */
	uint64_t damaged_pages; /* of them; a lost manifest counts none */
	uint64_t damaged_runs;	/* calls of damaged() */
	uint64_t objects, blobs;
};

/*
 * Verifies snapshot @uid.  0: all of it is whole.  -EBADMSG with DATA_LOSS:
 * something is damaged, and *@out (unless NULL) says how much.  Anything else:
 * the walk did not end.
 */
MSN_MUST_CHECK int msn_verify(struct msn_store *store, struct msn_uid uid,
			      const struct msn_verify_opts *opts,
			      struct msn_verify_summary *out,
			      struct msn_failure *why);

#endif /* MSN_VERIFY_VERIFY_H */
