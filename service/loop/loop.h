/*
 * Loop: the control thread, and threads beside it that may block.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One thread runs an sd-event loop: sockets, timers, signals.  Nothing that it
 * runs may block.  What blocks runs as a task on workers; when it is done it
 * posts a task back.
 *
 *    loop thread --- msn_workers_submit() ---> a worker
 *    any thread ---- msn_loop_post() --------> loop thread
 *
 * Tasks are embedded in what they are about and belong to their owner, who
 * keeps them until they have run.
 *
 * Locks: msn_loop_post() and msn_workers_submit() may be called from any
 * thread, with locks held: they take only MSN_RANK_LEAF.
 */
#ifndef MSN_LOOP_LOOP_H
#define MSN_LOOP_LOOP_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

struct msn_task {
	void (*run)(struct msn_task *self); /* set before it is handed over */
	struct msn_task *next;		    /* of whoever has it */
};

/* ---- The control thread ------------------------------------------------- */

struct msn_loop;

/* Made by the thread that will run it. */
MSN_MUST_CHECK int msn_loop_new(struct msn_loop **out);

/* What was posted and has not run is run first.  NULL is allowed. */
struct msn_loop *msn_loop_free(struct msn_loop *loop);
MSN_DEFINE_AUTO(struct msn_loop, msn_loop_free)

/* Borrowed: to add sources to. */
sd_event *msn_loop_event(struct msn_loop *loop);

/*
 * Has the loop thread run @task, after those posted before.  Any thread, the
 * loop's own too.  Does not fail or block; one wake-up for many tasks.
 */
void msn_loop_post(struct msn_loop *loop, struct msn_task *task);

/*
 * Runs until msn_loop_exit(); returns its code, or a negated errno.  Once: a
 * loop that has ended is only freed.
 */
MSN_MUST_CHECK int msn_loop_run(struct msn_loop *loop);
void msn_loop_exit(struct msn_loop *loop, int code);

/* Is this the thread of @loop? */
bool msn_loop_is_current(const struct msn_loop *loop);

/* ---- Workers ------------------------------------------------------------ */

struct msn_workers;

struct msn_workers_opts {
	const char *name;     /* of the threads, at most 15 bytes */
	unsigned threads_max; /* > 0; threads are made when they are needed */
	size_t queue_max;     /* tasks that wait for a thread */
	unsigned idle_ms; /* a thread without work ends after this; no wake-ups
			     otherwise */
	void (*thread_started)(void *ctx); /* on the new thread, or NULL */
	void *ctx;
};

MSN_MUST_CHECK int msn_workers_new(struct msn_workers **out,
				   const struct msn_workers_opts *opts);

/* Waits for what runs; what waits is run too.  NULL is allowed. */
struct msn_workers *msn_workers_free(struct msn_workers *w);
MSN_DEFINE_AUTO(struct msn_workers, msn_workers_free)

/*
 * Has a worker run @task, in the order of submission.  -EAGAIN when the queue
 * is full, or no thread can be made and none is there: @task is not taken.
 */
MSN_MUST_CHECK int msn_workers_submit(struct msn_workers *w,
				      struct msn_task *task);

#endif /* MSN_LOOP_LOOP_H */
