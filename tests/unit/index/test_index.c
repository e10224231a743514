/*
 * Index: publishing, finding and removing; maps that grow under others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index/index.h"

#include "base/fault.h"
#include "fakes/index_fixture.h"
#include "index/index_record.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A map of 16 pages: a few records fill it. */
#define SMALL_MAP 65536

static void what_was_published_is_found(void)
{
	char *dir = index_dir_new();
	struct msn_index *index = index_at(dir, 0);
	struct msn_index_snapshot s;
	struct msn_uid got;

	EXPECT(msn_uid_equal(msn_index_store(index), index_store_uid));
	CHECK(index_publish(index, index_uid(0x1234), "alpha", 1, 2) == 0);
	CHECK(index_publish(index, index_uid(0x1235), "", 2, 2) == 0);
	CHECK(msn_index_by_name(index, "alpha", &got, NULL) == 0);
	EXPECT(msn_uid_equal(got, index_uid(0x1234)));
	EXPECT(msn_index_by_name(index, "", &got, NULL) == MSN_INDEX_E_ABSENT);
	EXPECT(msn_index_by_name(index, "alph", &got, NULL) ==
	       MSN_INDEX_E_ABSENT);
	CHECK(msn_index_snapshot(index, index_uid(0x1234), &s, NULL) == 0);
	EXPECT(strcmp(s.name, "alpha") == 0 && s.runs[0].pages == 2);
	EXPECT(msn_index_snapshot(index, index_uid(1), &s, NULL) ==
	       MSN_INDEX_E_ABSENT);

	EXPECT(msn_index_by_prefix(index, index_uid(0x1235), 4, &got, NULL) ==
	       0);
	EXPECT(msn_uid_equal(got, index_uid(0x1235)));
	EXPECT(msn_index_by_prefix(index, index_uid(0x1230), 3, &got, NULL) ==
	       MSN_INDEX_E_AMBIGUOUS);
	EXPECT(msn_index_by_prefix(index, index_uid(0x1236), 4, &got, NULL) ==
	       MSN_INDEX_E_ABSENT);
	msn_index_close(index);
	index_dir_free(dir);
}

static void packs_are_counted_and_freed_with_the_last(void)
{
	char *dir = index_dir_new();
	struct msn_index *index = index_at(dir, 0);
	struct msn_index_pack *packs;
	uint64_t next;
	size_t count;
	bool freed;

	CHECK(index_publish(index, index_uid(1), "a", 1, 2) == 0);
	CHECK(index_publish(index, index_uid(2), "b", 2, 2) == 0);
	CHECK(msn_index_packs(index, &packs, &count, &next, NULL) == 0);
	EXPECT(count == 3 && next == 4);
	EXPECT(packs[0].refs == 1 && packs[1].refs == 2 && packs[2].refs == 1);
	EXPECT(packs[1].id == 2 && packs[1].pages == 9);
	free(packs);

	CHECK(index_remove(index, index_uid(1), &freed) == 0);
	EXPECT(freed);
	CHECK(msn_index_packs(index, &packs, &count, &next, NULL) == 0);
	EXPECT(count == 2 && packs[0].id == 2 && packs[0].refs == 1);
	EXPECT(next == 4);
	free(packs);
	EXPECT(index_remove(index, index_uid(1), &freed) == MSN_INDEX_E_ABSENT);

	CHECK(index_publish(index, index_uid(3), "a", 2, 2) == 0);
	CHECK(index_remove(index, index_uid(2), &freed) == 0);
	EXPECT(!freed);
	msn_index_close(index);
	index_dir_free(dir);
}

