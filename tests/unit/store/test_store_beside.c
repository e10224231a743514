/*
 * Store: what is published with a snapshot, and a lock that is kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fault.h"
#include "fakes/store_fixture.h"
#include "store/store.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	char *path;
	struct msn_store *store;
};

static struct fixture setup(void)
{
	struct fixture f = { .path = store_dir_in_memory() };

	f.store = store_at(f.path);
	return f;
}

static void teardown(struct fixture *f)
{
	msn_store_close(f->store);
	store_dir_free(f->path);
}

/* ---- Publishing ---------------------------------------------------------- */

/* Whoever publishes: what it was told, and what it says. */
struct publisher {
	struct msn_snapshot_info told;
	unsigned calls;
	int rc;
	const char *key; /* of the request */
	struct msn_record_change changes[2];
	uint64_t number;
};

static int say(void *ctx, const struct msn_snapshot_info *info,
	       struct msn_companions *out, struct msn_failure *why)
{
	struct publisher *p = ctx;

	p->told = *info;
	p->calls++;
	EXPECT(!out->note && !out->beside.count);
	if (p->rc)
		return msn_failure_set(why, p->rc, MSN_FAILURE_ABORTED,
				       "not today");
	p->changes[0] = (struct msn_record_change){ MSN_RECORD_ADD,
						    MSN_RECORD_REQUEST,
						    p->key,
						    strlen(p->key),
						    p->told.uid.bytes,
						    16,
						    NULL };
	p->changes[1] = (struct msn_record_change){ .op = MSN_RECORD_APPEND,
						    .kind = MSN_RECORD_EVENT,
						    .value = p->told.uid.bytes,
						    .value_len = 16,
						    .number = &p->number };
	out->note = p->told.uid.bytes;
	out->note_len = 16;
	out->beside = (struct msn_beside){ p->changes, 2 };
	return 0;
}

/* A snapshot of @pages pages. */
static int save(struct msn_store *store, const char *name, unsigned pages,
		struct publisher *p, struct msn_failure *why)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	msn_auto(msn_writer_freep) struct msn_writer *w = NULL;
	static const uint8_t page[4096] = { 1 };
	struct msn_place place;
	int rc = msn_manifest_new(&m);

	if (rc)
		return msn_failure_errno(why, rc, "saving");
	m->uid = msn_uid_new();
	m->created_ns = 42;
	m->stats.private_pages = pages;
	free(m->name);
	m->name = msn_strdup(name);
	if (!m->name)
		return msn_failure_errno(why, -ENOMEM, "saving");
	rc = msn_writer_begin(&w, store, m, why);
	for (unsigned i = 0; rc == 0 && i < pages; i++)
		rc = msn_writer_add(w, page, 7, &place, why);
	return rc ? rc : msn_writer_commit(w, say, p, why);
}

/* Is everything of it there, or nothing? */
static bool all_there(struct msn_store *store, const struct publisher *p)
{
	struct msn_note note = { 0 };
	uint8_t *answer = NULL;
	size_t len = 0;
	int rc = msn_store_note(store, p->told.uid, &note, NULL);
	int answered = msn_store_record(store, MSN_RECORD_REQUEST, p->key,
					strlen(p->key), &answer, &len, NULL);

	EXPECT((rc == 0) == (answered == 0));
	if (rc == 0)
		EXPECT(note.revision == 1 && note.len == 16 && len == 16 &&
		       memcmp(note.bytes, p->told.uid.bytes, 16) == 0 &&
		       memcmp(answer, p->told.uid.bytes, 16) == 0);
	free(note.bytes);
	free(answer);
	return rc == 0;
}

static uint64_t event_count(struct msn_store *store)
{
	uint64_t count;

	CHECK(msn_store_record_count(store, MSN_RECORD_EVENT, &count, NULL) ==
	      0);
	return count;
}

