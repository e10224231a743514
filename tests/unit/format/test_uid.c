/*
 * Uids: text there and back, prefixes; and UTF-8.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format/uid.h"

#include "support/check.h"

#include <string.h>

static void a_fresh_uid_is_like_no_other(void)
{
	struct msn_uid a = msn_uid_new(), b = msn_uid_new();

	EXPECT(!msn_uid_is_none(a) && !msn_uid_equal(a, b));
	EXPECT(msn_uid_equal(a, a));
	EXPECT(msn_uid_is_none((struct msn_uid){ 0 }));
}

static void a_uid_reads_back_from_its_text(void)
{
	struct msn_uid a = msn_uid_new(), b;
	char text[MSN_UID_TEXT];

	msn_uid_format(a, text);
	EXPECT(strlen(text) == 32);
	EXPECT(msn_uid_parse_prefix(text, &b) == 32);
	EXPECT(msn_uid_equal(a, b));
	EXPECT(msn_uid_parse_prefix("00fF", &b) == 4);
	msn_uid_format(b, text);
	EXPECT(strcmp(text, "00ff0000000000000000000000000000") == 0);
}

static void what_is_no_uid_is_refused(void)
{
	static const char *const bad[] = {
		"g",
		"12 ",
		" 12",
		"0x12",
		"12-34",
		"\xff",
		"123456789012345678901234567890123",
	};
	struct msn_uid a = msn_uid_new(), b = a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT(msn_uid_parse_prefix(bad[i], &b) == 0);
	EXPECT(msn_uid_equal(a, b));
	EXPECT(msn_uid_parse_prefix("", &b) == 0);
}

static void prefixes_agree_digit_by_digit(void)
{
	struct msn_uid a = { { 0x12, 0x34, 0x56 } };
	struct msn_uid b = { { 0x12, 0x3f } };

	for (unsigned n = 0; n <= 3; n++)
		EXPECT(msn_uid_has_prefix(a, b, n));
	for (unsigned n = 4; n <= 32; n++)
		EXPECT(!msn_uid_has_prefix(a, b, n));
	for (unsigned n = 0; n <= 32; n++)
		EXPECT(msn_uid_has_prefix(a, a, n));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_fresh_uid_is_like_no_other),
		CHECK_TEST(a_uid_reads_back_from_its_text),
		CHECK_TEST(what_is_no_uid_is_refused),
		CHECK_TEST(prefixes_agree_digit_by_digit),
		{}
	};

	return check_main(argc, argv, "uid", tests);
}
