/*
 * The rules of the memory file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "memfile/memfile_internal.h"
#include "unit/memfile/fixture.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

/* ---- Pages --------------------------------------------------------------- */

static void fresh_pages(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 8, MSN_BOTTOM_UP);

	EXPECT(msn_memfile_used(mf) == 8 * PAGE);
	EXPECT(host_bytes(mf) == 0);
	EXPECT(peek(mf, r, 3) == 0);
	drop(mf, r);
	done_with(mf);
}

static void four_states(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), again;

	touch(mf, r, 3, 'x');
	EXPECT(msn_memfile_used(mf) == 4 * PAGE && !msn_memfile_waste(mf));
	drop(mf, r);
	EXPECT(!msn_memfile_used(mf) && msn_memfile_waste(mf) == 4 * PAGE);
	again = take(mf, 2, MSN_BOTTOM_UP);
	EXPECT(msn_memfile_used(mf) == 2 * PAGE);
	EXPECT(msn_memfile_waste(mf) == 2 * PAGE);
	EXPECT(host_bytes(mf) == PAGE);
	msn_memfile_drain(mf);
	EXPECT(msn_memfile_used(mf) == 2 * PAGE && !msn_memfile_waste(mf));
	EXPECT(host_bytes(mf) == 0);
	drop(mf, again);
	done_with(mf);
}

static void mapped_here_and_there(void)
{
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 2, MSN_BOTTOM_UP);
	struct msn_spans spans;
	char *there;

	CHECK(msn_file_map_internal(file, part(r, 0, 1), MSN_ACCESS_WRITE,
				    &spans) == 0);
	there = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, msn_file_fd(file),
		     (off_t)r.start);
	CHECK(there != MAP_FAILED);
	*(char *)spans.span[0].data = '!';
	EXPECT(there[0] == '!');
	munmap(there, 2 * PAGE);
	drop(mf, r);
	done_with(mf);
}

/* Pages that a child is to do something wrong with. */
struct pages {
	struct msn_memfile *mf;
	struct msn_file_range r;
};

static void map_to_execute(void *pages)
{
	const struct pages *p = pages;
	struct msn_spans spans;

	_exit(msn_file_map_internal(msn_memfile_file(p->mf), p->r,
				    MSN_ACCESS_READ | MSN_ACCESS_EXEC, &spans));
}

static void never_executed(void)
{
	struct pages p = { .mf = make() };

	p.r = take(p.mf, 1, MSN_BOTTOM_UP);
	EXPECT(check_asserts(map_to_execute, &p));
	drop(p.mf, p.r);
	done_with(p.mf);
}

/* ---- References ---------------------------------------------------------- */

static void counted_by_page(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), run;

	msn_file_inc_ref(msn_memfile_file(mf), part(r, 1, 2), 0);
	drop(mf, r);
	EXPECT(msn_memfile_used(mf) == PAGE);
	EXPECT(msn_memfile_is_sole(mf, part(r, 1, 2), &run));
	drop(mf, part(r, 1, 2));
	done_with(mf);
}

/* Three pages of which nobody has the second. */
static struct pages gap_make(void)
{
	struct pages g = { .mf = make() };

	g.r = take(g.mf, 3, MSN_BOTTOM_UP);
	drop(g.mf, part(g.r, 1, 2));
	return g;
}

static void gap_free(struct pages *g)
{
	drop(g->mf, part(g->r, 0, 1));
	drop(g->mf, part(g->r, 2, 3));
	done_with(g->mf);
}

static void add_to_all(void *gap)
{
	const struct pages *g = gap;

	msn_file_inc_ref(msn_memfile_file(g->mf), g->r, 0);
}

static void drop_all(void *gap)
{
	const struct pages *g = gap;

	drop(g->mf, g->r);
}

static void only_to_what_has_one(void)
{
	struct pages g = gap_make();

	EXPECT(check_asserts(add_to_all, &g));
	gap_free(&g);
}

static void nobodys_is_not_dropped(void)
{
	struct pages g = gap_make();

	EXPECT(check_asserts(drop_all, &g));
	gap_free(&g);
}

