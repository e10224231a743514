/*
 * The registry of spaces: names, owners, quotas, forks, the gate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "mm/mm_calls.h"
#include "spaces/spaces.h"
#include "support/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALICE "uid:1000"
#define BOB "uid:1001"

static struct msn_spaces *registry(const struct msn_spaces_quotas *quotas)
{
	struct msn_spaces *s;

	CHECK(msn_spaces_new(
		      &s, &(struct msn_spaces_opts){ .quotas = *quotas }) == 0);
	return s;
}

static struct msn_spaces *plain(void)
{
	return registry(&(struct msn_spaces_quotas){ 0 });
}

/* Makes and publishes one, and drops the reference. */
static int make(struct msn_spaces *s, const char *owner, const char *name,
		struct msn_status *why)
{
	struct msn_space *space;
	int rc = msn_spaces_begin(
		s, &(struct msn_space_begin){ .owner = owner, .name = name },
		&space, why);

	if (rc)
		return rc;
	msn_spaces_publish(s, space);
	msn_space_unref(space);
	return 0;
}

static struct msn_space *find(struct msn_spaces *s, const char *owner,
			      const char *ref)
{
	struct msn_status why = { 0 };
	struct msn_space *space = NULL;
	int rc = msn_spaces_find(s, owner, ref, &space, &why);

	EXPECT(rc == 0 || (rc == -ENOENT && why.code == MSN_CODE_NOT_FOUND &&
			   strcmp(why.reason, "SPACE_NOT_FOUND") == 0));
	return space;
}

static bool exists(struct msn_spaces *s, const char *owner, const char *ref)
{
	struct msn_space *space = find(s, owner, ref);

	msn_space_unref(space);
	return space != NULL;
}

/* ---- Finding ------------------------------------------------------------- */

static void a_space_is_found_by_name_and_by_uid(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_status why = { 0 };
	char uid[MSN_UID_TEXT];
	struct msn_space *space;

	CHECK(make(s, ALICE, "one", &why) == 0);
	space = find(s, ALICE, "one");
	CHECK(space);
	msn_uid_format(msn_space_uid(space), uid);
	msn_space_unref(space);
	EXPECT(exists(s, ALICE, uid));
	uid[31] = uid[31] == '0' ? '1' : '0';
	EXPECT(!exists(s, ALICE, uid));
	EXPECT(!exists(s, ALICE, "on"));
}

static void nobody_sees_the_space_of_another(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_status mine = { 0 }, none = { 0 };
	struct msn_space **list, *space = NULL;
	char uid[MSN_UID_TEXT];
	size_t n;

	CHECK(make(s, ALICE, "secret", &mine) == 0);
	space = find(s, ALICE, "secret");
	CHECK(space);
	msn_uid_format(msn_space_uid(space), uid);
	msn_space_unref(space);
	EXPECT(!exists(s, BOB, uid));
	/* The answer is the same, but for the name, as for one that is not. */
	EXPECT(msn_spaces_find(s, BOB, "secret", &space, &mine) == -ENOENT);
	EXPECT(msn_spaces_find(s, BOB, "absent", &space, &none) == -ENOENT);
	EXPECT(mine.code == none.code && !strcmp(mine.reason, none.reason));
	CHECK(msn_spaces_list(s, BOB, "", 10, &list, &n) == 0);
	EXPECT(n == 0);
	free(list);
	EXPECT(make(s, BOB, "secret", &mine) == 0);
}

static void listings_go_on_where_they_ended(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct msn_status why = { 0 };
	char after[MSN_SPACE_NAME_TEXT] = "";
	size_t seen = 0, n;

	for (size_t i = 5; i-- > 0;)
		CHECK(make(s, ALICE, names[i], &why) == 0);
	CHECK(make(s, BOB, "bb", &why) == 0);
	do {
		struct msn_space **list;

		CHECK(msn_spaces_list(s, ALICE, after, 2, &list, &n) == 0);
		EXPECT(n <= 2);
		for (size_t i = 0; i < n; i++) {
			EXPECT(!strcmp(msn_space_name(list[i]), names[seen]));
			snprintf(after, sizeof(after), "%s", names[seen++]);
			msn_space_unref(list[i]);
		}
		free(list);
	} while (n);
	EXPECT(seen == 5);
}

