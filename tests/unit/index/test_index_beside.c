/*
 * Index: records, alone and together with snapshots.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "fakes/index_fixture.h"
#include "support/check.h"

#include <errno.h>
#include <pthread.h>
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

/* ---- Records ------------------------------------------------------------- */

static int change(struct fixture *f, enum msn_record_op op,
		  enum msn_record_kind kind, const char *key, const void *value,
		  size_t len)
{
	struct msn_record_change c = { op,    kind, key, key ? strlen(key) : 0,
				       value, len,  NULL };

	return msn_index_change(f->index, &(struct msn_beside){ &c, 1 }, NULL);
}

static bool record_is(struct fixture *f, enum msn_record_kind kind,
		      const char *key, const void *value, size_t len)
{
	uint8_t *got;
	size_t got_len;
	bool same;

	if (msn_index_record(f->index, kind, key, strlen(key), &got, &got_len,
			     NULL))
		return false;
	same = got_len == len && memcmp(got, value, len) == 0 && !got[len];
	free(got);
	return same;
}

static void records_are_made_replaced_and_deleted(void)
{
	struct fixture f = setup();
	uint64_t count;
	uint8_t *out;
	size_t len;

	EXPECT(change(&f, MSN_RECORD_ADD, MSN_RECORD_REQUEST, "k", "v", 1) ==
	       0);
	EXPECT(change(&f, MSN_RECORD_ADD, MSN_RECORD_REQUEST, "k", "w", 1) ==
	       MSN_INDEX_E_TAKEN);
	EXPECT(record_is(&f, MSN_RECORD_REQUEST, "k", "v", 1));
	EXPECT(change(&f, MSN_RECORD_PUT, MSN_RECORD_REQUEST, "k", "ww", 2) ==
	       0);
	reopen(&f);
	EXPECT(record_is(&f, MSN_RECORD_REQUEST, "k", "ww", 2));

	/* Each kind has its own. */
	EXPECT(msn_index_record(f.index, MSN_RECORD_OPERATION, "k", 1, &out,
				&len, NULL) == MSN_INDEX_E_ABSENT);
	EXPECT(change(&f, MSN_RECORD_ADD, MSN_RECORD_OPERATION, "k", "", 0) ==
	       0);
	EXPECT(record_is(&f, MSN_RECORD_OPERATION, "k", "", 0));
	EXPECT(change(&f, MSN_RECORD_DELETE, MSN_RECORD_REQUEST, "k", NULL,
		      0) == 0);
	EXPECT(change(&f, MSN_RECORD_DELETE, MSN_RECORD_REQUEST, "k", NULL,
		      0) == 0);
	EXPECT(msn_index_record(f.index, MSN_RECORD_REQUEST, "k", 1, &out, &len,
				NULL) == MSN_INDEX_E_ABSENT);
	CHECK(msn_index_record_count(f.index, MSN_RECORD_OPERATION, &count,
				     NULL) == 0);
	EXPECT(count == 1);
	teardown(&f);
}

static void a_change_of_many_is_all_or_none(void)
{
	struct msn_record_change c[] = {
		{ MSN_RECORD_PUT, MSN_RECORD_REQUEST, "a", 1, "1", 1, NULL },
		{ MSN_RECORD_DELETE, MSN_RECORD_EVENT, "e", 1, NULL, 0, NULL },
		{ MSN_RECORD_ADD, MSN_RECORD_REQUEST, "t", 1, "2", 1, NULL },
	};
	struct msn_beside what = { c, MSN_ARRAY_LEN(c) };
	struct fixture f = setup();

	CHECK(change(&f, MSN_RECORD_PUT, MSN_RECORD_EVENT, "e", "e", 1) == 0);
	CHECK(change(&f, MSN_RECORD_PUT, MSN_RECORD_REQUEST, "t", "t", 1) == 0);
	EXPECT(msn_index_change(f.index, &what, NULL) == MSN_INDEX_E_TAKEN);
	EXPECT(!record_is(&f, MSN_RECORD_REQUEST, "a", "1", 1));
	EXPECT(record_is(&f, MSN_RECORD_EVENT, "e", "e", 1));
	c[2].key = "u";
	EXPECT(msn_index_change(f.index, &what, NULL) == 0);
	EXPECT(record_is(&f, MSN_RECORD_REQUEST, "a", "1", 1));
	EXPECT(record_is(&f, MSN_RECORD_REQUEST, "u", "2", 1));
	EXPECT(!record_is(&f, MSN_RECORD_EVENT, "e", "e", 1));
	teardown(&f);
}

