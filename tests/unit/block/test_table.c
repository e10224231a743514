/*
 * Table: entries that stay, far and near, and without memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "block/table.h"
#include "support/check.h"

#include <errno.h>

static char thing[64];

static void put(struct msn_table *t, uint64_t nr, void *entry)
{
	CHECK(msn_table_reserve(t, nr) == 0);
	msn_table_put(t, nr, entry);
}

static void every_number_has_a_place_of_its_own(void)
{
	struct msn_table t = { 0 };

	for (uint64_t i = 0; i < 1000; i++) {
		EXPECT(msn_table_get(&t, i) == NULL);
		put(&t, i, &thing[i % 64]);
	}
	for (uint64_t i = 0; i < 1000; i++)
		EXPECT(msn_table_get(&t, i) == &thing[i % 64]);
	EXPECT(msn_table_get(&t, 5000) == NULL);
	msn_table_deinit(&t);
}

static void walking_meets_what_is_there_in_order(void)
{
	static const uint64_t at[] = { 0, 7, 31, 32, 300, 70000, 9999999 };
	struct msn_table t = { 0 };
	size_t met = 0;

	for (size_t i = 0; i < MSN_ARRAY_LEN(at); i++)
		put(&t, at[i], &thing[i]);
	for (uint64_t nr = 0; msn_table_next(&t, &nr); nr++, met++) {
		CHECK(met < MSN_ARRAY_LEN(at));
		EXPECT(nr == at[met] && msn_table_get(&t, nr) == &thing[met]);
	}
	EXPECT(met == MSN_ARRAY_LEN(at));
	msn_table_deinit(&t);
}

/* The pages of a sparse file: the walk would take seconds, one by one. */
static void numbers_that_are_far_apart_cost_little(void)
{
	static const uint64_t at[] = { UINT64_C(1) << 33, MSN_TABLE_END - 1 };
	struct msn_table t = { 0 };
	uint64_t nr = 0;

	put(&t, at[0], thing);
	put(&t, at[1], thing + 1);
	EXPECT(msn_table_get(&t, 0) == NULL);
	EXPECT(msn_table_next(&t, &nr) == thing && nr == at[0]);
	nr++;
	EXPECT(msn_table_next(&t, &nr) == thing + 1 && nr == at[1]);
	nr++;
	EXPECT(msn_table_next(&t, &nr) == NULL);
	put(&t, 0, thing + 2);
	EXPECT(msn_table_get(&t, 0) == thing + 2);
	EXPECT(msn_table_get(&t, at[1]) == thing + 1);
	msn_table_deinit(&t);
}

static void a_number_that_is_too_large_is_an_error(void)
{
	struct msn_table t = { 0 };

	EXPECT(msn_table_reserve(&t, UINT64_MAX) == -EOVERFLOW);
	EXPECT(msn_table_reserve(&t, MSN_TABLE_END) == -EOVERFLOW);
	EXPECT(msn_table_get(&t, UINT64_MAX) == NULL);
	msn_table_deinit(&t);
}

static void *fault_prepare(void)
{
	return calloc(1, sizeof(struct msn_table));
}

static int fault_body(void *state)
{
	int rc = msn_table_reserve(state, 3);

	return rc ? rc : msn_table_reserve(state, 100);
}

static void fault_verify(void *state, int rc, const char *name)
{
	EXPECT(rc == (name ? -ENOMEM : 0));
	put(state, 100, thing);
	EXPECT(msn_table_get(state, 100) == thing);
	msn_table_deinit(state);
	free(state);
}

static void a_failure_leaves_the_table_usable(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) == 3);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_number_has_a_place_of_its_own),
		CHECK_TEST(walking_meets_what_is_there_in_order),
		CHECK_TEST(numbers_that_are_far_apart_cost_little),
		CHECK_TEST(a_number_that_is_too_large_is_an_error),
		CHECK_TEST(a_failure_leaves_the_table_usable),
		{}
	};

	return check_main(argc, argv, "table", tests);
}
