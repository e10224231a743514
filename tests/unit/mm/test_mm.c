/*
 * mm: the rules of mmap, munmap and mprotect, and of faults, over both
 * platforms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "mm/mm_calls.h"
#include "unit/mm/fixture.h"

#include <errno.h>
#include <sys/mman.h>

/* ---- mmap, munmap, mprotect ---------------------------------------------- */

static void fresh_memory_reads_as_zero_and_keeps_what_is_written(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(10, 4));
		EXPECT(get(f.mm, AT(11)) == 0);
		put(f.mm, AT(12) + 5, 'x');
		EXPECT(get(f.mm, AT(12) + 5) == 'x');
		EXPECT(get(f.mm, AT(12) + 6) == 0);
	}
}

static void reading_untouched_memory_allocates_nothing(void)
{
	struct fixture f = setup(false);
	char buf[64];
	size_t done;

	map(f.mm, anon(0, 1000));
	CHECK(msn_mm_copy_in(f.mm, AT(500), buf, sizeof(buf), plain, &done) ==
	      0);
	EXPECT(msn_memfile_used(f.mf) == 0);
	EXPECT(msn_mm_placed_bytes(f.mm) == 0);
	put(f.mm, AT(500), 'x');
	EXPECT(msn_memfile_used(f.mf) == PAGE);
	teardown(&f);
}

static void bad_requests_get_the_errno_of_linux(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(1, 0);
		uint64_t addr = 77;

		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EINVAL);
		o.length = UINT64_MAX - 5;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -ENOMEM);
		o = anon(1, 1);
		o.addr += 1;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EINVAL);
		o = anon(1, 1);
		o.max_perms = MSN_ACCESS_READ;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EACCES);
		o = anon(1, 1);
		o.fixed = false;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EINVAL);
		o = anon(REGION_PAGES - 1, 2);
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -ENOMEM);
		EXPECT(addr == 77); /* untouched by failures */
		EXPECT(msn_mm_munmap(f.mm, AT(0) + 1, PAGE) == -EINVAL);
		EXPECT(msn_mm_munmap(f.mm, AT(0), 0) == -EINVAL);
		EXPECT(msn_mm_munmap(f.mm, AT(0), UINT64_MAX) == -EINVAL);
		EXPECT(msn_mm_mprotect(f.mm, AT(0) + 1, PAGE, RW) == -EINVAL);
		EXPECT(msn_mm_mprotect(f.mm, AT(0), 0, RW) == 0);
		EXPECT(msn_mm_mprotect(f.mm, AT(0), PAGE, RW) == -ENOMEM);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 0);
	}
}

static void noreplace_refuses_a_taken_place_and_fixed_replaces_it(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 4);
		uint64_t addr;

		map(f.mm, o);
		put(f.mm, AT(11), 'x');
		o = anon(11, 1);
		o.unmap = false;
		o.no_replace = true;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EEXIST);
		EXPECT(get(f.mm, AT(11)) == 'x');
		map(f.mm, anon(11, 1));
		EXPECT(get(f.mm, AT(11)) == 0);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 4 * PAGE);
	}
}

static void without_a_place_the_highest_gap_is_taken(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(0, 3);
		uint64_t addr;

		o.fixed = o.unmap = false;
		o.addr = 0;
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(REGION_PAGES - 3));
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(REGION_PAGES - 6));
		o.addr = AT(100) + 12; /* a free hint is taken, rounded down */
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(100));
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(REGION_PAGES - 9));
	}
}

static void nothing_is_placed_into_the_guard_gap_of_a_stack(void)
{
	/*
	 * pages  0 .. 3740 ........ 3996 .... 4096
	 *              |-- 256 guard --| stack  |
	 *         new =|
	 */
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(3996, 100);
		uint64_t addr;

		o.grows_down = true;
		map(f.mm, o);
		o = anon(0, 1);
		o.fixed = o.unmap = false;
		o.addr = 0;
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(3996 - 256 - 1));
	}
}

