/*
 * Store: every failure point of a save, and a disk that fails or fills up.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * After each failure the store is opened again: what was published before is
 * whole, the snapshot under way is whole or not there, and a next save works.
 */
#include "base/alloc.h"
#include "base/fault.h"
#include "fakes/aio_fault.h"
#include "fakes/store_fixture.h"
#include "store/store_private.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct sample first = {
	.seed = 1, .name = "first", .page_count = 300, .blob_bytes = 5000
};
static const struct sample second = {
	.seed = 2, .name = "second", .page_count = 700, .object_pages = 9
};
static const struct sample third = { .seed = 3,
				     .name = "third",
				     .page_count = 65 };

struct state {
	char *path;
	struct msn_store *store;
	struct msn_uid first, second;
};

static struct state state_new(void)
{
	struct state s = { .path = store_dir_new() };

	s.store = store_at(s.path);
	CHECK(sample_save(s.store, &first, &s.first, NULL) == 0);
	return s;
}

/* What must hold after anything at all. */
static void expect_sound(struct state *s, bool second_there)
{
	struct msn_store_usage usage;
	struct msn_uid uid;

	msn_store_close(s->store);
	s->store = store_at(s->path);
	EXPECT(sample_verify(s->store, &first, s->first, NULL) == 0);
	if (msn_store_find(s->store, "second", &uid, NULL) == 0) {
		second_there = true;
		EXPECT(sample_verify(s->store, &second, uid, NULL) == 0);
	} else {
		EXPECT(!second_there);
	}
	CHECK(sample_save(s->store, &third, &uid, NULL) == 0);
	EXPECT(sample_verify(s->store, &third, uid, NULL) == 0);
	EXPECT(sample_verify(s->store, &first, s->first, NULL) == 0);

	/* Nothing was leaked: every file is a pack in use or a spare. */
	CHECK(msn_store_usage(s->store, &usage, NULL) == 0);
	EXPECT(usage.snapshot_count == (second_there ? 3u : 2u));
	EXPECT(store_count_files(s->path, ".pack") == usage.pack_count);
	CHECK(msn_store_remove(s->store, s->first, NULL, NULL) == 0);
	EXPECT(sample_verify(s->store, &third, uid, NULL) == 0);
}

static void state_free(struct state *s)
{
	msn_store_close(s->store);
	store_dir_free(s->path);
}

static struct state walked;
static unsigned told_texts;

static void *save_prepare(void)
{
	walked = state_new();
	return &walked;
}

static int save_body(void *arg)
{
	struct state *s = arg;
	struct msn_failure why = { 0 };
	int rc = sample_save(s->store, &second, &s->second, &why);

	told_texts += why.kind != MSN_FAILURE_NONE;
	return rc;
}

static void save_verify(void *arg, int rc, const char *name)
{
	struct state *s = arg;

	/* A failure may be one that the save can do without. */
	if (!name)
		EXPECT(rc == 0);
	if (rc)
		EXPECT(rc < 0);
	expect_sound(s, rc == 0);
	state_free(s);
}

static void every_failure_of_a_save_leaves_the_store_sound(void)
{
	unsigned n;

	told_texts = 0;
	n = check_every_fault(save_prepare, save_body, save_verify);
	printf("(%u points) ", n);
	EXPECT(n > 40);
	EXPECT(told_texts > n / 2);
}

/* The same where the save takes a spare pack. */
static void *recycle_prepare(void)
{
	walked = state_new();
	CHECK(msn_store_remove(walked.store, walked.first, NULL, NULL) == 0);
	CHECK(store_count_files(walked.path, ".spare") == 1);
	return &walked;
}

static void recycle_verify(void *arg, int rc, const char *name)
{
	struct state *s = arg;
	struct msn_uid uid;

	if (!name)
		EXPECT(rc == 0 && !store_count_files(s->path, ".spare"));
	msn_store_close(s->store);
	s->store = store_at(s->path);
	if (msn_store_find(s->store, "second", &uid, NULL) == 0) {
		EXPECT(sample_verify(s->store, &second, uid, NULL) == 0);
	} else {
		EXPECT(rc != 0);
	}
	CHECK(sample_save(s->store, &third, &uid, NULL) == 0);
	EXPECT(sample_verify(s->store, &third, uid, NULL) == 0);
	state_free(s);
}

static void every_failure_with_spares_leaves_the_store_sound(void)
{
	EXPECT(check_every_fault(recycle_prepare, save_body, recycle_verify) >
	       40);
}

static int remove_body(void *arg)
{
	struct state *s = arg;

	return msn_store_remove(s->store, s->second, NULL, NULL);
}

static void *remove_prepare(void)
{
	walked = state_new();
	CHECK(sample_save(walked.store, &second, &walked.second, NULL) == 0);
	return &walked;
}

