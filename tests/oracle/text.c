/*
 * Text: takes out of listings what cannot be equal, and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/text.h"

#include "base/alloc.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>

/* Every field of smaps that is not compared. */
static const struct {
	const char *field, *reason;
} left_out[] = {
	{ "Referenced:", "looking at a page marks it as referenced" },
	{ "LazyFree:",
	  "the kernel counts a page when a batch of a CPU is full" },
	{ "Pss_Dirty:", "a file's page has one mark for all who map it; a "
			"page that is copied for a reader while a CPU still "
			"holds it in a batch comes out clean" },
	{ "Shared_Clean:", "the same" },
	{ "Shared_Dirty:", "the same" },
	{ "Private_Clean:", "the same" },
	{ "Private_Dirty:", "the same" },
};

/* What else is changed.  The code that does it is normalise_header(). */
static const struct {
	const char *what, *reason;
} changed[] = {
	{ "mappings of the stepper", "it needs memory to run in" },
	{ "[vsyscall]", "belongs to no process" },
	{ "device", "the copies of a file may be on different devices" },
	{ "inode",
	  "the copies of a file are two inodes; 0 or not is compared" },
	{ "the end of the name of the file on tmpfs",
	  "one copy has none any more, and a restore has to find the other" },
	{ "EIO and EINVAL of peek and poke",
	  "a file has other errors than a copy: all are EFAULT" },
	{ "MADV_PAGEOUT",
	  "not tried: what can be reclaimed at once is the kernel's to know" },
	{ "shared mappings of /dev/zero at offsets above 2^63",
	  "not tried: Linux lets them grow past 2^64 bytes" },
	{ "process_vm_readv(2) and writev of memory over itself",
	  "not tried: the kernel moves it in pieces of its own choice" },
};

void text_print_normalisations(FILE *to)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(changed); i++)
		fprintf(to, "%s: %s\n", changed[i].what, changed[i].reason);
	for (size_t i = 0; i < MSN_ARRAY_LEN(left_out); i++)
		fprintf(to, "smaps %s %s\n", left_out[i].field,
			left_out[i].reason);
}

static void add(struct view *v, const char *text, size_t len)
{
	if (v->text_cap - v->text_len < len) {
		v->text_cap = v->text_cap * 2 + len + 4096;
		v->text = msn_realloc_array(v->text, v->text_cap, 1);
		if (!v->text)
			die("no memory");
	}
	memcpy(v->text + v->text_len, text, len);
	v->text_len += len;
}

static bool is_header(const char *line)
{
	return (*line >= '0' && *line <= '9') || (*line >= 'a' && *line <= 'f');
}

static uint64_t hex(const char **at)
{
	uint64_t n = 0;

	for (; isxdigit((unsigned char)**at); (*at)++)
		n = n << 4 |
		    (uint64_t)(**at <= '9' ? **at - '0' : **at - 'a' + 10);
	return n;
}

static void range_of(const char *line, uint64_t *start, uint64_t *end)
{
	*start = hex(&line);
	line++;
	*end = hex(&line);
}

/* The end of the word that begins at @at. */
static const char *word_end(const char *at, const char *end)
{
	while (at < end && *at != ' ')
		at++;
	return at;
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	return at;
}

/* "RANGE PERMS OFFSET DEVICE INODE NAME" without what changed[] has. */
static void normalise_header(struct view *v, const char *line, const char *end)
{
	const char *at = line;

	for (int i = 0; i < 3; i++)
		at = word_end(skip_blanks(at, end), end);
	add(v, line, (size_t)(at - line));
	at = skip_blanks(word_end(skip_blanks(at, end), end), end);
	add(v, *at == '0' ? " -" : " inode", *at == '0' ? 2 : 6);
	at = skip_blanks(word_end(at, end), end);
	add(v, " ", 1);
	if ((size_t)(end - at) > strlen(FILE_TMP_NAME) &&
	    memcmp(at, FILE_TMP_NAME, strlen(FILE_TMP_NAME)) == 0)
		end = at + strlen(FILE_TMP_NAME);
	add(v, at, (size_t)(end - at));
	add(v, "\n", 1);
}

