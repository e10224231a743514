/*
 * What a mapping set needs of struct msn_mapping_space, so that its tests link
 * nothing else of the component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/mapping_space.h"

void msn_mapping_space_invalidate(struct msn_mapping_space *ms,
				  struct msn_addr_range ar,
				  struct msn_invalidate_opts opts)
{
	ms->ops->invalidate(ms, ar, opts);
}
