/*
 * Watch: the loop thread is told when a descriptor is ready.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * For descriptors of which there are thousands.  sd-event asks the kernel anew
 * for all that are ready before each one that it serves: with 10,000 clients
 * that hang up at once every answer takes 5 ms.  Watches of a loop share one
 * epoll, which is one source of sd-event, and are served in turn, a bounded
 * number in each round.
 *
 * Locks: loop thread.
 */
#ifndef MSN_LOOP_WATCH_H
#define MSN_LOOP_WATCH_H

#include "loop/loop.h"

#include <stdint.h>
#include <sys/epoll.h>

struct msn_watch {
	/* @events: EPOLLIN and so on.  May remove and free any watch. */
	void (*ready)(struct msn_watch *self, uint32_t events); /* set once */
	int fd;		 /* borrowed; -1: not watched */
	uint32_t events; /* that are asked for; level-triggered */
};

/* Watches @fd from now on.  On failure nothing is watched. */
MSN_MUST_CHECK int msn_watch_add(struct msn_loop *loop, struct msn_watch *w,
				 int fd, uint32_t events);

/* Asks for other events.  Does not fail. */
void msn_watch_set(struct msn_loop *loop, struct msn_watch *w, uint32_t events);

/* Before @fd is closed; ready() is not called any more.  Does nothing if @w is
 * not watched. */
void msn_watch_remove(struct msn_loop *loop, struct msn_watch *w);

#endif /* MSN_LOOP_WATCH_H */
