/*
 * mremap: its rules, each also put to the running kernel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_calls.h"
#include "unit/mm/shared_object.h"
#include "unit/mm/twin.h"

#include <errno.h>
#include <sys/mman.h>

#define MOVE MREMAP_MAYMOVE
#define FIXED (MREMAP_MAYMOVE | MREMAP_FIXED)
#define KEEP (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)
#define R PROT_READ

static int remap(struct msn_mm *mm, uint64_t page, uint64_t pages,
		 uint64_t new_pages, int flags, uint64_t to)
{
	uint64_t addr = 0;
	int rc = msn_mm_mremap(mm, AT(page), pages * PAGE, new_pages * PAGE,
			       flags, AT(to), &addr);

	return rc ? rc : (int)((addr - BASE) / PAGE);
}

/* ---- Arguments ----------------------------------------------------------- */

static void bad_arguments_get_the_errno_of_linux(void)
{
	TWIN("arguments", MAP(10, 4, RW), REMAP(10, 4, 4, 8, 0),
	     REMAP(10, 4, 0, 0, 0), REMAP(10, 4, UINT64_C(1) << 40, MOVE, 0),
	     REMAP(10, 4, 4, MREMAP_FIXED, 20),
	     REMAP(10, 4, 4, MREMAP_DONTUNMAP, 20), REMAP(10, 4, 8, KEEP, 20),
	     REMAP(10, 4, 4, FIXED, 12), REMAP(10, 4, 4, FIXED, 7),
	     REMAP(10, 4, 4, FIXED, UINT64_C(1) << 36), REMAP(20, 4, 4, 0, 0),
	     REMAP(20, 4, 4, FIXED, 30), REMAP(10, 0, 4, MOVE, 0),
	     REMAP(12, 4, 8, MOVE, 0), REMAP(12, 4, 8, FIXED, 30),
	     REMAP(12, 4, 4, 0, 0), REMAP(12, 4, 4, FIXED, 30));
}

static void an_unaligned_address_is_refused(void)
{
	FOR_BOTH(f, local)
	{
		uint64_t out = 77;

		map(f.mm, anon(10, 4));
		EXPECT(msn_mm_mremap(f.mm, AT(10) + 1, PAGE, PAGE, 0, 0,
				     &out) == -EINVAL);
		EXPECT(msn_mm_mremap(f.mm, AT(10), PAGE, PAGE, FIXED,
				     AT(20) + 8, &out) == -EINVAL);
		EXPECT(out == 77);
		/* Lengths are rounded up. */
		EXPECT(msn_mm_mremap(f.mm, AT(10), 4 * PAGE - 5, PAGE + 1, 0, 0,
				     &out) == 0);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 2 * PAGE);
		EXPECT(msn_mm_mremap(f.mm, AT(10), PAGE, UINT64_MAX, MOVE, 0,
				     &out) == -EINVAL);
	}
}

/* ---- In place ------------------------------------------------------------ */

static void shrinking_unmaps_the_tail_even_of_several_mappings(void)
{
	TWIN("shrink", MAP(10, 6, RW), TOUCH(10, 6), REMAP(10, 6, 4, 0, 0),
	     REMAP(11, 3, 1, 0, 0), MAP(20, 4, RW), MAP(24, 4, R),
	     REMAP(20, 8, 2, 0, 0), REMAP(20, 100, 1, 0, 0),
	     /* Not past the top. */
	     REMAP(20, UINT64_C(1) << 40, 1, 0, 0),
	     REMAP(20, (UINT64_C(1) << 52) - 1, 1, 0, 0));
}

static void growing_in_place_takes_the_room_behind(void)
{
	/*
	 * |10 .. 14|      free      |20 .. 22|
	 * |10 ....... 18|           |20 .. 22|
	 */
	TWIN("grow", MAP(10, 4, RW), MAP(20, 2, R), TOUCH(10, 4),
	     REMAP(10, 4, 8, 0, 0), TOUCH(15, 1), REMAP(10, 8, 11, 0, 0),
	     REMAP(12, 6, 8, 0, 0), REMAP(10, 4, 6, 0, 0));
}

