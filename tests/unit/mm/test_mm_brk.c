/*
 * brk: its rules, each also put to the running kernel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_calls.h"
#include "unit/mm/twin.h"

#include "base/alloc.h"
#include "mm/mm_internal.h"

#include <errno.h>
#include <sys/mman.h>

static void the_break_goes_up_and_down_in_bytes(void)
{
	TWIN("bytes", HEAP(10), BRK(10, 0), BRK(10, 1), BRK(10, 4096),
	     BRK(10, 4097), TOUCH(11, 1), BRK(10, 100), BRK(14, 0),
	     TOUCH(12, 2), BRK(12, 5), BRK(9, 0), BRK(10, 0), BRK(0, 0));
}

static void nothing_may_be_nearer_than_a_page_above(void)
{
	/*
	 * |10 heap ...    one page    |20 mapping
	 */
	TWIN("room", HEAP(10), MAP(20, 2, PROT_READ), BRK(20, 0), BRK(19, 1),
	     BRK(19, 0), BRK(18, 1), UNMAP(20, 2), BRK(19, 1));
	TWIN("stack", HEAP(10), MAP_AS(400, 2, RW, MAP_PRIVATE | MAP_GROWSDOWN),
	     BRK(144, 0), BRK(143, 1), BRK(143, 0));
}

static void a_hole_in_the_heap_is_not_filled(void)
{
	TWIN("hole", HEAP(10), BRK(20, 0), TOUCH(10, 10), UNMAP(14, 2),
	     BRK(22, 0), BRK(15, 0), BRK(14, 0), BRK(16, 0), TOUCH(14, 1));
	TWIN("nothing left", HEAP(10), BRK(20, 0), UNMAP(15, 5), BRK(16, 0),
	     BRK(13, 0));
	TWIN("another's", HEAP(10), BRK(14, 0), MAP(13, 1, PROT_READ),
	     BRK(12, 0), BRK(16, 0));
}

static void the_heap_grows_with_what_it_is_like(void)
{
	TWIN("rights", HEAP(10), BRK(14, 0), TOUCH(10, 4),
	     PROTECT(10, 4, PROT_READ), BRK(16, 0), PROTECT(14, 2, PROT_READ),
	     BRK(17, 0), PROTECT(10, 6, RW), BRK(18, 0));
	/* What fits below its start is not part of it. */
	TWIN("below", HEAP(10), MAP(8, 2, RW), BRK(12, 0), BRK(14, 0));
	TWIN("above", HEAP(10), BRK(12, 0), MAP(15, 2, RW), BRK(14, 0),
	     REMAP(12, 2, 3, 0, 0), REMAP(10, 4, 5, 0, 0));
	TWIN("moved away", HEAP(10), BRK(14, 0), TOUCH(10, 4),
	     REMAP(12, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, 40), BRK(16, 0),
	     BRK(12, 0));
}

static void a_sealed_heap_does_not_shrink(void)
{
	TWIN("sealed", HEAP(10), BRK(14, 0), SEAL(12, 1), BRK(10, 0),
	     BRK(13, 0), BRK(15, 0));
	TWIN("sealed end", HEAP(10), BRK(14, 0), SEAL(13, 1), BRK(16, 0),
	     BRK(14, 0));
}

static void the_break_stays_where_a_limit_is_hit(void)
{
	struct fixture f = setup(false);
	struct msn_mm_limits l = msn_mm_no_limits();

	msn_mm_set_heap(f.mm, AT(10));
	l.data = 4 * PAGE + 5;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(msn_mm_brk(f.mm, AT(14) + 6) == AT(10));
	/* Five bytes of another page would make it one too many. */
	EXPECT(msn_mm_brk(f.mm, AT(14) + 5) == AT(10));
	EXPECT(msn_mm_brk(f.mm, AT(14)) == AT(14));
	l.data = MSN_UNLIMITED;
	l.as = 5 * PAGE;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(msn_mm_brk(f.mm, AT(16)) == AT(14));
	EXPECT(msn_mm_brk(f.mm, AT(15)) == AT(15));
	l.as = MSN_UNLIMITED;
	l.commit = PAGE;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(msn_mm_brk(f.mm, AT(17)) == AT(15));
	l.commit = MSN_UNLIMITED;
	l.mappings = 0;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(msn_mm_brk(f.mm, AT(17)) == AT(15));
	EXPECT(msn_mm_brk(f.mm, UINT64_MAX) == AT(15));
	EXPECT(msn_mm_brk(f.mm, AT(REGION_PAGES) + 1) == AT(15));
	teardown(&f);
}

