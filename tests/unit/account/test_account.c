/*
 * Account: charges by id and kind, broken promises, memory running out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "account/account.h"
#include "support/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

static struct msn_account_table *table_new(void)
{
	struct msn_account_table *t = NULL;

	CHECK(msn_account_table_new(&t) == 0);
	return t;
}

static void charges_add_up_by_id_and_kind(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *t =
		table_new();
	struct msn_account_usage u;

	CHECK(msn_account_prepare(t, 0) == 0);
	CHECK(msn_account_prepare(t, 7) == 0);
	msn_account_charge(t, 7, MSN_ACCOUNT_ANONYMOUS, 8192);
	msn_account_charge(t, 7, MSN_ACCOUNT_ANONYMOUS, 4096);
	msn_account_charge(t, 7, MSN_ACCOUNT_MAPPED, 1);
	msn_account_charge(t, 0, MSN_ACCOUNT_MAPPED, 5);
	msn_account_uncharge(t, 7, MSN_ACCOUNT_ANONYMOUS, 8192);

	u = msn_account_get(t, 7);
	EXPECT(u.bytes[MSN_ACCOUNT_ANONYMOUS] == 4096);
	EXPECT(u.bytes[MSN_ACCOUNT_MAPPED] == 1);
	u = msn_account_get(t, 0);
	EXPECT(u.bytes[MSN_ACCOUNT_MAPPED] == 5);
	EXPECT(u.bytes[MSN_ACCOUNT_ANONYMOUS] == 0);
}

static void an_unknown_id_has_used_nothing(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *t =
		table_new();
	struct msn_account_usage u = msn_account_get(t, 12345);

	for (int k = 0; k < MSN_ACCOUNT_KINDS; k++)
		EXPECT(u.bytes[k] == 0);
}

static void preparing_again_keeps_the_charges(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *t =
		table_new();

	CHECK(msn_account_prepare(t, 3) == 0);
	msn_account_charge(t, 3, MSN_ACCOUNT_MAPPED, 10);
	CHECK(msn_account_prepare(t, 3) == 0);
	EXPECT(msn_account_get(t, 3).bytes[MSN_ACCOUNT_MAPPED] == 10);
}

static void thousands_of_ids_keep_apart(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *t =
		table_new();

	for (uint32_t i = 0; i < 5000; i++) {
		CHECK(msn_account_prepare(t, i * 65537) == 0);
		msn_account_charge(t, i * 65537, MSN_ACCOUNT_ANONYMOUS, i);
	}
	for (uint32_t i = 0; i < 5000; i++)
		EXPECT(msn_account_get(t, i * 65537)
			       .bytes[MSN_ACCOUNT_ANONYMOUS] == i);
}

static void charge_unprepared(void *t)
{
	msn_account_charge(t, 9, MSN_ACCOUNT_ANONYMOUS, 1);
}

static void uncharge_too_much(void *t)
{
	CHECK(msn_account_prepare(t, 9) == 0);
	msn_account_charge(t, 9, MSN_ACCOUNT_ANONYMOUS, 1);
	msn_account_uncharge(t, 9, MSN_ACCOUNT_ANONYMOUS, 2);
}

static void broken_promises_are_assertions(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *t =
		table_new();

	EXPECT(check_asserts(charge_unprepared, t));
	EXPECT(check_asserts(uncharge_too_much, t));
}

static int fault_new(void *state)
{
	return msn_account_table_new(state);
}

static void *fault_nothing(void)
{
	return calloc(1, sizeof(struct msn_account_table *));
}

static void fault_new_verify(void *state, int rc, const char *name)
{
	struct msn_account_table **t = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	EXPECT((*t == NULL) == (name != NULL));
	msn_account_table_free(*t);
	free(state);
}

static void *fault_half_full(void)
{
	struct msn_account_table *t = table_new();

	for (uint32_t i = 0; i < 8; i++) {
		CHECK(msn_account_prepare(t, i) == 0);
		msn_account_charge(t, i, MSN_ACCOUNT_MAPPED, i + 1);
	}
	return t;
}

static int fault_prepare_one(void *state)
{
	return msn_account_prepare(state, 100);
}

static void fault_prepare_verify(void *state, int rc, const char *name)
{
	EXPECT(rc == (name ? -ENOMEM : 0));
	for (uint32_t i = 0; i < 8; i++)
		EXPECT(msn_account_get(state, i).bytes[MSN_ACCOUNT_MAPPED] ==
		       i + 1);
	EXPECT(msn_account_prepare(state, 100) == 0);
	msn_account_table_free(state);
}

static void every_failure_leaves_the_table_usable(void)
{
	EXPECT(check_every_fault(fault_nothing, fault_new, fault_new_verify) ==
	       2);
	EXPECT(check_every_fault(fault_half_full, fault_prepare_one,
				 fault_prepare_verify) == 2);
}

static void *charge_often(void *t)
{
	for (int i = 0; i < 10000; i++)
		msn_account_charge(t, 1, MSN_ACCOUNT_ANONYMOUS, 3);
	return NULL;
}

static void threads_charge_one_account(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *t =
		table_new();
	pthread_t thread[3];

	CHECK(msn_account_prepare(t, 1) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&thread[i], NULL, charge_often, t) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	EXPECT(msn_account_get(t, 1).bytes[MSN_ACCOUNT_ANONYMOUS] == 90000);
}

static void a_limit_holds_for_who_asks_first(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *t =
		table_new();
	enum msn_account_kind kind = MSN_ACCOUNT_ANONYMOUS;

	CHECK(msn_account_set_limit(t, 4, 100) == 0);
	CHECK(msn_account_try_charge(t, 4, kind, 60) == 0);
	EXPECT(msn_account_try_charge(t, 4, kind, 41) == -ENOMEM);
	EXPECT(msn_account_get(t, 4).bytes[kind] == 60);
	EXPECT(msn_account_try_charge(t, 4, kind, UINT64_MAX) == -ENOMEM);
	CHECK(msn_account_try_charge(t, 4, MSN_ACCOUNT_MAPPED, 40) == 0);
	EXPECT(msn_account_try_charge(t, 4, kind, 1) == -ENOMEM);
	/* What is there already is counted whatever the limit. */
	msn_account_charge(t, 4, MSN_ACCOUNT_MAPPED, 10);
	msn_account_uncharge(t, 4, kind, 10);
	EXPECT(msn_account_try_charge(t, 4, kind, 1) == -ENOMEM);
	msn_account_uncharge(t, 4, kind, 10);
	CHECK(msn_account_try_charge(t, 4, kind, 10) == 0);
	/* Others have none. */
	CHECK(msn_account_try_charge(t, 5, kind, UINT64_C(1) << 60) == 0);
}

