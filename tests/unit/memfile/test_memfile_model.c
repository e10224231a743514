/*
 * Memory file against a plain array: several spaces allocate, write, share and
 * drop pages at random, and every page has the references and the bytes that
 * the array says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/rand.h"
#include "fixture.h"

enum {
	PAGES = 1024, /* that the model follows: half of them in each arena */
	SPACES = 4,
	RUNS = 12, /* a space's */
	STEPS = CHECK_SANITIZED ? 1000 : 5000,
};

struct model_page {
	unsigned refs;
	char byte; /* in its first byte */
	msn_account_id account;
};

struct world {
	struct msn_account_table *accounts;
	struct msn_memfile *mf;
	struct msn_file_range below,
		above;		   /* taken, so that only @all is left */
	struct msn_file_range all; /* what the model follows */
	uint64_t rand;
	struct model_page page[PAGES];
	struct msn_file_range run[SPACES][RUNS]; /* empty: none */
	uint64_t last[SPACES];			 /* end of what it got last */
};

static uint64_t below(struct world *w, uint64_t n)
{
	return msn_rand_next(&w->rand) % n;
}

static struct model_page *page_at(struct world *w, uint64_t at)
{
	CHECK(msn_file_range_contains(w->all, at));
	return &w->page[(at - w->all.start) / PAGE];
}

static struct msn_file_range *slot(struct world *w, uint64_t space, bool taken)
{
	for (int i = 0; i < 3; i++) {
		struct msn_file_range *r = &w->run[space][below(w, RUNS)];

		if (!msn_file_range_empty(*r) == taken)
			return r;
	}
	return NULL;
}

static void allocate(struct world *w, uint64_t space)
{
	struct msn_file_range *r = slot(w, space, false);
	struct msn_memfile_alloc opts = {
		.length = (1 + below(w, 12)) * PAGE,
		.account = (msn_account_id)space,
		.direction = below(w, 4) ? MSN_BOTTOM_UP : MSN_TOP_DOWN,
		.near = below(w, 2) ? w->last[space] : 0,
	};

	if (!r)
		return;
	*r = take_with(w->mf, opts);
	if (!msn_file_range_covers(w->all, *r)) {
		/* The releaser was in the way, or no gap was large enough. */
		drop(w->mf, *r);
		*r = (struct msn_file_range){ 0, 0 };
		return;
	}
	w->last[space] = r->end;
	for (uint64_t at = r->start; at < r->end; at += PAGE) {
		struct model_page *p = page_at(w, at);

		EXPECT(p->refs == 0);
		*p = (struct model_page){ 1, 0, (msn_account_id)space };
		/* Reading would bring memory in: every second page. */
		if (below(w, 2))
			EXPECT(peek(w->mf, *r, (at - r->start) / PAGE) == 0);
	}
}

/* Another space comes to have a part of a run as well. */
static void share(struct world *w, uint64_t space)
{
	struct msn_file_range *from = slot(w, space, true);
	struct msn_file_range *to = slot(w, below(w, SPACES), false);
	uint64_t pages, first;

	if (!from || !to)
		return;
	pages = msn_file_range_length(*from) / PAGE;
	first = below(w, pages);
	*to = part(*from, first, first + 1 + below(w, pages - first));
	msn_file_inc_ref(msn_memfile_file(w->mf), *to, 99);
	for (uint64_t at = to->start; at < to->end; at += PAGE)
		page_at(w, at)->refs++;
}

static void write_to(struct world *w, uint64_t space)
{
	struct msn_file_range *r = slot(w, space, true);
	uint64_t nr;

	if (!r)
		return;
	nr = below(w, msn_file_range_length(*r) / PAGE);
	page_at(w, r->start + nr * PAGE)->byte = (char)(1 + below(w, 100));
	touch(w->mf, *r, nr, page_at(w, r->start + nr * PAGE)->byte);
}

/* A whole run, or its head or tail. */
static void drop_some(struct world *w, uint64_t space)
{
	struct msn_file_range *r = slot(w, space, true), gone;
	uint64_t pages;

	if (!r)
		return;
	pages = msn_file_range_length(*r) / PAGE;
	switch (below(w, 3)) {
	case 0:
		gone = part(*r, 0, 1 + below(w, pages));
		r->start = gone.end;
		break;
	case 1:
		gone = part(*r, below(w, pages), pages);
		r->end = gone.start;
		break;
	default:
		gone = *r;
		*r = (struct msn_file_range){ 0, 0 };
	}
	drop(w->mf, gone);
	for (uint64_t at = gone.start; at < gone.end; at += PAGE)
		page_at(w, at)->refs--;
}

/* The longest run from page @i on that the model has with one answer. */
static uint64_t model_run(struct world *w, uint64_t i, bool sole)
{
	uint64_t end = i + 1;

	while (end < PAGES &&
	       (sole ? (w->page[end].refs == 1) == (w->page[i].refs == 1)
		     : w->page[end].refs == w->page[i].refs))
		end++;
	return end;
}

