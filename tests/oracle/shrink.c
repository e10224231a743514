/*
 * Shrink: delta debugging over steps, then over numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/shrink.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct shrinker {
	const struct world_opts *opts;
	struct trial *best;  /* the shortest that shows it */
	struct trial *trial; /* what is tried next */
	struct steps list;   /* its steps */
	time_t until;
	bool first;	 /* no signature is kept yet */
	bool everything; /* look at every space after every step */
};

static bool is_over(const struct shrinker *r)
{
	return time(NULL) >= r->until;
}

/* In a process of its own: takes the steps of r->list in a fresh world. */
static void run_list(struct trial *t, void *ctx)
{
	const struct shrinker *r = ctx;
	struct world *w = world_new(r->opts);
	struct difference d;

	for (size_t i = 0; i < r->list.count; i++) {
		enum world_result rc;

		trial_add(t, &r->list.list[i]);
		rc = world_step(w, &r->list.list[i], r->everything, &d);
		if (rc == WORLD_PASSED)
			t->count--;
		if (rc != WORLD_DIFFERENT)
			continue;
		trial_differs(t, &d);
		free(d.text);
		break;
	}
	world_free(w);
}

/*
 * Does r->list still show it?  Then it becomes the best, without the steps that
 * did nothing and cut behind the one that showed it.
 */
static bool try_list(struct shrinker *r)
{
	struct trial *t = r->trial;

	trial_run(t, run_list, r);
	if (!t->different)
		return false;
	if (strcmp(t->signature, r->best->signature) != 0) {
		if (!r->first)
			return false;
		/* Every space is looked at now, and so it is seen earlier. */
		memcpy(r->best->signature, t->signature, sizeof(t->signature));
	}
	r->first = false;
	memcpy(r->best->list, t->list, t->count * sizeof(*t->list));
	r->best->count = t->count;
	memcpy(r->best->text, t->text, sizeof(t->text));
	return true;
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
	r->list.count = 0;
	for (size_t i = 0; i < r->best->count; i++)
		steps_add(&r->list, &r->best->list[i]);
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
			      .first = true,
			      .everything = true,
			      .until = time(NULL) + (time_t)seconds };
	bool again = try_without(&r, t->count, 0);

	if (!again) { /* looking may hide it: it touches pages */
		r.everything = false;
		again = try_without(&r, t->count, 0);
	}
	if (again) {
		cut_steps(&r);
		join_spaces(&r);
		lower_numbers(&r);
		cut_steps(&r);
	}
	steps_free(&r.list);
	trial_free(r.trial);
	return again;
}
