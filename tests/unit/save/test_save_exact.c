/*
 * A restored space is the one that was saved: listings, pages in place, and
 * what calls that come later do to both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fault.h"
#include "fakes/store_fixture.h"
#include "mm/mm_calls.h"
#include "restore/restore.h"
#include "save/save.h"
#include "shmem/shmem.h"
#include "support/check.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x130000000000)
#define REGION_PAGES 1024
#define AT(page) (BASE + (page)*PAGE)
#define LEN(pages) ((pages)*PAGE)
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)

static const struct msn_mm_io plain = { 0 };

struct fixture {
	char *path;
	struct msn_store *store;
	struct msn_memfile *mf;
	struct msn_mm *mm;
	struct msn_failure why;
	uint64_t grown; /* page that the stack has reached */
};

static struct msn_mm *new_space(struct fixture *f, bool local)
{
	struct msn_addr_range region = { AT(0), AT(REGION_PAGES) };
	struct msn_address_space *as;
	struct msn_mm *mm;

	if (local)
		CHECK(msn_platform_local_new(&as, region) == 0);
	else
		CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = f->mf,
						     .as = as }) == 0);
	return mm;
}

static void setup(struct fixture *f, bool local)
{
	*f = (struct fixture){ .path = store_dir_in_memory() };
	f->store = store_at(f->path);
	CHECK(msn_memfile_new(&f->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	/* Only the kernel can let a stack grow, and it is not asked to. */
	f->grown = local ? 700 : 698;
	f->mm = new_space(f, local);
}

static void teardown(struct fixture *f)
{
	msn_mm_free(f->mm);
	EXPECT(msn_memfile_used(f->mf) == 0);
	msn_memfile_free(f->mf);
	msn_store_close(f->store);
	store_dir_free(f->path);
}

static void map(struct msn_mm *mm, uint64_t page, uint64_t pages, int flags)
{
	struct msn_mmap_call c = {
		.addr = AT(page),
		.length = LEN(pages),
		.prot = PROT_READ | PROT_WRITE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags,
	};
	uint64_t addr;

	CHECK(msn_mm_sys_mmap(mm, &c, &addr) == 0);
}

static void put(struct msn_mm *mm, uint64_t page, const char *text)
{
	size_t done;

	CHECK(msn_mm_copy_out(mm, AT(page), text, strlen(text) + 1, plain,
			      &done) == 0);
}

static void look(struct msn_mm *mm, uint64_t page)
{
	size_t done;
	char c;

	CHECK(msn_mm_copy_in(mm, AT(page), &c, 1, plain, &done) == 0);
}

static void map_shared_twice(struct fixture *f)
{
	struct msn_mmap_opts o = { .length = LEN(8),
				   .fixed = true,
				   .perms = RW,
				   .max_perms = MSN_ACCESS_ANY };
	struct msn_shmem *s;
	uint64_t addr;

	CHECK(msn_shmem_new(&s, &(struct msn_shmem_opts){ .memfile = f->mf,
							  .size = LEN(8) }) ==
	      0);
	msn_shmem_set_mapped(s, &o);
	for (uint64_t page = 200; page <= 220; page += 20) {
		o.addr = AT(page);
		CHECK(msn_mm_mmap(f->mm, &o, &addr) == 0);
	}
	msn_identity_dec_ref(o.mapping_identity);
	put(f->mm, 201, "shared");
	look(f->mm, 223); /* a page of zeros comes into being */
}

/* Something of every kind that stays inside the region. */
static void furnish(struct fixture *f)
{
	static const int advices[] = { MADV_DONTFORK,  MADV_WIPEONFORK,
				       MADV_DONTDUMP,  MADV_HUGEPAGE,
				       MADV_MERGEABLE, MADV_RANDOM,
				       MADV_SEQUENTIAL };
	uint64_t node = 1, addr;
	struct msn_mm *mm = f->mm;

	map(mm, 10, 20, 0);
	look(mm, 11);
	put(mm, 12, "");
	put(mm, 13, "data");
	CHECK(msn_mm_mprotect(mm, AT(14), LEN(2), PROT_READ) == 0);
	CHECK(msn_mm_mlock(mm, AT(20), LEN(2), 0) == 0);
	CHECK(msn_mm_mlock(mm, AT(24), LEN(2), MLOCK_ONFAULT) == 0);
	map(mm, 40, 60, 0);
	put(mm, 40, "before all advice");
	for (size_t i = 0; i < MSN_ARRAY_LEN(advices); i++)
		CHECK(msn_mm_madvise(mm, AT(41 + 2 * i), LEN(1), advices[i]) ==
		      0);
	put(mm, 60, "given up");
	CHECK(msn_mm_madvise(mm, AT(60), LEN(1), MADV_FREE) == 0);
	CHECK(msn_mm_madvise(mm, AT(62), LEN(2), MADV_GUARD_INSTALL) == 0);
	CHECK(msn_mm_set_anon_name(mm, AT(66), LEN(2), "named") == 0);
	CHECK(msn_mm_mbind(mm, AT(70), LEN(2), MPOL_BIND, &node, 64, 0) == 0);
	put(mm, 70, "bound");
	map(mm, 110, 4, MAP_NORESERVE);
	map(mm, 120, 4, 0);
	put(mm, 121, "will move");
	CHECK(msn_mm_mremap(mm, AT(120), LEN(4), LEN(4),
			    MREMAP_MAYMOVE | MREMAP_FIXED, AT(130),
			    &addr) == 0);
	map(mm, 140, 4, 0);
	put(mm, 142, "sealed");
	CHECK(msn_mm_mseal(mm, AT(140), LEN(4), 0) == 0);
	map(mm, 700, 2, MAP_GROWSDOWN);
	put(mm, f->grown, "the stack has grown");
	map_shared_twice(f);
	msn_mm_set_heap(mm, AT(300));
	CHECK(msn_mm_brk(mm, AT(305)) == AT(305));
	put(mm, 301, "heap");
	CHECK(msn_mm_set_mempolicy(mm, MPOL_PREFERRED, &node, 64) == 0);
	CHECK(msn_mm_mlockall(mm, MCL_FUTURE | MCL_ONFAULT) == 0);
}

/* ---- Comparing ----------------------------------------------------------- */

static bool texts_agree(struct msn_mm *a, struct msn_mm *b,
			int (*list)(struct msn_mm *, char **))
{
	msn_auto(msn_freep) char *x = NULL;
	msn_auto(msn_freep) char *y = NULL;
	size_t i = 0;

	CHECK(list(a, &x) == 0 && list(b, &y) == 0);
	if (strcmp(x, y) == 0)
		return true;
	while (x[i] == y[i])
		i++;
	while (i && x[i - 1] != '\n')
		i--;
	printf("'%.160s'\nand not\n'%.160s'\n", y + i, x + i);
	return false;
}

static bool pages_agree(struct msn_mm *a, struct msn_mm *b)
{
	static char x[MSN_PAGE_SIZE], y[MSN_PAGE_SIZE];
	bool same = true;

	for (uint64_t page = 0; page < REGION_PAGES; page++) {
		uint64_t w[2] = { 0 };
		uint8_t there[2] = { 0 };
		int r[2] = { msn_mm_mincore(a, AT(page), PAGE, &there[0]),
			     msn_mm_mincore(b, AT(page), PAGE, &there[1]) };

		CHECK(msn_mm_pagemap(a, AT(page), 1, &w[0]) == 0);
		CHECK(msn_mm_pagemap(b, AT(page), 1, &w[1]) == 0);
		if (r[0] == r[1] && there[0] == there[1] && w[0] == w[1])
			continue;
		printf("page %d: %d %x %llx and not %d %x %llx\n", (int)page,
		       r[1], there[1], (unsigned long long)w[1], r[0], there[0],
		       (unsigned long long)w[0]);
		same = false;
	}
	/* Reading puts pages in place, so it comes last. */
	for (uint64_t page = 0; page < REGION_PAGES; page++) {
		size_t n[2];
		int r[2] = { msn_mm_copy_in(a, AT(page), x, PAGE, plain, n),
			     msn_mm_copy_in(b, AT(page), y, PAGE, plain,
					    n + 1) };

		if (r[0] == r[1] && n[0] == n[1] && memcmp(x, y, n[0]) == 0)
			continue;
		printf("bytes of page %d differ\n", (int)page);
		same = false;
	}
	return same;
}

/* Shared objects have new inodes: they are unmapped before smaps is compared.
 */
static void expect_same(struct msn_mm *a, struct msn_mm *b)
{
	EXPECT(msn_mm_check(a) == NULL && msn_mm_check(b) == NULL);
	EXPECT(pages_agree(a, b));
	for (uint64_t page = 200; page <= 220; page += 20) {
		CHECK(msn_mm_munmap(a, AT(page), LEN(8)) == 0);
		CHECK(msn_mm_munmap(b, AT(page), LEN(8)) == 0);
	}
	EXPECT(texts_agree(a, b, msn_mm_maps));
	EXPECT(texts_agree(a, b, msn_mm_smaps));
}

static struct msn_uid save(struct fixture *f, struct msn_mm *mm,
			   struct msn_manifest_stats *stats)
{
	struct msn_save_opts opts = { 0 };
	struct msn_uid uid;
	int rc = msn_save(mm, f->store, &opts, &uid, stats, &f->why);

	if (rc)
		printf("%s\n", f->why.text);
	CHECK(rc == 0);
	return uid;
}

static struct msn_mm *restore(struct fixture *f, struct msn_uid uid, bool local)
{
	struct msn_opened *o;
	struct msn_mm *mm = new_space(f, local);
	int rc = msn_open_snapshot(&o, f->store, uid,
				   &(struct msn_open_opts){ .eager = true },
				   &f->why);

	if (rc == 0)
		rc = msn_clone(o, mm, &(struct msn_clone_opts){ 0 }, &f->why);
	if (rc)
		printf("%s\n", f->why.text);
	CHECK(rc == 0);
	msn_opened_free(o);
	return mm;
}

/* ---- Tests --------------------------------------------------------------- */

static void nothing_tells_a_restored_space_from_the_saved_one(void)
{
	struct fixture f;
	struct msn_mm *back;

	setup(&f, false);
	furnish(&f);
	back = restore(&f, save(&f, f.mm, NULL), false);
	expect_same(f.mm, back);
	msn_mm_free(back);
	teardown(&f);
}

/* Calls that go by what no listing shows. */
static void live_on(struct msn_mm *mm)
{
	CHECK(msn_mm_mprotect(mm, AT(14), LEN(2), PROT_READ | PROT_WRITE) == 0);
	map(mm, 30, 2, 0); /* locked on fault; joins nobody */
	msn_mm_munlockall(mm);
	EXPECT(msn_mm_mprotect(mm, AT(140), LEN(1), PROT_READ) == -EPERM);
	map(mm, 126, 4, 0); /* the moved one began elsewhere */
	EXPECT(msn_mm_brk(mm, AT(306)) == AT(306));
	for (uint64_t page = 43; page < 55; page += 2)
		CHECK(msn_mm_madvise(mm, AT(page), LEN(1), MADV_NORMAL) == 0);
	EXPECT(msn_mm_reclaim_lazy(mm) == PAGE);
}

static void later_calls_do_the_same_to_both(void)
{
	struct fixture f;
	struct msn_mm *back;

	setup(&f, false);
	furnish(&f);
	back = restore(&f, save(&f, f.mm, NULL), false);
	live_on(f.mm);
	live_on(back);
	expect_same(f.mm, back);
	msn_mm_free(back);
	teardown(&f);
}

static struct msn_mm *forked(struct msn_mm *mm)
{
	struct msn_address_space *as;
	struct msn_mm *child;

	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_fork(mm, as, &child) == 0);
	return child;
}

static void children_of_both_are_the_same(void)
{
	struct fixture f;
	struct msn_mm *back, *child, *other;

	setup(&f, false);
	furnish(&f);
	back = restore(&f, save(&f, f.mm, NULL), false);
	child = forked(f.mm);
	other = forked(back);
	/* With the parents gone nobody shares their pages any more. */
	msn_mm_free(back);
	f.mm = msn_mm_free(f.mm);
	expect_same(child, other);
	msn_mm_free(child);
	msn_mm_free(other);
	teardown(&f);
}

static void a_forked_child_merges_as_one_after_it_was_restored(void)
{
	struct fixture f;
	struct msn_mm *child, *back;

	setup(&f, false);
	furnish(&f);
	child = forked(f.mm);
	msn_mm_free(f.mm);
	f.mm = child;
	/* A page of zeros of an object is saved where it is in place. */
	look(child, 203);
	look(child, 223);
	back = restore(&f, save(&f, child, NULL), false);
	live_on(child);
	live_on(back);
	expect_same(child, back);
	msn_mm_free(back);
	teardown(&f);
}

static void a_second_save_stores_nothing(void)
{
	struct fixture f;
	struct msn_manifest_stats first, second;
	struct msn_mm *back;

	setup(&f, false);
	furnish(&f);
	back = restore(&f, save(&f, f.mm, &first), false);
	save(&f, back, &second);
	EXPECT(first.stored > 5 && second.stored == 0);
	EXPECT(second.inherited == second.private_pages);
	EXPECT(second.private_pages == first.private_pages);
	msn_mm_free(back);
	teardown(&f);
}

static bool reads(struct msn_mm *mm, uint64_t page, const char *text)
{
	char got[32] = "";
	size_t done;

	return msn_mm_copy_in(mm, AT(page), got, strlen(text) + 1, plain,
			      &done) == 0 &&
	       strcmp(got, text) == 0;
}

/* Between the platforms, all four ways. */
static void every_platform_restores_what_any_saved(void)
{
	for (int way = 0; way < 4; way++) {
		struct fixture f;
		struct msn_mm *back;
		struct msn_uid uid;

		setup(&f, way & 1);
		furnish(&f);
		uid = save(&f, f.mm, NULL);
		f.mm = msn_mm_free(f.mm);
		back = restore(&f, uid, way & 2);
		EXPECT(msn_mm_check(back) == NULL);
		EXPECT(reads(back, 13, "data") && reads(back, 40,
							"before all"
							" advice"));
		EXPECT(reads(back, 131, "will move"));
		EXPECT(reads(back, 201, "shared") && reads(back, 301, "heap"));
		EXPECT(reads(back, f.grown, "the stack has grown"));
		EXPECT(msn_mm_copy_in(back, AT(62), (char[1]){ 0 }, 1, plain,
				      &(size_t){ 0 }) == -EFAULT);
		put(back, 13, "new");
		EXPECT(reads(back, 13, "new"));
		/* Flags came along wherever it stands. */
		EXPECT(msn_mm_mprotect(back, AT(140), LEN(1), PROT_READ) ==
		       -EPERM);
		EXPECT(msn_mm_brk(back, AT(306)) == AT(306));
		msn_mm_free(back);
		teardown(&f);
	}
}

/* ---- Failures ------------------------------------------------------------ */

struct walk {
	struct fixture f;
	struct msn_opened *o;
	struct msn_mm *back;
};

static struct walk *walk_new(bool local)
{
	struct walk *w = msn_alloc(sizeof(*w));
	struct msn_uid uid;

	CHECK(w);
	setup(&w->f, false);
	furnish(&w->f);
	uid = save(&w->f, w->f.mm, NULL);
	CHECK(msn_open_snapshot(&w->o, w->f.store, uid,
				&(struct msn_open_opts){ .eager = true },
				&w->f.why) == 0);
	w->f.mm = msn_mm_free(w->f.mm);
	w->back = new_space(&w->f, local);
	return w;
}

static void *prepare_none(void)
{
	return walk_new(false);
}

static void *prepare_local(void)
{
	return walk_new(true);
}

static int clone_body(void *state)
{
	struct walk *w = state;

	return msn_clone(w->o, w->back, &(struct msn_clone_opts){ 0 },
			 &w->f.why);
}

static int save_body(void *state)
{
	struct walk *w = state;
	struct msn_uid uid;
	int rc = msn_clone(w->o, w->back, &(struct msn_clone_opts){ 0 },
			   &w->f.why);

	return rc ? rc
		  : msn_save(w->back, w->f.store, &(struct msn_save_opts){ 0 },
			     &uid, NULL, &w->f.why);
}

/* teardown() sees pages that are left behind. */
static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	EXPECT(rc == 0 || (name && w->f.why.kind != MSN_FAILURE_NONE));
	EXPECT(msn_mm_check(w->back) == NULL);
	msn_mm_free(w->back);
	msn_opened_free(w->o);
	teardown(&w->f);
	free(w);
}

static void every_failure_leaves_nothing_behind(void)
{
	EXPECT(check_every_fault(prepare_none, clone_body, walk_verify) > 20);
	EXPECT(check_every_fault(prepare_local, clone_body, walk_verify) > 20);
	EXPECT(check_every_fault(prepare_none, save_body, walk_verify) > 40);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(nothing_tells_a_restored_space_from_the_saved_one),
		CHECK_TEST(later_calls_do_the_same_to_both),
		CHECK_TEST(children_of_both_are_the_same),
		CHECK_TEST(a_forked_child_merges_as_one_after_it_was_restored),
		CHECK_TEST(a_second_save_stores_nothing),
		CHECK_TEST(every_platform_restores_what_any_saved),
		CHECK_TEST(every_failure_leaves_nothing_behind),
		{}
	};

	return check_main(argc, argv, "save_exact", tests);
}
