/*
 * mm: copies between two spaces, and against the kernel.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both sides have the same pages: 0-3 may be read and written, 4 is not
 * mapped, 5 may be read, 6 nothing, 7 written, 8-9 read and written.
 */
#include "base/rand.h"
#include "mm/mm_calls.h"
#include "unit/mm/fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECES 4

struct pair {
	struct msn_memfile *mf;
	struct msn_mm *local, *remote;
};

static struct msn_mm *make_space(struct msn_memfile *mf)
{
	struct msn_mm *mm;
	struct msn_mm_opts o = { .memfile = mf, .as = make_platform(false) };

	CHECK(msn_mm_new(&mm, &o) == 0);
	return mm;
}

static void fill(struct msn_mm *mm, char first)
{
	char page[MSN_PAGE_SIZE];
	size_t done;

	map(mm, anon(0, 4));
	map(mm, anon(5, 5));
	for (uint64_t i = 0; i < 10; i++) {
		if (i == 4)
			continue;
		memset(page, first + (char)i, PAGE);
		CHECK(msn_mm_copy_out(mm, AT(i), page, PAGE, plain, &done) ==
		      0);
	}
	CHECK(msn_mm_mprotect(mm, AT(5), PAGE, PROT_READ) == 0);
	CHECK(msn_mm_mprotect(mm, AT(6), PAGE, PROT_NONE) == 0);
	CHECK(msn_mm_mprotect(mm, AT(7), PAGE, PROT_WRITE) == 0);
}

static struct pair make_pair(void)
{
	struct pair p;

