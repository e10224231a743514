/*
 * Workers: threads that are made when there is work and end when there is none.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Idle threads lie on a stack, each with a condition of its own: the one that
 * went idle last is woken first, so that those below it are left alone for
 * long enough to end.  A thread that ends joins the one that ended before it;
 * the last is joined by msn_workers_free().
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "loop/loop_private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* An idle thread; lies on its stack. */
struct idle {
	struct idle *below;
	pthread_cond_t wake;
	bool woken; /* under lock, as all here */
};

struct msn_workers {
	struct msn_workers_opts opts; /* set once */
	char name[16];		      /* set once */

	struct msn_mutex lock;
	/* Under lock. */
	struct task_list queue;
	size_t queued;
	unsigned threads; /* that take tasks */
	unsigned alive;	  /* these, and those that are ending */
	struct idle *idle;
	bool stop;
	bool has_ended; /* a thread that nobody has joined: */
	pthread_t ended;
	pthread_cond_t gone; /* no thread is alive */
};

/* ---- a thread ------------------------------------------------------------ */

static void idle_remove(struct msn_workers *w, struct idle *self)
{
	struct idle **at = &w->idle;

	while (*at && *at != self)
		at = &(*at)->below;
	if (*at)
		*at = self->below;
}

static void idle_until(struct timespec *until, unsigned ms)
{
	uint64_t at = msn_clock_ns() + ms * UINT64_C(1000000);

	until->tv_sec = (time_t)(at / UINT64_C(1000000000));
	until->tv_nsec = (long)(at % UINT64_C(1000000000));
}

/* Waits for work, under the lock.  False when there has been none for long. */
static bool wait_for_work(struct msn_workers *w)
{
	struct idle self = { .below = w->idle };
	struct timespec until;
	pthread_condattr_t attr;
	int rc = 0;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&self.wake, &attr);
	pthread_condattr_destroy(&attr);
	w->idle = &self;
	idle_until(&until, w->opts.idle_ms);
	while (!self.woken && rc == 0)
		rc = pthread_cond_timedwait(&self.wake, &w->lock.raw, &until);
	idle_remove(w, &self);
	pthread_cond_destroy(&self.wake);
	return self.woken;
}

/* The next task, or NULL when this thread has to end.  Under the lock. */
static struct msn_task *next_task(struct msn_workers *w)
{
	struct msn_task *t;

	while (!(t = task_list_pop(&w->queue)))
		if (w->stop || !wait_for_work(w))
			break;
	if (t)
		w->queued--;
	return t;
}

/* Ends this thread; joins the one that ended before. */
static void thread_end(struct msn_workers *w)
{
	bool join = w->has_ended;
	pthread_t before = w->ended;

	w->threads--; /* nobody counts on this one any more */
	w->has_ended = true;
	w->ended = pthread_self();
	if (join) {
		msn_mutex_unlock(&w->lock);
		pthread_join(before, NULL);
		msn_mutex_lock(&w->lock);
	}
	if (--w->alive == 0)
		pthread_cond_signal(&w->gone);
}

static void *thread_run(void *arg)
{
	struct msn_workers *w = arg;
	struct msn_task *t;

	if (w->opts.thread_started)
		w->opts.thread_started(w->opts.ctx);
	msn_mutex_lock(&w->lock);
	while ((t = next_task(w))) {
		msn_mutex_unlock(&w->lock);
		t->run(t);
		msn_mutex_lock(&w->lock);
	}
	thread_end(w);
	msn_mutex_unlock(&w->lock);
	return NULL;
}

/* Starts a thread, deaf to signals.  Under the lock. */
static bool thread_start(struct msn_workers *w)
{
	pthread_t thread;
	sigset_t all, old;
	int rc;

	if (msn_fault("workers.thread"))
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, NULL, thread_run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return false;
	pthread_setname_np(thread, w->name);
	w->threads++;
	w->alive++;
	return true;
}

/* ---- for everybody ------------------------------------------------------- */

int msn_workers_new(struct msn_workers **out,
		    const struct msn_workers_opts *opts)
{
	struct msn_workers *w;

	msn_assert(opts->threads_max > 0 &&
		   strlen(opts->name) < sizeof(w->name));
	w = msn_alloc(sizeof(*w));
	if (!w)
		return msn_fail(-ENOMEM);
	w->opts = *opts;
	strcpy(w->name, opts->name);
	msn_mutex_init(&w->lock, MSN_RANK_LEAF);
	pthread_cond_init(&w->gone, NULL);
	task_list_init(&w->queue);
	*out = w;
	return 0;
}

struct msn_workers *msn_workers_free(struct msn_workers *w)
{
	if (!w)
		return NULL;
	msn_mutex_lock(&w->lock);
	w->stop = true;
	for (struct idle *i = w->idle; i; i = i->below) {
		i->woken = true;
		pthread_cond_signal(&i->wake);
	}
	while (w->alive > 0)
		pthread_cond_wait(&w->gone, &w->lock.raw);
	msn_mutex_unlock(&w->lock);
	if (w->has_ended)
		pthread_join(w->ended, NULL);
	msn_assert(!w->queue.first);
	pthread_cond_destroy(&w->gone);
	msn_mutex_deinit(&w->lock);
	free(w);
	return NULL;
}

int msn_workers_submit(struct msn_workers *w, struct msn_task *task)
{
	struct idle *idle;

	msn_lock_scope(&w->lock);
	if (w->queued >= w->opts.queue_max)
		return -EAGAIN;
	idle = w->idle;
	if (idle) {
		w->idle = idle->below;
		idle->woken = true;
		pthread_cond_signal(&idle->wake);
	} else if (w->threads < w->opts.threads_max && !thread_start(w) &&
		   w->threads == 0) {
		return -EAGAIN;
	}
	task_list_push(&w->queue, task);
	w->queued++;
	return 0;
}
