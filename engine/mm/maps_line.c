/*
 * One line of a maps listing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/maps_line.h"

#include "range/access.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Column at which the name starts (25 + 6 * sizeof(void *) - 1 of Linux). */
#define NAME_COLUMN 73

static size_t put_name(char *out, size_t size, const char *name)
{
	size_t n = 0;

	for (; *name && n + 5 < size; name++) {
		if (*name == '\n') {
			memcpy(out + n, "\\012", 4);
			n += 4;
		} else {
			out[n++] = *name;
		}
	}
	return n;
}

size_t msn_maps_line(char *out, size_t size, const struct msn_maps_line *l)
{
	size_t n = (size_t)snprintf(
		out, size,
		"%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " %02" PRIx32
		":%02" PRIx32 " %" PRIu64 " ",
		l->start, l->end, l->perms & MSN_ACCESS_READ ? 'r' : '-',
		l->perms & MSN_ACCESS_WRITE ? 'w' : '-',
		l->perms & MSN_ACCESS_EXEC ? 'x' : '-', l->shared ? 's' : 'p',
		l->offset, l->dev_major, l->dev_minor, l->inode);

	if (*l->name) {
		while (n < NAME_COLUMN && n + 2 < size)
			out[n++] = ' ';
		n += put_name(out + n, size - n, l->name);
	}
	out[n++] = '\n';
	out[n] = '\0';
	return n;
}