static void a_snapshot_is_published_with_its_companions(void)
{
	struct publisher p = { .key = "r1" };
	struct fixture f = setup();
	struct msn_snapshot_info info;

	CHECK(save(f.store, "one", 30, &p, NULL) == 0);
	EXPECT(p.calls == 1 && p.number == 1);
	EXPECT(all_there(f.store, &p) && event_count(f.store) == 1);

	/* It was told what a listing shows. */
	CHECK(msn_store_info(f.store, p.told.uid, &info, NULL) == 0);
	EXPECT(memcmp(&info, &p.told, sizeof(info)) == 0);
	EXPECT(info.manifest_bytes > 0 && info.created_ns == 42);
	teardown(&f);
}

static void a_publisher_may_give_the_snapshot_up(void)
{
	struct publisher p = { .key = "r1", .rc = -ECANCELED };
	struct msn_failure why = { 0 };
	struct fixture f = setup();
	struct msn_store_usage usage;

	EXPECT(save(f.store, "one", 30, &p, &why) == -ECANCELED);
	EXPECT(why.kind == MSN_FAILURE_ABORTED &&
	       strcmp(why.text, "not today") == 0);
	EXPECT(!all_there(f.store, &p) && event_count(f.store) == 0);
	CHECK(msn_store_usage(f.store, &usage, NULL) == 0);
	EXPECT(usage.snapshot_count == 0);
	EXPECT(store_count_files(f.path, ".pack") == 0);
	teardown(&f);
}

static void an_answered_request_is_not_answered_again(void)
{
	struct publisher p = { .key = "r1" }, q = { .key = "r1" };
	struct msn_failure why = { 0 };
	struct fixture f = setup();
	struct msn_store_usage usage;

	CHECK(save(f.store, "one", 3, &p, NULL) == 0);
	EXPECT(save(f.store, "two", 3, &q, &why) == -EEXIST);
	EXPECT(why.kind == MSN_FAILURE_EXISTS && strstr(why.text, "record") &&
	       strstr(why.text, f.path));
	EXPECT(msn_store_note(f.store, q.told.uid, &(struct msn_note){ 0 },
			      NULL) == -ENOENT);
	CHECK(msn_store_usage(f.store, &usage, NULL) == 0);
	EXPECT(usage.snapshot_count == 1 && event_count(f.store) == 1);
	teardown(&f);
}

/* ---- Changing ------------------------------------------------------------ */

static void a_snapshot_is_renamed_for_all_who_ask(void)
{
	struct sample s = { .seed = 1, .name = "old", .page_count = 3 };
	struct msn_update_opts up = { .revision = 0, .name = "new" };
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_failure why = { 0 };
	struct fixture f = setup();
	struct msn_snapshot_info info;
	uint64_t revision = 0;
	struct msn_uid uid, got;

	CHECK(sample_save(f.store, &s, &uid, NULL) == 0);
	CHECK(msn_store_update(f.store, uid, &up, &revision, NULL) == 0);
	EXPECT(revision == 1);
	EXPECT(msn_store_find(f.store, "old", &got, NULL) == -ENOENT);
	EXPECT(msn_store_find(f.store, "new", &got, NULL) == 0 &&
	       msn_uid_equal(got, uid));
	CHECK(msn_store_info(f.store, uid, &info, NULL) == 0);
	EXPECT(strcmp(info.name, "new") == 0);
	CHECK(msn_store_load(f.store, uid, &m, NULL) == 0);
	EXPECT(strcmp(m->name, "new") == 0);
	s.name = "new";
	EXPECT(sample_verify(f.store, &s, uid, NULL) == 0);

	EXPECT(msn_store_update(f.store, uid, &up, NULL, NULL) ==
	       MSN_STORE_E_CHANGED);
	s.name = "old";
	CHECK(sample_save(f.store, &s, &got, NULL) == 0);
	EXPECT(msn_store_update(f.store, got, &up, NULL, &why) == -EEXIST);
	EXPECT(why.kind == MSN_FAILURE_EXISTS && strstr(why.text, "'new'"));
	teardown(&f);
}

