/*
 * Store: saving, finding, sharing, removing, recycling, and two at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/store.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/rand.h"
#include "digest/digest.h"
#include "fakes/store_fixture.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A store of its own for each test. */
struct fixture {
	char *path;
	struct msn_store *store;
};

static struct fixture setup(void)
{
	struct fixture f = { .path = store_dir_new() };

	f.store = store_at(f.path);
	return f;
}

static void teardown(struct fixture *f)
{
	msn_store_close(f->store);
	store_dir_free(f->path);
}

static void reopen(struct fixture *f)
{
	msn_store_close(f->store);
	f->store = store_at(f->path);
}

static struct msn_uid save(struct fixture *f, const struct sample *s)
{
	struct msn_failure why = { 0 };
	struct msn_uid uid;
	int rc = sample_save(f->store, s, &uid, &why);

	if (rc)
		printf("(%s) ", why.text);
	CHECK(rc == 0);
	return uid;
}

static void expect_verified(struct fixture *f, const struct sample *s,
			    struct msn_uid uid)
{
	struct msn_failure why = { 0 };
	int rc = sample_verify(f->store, s, uid, &why);

	if (rc)
		printf("(%d %s) ", rc, why.text);
	EXPECT(rc == 0);
}

static void a_snapshot_reads_back_as_it_was_saved(void)
{
	static const struct sample samples[] = {
		{ .seed = 1, .name = "empty" },
		{ .seed = 2, .name = "", .page_count = 1 },
		{ .seed = 3, .name = "", .page_count = 63 },
		{ .seed = 4, .name = "", .page_count = 64, .blob_bytes = 1 },
		{ .seed = 5,
		  .name = "all",
		  .page_count = 1000,
		  .object_pages = 77,
		  .blob_bytes = 100001 },
		{ .seed = 6, .name = "", .page_count = 5000, .every = 3 },
	};
	struct fixture f = setup();
	struct msn_uid uids[6];

	for (size_t i = 0; i < MSN_ARRAY_LEN(samples); i++) {
		uids[i] = save(&f, &samples[i]);
		expect_verified(&f, &samples[i], uids[i]);
	}
	reopen(&f);
	for (size_t i = 0; i < MSN_ARRAY_LEN(samples); i++)
		expect_verified(&f, &samples[i], uids[i]);
	/* All of them fit into one pack, one behind the other. */
	EXPECT(store_count_files(f.path, ".pack") == 1);
	teardown(&f);
}

static void both_methods_write_the_same_store(void)
{
	static const enum msn_aio_method methods[] = { MSN_AIO_URING,
						       MSN_AIO_SYNC };
	struct sample s = { .seed = 9, .name = "", .page_count = 3000 };
	char *path = store_dir_new();
	struct msn_uid uids[2];

	for (size_t i = 0; i < 2; i++) {
		struct msn_store_opts opts = { .path = path,
					       .create = true,
					       .aio = methods[i] };
		struct msn_store *store;

		CHECK(msn_store_open(&store, &opts, NULL) == 0);
		EXPECT(strcmp(msn_store_aio_name(store),
			      i ? "sync" : "io_uring") == 0);
		CHECK(sample_save(store, &s, &uids[i], NULL) == 0);
		for (size_t j = 0; j <= i; j++)
			EXPECT(sample_verify(store, &s, uids[j], NULL) == 0);
		msn_store_close(store);
	}
	store_dir_free(path);
}

/* 40000 pages are 160 MiB: three packs. */
static void a_large_snapshot_spans_packs(void)
{
	struct sample s = { .seed = 9, .name = "big", .page_count = 40000 };
	struct fixture f = setup();
	struct msn_store_usage usage;
	struct msn_uid uid = save(&f, &s);

	expect_verified(&f, &s, uid);
	CHECK(msn_store_usage(f.store, &usage, NULL) == 0);
	EXPECT(usage.pack_count == 3 && usage.snapshot_count == 1);
	EXPECT(usage.pack_bytes > 40000 * 4096 &&
	       usage.pack_bytes < 41000 * 4096);
	EXPECT(usage.catalog_bytes > 0 && usage.spare_count == 0);
	teardown(&f);
}