static void a_heap_is_locked_if_all_that_comes_is(void)
{
	struct fixture f = setup(false);
	struct msn_mm_limits l = msn_mm_no_limits();

	msn_mm_set_heap(f.mm, AT(10));
	l.can_lock = false;
	l.memlock = 4 * PAGE;
	msn_mm_set_limits(f.mm, &l);
	f.mm->def_flags = MSN_VMA_LOCKED; /* mlockall(MCL_FUTURE) */
	EXPECT(msn_mm_brk(f.mm, AT(15)) == AT(10));
	EXPECT(msn_mm_brk(f.mm, AT(14)) == AT(14));
	EXPECT(msn_mm_placed_bytes(f.mm) == 4 * PAGE);
	teardown(&f);
}

static void a_space_without_a_heap_has_no_break(void)
{
	struct fixture f = setup(false);

	EXPECT(msn_mm_brk(f.mm, 0) == 0);
	EXPECT(msn_mm_brk(f.mm, AT(10)) == 0);
	EXPECT(msn_mm_mapped_bytes(f.mm) == 0);
	teardown(&f);
}

static void a_child_has_its_own_break(void)
{
	struct fixture f = setup(false);
	struct msn_mm *child;

	msn_mm_set_heap(f.mm, AT(10));
	EXPECT(msn_mm_brk(f.mm, AT(14)) == AT(14));
	put(f.mm, AT(11), 'x');
	CHECK(msn_mm_fork(f.mm, make_platform(false), &child) == 0);
	EXPECT(msn_mm_brk(child, 0) == AT(14));
	EXPECT(msn_mm_brk(child, AT(12)) == AT(12));
	EXPECT(msn_mm_brk(f.mm, 0) == AT(14));
	EXPECT(get(child, AT(11)) == 'x' && get(child, AT(13)) == -EFAULT);
	EXPECT(msn_mm_check(child) == NULL);
	msn_mm_free(child);
	teardown(&f);
}

/* ---- Failures ------------------------------------------------------------ */

static bool walk_local;

static void *prepare_walk(void)
{
	struct fixture *f = malloc(sizeof(*f));

	CHECK(f);
	*f = setup(walk_local);
	msn_mm_set_heap(f->mm, AT(10));
	CHECK(msn_mm_brk(f->mm, AT(14)) == AT(14));
	put(f->mm, AT(13), 'x');
	return f;
}

static int walk(void *state)
{
	struct fixture *f = state;

	return msn_mm_brk(f->mm, AT(18)) == AT(18) ? 0 : -ENOMEM;
}

static void verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(name || rc == 0);
	EXPECT(msn_mm_brk(f->mm, 0) == (rc ? AT(14) : AT(18)));
	EXPECT(get(f->mm, AT(13)) == 'x');
	EXPECT(get(f->mm, AT(17)) == (rc ? -EFAULT : 0));
	teardown(f);
	free(f);
}

static void growth_that_fails_leaves_the_break(void)
{
	for (int local = 0; local < 2; local++) {
		walk_local = local;
		EXPECT(check_every_fault(prepare_walk, walk, verify) > 0);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_break_goes_up_and_down_in_bytes),
		CHECK_TEST(nothing_may_be_nearer_than_a_page_above),
		CHECK_TEST(a_hole_in_the_heap_is_not_filled),
		CHECK_TEST(the_heap_grows_with_what_it_is_like),
		CHECK_TEST(a_sealed_heap_does_not_shrink),
		CHECK_TEST(the_break_stays_where_a_limit_is_hit),
		CHECK_TEST(a_heap_is_locked_if_all_that_comes_is),
		CHECK_TEST(a_space_without_a_heap_has_no_break),
		CHECK_TEST(a_child_has_its_own_break),
		CHECK_TEST(growth_that_fails_leaves_the_break),
		{}
	};

	return check_main(argc, argv, "mm brk", tests);
}