static void growing_up_to_a_twin_makes_them_one(void)
{
	TWIN("merge with next", MAP(10, 10, RW), UNMAP(13, 4),
	     REMAP(10, 3, 7, 0, 0));
	TWIN("merge with next, touched", MAP(10, 10, RW), TOUCH(10, 10),
	     UNMAP(13, 4), REMAP(10, 3, 7, 0, 0));
	TWIN("histories differ", MAP(10, 3, RW), TOUCH(10, 1), MAP(17, 3, RW),
	     TOUCH(17, 1), REMAP(10, 3, 7, 0, 0));
	TWIN("one has a history", MAP(10, 3, RW), TOUCH(10, 1), MAP(17, 3, RW),
	     REMAP(10, 3, 7, 0, 0), TOUCH(18, 2));
	TWIN("other has a history", MAP(10, 3, RW), MAP(17, 3, RW),
	     TOUCH(17, 1), REMAP(10, 3, 7, 0, 0), TOUCH(10, 10));
}

static void growing_where_something_is_moves(void)
{
	TWIN("moved away", MAP(10, 4, RW), TOUCH(10, 4), MAP(14, 1, R),
	     REMAP(10, 4, 6, 0, 0), REMAP(10, 4, 6, MOVE, 0), MAP(30, 8, RW),
	     TOUCH(30, 8), REMAP(31, 2, 4, MOVE, 0));
}

static void what_has_grown_keeps_its_bytes_and_reads_as_zero_behind(void)
{
	FOR_BOTH(f, local)
	{
		uint64_t at;

		map(f.mm, anon(10, 4));
		put(f.mm, AT(13), 'x');
		EXPECT(remap(f.mm, 10, 4, 8, 0, 0) == 10);
		EXPECT(get(f.mm, AT(13)) == 'x' && get(f.mm, AT(17)) == 0);
		put(f.mm, AT(17), 'y');
		map(f.mm, anon(18, 1));
		EXPECT(msn_mm_mprotect(f.mm, AT(18), PAGE, PROT_READ) == 0);
		at = (uint64_t)remap(f.mm, 10, 8, 12, MOVE, 0);
		CHECK(at > 1000 && at < REGION_PAGES);
		EXPECT(get(f.mm, AT(at) + 3 * PAGE) == 'x');
		EXPECT(get(f.mm, AT(at) + 7 * PAGE) == 'y');
		EXPECT(get(f.mm, AT(at) + 11 * PAGE) == 0);
		put(f.mm, AT(at) + 11 * PAGE, 'z');
		EXPECT(get(f.mm, AT(10)) == -EFAULT);
		EXPECT(msn_mm_check(f.mm) == NULL);
	}
}

/* ---- Moving -------------------------------------------------------------- */

static void moving_takes_the_pages_along(void)
{
	TWIN("move", MAP(10, 6, RW), TOUCH(11, 2), REMAP(10, 6, 6, FIXED, 30),
	     TOUCH(30, 1), REMAP(31, 2, 2, FIXED, 50),
	     REMAP(30, 1, 3, FIXED, 60), REMAP(60, 3, 1, FIXED, 70),
	     TOUCH(70, 1));
}

static void moving_over_something_unmaps_it_first(void)
{
	TWIN("over", MAP(10, 4, RW), TOUCH(10, 4), MAP(30, 8, R),
	     MAP(38, 2, RW), REMAP(10, 4, 4, FIXED, 32),
	     REMAP(33, 2, 2, FIXED, 36), MAP(100, 8, RW), TOUCH(100, 8),
	     REMAP(101, 2, 2, FIXED, 104),
	     /* What was at the destination is gone, also after a failure. */
	     MAP(200, 4, RW), MAP(210, 4, RW), REMAP(200, 8, 9, FIXED, 210),
	     REMAP(250, 2, 2, FIXED, 210));
}

