/*
 * Memory file: from the last reference back to the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "fixture.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define RELEASER ((struct msn_memfile_opts){ .releaser = true })

/* Waits for the releaser's thread; false after ten seconds. */
static bool comes_to(uint64_t (*figure)(struct msn_memfile *mf),
		     struct msn_memfile *mf, uint64_t want)
{
	for (int i = 0; i < 1000; i++) {
		if (figure(mf) == want)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return false;
}

static void write_all(struct msn_memfile *mf, struct msn_file_range r)
{
	for (uint64_t i = 0; i < msn_file_range_length(r) / PAGE; i++)
		touch(mf, r, i, 'w');
}

static void the_last_reference_makes_waste_and_the_drain_frees_it(void)
{
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP);

	touch(mf, r, 1, 'y');
	msn_file_inc_ref(file, r, 0);
	drop(mf, part(r, 1, 3));
	EXPECT(msn_memfile_used(mf) == 4 * PAGE);
	EXPECT(msn_memfile_waste(mf) == 0);
	drop(mf, part(r, 1, 3));
	EXPECT(msn_memfile_used(mf) == 2 * PAGE);
	EXPECT(msn_memfile_waste(mf) == 2 * PAGE);
	EXPECT(host_bytes(mf) == PAGE);
	EXPECT(msn_memfile_check(mf) == NULL);
	msn_memfile_drain(mf);
	EXPECT(msn_memfile_waste(mf) == 0);
	EXPECT(host_bytes(mf) == 0);
	for (int i = 0; i < 2; i++) {
		drop(mf, part(r, 0, 1));
		drop(mf, part(r, 3, 4));
	}
	done_with(mf);
}

static void waste_is_never_shown(void)
{
	/* written   * * * * ; the middle goes */
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), data;

	write_all(mf, r);
	drop(mf, part(r, 1, 3));
	EXPECT(host_bytes(mf) == 4 * PAGE);
	CHECK(msn_file_next_data(file, r, &data) == 0);
	EXPECT(data.start == r.start && data.end == r.start + PAGE);
	CHECK(msn_file_next_data(file, part(r, 1, 4), &data) == 0);
	EXPECT(data.start == r.start + 3 * PAGE && data.end == r.end);
	EXPECT(msn_file_next_data(file, part(r, 1, 3), &data) ==
	       MSN_FILE_E_NO_DATA);
	drop(mf, part(r, 0, 1));
	drop(mf, part(r, 3, 4));
	done_with(mf);
}

static void what_is_recycled_reads_as_zero_and_keeps_its_memory(void)
{
	/* waste  | x . x x | ; taken again together with the free page on */
	/* either side */
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), again;

	touch(mf, r, 0, 'x');
	touch(mf, r, 2, 'x');
	touch(mf, r, 3, 'x');
	drop(mf, r);
	EXPECT(msn_memfile_waste(mf) == 4 * PAGE);
	again = take(mf, 6, MSN_BOTTOM_UP);
	EXPECT(again.start == r.start);
	EXPECT(msn_memfile_waste(mf) == 0);
	EXPECT(host_bytes(mf) == 3 * PAGE); /* no more than there was */
	for (uint64_t i = 0; i < 6; i++)
		EXPECT(peek(mf, again, i) == 0);
	drop(mf, again);
	done_with(mf);
}

static void a_part_of_the_waste_can_be_recycled(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 8, MSN_BOTTOM_UP), mid;

	write_all(mf, r);
	drop(mf, r);
	mid = take_with(
		mf, (struct msn_memfile_alloc){ .length = 2 * PAGE,
						.near = r.start + 3 * PAGE });
	EXPECT(mid.start == r.start + 3 * PAGE);
	EXPECT(msn_memfile_waste(mf) == 6 * PAGE);
	EXPECT(msn_memfile_check(mf) == NULL);
	EXPECT(peek(mf, mid, 0) == 0 && peek(mf, mid, 1) == 0);
	drop(mf, mid);
	done_with(mf);
}

