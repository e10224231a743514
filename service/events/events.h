/*
 * Events: what happened, in order, for those who ask.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The newest events are kept in a ring.  Each has a sequence number; those of
 * one run of the service follow each other, and a run begins above all that
 * went before.  Whoever fell behind what is kept, or was there before this run,
 * is told so and looks anew.
 *
 * Locks: MSN_RANK_EVENTS.  Posting and reading: any thread.  Watches: loop
 * thread.
 */
#ifndef MSN_EVENTS_EVENTS_H
#define MSN_EVENTS_EVENTS_H

#include "base/cleanup.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values are those of the .proto. */
enum msn_event_type {
	MSN_EVENT_SPACE_CREATED = 1,
	MSN_EVENT_SPACE_DELETED,
	MSN_EVENT_SNAPSHOT_CREATED,
	MSN_EVENT_SNAPSHOT_UPDATED,
	MSN_EVENT_SNAPSHOT_DELETED,
	MSN_EVENT_OPERATION_ENDED,
	MSN_EVENT_SERVICE_STARTED,
};

struct msn_event {
	uint64_t sequence; /* given when it is posted */
	int64_t time_ns;   /* since the epoch; likewise */
	enum msn_event_type type;
	char owner[80];	  /* ""; for everybody */
	char subject[33]; /* a uid, or an operation's name */
	char name[64];
	char trace_id[33];
};

struct msn_events;

struct msn_events_opts {
	struct msn_loop *loop;	 /* borrowed */
	size_t kept_max;	 /* > 0; all are allocated at once */
	uint64_t first_sequence; /* > 0, above all earlier runs' */
};

MSN_MUST_CHECK int msn_events_new(struct msn_events **out,
				  const struct msn_events_opts *opts);
/* Before: nobody watches.  NULL is allowed.  Returns NULL. */
struct msn_events *msn_events_free(struct msn_events *e);
MSN_DEFINE_AUTO(struct msn_events, msn_events_free)

/* Posts a copy.  Does not fail or block. */
void msn_events_post(struct msn_events *e, const struct msn_event *event);

/* The sequence of the last event; before the first, the one before it. */
uint64_t msn_events_last(struct msn_events *e);

enum msn_events_outcome {
	MSN_EVENTS_E_GONE = 1, /* events after @after are kept no longer */
};

/*
 * Up to @max events after *@after that @owner may see, of types whose bits
 * (1 << type) are in @types (0: all).  *@after moves behind what was looked at,
 * *@count may be 0 then.
 */
MSN_MUST_CHECK int msn_events_read(struct msn_events *e, const char *owner,
				   unsigned types, uint64_t *after,
				   struct msn_event *out, size_t max,
				   size_t *count);

/* Called on the loop thread after events were posted, once for many. */
struct msn_events_watch {
	void (*fn)(struct msn_events_watch *self); /* may unwatch itself */
	struct msn_events_watch *next, **link;	   /* of the events */
};
void msn_events_watch(struct msn_events *e, struct msn_events_watch *watch);
void msn_events_unwatch(struct msn_events_watch *watch);

#endif /* MSN_EVENTS_EVENTS_H */