static void a_move_merges_where_offsets_and_histories_fit(void)
{
	TWIN("untouched joins anywhere", MAP(10, 4, RW), MAP(30, 4, RW),
	     REMAP(10, 4, 4, FIXED, 34), MAP(50, 4, RW),
	     REMAP(50, 4, 4, FIXED, 26));
	TWIN("touched does not", MAP(10, 4, RW), TOUCH(10, 1), MAP(30, 4, RW),
	     REMAP(10, 4, 4, FIXED, 34));
	TWIN("back home", MAP(10, 8, RW), TOUCH(10, 8),
	     REMAP(12, 2, 2, FIXED, 40), REMAP(40, 2, 2, FIXED, 12));
	TWIN("between two", MAP(10, 2, RW), MAP(14, 2, RW), MAP(40, 2, RW),
	     REMAP(40, 2, 2, FIXED, 12));
	TWIN("into itself", MAP(10, 10, RW), REMAP(10, 5, 5, FIXED, 20),
	     REMAP(18, 3, 3, FIXED, 12));
	TWIN("touched next to untouched", MAP(10, 4, RW), TOUCH(10, 4),
	     REMAP(12, 2, 2, FIXED, 42), MAP(10, 2, RW),
	     REMAP(42, 2, 2, FIXED, 12), TOUCH(10, 1), PROTECT(11, 1, R),
	     PROTECT(11, 1, RW));
}

static void several_mappings_move_together_since_6_17(void)
{
	/*
	 * |10 rw 12|14 r- 16|     |20 rw 22|   ->  the same from 110 on
	 */
	TWIN("several", MAP(10, 2, RW), TOUCH(10, 2), MAP(14, 2, R),
	     MAP(20, 2, RW), TOUCH(21, 1), REMAP(10, 12, 12, FIXED, 110),
	     REMAP(109, 5, 5, FIXED, 200), REMAP(111, 4, 4, FIXED, 300),
	     REMAP(115, 100, 100, FIXED, 400));
	TWIN("only what moves is in the way", MAP(10, 1, RW), MAP(14, 1, RW),
	     MAP(110, 5, R), REMAP(10, 5, 5, FIXED, 110));
	TWIN("a hole at the start", MAP(12, 2, RW),
	     REMAP(10, 4, 4, FIXED, 110));
}

static void a_seal_stops_a_move_half_way(void)
{
	TWIN("half way", MAP(10, 2, RW), MAP(12, 2, R), MAP(14, 2, RW),
	     SEAL(12, 2), REMAP(10, 6, 6, FIXED, 110));
	TWIN("sealed", MAP(10, 4, RW), SEAL(10, 4), REMAP(10, 4, 2, 0, 0),
	     REMAP(10, 4, 8, MOVE, 0), REMAP(10, 4, 4, FIXED, 30),
	     REMAP(10, 4, 4, 0, 0));
	TWIN("destination sealed", MAP(10, 4, RW), MAP(30, 4, RW), SEAL(32, 2),
	     REMAP(10, 4, 4, FIXED, 30), REMAP(10, 4, 4, FIXED, 29));
	TWIN("tail sealed", MAP(10, 4, RW), MAP(14, 4, R), SEAL(14, 4),
	     REMAP(10, 8, 2, 0, 0), REMAP(10, 8, 2, FIXED, 40));
}

/* ---- Shared memory ------------------------------------------------------- */

static void a_length_of_nothing_maps_shared_memory_twice(void)
{
	TWIN("twice", MAP_AS(10, 4, RW, MAP_SHARED), TOUCH(10, 4),
	     REMAP(11, 0, 2, FIXED, 30), TOUCH(31, 1), REMAP(10, 0, 6, 0, 0),
	     REMAP(10, 0, 6, FIXED, 40), MAP(60, 4, RW),
	     REMAP(60, 0, 2, FIXED, 70), REMAP(60, 0, 2, MOVE, 0));
}

static void shared_memory_moves_and_keeps_its_offsets(void)
{
	TWIN("shared", MAP_AS(10, 6, RW, MAP_SHARED), TOUCH(10, 6),
	     REMAP(12, 2, 2, FIXED, 30), REMAP(30, 2, 4, 0, 0), TOUCH(32, 1),
	     REMAP(30, 4, 4, FIXED, 20), REMAP(14, 2, 4, 0, 0),
	     REMAP(20, 2, 2, FIXED, 12));
}

static void objects_are_told_where_they_are_mapped(void)
{
	/* The object would be freed while it is mapped, or never. */
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 4);

		o.private = false;
		set_shared(&f, &o);
		map(f.mm, o);
		msn_identity_dec_ref(o.mapping_identity);
		put(f.mm, AT(12), 's');
		EXPECT(remap(f.mm, 10, 0, 4, FIXED, 30) == 30);
		EXPECT(get(f.mm, AT(32)) == 's');
		EXPECT(remap(f.mm, 30, 4, 2, FIXED, 40) == 40);
		EXPECT(remap(f.mm, 10, 4, 4, FIXED, 50) == 50);
		put(f.mm, AT(51), 't');
		EXPECT(get(f.mm, AT(41)) == 't');
		EXPECT(msn_mm_munmap(f.mm, AT(40), 2 * PAGE) == 0);
		EXPECT(get(f.mm, AT(52)) == 's');
		EXPECT(msn_mm_check(f.mm) == NULL);
	}
}

