/*
 * Memory file: allocation, page references, accounts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "base/limits.h"
#include "base/rand.h"
#include "memfile/memfile.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE MSN_PAGE_SIZE

static struct msn_memfile *make(struct msn_account_table *accounts)
{
	struct msn_memfile *mf;

	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){
					   .accounts = accounts }) == 0);
	return mf;
}

static void done_with(struct msn_memfile *mf)
{
	EXPECT(msn_memfile_check(mf) == NULL);
	EXPECT(msn_memfile_used(mf) == 0);
	msn_memfile_free(mf);
}

static struct msn_file_range take(struct msn_memfile *mf, uint64_t pages,
				  enum msn_direction direction)
{
	struct msn_file_range r;

	CHECK(msn_memfile_allocate(
		      mf,
		      &(struct msn_memfile_alloc){ .length = pages * PAGE,
						   .direction = direction },
		      &r) == 0);
	EXPECT(msn_file_range_length(r) == pages * PAGE);
	return r;
}

static uint64_t host_bytes(struct msn_memfile *mf)
{
	struct stat st;

	CHECK(fstat(msn_file_fd(msn_memfile_file(mf)), &st) == 0);
	return (uint64_t)st.st_blocks * 512;
}

static void ranges_are_given_from_below_or_from_above(void)
{
	/* file   |aa|  ................  |bb| */
	struct msn_memfile *mf = make(NULL);
	struct msn_file_range a = take(mf, 2, MSN_BOTTOM_UP);
	struct msn_file_range b = take(mf, 2, MSN_TOP_DOWN);
	struct msn_file_range c = take(mf, 1, MSN_BOTTOM_UP);
	struct msn_file_range d = take(mf, 1, MSN_TOP_DOWN);

	EXPECT(a.start == 0 && c.start == a.end);
	EXPECT(b.end == MSN_WINDOW_BYTES && d.end == b.start);
	msn_file_dec_ref(msn_memfile_file(mf), a);
	msn_file_dec_ref(msn_memfile_file(mf), b);
	msn_file_dec_ref(msn_memfile_file(mf), c);
	msn_file_dec_ref(msn_memfile_file(mf), d);
	done_with(mf);
}

static void what_is_reserved_costs_nothing_until_it_is_written(void)
{
	struct msn_memfile *mf = make(NULL);
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 1 << 20, MSN_BOTTOM_UP); /* 4 GiB */
	struct msn_file_range data;
	size_t done;

	EXPECT(host_bytes(mf) == 0);
	EXPECT(msn_file_next_data(file, r, &data) == MSN_FILE_E_NO_DATA);
	CHECK(msn_file_write(file, r.start + (UINT64_C(3) << 30), "x", 1,
			     &done) == 0);
	EXPECT(host_bytes(mf) == PAGE);
	CHECK(msn_file_next_data(file, r, &data) == 0);
	EXPECT(data.start == r.start + (UINT64_C(3) << 30) &&
	       data.end == data.start + PAGE);
	/* What lies behind the range is not of it. */
	EXPECT(msn_file_next_data(
		       file, (struct msn_file_range){ r.start, data.start },
		       &data) == MSN_FILE_E_NO_DATA);
	msn_file_dec_ref(file, r);
	EXPECT(host_bytes(mf) == 0);
	done_with(mf);
}

static void the_last_reference_gives_the_page_back_zeroed(void)
{
	struct msn_memfile *mf = make(NULL);
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP);
	struct msn_file_range middle = { r.start + PAGE, r.start + 3 * PAGE };
	char byte = 1;
	size_t done;

	CHECK(msn_file_write(file, r.start + PAGE, "y", 1, &done) == 0);
	msn_file_inc_ref(file, r, 0);
	msn_file_dec_ref(file, middle);
	EXPECT(msn_memfile_used(mf) == 4 * PAGE);
	msn_file_dec_ref(file, middle);
	EXPECT(msn_memfile_used(mf) == 2 * PAGE);
	EXPECT(host_bytes(mf) == 0);
	r = take(mf, 2, MSN_BOTTOM_UP); /* the same two pages */
	EXPECT(r.start == middle.start);
	CHECK(msn_file_read(file, r.start, &byte, 1, &done) == 0);
	EXPECT(byte == 0);
	msn_file_dec_ref(file, r);
	r = (struct msn_file_range){ middle.start - PAGE, middle.start };
	msn_file_dec_ref(file, r);
	msn_file_dec_ref(file, r);
	r = (struct msn_file_range){ middle.end, middle.end + PAGE };
	msn_file_dec_ref(file, r);
	msn_file_dec_ref(file, r);
	done_with(mf);
}

