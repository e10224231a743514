/*
 * Pack files: headers, names, locks, and a second life.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pack/pack_file.h"

#include "base/fd.h"
#include "digest/digest.h"
#include "format/wire.h"
#include "pack/frame_cache.h"
#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char path[32];
	int dir;
};

static struct fixture setup(void)
{
	struct fixture f = { .path = "/tmp/msn-pack-XXXXXX" };

	CHECK(mkdtemp(f.path));
	f.dir = open(f.path, O_RDONLY | O_DIRECTORY);
	CHECK(f.dir >= 0);
	return f;
}

/* The only entry's name, if it ends with @suffix. */
static bool only_file(struct fixture *f, const char *suffix, char *name)
{
	DIR *dir = opendir(f->path);
	unsigned count = 0;
	struct dirent *e;

	CHECK(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		count++;
		snprintf(name, MSN_PACK_NAME, "%.31s", e->d_name);
	}
	closedir(dir);
	return count == 1 && strlen(name) > strlen(suffix) &&
	       strcmp(name + strlen(name) - strlen(suffix), suffix) == 0;
}

static void teardown(struct fixture *f)
{
	DIR *dir = opendir(f->path);
	struct dirent *e;

	CHECK(dir);
	while ((e = readdir(dir)))
		unlinkat(f->dir, e->d_name, 0);
	closedir(dir);
	close(f->dir);
	rmdir(f->path);
}

static struct msn_pack_header header(uint64_t id)
{
	return (struct msn_pack_header){ { { 1, 2, 3 } }, id, 1 };
}

static void names_are_told_from_others(void)
{
	static const char *const bad[] = {
		"",
		".pack",
		"0000000000000012",
		"000000000000012.pack",
		"00000000000000012.pack",
		"000000000000001G.pack",
		"000000000000001A.pack",
		"0000000000000012.packs",
		"0000000000000012.spare",
	};
	char name[MSN_PACK_NAME];
	uint64_t id = 0;

	msn_pack_name(0xfedcba9876543210, name);
	EXPECT(strcmp(name, "fedcba9876543210.pack") == 0);
	EXPECT(msn_pack_parse_name(name, &id) && id == 0xfedcba9876543210);
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		EXPECT(!msn_pack_parse_name(bad[i], &id));
	EXPECT(msn_pack_is_spare_name(bad[8]));
	EXPECT(!msn_pack_is_spare_name(name));
}