/* ---- MREMAP_DONTUNMAP ---------------------------------------------------- */

static void what_is_kept_is_empty(void)
{
	TWIN("keep", MAP(10, 4, RW), TOUCH(10, 4),
	     REMAP(10, 4, 4, KEEP | MREMAP_FIXED, 30), TOUCH(11, 1),
	     REMAP(11, 2, 2, KEEP | MREMAP_FIXED, 50),
	     REMAP(10, 4, 4, KEEP, 70), REMAP(30, 4, 4, KEEP, 50));
	TWIN("keep shared", MAP_AS(10, 4, RW, MAP_SHARED), TOUCH(10, 4),
	     REMAP(10, 4, 4, KEEP | MREMAP_FIXED, 30), TOUCH(31, 1));
	TWIN("keep untouched", MAP(10, 4, RW),
	     REMAP(10, 4, 4, KEEP | MREMAP_FIXED, 14), TOUCH(12, 4));
	TWIN("keep next to it", MAP(10, 4, RW), TOUCH(10, 4),
	     REMAP(10, 4, 4, KEEP | MREMAP_FIXED, 14), TOUCH(10, 1),
	     PROTECT(13, 1, R), PROTECT(13, 1, RW));
	TWIN("what is empty has no history", MAP(10, 2, RW), TOUCH(10, 1),
	     MAP(15, 3, RW), TOUCH(15, 1),
	     REMAP(10, 2, 2, KEEP | MREMAP_FIXED, 30), REMAP(10, 2, 5, 0, 0));
	TWIN("a part of it has", MAP(10, 3, RW), TOUCH(10, 3), MAP(15, 3, RW),
	     TOUCH(15, 1), REMAP(10, 2, 2, KEEP | MREMAP_FIXED, 30),
	     REMAP(10, 3, 5, 0, 0));
	TWIN("keep several", MAP(10, 2, RW), MAP(12, 2, R), TOUCH(10, 1),
	     REMAP(10, 4, 4, KEEP | MREMAP_FIXED, 30));
}

static void what_is_kept_reads_as_zero_under_both_platforms(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(10, 4));
		put(f.mm, AT(11), 'x');
		EXPECT(remap(f.mm, 10, 4, 4, KEEP | MREMAP_FIXED, 30) == 30);
		EXPECT(get(f.mm, AT(31)) == 'x' && get(f.mm, AT(11)) == 0);
		put(f.mm, AT(11), 'y');
		EXPECT(get(f.mm, AT(31)) == 'x' && get(f.mm, AT(11)) == 'y');
		EXPECT(msn_mm_check(f.mm) == NULL);
	}
}

/* ---- Locked memory and limits -------------------------------------------- */

static void locked_memory_is_counted_and_filled_as_it_grows(void)
{
	TWIN("locked", MAP_AS(10, 4, RW, MAP_PRIVATE | MAP_LOCKED),
	     REMAP(10, 4, 8, 0, 0), REMAP(10, 8, 8, FIXED, 30),
	     REMAP(30, 8, 2, 0, 0), REMAP(30, 2, 4, FIXED, 50), UNMAP(50, 4));
	/* Linux never stops counting what it leaves behind unlocked. */
	TWIN("locked and kept", MAP_AS(10, 8, RW, MAP_PRIVATE | MAP_LOCKED),
	     REMAP(12, 2, 2, KEEP | MREMAP_FIXED, 30), UNMAP(10, 8),
	     UNMAP(30, 2));
}

static void growing_populates_only_what_is_locked(void)
{
	struct fixture f = setup(false);
	struct msn_mmap_opts o = anon(10, 2);

	o.mlock_mode = MSN_MLOCK_EAGER;
	map(f.mm, o);
	EXPECT(remap(f.mm, 10, 2, 6, 0, 0) == 10);
	EXPECT(msn_mm_placed_bytes(f.mm) == 6 * PAGE);
	o = anon(30, 2);
	o.mlock_mode = MSN_MLOCK_LAZY;
	map(f.mm, o);
	EXPECT(remap(f.mm, 30, 2, 6, 0, 0) == 30);
	EXPECT(msn_mm_placed_bytes(f.mm) == 6 * PAGE);
	teardown(&f);
}