static void nothing_is_published_by_halves(void)
{
	char *dir = index_dir_new();
	struct msn_index *index = index_at(dir, 0);
	struct msn_index_snapshot s = { .uid = index_uid(7),
					.manifest_bytes = 1,
					.run_count = 1,
					.runs = { { 1, 1, 1, 2 } } };
	struct msn_manifest_pack needs[2] = { { 1, 1 }, { 1, 2 } };
	struct msn_index_publish what = { .snapshot = &s,
					  .needs = needs,
					  .need_count = 2 };
	struct msn_index_pack *packs;
	uint64_t next;
	size_t count;

	CHECK(index_publish(index, index_uid(1), "a", 1, 1) == 0);
	EXPECT(index_publish(index, index_uid(2), "a", 1, 1) ==
	       MSN_INDEX_E_EXISTS);
	EXPECT(index_publish(index, index_uid(1), "b", 1, 1) == -EEXIST);
	EXPECT(msn_index_publish(index, &what, NULL) == MSN_INDEX_E_STALE);
	needs[1] = (struct msn_manifest_pack){ 5, 1 };
	EXPECT(msn_index_publish(index, &what, NULL) == MSN_INDEX_E_STALE);
	EXPECT(index_count_all(index) == 1);
	CHECK(msn_index_packs(index, &packs, &count, &next, NULL) == 0);
	EXPECT(count == 1 && packs[0].refs == 1);
	free(packs);
	msn_index_close(index);
	index_dir_free(dir);
}

static void a_sealed_pack_stays_sealed(void)
{
	char *dir = index_dir_new();
	struct msn_index *index = index_at(dir, 0);
	struct msn_index_pack *packs;
	uint64_t next;
	size_t count;

	CHECK(index_publish(index, index_uid(1), "a", 1, 1) == 0);
	CHECK(msn_index_seal(index, 1, NULL) == 0);
	CHECK(msn_index_seal(index, 77, NULL) == 0);
	msn_index_close(index);
	index = index_at(dir, 0);
	CHECK(msn_index_packs(index, &packs, &count, &next, NULL) == 0);
	EXPECT(count == 1 && packs[0].state == MSN_INDEX_PACK_SEALED);
	free(packs);
	msn_index_close(index);
	index_dir_free(dir);
}

static void a_full_map_grows(void)
{
	char *dir = index_dir_new();
	struct msn_index *index = index_at(dir, SMALL_MAP);
	uint64_t bytes;
	bool freed;

	for (unsigned i = 0; i < 700; i++)
		CHECK(index_publish(index, index_uid(i), "", 1 + i % 50, 3) ==
		      0);
	EXPECT(index_count_all(index) == 700);
	CHECK(msn_index_bytes(index, &bytes, NULL) == 0);
	EXPECT(bytes > 4 * SMALL_MAP);
	for (unsigned i = 0; i < 700; i++)
		CHECK(index_remove(index, index_uid(i), &freed) == 0);
	EXPECT(index_count_all(index) == 0);
	msn_index_close(index);

	/* Opened with a small map again, it takes the size it needs. */
	index = index_at(dir, SMALL_MAP);
	EXPECT(index_count_all(index) == 0);
	msn_index_close(index);
	index_dir_free(dir);
}

/* The parent's map is small while a child makes the file large. */
static void a_map_that_another_process_grew_is_followed(void)
{
	char *dir = index_dir_new();
	struct msn_index *index = index_at(dir, SMALL_MAP);
	int go[2], status;
	char byte = 0;
	pid_t pid;

	msn_index_close(index);
	CHECK(pipe(go) == 0);
	pid = fork();
	if (pid == 0) {
		if (read(go[0], &byte, 1) != 1)
			_exit(2);
		index = index_at(dir, SMALL_MAP);
		for (unsigned i = 0; i < 700; i++)
			if (index_publish(index, index_uid(i), "", 1, 3))
				_exit(1);
		_exit(0);
	}
	index = index_at(dir, SMALL_MAP);
	EXPECT(index_count_all(index) == 0);
	CHECK(write(go[1], &byte, 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	EXPECT(index_count_all(index) == 700);
	EXPECT(index_publish(index, index_uid(9999), "mine", 1, 1) == 0);
	EXPECT(index_count_all(index) == 701);
	msn_index_close(index);
	close(go[0]);
	close(go[1]);
	index_dir_free(dir);
}

struct worker {
	const char *dir;
	bool stop, failed;
};

static void *read_on(void *arg)
{
	struct worker *w = arg;
	struct msn_index *index = index_at(w->dir, SMALL_MAP);
	size_t last = 0;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		struct msn_index_snapshot *list;
		size_t count;

		if (msn_index_snapshots(index, &list, &count, NULL)) {
			w->failed = true;
			break;
		}
		w->failed |= count < last;
		last = count;
		free(list);
	}
	msn_index_close(index);
	return NULL;
}

/* Both share what is open; the map moves under the reader again and again. */
static void a_catalog_may_be_open_twice_in_a_process(void)
{
	char *dir = index_dir_new();
	struct msn_index *index = index_at(dir, SMALL_MAP);
	struct worker w = { .dir = dir };
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, read_on, &w) == 0);
	for (unsigned i = 0; i < 400; i++)
		CHECK(index_publish(index, index_uid(i), "", 1, 3) == 0);
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	CHECK(pthread_join(thread, NULL) == 0);
	EXPECT(!w.failed);
	EXPECT(index_publish(index, index_uid(500), "", 1, 3) == 0);
	EXPECT(index_count_all(index) == 401);
	msn_index_close(index);
	index_dir_free(dir);
}

