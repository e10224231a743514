/*
 * Process pages: what counts as a private copy, asked both ways.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fd.h"
#include "procfile/proc_pages.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)MSN_PAGE_SIZE)
#define RUNS_MAX 4096

/* Runs as page numbers from the start of the range that was asked for. */
struct seen {
	uint64_t base;
	size_t count;
	struct msn_addr_range run[RUNS_MAX];
	int result; /* what the callback says */
};

static int see(void *ctx, struct msn_addr_range run)
{
	struct seen *s = ctx;

	CHECK(s->count < RUNS_MAX);
	s->run[s->count++] =
		(struct msn_addr_range){ (run.start - s->base) / PAGE,
					 (run.end - s->base) / PAGE };
	return s->result;
}

static int look(struct seen *s, const void *at, size_t pages,
		enum msn_proc_pages_method how)
{
	msn_auto(msn_closep) int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t start = (uint64_t)(uintptr_t)at;

	CHECK(fd >= 0);
	s->base = start;
	s->count = 0;
	return msn_proc_pages_private(
		fd, (struct msn_addr_range){ start, start + pages * PAGE }, how,
		see, s);
}

static bool is(const struct seen *s, size_t i, uint64_t start, uint64_t end)
{
	return i < s->count && s->run[i].start == start && s->run[i].end == end;
}

static char *map(size_t pages, int flags, int fd)
{
	char *at =
		mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	CHECK(at != MAP_FAILED);
	madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
	return at;
}

