/*
 * Well-formed UTF-8.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_FORMAT_UTF8_H
#define MSN_FORMAT_UTF8_H

#include <stdbool.h>

/*
 * Is @text well-formed UTF-8: no stray or missing continuation, no overlong
 * form, no surrogate, nothing above U+10FFFF?
 */
bool msn_utf8_valid(const char *text);

#endif /* MSN_FORMAT_UTF8_H */