static void what_is_too_long_is_refused_by_name(void)
{
	static uint8_t big[MSN_RECORD_BYTES_MAX + 1];
	char key[MSN_RECORD_KEY_MAX + 1];
	struct msn_record_change c = { .op = MSN_RECORD_PUT,
				       .kind = MSN_RECORD_EVENT,
				       .key = key,
				       .key_len = sizeof(key),
				       .value = big };
	struct msn_beside what = { &c, 1 };
	struct msn_failure why = { 0 };
	struct fixture f = setup();
	uint8_t *out;
	size_t len;

	memset(key, 'k', sizeof(key));
	EXPECT(msn_index_change(f.index, &what, &why) == -E2BIG);
	EXPECT(why.kind == MSN_FAILURE_INVALID && strstr(why.text, "key"));
	c.key_len = 0;
	EXPECT(msn_index_change(f.index, &what, NULL) == -EINVAL);
	c.key_len = MSN_RECORD_KEY_MAX;
	c.value_len = sizeof(big);
	EXPECT(msn_index_change(f.index, &what, NULL) == -E2BIG);
	c.value_len = MSN_RECORD_BYTES_MAX;
	EXPECT(msn_index_change(f.index, &what, NULL) == 0);
	CHECK(msn_index_record(f.index, MSN_RECORD_EVENT, key, c.key_len, &out,
			       &len, NULL) == 0);
	EXPECT(len == MSN_RECORD_BYTES_MAX && memcmp(out, big, len) == 0);
	free(out);
	EXPECT(msn_index_record(f.index, MSN_RECORD_EVENT, key, sizeof(key),
				&out, &len, NULL) == MSN_INDEX_E_ABSENT);
	teardown(&f);
}

/* ---- Walks --------------------------------------------------------------- */

/* Keys "000" to "099", the values as long as their number times 100. */
static void hundred(struct fixture *f)
{
	static uint8_t value[10000];
	struct msn_record_change c[100];
	char keys[100][4];

	for (unsigned i = 0; i < 100; i++) {
		sprintf(keys[i], "%03u", i);
		c[i] = (struct msn_record_change){ MSN_RECORD_ADD,
						   MSN_RECORD_OPERATION,
						   keys[i],
						   3,
						   value,
						   i * 100ul,
						   NULL };
	}
	CHECK(msn_index_change(f->index, &(struct msn_beside){ c, 100 },
			       NULL) == 0);
}

/* First and last key, as a number of six digits, of @count. */
static unsigned long walk(struct fixture *f, struct msn_record_walk how,
			  size_t *count, bool *more)
{
	struct msn_records r;
	unsigned long ends;

	how.kind = MSN_RECORD_OPERATION;
	CHECK(msn_index_records(f->index, &how, &r, NULL) == 0);
	*count = r.count;
	*more = r.more;
	ends = r.count ? strtoul((const char *)r.list[0].key, NULL, 10) * 1000 +
				 strtoul((const char *)r.list[r.count - 1].key,
					 NULL, 10)
		       : 0;
	for (size_t i = 0; i < r.count; i++)
		EXPECT(r.list[i].key_len == 3 &&
		       r.list[i].value_len ==
			       strtoul((const char *)r.list[i].key, NULL, 10) *
				       100);
	msn_records_deinit(&r);
	return ends;
}

