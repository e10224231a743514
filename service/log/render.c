/*
 * Lines of logfmt and JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both quote texts in one way, that of JSON strings.  Bytes go in by put(),
 * which past the end only remembers that they did not fit; who adds a field
 * notes where it began, and takes all of it back then.
 */
#include "render.h"

#include "base/utf8.h"

#include <errno.h>
#include <string.h>

/* Kept free for what ends a line that was cut: ,"cut":true}\n */
#define TAIL_ROOM 16

static void put(struct line *l, const char *bytes, size_t len)
{
	if (l->over || len > sizeof(l->bytes) - TAIL_ROOM - l->len) {
		l->over = true;
		return;
	}
	memcpy(l->bytes + l->len, bytes, len);
	l->len += len;
}

/* Takes back what began at @start and did not fit. */
static void settle(struct line *l, size_t start)
{
	if (!l->over)
		return;
	l->len = start;
	l->over = false;
	l->cut = true;
}

static void put_text(struct line *l, const char *text)
{
	put(l, text, strlen(text));
}

/* ---- Numbers ------------------------------------------------------------ */

/* At least @digits digits. */
static void put_number(struct line *l, uint64_t value, unsigned digits)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value || sizeof(text) - at < digits);
	put(l, text + at, sizeof(text) - at);
}

static void put_signed(struct line *l, int64_t value)
{
	if (value < 0)
		put_text(l, "-");
	put_number(l, value < 0 ? -(uint64_t)value : (uint64_t)value, 1);
}

static void put_hex(struct line *l, uint64_t value, unsigned digits)
{
	char text[16];
	size_t at = sizeof(text);

	do {
		text[--at] = "0123456789abcdef"[value % 16];
		value /= 16;
	} while (value || sizeof(text) - at < digits);
	put(l, text + at, sizeof(text) - at);
}

static void put_seconds(struct line *l, uint64_t ns)
{
	put_number(l, ns / 1000000000, 1);
	put_text(l, ".");
	put_number(l, ns % 1000000000 / 1000, 6);
}

/*
 * RFC 3339 in UTC.  Days are counted in eras of 400 years that begin with
 * March, so that the leap day is the last of its year.
 */
static void put_time(struct line *l, int64_t ns)
{
	int64_t s = ns / 1000000000, days = s / 86400 + 719468;
	uint64_t of_day = (uint64_t)(s % 86400), of_era, year, of_year, month;

	of_era = (uint64_t)(days % 146097);
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) /
	       365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;
	year += (uint64_t)(days / 146097) * 400 + (month >= 10);
	put_number(l, year, 4);
	put_text(l, "-");
	put_number(l, month < 10 ? month + 3 : month - 9, 2);
	put_text(l, "-");
	put_number(l, of_year - (153 * month + 2) / 5 + 1, 2);
	put_text(l, "T");
	put_number(l, of_day / 3600, 2);
	put_text(l, ":");
	put_number(l, of_day / 60 % 60, 2);
	put_text(l, ":");
	put_number(l, of_day % 60, 2);
	put_text(l, ".");
	put_number(l, (uint64_t)(ns % 1000000000) / 1000, 6);
	put_text(l, "Z");
}

/* ---- Texts -------------------------------------------------------------- */

