/*
 * Text: listings made comparable.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_ORACLE_TEXT_H
#define MSN_TESTS_ORACLE_TEXT_H

#include "oracle/side.h"

/*
 * Adds @text, a listing as /proc/PID/maps or smaps has it, to v->text: without
 * foreign mappings, with the fields that @detail asks for, and with what has to
 * differ (the list in text.c) taken out.
 */
void text_normalise(struct view *v, const char *text, size_t len,
		    unsigned detail);

/* Adds to v->text the lines of @from that name mappings. */
void text_copy_headers(struct view *v, const struct view *from);

/* Calls @fn for the range of each mapping in a normalised listing. */
void text_for_each(const struct view *v,
		   void (*fn)(void *ctx, uint64_t start, uint64_t end),
		   void *ctx);

/* Prints what is different in two normalised listings, line by line. */
void text_print_difference(FILE *to, const struct view *a,
			   const struct view *b);

/* Prints what is taken out, and why. */
void text_print_normalisations(FILE *to);

#endif /* MSN_TESTS_ORACLE_TEXT_H */
