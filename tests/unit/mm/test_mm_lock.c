/*
 * mm: the mlock family and msync(2), over both platforms, and against the
 * kernel.
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

static void limit_locks(struct msn_mm *mm, uint64_t pages)
{
	struct msn_mm_limits limits = msn_mm_no_limits();

	limits.memlock = pages * PAGE;
	limits.can_lock = false;
	msn_mm_set_limits(mm, &limits);
}

static int lock(struct fixture *f, uint64_t page, uint64_t pages)
{
	return msn_mm_mlock(f->mm, AT(page), pages * PAGE, 0);
}

/* Pages of [page, page + pages) that are present, as mincore sees it. */
static unsigned present(struct fixture *f, uint64_t page, size_t pages)
{
	uint64_t words[16];
	unsigned n = 0;

	CHECK(pages <= 16);
	CHECK(msn_mm_pagemap(f->mm, AT(page), pages, words) == 0);
	for (size_t i = 0; i < pages; i++)
		n += (words[i] & MSN_PAGEMAP_PRESENT) != 0;
	return n;
}

/* The same in the page tables of this process. */
static unsigned really_present(uint64_t page, size_t pages)
{
	FILE *file = fopen("/proc/self/pagemap", "r");
	uint64_t word;
	unsigned n = 0;

	CHECK(file && fseek(file, (long)(AT(page) / PAGE * 8), SEEK_SET) == 0);
	for (size_t i = 0; i < pages; i++) {
		CHECK(fread(&word, sizeof(word), 1, file) == 1);
		n += word >> 63 ? 1 : 0;
	}
	fclose(file);
	return n;
}

/* ---- mlock --------------------------------------------------------------- */

static void locking_brings_every_page_in(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 8));
		EXPECT(msn_mm_mlock(f.mm, AT(2) + 5, PAGE, 0) == 0);
		EXPECT(f.mm->sizes.locked == 2 * PAGE); /* both it touches */
		EXPECT((local ? really_present(0, 8) : present(&f, 0, 8)) == 2);
		EXPECT(msn_mm_munlock(f.mm, AT(0), 8 * PAGE) == 0);
		EXPECT(f.mm->sizes.locked == 0);
	}
}

static void locking_brings_a_long_range_in(void)
{
	/* Three tables of pages, the outer ones in part. */
	struct fixture f = setup(false);

	map(f.mm, anon(500, 600));
	EXPECT(msn_mm_mlock(f.mm, AT(500), 600 * PAGE, 0) == 0);
	EXPECT(msn_mm_placed_bytes(f.mm) == 600 * PAGE);
	teardown(&f);
}

static void locking_on_fault_brings_nothing_in(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 4));
		EXPECT(msn_mm_mlock(f.mm, AT(0), 4 * PAGE, MLOCK_ONFAULT) == 0);
		EXPECT(f.mm->sizes.locked == 4 * PAGE);
		EXPECT((local ? really_present(0, 4) : present(&f, 0, 4)) == 0);
		EXPECT(msn_mm_mlock(f.mm, AT(0), PAGE, 2) == -EINVAL);
	}
}

static void what_is_locked_already_counts_once(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 8));
		limit_locks(f.mm, 4);
		EXPECT(lock(&f, 0, 3) == 0);
		EXPECT(lock(&f, 0, 4) == 0);
		EXPECT(lock(&f, 0, 4) == 0);
		EXPECT(lock(&f, 4, 1) == -ENOMEM);
		EXPECT(lock(&f, 3, 2) == -ENOMEM);
		limit_locks(f.mm, 0);
		EXPECT(lock(&f, 0, 1) == -EPERM);
		EXPECT(msn_mm_mlockall(f.mm, MCL_FUTURE) == -EPERM);
		EXPECT(msn_mm_munlock(f.mm, AT(0), 4 * PAGE) == 0);
	}
}

static void a_hole_ends_locking_and_keeps_what_came_before(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 2));
		map(f.mm, anon(3, 2));
		EXPECT(lock(&f, 0, 5) == -ENOMEM);
		EXPECT(f.mm->sizes.locked == 2 * PAGE);
		EXPECT(lock(&f, 2, 2) == -ENOMEM); /* begins in the hole */
		EXPECT(f.mm->sizes.locked == 2 * PAGE);
		EXPECT(msn_mm_munlock(f.mm, AT(0), 5 * PAGE) == -ENOMEM);
		EXPECT(f.mm->sizes.locked == 0);
	}
}