/* ---- Names and quotas ---------------------------------------------------- */

static void a_name_is_taken_before_the_space_is_shown(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_space_begin begin = { .owner = ALICE, .name = "one" };
	struct msn_status why = { 0 };
	struct msn_space *space;

	CHECK(msn_spaces_begin(s, &begin, &space, &why) == 0);
	EXPECT(!exists(s, ALICE, "one"));
	EXPECT(make(s, ALICE, "one", &why) == -EEXIST);
	EXPECT(why.code == MSN_CODE_ALREADY_EXISTS);
	msn_space_unref(space); /* never published: never was */
	EXPECT(make(s, ALICE, "one", &why) == 0);
}

static void bad_names_are_refused_by_name(void)
{
	static const char *const bad[] = {
		"-a", "A",   "a/b",
		".x", "a b", "0123456789abcdef0123456789abcdef",
	};
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct msn_status why = { 0 };

		EXPECT(make(s, ALICE, bad[i], &why) == -EINVAL);
		EXPECT(why.code == MSN_CODE_INVALID_ARGUMENT);
		EXPECT(strcmp(why.field, "name") == 0);
		EXPECT(strstr(why.text, bad[i]) != NULL);
	}
}

static void names_that_are_made_up_differ(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_status why = { 0 };
	struct msn_space **list;
	size_t n;

	for (unsigned i = 0; i < 20; i++)
		CHECK(make(s, ALICE, NULL, &why) == 0);
	CHECK(msn_spaces_list(s, ALICE, "", 100, &list, &n) == 0);
	EXPECT(n == 20);
	for (size_t i = 0; i < n; i++)
		msn_space_unref(list[i]);
	free(list);
}

static void quotas_hold_for_each_owner_and_for_all(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s =
		registry(&(struct msn_spaces_quotas){ .spaces = 3,
						      .spaces_per_owner = 2 });
	struct msn_status why = { 0 };

	CHECK(make(s, ALICE, "a", &why) == 0 && make(s, ALICE, "b", &why) == 0);
	EXPECT(make(s, ALICE, "c", &why) == -EDQUOT);
	EXPECT(why.code == MSN_CODE_RESOURCE_EXHAUSTED &&
	       strstr(why.text, ALICE));
	EXPECT(make(s, BOB, "a", &why) == 0);
	EXPECT(make(s, BOB, "b", &why) == -EDQUOT);
	EXPECT(strstr(why.text, "the service") != NULL);
}

/* ---- Memory -------------------------------------------------------------- */

static int map(struct msn_space *space, uint64_t addr, uint64_t len)
{
	uint64_t at;

	return msn_mm_mmap(msn_space_mm(space),
			   &(struct msn_mmap_opts){
				   .length = len,
				   .addr = addr,
				   .fixed = true,
				   .no_replace = true,
				   .perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true,
			   },
			   &at);
}

static int put(struct msn_space *space, uint64_t addr, const char *text)
{
	size_t done;

	return msn_mm_copy_out(msn_space_mm(space), addr, text,
			       strlen(text) + 1, (struct msn_mm_io){ 0 },
			       &done);
}

static bool holds(struct msn_space *space, uint64_t addr, const char *text)
{
	char got[64];
	size_t done;

	return msn_mm_copy_in(msn_space_mm(space), addr, got, strlen(text) + 1,
			      (struct msn_mm_io){ 0 }, &done) == 0 &&
	       strcmp(got, text) == 0;
}

