/*
 * Versus: the same fixed calls on a space and on a process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A test lists calls on an arena of VERSUS_PAGES pages from AT(0) on.  They go
 * to a space over platform `none` and to a child process without capabilities,
 * as system calls at the same addresses.  Compared are each result, then how
 * the arena is mapped, and which of its pages are present.
 */
#ifndef MSN_TESTS_MM_VERSUS_H
#define MSN_TESTS_MM_VERSUS_H

#include "unit/mm/fixture.h"

#define VERSUS_PAGES 64
#define VERSUS_CALLS 80
#define VERSUS_MEMLOCK (8 * PAGE) /* RLIMIT_MEMLOCK on both sides */

enum versus_verb {
	V_ANON = 1, /* mmap, private anonymous; arg: PROT_* */
	V_STACK,    /* the same with MAP_GROWSDOWN */
	V_SHARED,   /* shared anonymous */
	V_ZERO,	    /* private, of /dev/zero */
	V_FILE,	    /* private, of a file of 8 pages, page n all '0' + n */
	V_FILE_SHARED,
	V_FILE_READ_ONLY, /* shared, opened for reading only */
	V_MPROTECT,
	V_MUNMAP,
	V_PUT, /* arg: the byte; 0 or -EFAULT */
	V_GET, /* the byte or -EFAULT */
	V_MADVISE,
	V_MLOCK, /* mlock2; arg: flags */
	V_MUNLOCK,
	V_MLOCKALL,
	V_MUNLOCKALL,
	V_MSYNC,
	V_MINCORE, /* the sum of the vector's low bits */
};

struct versus_call {
	enum versus_verb verb;
	uint64_t addr, length;
	int arg;
};

/* Runs @calls, up to the first with no verb, on both; EXPECTs no difference. */
void versus(const struct versus_call *calls);

#endif /* MSN_TESTS_MM_VERSUS_H */
