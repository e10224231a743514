/*
 * memsnap help: what the command table says, as text or as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "cmd.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_options(const struct msn_option *o)
{
	for (; o && o->name; o++) {
		char left[64];

		if (!o->help)
			continue;
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s",
			 o->key ? "-" : " ", o->key ? o->key : ' ',
			 o->key ? ", " : "  ", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("  %-26s %s\n", left, o->help);
	}
}

static void print_all(void)
{
	puts("usage: memsnap [OPTION]... COMMAND [ARGUMENT]...\n\n"
	     "Makes snapshots of the memory of processes, and looks into them.\n"
	     "\ncommands:");
	for (size_t i = 0; msn_cmds[i]; i++)
		printf("  %-10s %s\n", msn_cmds[i]->name, msn_cmds[i]->help);
	puts("\noptions of every command:");
	print_options(msn_global_options);
	puts("\n'memsnap help COMMAND' explains a command; memsnap(1) has more.");
}

static void print_one(const struct msn_cmd *cmd)
{
	printf("usage: memsnap %s%s%s\n\n%s: %s\n", cmd->name,
	       *cmd->synopsis ? " " : "", cmd->synopsis, cmd->name, cmd->help);
	if (cmd->options) {
		puts("\noptions:");
		print_options(cmd->options);
	}
	puts("\noptions of every command:");
	print_options(msn_global_options);
	printf("\nmemsnap-%s(1) has more.\n", cmd->name);
}

/* ---- JSON ----------------------------------------------------------------*/

static json_t *options_json(const struct msn_option *o)
{
	json_t *array = json_array();

	for (; array && o && o->name; o++) {
		char key[2] = { o->key, '\0' };

		if (!o->help)
			continue;
		if (json_array_append_new(
			    array,
			    json_pack("{s:s, s:s?, s:s?, s:s}", "name", o->name,
				      "short", o->key ? key : NULL, "argument",
				      o->arg, "help", o->help))) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *cmd_json(const struct msn_cmd *cmd)
{
	return json_pack("{s:s, s:s, s:s, s:o}", "name", cmd->name, "help",
			 cmd->help, "synopsis", cmd->synopsis, "options",
			 options_json(cmd->options));
}

static json_t *table_json(const struct msn_cmd *only)
{
	json_t *array = json_array();

	for (size_t i = 0; array && msn_cmds[i]; i++) {
		if (only && only != msn_cmds[i])
			continue;
		if (json_array_append_new(array, cmd_json(msn_cmds[i]))) {
			json_decref(array);
			array = NULL;
		}
	}
	return json_pack("{s:o, s:o}", "commands", array, "options",
			 options_json(msn_global_options));
}

static int run(struct msn_cli *cli)
{
	const struct msn_cmd *cmd = NULL;

	if (cli->argc)
		cmd = msn_cmd_find(cli->argv[0]);
	if (cli->argc && !cmd)
		return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				       "help: there is no command '%s'",
				       cli->argv[0]);
	if (cli->json || msn_given_flag(cli, "dump"))
		return msn_json_print(table_json(cmd), &cli->why);
	if (cmd)
		print_one(cmd);
	else
		print_all();
	return 0;
}

static const struct msn_option options[] = {
	{ "dump", 0, NULL, NULL }, /* for the check of the manual pages */
	{}
};

const struct msn_cmd msn_cmd_help = {
	.name = "help",
	.help = "explain a command",
	.synopsis = "[COMMAND]",
	.options = options,
	.args_max = 1,
	.run = run,
};