static bool is_left_out(const char *line, size_t len)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(left_out); i++) {
		size_t n = strlen(left_out[i].field);

		if (len >= n && memcmp(line, left_out[i].field, n) == 0)
			return true;
	}
	return false;
}

static bool is_wanted(const char *line, unsigned detail)
{
	if (!(detail & SIDE_SMAPS))
		return false;
	return !(detail & SIDE_FLAGS_ONLY) || line[0] == 'V';
}

void text_normalise(struct view *v, const char *text, size_t len,
		    unsigned detail)
{
	const char *end = text + len;
	bool keep = false;

	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		uint64_t from, to;

		if (!eol)
			eol = end;
		if (is_header(text)) {
			range_of(text, &from, &to);
			keep = !(from >> 63) && !(from >= STEPPER_TEXT &&
						  to <= STEPPER_FOREIGN_END);
			if (keep)
				normalise_header(v, text, eol);
		} else if (keep && is_wanted(text, detail) &&
			   !is_left_out(text, (size_t)(eol - text))) {
			add(v, text, (size_t)(eol - text));
			add(v, "\n", 1);
		}
		text = eol + 1;
	}
}

void text_copy_headers(struct view *v, const struct view *from)
{
	for (size_t at = 0; at < from->text_len;) {
		const char *line = from->text + at;
		const char *eol = memchr(line, '\n', from->text_len - at);
		size_t n = (size_t)(eol + 1 - line);

		if (is_header(line))
			add(v, line, n);
		at += n;
	}
}

void text_for_each(const struct view *v,
		   void (*fn)(void *ctx, uint64_t start, uint64_t end),
		   void *ctx)
{
	for (size_t at = 0; at < v->text_len;) {
		const char *line = v->text + at;
		const char *eol = memchr(line, '\n', v->text_len - at);
		uint64_t start, end;

		if (is_header(line)) {
			range_of(line, &start, &end);
			fn(ctx, start, end);
		}
		at += (size_t)(eol + 1 - line);
	}
}

/* One block of a listing: a mapping and its fields. */
struct block {
	const char *text;
	size_t len;
	uint64_t start, end;
};

static bool next_block(const struct view *v, size_t *at, struct block *b)
{
	size_t end = *at;

	if (*at >= v->text_len)
		return false;
	do
		end = (size_t)((const char *)memchr(v->text + end, '\n',
						    v->text_len - end) +
			       1 - v->text);
	while (end < v->text_len && !is_header(v->text + end));
	b->text = v->text + *at;
	b->len = end - *at;
	range_of(b->text, &b->start, &b->end);
	*at = end;
	return true;
}

static void print_lines(FILE *to, const char *mark, const struct block *b,
			const struct block *other)
{
	const char *at = b->text, *end = b->text + b->len;

	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)(eol + 1 - at);

		/* The first line always, the others where they differ. */
		if (at == b->text ||
		    (other && !memmem(other->text, other->len, at, n)))
			fprintf(to, "  %s %.*s", mark, (int)n, at);
		at += n;
	}
}

void text_print_difference(FILE *to, const struct view *a, const struct view *b)
{
	size_t at_a = 0, at_b = 0;
	struct block x, y;
	bool has_x = next_block(a, &at_a, &x), has_y = next_block(b, &at_b, &y);

	while (has_x || has_y) {
		bool both = has_x && has_y && x.start == y.start;
		bool first = has_x && (!has_y || x.start <= y.start);
		bool second = has_y && (!has_x || y.start <= x.start);

		if (!both || x.len != y.len || memcmp(x.text, y.text, x.len)) {
			if (first)
				print_lines(to, "kernel", &x, both ? &y : NULL);
			if (second)
				print_lines(to, "engine", &y, both ? &x : NULL);
		}
		if (first)
			has_x = next_block(a, &at_a, &x);
		if (second)
			has_y = next_block(b, &at_b, &y);
	}
}
