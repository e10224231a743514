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
	struct steps *list;
	enum facet facet;
	time_t until;
	struct difference *d; /* the last one seen */
};

static bool is_over(const struct shrinker *r)
{
	return time(NULL) >= r->until;
}

/*
 * Does this sequence still show it?  Then it becomes the sequence, cut behind
 * the step that showed it.
 */
static bool try_steps(struct shrinker *r, struct steps *trial)
{
	struct difference d;
	size_t at;

	if (world_run(r->opts, trial, &at, &d) != WORLD_DIFFERENT)
		return false;
	if (d.facet != r->facet) {
		free(d.text);
		return false;
	}
	free(r->d->text);
	*r->d = d;
	trial->count = at + 1;
	memcpy(r->list->list, trial->list, trial->count * sizeof(*trial->list));
	r->list->count = trial->count;
	return true;
}

/* The sequence without @n steps from @at on. */
static bool try_without(struct shrinker *r, size_t at, size_t n)
{
	struct steps trial = { 0 };
	bool did;

	for (size_t i = 0; i < r->list->count; i++)
		if (i < at || i >= at + n)
			steps_add(&trial, &r->list->list[i]);
	did = trial.count > 0 && try_steps(r, &trial);
	steps_free(&trial);
	return did;
}

/* From the end: what stands last matters most, what stands first least. */
static void cut_steps(struct shrinker *r)
{
	size_t n = r->list->count / 2;

	while (n > 0 && !is_over(r)) {
		bool any = false;

		for (size_t at = 0; at < r->list->count && !is_over(r);) {
			if (try_without(r, at, n))
				any = true;
			else
				at += n;
		}
		if (!any || n > 1)
			n /= 2;
	}
}

static bool try_number(struct shrinker *r, size_t step, size_t arg, uint64_t to)
{
	struct steps trial = { 0 };
	bool did;

	if (r->list->list[step].args[arg] == to)
		return false;
	for (size_t i = 0; i < r->list->count; i++)
		steps_add(&trial, &r->list->list[i]);
	trial.list[step].args[arg] = to;
	did = try_steps(r, &trial);
	steps_free(&trial);
	return did;
}

/* Zero, one page, half, rounded to a page, without one of its bits. */
static bool lower_number(struct shrinker *r, size_t step, size_t arg)
{
	uint64_t n = r->list->list[step].args[arg];

	if (n == 0 || is_over(r))
		return false;
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
	for (size_t step = r->list->count; step-- > 0;) {
		size_t arg = 0;

		while (step < r->list->count &&
		       r->list->list[step].op->args[arg]) {
			while (step < r->list->count &&
			       lower_number(r, step, arg))
				;
			if (step < r->list->count)
				arg++;
		}
	}
}

bool shrink(const struct world_opts *opts, struct steps *list, enum facet facet,
	    unsigned seconds, struct difference *d)
{
	struct shrinker r = { .opts = opts,
			      .list = list,
			      .facet = facet,
			      .until = time(NULL) + (time_t)seconds,
			      .d = d };

	if (!try_without(&r, list->count, 0))
		return false;
	cut_steps(&r);
	lower_numbers(&r);
	cut_steps(&r);
	return true;
}
