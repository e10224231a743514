/*
 * Status: filling one, and what codes and kinds are to each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "status/status.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

static void every_code_has_its_name(void)
{
	EXPECT(strcmp(msn_code_name(MSN_CODE_OK), "OK") == 0);
	EXPECT(strcmp(msn_code_name(MSN_CODE_DATA_LOSS), "DATA_LOSS") == 0);
	EXPECT(strcmp(msn_code_name((enum msn_code)17), "UNKNOWN") == 0);
	EXPECT(strcmp(msn_code_name((enum msn_code) - 1), "UNKNOWN") == 0);
	for (int a = 0; a <= MSN_CODE_UNAUTHENTICATED; a++)
		for (int b = 0; b < a; b++)
			EXPECT(strcmp(msn_code_name((enum msn_code)a),
				      msn_code_name((enum msn_code)b)) != 0);
}

static void kinds_come_back_from_their_codes(void)
{
	for (int k = 0; k <= MSN_FAILURE_UNSUPPORTED; k++) {
		enum msn_failure_kind kind = (enum msn_failure_kind)k;
		enum msn_code code = msn_code_of_kind(kind);

		EXPECT(msn_kind_of_code(code) == kind);
		EXPECT(strcmp(msn_code_name(code),
			      msn_failure_kind_name(kind)) == 0);
	}
}

static void codes_without_a_kind_have_the_nearest(void)
{
	EXPECT(msn_kind_of_code(MSN_CODE_UNKNOWN) == MSN_FAILURE_INTERNAL);
	EXPECT(msn_kind_of_code(MSN_CODE_OUT_OF_RANGE) == MSN_FAILURE_INVALID);
	EXPECT(msn_kind_of_code(MSN_CODE_UNAUTHENTICATED) ==
	       MSN_FAILURE_DENIED);
	EXPECT(msn_kind_of_code(MSN_CODE_DEADLINE_EXCEEDED) ==
	       MSN_FAILURE_UNAVAILABLE);
	EXPECT(msn_code_of_kind((enum msn_failure_kind)99) == MSN_CODE_UNKNOWN);
}

static void setting_replaces_what_was_there(void)
{
	struct msn_status s = { .field = "length", .retry_ms = 5 };

	msn_status_note(&s, "errno", "ENOMEM");
	msn_status_set(&s, MSN_CODE_NOT_FOUND, "SPACE_NOT_FOUND", "no %s", "x");
	EXPECT(s.code == MSN_CODE_NOT_FOUND);
	EXPECT(strcmp(s.reason, "SPACE_NOT_FOUND") == 0);
	EXPECT(strcmp(s.text, "no x") == 0);
	EXPECT(s.note_count == 0 && !s.field[0] && s.retry_ms == 0);
}

static void a_code_that_is_none_is_unknown(void)
{
	struct msn_status s;

	msn_status_set(&s, (enum msn_code)17, "A", "a");
	EXPECT(s.code == MSN_CODE_UNKNOWN);
	msn_status_set(&s, (enum msn_code) - 1, "A", "a");
	EXPECT(s.code == MSN_CODE_UNKNOWN);
	msn_status_set(&s, MSN_CODE_UNAUTHENTICATED, "A", "a");
	EXPECT(s.code == MSN_CODE_UNAUTHENTICATED);
}

static void texts_are_clean_and_fit(void)
{
	struct msn_status s;
	char longer[900];

	memset(longer, 'a', sizeof(longer));
	memcpy(longer + 509, "\xe2\x82\xac", 3);
	longer[sizeof(longer) - 1] = '\0';
	msn_status_set(&s, MSN_CODE_INTERNAL, "A", "%s", longer);
	EXPECT(strlen(s.text) == 509); /* no half of a character */
	msn_status_set(&s, MSN_CODE_INTERNAL, "A", "a\xff\nb");
	EXPECT(strcmp(s.text, "a??b") == 0);
	msn_status_note(&s, "k", "%s", longer);
	EXPECT(strlen(msn_status_find(&s, "k")) == 135);
}