static void populating_puts_every_page_in_place(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 40);

		o.platform_effect = MSN_PLATFORM_EFFECT_COMMIT;
		map(f.mm, o);
		EXPECT(msn_mm_placed_bytes(f.mm) == 40 * PAGE);
		EXPECT(msn_memfile_used(f.mf) == 40 * PAGE);
		EXPECT(get(f.mm, AT(49)) == 0);
		o = anon(100, 4);
		o.mlock_mode = MSN_MLOCK_EAGER;
		map(f.mm, o);
		EXPECT(msn_mm_placed_bytes(f.mm) == 44 * PAGE);
	}
}

static void unmapping_the_middle_leaves_both_ends(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(10, 6));
		for (uint64_t i = 10; i < 16; i++)
			put(f.mm, AT(i), (char)('a' + i));
		EXPECT(msn_mm_munmap(f.mm, AT(12), 2 * PAGE) == 0);
		EXPECT(get(f.mm, AT(11)) == 'a' + 11);
		EXPECT(get(f.mm, AT(12)) == -EFAULT);
		EXPECT(get(f.mm, AT(14)) == 'a' + 14);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 4 * PAGE);
		EXPECT(msn_mm_munmap(f.mm, AT(0), REGION_PAGES * PAGE) == 0);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 0);
	}
}

static void copies_stop_at_a_hole_and_count_what_came_before(void)
{
	FOR_BOTH(f, local)
	{
		char buf[4 * MSN_PAGE_SIZE];
		size_t done;

		memset(buf, 'z', sizeof(buf));
		map(f.mm, anon(10, 2));
		EXPECT(msn_mm_copy_out(f.mm, AT(10) + 100, buf, sizeof(buf),
				       plain, &done) == -EFAULT);
		EXPECT(done == 2 * PAGE - 100);
		EXPECT(get(f.mm, AT(12) - 1) == 'z');
		EXPECT(msn_mm_copy_in(f.mm, AT(11), buf, sizeof(buf), plain,
				      &done) == -EFAULT);
		EXPECT(done == PAGE);
		EXPECT(msn_mm_zero_out(f.mm, AT(10) + 100, 100, plain, &done) ==
		       0);
		EXPECT(get(f.mm, AT(10) + 150) == 0);
	}
}

static void rights_are_enforced_unless_a_debugger_asks(void)
{
	FOR_BOTH(f, local)
	{
		size_t done;
		char c = 'q';

		map(f.mm, anon(10, 1));
		put(f.mm, AT(10), 'x');
		CHECK(msn_mm_mprotect(f.mm, AT(10), PAGE, MSN_ACCESS_READ) ==
		      0);
		EXPECT(msn_mm_copy_out(f.mm, AT(10), &c, 1, plain, &done) ==
		       -EFAULT);
		EXPECT(msn_mm_copy_out(f.mm, AT(10), &c, 1, forced, &done) ==
		       0);
		CHECK(msn_mm_mprotect(f.mm, AT(10), PAGE, MSN_ACCESS_NONE) ==
		      0);
		EXPECT(get(f.mm, AT(10)) == -EFAULT);
		EXPECT(msn_mm_copy_in(f.mm, AT(10), &c, 1, forced, &done) == 0);
		EXPECT(c == 'q');
		CHECK(msn_mm_mprotect(f.mm, AT(10), PAGE, RW) == 0);
		EXPECT(get(f.mm, AT(10)) == 'q');
	}
}

static void protecting_over_a_hole_changes_what_came_before(void)
{
	FOR_BOTH(f, local)
	{
		size_t done;
		char c = 'x';

		map(f.mm, anon(10, 2));
		map(f.mm, anon(13, 1));
		EXPECT(msn_mm_mprotect(f.mm, AT(10), 4 * PAGE,
				       MSN_ACCESS_READ) == -ENOMEM);
		EXPECT(msn_mm_copy_out(f.mm, AT(11), &c, 1, plain, &done) ==
		       -EFAULT);
		EXPECT(msn_mm_copy_out(f.mm, AT(13), &c, 1, plain, &done) == 0);
	}
}