static void a_child_stores_only_what_changed(void)
{
	struct sample base = { .seed = 20, .name = "p", .page_count = 2000 };
	struct sample child = { .seed = 21, .name = "c", .page_count = 2000 };
	struct fixture f = setup();
	struct msn_store_usage one, two;

	child.parent = save(&f, &base);
	CHECK(msn_store_usage(f.store, &one, NULL) == 0);
	struct msn_uid uid = save(&f, &child);
	CHECK(msn_store_usage(f.store, &two, NULL) == 0);
	expect_verified(&f, &child, uid);
	expect_verified(&f, &base, child.parent);
	EXPECT(two.pack_bytes - one.pack_bytes < 230 * 4096);

	/* The child does not need its parent to exist. */
	CHECK(msn_store_remove(f.store, child.parent, NULL, NULL) == 0);
	reopen(&f);
	expect_verified(&f, &child, uid);
	teardown(&f);
}

static void snapshots_are_listed_oldest_first(void)
{
	struct fixture f = setup();
	struct msn_snapshot_info *list, info;
	struct msn_uid uid = { 0 };
	size_t count;

	for (uint64_t i = 0; i < 5; i++) {
		char name[8];

		snprintf(name, sizeof(name), "s%" PRIu64, i);
		uid = save(&f, &(struct sample){ .seed = 100 - i,
						 .name = name,
						 .page_count = 3 });
	}
	CHECK(msn_store_list(f.store, &list, &count, NULL) == 0);
	CHECK(count == 5);
	for (size_t i = 0; i < count; i++) {
		EXPECT(list[i].created_ns == (int64_t)(96 + i));
		EXPECT(list[i].name[1] == (char)('4' - i));
	}
	CHECK(msn_store_info(f.store, uid, &info, NULL) == 0);
	EXPECT(memcmp(&info, &list[0], sizeof(info)) == 0);
	EXPECT(strcmp(info.origin, "pid 17 sample") == 0);
	EXPECT(info.mapping_count == 1 && info.stats.private_pages == 3);
	EXPECT(info.manifest_bytes > 0);
	free(list);
	teardown(&f);
}

static void an_empty_store_lists_nothing(void)
{
	struct fixture f = setup();
	struct msn_snapshot_info *list;
	size_t count = 7;

	CHECK(msn_store_list(f.store, &list, &count, NULL) == 0);
	EXPECT(count == 0);
	free(list);
	teardown(&f);
}

static enum msn_failure_kind find(struct fixture *f, const char *ref,
				  struct msn_uid *uid)
{
	struct msn_failure why = { 0 };
	int rc = msn_store_find(f->store, ref, uid, &why);

	EXPECT((rc == 0) == (why.kind == MSN_FAILURE_NONE));
	if (rc)
		EXPECT(strstr(why.text, ref));
	return why.kind;
}

static void references_are_resolved(void)
{
	struct fixture f = setup();
	struct msn_uid a = save(&f, &(struct sample){ .name = "alpha" });
	struct msn_uid got;
	char text[MSN_UID_TEXT];

	msn_uid_format(a, text);
	EXPECT(find(&f, "alpha", &got) == 0 && msn_uid_equal(a, got));
	EXPECT(find(&f, text, &got) == 0 && msn_uid_equal(a, got));
	text[8] = '\0';
	EXPECT(find(&f, text, &got) == 0 && msn_uid_equal(a, got));
	text[3] = '\0';
	EXPECT(find(&f, text, &got) == MSN_FAILURE_INVALID);
	EXPECT(find(&f, "alph", &got) == MSN_FAILURE_NOT_FOUND);
	EXPECT(find(&f, "", &got) == MSN_FAILURE_NOT_FOUND);
	text[0] = text[0] == '0' ? '1' : '0';
	EXPECT(find(&f, "00000000000000000000000000000000", &got) ==
	       MSN_FAILURE_NOT_FOUND);
	EXPECT(find(&f,
		    "0123456789012345678901234567890123456789012345678901"
		    "234567890123456789",
		    &got) == MSN_FAILURE_NOT_FOUND);
	teardown(&f);
}

/* Names that look like uids: one is taken before a prefix. */
static void a_name_wins_over_a_prefix(void)
{
	struct fixture f = setup();
	struct msn_uid a = save(&f, &(struct sample){ .name = "" }), b, got;
	char text[MSN_UID_TEXT];

	msn_uid_format(a, text);
	text[6] = '\0';
	b = save(&f, &(struct sample){ .name = text });
	EXPECT(find(&f, text, &got) == 0 && msn_uid_equal(b, got));
	teardown(&f);
}

