/*
 * Shrink: delta debugging over threads, steps, then numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/shrink.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How often a list with threads is tried, at most. */
#define TRIES_MAX 40

struct shrinker {
	const struct world_opts *opts;
	struct trial *best;  /* the shortest that shows it */
	struct trial *trial; /* what is tried next */
	struct steps list;   /* its steps */
	time_t until;
	unsigned tries;	 /* for a list with threads */
	bool first;	 /* no signature is kept yet */
	bool by_facet;	 /* any signature of the same facet is the same */
	bool everything; /* look at every space after every step */
};

static bool is_over(const struct shrinker *r)
{
	return time(NULL) >= r->until;
}

/* Is this signature the best's, as far as that matters? */
static bool is_same(const struct shrinker *r, const char *signature)
{
	const char *best = r->best->signature, *of = strstr(best, " of ");

	if (r->by_facet && of)
		return strncmp(signature, best, (size_t)(of - best) + 4) == 0;
	return strcmp(signature, best) == 0;
}

static void copy_best(struct shrinker *r)
{
	r->list.count = 0;
	for (size_t i = 0; i < r->best->count; i++)
		steps_add(&r->list, &r->best->list[i]);
}

/*
 * Does r->list still show it?  Then it becomes the best, without the steps that
 * did nothing and cut behind the one that showed it.
 */
static bool try_once(struct shrinker *r)
{
	struct trial *t = r->trial;

	trial_run(t, trial_take,
		  &(struct trial_script){ .opts = r->opts,
					  .list = &r->list,
					  .everything = r->everything });
	if (!t->different)
		return false;
	if (!r->first && !is_same(r, t->signature))
		return false;
	r->first = false;
	/* Another one, if every space is looked at now and it is seen earlier.
	 */
	memcpy(r->best->signature, t->signature, sizeof(t->signature));
	memcpy(r->best->list, t->list, t->count * sizeof(*t->list));
	r->best->count = t->count;
	memcpy(r->best->text, t->text, sizeof(t->text));
	return true;
}

/* What threads do is not the same each time, and so they get more than one. */
static bool try_list(struct shrinker *r)
{
	unsigned tries = steps_have_threads(&r->list) ? r->tries : 1;

	while (tries-- > 0 && !is_over(r))
		if (try_once(r))
			return true;
	return false;
}

/*
 * How often does the whole show it, if it has threads?  What is shorter has to
 * show it three times as soon.
 */
static void measure_tries(struct shrinker *r)
{
	unsigned runs = 0, seen = 0;

	copy_best(r);
	if (!steps_have_threads(&r->list))
		return;
	while (runs < TRIES_MAX && seen < 3 && !is_over(r)) {
		runs++;
		seen += try_once(r);
	}
	r->tries = seen ? (3 * runs + seen - 1) / seen : TRIES_MAX;
}

/* The best without @n steps from @at on. */
static bool try_without(struct shrinker *r, size_t at, size_t n)
{
	r->list.count = 0;
	for (size_t i = 0; i < r->best->count; i++)
		if (i < at || i >= at + n)
			steps_add(&r->list, &r->best->list[i]);
	return r->list.count > 0 && try_list(r);
}

static void cut_steps(struct shrinker *r)
{
	size_t n = r->best->count / 2;

	while (n > 0 && !is_over(r)) {
		bool any = false;

		for (size_t at = 0; at < r->best->count && !is_over(r);) {
			if (try_without(r, at, n))
				any = true;
			else
				at += n;
		}
		if (!any || n > 1)
			n /= 2;
	}
}

/* The best with what space @from does done by space @to, and no fork for it. */
static bool try_space(struct shrinker *r, unsigned from, unsigned to)
{
	r->list.count = 0;
	for (size_t i = 0; i < r->best->count; i++) {
		struct step s = r->best->list[i];

		if (strcmp(s.op->name, "fork") == 0 && s.args[0] == from)
			continue;
		if (s.space == from)
			s.space = to;
		steps_add(&r->list, &s);
	}
	return try_list(r);
}

