/*
 * Sums of smaps: how much of a mapping is in memory, and whose it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_MM_SMAPS_H
#define MSN_MM_SMAPS_H

#include <stdint.h>

/* In bytes; names are those of /proc/PID/smaps. */
struct msn_smaps {
	uint64_t size;
	uint64_t rss, pss, pss_dirty;
	uint64_t shared_clean, shared_dirty;
	uint64_t private_clean, private_dirty;
	uint64_t anonymous, lazy_free;
};

#endif /* MSN_MM_SMAPS_H */
