/*
 * Against: is a process still what a snapshot says it was?
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Compares the list of mappings line by line and then every byte.  The process
 * is only read, never stopped: one that runs meanwhile differs as it goes on.
 */
#ifndef MSN_TOOLS_AGAINST_H
#define MSN_TOOLS_AGAINST_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "cmd.h"
#include "format/manifest.h"
#include "store/store.h"

#include <stdint.h>
#include <sys/types.h>

struct msn_against {
	uint64_t lines_differ; /* of the maps listing, of either side */
	uint64_t pages_differ;
	uint64_t pages_compared;
	uint64_t pages_unknown; /* the host file behind them is another now */
};

struct msn_against_opts {
	const struct msn_cli *cli;
	pid_t pid;

	/* A line that only one side has ('-': the snapshot).  May be NULL. */
	void (*line)(void *ctx, char side, const char *text);

	/* Touching pages that differ.  May be NULL. */
	void (*run)(void *ctx, uint64_t start, uint64_t end);
	void *ctx;
};

MSN_MUST_CHECK int msn_against(struct msn_store *store,
			       const struct msn_manifest *m,
			       const struct msn_against_opts *opts,
			       struct msn_against *out,
			       struct msn_failure *why);

#endif /* MSN_TOOLS_AGAINST_H */
