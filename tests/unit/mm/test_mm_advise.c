/*
 * mm: madvise(2), over both platforms, and against the kernel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hostfile/hostfile.h"
#include "mm/mm_calls.h"
#include "mm/mm_internal.h"
#include "unit/mm/shared_object.h"
#include "unit/mm/twin.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int advise(struct fixture *f, uint64_t page, uint64_t pages, int advice)
{
	return msn_mm_madvise(f->mm, AT(page), pages * PAGE, advice);
}

static size_t line_count(struct msn_mm *mm)
{
	char *text;
	size_t n = 0;

	CHECK(msn_mm_maps(mm, &text) == 0);
	for (const char *c = text; *c; c++)
		n += *c == '\n';
	free(text);
	return n;
}

/* A file of three pages 'A' 'B' 'C'; the caller drops the identity. */
static struct msn_hostfile *make_file(void)
{
	char path[] = "/tmp/memsnap-test-XXXXXX", page[MSN_PAGE_SIZE];
	struct msn_hostfile *hf;
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	for (int i = 0; i < 3; i++) {
		memset(page, 'A' + i, PAGE);
		CHECK(write(fd, page, PAGE) == (ssize_t)PAGE);
	}
	close(fd);
	CHECK(msn_hostfile_open(&hf, path, true) == 0);
	unlink(path);
	return hf;
}

static struct msn_mmap_opts of_file(struct msn_hostfile *hf, uint64_t page,
				    uint64_t pages, bool private)
{
	struct msn_mmap_opts o = anon(page, pages);

	o.mappable = msn_hostfile_mappable(hf);
	o.mapping_identity = msn_hostfile_identity(hf);
	o.private = private;
	return o;
}

/* ---- Arguments ----------------------------------------------------------- */

static void arguments_are_checked_before_anything_is_done(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(1, 1));
		put(f.mm, AT(1), 'x');
		EXPECT(advise(&f, 1, 1, 5) == -EINVAL);
		EXPECT(advise(&f, 1, 0, 1000) == -EINVAL); /* length 0 too */
		EXPECT(msn_mm_madvise(f.mm, AT(1) + 1, 0, MADV_DONTNEED) ==
		       -EINVAL);
		EXPECT(msn_mm_madvise(f.mm, AT(1), UINT64_MAX, MADV_DONTNEED) ==
		       -EINVAL);
		EXPECT(msn_mm_madvise(f.mm, AT(1), -AT(1), MADV_DONTNEED) ==
		       -EINVAL); /* ends at 2^64 */
		EXPECT(advise(&f, 1, 0, MADV_DONTNEED) == 0);
		EXPECT(advise(&f, 9, 0, MADV_DONTNEED) == 0); /* unmapped */
		EXPECT(get(f.mm, AT(1)) == 'x');
		EXPECT(advise(&f, 1, 1, MADV_HWPOISON) == -EINVAL);
		EXPECT(advise(&f, 1, 1, 101) == -EINVAL); /* soft offline */
		EXPECT(advise(&f, 1, 1, MADV_COLLAPSE) == -EINVAL);
	}
}

static void a_hole_is_told_after_the_rest_is_done(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(1, 1));
		map(f.mm, anon(3, 1));
		put(f.mm, AT(1), 'x');
		put(f.mm, AT(3), 'y');
		EXPECT(advise(&f, 0, 5, MADV_DONTNEED) == -ENOMEM);
		EXPECT(get(f.mm, AT(1)) == 0 && get(f.mm, AT(3)) == 0);
		EXPECT(advise(&f, 10, 2, MADV_DONTNEED) == -ENOMEM);
	}
}

/* ---- DONTNEED ------------------------------------------------------------ */

