/*
 * Windows: the pages of a descriptor, reachable in this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Maps a file MAP_SHARED in windows of MSN_WINDOW_BYTES on first use and keeps
 * them until the end or until somebody closes one that nobody uses, so that a
 * page's address inside this process does not change while it is used and
 * asking for it again takes no system call.  Used by the memory file, by images
 * and by host files.
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

/* The address of window @nr (of offset / MSN_WINDOW_BYTES), or NULL. */
void *msn_windows_at(struct msn_windows *w, uint64_t nr);

/* The first window numbered *@nr or higher, and its number; or NULL. */
void *msn_windows_next(struct msn_windows *w, uint64_t *nr);

/*
 * Unmaps window @nr.  Before: it is there, nobody uses a span of it, and nobody
 * asks for one meanwhile.
 */
void msn_windows_close(struct msn_windows *w, uint64_t nr);

#endif /* MSN_BLOCK_WINDOW_H */
