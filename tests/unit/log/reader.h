/*
 * Reader: lines of a log, taken apart again.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An independent reading: JSON by jansson, logfmt by the rules that its users
 * know (key=value, or a value in quotes that is a JSON string).
 */
#ifndef MSN_TESTS_LOG_READER_H
#define MSN_TESTS_LOG_READER_H

#include <jansson.h>
#include <stddef.h>

/*
 * The fields of one line of logfmt, without its end, all as texts; NULL when it
 * is none, or has a key twice.
 */
json_t *read_logfmt(const char *line, size_t len);

/* The same of a line of JSON; values keep their types. */
json_t *read_json(const char *line, size_t len);

/* The text of a field, or "". */
const char *field(const json_t *line, const char *key);

/* What a log shows of these bytes: what is no UTF-8 replaced.  For free(). */
char *as_shown(const char *bytes, size_t len, size_t *shown_len);

#endif /* MSN_TESTS_LOG_READER_H */