static void dontneed_makes_private_pages_zero_and_gives_them_back(void)
{
	FOR_BOTH(f, local)
	{
		uint64_t used;

		map(f.mm, anon(0, 8));
		for (uint64_t i = 0; i < 8; i++)
			put(f.mm, AT(i), 'x');
		used = msn_memfile_used(f.mf);
		EXPECT(advise(&f, 2, 3, MADV_DONTNEED) == 0);
		EXPECT(get(f.mm, AT(1)) == 'x' && get(f.mm, AT(5)) == 'x');
		for (uint64_t i = 2; i < 5; i++)
			EXPECT(get(f.mm, AT(i)) == 0);
		if (!local)
			EXPECT(msn_memfile_used(f.mf) == used - 3 * PAGE);
		EXPECT(msn_mm_check(f.mm) == NULL);
		put(f.mm, AT(3), 'z'); /* and it can be used again */
		EXPECT(get(f.mm, AT(3)) == 'z');
		EXPECT(line_count(f.mm) == 1);
	}
}

static void dontneed_brings_the_files_bytes_back(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_hostfile *hf = make_file();

		map(f.mm, of_file(hf, 0, 3, true));
		put(f.mm, AT(1), 'x');
		put(f.mm, AT(2), 'y');
		EXPECT(advise(&f, 1, 1, MADV_DONTNEED) == 0);
		EXPECT(get(f.mm, AT(1)) == 'B' && get(f.mm, AT(2)) == 'y');
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

static void dontneed_shows_what_the_object_has_by_now(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(20, 1);

		set_shared(&f, &o);
		o.private = false;
		map(f.mm, o);
		put(f.mm, AT(20), 'o');
		o.private = true;
		o.addr = AT(0);
		map(f.mm, o);
		put(f.mm, AT(0), 'x');
		EXPECT(advise(&f, 20, 1, MADV_REMOVE) == 0);
		EXPECT(get(f.mm, AT(0)) == 'x');
		put(f.mm, AT(20), 'n');
		EXPECT(advise(&f, 0, 1, MADV_DONTNEED) == 0);
		/* Not the page that the copy was made of. */
		EXPECT(get(f.mm, AT(0)) == 'n');
		msn_identity_dec_ref(o.mapping_identity);
	}
}

static void dontneed_leaves_shared_data_alone(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(0, 4);

		o.private = false;
		set_shared(&f, &o);
		map(f.mm, o);
		put(f.mm, AT(1), 'x');
		EXPECT(advise(&f, 0, 4, MADV_DONTNEED) == 0);
		EXPECT(get(f.mm, AT(1)) == 'x');
		msn_identity_dec_ref(o.mapping_identity);
	}
}

static void dontneed_leaves_a_forks_other_half_alone(void)
{
	for (int local = 0; local < 2; local++) {
		struct fixture f = setup(local);
		struct msn_mm *child;

		map(f.mm, anon(0, 4));
		put(f.mm, AT(1), 'x');
		put(f.mm, AT(2), 'y');
		CHECK(msn_mm_fork(f.mm, make_platform(false), &child) == 0);
		put(f.mm, AT(2), 'Y'); /* the parent's copy */
		EXPECT(advise(&f, 0, 3, MADV_DONTNEED) == 0);
		EXPECT(get(f.mm, AT(1)) == 0 && get(f.mm, AT(2)) == 0);
		EXPECT(get(child, AT(1)) == 'x' && get(child, AT(2)) == 'y');
		EXPECT(msn_mm_check(child) == NULL);
		msn_mm_free(child);
		teardown(&f);
	}
}

static void locked_memory_is_discarded_only_when_told_so(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(0, 2);

		o.mlock_mode = MSN_MLOCK_EAGER;
		map(f.mm, o);
		put(f.mm, AT(0), 'x');
		EXPECT(advise(&f, 0, 2, MADV_DONTNEED) == -EINVAL);
		EXPECT(advise(&f, 0, 2, MADV_FREE) == -EINVAL);
		EXPECT(advise(&f, 0, 2, MADV_COLD) == -EINVAL);
		EXPECT(advise(&f, 0, 2, MADV_PAGEOUT) == -EINVAL);
		EXPECT(advise(&f, 0, 2, MADV_REMOVE) == -EINVAL);
		EXPECT(get(f.mm, AT(0)) == 'x');
		EXPECT(advise(&f, 0, 2, MADV_WILLNEED) == 0);
		EXPECT(advise(&f, 0, 2, MADV_DONTNEED_LOCKED) == 0);
		EXPECT(get(f.mm, AT(0)) == 0);
	}
}

