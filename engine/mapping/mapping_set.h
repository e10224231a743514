/*
 * Mapping set: who maps which offsets of a mappable.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The reverse map that an implementation of struct msn_mappable keeps to be
 * able to invalidate.  Adding and removing cost O(log n) also when thousands of
 * spaces map the same offsets (a shared library); see README.md for how.
 *
 * A mapping is remembered as a set of pages: adding the same one twice is
 * adding it once, pieces may be removed in other portions than they were added.
 *
 * Locks: none.  The mappable serializes with MSN_RANK_MAPPINGS.
 */
#ifndef MSN_MAPPING_MAPPING_SET_H
#define MSN_MAPPING_MAPPING_SET_H

#include "base/cleanup.h"
#include "mapping/mapping_space.h"
#include "range/range.h"

#include <stdbool.h>
#include <stddef.h>

/* One place where a range of the object is mapped. */
struct msn_mapping_of_range {
	struct msn_mapping_space *space;
	struct msn_addr_range addr; /* as long as the object's range */
	bool writable;
};

struct msn_mapping_set;

MSN_MUST_CHECK int msn_mapping_set_new(struct msn_mapping_set **out);

/* Before: it is empty.  NULL is allowed.  Returns NULL. */
struct msn_mapping_set *msn_mapping_set_free(struct msn_mapping_set *set);
MSN_DEFINE_AUTO(struct msn_mapping_set, msn_mapping_set_free)

/* Told of object ranges that came to be mapped, or ceased to be. */
typedef void (*msn_mapping_set_range_fn)(void *ctx, struct msn_obj_range r);

/*
 * Adds: @ms maps object offset @offset at ar.start, and so on.  Calls @fresh
 * (unless NULL) for each part that nobody mapped before, in order, past the
 * last point where this can fail; @fresh must not use the set.  0 or -ENOMEM
 * with the set as it was.
 */
MSN_MUST_CHECK int
msn_mapping_set_add(struct msn_mapping_set *set, struct msn_mapping_space *ms,
		    struct msn_addr_range ar, uint64_t offset, bool writable,
		    msn_mapping_set_range_fn fresh, void *ctx);

/*
 * Removes what msn_mapping_set_add() added for exactly these pages with the
 * same @writable.  Calls @gone (unless NULL) for each part that nobody maps any
 * more, in order; @gone must not use the set.  Pages that were not there are
 * passed over.  Never fails: what a split may need was set aside by add, for as
 * many mappings as one space can have (MSN_MAPPING_COUNT_MAX).
 */
void msn_mapping_set_remove(struct msn_mapping_set *set,
			    struct msn_mapping_space *ms,
			    struct msn_addr_range ar, uint64_t offset,
			    bool writable, msn_mapping_set_range_fn gone,
			    void *ctx);

/* Calls invalidate() of every space for every place where @r is mapped. */
void msn_mapping_set_invalidate(struct msn_mapping_set *set,
				struct msn_obj_range r,
				struct msn_invalidate_opts opts);

/* As above, for everything. */
void msn_mapping_set_invalidate_all(struct msn_mapping_set *set,
				    struct msn_invalidate_opts opts);

/*
 * Calls @fn for every place where a part of @r is mapped, with that part, in
 * the order of object offsets.  @fn must not change the set.
 */
typedef void (*msn_mapping_set_place_fn)(
	void *ctx, struct msn_obj_range r,
	const struct msn_mapping_of_range *place);
void msn_mapping_set_for_each(struct msn_mapping_set *set,
			      struct msn_obj_range r,
			      msn_mapping_set_place_fn fn, void *ctx);

bool msn_mapping_set_empty(const struct msn_mapping_set *set);

/* Is any page of @r mapped by anybody? */
bool msn_mapping_set_is_mapped(const struct msn_mapping_set *set,
			       struct msn_obj_range r);

/*
 * Tree nodes looked at since the set was made: lets a test see what an
 * operation costs without a clock.
 */
uint64_t msn_mapping_set_visits(const struct msn_mapping_set *set);

/* Text of the first broken invariant, or NULL. */
const char *msn_mapping_set_check(const struct msn_mapping_set *set);

#endif /* MSN_MAPPING_MAPPING_SET_H */
