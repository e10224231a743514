/*
 * Process status: parsers for stat and status.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * In stat the name stands in parentheses and may itself hold parentheses,
 * spaces and newlines; no field behind it can, so the last one closes it.
 */
#include "procfile/proc_status.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A stat line has 52 numbers, a status about 60 lines. */
#define TEXT_MAX_BYTES 65536

/* PF_KTHREAD of Linux (include/linux/sched.h). */
#define FLAG_KTHREAD 0x00200000

/* Fields of stat behind the name, counted from the state's. */
enum stat_field {
	FIELD_PPID = 1,
	FIELD_PGRP = 2,
	FIELD_SESSION = 3,
	FIELD_FLAGS = 6,
	FIELD_NICE = 16,
	FIELD_THREADS = 17,
	FIELD_START = 19,
	FIELD_COUNT
};

static int parse_fields(const char *at, long long field[FIELD_COUNT])
{
	for (size_t i = 1; i < FIELD_COUNT; i++) {
		char *end;

		if (*at != ' ')
			return msn_fail(-EBADMSG);
		field[i] = strtoll(at, &end, 10);
		if (end == at || (*end != ' ' && *end != '\n' && *end))
			return msn_fail(-EBADMSG);
		at = end;
	}
	return 0;
}

static int parse_stat(struct msn_proc_status *s, const char *text, size_t len)
{
	const char *open = memchr(text, '(', len);
	const char *shut = memrchr(text, ')', len);
	long long field[FIELD_COUNT];
	size_t name;
	int rc;

	if (!open || !shut || shut < open || shut - text + 3 > (ssize_t)len ||
	    shut[1] != ' ' || !isalpha((unsigned char)shut[2]))
		return msn_fail(-EBADMSG);
	rc = parse_fields(shut + 3, field);
	if (rc)
		return msn_pass(rc);
	name = (size_t)(shut - open - 1);
	if (name >= sizeof(s->comm))
		name = sizeof(s->comm) - 1;
	memcpy(s->comm, open + 1, name);
	s->pid = (pid_t)strtol(text, NULL, 10);
	s->state = shut[2];
	s->ppid = (pid_t)field[FIELD_PPID];
	s->pgrp = (pid_t)field[FIELD_PGRP];
	s->session = (pid_t)field[FIELD_SESSION];
	s->flags = (uint64_t)field[FIELD_FLAGS];
	s->kernel_thread = s->flags & FLAG_KTHREAD;
	s->nice = (int)field[FIELD_NICE];
	s->thread_count = (uint64_t)field[FIELD_THREADS];
	s->start_ticks = (uint64_t)field[FIELD_START];
	return 0;
}

/* The text behind "\n@key:", or NULL. */
static const char *status_value(const char *text, const char *key)
{
	char line[32];
	const char *at;

	snprintf(line, sizeof(line), "\n%s:", key);
	at = strstr(text, line);
	return at ? at + strlen(line) : NULL;
}

static int parse_status(struct msn_proc_status *s, const char *text)
{
	const char *tgid = status_value(text, "Tgid");
	const char *tracer = status_value(text, "TracerPid");
	const char *uid = status_value(text, "Uid");
	const char *gid = status_value(text, "Gid");
	const char *pending = status_value(text, "SigPnd");
	const char *blocked = status_value(text, "SigBlk");
	const char *anon = status_value(text, "RssAnon"); /* both in KiB */
	const char *swap = status_value(text, "VmSwap");

	if (!tgid || !tracer || !uid || !gid ||
	    sscanf(tgid, "%d", &s->tgid) != 1 ||
	    sscanf(tracer, "%d", &s->tracer) != 1 ||
	    sscanf(uid, "%u %u", &s->uid, &s->euid) != 2 ||
	    sscanf(gid, "%u %u", &s->gid, &s->egid) != 2)
		return msn_fail(-EBADMSG);
	s->pending = pending ? strtoull(pending, NULL, 16) : 0;
	s->blocked = blocked ? strtoull(blocked, NULL, 16) : 0;
	s->private_bytes = (anon ? strtoull(anon, NULL, 10) : 0) * 1024;
	s->private_bytes += (swap ? strtoull(swap, NULL, 10) : 0) * 1024;
	return 0;
}

int msn_proc_status_parse(struct msn_proc_status *out, const char *stat,
			  size_t stat_len, const char *status)
{
	struct msn_proc_status s = { 0 };
	int rc;

	rc = parse_stat(&s, stat, stat_len);
	if (rc == 0)
		rc = parse_status(&s, status);
	if (rc == 0)
		*out = s;
	return msn_pass(rc);
}

int msn_proc_status_read(struct msn_proc_status *out, int dirfd)
{
	msn_auto(msn_freep) char *stat = NULL;
	msn_auto(msn_freep) char *status = NULL;
	size_t stat_len;
	int rc;

	rc = msn_read_file(&stat, &stat_len, dirfd, "stat", TEXT_MAX_BYTES);
	if (rc)
		return msn_pass(rc);
	rc = msn_read_file(&status, NULL, dirfd, "status", TEXT_MAX_BYTES);
	if (rc)
		return msn_pass(rc);
	return msn_pass(msn_proc_status_parse(out, stat, stat_len, status));
}

char msn_proc_thread_state(pid_t pid, pid_t tid)
{
	char path[64], text[512];
	const char *shut;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	msn_auto(msn_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 'X';
	n = msn_pread_full(fd, text, sizeof(text), 0);
	shut = n > 0 ? memrchr(text, ')', (size_t)n) : NULL;
	return shut && shut + 2 < text + n ? shut[2] : 'X';
}
