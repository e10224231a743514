/*
 * Memory file under many threads: what a thread was given is its own, reads as
 * zero, keeps what is written, and ends up back with the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/rand.h"
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
	THREADS = 4,
	HELD = 16,
	STEPS = CHECK_SANITIZED ? 2000 : 20000,
};

struct crowd {
	struct msn_memfile *mf;
	struct msn_account_table *accounts;
	struct msn_file_range common; /* every thread counts on it */
	uint64_t seed;
	atomic_uint wrong, next;
};

/* A run, and what its owner wrote into the first bytes of each page. */
struct held {
	struct msn_file_range r;
	uint64_t mark;
};

static uint64_t read_mark(struct crowd *c, uint64_t at)
{
	uint64_t mark = UINT64_MAX;
	size_t done;

	if (msn_file_read(msn_memfile_file(c->mf), at, &mark, sizeof(mark),
			  &done) != 0)
		atomic_fetch_add(&c->wrong, 1);
	return mark;
}

static void fill(struct crowd *c, struct held *h, uint64_t *rand)
{
	struct msn_memfile_alloc opts = {
		.length = (1 + msn_rand_next(rand) % 8) * PAGE,
		.direction =
			msn_rand_next(rand) % 2 ? MSN_TOP_DOWN : MSN_BOTTOM_UP,
		.account = (msn_account_id)(msn_rand_next(rand) % 3),
		.near = msn_rand_next(rand) % 1000 * PAGE,
	};
	size_t done;

	if (msn_memfile_allocate(c->mf, &opts, &h->r) != 0) {
		atomic_fetch_add(&c->wrong, 1);
		return;
	}
	h->mark = msn_rand_next(rand) | 1;
	for (uint64_t at = h->r.start; at < h->r.end; at += PAGE) {
		if (read_mark(c, at) != 0)
			atomic_fetch_add(&c->wrong, 1);
		if (msn_file_write(msn_memfile_file(c->mf), at, &h->mark,
				   sizeof(h->mark), &done) != 0)
			atomic_fetch_add(&c->wrong, 1);
	}
}

static void empty(struct crowd *c, struct held *h)
{
	struct msn_file_range run;

	for (uint64_t at = h->r.start; at < h->r.end; at += PAGE)
		if (read_mark(c, at) != h->mark)
			atomic_fetch_add(&c->wrong, 1);
	if (!msn_memfile_is_sole(c->mf, h->r, &run) || run.end != h->r.end)
		atomic_fetch_add(&c->wrong, 1);
	drop(c->mf, h->r);
	h->r = (struct msn_file_range){ 0, 0 };
}

/* Takes a part of the common pages, and gives it back. */
static void use_common(struct crowd *c, uint64_t *rand)
{
	uint64_t first = msn_rand_next(rand) % 60;
	struct msn_file_range r =
		part(c->common, first, first + 1 + msn_rand_next(rand) % 4);
	struct msn_file_range run;

	msn_file_inc_ref(msn_memfile_file(c->mf), r, 0);
	if (msn_memfile_is_sole(c->mf, r, &run))
		atomic_fetch_add(&c->wrong, 1);
	if (read_mark(c, r.start) != 7)
		atomic_fetch_add(&c->wrong, 1);
	drop(c->mf, r);
}

static void *work(void *arg)
{
	struct crowd *c = arg;
	uint64_t rand = c->seed + atomic_fetch_add(&c->next, 1);
	struct held held[HELD] = { 0 };

	for (int step = 0; step < STEPS; step++) {
		struct held *h = &held[msn_rand_next(&rand) % HELD];

		if (msn_rand_next(&rand) % 4 == 0)
			use_common(c, &rand);
		else if (msn_file_range_empty(h->r))
			fill(c, h, &rand);
		else
			empty(c, h);
		if (msn_rand_next(&rand) % 512 == 0)
			msn_memfile_drain(c->mf);
	}
	for (int i = 0; i < HELD; i++)
		if (!msn_file_range_empty(held[i].r))
			empty(c, &held[i]);
	return NULL;
}

/* Looks on: whatever it sees is true of some moment. */
static void *look_on(void *arg)
{
	struct crowd *c = arg;

	for (int i = 0; i < STEPS / 50; i++) {
		struct msn_memfile_usage u = msn_memfile_usage(c->mf, 1);

		if (u.resident > u.referenced || msn_memfile_check(c->mf))
			atomic_fetch_add(&c->wrong, 1);
		if (msn_memfile_used(c->mf) < 64 * PAGE)
			atomic_fetch_add(&c->wrong, 1);
	}
	return NULL;
}

static void run_crowd(bool releaser)
{
	struct crowd c = { .seed = check_seed() };
	pthread_t thread[THREADS], looker;
	size_t done;

	CHECK(msn_account_table_new(&c.accounts) == 0);
	c.mf = make_with((struct msn_memfile_opts){ .accounts = c.accounts,
						    .releaser = releaser });
	c.common = take(c.mf, 64, MSN_BOTTOM_UP);
	for (uint64_t at = c.common.start; at < c.common.end; at += PAGE)
		CHECK(msn_file_write(msn_memfile_file(c.mf), at,
				     &(uint64_t){ 7 }, 8, &done) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, work, &c) == 0);
	CHECK(pthread_create(&looker, NULL, look_on, &c) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	pthread_join(looker, NULL);
	EXPECT(c.wrong == 0);
	drop(c.mf, c.common);
	msn_memfile_drain(c.mf);
	EXPECT(msn_memfile_waste(c.mf) == 0);
	EXPECT(host_bytes(c.mf) == 0);
	for (msn_account_id id = 0; id < 3; id++)
		EXPECT(msn_account_get(c.accounts, id)
			       .bytes[MSN_ACCOUNT_ANONYMOUS] == 0);
	done_with(c.mf);
	msn_account_table_free(c.accounts);
}

static void threads_keep_what_they_were_given(void)
{
	run_crowd(false);
}

static void so_they_do_while_a_releaser_works(void)
{
	run_crowd(true);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(threads_keep_what_they_were_given),
		CHECK_TEST(so_they_do_while_a_releaser_works),
		{}
	};

	return check_main(argc, argv, "memory file: threads", tests);
}