static void what_cannot_be_brought_in_is_locked_and_told(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 2));
		CHECK(msn_mm_mprotect(f.mm, AT(0), 2 * PAGE, PROT_NONE) == 0);
		EXPECT(lock(&f, 0, 2) == -ENOMEM);
		EXPECT(f.mm->sizes.locked == 2 * PAGE);
	}
}

static void writable_again_a_locked_mapping_gets_its_own_pages(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 2));
		put(f.mm, AT(0), 'x');
		CHECK(msn_mm_mprotect(f.mm, AT(0), 2 * PAGE, PROT_READ) == 0);
		EXPECT(lock(&f, 0, 2) == 0);
		CHECK(msn_mm_mprotect(f.mm, AT(0), 2 * PAGE,
				      PROT_READ | PROT_WRITE) == 0);
		EXPECT(get(f.mm, AT(0)) == 'x' && get(f.mm, AT(1)) == 0);
		EXPECT((local ? really_present(0, 2) : present(&f, 0, 2)) == 2);
	}
}

static void locking_all_is_for_now_or_for_later(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 2));
		map(f.mm, anon(4, 2));
		EXPECT(msn_mm_mlockall(f.mm, 0) == -EINVAL);
		EXPECT(msn_mm_mlockall(f.mm, MCL_ONFAULT) == -EINVAL);
		EXPECT(msn_mm_mlockall(f.mm, 8) == -EINVAL);
		EXPECT(msn_mm_mlockall(f.mm, MCL_CURRENT) == 0);
		EXPECT(f.mm->sizes.locked == 4 * PAGE);
		EXPECT((local ? really_present(0, 6) : present(&f, 0, 2)) >= 2);
		map(f.mm, anon(8, 2)); /* the future was not meant */
		EXPECT(f.mm->sizes.locked == 4 * PAGE);
		EXPECT(msn_mm_mlockall(f.mm, MCL_FUTURE | MCL_ONFAULT) == 0);
		EXPECT(f.mm->sizes.locked == 4 * PAGE);
		map(f.mm, anon(12, 2));
		EXPECT(f.mm->sizes.locked == 6 * PAGE);
		EXPECT((local ? really_present(12, 2) : present(&f, 12, 2)) ==
		       0);
		msn_mm_munlockall(f.mm);
		EXPECT(f.mm->sizes.locked == 0);
		map(f.mm, anon(16, 2));
		EXPECT(f.mm->sizes.locked == 0);
	}
}

static void locking_all_is_limited_by_all_that_is_mapped(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 4));
		limit_locks(f.mm, 3);
		EXPECT(msn_mm_mlockall(f.mm, MCL_CURRENT) == -ENOMEM);
		EXPECT(f.mm->sizes.locked == 0);
		EXPECT(msn_mm_mlockall(f.mm, MCL_FUTURE) == 0);
		limit_locks(f.mm, 4);
		EXPECT(msn_mm_mlockall(f.mm, MCL_CURRENT) == 0);
	}
}

static void memory_that_may_vanish_is_never_locked(void)
{
	struct fixture f = setup(false);
	struct msn_mmap_opts o = anon(0, 2);

	o.droppable = true;
	map(f.mm, o);
	EXPECT(lock(&f, 0, 2) == 0);
	EXPECT(f.mm->sizes.locked == 0);
	teardown(&f);
}

/* ---- msync --------------------------------------------------------------- */

/* An object that counts what it is asked to write back. */
struct counted {
	struct msn_identity identity;
	struct msn_identity *real;
	struct msn_mm *mm;
	unsigned refs, calls;
	struct msn_obj_range last;
	int answer;
};

static struct counted *counted_of(struct msn_identity *id)
{
	return msn_container_of(id, struct counted, identity);
}

static void counted_inc_ref(struct msn_identity *id)
{
	counted_of(id)->refs++;
}

static void counted_dec_ref(struct msn_identity *id)
{
	counted_of(id)->refs--;
}

static const char *counted_name(struct msn_identity *id)
{
	(void)id;
	return "/counted";
}

static uint64_t counted_number(struct msn_identity *id)
{
	(void)id;
	return 1;
}

static int counted_msync(struct msn_identity *id, struct msn_obj_range r)
{
	struct counted *c = counted_of(id);

	EXPECT(c->refs > 1); /* one more than the mapping's */
	/* No lock is held: a call that takes it goes through. */
	CHECK(msn_mm_munlock(c->mm, AT(0), 0) == 0);
	c->calls++;
	c->last = r;
	return c->answer;
}