static void compare_counts(struct world *w)
{
	struct msn_file_range all = w->all, run;
	uint64_t used = 0, of[SPACES] = { 0 };

	for (uint64_t i = 0; i < PAGES; i++) {
		used += w->page[i].refs > 0;
		of[w->page[i].account % SPACES] += w->page[i].refs > 0;
	}
	CHECK(msn_memfile_used(w->mf) ==
	      used * PAGE + msn_file_range_length(w->below) +
		      msn_file_range_length(w->above));
	for (uint64_t s = 0; s < SPACES; s++)
		CHECK(msn_account_get(w->accounts, (msn_account_id)s)
			      .bytes[MSN_ACCOUNT_ANONYMOUS] == of[s] * PAGE);
	for (uint64_t i = 0; i < PAGES; i = model_run(w, i, false)) {
		CHECK(msn_file_sharers(msn_memfile_file(w->mf),
				       part(all, i, PAGES),
				       &run) == w->page[i].refs);
		CHECK(run.end == all.start + model_run(w, i, false) * PAGE);
	}
	for (uint64_t i = 0; i < PAGES; i = model_run(w, i, true)) {
		CHECK(msn_memfile_is_sole(w->mf, part(all, i, PAGES), &run) ==
		      (w->page[i].refs == 1));
		CHECK(run.end == all.start + model_run(w, i, true) * PAGE);
	}
}

/* What is written is there; what is data or in memory is somebody's. */
static void compare_bytes(struct world *w)
{
	struct msn_file *file = msn_memfile_file(w->mf);
	struct msn_file_range all = w->all, rest = all, data;
	uint8_t vec[PAGES], seen[PAGES] = { 0 };

	CHECK(msn_file_resident(file, all, vec) == 0);
	while (!msn_file_range_empty(rest) &&
	       msn_file_next_data(file, rest, &data) == 0) {
		for (uint64_t at = data.start; at < data.end; at += PAGE)
			seen[(at - all.start) / PAGE] = 1;
		rest.start = data.end;
	}
	for (uint64_t i = 0; i < PAGES; i++) {
		const struct model_page *p = &w->page[i];

		CHECK(seen[i] == vec[i]); /* nothing is swapped out here */
		CHECK(p->refs > 0 || !seen[i]);
		if (p->refs == 0)
			continue;
		CHECK(seen[i] || p->byte == 0);
		if (seen[i])
			CHECK(peek(w->mf, all, i) == p->byte);
	}
}

/* Leaves PAGES pages around the border of two arenas. */
static void fence_in(struct world *w)
{
	uint64_t arena = MSN_WINDOW_BYTES / PAGE;

	w->below =
		take_with(w->mf, (struct msn_memfile_alloc){
					 .length = (arena - PAGES / 2) * PAGE,
					 .account = 100 });
	w->above = take_with(
		w->mf, (struct msn_memfile_alloc){ .length = MSN_WINDOW_BYTES,
						   .account = 100 });
	CHECK(w->below.start == 0 && w->above.start == MSN_WINDOW_BYTES);
	drop(w->mf, part(w->above, 0, PAGES / 2));
	w->above.start += PAGES / 2 * PAGE;
	w->all = (struct msn_file_range){ w->below.end, w->above.start };
	msn_memfile_drain(w->mf);
}

static void play(bool releaser)
{
	static void (*const act[])(struct world *, uint64_t) = {
		allocate, allocate,  share,	write_to,
		write_to, drop_some, drop_some,
	};
	static struct world w;

	memset(&w, 0, sizeof(w));
	w.rand = check_seed();
	CHECK(msn_account_table_new(&w.accounts) == 0);
	w.mf = make_with((struct msn_memfile_opts){ .accounts = w.accounts,
						    .releaser = releaser });
	fence_in(&w);
	for (int step = 0; step < STEPS; step++) {
		act[below(&w, MSN_ARRAY_LEN(act))](&w, below(&w, SPACES));
		CHECK(msn_memfile_check(w.mf) == NULL);
		compare_counts(&w);
		if (step % 16 == 0)
			compare_bytes(&w);
		if (below(&w, 100) == 0)
			msn_memfile_drain(w.mf);
	}
	for (int s = 0; s < SPACES; s++)
		for (int i = 0; i < RUNS; i++)
			if (!msn_file_range_empty(w.run[s][i]))
				drop(w.mf, w.run[s][i]);
	drop(w.mf, w.below);
	drop(w.mf, w.above);
	msn_memfile_drain(w.mf);
	EXPECT(host_bytes(w.mf) == 0);
	done_with(w.mf);
	msn_account_table_free(w.accounts);
}

static void spaces_share_one_file(void)
{
	play(false);
}

static void spaces_share_one_file_with_a_releaser(void)
{
	play(true);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(spaces_share_one_file),
		CHECK_TEST(spaces_share_one_file_with_a_releaser),
		{}
	};

	return check_main(argc, argv, "memory file: model", tests);
}
