/*
 * A store with a catalog of version 1: read as it is, made new by the first
 * write, and whole whatever goes wrong in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fd.h"
#include "fakes/store_fixture.h"
#include "format/layout.h"
#include "index/index_private.h"
#include "store/store_private.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CATALOG "catalog/data.mdb"
#define PACK "packs/0000000000000001.pack"
#define SNAPSHOTS 23

static const struct sample first = {
	.seed = 1, .name = "first", .page_count = 12, .blob_bytes = 100
};
static const struct sample unnamed = {
	.seed = 3, .name = "", .page_count = 3, .object_pages = 1
};

static void copy_file(const char *to, const char *name, off_t size)
{
	msn_auto(msn_freep) char *source = msn_format(STORE_V1 "/%s", name);
	msn_auto(msn_freep) char *target = msn_format("%s/%s", to, name);
	msn_auto(msn_freep) char *bytes = NULL;
	msn_auto(msn_closep) int fd = open(target, O_WRONLY | O_CREAT, 0600);
	size_t len;

	CHECK(msn_read_file(&bytes, &len, AT_FDCWD, source, 1 << 24) == 0);
	CHECK(fd >= 0 && msn_pwrite_full(fd, bytes, len, 0) == 0);
	CHECK(size == 0 || ftruncate(fd, size) == 0);
}

/* A copy of the store, for store_dir_free(). */
static char *setup(void)
{
	static const char *const folders[] = { "", "catalog", "packs" };
	char *path = store_dir_in_memory();

	for (size_t i = 0; i < MSN_ARRAY_LEN(folders); i++) {
		msn_auto(msn_freep) char *dir =
			msn_format("%s/%s", path, folders[i]);

		CHECK(dir && mkdir(dir, 0700) == 0);
	}
	copy_file(path, "memsnap-store", 0);
	copy_file(path, CATALOG, 0);
	copy_file(path, PACK, (off_t)MSN_PACK_PAGES * 4096);
	return path;
}

static struct msn_store *open_at(const char *path, bool read_only)
{
	struct msn_store_opts opts = { .path = path, .read_only = read_only };
	struct msn_failure why = { 0 };
	struct msn_store *store = NULL;

	if (msn_store_open(&store, &opts, &why))
		printf("(%s) ", why.text);
	CHECK(store);
	return store;
}

static struct msn_uid find(struct msn_store *store, const char *name)
{
	struct msn_uid uid = { { 0 } };

	EXPECT(msn_store_find(store, name, &uid, NULL) == 0);
	return uid;
}

/* Oldest first; the time of each says which one it is. */
static size_t count_in_order(struct msn_store *store, size_t limit)
{
	struct msn_store_page_opts opts = { .limit = limit, .notes = true };
	struct msn_snapshot_cursor at = { 0 };
	struct msn_snapshot_page page;
	int64_t last = -1;
	size_t n = 0;
	bool more = true;

	while (more) {
		CHECK(msn_store_page(store, &opts, &page, NULL) == 0);
		for (size_t i = 0; i < page.count; i++, n++) {
			at.created_ns = page.list[i].info.created_ns;
			at.uid = page.list[i].info.uid;
			EXPECT(at.created_ns > last);
			last = at.created_ns;
		}
		opts.after = &at;
		more = page.more;
		msn_snapshot_page_deinit(&page);
	}
	return n;
}

static void expect_whole(struct msn_store *store)
{
	struct sample second = { .seed = 2,
				 .name = "second",
				 .page_count = 12 };
	struct msn_snapshot_info *list;
	struct msn_failure why = { 0 };
	struct msn_uid third = { { 0 } };
	size_t count;

	second.parent = find(store, "first");
	EXPECT(sample_verify(store, &first, second.parent, &why) == 0);
	EXPECT(sample_verify(store, &second, find(store, "second"), &why) == 0);
	CHECK(msn_store_list(store, &list, &count, NULL) == 0);
	for (size_t i = 0; i < count; i++)
		if (list[i].created_ns == 3)
			third = list[i].uid;
	free(list);
	EXPECT(sample_verify(store, &unnamed, third, &why) == 0);
	EXPECT(msn_store_check(store, &why) == 0);
	if (why.kind)
		printf("(%s) ", why.text);
}

static bool same_file(const char *path, const char *name)
{
	msn_auto(msn_freep) char *a = msn_format(STORE_V1 "/%s", name);
	msn_auto(msn_freep) char *b = msn_format("%s/%s", path, name);
	msn_auto(msn_freep) char *x = NULL;
	msn_auto(msn_freep) char *y = NULL;
	size_t xlen, ylen;

	CHECK(msn_read_file(&x, &xlen, AT_FDCWD, a, 1 << 27) == 0 &&
	      msn_read_file(&y, &ylen, AT_FDCWD, b, 1 << 27) == 0);
	return xlen == ylen && memcmp(x, y, xlen) == 0;
}

