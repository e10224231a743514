/*
 * EventService: a stream for each subscriber, none of which takes a thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A subscriber is told of new events on the loop thread and sends as many as
 * its client takes; what the client is too slow for waits in the ring, until it
 * is there no longer.
 */
#include "rpc/rpc.h"

#include "base/alloc.h"
#include "base/error.h"
#include "events/events.h"
#include "rpc/convert.h"

#include "memsnap/v1/event.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Events of one message. */
#define BATCH 64

struct subscriber {
	struct msn_call *call; /* a reference */
	struct msn_events_watch watch;
	uint64_t after;
	unsigned types;
};

static void subscriber_end(struct subscriber *s, int rc)
{
	struct msn_call *call = s->call;

	msn_call_on_cancel(call, NULL, NULL);
	msn_call_on_drained(call, NULL, NULL);
	msn_events_unwatch(&s->watch);
	free(s);
	msn_call_finish(call, rc);
	msn_call_unref(call);
}

static int gone(struct msn_call *call, uint64_t after, bool began)
{
	struct msn_status *s = msn_call_status(call);
	int rc;

	if (!began)
		return msn_call_fail(
			call, MSN_CODE_OUT_OF_RANGE, "EVENTS_GONE",
			"events after %" PRIu64 " are kept no longer", after);
	rc = msn_call_fail(call, MSN_CODE_RESOURCE_EXHAUSTED, "SLOW_CONSUMER",
			   "events came faster than they were read");
	msn_status_note(s, "sequence", "%" PRIu64, after);
	return rc;
}

/* Messages are built outside of the call's arena, which would only grow. */
struct batch {
	Memsnap__V1__SubscribeResponse message;
	Memsnap__V1__Event events[BATCH], *list[BATCH];
	Google__Protobuf__Timestamp times[BATCH];
};

static void add_event(struct batch *b, struct msn_event *event)
{
	size_t i = b->message.n_events++;
	Memsnap__V1__Event *m = &b->events[i];

	memsnap__v1__event__init(m);
	google__protobuf__timestamp__init(&b->times[i]);
	b->times[i].seconds = event->time_ns / 1000000000;
	b->times[i].nanos = (int32_t)(event->time_ns % 1000000000);
	m->sequence = event->sequence;
	m->time = &b->times[i];
	m->type = (Memsnap__V1__EventType)event->type;
	m->subject = event->subject;
	m->name = event->name;
	m->trace_id = event->trace_id;
	b->list[i] = m;
}

static int send_batch(struct msn_call *call, struct msn_event *events, size_t n)
{
	struct batch *b = msn_alloc(sizeof(*b));
	int rc;

	if (!b)
		return msn_fail(-ENOMEM);
	memsnap__v1__subscribe_response__init(&b->message);
	b->message.events = b->list;
	for (size_t i = 0; i < n; i++)
		add_event(b, &events[i]);
	rc = msn_call_send(call, &b->message.base, NULL);
	free(b);
	return rc;
}

/* Sends what there is.  0 also when the client takes no more yet. */
static int pump(struct subscriber *s)
{
	struct msn_events *events = rpc_of(s->call)->events;
	msn_auto(msn_freep) struct msn_event *list = NULL;
	size_t n = 0;
	int rc = 0;

	list = msn_alloc_array(BATCH, sizeof(*list));
	if (!list)
		return msn_fail(-ENOMEM);
	while (!rc && s->after < msn_events_last(events)) {
		uint64_t after = s->after;

		rc = msn_events_read(events, msn_call_peer(s->call)->owner,
				     s->types, &after, list, BATCH, &n);
		if (rc == MSN_EVENTS_E_GONE)
			return gone(s->call, s->after, true);
		if (!rc && n)
			rc = send_batch(s->call, list, n);
		if (!rc)
			s->after = after;
	}
	return rc == -EAGAIN ? 0 : rc;
}

static void pump_or_end(struct subscriber *s)
{
	int rc = pump(s);

	if (rc)
		subscriber_end(s, rc);
}

static void on_events(struct msn_events_watch *watch)
{
	pump_or_end(msn_container_of(watch, struct subscriber, watch));
}

static void on_drained(struct msn_call *call, void *ctx)
{
	(void)call;
	pump_or_end(ctx);
}

static void on_cancel(struct msn_call *call, void *ctx)
{
	(void)call;
	subscriber_end(ctx, -ECANCELED);
}

static int take_types(struct msn_call *call,
		      const Memsnap__V1__SubscribeRequest *r, unsigned *types)
{
	*types = 0;
	for (size_t i = 0; i < r->n_types; i++) {
		int type = (int)r->types[i];

		if (type < MSN_EVENT_SPACE_CREATED ||
		    type > MSN_EVENT_SERVICE_STARTED)
			return msn_call_bad_field(call, "types",
						  "%d is no type of event",
						  (int)r->types[i]);
		*types |= 1U << r->types[i];
	}
	return 0;
}

static int subscribe(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__SubscribeRequest *r = (const void *)request;
	struct msn_events *events = rpc_of(call)->events;
	struct subscriber *s;
	struct msn_event none;
	uint64_t after = r->after_sequence;
	unsigned types;
	size_t n;
	int rc = take_types(call, r, &types);

	if (rc)
		return msn_pass(rc);
	if (!after)
		after = msn_events_last(events);
	else if (msn_events_read(events, "", 0, &(uint64_t){ after }, &none, 0,
				 &n) == MSN_EVENTS_E_GONE)
		return gone(call, after, false);
	s = msn_alloc(sizeof(*s));
	if (!s)
		return msn_fail(-ENOMEM);
	s->call = msn_call_ref(call);
	s->after = after;
	s->types = types;
	s->watch.fn = on_events;
	msn_events_watch(events, &s->watch);
	msn_call_on_cancel(call, on_cancel, s);
	msn_call_on_drained(call, on_drained, s);
	rc = pump(s);
	if (!rc)
		return MSN_METHOD_E_LATER;
	msn_call_on_cancel(call, NULL, NULL);
	msn_call_on_drained(call, NULL, NULL);
	msn_events_unwatch(&s->watch);
	msn_call_unref(s->call);
	free(s);
	return msn_pass(rc);
}

const struct msn_method msn_rpc_event[] = {
	{ .path = "/memsnap.v1.EventService/Subscribe",
	  .request = &memsnap__v1__subscribe_request__descriptor,
	  .response = &memsnap__v1__subscribe_response__descriptor,
	  .role = MSN_ROLE_READ,
	  .flags = MSN_METHOD_SERVER_STREAM,
	  .run = subscribe },
	{}
};
