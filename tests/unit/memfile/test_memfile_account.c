/*
 * Memory file: who pays, how much may be had, and what is really there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"

struct paid {
	struct msn_account_table *accounts;
	struct msn_memfile *mf;
};

static struct paid setup(void)
{
	struct paid p;

	CHECK(msn_account_table_new(&p.accounts) == 0);
	p.mf = make_with((struct msn_memfile_opts){ .accounts = p.accounts });
	return p;
}

static void teardown(struct paid *p)
{
	done_with(p->mf);
	msn_account_table_free(p->accounts);
}

static struct msn_file_range take_for(struct paid *p, msn_account_id account,
				      uint64_t pages)
{
	return take_with(p->mf,
			 (struct msn_memfile_alloc){ .length = pages * PAGE,
						     .account = account });
}

static uint64_t charged(struct paid *p, msn_account_id account)
{
	return msn_account_get(p->accounts, account)
		.bytes[MSN_ACCOUNT_ANONYMOUS];
}

static void the_account_that_allocated_pays_to_the_end(void)
{
	struct paid p = setup();
	struct msn_file_range r = take_for(&p, 7, 3);

	msn_file_inc_ref(msn_memfile_file(p.mf), r, 8);
	drop(p.mf, r);
	EXPECT(charged(&p, 7) == 3 * PAGE);
	EXPECT(charged(&p, 8) == 0);
	drop(p.mf, r);
	EXPECT(charged(&p, 7) == 0); /* for waste pays nobody */
	EXPECT(msn_memfile_waste(p.mf) == 3 * PAGE);
	teardown(&p);
}

static void past_its_limit_an_account_gets_nothing(void)
{
	struct paid p = setup();
	struct msn_memfile_alloc one = { .length = PAGE, .account = 7 };
	struct msn_file_range r, other = { 1, 2 };

	CHECK(msn_account_set_limit(p.accounts, 7, 4 * PAGE) == 0);
	r = take_for(&p, 7, 4);
	EXPECT(msn_memfile_allocate(p.mf, &one, &other) == -ENOMEM);
	EXPECT(other.start == 1 && other.end == 2);
	EXPECT(msn_memfile_used(p.mf) == 4 * PAGE);
	EXPECT(charged(&p, 7) == 4 * PAGE);
	/* A second reference is no second page. */
	msn_file_inc_ref(msn_memfile_file(p.mf), r, 7);
	drop(p.mf, r);
	other = take_for(&p, 8, 1);
	drop(p.mf, other);
	drop(p.mf, part(r, 0, 1));
	other = take_for(&p, 7, 1);
	EXPECT(msn_memfile_allocate(p.mf, &one, &r) == -ENOMEM);
	drop(p.mf, part(r, 1, 4));
	drop(p.mf, other);
	teardown(&p);
}

static void what_cannot_be_had_is_not_charged(void)
{
	struct paid p = setup();
	struct msn_memfile_alloc all = { .length = UINT64_C(1) << 57,
					 .account = 7 };
	struct msn_file_range r;

	EXPECT(msn_memfile_allocate(p.mf, &all, &r) == -ENOMEM);
	EXPECT(charged(&p, 7) == 0);
	teardown(&p);
}

static void usage_tells_what_is_referenced_and_what_is_there(void)
{
	/* accounts   7 7 7 7 9 9 7 7 ; written: * */
	/*              *     *   *   */
	struct paid p = setup();
	struct msn_file_range a = take_for(&p, 7, 4);
	struct msn_file_range b = take_for(&p, 9, 2);
	struct msn_file_range c = take_for(&p, 7, 2);
	struct msn_memfile_usage u;

	u = msn_memfile_usage(p.mf, 7);
	EXPECT(u.referenced == 6 * PAGE && u.resident == 0);
	touch(p.mf, a, 1, 'a');
	touch(p.mf, b, 0, 'b');
	touch(p.mf, c, 0, 'c');
	EXPECT(host_bytes(p.mf) == 3 * PAGE);
	u = msn_memfile_usage(p.mf, 7);
	EXPECT(u.referenced == 6 * PAGE && u.resident == 2 * PAGE);
	u = msn_memfile_usage(p.mf, 9);
	EXPECT(u.referenced == 2 * PAGE && u.resident == PAGE);
	u = msn_memfile_usage(p.mf, 8);
	EXPECT(u.referenced == 0 && u.resident == 0);
	EXPECT(host_bytes(p.mf) == 3 * PAGE); /* asking brings nothing in */
	drop(p.mf, c);
	u = msn_memfile_usage(p.mf, 7);
	EXPECT(u.referenced == 4 * PAGE && u.resident == PAGE);
	drop(p.mf, a);
	drop(p.mf, b);
	teardown(&p);
}

static void usage_walks_any_number_of_runs(void)
{
	enum { RUNS = 1500 };
	struct paid p = setup();
	struct msn_file_range r = take_for(&p, 7, 2 * RUNS);
	struct msn_file_range last = take_for(&p, 8, 1);
	struct msn_memfile_usage u;

	for (uint64_t i = 0; i < RUNS; i++) {
		touch(p.mf, r, 2 * i, 'x');
		drop(p.mf, part(r, 2 * i + 1, 2 * i + 2));
	}
	u = msn_memfile_usage(p.mf, 7);
	EXPECT(u.referenced == RUNS * PAGE && u.resident == RUNS * PAGE);
	EXPECT(u.referenced == charged(&p, 7));
	EXPECT(msn_memfile_usage(p.mf, 8).referenced == PAGE);
	drop(p.mf, last);
	for (uint64_t i = 0; i < RUNS; i++)
		drop(p.mf, part(r, 2 * i, 2 * i + 1));
	teardown(&p);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_account_that_allocated_pays_to_the_end),
		CHECK_TEST(past_its_limit_an_account_gets_nothing),
		CHECK_TEST(what_cannot_be_had_is_not_charged),
		CHECK_TEST(usage_tells_what_is_referenced_and_what_is_there),
		CHECK_TEST(usage_walks_any_number_of_runs),
		{}
	};

	return check_main(argc, argv, "memory file: accounts", tests);
}
