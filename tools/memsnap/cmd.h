/*
 * The command table: every verb of the program, and what a verb is given.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A verb is one file cmd_<verb>.c that defines msn_cmd_<verb>, and one row of
 * MSN_COMMANDS below.  Option parsing, help, the hint after a typing error and
 * the check of the manual pages all come from what the file declares.
 */
#ifndef MSN_TOOLS_CMD_H
#define MSN_TOOLS_CMD_H

#include "base/cleanup.h"
#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

/* In the order in which help lists them. */
#define MSN_COMMANDS(row)                                                      \
	row(capture) row(ls) row(show) row(maps) row(read) row(diff)           \
		row(verify) row(export) row(rm) row(info) row(version)         \
			row(help)

struct msn_cli;

/* One option of a verb, or of all verbs.  A list ends with an empty one. */
struct msn_option {
	const char *name; /* long form, without dashes */
	char key;	  /* short form, or 0 */
	const char *arg;  /* what its argument is called; NULL: takes none */
	const char *help; /* one line; NULL: not listed */
};

struct msn_cmd {
	const char *name;
	const char *help;     /* one line */
	const char *synopsis; /* operands and options, as help shows them */
	const struct msn_option *options;
	int args_min, args_max; /* operands; args_max -1: any number */

	/*
	 * Runs the verb.  0, or a negated errno with the text in cli->why; or
	 * sets cli->exit_code, having told everything itself, and returns 0.
	 */
	int (*run)(struct msn_cli *cli);
};

/* Options that every verb takes, before or after its name. */
extern const struct msn_option msn_global_options[];

/* All verbs, and a NULL behind the last. */
extern const struct msn_cmd *const msn_cmds[];

/* The verb of that name, or NULL. */
const struct msn_cmd *msn_cmd_find(const char *name);

#define MSN_CMD_DECLARE(verb) extern const struct msn_cmd msn_cmd_##verb;
MSN_COMMANDS(MSN_CMD_DECLARE)
#undef MSN_CMD_DECLARE

/* An option as it was given. */
struct msn_given {
	const struct msn_option *option;
	const char *value; /* NULL for one without an argument */
};

enum msn_when { MSN_WHEN_AUTO, MSN_WHEN_ALWAYS, MSN_WHEN_NEVER };

/* One run of the program. */
struct msn_cli {
	const struct msn_cmd *cmd; /* NULL until the verb is known */
	struct msn_given *given;
	size_t given_count, given_cap;
	int argc; /* operands of the verb */
	char **argv;

	const char *store_path; /* NULL until msn_refs_store_path() */
	char *store_default;	/* owned */
	bool json, quiet;
	enum msn_when progress, color;

	struct msn_failure why;
	int exit_code; /* when the verb decides itself; else 0 */
};

/* Was the verb's option @name given? */
bool msn_given_flag(const struct msn_cli *cli, const char *name);

/* Its argument (the last one given), or NULL. */
const char *msn_given_text(const struct msn_cli *cli, const char *name);

#endif /* MSN_TOOLS_CMD_H */
