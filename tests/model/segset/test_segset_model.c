/*
 * Segment set against a plain array of pages: thousands of random changes,
 * every invariant and every page after each of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A value is (colour, offset).  The model keeps, for each page, its colour, its
 * offset and whether a segment starts there; what each call must do to it is
 * written down here a second time, in the simplest way.
 */
#include "base/fault.h"
#include "base/rand.h"
#include "range/segset.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>

enum { PAGES = 3000, STEPS = 8000, COLOURS = 3 };

struct value {
	uint64_t colour; /* 0: the page is free */
	uint64_t offset;
	unsigned char ballast[240]; /* few to a leaf: three levels */
};

struct cell {
	uint64_t colour, offset;
	bool start;
};

struct policy {
	const char *name;
	struct msn_segset_ops ops;
	bool merges;	  /* neighbours that match become one */
	bool has_offsets; /* and match when the offset goes on, too */
};

struct fixture {
	const struct policy *policy;
	struct msn_segset set;
	struct cell page[PAGES + 1]; /* the last one stays free */
	uint64_t seed;
};

static bool merge_colour(struct msn_seg_range a, void *va,
			 struct msn_seg_range b, void *vb)
{
	const struct value *x = va, *y = vb;

	(void)a;
	(void)b;
	return x->colour == y->colour;
}

static bool merge_going_on(struct msn_seg_range a, void *va,
			   struct msn_seg_range b, void *vb)
{
	const struct value *x = va, *y = vb;

	(void)b;
	return x->colour == y->colour &&
	       x->offset + (a.end - a.start) == y->offset;
}

static void split_offset(struct msn_seg_range r, void *value, uint64_t at,
			 void *right)
{
	const struct value *left = value;
	struct value *upper = right;

	upper->offset = left->offset + (at - r.start);
}

static const struct policy policies[] = {
	{ .name = "never merge",
	  .ops = { .value_size = sizeof(struct value) } },
	{ .name = "merge equal colours",
	  .merges = true,
	  .ops = { .value_size = sizeof(struct value),
		   .merge = merge_colour } },
	{ .name = "merge where the offset goes on, split adjusts it",
	  .merges = true,
	  .has_offsets = true,
	  .ops = { .value_size = sizeof(struct value),
		   .merge = merge_going_on,
		   .split = split_offset } },
};

/*
 * The model.
 */

static bool model_may_join(const struct fixture *f, unsigned at)
{
	const struct cell *left, *right;

	if (at == 0 || at >= PAGES || !f->policy->merges)
		return false;
	left = &f->page[at - 1];
	right = &f->page[at];
	return left->colour && left->colour == right->colour &&
	       (!f->policy->has_offsets || left->offset + 1 == right->offset);
}

static void model_merge_at(struct fixture *f, unsigned at)
{
	if (model_may_join(f, at))
		f->page[at].start = false;
}

static bool model_free(const struct fixture *f, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		if (f->page[i].colour)
			return false;
	return true;
}

static void model_paint(struct fixture *f, unsigned first, unsigned end,
			struct value v)
{
	for (unsigned i = first; i < end; i++) {
		f->page[i] = (struct cell){ v.colour, v.offset, i == first };
		if (f->policy->has_offsets)
			f->page[i].offset += i - first;
	}
}

static unsigned model_segment_end(const struct fixture *f, unsigned at)
{
	do
		at++;
	while (f->page[at].colour && !f->page[at].start);
	return at;
}

static int model_first_gap(const struct fixture *f, unsigned from, unsigned to,
			   unsigned length, unsigned align)
{
	for (unsigned i = from; i + length <= to; i++)
		if (i % align == 0 && model_free(f, i, i + length))
			return (int)i;
	return -1;
}

static int model_last_gap(const struct fixture *f, unsigned from, unsigned to,
			  unsigned length, unsigned align)
{
	for (unsigned i = to; i-- > from;)
		if (i % align == 0 && i + length <= to &&
		    model_free(f, i, i + length))
			return (int)i;
	return -1;
}

