/*
 * Filling a status.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "status/status.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* printf() into a member: clean, whole characters, as much as fits. */
MSN_PRINTF(3, 0)
static void fill(char *out, size_t size, const char *fmt, va_list args)
{
	char text[2 * sizeof(((struct msn_status *)NULL)->text)];

	vsnprintf(text, sizeof(text), fmt, args);
	msn_utf8_clean(out, size, text, strlen(text));
}

void msn_status_clear(struct msn_status *s)
{
	s->code = MSN_CODE_OK;
	s->text[0] = s->reason[0] = s->field[0] = '\0';
	s->retry_ms = 0;
	s->note_count = 0;
}

void msn_status_set(struct msn_status *s, enum msn_code code,
		    const char *reason, const char *fmt, ...)
{
	va_list args;

	msn_status_clear(s);
	s->code = (unsigned)code <= MSN_CODE_UNAUTHENTICATED ? code
							     : MSN_CODE_UNKNOWN;
	msn_utf8_clean(s->reason, sizeof(s->reason), reason, strlen(reason));
	va_start(args, fmt);
	fill(s->text, sizeof(s->text), fmt, args);
	va_end(args);
}

void msn_status_failure(struct msn_status *s, int rc,
			const struct msn_failure *why)
{
	enum msn_failure_kind kind = why ? why->kind : MSN_FAILURE_NONE;
	const char *text = kind != MSN_FAILURE_NONE ? why->text : strerror(-rc);
	const char *name = strerrorname_np(-rc);

	if (kind == MSN_FAILURE_NONE)
		kind = msn_failure_kind_of(rc);
	if (s->code == MSN_CODE_OK) {
		s->code = msn_code_of_kind(kind);
		msn_utf8_clean(s->text, sizeof(s->text), text, strlen(text));
	}
	if (!s->reason[0])
		snprintf(s->reason, sizeof(s->reason), "%s",
			 msn_failure_kind_name(kind));
	if (name && !msn_status_find(s, "errno"))
		msn_status_note(s, "errno", "%s", name);
}

static struct msn_status_note *find(const struct msn_status *s, const char *key)
{
	for (size_t i = 0; i < s->note_count; i++)
		if (strcmp(s->notes[i].key, key) == 0)
			return (struct msn_status_note *)&s->notes[i];
	return NULL;
}

void msn_status_note(struct msn_status *s, const char *key, const char *fmt,
		     ...)
{
	char clean[sizeof(s->notes[0].key)] = { 0 };
	struct msn_status_note *note;
	va_list args;

	msn_utf8_clean(clean, sizeof(clean), key, strlen(key));
	note = find(s, clean);
	if (!note) {
		if (s->note_count == MSN_STATUS_NOTES_MAX)
			return;
		note = &s->notes[s->note_count++];
		memcpy(note->key, clean, sizeof(clean));
	}
	va_start(args, fmt);
	fill(note->value, sizeof(note->value), fmt, args);
	va_end(args);
}

const char *msn_status_find(const struct msn_status *s, const char *key)
{
	const struct msn_status_note *note = find(s, key);

	return note ? note->value : NULL;
}
