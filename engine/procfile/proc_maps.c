/*
 * Process maps: a line parser and the two ways to feed it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A mapping's line starts with a lower-case hexadecimal digit, a detail of
 * smaps with a capital letter; a name cannot start a line, since the kernel
 * escapes newlines.
 */
#include "procfile/proc_maps.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"
#include "range/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is left of a line. */
struct cursor {
	const char *at, *end;
};

/* Numbers, padding and a name; longer lines are not the kernel's. */
#define LINE_MAX_BYTES (MSN_PROC_MAPS_NAME_MAX + 256)

#define READ_BYTES (256 * 1024)

static int digit(char c, unsigned base)
{
	unsigned v = 16;

	if (c >= '0' && c <= '9')
		v = (unsigned)(c - '0');
	else if (c >= 'a' && c <= 'f')
		v = (unsigned)(c - 'a') + 10;
	return v < base ? (int)v : -1;
}

/* A number of at least one digit that fits in 64 bits. */
static bool take_number(struct cursor *c, unsigned base, uint64_t *out)
{
	const char *start = c->at;
	uint64_t v = 0;

	for (; c->at < c->end; c->at++) {
		int d = digit(*c->at, base);

		if (d < 0)
			break;
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v))
			return false;
	}
	*out = v;
	return c->at > start;
}

static bool take_char(struct cursor *c, char want)
{
	if (c->at == c->end || *c->at != want)
		return false;
	c->at++;
	return true;
}

static bool take_flag(struct cursor *c, char set, bool *out)
{
	if (c->at == c->end || (*c->at != set && *c->at != '-'))
		return false;
	*out = *c->at++ == set;
	return true;
}

static bool take_perms(struct cursor *c, struct msn_proc_map *m)
{
	bool r, w, x;

	if (!take_flag(c, 'r', &r) || !take_flag(c, 'w', &w) ||
	    !take_flag(c, 'x', &x))
		return false;
	m->perms = (r ? MSN_ACCESS_READ : 0u) | (w ? MSN_ACCESS_WRITE : 0u) |
		   (x ? MSN_ACCESS_EXEC : 0u);
	if (c->at == c->end || (*c->at != 'p' && *c->at != 's'))
		return false;
	m->shared = *c->at++ == 's';
	return true;
}

