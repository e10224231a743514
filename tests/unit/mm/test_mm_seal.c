/*
 * mseal: its rules, each also put to the running kernel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_calls.h"
#include "unit/mm/twin.h"

#include "base/alloc.h"

#include <errno.h>
#include <sys/mman.h>

static void bad_arguments_get_the_errno_of_linux(void)
{
	TWIN("arguments", MAP(10, 4, RW), SEAL_AS(10, 4, 1), SEAL(10, 0),
	     SEAL(10, UINT64_C(1) << 52), SEAL(10, 5), SEAL(9, 2), SEAL(40, 1),
	     PROTECT(10, 4, PROT_READ));
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(10, 4));
		EXPECT(msn_mm_mseal(f.mm, AT(10) + 1, PAGE, 0) == -EINVAL);
		EXPECT(msn_mm_mseal(f.mm, AT(10), UINT64_MAX, 0) == -EINVAL);
		EXPECT(msn_mm_mseal(f.mm, AT(10), 1, 0) == 0);
		EXPECT(msn_mm_munmap(f.mm, AT(11), PAGE) == 0);
		EXPECT(msn_mm_munmap(f.mm, AT(10), PAGE) == -EPERM);
	}
}

static void a_hole_is_found_before_anything_is_sealed(void)
{
	TWIN("hole", MAP(10, 2, RW), MAP(14, 2, RW), SEAL(10, 6), UNMAP(10, 2),
	     UNMAP(14, 2));
}

static void what_is_sealed_stays_as_it_is(void)
{
	TWIN("stays", MAP(10, 6, RW), TOUCH(10, 6), SEAL(12, 2), UNMAP(10, 6),
	     UNMAP(12, 1), PROTECT(10, 6, PROT_READ), PROTECT(13, 1, RW),
	     MAP(13, 4, RW), REMAP(12, 2, 1, 0, 0),
	     REMAP(11, 1, 1, MREMAP_MAYMOVE | MREMAP_FIXED, 13), TOUCH(12, 2),
	     UNMAP(14, 2), UNMAP(10, 2), SEAL(12, 2));
}

static void seals_merge_like_any_flag(void)
{
	/*
	 * |10 ... 12|12 sealed 14|14 ... 16|   then all of it
	 */
	TWIN("merge", MAP(10, 6, RW), TOUCH(10, 1), SEAL(12, 2), SEAL(11, 2),
	     SEAL(10, 6));
	TWIN("several", MAP(10, 2, RW), MAP(12, 2, PROT_READ), MAP(14, 2, RW),
	     SEAL(11, 4), PROTECT(10, 1, PROT_READ), PROTECT(15, 1, PROT_READ));
}

/* ---- Failures ------------------------------------------------------------ */

/* Every second page of some, so that there must be room for new mappings. */
#define SEALED 60

static void *prepare_walk(void)
{
	struct fixture *f = malloc(sizeof(*f));

	CHECK(f);
	*f = setup(false);
	map(f->mm, anon(500, 2 * SEALED));
	return f;
}

static int walk(void *state)
{
	struct fixture *f = state;
	int rc = 0;

	for (uint64_t i = 0; i < SEALED && rc == 0; i++)
		rc = msn_mm_mseal(f->mm, AT(500 + 2 * i), PAGE, 0);
	return rc;
}

static void verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;
	bool before = true;

	EXPECT(name ? rc == -ENOMEM || rc == 0 : rc == 0);
	EXPECT(msn_mm_check(f->mm) == NULL);
	for (uint64_t i = 0; i < SEALED; i++) {
		int got = msn_mm_munmap(f->mm, AT(500 + 2 * i), PAGE);

		before = before && got == -EPERM;
		EXPECT(got == (before ? -EPERM : 0));
	}
	EXPECT(before == (rc == 0));
	teardown(f);
	free(f);
}

static void a_seal_that_fails_seals_nothing(void)
{
	EXPECT(check_every_fault(prepare_walk, walk, verify) > 0);
}

static void the_limit_of_mappings_stops_a_cut(void)
{
	struct fixture f = setup(false);
	struct msn_mm_limits l = msn_mm_no_limits();

	map(f.mm, anon(10, 6));
	l.mappings = 1;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(msn_mm_mseal(f.mm, AT(11), PAGE, 0) == -ENOMEM);
	EXPECT(msn_mm_mseal(f.mm, AT(10), 6 * PAGE, 0) == 0);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(bad_arguments_get_the_errno_of_linux),
		CHECK_TEST(a_hole_is_found_before_anything_is_sealed),
		CHECK_TEST(what_is_sealed_stays_as_it_is),
		CHECK_TEST(seals_merge_like_any_flag),
		CHECK_TEST(a_seal_that_fails_seals_nothing),
		CHECK_TEST(the_limit_of_mappings_stops_a_cut),
		{}
	};

	return check_main(argc, argv, "mm seal", tests);
}
