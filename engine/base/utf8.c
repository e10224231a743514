/*
 * Well-formed UTF-8, by table 3-7 of the Unicode standard: the first byte
 * gives the length and the bounds of the second, all further bytes are 80..BF.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/utf8.h"

#include <string.h>

struct utf8_lead {
	unsigned char first, last; /* of the lead byte */
	unsigned char low, high;   /* of the second byte */
	unsigned char more;	   /* bytes behind the lead byte */
};

static const struct utf8_lead leads[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 1 }, { 0xe0, 0xe0, 0xa0, 0xbf, 2 },
	{ 0xe1, 0xec, 0x80, 0xbf, 2 }, { 0xed, 0xed, 0x80, 0x9f, 2 },
	{ 0xee, 0xef, 0x80, 0xbf, 2 }, { 0xf0, 0xf0, 0x90, 0xbf, 3 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 3 }, { 0xf4, 0xf4, 0x80, 0x8f, 3 },
};

static const struct utf8_lead *lead_of(unsigned char c)
{
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
		if (c >= leads[i].first && c <= leads[i].last)
			return &leads[i];
	return NULL;
}

size_t msn_utf8_length(const void *bytes, size_t left)
{
	const unsigned char *p = bytes;
	const struct utf8_lead *lead;

	if (left == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	lead = lead_of(p[0]);
	if (!lead || lead->more >= left)
		return 0;
	if (p[1] < lead->low || p[1] > lead->high)
		return 0;
	for (unsigned i = 2; i <= lead->more; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return lead->more + 1u;
}

bool msn_utf8_valid_bytes(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	while (len > 0) {
		size_t n = msn_utf8_length(p, len);

		if (n == 0 || *p == 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

bool msn_utf8_valid(const char *text)
{
	return msn_utf8_valid_bytes(text, strlen(text));
}

void msn_utf8_clean(char *out, size_t size, const void *bytes, size_t len)
{
	const unsigned char *s = bytes;
	size_t used = 0;

	for (size_t i = 0; i < len;) {
		size_t n = msn_utf8_length(s + i, len - i);
		bool bad = n == 0 || s[i] < 0x20 || s[i] == 0x7f;

		if (n == 0)
			n = 1;
		if (used + n >= size)
			break;
		if (bad)
			out[used] = '?';
		else
			memcpy(out + used, s + i, n);
		used += n;
		i += n;
	}
	out[used] = '\0';
}
