/*
 * Tables by libsmartcols, JSON by jansson.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "output.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The first thing that went wrong with standard output; thread of main. */
static int write_error;

static ssize_t write_through(void *cookie, const char *bytes, size_t len)
{
	int rc = msn_write_full(STDOUT_FILENO, bytes, len);

	(void)cookie;
	if (!rc)
		return (ssize_t)len;
	if (!write_error)
		write_error = rc;
	return 0;
}

void msn_output_begin(void)
{
	static const cookie_io_functions_t functions = {
		.write = write_through,
	};
	FILE *stream = fopencookie(NULL, "w", functions);

	if (!stream)
		return;
	setvbuf(stream, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, 65536);
	stdout = stream;
}

bool msn_color_on(const struct msn_cli *cli, FILE *stream)
{
	const char *term = getenv("TERM");
	const char *no = getenv("NO_COLOR");

	if (cli->color != MSN_WHEN_AUTO)
		return cli->color == MSN_WHEN_ALWAYS;
	if ((no && *no) || !term || strcmp(term, "dumb") == 0)
		return false;
	return isatty(stream == stderr ? STDERR_FILENO : STDOUT_FILENO);
}

const char *msn_text_size(const struct msn_cli *cli, uint64_t bytes, char *out)
{
	static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t u = 0;

	if (bytes < 1024 || msn_given_flag(cli, "bytes")) {
		snprintf(out, MSN_VALUE_TEXT, "%" PRIu64 "%s", bytes,
			 msn_given_flag(cli, "bytes") ? "" : " B");
		return out;
	}
	/* 1023.95 would be printed as 1024.0 of the smaller unit. */
	for (; value >= 1023.95 && u + 1 < MSN_ARRAY_LEN(units); u++)
		value /= 1024;
	snprintf(out, MSN_VALUE_TEXT, "%.1f %s", value, units[u]);
	return out;
}

const char *msn_text_time(int64_t ns_since_epoch, char *out)
{
	int64_t whole = ns_since_epoch / 1000000000;
	time_t at =
		(time_t)(ns_since_epoch % 1000000000 < 0 ? whole - 1 : whole);
	struct tm tm;

	if (!gmtime_r(&at, &tm) ||
	    !strftime(out, MSN_VALUE_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, MSN_VALUE_TEXT, "-");
	return out;
}

const char *msn_text_uid(struct msn_uid uid, char *out)
{
	if (msn_uid_is_none(uid)) {
		snprintf(out, MSN_VALUE_TEXT, "-");
		return out;
	}
	msn_uid_format(uid, out);
	out[MSN_UID_SHORT] = '\0';
	return out;
}

void msn_print_text(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?'
								     : *text);
}

/* ---- Tables --------------------------------------------------------------*/

struct msn_table {
	struct libscols_table *raw;
	size_t columns;
};

int msn_table_new(struct msn_table **out, const struct msn_cli *cli,
		  const struct msn_column *columns, bool headings)
{
	msn_auto(msn_table_freep) struct msn_table *t = msn_alloc(sizeof(*t));

	if (t)
		t->raw = scols_new_table();
	if (!t || !t->raw)
		return msn_fail(-ENOMEM);
	for (; columns->name; columns++) {
		int flags = columns->right ? SCOLS_FL_RIGHT : 0;

		if (!scols_table_new_column(t->raw, columns->name, 0, flags))
			return msn_fail(-ENOMEM);
		t->columns++;
	}
	scols_table_enable_noheadings(t->raw, !headings);
	scols_table_enable_colors(t->raw, msn_color_on(cli, stdout));
	/* Never cut to the width of a terminal: a value is whole or useless. */
	scols_table_set_termforce(t->raw, SCOLS_TERMFORCE_NEVER);
	*out = msn_steal(t);
	return 0;
}

struct msn_table *msn_table_free(struct msn_table *t)
{
	if (!t)
		return NULL;
	scols_unref_table(t->raw);
	free(t);
	return NULL;
}

int msn_table_row(struct msn_table *t, const char *const *cells,
		  enum msn_table_color color)
{
	static const char *const colors[] = {
		[MSN_COLOR_GOOD] = "green",
		[MSN_COLOR_BAD] = "red",
		[MSN_COLOR_WARN] = "yellow",
	};
	struct libscols_line *line = scols_table_new_line(t->raw, NULL);

	if (!line)
		return msn_fail(-ENOMEM);
	if (color != MSN_COLOR_NONE &&
	    scols_line_set_color(line, colors[color]) != 0)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < t->columns; i++)
		if (scols_line_set_data(line, i, cells[i]) != 0)
			return msn_fail(-ENOMEM);
	return 0;
}

int msn_table_print(struct msn_table *t)
{
	if (scols_table_get_nlines(t->raw) == 0)
		return 0;
	return scols_print_table(t->raw) == 0 ? 0 : msn_fail(-ENOMEM);
}

/* ---- JSON ----------------------------------------------------------------*/

json_t *msn_json_text(const char *text)
{
	size_t left = strlen(text), at = 0;
	msn_auto(msn_freep) char *clean = msn_alloc(left * 3 + 1);

	if (!clean)
		return NULL;
	while (left > 0) {
		size_t n = msn_utf8_length(text, left);

		memcpy(clean + at, n ? text : "\xef\xbf\xbd", n ? n : 3);
		at += n ? n : 3;
		text += n ? n : 1;
		left -= n ? n : 1;
	}
	return json_string(clean);
}

json_t *msn_json_address(uint64_t addr)
{
	return json_sprintf("0x%" PRIx64, addr);
}

json_t *msn_json_uid(struct msn_uid uid)
{
	char text[MSN_UID_TEXT];

	if (msn_uid_is_none(uid))
		return json_null();
	msn_uid_format(uid, text);
	return json_string(text);
}

json_t *msn_json_count(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

int msn_json_print(json_t *json, struct msn_failure *why)
{
	int rc = 0;

	if (!json)
		return msn_failure_errno(why, -ENOMEM, "cannot print");
	/* What stdout says of it is asked by msn_output_end(). */
	if (json_dumpf(json, stdout, JSON_INDENT(2)) != 0 && !ferror(stdout))
		rc = msn_failure_errno(why, -ENOMEM, "cannot print");
	json_decref(json);
	if (!rc)
		putchar('\n');
	return rc;
}

int msn_output_end(struct msn_failure *why)
{
	int rc = 0;

	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout))
		rc = write_error ? write_error : -EIO;
	/* Some file systems tell of a full disk only when it is closed. */
	if (!rc && close(dup(STDOUT_FILENO)) != 0 && errno != EBADF)
		rc = -errno;
	if (!rc || rc == -EPIPE)
		return msn_pass(rc);
	return msn_failure_errno(why, rc, "cannot write to standard output");
}
