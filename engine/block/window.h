/*
 * Windows: the pages of a descriptor, reachable in this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Maps a file MAP_SHARED in windows of MSN_WINDOW_BYTES on first use and keeps
 * them until the end, so that a page's address inside this process never
 * changes and asking for it again takes no system call.  Used by the memory
 * file and by images.
 *
 * Locks: MSN_RANK_WINDOW inside; a window that exists is found without it.
 */
#ifndef MSN_BLOCK_WINDOW_H
#define MSN_BLOCK_WINDOW_H

#include "base/cleanup.h"
#include "base/lock.h"
#include "block/block.h"
#include "block/table.h"
#include "range/range.h"

struct msn_windows {
	struct msn_mutex lock;
	int fd;		       /* borrowed, set once */
	int prot;	       /* PROT_*, set once */
	int advice;	       /* MADV_*, before the first use */
	struct msn_table base; /* number -> address; changed under lock */
};

void msn_windows_init(struct msn_windows *w, int fd, int prot);
void msn_windows_deinit(struct msn_windows *w);

/*
 * Every window will be advised with @advice (MADV_*).  A kernel that does not
 * know it is not asked again.  Before: no window was used.
 */
void msn_windows_advise(struct msn_windows *w, int advice);

/*
 * Fills @out with spans for a prefix of @r that is not empty, all of it if
 * MSN_SPANS_MAX windows are enough.  0, -ENOMEM, or the errno of mmap.
 */
MSN_MUST_CHECK int msn_windows_map(struct msn_windows *w,
				   struct msn_file_range r,
				   struct msn_spans *out);

#endif /* MSN_BLOCK_WINDOW_H */