static void sealed_memory_that_cannot_be_written_is_not_discarded(void)
{
	static const int discards[] = { MADV_FREE,	   MADV_DONTNEED,
					MADV_REMOVE,	   MADV_DONTFORK,
					MADV_WIPEONFORK,   MADV_DONTNEED_LOCKED,
					MADV_GUARD_INSTALL };

	FOR_BOTH(f, local)
	{
		struct msn_seg s;

		map(f.mm, anon(0, 2));
		put(f.mm, AT(0), 'x');
		s = msn_vma_set_find(&f.mm->vmas, AT(0));
		msn_vma_set_value(&f.mm->vmas, s)->flags |= MSN_VMA_SEALED;
		EXPECT(advise(&f, 0, 1, MADV_DONTNEED) == 0); /* writable */
		put(f.mm, AT(0), 'x');
		msn_vma_set_value(&f.mm->vmas, s)->flags ^= MSN_VMA_SEALED;
		CHECK(msn_mm_mprotect(f.mm, AT(0), 2 * PAGE, PROT_READ) == 0);
		msn_vma_set_value(&f.mm->vmas, s)->flags |= MSN_VMA_SEALED;
		for (size_t i = 0; i < MSN_ARRAY_LEN(discards); i++)
			EXPECT(advise(&f, 0, 1, discards[i]) == -EPERM);
		EXPECT(get(f.mm, AT(0)) == 'x');
		EXPECT(advise(&f, 0, 1, MADV_SEQUENTIAL) == 0);
	}
}

/* ---- FREE ---------------------------------------------------------------- */

static void freed_pages_stay_until_they_are_reclaimed(void)
{
	struct fixture f = setup(false);

	map(f.mm, anon(0, 4));
	for (uint64_t i = 0; i < 4; i++)
		put(f.mm, AT(i), 'x');
	EXPECT(msn_mm_reclaim_lazy(f.mm) == 0); /* none was given up */
	EXPECT(advise(&f, 0, 3, MADV_FREE) == 0);
	EXPECT(get(f.mm, AT(0)) == 'x' && get(f.mm, AT(2)) == 'x');
	put(f.mm, AT(1), 'w'); /* taken back */
	EXPECT(msn_mm_reclaim_lazy(f.mm) == 2 * PAGE);
	EXPECT(get(f.mm, AT(0)) == 0 && get(f.mm, AT(1)) == 'w');
	EXPECT(get(f.mm, AT(2)) == 0 && get(f.mm, AT(3)) == 'x');
	EXPECT(msn_memfile_used(f.mf) == 2 * PAGE);
	teardown(&f);
}

static void pages_that_another_space_has_too_are_not_freed(void)
{
	struct fixture f = setup(false);
	struct msn_mm *child;

	map(f.mm, anon(0, 2));
	put(f.mm, AT(0), 'x');
	put(f.mm, AT(1), 'y');
	CHECK(msn_mm_fork(f.mm, make_platform(false), &child) == 0);
	put(f.mm, AT(1), 'Y'); /* its own again */
	EXPECT(advise(&f, 0, 2, MADV_FREE) == 0);
	EXPECT(msn_mm_reclaim_lazy(f.mm) == PAGE);
	EXPECT(get(f.mm, AT(0)) == 'x' && get(f.mm, AT(1)) == 0);
	EXPECT(get(child, AT(1)) == 'y');
	msn_mm_free(child);
	teardown(&f);
}