/* ---- Reading ------------------------------------------------------------- */

static void an_old_store_is_read_as_it_is(void)
{
	char *path = setup();

	for (int read_only = 1; read_only >= 0; read_only--) {
		struct msn_store *store = open_at(path, read_only);
		struct msn_store_usage usage;
		struct msn_note note;
		uint64_t count;

		EXPECT(count_in_order(store, 5) == SNAPSHOTS);
		EXPECT(count_in_order(store, 1000) == SNAPSHOTS);
		expect_whole(store);
		CHECK(msn_store_note(store, find(store, "first"), &note,
				     NULL) == 0);
		EXPECT(note.revision == 0 && !note.bytes);
		CHECK(msn_store_record_count(store, MSN_RECORD_EVENT, &count,
					     NULL) == 0);
		EXPECT(count == 0);
		CHECK(msn_store_usage(store, &usage, NULL) == 0);
		EXPECT(usage.snapshot_count == SNAPSHOTS);
		msn_store_close(store);
		EXPECT(same_file(path, CATALOG));
	}
	store_dir_free(path);
}

static void a_read_only_store_stays_old(void)
{
	struct msn_beside nothing = { NULL, 0 };
	char *path = setup();
	struct msn_store *store = open_at(path, true);
	struct msn_update_opts up = { .revision = MSN_NOTE_ANY,
				      .note = "n",
				      .note_len = 1 };
	struct msn_failure why = { 0 };

	EXPECT(msn_store_change(store, &nothing, &why) == -EROFS);
	EXPECT(why.kind == MSN_FAILURE_PRECONDITION);
	EXPECT(msn_store_update(store, find(store, "first"), &up, NULL, NULL) ==
	       -EROFS);
	EXPECT(msn_store_record_trim(store, MSN_RECORD_EVENT, "a", 1, NULL) ==
	       -EROFS);
	EXPECT(msn_store_lock(store, NULL) == -EROFS);
	msn_store_close(store);
	EXPECT(same_file(path, CATALOG));
	store_dir_free(path);
}

/* ---- Writing ------------------------------------------------------------- */

static int version_read(struct index_tx *tx, void *arg)
{
	struct index_meta meta;
	bool usable = false;
	int rc = index_meta_get(tx, &meta, arg);

	if (rc == 0)
		rc = index_times_usable(tx, &usable);
	EXPECT(usable == (*(uint32_t *)arg == 2));
	return rc;
}

static uint32_t version_of(struct msn_store *store)
{
	uint32_t version = 0;

	EXPECT(index_read(store->index, version_read, &version, NULL) == 0);
	return version;
}

static int put_record(struct msn_store *store, struct msn_failure *why)
{
	struct msn_record_change c = { .op = MSN_RECORD_PUT,
				       .kind = MSN_RECORD_REQUEST,
				       .key = "id",
				       .key_len = 2,
				       .value = "x",
				       .value_len = 1 };

	return msn_store_change(store, &(struct msn_beside){ &c, 1 }, why);
}

static void the_first_write_makes_it_new(void)
{
	struct sample more = { .seed = 50, .name = "more", .page_count = 20 };
	char *path = setup();
	struct msn_store *store = open_at(path, false);
	struct msn_uid uid;

	EXPECT(version_of(store) == 1);
	CHECK(put_record(store, NULL) == 0);
	EXPECT(version_of(store) == 2);
	expect_whole(store);
	EXPECT(count_in_order(store, 5) == SNAPSHOTS);
	CHECK(sample_save(store, &more, &uid, NULL) == 0);
	CHECK(msn_store_remove(store, find(store, "empty-7"), NULL, NULL) == 0);
	EXPECT(count_in_order(store, 4) == SNAPSHOTS);
	msn_store_close(store);
	store = open_at(path, true);
	expect_whole(store);
	EXPECT(sample_verify(store, &more, uid, NULL) == 0);
	EXPECT(count_in_order(store, 4) == SNAPSHOTS);
	msn_store_close(store);
	store_dir_free(path);
}

static void saving_or_removing_first_makes_it_new_too(void)
{
	struct sample more = { .seed = 50, .name = "more", .page_count = 20 };

	for (int save = 0; save < 2; save++) {
		char *path = setup();
		struct msn_store *store = open_at(path, false);
		struct msn_uid uid;

		if (save)
			CHECK(sample_save(store, &more, &uid, NULL) == 0);
		else
			CHECK(msn_store_remove(store, find(store, "empty-0"),
					       NULL, NULL) == 0);
		EXPECT(version_of(store) == 2);
		expect_whole(store);
		EXPECT(count_in_order(store, 6) ==
		       (save ? SNAPSHOTS + 1 : SNAPSHOTS - 1));
		msn_store_close(store);
		store_dir_free(path);
	}
}

