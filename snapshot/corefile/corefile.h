/*
 * Core file: a snapshot as an ELF core that debuggers open.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Layout:
 *
 *    ELF header | program headers | (section header) | notes | memory
 *
 * One PT_LOAD for each mapping, more where a part has no bytes:
 *
 *    memory of the space    all bytes if any page of it is stored; a gap of
 *      (anonymous, shared   CORE_GAP_BYTES (plan.c) or more without stored
 *      objects, vdso)       pages is a PT_LOAD of its own without bytes.
 *                           No bytes at all if no page is stored
 *    a file's, with stored  all bytes, those of unmodified pages from the host
 *      pages                file, if that still is the file that was saved: the
 *                           same inode, size and modification time (and device,
 *                           unless its file system has none of its own).  Else
 *                           stored pages have bytes, and the parts between them
 *                           are PT_LOADs without
 *    a file's, without      no bytes, but the first page of an ELF file, so
 *                           that debuggers find its build-id (same condition)
 *    vvar, vsyscall         no bytes
 *
 * "No bytes" is p_filesz 0: debuggers take them from the file that NT_FILE
 * names, or say that they are not there.  Pages of zeros are holes.
 *
 * Threads come from the blobs that capture made; a snapshot without them gives
 * a core of memory alone.  Threads stand in the order of the blobs, so that the
 * first one is what a debugger shows.
 */
#ifndef MSN_COREFILE_COREFILE_H
#define MSN_COREFILE_COREFILE_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "store/store.h"

#include <stdint.h>

struct msn_corefile_opts {
	/*
	 * Where to: written beside it under another name, readable for the
	 * owner alone, and renamed when it is whole.  What was there is
	 * replaced.
	 */
	const char *path;
	int fd; /* without @path: an empty regular file, not closed */

	/* Told of bytes written.  Non-zero cancels (-ECANCELED). */
	int (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
	void *progress_ctx;
};

struct msn_corefile_stats {
	uint64_t size_bytes;		/* of the file, holes included */
	uint64_t written_bytes;		/* of them */
	uint64_t segment_count;		/* PT_LOADs */
	uint64_t missing_mapping_count; /* host files that were not the same */
	uint64_t thread_count;
};

/*
 * Writes snapshot @m of @store.  Memory: a few MiB, and one blob of threads.  A
 * failure leaves nothing at @path; @why names the file or the snapshot:
 * DATA_LOSS if what is stored is damaged, EXHAUSTED for a full disk.
 */
MSN_MUST_CHECK int msn_corefile_write(struct msn_store *store,
				      const struct msn_manifest *m,
				      const struct msn_corefile_opts *opts,
				      struct msn_corefile_stats *stats,
				      struct msn_failure *why);

#endif /* MSN_COREFILE_COREFILE_H */
