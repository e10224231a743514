/*
 * Timers of a loop: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986)
 * whose nodes lie in their owners.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each node's children are a list through `next`; `prev` is the sibling before
 * it or, of the first, the parent.  The root has neither.
 */
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "loop/loop_private.h"

#include <errno.h>

/* Makes one heap of two; both are roots. */
static struct msn_timer *heap_meld(struct msn_timer *a, struct msn_timer *b)
{
	struct msn_timer *low, *high;

	if (!a || !b)
		return a ? a : b;
	low = b->at < a->at ? b : a;
	high = low == a ? b : a;
	high->prev = low;
	high->next = low->child;
	if (high->next)
		high->next->prev = high;
	low->child = high;
	return low;
}

static struct msn_timer *take_root(struct msn_timer **list)
{
	struct msn_timer *t = *list;

	if (t) {
		*list = t->next;
		t->next = t->prev = NULL;
	}
	return t;
}

/* Makes one heap of a list of siblings: pairs from left to right, then the
 * pairs from right to left. */
static struct msn_timer *heap_join(struct msn_timer *list)
{
	struct msn_timer *pairs = NULL, *root = NULL;

	while (list) {
		struct msn_timer *a = take_root(&list);
		struct msn_timer *pair = heap_meld(a, take_root(&list));

		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct msn_timer *pair = take_root(&pairs);

		root = heap_meld(root, pair);
	}
	return root;
}

static void heap_remove(struct msn_loop *loop, struct msn_timer *t)
{
	struct msn_timer *below = heap_join(t->child);

	t->child = NULL;
	if (t == loop->timers) {
		loop->timers = below;
		return;
	}
	if (t->prev->child == t)
		t->prev->child = t->next;
	else
		t->prev->next = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = t->prev = NULL;
	loop->timers = heap_meld(loop->timers, below);
}

/* ---- behind one timer of the kernel -------------------------------------- */

/* Sees to it that the loop wakes up for the first timer. */
static void clock_arm(struct msn_loop *loop)
{
	if (!loop->timers || loop->timers->at >= loop->clock_at)
		return;
	loop->clock_at = loop->timers->at;
	msn_assert(sd_event_source_set_time(loop->clock,
					    loop->clock_at / 1000 + 1) >= 0);
	msn_assert(sd_event_source_set_enabled(loop->clock, SD_EVENT_ONESHOT) >=
		   0);
}

static int clock_fired(sd_event_source *s, uint64_t usec, void *arg)
{
	struct msn_loop *loop = arg;
	uint64_t now = msn_clock_ns();

	(void)s;
	(void)usec;
	loop->clock_at = UINT64_MAX;
	while (loop->timers && loop->timers->at <= now) {
		struct msn_timer *t = loop->timers;

		msn_timer_clear(loop, t);
		t->fire(t);
	}
	clock_arm(loop);
	return 0;
}

int msn_timers_init(struct msn_loop *loop)
{
	int rc = msn_fault("loop.clock") ? -ENOMEM : 0;

	if (!rc)
		rc = sd_event_add_time(loop->event, &loop->clock,
				       CLOCK_MONOTONIC, 0, 1, clock_fired,
				       loop);
	if (!rc)
		rc = sd_event_source_set_enabled(loop->clock, SD_EVENT_OFF);
	loop->clock_at = UINT64_MAX;
	return rc < 0 ? msn_fail(rc) : 0;
}

void msn_timers_deinit(struct msn_loop *loop)
{
	msn_assert(!loop->timers);
	sd_event_source_disable_unref(loop->clock);
}

void msn_timer_set(struct msn_loop *loop, struct msn_timer *t, uint64_t at)
{
	msn_timer_clear(loop, t);
	if (at == UINT64_MAX)
		return;
	t->at = at;
	t->is_set = true;
	t->child = t->next = t->prev = NULL;
	loop->timers = heap_meld(loop->timers, t);
	clock_arm(loop);
}

void msn_timer_clear(struct msn_loop *loop, struct msn_timer *t)
{
	msn_assert_slow(msn_loop_is_current(loop));
	if (!t->is_set)
		return;
	heap_remove(loop, t);
	t->is_set = false;
}
