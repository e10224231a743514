/*
 * The journal of systemd.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An entry has the message with its fields as one line, for people, and each
 * field again by itself, in capitals, for `journalctl SPACE=web`.  The
 * MESSAGE_ID is a hash of our id, so it stays as long as that does.
 */
#include "sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Of our own: message, priority, id twice, component, name, dropped. */
#define OWN_FIELDS 7
#define FIELDS_MAX 32

struct entry {
	struct line message, rest;
	struct iovec at[OWN_FIELDS + FIELDS_MAX];
	int count;
};

bool msn_log_journal_has(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char end;

	if (!stream || sscanf(stream, "%llu:%llu%c", &dev, &ino, &end) != 2)
		return false;
	return fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

int msn_log_journal_check(void)
{
	return access(JOURNAL_SOCKET, W_OK) == 0 ? 0 : -errno;
}

/* A field that does not fit is not there. */
static void entry_add(struct entry *n, const struct msn_log_field *f)
{
	size_t start = n->rest.len;

	if (f->kind == MSN_LOG_NOTHING || n->count == (int)MSN_ARRAY_LEN(n->at))
		return;
	msn_log_render_assignment(&n->rest, f);
	if (n->rest.len > start)
		n->at[n->count++] = (struct iovec){ n->rest.bytes + start,
						    n->rest.len - start };
}

static void entry_text(struct entry *n, const char *key, const char *text)
{
	struct msn_log_field f = msn_log_text(key, text);

	entry_add(n, &f);
}

static void entry_message(struct entry *n, const struct event *e)
{
	msn_log_render_words(&n->message, "MESSAGE=", e);
	n->at[n->count++] = (struct iovec){ n->message.bytes, n->message.len };
}

static void entry_id(struct entry *n, const char *id)
{
	XXH128_hash_t hash = XXH3_128bits(id, strlen(id));
	char text[33];

	snprintf(text, sizeof(text), "%016llx%016llx",
		 (unsigned long long)hash.high64,
		 (unsigned long long)hash.low64);
	entry_text(n, "message_id", text);
	entry_text(n, "memsnap_id", id);
}

/* As syslog(3) numbers them. */
static unsigned priority(enum msn_log_level level)
{
	static const unsigned char of[] = { [MSN_LOG_ERROR] = 3,
					    [MSN_LOG_WARNING] = 4,
					    [MSN_LOG_INFO] = 6,
					    [MSN_LOG_DEBUG] = 7 };

	return of[level];
}

bool msn_log_journal_send(const struct event *e)
{
	struct entry n = { .count = 0 };
	struct msn_log_field f =
		msn_log_unsigned("priority", priority(e->level));

	entry_message(&n, e);
	entry_add(&n, &f);
	entry_text(&n, "syslog_identifier", "memsnapd");
	entry_text(&n, "memsnap_component", e->component);
	entry_id(&n, e->id);
	f = msn_log_unsigned("dropped", e->dropped);
	if (e->dropped)
		entry_add(&n, &f);
	for (size_t i = 0; i < e->count; i++)
		entry_add(&n, &e->fields[i]);
	return sd_journal_sendv(n.at, n.count) == 0;
}
