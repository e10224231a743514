/*
 * A space that changes while it is saved, which it must not: one clear error.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fakes/store_fixture.h"
#include "save/save_internal.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x130000000000)

/* A save of a space with three mappings, as far as they are described. */
struct scene {
	char *path;
	struct msn_store *store;
	struct msn_memfile *mf;
	struct msn_mm *mm;
	struct msn_save_opts opts;
	struct msn_failure why;
	struct msn_saver *sv;
};

static void map(struct msn_mm *mm, uint64_t page)
{
	struct msn_mmap_opts o = { .length = PAGE,
				   .addr = BASE + page * PAGE,
				   .fixed = true,
				   .perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true };
	uint64_t addr;
	size_t done;

	CHECK(msn_mm_mmap(mm, &o, &addr) == 0);
	CHECK(msn_mm_copy_out(mm, addr, "x", 1, (struct msn_mm_io){ 0 },
			      &done) == 0);
}

static void setup(struct scene *s)
{
	struct msn_address_space *as;

	*s = (struct scene){ .path = store_dir_in_memory() };
	s->store = store_at(s->path);
	CHECK(msn_memfile_new(&s->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&s->mm, &(struct msn_mm_opts){ .memfile = s->mf,
							.as = as }) == 0);
	for (uint64_t page = 0; page < 6; page += 2)
		map(s->mm, page);
	CHECK(msn_saver_new(&s->sv, s->store, &s->opts, NULL, &s->why) == 0);
	s->sv->mm = s->mm;
	CHECK(msn_save_mappings(s->sv) == 0);
}

static void teardown(struct scene *s)
{
	msn_saver_free(s->sv);
	msn_mm_free(s->mm);
	msn_memfile_free(s->mf);
	msn_store_close(s->store);
	store_dir_free(s->path);
}

#define FOR_EACH_CHANGE(s, change)                                             \
	for (int change = 0; change < CHANGES; change++)                       \
		for (struct scene s, *once = (setup(&s), &s); once;            \
		     teardown(&s), once = NULL)

enum { ONE_BEFORE, ONE_BETWEEN, ONE_BEHIND, CHANGES };

static void change_it(struct scene *s, int change)
{
	/* 0 _ 2 _ 4: below the first, in a gap, above the last. */
	static const uint64_t pages[] = { UINT64_C(-2), 1, 9 };

	map(s->mm, pages[change]);
}

static void a_mapping_that_nobody_described_is_told(void)
{
	FOR_EACH_CHANGE(s, change)
	{
		change_it(&s, change);
		EXPECT(msn_save_exact(s.sv) == -ESTALE);
	}
}

static void a_mapping_that_went_is_told(void)
{
	for (uint64_t page = 0; page < 6; page += 2) {
		struct scene s;

		setup(&s);
		CHECK(msn_mm_munmap(s.mm, BASE + page * PAGE, PAGE) == 0);
		EXPECT(msn_save_exact(s.sv) == -ESTALE);
		EXPECT(s.why.kind == MSN_FAILURE_ABORTED);
		teardown(&s);
	}
}

static void a_page_that_nobody_described_is_told(void)
{
	FOR_EACH_CHANGE(s, change)
	{
		change_it(&s, change);
		EXPECT(msn_save_private(s.sv) == -ESTALE);
		EXPECT(strstr(s.why.text, "changed while it was saved"));
		EXPECT(s.why.kind == MSN_FAILURE_ABORTED);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_mapping_that_nobody_described_is_told),
		CHECK_TEST(a_mapping_that_went_is_told),
		CHECK_TEST(a_page_that_nobody_described_is_told),
		{}
	};

	return check_main(argc, argv, "save: a space that changes", tests);
}
