/*
 * mm against a model: spaces as plain arrays of pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Random calls go to up to four spaces (forks of each other, over both
 * platforms) and to arrays that hold one byte and the rights of every page.
 * After every call results, bytes and the checkers must agree.
 */
#include "base/rand.h"
#include "memfile/memfile.h"
#include "mm/mm.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x110000000000)
#define PAGES 48
#define SPACES 4
#define STEPS 4000

struct model_page {
	bool mapped;
	unsigned perms;
	unsigned char byte; /* at offset 17; the rest is zero */
};

struct model {
	struct msn_mm *mm; /* NULL: no such space */
	struct model_page pages[PAGES];
};

struct world {
	uint64_t rand;
	struct msn_memfile *mf;
	struct model spaces[SPACES];
};

static uint64_t pick(struct world *w, uint64_t n)
{
	return msn_rand_next(&w->rand) % n;
}

static uint64_t addr_of(uint64_t page)
{
	return BASE + page * PAGE;
}

static unsigned random_perms(struct world *w)
{
	static const unsigned choice[] = { MSN_ACCESS_NONE, MSN_ACCESS_READ,
					   MSN_ACCESS_READ | MSN_ACCESS_WRITE,
					   MSN_ACCESS_READ | MSN_ACCESS_WRITE,
					   MSN_ACCESS_WRITE };

	return choice[pick(w, MSN_ARRAY_LEN(choice))];
}

static struct msn_mm *new_space(struct world *w, bool local)
{
	struct msn_addr_range region = { addr_of(0), addr_of(PAGES) };
	struct msn_address_space *as;
	struct msn_mm *mm;

	if (local)
		CHECK(msn_platform_local_new(&as, region) == 0);
	else
		CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = w->mf,
						     .as = as }) == 0);
	return mm;
}

static void step_map(struct world *w, struct model *s)
{
	uint64_t first = pick(w, PAGES), count = 1 + pick(w, PAGES - first);
	struct msn_mmap_opts o = { .length = count * PAGE,
				   .addr = addr_of(first),
				   .fixed = true,
				   .unmap = true,
				   .perms = random_perms(w),
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true };
	uint64_t addr;

	CHECK(msn_mm_mmap(s->mm, &o, &addr) == 0);
	for (uint64_t i = first; i < first + count; i++)
		s->pages[i] = (struct model_page){ true, o.perms, 0 };
}

static void step_unmap(struct world *w, struct model *s)
{
	uint64_t first = pick(w, PAGES);
	uint64_t count = 1 + pick(w, 1 + (PAGES - first) / 4);

	CHECK(msn_mm_munmap(s->mm, addr_of(first), count * PAGE) == 0);
	for (uint64_t i = first; i < first + count && i < PAGES; i++)
		s->pages[i] = (struct model_page){ 0 };
}

static void step_protect(struct world *w, struct model *s)
{
	uint64_t first = pick(w, PAGES), count = 1 + pick(w, PAGES - first);
	unsigned perms = random_perms(w);
	int want = 0;

	for (uint64_t i = first; i < first + count; i++) {
		if (!s->pages[i].mapped) {
			want = -ENOMEM;
			break;
		}
		s->pages[i].perms = perms;
	}
	CHECK(msn_mm_mprotect(s->mm, addr_of(first), count * PAGE,
			      (int)perms) == want);
}

/* Writes one byte into each page of a run; stops where the model says so. */
static void step_write(struct world *w, struct model *s)
{
	uint64_t first = pick(w, PAGES);
	unsigned char byte = (unsigned char)(1 + pick(w, 255));
	bool forced = pick(w, 4) == 0;
	struct model_page *p = &s->pages[first];
	bool can = p->mapped && (forced || (p->perms & MSN_ACCESS_WRITE));
	size_t done;
	int rc = msn_mm_copy_out(
		s->mm, addr_of(first) + 17, &byte, 1,
		(struct msn_mm_io){ .ignore_permissions = forced }, &done);

	CHECK(rc == (can ? 0 : -EFAULT));
	if (can)
		p->byte = byte;
}

static void step_zero(struct world *w, struct model *s)
{
	uint64_t first = pick(w, PAGES), count = 1 + pick(w, PAGES - first);
	uint64_t i = first;
	size_t done;
	int rc = msn_mm_zero_out(s->mm, addr_of(first), count * PAGE,
				 (struct msn_mm_io){ 0 }, &done);

	for (; i < first + count && s->pages[i].mapped &&
	       (s->pages[i].perms & MSN_ACCESS_WRITE);
	     i++)
		s->pages[i].byte = 0;
	CHECK(rc == (i == first + count ? 0 : -EFAULT));
	CHECK(done == (i - first) * PAGE);
}

static void step_fork(struct world *w, struct model *s)
{
	struct model *child = &w->spaces[1 + pick(w, SPACES - 1)];
	struct msn_address_space *as;

	if (child == s)
		return;
	msn_mm_free(child->mm);
	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_fork(s->mm, as, &child->mm) == 0);
	memcpy(child->pages, s->pages, sizeof(s->pages));
}

static void compare(struct model *s)
{
	CHECK(msn_mm_check(s->mm) == NULL);
	for (uint64_t i = 0; i < PAGES; i++) {
		unsigned char page[MSN_PAGE_SIZE];
		size_t done;
		int rc = msn_mm_copy_in(
			s->mm, addr_of(i), page, PAGE,
			(struct msn_mm_io){ .ignore_permissions = true },
			&done);

		CHECK(rc == (s->pages[i].mapped ? 0 : -EFAULT));
		if (rc)
			continue;
		CHECK(page[17] == s->pages[i].byte);
		CHECK(page[16] == 0 && page[PAGE - 1] == 0);
	}
}

static void run(uint64_t seed, bool local)
{
	static void (*const steps[])(struct world *, struct model *) = {
		step_map,   step_unmap, step_protect, step_write, step_write,
		step_write, step_write, step_zero,    step_fork,
	};
	struct world w = { .rand = seed };

	CHECK(msn_memfile_new(&w.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	w.spaces[0].mm = new_space(&w, local);
	for (int i = 0; i < STEPS; i++) {
		struct model *s = &w.spaces[pick(&w, SPACES)];

		if (!s->mm)
			continue;
		steps[pick(&w, MSN_ARRAY_LEN(steps))](&w, s);
		for (int k = 0; k < SPACES; k++)
			if (w.spaces[k].mm && (&w.spaces[k] == s || i % 8 == 0))
				compare(&w.spaces[k]);
		CHECK(msn_memfile_check(w.mf) == NULL);
	}
	for (int k = 0; k < SPACES; k++)
		msn_mm_free(w.spaces[k].mm);
	EXPECT(msn_memfile_used(w.mf) == 0);
	msn_memfile_free(w.mf);
}

static void random_calls_agree_with_the_model_without_page_tables(void)
{
	run(check_seed(), false);
}

static void random_calls_agree_with_the_model_in_this_process(void)
{
	run(check_seed(), true);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(
			random_calls_agree_with_the_model_without_page_tables),
		CHECK_TEST(random_calls_agree_with_the_model_in_this_process),
		{}
	};

	return check_main(argc, argv, "mm model", tests);
}
