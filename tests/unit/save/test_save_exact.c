/*
 * A restored space is the one that was saved: listings, pages in place, and
 * what calls that come later do to both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/save/fixture.h"

#include "base/alloc.h"
#include "base/fault.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pages that are compared one by one. */
#define LOOK_PAGES 1024

/* A furnished space, and the file that it maps. */
struct room {
	struct fixture f;
	char file[64];
	uint64_t grown; /* page that the stack has reached */
};

static void map_with(struct msn_mm *mm, uint64_t page, uint64_t pages,
		     int flags)
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

static void look(struct msn_mm *mm, uint64_t page)
{
	size_t done;
	char c;

	CHECK(msn_mm_copy_in(mm, AT(page), &c, 1, plain, &done) == 0);
}

/* Mappings of objects, which a restore makes anew. */
static const struct {
	uint64_t page, pages;
} of_objects[] = { { 200, 8 }, { 220, 8 }, { 240, 8 }, { 248, 4 } };

static void map_objects(struct msn_mm *mm, struct fixture *f)
{
	struct msn_shmem *s = make_memfd(f, 8);

	map_object(mm, s, 200, 8, false);
	map_object(mm, s, 220, 8, false);
	map_object(mm, s, 240, 8, true);
	map_object(mm, s, 248, 4, true); /* not joined: an offset of its own */
	put(mm, 201, "shared");
	put(mm, 202, "under a copy");
	look(mm, 223); /* a page of zeros comes into being */
	put(mm, 242, "copied");
	fill(mm, 243, 0);
	look(mm, 241);
	look(mm, 245);
	put(mm, 249, "copied too");
	msn_identity_dec_ref(msn_shmem_identity(s));
}

static void map_files(struct msn_mm *mm, struct room *r)
{
	struct msn_hostfile *hf;

	make_file(r->file);
	CHECK(msn_hostfile_open(&hf, r->file, true) == 0);
	map_file(mm, hf, 260, true);
	map_file(mm, hf, 270, false);
	fill(mm, 261, 7);
	fill(mm, 262, 0); /* hides the file's 'C' */
	look(mm, 263);
	look(mm, 271);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
}

/* Something of every kind that stays inside the region. */
static void furnish(struct room *r)
{
	static const int advices[] = { MADV_DONTFORK,  MADV_WIPEONFORK,
				       MADV_DONTDUMP,  MADV_HUGEPAGE,
				       MADV_MERGEABLE, MADV_RANDOM,
				       MADV_SEQUENTIAL };
	uint64_t node = 1, addr;
	struct msn_mm *mm = r->f.mm;

	map_with(mm, 10, 20, 0);
	look(mm, 11);
	put(mm, 12, "");
	put(mm, 13, "data");
	CHECK(msn_mm_mprotect(mm, AT(14), LEN(2), PROT_READ) == 0);
	CHECK(msn_mm_mlock(mm, AT(20), LEN(2), 0) == 0);
	CHECK(msn_mm_mlock(mm, AT(24), LEN(2), MLOCK_ONFAULT) == 0);
	map_with(mm, 40, 60, 0);
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
	map_with(mm, 110, 4, MAP_NORESERVE);
	map_with(mm, 120, 4, 0);
	put(mm, 121, "will move");
	CHECK(msn_mm_mremap(mm, AT(120), LEN(4), LEN(4),
			    MREMAP_MAYMOVE | MREMAP_FIXED, AT(130),
			    &addr) == 0);
	map_with(mm, 140, 4, 0);
	put(mm, 142, "sealed");
	CHECK(msn_mm_mseal(mm, AT(140), LEN(4), 0) == 0);
	map_with(mm, 700, 2, MAP_GROWSDOWN);
	put(mm, r->grown, "the stack has grown");
	map_objects(mm, &r->f);
	map_files(mm, r);
	msn_mm_set_heap(mm, AT(300));
	CHECK(msn_mm_brk(mm, AT(305)) == AT(305));
	put(mm, 301, "heap");
	CHECK(msn_mm_set_mempolicy(mm, MPOL_PREFERRED, &node, 64) == 0);
	CHECK(msn_mm_mlockall(mm, MCL_FUTURE | MCL_ONFAULT) == 0);
}