static void a_large_range_passes_waste_by(void)
{
	/* file   |waste|free ...|used|waste|free ... */
	struct msn_memfile *mf = make();
	uint64_t large = MSN_RECYCLE_BYTES_MAX + PAGE;
	struct msn_file_range a = take(mf, 4, MSN_BOTTOM_UP);
	struct msn_file_range u =
		take_with(mf, (struct msn_memfile_alloc){ .length = PAGE,
							  .near = 4 * MIB });
	struct msn_file_range w =
		take_with(mf, (struct msn_memfile_alloc){ .length = PAGE,
							  .near = u.end });
	struct msn_file_range up, down;

	write_all(mf, a);
	touch(mf, w, 0, 'w');
	drop(mf, a);
	drop(mf, w);
	up = take_with(mf, (struct msn_memfile_alloc){ .length = large });
	EXPECT(up.start == a.end);
	down = take_with(mf,
			 (struct msn_memfile_alloc){ .length = large,
						     .direction = MSN_TOP_DOWN,
						     .near = w.end + large });
	EXPECT(down.start == w.end);
	EXPECT(msn_memfile_waste(mf) == 5 * PAGE);
	drop(mf, u);
	drop(mf, up);
	drop(mf, down);
	done_with(mf);
}

static void without_a_releaser_little_waste_is_kept(void)
{
	struct msn_memfile *mf = make();

	for (int i = 0; i < 8; i++) {
		struct msn_file_range r = take(mf, MIB / PAGE, MSN_BOTTOM_UP);
		struct msn_file_range s = take(mf, MIB / PAGE, MSN_BOTTOM_UP);
		struct msn_file_range t = take(mf, MIB / PAGE, MSN_BOTTOM_UP);

		write_all(mf, r);
		write_all(mf, s);
		write_all(mf, t);
		drop(mf, s);
		drop(mf, r);
		drop(mf, t);
		EXPECT(msn_memfile_waste(mf) <= MSN_WASTE_BYTES_KEPT);
		EXPECT(host_bytes(mf) <= MSN_WASTE_BYTES_KEPT);
	}
	done_with(mf);
}

static void the_releaser_gives_everything_back(void)
{
	struct msn_memfile *mf = make_with(RELEASER);
	struct msn_file_range r = take(mf, 1000, MSN_BOTTOM_UP);

	write_all(mf, r);
	for (uint64_t i = 0; i < 1000; i += 2)
		drop(mf, part(r, i, i + 1));
	EXPECT(comes_to(msn_memfile_waste, mf, 0));
	EXPECT(host_bytes(mf) == 500 * PAGE);
	EXPECT(msn_memfile_check(mf) == NULL);
	for (uint64_t i = 1; i < 1000; i += 2)
		drop(mf, part(r, i, i + 1));
	EXPECT(comes_to(host_bytes, mf, 0));
	done_with(mf);
}

static void a_file_can_go_while_its_releaser_works(void)
{
	for (int i = 0; i < 20; i++) {
		struct msn_memfile *mf = make_with(RELEASER);
		struct msn_file_range r =
			take(mf, (uint64_t)i * 100 + 1, MSN_BOTTOM_UP);

		write_all(mf, r);
		drop(mf, r);
		if (i % 2)
			nanosleep(&(struct timespec){ .tv_nsec = 51000000 },
				  NULL);
		done_with(mf);
	}
}

/* Drops 3 MiB while the @nth fault point fails; says which one that was. */
static const char *drop_failing(struct msn_memfile *mf, unsigned nth)
{
	struct msn_file_range r = take(mf, 3 * MIB / PAGE, MSN_BOTTOM_UP);
	const char *name;

	write_all(mf, r);
	msn_fault_arm(nth);
	drop(mf, r);
	name = msn_fault_fired();
	msn_fault_arm(0);
	return name;
}

static void without_a_thread_the_dropper_gives_back(void)
{
	const char *name = "";
	bool met = false;

	for (unsigned nth = 1; name; nth++) {
		struct msn_memfile *mf = make_with(RELEASER);

		name = drop_failing(mf, nth);
		if (name && strcmp(name, "memfile.releaser") == 0) {
			met = true;
			EXPECT(msn_memfile_waste(mf) <= MSN_WASTE_BYTES_KEPT);
			EXPECT(host_bytes(mf) <= MSN_WASTE_BYTES_KEPT);
		}
		done_with(mf);
	}
	EXPECT(met);
}

static void more_waste_than_allowed_is_given_back_by_who_drops_it(void)
{
	/* 3 GiB of offsets with a little memory: no second passes. */
	struct msn_memfile *mf = make_with(RELEASER);
	struct msn_file_range r =
		take(mf, 3 * MSN_WASTE_BYTES_MAX / PAGE, MSN_BOTTOM_UP);

	for (uint64_t i = 0; i < 3; i++)
		touch(mf, r, i * MSN_WASTE_BYTES_MAX / PAGE, 'x');
	drop(mf, r);
	EXPECT(msn_memfile_waste(mf) <= MSN_WASTE_BYTES_MAX);
	msn_memfile_drain(mf);
	EXPECT(host_bytes(mf) == 0 && msn_memfile_waste(mf) == 0);
	done_with(mf);
}

