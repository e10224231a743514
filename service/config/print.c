/*
 * What is told of a configuration: all of it, its settings, whether it is good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_internal.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/fd.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- --print-config ----------------------------------------------------- */

static void print_value(struct msn_buffer *b,
			const struct msn_config_setting *s,
			const struct value *v)
{
	const char *last = NULL;

	if (!v->count)
		msn_buffer_printf(b, "# %s\n%s =\n",
				  v->emptied_by ? v->emptied_by : "default",
				  s->name);
	for (size_t i = 0; i < v->count; i++) {
		const struct item *item = &v->items[i];

		if (!last || strcmp(last, item->origin) != 0)
			msn_buffer_printf(b, "# %s\n", item->origin);
		last = item->origin;
		msn_buffer_printf(b, "%s =%s%s\n", s->name,
				  *item->text ? " " : "", item->text);
	}
}

int msn_config_print(const struct msn_config *c, char **out)
{
	const struct whole *w = msn_container_of(c, struct whole, config);
	struct msn_buffer b = { 0 };
	const char *section = "";
	size_t count;
	const struct msn_config_setting *s = msn_config_settings(&count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(section, s[i].section) != 0)
			msn_buffer_printf(&b, "%s[%s]\n", *section ? "\n" : "",
					  s[i].section);
		section = s[i].section;
		print_value(&b, &s[i], &w->values[i]);
	}
	return msn_pass(msn_buffer_take(&b, out, NULL));
}

/* ---- --help ------------------------------------------------------------- */

#define HELP_COLUMNS 80
#define HELP_INDENT "        "

/* @text in lines of words, each behind HELP_INDENT. */
static void wrap(struct msn_buffer *b, const char *text)
{
	size_t used = HELP_COLUMNS;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (used + 1 + len > HELP_COLUMNS - 1) {
			used = strlen(HELP_INDENT) + len;
			msn_buffer_printf(b, "%s" HELP_INDENT "%.*s",
					  b->text[b->len - 1] == '\n' ? ""
								      : "\n",
					  (int)len, text);
		} else {
			used += 1 + len;
			msn_buffer_printf(b, " %.*s", (int)len, text);
		}
		text += len + strspn(text + len, " ");
		if (b->rc)
			return;
	}
	msn_buffer_add(b, "\n", 1);
}

static void help_setting(struct msn_buffer *b,
			 const struct msn_config_setting *s)
{
	char help[512];

	msn_buffer_printf(b, "  --%s-", s->section);
	for (const char *c = s->name; *c; c++)
		msn_buffer_add(b, *c == '_' ? "-" : c, 1);
	msn_buffer_printf(b, " %s%s\n", s->type->argument,
			  s->list ? ",..." : "");
	snprintf(help, sizeof(help), "%s%s%s%s.", s->help,
		 *s->initial ? " [" : "", s->initial, *s->initial ? "]" : "");
	if (!b->rc)
		wrap(b, help);
}

int msn_config_help(char **out)
{
	struct msn_buffer b = { 0 };
	size_t count;
	const struct msn_config_setting *s = msn_config_settings(&count);

	msn_buffer_printf(&b,
			  "usage: memsnapd [--FLAG VALUE]...\n\n"
			  "Serves spaces and snapshots.  See memsnapd(8).\n\n"
			  "  --config FILE\n" HELP_INDENT
			  "Read this file and FILE.d/*.conf, and not "
			  "memsnapd.conf of\n" HELP_INDENT
			  "/usr/lib/memsnap and /etc/memsnap.\n"
			  "  --check-config\n" HELP_INDENT
			  "Say whether the configuration is good, and end.\n"
			  "  --print-config\n" HELP_INDENT
			  "Print the configuration that holds and where it "
			  "comes from, and end.\n"
			  "  --help\n" HELP_INDENT "Print this, and end.\n"
			  "  --version\n" HELP_INDENT
			  "Print the version, and end.\n\n"
			  "Settings, as in memsnapd.conf(5); what holds "
			  "without them in brackets:\n\n");
	for (size_t i = 0; i < count; i++)
		help_setting(&b, &s[i]);
	return msn_pass(msn_buffer_take(&b, out, NULL));
}

/* ---- --check-config ----------------------------------------------------- */

static void print_problem(void *ctx, const char *line)
{
	*(bool *)ctx = true;
	dprintf(STDERR_FILENO, "memsnapd: %s\n", line);
}

int msn_config_act(const struct msn_config_opts *opts)
{
	msn_auto(msn_config_unrefp) struct msn_config *c = NULL;
	bool told = false;
	struct msn_config_opts own = *opts;
	struct msn_failure why = { 0 };
	char *text = NULL;
	int rc;

	own.problem = print_problem;
	own.ctx = &told;
	rc = msn_config_load(&c, &own, &why);
	if (rc == 0 && opts->args && opts->args->action == MSN_CONFIG_PRINT) {
		rc = msn_config_print(c, &text);
		if (rc == 0)
			rc = msn_write_full(STDOUT_FILENO, text, strlen(text));
		if (rc)
			msn_failure_errno(&why, rc,
					  "cannot print the configuration");
		__builtin_free(text);
	}
	if (rc && !told)
		print_problem(&told, why.text);
	return rc ? 1 : 0;
}
