/*
 * Store: files that are missing, cut short, flipped, foreign or newer.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each gives one line that names the thing, of the right kind; nothing crashes,
 * and no page is ever handed out that is not what was saved.
 */
#include "base/alloc.h"
#include "base/fd.h"
#include "base/rand.h"
#include "digest/digest.h"
#include "fakes/store_fixture.h"
#include "format/wire.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER "memsnap-store"
#define CATALOG "catalog/data.mdb"
#define PACK "packs/0000000000000001.pack"

static const struct sample sample = {
	.seed = 1, .name = "one", .page_count = 150, .blob_bytes = 10000
};

struct fixture {
	char *path;
	struct msn_uid uid;
};

static struct fixture setup(void)
{
	struct fixture f = { .path = store_dir_in_memory() };
	struct msn_store *store = store_at(f.path);

	CHECK(sample_save(store, &sample, &f.uid, NULL) == 0);
	msn_store_close(store);
	return f;
}

static int file_open(const struct fixture *f, const char *name)
{
	msn_auto(msn_freep) char *path = msn_format("%s/%s", f->path, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void file_flip(const struct fixture *f, const char *name, off_t at,
		      unsigned bits)
{
	msn_auto(msn_closep) int fd = file_open(f, name);
	uint8_t byte;

	CHECK(pread(fd, &byte, 1, at) == 1);
	byte ^= (uint8_t)bits;
	CHECK(pwrite(fd, &byte, 1, at) == 1);
}

static off_t file_size(const struct fixture *f, const char *name)
{
	msn_auto(msn_closep) int fd = file_open(f, name);
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	return st.st_size;
}

static void file_cut(const struct fixture *f, const char *name, off_t size)
{
	msn_auto(msn_closep) int fd = file_open(f, name);

	CHECK(ftruncate(fd, size) == 0);
}

static void file_remove(const struct fixture *f, const char *name)
{
	msn_auto(msn_freep) char *path = msn_format("%s/%s", f->path, name);

	CHECK(unlink(path) == 0);
}

static void file_write(const struct fixture *f, const char *name,
		       const char *text)
{
	msn_auto(msn_freep) char *path = msn_format("%s/%s", f->path, name);
	msn_auto(msn_closep) int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && msn_write_full(fd, text, strlen(text)) == 0);
}

/* Opens and reads everything: 0, or what was told. */
static int try_all(const struct fixture *f, struct msn_failure *why)
{
	struct msn_store_opts opts = { .path = f->path };
	struct msn_snapshot_info *list = NULL;
	struct msn_store *store;
	struct msn_uid uid;
	size_t count;
	int rc;

	*why = (struct msn_failure){ 0 };
	rc = msn_store_open(&store, &opts, why);
	if (rc)
		return rc;
	rc = msn_store_list(store, &list, &count, why);
	free(list);
	if (rc == 0)
		rc = msn_store_find(store, sample.name, &uid, why);
	if (rc == 0)
		rc = sample_verify(store, &sample, f->uid, why);
	msn_store_close(store);
	return rc;
}

static void expect(const struct fixture *f, int rc, enum msn_failure_kind kind,
		   const char *part)
{
	struct msn_failure why;
	int got = try_all(f, &why);

	if (got != rc || why.kind != kind || !strstr(why.text, part))
		printf("(%d %s) ", got, why.text);
	EXPECT(got == rc && why.kind == kind);
	if (rc)
		EXPECT(strstr(why.text, part) && strstr(why.text, f->path));
}

static void a_missing_store_is_not_found(void)
{
	struct fixture f = { .path = store_dir_in_memory() };

	expect(&f, -ENOENT, MSN_FAILURE_NOT_FOUND, "does not exist");
	store_dir_free(f.path);
}

static void a_file_is_not_a_store(void)
{
	struct fixture f = { .path = store_dir_in_memory() };
	int fd = open(f.path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	expect(&f, -EINVAL, MSN_FAILURE_INVALID, "not a store");
	store_dir_free(f.path);
}

static void a_foreign_folder_is_not_a_store(void)
{
	struct fixture f = { .path = store_dir_in_memory() };
	struct msn_store_opts opts = { .path = f.path, .create = true };
	struct msn_failure why = { 0 };
	struct msn_store *store;

	CHECK(mkdir(f.path, 0700) == 0);
	file_write(&f, "letter.txt", "dear");
	expect(&f, -EINVAL, MSN_FAILURE_INVALID, "not a store");
	EXPECT(msn_store_open(&store, &opts, &why) == -EINVAL);
	EXPECT(why.kind == MSN_FAILURE_INVALID &&
	       strstr(why.text, "not empty"));

	/* And nothing was put into it. */
	file_remove(&f, "letter.txt");
	EXPECT(rmdir(f.path) == 0);
	free(f.path);
}

static void a_missing_marker_is_damage_and_not_made_anew(void)
{
	struct fixture f = setup();
	struct msn_store_opts opts = { .path = f.path, .create = true };
	struct msn_failure why = { 0 };
	struct msn_store *store;

	file_remove(&f, MARKER);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, MARKER " is missing");
	EXPECT(msn_store_open(&store, &opts, &why) == -EBADMSG);
	EXPECT(why.kind == MSN_FAILURE_DATA_LOSS);
	store_dir_free(f.path);
}

static void a_damaged_marker_is_told(void)
{
	struct fixture f = setup();
	off_t size = file_size(&f, MARKER);

	for (off_t at = 0; at < size; at++) {
		for (unsigned bit = 1; bit < 256; bit *= 2) {
			file_flip(&f, MARKER, at, bit);
			expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, MARKER);
			file_flip(&f, MARKER, at, bit);
		}
	}
	expect(&f, 0, MSN_FAILURE_NONE, "");
	store_dir_free(f.path);
}

