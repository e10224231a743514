/*
 * Memory file: huge pages, wanted and refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "memfile/memfile_internal.h"

#define HUGE (UINT64_C(2) << 20)

static void what_a_host_gives_is_read_from_its_settings(void)
{
	static const char none[] = "";
	static const char inherit[] = "always [inherit] within_size advise "
				      "never\n";

	EXPECT(msn_huge_is_given("always within_size [advise] never deny "
				 "force\n",
				 none));
	EXPECT(msn_huge_is_given("[always] within_size advise never\n",
				 inherit));
	EXPECT(msn_huge_is_given("always [within_size] advise never\n",
				 inherit));
	EXPECT(!msn_huge_is_given("always within_size advise [never]\n",
				  inherit));
	EXPECT(!msn_huge_is_given(none, none));
	/* The setting for the size stands above, but for testing. */
	EXPECT(msn_huge_is_given("always advise [never] deny force\n",
				 "always inherit within_size [advise] never"));
	EXPECT(!msn_huge_is_given("[always] advise never deny force\n",
				  "always inherit within_size advise [never]"));
	EXPECT(msn_huge_is_given("always advise never deny [force]\n",
				 "always inherit within_size advise [never]"));
	EXPECT(!msn_huge_is_given("always advise never [deny] force\n",
				  "[always] inherit within_size advise never"));
}

static struct msn_file_range take_huge(struct msn_memfile *mf, uint64_t length)
{
	return take_with(mf, (struct msn_memfile_alloc){ .length = length,
							 .huge = true });
}

static void huge_ranges_stand_apart_and_aligned(void)
{
	struct msn_memfile *mf = make_with(
		(struct msn_memfile_opts){ .huge = MSN_MEMFILE_HUGE_ADVISE });
	struct msn_file_range small = take(mf, 1, MSN_BOTTOM_UP);
	struct msn_file_range odd = take_huge(mf, 3 * PAGE);
	struct msn_file_range a = take_huge(mf, HUGE);
	struct msn_file_range b = take_huge(mf, 3 * HUGE);

	EXPECT(a.start % HUGE == 0 && b.start % HUGE == 0);
	EXPECT(small.start / MSN_WINDOW_BYTES != a.start / MSN_WINDOW_BYTES);
	EXPECT(odd.start / MSN_WINDOW_BYTES == a.start / MSN_WINDOW_BYTES);
	touch(mf, a, 5, 'h');
	EXPECT(peek(mf, a, 5) == 'h');
	drop(mf, small);
	drop(mf, odd);
	drop(mf, a);
	drop(mf, b);
	done_with(mf);
}

static void half_of_a_huge_range_can_go(void)
{
	struct msn_memfile *mf = make_with(
		(struct msn_memfile_opts){ .huge = MSN_MEMFILE_HUGE_ADVISE });
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take_huge(mf, 2 * HUGE), run;

	for (uint64_t i = 0; i < 1024; i++)
		touch(mf, r, i, 'x');
	msn_file_inc_ref(file, part(r, 100, 200), 0);
	drop(mf, part(r, 0, 600));
	EXPECT(msn_memfile_used(mf) == (1024 - 500) * PAGE);
	EXPECT(msn_file_sharers(file, part(r, 100, 1024), &run) == 1);
	EXPECT(run.end == r.start + 200 * PAGE);
	msn_memfile_drain(mf);
	EXPECT(peek(mf, r, 150) == 'x' && peek(mf, r, 600) == 'x');
	EXPECT(peek(mf, r, 1023) == 'x');
	drop(mf, part(r, 100, 200));
	drop(mf, part(r, 600, 1024));
	msn_memfile_drain(mf);
	EXPECT(host_bytes(mf) == 0);
	done_with(mf);
}

static void a_file_says_what_became_of_its_wish(void)
{
	struct msn_memfile *plain = make();
	struct msn_memfile *advised = make_with(
		(struct msn_memfile_opts){ .huge = MSN_MEMFILE_HUGE_ADVISE });
	struct msn_file_range r = take_huge(plain, HUGE);

	EXPECT(r.start == 0); /* as any other */
	EXPECT(msn_memfile_huge_state(plain) == MSN_MEMFILE_HUGE_NOT_WANTED);
	EXPECT(msn_memfile_huge_state(advised) != MSN_MEMFILE_HUGE_NOT_WANTED);
	drop(plain, r);
	done_with(plain);

	/* One touched byte of a huge page brings in all of it, or a page. */
	r = take_huge(advised, HUGE);
	touch(advised, r, 0, 'h');
	if (msn_memfile_huge_state(advised) == MSN_MEMFILE_HUGE_REFUSED)
		EXPECT(host_bytes(advised) == PAGE);
	drop(advised, r);
	done_with(advised);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(what_a_host_gives_is_read_from_its_settings),
		CHECK_TEST(huge_ranges_stand_apart_and_aligned),
		CHECK_TEST(half_of_a_huge_range_can_go),
		CHECK_TEST(a_file_says_what_became_of_its_wish),
		{}
	};

	return check_main(argc, argv, "memory file: huge pages", tests);
}
