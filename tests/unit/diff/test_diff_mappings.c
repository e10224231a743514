/*
 * diff: mappings compared by address.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pictures: a letter a page, one mapping a run of one letter; upper case is
 * read-only.  What differs is shown as + (added), - (removed), ! (changed).
 */
#include "diff/diff.h"

#include "base/rand.h"
#include "range/access.h"
#include "range/range.h"
#include "support/check.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define WIDTH_MAX 64

static struct msn_manifest *from_picture(const char *picture)
{
	struct msn_manifest *m;
	size_t len = strlen(picture);

	CHECK(msn_manifest_new(&m) == 0);
	for (size_t i = 0, end; i < len; i = end) {
		struct msn_manifest_mapping map = { .kind = MSN_MAPPING_ANON };
		char name[2] = { (char)tolower(picture[i]), '\0' };

		for (end = i; end < len && picture[end] == picture[i];)
			end++;
		if (picture[i] == '.')
			continue;
		map.start = i << MSN_PAGE_SHIFT;
		map.end = end << MSN_PAGE_SHIFT;
		map.perms = isupper(picture[i])
				    ? MSN_ACCESS_READ
				    : MSN_ACCESS_READ | MSN_ACCESS_WRITE;
		map.name = name;
		CHECK(msn_manifest_add_mapping(m, &map) == 0);
	}
	return m;
}

struct seen {
	char picture[WIDTH_MAX + 1];
	unsigned calls;
	uint64_t end;
	int answer;
};

static int paint(void *ctx, const struct msn_diff_mapping *d)
{
	struct seen *seen = ctx;
	char sign = "+-!"[d->change];

	EXPECT(d->start >= seen->end && d->start < d->end);
	EXPECT((d->a == NULL) == (d->change == MSN_DIFF_ADDED));
	EXPECT((d->b == NULL) == (d->change == MSN_DIFF_REMOVED));
	for (uint64_t i = d->start; i < d->end; i += MSN_PAGE_SIZE)
		seen->picture[i >> MSN_PAGE_SHIFT] = sign;
	seen->end = d->end;
	seen->calls++;
	return seen->answer;
}

static void compare(const char *a, const char *b, struct seen *seen)
{
	struct msn_manifest *ma = from_picture(a), *mb = from_picture(b);

	memset(seen->picture, '.', sizeof(seen->picture));
	seen->picture[strlen(a)] = '\0';
	seen->end = 0;
	seen->calls = 0;
	EXPECT(msn_diff_mappings(ma, mb, paint, seen) == seen->answer);
	msn_manifest_free(ma);
	msn_manifest_free(mb);
}

/* Compares two pictures: wants @want in @calls pieces. */
static void expect_picture(const char *a, const char *b, const char *want,
			   unsigned calls)
{
	struct seen seen = {};

	compare(a, b, &seen);
	EXPECT(strcmp(seen.picture, want) == 0);
	EXPECT(seen.calls == calls);
}

static void equal_mappings_do_not_differ(void)
{
	expect_picture("..aa.bb.", "..aa.bb.", "........", 0);
	expect_picture("........", "........", "........", 0);
}

static void a_new_mapping_is_added_and_a_lost_one_removed(void)
{
	expect_picture("..aa....", "..aa.bb.", ".....++.", 1);
	expect_picture("..aa.bb.", ".....bb.", "..--....", 1);
}

static void a_mapping_that_grew_is_an_addition(void)
{
	expect_picture(".aaa....", ".aaaaa..", "....++..", 1);
	expect_picture("...aa...", ".aaa....", ".++.-...", 2);
}

static void other_rights_in_the_middle_are_a_change(void)
{
	expect_picture(".aaaaaa.", ".aaAAaa.", "...!!...", 1);
	expect_picture(".aaaa...", ".aabbb..", "...!!+..", 2);
}

static void one_mapping_over_several_is_told_by_piece(void)
{
	expect_picture("a.b.c.", "dddddd", "!+!+!+", 6);
}

