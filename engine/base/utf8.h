/*
 * Well-formed UTF-8: no stray or missing continuation, no overlong form, no
 * surrogate, nothing above U+10FFFF.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BASE_UTF8_H
#define MSN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Bytes of the character that @bytes, of which there are @left, begin with: 1
 * to 4, or 0 where none does.  A zero byte is a character.
 */
size_t msn_utf8_length(const void *bytes, size_t left);

/* Is @text, up to its zero, well formed? */
bool msn_utf8_valid(const char *text);

/* Are these @len bytes well formed, and none of them zero? */
bool msn_utf8_valid_bytes(const void *bytes, size_t len);

/*
 * Copies text for people: at most @size - 1 bytes, whole characters, with '?'
 * for control characters and for what is not UTF-8.
 */
void msn_utf8_clean(char *out, size_t size, const void *bytes, size_t len);

#endif /* MSN_BASE_UTF8_H */
