/*
 * Zero: the file behind pages that were read but never written.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the zero page is to Linux: reading anonymous memory places it, which
 * shows in mincore() and takes no memory; writing replaces it.  Any offset of
 * it reads as zero; placements use their address, so that neighbours merge.
 */
#ifndef MSN_MM_ZERO_H
#define MSN_MM_ZERO_H

#include "mapping/file.h"

#include <stdbool.h>
#include <stdint.h>

/* The one there is.  Borrowed; lives for ever. */
struct msn_file *msn_zero_file(void);

/* MSN_ZEROS_BYTES zeros to copy from. */
#define MSN_ZEROS_BYTES (UINT64_C(64) << 10)
const char *msn_zeros(void);

static inline bool msn_is_zero_file(const struct msn_file *file)
{
	return file == msn_zero_file();
}

#endif /* MSN_MM_ZERO_H */