/*
 * Comparison.
 */

static bool same_segment(const struct fixture *f, struct msn_seg s,
			 unsigned first, unsigned end)
{
	struct msn_seg_range r = msn_seg_range(s);
	const struct value *v = msn_seg_value(&f->set, s);

	return r.start == first && r.end == end &&
	       v->colour == f->page[first].colour &&
	       v->offset == f->page[first].offset;
}

static bool same_as_model(const struct fixture *f)
{
	struct msn_seg s = msn_segset_first(&f->set), last = { 0 };
	unsigned at = 0;

	while (at < PAGES) {
		unsigned end;

		if (!f->page[at].colour) {
			at++;
			continue;
		}
		end = model_segment_end(f, at);
		if (!msn_seg_ok(s) || !same_segment(f, s, at, end))
			return false;
		last = s;
		s = msn_seg_next(s);
		at = end;
	}
	return !msn_seg_ok(s) && last.leaf == msn_segset_last(&f->set).leaf;
}

static unsigned pick(struct fixture *f, unsigned below)
{
	return (unsigned)(msn_rand_next(&f->seed) % below);
}

/*
 * Steps: each does one random thing to both.
 */

static void step_insert(struct fixture *f)
{
	unsigned at = pick(f, PAGES), end = at;
	unsigned longest = at + 1 + pick(f, 3);
	struct value v = { .colour = 1 + pick(f, COLOURS) };
	bool merge = pick(f, 4) != 0;
	struct msn_seg s = { 0 };
	struct msn_seg_range r;

	while (end < longest && end < PAGES && !f->page[end].colour)
		end++;
	if (at == end)
		return;
	/* Half of the time the value goes on where the left one stopped. */
	v.offset = f->policy->has_offsets ? 1000 + pick(f, 5) : 7;
	if (at && f->page[at - 1].colour && pick(f, 2)) {
		v.colour = f->page[at - 1].colour;
		v.offset = f->page[at - 1].offset + f->policy->has_offsets;
	}
	r = (struct msn_seg_range){ at, end };
	if (merge)
		CHECK(msn_segset_insert(&f->set, r, &v, &s) == 0);
	else
		CHECK(msn_segset_insert_unmerged(&f->set, r, &v, &s) == 0);
	EXPECT(msn_seg_range(s).start <= at && end <= msn_seg_range(s).end);
	model_paint(f, at, end, v);
	if (merge) {
		model_merge_at(f, at);
		model_merge_at(f, end);
	}
}

static void step_remove(struct fixture *f)
{
	unsigned at = pick(f, PAGES), first, end;
	struct msn_seg s = msn_segset_lower(&f->set, at);

	if (!msn_seg_ok(s)) {
		EXPECT(model_free(f, at, PAGES));
		return;
	}
	first = (unsigned)msn_seg_range(s).start;
	end = (unsigned)msn_seg_range(s).end;
	EXPECT(end > at && (first <= at || model_free(f, at, first)));
	s = msn_segset_remove(&f->set, s);
	for (unsigned i = first; i < end; i++)
		f->page[i] = (struct cell){ 0 };
	end = msn_seg_ok(s) ? (unsigned)msn_seg_range(s).start : PAGES;
	EXPECT(end > at && model_free(f, first, end));
}

static void step_split(struct fixture *f)
{
	unsigned at = pick(f, PAGES);
	struct msn_seg s = msn_segset_find(&f->set, at), left, right;

	EXPECT(msn_seg_ok(s) == (f->page[at].colour != 0));
	if (!msn_seg_ok(s) || msn_seg_range(s).start == at)
		return;
	CHECK(msn_segset_split(&f->set, s, at, &left, &right) == 0);
	EXPECT(msn_seg_range(left).end == at);
	EXPECT(msn_seg_range(right).start == at);
	f->page[at].start = true;
}

