/*
 * Workers: threads come when there is work, and go.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "base/lock.h"
#include "loop/loop.h"
#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

struct gate {
	sem_t entered, leave;
};

struct job {
	struct msn_task task;
	struct gate *gate;
	bool ran;
	pthread_t by;
};

static void gate_init(struct gate *g)
{
	sem_init(&g->entered, 0, 0);
	sem_init(&g->leave, 0, 0);
}

/* Says that it is there, and stays until it is let go. */
static void run_job(struct msn_task *t)
{
	struct job *j = msn_container_of(t, struct job, task);

	j->by = pthread_self();
	j->ran = true;
	sem_post(&j->gate->entered);
	sem_wait(&j->gate->leave);
}

static void await(sem_t *s)
{
	while (sem_wait(s) && errno == EINTR)
		;
}

static int submit(struct msn_workers *w, struct job *j, struct gate *g)
{
	*j = (struct job){ .task.run = run_job, .gate = g };
	return msn_workers_submit(w, &j->task);
}

/* How many threads this process has whose name is @name. */
static unsigned threads_named(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned count = 0;
	struct dirent *e;

	CHECK(dir);
	while ((e = readdir(dir))) {
		char path[300], comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f))
			comm[strcspn(comm, "\n")] = '\0';
		count += strcmp(comm, name) == 0;
		fclose(f);
	}
	closedir(dir);
	return count;
}

static struct msn_workers *make(unsigned threads, size_t queue, unsigned idle)
{
	struct msn_workers *w;

	CHECK(msn_workers_new(
		      &w, &(struct msn_workers_opts){ .name = "test-worker",
						      .threads_max = threads,
						      .queue_max = queue,
						      .idle_ms = idle }) == 0);
	return w;
}

static void there_is_no_thread_before_there_is_work(void)
{
	struct msn_workers *w = make(4, 16, 60000);

	EXPECT(threads_named("test-worker") == 0);
	msn_workers_free(w);
}

static void as_many_tasks_run_at_once_as_there_may_be_threads(void)
{
	struct msn_workers *w = make(3, 16, 60000);
	struct job jobs[4];
	struct gate g;

	gate_init(&g);
	for (unsigned i = 0; i < 4; i++)
		CHECK(submit(w, &jobs[i], &g) == 0);
	for (unsigned i = 0; i < 3; i++)
		await(&g.entered); /* three are in at the same time */
	EXPECT(sem_trywait(&g.entered) != 0);
	EXPECT(threads_named("test-worker") == 3);
	sem_post(&g.leave);
	await(&g.entered); /* now the fourth */
	for (unsigned i = 0; i < 3; i++)
		sem_post(&g.leave);
	msn_workers_free(w);
	EXPECT(jobs[3].ran);
}

static void a_full_queue_says_no(void)
{
	struct msn_workers *w = make(1, 2, 60000);
	struct job jobs[4];
	struct gate g;

	gate_init(&g);
	CHECK(submit(w, &jobs[0], &g) == 0);
	await(&g.entered); /* it is out of the queue */
	CHECK(submit(w, &jobs[1], &g) == 0);
	CHECK(submit(w, &jobs[2], &g) == 0);
	EXPECT(submit(w, &jobs[3], &g) == -EAGAIN);
	for (unsigned i = 0; i < 3; i++)
		sem_post(&g.leave);
	msn_workers_free(w);
	EXPECT(jobs[1].ran && jobs[2].ran && !jobs[3].ran);
}

static void what_waits_is_run_before_the_end(void)
{
	struct msn_workers *w = make(2, 64, 60000);
	struct job jobs[20];
	struct gate g;

	gate_init(&g);
	for (unsigned i = 0; i < 20; i++) {
		CHECK(submit(w, &jobs[i], &g) == 0);
		sem_post(&g.leave);
	}
	msn_workers_free(w);
	for (unsigned i = 0; i < 20; i++)
		EXPECT(jobs[i].ran);
}

