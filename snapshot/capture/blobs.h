/*
 * Blobs: what a captured process was besides its memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Layout: proto/memsnap/v1/capture.proto; meaning: docs/formats/capture.md.
 * Whoever reads a snapshot gets the same names from here.
 */
#ifndef MSN_CAPTURE_BLOBS_H
#define MSN_CAPTURE_BLOBS_H

#include "base/cleanup.h"
#include "capture/target.h"
#include "save/save.h"

#include <stddef.h>

/*
 * Threads that one blob holds.  Registers take up to 11 KiB each (AMX), a blob
 * 64 MiB.  The first blob is "elf/threads", those behind "elf/threads.2", ...
 */
#define MSN_CAPTURE_THREADS_PER_BLOB 4096

struct msn_capture_blobs {
	struct msn_save_blob *list; /* names and bytes are ours */
	size_t count, cap;
	char attr_text[4][4000]; /* exe, cmdline, comm, pid: clean text */
	char origin[64];	 /* what a listing shows: pid and comm */
	char kernel[128];
	struct msn_save_text attrs[8];
	size_t attr_count;
};

/* Encodes what @t holds; it is stopped.  -ENOMEM leaves nothing. */
MSN_MUST_CHECK int msn_capture_blobs_make(struct msn_capture_blobs *b,
					  const struct msn_target *t);

void msn_capture_blobs_deinit(struct msn_capture_blobs *b);

#endif /* MSN_CAPTURE_BLOBS_H */