static void limits_of_a_space_reach_its_memory(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = registry(
		&(struct msn_spaces_quotas){ .mapped_bytes = 8 << 20 });
	struct msn_space_begin begin = {
		.owner = ALICE,
		.name = "one",
		.limits = { .memory_bytes = 64 << 10 },
	};
	struct msn_space_update update = { .limits = { .memory_bytes =
							       1 << 20 } };
	static char bytes[256 << 10];
	struct msn_status why = { 0 };
	struct msn_space *space;
	size_t done;

	CHECK(msn_spaces_begin(s, &begin, &space, &why) == 0);
	EXPECT(map(space, 0x10000000, 16 << 20) == -ENOMEM);
	CHECK(map(space, 0x10000000, 1 << 20) == 0);
	EXPECT(msn_mm_copy_out(msn_space_mm(space), 0x10000000, bytes,
			       sizeof(bytes), (struct msn_mm_io){ 0 },
			       &done) != 0);
	EXPECT(done < sizeof(bytes));
	CHECK(msn_space_update(space, &update, &why) == 0);
	EXPECT(msn_mm_copy_out(msn_space_mm(space), 0x10000000, bytes,
			       sizeof(bytes), (struct msn_mm_io){ 0 },
			       &done) == 0);
	msn_space_unref(space);
}

static void a_fork_has_an_account_of_its_own(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_space_begin begin = { .owner = ALICE, .name = "one" };
	struct msn_space_begin of_child = { .owner = ALICE, .name = "two" };
	struct msn_status why = { 0 };
	struct msn_space *parent, *child;
	struct msn_account_usage u;

	CHECK(msn_spaces_begin(s, &begin, &parent, &why) == 0);
	CHECK(map(parent, 0x10000000, 1 << 20) == 0);
	CHECK(put(parent, 0x10000000, "before") == 0);
	CHECK(msn_spaces_fork(s, parent, &of_child, &child, &why) == 0);
	CHECK(put(child, 0x10000000, "after") == 0);
	CHECK(put(child, 0x10008000, "more") == 0);
	EXPECT(holds(parent, 0x10000000, "before"));
	EXPECT(holds(child, 0x10000000, "after"));
	u = msn_account_get(msn_spaces_accounts(s), msn_space_account(child));
	EXPECT(u.bytes[MSN_ACCOUNT_ANONYMOUS] >= 8192);
	EXPECT(msn_space_account(child) != msn_space_account(parent));
	msn_space_unref(parent);
	EXPECT(holds(child, 0x10000000, "after"));
	msn_space_unref(child);
}

static void ending_frees_every_space_and_its_pages(void)
{
	struct msn_spaces *s = plain();
	static const char *const names[] = { "a", "b", "c" };
	struct msn_status why = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		struct msn_space *space;

		CHECK(make(s, ALICE, names[i], &why) == 0);
		space = find(s, ALICE, names[i]);
		CHECK(space && map(space, 0x10000000, 1 << 20) == 0);
		CHECK(put(space, 0x10000000, "text") == 0);
		msn_space_unref(space);
	}
	EXPECT(msn_memfile_used(msn_spaces_memfile(s)) > 0);
	msn_spaces_free(s); /* asserts that no page is left */
}

static void usage_counts_what_an_owner_has(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_spaces_usage alice, bob, all;
	struct msn_status why = { 0 };
	struct msn_space *space;

	CHECK(make(s, ALICE, "one", &why) == 0);
	CHECK(make(s, BOB, "one", &why) == 0);
	space = find(s, ALICE, "one");
	CHECK(space && map(space, 0x10000000, 1 << 20) == 0);
	CHECK(put(space, 0x10000000, "text") == 0);
	msn_spaces_usage(s, ALICE, &alice);
	msn_spaces_usage(s, BOB, &bob);
	msn_spaces_usage(s, NULL, &all);
	EXPECT(alice.spaces == 1 && alice.resident_bytes >= 4096);
	EXPECT(bob.spaces == 1 && bob.resident_bytes == 0);
	EXPECT(all.spaces == 2 && all.resident_bytes == alice.resident_bytes);
	msn_space_unref(space);
}

/* ---- Deleting and updating ----------------------------------------------- */

static void a_deleted_space_lives_as_long_as_it_is_used(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_status why = { 0 };
	struct msn_space *space;

	CHECK(make(s, ALICE, "one", &why) == 0);
	space = find(s, ALICE, "one");
	CHECK(space && map(space, 0x10000000, 4096) == 0);
	CHECK(msn_spaces_delete(s, space, &(struct msn_space_delete){ 0 },
				&why) == 0);
	EXPECT(!exists(s, ALICE, "one"));
	EXPECT(put(space, 0x10000000, "still") == 0);
	EXPECT(msn_spaces_delete(s, space, &(struct msn_space_delete){ 0 },
				 &why) == -ENOENT);
	EXPECT(make(s, ALICE, "one", &why) == 0);
	msn_space_unref(space);
}

