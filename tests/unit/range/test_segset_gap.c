/*
 * Segment set: searching for free room from below and from above.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "picture.h"

enum { NONE = -1 };

/* Page number of the first gap of @length pages, or NONE. */
static int first(const char *picture, uint64_t from, uint64_t to,
		 uint64_t length, uint64_t align)
{
	struct letters set;
	uint64_t at = 0;
	bool found;

	letters_draw(&set, picture);
	found = msn_segset_first_gap(&set.core, RAW(from, to),
				     length * MSN_PAGE_SIZE,
				     align * MSN_PAGE_SIZE, &at);
	letters_deinit(&set);
	return found ? (int)(at >> MSN_PAGE_SHIFT) : NONE;
}

static int last(const char *picture, uint64_t from, uint64_t to,
		uint64_t length, uint64_t align)
{
	struct letters set;
	uint64_t at = 0;
	bool found;

	letters_draw(&set, picture);
	found = msn_segset_last_gap(&set.core, RAW(from, to),
				    length * MSN_PAGE_SIZE,
				    align * MSN_PAGE_SIZE, &at);
	letters_deinit(&set);
	return found ? (int)(at >> MSN_PAGE_SHIFT) : NONE;
}

static void the_first_gap_is_the_lowest_that_is_large_enough(void)
{
	/*    pages 0123456789 */
	EXPECT(first("A.Bb..C..D", 0, 10, 1, 1) == 1);
	EXPECT(first("A.Bb..C..D", 0, 10, 2, 1) == 4);
	EXPECT(first("A.Bb..C..D", 0, 10, 3, 1) == NONE);
	EXPECT(first("A.Bb..C..D", 0, 13, 3, 1) == 10);
	EXPECT(first("..A.......", 0, 10, 2, 1) == 0);
}

static void the_last_gap_is_the_highest_that_is_large_enough(void)
{
	/*   pages 0123456789 */
	EXPECT(last("A.Bb..C..D", 0, 10, 1, 1) == 8);
	EXPECT(last("A.Bb..C..D", 0, 10, 2, 1) == 7);
	EXPECT(last("A.Bb..C.D.", 0, 10, 2, 1) == 4);
	EXPECT(last("A.Bb..C..D", 0, 10, 3, 1) == NONE);
	EXPECT(last("A.Bb..C..D", 0, 13, 3, 1) == 10);
	EXPECT(last("...A.B....", 0, 6, 3, 1) == 0);
}

static void bounds_cut_gaps(void)
{
	/*    pages 0123456789 */
	EXPECT(first("A....B....", 2, 10, 3, 1) == 2);
	EXPECT(first("A....B....", 3, 10, 3, 1) == 6);
	EXPECT(first("A....B....", 3, 8, 3, 1) == NONE);
	EXPECT(first("A....B....", 0, 3, 2, 1) == 1);
	EXPECT(last("A....B....", 0, 8, 3, 1) == 2);
	EXPECT(last("A....B....", 2, 8, 3, 1) == 2);
	EXPECT(last("A....B....", 3, 8, 3, 1) == NONE);
	EXPECT(last("A....B....", 0, 4, 2, 1) == 2);
}

static void an_aligned_gap_may_lie_further_on(void)
{
	/*    pages 0123456789012345 */
	EXPECT(first("A..B..C....D....", 0, 16, 2, 4) == 4);
	EXPECT(first("A..B..C....D....", 0, 16, 3, 4) == 8);
	EXPECT(last("A..B..C....D....", 0, 16, 2, 8) == 8);
	EXPECT(last("A..B..C....D....", 0, 12, 2, 4) == 8);
	EXPECT(first("A..B..C.D.", 0, 10, 2, 8) == NONE);
}

static void an_empty_set_is_one_gap(void)
{
	EXPECT(first("", 3, 9, 6, 1) == 3);
	EXPECT(first("", 3, 9, 7, 1) == NONE);
	EXPECT(last("", 3, 9, 2, 1) == 7);
	EXPECT(last("", 3, 9, 2, 4) == 4);
	EXPECT(first("", 5, 5, 1, 1) == NONE);
	EXPECT(last("", 5, 5, 1, 1) == NONE);
}

static void lengths_near_the_top_do_not_wrap(void)
{
	struct letters set;
	struct msn_seg_range all = { 0, UINT64_MAX };
	uint64_t at;

	letters_draw(&set, ".A");
	EXPECT(!msn_segset_first_gap(&set.core, all, UINT64_MAX, 1, &at));
	EXPECT(!msn_segset_last_gap(&set.core, all, UINT64_MAX, 1, &at));
	EXPECT(!msn_segset_first_gap(&set.core, all, UINT64_MAX - 0x3000,
				     UINT64_C(1) << 63, &at));
	CHECK(msn_segset_first_gap(&set.core, all, UINT64_MAX - 0x3000, 1,
				   &at));
	EXPECT(at == 2 * MSN_PAGE_SIZE);
	CHECK(msn_segset_last_gap(&set.core, all, 0x1000, 1, &at));
	EXPECT(at == UINT64_MAX - 0x1000);
	letters_deinit(&set);
}

/* One gap of 3 pages among thousands of 1 page, wherever it is. */
static void one_large_gap_among_many_is_found_anywhere(void)
{
	enum { COUNT = 3000 };
	static const struct letter a = { 'a' };

	for (uint64_t hole = 1; hole < COUNT; hole += 271) {
		struct msn_seg_range all = RAW(0, 2 * COUNT);
		struct letters set;
		uint64_t low = 0, high = 0;

		letters_init(&set, &letters_ops);
		for (uint64_t i = 0; i < COUNT; i++)
			if (i != hole)
				CHECK(letters_insert(&set,
						     PAGES(2 * i, 2 * i + 1),
						     &a, NULL) == 0);
		CHECK(msn_segset_first_gap(&set.core, all, 3 * MSN_PAGE_SIZE, 1,
					   &low));
		CHECK(msn_segset_last_gap(&set.core, all, 3 * MSN_PAGE_SIZE, 1,
					  &high));
		EXPECT(low == high && low == (2 * hole - 1) * MSN_PAGE_SIZE);
		letters_deinit(&set);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_first_gap_is_the_lowest_that_is_large_enough),
		CHECK_TEST(the_last_gap_is_the_highest_that_is_large_enough),
		CHECK_TEST(bounds_cut_gaps),
		CHECK_TEST(an_aligned_gap_may_lie_further_on),
		CHECK_TEST(an_empty_set_is_one_gap),
		CHECK_TEST(lengths_near_the_top_do_not_wrap),
		CHECK_TEST(one_large_gap_among_many_is_found_anywhere),
		{}
	};

	return check_main(argc, argv, "segset gaps", tests);
}
