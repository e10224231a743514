/*
 * Segment set: an ordered map from disjoint ranges to values.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Used for mappings, placements, page references, loaded ranges.  A B-tree:
 * segments stand in leaves that are linked in order; an inner node keeps for
 * each child the first start, the last end and the largest gap between two
 * segments inside it, so that "the first gap of at least n" costs O(log n).
 *
 * The generic core (struct msn_segset) holds values of one size as bytes.
 * Nobody uses it directly: MSN_SEGSET_DEFINE() gives it a typed face, and the
 * compiler then refuses a range of the wrong kind.
 *
 *    MSN_SEGSET_DEFINE(msn_vma_set, struct msn_addr_range, struct msn_vma)
 *
 * Merging and splitting are the set's policy: struct msn_segset_ops says
 * whether two adjacent segments are one, and what a value becomes when its
 * segment is cut.
 *
 * Positions: a struct msn_seg names a segment, or no segment (leaf NULL).  Any
 * call that changes the set makes every position invalid but the ones that it
 * returns; msn_segset_set_value() and msn_segset_resize() leave them valid.
 *
 * Memory: calls that may need nodes return -ENOMEM and leave the set as it
 * was.  msn_segset_reserve() makes the next inserts and splits certain to
 * succeed, so that a change of several steps can be prepared first and then
 * carried out without a way back.
 *
 * Locks: none.  The caller serializes.
 */
#ifndef MSN_RANGE_SEGSET_H
#define MSN_RANGE_SEGSET_H

#include "base/cleanup.h"
#include "range/range.h"

#include <stddef.h>
#include <stdint.h>

struct msn_segset_node;

/*
 * Largest value.  A node of 2 KiB still holds seven of them; a larger thing is
 * better kept behind a pointer, since values are moved about as bytes.
 */
#define MSN_SEGSET_VALUE_MAX 256

/* Start and end of a segment, whatever kind of range the typed face has. */
struct msn_seg_range {
	uint64_t start, end;
};

struct msn_segset_ops {
	size_t value_size; /* bytes, <= MSN_SEGSET_VALUE_MAX; 0: no values */

	/*
	 * May the adjacent segments @a and @b (a.end == b.start) be one?  If
	 * so, leaves the value of the whole in @va, drops whatever @vb owned
	 * and returns true; else changes nothing.  NULL: never.
	 */
	bool (*merge)(struct msn_seg_range a, void *va, struct msn_seg_range b,
		      void *vb);

	/*
	 * The segment @r is cut at @at.  @value stays for the left part; @right
	 * holds a copy of its bytes and becomes the right part's value.  Must
	 * not fail.  NULL: both keep the same bytes.
	 */
	void (*split)(struct msn_seg_range r, void *value, uint64_t at,
		      void *right);
};

struct msn_segset {
	const struct msn_segset_ops *ops; /* set once */
	struct msn_segset_node *root;	  /* NULL when empty */
	struct msn_segset_node *spare;	  /* reserved nodes, a list */
	size_t spare_count;
	size_t count;	 /* segments */
	uint64_t span;	 /* sum of their lengths */
	unsigned height; /* levels of nodes; 0 when empty */
};

/* A segment of a set, or none when @leaf is NULL. */
struct msn_seg {
	struct msn_segset_node *leaf;
	unsigned index;
};

void msn_segset_init(struct msn_segset *set, const struct msn_segset_ops *ops);

/* Frees the nodes.  Values that own something must have been dropped first. */
void msn_segset_deinit(struct msn_segset *set);

/* Removes everything; same rule for values. */
void msn_segset_clear(struct msn_segset *set);

/*
 * Sets nodes aside so that the next @changes inserts or splits cannot fail.
 * What is not used stays reserved.
 */
MSN_MUST_CHECK int msn_segset_reserve(struct msn_segset *set, unsigned changes);

/* The segment that contains @at, or none. */
struct msn_seg msn_segset_find(const struct msn_segset *set, uint64_t at);

/* The first segment with end > @at (it contains @at or lies above), or none. */
struct msn_seg msn_segset_lower(const struct msn_segset *set, uint64_t at);

struct msn_seg msn_segset_first(const struct msn_segset *set);
struct msn_seg msn_segset_last(const struct msn_segset *set);

