/*
 * Index: notes, names that change, and pages of a listing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/rand.h"
#include "fakes/index_fixture.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct fixture {
	char *dir;
	struct msn_index *index;
};

static struct fixture setup(void)
{
	struct fixture f = { .dir = index_dir_new() };

	f.index = index_at(f.dir, 0);
	return f;
}

static void teardown(struct fixture *f)
{
	EXPECT(msn_index_check(f->index, NULL) == 0);
	msn_index_close(f->index);
	index_dir_free(f->dir);
}

static void reopen(struct fixture *f)
{
	msn_index_close(f->index);
	f->index = index_at(f->dir, 0);
}

/* ---- Notes --------------------------------------------------------------- */

/* 0, MSN_INDEX_E_ABSENT, or -1: another one than wanted. */
static int note_is(struct fixture *f, struct msn_uid uid, uint64_t revision,
		   const void *bytes, size_t len)
{
	struct msn_note note;
	int rc = msn_index_note(f->index, uid, &note, NULL);

	if (rc)
		return rc;
	rc = note.revision == revision && note.len == len &&
			     (!len || memcmp(note.bytes, bytes, len) == 0)
		     ? 0
		     : -1;
	free(note.bytes);
	return rc;
}

static int note_set(struct fixture *f, struct msn_uid uid, uint64_t revision,
		    const void *bytes, size_t len, uint64_t *now)
{
	struct msn_index_update what = {
		.uid = uid, .revision = revision, .note = bytes, .note_len = len
	};

	return msn_index_update(f->index, &what, now, NULL);
}

static void a_note_comes_and_goes_with_its_snapshot(void)
{
	struct msn_index_publish with = { .note = "hello", .note_len = 5 };
	struct msn_uid a = index_uid(1), b = index_uid(2);
	struct fixture f = setup();
	bool freed;

	CHECK(index_publish_with(f.index, a, "a", 1, 1, 0, &with) == 0);
	CHECK(index_publish(f.index, b, "b", 1, 1) == 0);
	reopen(&f);
	EXPECT(note_is(&f, a, 1, "hello", 5) == 0);
	EXPECT(note_is(&f, b, 0, NULL, 0) == 0);
	EXPECT(note_is(&f, index_uid(3), 0, NULL, 0) == MSN_INDEX_E_ABSENT);
	CHECK(index_remove(f.index, a, &freed) == 0);
	EXPECT(note_is(&f, a, 0, NULL, 0) == MSN_INDEX_E_ABSENT);

	/* The same uid again has nothing of the old one. */
	CHECK(index_publish(f.index, a, "a", 1, 1) == 0);
	EXPECT(note_is(&f, a, 0, NULL, 0) == 0);
	teardown(&f);
}

static void a_note_is_changed_only_from_the_revision_that_was_seen(void)
{
	struct msn_uid a = index_uid(1);
	struct fixture f = setup();
	uint64_t now = 77;

	CHECK(index_publish(f.index, a, "a", 1, 1) == 0);
	EXPECT(note_set(&f, a, 1, "x", 1, &now) == MSN_INDEX_E_CHANGED);
	EXPECT(now == 77);
	CHECK(note_set(&f, a, 0, "one", 3, &now) == 0);
	EXPECT(now == 1);
	EXPECT(note_set(&f, a, 0, "two", 3, &now) == MSN_INDEX_E_CHANGED);
	EXPECT(note_is(&f, a, 1, "one", 3) == 0);
	CHECK(note_set(&f, a, 1, "two", 3, &now) == 0);
	EXPECT(now == 2);
	CHECK(note_set(&f, a, MSN_NOTE_ANY, "three", 5, NULL) == 0);
	EXPECT(note_is(&f, a, 3, "three", 5) == 0);
	CHECK(note_set(&f, a, 3, "", 0, &now) == 0);
	EXPECT(now == 4 && note_is(&f, a, 4, "", 0) == 0);
	EXPECT(note_set(&f, index_uid(9), MSN_NOTE_ANY, "x", 1, NULL) ==
	       MSN_INDEX_E_ABSENT);
	teardown(&f);
}

