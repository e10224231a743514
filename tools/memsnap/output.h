/*
 * Output: tables, JSON, and values as people read them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything goes to stdout through stdio.  Between msn_output_begin() and
 * msn_output_end() the first error of a write is kept, which stdio alone would
 * forget; the latter tells of it once.
 */
#ifndef MSN_TOOLS_OUTPUT_H
#define MSN_TOOLS_OUTPUT_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "cmd.h"
#include "format/uid.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Digits of a uid that a table shows. */
#define MSN_UID_SHORT 12

/* Are colors to be used on @stream? */
bool msn_color_on(const struct msn_cli *cli, FILE *stream);

/* ---- Values --------------------------------------------------------------*/

/* Room for any of the texts below. */
#define MSN_VALUE_TEXT 64

/* "12.3 MiB", or with --bytes the number. */
const char *msn_text_size(const struct msn_cli *cli, uint64_t bytes, char *out);

/* RFC 3339 in UTC, to the second. */
const char *msn_text_time(int64_t ns_since_epoch, char *out);

/* The first MSN_UID_SHORT digits; "-" for none. */
const char *msn_text_uid(struct msn_uid uid, char *out);

/* Prints @text with its control characters replaced, for a terminal's sake. */
void msn_print_text(const char *text);

/* ---- Tables --------------------------------------------------------------*/

struct msn_table;

struct msn_column {
	const char *name;
	bool right; /* a number */
};

enum msn_table_color {
	MSN_COLOR_NONE,
	MSN_COLOR_GOOD,
	MSN_COLOR_BAD,
	MSN_COLOR_WARN,
};

/* A list of columns ends with an empty one.  Without @headings: none shown. */
MSN_MUST_CHECK int msn_table_new(struct msn_table **out,
				 const struct msn_cli *cli,
				 const struct msn_column *columns,
				 bool headings);
struct msn_table *msn_table_free(struct msn_table *t);
MSN_DEFINE_AUTO(struct msn_table, msn_table_free)

/* Adds a row; @cells has a text for each column, copied. */
MSN_MUST_CHECK int msn_table_row(struct msn_table *t, const char *const *cells,
				 enum msn_table_color color);

MSN_MUST_CHECK int msn_table_print(struct msn_table *t);

/* ---- JSON ----------------------------------------------------------------*/

/* A string of @text, whose bytes that are no UTF-8 become U+FFFD. */
json_t *msn_json_text(const char *text);

/* "0x7f...": an address does not fit in every reader's numbers. */
json_t *msn_json_address(uint64_t addr);

/* All digits, or null for none. */
json_t *msn_json_uid(struct msn_uid uid);

json_t *msn_json_count(uint64_t n);

static inline void msn_json_decrefp(json_t **json)
{
	json_decref(*json);
}

/*
 * Prints @json, which is taken over, and a newline.  NULL means that it could
 * not be built: -ENOMEM.
 */
MSN_MUST_CHECK int msn_json_print(json_t *json, struct msn_failure *why);

/* Before anything is printed. */
void msn_output_begin(void);

/*
 * Sees to it that all output has got there.  -EPIPE without a text: the reader
 * has gone away, which is nobody's failure.
 */
MSN_MUST_CHECK int msn_output_end(struct msn_failure *why);

#endif /* MSN_TOOLS_OUTPUT_H */
