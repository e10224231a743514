/*
 * Lines of a log, taken apart again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "reader.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* The length of the JSON string that @text begins with, or 0. */
static size_t quoted_length(const char *text, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '"')
			return i + 1;
	}
	return 0;
}

static json_t *read_quoted(const char *text, size_t len)
{
	return json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static json_t *read_value(const char *text, size_t len, size_t *taken)
{
	if (len && *text == '"') {
		*taken = quoted_length(text, len);
		return *taken ? read_quoted(text, *taken) : NULL;
	}
	for (*taken = 0; *taken < len && text[*taken] != ' '; ++*taken)
		if (text[*taken] == '"' || text[*taken] == '=')
			return NULL;
	return *taken ? json_stringn(text, *taken) : NULL;
}

json_t *read_logfmt(const char *line, size_t len)
{
	json_t *out = json_object();

	while (len) {
		const char *equals = memchr(line, '=', len);
		size_t key = equals ? (size_t)(equals - line) : 0, taken;
		char name[64];
		json_t *value;

		if (!key || key >= sizeof(name))
			break;
		memcpy(name, line, key);
		name[key] = '\0';
		value = read_value(equals + 1, len - key - 1, &taken);
		if (!value || json_object_get(out, name))
			break;
		json_object_set_new(out, name, value);
		line += key + 1 + taken;
		len -= key + 1 + taken;
		if (!len)
			return out;
		if (*line != ' ' || len == 1)
			break;
		line++;
		len--;
	}
	json_decref(out);
	return NULL;
}

json_t *read_json(const char *line, size_t len)
{
	return json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
			  NULL);
}

const char *field(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));

	return text ? text : "";
}

char *as_shown(const char *bytes, size_t len, size_t *shown_len)
{
	char *out = malloc(len * 3 + 1);
	size_t at = 0;

	for (size_t i = 0; out && i < len;) {
		size_t n = msn_utf8_length(bytes + i, len - i);

		memcpy(out + at, n ? bytes + i : "\xef\xbf\xbd", n ? n : 3);
		at += n ? n : 3;
		i += n ? n : 1;
	}
	*shown_len = at;
	return out;
}