static void sole_by_page(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), run;

	msn_file_inc_ref(msn_memfile_file(mf), part(r, 2, 3), 0);
	EXPECT(msn_memfile_is_sole(mf, r, &run));
	EXPECT(msn_file_range_length(run) == 2 * PAGE);
	EXPECT(!msn_memfile_is_sole(mf, part(r, 2, 4), &run));
	EXPECT(msn_file_range_length(run) == PAGE);
	drop(mf, part(r, 2, 3));
	drop(mf, r);
	done_with(mf);
}

static void left_alone(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), run;

	touch(mf, r, 1, 'm');
	msn_file_inc_ref(msn_memfile_file(mf), r, 0);
	EXPECT(!msn_memfile_is_sole(mf, r, &run));
	drop(mf, r);
	EXPECT(msn_memfile_is_sole(mf, r, &run));
	EXPECT(run.end == r.end && peek(mf, r, 1) == 'm');
	drop(mf, r);
	done_with(mf);
}

/* ---- Places -------------------------------------------------------------- */

static void directions(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range a = take(mf, 4, MSN_BOTTOM_UP);
	struct msn_file_range b = take(mf, 4, MSN_BOTTOM_UP);
	struct msn_file_range c = take(mf, 4, MSN_TOP_DOWN);
	struct msn_file_range d = take(mf, 4, MSN_TOP_DOWN);

	EXPECT(a.start < b.start && d.start < c.start);
	drop(mf, a);
	drop(mf, b);
	drop(mf, c);
	drop(mf, d);
	done_with(mf);
}

static void first_and_last_that_fits(void)
{
	/* pages  0 . 2 . . 5 6 . . 9 10 . 12 */
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 13, MSN_BOTTOM_UP), low, high;

	drop(mf, part(r, 1, 2));
	drop(mf, part(r, 3, 5));
	drop(mf, part(r, 7, 9));
	drop(mf, part(r, 11, 12));
	low = take(mf, 2, MSN_BOTTOM_UP);
	EXPECT(low.start == part(r, 3, 5).start);
	high = take_with(mf,
			 (struct msn_memfile_alloc){ .length = 2 * PAGE,
						     .direction = MSN_TOP_DOWN,
						     .near = r.end });
	EXPECT(high.start == part(r, 7, 9).start);
	drop(mf, low);
	drop(mf, high);
	drop(mf, part(r, 0, 1));
	drop(mf, part(r, 2, 3));
	drop(mf, part(r, 5, 7));
	drop(mf, part(r, 9, 11));
	drop(mf, part(r, 12, 13));
	done_with(mf);
}

static void beside_the_neighbour(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range far = take(mf, 8, MSN_BOTTOM_UP), mine, more;

	mine = take_with(mf, (struct msn_memfile_alloc){ .length = PAGE,
							 .near = 64 * PAGE });
	more = take_with(mf, (struct msn_memfile_alloc){ .length = PAGE,
							 .near = mine.end });
	EXPECT(mine.start == 64 * PAGE && more.start == mine.end);
	drop(mf, more);
	more = take_with(mf,
			 (struct msn_memfile_alloc){ .length = PAGE,
						     .direction = MSN_TOP_DOWN,
						     .near = mine.start });
	EXPECT(more.end == mine.start);
	drop(mf, more);
	drop(mf, mine);
	drop(mf, far);
	done_with(mf);
}

static uint64_t file_length(struct msn_memfile *mf)
{
	struct stat st;

	CHECK(fstat(msn_file_fd(msn_memfile_file(mf)), &st) == 0);
	return (uint64_t)st.st_size;
}