static const struct msn_identity_ops counted_ops = {
	.name = "counted",
	.inc_ref = counted_inc_ref,
	.dec_ref = counted_dec_ref,
	.mapped_name = counted_name,
	.device_id = counted_number,
	.inode_id = counted_number,
	.msync = counted_msync,
};

static void map_counted(struct fixture *f, struct counted *c, uint64_t page,
			bool private)
{
	struct msn_mmap_opts o = anon(page, 4);

	if (!c->mm) {
		set_shared(f, &o);
		*c = (struct counted){ .identity = { &counted_ops },
				       .real = o.mapping_identity,
				       .mm = f->mm };
		o.mapping_identity = &c->identity;
	}
	o.private = private;
	map(f->mm, o);
}

static void msync_writes_back_shared_mappings_only(void)
{
	FOR_BOTH(f, local)
	{
		struct counted c = { 0 };

		map_counted(&f, &c, 0, false);
		map(f.mm, anon(4, 2));
		EXPECT(msn_mm_msync(f.mm, AT(1), 5 * PAGE, MS_SYNC) == 0);
		EXPECT(c.calls == 1);
		EXPECT(c.last.start == PAGE && c.last.end == 4 * PAGE);
		EXPECT(msn_mm_msync(f.mm, AT(0), 6 * PAGE, MS_ASYNC) == 0);
		EXPECT(msn_mm_msync(f.mm, AT(0), 6 * PAGE, 0) == 0);
		EXPECT(c.calls == 1);
		c.answer = -EIO;
		EXPECT(msn_mm_msync(f.mm, AT(0), 8 * PAGE, MS_SYNC) == -EIO);
		CHECK(msn_mm_munmap(f.mm, AT(0), 8 * PAGE) == 0);
		EXPECT(c.refs == 0);
		msn_identity_dec_ref(c.real);
	}
}

static void msync_checks_arguments_holes_and_locks(void)
{
	FOR_BOTH(f, local)
	{
		struct counted c = { 0 };

		map_counted(&f, &c, 2, false);
		EXPECT(msn_mm_msync(f.mm, AT(2), PAGE, 8) == -EINVAL);
		EXPECT(msn_mm_msync(f.mm, AT(2) + 1, PAGE, 0) == -EINVAL);
		EXPECT(msn_mm_msync(f.mm, AT(2), PAGE, MS_SYNC | MS_ASYNC) ==
		       -EINVAL);
		EXPECT(msn_mm_msync(f.mm, AT(2), -PAGE, MS_SYNC) == -ENOMEM);
		EXPECT(msn_mm_msync(f.mm, AT(0), 0, MS_SYNC) == 0);
		/* A hole is told at the end, but for MS_ASYNC alone. */
		EXPECT(msn_mm_msync(f.mm, AT(0), 4 * PAGE, MS_SYNC) == -ENOMEM);
		EXPECT(c.calls == 1);
		EXPECT(lock(&f, 3, 1) == 0);
		EXPECT(msn_mm_msync(f.mm, AT(2), 4 * PAGE, MS_INVALIDATE) ==
		       -EBUSY);
		EXPECT(msn_mm_msync(f.mm, AT(0), 8 * PAGE, MS_ASYNC) ==
		       -ENOMEM);
		CHECK(msn_mm_munmap(f.mm, AT(0), 8 * PAGE) == 0);
		msn_identity_dec_ref(c.real);
	}
}

/* ---- Against the kernel -------------------------------------------------- */

static const struct twin_opts unprivileged = { .memlock = 8 * PAGE,
					       .presence = true };