static inline bool msn_seg_ok(struct msn_seg s)
{
	return s.leaf != NULL;
}

/* The neighbours of @s in order, or none. */
struct msn_seg msn_seg_next(struct msn_seg s);
struct msn_seg msn_seg_prev(struct msn_seg s);

struct msn_seg_range msn_seg_range(struct msn_seg s);

/* The value's bytes: may be written in place (it does not move the segment). */
void *msn_seg_value(const struct msn_segset *set, struct msn_seg s);

/* Copies the bytes at @value over the value of @s. */
void msn_segset_set_value(struct msn_segset *set, struct msn_seg s,
			  const void *value);

/*
 * Inserts [r.start, r.end) with a copy of the bytes at @value, merging with
 * both neighbours where the policy allows.  Before: r is not empty and meets no
 * segment.  *@out (unless NULL) becomes the segment that now holds r.  On
 * failure the caller still owns what the value owns.
 */
MSN_MUST_CHECK int msn_segset_insert(struct msn_segset *set,
				     struct msn_seg_range r, const void *value,
				     struct msn_seg *out);

/* As above, never merging. */
MSN_MUST_CHECK int msn_segset_insert_unmerged(struct msn_segset *set,
					      struct msn_seg_range r,
					      const void *value,
					      struct msn_seg *out);

/*
 * Takes @s out; its value's bytes are the caller's problem before the call.
 * Returns the segment after it.  Never fails.
 */
struct msn_seg msn_segset_remove(struct msn_segset *set, struct msn_seg s);

/*
 * Cuts @s at @at, which lies strictly inside.  *@left and *@right become the
 * two parts.
 */
MSN_MUST_CHECK int msn_segset_split(struct msn_segset *set, struct msn_seg s,
				    uint64_t at, struct msn_seg *left,
				    struct msn_seg *right);

/*
 * Cuts the segments that cross r.start and r.end, so that every segment lies
 * wholly inside r or wholly outside.  At most two splits.  *@out (unless NULL)
 * becomes the first segment inside r, or none.
 */
MSN_MUST_CHECK int msn_segset_isolate(struct msn_segset *set,
				      struct msn_seg_range r,
				      struct msn_seg *out);

/*
 * Makes @s and the segment after it one, whatever the policy says: the value of
 * @s stays, that of the other is the caller's problem before the call.  Before:
 * they touch.  Returns the whole.  Never fails.
 */
struct msn_seg msn_segset_join(struct msn_segset *set, struct msn_seg s);

/*
 * Gives @s another start and end.  Before: @r is not empty and keeps its place
 * in the order.  Every position stays valid.  Never fails.
 */
void msn_segset_resize(struct msn_segset *set, struct msn_seg s,
		       struct msn_seg_range r);

/*
 * Merges, where the policy allows, all neighbours that meet or touch @r: undoes
 * what isolate did when the parts did not come to differ.
 */
void msn_segset_merge_range(struct msn_segset *set, struct msn_seg_range r);

/*
 * The lowest (first) or highest (last) address inside @within at which @length
 * bytes are free of segments.  Returns false when there is none.  O(log n).
 * With @align > 1 (a power of two) the start is a multiple of it; an aligned
 * search may look at several gaps.
 */
MSN_MUST_CHECK bool msn_segset_first_gap(const struct msn_segset *set,
					 struct msn_seg_range within,
					 uint64_t length, uint64_t align,
					 uint64_t *start);
MSN_MUST_CHECK bool msn_segset_last_gap(const struct msn_segset *set,
					struct msn_seg_range within,
					uint64_t length, uint64_t align,
					uint64_t *start);

/* Is no byte of @r in a segment? */
bool msn_segset_is_free(const struct msn_segset *set, struct msn_seg_range r);

/*
 * Walks the whole tree: order, fill, links, summaries, counts.  Text of the
 * first thing that is wrong, or NULL.
 */
const char *msn_segset_check(const struct msn_segset *set);

/* Nobody uses every function of a set that is defined in a .c file. */
#define MSN_SEGSET_FN static inline __attribute__((unused))

/*
 * Typed face: struct NAME with inline functions NAME_*() over the core.  RANGE
 * is one of the range structs, VALUE the value type.
 */
