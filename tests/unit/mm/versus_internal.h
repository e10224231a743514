/*
 * Versus: what its two sides share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_MM_VERSUS_INTERNAL_H
#define MSN_TESTS_MM_VERSUS_INTERNAL_H

#include "unit/mm/versus.h"

#define VERSUS_FILE_PAGES 8

/* What one side came to. */
struct versus_side {
	int64_t result[VERSUS_CALLS];
	uint8_t present[VERSUS_PAGES];
	char layout[4096]; /* "page-page rights", line by line */
};

/* The file of V_FILE*, open for both or for reading only. */
struct versus_files {
	char path[64];
	int rw, ro, zero;
};

/* Appends the lines of a maps listing that lie in the arena. */
void versus_add_layout(struct versus_side *side, char *maps);

void versus_run_engine(const struct versus_call *calls,
		       const struct versus_files *files,
		       struct versus_side *side);
void versus_run_kernel(const struct versus_call *calls,
		       const struct versus_files *files,
		       struct versus_side *side);

#endif /* MSN_TESTS_MM_VERSUS_INTERNAL_H */