static void every_flipped_bit_of_a_header_is_told(void)
{
	struct msn_pack_header h = header(5), got;
	struct msn_frame_header fh = { .kind = MSN_FRAME_PAGES,
				       .page = 65,
				       .count = 63,
				       .pack_id = 5,
				       .generation = 1 },
				fgot;
	uint8_t pack[4096], frame[4096];

	msn_pack_header_encode(&h, pack);
	msn_frame_header_encode(&fh, frame);
	CHECK(msn_pack_header_decode(&got, pack) == 0);
	CHECK(msn_frame_header_decode(&fgot, frame) == 0);
	EXPECT(got.id == 5 && msn_uid_equal(got.store, h.store));
	EXPECT(fgot.page == 65 && fgot.count == 63 && fgot.pack_id == 5);
	for (size_t bit = 0; bit < 4096 * 8; bit++) {
		pack[bit / 8] ^= (uint8_t)(1u << bit % 8);
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		EXPECT(msn_pack_header_decode(&got, pack) ==
		       MSN_PACK_E_DAMAGED);
		EXPECT(msn_frame_header_decode(&fgot, frame) ==
		       MSN_PACK_E_DAMAGED);
		pack[bit / 8] ^= (uint8_t)(1u << bit % 8);
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static int decode_with(size_t at, uint8_t value)
{
	struct msn_frame_header h = { .kind = MSN_FRAME_PAGES,
				      .page = 1,
				      .count = 2 };
	uint8_t page[4096];

	msn_frame_header_encode(&h, page);
	page[at] = value;
	msn_put64(page + 4088, msn_digest_bytes(page, 4088));
	return msn_frame_header_decode(&h, page);
}

static void headers_of_later_programs_are_told(void)
{
	struct msn_pack_header h = header(5);
	uint8_t page[4096];

	msn_pack_header_encode(&h, page);
	msn_put32(page + 8, MSN_PACK_VERSION + 1);
	msn_put64(page + 4088, msn_digest_bytes(page, 4088));
	EXPECT(msn_pack_header_decode(&h, page) == MSN_PACK_E_NEWER);
	EXPECT(decode_with(8, 3) == MSN_PACK_E_NEWER);	  /* kind */
	EXPECT(decode_with(9, 1) == MSN_PACK_E_NEWER);	  /* codec */
	EXPECT(decode_with(10, 0) == MSN_PACK_E_DAMAGED); /* pages */
	EXPECT(decode_with(10, 64) == MSN_PACK_E_DAMAGED);
	EXPECT(decode_with(10, 63) == 0);
}

static void a_new_pack_has_all_its_space(void)
{
	struct fixture f = setup();
	struct msn_pack_header h = header(1), other = header(1);
	bool direct = msn_pack_direct(f.dir);
	struct stat st;
	int fd, again;

	CHECK(msn_pack_create(f.dir, &h, direct, &fd) == 0);
	CHECK(fstat(fd, &st) == 0);
	EXPECT(st.st_size == 64 << 20 && st.st_blocks * 512 >= 64 << 20);
	EXPECT(msn_pack_create(f.dir, &h, direct, &again) == -EEXIST);
	close(fd);
	CHECK(msn_pack_open_append(f.dir, &h, direct, &fd) == 0);
	close(fd);
	CHECK(msn_pack_open_read(f.dir, &h, &fd) == 0);
	close(fd);
	other.generation = 2;
	EXPECT(msn_pack_open_read(f.dir, &other, &fd) == MSN_PACK_E_OTHER);
	EXPECT(msn_pack_open_append(f.dir, &other, direct, &fd) ==
	       MSN_PACK_E_OTHER);
	other = header(1);
	other.store.bytes[0] = 9;
	EXPECT(msn_pack_open_read(f.dir, &other, &fd) == MSN_PACK_E_OTHER);
	other = header(2);
	EXPECT(msn_pack_open_read(f.dir, &other, &fd) == -ENOENT);
	teardown(&f);
}

static void a_spare_lives_again_in_the_next_generation(void)
{
	struct fixture f = setup();
	struct msn_pack_header h = header(1), next = header(2);
	char name[MSN_PACK_NAME];
	int fd;

	CHECK(msn_pack_create(f.dir, &h, false, &fd) == 0);
	close(fd);
	msn_pack_name(1, name);
	CHECK(msn_pack_retire(f.dir, name, true) == 0);
	EXPECT(only_file(&f, ".spare", name));
	EXPECT(msn_pack_is_spare_name(name));
	CHECK(msn_pack_recycle(f.dir, name, &next, true, &fd) == 0);
	close(fd);
	EXPECT(next.id == 2 && next.generation == 2);
	CHECK(msn_pack_open_read(f.dir, &next, &fd) == 0);
	close(fd);
	EXPECT(msn_pack_open_read(f.dir, &h, &fd) == -ENOENT);
	teardown(&f);
}

static void a_pack_that_is_read_is_not_retired(void)
{
	struct fixture f = setup();
	struct msn_pack_header h = header(1), next = header(2);
	char name[MSN_PACK_NAME];
	int fd, reader;

	CHECK(msn_pack_create(f.dir, &h, false, &fd) == 0);
	close(fd);
	CHECK(msn_pack_open_read(f.dir, &h, &reader) == 0);
	msn_pack_name(1, name);
	EXPECT(msn_pack_retire(f.dir, name, true) == MSN_PACK_E_BUSY);
	EXPECT(msn_pack_retire(f.dir, name, false) == MSN_PACK_E_BUSY);
	close(reader);
	CHECK(msn_pack_retire(f.dir, name, true) == 0);

	/* Nor is a spare taken that a late reader still has. */
	CHECK(only_file(&f, ".spare", name));
	reader = openat(f.dir, name, O_RDONLY);
	CHECK(reader >= 0 && flock(reader, LOCK_SH) == 0);
	EXPECT(msn_pack_recycle(f.dir, name, &next, false, &fd) ==
	       MSN_PACK_E_BUSY);
	close(reader);
	CHECK(msn_pack_recycle(f.dir, name, &next, false, &fd) == 0);
	close(fd);
	teardown(&f);
}

static void a_spare_that_is_no_pack_goes(void)
{
	struct fixture f = setup();
	struct msn_pack_header h = header(1);
	char name[MSN_PACK_NAME];
	int fd;

	for (unsigned i = 0; i < 2; i++) {
		CHECK(msn_pack_create(f.dir, &h, false, &fd) == 0);
		/* Once a torn header, once a file of another size. */
		if (i == 0)
			CHECK(msn_pwrite_full(fd, "torn", 4, 2000) == 0);
		else
			CHECK(ftruncate(fd, 4096) == 0);
		close(fd);
		msn_pack_name(1, name);
		CHECK(msn_pack_retire(f.dir, name, true) == 0);
		CHECK(only_file(&f, ".spare", name));
		EXPECT(msn_pack_recycle(f.dir, name, &h, false, &fd) ==
		       MSN_PACK_E_DAMAGED);
		EXPECT(faccessat(f.dir, name, F_OK, 0) != 0);
	}
	teardown(&f);
}

static void headers_are_cached_by_pack_and_frame(void)
{
	msn_auto(msn_frame_cache_freep) struct msn_frame_cache *cache = NULL;
	struct msn_frame_header h = { 0 };
	unsigned kept = 0;

	CHECK(msn_frame_cache_new(&cache) == 0);
	EXPECT(!msn_frame_cache_find(cache, 0, 1));
	for (uint32_t pack = 0; pack < 16; pack++) {
		for (uint32_t frame = 1; frame < 16384; frame += 64) {
			h.sequence = pack * 100000 + frame;
			EXPECT(msn_frame_cache_put(cache, pack, frame, &h)
				       ->sequence == h.sequence);
		}
	}
	for (uint32_t pack = 0; pack < 16; pack++) {
		for (uint32_t frame = 1; frame < 16384; frame += 64) {
			const struct msn_frame_header *got =
				msn_frame_cache_find(cache, pack, frame);

			kept += got != NULL;
			EXPECT(!got || got->sequence == pack * 100000 + frame);
		}
	}
	/* 16 packs of 256 whole frames are just what it holds. */
	EXPECT(kept == 4096);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(names_are_told_from_others),
		CHECK_TEST(every_flipped_bit_of_a_header_is_told),
		CHECK_TEST(headers_of_later_programs_are_told),
		CHECK_TEST(a_new_pack_has_all_its_space),
		CHECK_TEST(a_spare_lives_again_in_the_next_generation),
		CHECK_TEST(a_pack_that_is_read_is_not_retired),
		CHECK_TEST(a_spare_that_is_no_pack_goes),
		CHECK_TEST(headers_are_cached_by_pack_and_frame),
		{}
	};

	return check_main(argc, argv, "pack files", tests);
}