/* The keys at both ends, as walk() has them, how many, and whether more. */
static const struct {
	struct msn_record_walk how;
	unsigned long ends;
	size_t count;
	bool more;
} walks[] = {
	{ { .limit = 1000 }, 99, 100, false },
	{ { .limit = 100 }, 99, 100, false },
	{ { .limit = 99 }, 98, 99, true },
	{ { .limit = 3, .from = "050", .from_len = 3 }, 50052, 3, true },
	{ { .limit = 3, .from = "050", .from_len = 3, .after = true },
	  51053,
	  3,
	  true },
	{ { .limit = 3, .from = "0505", .from_len = 4, .after = true },
	  51053,
	  3,
	  true },
	{ { .limit = 9, .from = "098", .from_len = 3 }, 98099, 2, false },
	{ { .limit = 9, .from = "1", .from_len = 1 }, 0, 0, false },
	{ { .limit = 1, .backward = true }, 99099, 1, true },
	{ { .limit = 3, .from = "050", .from_len = 3, .backward = true },
	  50048,
	  3,
	  true },
	{ { .limit = 3,
	    .from = "050",
	    .from_len = 3,
	    .backward = true,
	    .after = true },
	  49047,
	  3,
	  true },
	{ { .limit = 3,
	    .from = "0505",
	    .from_len = 4,
	    .backward = true,
	    .after = true },
	  50048,
	  3,
	  true },
	{ { .limit = 3, .from = "9", .from_len = 1, .backward = true },
	  99097,
	  3,
	  true },
	{ { .limit = 3, .from = "0", .from_len = 1, .backward = true },
	  0,
	  0,
	  false },
	{ { .limit = 1000, .bytes_max = 1000 }, 4, 5, true },
	{ { .limit = 1000, .bytes_max = 1, .from = "090", .from_len = 3 },
	  90090,
	  1,
	  true },
};

static void records_are_walked_in_order_from_anywhere(void)
{
	struct fixture f = setup();
	size_t count;
	bool more;

	EXPECT(walk(&f, (struct msn_record_walk){ .limit = 1 }, &count,
		    &more) == 0);
	EXPECT(count == 0 && !more);
	hundred(&f);
	for (size_t i = 0; i < MSN_ARRAY_LEN(walks); i++) {
		unsigned long ends = walk(&f, walks[i].how, &count, &more);

		if (ends != walks[i].ends || count != walks[i].count ||
		    more != walks[i].more)
			printf("(%zu: %lu %zu %d) ", i, ends, count, more);
		EXPECT(ends == walks[i].ends && count == walks[i].count &&
		       more == walks[i].more);
	}
	teardown(&f);
}

/* ---- Numbers ------------------------------------------------------------- */

static uint64_t append(struct msn_index *index, const char *value)
{
	uint64_t number = 0;
	struct msn_record_change c = { .op = MSN_RECORD_APPEND,
				       .kind = MSN_RECORD_EVENT,
				       .value = value,
				       .value_len = strlen(value),
				       .number = &number };

	CHECK(msn_index_change(index, &(struct msn_beside){ &c, 1 }, NULL) ==
	      0);
	return number;
}

static void event_key(uint64_t n, uint8_t *key)
{
	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)(n >> (56 - 8 * i));
}

static void numbers_go_on_after_all_before_were_deleted(void)
{
	struct fixture f = setup();
	struct msn_record_change two[] = {
		{ .op = MSN_RECORD_APPEND, .kind = MSN_RECORD_EVENT },
		{ .op = MSN_RECORD_APPEND, .kind = MSN_RECORD_EVENT },
	};
	uint64_t first, second, count;
	uint8_t key[8];

	for (uint64_t i = 1; i <= 600; i++)
		EXPECT(append(f.index, "event") == i);
	two[0].number = &first;
	two[1].number = &second;
	CHECK(msn_index_change(f.index, &(struct msn_beside){ two, 2 }, NULL) ==
	      0);
	EXPECT(first == 601 && second == 602);

	event_key(301, key);
	CHECK(msn_index_record_trim(f.index, MSN_RECORD_EVENT, key, 8, NULL) ==
	      0);
	CHECK(msn_index_record_count(f.index, MSN_RECORD_EVENT, &count, NULL) ==
	      0);
	EXPECT(count == 302);
	event_key(UINT64_MAX, key);
	CHECK(msn_index_record_trim(f.index, MSN_RECORD_EVENT, key, 8, NULL) ==
	      0);
	CHECK(msn_index_record_count(f.index, MSN_RECORD_EVENT, &count, NULL) ==
	      0);
	EXPECT(count == 1);
	reopen(&f);
	EXPECT(append(f.index, "after") == 603);
	CHECK(msn_index_record_trim(f.index, MSN_RECORD_REQUEST, key, 8,
				    NULL) == 0);
	teardown(&f);
}

