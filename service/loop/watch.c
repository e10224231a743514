/*
 * Watches: an epoll inside sd-event's.  See watch.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "loop/watch.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "loop/loop_private.h"

#include <errno.h>

/* Serves what is ready; what does not fit is at the head of the kernel's list
 * the next time. */
static int watches_fired(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct msn_loop *loop = arg;
	int n = epoll_wait(fd, loop->ready, WATCHES_PER_ROUND, 0);

	(void)s;
	(void)events;
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->ready_count = n;
	for (int i = 0; i < loop->ready_count; i++) {
		struct msn_watch *w = loop->ready[i].data.ptr;

		loop->ready[i].data.ptr = NULL;
		if (w)
			w->ready(w, loop->ready[i].events);
	}
	loop->ready_count = 0;
	return 0;
}

int msn_watches_init(struct msn_loop *loop)
{
	int rc;

	loop->watch_fd =
		msn_fault("loop.epoll") ? -1 : epoll_create1(EPOLL_CLOEXEC);
	if (loop->watch_fd < 0)
		return msn_fail(-EMFILE);
	rc = sd_event_add_io(loop->event, &loop->watches, loop->watch_fd,
			     EPOLLIN, watches_fired, loop);
	return rc < 0 ? msn_fail(rc) : 0;
}

void msn_watches_deinit(struct msn_loop *loop)
{
	sd_event_source_disable_unref(loop->watches);
	msn_close(loop->watch_fd);
}

static int control(struct msn_loop *loop, int op, struct msn_watch *w)
{
	struct epoll_event e = { .events = w->events, .data.ptr = w };

	msn_assert_slow(msn_loop_is_current(loop));
	return epoll_ctl(loop->watch_fd, op, w->fd, &e) ? -errno : 0;
}

int msn_watch_add(struct msn_loop *loop, struct msn_watch *w, int fd,
		  uint32_t events)
{
	int rc;

	w->fd = fd;
	w->events = events;
	rc = msn_fault("watch.add") ? -ENOSPC : control(loop, EPOLL_CTL_ADD, w);
	if (rc)
		w->fd = -1;
	return rc ? msn_fail(rc) : 0;
}

void msn_watch_set(struct msn_loop *loop, struct msn_watch *w, uint32_t events)
{
	if (events == w->events)
		return;
	w->events = events;
	msn_assert(control(loop, EPOLL_CTL_MOD, w) == 0);
}

void msn_watch_remove(struct msn_loop *loop, struct msn_watch *w)
{
	if (w->fd < 0)
		return;
	msn_assert(control(loop, EPOLL_CTL_DEL, w) == 0);
	w->fd = -1;
	/* It may be among those that are to be served in this round. */
	for (int i = 0; i < loop->ready_count; i++)
		if (loop->ready[i].data.ptr == w)
			loop->ready[i].data.ptr = NULL;
}
