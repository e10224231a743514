/*
 * Progress: how far something long is, on stderr.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A line that is written over on a terminal; with --progress=always elsewhere a
 * line a second.  Also the place where an interruption is noticed.
 */
#ifndef MSN_TOOLS_PROGRESS_H
#define MSN_TOOLS_PROGRESS_H

#include "cmd.h"

#include <stdbool.h>
#include <stdint.h>

struct msn_progress {
	const struct msn_cli *cli;
	const char *what; /* "capturing" */
	bool shown, terminal;
	uint64_t began_ns, told_ns;
	bool line_open; /* a line on the terminal that has to be cleared */
};

void msn_progress_begin(struct msn_progress *p, const struct msn_cli *cli,
			const char *what);

/* For progress callbacks; @ctx is the struct.  -ECANCELED when interrupted. */
int msn_progress_step(void *ctx, uint64_t done_bytes, uint64_t total_bytes);

/* Clears the line.  Harmless if repeated. */
void msn_progress_end(struct msn_progress *p);

#endif /* MSN_TOOLS_PROGRESS_H */
