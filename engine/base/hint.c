/*
 * Distance between words: letters added, dropped, changed or swapped with
 * their neighbour (optimal string alignment).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/hint.h"

#include <string.h>

#define WORD_MAX 48 /* longer words are not mistyped ones */

void msn_hint_begin(struct msn_hint *h, const char *word)
{
	size_t len = strlen(word);

	h->word = word;
	h->best = NULL;
	/* A third of the letters may be wrong: 1 of "ls", 2 of "verify". */
	h->distance = len / 3 + 2;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
	size_t row[3][WORD_MAX + 1];

	for (size_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *now = row[i % 3], *up = row[(i + 2) % 3];
		const size_t *up2 = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			now[j] = min3(up[j] + 1, now[j - 1] + 1,
				      up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && up2[j - 2] + 1 < now[j])
				now[j] = up2[j - 2] + 1;
		}
	}
	return row[la % 3][lb];
}

void msn_hint_try(struct msn_hint *h, const char *candidate)
{
	size_t la = strlen(h->word), lb = strlen(candidate);
	size_t d;

	if (!la || la > WORD_MAX || lb > WORD_MAX)
		return;
	d = distance(h->word, la, candidate, lb);
	if (d >= h->distance || d >= lb)
		return;
	h->distance = d;
	h->best = candidate;
}
