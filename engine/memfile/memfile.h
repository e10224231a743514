/*
 * Memory file: pages for spaces, from one memfd.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A sparse file whose pages are handed out in ranges and counted one by one.
 * A page is
 *
 *    free ------> used ------> releasing ------> free
 *        allocate     last dec_ref      hole punched
 *
 *    free        no reference; no memory behind it
 *    used        one reference or more; memory once somebody writes to it
 *    releasing   no reference; its memory is being given back to the host,
 *                outside the lock
 *
 * Offsets cost nothing, so a whole mapping may be reserved at once; a page that
 * was never written costs no memory and reads as zero.  Each used page is
 * charged to the account that first referenced it.
 *
 * Locks: MSN_RANK_FILE inside.
 */
#ifndef MSN_MEMFILE_MEMFILE_H
#define MSN_MEMFILE_MEMFILE_H

#include "account/account.h"
#include "base/cleanup.h"
#include "mapping/file.h"
#include "range/range.h"

struct msn_memfile;

struct msn_memfile_opts {
	struct msn_account_table *accounts; /* borrowed; NULL: not counted */
	const char *name; /* as /proc/PID/maps shows it; NULL: "memsnap" */
};

MSN_MUST_CHECK int msn_memfile_new(struct msn_memfile **out,
				   const struct msn_memfile_opts *opts);

/* Before: no page is referenced.  NULL is allowed.  Returns NULL. */
struct msn_memfile *msn_memfile_free(struct msn_memfile *mf);
MSN_DEFINE_AUTO(struct msn_memfile, msn_memfile_free)

/* The file behind which its pages stand.  Lives as long as the memory file. */
struct msn_file *msn_memfile_file(struct msn_memfile *mf);

enum msn_direction {
	MSN_BOTTOM_UP, /* the lowest offset that fits */
	MSN_TOP_DOWN,  /* the highest, for memory that grows downwards */
};

struct msn_memfile_alloc {
	uint64_t length; /* page multiple, > 0 */
	enum msn_direction direction;
	msn_account_id account;
};

/*
 * Finds @length bytes of free pages in a row and takes one reference on each.
 * They read as zero.  -ENOMEM past the largest file offset.
 */
MSN_MUST_CHECK int msn_memfile_allocate(struct msn_memfile *mf,
					const struct msn_memfile_alloc *opts,
					struct msn_file_range *out);

/*
 * Is the first page of @r referenced exactly once?  *@run becomes the longest
 * prefix of @r for which the answer is the same.  What the caller's own
 * reference makes certain stays so: nobody else can add to a page that only
 * the caller references.
 */
bool msn_memfile_is_sole(struct msn_memfile *mf, struct msn_file_range r,
			 struct msn_file_range *run);

/* Pages with references, in bytes. */
uint64_t msn_memfile_used(struct msn_memfile *mf);

/* Text of the first broken invariant, or NULL. */
const char *msn_memfile_check(struct msn_memfile *mf);

#endif /* MSN_MEMFILE_MEMFILE_H */