static void remove_verify(void *arg, int rc, const char *name)
{
	struct state *s = arg;

	(void)name;
	expect_sound(s, rc != 0);
	state_free(s);
}

static void every_failure_of_a_removal_leaves_the_store_sound(void)
{
	EXPECT(check_every_fault(remove_prepare, remove_body, remove_verify) >
	       3);
}

static char *made;

static void *open_prepare(void)
{
	made = store_dir_new();
	return made;
}

static int open_body(void *path)
{
	struct msn_store_opts opts = { .path = path, .create = true };
	struct msn_store *store;
	int rc = msn_store_open(&store, &opts, NULL);

	if (rc == 0)
		msn_store_close(store);
	return rc;
}

static void open_verify(void *path, int rc, const char *name)
{
	struct msn_uid uid;
	struct msn_store *store;

	if (!name)
		EXPECT(rc == 0);
	store = store_at(path);
	EXPECT(sample_save(store, &first, &uid, NULL) == 0);
	EXPECT(sample_verify(store, &first, uid, NULL) == 0);
	msn_store_close(store);
	store_dir_free(path);
}

static void every_failure_of_making_a_store_can_be_mended(void)
{
	EXPECT(check_every_fault(open_prepare, open_body, open_verify) > 10);
}

static void *reader_prepare(void)
{
	walked = state_new();
	return &walked;
}

static int reader_body(void *arg)
{
	struct state *s = arg;

	return sample_verify(s->store, &first, s->first, NULL);
}

static void reader_verify(void *arg, int rc, const char *name)
{
	struct state *s = arg;

	EXPECT(name ? rc <= 0 : rc == 0);
	EXPECT(reader_body(arg) == 0);
	state_free(s);
}

static void every_failure_of_a_read_is_an_error(void)
{
	EXPECT(check_every_fault(reader_prepare, reader_body, reader_verify) >
	       20);
}

/* ---- A disk that fails --------------------------------------------------- */

static int save_over(struct state *s, const struct aio_fault_rule *rules,
		     size_t count, struct msn_failure *why)
{
	struct msn_aio *inner;

	CHECK(msn_aio_new(&inner, &(struct msn_aio_opts){ 0 }) == 0);
	store_set_aio(s->store, aio_fault_new(inner, rules, count));
	return sample_save(s->store, &second, &s->second, why);
}

static void a_failed_write_publishes_nothing(void)
{
	static const struct aio_fault_rule rules[] = {
		{ .op = MSN_AIO_WRITE, .nth = 1, .error = -EIO },
		{ .op = MSN_AIO_WRITE, .nth = 2, .error = -EIO },
		{ .op = MSN_AIO_WRITE, .nth = 3, .error = -EIO, .bytes = 4096 },
		{ .op = MSN_AIO_FDATASYNC, .nth = 1, .error = -EIO },
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(rules); i++) {
		struct state s = state_new();
		struct msn_failure why = { 0 };
		struct msn_store_usage usage;

		EXPECT(save_over(&s, &rules[i], 1, &why) == -EIO);
		EXPECT(why.kind == MSN_FAILURE_INTERNAL);
		EXPECT(strstr(why.text, "pack 0000000000000001") &&
		       strstr(why.text, s.path));
		EXPECT(msn_store_find(s.store, "second", &s.second, NULL) ==
		       -ENOENT);

		/* The pack that failed is not appended to any more. */
		EXPECT(sample_save(s.store, &second, &s.second, NULL) == 0);
		CHECK(msn_store_usage(s.store, &usage, NULL) == 0);
		EXPECT(usage.pack_count == 2);
		expect_sound(&s, true);
		state_free(&s);
	}
}

static void short_writes_are_carried_on(void)
{
	static const struct aio_fault_rule rule = { .op = MSN_AIO_WRITE,
						    .bytes = 8192 };
	struct state s = state_new();

	EXPECT(save_over(&s, &rule, 1, NULL) == 0);
	EXPECT(sample_verify(s.store, &second, s.second, NULL) == 0);
	expect_sound(&s, true);
	state_free(&s);
}

static void a_disk_that_fills_up_at_any_write_publishes_nothing(void)
{
	for (unsigned n = 1; n <= 4; n++) {
		struct aio_fault_rule rule = { .op = MSN_AIO_WRITE,
					       .nth = n,
					       .error = -ENOSPC };
		struct state s = state_new();
		struct msn_failure why = { 0 };
		int rc = save_over(&s, &rule, 1, &why);

		EXPECT(rc == -ENOSPC || (rc == 0 && n > 3));
		EXPECT(rc == 0 || why.kind == MSN_FAILURE_EXHAUSTED);
		expect_sound(&s, rc == 0);
		state_free(&s);
	}
}