static void whole_windows(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range a, b, c;

	EXPECT(file_length(mf) == 0);
	a = take(mf, 1, MSN_BOTTOM_UP);
	EXPECT(file_length(mf) == MSN_WINDOW_BYTES);
	b = take_with(mf, (struct msn_memfile_alloc){
				  .length = MSN_WINDOW_BYTES - PAGE });
	EXPECT(file_length(mf) == MSN_WINDOW_BYTES && b.start == a.end);
	/* What fits nowhere else, but in one piece. */
	c = take_with(mf, (struct msn_memfile_alloc){
				  .length = 2 * MSN_WINDOW_BYTES + PAGE });
	EXPECT(file_length(mf) == 4 * MSN_WINDOW_BYTES);
	EXPECT(c.start == MSN_WINDOW_BYTES);
	drop(mf, a);
	drop(mf, b);
	drop(mf, c);
	done_with(mf);
}

static void *take_one(void *mf)
{
	static struct msn_file_range r;

	r = take(mf, 1, MSN_BOTTOM_UP);
	return &r;
}

static void threads_part(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range mine = take(mf, 1, MSN_BOTTOM_UP);
	struct msn_arena *held = msn_arena_at(mf, mine.start);
	struct msn_file_range *other;
	pthread_t thread;
	void *got;

	msn_mutex_lock(&held->lock);
	CHECK(pthread_create(&thread, NULL, take_one, mf) == 0);
	CHECK(pthread_join(thread, &got) == 0);
	msn_mutex_unlock(&held->lock);
	other = got;
	EXPECT(msn_arena_at(mf, other->start) != held);
	drop(mf, *other);
	drop(mf, mine);
	done_with(mf);
}

static void too_much(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r;

	EXPECT(msn_memfile_allocate(mf,
				    &(struct msn_memfile_alloc){
					    .length = UINT64_C(1) << 63 },
				    &r) == -ENOMEM);
	EXPECT(file_length(mf) == 0);
	done_with(mf);
}

/* Asks for as many bytes as @p has. */
static void take_bytes(void *pages)
{
	struct pages *p = pages;
	struct msn_memfile_alloc want = { .length =
						  msn_file_range_length(p->r) };

	_exit(msn_memfile_allocate(p->mf, &want, &p->r));
}

static void whole_pages(void)
{
	struct pages none = { .mf = make() }, half = none;

	half.r.end = PAGE / 2;
	EXPECT(check_asserts(take_bytes, &none));
	EXPECT(check_asserts(take_bytes, &half));
	done_with(none.mf);
}

/* ---- Huge pages ---------------------------------------------------------- */

static struct msn_file_range take_huge(struct msn_memfile *mf, uint64_t length)
{
	return take_with(mf, (struct msn_memfile_alloc){ .length = length,
							 .huge = true });
}

static void huge_where_wanted(void)
{
	struct msn_memfile *mf = make_with(
		(struct msn_memfile_opts){ .huge = MSN_MEMFILE_HUGE_ADVISE });
	struct msn_file_range small = take(mf, 1, MSN_BOTTOM_UP);
	struct msn_file_range odd = take_huge(mf, PAGE);
	struct msn_file_range huge = take_huge(mf, MEMFILE_HUGE_BYTES);

	EXPECT(huge.start % MEMFILE_HUGE_BYTES == 0);
	EXPECT(msn_arena_at(mf, small.start) != msn_arena_at(mf, huge.start));
	EXPECT(msn_arena_at(mf, odd.start) == msn_arena_at(mf, huge.start));
	drop(mf, small);
	drop(mf, odd);
	drop(mf, huge);
	done_with(mf);
}

static void small_without_advice(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range small = take(mf, 1, MSN_BOTTOM_UP);
	struct msn_file_range huge = take_huge(mf, MEMFILE_HUGE_BYTES);

	EXPECT(huge.start == small.end);
	touch(mf, huge, 0, 'x');
	EXPECT(host_bytes(mf) == PAGE);
	drop(mf, small);
	drop(mf, huge);
	done_with(mf);
}