static void only_private_anonymous_memory_can_be_freed(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_hostfile *hf = make_file();

		map(f.mm, of_file(hf, 0, 3, true));
		map(f.mm, anon(5, 1));
		put(f.mm, AT(5), 'x');
		EXPECT(advise(&f, 0, 1, MADV_FREE) == -EINVAL);
		EXPECT(advise(&f, 5, 1, MADV_FREE) == 0);
		EXPECT(get(f.mm, AT(5)) == 'x');
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

/* ---- REMOVE -------------------------------------------------------------- */

static void remove_punches_the_object_that_may_be_written(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_hostfile *hf = make_file();
		struct msn_mmap_opts ro = of_file(hf, 20, 3, false);

		ro.file_read_only = true;
		ro.perms = MSN_ACCESS_READ;
		ro.max_perms = MSN_ACCESS_READ;
		map(f.mm, of_file(hf, 0, 3, false));
		map(f.mm, of_file(hf, 10, 3, true));
		map(f.mm, ro);
		map(f.mm, anon(30, 1));
		EXPECT(advise(&f, 30, 1, MADV_REMOVE) == -EINVAL);
		EXPECT(advise(&f, 10, 1, MADV_REMOVE) == -EACCES);
		EXPECT(advise(&f, 20, 1, MADV_REMOVE) == -EACCES);
		EXPECT(get(f.mm, AT(1)) == 'B');
		put(f.mm, AT(12), 'p');
		EXPECT(advise(&f, 1, 4, MADV_REMOVE) == -ENOMEM); /* done */
		EXPECT(get(f.mm, AT(0)) == 'A' && get(f.mm, AT(1)) == 0);
		EXPECT(get(f.mm, AT(11)) == 0 && get(f.mm, AT(22)) == 0);
		EXPECT(get(f.mm, AT(12)) == 'p'); /* a copy outlives it */
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

/* ---- POPULATE ------------------------------------------------------------ */

static void populating_stops_where_a_page_cannot_be_had(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_hostfile *hf = make_file();

		map(f.mm, of_file(hf, 0, 5, false)); /* two past the end */
		map(f.mm, anon(10, 2));
		map(f.mm, anon(12, 2));
		CHECK(msn_mm_mprotect(f.mm, AT(12), 2 * PAGE, PROT_NONE) == 0);
		EXPECT(advise(&f, 0, 3, MADV_POPULATE_READ) == 0);
		EXPECT(advise(&f, 0, 5, MADV_POPULATE_READ) == -EFAULT);
		EXPECT(advise(&f, 10, 2, MADV_POPULATE_WRITE) == 0);
		EXPECT(advise(&f, 10, 4, MADV_POPULATE_WRITE) == -EINVAL);
		EXPECT(advise(&f, 12, 1, MADV_POPULATE_READ) == -EINVAL);
		EXPECT(advise(&f, 14, 1, MADV_POPULATE_READ) == -ENOMEM);
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

/* ---- Guards -------------------------------------------------------------- */

static void nobody_may_touch_a_guard_page(void)
{
	FOR_BOTH(f, local)
	{
		uint32_t word;

		map(f.mm, anon(0, 4));
		put(f.mm, AT(1), 'x');
		put(f.mm, AT(2), 'y');
		CHECK(advise(&f, 1, 1, MADV_GUARD_INSTALL) == 0);
		EXPECT(get(f.mm, AT(1)) == -EFAULT);
		EXPECT(msn_mm_load32(f.mm, AT(1), &word) == -EFAULT);
		EXPECT(get(f.mm, AT(0)) == 0 && get(f.mm, AT(2)) == 'y');
		if (!local)
			EXPECT(msn_mm_handle_fault(f.mm, AT(1),
						   MSN_ACCESS_READ) ==
			       MSN_MM_E_MAPERR);
		EXPECT(line_count(f.mm) == 1); /* no mapping of its own */
		/* Rights and discarding do not change that. */
		CHECK(msn_mm_mprotect(f.mm, AT(0), 4 * PAGE, PROT_READ) == 0);
		CHECK(msn_mm_mprotect(f.mm, AT(0), 4 * PAGE,
				      PROT_READ | PROT_WRITE) == 0);
		EXPECT(advise(&f, 0, 4, MADV_DONTNEED) == 0);
		EXPECT(advise(&f, 0, 4, MADV_FREE) == 0);
		EXPECT(msn_mm_reclaim_lazy(f.mm) == 0);
		EXPECT(get(f.mm, AT(1)) == -EFAULT);
		EXPECT(advise(&f, 0, 2, MADV_POPULATE_WRITE) == -EFAULT);
		EXPECT(advise(&f, 0, 4, MADV_GUARD_REMOVE) == 0);
		EXPECT(get(f.mm, AT(1)) == 0);
		put(f.mm, AT(1), 'z');
		EXPECT(get(f.mm, AT(1)) == 'z');
	}
}

static void guards_go_with_their_mapping_and_come_along_in_a_fork(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 4);
		struct msn_mm *child;

		o.private = false;
		set_shared(&f, &o);
		map(f.mm, o);
		map(f.mm, anon(0, 4));
		put(f.mm, AT(11), 's');
		put(f.mm, AT(12), 't');
		CHECK(advise(&f, 1, 2, MADV_GUARD_INSTALL) == 0);
		CHECK(advise(&f, 11, 1, MADV_GUARD_INSTALL) == 0);
		CHECK(msn_mm_fork(f.mm, make_platform(false), &child) == 0);
		EXPECT(msn_mm_check(child) == NULL);
		EXPECT(get(child, AT(1)) == -EFAULT);
		EXPECT(get(child, AT(11)) == -EFAULT);
		EXPECT(get(child, AT(12)) == 't');
		CHECK(msn_mm_madvise(child, AT(10), 4 * PAGE,
				     MADV_GUARD_REMOVE) == 0);
		EXPECT(get(child, AT(11)) == 's'); /* the object has it */
		put(child, AT(12), 'T');
		EXPECT(get(f.mm, AT(12)) == 'T');
		msn_mm_free(child);
		map(f.mm, anon(1, 2));
		EXPECT(get(f.mm, AT(1)) == 0);
		msn_identity_dec_ref(o.mapping_identity);
	}
}

static void a_locked_mapping_gets_no_guards(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 2));
		CHECK(advise(&f, 0, 1, MADV_GUARD_INSTALL) == 0);
		EXPECT(msn_mm_mlock(f.mm, AT(0), 2 * PAGE, MLOCK_ONFAULT) == 0);
		EXPECT(advise(&f, 1, 1, MADV_GUARD_INSTALL) == -EINVAL);
		EXPECT(advise(&f, 0, 1, MADV_GUARD_REMOVE) == 0);
		EXPECT(get(f.mm, AT(0)) == 0);
	}
}

