/*
 * Guard: the file behind pages that nobody may touch.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a guard marker in a page table is to Linux (MADV_GUARD_INSTALL): a
 * placement of this file has no rights, so every access to it is a fault, and
 * it takes no memory.  It stays when pages are discarded and goes when the
 * mapping does.  On a platform with page tables nothing is mapped there.
 */
#ifndef MSN_MM_GUARD_H
#define MSN_MM_GUARD_H

#include "mm/mm_internal.h"

static inline bool msn_pma_is_guard(const struct msn_pma *p)
{
	return p->file == msn_guard_file();
}

/* Takes memory: is neither a guard nor what only reads as zero. */
bool msn_pma_takes_memory(const struct msn_pma *p);

/*
 * MADV_GUARD_INSTALL and, with not @install, MADV_GUARD_REMOVE of @ar, a part
 * of the mapping at @s.  0, -EINVAL for a mapping that cannot have any, or
 * -ENOMEM (nothing has changed).  Mapping lock held; takes active.
 */
MSN_MUST_CHECK int msn_mm_guard(struct msn_mm *mm, struct msn_seg s,
				struct msn_addr_range ar, bool install);

/*
 * Puts guards at @ar of the mapping at @s, where nothing is placed: for a space
 * that is restored.  Both locks held for writing.  -ENOMEM.
 */
MSN_MUST_CHECK int msn_mm_place_guards(struct msn_mm *mm, struct msn_seg s,
				       struct msn_addr_range ar);

#endif /* MSN_MM_GUARD_H */