static bool have_scan(void)
{
	static struct seen s;
	char *at = map(1, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int rc = look(&s, at, 1, MSN_PROC_PAGES_SCAN);

	munmap(at, PAGE);
	return rc != -ENOTTY;
}

/* Runs @check for each way that this kernel has. */
#define FOR_EACH_METHOD(how)                                                   \
	for (enum msn_proc_pages_method how =                                  \
		     have_scan() ? MSN_PROC_PAGES_SCAN                         \
				 : MSN_PROC_PAGES_ENTRIES;                     \
	     how <= MSN_PROC_PAGES_ENTRIES; how++)

static void written_anonymous_pages_are_private(void)
{
	/*
	 * pages     0 1 2 3 4 5 6 7
	 * written     = =     =   =
	 */
	char *at = map(8, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	static struct seen s;

	at[1 * PAGE] = at[2 * PAGE] = at[5 * PAGE] = at[7 * PAGE] = 1;
	FOR_EACH_METHOD(how)
	{
		CHECK(look(&s, at, 8, how) == 0);
		EXPECT(s.count == 3 && is(&s, 0, 1, 3) && is(&s, 1, 5, 6) &&
		       is(&s, 2, 7, 8));
		CHECK(look(&s, at + 2 * PAGE, 4, how) == 0);
		EXPECT(s.count == 2 && is(&s, 0, 0, 1) && is(&s, 1, 3, 4));
		CHECK(look(&s, at, 0, how) == 0);
		EXPECT(s.count == 0);
	}
	munmap(at, 8 * PAGE);
}

static void pages_of_a_file_are_not_private_until_written(void)
{
	/*
	 * pages       0 1 2 3
	 * read        = = = =
	 * written         =
	 */
	msn_auto(msn_closep) int fd = memfd_create("f", MFD_CLOEXEC);
	static struct seen s;
	char *at;

	CHECK(ftruncate(fd, 4 * (off_t)PAGE) == 0);
	at = map(4, MAP_PRIVATE, fd);
	for (volatile char *p = at; p < at + 4 * PAGE; p += PAGE)
		(void)*p;
	at[2 * PAGE] = 1;
	FOR_EACH_METHOD(how)
	{
		CHECK(look(&s, at, 4, how) == 0);
		EXPECT(s.count == 1 && is(&s, 0, 2, 3));
	}
	munmap(at, 4 * PAGE);
}

static void shared_pages_are_not_private(void)
{
	static struct seen s;
	char *at = map(2, MAP_SHARED | MAP_ANONYMOUS, -1);

	at[0] = at[PAGE] = 1;
	FOR_EACH_METHOD(how)
	{
		CHECK(look(&s, at, 2, how) == 0);
		EXPECT(s.count == 0);
	}
	munmap(at, 2 * PAGE);
}

static void memory_without_rights_keeps_its_pages(void)
{
	static struct seen s;
	char *at = map(2, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	at[PAGE] = 1;
	CHECK(mprotect(at, 2 * PAGE, PROT_NONE) == 0);
	FOR_EACH_METHOD(how)
	{
		CHECK(look(&s, at, 2, how) == 0);
		EXPECT(s.count == 1 && is(&s, 0, 1, 2));
	}
	munmap(at, 2 * PAGE);
}

static void the_zero_page_is_not_private(void)
{
	static struct seen s;
	char *at = map(2, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	(void)*(volatile char *)at;
	if (have_scan()) {
		CHECK(look(&s, at, 2, MSN_PROC_PAGES_SCAN) == 0);
		EXPECT(s.count == 0);
	}
	munmap(at, 2 * PAGE);
}

static void more_runs_than_one_call_takes_are_all_found(void)
{
	/* every other page, around the 512 regions of one scan */
	static const size_t counts[] = { 511, 512, 513, 1024, 1500, 2049 };
	static struct seen s;

	for (size_t c = 0; c < MSN_ARRAY_LEN(counts); c++) {
		size_t n = counts[c];
		char *at = map(2 * n, MAP_PRIVATE | MAP_ANONYMOUS, -1);

		for (size_t i = 0; i < n; i++)
			at[2 * i * PAGE] = 1;
		FOR_EACH_METHOD(how)
		{
			CHECK(look(&s, at, 2 * n, how) == 0);
			EXPECT(s.count == n);
			for (size_t i = 0; i < s.count; i++)
				EXPECT(is(&s, i, 2 * i, 2 * i + 1));
		}
		munmap(at, 2 * n * PAGE);
	}
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static void guard_pages_are_not_private(void)
{
	/*
	 * pages    0 1 2
	 * written  =   =
	 * guard      !
	 */
	static struct seen s;
	char *at = map(3, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	at[0] = at[2 * PAGE] = 1;
	if (madvise(at + PAGE, PAGE, MADV_GUARD_INSTALL) == 0) {
		FOR_EACH_METHOD(how)
		{
			CHECK(look(&s, at, 3, how) == 0);
			EXPECT(s.count == 2 && is(&s, 0, 0, 1) &&
			       is(&s, 1, 2, 3));
		}
	}
	munmap(at, 3 * PAGE);
}

static void pages_are_found_by_what_they_are(void)
{
	/*
	 * pages    0 1 2 3 4
	 * there    w r   w
	 * guard        !
	 */
	msn_auto(msn_closep) int fd = open("/proc/self/pagemap", O_RDONLY);
	char *at = map(5, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct msn_addr_range r = { (uintptr_t)at, (uintptr_t)at + 5 * PAGE };
	static struct seen s;
	bool guard;

	CHECK(fd >= 0);
	s.base = r.start;
	at[0] = at[3 * PAGE] = 1;
	(void)*(volatile char *)(at + PAGE);
	guard = madvise(at + 2 * PAGE, PAGE, MADV_GUARD_INSTALL) == 0;
	if (have_scan()) {
		s.count = 0;
		CHECK(msn_proc_pages_scan(fd, r, MSN_PROC_PAGE_PRESENT, see,
					  &s) == 0);
		EXPECT(s.count == 2 && is(&s, 0, 0, 2) && is(&s, 1, 3, 4));
		s.count = 0;
		CHECK(msn_proc_pages_scan(fd, r,
					  MSN_PROC_PAGE_PRESENT |
						  MSN_PROC_PAGE_GUARD,
					  see, &s) == 0);
		EXPECT(guard ? s.count == 1 && is(&s, 0, 0, 4) : s.count == 2);
		s.count = 0;
		CHECK(msn_proc_pages_scan(fd, r, MSN_PROC_PAGE_GUARD, see,
					  &s) == 0);
		EXPECT(guard ? s.count == 1 && is(&s, 0, 2, 3) : s.count == 0);
	}
	munmap(at, 5 * PAGE);
}

static void the_callback_ends_the_walk(void)
{
	static struct seen s;
	char *at = map(4, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	at[0] = at[2 * PAGE] = 1;
	FOR_EACH_METHOD(how)
	{
		s.result = 42;
		EXPECT(look(&s, at, 4, how) == 42);
		EXPECT(s.count == 1);
		s.result = 0;
	}
	munmap(at, 4 * PAGE);
}

static void a_file_that_is_no_pagemap_is_an_error(void)
{
	msn_auto(msn_closep) int fd = open("/dev/null", O_RDONLY);
	static struct seen s;
	struct msn_addr_range r = { 0, MSN_PAGE_SIZE };

	CHECK(fd >= 0);
	EXPECT(msn_proc_pages_private(fd, r, MSN_PROC_PAGES_SCAN, see, &s) ==
	       -ENOTTY);
	EXPECT(msn_proc_pages_private(fd, r, MSN_PROC_PAGES_BEST, see, &s) ==
	       -ESRCH);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(written_anonymous_pages_are_private),
		CHECK_TEST(pages_of_a_file_are_not_private_until_written),
		CHECK_TEST(shared_pages_are_not_private),
		CHECK_TEST(memory_without_rights_keeps_its_pages),
		CHECK_TEST(the_zero_page_is_not_private),
		CHECK_TEST(more_runs_than_one_call_takes_are_all_found),
		CHECK_TEST(guard_pages_are_not_private),
		CHECK_TEST(pages_are_found_by_what_they_are),
		CHECK_TEST(the_callback_ends_the_walk),
		CHECK_TEST(a_file_that_is_no_pagemap_is_an_error),
		{}
	};

	return check_main(argc, argv, "proc_pages", tests);
}