static void a_part_goes(void)
{
	struct msn_memfile *mf = make_with(
		(struct msn_memfile_opts){ .huge = MSN_MEMFILE_HUGE_ADVISE });
	struct msn_file_range r = take_huge(mf, MEMFILE_HUGE_BYTES), again;

	for (uint64_t i = 0; i < 512; i++)
		touch(mf, r, i, 'x');
	drop(mf, part(r, 100, 101));
	msn_memfile_drain(mf);
	EXPECT(peek(mf, r, 99) == 'x' && peek(mf, r, 101) == 'x');
	EXPECT(msn_memfile_used(mf) == 511 * PAGE);
	again = take_with(
		mf, (struct msn_memfile_alloc){ .length = PAGE,
						.near = part(r, 100, 101).start,
						.huge = true });
	EXPECT(again.start == part(r, 100, 101).start);
	EXPECT(peek(mf, again, 0) == 0);
	drop(mf, r);
	done_with(mf);
}

/* ---- Release ------------------------------------------------------------- */

static void recycled_is_zero(void)
{
	struct msn_memfile *mf = make();

	for (int i = 0; i < 3; i++) {
		struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP);

		EXPECT(peek(mf, r, 1) == 0);
		touch(mf, r, 1, 'x');
		drop(mf, r);
	}
	done_with(mf);
}

static void large_passes_waste_by(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), small, large;

	drop(mf, r);
	large = take_with(mf, (struct msn_memfile_alloc){
				      .length = MSN_RECYCLE_BYTES_MAX + PAGE });
	EXPECT(large.start >= r.end);
	small = take_with(mf, (struct msn_memfile_alloc){ .length = PAGE });
	EXPECT(small.start == r.start);
	drop(mf, small);
	drop(mf, large);
	done_with(mf);
}

static void given_back(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 64, MSN_BOTTOM_UP);

	for (uint64_t i = 0; i < 64; i++)
		touch(mf, r, i, 'x');
	EXPECT(host_bytes(mf) >= 64 * PAGE);
	drop(mf, r);
	msn_memfile_drain(mf);
	EXPECT(msn_memfile_waste(mf) == 0 && host_bytes(mf) == 0);
	done_with(mf);
}

static void in_the_background(void)
{
	struct msn_memfile *mf =
		make_with((struct msn_memfile_opts){ .releaser = true });
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP);

	touch(mf, r, 1, 'x');
	drop(mf, r);
	while (msn_memfile_waste(mf)) /* nobody but the releaser ends it */
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	EXPECT(host_bytes(mf) == 0);
	done_with(mf);
}

static void by_who_drops(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4 * MIB / PAGE, MSN_BOTTOM_UP);

	for (uint64_t i = 0; i < 4 * MIB / PAGE; i++)
		touch(mf, r, i, 'x');
	drop(mf, r);
	EXPECT(msn_memfile_waste(mf) <= MSN_WASTE_BYTES_KEPT);
	EXPECT(host_bytes(mf) <= MSN_WASTE_BYTES_KEPT);
	done_with(mf);
}

/* In a child, whose kernel gives no memory back. */
static int drop_for_nothing(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP);

	touch(mf, r, 1, 'x');
	if (!check_forbid_syscall(SYS_fallocate, EOPNOTSUPP))
		return 77;
	drop(mf, r);
	msn_memfile_drain(mf);
	if (msn_memfile_waste(mf) || host_bytes(mf) == 0)
		return 1;
	r = take(mf, 4, MSN_BOTTOM_UP);
	return peek(mf, r, 1) ? 2 : 0;
}

static int in_a_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(body());
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void zeroed_by_hand(void)
{
	EXPECT(in_a_child(drop_for_nothing) == 0);
}

static void forked_child(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), more;
	int status;
	pid_t pid;

	touch(mf, r, 1, 'p');
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		if (msn_memfile_allocate(
			    mf, &(struct msn_memfile_alloc){ .length = PAGE },
			    &more) != -EPERM)
			_exit(1);
		drop(mf, r);
		msn_memfile_drain(mf);
		msn_memfile_free(mf);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(peek(mf, r, 1) == 'p');
	drop(mf, r);
	done_with(mf);
}

/* ---- Accounts ------------------------------------------------------------ */

struct books {
	struct msn_account_table *accounts;
	struct msn_memfile *mf;
};

static struct books books_make(void)
{
	struct books b;

