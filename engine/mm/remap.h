/*
 * mremap: what its two sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_MM_REMAP_H
#define MSN_MM_REMAP_H

#include "mm/mm_internal.h"

/* One mremap under way; lengths are in whole pages. */
struct msn_remap {
	struct msn_mm *mm;
	uint64_t addr, old_len, new_len, new_addr;
	uint64_t delta;	   /* between the lengths, either way */
	int flags;	   /* MREMAP_* */
	bool keeps_source; /* MREMAP_DONTUNMAP */
	bool populate;	   /* the part that has grown, once it is done */
	struct msn_dropped dropped;
};

/*
 * move_vma() of Linux: [addr, addr + old_len), which lies inside one mapping,
 * goes to new_addr, where nothing is, and gets new_len long.  -ENOMEM, or what
 * the object says; then nothing has changed.  Mapping lock held for writing.
 */
MSN_MUST_CHECK int msn_mm_move_mapping(struct msn_remap *r);

/*
 * Makes the mapping that ends at addr + old_len longer by delta, where nothing
 * is, and merges it with what comes next if the kernel would.  Results and lock
 * as above.
 */
MSN_MUST_CHECK int msn_mm_grow_mapping(struct msn_remap *r);

#endif /* MSN_MM_REMAP_H */