static void a_file_at_another_offset_is_a_change(void)
{
	struct msn_manifest *a = from_picture("aaaa"),
			    *b = from_picture("aaaa");
	struct seen seen = {};

	a->mappings[0].kind = b->mappings[0].kind = MSN_MAPPING_FILE;
	EXPECT(msn_diff_mappings(a, b, paint, &seen) == 0);
	EXPECT(seen.calls == 0);
	b->mappings[0].offset = MSN_PAGE_SIZE;
	EXPECT(msn_diff_mappings(a, b, paint, &seen) == 0);
	EXPECT(seen.calls == 1);
	b->mappings[0].offset = 0;
	b->mappings[0].file_mtime_ns = 1;
	seen = (struct seen){};
	EXPECT(msn_diff_mappings(a, b, paint, &seen) == 0);
	EXPECT(seen.calls == 1);
	msn_manifest_free(a);
	msn_manifest_free(b);
}

static void a_file_mapped_in_two_pieces_is_the_same_file(void)
{
	struct msn_manifest *a = from_picture("aaaa"),
			    *b = from_picture("aabb");
	struct seen seen = {};

	a->mappings[0].kind = MSN_MAPPING_FILE;
	b->mappings[0].kind = b->mappings[1].kind = MSN_MAPPING_FILE;
	b->mappings[1].name[0] = 'a';
	b->mappings[1].offset = 2 * MSN_PAGE_SIZE;
	EXPECT(msn_diff_mappings(a, b, paint, &seen) == 0);
	EXPECT(seen.calls == 0);
	msn_manifest_free(a);
	msn_manifest_free(b);
}

static void the_callers_answer_ends_the_sweep(void)
{
	struct seen seen = { .answer = 7 };

	compare("a.b.c.", "......", &seen);
	EXPECT(seen.calls == 1);
}

static void change_names_are_words(void)
{
	EXPECT(!strcmp(msn_diff_change_name(MSN_DIFF_ADDED), "added"));
	EXPECT(!strcmp(msn_diff_change_name(MSN_DIFF_REMOVED), "removed"));
	EXPECT(!strcmp(msn_diff_change_name(MSN_DIFF_CHANGED), "changed"));
}

static char model_sign(char a, char b)
{
	if (a == b)
		return '.';
	if (a == '.')
		return '+';
	return b == '.' ? '-' : '!';
}

static void random_pictures_agree_with_a_page_by_page_look(void)
{
	uint64_t seed = check_seed();

	for (int round = 0; round < 2000; round++) {
		char a[WIDTH_MAX + 1] = "", b[WIDTH_MAX + 1] = "";
		char want[WIDTH_MAX + 1] = "";
		struct seen seen = {};

		for (size_t i = 0; i < 24; i++) {
			bool stay = i && msn_rand_next(&seed) % 3;

			a[i] = stay ? a[i - 1]
				    : "..abAB"[msn_rand_next(&seed) % 6];
			b[i] = msn_rand_next(&seed) % 2
				       ? a[i]
				       : "..abAB"[msn_rand_next(&seed) % 6];
			want[i] = model_sign(a[i], b[i]);
		}
		compare(a, b, &seen);
		EXPECT(strcmp(seen.picture, want) == 0);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(equal_mappings_do_not_differ),
		CHECK_TEST(a_new_mapping_is_added_and_a_lost_one_removed),
		CHECK_TEST(a_mapping_that_grew_is_an_addition),
		CHECK_TEST(other_rights_in_the_middle_are_a_change),
		CHECK_TEST(one_mapping_over_several_is_told_by_piece),
		CHECK_TEST(a_file_at_another_offset_is_a_change),
		CHECK_TEST(a_file_mapped_in_two_pieces_is_the_same_file),
		CHECK_TEST(the_callers_answer_ends_the_sweep),
		CHECK_TEST(change_names_are_words),
		CHECK_TEST(random_pictures_agree_with_a_page_by_page_look),
		{}
	};

	return check_main(argc, argv, "diff of mappings", tests);
}
