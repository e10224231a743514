/*
 * Listing: a text that grows line by line.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Running out of memory is remembered and told once, at the end.
 */
#ifndef MSN_MM_LISTING_H
#define MSN_MM_LISTING_H

#include "base/cleanup.h"
#include "mm/maps_line.h"

#include <stdbool.h>
#include <stddef.h>

/* Zero bytes are an empty listing. */
struct msn_listing {
	char *text;
	size_t len, cap;
	bool failed; /* no memory: what is put after that is left out */
};

/* Appends up to MSN_MAPS_LINE_MAX bytes, as printf(). */
void msn_listing_put(struct msn_listing *l, const char *fmt, ...)
	MSN_PRINTF(2, 3);

/* Appends a line of maps. */
void msn_listing_put_line(struct msn_listing *l,
			  const struct msn_maps_line *line);

/* *@out becomes the text, for free().  0 or -ENOMEM.  The listing is gone. */
MSN_MUST_CHECK int msn_listing_finish(struct msn_listing *l, char **out);

#endif /* MSN_MM_LISTING_H */