static void locking_agrees_with_the_kernel(void)
{
	TWIN_UNDER("locking", unprivileged, MAP(0, 8, RW),
		   STEP(TWIN_LOCK, 0 * PAGE + 7, 1, 0),
		   LOCK(2, 2, MLOCK_ONFAULT), LOCK(2, 2, 6), LOCK(0, 8, 0),
		   LOCK(0, 9, 0), UNLOCK(3, 2), LOCK(6, 3, 0), UNLOCK(0, 20),
		   MAP_OF(TWIN_FILE, 10, 4, PROT_READ, MAP_PRIVATE),
		   LOCK(10, 4, 0), MAP_OF(TWIN_FILE, 20, 12, RW, MAP_PRIVATE),
		   LOCK(26, 3, 0), /* past the end */
		   UNLOCK(10, 30), UNLOCK(20, 12), MAP(40, 2, PROT_NONE),
		   LOCK(40, 2, 0), STEP(TWIN_LOCK, 41 * PAGE, 0, 0),
		   PROTECT(40, 1, RW), ADVISE(40, 1, MADV_DONTNEED),
		   ADVISE(40, 1, MADV_DONTNEED_LOCKED), UNLOCK(40, 2),
		   MAP_AS(50, 2, RW, MAP_SHARED), LOCK(50, 2, 0),
		   MINCORE(50, 2), STEP(TWIN_LOCK, 0 * PAGE, (uint64_t)-1, 0),
		   STEP(TWIN_LOCK, 0 * PAGE, (uint64_t) - (2 * PAGE), 0),
		   STEP(TWIN_UNLOCK, 0 * PAGE, (uint64_t) - (2 * PAGE), 0),
		   LOCK_ALL(0), LOCK_ALL(MCL_ONFAULT), LOCK_ALL(MCL_FUTURE),
		   MAP(56, 2, RW), UNLOCK_ALL(), MAP(60, 2, RW));
}

static void syncing_agrees_with_the_kernel(void)
{
	TWIN_UNDER("syncing", unprivileged,
		   MAP_OF(TWIN_FILE, 2, 4, RW, MAP_SHARED), PUT(3, 'x'),
		   SYNC(2, 4, MS_SYNC), SYNC(2, 4, MS_ASYNC),
		   SYNC(2, 4, MS_SYNC | MS_ASYNC), SYNC(2, 4, 16),
		   STEP(TWIN_SYNC, 2 * PAGE + 1, (4 * PAGE), MS_SYNC),
		   SYNC(0, 4, MS_SYNC), SYNC(0, 1, MS_SYNC),
		   SYNC(0, 4, MS_ASYNC), SYNC(2, 8, MS_SYNC),
		   STEP(TWIN_SYNC, 2 * PAGE, (uint64_t)-1, MS_SYNC),
		   STEP(TWIN_SYNC, 2 * PAGE, (uint64_t) - (1 * PAGE), MS_SYNC),
		   LOCK(3, 1, 0), SYNC(2, 1, MS_INVALIDATE),
		   SYNC(2, 4, MS_INVALIDATE | MS_SYNC),
		   SYNC(0, 4, MS_INVALIDATE | MS_ASYNC));
}

/* ---- Failures ------------------------------------------------------------ */

static bool walk_local;

static void *prepare_walk(void)
{
	struct fixture *f = malloc(sizeof(*f));

	CHECK(f);
	*f = setup(walk_local);
	map(f->mm, anon(0, 8));
	put(f->mm, AT(3), 'x');
	return f;
}

static int body_walk(void *state)
{
	struct fixture *f = state;
	int rc = lock(f, 2, 3);

	return rc ? rc : msn_mm_mlockall(f->mm, MCL_CURRENT | MCL_FUTURE);
}

static void verify_walk(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(rc == 0 || (name && (rc == -EAGAIN || rc == -ENOMEM)));
	EXPECT(get(f->mm, AT(3)) == 'x');
	msn_mm_munlockall(f->mm);
	EXPECT(f->mm->sizes.locked == 0);
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

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(locking_brings_every_page_in),
		CHECK_TEST(locking_brings_a_long_range_in),
		CHECK_TEST(locking_on_fault_brings_nothing_in),
		CHECK_TEST(what_is_locked_already_counts_once),
		CHECK_TEST(a_hole_ends_locking_and_keeps_what_came_before),
		CHECK_TEST(what_cannot_be_brought_in_is_locked_and_told),
		CHECK_TEST(writable_again_a_locked_mapping_gets_its_own_pages),
		CHECK_TEST(locking_all_is_for_now_or_for_later),
		CHECK_TEST(locking_all_is_limited_by_all_that_is_mapped),
		CHECK_TEST(memory_that_may_vanish_is_never_locked),
		CHECK_TEST(msync_writes_back_shared_mappings_only),
		CHECK_TEST(msync_checks_arguments_holes_and_locks),
		CHECK_TEST(locking_agrees_with_the_kernel),
		CHECK_TEST(syncing_agrees_with_the_kernel),
		CHECK_TEST(every_failure_leaves_the_space_whole),
		{}
	};

	return check_main(argc, argv, "mm lock", tests);
}