/* Everything before the name. */
static bool take_numbers(struct cursor *c, struct msn_proc_map *m)
{
	uint64_t major, minor;

	if (!take_number(c, 16, &m->addr.start) || !take_char(c, '-') ||
	    !take_number(c, 16, &m->addr.end) || !take_char(c, ' ') ||
	    !take_perms(c, m) || !take_char(c, ' ') ||
	    !take_number(c, 16, &m->offset) || !take_char(c, ' ') ||
	    !take_number(c, 16, &major) || !take_char(c, ':') ||
	    !take_number(c, 16, &minor) || !take_char(c, ' ') ||
	    !take_number(c, 10, &m->inode))
		return false;
	if (major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	m->dev_major = (uint32_t)major;
	m->dev_minor = (uint32_t)minor;
	return true;
}

static bool map_sane(const struct msn_proc_maps *maps,
		     const struct msn_proc_map *m)
{
	uint64_t floor = maps->count ? maps->list[maps->count - 1].addr.end : 0;

	return msn_addr_range_page_aligned(m->addr) &&
	       !msn_addr_range_empty(m->addr) && m->addr.start >= floor &&
	       msn_page_aligned(m->offset) &&
	       m->offset <= UINT64_MAX - msn_addr_range_length(m->addr);
}

static int add_map(struct msn_proc_maps *maps, struct cursor c)
{
	struct msn_proc_map m = { 0 };
	size_t len;
	int rc;

	if (!take_numbers(&c, &m) || !map_sane(maps, &m))
		return msn_fail(-EBADMSG);
	if (c.at < c.end && *c.at != ' ')
		return msn_fail(-EBADMSG);
	while (c.at < c.end && *c.at == ' ')
		c.at++;
	len = (size_t)(c.end - c.at);
	if (len > MSN_PROC_MAPS_NAME_MAX || memchr(c.at, '\0', len))
		return msn_fail(-EBADMSG);
	if (maps->count == MSN_MAPPING_COUNT_MAX)
		return msn_fail(-E2BIG);
	rc = msn_grow((void **)&maps->list, &maps->cap, maps->count, sizeof(m));
	if (rc)
		return msn_pass(rc);
	m.name = msn_alloc(len + 1);
	if (!m.name)
		return msn_fail(-ENOMEM);
	memcpy(m.name, c.at, len);
	maps->list[maps->count++] = m;
	return 0;
}

static uint32_t flag_of(const char *two)
{
	static const struct {
		char text[3];
		uint32_t flag;
	} flags[] = {
		{ "mr", MSN_VM_MAYREAD },     { "mw", MSN_VM_MAYWRITE },
		{ "me", MSN_VM_MAYEXEC },     { "gd", MSN_VM_GROWSDOWN },
		{ "lo", MSN_VM_LOCKED },      { "io", MSN_VM_IO },
		{ "pf", MSN_VM_PFNMAP },      { "ht", MSN_VM_HUGETLB },
		{ "lf", MSN_VM_LOCKONFAULT }, { "ms", MSN_VM_MAYSHARE },
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(flags); i++)
		if (memcmp(two, flags[i].text, 2) == 0)
			return flags[i].flag;
	return 0;
}

/* "VmFlags: rd wr mr ...": pairs of letters, each with a space behind. */
static int add_detail(struct msn_proc_maps *maps, struct cursor c)
{
	static const char key[] = "VmFlags:";
	struct msn_proc_map *m;

	if (maps->count == 0)
		return msn_fail(-EBADMSG);
	if ((size_t)(c.end - c.at) < sizeof(key) - 1 ||
	    memcmp(c.at, key, sizeof(key) - 1) != 0)
		return 0;
	m = &maps->list[maps->count - 1];
	m->flags = MSN_VM_FLAGS_KNOWN;
	for (c.at += sizeof(key) - 1; c.end - c.at >= 3; c.at += 3) {
		if (*c.at != ' ')
			return msn_fail(-EBADMSG);
		m->flags |= flag_of(c.at + 1);
	}
	return 0;
}

static int add_line(struct msn_proc_maps *maps, const char *line, size_t len)
{
	struct cursor c = { line, line + len };

	if (len > 0 && digit(*line, 16) >= 0)
		return msn_pass(add_map(maps, c));
	if (len > 0 && *line >= 'A' && *line <= 'Z')
		return msn_pass(add_detail(maps, c));
	return msn_fail(-EBADMSG);
}

/* Feeds whole lines; *@used counts the bytes that were. */
static int add_lines(struct msn_proc_maps *maps, const char *text, size_t len,
		     size_t *used)
{
	const char *at = text, *end = text + len, *eol;

	while (at < end && (eol = memchr(at, '\n', (size_t)(end - at)))) {
		int rc = add_line(maps, at, (size_t)(eol - at));

		if (rc)
			return msn_pass(rc);
		at = eol + 1;
	}
	*used = (size_t)(at - text);
	return 0;
}

int msn_proc_maps_parse(struct msn_proc_maps *maps, const char *text,
			size_t len)
{
	msn_auto(msn_proc_maps_deinit) struct msn_proc_maps m = { 0 };
	size_t used;
	int rc;

	rc = add_lines(&m, text, len, &used);
	if (rc)
		return msn_pass(rc);
	if (used < len)
		rc = add_line(&m, text + used, len - used);
	if (rc)
		return msn_pass(rc);
	*maps = m;
	m = (struct msn_proc_maps){ 0 };
	return 0;
}

/* Reads on behind @have bytes that are an unfinished line. */
static int read_more(int fd, char *buf, size_t have, size_t *got)
{
	ssize_t n;

	if (have > LINE_MAX_BYTES)
		return msn_fail(-EBADMSG);
	do {
		n = read(fd, buf + have, READ_BYTES - have);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return msn_fail(-errno);
	*got = (size_t)n;
	return 0;
}

int msn_proc_maps_read(struct msn_proc_maps *maps, int fd)
{
	msn_auto(msn_proc_maps_deinit) struct msn_proc_maps m = { 0 };
	msn_auto(msn_freep) char *buf = msn_alloc(READ_BYTES);
	size_t have = 0, got = 0, used;
	int rc;

	if (!buf)
		return msn_fail(-ENOMEM);
	for (;;) {
		rc = read_more(fd, buf, have, &got);
		if (rc)
			return msn_pass(rc);
		if (got == 0)
			break;
		have += got;
		rc = add_lines(&m, buf, have, &used);
		if (rc)
			return msn_pass(rc);
		have -= used;
		memmove(buf, buf + used, have);
	}
	if (have > 0)
		rc = add_line(&m, buf, have);
	if (rc)
		return msn_pass(rc);
	*maps = m;
	m = (struct msn_proc_maps){ 0 };
	return 0;
}

void msn_proc_maps_deinit(struct msn_proc_maps *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		free(maps->list[i].name);
	free(maps->list);
	*maps = (struct msn_proc_maps){ 0 };
}

const struct msn_proc_map *msn_proc_maps_at(const struct msn_proc_maps *maps,
					    uint64_t addr)
{
	size_t low = 0, high = maps->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (maps->list[mid].addr.end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == maps->count ||
	    !msn_addr_range_contains(maps->list[low].addr, addr))
		return NULL;
	return &maps->list[low];
}

char *msn_proc_maps_unescape(const char *name)
{
	char *out = msn_alloc(strlen(name) + 1), *to = out;

	if (!out)
		return NULL;
	while (*name) {
		if (strncmp(name, "\\012", 4) == 0) {
			*to++ = '\n';
			name += 4;
		} else {
			*to++ = *name++;
		}
	}
	return out;
}

bool msn_proc_maps_deleted(const char *name)
{
	static const char tail[] = " (deleted)";
	size_t len = strlen(name);

	return len >= sizeof(tail) - 1 &&
	       strcmp(name + len - (sizeof(tail) - 1), tail) == 0;
}