static void a_note_is_found_by_its_key(void)
{
	struct msn_status s = { 0 };

	msn_status_note(&s, "errno", "ENOMEM");
	msn_status_note(&s, "address", "%#x", 0x1000);
	EXPECT(strcmp(msn_status_find(&s, "address"), "0x1000") == 0);
	EXPECT(!msn_status_find(&s, "addr"));
	msn_status_note(&s, "errno", "EIO");
	EXPECT(s.note_count == 2);
	EXPECT(strcmp(msn_status_find(&s, "errno"), "EIO") == 0);
}

static void one_note_too_many_is_dropped(void)
{
	struct msn_status s = { 0 };
	char key[] = "a";

	for (; key[0] < 'a' + MSN_STATUS_NOTES_MAX; key[0]++)
		msn_status_note(&s, key, "1");
	msn_status_note(&s, "more", "1");
	EXPECT(s.note_count == MSN_STATUS_NOTES_MAX);
	EXPECT(!msn_status_find(&s, "more"));
	msn_status_note(&s, "a", "2");
	EXPECT(strcmp(msn_status_find(&s, "a"), "2") == 0);
}

static void a_failure_becomes_a_status(void)
{
	struct msn_failure why = { .kind = MSN_FAILURE_EXISTS,
				   .text = "the name is taken" };
	struct msn_status s = { 0 };

	msn_status_failure(&s, -EEXIST, &why);
	EXPECT(s.code == MSN_CODE_ALREADY_EXISTS);
	EXPECT(strcmp(s.reason, "ALREADY_EXISTS") == 0);
	EXPECT(strcmp(s.text, "the name is taken") == 0);
	EXPECT(strcmp(msn_status_find(&s, "errno"), "EEXIST") == 0);
}

static void a_failure_without_words_is_named_by_its_number(void)
{
	const struct msn_failure silent = { 0 };
	struct msn_status s = { 0 }, t = { 0 };

	msn_status_failure(&s, -ENOSPC, NULL);
	EXPECT(s.code == MSN_CODE_RESOURCE_EXHAUSTED);
	EXPECT(strcmp(s.text, strerror(ENOSPC)) == 0);
	msn_status_failure(&t, -EACCES, &silent);
	EXPECT(t.code == MSN_CODE_PERMISSION_DENIED);
	EXPECT(strcmp(t.reason, "PERMISSION_DENIED") == 0);
}

static void who_knew_it_first_is_not_replaced(void)
{
	struct msn_failure why = { .kind = MSN_FAILURE_INTERNAL, .text = "x" };
	struct msn_status s;

	msn_status_set(&s, MSN_CODE_OUT_OF_RANGE, "FAULT", "no such address");
	msn_status_note(&s, "errno", "EFAULT");
	memcpy(s.field, "address", sizeof("address"));
	msn_status_failure(&s, -EINVAL, &why);
	EXPECT(s.code == MSN_CODE_OUT_OF_RANGE);
	EXPECT(strcmp(s.reason, "FAULT") == 0);
	EXPECT(strcmp(s.text, "no such address") == 0);
	EXPECT(strcmp(s.field, "address") == 0);
	EXPECT(strcmp(msn_status_find(&s, "errno"), "EFAULT") == 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_code_has_its_name),
		CHECK_TEST(kinds_come_back_from_their_codes),
		CHECK_TEST(codes_without_a_kind_have_the_nearest),
		CHECK_TEST(setting_replaces_what_was_there),
		CHECK_TEST(a_code_that_is_none_is_unknown),
		CHECK_TEST(texts_are_clean_and_fit),
		CHECK_TEST(a_note_is_found_by_its_key),
		CHECK_TEST(one_note_too_many_is_dropped),
		CHECK_TEST(a_failure_becomes_a_status),
		CHECK_TEST(a_failure_without_words_is_named_by_its_number),
		CHECK_TEST(who_knew_it_first_is_not_replaced),
		{}
	};

	return check_main(argc, argv, "status", tests);
}