	CHECK(msn_account_table_new(&b.accounts) == 0);
	b.mf = make_with((struct msn_memfile_opts){ .accounts = b.accounts });
	return b;
}

static void books_free(struct books *b)
{
	done_with(b->mf);
	msn_account_table_free(b->accounts);
}

static struct msn_file_range take_for(struct books *b, msn_account_id account,
				      uint64_t pages)
{
	return take_with(b->mf,
			 (struct msn_memfile_alloc){ .length = pages * PAGE,
						     .account = account });
}

/* Pages that @account pays for. */
static uint64_t paid(struct books *b, msn_account_id account)
{
	return msn_account_get(b->accounts, account)
		       .bytes[MSN_ACCOUNT_ANONYMOUS] /
	       PAGE;
}

static void who_allocates_pays(void)
{
	struct books b = books_make();
	struct msn_file_range r = take_for(&b, 7, 3);

	msn_file_inc_ref(msn_memfile_file(b.mf), r, 8);
	EXPECT(paid(&b, 7) == 3 && paid(&b, 8) == 0);
	drop(b.mf, r);
	EXPECT(paid(&b, 7) == 3 && paid(&b, 8) == 0);
	drop(b.mf, r);
	EXPECT(paid(&b, 7) == 0);
	books_free(&b);
}

static void charged_page_by_page(void)
{
	/* accounts  7 7 7 7 9 9 */
	struct books b = books_make();
	struct msn_file_range r = take_for(&b, 7, 4), s = take_for(&b, 9, 2);
	struct msn_file_range both = { r.start, s.end };

	CHECK(s.start == r.end);
	drop(b.mf, part(r, 1, 2));
	EXPECT(paid(&b, 7) == 3 && paid(&b, 9) == 2);
	drop(b.mf, part(both, 3, 5));
	EXPECT(paid(&b, 7) == 2 && paid(&b, 9) == 1);
	drop(b.mf, part(both, 0, 1));
	drop(b.mf, part(both, 2, 3));
	drop(b.mf, part(both, 5, 6));
	EXPECT(paid(&b, 7) == 0 && paid(&b, 9) == 0);
	books_free(&b);
}

static void waste_is_nobodys(void)
{
	struct books b = books_make();
	struct msn_file_range r = take_for(&b, 7, 3);

	drop(b.mf, r);
	EXPECT(msn_memfile_waste(b.mf) == 3 * PAGE && paid(&b, 7) == 0);
	/* Who recycles it pays. */
	r = take_for(&b, 9, 3);
	EXPECT(msn_memfile_waste(b.mf) == 0 && paid(&b, 9) == 3);
	drop(b.mf, r);
	books_free(&b);
}

static void past_the_limit(void)
{
	struct books b = books_make();
	struct msn_memfile_alloc one = { .length = PAGE, .account = 7 };
	struct msn_file_range r, more;

	CHECK(msn_account_set_limit(b.accounts, 7, 4 * PAGE) == 0);
	r = take_for(&b, 7, 4);
	EXPECT(msn_memfile_allocate(b.mf, &one, &more) == -ENOMEM);
	EXPECT(paid(&b, 7) == 4 && msn_memfile_used(b.mf) == 4 * PAGE);
	drop(b.mf, part(r, 3, 4));
	CHECK(msn_memfile_allocate(b.mf, &one, &more) == 0);
	drop(b.mf, more);
	drop(b.mf, part(r, 0, 3));
	books_free(&b);
}

static void nothing_had_nothing_charged(void)
{
	struct books b = books_make();
	struct msn_memfile_alloc all = { .length = UINT64_C(1) << 63,
					 .account = 7 };
	struct msn_file_range r;

	EXPECT(msn_memfile_allocate(b.mf, &all, &r) == -ENOMEM);
	EXPECT(paid(&b, 7) == 0);
	books_free(&b);
}

