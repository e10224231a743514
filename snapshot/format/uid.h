/*
 * Uid: 128 random bits that name a snapshot for ever.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_FORMAT_UID_H
#define MSN_FORMAT_UID_H

#include <stdbool.h>
#include <stdint.h>

struct msn_uid {
	uint8_t bytes[16];
};

/* Lower-case hexadecimal without separators, and its terminating zero. */
#define MSN_UID_TEXT 33

/* A fresh uid from the kernel's randomness. */
struct msn_uid msn_uid_new(void);

/* All zero: no snapshot. */
bool msn_uid_is_none(struct msn_uid uid);
bool msn_uid_equal(struct msn_uid a, struct msn_uid b);

/* Writes MSN_UID_TEXT bytes. */
void msn_uid_format(struct msn_uid uid, char *out);

/*
 * Parses 1 to 32 hexadecimal digits into the high digits of *@out; the rest is
 * zero.  Returns the number of digits, or 0 if @text is anything else.
 */
unsigned msn_uid_parse_prefix(const char *text, struct msn_uid *out);

/* Do the first @digits hexadecimal digits agree? */
bool msn_uid_has_prefix(struct msn_uid uid, struct msn_uid prefix,
			unsigned digits);

#endif /* MSN_FORMAT_UID_H */