static int refuse(void *ctx, const struct msn_note *note,
		  struct msn_failure *why)
{
	(void)ctx;
	return msn_failure_set(why, -EPERM, MSN_FAILURE_PRECONDITION,
			       "revision %d holds it", (int)note->revision);
}

static void a_removal_asks_the_note_first(void)
{
	struct publisher p = { .key = "r1" };
	struct msn_record_change c = { .op = MSN_RECORD_APPEND,
				       .kind = MSN_RECORD_EVENT };
	struct msn_remove_opts opts = { .revision = MSN_NOTE_ANY,
					.check = refuse,
					.beside = { &c, 1 } };
	struct msn_failure why = { 0 };
	struct fixture f = setup();

	CHECK(save(f.store, "one", 3, &p, NULL) == 0);
	EXPECT(msn_store_remove(f.store, p.told.uid, &opts, &why) == -EPERM);
	EXPECT(why.kind == MSN_FAILURE_PRECONDITION &&
	       strcmp(why.text, "revision 1 holds it") == 0);
	EXPECT(all_there(f.store, &p) && event_count(f.store) == 1);
	opts.check = NULL;
	opts.revision = 2;
	EXPECT(msn_store_remove(f.store, p.told.uid, &opts, NULL) ==
	       MSN_STORE_E_CHANGED);
	opts.revision = 1;
	c.op = MSN_RECORD_ADD;
	c.kind = MSN_RECORD_REQUEST;
	c.key = "r1";
	c.key_len = 2;
	EXPECT(msn_store_remove(f.store, p.told.uid, &opts, NULL) ==
	       MSN_STORE_E_TAKEN);
	c.key = "r2";
	CHECK(msn_store_remove(f.store, p.told.uid, &opts, NULL) == 0);
	EXPECT(store_count_files(f.path, ".pack") == 0);
	EXPECT(msn_store_remove(f.store, p.told.uid, &opts, &why) == -ENOENT);
	teardown(&f);
}

static void a_record_that_is_not_there_is_not_found(void)
{
	struct msn_failure why = { 0 };
	struct fixture f = setup();
	uint8_t *out;
	size_t len;

	EXPECT(msn_store_record(f.store, MSN_RECORD_EVENT, "k", 1, &out, &len,
				&why) == -ENOENT);
	EXPECT(why.kind == MSN_FAILURE_NOT_FOUND && strstr(why.text, f.path));
	teardown(&f);
}

/* ---- The lock ------------------------------------------------------------ */

static enum msn_failure_kind try_save(struct msn_store *store, const char *name,
				      const char **pid)
{
	static struct msn_failure why;
	struct sample s = { .seed = 9, .name = name, .page_count = 3 };
	struct msn_uid uid;

	why = (struct msn_failure){ 0 };
	if (sample_save(store, &s, &uid, &why) == 0)
		return 0;
	*pid = strstr(why.text, "process");
	return why.kind;
}

static void a_lock_that_is_kept_keeps_others_out(void)
{
	struct fixture f = setup();
	struct msn_store *other = store_at(f.path);
	struct msn_failure why = { 0 };
	const char *pid = NULL;
	char mine[32];

	sprintf(mine, "process %d", (int)getpid());
	CHECK(msn_store_lock(f.store, NULL) == 0);
	CHECK(msn_store_lock(f.store, NULL) == 0);
	EXPECT(try_save(other, "x", &pid) == MSN_FAILURE_UNAVAILABLE);
	EXPECT(pid && strcmp(pid, mine) == 0);
	EXPECT(msn_store_lock(other, &why) == -EBUSY);
	EXPECT(why.kind == MSN_FAILURE_UNAVAILABLE && strstr(why.text, f.path));

	/* Writing through it neither needs another lock nor drops it. */
	EXPECT(try_save(f.store, "a", &pid) == 0);
	EXPECT(try_save(f.store, "b", &pid) == 0);
	EXPECT(try_save(other, "x", &pid) == MSN_FAILURE_UNAVAILABLE);

	/* Reading, notes and records need none. */
	EXPECT(msn_store_change(other, &(struct msn_beside){ NULL, 0 }, NULL) ==
	       0);
	EXPECT(msn_store_check(other, NULL) == 0);

	msn_store_unlock(f.store);
	EXPECT(try_save(other, "x", &pid) == 0);
	CHECK(msn_store_lock(f.store, NULL) == 0);
	msn_store_close(f.store);
	EXPECT(try_save(other, "y", &pid) == 0);
	f.store = other;
	teardown(&f);
}