static void limits_are_kept(void)
{
	static const struct twin_step steps[] = {
		MAP(10, 10, RW),
		REMAP(10, 10, 30, 0, 0),
		REMAP(10, 10, 20, 0, 0),
		MAP(100, 10, R),
		REMAP(100, 10, 25, 0, 0),
		REMAP(100, 10, 10, KEEP | MREMAP_FIXED, 200),
	};

	twin_run("address space", steps, MSN_ARRAY_LEN(steps),
		 (struct twin_opts){ .as = 45 * PAGE });
	twin_run("data", steps, MSN_ARRAY_LEN(steps),
		 (struct twin_opts){ .data = 25 * PAGE });
}

static void the_limit_of_locked_memory_is_kept(void)
{
	struct fixture f = setup(false);
	struct msn_mm_limits l = msn_mm_no_limits();
	struct msn_mmap_opts o = anon(10, 4);

	l.can_lock = false;
	l.memlock = 6 * PAGE;
	msn_mm_set_limits(f.mm, &l);
	o.mlock_mode = MSN_MLOCK_EAGER;
	map(f.mm, o);
	EXPECT(remap(f.mm, 10, 4, 7, 0, 0) == -EAGAIN);
	EXPECT(remap(f.mm, 10, 4, 6, 0, 0) == 10);
	l.commit = 2 * PAGE;
	l.memlock = MSN_UNLIMITED;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(remap(f.mm, 10, 6, 9, 0, 0) == -ENOMEM);
	EXPECT(remap(f.mm, 10, 6, 8, 0, 0) == 10);
	EXPECT(remap(f.mm, 10, 8, 8, KEEP | MREMAP_FIXED, 30) == -ENOMEM);
	teardown(&f);
}

static void a_move_keeps_away_from_the_limit_of_mappings(void)
{
	/* As the kernel was seen to: six below for an address, four without. */
	struct fixture f = setup(false);
	struct msn_mm_limits l = msn_mm_no_limits();

	map(f.mm, anon(10, 8));
	for (uint64_t i = 0; i < 9; i++) {
		map(f.mm, anon(50 + 2 * i, 1));
		EXPECT(msn_mm_mprotect(f.mm, AT(50 + 2 * i), PAGE, 1) == 0);
	}
	/* There are 10 mappings. */
	l.mappings = 15;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(remap(f.mm, 10, 8, 8, FIXED, 100) == -ENOMEM);
	EXPECT(remap(f.mm, 10, 8, 8, KEEP, 100) == -ENOMEM);
	EXPECT(remap(f.mm, 10, 8, 10, 0, 0) == 10);
	EXPECT(remap(f.mm, 10, 10, 8, 0, 0) == 10);
	l.mappings = 16;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(remap(f.mm, 10, 8, 8, FIXED, 100) == 100);
	l.mappings = 13;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(remap(f.mm, 101, 2, 4, MOVE, 0) == -ENOMEM);
	l.mappings = 14;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(remap(f.mm, 101, 2, 4, MOVE, 0) > 1000);
	teardown(&f);
}

/* ---- Failures ------------------------------------------------------------ */

/* What a walk does, and over which platform. */
static bool walk_local;
static int walk_flags;

static void *prepare_walk(void)
{
	struct fixture *f = malloc(sizeof(*f));
	struct msn_mmap_opts o = anon(30, 4);

	CHECK(f);
	*f = setup(walk_local);
	map(f->mm, anon(10, 8));
	for (uint64_t i = 10; i < 18; i += 2)
		put(f->mm, AT(i), (char)('a' + i));
	o.private = false;
	set_shared(f, &o);
	map(f->mm, o);
	msn_identity_dec_ref(o.mapping_identity);
	put(f->mm, AT(31), 's');
	return f;
}

static int walk_private(void *state)
{
	struct fixture *f = state;
	int rc = remap(f->mm, 11, 6, walk_flags & MREMAP_DONTUNMAP ? 6 : 9,
		       walk_flags, 100);

	return rc < 0 ? rc : 0;
}

