/*
 * Files: sections, keys and values, by inih.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * inih is fed line by line from memory.  So the number of the line that it
 * looks at is known when it calls; blanks before a line are taken off, which
 * turns its continuation lines off; and a line that it would cut is refused.
 */
#include "config_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/hint.h"
#include "base/trusted.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct reader {
	struct loader *loader;
	const char *path;
	const char *next; /* what inih has not been given */
	unsigned line;
	bool section_known;
};

/* "PATH:LINE" in @out. */
static const char *here(const struct reader *r, unsigned line, char *out,
			size_t size)
{
	snprintf(out, size, "%s:%u", r->path, line);
	return out;
}

#define HERE_MAX 4200

/* ---- What does not exist ------------------------------------------------ */

static void unknown_section(struct reader *r, const char *name)
{
	size_t count;
	const struct msn_config_setting *s = msn_config_settings(&count);
	char origin[HERE_MAX], known[200] = "";
	struct msn_hint hint;

	msn_hint_begin(&hint, name);
	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(known);

		if (i && strcmp(s[i].section, s[i - 1].section) == 0)
			continue;
		msn_hint_try(&hint, s[i].section);
		snprintf(known + used, sizeof(known) - used, "%s[%s]",
			 used ? ", " : "", s[i].section);
	}
	here(r, r->line, origin, sizeof(origin));
	if (hint.best)
		msn_config_problem(r->loader, MSN_FAILURE_INVALID, origin,
				   "there is no section [%s]; did you mean "
				   "[%s]?",
				   name, hint.best);
	else
		msn_config_problem(r->loader, MSN_FAILURE_INVALID, origin,
				   "there is no section [%s]; there are %s",
				   name, known);
}

static void unknown_name(struct reader *r, const char *section,
			 const char *name)
{
	size_t count;
	const struct msn_config_setting *s = msn_config_settings(&count);
	char origin[HERE_MAX], known[300] = "";
	struct msn_hint hint;

	msn_hint_begin(&hint, name);
	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(known);

		if (strcmp(s[i].section, section) != 0)
			continue;
		msn_hint_try(&hint, s[i].name);
		snprintf(known + used, sizeof(known) - used, "%s%s",
			 used ? ", " : "", s[i].name);
	}
	here(r, r->line, origin, sizeof(origin));
	if (hint.best)
		msn_config_problem(r->loader, MSN_FAILURE_INVALID, origin,
				   "[%s] has no '%s'; did you mean '%s'?",
				   section, name, hint.best);
	else
		msn_config_problem(r->loader, MSN_FAILURE_INVALID, origin,
				   "[%s] has no '%s'; it has %s", section, name,
				   known);
}

/* ---- Lines -------------------------------------------------------------- */

/* A line that begins a section: inih calls only for keys in it. */
static void begin_section(struct reader *r, const char *line, size_t len)
{
	const char *end = memchr(line, ']', len);
	char name[64];

	if (!end)
		return; /* inih says so */
	snprintf(name, sizeof(name), "%.*s", (int)(end - line - 1), line + 1);
	r->section_known = msn_config_has_section(name);
	if (!r->section_known)
		unknown_section(r, name);
}

/* As fgets(). */
static char *next_line(char *out, int size, void *stream)
{
	struct reader *r = stream;
	const char *line = r->next;
	size_t len = strcspn(line, "\n"), blanks;

	if (!*line)
		return NULL;
	r->next = line + len + (line[len] == '\n');
	r->line++;
	blanks = strspn(line, " \t");
	line += blanks;
	len -= blanks;
	if (*line == '[')
		begin_section(r, line, len);
	if (len + 2 > (size_t)size) {
		char origin[HERE_MAX];

		if (*line != '#' && *line != ';')
			msn_config_problem(
				r->loader, MSN_FAILURE_INVALID,
				here(r, r->line, origin, sizeof(origin)),
				"the line is longer than %d bytes; a list may "
				"go on several lines",
				MSN_CONFIG_LINE_MAX);
		len = 0;
	}
	memcpy(out, line, len);
	memcpy(out + len, "\n", 2);
	return out;
}

static int take_key(void *user, const char *section, const char *name,
		    const char *value)
{
	struct reader *r = user;
	const struct msn_config_setting *s = msn_config_find(section, name);
	char origin[HERE_MAX];

	here(r, r->line, origin, sizeof(origin));
	if (!*section)
		msn_config_problem(r->loader, MSN_FAILURE_INVALID, origin,
				   "'%s' stands before any [section]", name);
	else if (!s && r->section_known)
		unknown_name(r, section, name);
	else if (s)
		msn_config_say(r->loader, s, value, origin);
	return 1;
}