static uint32_t code_point(const unsigned char *p, size_t len)
{
	uint32_t c = p[0];

	if (len == 2)
		c &= 0x1f;
	else if (len == 3)
		c &= 0x0f;
	else if (len == 4)
		c &= 0x07;
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* What ends a line, moves a terminal's cursor, or turns its text around. */
static bool is_unseen(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

static void put_escaped(struct line *l, uint32_t c)
{
	static const char shorts[][3] = { ['\b'] = "\\b",
					  ['\t'] = "\\t",
					  ['\n'] = "\\n",
					  ['\f'] = "\\f",
					  ['\r'] = "\\r" };

	if (c < sizeof(shorts) / sizeof(shorts[0]) && shorts[c][0]) {
		put_text(l, shorts[c]);
	} else if (c < 0x10000) {
		put_text(l, "\\u");
		put_hex(l, c, 4);
	} else {
		put_text(l, "\\u");
		put_hex(l, 0xd800 + ((c - 0x10000) >> 10), 4);
		put_text(l, "\\u");
		put_hex(l, 0xdc00 + ((c - 0x10000) & 0x3ff), 4);
	}
}

/* The character at @p, which has @left bytes; returns its length. */
static size_t put_character(struct line *l, const char *p, size_t left)
{
	size_t n = msn_utf8_length(p, left);
	uint32_t c;

	if (n == 0) {
		put_text(l, "\xef\xbf\xbd");
		return 1;
	}
	c = code_point((const unsigned char *)p, n);
	if (c == '"' || c == '\\')
		put_text(l, "\\");
	if (is_unseen(c))
		put_escaped(l, c);
	else
		put(l, p, n);
	return n;
}

static void put_quoted(struct line *l, const char *text, size_t len)
{
	bool long_one = len > MSN_LOG_VALUE_MAX;
	size_t end = long_one ? MSN_LOG_VALUE_MAX : len;

	put_text(l, "\"");
	/* A character may begin before @end and go on behind it. */
	for (size_t at = 0; at < end;)
		at += put_character(l, text + at, len - at);
	put_text(l, long_one ? "...\"" : "\"");
}

/* May it stand in logfmt without quotes? */
static bool is_plain(const char *text, size_t len)
{
	if (len == 0 || len > MSN_LOG_VALUE_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z') && !strchr("-._:/@+", c))
			return false;
		if (!c) /* strchr() finds the end, too */
			return false;
	}
	return true;
}

/* ---- Fields ------------------------------------------------------------- */

static void put_errno(struct line *l, int64_t rc)
{
	const char *name = strerrorname_np((int)-rc);

	if (name)
		put_text(l, name);
	else
		put_signed(l, -rc);
}

/* @quotes: JSON, where all but numbers is a string. */
static void put_value(struct line *l, const struct msn_log_field *f,
		      bool quotes)
{
	bool word = f->kind == MSN_LOG_HEX || f->kind == MSN_LOG_ERRNO;

	if (quotes && word)
		put_text(l, "\"");
	switch (f->kind) {
	case MSN_LOG_NOTHING:
		break;
	case MSN_LOG_TEXT:
		if (quotes || !is_plain(f->text, f->len))
			put_quoted(l, f->text, f->len);
		else
			put(l, f->text, f->len);
		break;
	case MSN_LOG_UNSIGNED:
		put_number(l, f->u, 1);
		break;
	case MSN_LOG_SIGNED:
		put_signed(l, f->i);
		break;
	case MSN_LOG_HEX:
		put_text(l, "0x");
		put_hex(l, f->u, 1);
		break;
	case MSN_LOG_SECONDS:
		put_seconds(l, f->u);
		break;
	case MSN_LOG_ERRNO:
		put_errno(l, f->i);
		break;
	}
	if (quotes && word)
		put_text(l, "\"");
}

static void put_key(struct line *l, const char *key, bool json)
{
	if (json) {
		put_text(l, l->len > 1 ? ",\"" : "\"");
		put_text(l, key);
		put_text(l, "\":");
	} else {
		put_text(l, l->len > 0 ? " " : "");
		put_text(l, key);
		put_text(l, "=");
	}
}

static void add(struct line *l, const struct msn_log_field *f, bool json)
{
	size_t before = l->len;

	if (f->kind == MSN_LOG_NOTHING)
		return;
	put_key(l, f->key, json);
	put_value(l, f, json);
	settle(l, before);
}

static void add_text(struct line *l, const char *key, const char *text,
		     bool json)
{
	struct msn_log_field f = msn_log_text(key, text);

	add(l, &f, json);
}

static void add_fields(struct line *l, const struct event *e, bool json)
{
	struct msn_log_field dropped = msn_log_unsigned("dropped", e->dropped);

	if (e->dropped)
		add(l, &dropped, json);
	for (size_t i = 0; i < e->count; i++)
		add(l, &e->fields[i], json);
}

/* Into the room that put() has kept. */
static void finish(struct line *l, const char *tail)
{
	size_t len = strlen(tail);

	memcpy(l->bytes + l->len, tail, len);
	l->len += len;
}

void msn_log_render(struct line *l, const struct event *e,
		    enum msn_log_format format)
{
	bool json = format == MSN_LOG_JSON;

	l->len = 0;
	l->over = l->cut = false;
	if (json)
		put_text(l, "{");
	put_key(l, "ts", json);
	put_text(l, json ? "\"" : "");
	put_time(l, e->time_ns);
	put_text(l, json ? "\"" : "");
	add_text(l, "level", msn_log_level_name(e->level), json);
	add_text(l, "component", e->component, json);
	add_text(l, "id", e->id, json);
	add_text(l, "msg", e->text, json);
	add_fields(l, e, json);
	if (json)
		finish(l, l->cut ? ",\"cut\":true}\n" : "}\n");
	else
		finish(l, l->cut ? " cut=true\n" : "\n");
}

void msn_log_render_words(struct line *l, const char *start,
			  const struct event *e)
{
	put_text(l, start);
	put_text(l, e->text);
	put_text(l, e->count || e->dropped ? ":" : "");
	add_fields(l, e, false);
}

void msn_log_render_assignment(struct line *l, const struct msn_log_field *f)
{
	size_t before = l->len;

	for (const char *c = f->key; *c; c++) {
		char up = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;

		put(l, &up, 1);
	}
	put_text(l, "=");
	if (f->kind == MSN_LOG_TEXT)
		put(l, f->text, f->len);
	else if (f->kind == MSN_LOG_ERRNO)
		put_signed(l, -f->i);
	else
		put_value(l, f, false);
	settle(l, before);
}
