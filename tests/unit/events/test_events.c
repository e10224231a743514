/*
 * Events: order, owners, what is kept, who is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "events/events.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIRST 1000
#define KEPT 4

struct fixture {
	struct msn_loop *loop;
	struct msn_events *events;
	unsigned told;
	struct msn_events_watch watch;
	struct msn_task stop;
};

static void begin(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	CHECK(msn_loop_new(&f->loop) == 0);
	CHECK(msn_events_new(&f->events, &(struct msn_events_opts){
						 .loop = f->loop,
						 .kept_max = KEPT,
						 .first_sequence = FIRST,
					 }) == 0);
}

static void end(struct fixture *f)
{
	msn_loop_flush(f->loop); /* what was posted is in the events */
	msn_events_free(f->events);
	msn_loop_free(f->loop);
}

static void post(struct fixture *f, enum msn_event_type type, const char *owner)
{
	struct msn_event e = { .type = type };

	snprintf(e.owner, sizeof(e.owner), "%s", owner);
	msn_events_post(f->events, &e);
}

static size_t read_after(struct fixture *f, const char *owner, unsigned types,
			 uint64_t *after, struct msn_event *out)
{
	size_t n = 0;

	CHECK(msn_events_read(f->events, owner, types, after, out, KEPT, &n) ==
	      0);
	return n;
}

static void events_come_in_order_and_to_their_owner_only(void)
{
	struct msn_event got[KEPT];
	uint64_t after = FIRST - 1;
	struct fixture f;

	begin(&f);
	post(&f, MSN_EVENT_SERVICE_STARTED, "");
	post(&f, MSN_EVENT_SPACE_CREATED, "uid:1");
	post(&f, MSN_EVENT_SPACE_CREATED, "uid:2");
	CHECK(read_after(&f, "uid:2", 0, &after, got) == 2);
	EXPECT(got[0].type == MSN_EVENT_SERVICE_STARTED &&
	       got[0].sequence == FIRST);
	EXPECT(got[1].sequence == FIRST + 2);
	EXPECT(after == FIRST + 2);
	EXPECT(read_after(&f, "uid:2", 0, &after, got) == 0);
	end(&f);
}

static void types_are_picked_by_their_bits(void)
{
	struct msn_event got[KEPT];
	uint64_t after = FIRST - 1;
	struct fixture f;

	begin(&f);
	post(&f, MSN_EVENT_SPACE_CREATED, "uid:1");
	post(&f, MSN_EVENT_SPACE_DELETED, "uid:1");
	EXPECT(read_after(&f, "uid:1", 1U << MSN_EVENT_SPACE_DELETED, &after,
			  got) == 1);
	EXPECT(got[0].type == MSN_EVENT_SPACE_DELETED);
	end(&f);
}

static void what_is_kept_no_longer_is_said_to_be_gone(void)
{
	uint64_t kept = FIRST + 1, gone = FIRST, earlier = FIRST - 2,
		 later = FIRST + 7;
	struct msn_event got[KEPT];
	struct fixture f;
	size_t n;

	begin(&f);
	for (unsigned i = 0; i < KEPT + 2; i++)
		post(&f, MSN_EVENT_SPACE_CREATED, "uid:1");
	EXPECT(msn_events_read(f.events, "uid:1", 0, &gone, got, KEPT, &n) ==
	       MSN_EVENTS_E_GONE);
	EXPECT(msn_events_read(f.events, "uid:1", 0, &earlier, got, KEPT, &n) ==
	       MSN_EVENTS_E_GONE);
	/* Of another run, which knew more: the caller looks anew. */
	EXPECT(msn_events_read(f.events, "uid:1", 0, &later, got, KEPT, &n) ==
	       MSN_EVENTS_E_GONE);
	EXPECT(read_after(&f, "uid:1", 0, &kept, got) == KEPT);
	EXPECT(msn_events_last(f.events) == FIRST + KEPT + 1);
	end(&f);
}

static void on_told(struct msn_events_watch *watch)
{
	msn_container_of(watch, struct fixture, watch)->told++;
}

static void stop(struct msn_task *task)
{
	struct fixture *f = msn_container_of(task, struct fixture, stop);

	msn_loop_exit(f->loop, 0);
}

static void watches_are_told_once_for_many(void)
{
	struct fixture f;

	begin(&f);
	f.watch.fn = on_told;
	f.stop.run = stop;
	msn_events_watch(f.events, &f.watch);
	for (unsigned i = 0; i < 3; i++)
		post(&f, MSN_EVENT_SPACE_CREATED, "uid:1");
	msn_loop_post(f.loop, &f.stop);
	CHECK(msn_loop_run(f.loop) == 0);
	EXPECT(f.told == 1);
	msn_events_unwatch(&f.watch);
	msn_events_unwatch(&f.watch); /* twice is once */
	post(&f, MSN_EVENT_SPACE_CREATED, "uid:1");
	end(&f);
	EXPECT(f.told == 1);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(events_come_in_order_and_to_their_owner_only),
		CHECK_TEST(types_are_picked_by_their_bits),
		CHECK_TEST(what_is_kept_no_longer_is_said_to_be_gone),
		CHECK_TEST(watches_are_told_once_for_many),
		{}
	};

	return check_main(argc, argv, "events", tests);
}
