/*
 * Diff: what is not the same in two snapshots.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Compares mappings by address, then private pages, then what mappings of
 * objects that only the spaces know show, copied pages or the object's.  Pages
 * that stand at the same place of the same generation of the same pack are
 * equal without being read; the others are read and compared byte by byte.
 *
 * A page that one snapshot has and the other does not is compared with what
 * the other shows there: zeros, where that is anonymous memory or nothing; the
 * object's page, where there is one; a page that stands in for a host file's
 * page counts as changed whole, because the file's bytes are not in the store.
 *
 * Memory: both manifests and two batches of MSN_DIFF_BATCH_PAGES pages.
 */
#ifndef MSN_DIFF_DIFF_H
#define MSN_DIFF_DIFF_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "format/uid.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Pages of one batch of reads, from each side: 2 MiB each. */
#define MSN_DIFF_BATCH_PAGES 512

enum msn_diff_change {
	MSN_DIFF_ADDED,	  /* only the second has it */
	MSN_DIFF_REMOVED, /* only the first has it */
	MSN_DIFF_CHANGED, /* both have it, and it differs */
};

/* A stable lower-case word for JSON and tables. */
const char *msn_diff_change_name(enum msn_diff_change change);

/*
 * Addresses whose mapping is not the same.  A mapping that grew is an addition
 * of what it grew by.
 */
struct msn_diff_mapping {
	enum msn_diff_change change;
	uint64_t start, end;
	const struct msn_manifest_mapping *a; /* NULL: added */
	const struct msn_manifest_mapping *b; /* NULL: removed */
};

/* Touching pages that all differ. */
struct msn_diff_run {
	uint64_t start, end; /* addresses */
	uint64_t pages;
	uint64_t bytes; /* of them that differ */
	bool shared;	/* pages of shared memory, not private ones */
};

struct msn_diff_opts {
	/* Each may be NULL.  A result that is not 0 ends it and is returned. */
	int (*mapping)(void *ctx, const struct msn_diff_mapping *d);
	int (*run)(void *ctx, const struct msn_diff_run *r);
	void *ctx;

	/* Returning non-zero cancels it (-ECANCELED).  May be NULL. */
	int (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
	void *progress_ctx;
};

struct msn_diff_summary {
	uint64_t mappings_added, mappings_removed, mappings_changed;
	uint64_t changed_runs, changed_pages, changed_bytes;
	uint64_t same_place_pages; /* equal without being read */
	uint64_t compared_pages;   /* read and compared */
};

/*
 * Compares @a (the older, by custom) with @b.  0 also when they differ.
 * DATA_LOSS if a page that has to be read is damaged.
 */
MSN_MUST_CHECK int msn_diff(struct msn_store *store, struct msn_uid a,
			    struct msn_uid b, const struct msn_diff_opts *opts,
			    struct msn_diff_summary *out,
			    struct msn_failure *why);

/* The mappings alone: needs no store and cannot fail but by @fn's result. */
MSN_MUST_CHECK int
msn_diff_mappings(const struct msn_manifest *a, const struct msn_manifest *b,
		  int (*fn)(void *ctx, const struct msn_diff_mapping *d),
		  void *ctx);

#endif /* MSN_DIFF_DIFF_H */