static void an_ambiguous_prefix_is_refused(void)
{
	struct fixture f = setup();
	struct msn_uid got;
	char text[MSN_UID_TEXT];
	bool met[65536] = { 0 };
	int rc = 0;

	/* By the birthday of four digits, some hundred saves find a pair. */
	for (unsigned i = 0; i < 2000 && rc == 0; i++) {
		struct msn_uid a = save(&f, &(struct sample){ .name = "" });
		unsigned head = (unsigned)a.bytes[0] << 8 | a.bytes[1];

		msn_uid_format(a, text);
		rc = met[head];
		met[head] = true;
	}
	CHECK(rc);
	text[4] = '\0';
	EXPECT(find(&f, text, &got) == MSN_FAILURE_INVALID);
	teardown(&f);
}

static void a_taken_name_is_refused(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "one", .page_count = 100 };
	struct msn_failure why = { 0 };
	struct msn_uid a = save(&f, &s), b;

	EXPECT(sample_save(f.store, &s, &b, &why) == -EEXIST);
	EXPECT(why.kind == MSN_FAILURE_EXISTS && strstr(why.text, "'one'"));
	expect_verified(&f, &s, a);

	/* A name is free again when its snapshot is gone. */
	CHECK(msn_store_remove(f.store, a, NULL, NULL) == 0);
	b = save(&f, &s);
	expect_verified(&f, &s, b);
	teardown(&f);
}

static void a_bad_manifest_is_not_saved(void)
{
	struct fixture f = setup();
	struct msn_failure why = { 0 };
	struct msn_store_usage usage;
	struct msn_uid uid;

	EXPECT(sample_save(f.store, &(struct sample){ .name = "a/b" }, &uid,
			   &why) == -EINVAL);
	EXPECT(why.kind == MSN_FAILURE_INVALID && strstr(why.text, "name"));
	CHECK(msn_store_usage(f.store, &usage, NULL) == 0);
	EXPECT(usage.snapshot_count == 0 && usage.pack_count == 0);
	EXPECT(store_count_files(f.path, ".pack") == 0);
	teardown(&f);
}

static void what_was_not_committed_is_taken_back(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "one", .page_count = 100 };
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_writer *w;
	struct msn_place place;
	static uint8_t page[4096];

	CHECK(msn_manifest_new(&m) == 0);
	m->uid = msn_uid_new();
	CHECK(msn_writer_begin(&w, f.store, m, NULL) == 0);
	for (int i = 0; i < 20000; i++)
		CHECK(msn_writer_add(w, page, msn_digest_page(page), &place,
				     NULL) == 0);
	EXPECT(store_count_files(f.path, ".pack") == 2);
	EXPECT(msn_writer_free(w) == NULL);
	EXPECT(store_count_files(f.path, ".pack") == 0);
	expect_verified(&f, &s, save(&f, &s));
	teardown(&f);
}

static void removed_packs_are_used_again(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "x", .page_count = 20000 };
	struct msn_store_usage usage;
	struct msn_uid uid = save(&f, &s), other;
	struct msn_failure why = { 0 };

	EXPECT(store_count_files(f.path, ".pack") == 2);
	CHECK(msn_store_remove(f.store, uid, NULL, NULL) == 0);
	EXPECT(sample_verify(f.store, &s, uid, &why) == -ENOENT);
	EXPECT(why.kind == MSN_FAILURE_NOT_FOUND);
	EXPECT(store_count_files(f.path, ".pack") == 0);
	CHECK(msn_store_usage(f.store, &usage, NULL) == 0);
	EXPECT(usage.spare_count == 2 && usage.pack_bytes == 0);

	s.seed = 2;
	other = save(&f, &s);
	expect_verified(&f, &s, other);
	EXPECT(store_count_files(f.path, ".spare") == 0);
	reopen(&f);
	expect_verified(&f, &s, other);
	EXPECT(msn_store_remove(f.store, uid, NULL, &why) == -ENOENT);
	teardown(&f);
}

