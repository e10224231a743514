/*
 * Victim: a child process whose memory and threads tests look at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fakes/victim.h"

#include "procfile/proc_status.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct victim_shared *shared;

struct worker {
	enum victim_kind kind;
	unsigned number;
};

static void on_signal(int sig)
{
	(void)sig;
	shared->signals++;
}

static void *short_life(void *arg)
{
	shared->made++;
	return arg;
}

static void spawn_once(void)
{
	pthread_t th;

	if (pthread_create(&th, NULL, short_life, NULL) == 0)
		pthread_detach(th);
	else
		usleep(100);
}

static void *work(void *arg)
{
	const struct worker *w = arg;

	shared->ready++;
	for (;;) {
		if (w->kind == VICTIM_SLEEPS)
			pause();
		if (w->kind == VICTIM_SPAWNS && w->number == 0)
			spawn_once();
		shared->count[w->number]++;
	}
	return NULL;
}

static struct victim_shared *share(void)
{
	return mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void wait_ready(uint32_t threads)
{
	while (shared->ready < threads)
		usleep(1000);
}

static _Noreturn void threads_main(enum victim_kind kind, unsigned threads)
{
	static struct worker workers[VICTIM_THREADS_MAX];
	pthread_t th;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, on_signal);
	signal(SIGRTMIN, on_signal);
	for (unsigned i = 0; i < threads; i++)
		workers[i] = (struct worker){ kind, i };
	for (unsigned i = 1; i < threads; i++)
		if (pthread_create(&th, NULL, work, &workers[i]))
			abort();
	work(&workers[0]);
	abort();
}

struct victim victim_start(enum victim_kind kind, unsigned threads)
{
	struct victim v;

	shared = v.shared = share();
	v.pid = fork();
	if (v.pid == 0)
		threads_main(kind, threads);
	wait_ready(threads);
	return v;
}

struct victim victim_run(void (*fn)(struct victim_shared *))
{
	struct victim v;

	shared = v.shared = share();
	v.pid = fork();
	if (v.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(shared);
		shared->ready = 1;
		for (;;)
			pause();
	}
	wait_ready(1);
	return v;
}

void victim_end(struct victim *v)
{
	kill(v->pid, SIGKILL);
	waitpid(v->pid, NULL, __WALL);
	if (v->shared)
		munmap(v->shared, sizeof(*v->shared));
}

static int counts_on(const struct victim *v, unsigned thread)
{
	uint64_t before = v->shared->count[thread];

	for (int i = 0; i < 2000; i++) {
		if (v->shared->count[thread] != before)
			return 1;
		usleep(1000);
	}
	return 0;
}

int victim_goes_on(const struct victim *v, unsigned threads)
{
	for (unsigned i = 0; i < threads; i++)
		if (!counts_on(v, i))
			return 0;
	return 1;
}

char victim_state(const struct victim *v)
{
	return msn_proc_thread_state(v->pid, v->pid);
}

int victim_sleeps(const struct victim *v)
{
	for (int i = 0; i < 1000; i++) {
		if (victim_state(v) == 'S')
			return 1;
		usleep(1000);
	}
	return 0;
}
