/*
 * Memory file: where ranges come to be, and page references.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/rand.h"
#include "fixture.h"

#define GIB MSN_WINDOW_BYTES

static void ranges_are_given_from_below_or_from_above(void)
{
	/* file   |aa|  ................  |bb| */
	struct msn_memfile *mf = make();
	struct msn_file_range a = take(mf, 2, MSN_BOTTOM_UP);
	struct msn_file_range b = take(mf, 2, MSN_TOP_DOWN);
	struct msn_file_range c = take(mf, 1, MSN_BOTTOM_UP);
	struct msn_file_range d = take(mf, 1, MSN_TOP_DOWN);

	EXPECT(a.start == 0 && c.start == a.end);
	EXPECT(b.end == GIB && d.end == b.start);
	drop(mf, a);
	drop(mf, b);
	drop(mf, c);
	drop(mf, d);
	done_with(mf);
}

static struct msn_file_range take_near(struct msn_memfile *mf, uint64_t pages,
				       enum msn_direction direction,
				       uint64_t near)
{
	return take_with(mf, (struct msn_memfile_alloc){ .length = pages * PAGE,
							 .direction = direction,
							 .near = near });
}

static void a_run_grows_where_its_space_is(void)
{
	/* file   |a|b|a|b|  ->  |a|b|aaa ...  |bbb|, not  |a|b|a|b|a|b| */
	struct msn_memfile *mf = make();
	struct msn_file_range a = take(mf, 1, MSN_BOTTOM_UP);
	struct msn_file_range b = take_near(mf, 1, MSN_BOTTOM_UP, 1 << 20);

	EXPECT(b.start == 1 << 20);
	for (int i = 0; i < 5; i++) {
		struct msn_file_range next =
			take_near(mf, 1, MSN_BOTTOM_UP, a.end);

		EXPECT(next.start == a.end);
		a.end = next.end;
		next = take_near(mf, 1, MSN_BOTTOM_UP, b.end);
		EXPECT(next.start == b.end);
		b.end = next.end;
	}
	/* Downwards too. */
	for (int i = 0; i < 5; i++) {
		struct msn_file_range next =
			take_near(mf, 2, MSN_TOP_DOWN, b.start);

		EXPECT(next.end == b.start);
		b.start = next.start;
	}
	drop(mf, a);
	drop(mf, b);
	done_with(mf);
}

static void what_does_not_fit_near_goes_to_the_next_place_on_that_side(void)
{
	/* file   0 1 2 3 4 5 6 ; taken: 2 3 4 */
	struct msn_memfile *mf = make();
	struct msn_file_range a = take_near(mf, 3, MSN_BOTTOM_UP, 2 * PAGE);
	struct msn_file_range up = take_near(mf, 1, MSN_BOTTOM_UP, 3 * PAGE);
	struct msn_file_range down = take_near(mf, 1, MSN_TOP_DOWN, 4 * PAGE);
	struct msn_file_range large = take_near(mf, 2, MSN_TOP_DOWN, PAGE);
	struct msn_file_range off = take_near(mf, 1, MSN_BOTTOM_UP, 90 * GIB);

	EXPECT(a.start == 2 * PAGE);
	EXPECT(up.start == 5 * PAGE);
	EXPECT(down.start == PAGE);
	EXPECT(large.end == GIB); /* nothing below: as if not asked */
	EXPECT(off.start == 0);	  /* no such place */
	drop(mf, a);
	drop(mf, up);
	drop(mf, down);
	drop(mf, large);
	drop(mf, off);
	done_with(mf);
}

static void what_is_reserved_costs_nothing_until_it_is_written(void)
{
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 1 << 20, MSN_BOTTOM_UP); /* 4 GiB */
	struct msn_file_range data;

	EXPECT(host_bytes(mf) == 0);
	EXPECT(msn_file_next_data(file, r, &data) == MSN_FILE_E_NO_DATA);
	touch(mf, r, 3 << 18, 'x');
	EXPECT(host_bytes(mf) == PAGE);
	CHECK(msn_file_next_data(file, r, &data) == 0);
	EXPECT(data.start == r.start + 3 * GIB &&
	       data.end == data.start + PAGE);
	/* What lies behind the range is not of it. */
	EXPECT(msn_file_next_data(
		       file, (struct msn_file_range){ r.start, data.start },
		       &data) == MSN_FILE_E_NO_DATA);
	drop(mf, r);
	EXPECT(host_bytes(mf) == 0); /* too much to be kept */
	done_with(mf);
}