static void a_pack_that_somebody_reads_is_left_alone(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "x", .page_count = 500 };
	struct sample t = { .seed = 2, .name = "y", .page_count = 500 };
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_uid uid = save(&f, &s);
	static uint8_t before[500 * 4096], after[500 * 4096];
	struct msn_reader *r;

	CHECK(msn_store_load(f.store, uid, &m, NULL) == 0);
	CHECK(msn_reader_new(&r, f.store, m, NULL) == 0);
	CHECK(msn_reader_read(r, &m->pages, 1024, 500, before, NULL) == 0);
	CHECK(msn_store_remove(f.store, uid, NULL, NULL) == 0);
	EXPECT(store_count_files(f.path, ".pack") == 1);
	uid = save(&f, &t);
	CHECK(msn_reader_read(r, &m->pages, 1024, 500, after, NULL) == 0);
	EXPECT(memcmp(before, after, sizeof(before)) == 0);
	msn_reader_free(r);

	/* The next writer takes it. */
	EXPECT(store_count_files(f.path, ".pack") == 2);
	CHECK(msn_store_remove(f.store, uid, NULL, NULL) == 0);
	EXPECT(store_count_files(f.path, ".pack") == 0);
	EXPECT(store_count_files(f.path, ".spare") == 2);
	teardown(&f);
}

static void a_manifest_outlived_by_its_packs_is_not_found(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "x", .page_count = 500 };
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_failure why = { 0 };
	struct msn_uid uid = save(&f, &s);
	struct msn_reader *r;

	CHECK(msn_store_load(f.store, uid, &m, NULL) == 0);
	CHECK(msn_store_remove(f.store, uid, NULL, NULL) == 0);
	EXPECT(msn_reader_new(&r, f.store, m, &why) == -ENOENT);
	EXPECT(why.kind == MSN_FAILURE_NOT_FOUND);
	s.seed = 2;
	save(&f, &s);
	why = (struct msn_failure){ 0 };
	EXPECT(msn_reader_new(&r, f.store, m, &why) == -ENOENT);
	teardown(&f);
}

static void a_parent_removed_meanwhile_aborts_the_child(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "p", .page_count = 50 };
	msn_auto(msn_manifest_freep) struct msn_manifest *parent = NULL;
	struct msn_failure why = { 0 };
	struct msn_uid uid = save(&f, &s);
	struct msn_writer *w;

	CHECK(msn_store_load(f.store, uid, &parent, NULL) == 0);
	CHECK(msn_store_remove(f.store, uid, NULL, NULL) == 0);
	parent->uid = msn_uid_new();
	CHECK(msn_writer_begin(&w, f.store, parent, NULL) == 0);
	EXPECT(msn_writer_commit(w, NULL, NULL, &why) == -ESTALE);
	EXPECT(why.kind == MSN_FAILURE_ABORTED);
	msn_writer_free(w);
	teardown(&f);
}

static void sums_are_told_without_reading_pages(void)
{
	struct fixture f = setup();
	struct sample s = {
		.seed = 1, .name = "x", .page_count = 300, .every = 2
	};
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	static uint8_t pages[300 * 4096];
	struct msn_reader *r;
	uint64_t sum;

	CHECK(msn_store_load(f.store, save(&f, &s), &m, NULL) == 0);
	CHECK(msn_reader_new(&r, f.store, m, NULL) == 0);
	CHECK(msn_reader_read(r, &m->pages, 1024, 300, pages, NULL) == 0);
	for (uint64_t i = 0; i < 300; i++) {
		int rc = msn_reader_sum(r, &m->pages, 1024 + i, &sum, NULL);

		EXPECT(rc == (i % 2 ? MSN_READER_E_ABSENT : 0));
		if (rc == 0)
			EXPECT(sum == msn_digest_page(pages + i * 4096));
	}
	EXPECT(msn_reader_sum(r, &m->pages, 1, &sum, NULL) ==
	       MSN_READER_E_ABSENT);
	EXPECT(msn_reader_sum(r, &m->pages, 1024 + 300, &sum, NULL) ==
	       MSN_READER_E_ABSENT);
	msn_reader_free(r);
	teardown(&f);
}

static void a_part_is_read_where_it_belongs(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "x", .page_count = 700 };
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	static uint8_t all[700 * 4096], part[700 * 4096];
	uint64_t seed = check_seed();
	struct msn_reader *r;

	CHECK(msn_store_load(f.store, save(&f, &s), &m, NULL) == 0);
	CHECK(msn_reader_new(&r, f.store, m, NULL) == 0);
	CHECK(msn_reader_read(r, &m->pages, 1024, 700, all, NULL) == 0);
	for (unsigned i = 0; i < 300; i++) {
		uint64_t at = msn_rand_next(&seed) % 700;
		uint64_t n = 1 + msn_rand_next(&seed) % (700 - at);

		memset(part, 0xee, sizeof(part));
		CHECK(msn_reader_read(r, &m->pages, 1024 + at, n, part, NULL) ==
		      0);
		EXPECT(memcmp(part, all + at * 4096, n * 4096) == 0);
		if (n < 700)
			EXPECT(part[n * 4096] == 0xee);
	}
	msn_reader_free(r);
	teardown(&f);
}

