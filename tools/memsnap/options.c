/*
 * getopt_long(), built from the command table.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Twice over the arguments: up to the verb with the global options alone, then
 * behind it with the verb's as well.
 */
#include "options.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hint.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 32
#define LONG_BASE 256 /* getopt values above every short option */

/* What getopt is given: known[i] has the value LONG_BASE + i. */
struct parser {
	const struct msn_option *known[OPTIONS_MAX];
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 3];
	size_t count;
};

static void parser_add(struct parser *p, const struct msn_option *list)
{
	size_t s = strlen(p->shorts);

	for (; list && list->name && p->count < OPTIONS_MAX; list++) {
		p->longs[p->count] = (struct option){
			.name = list->name,
			.has_arg = list->arg ? required_argument : no_argument,
			.val = LONG_BASE + (int)p->count,
		};
		p->known[p->count++] = list;
		if (!list->key)
			continue;
		p->shorts[s++] = list->key;
		if (list->arg)
			p->shorts[s++] = ':';
	}
}

static const struct msn_option *parser_option(const struct parser *p, int val)
{
	if (val >= LONG_BASE)
		return p->known[val - LONG_BASE];
	for (size_t i = 0; i < p->count; i++)
		if (p->known[i]->key == val)
			return p->known[i];
	return NULL;
}

static int usage(struct msn_cli *cli, const char *what, const char *word,
		 const char *near)
{
	const char *verb = cli->cmd ? cli->cmd->name : "";
	const char *colon = cli->cmd ? ": " : "";

	if (near)
		return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				       "%s%s%s '%s'; did you mean '%s'?", verb,
				       colon, what, word, near);
	return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
			       "%s%s%s '%s'; see 'memsnap help%s%s'", verb,
			       colon, what, word, cli->cmd ? " " : "", verb);
}

static int unknown_option(struct msn_cli *cli, const struct parser *p,
			  const char *word)
{
	struct msn_hint hint = {};
	char name[64], near[80];
	size_t len = strcspn(word, "=");

	snprintf(name, sizeof(name), "%.*s", (int)(len < 60 ? len : 60), word);
	msn_hint_begin(&hint, name + strspn(name, "-"));
	for (size_t i = 0; i < p->count; i++)
		if (p->known[i]->help)
			msn_hint_try(&hint, p->known[i]->name);
	if (!hint.best)
		return usage(cli, "unknown option", name, NULL);
	snprintf(near, sizeof(near), "--%s", hint.best);
	return usage(cli, "unknown option", name, near);
}

/* What getopt objects to; @c is ':' or '?'. */
static int bad_option(struct msn_cli *cli, const struct parser *p, int c,
		      char **argv)
{
	const struct msn_option *o = optopt ? parser_option(p, optopt) : NULL;
	char name[80];

	if (o) {
		snprintf(name, sizeof(name), "--%s", o->name);
		return usage(cli,
			     c == ':' ? "no argument for option"
				      : "no argument is taken by option",
			     name, NULL);
	}
	if (!optopt)
		return unknown_option(cli, p, argv[optind - 1]);
	snprintf(name, sizeof(name), "-%c", optopt);
	return usage(cli, "unknown option", name, NULL);
}

static int add_given(struct msn_cli *cli, const struct msn_option *o,
		     const char *value)
{
	int rc = msn_grow((void **)&cli->given, &cli->given_cap,
			  cli->given_count, sizeof(*cli->given));

	if (rc)
		return msn_failure_errno(&cli->why, rc, "cannot read options");
	cli->given[cli->given_count++] = (struct msn_given){ o, value };
	return 0;
}

