/*
 * Capture: a running process becomes a snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The process is stopped with ptrace (SEIZE and INTERRUPT, every thread), its
 * mappings are described as a space whose private pages are placements in a
 * procfile, and that space is saved: capture is an ordinary save.  The process
 * runs on as soon as its pages have been read, and also if this program dies
 * half way, because a tracer's death lets go of a seized process.
 *
 * Blobs of such a snapshot (docs/formats/capture.md): threads' registers, auxv,
 * process information.
 */
#ifndef MSN_CAPTURE_CAPTURE_H
#define MSN_CAPTURE_CAPTURE_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "save/save.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct msn_capture_opts {
	pid_t pid;
	const char *name;	      /* of the snapshot; NULL: none */
	const struct msn_uid *parent; /* NULL: none */
	const struct msn_save_text *labels;
	size_t label_count;
	msn_progress_fn progress; /* or NULL */
	void *progress_ctx;

	/*
	 * Memory that may be taken to copy the process's private pages aside,
	 * so that it runs on before they are stored; beyond that it stands
	 * still until the save has read them all, while reading, looking and
	 * writing overlap, and the capture keeps within the memory of any
	 * save.  0: as much as it has, up to a quarter of what is available;
	 * less than a page: none.
	 */
	uint64_t stage_bytes;
};

struct msn_capture_stats {
	struct msn_manifest_stats pages;
	uint64_t thread_count;
	uint64_t pause_ns;   /* from the first stop to the last resume */
	uint64_t read_bytes; /* copied out of the process */
};

/*
 * Captures process @opts->pid.  On failure the process runs on and the store is
 * as it was; @why names the process, or the mapping that is to blame:
 * NOT_FOUND, DENIED, PRECONDITION (what cannot be captured), ABORTED (the
 * process ended), and what msn_save() says.
 */
MSN_MUST_CHECK int msn_capture(struct msn_store *store,
			       const struct msn_capture_opts *opts,
			       struct msn_uid *out,
			       struct msn_capture_stats *stats,
			       struct msn_failure *why);

/* ---- Comparing a snapshot with a live process ---------------------------- */

enum msn_difference_kind {
	MSN_DIFFERENCE_BYTES = 1, /* pages that hold other bytes now */
	MSN_DIFFERENCE_MAPPING,	  /* mapped otherwise now: @what says how */
	MSN_DIFFERENCE_ADDED,	  /* mapped now, not in the snapshot */
	MSN_DIFFERENCE_REMOVED,	  /* in the snapshot, not mapped any more */
};

/* A run of addresses at which process and snapshot differ in one way. */
struct msn_difference {
	enum msn_difference_kind kind;
	struct msn_addr_range addr;
	const char *name; /* of the mapping; borrowed, never NULL */
	const char *what; /* MAPPING: "rights", "file", ...; else "" */
};

/* Told of each difference in order.  Non-zero ends the comparison with it. */
typedef int (*msn_difference_fn)(void *ctx, const struct msn_difference *d);

struct msn_compare_opts {
	struct msn_uid uid;
	pid_t pid;
	msn_difference_fn difference; /* or NULL: they are only counted */
	void *difference_ctx;
};

struct msn_compare_stats {
	uint64_t compared_pages;
	uint64_t different_pages;
	uint64_t different_mappings; /* differences of the other kinds */
	uint64_t pause_ns;
};

/*
 * Stops the process and compares mappings and every page that either side has
 * of its own with snapshot @opts->uid.  0 also when they differ: *@stats says.
 * Where the kernel notes a thread's CPU (rseq) is not compared.
 */
MSN_MUST_CHECK int msn_capture_compare(struct msn_store *store,
				       const struct msn_compare_opts *opts,
				       struct msn_compare_stats *stats,
				       struct msn_failure *why);

#endif /* MSN_CAPTURE_CAPTURE_H */
