/*
 * Listings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/listing.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Makes room for one more line; false if there is none. */
static bool make_room(struct msn_listing *l)
{
	size_t cap = l->cap * 2 + 2 * MSN_MAPS_LINE_MAX;
	char *grown;

	if (l->failed || l->cap - l->len >= MSN_MAPS_LINE_MAX)
		return !l->failed;
	grown = msn_realloc_array(l->text, cap, 1);
	l->failed = !grown;
	if (grown) {
		l->text = grown;
		l->cap = cap;
	}
	return grown;
}

void msn_listing_put(struct msn_listing *l, const char *fmt, ...)
{
	va_list args;

	if (!make_room(l))
		return;
	va_start(args, fmt);
	l->len +=
		(size_t)vsnprintf(l->text + l->len, l->cap - l->len, fmt, args);
	va_end(args);
}

void msn_listing_put_line(struct msn_listing *l,
			  const struct msn_maps_line *line)
{
	if (make_room(l))
		l->len +=
			msn_maps_line(l->text + l->len, l->cap - l->len, line);
}

int msn_listing_finish(struct msn_listing *l, char **out)
{
	msn_listing_put(l, "%s", ""); /* an empty one is a text too */
	if (l->failed) {
		free(l->text);
		return msn_fail(-ENOMEM);
	}
	*out = l->text;
	return 0;
}
