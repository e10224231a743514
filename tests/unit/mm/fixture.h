/*
 * A space over one platform, for the tests of mm.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * FOR_BOTH() runs its body over a fresh space without page tables and over one
 * in this process; the checkers run when each is done.
 */
#ifndef MSN_TESTS_MM_FIXTURE_H
#define MSN_TESTS_MM_FIXTURE_H

#include "mm/mm.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x140000000000)
#define REGION_PAGES 4096
#define AT(page) (BASE + (page)*PAGE)
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)

#define plain ((struct msn_mm_io){ 0 })
#define forced ((struct msn_mm_io){ .ignore_permissions = true })

/* A space over one platform, and what it stands on. */
struct fixture {
	struct msn_memfile *mf;
	struct msn_mm *mm;
};

static inline struct msn_address_space *make_platform(bool local)
{
	struct msn_addr_range region = { AT(0), AT(REGION_PAGES) };
	struct msn_address_space *as;

	if (local)
		CHECK(msn_platform_local_new(&as, region) == 0);
	else
		CHECK(msn_platform_none_new(&as) == 0);
	return as;
}

static inline struct fixture setup(bool local)
{
	struct fixture f;
	struct msn_layout layout = { .min_addr = AT(0),
				     .max_addr = AT(REGION_PAGES),
				     .top_down_base = AT(REGION_PAGES) };

	CHECK(msn_memfile_new(&f.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_mm_new(&f.mm,
			 &(struct msn_mm_opts){ .memfile = f.mf,
						.as = make_platform(local),
						.layout = layout }) == 0);
	return f;
}

static inline void teardown(struct fixture *f)
{
	EXPECT(msn_mm_check(f->mm) == NULL);
	msn_mm_free(f->mm);
	EXPECT(msn_memfile_check(f->mf) == NULL);
	EXPECT(msn_memfile_used(f->mf) == 0);
	msn_memfile_free(f->mf);
}

#define FOR_BOTH(f, local)                                                     \
	for (int local = 0; local < 2; local++)                                \
		for (struct fixture f = setup(local), *once = &f; once;        \
		     teardown(&f), once = NULL)

static inline struct msn_mmap_opts anon(uint64_t page, uint64_t pages)
{
	return (struct msn_mmap_opts){ .length = pages * PAGE,
				       .addr = AT(page),
				       .fixed = true,
				       .unmap = true,
				       .perms = RW,
				       .max_perms = MSN_ACCESS_ANY,
				       .private = true };
}

static inline void map(struct msn_mm *mm, struct msn_mmap_opts o)
{
	uint64_t addr;

	CHECK(msn_mm_mmap(mm, &o, &addr) == 0);
}

static inline void put(struct msn_mm *mm, uint64_t addr, char c)
{
	size_t done;

	CHECK(msn_mm_copy_out(mm, addr, &c, 1, plain, &done) == 0);
}

static inline int get(struct msn_mm *mm, uint64_t addr)
{
	unsigned char c;
	size_t done;
	int rc = msn_mm_copy_in(mm, addr, &c, 1, plain, &done);

	return rc ? rc : c;
}

#endif /* MSN_TESTS_MM_FIXTURE_H */