static void rights_beyond_the_maximum_are_refused(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 1);

		o.perms = MSN_ACCESS_READ;
		o.max_perms = MSN_ACCESS_READ;
		map(f.mm, o);
		EXPECT(msn_mm_mprotect(f.mm, AT(10), PAGE, RW) == -EACCES);
	}
}

static void growsdown_protects_down_to_the_stacks_start(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(500, 4);
		size_t done;
		char c = 'x';

		EXPECT(msn_mm_mprotect(f.mm, AT(503), PAGE,
				       MSN_ACCESS_READ | PROT_GROWSDOWN) ==
		       -ENOMEM);
		o.grows_down = true;
		map(f.mm, o);
		EXPECT(msn_mm_mprotect(f.mm, AT(503), PAGE,
				       MSN_ACCESS_READ | PROT_GROWSDOWN) == 0);
		EXPECT(msn_mm_copy_out(f.mm, AT(500), &c, 1, plain, &done) ==
		       -EFAULT);
		map(f.mm, anon(10, 1));
		EXPECT(msn_mm_mprotect(f.mm, AT(10), PAGE,
				       MSN_ACCESS_READ | PROT_GROWSDOWN) ==
		       -EINVAL);
	}
}

static void equal_neighbours_become_one_mapping(void)
{
	FOR_BOTH(f, local)
	{
		msn_auto(msn_freep) char *maps = NULL;
		char *end;

		map(f.mm, anon(10, 2));
		map(f.mm, anon(12, 2));
		CHECK(msn_mm_mprotect(f.mm, AT(11), PAGE, MSN_ACCESS_READ) ==
		      0);
		CHECK(msn_mm_mprotect(f.mm, AT(11), PAGE, RW) == 0);
		CHECK(msn_mm_maps(f.mm, &maps) == 0);
		end = strchr(maps, '\n');
		EXPECT(end && end[1] == '\0'); /* one line */
		EXPECT(strncmp(maps,
			       "14000000a000-14000000e000 rw-p 00000000 "
			       "00:00 0 \n",
			       49) == 0);
	}
}

static void no_space_may_have_more_mappings_than_objects_are_ready_for(void)
{
	struct fixture f = setup(false);
	struct msn_mm_limits limits = msn_mm_no_limits(), got;
	struct msn_mm *mm;

	limits.mappings = MSN_UNLIMITED;
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = f.mf,
						     .as = make_platform(false),
						     .limits = &limits }) == 0);
	msn_mm_get_limits(mm, &got);
	EXPECT(got.mappings == MSN_MAPPING_COUNT_MAX);
	msn_mm_set_limits(mm, &limits);
	msn_mm_get_limits(mm, &got);
	EXPECT(got.mappings == MSN_MAPPING_COUNT_MAX);
	msn_mm_free(mm);
	teardown(&f);
}

/* ---- Faults -------------------------------------------------------------- */

static void a_fault_says_which_signal_it_would_be(void)
{
	struct fixture f = setup(false);

	map(f.mm, anon(10, 1));
	EXPECT(msn_mm_handle_fault(f.mm, AT(9), MSN_ACCESS_READ) ==
	       MSN_MM_E_MAPERR);
	EXPECT(msn_mm_handle_fault(f.mm, AT(10), MSN_ACCESS_EXEC) ==
	       MSN_MM_E_ACCERR);
	EXPECT(msn_mm_handle_fault(f.mm, AT(10) + 7, MSN_ACCESS_WRITE) == 0);
	EXPECT(msn_mm_placed_bytes(f.mm) == PAGE);
	teardown(&f);
}

static void a_compare_and_swap_is_atomic_and_checked(void)
{
	FOR_BOTH(f, local)
	{
		uint32_t seen = 1;

		map(f.mm, anon(10, 1));
		EXPECT(msn_mm_cas32(f.mm, AT(10) + 4, 0, 5, &seen) == 0);
		EXPECT(seen == 0);
		EXPECT(msn_mm_cas32(f.mm, AT(10) + 4, 0, 6, &seen) == 0);
		EXPECT(seen == 5);
		EXPECT(get(f.mm, AT(10) + 4) == 5);
		EXPECT(msn_mm_cas32(f.mm, AT(10) + 2, 0, 5, &seen) == -EFAULT);
		EXPECT(msn_mm_cas32(f.mm, AT(20), 0, 5, &seen) == -EFAULT);
	}
}

