/*
 * Twins: a space and the running kernel do the same calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A script is a list of steps.  twin_run() does it with real system calls in a
 * child, then in a space without page tables at the same addresses, and expects
 * the same result and errno of each step, and after each the same mappings with
 * the same bytes, and as many of them counted as locked:
 *
 *    10-14 rw-p 0 "a.b."        pages, rights, offset, first byte of each;
 *                               [heap] if it is
 *
 * Looking at a page brings it in.  With .presence only those that are present
 * are looked at, and the others shown as '-': which are there is compared too.
 *
 * Only pages below TWIN_PAGES are compared: where Linux places what has no
 * address is another test's.
 */
#ifndef MSN_TESTS_MM_TWIN_H
#define MSN_TESTS_MM_TWIN_H

#include "unit/mm/fixture.h"

#define TWIN_PAGES 1000
#define TWIN_FILE_PAGES 8 /* page n of the file is all '0' + n */

/* What mappings are of. */
enum twin_of {
	TWIN_MEMORY = 0, /* anonymous */
	TWIN_FILE,	 /* the file, open for reading and writing */
	TWIN_READ_ONLY,	 /* the file, open for reading */
	TWIN_ZERO,	 /* /dev/zero */
};

/* Each has addr and length, both in bytes and from page 0 on. */
enum twin_op {
	TWIN_MAP = 1, /* prot, flags (MAP_FIXED is added), of */
	TWIN_UNMAP,
	TWIN_PROTECT, /* prot */
	TWIN_TOUCH,   /* writes the first byte of each page */
	TWIN_REMAP,   /* new_length, flags, to */
	TWIN_SEAL,    /* flags */
	TWIN_HEAP,    /* addr: first: the heap is empty and starts here */
	TWIN_BRK,     /* addr */
	TWIN_BIND,    /* mode, nodes, flags */
	TWIN_PUT,     /* addr; flags: the byte */
	TWIN_GET,     /* addr */
	TWIN_ADVISE,  /* flags: MADV_* */
	TWIN_LOCK,    /* flags: of mlock2() */
	TWIN_UNLOCK,
	TWIN_LOCK_ALL, /* flags */
	TWIN_UNLOCK_ALL,
	TWIN_SYNC,    /* flags */
	TWIN_MINCORE, /* how many pages are in memory; below TWIN_PAGES */
};

struct twin_step {
	enum twin_op op;
	enum twin_of of;
	uint64_t addr, length, new_length, to;
	int prot, flags, mode;
	uint64_t nodes;
};

/* What the script is run under; zeroed: no limits but those of the host. */
struct twin_opts {
	uint64_t as, data; /* bytes above what is there; 0: none */
	/* RLIMIT_MEMLOCK, of somebody without capabilities; 0: none */
	uint64_t memlock;
	bool presence; /* see above */
};

void twin_run(const char *name, const struct twin_step *steps, size_t count,
	      struct twin_opts opts);

/* clang-format off */
#define TWIN_UNDER(name, opts, ...)                                            \
	do {                                                                   \
		static const struct twin_step steps_[] = { __VA_ARGS__ };      \
		twin_run(name, steps_, sizeof(steps_) / sizeof(steps_[0]),     \
			 opts);                                                \
	} while (0)
#define TWIN(name, ...)                                                        \
	TWIN_UNDER(name, (struct twin_opts){ 0 }, __VA_ARGS__)

/* In bytes; @fl is what goes with the call. */
#define STEP(o, a, l, fl) { .op = (o), .addr = (a), .length = (l),             \
			    .flags = (fl) }
#define ON_PAGES(o, p, n, fl) STEP(o, (p) * PAGE, (n) * PAGE, fl)

#define MAP_OF(what, p, n, pr, fl) { .op = TWIN_MAP, .of = (what),             \
			.addr = (p) * PAGE, .length = (n) * PAGE,              \
			.prot = (pr), .flags = (fl) }
#define MAP_AS(p, n, pr, fl)                                                   \
	MAP_OF(TWIN_MEMORY, p, n, pr, (fl) | MAP_ANONYMOUS)
#define MAP(p, n, pr) MAP_AS(p, n, pr, MAP_PRIVATE)
#define UNMAP(p, n) ON_PAGES(TWIN_UNMAP, p, n, 0)
#define PROTECT(p, n, pr) { .op = TWIN_PROTECT, .addr = (p) * PAGE,            \
			    .length = (n) * PAGE, .prot = (pr) }
#define TOUCH(p, n) ON_PAGES(TWIN_TOUCH, p, n, 0)
#define REMAP(p, n, m, fl, t) { .op = TWIN_REMAP, .addr = (p) * PAGE,          \
				.length = (n) * PAGE,                          \
				.new_length = (m) * PAGE, .flags = (fl),       \
				.to = (t) * PAGE }
#define SEAL(p, n) ON_PAGES(TWIN_SEAL, p, n, 0)
#define SEAL_AS(p, n, fl) ON_PAGES(TWIN_SEAL, p, n, fl)
#define HEAP(p) ON_PAGES(TWIN_HEAP, p, 0, 0)
#define BRK(p, b) STEP(TWIN_BRK, (p) * PAGE + (b), 0, 0)
#define BIND(p, n, m, no, fl) { .op = TWIN_BIND, .addr = (p) * PAGE,           \
				.length = (n) * PAGE, .mode = (m),             \
				.nodes = (no), .flags = (fl) }
#define PUT(p, c) ON_PAGES(TWIN_PUT, p, 0, c)
#define GET(p) ON_PAGES(TWIN_GET, p, 0, 0)
#define ADVISE(p, n, a) ON_PAGES(TWIN_ADVISE, p, n, a)
#define LOCK(p, n, fl) ON_PAGES(TWIN_LOCK, p, n, fl)
#define UNLOCK(p, n) ON_PAGES(TWIN_UNLOCK, p, n, 0)
#define LOCK_ALL(fl) STEP(TWIN_LOCK_ALL, 0, 0, fl)
#define UNLOCK_ALL() STEP(TWIN_UNLOCK_ALL, 0, 0, 0)
#define SYNC(p, n, fl) ON_PAGES(TWIN_SYNC, p, n, fl)
#define MINCORE(p, n) ON_PAGES(TWIN_MINCORE, p, n, 0)
/* clang-format on */

#endif /* MSN_TESTS_MM_TWIN_H */