static void sole_ownership_is_told_page_by_page(void)
{
	/* refs   1 1 2 2 1 */
	struct msn_memfile *mf = make(NULL);
	struct msn_file *file = msn_memfile_file(mf);
	struct msn_file_range r = take(mf, 5, MSN_BOTTOM_UP), run;
	struct msn_file_range shared = { r.start + 2 * PAGE,
					 r.start + 4 * PAGE };

	msn_file_inc_ref(file, shared, 0);
	EXPECT(msn_memfile_is_sole(mf, r, &run));
	EXPECT(run.start == r.start && run.end == shared.start);
	EXPECT(!msn_memfile_is_sole(mf, shared, &run));
	EXPECT(run.end == shared.end);
	msn_file_dec_ref(file, shared);
	EXPECT(msn_memfile_is_sole(mf, r, &run));
	EXPECT(run.end == r.end);
	msn_file_dec_ref(file, r);
	done_with(mf);
}

static void the_account_that_allocated_pays_to_the_end(void)
{
	struct msn_account_table *accounts;
	struct msn_file_range r;
	struct msn_memfile *mf;

	CHECK(msn_account_table_new(&accounts) == 0);
	mf = make(accounts);
	CHECK(msn_memfile_allocate(mf,
				   &(struct msn_memfile_alloc){
					   .length = 3 * PAGE, .account = 7 },
				   &r) == 0);
	msn_file_inc_ref(msn_memfile_file(mf), r, 8);
	msn_file_dec_ref(msn_memfile_file(mf), r);
	EXPECT(msn_account_get(accounts, 7).bytes[MSN_ACCOUNT_ANONYMOUS] ==
	       3 * PAGE);
	EXPECT(msn_account_get(accounts, 8).bytes[MSN_ACCOUNT_ANONYMOUS] == 0);
	msn_file_dec_ref(msn_memfile_file(mf), r);
	EXPECT(msn_account_get(accounts, 7).bytes[MSN_ACCOUNT_ANONYMOUS] == 0);
	done_with(mf);
	msn_account_table_free(accounts);
}

static void references_agree_with_a_plain_array(void)
{
	enum { PAGES = 64, STEPS = 5000 };
	unsigned model[PAGES];
	uint64_t rand = check_seed();
	struct msn_memfile *mf = make(NULL);
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
		struct msn_file_range r = { all.start + first * PAGE,
					    all.start + end * PAGE };

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
			msn_file_dec_ref(file,
					 (struct msn_file_range){
						 all.start + i * PAGE,
						 all.start + (i + 1) * PAGE });
	done_with(mf);
}

static void *walk_prepare(void)
{
	return make(NULL);
}

static int walk_body(void *state)
{
	struct msn_file_range a, b;
	struct msn_memfile_alloc one = { .length = PAGE };
	struct msn_memfile_alloc big = { .length = 2 * MSN_WINDOW_BYTES };
	int rc = msn_memfile_allocate(state, &one, &a);

	if (rc)
		return rc;
	rc = msn_memfile_allocate(state, &big, &b);
	if (rc == 0)
		msn_file_dec_ref(msn_memfile_file(state), b);
	msn_file_dec_ref(msn_memfile_file(state), a);
	return rc;
}

static void walk_verify(void *state, int rc, const char *name)
{
	EXPECT(rc == 0 || (name && rc == -ENOMEM));
	done_with(state);
}

static void every_failure_leaves_the_file_whole(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 2);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(ranges_are_given_from_below_or_from_above),
		CHECK_TEST(what_is_reserved_costs_nothing_until_it_is_written),
		CHECK_TEST(the_last_reference_gives_the_page_back_zeroed),
		CHECK_TEST(sole_ownership_is_told_page_by_page),
		CHECK_TEST(the_account_that_allocated_pays_to_the_end),
		CHECK_TEST(references_agree_with_a_plain_array),
		CHECK_TEST(every_failure_leaves_the_file_whole),
		{}
	};

	return check_main(argc, argv, "memory file", tests);
}