/* More than a transaction takes, with values in parts. */
static void a_long_row_is_trimmed_to_the_key(void)
{
	static uint8_t value[5000];
	struct msn_record_change c[500];
	struct fixture f = setup();
	struct msn_records r;
	struct msn_record_walk all = { .kind = MSN_RECORD_EVENT,
				       .limit = 5000 };
	uint8_t key[8];

	for (unsigned turn = 0; turn < 5; turn++) {
		for (unsigned i = 0; i < 500; i++)
			c[i] = (struct msn_record_change){
				.op = MSN_RECORD_APPEND,
				.kind = MSN_RECORD_EVENT,
				.value = value,
				.value_len = i % 50 ? 10 : sizeof(value)
			};
		CHECK(msn_index_change(f.index, &(struct msn_beside){ c, 500 },
				       NULL) == 0);
	}
	event_key(2400, key);
	CHECK(msn_index_record_trim(f.index, MSN_RECORD_EVENT, key, 8, NULL) ==
	      0);
	CHECK(msn_index_records(f.index, &all, &r, NULL) == 0);
	EXPECT(r.count == 101 && memcmp(r.list[0].key, key, 8) == 0);
	msn_records_deinit(&r);
	teardown(&f);
}

/* ---- Together with snapshots --------------------------------------------- */

static void a_snapshot_and_its_answer_are_published_together(void)
{
	uint64_t number = 0;
	struct msn_record_change c[] = {
		{ MSN_RECORD_ADD, MSN_RECORD_REQUEST, "id", 2, "ok", 2, NULL },
		{ MSN_RECORD_APPEND, MSN_RECORD_EVENT, NULL, 0, "made", 4,
		  &number },
	};
	struct msn_index_publish with = { .note = "n",
					  .note_len = 1,
					  .beside = { c, 2 } };
	struct fixture f = setup();
	struct msn_index_snapshot s;
	uint64_t count;

	CHECK(index_publish_with(f.index, index_uid(1), "a", 1, 1, 0, &with) ==
	      0);
	EXPECT(record_is(&f, MSN_RECORD_REQUEST, "id", "ok", 2));
	EXPECT(number == 1);

	/* The id was answered: nothing of the second one is there. */
	EXPECT(index_publish_with(f.index, index_uid(2), "b", 1, 1, 0, &with) ==
	       MSN_INDEX_E_TAKEN);
	EXPECT(msn_index_snapshot(f.index, index_uid(2), &s, NULL) ==
	       MSN_INDEX_E_ABSENT);
	CHECK(msn_index_record_count(f.index, MSN_RECORD_EVENT, &count, NULL) ==
	      0);
	EXPECT(count == 1);

	/* Nor a record of a snapshot that could not be. */
	c[0].key = "di";
	EXPECT(index_publish_with(f.index, index_uid(3), "a", 1, 1, 0, &with) ==
	       MSN_INDEX_E_EXISTS);
	EXPECT(!record_is(&f, MSN_RECORD_REQUEST, "di", "ok", 2));
	teardown(&f);
}

/* ---- Threads ------------------------------------------------------------- */

#define THREADS 4
#define EACH 100

struct worker {
	const char *dir;
	uint64_t last;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct msn_index *index = index_at(w->dir, 65536);

	for (unsigned i = 0; i < EACH; i++) {
		struct msn_record_walk all = { .kind = MSN_RECORD_EVENT,
					       .limit = THREADS * EACH };
		uint64_t mine = append(index, "something longer than nothing");
		struct msn_records r;

		EXPECT(mine > w->last);
		w->last = mine;
		/* Whoever sees a number sees all before it. */
		CHECK(msn_index_records(index, &all, &r, NULL) == 0);
		EXPECT(r.count >= mine);
		for (size_t k = 0; k < r.count; k++)
			EXPECT(r.list[k].key[7] == (uint8_t)(k + 1));
		msn_records_deinit(&r);
	}
	msn_index_close(index);
	return NULL;
}

