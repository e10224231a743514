/*
 * Group: finds the threads, looks whether they go together, and runs them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/group.h"

#include "oracle/jitter.h"
#include "oracle/kernel.h"

#include <pthread.h>
#include <string.h>

size_t group_len(const struct step *list, size_t count)
{
	size_t n = 0;

	while (n < count && list[n].thread)
		n++;
	return n ? n : 1;
}

size_t group_last(const struct step *list, size_t count)
{
	size_t at = count;

	while (at > 0 && list[at - 1].thread)
		at--;
	return at == count && at > 0 ? at - 1 : at;
}

/* ---- Do they go together? ------------------------------------------------ */

/* Do all steps of thread @t keep to @slice? */
static bool keeps_to(const struct group *g, unsigned t, unsigned slice)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->list[i].thread == t + 1 &&
		    !g->list[i].op->beside(&g->list[i], slice))
			return false;
	return true;
}

static const char *find_threads(struct group *g)
{
	for (size_t i = 0; i < g->count; i++) {
		const struct step *s = &g->list[i];
		struct group_thread *t = &g->threads[s->thread - 1];

		if (!s->op->beside || step_is_forbidden(s))
			return "a call that no thread may make";
		if (t->used && t->space != s->space)
			return "a thread of two spaces";
		t->used = true;
		t->space = s->space;
		g->spaces |= 1U << s->space;
		if (s->op->file && s->op->file(s) != FILE_NONE)
			t->uses_files = true;
	}
	return NULL;
}

static const char *find_slices(struct group *g)
{
	unsigned taken[SLICE_COUNT] = { 0 }; /* bits of spaces */
	unsigned threads = 0, in_common = 0;

	for (unsigned i = 0; i < STEPPER_THREADS; i++) {
		struct group_thread *t = &g->threads[i];

		if (!t->used)
			continue;
		threads++;
		while (t->slice <= SLICE_COMMON && !keeps_to(g, i, t->slice))
			t->slice++;
		if (t->slice > SLICE_COMMON)
			return "a thread that does not keep to a slice";
		if (t->slice == SLICE_COMMON) {
			in_common++;
			continue;
		}
		if (taken[t->slice] & 1U << t->space)
			return "two threads in one slice";
		taken[t->slice] |= 1U << t->space;
	}
	g->common = in_common > 0;
	return g->common && in_common < threads
		       ? "threads in the common slice, and others"
		       : NULL;
}

const char *group_init(struct group *g, const struct step *list, size_t count)
{
	const char *why;

	*g = (struct group){ .list = list, .count = count };
	why = find_threads(g);
	return why ? why : find_slices(g);
}

/* ---- Running ------------------------------------------------------------- */

#ifdef __SANITIZE_THREAD__
/*
 * In the common slice threads write the same bytes at once, as those of a
 * process may: the copies themselves race on purpose.  What must not race is
 * which pages they go to; in other slices the bytes tell.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:^attempt_run$\n";
}
#endif

struct runner {
	const struct group *g;
	struct outcome **out;
	void (*run)(void *ctx, const struct step *s, struct outcome *o);
	void *ctx;
	pthread_barrier_t *start;
	unsigned thread;
	pthread_t id;
};

static void *run_thread(void *arg)
{
	const struct runner *r = arg;

	jitter_start();
	pthread_barrier_wait(r->start);
	for (size_t i = 0; i < r->g->count; i++)
		if (r->g->list[i].thread == r->thread)
			r->run(r->ctx, &r->g->list[i], r->out[i]);
	jitter_stop();
	return NULL;
}

static void start_runners(struct runner *runners, unsigned count)
{
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) ||
	    pthread_attr_setaffinity_np(&attr, sizeof(cpu_set_t),
					kernel_cpus()))
		die("no attributes of threads");
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&runners[i].id, &attr, run_thread,
				   &runners[i]))
			die("no thread");
	pthread_attr_destroy(&attr);
}

void group_run(const struct group *g, struct outcome **out,
	       void (*run)(void *ctx, const struct step *s, struct outcome *o),
	       void *ctx)
{
	struct runner runners[STEPPER_THREADS];
	pthread_barrier_t start;
	unsigned count = 0;

	for (unsigned i = 0; i < STEPPER_THREADS; i++)
		if (g->threads[i].used)
			runners[count++] =
				(struct runner){ g,	 out,	run, ctx,
						 &start, i + 1, 0 };
	if (pthread_barrier_init(&start, NULL, count))
		die("no barrier");
	start_runners(runners, count);
	for (unsigned i = 0; i < count; i++)
		pthread_join(runners[i].id, NULL);
	pthread_barrier_destroy(&start);
}