/* ---- Flags --------------------------------------------------------------- */

static void flags_cut_mappings_and_join_them_again(void)
{
	static const int pairs[][2] = {
		{ MADV_RANDOM, MADV_NORMAL },
		{ MADV_SEQUENTIAL, MADV_NORMAL },
		{ MADV_DONTFORK, MADV_DOFORK },
		{ MADV_WIPEONFORK, MADV_KEEPONFORK },
		{ MADV_DONTDUMP, MADV_DODUMP },
		{ MADV_MERGEABLE, MADV_UNMERGEABLE },
	};

	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 6));
		put(f.mm, AT(3), 'x');
		for (size_t i = 0; i < MSN_ARRAY_LEN(pairs); i++) {
			EXPECT(advise(&f, 2, 2, pairs[i][0]) == 0);
			EXPECT(line_count(f.mm) == 3);
			EXPECT(advise(&f, 0, 6, pairs[i][1]) == 0);
			EXPECT(line_count(f.mm) == 1);
		}
		EXPECT(advise(&f, 2, 2, MADV_HUGEPAGE) == 0);
		EXPECT(advise(&f, 2, 2, MADV_NOHUGEPAGE) == 0);
		EXPECT(line_count(f.mm) == 3 && get(f.mm, AT(3)) == 'x');
	}
}

static void too_many_mappings_are_a_temporary_shortage(void)
{
	struct fixture f = setup(false);
	struct msn_mm_limits limits = msn_mm_no_limits();

	limits.mappings = 2;
	msn_mm_set_limits(f.mm, &limits);
	map(f.mm, anon(0, 6));
	EXPECT(advise(&f, 2, 2, MADV_RANDOM) == -EAGAIN);
	EXPECT(advise(&f, 0, 2, MADV_RANDOM) == 0); /* joined, not cut */
	teardown(&f);
}

