/*
 * The control thread: posted tasks, their order, sleep without wake-ups.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "loop/loop.h"
#include "support/check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

struct fixture {
	struct msn_loop *loop;
	unsigned ran;
	unsigned order[64];
};

struct item {
	struct msn_task task;
	struct fixture *f;
	unsigned nr;
};

static void note(struct msn_task *t)
{
	struct item *i = msn_container_of(t, struct item, task);

	i->f->order[i->f->ran++ % 64] = i->nr;
}

static void stop(struct msn_task *t)
{
	struct item *i = msn_container_of(t, struct item, task);

	note(t);
	msn_loop_exit(i->f->loop, 7);
}

static void post(struct item *i, struct fixture *f, unsigned nr,
		 void (*run)(struct msn_task *))
{
	*i = (struct item){ .task.run = run, .f = f, .nr = nr };
	msn_loop_post(f->loop, &i->task);
}

static void tasks_run_in_the_order_of_posting(void)
{
	struct fixture f = { 0 };
	struct item items[5];

	CHECK(msn_loop_new(&f.loop) == 0);
	for (unsigned i = 0; i < 4; i++)
		post(&items[i], &f, i, note);
	post(&items[4], &f, 4, stop);
	EXPECT(msn_loop_run(f.loop) == 7);
	CHECK(f.ran == 5);
	for (unsigned i = 0; i < 5; i++)
		EXPECT(f.order[i] == i);
	msn_loop_free(f.loop);
}

static struct item second;

static void post_another(struct msn_task *t)
{
	struct item *i = msn_container_of(t, struct item, task);

	note(t);
	post(&second, i->f, 9, stop);
}

static void a_task_may_post_a_task(void)
{
	struct fixture f = { 0 };
	struct item first;

	CHECK(msn_loop_new(&f.loop) == 0);
	post(&first, &f, 1, post_another);
	EXPECT(msn_loop_run(f.loop) == 7);
	EXPECT(f.ran == 2 && f.order[0] == 1 && f.order[1] == 9);
	msn_loop_free(f.loop);
}

static void what_is_posted_and_not_run_is_run_before_the_end(void)
{
	struct fixture f = { 0 };
	struct item items[3];

	CHECK(msn_loop_new(&f.loop) == 0);
	for (unsigned i = 0; i < 3; i++)
		post(&items[i], &f, i, note);
	msn_loop_free(f.loop);
	EXPECT(f.ran == 3);
}

/* ---- other threads ------------------------------------------------------- */

#define POSTERS 4
#define EACH 2000

struct poster {
	struct fixture *f;
	struct item items[EACH];
	pthread_t thread;
};

static void count(struct msn_task *t)
{
	struct item *i = msn_container_of(t, struct item, task);

	/* Those of one thread come in its order: nr counts up. */
	EXPECT(i->f->order[i->nr % POSTERS] == i->nr / POSTERS);
	i->f->order[i->nr % POSTERS]++;
	if (++i->f->ran == POSTERS * EACH)
		msn_loop_exit(i->f->loop, 0);
}

static void *post_many(void *arg)
{
	struct poster *p = arg;
	unsigned nr = p->items[0].nr;

	for (unsigned i = 0; i < EACH; i++)
		post(&p->items[i], p->f, nr + i * POSTERS, count);
	return NULL;
}

static void any_thread_may_post(void)
{
	static struct poster posters[POSTERS];
	struct fixture f = { 0 };

	CHECK(msn_loop_new(&f.loop) == 0);
	for (unsigned i = 0; i < POSTERS; i++) {
		posters[i].f = &f;
		posters[i].items[0].nr = i;
		CHECK(pthread_create(&posters[i].thread, NULL, post_many,
				     &posters[i]) == 0);
	}
	EXPECT(msn_loop_run(f.loop) == 0);
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	EXPECT(f.ran == POSTERS * EACH);
	msn_loop_free(f.loop);
}

static void *say_whether_current(void *arg)
{
	return msn_loop_is_current(arg) ? arg : NULL;
}

static void a_loop_knows_its_thread(void)
{
	struct msn_loop *loop;
	pthread_t other;
	void *said;

	CHECK(msn_loop_new(&loop) == 0);
	EXPECT(msn_loop_is_current(loop));
	CHECK(pthread_create(&other, NULL, say_whether_current, loop) == 0);
	pthread_join(other, &said);
	EXPECT(!said);
	msn_loop_free(loop);
}

/* ---- nothing to do ------------------------------------------------------- */

static void without_work_a_loop_sleeps(void)
{
	struct fixture f = { 0 };
	struct item one;

	CHECK(msn_loop_new(&f.loop) == 0);
	post(&one, &f, 0, note);
	while (sd_event_run(msn_loop_event(f.loop), 0) > 0)
		;
	EXPECT(f.ran == 1);
	/* Nothing is left that is ready, and nothing will be. */
	EXPECT(sd_event_run(msn_loop_event(f.loop), 20000) == 0);
	msn_loop_free(f.loop);
}

static void *fault_prepare(void)
{
	static struct msn_loop *loop;

	loop = NULL;
	return &loop;
}

static int fault_body(void *state)
{
	return msn_loop_new(state);
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct msn_loop **loop = state;

	EXPECT(name ? rc < 0 && !*loop : rc == 0 && *loop);
	msn_loop_free(*loop);
}

static void every_failure_of_making_one_leaves_nothing(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) == 5);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(tasks_run_in_the_order_of_posting),
		CHECK_TEST(a_task_may_post_a_task),
		CHECK_TEST(what_is_posted_and_not_run_is_run_before_the_end),
		CHECK_TEST(any_thread_may_post),
		CHECK_TEST(a_loop_knows_its_thread),
		CHECK_TEST(without_work_a_loop_sleeps),
		CHECK_TEST(every_failure_of_making_one_leaves_nothing),
		{}
	};

	return check_main(argc, argv, "loop", tests);
}