static void one_writer_at_a_time_under_a_lock_that_is_kept(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct sample s = { .seed = 1, .name = "s", .page_count = 3 };
	struct msn_failure why = { 0 };
	struct fixture f = setup();
	struct msn_writer *w, *v;
	struct msn_uid uid;

	CHECK(sample_save(f.store, &s, &uid, NULL) == 0);
	CHECK(msn_manifest_new(&m) == 0);
	m->uid = msn_uid_new();
	CHECK(msn_store_lock(f.store, NULL) == 0);
	CHECK(msn_writer_begin(&w, f.store, m, NULL) == 0);
	EXPECT(msn_writer_begin(&v, f.store, m, &why) == -EBUSY);
	EXPECT(why.kind == MSN_FAILURE_UNAVAILABLE);
	EXPECT(msn_store_remove(f.store, uid, NULL, NULL) == -EBUSY);
	EXPECT(sample_verify(f.store, &s, uid, NULL) == 0);
	msn_writer_free(w);
	EXPECT(msn_store_remove(f.store, uid, NULL, NULL) == 0);
	teardown(&f);
}

/* ---- Failures ------------------------------------------------------------ */

static struct fixture walked;
static struct publisher walked_by;

static void *walk_prepare(void)
{
	struct publisher before = { .key = "before" };

	walked = setup();
	walked_by = (struct publisher){ .key = "r1" };
	CHECK(save(walked.store, "before", 20, &before, NULL) == 0);
	return &walked;
}

static int walk_body(void *arg)
{
	struct fixture *f = arg;

	return save(f->store, "one", 100, &walked_by, NULL);
}

static void walk_verify(void *arg, int rc, const char *name)
{
	struct fixture *f = arg;
	struct publisher next = { .key = "next" };
	bool there;

	if (!name)
		EXPECT(rc == 0);
	msn_store_close(f->store);
	f->store = store_at(f->path);
	there = walked_by.calls && all_there(f->store, &walked_by);
	EXPECT(there == (rc == 0));
	EXPECT(event_count(f->store) == (there ? 2u : 1u));
	EXPECT(save(f->store, "next", 5, &next, NULL) == 0);
	EXPECT(next.number == (there ? 3u : 2u));
	EXPECT(msn_store_check(f->store, NULL) == 0);
	teardown(f);
}

static void every_failure_publishes_all_or_nothing(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 30);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_snapshot_is_published_with_its_companions),
		CHECK_TEST(a_publisher_may_give_the_snapshot_up),
		CHECK_TEST(an_answered_request_is_not_answered_again),
		CHECK_TEST(a_snapshot_is_renamed_for_all_who_ask),
		CHECK_TEST(a_removal_asks_the_note_first),
		CHECK_TEST(a_record_that_is_not_there_is_not_found),
		CHECK_TEST(a_lock_that_is_kept_keeps_others_out),
		CHECK_TEST(one_writer_at_a_time_under_a_lock_that_is_kept),
		CHECK_TEST(every_failure_publishes_all_or_nothing),
		{}
	};

	return check_main(argc, argv, "store beside", tests);
}
