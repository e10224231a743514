/*
 * Hint: the known word that is nearest to a mistyped one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BASE_HINT_H
#define MSN_BASE_HINT_H

#include <stddef.h>

struct msn_hint {
	const char *word;
	const char *best; /* NULL: none is near enough */
	size_t distance;
};

void msn_hint_begin(struct msn_hint *h, const char *word);
void msn_hint_try(struct msn_hint *h, const char *candidate);

#endif /* MSN_BASE_HINT_H */
