/*
 * Page counts: who pays, and what happens without memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "base/rand.h"
#include "mapping/page_counts.h"
#include "support/check.h"

#include <errno.h>

#define PAGE MSN_PAGE_SIZE
#define PAGES(a, b) ((struct msn_file_range){ (a)*PAGE, (b)*PAGE })

static uint64_t paid(struct msn_account_table *accounts, msn_account_id id)
{
	return msn_account_get(accounts, id).bytes[MSN_ACCOUNT_MAPPED] / PAGE;
}

static void the_first_pays_whoever_is_last(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *accounts =
		NULL;
	struct msn_page_counts c;
	struct msn_file_range run;

	CHECK(msn_account_table_new(&accounts) == 0);
	msn_page_counts_init(&c, accounts, MSN_ACCOUNT_MAPPED);
	msn_page_counts_add(&c, PAGES(2, 6), 1);
	msn_page_counts_add(&c, PAGES(0, 8), 2);
	EXPECT(paid(accounts, 1) == 4 && paid(accounts, 2) == 4);
	EXPECT(msn_page_counts_get(&c, PAGES(0, 9), &run) == 1);
	EXPECT(run.end == 2 * PAGE);
	EXPECT(msn_page_counts_get(&c, PAGES(3, 9), &run) == 2);
	EXPECT(run.end == 6 * PAGE);
	msn_page_counts_drop(&c, PAGES(2, 6));
	EXPECT(paid(accounts, 1) == 4);
	msn_page_counts_drop(&c, PAGES(1, 4));
	EXPECT(paid(accounts, 1) == 2 && paid(accounts, 2) == 3);
	EXPECT(msn_page_counts_is_free(&c, PAGES(1, 4)));
	EXPECT(!msn_page_counts_is_free(&c, PAGES(1, 5)));
	EXPECT(msn_page_counts_check(&c) == NULL);
	msn_page_counts_deinit(&c);
	EXPECT(paid(accounts, 1) == 0 && paid(accounts, 2) == 0);
}

static void one_account_next_to_another_is_kept_apart(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *accounts =
		NULL;
	struct msn_page_counts c;

	CHECK(msn_account_table_new(&accounts) == 0);
	msn_page_counts_init(&c, accounts, MSN_ACCOUNT_MAPPED);
	msn_page_counts_add(&c, PAGES(0, 2), 1);
	msn_page_counts_add(&c, PAGES(2, 4), 1);
	EXPECT(c.set.core.count == 1);
	msn_page_counts_add(&c, PAGES(4, 6), 2);
	EXPECT(c.set.core.count == 2);
	msn_page_counts_deinit(&c);
}

static void a_payer_without_memory_pays_nothing(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *accounts =
		NULL;
	struct msn_page_counts c;
	bool failed = false;

	CHECK(msn_account_table_new(&accounts) == 0);
	msn_page_counts_init(&c, accounts, MSN_ACCOUNT_MAPPED);
	/* More accounts than the table was made for: one add must grow it. */
	for (unsigned id = 1; id < 40; id++) {
		CHECK(msn_page_counts_reserve(&c) == 0);
		msn_fault_arm(1);
		msn_page_counts_add(&c, PAGES(id, id + 1), id);
		failed |= msn_fault_fired() && paid(accounts, id) == 0;
		msn_fault_arm(0);
	}
	EXPECT(failed);
	EXPECT(msn_page_counts_check(&c) == NULL);
	for (unsigned id = 1; id < 40; id++) {
		msn_page_counts_drop(&c, PAGES(id, id + 1));
		EXPECT(paid(accounts, id) == 0);
	}
	msn_page_counts_deinit(&c);
}

static void without_memory_the_reserve_says_so(void)
{
	struct msn_page_counts c;

	msn_page_counts_init(&c, NULL, MSN_ACCOUNT_MAPPED);
	msn_fault_arm(1);
	EXPECT(msn_page_counts_reserve(&c) == -ENOMEM);
	msn_fault_arm(0);
	CHECK(msn_page_counts_reserve(&c) == 0);
	/* And then there is enough for a while without any. */
	for (unsigned i = 0; i < 8; i++) {
		msn_fault_arm(1);
		msn_page_counts_add(&c, PAGES(2 * i, 2 * i + 1), 0);
		msn_fault_arm(0);
	}
	EXPECT(c.set.core.count == 8);
	msn_page_counts_deinit(&c);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_first_pays_whoever_is_last),
		CHECK_TEST(one_account_next_to_another_is_kept_apart),
		CHECK_TEST(a_payer_without_memory_pays_nothing),
		CHECK_TEST(without_memory_the_reserve_says_so),
		{}
	};

	return check_main(argc, argv, "page counts", tests);
}