/* What a program of version 1 does that had the catalog open before. */
static int old_remove(struct index_tx *tx, void *arg)
{
	struct msn_index_snapshot s;
	struct index_bytes key;
	int rc = index_snapshot_get(tx, *(struct msn_uid *)arg, &s);

	CHECK(rc == 0);
	key = (struct index_bytes){ s.name, strlen(s.name) };
	rc = index_del(tx, INDEX_NAMES, key);
	return rc ? rc : index_del(tx, INDEX_SNAPSHOTS, index_uid_key(&s.uid));
}

static void what_an_old_program_removes_later_is_gone(void)
{
	struct msn_update_opts up = { .revision = MSN_NOTE_ANY,
				      .note = "n",
				      .note_len = 1 };
	char *path = setup();
	struct msn_store *store = open_at(path, false);
	struct msn_uid uid = find(store, "empty-3");
	const char *wrong = NULL;
	uint64_t times;

	CHECK(msn_store_update(store, uid, &up, NULL, NULL) == 0);
	CHECK(index_tx_write(store->index->env, &(struct index_write_opts){ 0 },
			     old_remove, &uid, &wrong) == 0);
	EXPECT(count_in_order(store, 5) == SNAPSHOTS - 1);
	CHECK(put_record(store, NULL) == 0);
	EXPECT(version_of(store) == 2);
	EXPECT(count_in_order(store, 5) == SNAPSHOTS - 1);
	times = SNAPSHOTS;
	CHECK(msn_index_count(store->index, &times, NULL) == 0);
	EXPECT(times == SNAPSHOTS - 1);
	msn_store_close(store);
	store_dir_free(path);
}

/* Makes it new when told so. */
static void other_process(const char *path, int go)
{
	struct msn_update_opts up = { .revision = 0,
				      .note = "hello",
				      .note_len = 5 };
	struct msn_store *store;
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(1);
	store = open_at(path, false);
	if (msn_store_update(store, find(store, "first"), &up, NULL, NULL))
		_exit(2);
	_exit(put_record(store, NULL) ? 3 : 0);
}

static void another_process_may_make_it_new_meanwhile(void)
{
	char *path = setup();
	struct msn_store *store;
	struct msn_note note;
	uint64_t count;
	int go[2], status;
	pid_t pid;

	CHECK(pipe(go) == 0);
	pid = fork();
	if (pid == 0)
		other_process(path, go[0]);
	store = open_at(path, false);
	EXPECT(version_of(store) == 1);
	CHECK(write(go[1], "", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	EXPECT(version_of(store) == 2);
	CHECK(msn_store_note(store, find(store, "first"), &note, NULL) == 0);
	EXPECT(note.revision == 1 && note.len == 5);
	free(note.bytes);
	CHECK(msn_store_record_count(store, MSN_RECORD_REQUEST, &count, NULL) ==
	      0);
	EXPECT(count == 1);
	EXPECT(put_record(store, NULL) == 0);
	expect_whole(store);
	msn_store_close(store);
	close(go[0]);
	close(go[1]);
	store_dir_free(path);
}

/* ---- Failures ------------------------------------------------------------ */

struct walked {
	char *path;
	struct msn_store *store;
};

static struct walked walked;

static void *walk_prepare(void)
{
	walked.path = setup();
	walked.store = open_at(walked.path, false);
	return &walked;
}

static int walk_body(void *arg)
{
	struct walked *w = arg;
	struct msn_failure why = { 0 };
	int rc = put_record(w->store, &why);

	EXPECT((rc == 0) == (why.kind == MSN_FAILURE_NONE));
	return rc;
}

static void walk_verify(void *arg, int rc, const char *name)
{
	struct walked *w = arg;

	/* What was committed stands though a handle could not be opened. */
	EXPECT(name ? rc <= 0 : rc == 0);
	EXPECT(version_of(w->store) == (rc ? 1u : 2u));
	msn_store_close(w->store);
	w->store = open_at(w->path, false);
	expect_whole(w->store);
	EXPECT(count_in_order(w->store, 5) == SNAPSHOTS);
	EXPECT(put_record(w->store, NULL) == 0);
	EXPECT(version_of(w->store) == 2);
	EXPECT(count_in_order(w->store, 5) == SNAPSHOTS);
	msn_store_close(w->store);
	store_dir_free(w->path);
}

static void every_failure_of_the_first_write_leaves_it_whole(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) >
	       SNAPSHOTS);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_old_store_is_read_as_it_is),
		CHECK_TEST(a_read_only_store_stays_old),
		CHECK_TEST(the_first_write_makes_it_new),
		CHECK_TEST(saving_or_removing_first_makes_it_new_too),
		CHECK_TEST(what_an_old_program_removes_later_is_gone),
		CHECK_TEST(another_process_may_make_it_new_meanwhile),
		CHECK_TEST(every_failure_of_the_first_write_leaves_it_whole),
		{}
	};

	return check_main(argc, argv, "store of version 1", tests);
}