static void a_child_does_not_get_what_was_kept_from_it(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mm *child;

		map(f.mm, anon(0, 3));
		put(f.mm, AT(0), 'a');
		put(f.mm, AT(1), 'b');
		put(f.mm, AT(2), 'c');
		EXPECT(advise(&f, 1, 1, MADV_WIPEONFORK) == 0);
		EXPECT(advise(&f, 2, 1, MADV_DONTFORK) == 0);
		CHECK(msn_mm_fork(f.mm, make_platform(false), &child) == 0);
		EXPECT(get(child, AT(0)) == 'a' && get(child, AT(1)) == 0);
		EXPECT(get(child, AT(2)) == -EFAULT);
		EXPECT(get(f.mm, AT(1)) == 'b');
		msn_mm_free(child);
	}
}

/* ---- Against the kernel -------------------------------------------------- */

static const struct twin_opts unprivileged = { .memlock = 8 * PAGE,
					       .presence = true };

static void discarding_agrees_with_the_kernel(void)
{
	TWIN_UNDER("discarding", unprivileged, MAP(0, 8, RW), PUT(1, 'x'),
		   PUT(2, 'y'), GET(4), ADVISE(2, 4, MADV_DONTNEED), GET(1),
		   GET(2), MAP_OF(TWIN_FILE, 10, 8, RW, MAP_PRIVATE),
		   PUT(12, 'z'), ADVISE(9, 4, MADV_DONTNEED), GET(12),
		   ADVISE(10, 8, MADV_FREE), MAP_AS(20, 4, RW, MAP_SHARED),
		   PUT(21, 's'), ADVISE(20, 4, MADV_DONTNEED),
		   ADVISE(20, 4, MADV_FREE), ADVISE(20, 1, MADV_WIPEONFORK),
		   ADVISE(21, 1, MADV_REMOVE), GET(21), ADVISE(0, 2, MADV_FREE),
		   GET(1), ADVISE(0, 1, MADV_REMOVE),
		   ADVISE(10, 1, MADV_REMOVE),
		   MAP_OF(TWIN_READ_ONLY, 30, 4, PROT_READ, MAP_SHARED),
		   ADVISE(30, 1, MADV_REMOVE),
		   MAP_OF(TWIN_ZERO, 40, 2, RW, MAP_PRIVATE),
		   ADVISE(40, 1, MADV_FREE), ADVISE(40, 1, MADV_REMOVE),
		   ADVISE(40, 1, MADV_WIPEONFORK),
		   STEP(TWIN_ADVISE, 0 * PAGE + 1, (1 * PAGE), MADV_DONTNEED),
		   STEP(TWIN_ADVISE, 0 * PAGE, (uint64_t)-1, MADV_DONTNEED),
		   ADVISE(0, 1, 101), ADVISE(0, 1, MADV_COLLAPSE),
		   ADVISE(60, 1, MADV_COLLAPSE));
}

static void flags_agree_with_the_kernel(void)
{
	TWIN_UNDER(
		"flags", unprivileged, MAP(0, 20, RW), PUT(1, 'x'),
		ADVISE(2, 2, MADV_RANDOM), ADVISE(6, 2, MADV_SEQUENTIAL),
		ADVISE(4, 2, MADV_DONTFORK), ADVISE(7, 3, MADV_WIPEONFORK),
		ADVISE(0, 9, MADV_NORMAL), ADVISE(12, 2, MADV_DONTDUMP),
		ADVISE(14, 2, MADV_MERGEABLE), ADVISE(16, 2, MADV_NOHUGEPAGE),
		ADVISE(17, 2, MADV_HUGEPAGE),
		MAP_OF(TWIN_FILE, 21, 4, PROT_READ, MAP_PRIVATE),
		ADVISE(22, 1, MADV_MERGEABLE), ADVISE(24, 1, MADV_WIPEONFORK),
		MAP_OF(TWIN_FILE, 30, 4, PROT_READ, MAP_SHARED),
		ADVISE(31, 1, MADV_MERGEABLE), ADVISE(31, 1, MADV_KEEPONFORK),
		ADVISE(20, 12, MADV_DONTFORK), ADVISE(8, 20, MADV_DODUMP));
}