/* LMDB's own lock on its file, which says that somebody uses it. */
static bool locked_by_another(const char *dir)
{
	struct flock probe = { .l_type = F_WRLCK, .l_len = 1 };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/lock.mdb", dir);
	fd = open(path, O_RDWR);
	return fd >= 0 && fcntl(fd, F_GETLK, &probe) == 0 &&
	       probe.l_type != F_UNLCK;
}

static void closing_one_of_two_keeps_the_lock_of_the_other(void)
{
	char *dir = index_dir_new();
	struct msn_index *one = index_at(dir, 0), *two = index_at(dir, 0);

	msn_index_close(two);
	for (int turn = 0; turn < 2; turn++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(locked_by_another(dir));
		CHECK(waitpid(pid, &status, 0) == pid);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == !turn);
		if (turn == 0)
			msn_index_close(one);
	}
	index_dir_free(dir);
}

/* Readers that die leave slots; more of them than there are slots. */
static void dead_readers_do_not_use_up_slots(void)
{
	char *dir = index_dir_new();
	struct msn_index *index = index_at(dir, 0);

	CHECK(index_publish(index, index_uid(1), "", 1, 3) == 0);
	msn_index_close(index);
	for (unsigned i = 0; i < 600; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			index = index_at(dir, 0);
			(void)index_count_all(index);
			kill(getpid(), SIGKILL);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		EXPECT(WIFSIGNALED(status));
	}
	index = index_at(dir, 0);
	EXPECT(index_count_all(index) == 1);
	EXPECT(index_publish(index, index_uid(2), "", 1, 3) == 0);
	msn_index_close(index);
	index_dir_free(dir);
}

static void an_empty_folder_is_no_catalog(void)
{
	char *dir = index_dir_new();
	struct msn_index_opts opts = { .dir = dir, .where = "/the/store" };
	struct msn_failure why = { 0 };
	struct msn_index *index;

	EXPECT(!msn_index_exists(dir));
	EXPECT(msn_index_open(&index, &opts, &why) == -EBADMSG);
	EXPECT(why.kind == MSN_FAILURE_DATA_LOSS);
	EXPECT(strstr(why.text, "/the/store") && strstr(why.text, "missing"));
	EXPECT(!msn_index_exists(dir));
	msn_index_close(index_at(dir, 0));
	EXPECT(msn_index_exists(dir));
	index_dir_free(dir);
}

/* A catalog of a later program, told by its first record. */
static void a_newer_catalog_is_told(void)
{
	uint8_t value[INDEX_VALUE_MAX];
	struct index_bytes key = { "store", 5 };
	struct index_meta meta = { index_store_uid, 5 }, got;
	size_t len = index_meta_encode(&meta, key, value);
	struct index_bytes v = { value, len };
	uint32_t version;

	EXPECT(index_meta_decode(&got, &version, key, v) == 0);
	EXPECT(got.next_pack == 5 && version == MSN_INDEX_VERSION);
	EXPECT(index_meta_decode(&got, &version,
				 (struct index_bytes){ "stork", 5 },
				 v) == -EBADMSG);
}

