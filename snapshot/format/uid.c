/*
 * Uids: made, printed and parsed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format/uid.h"

#include "base/rand.h"

#include <string.h>

struct msn_uid msn_uid_new(void)
{
	struct msn_uid uid;

	do {
		msn_random_bytes(uid.bytes, sizeof(uid.bytes));
	} while (msn_uid_is_none(uid));
	return uid;
}

bool msn_uid_is_none(struct msn_uid uid)
{
	static const struct msn_uid none;

	return msn_uid_equal(uid, none);
}

bool msn_uid_equal(struct msn_uid a, struct msn_uid b)
{
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

void msn_uid_format(struct msn_uid uid, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(uid.bytes); i++) {
		*out++ = digits[uid.bytes[i] >> 4];
		*out++ = digits[uid.bytes[i] & 15];
	}
	*out = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

unsigned msn_uid_parse_prefix(const char *text, struct msn_uid *out)
{
	struct msn_uid uid = { 0 };
	unsigned n;

	for (n = 0; text[n]; n++) {
		int digit = hex_digit(text[n]);

		if (digit < 0 || n == 2 * sizeof(uid.bytes))
			return 0;
		uid.bytes[n / 2] |= (uint8_t)(n % 2 ? digit : digit << 4);
	}
	*out = uid;
	return n;
}

bool msn_uid_has_prefix(struct msn_uid uid, struct msn_uid prefix,
			unsigned digits)
{
	if (memcmp(uid.bytes, prefix.bytes, digits / 2) != 0)
		return false;
	return digits % 2 == 0 ||
	       uid.bytes[digits / 2] >> 4 == prefix.bytes[digits / 2] >> 4;
}
