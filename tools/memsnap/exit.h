/*
 * How the program ends: exit codes, the error line, interruption.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TOOLS_EXIT_H
#define MSN_TOOLS_EXIT_H

#include "base/failure.h"
#include "cmd.h"

#include <stdbool.h>

/* A command on several objects that went well for some of them. */
#define MSN_EXIT_PARTIAL 12

/* The exit code of a kind of failure; memsnap(1) lists them. */
int msn_exit_code(enum msn_failure_kind kind);

/*
 * Tells of cli->why on stderr: one line, and with --json one line of JSON.
 * Returns the exit code.
 */
int msn_exit_tell(struct msn_cli *cli);

/*
 * From now on SIGINT and SIGTERM are noted, once; a second one kills.  SIGPIPE
 * becomes EPIPE.
 */
void msn_interrupt_watch(void);

/* Has a signal been noted? */
bool msn_interrupted(void);

/* CANCELLED, "<what> was interrupted", if a signal has been noted; else 0. */
MSN_MUST_CHECK int msn_interrupt_check(const char *what,
				       struct msn_failure *why);

#endif /* MSN_TOOLS_EXIT_H */
