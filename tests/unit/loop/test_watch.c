/*
 * Watches: many descriptors, served in turn.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "loop/watch.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MANY 200

struct pipe_watch {
	struct msn_watch watch;
	struct fixture *f;
	int ends[2];
	unsigned served;
	bool stays_ready; /* does not read what is there */
	bool removes_all; /* but itself */
};

struct fixture {
	struct msn_loop *loop;
	struct pipe_watch w[MANY];
	size_t count;
	unsigned served;
};

static void ready(struct msn_watch *watch, uint32_t events)
{
	struct pipe_watch *w =
		msn_container_of(watch, struct pipe_watch, watch);
	char byte;

	EXPECT(events & (EPOLLIN | EPOLLHUP));
	w->served++;
	w->f->served++;
	if (!w->stays_ready)
		EXPECT(read(w->ends[0], &byte, 1) >= 0);
	for (size_t i = 0; w->removes_all && i < w->f->count; i++) {
		struct pipe_watch *other = &w->f->w[i];

		if (other == w)
			continue;
		msn_watch_remove(w->f->loop, &other->watch);
		/* It may be freed now. */
		memset(&other->watch, 0xee, sizeof(other->watch));
		other->watch.fd = -1;
	}
}

static void setup(struct fixture *f, size_t count)
{
	memset(f, 0, sizeof(*f));
	f->count = count;
	CHECK(msn_loop_new(&f->loop) == 0);
	for (size_t i = 0; i < count; i++) {
		struct pipe_watch *w = &f->w[i];

		w->f = f;
		w->watch.ready = ready;
		CHECK(pipe(w->ends) == 0);
		CHECK(msn_watch_add(f->loop, &w->watch, w->ends[0], EPOLLIN) ==
		      0);
	}
}

static void teardown(struct fixture *f)
{
	for (size_t i = 0; i < f->count; i++) {
		msn_watch_remove(f->loop, &f->w[i].watch);
		msn_watch_remove(f->loop, &f->w[i].watch);
		close(f->w[i].ends[0]);
		close(f->w[i].ends[1]);
	}
	msn_loop_free(f->loop);
}

static void put(struct pipe_watch *w)
{
	CHECK(write(w->ends[1], "x", 1) == 1);
}

static void round_of(struct fixture *f)
{
	CHECK(sd_event_run(msn_loop_event(f->loop), 0) >= 0);
}

static void who_is_ready_is_served_and_no_other(void)
{
	static struct fixture f;

	setup(&f, 3);
	round_of(&f);
	EXPECT(f.served == 0);
	put(&f.w[1]);
	round_of(&f);
	EXPECT(f.served == 1 && f.w[1].served == 1);
	round_of(&f);
	EXPECT(f.served == 1);
	teardown(&f);
}

static void who_does_not_ask_is_not_told(void)
{
	static struct fixture f;

	setup(&f, 1);
	msn_watch_set(f.loop, &f.w[0].watch, 0);
	put(&f.w[0]);
	round_of(&f);
	EXPECT(f.served == 0);
	msn_watch_set(f.loop, &f.w[0].watch, EPOLLIN);
	round_of(&f);
	EXPECT(f.served == 1);
	teardown(&f);
}

/* All are ready all the time: each gets its turn before any gets two. */
static void a_crowd_is_served_in_turn(void)
{
	static struct fixture f;
	unsigned least = UINT32_MAX, most = 0;

	setup(&f, MANY);
	for (size_t i = 0; i < MANY; i++) {
		f.w[i].stays_ready = true;
		put(&f.w[i]);
	}
	for (int i = 0; i < 40; i++)
		round_of(&f);
	EXPECT(f.served > MANY && f.served <= 40 * 64);
	for (size_t i = 0; i < MANY; i++) {
		least = f.w[i].served < least ? f.w[i].served : least;
		most = f.w[i].served > most ? f.w[i].served : most;
	}
	EXPECT(least > 0 && most - least <= 1);
	teardown(&f);
}

struct counted {
	struct msn_task task;
	unsigned ran;
};

static void count(struct msn_task *task)
{
	msn_container_of(task, struct counted, task)->ran++;
}

static void a_crowd_keeps_no_task_waiting(void)
{
	struct counted c = { .task.run = count };
	static struct fixture f;

	setup(&f, MANY);
	for (size_t i = 0; i < MANY; i++) {
		f.w[i].stays_ready = true;
		put(&f.w[i]);
	}
	for (unsigned i = 0; i < 10; i++) {
		msn_loop_post(f.loop, &c.task);
		for (int n = 0; n < 3; n++)
			round_of(&f);
		EXPECT(c.ran == i + 1);
	}
	EXPECT(f.served > 0);
	teardown(&f);
}

/* One that is served may remove others that are to be served next. */
static void who_is_removed_is_served_no_more(void)
{
	static struct fixture f;

	setup(&f, 20);
	for (size_t i = 0; i < 20; i++) {
		f.w[i].removes_all = true;
		put(&f.w[i]);
	}
	round_of(&f);
	EXPECT(f.served == 1);
	round_of(&f);
	EXPECT(f.served == 1);
	teardown(&f);
}

static void one_that_cannot_be_watched_is_not(void)
{
	struct msn_watch w = { .ready = ready, .fd = -1 };
	static struct fixture f;

	setup(&f, 0);
	msn_fault_arm(1);
	EXPECT(msn_watch_add(f.loop, &w, 0, EPOLLIN) == -ENOSPC);
	msn_fault_arm(0);
	EXPECT(w.fd == -1);
	msn_watch_remove(f.loop, &w);
	EXPECT(msn_watch_add(f.loop, &w, 9999, EPOLLIN) == -EBADF);
	EXPECT(w.fd == -1);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(who_is_ready_is_served_and_no_other),
		CHECK_TEST(who_does_not_ask_is_not_told),
		CHECK_TEST(a_crowd_is_served_in_turn),
		CHECK_TEST(a_crowd_keeps_no_task_waiting),
		CHECK_TEST(who_is_removed_is_served_no_more),
		CHECK_TEST(one_that_cannot_be_watched_is_not),
		{}
	};

	return check_main(argc, argv, "watch", tests);
}
