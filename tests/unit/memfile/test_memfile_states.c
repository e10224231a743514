/*
 * Memory file: moments that are too short to be met by chance, made by hand,
 * and kernels that say no.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "memfile/memfile_internal.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
}

/* What a batch in the air makes of the one referenced segment at @at. */
static void set_releasing(struct msn_memfile *mf, uint64_t at, bool releasing)
{
	struct msn_arena *a = msn_arena_at(mf, at);

	msn_lock_scope(&a->lock);
	struct msn_seg s = msn_refs_set_find(&a->refs, at);
	uint64_t len = msn_file_range_length(msn_refs_set_range(s));

	msn_refs_set_value(&a->refs, s)->refs = !releasing;
	a->releasing_bytes = releasing ? len : 0;
}

static void what_is_being_released_is_not_shown_nor_given_away(void)
{
	/* file   |releasing|used| */
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP);
	struct msn_file_range u = take_with(
		mf, (struct msn_memfile_alloc){
			    .length = PAGE, .account = 1, .near = r.end });
	struct msn_file_range all = { r.start, u.end }, out;
	uint8_t vec[5];

	touch(mf, r, 0, 'r');
	touch(mf, u, 0, 'u');
	set_releasing(mf, r.start, true);
	EXPECT(msn_memfile_check(mf) == NULL);
	EXPECT(msn_memfile_used(mf) == PAGE);
	EXPECT(msn_memfile_waste(mf) == 4 * PAGE);
	CHECK(msn_file_next_data(file, all, &out) == 0);
	EXPECT(out.start == u.start && out.end == u.end);
	EXPECT(msn_file_next_data(file, r, &out) == MSN_FILE_E_NO_DATA);
	CHECK(msn_file_resident(file, all, vec) == 0);
	EXPECT(memcmp(vec, (uint8_t[5]){ 0, 0, 0, 0, 1 }, 5) == 0);
	EXPECT(msn_file_sharers(file, all, &out) == 0 && out.end == r.end);
	EXPECT(msn_memfile_usage(mf, 0).referenced == 0);
	out = take(mf, 1, MSN_BOTTOM_UP);
	EXPECT(out.start == u.end);
	drop(mf, out);
	set_releasing(mf, r.start, false);
	drop(mf, all);
	done_with(mf);
}

struct drainer {
	struct msn_memfile *mf;
	atomic_bool done;
};

static void *drain(void *arg)
{
	struct drainer *d = arg;

	msn_memfile_drain(d->mf);
	atomic_store(&d->done, true);
	return NULL;
}

static void a_drain_waits_for_what_others_have_begun(void)
{
	struct drainer d = { .mf = make() };
	struct msn_releaser *rel = &d.mf->releaser;
	pthread_t thread;

	msn_mutex_lock(&rel->lock);
	rel->flights = 1;
	msn_mutex_unlock(&rel->lock);
	CHECK(pthread_create(&thread, NULL, drain, &d) == 0);
	wait_a_little();
	EXPECT(!atomic_load(&d.done));
	msn_mutex_lock(&rel->lock);
	rel->flights = 0;
	pthread_cond_broadcast(&rel->idle);
	msn_mutex_unlock(&rel->lock);
	CHECK(pthread_join(thread, NULL) == 0);
	EXPECT(atomic_load(&d.done));
	done_with(d.mf);
}

/* Two pages, one by one, in a thread of its own. */
struct taker {
	struct msn_memfile *mf;
	struct msn_file_range r[2];
};

static void *take_two(void *arg)
{
	struct taker *t = arg;

	t->r[0] = take(t->mf, 1, MSN_BOTTOM_UP);
	t->r[1] = take(t->mf, 1, MSN_BOTTOM_UP);
	return NULL;
}

