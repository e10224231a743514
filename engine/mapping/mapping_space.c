/*
 * Mapping space dispatch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/mapping_space.h"

#include "base/assert.h"

void msn_mapping_space_invalidate(struct msn_mapping_space *ms,
				  struct msn_addr_range ar,
				  struct msn_invalidate_opts opts)
{
	msn_assert(!msn_addr_range_empty(ar));
	msn_assert(msn_addr_range_page_aligned(ar));
	ms->ops->invalidate(ms, ar, opts);
}