static int parse_some(struct msn_cli *cli, const struct parser *p, int argc,
		      char **argv)
{
	int c, rc;

	optind = 0; /* a fresh start, also of glibc's own state */
	opterr = 0;
	while ((c = getopt_long(argc, argv, p->shorts, p->longs, NULL)) != -1) {
		if (c == ':' || c == '?')
			return bad_option(cli, p, c, argv);
		rc = add_given(cli, parser_option(p, c), optarg);
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

static int find_verb(struct msn_cli *cli, const char *word)
{
	struct msn_hint hint = {};

	cli->cmd = msn_cmd_find(word);
	if (cli->cmd)
		return 0;
	msn_hint_begin(&hint, word);
	for (size_t i = 0; msn_cmds[i]; i++)
		msn_hint_try(&hint, msn_cmds[i]->name);
	return usage(cli, "unknown command", word, hint.best);
}

static int parse_when(struct msn_cli *cli, const char *option, const char *text,
		      enum msn_when *out)
{
	static const char *const words[] = { "auto", "always", "never" };

	for (size_t i = 0; i < MSN_ARRAY_LEN(words); i++)
		if (strcmp(text, words[i]) == 0) {
			*out = (enum msn_when)i;
			return 0;
		}
	return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
			       "--%s is auto, always or never, and not '%s'",
			       option, text);
}

static const char *global_text(const struct msn_cli *cli, const char *name)
{
	for (size_t i = cli->given_count; i > 0; i--) {
		const struct msn_given *g = &cli->given[i - 1];

		if (strcmp(g->option->name, name) == 0)
			return g->value ? g->value : "";
	}
	return NULL;
}

static int apply_globals(struct msn_cli *cli)
{
	const char *text;
	int rc = 0;

	cli->json = global_text(cli, "json") != NULL;
	cli->quiet = global_text(cli, "quiet") != NULL;
	text = global_text(cli, "progress");
	if (text)
		rc = parse_when(cli, "progress", text, &cli->progress);
	text = global_text(cli, "color");
	if (!rc && text)
		rc = parse_when(cli, "color", text, &cli->color);
	if (rc)
		return msn_pass(rc);
	cli->store_path = global_text(cli, "store");
	if (cli->store_path && !*cli->store_path)
		return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				       "--store is empty");
	return 0;
}

static int check_operands(struct msn_cli *cli)
{
	const struct msn_cmd *cmd = cli->cmd;

	if (cli->argc < cmd->args_min)
		return msn_failure_set(
			&cli->why, -EINVAL, MSN_FAILURE_INVALID,
			"%s: too few arguments; usage: memsnap %s%s%s",
			cmd->name, cmd->name, *cmd->synopsis ? " " : "",
			cmd->synopsis);
	if (cmd->args_max >= 0 && cli->argc > cmd->args_max)
		return usage(cli,
			     "one argument too many:", cli->argv[cmd->args_max],
			     NULL);
	return 0;
}

/* `memsnap VERB --help` is `memsnap help VERB`. */
static void turn_to_help(struct msn_cli *cli)
{
	static char *operand[1];

	operand[0] = (char *)(uintptr_t)(cli->cmd ? cli->cmd->name : "help");
	cli->argc = cli->cmd ? 1 : 0;
	cli->argv = operand;
	cli->cmd = &msn_cmd_help;
}

static int parse_verb(struct msn_cli *cli, int argc, char **argv)
{
	struct parser all = { .shorts = ":" };
	int rc;

	rc = find_verb(cli, argv[0]);
	if (rc)
		return msn_pass(rc);
	parser_add(&all, msn_global_options);
	parser_add(&all, cli->cmd->options);
	rc = parse_some(cli, &all, argc, argv);
	if (rc)
		return msn_pass(rc);
	cli->argc = argc - optind;
	cli->argv = argv + optind;
	return 0;
}

int msn_options_parse(struct msn_cli *cli, int argc, char **argv)
{
	struct parser global = { .shorts = "+:" };
	int rc;

	parser_add(&global, msn_global_options);
	rc = parse_some(cli, &global, argc, argv);
	if (rc)
		return msn_pass(rc);
	if (optind < argc)
		rc = parse_verb(cli, argc - optind, argv + optind);
	else if (!global_text(cli, "help"))
		rc = msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				     "no command; see 'memsnap help'");
	if (!rc)
		rc = apply_globals(cli);
	if (rc)
		return msn_pass(rc);
	if (global_text(cli, "help"))
		turn_to_help(cli);
	return check_operands(cli);
}

bool msn_options_want_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}
