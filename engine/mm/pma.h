/*
 * pma: one placement, and the set of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pure: no system calls, no locks.  Merging and cutting leave page references
 * alone, since the pages stay the same.
 */
#ifndef MSN_MM_PMA_H
#define MSN_MM_PMA_H

#include "mapping/file.h"
#include "range/segset.h"

struct msn_pma {
	struct msn_file *file; /* one reference on each page */
	uint64_t offset;
	uint8_t perms;	   /* the most that the translation allows */
	uint8_t vma_perms; /* what the mapping allows now, effective */
	bool private;	/* pages of the space, not of the object mapped there */
	bool need_cow;	/* others may see them: copy before writing */
	bool lazy_free; /* MADV_FREE: given up unless written to again */
};

MSN_SEGSET_DEFINE(msn_pma_set, struct msn_addr_range, struct msn_pma)

extern const struct msn_segset_ops msn_pma_ops;

/* The file's range behind @part of the placement at @whole. */
static inline struct msn_file_range
msn_pma_file_range(const struct msn_pma *p, struct msn_addr_range whole,
		   struct msn_addr_range part)
{
	uint64_t start = p->offset + (part.start - whole.start);

	return (struct msn_file_range){ start,
					start + msn_addr_range_length(part) };
}

#endif /* MSN_MM_PMA_H */
