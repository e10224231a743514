/*
 * What a loop is made of; for the files of this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_LOOP_LOOP_PRIVATE_H
#define MSN_LOOP_LOOP_PRIVATE_H

#include "base/lock.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "loop/watch.h"

/* First in, first out. */
struct task_list {
	struct msn_task *first, **end;
};

static inline void task_list_init(struct task_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static inline void task_list_push(struct task_list *l, struct msn_task *t)
{
	t->next = NULL;
	*l->end = t;
	l->end = &t->next;
}

static inline struct msn_task *task_list_pop(struct task_list *l)
{
	struct msn_task *t = l->first;

	if (t) {
		l->first = t->next;
		if (!l->first)
			l->end = &l->first;
	}
	return t;
}

/* Watches that are served before others get their turn. */
#define WATCHES_PER_ROUND 64

struct msn_loop {
	sd_event *event;  /* set once */
	pthread_t thread; /* set once */

	struct msn_mutex lock;
	struct task_list posted; /* under lock */
	bool woken;		 /* under lock: somebody has seen to it that
				    what is posted will be run */

	int wake_fd; /* eventfd: how other threads wake this one */
	sd_event_source *wake, *again; /* thread of the loop */

	/* Thread of the loop. */
	sd_event_source *clock;
	uint64_t clock_at;	  /* when the kernel will wake us */
	struct msn_timer *timers; /* the heap's root */
	int watch_fd;		  /* the epoll of all watches */
	sd_event_source *watches;
	struct epoll_event ready[WATCHES_PER_ROUND]; /* being served; NULL
							where one has gone */
	int ready_count;
};

/* timer.c */
MSN_MUST_CHECK int msn_timers_init(struct msn_loop *loop);
void msn_timers_deinit(struct msn_loop *loop);

/* watch.c */
MSN_MUST_CHECK int msn_watches_init(struct msn_loop *loop);
void msn_watches_deinit(struct msn_loop *loop);

#endif /* MSN_LOOP_LOOP_PRIVATE_H */