/* ---- A disk that is full ------------------------------------------------- */

static char *mount_tmpfs(const char *opts)
{
	char *dir = msn_strdup("/tmp/msn-full-XXXXXX");

	CHECK(dir && mkdtemp(dir));
	if (mount("tmpfs", dir, "tmpfs", 0, opts) == 0)
		return dir;
	printf("(not run: mounting a tmpfs needs root) ");
	rmdir(dir);
	free(dir);
	return NULL;
}

static void unmount_tmpfs(char *dir)
{
	EXPECT(umount(dir) == 0);
	rmdir(dir);
	free(dir);
}

static void fill_up(const char *dir, off_t leave)
{
	msn_auto(msn_freep) char *path = msn_format("%s/filler", dir);
	static const char block[65536];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	off_t size = 0;
	ssize_t n;

	CHECK(fd >= 0);
	while ((n = write(fd, block, sizeof(block))) > 0)
		size += n;
	CHECK(ftruncate(fd, size > leave ? size - leave : 0) == 0);
	close(fd);
}

/* 100 MiB: one pack fits, a second does not. */
static void a_full_disk_is_told_and_its_space_taken_back(void)
{
	struct sample large = { .seed = 7, .name = "l", .page_count = 20000 };
	char *dir = mount_tmpfs("size=100m");
	struct msn_failure why = { 0 };
	struct msn_store *store;
	struct msn_uid a, b;
	char *path;

	if (!dir)
		return;
	path = store_dir_in(dir);
	store = store_at(path);
	CHECK(sample_save(store, &first, &a, NULL) == 0);
	EXPECT(sample_save(store, &large, &b, &why) == -ENOSPC);
	EXPECT(why.kind == MSN_FAILURE_EXHAUSTED && strstr(why.text, path));
	EXPECT(store_count_files(path, ".pack") == 1);
	EXPECT(sample_verify(store, &first, a, NULL) == 0);
	EXPECT(sample_save(store, &second, &b, NULL) == 0);
	EXPECT(sample_verify(store, &second, b, NULL) == 0);

	/* Not a page left: saving fails, removing works. */
	fill_up(dir, 0);
	why = (struct msn_failure){ 0 };
	large.name = "m";
	EXPECT(sample_save(store, &large, &b, &why) == -ENOSPC);
	EXPECT(why.kind == MSN_FAILURE_EXHAUSTED);
	CHECK(msn_store_find(store, "second", &b, NULL) == 0);
	EXPECT(msn_store_remove(store, b, NULL, &why) == 0);
	msn_store_close(store);
	store = store_at(path);
	EXPECT(sample_verify(store, &first, a, NULL) == 0);
	EXPECT(msn_store_remove(store, a, NULL, NULL) == 0);
	msn_store_close(store);
	store_dir_free(path);
	unmount_tmpfs(dir);
}

/* Whatever number of bytes is left, a store is made or an error told. */
static void a_store_on_a_full_disk_fails_to_be_made(void)
{
	for (off_t left = 0; left <= 2 << 20; left += 128 << 10) {
		char *dir = mount_tmpfs("size=8m");
		struct msn_store_opts opts = { .create = true };
		struct msn_failure why = { 0 };
		struct msn_store *store = NULL;
		char *path;
		int rc;

		if (!dir)
			return;
		path = store_dir_in(dir);
		opts.path = path;
		fill_up(dir, left);
		rc = msn_store_open(&store, &opts, &why);
		EXPECT(rc == 0 || why.kind == MSN_FAILURE_EXHAUSTED);
		msn_store_close(store);
		fill_up(dir, 4 << 20);
		msn_store_close(store_at(path));
		store_dir_free(path);
		unlink(dir);
		msn_auto(msn_freep) char *filler = msn_format("%s/filler", dir);
		unlink(filler);
		unmount_tmpfs(dir);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_failure_of_a_save_leaves_the_store_sound),
		CHECK_TEST(every_failure_with_spares_leaves_the_store_sound),
		CHECK_TEST(every_failure_of_a_removal_leaves_the_store_sound),
		CHECK_TEST(every_failure_of_making_a_store_can_be_mended),
		CHECK_TEST(every_failure_of_a_read_is_an_error),
		CHECK_TEST(a_failed_write_publishes_nothing),
		CHECK_TEST(short_writes_are_carried_on),
		CHECK_TEST(a_disk_that_fills_up_at_any_write_publishes_nothing),
		CHECK_TEST(a_full_disk_is_told_and_its_space_taken_back),
		CHECK_TEST(a_store_on_a_full_disk_fails_to_be_made),
		{}
	};

	return check_main(argc, argv, "store faults", tests);
}