static void a_second_writer_is_told_who_writes(void)
{
	struct fixture f = setup();
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_store *other = store_at(f.path);
	struct msn_failure why = { 0 };
	struct msn_writer *w, *v;
	char pid[32];

	CHECK(msn_manifest_new(&m) == 0);
	m->uid = msn_uid_new();
	CHECK(msn_writer_begin(&w, f.store, m, NULL) == 0);
	EXPECT(msn_writer_begin(&v, other, m, &why) == -EBUSY);
	EXPECT(why.kind == MSN_FAILURE_UNAVAILABLE);
	snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	EXPECT(strstr(why.text, f.path) && strstr(why.text, pid));
	why = (struct msn_failure){ 0 };
	EXPECT(msn_store_remove(other, m->uid, NULL, &why) == -EBUSY);
	msn_writer_free(w);
	CHECK(msn_writer_begin(&v, other, m, NULL) == 0);
	msn_writer_free(v);
	msn_store_close(other);
	teardown(&f);
}

static void readers_go_on_while_somebody_writes(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "x", .page_count = 500 };
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_uid uid = save(&f, &s);
	struct msn_store *other = store_at(f.path);
	struct msn_writer *w;
	struct msn_place place;
	static uint8_t page[4096];

	CHECK(msn_manifest_new(&m) == 0);
	m->uid = msn_uid_new();
	CHECK(msn_writer_begin(&w, f.store, m, NULL) == 0);
	for (int i = 0; i < 2000; i++)
		CHECK(msn_writer_add(w, page, msn_digest_page(page), &place,
				     NULL) == 0);
	EXPECT(sample_verify(other, &s, uid, NULL) == 0);
	CHECK(msn_writer_commit(w, NULL, NULL, NULL) == 0);
	msn_writer_free(w);
	EXPECT(sample_verify(other, &s, uid, NULL) == 0);
	msn_store_close(other);
	teardown(&f);
}

static void a_read_only_store_is_never_written(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "x", .page_count = 50 };
	struct msn_store_opts opts = { .path = f.path, .read_only = true };
	struct msn_uid uid = save(&f, &s), other;
	struct msn_failure why = { 0 };
	struct msn_store *store;

	CHECK(msn_store_open(&store, &opts, &why) == 0);
	EXPECT(sample_verify(store, &s, uid, NULL) == 0);
	EXPECT(sample_save(store, &s, &other, &why) == -EROFS);
	EXPECT(why.kind == MSN_FAILURE_PRECONDITION);
	why = (struct msn_failure){ 0 };
	EXPECT(msn_store_remove(store, uid, NULL, &why) == -EROFS);
	msn_store_close(store);

	/* Nor is one made. */
	opts.path = "/tmp/msn-store-that-is-not-there";
	opts.create = true;
	why = (struct msn_failure){ 0 };
	EXPECT(msn_store_open(&store, &opts, &why) == -ENOENT);
	EXPECT(why.kind == MSN_FAILURE_NOT_FOUND);
	teardown(&f);
}

/* Bind-mounted read-only, so even root cannot write. */
static void a_read_only_file_system_can_be_read(void)
{
	struct fixture f = setup();
	struct sample s = { .seed = 1, .name = "x", .page_count = 50 };
	struct msn_store_opts opts = { .path = f.path, .read_only = true };
	struct msn_uid uid = save(&f, &s);
	struct msn_failure why = { 0 };
	struct msn_store *store;

	msn_store_close(f.store);
	f.store = NULL;
	if (mount(f.path, f.path, NULL, MS_BIND, NULL)) {
		printf("(not run: mounting needs root) ");
		teardown(&f);
		return;
	}
	CHECK(mount(NULL, f.path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY,
		    NULL) == 0);
	EXPECT(msn_store_open(&store, &opts, &why) == 0);
	EXPECT(sample_verify(store, &s, uid, &why) == 0);
	msn_store_close(store);
	opts.read_only = false;
	EXPECT(msn_store_open(&store, &opts, &why) == -EROFS);
	EXPECT(why.kind == MSN_FAILURE_DENIED);
	CHECK(umount(f.path) == 0);
	teardown(&f);
}