/* The best with all steps of the group at @at, one after the other. */
static bool try_in_order(struct shrinker *r, size_t at)
{
	bool shows;

	copy_best(r);
	for (size_t i = at; i < r->list.count && r->list.list[i].thread; i++)
		r->list.list[i].thread = 0;
	/* Its name becomes that of a call if it is the last group. */
	r->by_facet = true;
	shows = try_list(r);
	r->by_facet = false;
	return shows;
}

/* The best without thread @thread of the group at @at. */
static bool try_without_thread(struct shrinker *r, size_t at, unsigned thread)
{
	size_t n = group_len(&r->best->list[at], r->best->count - at);

	r->list.count = 0;
	for (size_t i = 0; i < r->best->count; i++)
		if (i < at || i >= at + n || r->best->list[i].thread != thread)
			steps_add(&r->list, &r->best->list[i]);
	return r->list.count < r->best->count && try_list(r);
}

/* Groups become steps, or at least groups of fewer threads. */
static void cut_threads(struct shrinker *r)
{
	size_t n;

	for (size_t at = 0; at < r->best->count && !is_over(r); at += n) {
		n = 1;
		if (!r->best->list[at].thread || try_in_order(r, at))
			continue;
		for (unsigned t = 1; t <= STEPPER_THREADS; t++)
			if (at < r->best->count)
				try_without_thread(r, at, t);
		if (at < r->best->count)
			n = group_len(&r->best->list[at], r->best->count - at);
	}
}

static void join_spaces(struct shrinker *r)
{
	for (unsigned from = STEPPER_SLOTS - 1; from > 0; from--)
		for (unsigned to = 0; to < from && !is_over(r); to++)
			if (try_space(r, from, to))
				break;
}

static bool try_number(struct shrinker *r, size_t step, size_t arg, uint64_t to)
{
	if (r->best->list[step].args[arg] == to || is_over(r))
		return false;
	copy_best(r);
	r->list.list[step].args[arg] = to;
	return try_list(r);
}

/* Zero, one page, rounded to a page, without one of its bits. */
static bool lower_number(struct shrinker *r, size_t step, size_t arg)
{
	uint64_t n = r->best->list[step].args[arg];

	if (try_number(r, step, arg, 0))
		return false;
	if (n > 4096 && try_number(r, step, arg, 4096))
		return false;
	if (n & 4095 && n > 4096 &&
	    try_number(r, step, arg, n & ~UINT64_C(4095)))
		return true;
	for (uint64_t bits = n; n < (1 << 26) && bits; bits &= bits - 1)
		if (try_number(r, step, arg, n & ~(bits & -bits)))
			return true;
	return false;
}

static void lower_numbers(struct shrinker *r)
{
	for (size_t step = r->best->count; step-- > 0;) {
		for (size_t arg = 0;
		     step < r->best->count && r->best->list[step].op->args[arg];
		     arg++)
			while (step < r->best->count &&
			       lower_number(r, step, arg))
				;
	}
}

bool shrink(const struct world_opts *opts, struct trial *t, unsigned seconds)
{
	struct shrinker r = { .opts = opts,
			      .best = t,
			      .trial = trial_new(),
			      .tries = TRIES_MAX,
			      .first = true,
			      .everything = true,
			      .until = time(NULL) + (time_t)seconds };
	bool again = try_without(&r, t->count, 0);

	if (!again) { /* looking may hide it: it touches pages */
		r.everything = false;
		again = try_without(&r, t->count, 0);
	}
	if (again) {
		measure_tries(&r);
		cut_threads(&r);
		cut_steps(&r);
		join_spaces(&r);
		cut_threads(&r);
		lower_numbers(&r);
		cut_steps(&r);
	}
	steps_free(&r.list);
	trial_free(r.trial);
	return again;
}