static void step_isolate(struct fixture *f)
{
	unsigned at = pick(f, PAGES), end = at + pick(f, 20);
	struct msn_seg s;
	unsigned i = at;

	end = end > PAGES ? PAGES : end;
	CHECK(msn_segset_isolate(&f->set, (struct msn_seg_range){ at, end },
				 &s) == 0);
	if (f->page[at].colour)
		f->page[at].start = true;
	if (f->page[end].colour)
		f->page[end].start = true;
	while (i < end && !f->page[i].colour)
		i++;
	EXPECT(msn_seg_ok(s) == (i < end));
	if (msn_seg_ok(s))
		EXPECT(msn_seg_range(s).start == i);
}

static void step_merge_range(struct fixture *f)
{
	unsigned at = pick(f, PAGES), end = at + 1 + pick(f, 50);

	end = end > PAGES ? PAGES : end;
	msn_segset_merge_range(&f->set, (struct msn_seg_range){ at, end });
	for (unsigned i = at; i <= end; i++)
		if (f->page[i].start)
			model_merge_at(f, i);
}

static void step_gaps(struct fixture *f)
{
	unsigned from = pick(f, PAGES), to = from + pick(f, PAGES - from + 1);
	unsigned length = 1 + pick(f, 12), align = 1u << pick(f, 4);
	struct msn_seg_range within = { from, to };
	uint64_t at = 0;
	int want = model_first_gap(f, from, to, length, align);

	EXPECT(msn_segset_first_gap(&f->set, within, length, align, &at) ==
	       (want >= 0));
	EXPECT(want < 0 || at == (uint64_t)want);
	want = model_last_gap(f, from, to, length, align);
	EXPECT(msn_segset_last_gap(&f->set, within, length, align, &at) ==
	       (want >= 0));
	EXPECT(want < 0 || at == (uint64_t)want);
	EXPECT(msn_segset_is_free(&f->set, within) == model_free(f, from, to));
}

static void step_reserved_insert(struct fixture *f)
{
	CHECK(msn_segset_reserve(&f->set, 1) == 0);
	msn_fault_arm(1);
	step_insert(f);
	msn_fault_arm(0);
}

/* @bias says how often something is put in: the set grows and shrinks. */
static void random_step(struct fixture *f, unsigned bias)
{
	unsigned what = pick(f, 100);

	if (what < bias)
		step_insert(f);
	else if (what < 70)
		step_remove(f);
	else if (what < 80)
		step_split(f);
	else if (what < 85)
		step_isolate(f);
	else if (what < 88)
		step_merge_range(f);
	else if (what < 92)
		step_reserved_insert(f);
	else
		step_gaps(f);
}

static void random_walk(const struct policy *policy, uint64_t seed)
{
	struct fixture *f = calloc(1, sizeof(*f));
	unsigned tallest = 0;
	const char *wrong;

	CHECK(f);
	f->policy = policy;
	f->seed = seed;
	msn_segset_init(&f->set, &policy->ops);
	for (unsigned i = 0; i < STEPS; i++) {
		random_step(f, i / 2000 % 2 ? 15 : 65);
		tallest = f->set.height > tallest ? f->set.height : tallest;
		wrong = msn_segset_check(&f->set);
		if (wrong)
			printf("%s, step %u: %s\n", policy->name, i, wrong);
		CHECK(wrong == NULL);
		CHECK(same_as_model(f));
	}
	EXPECT(policy->merges || tallest >= 3);
	msn_segset_deinit(&f->set);
	free(f);
}

static uint64_t run_seed;

static void never_merging_agrees_with_an_array(void)
{
	random_walk(&policies[0], run_seed);
}

static void merging_equal_values_agrees_with_an_array(void)
{
	random_walk(&policies[1], run_seed + 1);
}

static void adjusting_offsets_agrees_with_an_array(void)
{
	random_walk(&policies[2], run_seed + 2);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(never_merging_agrees_with_an_array),
		CHECK_TEST(merging_equal_values_agrees_with_an_array),
		CHECK_TEST(adjusting_offsets_agrees_with_an_array),
		{}
	};

	run_seed = check_seed();
	return check_main(argc, argv, "segset model", tests);
}
