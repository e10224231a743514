/*
 * Memory file: pages for spaces, from one memfd.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A sparse file whose pages are handed out in ranges and counted one by one.
 * A page is
 *
 *               allocate          last dec_ref
 *    free -------------------> used ---------> waste
 *     ^                          ^               |  |
 *     |                          +---------------+  |
 *     |                     allocate, zeroed        | the releaser, or
 *     |                     (recycled)              | who drops too much
 *     |                                             v
 *     +------------------------------------- releasing
 *                  hole punched
 *
 *    free        no reference; no memory behind it; reads as zero
 *    used        one reference or more; memory once somebody writes to it
 *    waste       no reference; what was written is still there.  Nobody is
 *                shown it: a recycled page is zeroed before it is handed out
 *    releasing   no reference; its memory is being given back to the host,
 *                outside of all locks
 *
 * Waste is bounded: MSN_WASTE_BYTES_MAX with a releaser, MSN_WASTE_BYTES_KEPT
 * without.  Whoever drops a reference past that gives memory back itself.
 *
 * Offsets cost nothing, so a whole mapping may be reserved at once; a page that
 * was never written costs no memory and reads as zero.  Each used page is
 * charged to the account that first referenced it.
 *
 * Pages stand in arenas, whole windows of the file with a lock each.  A caller
 * sees nothing of them but that threads seldom wait for each other; a range may
 * run through several.
 *
 * Threads: every function may be called by any thread at the same time, but for
 * new and free.  Locks: MSN_RANK_FILE inside, one at a time.
 *
 * Fork: the pages belong to the process that made the file.  In a forked child
 * allocating is -EPERM, what is dropped is not given back, and freeing only
 * forgets; nothing there waits for the releaser, which did not come along.
 */
#ifndef MSN_MEMFILE_MEMFILE_H
#define MSN_MEMFILE_MEMFILE_H

#include "account/account.h"
#include "base/cleanup.h"
#include "mapping/file.h"
#include "range/range.h"

#include <stdbool.h>

struct msn_memfile;

enum msn_memfile_huge {
	MSN_MEMFILE_HUGE_OFF,	 /* small pages, whatever the host prefers */
	MSN_MEMFILE_HUGE_ADVISE, /* huge pages where an allocation wants them */
};

struct msn_memfile_opts {
	struct msn_account_table *accounts; /* borrowed; NULL: not counted */
	const char *name; /* as /proc/PID/maps shows it; NULL: "memsnap" */
	enum msn_memfile_huge huge;

	/*
	 * May start a thread that gives waste back, when there first is some.
	 * It blocks every signal and ends in msn_memfile_free().  Otherwise,
	 * or when no thread can be had, those that drop pages do its work.
	 */
	bool releaser;
};

MSN_MUST_CHECK int msn_memfile_new(struct msn_memfile **out,
				   const struct msn_memfile_opts *opts);

/*
 * Before: no page is referenced.  NULL is allowed.  Returns NULL.  Waits for
 * the releaser: one system call of its at most.
 */
struct msn_memfile *msn_memfile_free(struct msn_memfile *mf);
MSN_DEFINE_AUTO(struct msn_memfile, msn_memfile_free)

/* The file behind which its pages stand.  Lives as long as the memory file. */
struct msn_file *msn_memfile_file(struct msn_memfile *mf);

/* The table that it charges; NULL: none. */
struct msn_account_table *msn_memfile_accounts(struct msn_memfile *mf);

enum msn_direction {
	MSN_BOTTOM_UP, /* the lowest offset that fits */
	MSN_TOP_DOWN,  /* the highest, for memory that grows downwards */
};

struct msn_memfile_alloc {
	uint64_t length; /* page multiple, > 0 */
	enum msn_direction direction;
	msn_account_id account;

	/*
	 * Where the caller would like it, page aligned; 0: anywhere.  Bottom
	 * up the range begins at @near, top down it ends there; failing that
	 * it is the nearest on that side that fits.  Pages that a space uses
	 * side by side merge into one run if their offsets touch, so the end
	 * (top down: the start) of the neighbour is what belongs here.
	 */
	uint64_t near;

	/*
	 * Wants huge pages: a length of whole ones begins at a multiple of
	 * them.  Nothing but a hint; without effect unless the file was made
	 * with MSN_MEMFILE_HUGE_ADVISE.
	 */
	bool huge;
};

/*
 * Finds @length bytes of pages without references in a row and takes one
 * reference on each.  They read as zero.  -ENOMEM past the largest file offset,
 * past the account's limit, or without memory; -EPERM in a forked child.
 * Blocks for no longer than it takes to zero MSN_RECYCLE_BYTES_MAX.
 */
MSN_MUST_CHECK int msn_memfile_allocate(struct msn_memfile *mf,
					const struct msn_memfile_alloc *opts,
					struct msn_file_range *out);

/*
 * Is the first page of @r referenced exactly once?  *@run becomes the longest
 * prefix of @r for which the answer is the same.  What the caller's own
 * reference makes certain stays so: nobody else can add to a page that only
 * the caller references.  Before: references are held on all of @r.
 */
bool msn_memfile_is_sole(struct msn_memfile *mf, struct msn_file_range r,
			 struct msn_file_range *run);

/* Pages with references, in bytes. */
uint64_t msn_memfile_used(struct msn_memfile *mf);

/* Pages that are waste or releasing, in bytes. */
uint64_t msn_memfile_waste(struct msn_memfile *mf);

/*
 * Gives back everything that is waste at the time of the call, and waits for
 * what others have begun to give back.  Blocks: about 0.3 s a GiB of memory.
 */
void msn_memfile_drain(struct msn_memfile *mf);

struct msn_memfile_usage {
	/*
	 * Pages with references that @account was charged for when they were
	 * allocated, written or not: what its limit is about.
	 */
	uint64_t referenced;

	/*
	 * Those of them that are in memory at this moment: written once, not
	 * swapped out.  Measured by asking the kernel.
	 */
	uint64_t resident;
};

/*
 * What @account has in @mf, in bytes.  Walks all page references and makes a
 * system call for each run of the account's: meant for a look every now and
 * then, not for every request.  While others allocate and drop, a moment's
 * truth for each run.
 */
struct msn_memfile_usage msn_memfile_usage(struct msn_memfile *mf,
					   msn_account_id account);

enum msn_memfile_huge_state {
	MSN_MEMFILE_HUGE_NOT_WANTED, /* MSN_MEMFILE_HUGE_OFF */
	MSN_MEMFILE_HUGE_REFUSED,    /* wanted; this host gives none */
	MSN_MEMFILE_HUGE_GIVEN,	     /* wanted, and the host may give them */
};

/* What came of opts.huge.  Asks the host's settings of this moment. */
enum msn_memfile_huge_state msn_memfile_huge_state(struct msn_memfile *mf);

/* Text of the first broken invariant, or NULL. */
const char *msn_memfile_check(struct msn_memfile *mf);

#endif /* MSN_MEMFILE_MEMFILE_H */