static int walk_shared(void *state)
{
	struct fixture *f = state;
	int rc = remap(f->mm, 31, 2, 2, walk_flags, 100);

	return rc < 0 ? rc : 0;
}

static void verify_private(void *state, int rc, const char *name)
{
	struct fixture *f = state;
	uint64_t at = rc ? 11 : 100;

	EXPECT(name ? rc == -ENOMEM || rc == 0 : rc == 0);
	for (uint64_t i = 1; i < 6; i++)
		EXPECT(get(f->mm, AT(at + i)) ==
		       ((11 + i) % 2 ? 0 : (int)('a' + 11 + i)));
	EXPECT(get(f->mm, AT(10)) == 'a' + 10 && get(f->mm, AT(31)) == 's');
	EXPECT((get(f->mm, AT(100)) == -EFAULT) == (rc != 0));
	teardown(f);
	free(f);
}

static void verify_shared(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(name ? rc == -ENOMEM || rc == 0 : rc == 0);
	EXPECT(get(f->mm, AT(rc ? 31 : 100)) == 's');
	EXPECT((get(f->mm, AT(100)) == -EFAULT) == (rc != 0));
	teardown(f);
	free(f);
}

static void a_move_that_fails_leaves_everything_as_it_was(void)
{
	static const int flags[] = { FIXED, KEEP | MREMAP_FIXED };

	for (size_t i = 0; i < 4; i++) {
		walk_local = i & 1;
		walk_flags = flags[i / 2];
		EXPECT(check_every_fault(prepare_walk, walk_private,
					 verify_private) > 0);
		EXPECT(check_every_fault(prepare_walk, walk_shared,
					 verify_shared) > 0);
	}
}

static int walk_growing(void *state)
{
	struct fixture *f = state;
	int rc = remap(f->mm, 10, 8, 16, 0, 0);

	return rc < 0 ? rc : 0;
}

static void verify_growing(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(name ? rc == -ENOMEM || rc == 0 : rc == 0);
	EXPECT(get(f->mm, AT(16)) == 'a' + 16);
	EXPECT(get(f->mm, AT(20)) == (rc ? -EFAULT : 0));
	teardown(f);
	free(f);
}

static void growth_that_fails_leaves_everything_as_it_was(void)
{
	for (int local = 0; local < 2; local++) {
		walk_local = local;
		EXPECT(check_every_fault(prepare_walk, walk_growing,
					 verify_growing) > 0);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(bad_arguments_get_the_errno_of_linux),
		CHECK_TEST(an_unaligned_address_is_refused),
		CHECK_TEST(shrinking_unmaps_the_tail_even_of_several_mappings),
		CHECK_TEST(growing_in_place_takes_the_room_behind),
		CHECK_TEST(growing_up_to_a_twin_makes_them_one),
		CHECK_TEST(growing_where_something_is_moves),
		CHECK_TEST(
			what_has_grown_keeps_its_bytes_and_reads_as_zero_behind),
		CHECK_TEST(moving_takes_the_pages_along),
		CHECK_TEST(moving_over_something_unmaps_it_first),
		CHECK_TEST(a_move_merges_where_offsets_and_histories_fit),
		CHECK_TEST(several_mappings_move_together_since_6_17),
		CHECK_TEST(a_seal_stops_a_move_half_way),
		CHECK_TEST(a_length_of_nothing_maps_shared_memory_twice),
		CHECK_TEST(shared_memory_moves_and_keeps_its_offsets),
		CHECK_TEST(objects_are_told_where_they_are_mapped),
		CHECK_TEST(what_is_kept_is_empty),
		CHECK_TEST(what_is_kept_reads_as_zero_under_both_platforms),
		CHECK_TEST(locked_memory_is_counted_and_filled_as_it_grows),
		CHECK_TEST(growing_populates_only_what_is_locked),
		CHECK_TEST(limits_are_kept),
		CHECK_TEST(the_limit_of_locked_memory_is_kept),
		CHECK_TEST(a_move_keeps_away_from_the_limit_of_mappings),
		CHECK_TEST(a_move_that_fails_leaves_everything_as_it_was),
		CHECK_TEST(growth_that_fails_leaves_everything_as_it_was),
		{}
	};

	return check_main(argc, argv, "mm remap", tests);
}