static void enter(struct room *r, bool local)
{
	setup(&r->f, local);
	/* Only the kernel can let a stack grow, and it is not asked to. */
	r->grown = local ? 700 : 698;
	furnish(r);
}

static void leave(struct room *r)
{
	unlink(r->file);
	teardown(&r->f);
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

	for (uint64_t page = 0; page < LOOK_PAGES; page++) {
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
	for (uint64_t page = 0; page < LOOK_PAGES; page++) {
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

/* Objects have new inodes: they are unmapped before listings are compared. */
static void expect_same(struct msn_mm *a, struct msn_mm *b)
{
	EXPECT(msn_mm_check(a) == NULL && msn_mm_check(b) == NULL);
	EXPECT(pages_agree(a, b));
	for (size_t i = 0; i < MSN_ARRAY_LEN(of_objects); i++) {
		uint64_t at = AT(of_objects[i].page);

		CHECK(msn_mm_munmap(a, at, LEN(of_objects[i].pages)) == 0);
		CHECK(msn_mm_munmap(b, at, LEN(of_objects[i].pages)) == 0);
	}
	EXPECT(texts_agree(a, b, msn_mm_maps));
	EXPECT(texts_agree(a, b, msn_mm_smaps));
}

/* ---- Tests --------------------------------------------------------------- */

static void nothing_tells_a_restored_space_from_the_saved_one(void)
{
	struct room r;
	struct msn_mm *back;

	enter(&r, false);
	back = restore(&r.f, save(&r.f, r.f.mm, NULL, NULL), false);
	expect_same(r.f.mm, back);
	msn_mm_free(back);
	leave(&r);
}

/* Calls that go by what no listing shows. */
static void live_on(struct msn_mm *mm)
{
	CHECK(msn_mm_mprotect(mm, AT(14), LEN(2), PROT_READ | PROT_WRITE) == 0);
	map_with(mm, 30, 2, 0); /* locked on fault; joins nobody */
	msn_mm_munlockall(mm);
	EXPECT(msn_mm_mprotect(mm, AT(140), LEN(1), PROT_READ) == -EPERM);
	map_with(mm, 126, 4, 0); /* the moved one began elsewhere */
	EXPECT(msn_mm_brk(mm, AT(306)) == AT(306));
	for (uint64_t page = 43; page < 55; page += 2)
		CHECK(msn_mm_madvise(mm, AT(page), LEN(1), MADV_NORMAL) == 0);
	EXPECT(msn_mm_reclaim_lazy(mm) == PAGE);
}

static void later_calls_do_the_same_to_both(void)
{
	struct room r;
	struct msn_mm *back;

	enter(&r, false);
	back = restore(&r.f, save(&r.f, r.f.mm, NULL, NULL), false);
	live_on(r.f.mm);
	live_on(back);
	expect_same(r.f.mm, back);
	msn_mm_free(back);
	leave(&r);
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
	struct room r;
	struct msn_mm *back, *child, *other;

	enter(&r, false);
	back = restore(&r.f, save(&r.f, r.f.mm, NULL, NULL), false);
	child = forked(r.f.mm);
	other = forked(back);
	/* With the parents gone nobody shares their pages any more. */
	msn_mm_free(back);
	r.f.mm = msn_mm_free(r.f.mm);
	expect_same(child, other);
	msn_mm_free(child);
	msn_mm_free(other);
	leave(&r);
}

static void a_forked_child_merges_as_one_after_it_was_restored(void)
{
	struct room r;
	struct msn_mm *child, *back;

	enter(&r, false);
	child = forked(r.f.mm);
	msn_mm_free(r.f.mm);
	r.f.mm = child;
	/* Its pages of objects are in no place, but the objects have them. */
	back = restore(&r.f, save(&r.f, child, NULL, NULL), false);
	live_on(child);
	live_on(back);
	expect_same(child, back);
	msn_mm_free(back);
	leave(&r);
}

static void a_second_save_stores_nothing(void)
{
	struct room r;
	struct msn_manifest_stats first, second;
	struct msn_mm *back;

	enter(&r, false);
	back = restore(&r.f, save(&r.f, r.f.mm, NULL, &first), false);
	save(&r.f, back, NULL, &second);
	EXPECT(first.stored > 5 && second.stored == 0);
	EXPECT(second.inherited == second.private_pages);
	EXPECT(second.private_pages == first.private_pages);
	msn_mm_free(back);
	leave(&r);
}

/* Between the platforms, all four ways. */
static void every_platform_restores_what_any_saved(void)
{
	for (int way = 0; way < 4; way++) {
		struct room r;
		struct msn_mm *back;
		struct msn_uid uid;

		enter(&r, way & 1);
		uid = save(&r.f, r.f.mm, NULL, NULL);
		r.f.mm = msn_mm_free(r.f.mm);
		back = restore(&r.f, uid, way & 2);
		EXPECT(msn_mm_check(back) == NULL);
		EXPECT(reads(back, 13, "data") && reads(back, 40,
							"before all"
							" advice"));
		EXPECT(reads(back, 131, "will move"));
		EXPECT(reads(back, 201, "shared") && reads(back, 301, "heap"));
		EXPECT(reads(back, 241, "shared") &&
		       reads(back, 242, "copied"));
		EXPECT(holds(back, 243, 0) && reads(back, 249, "copied too"));
		EXPECT(reads(back, 202, "under a copy"));
		EXPECT(first_byte(back, 260) == 'A' && holds(back, 261, 7));
		EXPECT(holds(back, 262, 0) && first_byte(back, 273) == 'D');
		EXPECT(reads(back, r.grown, "the stack has grown"));
		EXPECT(msn_mm_copy_in(back, AT(62), (char[1]){ 0 }, 1, plain,
				      &(size_t){ 0 }) == -EFAULT);
		put(back, 13, "new");
		EXPECT(reads(back, 13, "new"));
		/* Flags came along wherever it stands. */
		EXPECT(msn_mm_mprotect(back, AT(140), LEN(1), PROT_READ) ==
		       -EPERM);
		EXPECT(msn_mm_brk(back, AT(306)) == AT(306));
		msn_mm_free(back);
		leave(&r);
	}
}

/* ---- Failures ------------------------------------------------------------ */

/* One snapshot for all walks: a store costs more than what is tried. */
static struct walk {
	struct room r;
	struct msn_opened *o;
	struct msn_mm *back;
} walk;

static void *prepare_none(void)
{
	walk.back = new_space(&walk.r.f, false);
	return &walk;
}

static void *prepare_local(void)
{
	walk.back = new_space(&walk.r.f, true);
	return &walk;
}

static int clone_body(void *state)
{
	struct walk *w = state;

	return msn_clone(w->o, w->back, &(struct msn_clone_opts){ 0 },
			 &w->r.f.why);
}

static int save_body(void *state)
{
	struct walk *w = state;
	struct msn_uid uid;
	int rc = msn_clone(w->o, w->back, &(struct msn_clone_opts){ 0 },
			   &w->r.f.why);

	return rc ? rc
		  : msn_save(w->back, w->r.f.store,
			     &(struct msn_save_opts){ 0 }, &uid, NULL,
			     &w->r.f.why);
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	EXPECT(rc == 0 || (name && w->r.f.why.kind != MSN_FAILURE_NONE));
	EXPECT(msn_mm_check(w->back) == NULL);
	msn_mm_free(w->back);
	EXPECT(msn_memfile_used(w->r.f.mf) == 0);
	w->r.f.why = (struct msn_failure){ 0 };
}

static void every_failure_leaves_nothing_behind(void)
{
	enter(&walk.r, false);
	walk.o = open_it(&walk.r.f, save(&walk.r.f, walk.r.f.mm, NULL, NULL),
			 true);
	walk.r.f.mm = msn_mm_free(walk.r.f.mm);
	EXPECT(check_every_fault(prepare_none, clone_body, walk_verify) > 20);
	EXPECT(check_every_fault(prepare_local, clone_body, walk_verify) > 20);
	EXPECT(check_every_fault(prepare_none, save_body, walk_verify) > 40);
	msn_opened_free(walk.o);
	leave(&walk.r);
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