static void populating_agrees_with_the_kernel(void)
{
	TWIN_UNDER("populating", unprivileged, MAP(0, 8, RW),
		   ADVISE(0, 2, MADV_POPULATE_READ),
		   ADVISE(4, 2, MADV_POPULATE_WRITE),
		   ADVISE(6, 6, MADV_POPULATE_WRITE),
		   MAP_OF(TWIN_FILE, 10, 12, PROT_READ, MAP_PRIVATE),
		   ADVISE(10, 8, MADV_POPULATE_READ),
		   ADVISE(10, 8, MADV_POPULATE_WRITE),
		   ADVISE(10, 12, MADV_POPULATE_READ),
		   MAP_AS(30, 4, PROT_WRITE, MAP_SHARED),
		   ADVISE(30, 1, MADV_POPULATE_READ),
		   ADVISE(30, 1, MADV_POPULATE_WRITE),
		   MAP_OF(TWIN_FILE, 40, 8, RW, MAP_SHARED),
		   ADVISE(40, 8, MADV_POPULATE_WRITE), MAP(50, 1, PROT_NONE),
		   ADVISE(50, 1, MADV_POPULATE_READ),
		   ADVISE(50, 1, MADV_WILLNEED), ADVISE(40, 8, MADV_WILLNEED),
		   ADVISE(40, 8, MADV_COLD));
}

static void guards_agree_with_the_kernel(void)
{
	TWIN_UNDER("guards", unprivileged, MAP(0, 8, RW), PUT(1, 'x'),
		   ADVISE(1, 2, MADV_GUARD_INSTALL), GET(1), PUT(2, 'y'),
		   MINCORE(0, 8), ADVISE(0, 8, MADV_DONTNEED), GET(1),
		   LOCK(0, 2, 0), ADVISE(0, 1, MADV_GUARD_INSTALL),
		   ADVISE(0, 2, MADV_GUARD_REMOVE), GET(1), GET(2),
		   MAP(8, 4, RW), MAP_OF(TWIN_FILE, 20, 8, RW, MAP_SHARED),
		   ADVISE(21, 2, MADV_GUARD_INSTALL), GET(20), GET(21),
		   MINCORE(20, 8), ADVISE(19, 5, MADV_GUARD_REMOVE), GET(21),
		   ADVISE(40, 1, MADV_GUARD_INSTALL));
}

/* ---- Failures ------------------------------------------------------------ */

static bool walk_local;

static void *prepare_walk(void)
{
	struct fixture *f = malloc(sizeof(*f));

	CHECK(f);
	*f = setup(walk_local);
	map(f->mm, anon(0, 8));
	for (uint64_t i = 0; i < 8; i++)
		put(f->mm, AT(i), 'x');
	return f;
}

static int body_walk(void *state)
{
	struct fixture *f = state;
	int rc = advise(f, 1, 2, MADV_DONTNEED);

	if (rc == 0)
		rc = advise(f, 4, 2, MADV_FREE);
	if (rc == 0)
		rc = advise(f, 2, 3, MADV_RANDOM);
	if (rc == 0)
		rc = advise(f, 5, 2, MADV_GUARD_INSTALL);
	if (rc == 0)
		rc = advise(f, 0, 8, MADV_GUARD_REMOVE);
	return rc ? rc : advise(f, 0, 8, MADV_POPULATE_WRITE);
}

static void verify_walk(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	/* What page references keep in stock may run low unnoticed. */
	EXPECT(rc == 0 || (name && (rc == -EAGAIN || rc == -ENOMEM)));
	EXPECT(get(f->mm, AT(0)) == 'x' && get(f->mm, AT(7)) == 'x');
	EXPECT(get(f->mm, AT(1)) == (rc ? get(f->mm, AT(2)) : 0));
	teardown(f);
	free(f);
}