static void a_reservation_of_256_tib_is_no_burden(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, UINT64_C(1) << 36, MSN_BOTTOM_UP);
	struct msn_file_range end =
		part(r, (UINT64_C(1) << 36) - 1, UINT64_C(1) << 36);
	struct msn_file_range data;

	touch(mf, end, 0, 'z');
	CHECK(msn_file_next_data(msn_memfile_file(mf), r, &data) == 0);
	EXPECT(data.start == end.start && data.end == end.end);
	drop(mf, r);
	EXPECT(host_bytes(mf) == 0);
	done_with(mf);
}

static void sole_ownership_is_told_page_by_page(void)
{
	/* refs   1 1 2 2 1 */
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 5, MSN_BOTTOM_UP), run;
	struct msn_file_range shared = part(r, 2, 4);

	msn_file_inc_ref(file, shared, 0);
	EXPECT(msn_memfile_is_sole(mf, r, &run));
	EXPECT(run.start == r.start && run.end == shared.start);
	EXPECT(!msn_memfile_is_sole(mf, shared, &run));
	EXPECT(run.end == shared.end);
	for (uint64_t i = 0; i < 5; i++)
		EXPECT(msn_memfile_is_sole(mf, part(r, i, i + 1), &run) ==
		       (i < 2 || i == 4));
	drop(mf, shared);
	EXPECT(msn_memfile_is_sole(mf, r, &run));
	EXPECT(run.end == r.end);
	drop(mf, r);
	done_with(mf);
}

static void sharers_are_counted_by_runs(void)
{
	/* refs   1 2 3 3 1 ; accounts differ in the middle of the threes */
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range a =
		take_with(mf, (struct msn_memfile_alloc){ .length = 3 * PAGE,
							  .account = 1 });
	struct msn_file_range b = take_with(
		mf, (struct msn_memfile_alloc){
			    .length = 2 * PAGE, .account = 2, .near = a.end });
	struct msn_file_range all = { a.start, b.end }, run;

	CHECK(a.end == b.start);
	msn_file_inc_ref(file, part(all, 1, 4), 0);
	msn_file_inc_ref(file, part(all, 2, 4), 0);
	EXPECT(msn_file_sharers(file, all, &run) == 1);
	EXPECT(run.end == all.start + PAGE);
	EXPECT(msn_file_sharers(file, part(all, 1, 5), &run) == 2);
	EXPECT(run.end == all.start + 2 * PAGE);
	EXPECT(msn_file_sharers(file, part(all, 2, 5), &run) == 3);
	EXPECT(run.end == all.start + 4 * PAGE);
	EXPECT(msn_file_sharers(file, part(all, 4, 5), &run) == 1);
	/* Nobody's page. */
	EXPECT(msn_file_sharers(file, part(all, 5, 7), &run) == 0);
	EXPECT(run.end == all.start + 7 * PAGE);
	drop(mf, part(all, 2, 4));
	drop(mf, part(all, 1, 4));
	drop(mf, all);
	done_with(mf);
}

static void residence_is_told_page_by_page_and_brings_nothing_in(void)
{
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 6, MSN_BOTTOM_UP);
	uint8_t vec[6] = { 9, 9, 9, 9, 9, 9 };

	CHECK(msn_file_resident(file, r, vec) == 0);
	EXPECT(memcmp(vec, (uint8_t[6]){ 0 }, 6) == 0);
	EXPECT(host_bytes(mf) == 0);
	touch(mf, r, 1, 'a');
	touch(mf, r, 4, 'b');
	CHECK(msn_file_resident(file, r, vec) == 0);
	EXPECT(memcmp(vec, (uint8_t[6]){ 0, 1, 0, 0, 1, 0 }, 6) == 0);
	EXPECT(host_bytes(mf) == 2 * PAGE);
	/* Waste is not there, whatever is behind it. */
	drop(mf, part(r, 4, 6));
	EXPECT(host_bytes(mf) == 2 * PAGE);
	CHECK(msn_file_resident(file, r, vec) == 0);
	EXPECT(memcmp(vec, (uint8_t[6]){ 0, 1, 0, 0, 0, 0 }, 6) == 0);
	drop(mf, part(r, 0, 4));
	done_with(mf);
}