static int count_run(void *ctx, const struct msn_private_run *r)
{
	(void)r;
	++*(unsigned *)ctx;
	return 0;
}

static unsigned run_count(struct msn_mm *mm)
{
	struct msn_addr_range all = { AT(0), AT(REGION_PAGES) };
	unsigned count = 0;

	CHECK(msn_mm_for_each_private_run(mm, all, count_run, &count) == 0);
	return count;
}

/* Page tables get all pages of a mapping at once. */
static void pages_side_by_side_are_one_run_however_they_came(void)
{
	struct fixture f = setup(false);

	map(f.mm, anon(10, 40));
	put(f.mm, AT(20), 'x');
	/* The first ones below are elsewhere: the file begins there. */
	for (uint64_t page = 19; page >= 10; page--)
		put(f.mm, AT(page), 'x');
	EXPECT(run_count(f.mm) <= 3);
	for (uint64_t page = 21; page < 40; page++)
		put(f.mm, AT(page), 'x');
	EXPECT(run_count(f.mm) <= 4);
	teardown(&f);
}

/* @page is between others, or the last of them. */
static void give_up_and_take(uint64_t page)
{
	struct fixture f = setup(false);

	map(f.mm, anon(10, 20));
	for (uint64_t i = 10; i < 20; i++)
		put(f.mm, AT(i), 'x');
	EXPECT(run_count(f.mm) == 1);
	/* The lower one is what somebody without a wish would get. */
	CHECK(msn_mm_madvise(f.mm, AT(12), PAGE, MADV_DONTNEED) == 0);
	CHECK(msn_mm_madvise(f.mm, AT(page), PAGE, MADV_DONTNEED) == 0);
	put(f.mm, AT(page), 'y');
	EXPECT(run_count(f.mm) == 2);
	put(f.mm, AT(12), 'y');
	EXPECT(run_count(f.mm) == 1);
	EXPECT(get(f.mm, AT(12)) == 'y' && get(f.mm, AT(12) + 1) == 0);
	EXPECT(get(f.mm, AT(page)) == 'y' && get(f.mm, AT(page) + 1) == 0);
	teardown(&f);
}

static void a_page_that_was_given_up_comes_back_where_it_was(void)
{
	give_up_and_take(16);
	give_up_and_take(19);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(
			fresh_memory_reads_as_zero_and_keeps_what_is_written),
		CHECK_TEST(reading_untouched_memory_allocates_nothing),
		CHECK_TEST(bad_requests_get_the_errno_of_linux),
		CHECK_TEST(
			noreplace_refuses_a_taken_place_and_fixed_replaces_it),
		CHECK_TEST(without_a_place_the_highest_gap_is_taken),
		CHECK_TEST(nothing_is_placed_into_the_guard_gap_of_a_stack),
		CHECK_TEST(populating_puts_every_page_in_place),
		CHECK_TEST(unmapping_the_middle_leaves_both_ends),
		CHECK_TEST(copies_stop_at_a_hole_and_count_what_came_before),
		CHECK_TEST(rights_are_enforced_unless_a_debugger_asks),
		CHECK_TEST(protecting_over_a_hole_changes_what_came_before),
		CHECK_TEST(rights_beyond_the_maximum_are_refused),
		CHECK_TEST(growsdown_protects_down_to_the_stacks_start),
		CHECK_TEST(equal_neighbours_become_one_mapping),
		CHECK_TEST(
			no_space_may_have_more_mappings_than_objects_are_ready_for),
		CHECK_TEST(a_fault_says_which_signal_it_would_be),
		CHECK_TEST(a_compare_and_swap_is_atomic_and_checked),
		CHECK_TEST(pages_side_by_side_are_one_run_however_they_came),
		CHECK_TEST(a_page_that_was_given_up_comes_back_where_it_was),
		{}
	};

	return check_main(argc, argv, "mm", tests);
}
