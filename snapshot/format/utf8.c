/*
 * Well-formed UTF-8, by table 3-7 of the Unicode standard: the first byte
 * gives the length and the bounds of the second, all further bytes are 80..BF.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format/utf8.h"

#include <stddef.h>

struct utf8_lead {
	unsigned char first, last; /* of the lead byte */
	unsigned char low, high;   /* of the second byte */
	unsigned char more;	   /* bytes behind the lead byte */
};

static const struct utf8_lead leads[] = {
	{ 0x01, 0x7f, 0x00, 0x00, 0 }, { 0xc2, 0xdf, 0x80, 0xbf, 1 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 2 }, { 0xe1, 0xec, 0x80, 0xbf, 2 },
	{ 0xed, 0xed, 0x80, 0x9f, 2 }, { 0xee, 0xef, 0x80, 0xbf, 2 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 3 }, { 0xf1, 0xf3, 0x80, 0xbf, 3 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 3 },
};

static const struct utf8_lead *lead_of(unsigned char c)
{
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
		if (c >= leads[i].first && c <= leads[i].last)
			return &leads[i];
	return NULL;
}

/* Stops at the terminating zero, which fits no bounds. */
static bool tail_fits(const unsigned char *p, const struct utf8_lead *lead)
{
	for (unsigned i = 1; i <= lead->more; i++) {
		unsigned char low = i == 1 ? lead->low : 0x80;
		unsigned char high = i == 1 ? lead->high : 0xbf;

		if (p[i] < low || p[i] > high)
			return false;
	}
	return true;
}

bool msn_utf8_valid(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		const struct utf8_lead *lead = lead_of(*p);

		if (!lead || !tail_fits(p, lead))
			return false;
		p += lead->more + 1;
	}
	return true;
}