static void a_space_that_is_saved_is_deleted_by_force_only(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_status why = { 0 };
	struct msn_space *space;

	CHECK(make(s, ALICE, "one", &why) == 0);
	space = find(s, ALICE, "one");
	CHECK(space && msn_space_freeze(space, MSN_SPACE_SAVING, &why) == 0);
	EXPECT(msn_space_freeze(space, MSN_SPACE_SAVING, &why) == -EBUSY);
	EXPECT(msn_spaces_delete(s, space, &(struct msn_space_delete){ 0 },
				 &why) == -EBUSY);
	EXPECT(why.code == MSN_CODE_FAILED_PRECONDITION &&
	       !strcmp(why.reason, "SPACE_BUSY"));
	EXPECT(msn_spaces_delete(s, space,
				 &(struct msn_space_delete){ .force = true,
							     .dry_run = true },
				 &why) == 0);
	EXPECT(exists(s, ALICE, "one"));
	EXPECT(msn_spaces_delete(s, space,
				 &(struct msn_space_delete){ .force = true },
				 &why) == 0);
	msn_space_thaw(space);
	msn_space_unref(space);
	EXPECT(!exists(s, ALICE, "one"));
}

static void an_old_etag_changes_nothing(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_space_update update = { 0 };
	struct msn_status why = { 0 };
	struct msn_space_view view;
	struct msn_space *space;

	CHECK(make(s, ALICE, "one", &why) == 0);
	space = find(s, ALICE, "one");
	CHECK(space && msn_space_look(space, &view) == 0);
	CHECK(msn_labels_set(&update.set, "team", "red", &why) == 0);
	update.etag = view.etag;
	EXPECT(msn_space_update(space, &update, &why) == 0);
	msn_labels_deinit(&update.set);
	CHECK(msn_labels_set(&update.set, "team", "blue", &why) == 0);
	EXPECT(msn_space_update(space, &update, &why) == -ESTALE);
	EXPECT(why.code == MSN_CODE_ABORTED);
	EXPECT(msn_spaces_delete(
		       s, space,
		       &(struct msn_space_delete){ .etag = view.etag },
		       &why) == -ESTALE);
	msn_space_view_deinit(&view);
	CHECK(msn_space_look(space, &view) == 0);
	EXPECT(!strcmp(msn_labels_find(&view.labels, "team"), "red"));
	msn_space_view_deinit(&view);
	msn_labels_deinit(&update.set);
	msn_space_unref(space);
}

/* ---- The gate ------------------------------------------------------------ */

struct gate {
	struct msn_space *space;
	atomic_int inside, most, entered;
	atomic_bool frozen, broken, stop;
};

static void *changer(void *ctx)
{
	struct gate *g = ctx;

	while (!atomic_load(&g->stop)) {
		msn_space_enter(g->space);
		atomic_fetch_add(&g->entered, 1);
		if (atomic_load(&g->frozen))
			atomic_store(&g->broken, true);
		msn_space_leave(g->space);
	}
	return NULL;
}

static void a_save_and_changes_keep_apart(void)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = plain();
	struct msn_status why = { 0 };
	struct gate g = { 0 };
	pthread_t threads[3];

	CHECK(make(s, ALICE, "one", &why) == 0);
	g.space = find(s, ALICE, "one");
	CHECK(g.space);
	for (unsigned i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, changer, &g) == 0);
	for (unsigned i = 0; i < 200; i++) {
		/* Somebody who always wants in does not keep a save out. */
		CHECK(msn_space_freeze(g.space, MSN_SPACE_SAVING, &why) == 0);
		atomic_store(&g.frozen, true);
		if (i % 50 == 0)
			usleep(100);
		atomic_store(&g.frozen, false);
		msn_space_thaw(g.space);
	}
	atomic_store(&g.stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	EXPECT(!atomic_load(&g.broken));
	msn_space_unref(g.space);
}

/* ---- Labels -------------------------------------------------------------- */

