/*
 * Timers: order, clearing, and the heap against a plain list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/rand.h"
#include "loop/timer.h"
#include "support/check.h"

#define MS UINT64_C(1000000)

struct alarm {
	struct msn_timer timer;
	struct fixture *f;
	unsigned fired;
	struct alarm *clears; /* when it fires */
	uint64_t again;	      /* ns after it fired, once; 0: not */
};

struct fixture {
	struct msn_loop *loop;
	uint64_t last; /* at of the one that fired last */
	unsigned fired;
	bool in_order;
};

static void fire(struct msn_timer *t)
{
	struct alarm *a = msn_container_of(t, struct alarm, timer);

	EXPECT(!t->is_set && msn_clock_ns() >= t->at);
	a->f->in_order &= t->at >= a->f->last;
	a->f->last = t->at;
	a->f->fired++;
	a->fired++;
	if (a->clears)
		msn_timer_clear(a->f->loop, &a->clears->timer);
	if (a->again)
		msn_timer_set(a->f->loop, t, t->at + a->again);
	a->again = 0;
}

static void setup(struct fixture *f, struct alarm *alarms, size_t count)
{
	*f = (struct fixture){ .in_order = true };
	CHECK(msn_loop_new(&f->loop) == 0);
	for (size_t i = 0; i < count; i++)
		alarms[i] = (struct alarm){ .timer.fire = fire, .f = f };
}

static void run_until(struct fixture *f, unsigned fired)
{
	while (f->fired < fired)
		CHECK(sd_event_run(msn_loop_event(f->loop), UINT64_MAX) >= 0);
}

static void timers_fire_in_the_order_of_their_times(void)
{
	struct alarm a[4];
	struct fixture f;
	uint64_t now;

	setup(&f, a, 4);
	now = msn_clock_ns();
	msn_timer_set(f.loop, &a[0].timer, now + 3 * MS);
	msn_timer_set(f.loop, &a[1].timer, now + 1 * MS);
	msn_timer_set(f.loop, &a[2].timer, now + 2 * MS);
	msn_timer_set(f.loop, &a[3].timer, UINT64_MAX);
	EXPECT(!a[3].timer.is_set);
	run_until(&f, 3);
	EXPECT(f.in_order && f.fired == 3);
	msn_loop_free(f.loop);
}

static void one_that_is_cleared_does_not_fire(void)
{
	struct alarm a[3];
	struct fixture f;
	uint64_t now;

	setup(&f, a, 3);
	now = msn_clock_ns();
	msn_timer_set(f.loop, &a[0].timer, now);
	msn_timer_set(f.loop, &a[1].timer, now + MS);
	msn_timer_set(f.loop, &a[2].timer, now + 2 * MS);
	a[0].clears = &a[1]; /* while the loop is at it */
	run_until(&f, 2);
	EXPECT(a[0].fired == 1 && a[1].fired == 0 && a[2].fired == 1);
	msn_timer_clear(f.loop, &a[1].timer);
	msn_loop_free(f.loop);
}

static void one_may_be_set_anew_when_it_fires(void)
{
	struct fixture f;
	struct alarm a;

	setup(&f, &a, 1);
	a.again = MS;
	msn_timer_set(f.loop, &a.timer, msn_clock_ns());
	run_until(&f, 2);
	EXPECT(a.fired == 2 && f.in_order);
	msn_loop_free(f.loop);
}

static void a_sooner_one_is_not_kept_waiting(void)
{
	struct alarm a[2];
	struct fixture f;

	setup(&f, a, 2);
	msn_timer_set(f.loop, &a[0].timer, msn_clock_ns() + 3600000 * MS);
	EXPECT(sd_event_run(msn_loop_event(f.loop), 0) == 0);
	msn_timer_set(f.loop, &a[1].timer, msn_clock_ns() + MS);
	run_until(&f, 1);
	EXPECT(a[1].fired == 1);
	msn_timer_clear(f.loop, &a[0].timer);
	msn_loop_free(f.loop);
}

#define MANY 64

/* Sets and clears at random; then lets all fire and looks at the order. */
static void a_heap_of_many_is_in_order(void)
{
	uint64_t seed = check_seed(), base;
	struct alarm a[MANY];
	struct fixture f;
	unsigned set = 0;

	setup(&f, a, MANY);
	base = msn_clock_ns();
	for (unsigned i = 0; i < 20000; i++) {
		struct msn_timer *t = &a[msn_rand_next(&seed) % MANY].timer;
		uint64_t at = base + msn_rand_next(&seed) % (2 * MS);

		if (msn_rand_next(&seed) % 3)
			msn_timer_set(f.loop, t, at);
		else
			msn_timer_clear(f.loop, t);
	}
	for (unsigned i = 0; i < MANY; i++)
		set += a[i].timer.is_set;
	run_until(&f, set);
	EXPECT(f.fired == set && f.in_order);
	for (unsigned i = 0; i < MANY; i++)
		EXPECT(a[i].fired <= 1 && !a[i].timer.is_set);
	msn_loop_free(f.loop);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(timers_fire_in_the_order_of_their_times),
		CHECK_TEST(one_that_is_cleared_does_not_fire),
		CHECK_TEST(one_may_be_set_anew_when_it_fires),
		CHECK_TEST(a_sooner_one_is_not_kept_waiting),
		CHECK_TEST(a_heap_of_many_is_in_order),
		{}
	};

	return check_main(argc, argv, "timer", tests);
}