/* Around the lengths where parts begin. */
static void notes_of_all_lengths_come_back(void)
{
	static uint8_t bytes[MSN_NOTE_BYTES_MAX + 1];
	struct fixture f = setup();
	uint64_t seed = check_seed(), revision = 0;
	struct msn_uid a = index_uid(1);
	struct msn_failure why = { 0 };
	struct msn_index_update too_long = { .uid = a,
					     .revision = MSN_NOTE_ANY,
					     .note = bytes,
					     .note_len = sizeof(bytes) };

	CHECK(index_publish(f.index, a, "a", 1, 1) == 0);
	for (unsigned i = 0; i < 200; i++) {
		size_t len = 1912 + i % 17;

		if (i % 3 == 1)
			len = msn_rand_next(&seed) % (MSN_NOTE_BYTES_MAX + 1);
		if (i % 20 == 0)
			len = i % 40 ? MSN_NOTE_BYTES_MAX : 0;
		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)msn_rand_next(&seed);
		CHECK(note_set(&f, a, revision, bytes, len, &revision) == 0);
		EXPECT(note_is(&f, a, i + 1, bytes, len) == 0);
	}
	EXPECT(msn_index_update(f.index, &too_long, NULL, &why) == -E2BIG);
	EXPECT(why.kind == MSN_FAILURE_INVALID && strstr(why.text, "16384") &&
	       strstr(why.text, "note"));
	EXPECT(msn_index_check(f.index, NULL) == 0);
	teardown(&f);
}

static int rename_it(struct fixture *f, struct msn_uid uid, const char *name,
		     struct msn_failure *why)
{
	struct msn_index_update what = { .uid = uid,
					 .revision = MSN_NOTE_ANY,
					 .name = name };

	return msn_index_update(f->index, &what, NULL, why);
}

static void a_new_name_replaces_the_old_one(void)
{
	struct msn_index_publish with = { .note = "n", .note_len = 1 };
	struct msn_uid a = index_uid(1), b = index_uid(2), got;
	struct msn_failure why = { 0 };
	struct fixture f = setup();
	struct msn_index_snapshot s;

	CHECK(index_publish_with(f.index, a, "a", 1, 1, 0, &with) == 0);
	CHECK(index_publish(f.index, b, "b", 1, 1) == 0);
	EXPECT(rename_it(&f, a, "b", NULL) == MSN_INDEX_E_EXISTS);
	EXPECT(note_is(&f, a, 1, "n", 1) == 0);
	CHECK(rename_it(&f, a, "c", NULL) == 0);
	EXPECT(note_is(&f, a, 2, "n", 1) == 0);
	EXPECT(msn_index_by_name(f.index, "a", &got, NULL) ==
	       MSN_INDEX_E_ABSENT);
	EXPECT(msn_index_by_name(f.index, "c", &got, NULL) == 0 &&
	       msn_uid_equal(got, a));
	CHECK(msn_index_snapshot(f.index, a, &s, NULL) == 0);
	EXPECT(strcmp(s.name, "c") == 0);
	CHECK(rename_it(&f, b, "a", NULL) == 0);
	CHECK(rename_it(&f, b, "a", NULL) == 0);
	CHECK(rename_it(&f, a, "", NULL) == 0);
	EXPECT(msn_index_by_name(f.index, "c", &got, NULL) ==
	       MSN_INDEX_E_ABSENT);
	EXPECT(rename_it(&f, a, "no/name", &why) == -EINVAL);
	EXPECT(why.kind == MSN_FAILURE_INVALID && strstr(why.text, "no/name"));
	teardown(&f);
}

/* ---- Removal under a condition ------------------------------------------- */

static int held(void *ctx, const struct msn_note *note, struct msn_failure *why)
{
	unsigned *asked = ctx;

	++*asked;
	if (note->len == 4 && memcmp(note->bytes, "held", 4) == 0)
		return msn_failure_set(why, -EBUSY, MSN_FAILURE_PRECONDITION,
				       "it is held");
	return 0;
}

static void what_is_held_is_not_removed(void)
{
	struct msn_index_publish with = { .note = "held", .note_len = 4 };
	struct msn_record_change gone = { .op = MSN_RECORD_APPEND,
					  .kind = MSN_RECORD_EVENT };
	unsigned asked = 0;
	struct msn_index_removal what = { .uid = index_uid(1),
					  .revision = MSN_NOTE_ANY,
					  .check = held,
					  .check_ctx = &asked,
					  .beside = { &gone, 1 } };
	struct msn_failure why = { 0 };
	struct fixture f = setup();
	uint64_t count;
	bool freed;

	CHECK(index_publish_with(f.index, what.uid, "a", 1, 1, 0, &with) == 0);
	EXPECT(msn_index_remove(f.index, &what, &freed, &why) == -EBUSY);
	EXPECT(strcmp(why.text, "it is held") == 0 && asked == 1);
	EXPECT(note_is(&f, what.uid, 1, "held", 4) == 0);
	CHECK(msn_index_record_count(f.index, MSN_RECORD_EVENT, &count, NULL) ==
	      0);
	EXPECT(count == 0);

	CHECK(note_set(&f, what.uid, 1, "free", 4, NULL) == 0);
	what.revision = 1;
	EXPECT(msn_index_remove(f.index, &what, &freed, NULL) ==
	       MSN_INDEX_E_CHANGED);
	EXPECT(asked == 1);
	what.revision = 2;
	CHECK(msn_index_remove(f.index, &what, &freed, NULL) == 0);
	EXPECT(asked == 2 && freed);
	CHECK(msn_index_record_count(f.index, MSN_RECORD_EVENT, &count, NULL) ==
	      0);
	EXPECT(count == 1);
	teardown(&f);
}