static void an_idle_thread_takes_the_next_task(void)
{
	struct msn_workers *w = make(8, 16, 60000);
	struct job jobs[50];
	struct gate g;

	gate_init(&g);
	for (unsigned i = 0; i < 50; i++) {
		CHECK(submit(w, &jobs[i], &g) == 0);
		await(&g.entered);
		sem_post(&g.leave);
		/* It may still be on its way to idleness. */
		while (threads_named("test-worker") > 8)
			usleep(1000);
	}
	EXPECT(threads_named("test-worker") <= 8);
	msn_workers_free(w);
}

static void threads_without_work_end(void)
{
	struct msn_workers *w = make(4, 16, 1);
	struct job jobs[4], more;
	struct gate g;

	gate_init(&g);
	for (unsigned i = 0; i < 4; i++)
		CHECK(submit(w, &jobs[i], &g) == 0);
	for (unsigned i = 0; i < 4; i++)
		await(&g.entered);
	for (unsigned i = 0; i < 4; i++)
		sem_post(&g.leave);
	while (threads_named("test-worker") > 0)
		usleep(1000);
	/* And come again. */
	CHECK(submit(w, &more, &g) == 0);
	await(&g.entered);
	sem_post(&g.leave);
	msn_workers_free(w);
	EXPECT(more.ran);
}

/* Threads end all the time while tasks come: none is forgotten. */
static void coming_and_going_loses_no_task(void)
{
	struct msn_workers *w = make(3, 1024, 0);
	static struct job jobs[3000];
	struct gate g;

	gate_init(&g);
	for (unsigned i = 0; i < 3000; i++) {
		sem_post(&g.leave);
		while (submit(w, &jobs[i], &g))
			usleep(100);
		if (i % 3 == 0)
			await(&g.entered);
	}
	for (unsigned i = 0; i < 2000; i++)
		await(&g.entered);
	msn_workers_free(w);
	for (unsigned i = 0; i < 3000; i++)
		EXPECT(jobs[i].ran);
}

/* ---- failures ------------------------------------------------------------ */

static void started(void *ctx)
{
	sem_post(ctx);
}

static void each_thread_is_announced(void)
{
	struct msn_workers *w;
	struct job jobs[2];
	struct gate g;
	sem_t announced;

	gate_init(&g);
	sem_init(&announced, 0, 0);
	CHECK(msn_workers_new(&w, &(struct msn_workers_opts){
					  .name = "test-worker",
					  .threads_max = 2,
					  .queue_max = 2,
					  .idle_ms = 60000,
					  .thread_started = started,
					  .ctx = &announced }) == 0);
	CHECK(submit(w, &jobs[0], &g) == 0 && submit(w, &jobs[1], &g) == 0);
	await(&announced);
	await(&announced);
	sem_post(&g.leave);
	sem_post(&g.leave);
	msn_workers_free(w);
}

static void without_any_thread_a_task_is_not_taken(void)
{
	struct msn_workers *w = make(2, 16, 60000);
	struct job jobs[3];
	struct gate g;

	gate_init(&g);
	msn_fault_arm(1);
	EXPECT(submit(w, &jobs[0], &g) == -EAGAIN);
	EXPECT(msn_fault_fired());
	msn_fault_arm(0);
	/* With one thread there, the second may fail: the first does it. */
	CHECK(submit(w, &jobs[1], &g) == 0);
	await(&g.entered);
	msn_fault_arm(1);
	EXPECT(submit(w, &jobs[2], &g) == 0);
	msn_fault_arm(0);
	sem_post(&g.leave);
	sem_post(&g.leave);
	msn_workers_free(w);
	EXPECT(!jobs[0].ran && jobs[1].ran && jobs[2].ran);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(there_is_no_thread_before_there_is_work),
		CHECK_TEST(as_many_tasks_run_at_once_as_there_may_be_threads),
		CHECK_TEST(a_full_queue_says_no),
		CHECK_TEST(what_waits_is_run_before_the_end),
		CHECK_TEST(an_idle_thread_takes_the_next_task),
		CHECK_TEST(threads_without_work_end),
		CHECK_TEST(coming_and_going_loses_no_task),
		CHECK_TEST(each_thread_is_announced),
		CHECK_TEST(without_any_thread_a_task_is_not_taken),
		{}
	};

	return check_main(argc, argv, "workers", tests);
}