static void reserved_and_resident(void)
{
	struct books b = books_make();
	struct msn_file_range r = take_for(&b, 7, 8);
	struct msn_memfile_usage u;

	touch(b.mf, r, 2, 'x');
	touch(b.mf, r, 5, 'x');
	u = msn_memfile_usage(b.mf, 7);
	EXPECT(u.referenced == 8 * PAGE && u.resident == 2 * PAGE);
	EXPECT(msn_memfile_usage(b.mf, 8).referenced == 0);
	EXPECT(host_bytes(b.mf) == 2 * PAGE); /* by looking nothing came */
	drop(b.mf, r);
	books_free(&b);
}

/* ---- For a save ---------------------------------------------------------- */

static void untouched_is_no_data(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 512, MSN_BOTTOM_UP), data;
	struct msn_file *file = msn_memfile_file(mf);

	EXPECT(msn_file_next_data(file, r, &data) == MSN_FILE_E_NO_DATA);
	touch(mf, r, 7, 'x');
	EXPECT(msn_file_next_data(file, r, &data) == 0);
	EXPECT(data.start == r.start + 7 * PAGE);
	EXPECT(host_bytes(mf) == PAGE);
	drop(mf, r);
	done_with(mf);
}

static void waste_is_no_data(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), data;
	uint8_t vec[4];

	touch(mf, r, 1, 'w');
	touch(mf, r, 3, 'u');
	drop(mf, part(r, 0, 2));
	CHECK(msn_file_next_data(msn_memfile_file(mf), r, &data) == 0);
	EXPECT(data.start == part(r, 3, 4).start);
	CHECK(msn_file_resident(msn_memfile_file(mf), r, vec) == 0);
	EXPECT(!vec[0] && !vec[1] && !vec[2] && vec[3]);
	drop(mf, part(r, 2, 4));
	done_with(mf);
}

static const struct check_test rules[] = {
	{ "pages read as zero and cost nothing until they are written",
	  fresh_pages },
	{ "a page is free, used, waste, or being released", four_states },
	{ "pages can be mapped, here and by descriptor, and are one",
	  mapped_here_and_there },
	{ "nobody maps them here to execute them", never_executed },
	{ "references are counted by the page; the last one frees it",
	  counted_by_page },
	{ "a reference is added to what has one, else it is an assertion",
	  only_to_what_has_one },
	{ "so is dropping what nobody has", nobodys_is_not_dropped },
	{ "sole ownership is told page by page", sole_by_page },
	{ "who is left alone with a page owns it again", left_alone },
	{ "from below or from above, as memory grows", directions },
	{ "the lowest gap that fits, or the highest",
	  first_and_last_that_fits },
	{ "beside its neighbour, above or below, if that is wished",
	  beside_the_neighbour },
	{ "the file grows by whole windows, when nothing else has room",
	  whole_windows },
	{ "threads that meet go on apart", threads_part },
	{ "more than a file can have is ENOMEM", too_much },
	{ "no pages, and parts of pages, are an assertion", whole_pages },
	{ "huge pages are for who asks for them, aligned and apart",
	  huge_where_wanted },
	{ "without that advice all pages are small", small_without_advice },
	{ "a part of a huge page can go, and leaves the rest alone",
	  a_part_goes },
	{ "what is used again reads as zero", recycled_is_zero },
	{ "what is large takes over no waste", large_passes_waste_by },
	{ "memory of dropped pages goes back to the host", given_back },
	{ "in the background, where there is a releaser", in_the_background },
	{ "else by who drops more than a little", by_who_drops },
	{ "where the host takes nothing back it is zeroed by hand",
	  zeroed_by_hand },
	{ "a forked child gets nothing and gives nothing back", forked_child },
	{ "who allocates pays, whoever shares, to the last reference",
	  who_allocates_pays },
	{ "what is charged follows the pages one by one",
	  charged_page_by_page },
	{ "nobody pays for waste", waste_is_nobodys },
	{ "past the limit of its account is ENOMEM", past_the_limit },
	{ "what cannot be had is not charged", nothing_had_nothing_charged },
	{ "what is reserved and what is in memory are told apart",
	  reserved_and_resident },
	{ "a save finds what was written without touching the rest",
	  untouched_is_no_data },
	{ "and finds no waste", waste_is_no_data },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "memfile", rules);
}
