/*
 * Process pages: which pages of a process are there, and which are its own
 * private copies.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A private copy is a page that no file has: anonymous memory that was written,
 * or a private file mapping's page after the first write; in memory or swapped
 * out.  Pages of a file, zero pages and guard pages (MADV_GUARD_INSTALL) are
 * left out.  Asked of the kernel by PAGEMAP_SCAN (Linux 6.7) where there is
 * one, else read from the entries of /proc/PID/pagemap, which cannot tell the
 * zero page from a copy.
 */
#ifndef MSN_PROCFILE_PROC_PAGES_H
#define MSN_PROCFILE_PROC_PAGES_H

#include "base/cleanup.h"
#include "range/range.h"

/* PAGE_IS_* of Linux, with its numbers. */
enum msn_proc_page {
	MSN_PROC_PAGE_FILE = 1 << 2,
	MSN_PROC_PAGE_PRESENT = 1 << 3,
	MSN_PROC_PAGE_SWAPPED = 1 << 4,
	MSN_PROC_PAGE_ZERO = 1 << 5,  /* the zero page */
	MSN_PROC_PAGE_GUARD = 1 << 8, /* none before Linux 6.15 */
};

enum msn_proc_pages_method {
	MSN_PROC_PAGES_BEST = 0, /* the first that this kernel has */
	MSN_PROC_PAGES_SCAN,
	MSN_PROC_PAGES_ENTRIES,
};

/* Told of one run; a result that is not 0 ends the walk and is its result. */
typedef int (*msn_proc_pages_fn)(void *ctx, struct msn_addr_range run);

/*
 * Calls @fn for each run of private copies in the page-aligned @r, in order;
 * runs do not touch each other.  @pagemap_fd is /proc/PID/pagemap of a process
 * that stands still.  0, -errno (-ENOTTY: this kernel has no PAGEMAP_SCAN,
 * -ESRCH: the process is gone), or what @fn said.
 */
MSN_MUST_CHECK int msn_proc_pages_private(int pagemap_fd,
					  struct msn_addr_range r,
					  enum msn_proc_pages_method how,
					  msn_proc_pages_fn fn, void *ctx);

/*
 * The same for each run of pages that are one or more of @categories, enum
 * msn_proc_page, by PAGEMAP_SCAN only.
 */
MSN_MUST_CHECK int msn_proc_pages_scan(int pagemap_fd, struct msn_addr_range r,
				       unsigned categories,
				       msn_proc_pages_fn fn, void *ctx);

#endif /* MSN_PROCFILE_PROC_PAGES_H */