static void a_marker_cut_short_is_told(void)
{
	struct fixture f = setup();

	for (off_t size = file_size(&f, MARKER) - 1; size >= 0; size--) {
		file_cut(&f, MARKER, size);
		expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, MARKER);
	}
	store_dir_free(f.path);
}

static void a_newer_format_is_told_with_both_versions(void)
{
	struct fixture f = setup();
	char body[] = "memsnap store\nformat 12\nsomething new\n", text[128];

	snprintf(text, sizeof(text), "%ssum %016llx\n", body,
		 (unsigned long long)msn_digest_bytes(body, strlen(body)));
	file_write(&f, MARKER, text);
	expect(&f, -EOPNOTSUPP, MSN_FAILURE_UNSUPPORTED, "version 12");
	expect(&f, -EOPNOTSUPP, MSN_FAILURE_UNSUPPORTED, "up to 1");
	store_dir_free(f.path);
}

static void a_missing_catalog_is_told(void)
{
	struct fixture f = setup();

	file_cut(&f, CATALOG, 0);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "catalog");
	file_remove(&f, CATALOG);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "catalog");

	/* It was not made anew by trying. */
	EXPECT(access(f.path, F_OK) == 0);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "catalog");
	store_dir_free(f.path);
}

static void the_catalog_of_another_store_is_told(void)
{
	struct fixture f = setup(), g = setup();
	msn_auto(msn_freep) char *from = msn_format("%s/" CATALOG, g.path);
	msn_auto(msn_freep) char *to = msn_format("%s/" CATALOG, f.path);

	CHECK(rename(from, to) == 0);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "another store");
	store_dir_free(f.path);
	store_dir_free(g.path);
}

static void a_catalog_cut_short_is_told(void)
{
	struct fixture f = setup();

	for (off_t size = file_size(&f, CATALOG) - 1; size > 0;
	     size -= size > 8192 ? 1777 : 511) {
		file_cut(&f, CATALOG, size);
		expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "catalog");
	}
	store_dir_free(f.path);
}