static void a_range_may_run_through_arenas(void)
{
	/* file   |  first GiB  |  second GiB  | ; the range crosses */
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range a = take(mf, GIB / PAGE, MSN_BOTTOM_UP);
	struct msn_file_range b = take(mf, GIB / PAGE, MSN_BOTTOM_UP);
	struct msn_file_range all = { a.start, b.end }, run;
	struct msn_file_range border = { a.end - 2 * PAGE, a.end + 2 * PAGE };
	struct msn_spans spans;
	uint8_t vec[4];

	CHECK(a.end == b.start);
	EXPECT(msn_memfile_is_sole(mf, all, &run) && run.end == all.end);
	msn_file_inc_ref(file, border, 0);
	EXPECT(!msn_memfile_is_sole(mf, border, &run) && run.end == border.end);
	EXPECT(msn_file_sharers(file, border, &run) == 2);
	EXPECT(run.end == border.end);
	EXPECT(msn_memfile_is_sole(mf, all, &run) && run.end == border.start);
	EXPECT(msn_file_map_internal(file, border, MSN_ACCESS_READ, &spans) ==
	       0);
	touch(mf, border, 1, 'l');
	touch(mf, border, 2, 'r');
	CHECK(msn_file_resident(file, border, vec) == 0);
	EXPECT(memcmp(vec, (uint8_t[4]){ 0, 1, 1, 0 }, 4) == 0);
	CHECK(msn_file_next_data(file, all, &run) == 0);
	EXPECT(run.start == a.end - PAGE);
	CHECK(msn_file_next_data(file, part(border, 2, 4), &run) == 0);
	EXPECT(run.start == a.end && run.end == a.end + PAGE);
	drop(mf, all);
	EXPECT(msn_memfile_used(mf) == 4 * PAGE);
	EXPECT(peek(mf, border, 1) == 'l' && peek(mf, border, 2) == 'r');
	drop(mf, border);
	done_with(mf);
}

static void references_agree_with_a_plain_array(void)
{
	enum { PAGES = 64, STEPS = 5000 };
	unsigned model[PAGES];
	uint64_t rand = check_seed();
	struct msn_memfile *mf = make();
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range all = take(mf, PAGES, MSN_BOTTOM_UP);

	for (int i = 0; i < PAGES; i++)
		model[i] = 1;
	for (int step = 0; step < STEPS; step++) {
		uint64_t first = msn_rand_next(&rand) % PAGES;
		uint64_t end =
			first + 1 + msn_rand_next(&rand) % (PAGES - first);
		bool add = msn_rand_next(&rand) % 2;
		unsigned least = UINT32_MAX;
		struct msn_file_range r = part(all, first, end);

		for (uint64_t i = first; i < end; i++)
			least = model[i] < least ? model[i] : least;
		if (!add && least < 2)
			continue; /* the last one is kept to the end */
		if (add)
			msn_file_inc_ref(file, r, 0);
		else
			msn_file_dec_ref(file, r);
		for (uint64_t i = first; i < end; i++)
			model[i] += add ? 1u : -1u;
		CHECK(msn_memfile_check(mf) == NULL);
	}
	for (uint64_t i = 0; i < PAGES; i++)
		while (model[i]-- > 0)
			drop(mf, part(all, i, i + 1));
	done_with(mf);
}

static void *walk_prepare(void)
{
	return make();
}

static int walk_body(void *state)
{
	struct msn_file_range a, b, c;
	struct msn_memfile_alloc one = { .length = PAGE, .near = PAGE };
	struct msn_memfile_alloc big = { .length = 2 * GIB };
	int rc = msn_memfile_allocate(state, &one, &a);
	char byte = 1;
	size_t done;

	if (rc)
		return rc;
	rc = msn_file_write(msn_memfile_file(state), a.start, "w", 1, &done);
	if (rc == 0)
		rc = msn_memfile_allocate(state, &big, &b);
	if (rc == 0)
		drop(state, b);
	drop(state, a);
	/* What was waste is zero again, whatever failed. */
	if (rc == 0)
		rc = msn_memfile_allocate(state, &one, &c);
	if (rc)
		return rc;
	rc = msn_file_read(msn_memfile_file(state), c.start, &byte, 1, &done);
	EXPECT(rc || byte == 0);
	drop(state, c);
	return rc;
}

static void walk_verify(void *state, int rc, const char *name)
{
	/* References and release do without what failed. */
	EXPECT(rc == 0 || (name && rc == -ENOMEM));
	msn_memfile_drain(state);
	EXPECT(msn_memfile_waste(state) == 0);
	EXPECT(host_bytes(state) == 0);
	done_with(state);
}

static void every_failure_leaves_the_file_whole(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 6);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(ranges_are_given_from_below_or_from_above),
		CHECK_TEST(a_run_grows_where_its_space_is),
		CHECK_TEST(
			what_does_not_fit_near_goes_to_the_next_place_on_that_side),
		CHECK_TEST(what_is_reserved_costs_nothing_until_it_is_written),
		CHECK_TEST(a_reservation_of_256_tib_is_no_burden),
		CHECK_TEST(sole_ownership_is_told_page_by_page),
		CHECK_TEST(sharers_are_counted_by_runs),
		CHECK_TEST(
			residence_is_told_page_by_page_and_brings_nothing_in),
		CHECK_TEST(a_range_may_run_through_arenas),
		CHECK_TEST(references_agree_with_a_plain_array),
		CHECK_TEST(every_failure_leaves_the_file_whole),
		{}
	};

	return check_main(argc, argv, "memory file", tests);
}