static void labels_are_kept_sorted_and_once(void)
{
	struct msn_status why = { 0 };
	struct msn_labels l = { 0 };

	CHECK(msn_labels_set(&l, "b", "1", &why) == 0);
	CHECK(msn_labels_set(&l, "a", "2", &why) == 0);
	CHECK(msn_labels_set(&l, "b", "3", &why) == 0);
	EXPECT(l.count == 2 && !strcmp(l.at[0].key, "a"));
	EXPECT(!strcmp(msn_labels_find(&l, "b"), "3"));
	msn_labels_unset(&l, "a");
	msn_labels_unset(&l, "absent");
	EXPECT(l.count == 1 && !msn_labels_find(&l, "a"));
	msn_labels_deinit(&l);
}

static void labels_that_no_filter_could_name_are_refused(void)
{
	static const char *const bad[] = {
		"", "a=b", "a,b", "a*", "a b", "a\nb"
	};
	struct msn_status why = { 0 };
	struct msn_labels l = { 0 };
	char big[MSN_LABEL_VALUE_MAX + 2];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT(msn_labels_set(&l, bad[i], "", &why) == -EINVAL);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	EXPECT(msn_labels_set(&l, "a", big, &why) == -EINVAL);
	EXPECT(msn_labels_set(&l, big, "a", &why) == -EINVAL);
	for (unsigned i = 0; i < MSN_LABELS_MAX; i++) {
		snprintf(big, sizeof(big), "k%u", i);
		CHECK(msn_labels_set(&l, big, "", &why) == 0);
	}
	EXPECT(msn_labels_set(&l, "more", "", &why) == -EINVAL);
	EXPECT(msn_labels_set(&l, "k0", "again", &why) == 0);
	msn_labels_deinit(&l);
}

/* ---- Failures ------------------------------------------------------------ */

static void *fault_prepare(void)
{
	return plain();
}

static int fault_body(void *state)
{
	struct msn_status why = { 0 };
	int rc = make(state, ALICE, "one", &why);
	struct msn_space *parent, *child;

	if (rc)
		return rc;
	parent = find(state, ALICE, "one");
	rc = msn_spaces_fork(
		state, parent,
		&(struct msn_space_begin){ .owner = ALICE, .name = "two" },
		&child, &why);
	if (!rc) {
		msn_spaces_publish(state, child);
		msn_space_unref(child);
	}
	msn_space_unref(parent);
	return rc;
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct msn_status why = { 0 };

	EXPECT(!name == !rc);
	EXPECT(exists(state, ALICE, "two") == !rc);
	/* The name of what failed is free again. */
	if (!exists(state, ALICE, "one"))
		EXPECT(make(state, ALICE, "one", &why) == 0);
	EXPECT(make(state, ALICE, "two", &why) == (rc ? 0 : -EEXIST));
	msn_spaces_free(state);
}

static void every_failure_leaves_no_trace(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) > 5);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_space_is_found_by_name_and_by_uid),
		CHECK_TEST(nobody_sees_the_space_of_another),
		CHECK_TEST(listings_go_on_where_they_ended),
		CHECK_TEST(a_name_is_taken_before_the_space_is_shown),
		CHECK_TEST(bad_names_are_refused_by_name),
		CHECK_TEST(names_that_are_made_up_differ),
		CHECK_TEST(quotas_hold_for_each_owner_and_for_all),
		CHECK_TEST(limits_of_a_space_reach_its_memory),
		CHECK_TEST(a_fork_has_an_account_of_its_own),
		CHECK_TEST(ending_frees_every_space_and_its_pages),
		CHECK_TEST(usage_counts_what_an_owner_has),
		CHECK_TEST(a_deleted_space_lives_as_long_as_it_is_used),
		CHECK_TEST(a_space_that_is_saved_is_deleted_by_force_only),
		CHECK_TEST(an_old_etag_changes_nothing),
		CHECK_TEST(a_save_and_changes_keep_apart),
		CHECK_TEST(labels_are_kept_sorted_and_once),
		CHECK_TEST(labels_that_no_filter_could_name_are_refused),
		CHECK_TEST(every_failure_leaves_no_trace),
		{}
	};

	return check_main(argc, argv, "spaces", tests);
}