/* Each record: there and back, and not with any other bit or key. */
static void every_flipped_bit_of_a_record_is_told(void)
{
	struct msn_index_snapshot s = { .uid = index_uid(3),
					.name = "n",
					.manifest_bytes = 5,
					.run_count = 2,
					.runs = { { 1, 1, 1, 2 },
						  { 2, 4, 1, 9 } } };
	struct index_bytes key = { s.uid.bytes, 16 };
	uint8_t value[INDEX_VALUE_MAX];
	size_t len = index_snapshot_encode(&s, key, value);
	struct msn_index_snapshot got;
	struct index_bytes v = { value, len };

	CHECK(index_snapshot_decode(&got, key, v) == 0);
	EXPECT(got.runs[1].generation == 4 && got.run_count == 2);
	for (size_t bit = 0; bit < len * 8; bit++) {
		value[bit / 8] ^= (uint8_t)(1u << bit % 8);
		EXPECT(index_snapshot_decode(&got, key, v) == -EBADMSG);
		value[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n < len; n++)
		EXPECT(index_snapshot_decode(
			       &got, key, (struct index_bytes){ value, n }) ==
		       -EBADMSG);
}

static void pack_keys_sort_as_numbers(void)
{
	uint8_t a[INDEX_PACK_KEY], b[INDEX_PACK_KEY];

	index_pack_key(255, a);
	index_pack_key(256, b);
	EXPECT(memcmp(a, b, sizeof(a)) < 0);
	EXPECT(index_pack_key_id(b) == 256);
	index_pack_key(UINT64_MAX - 1, a);
	EXPECT(index_pack_key_id(a) == UINT64_MAX - 1);
}

struct walk {
	char *dir;
	struct msn_index *index;
};

static struct walk walk;

static void *walk_prepare(void)
{
	walk.dir = index_dir_new();
	walk.index = index_at(walk.dir, SMALL_MAP);
	CHECK(index_publish(walk.index, index_uid(1), "a", 1, 3) == 0);
	return &walk;
}

static int walk_body(void *arg)
{
	struct walk *w = arg;
	bool freed;
	int rc = index_publish(w->index, index_uid(2), "b", 2, 4);

	return rc ? rc : index_remove(w->index, index_uid(1), &freed);
}

static void walk_verify(void *arg, int rc, const char *name)
{
	struct walk *w = arg;
	struct msn_index_snapshot s;
	bool one, two;

	EXPECT((rc == 0) == !name || strcmp(name, "index.reserve") == 0);
	msn_index_close(w->index);
	w->index = index_at(w->dir, SMALL_MAP);
	one = msn_index_snapshot(w->index, index_uid(1), &s, NULL) == 0;
	two = msn_index_snapshot(w->index, index_uid(2), &s, NULL) == 0;
	EXPECT(one || two);
	EXPECT(rc ? one : two && !one);
	EXPECT(index_publish(w->index, index_uid(3), "c", 2, 4) == 0);
	msn_index_close(w->index);
	index_dir_free(w->dir);
}

static void every_failure_leaves_the_catalog_whole(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 15);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(what_was_published_is_found),
		CHECK_TEST(packs_are_counted_and_freed_with_the_last),
		CHECK_TEST(nothing_is_published_by_halves),
		CHECK_TEST(a_sealed_pack_stays_sealed),
		CHECK_TEST(a_full_map_grows),
		CHECK_TEST(a_map_that_another_process_grew_is_followed),
		CHECK_TEST(a_catalog_may_be_open_twice_in_a_process),
		CHECK_TEST(closing_one_of_two_keeps_the_lock_of_the_other),
		CHECK_TEST(dead_readers_do_not_use_up_slots),
		CHECK_TEST(an_empty_folder_is_no_catalog),
		CHECK_TEST(a_newer_catalog_is_told),
		CHECK_TEST(every_flipped_bit_of_a_record_is_told),
		CHECK_TEST(pack_keys_sort_as_numbers),
		CHECK_TEST(every_failure_leaves_the_catalog_whole),
		{}
	};

	return check_main(argc, argv, "index", tests);
}
