/*
 * Segment sets as pictures: one character a page.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    "..Aaa.BbBb"    pages 0 and 1 free, a segment with value `a` on pages 2
 *                    to 4, a free page, two segments with value `b`
 *
 * A capital letter opens a segment.  The sets drawn here merge neighbours of
 * one value.
 */
#ifndef MSN_TESTS_UNIT_RANGE_PICTURE_H
#define MSN_TESTS_UNIT_RANGE_PICTURE_H

#include "range/segset.h"
#include "support/check.h"

#include <ctype.h>
#include <string.h>

struct letter {
	char name;
};

MSN_SEGSET_DEFINE(letters, struct msn_addr_range, struct letter)

static inline bool letters_merge(struct msn_seg_range a, void *va,
				 struct msn_seg_range b, void *vb)
{
	(void)a;
	(void)b;
	return memcmp(va, vb, sizeof(struct letter)) == 0;
}

static const struct msn_segset_ops letters_ops = {
	.value_size = sizeof(struct letter),
	.merge = letters_merge,
};

#define PAGES(first, end)                                                      \
	((struct msn_addr_range){ (first)*MSN_PAGE_SIZE, (end)*MSN_PAGE_SIZE })
#define RAW(first, end) letters_raw(PAGES(first, end))

static inline uint64_t segment_end(const char *picture, uint64_t at)
{
	do
		at++;
	while (islower((unsigned char)picture[at]));
	return at;
}

static inline void letters_draw(struct letters *set, const char *picture)
{
	uint64_t at = 0, end;

	letters_init(set, &letters_ops);
	for (; picture[at]; at = end) {
		struct letter value = { (char)tolower(picture[at]) };

		end = segment_end(picture, at);
		if (picture[at] == '.') {
			end = at + 1;
			continue;
		}
		CHECK(letters_insert_unmerged(set, PAGES(at, end), &value,
					      NULL) == 0);
	}
}

/* Is @set what @picture shows, and nothing more? */
static inline bool letters_look(const struct letters *set, const char *picture)
{
	char seen[256];
	size_t pages = strlen(picture);
	struct msn_seg s;

	memset(seen, '.', sizeof(seen));
	for (s = letters_first(set); msn_seg_ok(s); s = msn_seg_next(s)) {
		struct msn_addr_range r = letters_range(s);
		char name = letters_value(set, s)->name;

		if (r.end > pages * MSN_PAGE_SIZE)
			return false;
		memset(seen + (r.start >> MSN_PAGE_SHIFT), name,
		       msn_addr_range_length(r) >> MSN_PAGE_SHIFT);
		seen[r.start >> MSN_PAGE_SHIFT] = (char)toupper(name);
	}
	return memcmp(seen, picture, pages) == 0 &&
	       msn_segset_check(&set->core) == NULL;
}

#endif /* MSN_TESTS_UNIT_RANGE_PICTURE_H */
