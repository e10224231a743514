/*
 * Mapping space: whoever maps mappables and must hear when pages go away.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * mm implements it; a mappable calls it, usually through its mapping set.
 *
 * Locks: may be called with a mappable's own locks (MSN_RANK_MAPPINGS) held and
 * therefore takes only MSN_RANK_MM_ACTIVE and what stands after it.
 */
#ifndef MSN_MAPPING_MAPPING_SPACE_H
#define MSN_MAPPING_MAPPING_SPACE_H

#include "range/range.h"

#include <stdbool.h>

struct msn_mapping_space;

struct msn_invalidate_opts {
	/*
	 * Also drop private copies of the pages.  Set when the pages behind
	 * them ceased to exist (truncation), not when they merely moved.
	 */
	bool invalidate_private;
};

struct msn_mapping_space_ops {
	/*
	 * Forgets every translation at the page-aligned, non-empty @ar.
	 * After: no access at @ar uses an old translation; page references
	 * taken for them are dropped.
	 */
	void (*invalidate)(struct msn_mapping_space *ms,
			   struct msn_addr_range ar,
			   struct msn_invalidate_opts opts);
};

struct msn_mapping_space {
	const struct msn_mapping_space_ops *ops; /* set once */
};

/* See struct msn_mapping_space_ops. */
void msn_mapping_space_invalidate(struct msn_mapping_space *ms,
				  struct msn_addr_range ar,
				  struct msn_invalidate_opts opts);

#endif /* MSN_MAPPING_MAPPING_SPACE_H */
