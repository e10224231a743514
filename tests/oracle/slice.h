/*
 * Slice: what a thread of a group has for itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Steps of a group run at once, and yet both sides must come to the same.  So
 * each thread has a slice of addresses, and of every file the pages that
 * belong to the slice; whatever the others do, its steps come to what they
 * would come to alone.  The slices lie so far apart that
 *
 *  - no mapping of one can merge with one of another,
 *  - no stack can grow over the distance, and none is kept from growing by
 *    what stands in the next (the gap below a stack is 1 MiB),
 *  - what grows down is in the first slice only: a touch in a lower one would
 *    find it as the next mapping above, and give it a history (anon_vma) even
 *    where it may not grow.
 *
 *     0x180000000000   slice 0   32 pages
 *                                1 GiB
 *     0x180040000000   slice 1   ...
 *
 *     file             0 1 2 3 | 4 5 6 7 | 8 9 10 11 | 12 13 14 15  pages
 *                      slice 0   slice 1   slice 2     slice 3
 *
 * Above them is one slice in which threads get in each other's way.  What they
 * come to there is nobody's to say, so only the engine takes such steps; it
 * has to stay whole, and nothing may be left once the slice is unmapped.
 */
#ifndef MSN_TESTS_ORACLE_SLICE_H
#define MSN_TESTS_ORACLE_SLICE_H

#include <stdbool.h>
#include <stdint.h>

#define SLICE_COUNT 4
#define SLICE_COMMON SLICE_COUNT /* of all threads, without files */
#define SLICE_PAGES UINT64_C(32)
#define SLICE_BYTES (SLICE_PAGES * 4096)
#define SLICE_STRIDE (UINT64_C(1) << 30)
#define SLICE_START(i) (UINT64_C(0x180000000000) + (i)*SLICE_STRIDE)
#define SLICE_END(i) (SLICE_START(i) + SLICE_BYTES)
#define SLICE_STACKS 0 /* the one where mappings may grow down */

/* Of each file. */
#define SLICE_FILE_BYTES (UINT64_C(4) * 4096)
#define SLICE_FILE_START(i) ((i)*SLICE_FILE_BYTES)

/* Is all of [at, at + len) in [start, start + size), and @at too? */
static inline bool slice_part(uint64_t start, uint64_t size, uint64_t at,
			      uint64_t len)
{
	return at - start < size && len <= size - (at - start);
}

/* Are these addresses in slice @i, with the last page to its end? */
static inline bool slice_has(unsigned i, uint64_t addr, uint64_t len)
{
	return slice_part(SLICE_START(i), SLICE_BYTES, addr, len);
}

/* Do these bytes of a file belong to slice @i? */
static inline bool slice_has_bytes(unsigned i, uint64_t offset, uint64_t len)
{
	return i != SLICE_COMMON &&
	       slice_part(SLICE_FILE_START(i), SLICE_FILE_BYTES, offset, len);
}

#endif /* MSN_TESTS_ORACLE_SLICE_H */