static void a_limit_can_change(void)
{
	msn_auto(msn_account_table_freep) struct msn_account_table *t =
		table_new();
	enum msn_account_kind kind = MSN_ACCOUNT_ANONYMOUS;

	CHECK(msn_account_try_charge(t, 4, kind, 100) == 0);
	CHECK(msn_account_set_limit(t, 4, 50) == 0);
	EXPECT(msn_account_get(t, 4).bytes[kind] == 100);
	EXPECT(msn_account_try_charge(t, 4, kind, 1) == -ENOMEM);
	CHECK(msn_account_set_limit(t, 4, MSN_ACCOUNT_NO_LIMIT) == 0);
	EXPECT(msn_account_try_charge(t, 4, kind, 1) == 0);
}

struct rivals {
	struct msn_account_table *t;
	atomic_uint granted;
};

/* Takes what it can, and a new account every now and then. */
static void *charge_to_the_limit(void *arg)
{
	struct rivals *r = arg;

	for (uint32_t i = 0; i < 2000; i++) {
		if (msn_account_try_charge(r->t, 1, MSN_ACCOUNT_ANONYMOUS, 1) ==
		    0)
			atomic_fetch_add(&r->granted, 1);
		if (msn_account_try_charge(r->t, 2 + i / 4, MSN_ACCOUNT_MAPPED,
					   1) != 0)
			abort();
	}
	return NULL;
}

static void threads_never_pass_a_limit_together(void)
{
	struct rivals r = { .t = table_new() };
	pthread_t thread[3];

	CHECK(msn_account_set_limit(r.t, 1, 3001) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&thread[i], NULL, charge_to_the_limit,
				     &r) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	EXPECT(r.granted == 3001);
	EXPECT(msn_account_get(r.t, 1).bytes[MSN_ACCOUNT_ANONYMOUS] == 3001);
	for (uint32_t i = 0; i < 500; i++)
		EXPECT(msn_account_get(r.t, 2 + i).bytes[MSN_ACCOUNT_MAPPED] ==
		       12);
	msn_account_table_free(r.t);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(charges_add_up_by_id_and_kind),
		CHECK_TEST(an_unknown_id_has_used_nothing),
		CHECK_TEST(preparing_again_keeps_the_charges),
		CHECK_TEST(thousands_of_ids_keep_apart),
		CHECK_TEST(broken_promises_are_assertions),
		CHECK_TEST(every_failure_leaves_the_table_usable),
		CHECK_TEST(threads_charge_one_account),
		CHECK_TEST(a_limit_holds_for_who_asks_first),
		CHECK_TEST(a_limit_can_change),
		CHECK_TEST(threads_never_pass_a_limit_together),
		{}
	};

	return check_main(argc, argv, "account", tests);
}