static void a_thread_goes_elsewhere_rather_than_wait(void)
{
	struct taker t = { .mf = make() };
	struct msn_file_range mine = take(t.mf, 1, MSN_BOTTOM_UP), more;
	struct msn_arena *held = msn_arena_at(t.mf, mine.start);
	pthread_t thread;

	msn_mutex_lock(&held->lock);
	CHECK(pthread_create(&thread, NULL, take_two, &t) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	msn_mutex_unlock(&held->lock);
	EXPECT(msn_arena_at(t.mf, t.r[0].start) != held);
	EXPECT(t.r[1].start == t.r[0].end); /* and stays there */
	more = take(t.mf, 1, MSN_BOTTOM_UP);
	EXPECT(more.start == mine.end);
	drop(t.mf, mine);
	drop(t.mf, more);
	drop(t.mf, t.r[0]);
	drop(t.mf, t.r[1]);
	done_with(t.mf);
}

static void what_was_found_elsewhere_is_where_it_goes_on(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range first = take(mf, 1, MSN_BOTTOM_UP), r[2];
	struct msn_arena *held = msn_arena_at(mf, first.start), *other;

	CHECK(msn_arena_new(mf, PAGE, false, &other) == 0);
	pthread_mutex_lock(&held->lock.raw);
	r[0] = take(mf, 1, MSN_BOTTOM_UP);
	pthread_mutex_unlock(&held->lock.raw);
	r[1] = take(mf, 1, MSN_BOTTOM_UP);
	EXPECT(r[0].start == other->range.start && r[1].start == r[0].end);
	EXPECT(atomic_load(&mf->arena_count) == 2);
	drop(mf, first);
	drop(mf, r[0]);
	drop(mf, r[1]);
	done_with(mf);
}

static void with_arenas_enough_a_thread_waits(void)
{
	struct taker t = { .mf = make() };
	struct msn_file_range first = take(t.mf, 1, MSN_BOTTOM_UP);
	struct msn_arena *a;
	pthread_t thread;

	while (atomic_load(&t.mf->arena_count) < MEMFILE_HOMES)
		CHECK(msn_arena_new(t.mf, PAGE, false, &a) == 0);
	for (unsigned nr = 0; nr < MEMFILE_HOMES; nr++)
		pthread_mutex_lock(&msn_arena_nr(t.mf, nr)->lock.raw);
	CHECK(pthread_create(&thread, NULL, take_two, &t) == 0);
	wait_a_little();
	for (unsigned nr = 0; nr < MEMFILE_HOMES; nr++)
		pthread_mutex_unlock(&msn_arena_nr(t.mf, nr)->lock.raw);
	CHECK(pthread_join(thread, NULL) == 0);
	EXPECT(atomic_load(&t.mf->arena_count) == MEMFILE_HOMES);
	drop(t.mf, first);
	drop(t.mf, t.r[0]);
	drop(t.mf, t.r[1]);
	done_with(t.mf);
}

/* Writes, drops, recycles, drains, takes again.  Is everything zero? */
static bool comes_back_zeroed(struct msn_memfile *mf)
{
	struct msn_file_range r = take(mf, 8, MSN_BOTTOM_UP), again;
	struct msn_memfile_usage u;
	bool zero = true;

	touch(mf, r, 1, 'a');
	touch(mf, r, 6, 'b');
	u = msn_memfile_usage(mf, 0);
	if (u.referenced != 8 * PAGE || u.resident != 2 * PAGE)
		return false;
	for (int turn = 0; turn < 2; turn++) {
		drop(mf, r);
		if (turn == 1)
			msn_memfile_drain(mf);
		again = take(mf, 8, MSN_BOTTOM_UP);
		zero = zero && again.start == r.start;
		for (uint64_t i = 0; i < 8; i++)
			zero = zero && peek(mf, again, i) == 0;
		touch(mf, again, 3, 'c');
	}
	drop(mf, again);
	zero = zero && msn_memfile_check(mf) == NULL;
	msn_memfile_free(mf);
	return zero;
}

/* Runs the above in a child whose kernel lacks @nr; CHECK must not fail. */
static int exit_without(unsigned nr)
{
	int status = -1;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		if (!check_forbid_syscall(nr, ENOSYS))
			_exit(77);
		_exit(comes_back_zeroed(make()) ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void pages_come_back_zeroed_whatever_the_kernel_lacks(void)
{
	EXPECT(comes_back_zeroed(make()));
	EXPECT(exit_without(451) == 0); /* cachestat */
	EXPECT(exit_without(SYS_fallocate) == 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(what_is_being_released_is_not_shown_nor_given_away),
		CHECK_TEST(a_drain_waits_for_what_others_have_begun),
		CHECK_TEST(a_thread_goes_elsewhere_rather_than_wait),
		CHECK_TEST(what_was_found_elsewhere_is_where_it_goes_on),
		CHECK_TEST(with_arenas_enough_a_thread_waits),
		CHECK_TEST(pages_come_back_zeroed_whatever_the_kernel_lacks),
		{}
	};

	return check_main(argc, argv, "memory file: states", tests);
}