#define MSN_SEGSET_DEFINE(NAME, RANGE, VALUE)                                  \
	struct NAME {                                                          \
		struct msn_segset core;                                        \
	};                                                                     \
	MSN_SEGSET_FN struct msn_seg_range NAME##_raw(RANGE r)                 \
	{                                                                      \
		return (struct msn_seg_range){ r.start, r.end };               \
	}                                                                      \
	MSN_SEGSET_FN RANGE NAME##_range(struct msn_seg s)                     \
	{                                                                      \
		struct msn_seg_range r = msn_seg_range(s);                     \
		return (RANGE){ r.start, r.end };                              \
	}                                                                      \
	MSN_SEGSET_FN VALUE *NAME##_value(const struct NAME *set,              \
					  struct msn_seg s)                    \
	{                                                                      \
		return msn_seg_value(&set->core, s);                           \
	}                                                                      \
	MSN_SEGSET_FN void NAME##_init(struct NAME *set,                       \
				       const struct msn_segset_ops *ops)       \
	{                                                                      \
		msn_segset_init(&set->core, ops);                              \
	}                                                                      \
	MSN_SEGSET_FN void NAME##_deinit(struct NAME *set)                     \
	{                                                                      \
		msn_segset_deinit(&set->core);                                 \
	}                                                                      \
	MSN_SEGSET_FN struct msn_seg NAME##_find(const struct NAME *set,       \
						 uint64_t at)                  \
	{                                                                      \
		return msn_segset_find(&set->core, at);                        \
	}                                                                      \
	MSN_SEGSET_FN struct msn_seg NAME##_lower(const struct NAME *set,      \
						  uint64_t at)                 \
	{                                                                      \
		return msn_segset_lower(&set->core, at);                       \
	}                                                                      \
	MSN_SEGSET_FN struct msn_seg NAME##_first(const struct NAME *set)      \
	{                                                                      \
		return msn_segset_first(&set->core);                           \
	}                                                                      \
	MSN_MUST_CHECK MSN_SEGSET_FN int NAME##_insert(                        \
		struct NAME *set, RANGE r, const VALUE *value,                 \
		struct msn_seg *out)                                           \
	{                                                                      \
		return msn_segset_insert(&set->core, NAME##_raw(r), value,     \
					 out);                                 \
	}                                                                      \
	MSN_MUST_CHECK MSN_SEGSET_FN int NAME##_insert_unmerged(               \
		struct NAME *set, RANGE r, const VALUE *value,                 \
		struct msn_seg *out)                                           \
	{                                                                      \
		return msn_segset_insert_unmerged(&set->core, NAME##_raw(r),   \
						  value, out);                 \
	}                                                                      \
	MSN_SEGSET_FN struct msn_seg NAME##_remove(struct NAME *set,           \
						   struct msn_seg s)           \
	{                                                                      \
		return msn_segset_remove(&set->core, s);                       \
	}                                                                      \
	MSN_MUST_CHECK MSN_SEGSET_FN int NAME##_isolate(                       \
		struct NAME *set, RANGE r, struct msn_seg *out)                \
	{                                                                      \
		return msn_segset_isolate(&set->core, NAME##_raw(r), out);     \
	}                                                                      \
	MSN_SEGSET_FN struct msn_seg NAME##_join(struct NAME *set,             \
						 struct msn_seg s)             \
	{                                                                      \
		return msn_segset_join(&set->core, s);                         \
	}                                                                      \
	MSN_SEGSET_FN void NAME##_resize(struct NAME *set, struct msn_seg s,   \
					 RANGE r)                              \
	{                                                                      \
		msn_segset_resize(&set->core, s, NAME##_raw(r));               \
	}                                                                      \
	MSN_SEGSET_FN void NAME##_merge_range(struct NAME *set, RANGE r)       \
	{                                                                      \
		msn_segset_merge_range(&set->core, NAME##_raw(r));             \
	}                                                                      \
	MSN_SEGSET_FN bool NAME##_is_free(const struct NAME *set, RANGE r)     \
	{                                                                      \
		return msn_segset_is_free(&set->core, NAME##_raw(r));          \
	}

#endif /* MSN_RANGE_SEGSET_H */
