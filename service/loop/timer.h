/*
 * Timer: one moment at which the loop thread does something.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Timers are embedded in what they are about: setting one takes no memory and
 * cannot fail.  A loop keeps all of its timers in one heap behind one timer of
 * the kernel, which is set anew only when the next moment comes sooner: what
 * is set and cleared again and again, as the deadline of a short call, costs
 * no system call.  (It may cost one wake-up for nothing, later.)
 *
 * Locks: loop thread.
 */
#ifndef MSN_LOOP_TIMER_H
#define MSN_LOOP_TIMER_H

#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct msn_timer {
	void (*fire)(struct msn_timer *self); /* set once */
	uint64_t at;			      /* CLOCK_MONOTONIC, ns */
	bool is_set;
	/* The heap's: first of those below, next beside, parent or previous. */
	struct msn_timer *child, *next, *prev;
};

/* CLOCK_MONOTONIC in ns. */
static inline uint64_t msn_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) +
	       (uint64_t)ts.tv_nsec;
}

/*
 * Has @t->fire called once, not before @at; what was set before is forgotten.
 * UINT64_MAX is never.  fire() may set @t again, and may free it.
 */
void msn_timer_set(struct msn_loop *loop, struct msn_timer *t, uint64_t at);

/* Does nothing if @t is not set. */
void msn_timer_clear(struct msn_loop *loop, struct msn_timer *t);

#endif /* MSN_LOOP_TIMER_H */
