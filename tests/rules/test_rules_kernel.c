/*
 * The rules of a space that the running kernel can be asked about: each is a
 * script that both do (unit/mm/twin.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/mm/twin.h"

#include <sys/mman.h>

static const struct twin_opts present = { .memlock = 8 * PAGE,
					  .presence = true };

static void merging(void)
{
	TWIN("merging", MAP(10, 2, RW), MAP(12, 2, RW),
	     PROTECT(11, 2, PROT_READ), PROTECT(11, 2, RW),
	     MAP(14, 2, PROT_READ),
	     MAP_AS(16, 2, RW, MAP_PRIVATE | MAP_NORESERVE));
}

static void own_pages_keep_apart(void)
{
	TWIN("own pages keep apart", MAP(10, 2, RW), MAP(14, 2, RW),
	     TOUCH(10, 2), TOUCH(14, 2), MAP(12, 2, RW));
}

static void sizes(void)
{
	TWIN("sizes", MAP(10, 8, RW), LOCK(10, 4, 0), LOCK(12, 4, 0),
	     UNMAP(10, 1), UNLOCK(11, 2), UNMAP(10, 8));
}

static void implied_reading(void)
{
	TWIN("implied reading", MAP(10, 1, PROT_WRITE), PUT(10, 'x'), GET(10),
	     MAP(12, 1, PROT_EXEC), GET(12), PUT(12, 'y'));
}

static void reading_allocates_nothing(void)
{
	TWIN_UNDER("reading allocates nothing", present, MAP(10, 8, RW),
		   GET(12), PUT(14, 'x'), GET(14), MINCORE(10, 8));
}

static void files_in_place(void)
{
	TWIN_UNDER("files in place", present,
		   MAP_OF(TWIN_FILE, 10, 4, RW, MAP_PRIVATE),
		   MAP_OF(TWIN_FILE, 20, 4, RW, MAP_SHARED), GET(10),
		   PUT(20, 'x'), GET(10), PUT(10, 'y'), PUT(20, 'z'), GET(10));
}

static void past_the_end(void)
{
	TWIN("past the end", MAP_OF(TWIN_FILE, 10, 12, RW, MAP_SHARED), GET(17),
	     GET(18), PUT(18, 'x'));
}

static void map_length(void)
{
	TWIN("map length",
	     STEP(TWIN_MAP, 10 * PAGE, 0, MAP_PRIVATE | MAP_ANONYMOUS),
	     STEP(TWIN_MAP, 10 * PAGE, UINT64_MAX,
		  MAP_PRIVATE | MAP_ANONYMOUS));
}

static void map_kind(void)
{
	TWIN("map kind", MAP_AS(10, 1, RW, 0), MAP_AS(10, 1, RW, MAP_SHARED),
	     MAP_AS(12, 1, RW, MAP_PRIVATE));
}

static void map_validate(void)
{
	TWIN("map validate", MAP_OF(TWIN_FILE, 10, 2, RW, MAP_SHARED_VALIDATE),
	     MAP_OF(TWIN_FILE, 14, 2, RW, MAP_SHARED_VALIDATE | 0x4000000));
}

static void map_unaligned(void)
{
	TWIN("map unaligned",
	     STEP(TWIN_MAP, 10 * PAGE + 1, PAGE, MAP_PRIVATE | MAP_ANONYMOUS));
}

static void map_rights(void)
{
	TWIN("map rights", MAP_OF(TWIN_READ_ONLY, 10, 2, RW, MAP_SHARED),
	     MAP_OF(TWIN_READ_ONLY, 10, 2, PROT_READ, MAP_SHARED),
	     PROTECT(10, 1, RW), MAP_OF(TWIN_READ_ONLY, 14, 2, RW, MAP_PRIVATE),
	     PUT(14, 'x'));
}

static void map_over(void)
{
	TWIN("map over", MAP(10, 4, RW), TOUCH(10, 4), MAP(11, 2, RW),
	     MAP_AS(9, 2, RW, MAP_PRIVATE | MAP_FIXED_NOREPLACE),
	     MAP_AS(8, 2, RW, MAP_PRIVATE | MAP_FIXED_NOREPLACE));
}

static void map_zero(void)
{
	TWIN("map zero", MAP_OF(TWIN_ZERO, 10, 2, RW, MAP_PRIVATE),
	     PUT(10, 'x'), MAP_OF(TWIN_ZERO, 12, 2, RW, MAP_PRIVATE),
	     MAP_OF(TWIN_ZERO, 20, 2, RW, MAP_SHARED), PUT(20, 'y'), GET(21));
}

static void map_limits(void)
{
	TWIN_UNDER("map limits", ((struct twin_opts){ .as = 8 * PAGE }),
		   MAP(10, 8, RW), MAP(30, 1, RW), MAP(12, 4, PROT_READ));
	TWIN_UNDER("map limits", ((struct twin_opts){ .data = 4 * PAGE }),
		   MAP(10, 4, RW), MAP(30, 1, RW), MAP(30, 1, PROT_READ),
		   PROTECT(30, 1, RW));
}

static void map_locked(void)
{
	TWIN_UNDER("map locked", present,
		   MAP_AS(10, 6, RW, MAP_PRIVATE | MAP_LOCKED),
		   MAP_AS(20, 6, RW, MAP_PRIVATE | MAP_LOCKED));
}

static void map_populate(void)
{
	TWIN_UNDER(
		"map populate", present,
		MAP_AS(10, 4, RW, MAP_PRIVATE | MAP_POPULATE),
		MAP_AS(20, 4, PROT_NONE, MAP_PRIVATE | MAP_POPULATE),
		MAP_OF(TWIN_FILE, 30, 12, RW, MAP_PRIVATE | MAP_POPULATE),
		MAP_OF(TWIN_FILE, 50, 4, PROT_READ, MAP_SHARED | MAP_POPULATE));
}

static void unmapping(void)
{
	TWIN("unmapping", MAP(10, 4, RW), MAP(16, 2, RW), UNMAP(8, 9),
	     UNMAP(8, 20), UNMAP(10, 0),
	     STEP(TWIN_UNMAP, 10 * PAGE + 1, PAGE, 0),
	     STEP(TWIN_UNMAP, 10 * PAGE, UINT64_MAX, 0));
}

static void protecting(void)
{
	TWIN("protecting", MAP(10, 4, RW), MAP(16, 2, RW),
	     PROTECT(10, 0, PROT_READ), PROTECT(12, 6, PROT_READ),
	     PROTECT(15, 2, PROT_READ),
	     STEP(TWIN_PROTECT, 10 * PAGE + 1, PAGE, 0),
	     STEP(TWIN_PROTECT, 10 * PAGE, UINT64_MAX, 0));
}

static void protecting_past_rights(void)
{
	TWIN("protecting past rights", MAP(10, 2, PROT_READ),
	     MAP_OF(TWIN_READ_ONLY, 12, 2, PROT_READ, MAP_SHARED),
	     PROTECT(10, 4, RW));
}

static void protecting_bits(void)
{
	TWIN("protecting bits", MAP(10, 2, PROT_READ), PROTECT(10, 2, 0x100),
	     PROTECT(10, 2, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP),
	     PROTECT(10, 2, PROT_READ | PROT_GROWSDOWN));
}

static void protected_pages(void)
{
	TWIN("protected pages", MAP(10, 2, RW), PUT(10, 'x'),
	     PROTECT(10, 1, PROT_NONE), GET(10), PROTECT(10, 1, PROT_READ),
	     GET(10), PUT(10, 'y'), PROTECT(10, 1, RW), PUT(10, 'y'));
}

static void remap_arguments(void)
{
	TWIN("remap arguments", MAP(10, 4, RW), REMAP(10, 4, 4, 8, 0),
	     REMAP(10, 4, 4, MREMAP_FIXED, 20), REMAP(10, 4, 0, 0, 0),
	     REMAP(10, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, 12),
	     { .op = TWIN_REMAP,
	       .addr = 10 * PAGE + 1,
	       .length = PAGE,
	       .new_length = PAGE });
}

static void remap_nothing(void)
{
	TWIN("remap nothing", REMAP(10, 4, 8, MREMAP_MAYMOVE, 0),
	     MAP(20, 2, RW), MAP(22, 2, PROT_READ),
	     REMAP(20, 4, 8, MREMAP_MAYMOVE, 0));
}

static void remap_in_place(void)
{
	TWIN("remap in place", MAP(10, 4, RW), TOUCH(10, 4),
	     REMAP(10, 4, 2, 0, 0), REMAP(10, 2, 6, 0, 0),
	     MAP(16, 1, PROT_READ), REMAP(10, 6, 8, 0, 0),
	     REMAP(10, 6, 8, MREMAP_MAYMOVE | MREMAP_FIXED, 40));
}

static void remap_duplicate(void)
{
	TWIN("remap duplicate", MAP_AS(10, 4, RW, MAP_SHARED), TOUCH(10, 4),
	     REMAP(10, 0, 4, MREMAP_MAYMOVE | MREMAP_FIXED, 30), MAP(20, 2, RW),
	     REMAP(20, 0, 2, MREMAP_MAYMOVE | MREMAP_FIXED, 50),
	     REMAP(10, 0, 4, 0, 0));
}

static void remap_leaves(void)
{
	TWIN("remap leaves", MAP(10, 4, RW), TOUCH(10, 4),
	     REMAP(10, 4, 4, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED,
		   30));
}

static void remap_side_effects(void)
{
	TWIN_UNDER("remap side effects",
		   ((struct twin_opts){ .as = 12 * PAGE }), MAP(10, 4, RW),
		   MAP(40, 4, RW),
		   REMAP(10, 4, 20, MREMAP_MAYMOVE | MREMAP_FIXED, 40));
}

static void remap_locked(void)
{
	TWIN_UNDER("remap locked", present, MAP(10, 8, RW), LOCK(10, 6, 0),
		   UNMAP(16, 2), REMAP(10, 6, 8, 0, 0), UNMAP(16, 2),
		   REMAP(10, 8, 12, 0, 0));
}

static void breaks(void)
{
	TWIN("breaks", HEAP(100), BRK(102, 5), TOUCH(101, 1), BRK(101, 0),
	     BRK(99, 0), MAP(110, 1, RW), BRK(112, 0), BRK(104, 0));
}

static void break_limit(void)
{
	TWIN_UNDER("break limit", ((struct twin_opts){ .data = 4 * PAGE }),
		   HEAP(100), BRK(102, 0), BRK(900, 0));
}

static void lock_flags(void)
{
	TWIN_UNDER("lock flags", present, MAP(10, 2, RW), LOCK(10, 2, 6),
		   STEP(TWIN_LOCK, 10 * PAGE, UINT64_MAX - 20 * PAGE, 0),
		   LOCK(10, 0, 0));
}

static void lock_hole(void)
{
	TWIN_UNDER("lock hole", present, MAP(10, 2, RW), MAP(13, 2, RW),
		   LOCK(10, 5, 0), UNLOCK(10, 5));
}

static void lock_none(void)
{
	TWIN_UNDER("lock none", present, MAP(10, 2, PROT_NONE), LOCK(10, 2, 0));
}

static void lock_limit(void)
{
	TWIN_UNDER("lock limit", present, MAP(10, 12, RW), LOCK(10, 8, 0),
		   LOCK(10, 8, 0), LOCK(18, 1, 0));
}

static void lock_later(void)
{
	TWIN_UNDER("lock later", present, MAP(10, 4, RW),
		   LOCK(10, 4, MLOCK_ONFAULT), GET(11));
}

static void lock_all(void)
{
	TWIN_UNDER("lock all", present, LOCK_ALL(0), LOCK_ALL(8),
		   LOCK_ALL(MCL_ONFAULT), LOCK_ALL(MCL_FUTURE), MAP(10, 2, RW),
		   LOCK_ALL(MCL_FUTURE | MCL_ONFAULT), MAP(14, 2, RW),
		   UNLOCK_ALL(), MAP(18, 2, RW));
}

static void sync_arguments(void)
{
	TWIN("sync arguments", MAP(10, 2, RW), SYNC(10, 2, 16),
	     SYNC(10, 2, MS_SYNC | MS_ASYNC),
	     STEP(TWIN_SYNC, 10 * PAGE + 1, PAGE, MS_SYNC),
	     STEP(TWIN_SYNC, 10 * PAGE, UINT64_MAX, MS_SYNC),
	     SYNC(10, 0, MS_SYNC), SYNC(10, 2, 0));
}

static void sync_holes(void)
{
	TWIN("sync holes", MAP(10, 2, RW), MAP(14, 2, RW), SYNC(10, 6, MS_SYNC),
	     SYNC(12, 2, MS_ASYNC), SYNC(40, 2, MS_SYNC));
}

static void sync_locked(void)
{
	TWIN_UNDER("sync locked", present, MAP(10, 4, RW), LOCK(12, 1, 0),
		   SYNC(10, 4, MS_INVALIDATE), SYNC(10, 2, MS_INVALIDATE));
}

static void advice_range(void)
{
	TWIN("advice range", MAP(10, 2, RW), MAP(14, 2, RW), TOUCH(10, 2),
	     TOUCH(14, 2), STEP(TWIN_ADVISE, 10 * PAGE + 1, PAGE, MADV_NORMAL),
	     ADVISE(10, 6, MADV_RANDOM), ADVISE(10, 6, MADV_WILLNEED),
	     ADVISE(10, 6, MADV_DONTNEED), ADVISE(10, 0, MADV_DONTNEED),
	     ADVISE(10, 1, 77),
	     STEP(TWIN_ADVISE, 10 * PAGE, UINT64_MAX, MADV_NORMAL));
}

static void advice_discards(void)
{
	TWIN_UNDER("advice discards", present, MAP(10, 2, RW), TOUCH(10, 2),
		   MAP_AS(14, 2, RW, MAP_SHARED), TOUCH(14, 2),
		   ADVISE(10, 2, MADV_DONTNEED), ADVISE(14, 2, MADV_DONTNEED),
		   GET(10), GET(14), LOCK(10, 1, 0),
		   ADVISE(10, 1, MADV_DONTNEED));
}

static void advice_forks(void)
{
	TWIN("advice forks", MAP(10, 6, RW), ADVISE(12, 2, MADV_DONTFORK),
	     ADVISE(12, 2, MADV_DOFORK));
}

static void advice_there(void)
{
	TWIN_UNDER("advice there", present, MAP(10, 4, RW), TOUCH(10, 2),
		   ADVISE(10, 2, MADV_FREE), ADVISE(12, 2, MADV_POPULATE_WRITE),
		   ADVISE(10, 1, MADV_WIPEONFORK), ADVISE(10, 1, MADV_REMOVE),
		   MAP_AS(20, 2, RW, MAP_SHARED), TOUCH(20, 2),
		   ADVISE(20, 1, MADV_REMOVE), GET(20), GET(21));
}

static void core_of_memory(void)
{
	TWIN_UNDER("core of memory", present, MAP(10, 4, RW), PUT(11, 'x'),
		   MINCORE(10, 4), MINCORE(10, 5),
		   STEP(TWIN_MINCORE, 10 * PAGE + 1, PAGE, 0), MINCORE(40, 1));
}

static void policy_arguments(void)
{
	TWIN("policy arguments", MAP(10, 4, RW), BIND(10, 4, 2, 1, 0),
	     BIND(10, 4, 2, 0, 0), BIND(10, 4, 0, 1, 0), BIND(10, 4, 99, 1, 0),
	     BIND(10, 4, 4, 1, 0), BIND(10, 4, 1, 0, 0), BIND(10, 8, 2, 1, 0),
	     BIND(10, 0, 2, 1, 0), BIND(10, 4, 2, 1, 64));
}

static void sealing(void)
{
	TWIN("sealing", MAP(10, 4, RW), SEAL(11, 1), UNMAP(10, 4),
	     PROTECT(11, 1, PROT_READ), REMAP(11, 1, 2, MREMAP_MAYMOVE, 0),
	     MAP(11, 1, RW));
}

static const struct check_test rules[] = {
	{ "mappings that touch and are alike are one, and cut where "
	  "they differ",
	  merging },
	{ "two with pages of their own that never were one stay "
	  "two, as in Linux",
	  own_pages_keep_apart },
	{ "what is locked is counted, once, and no longer when it "
	  "goes",
	  sizes },
	{ "writing and executing imply reading", implied_reading },
	{ "a read of untouched memory is zero; a write places one "
	  "page and no neighbour",
	  reading_allocates_nothing },
	{ "a private file page is shared with the file until it is "
	  "written",
	  files_in_place },
	{ "past the end of a file there is no page", past_the_end },
	{ "mmap: a length of 0 is EINVAL, one that wraps ENOMEM", map_length },
	{ "mmap: neither shared nor private is EINVAL", map_kind },
	{ "mmap: MAP_SHARED_VALIDATE maps a file, and refuses flags "
	  "that it does not know",
	  map_validate },
	{ "mmap: an unaligned fixed address is EINVAL", map_unaligned },
	{ "mmap: shared writing of a file open for reading is "
	  "EACCES, then and by mprotect; private is not",
	  map_rights },
	{ "mmap: fixed replaces what is there; MAP_FIXED_NOREPLACE "
	  "is EEXIST, also with MAP_FIXED",
	  map_over },
	{ "mmap: /dev/zero is anonymous memory with a name", map_zero },
	{ "mmap: RLIMIT_AS and, unlike in the reference, "
	  "RLIMIT_DATA are ENOMEM; what is replaced is discounted",
	  map_limits },
	{ "mmap: MAP_LOCKED brings pages in; past RLIMIT_MEMLOCK it "
	  "is EAGAIN",
	  map_locked },
	{ "mmap: MAP_POPULATE brings in what an access would", map_populate },
	{ "munmap: holes are fine; unaligned, empty and wrapping "
	  "are EINVAL",
	  unmapping },
	{ "mprotect: empty is nothing; a hole is ENOMEM after what "
	  "came before it",
	  protecting },
	{ "mprotect: beyond the rights of a mapping is EACCES, and "
	  "earlier ones stay changed",
	  protecting_past_rights },
	{ "mprotect: unknown bits are EINVAL; both growing ways too",
	  protecting_bits },
	{ "mprotect: takes effect on pages in place, and gives them "
	  "back",
	  protected_pages },
	{ "mremap: unknown flags, FIXED without MAYMOVE, an "
	  "unaligned place and an overlap are EINVAL",
	  remap_arguments },
	{ "mremap: EFAULT where nothing is mapped, and where growth "
	  "would run through several",
	  remap_nothing },
	{ "mremap: shrinks by unmapping the tail, grows in place if "
	  "there is room, else ENOMEM or moves",
	  remap_in_place },
	{ "mremap: a length of 0 duplicates shared memory; of "
	  "private it is EINVAL",
	  remap_duplicate },
	{ "mremap: DONTUNMAP leaves empty memory behind", remap_leaves },
	{ "mremap: what FIXED unmapped stays so when the move then "
	  "fails",
	  remap_side_effects },
	{ "mremap: growing locked memory past its limit is EAGAIN",
	  remap_locked },
	{ "brk: goes up and down in bytes; below the start, and "
	  "into something, it stays",
	  breaks },
	{ "brk: RLIMIT_DATA stops it", break_limit },
	{ "mlock2: unknown flags and a range that wraps are EINVAL, "
	  "nothing is fine",
	  lock_flags },
	{ "mlock: a hole is ENOMEM and what came before it stays "
	  "locked",
	  lock_hole },
	{ "mlock: what has no rights is ENOMEM, and locked", lock_none },
	{ "mlock: past its limit is ENOMEM; what is locked counts "
	  "once",
	  lock_limit },
	{ "mlock: on fault brings nothing in", lock_later },
	{ "mlockall: unknown flags, none, and ONFAULT alone are "
	  "EINVAL; FUTURE is of what comes, until munlockall",
	  lock_all },
	{ "msync: bad or contradicting flags and unaligned are "
	  "EINVAL, wrapping is ENOMEM, nothing is fine",
	  sync_arguments },
	{ "msync: a hole is ENOMEM, told at the end", sync_holes },
	{ "msync: MS_INVALIDATE of locked memory is EBUSY", sync_locked },
	{ "madvise: every advice checks its range: unaligned "
	  "EINVAL, a hole ENOMEM after the rest",
	  advice_range },
	{ "madvise: DONTNEED drops private pages, leaves shared "
	  "data, and is EINVAL for locked memory",
	  advice_discards },
	{ "madvise: DONTFORK and DOFORK cut and merge", advice_forks },
	{ "madvise: FREE, REMOVE, POPULATE and WIPEONFORK, which "
	  "the reference has not, are as in Linux",
	  advice_there },
	{ "mincore: says what is in memory; a hole is ENOMEM", core_of_memory },
	{ "mbind: a mode, a mask and flags that do not go together "
	  "are EINVAL; a hole is EFAULT",
	  policy_arguments },
	{ "mseal: what is sealed is not unmapped, moved, protected "
	  "or replaced",
	  sealing },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "kernel", rules);
}
