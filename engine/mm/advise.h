/*
 * Advise: what madvise(2) does to the pages of one mapping.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_MM_ADVISE_H
#define MSN_MM_ADVISE_H

#include "mm/mm_internal.h"

/*
 * The advice @advice (MADV_*, of the kinds that do something to pages) on @ar,
 * a part of the mapping at @s.  0; -EINVAL where Linux does not do such a
 * thing; -EAGAIN: no memory.  Mapping lock held; takes active for writing.
 */
MSN_MUST_CHECK int msn_mm_advise_pages(struct msn_mm *mm, struct msn_seg s,
				       struct msn_addr_range ar, int advice);

#endif /* MSN_MM_ADVISE_H */