static void two_creators_make_one_store(void)
{
	char *path = store_dir_new();
	struct msn_store *store;
	pid_t pids[4];
	int status;

	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct msn_store_opts opts = { .path = path,
						       .create = true };

			_exit(msn_store_open(&store, &opts, NULL) ? 1 : 0);
		}
	}
	for (int i = 0; i < 4; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	store = store_at(path);
	msn_store_close(store);
	store_dir_free(path);
}

/* Saves and removes for ever, telling through a pipe what is committed. */
static void victim(const char *path, int out, uint64_t seed)
{
	struct msn_store *store = store_at(path);
	struct msn_uid last = { 0 }, uid;

	for (;; seed++) {
		struct sample s = { .seed = seed,
				    .name = "",
				    .page_count = 200 + seed % 700 };

		if (sample_save(store, &s, &uid, NULL))
			_exit(1);
		if (write(out, &uid, sizeof(uid)) != sizeof(uid))
			_exit(2);
		if (seed % 3 == 0 && !msn_uid_is_none(last))
			if (msn_store_remove(store, last, NULL, NULL))
				_exit(3);
		last = uid;
	}
}

/* The last one told is never removed by the victim: it must be whole. */
static void check_survivors(const char *path, struct msn_uid last)
{
	struct msn_store *store = store_at(path);
	struct msn_snapshot_info *list, info;
	size_t count;

	CHECK(msn_store_list(store, &list, &count, NULL) == 0);
	for (size_t i = 0; i < count; i++) {
		uint64_t seed = (uint64_t)list[i].created_ns;
		struct sample s = { .seed = seed,
				    .name = "",
				    .page_count = 200 + seed % 700 };

		EXPECT(sample_verify(store, &s, list[i].uid, NULL) == 0);
	}
	if (!msn_uid_is_none(last))
		EXPECT(msn_store_info(store, last, &info, NULL) == 0);
	free(list);
	msn_store_close(store);
}

static void a_killed_writer_loses_nothing_that_it_told(void)
{
	char *path = store_dir_new();
	uint64_t seed = check_seed(), first = 1;

	msn_store_close(store_at(path));
	for (unsigned i = 0; i < 12; i++) {
		struct msn_uid last = { 0 }, uid;
		int ends[2], status;
		pid_t pid;

		CHECK(pipe(ends) == 0);
		pid = fork();
		if (pid == 0)
			victim(path, ends[1], first);
		close(ends[1]);
		usleep((useconds_t)(msn_rand_next(&seed) % 60000));
		kill(pid, SIGKILL);
		while (read(ends[0], &uid, sizeof(uid)) == sizeof(uid)) {
			last = uid;
			first++;
		}
		close(ends[0]);
		CHECK(waitpid(pid, &status, 0) == pid);
		EXPECT(WIFSIGNALED(status));
		check_survivors(path, last);
		first++;
	}
	store_dir_free(path);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_snapshot_reads_back_as_it_was_saved),
		CHECK_TEST(both_methods_write_the_same_store),
		CHECK_TEST(a_large_snapshot_spans_packs),
		CHECK_TEST(a_child_stores_only_what_changed),
		CHECK_TEST(snapshots_are_listed_oldest_first),
		CHECK_TEST(an_empty_store_lists_nothing),
		CHECK_TEST(references_are_resolved),
		CHECK_TEST(a_name_wins_over_a_prefix),
		CHECK_TEST(an_ambiguous_prefix_is_refused),
		CHECK_TEST(a_taken_name_is_refused),
		CHECK_TEST(a_bad_manifest_is_not_saved),
		CHECK_TEST(what_was_not_committed_is_taken_back),
		CHECK_TEST(removed_packs_are_used_again),
		CHECK_TEST(a_pack_that_somebody_reads_is_left_alone),
		CHECK_TEST(a_manifest_outlived_by_its_packs_is_not_found),
		CHECK_TEST(a_parent_removed_meanwhile_aborts_the_child),
		CHECK_TEST(sums_are_told_without_reading_pages),
		CHECK_TEST(a_part_is_read_where_it_belongs),
		CHECK_TEST(a_second_writer_is_told_who_writes),
		CHECK_TEST(readers_go_on_while_somebody_writes),
		CHECK_TEST(a_read_only_store_is_never_written),
		CHECK_TEST(a_read_only_file_system_can_be_read),
		CHECK_TEST(two_creators_make_one_store),
		CHECK_TEST(a_killed_writer_loses_nothing_that_it_told),
		{}
	};

	return check_main(argc, argv, "store", tests);
}
