/*
 * Page counts: a segment set in which equal neighbours are one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/page_counts.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>

/* Changes that the reserve is good for: 16 of two each, as a call makes. */
#define COUNTS_RESERVE 32

static bool counts_merge(struct msn_seg_range a, void *va,
			 struct msn_seg_range b, void *vb)
{
	const struct msn_page_count *l = va, *r = vb;

	(void)a;
	(void)b;
	return l->refs == r->refs && l->payer == r->payer &&
	       l->charged == r->charged;
}

static const struct msn_segset_ops counts_ops = {
	.value_size = sizeof(struct msn_page_count),
	.merge = counts_merge,
};

void msn_page_counts_init(struct msn_page_counts *counts,
			  struct msn_account_table *accounts,
			  enum msn_account_kind kind)
{
	msn_count_set_init(&counts->set, &counts_ops);
	counts->accounts = accounts;
	counts->kind = kind;
}

static void uncharge(struct msn_page_counts *counts,
		     const struct msn_page_count *v, struct msn_file_range r)
{
	if (v->charged)
		msn_account_uncharge(counts->accounts, v->payer, counts->kind,
				     msn_file_range_length(r));
}

void msn_page_counts_deinit(struct msn_page_counts *counts)
{
	for (struct msn_seg s = msn_count_set_first(&counts->set);
	     msn_seg_ok(s); s = msn_seg_next(s))
		uncharge(counts, msn_count_set_value(&counts->set, s),
			 msn_count_set_range(s));
	msn_segset_clear(&counts->set.core);
	msn_count_set_deinit(&counts->set);
}

int msn_page_counts_reserve(struct msn_page_counts *counts)
{
	return msn_pass(msn_segset_reserve(&counts->set.core, COUNTS_RESERVE));
}

/* What an earlier call left in reserve may still be enough. */
static void top_up(struct msn_page_counts *counts)
{
	int rc = msn_page_counts_reserve(counts);

	(void)rc;
}

/* The first reference to @r, none of which has one. */
static void add_first(struct msn_page_counts *counts, struct msn_file_range r,
		      msn_account_id payer)
{
	struct msn_page_count one = { .refs = 1, .payer = payer };
	int rc;

	if (counts->accounts &&
	    msn_account_prepare(counts->accounts, payer) == 0) {
		one.charged = true;
		msn_account_charge(counts->accounts, payer, counts->kind,
				   msn_file_range_length(r));
	}
	rc = msn_count_set_insert_unmerged(&counts->set, r, &one, NULL);
	msn_assert(rc == 0);
}

/* The part of @r from its start that is one segment, cut out of the rest. */
static struct msn_seg cut_out(struct msn_page_counts *counts, struct msn_seg s,
			      struct msn_file_range r)
{
	struct msn_file_range part =
		msn_file_range_intersect(r, msn_count_set_range(s));
	struct msn_seg out;
	int rc = msn_count_set_isolate(&counts->set, part, &out);

	msn_assert(rc == 0 && msn_seg_ok(out));
	return out;
}

void msn_page_counts_add(struct msn_page_counts *counts,
			 struct msn_file_range r, msn_account_id payer)
{
	struct msn_file_range left = r;

	while (left.start < left.end) {
		struct msn_seg s =
			msn_count_set_lower(&counts->set, left.start);
		struct msn_file_range gap = left;

		top_up(counts);
		if (msn_seg_ok(s) &&
		    msn_file_range_contains(msn_count_set_range(s),
					    left.start)) {
			s = cut_out(counts, s, left);
			msn_count_set_value(&counts->set, s)->refs++;
			left.start = msn_count_set_range(s).end;
			continue;
		}
		if (msn_seg_ok(s) && msn_count_set_range(s).start < gap.end)
			gap.end = msn_count_set_range(s).start;
		add_first(counts, gap, payer);
		left.start = gap.end;
	}
	msn_count_set_merge_range(&counts->set, r);
}

void msn_page_counts_drop(struct msn_page_counts *counts,
			  struct msn_file_range r)
{
	struct msn_file_range left = r;

	while (left.start < left.end) {
		struct msn_seg s = msn_count_set_find(&counts->set, left.start);
		struct msn_page_count *v;
		struct msn_file_range part;

		msn_assert(msn_seg_ok(s));
		top_up(counts);
		s = cut_out(counts, s, left);
		part = msn_count_set_range(s);
		v = msn_count_set_value(&counts->set, s);
		if (--v->refs == 0) {
			uncharge(counts, v, part);
			msn_count_set_remove(&counts->set, s);
		}
		left.start = part.end;
	}
	msn_count_set_merge_range(&counts->set, r);
}

uint64_t msn_page_counts_get(const struct msn_page_counts *counts,
			     struct msn_file_range r,
			     struct msn_file_range *run)
{
	struct msn_seg s = msn_count_set_lower(&counts->set, r.start);
	uint64_t refs;

	*run = r;
	if (!msn_seg_ok(s))
		return 0;
	if (msn_count_set_range(s).start > r.start) {
		if (msn_count_set_range(s).start < r.end)
			run->end = msn_count_set_range(s).start;
		return 0;
	}
	refs = msn_count_set_value(&counts->set, s)->refs;
	run->end = r.start;
	while (msn_seg_ok(s) && run->end < r.end &&
	       msn_count_set_range(s).start <= run->end &&
	       msn_count_set_value(&counts->set, s)->refs == refs) {
		run->end = msn_count_set_range(s).end;
		s = msn_seg_next(s);
	}
	if (run->end > r.end)
		run->end = r.end;
	return refs;
}

const char *msn_page_counts_check(const struct msn_page_counts *counts)
{
	const char *wrong = msn_segset_check(&counts->set.core);

	if (wrong)
		return wrong;
	for (struct msn_seg s = msn_count_set_first(&counts->set);
	     msn_seg_ok(s); s = msn_seg_next(s)) {
		if (!msn_file_range_page_aligned(msn_count_set_range(s)))
			return "a counted range is not page aligned";
		if (msn_count_set_value(&counts->set, s)->refs == 0)
			return "a page without references is remembered";
	}
	return NULL;
}
