/*
 * Ranges: page math and what half-open means.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "range/access.h"
#include "range/range.h"
#include "support/check.h"

static struct msn_addr_range range(uint64_t start, uint64_t end)
{
	return (struct msn_addr_range){ start, end };
}

static void rounding_goes_to_page_borders(void)
{
	uint64_t up = 7;

	EXPECT(msn_page_down(0x1fff) == 0x1000);
	EXPECT(msn_page_up(0x1001, &up) && up == 0x2000);
	EXPECT(msn_page_up(0x1000, &up) && up == 0x1000);
	EXPECT(msn_page_up(0, &up) && up == 0);
}

static void rounding_up_past_the_top_is_refused(void)
{
	uint64_t up = 7;

	EXPECT(!msn_page_up(UINT64_MAX, &up) && up == 7);
	EXPECT(msn_page_up(UINT64_MAX - MSN_PAGE_MASK, &up));
	EXPECT(up == UINT64_MAX - MSN_PAGE_MASK);
}

static void the_end_is_not_part_of_a_range(void)
{
	EXPECT(msn_addr_range_contains(range(2, 4), 2));
	EXPECT(!msn_addr_range_contains(range(2, 4), 4));
	EXPECT(!msn_addr_range_overlaps(range(2, 4), range(4, 6)));
	EXPECT(msn_addr_range_overlaps(range(2, 5), range(4, 6)));
	EXPECT(msn_addr_range_length(range(2, 5)) == 3);
	EXPECT(msn_addr_range_empty(range(3, 3)));
}

static void covering_means_every_byte(void)
{
	EXPECT(msn_addr_range_covers(range(0, 4), range(0, 4)));
	EXPECT(!msn_addr_range_covers(range(0, 4), range(3, 5)));
	EXPECT(msn_addr_range_page_aligned(range(0, 0x2000)));
	EXPECT(!msn_addr_range_page_aligned(range(0, 0x2001)));
}

static void ranges_apart_intersect_in_nothing(void)
{
	struct msn_addr_range r =
		msn_addr_range_intersect(range(0, 6), range(4, 9));

	EXPECT(r.start == 4 && r.end == 6);
	r = msn_addr_range_intersect(range(0, 2), range(4, 9));
	EXPECT(msn_addr_range_empty(r) && r.start == r.end);
}

static void writing_and_executing_include_reading(void)
{
	EXPECT(msn_access_effective(MSN_ACCESS_WRITE) ==
	       (MSN_ACCESS_WRITE | MSN_ACCESS_READ));
	EXPECT(msn_access_effective(MSN_ACCESS_EXEC) ==
	       (MSN_ACCESS_EXEC | MSN_ACCESS_READ));
	EXPECT(msn_access_effective(MSN_ACCESS_NONE) == MSN_ACCESS_NONE);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(rounding_goes_to_page_borders),
		CHECK_TEST(rounding_up_past_the_top_is_refused),
		CHECK_TEST(the_end_is_not_part_of_a_range),
		CHECK_TEST(covering_means_every_byte),
		CHECK_TEST(ranges_apart_intersect_in_nothing),
		CHECK_TEST(writing_and_executing_include_reading),
		{}
	};

	return check_main(argc, argv, "range", tests);
}