static void threads_append_without_gaps(void)
{
	struct fixture f = setup();
	struct worker w[THREADS] = { { 0 } };
	pthread_t threads[THREADS];
	uint64_t count;

	for (unsigned i = 0; i < THREADS; i++) {
		w[i].dir = f.dir;
		CHECK(pthread_create(&threads[i], NULL, work, &w[i]) == 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(msn_index_record_count(f.index, MSN_RECORD_EVENT, &count, NULL) ==
	      0);
	EXPECT(count == THREADS * EACH);
	teardown(&f);
}

/* ---- Failures ------------------------------------------------------------ */

static struct fixture walked;
static uint8_t long_note[6000];

static void *walk_prepare(void)
{
	struct msn_index_publish with = { .note = long_note,
					  .note_len = sizeof(long_note) };

	walked = setup();
	CHECK(index_publish_with(walked.index, index_uid(1), "a", 1, 1, 0,
				 &with) == 0);
	hundred(&walked);
	return &walked;
}

static int walk_body(void *arg)
{
	struct msn_record_change c[] = {
		{ MSN_RECORD_ADD, MSN_RECORD_REQUEST, "id", 2, long_note, 5000,
		  NULL },
		{ MSN_RECORD_DELETE, MSN_RECORD_OPERATION, "050", 3, NULL, 0,
		  NULL },
		{ MSN_RECORD_APPEND, MSN_RECORD_EVENT, NULL, 0, "e", 1, NULL },
	};
	struct msn_index_update what = { .uid = index_uid(1),
					 .revision = 1,
					 .name = "b",
					 .note = "short",
					 .note_len = 5,
					 .beside = { c, 3 } };
	struct msn_failure why = { 0 };
	struct fixture *f = arg;
	int rc = msn_index_update(f->index, &what, NULL, &why);

	EXPECT((rc == 0) == (why.kind == MSN_FAILURE_NONE));
	return rc;
}

static void walk_verify(void *arg, int rc, const char *name)
{
	struct fixture *f = arg;
	uint64_t events, operations;
	struct msn_uid got;

	EXPECT(name ? rc <= 0 : rc == 0);
	reopen(f);
	CHECK(msn_index_record_count(f->index, MSN_RECORD_EVENT, &events,
				     NULL) == 0);
	CHECK(msn_index_record_count(f->index, MSN_RECORD_OPERATION,
				     &operations, NULL) == 0);
	if (rc == 0) {
		EXPECT(note_is(f, index_uid(1), 2, "short", 5) == 0);
		EXPECT(record_is(f, MSN_RECORD_REQUEST, "id", long_note, 5000));
		EXPECT(events == 1 && operations == 99);
		EXPECT(msn_index_by_name(f->index, "b", &got, NULL) == 0);
	} else {
		EXPECT(note_is(f, index_uid(1), 1, long_note,
			       sizeof(long_note)) == 0);
		EXPECT(events == 0 && operations == 100);
		EXPECT(msn_index_by_name(f->index, "a", &got, NULL) == 0);
	}
	teardown(f);
}

static void every_failure_of_an_update_changes_nothing(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 12);
}

static int read_body(void *arg)
{
	struct fixture *f = arg;
	struct msn_record_walk how = { .kind = MSN_RECORD_OPERATION,
				       .limit = 50 };
	struct msn_index_page_opts opts = { .limit = 5, .notes = true };
	struct msn_index_page page;
	struct msn_records r;
	int rc = msn_index_records(f->index, &how, &r, NULL);

	if (rc)
		return rc;
	msn_records_deinit(&r);
	rc = msn_index_page(f->index, &opts, &page, NULL);
	if (rc)
		return rc;
	msn_index_page_deinit(&page);
	return note_is(f, index_uid(1), 1, long_note, sizeof(long_note));
}

static void read_verify(void *arg, int rc, const char *name)
{
	EXPECT(name ? rc < 0 : rc == 0);
	EXPECT(read_body(arg) == 0);
	teardown(arg);
}

static void every_failure_of_reading_is_an_error(void)
{
	EXPECT(check_every_fault(walk_prepare, read_body, read_verify) > 15);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(records_are_made_replaced_and_deleted),
		CHECK_TEST(a_change_of_many_is_all_or_none),
		CHECK_TEST(what_is_too_long_is_refused_by_name),
		CHECK_TEST(records_are_walked_in_order_from_anywhere),
		CHECK_TEST(numbers_go_on_after_all_before_were_deleted),
		CHECK_TEST(a_long_row_is_trimmed_to_the_key),
		CHECK_TEST(a_snapshot_and_its_answer_are_published_together),
		CHECK_TEST(threads_append_without_gaps),
		CHECK_TEST(every_failure_of_an_update_changes_nothing),
		CHECK_TEST(every_failure_of_reading_is_an_error),
		{}
	};

	return check_main(argc, argv, "index beside", tests);
}
