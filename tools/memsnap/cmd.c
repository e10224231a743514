/*
 * The command table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd.h"

#include "base/assert.h"

#include <string.h>

const struct msn_option msn_global_options[] = {
	{ "store", 0, "DIR", "the store to use" },
	{ "json", 0, NULL, "print JSON" },
	{ "quiet", 'q', NULL, "print as little as is useful" },
	{ "progress", 0, "WHEN", "show progress: auto, always, never" },
	{ "color", 0, "WHEN", "use colors: auto, always, never" },
	{ "help", 'h', NULL, "explain the command" },
	{}
};

#define ROW(verb) &msn_cmd_##verb,
const struct msn_cmd *const msn_cmds[] = { MSN_COMMANDS(ROW) NULL };
#undef ROW

const struct msn_cmd *msn_cmd_find(const char *name)
{
	for (size_t i = 0; msn_cmds[i]; i++)
		if (strcmp(msn_cmds[i]->name, name) == 0)
			return msn_cmds[i];
	return NULL;
}

/* A handler that asks for an option which it did not declare is wrong. */
static const struct msn_option *option_of(const struct msn_cmd *cmd,
					  const char *name)
{
	const struct msn_option *o;

	for (o = cmd->options; o && o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	for (o = msn_global_options; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

static const struct msn_given *given_last(const struct msn_cli *cli,
					  const char *name)
{
	const struct msn_option *o = option_of(cli->cmd, name);

	msn_assert(o != NULL);
	for (size_t i = cli->given_count; i > 0; i--)
		if (cli->given[i - 1].option == o)
			return &cli->given[i - 1];
	return NULL;
}

bool msn_given_flag(const struct msn_cli *cli, const char *name)
{
	return given_last(cli, name) != NULL;
}

const char *msn_given_text(const struct msn_cli *cli, const char *name)
{
	const struct msn_given *g = given_last(cli, name);

	return g ? g->value : NULL;
}