	CHECK(msn_memfile_new(&p.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	p.local = make_space(p.mf);
	p.remote = make_space(p.mf);
	fill(p.local, 'A');
	fill(p.remote, 'a');
	return p;
}

static void drop_pair(struct pair *p)
{
	EXPECT(msn_mm_check(p->local) == NULL);
	EXPECT(msn_mm_check(p->remote) == NULL);
	msn_mm_free(p->local);
	msn_mm_free(p->remote);
	EXPECT(msn_memfile_used(p->mf) == 0);
	msn_memfile_free(p->mf);
}

static struct msn_process_vm call_of(const struct pair *p,
				     const struct msn_iov *local, size_t nl,
				     const struct msn_iov *remote, size_t nr)
{
	return (struct msn_process_vm){ .local = p->local,
					.local_iov = local,
					.local_count = nl,
					.remote = p->remote,
					.remote_iov = remote,
					.remote_count = nr };
}

static void bytes_move_from_list_to_list(void)
{
	struct pair p = make_pair();
	struct msn_iov l[] = { { AT(0), 10 }, { AT(1), 0 }, { AT(2), PAGE } };
	struct msn_iov r[] = { { AT(1) - 5, 12 }, { AT(3), PAGE } };
	struct msn_process_vm c = call_of(&p, l, 3, r, 2);
	uint64_t done;

	EXPECT(msn_mm_process_vm_readv(&c, &done) == 0);
	EXPECT(done == PAGE + 10);
	EXPECT(get(p.local, AT(0) + 4) == 'a' &&
	       get(p.local, AT(0) + 5) == 'b');
	EXPECT(get(p.local, AT(2) + 1) == 'b' &&
	       get(p.local, AT(2) + 2) == 'd');
	EXPECT(get(p.local, AT(3)) == 'D');
	l[0].addr = AT(8);
	EXPECT(msn_mm_process_vm_writev(&c, &done) == 0);
	EXPECT(done == PAGE + 10 && get(p.remote, AT(1) - 5) == 'I');
	drop_pair(&p);
}

static void what_lies_before_a_fault_is_moved_and_counted(void)
{
	struct pair p = make_pair();
	struct msn_iov l[] = { { AT(0), 4 * PAGE } };
	struct msn_iov r[] = { { AT(3), 2 * PAGE } };
	struct msn_process_vm c = call_of(&p, l, 1, r, 1);
	uint64_t done;

	EXPECT(msn_mm_process_vm_readv(&c, &done) == 0 && done == PAGE);
	r[0].addr = AT(4);
	EXPECT(msn_mm_process_vm_readv(&c, &done) == -EFAULT);
	l[0].addr = AT(3) + 100; /* the local side ends first */
	r[0].addr = AT(0);
	EXPECT(msn_mm_process_vm_readv(&c, &done) == 0 && done == PAGE - 100);
	r[0].addr = AT(5); /* the first page may be read, not written */
	EXPECT(msn_mm_process_vm_writev(&c, &done) == -EFAULT);
	drop_pair(&p);
}

static void one_space_may_be_both(void)
{
	struct pair p = make_pair();
	struct msn_iov l[] = { { AT(0), PAGE } }, r[] = { { AT(1), PAGE } };
	struct msn_process_vm c = call_of(&p, l, 1, r, 1);
	uint64_t done;

	c.remote = c.local;
	EXPECT(msn_mm_process_vm_readv(&c, &done) == 0 && done == PAGE);
	EXPECT(get(p.local, AT(0)) == 'B');
	drop_pair(&p);
}

static void lists_are_checked_before_anything_moves(void)
{
	struct msn_iov many[MSN_IOV_MAX + 1];
	struct pair p = make_pair();
	struct msn_iov l[] = { { AT(0), 10 } }, r[] = { { AT(1), 10 } };
	struct msn_process_vm c = call_of(&p, l, 1, r, 1);
	uint64_t done;

	for (size_t i = 0; i <= MSN_IOV_MAX; i++)
		many[i] = (struct msn_iov){ AT(0) + i, 1 };
	c.flags = 1;
	EXPECT(msn_mm_process_vm_readv(&c, &done) == -EINVAL);
	c = call_of(&p, many, MSN_IOV_MAX + 1, r, 1);
	EXPECT(msn_mm_process_vm_readv(&c, &done) == -EINVAL);
	c = call_of(&p, l, 1, many, MSN_IOV_MAX + 1);
	EXPECT(msn_mm_process_vm_readv(&c, &done) == -EINVAL);
	c = call_of(&p, l, 0, many, MSN_IOV_MAX + 1);
	EXPECT(msn_mm_process_vm_readv(&c, &done) == 0 && done == 0);
	c = call_of(&p, l, 1, many, MSN_IOV_MAX);
	EXPECT(msn_mm_process_vm_readv(&c, &done) == 0 && done == 10);
	drop_pair(&p);
}

static void *read_from_other(void *ctx)
{
	struct pair *p = ctx;
	struct msn_iov l[] = { { AT(0), 2 * PAGE } },
		       r[] = { { AT(2), 2 * PAGE } };
	struct msn_process_vm c = call_of(p, l, 1, r, 1);
	uint64_t done;

	for (int i = 0; i < 500; i++)
		CHECK(msn_mm_process_vm_readv(&c, &done) == 0);
	return NULL;
}

static void two_spaces_read_from_each_other_and_none_waits(void)
{
	struct pair p = make_pair(), q = { p.mf, p.remote, p.local };
	pthread_t other;

	CHECK(pthread_create(&other, NULL, read_from_other, &q) == 0);
	read_from_other(&p);
	pthread_join(other, NULL);
	EXPECT(get(p.local, AT(0)) == 'c' && get(p.remote, AT(1)) == 'D');
	drop_pair(&p);
}

/* ---- Against the kernel -------------------------------------------------- */

/* One call with made up lists. */
struct trial {
	bool write;
	unsigned long flags;
	size_t nl, nr;
	struct msn_iov l[PIECES], r[PIECES];
};

#define TRIALS 200

/* What came of each, and a sum of the bytes that can be read afterwards. */
struct outcome {
	int64_t result;
	uint64_t local_sum;
};

static uint64_t below(uint64_t *g, uint64_t n)
{
	return msn_rand_next(g) % n;
}

static struct msn_iov random_piece(uint64_t *g)
{
	static const uint64_t odd[] = { 0, UINT64_MAX, INT64_MAX,
					UINT64_C(1) << 40 };
	struct msn_iov v = { AT(0) + below(g, 10 * PAGE), below(g, 3 * PAGE) };

	if (below(g, 40) == 0)
		v.length = odd[below(g, 4)];
	if (below(g, 60) == 0)
		v.addr = UINT64_MAX - 100;
	return v;
}

static void make_trial(uint64_t *g, struct trial *t)
{
	t->write = below(g, 2);
	t->flags = below(g, 30) == 0;
	t->nl = below(g, PIECES + 1);
	t->nr = below(g, PIECES + 1);
	for (size_t i = 0; i < PIECES; i++) {
		t->l[i] = random_piece(g);
		t->r[i] = random_piece(g);
	}
}

static uint64_t add_sum(uint64_t sum, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + p[i];
	return sum;
}

static void map_real(char first)
{
	static const int prot[] = { 3, 3, 3, 3, 0, 1, 0, 2, 3, 3 };

	for (uint64_t i = 0; i < 10; i++) {
		void *p = (void *)(uintptr_t)AT(i);

		if (i == 4)
			continue;
		if (mmap(p, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0) == MAP_FAILED)
			_exit(1);
		memset(p, first + (int)i, PAGE);
		if (mprotect(p, PAGE, prot[i]) < 0)
			_exit(1);
	}
}

static int64_t run_real(const struct trial *t, pid_t remote)
{
	struct iovec l[PIECES], r[PIECES];
	ssize_t rc;

	for (size_t i = 0; i < PIECES; i++) {
		l[i] = (struct iovec){ (void *)(uintptr_t)t->l[i].addr,
				       t->l[i].length };
		r[i] = (struct iovec){ (void *)(uintptr_t)t->r[i].addr,
				       t->r[i].length };
	}
	rc = t->write ? process_vm_writev(remote, l, t->nl, r, t->nr, t->flags)
		      : process_vm_readv(remote, l, t->nl, r, t->nr, t->flags);
	return rc < 0 ? -errno : rc;
}

/* In a process of its own, with another as the remote one. */
static void run_kernel(const struct trial *trials, struct outcome *out)
{
	int ready[2];
	pid_t remote;
	char c;

	if (pipe(ready) < 0 || (remote = fork()) < 0)
		_exit(1);
	if (remote == 0) {
		map_real('a');
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	map_real('A');
	if (read(ready[0], &c, 1) != 1)
		_exit(1);
	for (size_t i = 0; i < TRIALS; i++) {
		out[i].result = run_real(&trials[i], remote);
		out[i].local_sum = add_sum(
			0, (const unsigned char *)(uintptr_t)AT(0), 4 * PAGE);
	}
	kill(remote, SIGKILL);
	waitpid(remote, NULL, 0);
	_exit(0);
}

static void run_engine(const struct pair *p, const struct trial *t,
		       struct outcome *out)
{
	static unsigned char bytes[4 * MSN_PAGE_SIZE];
	struct msn_process_vm c = call_of(p, t->l, t->nl, t->r, t->nr);
	uint64_t done = 0;
	size_t n;
	int rc;

	c.flags = t->flags;
	rc = t->write ? msn_mm_process_vm_writev(&c, &done)
		      : msn_mm_process_vm_readv(&c, &done);
	out->result = rc ? rc : (int64_t)done;
	CHECK(msn_mm_copy_in(p->local, AT(0), bytes, sizeof(bytes), plain,
			     &n) == 0);
	out->local_sum = add_sum(0, bytes, sizeof(bytes));
}

static void made_up_lists_agree_with_the_kernel(void)
{
	static struct trial trials[TRIALS];
	struct outcome *kernel =
		mmap(NULL, TRIALS * sizeof(*kernel), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pair p = make_pair();
	uint64_t g;
	int status;
	pid_t pid;

	CHECK(kernel != MAP_FAILED);
	g = check_seed();
	for (size_t i = 0; i < TRIALS; i++)
		make_trial(&g, &trials[i]);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		run_kernel(trials, kernel);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	for (size_t i = 0; i < TRIALS; i++) {
		struct outcome o;

		run_engine(&p, &trials[i], &o);
		CHECK(o.result == kernel[i].result);
		CHECK(o.local_sum == kernel[i].local_sum);
	}
	munmap(kernel, TRIALS * sizeof(*kernel));
	drop_pair(&p);
}

/* ---- Failures ------------------------------------------------------------ */

static void *prepare_walk(void)
{
	struct pair *p = malloc(sizeof(*p));

	CHECK(p);
	*p = make_pair();
	map(p->local, anon(20, 4)); /* never touched */
	return p;
}

static int body_walk(void *state)
{
	struct pair *p = state;
	struct msn_iov l[] = { { AT(20), 4 * PAGE } },
		       r[] = { { AT(0), 4 * PAGE } };
	struct msn_process_vm c = call_of(p, l, 1, r, 1);
	uint64_t done = 0;
	int rc = msn_mm_process_vm_readv(&c, &done);

	EXPECT(rc || done == 4 * PAGE);
	return rc;
}

static void verify_walk(void *state, int rc, const char *name)
{
	struct pair *p = state;

	EXPECT(rc == 0 || (name && rc == -ENOMEM));
	drop_pair(p);
	free(p);
}

static void every_failure_leaves_the_spaces_whole(void)
{
	EXPECT(check_every_fault(prepare_walk, body_walk, verify_walk) > 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(bytes_move_from_list_to_list),
		CHECK_TEST(what_lies_before_a_fault_is_moved_and_counted),
		CHECK_TEST(one_space_may_be_both),
		CHECK_TEST(lists_are_checked_before_anything_moves),
		CHECK_TEST(two_spaces_read_from_each_other_and_none_waits),
		CHECK_TEST(made_up_lists_agree_with_the_kernel),
		CHECK_TEST(every_failure_leaves_the_spaces_whole),
		{}
	};

	return check_main(argc, argv, "mm process_vm", tests);
}