/*
 * What a child may do with the file: forget it.  Not where a thread of the
 * parent was at work: ThreadSanitizer does not know that it stayed behind.
 */
static int in_a_child(struct msn_memfile *mf, struct msn_file_range r,
		      bool forget)
{
	struct msn_memfile_alloc one = { .length = PAGE };
	struct msn_file_range out;
	int rc = msn_memfile_allocate(mf, &one, &out);

	alarm(10);
	drop(mf, r);
	msn_memfile_drain(mf);
	if (forget)
		msn_memfile_free(mf);
	return rc == -EPERM ? 0 : 1;
}

/*
 * Forks; the child must be able to leave.  By the bare call: a sanitizer would
 * miss the parent's threads there.
 */
static void fork_child(struct msn_memfile *mf, struct msn_file_range r,
		       bool forget)
{
	int status = -1;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		syscall(SYS_exit_group, in_a_child(mf, r, forget));
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Every second page of 2000 becomes waste; returns what is left. */
static struct msn_file_range litter(struct msn_memfile *mf)
{
	struct msn_file_range w = take(mf, 2000, MSN_BOTTOM_UP);

	for (uint64_t i = 0; i < 2000; i += 2)
		drop(mf, part(w, i, i + 1));
	return w;
}

static void clean_up(struct msn_memfile *mf, struct msn_file_range w)
{
	for (uint64_t i = 1; i < 2000; i += 2)
		drop(mf, part(w, i, i + 1));
}

static void a_fork_does_not_hang_on_the_releaser(void)
{
	struct msn_memfile *mf = make_with(RELEASER);
	struct msn_file_range r = take(mf, 10, MSN_TOP_DOWN);

	touch(mf, r, 3, 'p');
	for (int i = 0; i < 20; i++) {
		struct msn_file_range w = litter(mf);

		/* Asleep, waiting for more, or at work. */
		nanosleep(&(struct timespec){ .tv_nsec = i % 4 * 17000000 },
			  NULL);
		fork_child(mf, r, i % 4 == 0);
		clean_up(mf, w);
	}
	/* The parent's pages are untouched, its thread works on. */
	EXPECT(peek(mf, r, 3) == 'p');
	drop(mf, r);
	EXPECT(comes_to(msn_memfile_waste, mf, 0));
	done_with(mf);
}

static void *drain(void *mf)
{
	msn_memfile_drain(mf);
	return NULL;
}

static void a_fork_meets_no_lock_that_a_batch_holds(void)
{
	/* A thread that does nothing but release, and many a fork meanwhile. */
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 10, MSN_TOP_DOWN);

	for (int i = 0; i < 60; i++) {
		struct msn_file_range w = litter(mf);
		pthread_t thread;

		CHECK(pthread_create(&thread, NULL, drain, mf) == 0);
		nanosleep(&(struct timespec){ .tv_nsec = i * 20000 }, NULL);
		fork_child(mf, r, false);
		CHECK(pthread_join(thread, NULL) == 0);
		clean_up(mf, w);
	}
	drop(mf, r);
	done_with(mf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(
			the_last_reference_makes_waste_and_the_drain_frees_it),
		CHECK_TEST(waste_is_never_shown),
		CHECK_TEST(what_is_recycled_reads_as_zero_and_keeps_its_memory),
		CHECK_TEST(a_part_of_the_waste_can_be_recycled),
		CHECK_TEST(a_large_range_passes_waste_by),
		CHECK_TEST(without_a_releaser_little_waste_is_kept),
		CHECK_TEST(the_releaser_gives_everything_back),
		CHECK_TEST(a_file_can_go_while_its_releaser_works),
		CHECK_TEST(without_a_thread_the_dropper_gives_back),
		CHECK_TEST(
			more_waste_than_allowed_is_given_back_by_who_drops_it),
		CHECK_TEST(a_fork_does_not_hang_on_the_releaser),
		CHECK_TEST(a_fork_meets_no_lock_that_a_batch_holds),
		{}
	};

	return check_main(argc, argv, "memory file: release", tests);
}