static void read_text(struct loader *l, const char *path, const char *text)
{
	struct reader r = { .loader = l, .path = path, .next = text };
	char origin[HERE_MAX];
	int rc = ini_parse_stream(next_line, &r, take_key, &r);

	if (rc > 0)
		msn_config_problem(
			l, MSN_FAILURE_INVALID,
			here(&r, (unsigned)rc, origin, sizeof(origin)),
			"the line is neither [section] nor name = value");
	else if (rc < 0)
		l->rc = msn_fail(-ENOMEM);
}

/* ---- Files -------------------------------------------------------------- */

void msn_config_read_file(struct loader *l, const char *path, bool required)
{
	msn_auto(msn_freep) char *text = NULL;
	struct msn_failure why = { 0 };
	int rc = msn_read_trusted(&text, path, S_IWOTH, MSN_CONFIG_FILE_MAX,
				  &why);

	if ((rc == -ENOENT || rc == -ENOTDIR) && !required)
		return;
	if (rc == -ENOMEM)
		l->rc = rc;
	else if (rc)
		msn_config_problem(l,
				   rc == -EACCES ? MSN_FAILURE_DENIED
						 : MSN_FAILURE_INVALID,
				   path, "%s", why.text);
	else
		read_text(l, path, text);
	l->source++;
}

/* ---- Folders ------------------------------------------------------------ */

/* What scandir() is to take: names, not entries that begin with a dot. */
static int is_drop_in(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return *entry->d_name != '.' && len > 5 &&
	       strcmp(entry->d_name + len - 5, ".conf") == 0;
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

struct folder {
	const char *path;
	struct dirent **names;
	int count, next;
};

static void folder_open(struct folder *f, struct loader *l)
{
	f->count = msn_fault("config.folder")
			   ? (errno = ENOMEM, -1)
			   : scandir(f->path, &f->names, is_drop_in, by_name);
	if (f->count >= 0)
		return;
	f->count = 0;
	if (errno == ENOMEM)
		l->rc = -ENOMEM;
	else if (errno != ENOENT && errno != ENOTDIR)
		msn_config_problem(l, MSN_FAILURE_INVALID, f->path,
				   "cannot read the folder: %s",
				   strerror(errno));
}

static void folder_close(struct folder *f)
{
	for (int i = 0; i < f->count; i++)
		free(f->names[i]);
	free(f->names);
}

static const char *folder_name(const struct folder *f)
{
	return f->next < f->count ? f->names[f->next]->d_name : NULL;
}

/* Reads both in the order of names; of equal ones that of @over. */
static void read_folders(struct loader *l, struct folder *under,
			 struct folder *over)
{
	const char *a, *b;

	while (l->rc != -ENOMEM &&
	       ((a = folder_name(under)) || folder_name(over))) {
		msn_auto(msn_freep) char *path = NULL;
		int order;

		b = folder_name(over);
		order = !a ? 1 : !b ? -1 : strcmp(a, b);
		path = msn_format("%s/%s", order < 0 ? under->path : over->path,
				  order < 0 ? a : b);
		under->next += order <= 0;
		over->next += order >= 0;
		if (!path)
			l->rc = msn_fail(-ENOMEM);
		else
			msn_config_read_file(l, path, false);
	}
}

void msn_config_read_files(struct loader *l)
{
	const struct msn_config_args *args = l->opts->args;
	const char *root = l->opts->root ? l->opts->root : "";
	const char *file = args ? args->file : NULL;
	msn_auto(msn_freep) char *lib =
		msn_format("%s/usr/lib/memsnap/memsnapd.conf", root);
	msn_auto(msn_freep) char *etc =
		file ? msn_strdup(file)
		     : msn_format("%s/etc/memsnap/memsnapd.conf", root);
	msn_auto(msn_freep) char *lib_d = lib ? msn_format("%s.d", lib) : NULL;
	msn_auto(msn_freep) char *etc_d = etc ? msn_format("%s.d", etc) : NULL;
	struct folder under = { .path = lib_d }, over = { .path = etc_d };

	if (!lib_d || !etc_d) {
		l->rc = msn_fail(-ENOMEM);
		return;
	}
	if (!file)
		msn_config_read_file(l, lib, false);
	msn_config_read_file(l, etc, file);
	if (!file)
		folder_open(&under, l);
	folder_open(&over, l);
	read_folders(l, &under, &over);
	folder_close(&under);
	folder_close(&over);
}
