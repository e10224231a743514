/*
 * The command line and the environment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENVIRONMENT "MEMSNAPD_"
#define WORD_MAX 64

/* SECTION_NAME, as it stands behind MEMSNAPD_. */
static void variable_name(const struct msn_config_setting *s,
			  char out[WORD_MAX])
{
	snprintf(out, WORD_MAX, "%s_%s", s->section, s->name);
	for (; *out; out++)
		if (*out >= 'a' && *out <= 'z')
			*out = (char)(*out - 'a' + 'A');
}

/* section-name, as it stands behind two dashes. */
static void flag_name(const struct msn_config_setting *s, char out[WORD_MAX])
{
	snprintf(out, WORD_MAX, "%s-%s", s->section, s->name);
	for (; *out; out++)
		if (*out == '_')
			*out = '-';
}

/*
 * The setting whose name @name_of makes is @word; else NULL, and @near has what
 * is most like it, or "".
 */
static const struct msn_config_setting *
find(const char *word,
     void (*name_of)(const struct msn_config_setting *s, char out[WORD_MAX]),
     char near[WORD_MAX])
{
	size_t count;
	const struct msn_config_setting *s = msn_config_settings(&count);
	struct msn_hint hint;

	*near = '\0';
	msn_hint_begin(&hint, word);
	for (size_t i = 0; i < count; i++) {
		char name[WORD_MAX];

		name_of(&s[i], name);
		if (strcmp(name, word) == 0)
			return &s[i];
		msn_hint_try(&hint, name);
		if (hint.best == name) {
			snprintf(near, WORD_MAX, "%s", name);
			hint.best = near;
		}
	}
	return NULL;
}

/* ---- The environment ---------------------------------------------------- */

static void take_variable(struct loader *l, const char *entry)
{
	const char *rest = entry + strlen(ENVIRONMENT);
	char name[WORD_MAX], near[WORD_MAX];
	const struct msn_config_setting *s;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(rest, "="), rest);
	s = find(name, variable_name, near);
	if (s)
		msn_config_say(l, s, strchr(rest, '=') + 1, "environment");
	else if (*near)
		msn_config_problem(l, MSN_FAILURE_INVALID, "environment",
				   ENVIRONMENT
				   "%s is no setting; did you mean " ENVIRONMENT
				   "%s?",
				   name, near);
	else
		msn_config_problem(l, MSN_FAILURE_INVALID, "environment",
				   ENVIRONMENT "%s is no setting; see "
					       "memsnapd.conf(5)",
				   name);
}

void msn_config_read_environment(struct loader *l)
{
	char *const *entry = l->opts->environ;

	for (; entry && *entry && l->rc != -ENOMEM; entry++)
		if (strncmp(*entry, ENVIRONMENT, strlen(ENVIRONMENT)) == 0 &&
		    strchr(*entry, '='))
			take_variable(l, *entry);
}

/* ---- Flags -------------------------------------------------------------- */

void msn_config_read_flags(struct loader *l)
{
	const struct msn_config_args *args = l->opts->args;

	for (size_t i = 0; args && i < args->flag_count; i++)
		msn_config_say(l, args->flags[i].setting, args->flags[i].text,
			       "command line");
}

static const struct {
	const char *name;
	enum msn_config_action action;
} actions[] = {
	{ "check-config", MSN_CONFIG_CHECK },
	{ "print-config", MSN_CONFIG_PRINT },
	{ "help", MSN_CONFIG_HELP },
	{ "version", MSN_CONFIG_VERSION },
};

static int usage(struct msn_failure *why, const char *word, const char *wrong)
{
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "command line: '%.100s' %s", word, wrong);
}

static int unknown(struct msn_failure *why, const char *word, const char *near)
{
	if (*near)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "command line: '--%s' is no flag; did "
				       "you mean '--%s'?",
				       word, near);
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "command line: '--%s' is no flag; see --help",
			       word);
}

static bool take_action(struct msn_config_args *args, const char *word)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(actions); i++) {
		if (strcmp(word, actions[i].name) == 0) {
			args->action = actions[i].action;
			return true;
		}
	}
	return false;
}

/* Remembers a setting's value, or with NULL the name of the file. */
static int take_value(struct msn_config_args *args,
		      const struct msn_config_setting *s, const char *text)
{
	int rc;

	if (!s) {
		args->file = text;
		return 0;
	}
	rc = msn_grow((void **)&args->flags, &args->flag_cap, args->flag_count,
		      sizeof(*args->flags));
	if (rc)
		return msn_pass(rc);
	args->flags[args->flag_count++] = (struct msn_config_flag){ s, text };
	return 0;
}

/* --word or --word=value at *@argv; *@argv moves to what comes behind it. */
static int take_flag(struct msn_config_args *args, char *const **argv,
		     struct msn_failure *why)
{
	const char *arg = *(*argv)++, *text = strchr(arg, '=');
	const struct msn_config_setting *s = NULL;
	char word[WORD_MAX], near[WORD_MAX] = "";
	int rc;

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(arg + 2, "="),
		 arg + 2);
	if (take_action(args, word))
		return text ? usage(why, arg, "takes no value") : 0;
	if (strcmp(word, "config") != 0) {
		s = find(word, flag_name, near);
		if (!s)
			return unknown(why, word, near);
	}
	if (!text && !**argv)
		return usage(why, arg, "needs a value");
	rc = take_value(args, s, text ? text + 1 : *(*argv)++);
	return rc ? msn_failure_errno(why, rc, "cannot read the command line")
		  : 0;
}

int msn_config_args_init(struct msn_config_args *args, int argc,
			 char *const *argv, struct msn_failure *why)
{
	int rc = 0;

	*args = (struct msn_config_args){ 0 };
	for (argv += argc > 0; rc == 0 && *argv;) {
		if (strncmp(*argv, "--", 2) != 0 || !(*argv)[2])
			rc = usage(why, *argv, "is no flag; see --help");
		else
			rc = take_flag(args, &argv, why);
	}
	if (rc)
		msn_config_args_deinit(args);
	return msn_pass(rc);
}

void msn_config_args_deinit(struct msn_config_args *args)
{
	free(args->flags);
	*args = (struct msn_config_args){ 0 };
}
