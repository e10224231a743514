/*
 * Events: a ring, and those who watch it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "events/events.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct msn_events {
	struct msn_loop *loop; /* set once */
	size_t cap;	       /* set once */
	struct msn_task tell;  /* thread of the loop, once posted */

	struct msn_mutex lock; /* MSN_RANK_EVENTS; all below */
	struct msn_event *ring;
	uint64_t first, last; /* sequences that are kept; last < first: none */
	bool telling;	      /* the tell task is posted */

	struct msn_events_watch *watches; /* thread of the loop */
};

static void tell(struct msn_task *task)
{
	struct msn_events *e = msn_container_of(task, struct msn_events, tell);
	struct msn_events_watch *watch, *next;

	msn_mutex_lock(&e->lock);
	e->telling = false;
	msn_mutex_unlock(&e->lock);
	for (watch = e->watches; watch; watch = next) {
		next = watch->next;
		watch->fn(watch);
	}
}

int msn_events_new(struct msn_events **out, const struct msn_events_opts *opts)
{
	msn_auto(msn_events_freep) struct msn_events *e = NULL;

	e = msn_alloc(sizeof(*e));
	if (!e)
		return msn_fail(-ENOMEM);
	msn_mutex_init(&e->lock, MSN_RANK_EVENTS);
	e->loop = opts->loop;
	e->cap = opts->kept_max;
	e->first = opts->first_sequence;
	e->last = opts->first_sequence - 1;
	e->tell.run = tell;
	e->ring = msn_alloc_array(e->cap, sizeof(*e->ring));
	if (!e->ring)
		return msn_fail(-ENOMEM);
	*out = msn_steal(e);
	return 0;
}

struct msn_events *msn_events_free(struct msn_events *e)
{
	if (!e)
		return NULL;
	msn_mutex_deinit(&e->lock);
	free(e->ring);
	free(e);
	return NULL;
}

static struct msn_event *slot(struct msn_events *e, uint64_t sequence)
{
	return &e->ring[sequence % e->cap];
}

void msn_events_post(struct msn_events *e, const struct msn_event *event)
{
	struct timespec t;
	struct msn_event *to;

	clock_gettime(CLOCK_REALTIME, &t);
	msn_lock_scope(&e->lock);
	e->last++;
	if (e->last - e->first >= e->cap)
		e->first = e->last - e->cap + 1;
	to = slot(e, e->last);
	*to = *event;
	to->sequence = e->last;
	to->time_ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	if (e->telling)
		return;
	e->telling = true;
	msn_loop_post(e->loop, &e->tell);
}

uint64_t msn_events_last(struct msn_events *e)
{
	msn_lock_scope(&e->lock);
	return e->last;
}

static bool may_see(const struct msn_event *event, const char *owner,
		    unsigned types)
{
	return (!types || types & 1U << event->type) &&
	       (!event->owner[0] || strcmp(event->owner, owner) == 0);
}

int msn_events_read(struct msn_events *e, const char *owner, unsigned types,
		    uint64_t *after, struct msn_event *out, size_t max,
		    size_t *count)
{
	size_t n = 0;

	msn_lock_scope(&e->lock);
	if (*after + 1 < e->first || *after > e->last)
		return MSN_EVENTS_E_GONE;
	while (*after < e->last && n < max) {
		const struct msn_event *event = slot(e, ++*after);

		if (may_see(event, owner, types))
			out[n++] = *event;
	}
	*count = n;
	return 0;
}

void msn_events_watch(struct msn_events *e, struct msn_events_watch *watch)
{
	watch->next = e->watches;
	watch->link = &e->watches;
	if (watch->next)
		watch->next->link = &watch->next;
	e->watches = watch;
}

void msn_events_unwatch(struct msn_events_watch *watch)
{
	if (!watch->link)
		return;
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	watch->link = NULL;
}