/* A flip is told, or was where it changes nothing. */
static void expect_told(const struct fixture *f)
{
	struct msn_failure why;
	int rc = try_all(f, &why);

	EXPECT(rc <= 0);
	if (rc < 0) {
		EXPECT(why.kind == MSN_FAILURE_DATA_LOSS ||
		       why.kind == MSN_FAILURE_UNSUPPORTED ||
		       why.kind == MSN_FAILURE_NOT_FOUND);
		EXPECT(strstr(why.text, f->path));
	}
}

static void a_flipped_catalog_is_told_or_harmless(void)
{
	uint64_t seed = check_seed();
	struct fixture f = setup();
	off_t size = file_size(&f, CATALOG);

	for (unsigned i = 0; i < 1500; i++) {
		off_t at = (off_t)(msn_rand_next(&seed) % (uint64_t)size);
		unsigned bits = 1 + (unsigned)(msn_rand_next(&seed) % 255);

		/* Heads of pages and their nodes more often than the rest. */
		if (i % 2)
			at = at / 4096 * 4096 + at % 200;
		file_flip(&f, CATALOG, at, bits);
		expect_told(&f);
		file_flip(&f, CATALOG, at, bits);
	}
	expect(&f, 0, MSN_FAILURE_NONE, "");
	store_dir_free(f.path);
}

/* What is written to a store with a damaged catalog must not crash either. */
static void writing_under_a_flipped_catalog_is_survived(void)
{
	struct sample more = { .seed = 5, .name = "two", .page_count = 5 };
	uint64_t seed = check_seed();

	for (unsigned i = 0; i < 100; i++) {
		struct fixture f = setup();
		struct msn_store_opts opts = { .path = f.path };
		off_t at = (off_t)(msn_rand_next(&seed) % 10) * 4096 +
			   (off_t)(msn_rand_next(&seed) % 400);
		struct msn_store *store;
		struct msn_uid uid;

		if (at < file_size(&f, CATALOG))
			file_flip(&f, CATALOG, at, 1u << i % 8);
		if (msn_store_open(&store, &opts, NULL) == 0) {
			if (sample_save(store, &more, &uid, NULL) == 0)
				EXPECT(sample_verify(store, &more, uid, NULL) ==
				       0);
			if (msn_store_remove(store, f.uid, NULL, NULL) == 0)
				EXPECT(store_count_files(f.path, ".pack") <= 1);
			msn_store_close(store);
		}
		store_dir_free(f.path);
	}
}

static void a_missing_pack_is_told(void)
{
	struct fixture f = setup();

	file_remove(&f, PACK);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "pack 0000000000000001");
	store_dir_free(f.path);
}

static void a_missing_packs_folder_is_told(void)
{
	struct fixture f = setup();
	msn_auto(msn_freep) char *packs = msn_format("%s/packs", f.path);

	file_remove(&f, PACK);
	CHECK(rmdir(packs) == 0);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "packs");
	store_dir_free(f.path);
}

static void a_pack_cut_short_is_told(void)
{
	struct fixture f = setup();

	for (off_t pages = 150; pages >= 0; pages -= 20) {
		file_cut(&f, PACK, pages * 4096 + 100);
		expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "damaged");
	}
	store_dir_free(f.path);
}

/* Page 0 is the pack's header, 1 and 65 are frame headers. */
static void every_flipped_page_is_told(void)
{
	struct fixture f = setup();

	for (off_t page = 0; page < 155; page++) {
		file_flip(&f, PACK, page * 4096 + (page * 31) % 4096, 4);
		expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "damaged");
		file_flip(&f, PACK, page * 4096 + (page * 31) % 4096, 4);
	}
	expect(&f, 0, MSN_FAILURE_NONE, "");
	store_dir_free(f.path);
}

static void damage_is_told_with_snapshot_pack_and_page(void)
{
	struct fixture f = setup();
	char uid[MSN_UID_TEXT];

	msn_uid_format(f.uid, uid);
	file_flip(&f, PACK, 7 * 4096 + 5, 1);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, uid);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS,
	       "page 7 of pack "
	       "0000000000000001");
	store_dir_free(f.path);
}