/* ---- Pages of a listing -------------------------------------------------- */

struct listed {
	int64_t created_ns;
	struct msn_uid uid;
};

static int by_age(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return memcmp(x->uid.bytes, y->uid.bytes, sizeof(x->uid.bytes));
}

/* Walks all pages of @limit and compares with what must be there. */
static void expect_listed(struct fixture *f, const struct listed *want,
			  size_t count, size_t limit)
{
	struct msn_index_page_opts opts = { .limit = limit, .notes = true };
	struct msn_snapshot_cursor at;
	struct msn_index_page page;
	size_t n = 0;
	bool more = true;

	while (more) {
		CHECK(msn_index_page(f->index, &opts, &page, NULL) == 0);
		EXPECT(page.count <= limit);
		for (size_t i = 0; i < page.count; i++, n++) {
			const struct msn_index_entry *e = &page.list[i];

			CHECK(n < count);
			EXPECT(msn_uid_equal(e->snapshot.uid, want[n].uid));
			EXPECT(e->note.revision == 1 && e->note.len == 16 &&
			       memcmp(e->note.bytes, want[n].uid.bytes, 16) ==
				       0);
			at = (struct msn_snapshot_cursor){
				e->snapshot.created_ns, e->snapshot.uid
			};
		}
		more = page.more;
		EXPECT(!more || page.count == limit);
		opts.after = &at;
		msn_index_page_deinit(&page);
	}
	EXPECT(n == count);
}

/* Times before 1970 and equal ones among them. */
static void pages_list_everything_once_oldest_first(void)
{
	static struct listed want[400];
	struct fixture f = setup();
	uint64_t seed = check_seed();
	bool freed;

	expect_listed(&f, NULL, 0, 10);
	for (unsigned i = 0; i < 400; i++) {
		int64_t t = (int64_t)(msn_rand_next(&seed) % 100) - 50;
		struct msn_index_publish with = { .note = want[i].uid.bytes,
						  .note_len = 16 };

		if (i % 7 == 0)
			t = (int64_t)msn_rand_next(&seed);
		want[i] = (struct listed){ t, msn_uid_new() };
		CHECK(index_publish_with(f.index, want[i].uid, "", 1, 1, t,
					 &with) == 0);
	}
	for (unsigned i = 300; i < 400; i++)
		CHECK(index_remove(f.index, want[i].uid, &freed) == 0);
	qsort(want, 300, sizeof(*want), by_age);
	expect_listed(&f, want, 300, 1);
	expect_listed(&f, want, 300, 7);
	expect_listed(&f, want, 300, 300);
	expect_listed(&f, want, 300, 1000);
	teardown(&f);
}

static void a_cursor_stays_good_when_its_snapshot_goes(void)
{
	struct msn_snapshot_cursor at = { 20, index_uid(2) };
	struct msn_index_page_opts opts = { .after = &at, .limit = 10 };
	struct fixture f = setup();
	struct msn_index_page page;
	bool freed;

	for (unsigned i = 1; i <= 3; i++)
		CHECK(index_publish_with(f.index, index_uid(i), "", 1, 1,
					 i * 10, NULL) == 0);
	CHECK(index_remove(f.index, index_uid(2), &freed) == 0);
	CHECK(msn_index_page(f.index, &opts, &page, NULL) == 0);
	EXPECT(page.count == 1 && !page.more &&
	       msn_uid_equal(page.list[0].snapshot.uid, index_uid(3)) &&
	       page.list[0].note.revision == 0);
	msn_index_page_deinit(&page);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_note_comes_and_goes_with_its_snapshot),
		CHECK_TEST(
			a_note_is_changed_only_from_the_revision_that_was_seen),
		CHECK_TEST(notes_of_all_lengths_come_back),
		CHECK_TEST(a_new_name_replaces_the_old_one),
		CHECK_TEST(what_is_held_is_not_removed),
		CHECK_TEST(pages_list_everything_once_oldest_first),
		CHECK_TEST(a_cursor_stays_good_when_its_snapshot_goes),
		{}
	};

	return check_main(argc, argv, "index notes", tests);
}
