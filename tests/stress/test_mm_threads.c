/*
 * mm: any call from any thread, on one space and on several at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rounds of a second or so in which threads do as they like; between rounds
 * everything stands still and is checked.  What must hold: a page that one
 * thread has for itself keeps what it wrote; counters add up; no byte of one
 * space is ever seen in another that does not share it; nothing is left at the
 * end.
 */
#include "stress/stress.h"

#include "support/check.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__) || CHECK_SANITIZED
#define ROUNDS 10
#define ROUND_MS 2500
#else
#define ROUNDS 8
#define ROUND_MS 1000
#endif

#ifdef __SANITIZE_THREAD__
/*
 * Threads of a process may write the same bytes of its memory at once, and here
 * they do: the copies themselves race on purpose.  What must not race is which
 * pages they go to, and the patterns tell.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:^attempt_run$\n";
}
#endif

/* A child of @s comes to live in a free slot. */
static void have_child(struct worker *k, unsigned nr)
{
	unsigned roots = k->w->roots;
	struct slot *home = &k->w->slots[roots + pick(k, SLOTS - roots)];
	struct slot *s = slot_enter(k, nr);
	struct msn_mm *child;
	unsigned root;

	if (!s)
		return;
	root = s->root;
	child = slot_fork(k, s);
	slot_leave(s);
	if (!child)
		return;
	if (pthread_rwlock_trywrlock(&home->gate) == 0) {
		struct msn_mm *old = home->mm;

		home->mm = child;
		home->root = root;
		child = old; /* who was there has lived long enough */
		slot_leave(home);
	}
	msn_mm_free(child);
}

static void free_child(struct worker *k)
{
	unsigned roots = k->w->roots;
	struct slot *s = &k->w->slots[roots + pick(k, SLOTS - roots)];

	if (pthread_rwlock_trywrlock(&s->gate) != 0)
		return;
	s->mm = msn_mm_free(s->mm);
	slot_leave(s);
}

/* Before a save: nobody else may use the space. */
static void stand_still(struct worker *k)
{
	struct slot *s = &k->w->slots[pick(k, SLOTS)];
	char name[128];
	int rc;

	if (pthread_rwlock_trywrlock(&s->gate) != 0)
		return;
	rc = s->mm ? msn_mm_invalidate_unsavable(s->mm, name, sizeof(name)) : 0;
	MUST(rc == 0);
	if (s->mm)
		stress_check(msn_mm_check(s->mm));
	slot_leave(s);
}

static void in_space(struct worker *k, struct slot *s)
{
	uint64_t n = pick(k, 100);

	if (n < 1 && pick(k, 4) == 0)
		save_step(k, s);
	else if (n < 25 && s == &k->w->slots[s->root])
		own_step(k, s);
	else if (n < 25)
		own_child_step(k, s);
	else if (n < 32)
		counter_step(k, s);
	else if (n < 40)
		remote_step(k, s);
	else if (n < 46)
		segments_step(k, s);
	else if (n < 54)
		sealed_step(k, s);
	else if (n < 60)
		sys_mmap_step(k, s);
	else if (n < 64)
		touch_step(k, s);
	else
		chaos_step(k, s);
}

static void *work(void *arg)
{
	struct worker *k = arg;

	while (!atomic_load(&k->w->stop)) {
		unsigned nr = (unsigned)pick(k, SLOTS);
		uint64_t n = pick(k, 100);
		struct slot *s;

		k->turns++;
		if (n < 3) {
			have_child(k, nr);
		} else if (n < 4) {
			free_child(k);
		} else if (n < 5) {
			stand_still(k);
		} else if (n < 12) {
			object_step(k);
		} else if ((s = slot_enter(k, nr))) {
			in_space(k, s);
			slot_leave(s);
		} else {
			sched_yield();
		}
	}
	return NULL;
}

static void run_round(struct world *w, struct worker *list)
{
	struct timespec time = { ROUND_MS / 1000, ROUND_MS % 1000 * 1000000L };
	pthread_t threads[THREADS];

	atomic_store(&w->stop, false);
	for (unsigned i = 0; i < THREADS; i++)
		MUST(!pthread_create(&threads[i], NULL, work, &list[i]));
	nanosleep(&time, NULL);
	atomic_store(&w->stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		MUST(!pthread_join(threads[i], NULL));
}

static void check_counters(struct world *w)
{
	for (unsigned i = 0; i < w->roots; i++) {
		struct msn_mm *mm = w->slots[i].mm;
		uint32_t value;

		MUST(msn_mm_load32(mm, AT(COUNTER_SHARED), &value) == 0);
		MUST(value == atomic_load(&w->shared_count));
		MUST(msn_mm_load32(mm, AT(COUNTER_PRIVATE), &value) == 0);
		MUST(value == atomic_load(&w->private_count[i]));
	}
}

static void run(bool local)
{
	static struct worker list[THREADS];
	static struct world w;
	uint64_t seed = check_seed(), turns = 0;

	world_open(&w, local);
	for (unsigned i = 0; i < THREADS; i++) {
		list[i] = (struct worker){ .w = &w,
					   .nr = i,
					   .rand = msn_rand_next(&seed) };
		own_start(&list[i]);
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		run_round(&w, list);
		world_check(&w);
		check_counters(&w);
		for (unsigned i = 0; i < THREADS; i++)
			own_check(&list[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		turns += list[i].turns;
	printf("%llu turns, %u forks, %u saves, %u sealed, %u attached\n",
	       (unsigned long long)turns, atomic_load(&w.forks),
	       atomic_load(&w.saves), atomic_load(&w.frozen),
	       atomic_load(&w.attached));
	EXPECT(atomic_load(&w.forks) > 0);
	EXPECT(atomic_load(&w.saves) > 0);
	EXPECT(atomic_load(&w.frozen) > 0);
	EXPECT(atomic_load(&w.attached) > 0);
	world_close(&w);
}

static void spaces_stay_whole_whatever_threads_do_at_once(void)
{
	run(false);
}

static void so_does_one_with_page_tables_and_its_children(void)
{
	run(true);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(spaces_stay_whole_whatever_threads_do_at_once),
		CHECK_TEST(so_does_one_with_page_tables_and_its_children),
		{}
	};

	return check_main(argc, argv, "mm threads", tests);
}
