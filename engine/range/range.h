/*
 * Half-open ranges and page math.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An address, an offset into a mappable object and an offset into a file are
 * all 64-bit numbers, and mixing them up is the easiest mistake to make here.
 * Each kind of range is therefore its own struct with the same operations, so
 * that the compiler refuses the mix-up:
 *
 *    struct msn_addr_range   virtual addresses of one space
 *    struct msn_obj_range    offsets into a struct msn_mappable
 *    struct msn_file_range   offsets into a struct msn_file
 *
 * A range is [start, end): well formed when start <= end, empty when equal.
 */
#ifndef MSN_RANGE_RANGE_H
#define MSN_RANGE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#define MSN_PAGE_SHIFT 12
#define MSN_PAGE_SIZE (UINT64_C(1) << MSN_PAGE_SHIFT)
#define MSN_PAGE_MASK (MSN_PAGE_SIZE - 1)

static inline bool msn_page_aligned(uint64_t v)
{
	return (v & MSN_PAGE_MASK) == 0;
}

static inline uint64_t msn_page_down(uint64_t v)
{
	return v & ~MSN_PAGE_MASK;
}

/* Rounds up; false when the result does not fit in 64 bits. */
static inline bool msn_page_up(uint64_t v, uint64_t *out)
{
	if (v > UINT64_MAX - MSN_PAGE_MASK)
		return false;
	*out = msn_page_down(v + MSN_PAGE_MASK);
	return true;
}

#define MSN_DEFINE_RANGE(kind)                                                 \
	struct kind {                                                          \
		uint64_t start, end;                                           \
	};                                                                     \
	static inline uint64_t kind##_length(struct kind r)                    \
	{                                                                      \
		return r.end - r.start;                                        \
	}                                                                      \
	static inline bool kind##_empty(struct kind r)                         \
	{                                                                      \
		return r.start >= r.end;                                       \
	}                                                                      \
	static inline bool kind##_contains(struct kind r, uint64_t at)         \
	{                                                                      \
		return r.start <= at && at < r.end;                            \
	}                                                                      \
	static inline bool kind##_covers(struct kind r, struct kind part)      \
	{                                                                      \
		return r.start <= part.start && part.end <= r.end;             \
	}                                                                      \
	static inline bool kind##_overlaps(struct kind a, struct kind b)       \
	{                                                                      \
		return a.start < b.end && b.start < a.end;                     \
	}                                                                      \
	static inline struct kind kind##_intersect(struct kind a,              \
						   struct kind b)              \
	{                                                                      \
		uint64_t s = a.start > b.start ? a.start : b.start;            \
		uint64_t e = a.end < b.end ? a.end : b.end;                    \
		return (struct kind){ s, e < s ? s : e };                      \
	}                                                                      \
	static inline bool kind##_page_aligned(struct kind r)                  \
	{                                                                      \
		return msn_page_aligned(r.start | r.end);                      \
	}

MSN_DEFINE_RANGE(msn_addr_range)
MSN_DEFINE_RANGE(msn_obj_range)
MSN_DEFINE_RANGE(msn_file_range)

#endif /* MSN_RANGE_RANGE_H */