/* A block that the disk wrote somewhere else: right, but not here. */
static void a_misplaced_frame_is_told(void)
{
	struct fixture f = setup();
	msn_auto(msn_closep) int fd = file_open(&f, PACK);
	static uint8_t frame[64 * 4096];

	CHECK(pread(fd, frame, sizeof(frame), 4096) == sizeof(frame));
	CHECK(pwrite(fd, frame, sizeof(frame), 65 * 4096) == sizeof(frame));
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "another frame");
	store_dir_free(f.path);
}

static void the_pack_of_another_store_is_told(void)
{
	struct fixture f = setup(), g = setup();
	msn_auto(msn_freep) char *from = msn_format("%s/" PACK, g.path);
	msn_auto(msn_freep) char *to = msn_format("%s/" PACK, f.path);

	CHECK(rename(from, to) == 0);
	expect(&f, -EBADMSG, MSN_FAILURE_DATA_LOSS, "another one");
	store_dir_free(f.path);
	store_dir_free(g.path);
}

static void a_newer_pack_is_told(void)
{
	struct fixture f = setup();
	msn_auto(msn_closep) int fd = file_open(&f, PACK);
	uint8_t page[4096];

	CHECK(pread(fd, page, 4096, 0) == 4096);
	page[8] = 2;
	msn_put64(page + 4088, msn_digest_bytes(page, 4088));
	CHECK(pwrite(fd, page, 4096, 0) == 4096);
	expect(&f, -EOPNOTSUPP, MSN_FAILURE_UNSUPPORTED, "newer program");
	store_dir_free(f.path);
}

/* Whatever lies in the folder that is no pack of ours stays there. */
static void foreign_files_among_packs_are_left_alone(void)
{
	struct fixture f = setup();
	struct sample more = { .seed = 5, .name = "two", .page_count = 5 };
	struct msn_store *store;
	struct msn_uid uid;

	file_write(&f, "packs/notes.txt", "mine");
	file_write(&f, "packs/0000000000000abc.pack", "no pack");
	file_write(&f, "packs/0000000000000abc.spare", "no spare");
	store = store_at(f.path);
	CHECK(sample_save(store, &more, &uid, NULL) == 0);
	CHECK(msn_store_remove(store, f.uid, NULL, NULL) == 0);
	CHECK(msn_store_remove(store, uid, NULL, NULL) == 0);
	CHECK(sample_save(store, &more, &uid, NULL) == 0);
	EXPECT(sample_verify(store, &more, uid, NULL) == 0);
	EXPECT(store_count_files(f.path, "notes.txt") == 1);
	msn_store_close(store);
	store_dir_free(f.path);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_missing_store_is_not_found),
		CHECK_TEST(a_file_is_not_a_store),
		CHECK_TEST(a_foreign_folder_is_not_a_store),
		CHECK_TEST(a_missing_marker_is_damage_and_not_made_anew),
		CHECK_TEST(a_damaged_marker_is_told),
		CHECK_TEST(a_marker_cut_short_is_told),
		CHECK_TEST(a_newer_format_is_told_with_both_versions),
		CHECK_TEST(a_missing_catalog_is_told),
		CHECK_TEST(the_catalog_of_another_store_is_told),
		CHECK_TEST(a_catalog_cut_short_is_told),
		CHECK_TEST(a_flipped_catalog_is_told_or_harmless),
		CHECK_TEST(writing_under_a_flipped_catalog_is_survived),
		CHECK_TEST(a_missing_pack_is_told),
		CHECK_TEST(a_missing_packs_folder_is_told),
		CHECK_TEST(a_pack_cut_short_is_told),
		CHECK_TEST(every_flipped_page_is_told),
		CHECK_TEST(damage_is_told_with_snapshot_pack_and_page),
		CHECK_TEST(a_misplaced_frame_is_told),
		CHECK_TEST(the_pack_of_another_store_is_told),
		CHECK_TEST(a_newer_pack_is_told),
		CHECK_TEST(foreign_files_among_packs_are_left_alone),
		{}
	};

	return check_main(argc, argv, "store damage", tests);
}
