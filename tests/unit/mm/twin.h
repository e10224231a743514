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
 * Only pages below TWIN_PAGES are compared: where Linux places what has no
 * address is another test's.
 */
#ifndef MSN_TESTS_MM_TWIN_H
#define MSN_TESTS_MM_TWIN_H

#include "unit/mm/fixture.h"

#define TWIN_PAGES 1000

enum twin_op {
	TWIN_MAP = 1, /* page, pages, prot, flags (MAP_FIXED is added) */
	TWIN_UNMAP,   /* page, pages */
	TWIN_PROTECT, /* page, pages, prot */
	TWIN_TOUCH,   /* page, pages: writes the first byte of each */
	TWIN_REMAP,   /* page, pages, new_pages, flags, to */
	TWIN_SEAL,    /* page, pages, flags */
	TWIN_HEAP,    /* page: first: the heap is empty and starts here */
	TWIN_BRK,     /* page, bytes: to what */
	TWIN_BIND,    /* page, pages, mode, nodes, flags */
};

struct twin_step {
	enum twin_op op;
	uint64_t page, pages, new_pages, to, bytes;
	int prot, flags, mode;
	uint64_t nodes;
};

/* What the script is run under; zeroed: no limits but those of the host. */
struct twin_limits {
	uint64_t as, data, memlock; /* bytes above what is there; 0: none */
};

void twin_run(const char *name, const struct twin_step *steps, size_t count,
	      struct twin_limits limits);

/* clang-format off */
#define TWIN(name, ...)                                                        \
	do {                                                                   \
		static const struct twin_step steps_[] = { __VA_ARGS__ };      \
		twin_run(name, steps_, sizeof(steps_) / sizeof(steps_[0]),     \
			 (struct twin_limits){ 0 });                           \
	} while (0)

#define MAP(p, n, pr) { .op = TWIN_MAP, .page = (p), .pages = (n),             \
			.prot = (pr), .flags = MAP_PRIVATE | MAP_ANONYMOUS }
#define MAP_AS(p, n, pr, fl) { .op = TWIN_MAP, .page = (p), .pages = (n),      \
			.prot = (pr), .flags = (fl) | MAP_ANONYMOUS }
#define UNMAP(p, n) { .op = TWIN_UNMAP, .page = (p), .pages = (n) }
#define PROTECT(p, n, pr) { .op = TWIN_PROTECT, .page = (p), .pages = (n),     \
			    .prot = (pr) }
#define TOUCH(p, n) { .op = TWIN_TOUCH, .page = (p), .pages = (n) }
#define REMAP(p, n, m, fl, t) { .op = TWIN_REMAP, .page = (p), .pages = (n),   \
				.new_pages = (m), .flags = (fl), .to = (t) }
#define SEAL(p, n) { .op = TWIN_SEAL, .page = (p), .pages = (n) }
#define SEAL_AS(p, n, fl) { .op = TWIN_SEAL, .page = (p), .pages = (n),        \
			    .flags = (fl) }
#define HEAP(p) { .op = TWIN_HEAP, .page = (p) }
#define BRK(p, b) { .op = TWIN_BRK, .page = (p), .bytes = (b) }
#define BIND(p, n, m, no, fl) { .op = TWIN_BIND, .page = (p), .pages = (n),    \
				.mode = (m), .nodes = (no), .flags = (fl) }
/* clang-format on */

#endif /* MSN_TESTS_MM_TWIN_H */
