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
};

struct msn_capture_stats {
	struct msn_manifest_stats pages;
	uint64_t thread_count;
	uint64_t pause_ns;   /* from the first stop to the last resume */
	uint64_t read_bytes; /* copied out of the process */
};

MSN_MUST_CHECK int msn_capture(struct msn_store *store,
			       const struct msn_capture_opts *opts,
			       struct msn_uid *out,
			       struct msn_capture_stats *stats,
			       struct msn_failure *why);

#endif /* MSN_CAPTURE_CAPTURE_H */
