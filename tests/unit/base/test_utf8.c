/*
 * UTF-8: what is a character, and texts made fit for people.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/utf8.h"
#include "support/check.h"

#include <string.h>

static void utf8_is_told_from_what_is_not(void)
{
	static const char *const good[] = {
		"",
		"abc",
		"gr\xc3\xbc\xc3\x9f",
		"\xe2\x82\xac",
		"\xed\x9f\xbf",
		"\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf",
	};
	static const char *const bad[] = {
		"\x80",
		"\xc3",
		"\xc3x",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xe0\x9f\xbf",
		"\xe2\x82",
		"\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"a\xff",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		EXPECT(msn_utf8_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT(!msn_utf8_valid(bad[i]));
}

static void a_character_ends_where_the_bytes_end(void)
{
	static const char euro[] = "\xe2\x82\xac";

	EXPECT(msn_utf8_length(euro, 3) == 3);
	EXPECT(msn_utf8_length(euro, 2) == 0);
	EXPECT(msn_utf8_length(euro, 0) == 0);
	EXPECT(msn_utf8_length("", 1) == 1);
	EXPECT(msn_utf8_valid_bytes(euro, 3));
	EXPECT(!msn_utf8_valid_bytes(euro, 1));
	EXPECT(!msn_utf8_valid_bytes("a\0b", 3));
}

static bool cleans(const char *in, size_t len, size_t size, const char *want)
{
	char out[64];

	msn_utf8_clean(out, size, in, len);
	return strcmp(out, want) == 0;
}

static void text_for_people_is_clean(void)
{
	EXPECT(cleans("plain", 5, 64, "plain"));
	EXPECT(cleans("a\nb\0c\177", 6, 64, "a?b?c?"));
	EXPECT(cleans("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, 64,
		      "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
	/* stray, cut, overlong, surrogate, too large */
	EXPECT(cleans("\x80x", 2, 64, "?x"));
	EXPECT(cleans("x\xe2\x82", 3, 64, "x??"));
	EXPECT(cleans("\xc0\xaf", 2, 64, "??"));
	EXPECT(cleans("\xed\xa0\x80", 3, 64, "???"));
	EXPECT(cleans("\xf4\x90\x80\x80", 4, 64, "????"));
	EXPECT(cleans("\xff", 1, 64, "?"));
	/* whole characters only */
	EXPECT(cleans("ab\xe2\x82\xac", 5, 5, "ab"));
	EXPECT(cleans("abcdef", 6, 4, "abc"));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(utf8_is_told_from_what_is_not),
		CHECK_TEST(a_character_ends_where_the_bytes_end),
		CHECK_TEST(text_for_people_is_clean),
		{}
	};

	return check_main(argc, argv, "utf8", tests);
}
