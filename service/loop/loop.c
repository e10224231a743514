/*
 * The control thread: an sd-event loop that other threads hand tasks to.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is posted waits in one list.  Whoever puts the first one in wakes the
 * loop: another thread by the eventfd, the loop's own by a source that is
 * always ready, which costs no write and no read.  Tasks that are posted while
 * the list is worked off wait for the next round, so sockets get their turn.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "loop/loop_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Runs what has been posted; false if that was nothing. */
static bool run_posted(struct msn_loop *loop)
{
	struct task_list list;
	struct msn_task *t;

	task_list_init(&list);
	msn_mutex_lock(&loop->lock);
	if (loop->posted.first)
		list = loop->posted;
	task_list_init(&loop->posted);
	loop->woken = false;
	msn_mutex_unlock(&loop->lock);
	if (!list.first)
		return false;
	while ((t = list.first)) {
		list.first = t->next; /* run() may free it */
		t->run(t);
	}
	return true;
}

static int wake_fired(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	uint64_t count;

	(void)s;
	(void)events;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	run_posted(arg);
	return 0;
}

static int again_fired(sd_event_source *s, void *arg)
{
	(void)s;
	run_posted(arg);
	return 0;
}

static int loop_init(struct msn_loop *loop)
{
	int rc = msn_fault("loop.event") ? -EMFILE : sd_event_new(&loop->event);

	if (rc < 0)
		return msn_fail(rc);
	loop->wake_fd = msn_fault("loop.eventfd")
				? -1
				: eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return msn_fail(-EMFILE);
	rc = sd_event_add_io(loop->event, &loop->wake, loop->wake_fd, EPOLLIN,
			     wake_fired, loop);
	if (rc >= 0)
		rc = sd_event_add_defer(loop->event, &loop->again, again_fired,
					loop);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(loop->again, SD_EVENT_OFF);
	if (rc < 0)
		return msn_fail(rc);
	rc = msn_timers_init(loop);
	return msn_pass(rc ? rc : msn_watches_init(loop));
}

int msn_loop_new(struct msn_loop **out)
{
	msn_auto(msn_loop_freep) struct msn_loop *loop = NULL;
	int rc;

	loop = msn_alloc(sizeof(*loop));
	if (!loop)
		return msn_fail(-ENOMEM);
	loop->wake_fd = loop->watch_fd = -1;
	loop->thread = pthread_self();
	task_list_init(&loop->posted);
	msn_mutex_init(&loop->lock, MSN_RANK_LEAF);
	rc = loop_init(loop);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(loop);
	return 0;
}

struct msn_loop *msn_loop_free(struct msn_loop *loop)
{
	if (!loop)
		return NULL;
	while (run_posted(loop))
		;
	msn_watches_deinit(loop);
	msn_timers_deinit(loop);
	sd_event_source_disable_unref(loop->again);
	sd_event_source_disable_unref(loop->wake);
	msn_close(loop->wake_fd);
	sd_event_unref(loop->event);
	msn_mutex_deinit(&loop->lock);
	free(loop);
	return NULL;
}

sd_event *msn_loop_event(struct msn_loop *loop)
{
	return loop->event;
}

/*
 * Neither can fail: the counter of an eventfd does not get that far, and a
 * source of a loop that has not ended can be enabled.  After its end what is
 * posted waits for msn_loop_free().
 */
static void wake_up(struct msn_loop *loop)
{
	static const uint64_t one = 1;

	if (msn_loop_is_current(loop))
		msn_assert(sd_event_get_state(loop->event) ==
				   SD_EVENT_FINISHED ||
			   sd_event_source_set_enabled(loop->again,
						       SD_EVENT_ONESHOT) >= 0);
	else
		msn_assert(write(loop->wake_fd, &one, sizeof(one)) ==
			   sizeof(one));
}

void msn_loop_post(struct msn_loop *loop, struct msn_task *task)
{
	msn_lock_scope(&loop->lock);
	task_list_push(&loop->posted, task);
	if (!loop->woken) {
		loop->woken = true;
		wake_up(loop);
	}
}

int msn_loop_run(struct msn_loop *loop)
{
	msn_assert(msn_loop_is_current(loop));
	return msn_pass(sd_event_loop(loop->event));
}

void msn_loop_exit(struct msn_loop *loop, int code)
{
	msn_assert(msn_loop_is_current(loop));
	msn_assert(sd_event_exit(loop->event, code) >= 0);
}

bool msn_loop_is_current(const struct msn_loop *loop)
{
	return pthread_equal(loop->thread, pthread_self());
}