static void every_failure_leaves_the_space_whole(void)
{
	for (int local = 0; local < 2; local++) {
		walk_local = local;
		EXPECT(check_every_fault(prepare_walk, body_walk, verify_walk) >
		       0);
	}
}

/* On page tables, two pages of its own over a file: only a fork brings them. */
static void *prepare_own(void)
{
	struct fixture *f = malloc(sizeof(*f));
	struct msn_hostfile *hf = make_file();
	struct msn_mm *parent;

	CHECK(f);
	*f = setup(false);
	map(f->mm, of_file(hf, 0, 4, true));
	msn_identity_dec_ref(msn_hostfile_identity(hf));
	put(f->mm, AT(0), 'x');
	put(f->mm, AT(1), 'y');
	parent = f->mm;
	CHECK(msn_mm_fork(parent, make_platform(true), &f->mm) == 0);
	msn_mm_free(parent);
	return f;
}

static int body_own(void *state)
{
	return advise(state, 0, 4, MADV_DONTNEED);
}

/* Code that runs there sees the one or the other, and never nothing. */
static void verify_own(void *state, int rc, const char *name)
{
	struct fixture *f = state;
	const volatile char *at = (const char *)AT(0);

	EXPECT(rc == 0 || (name && rc < 0));
	EXPECT(at[0] == 'A' || (rc && at[0] == 'x'));
	EXPECT(at[PAGE] == 'B' || (rc && at[PAGE] == 'y'));
	EXPECT(at[2 * PAGE] == 'C');
	EXPECT(get(f->mm, AT(0)) == at[0] && get(f->mm, AT(1)) == at[PAGE]);
	teardown(f);
	free(f);
}

static void what_cannot_be_discarded_stays(void)
{
	EXPECT(check_every_fault(prepare_own, body_own, verify_own) > 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(arguments_are_checked_before_anything_is_done),
		CHECK_TEST(a_hole_is_told_after_the_rest_is_done),
		CHECK_TEST(
			dontneed_makes_private_pages_zero_and_gives_them_back),
		CHECK_TEST(dontneed_brings_the_files_bytes_back),
		CHECK_TEST(dontneed_shows_what_the_object_has_by_now),
		CHECK_TEST(dontneed_leaves_shared_data_alone),
		CHECK_TEST(dontneed_leaves_a_forks_other_half_alone),
		CHECK_TEST(locked_memory_is_discarded_only_when_told_so),
		CHECK_TEST(
			sealed_memory_that_cannot_be_written_is_not_discarded),
		CHECK_TEST(freed_pages_stay_until_they_are_reclaimed),
		CHECK_TEST(pages_that_another_space_has_too_are_not_freed),
		CHECK_TEST(only_private_anonymous_memory_can_be_freed),
		CHECK_TEST(remove_punches_the_object_that_may_be_written),
		CHECK_TEST(populating_stops_where_a_page_cannot_be_had),
		CHECK_TEST(nobody_may_touch_a_guard_page),
		CHECK_TEST(
			guards_go_with_their_mapping_and_come_along_in_a_fork),
		CHECK_TEST(a_locked_mapping_gets_no_guards),
		CHECK_TEST(flags_cut_mappings_and_join_them_again),
		CHECK_TEST(too_many_mappings_are_a_temporary_shortage),
		CHECK_TEST(a_child_does_not_get_what_was_kept_from_it),
		CHECK_TEST(discarding_agrees_with_the_kernel),
		CHECK_TEST(flags_agree_with_the_kernel),
		CHECK_TEST(populating_agrees_with_the_kernel),
		CHECK_TEST(guards_agree_with_the_kernel),
		CHECK_TEST(every_failure_leaves_the_space_whole),
		CHECK_TEST(what_cannot_be_discarded_stays),
		{}
	};

	return check_main(argc, argv, "mm advise", tests);
}
