/*
 * Frames: what is written can be read, page by page, from where it was said.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fd.h"
#include "base/rand.h"
#include "digest/digest.h"
#include "fakes/aio_fault.h"
#include "pack/frame_reader.h"
#include "pack/frame_writer.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PACKS_MAX 4

/* Packs are memfds here; the first one may be used in part already. */
struct packs {
	struct msn_pack_supply supply;
	int fds[PACKS_MAX];
	unsigned count;
	uint32_t start; /* first free page of the first */
	bool empty;	/* no pack to be had */
};

static int packs_next(struct msn_pack_supply *supply, struct msn_pack_slot *out,
		      struct msn_failure *why)
{
	struct packs *p = msn_container_of(supply, struct packs, supply);
	int fd;

	if (p->empty || p->count == PACKS_MAX)
		return msn_failure_errno(why, -ENOSPC, "no pack left");
	fd = memfd_create("pack", MFD_CLOEXEC);
	CHECK(fd >= 0);
	p->fds[p->count++] = fd;
	*out = (struct msn_pack_slot){ dup(fd), p->count, 7,
				       p->count == 1 && p->start ? p->start
								 : 1 };
	return 0;
}

struct fixture {
	struct packs packs;
	struct msn_aio *aio;
	struct msn_frame_writer *fw;
	struct msn_uid uid;
};

static void setup(struct fixture *f, enum msn_aio_method method)
{
	struct msn_frame_writer_opts opts = { .where = "/the/store" };

	f->uid = msn_uid_new();
	f->packs.supply.next = packs_next;
	CHECK(msn_aio_new(&f->aio,
			  &(struct msn_aio_opts){ .method = method }) == 0);
	opts.aio = f->aio;
	opts.supply = &f->packs.supply;
	opts.snapshot = f->uid;
	CHECK(msn_frame_writer_new(&f->fw, &opts, NULL) == 0);
}

static void teardown(struct fixture *f)
{
	EXPECT(msn_frame_writer_free(f->fw) == NULL);
	msn_aio_free(f->aio);
	for (unsigned i = 0; i < f->packs.count; i++)
		close(f->packs.fds[i]);
}

static void make_page(uint8_t *page, uint64_t n)
{
	for (size_t i = 0; i < 4096; i += 8) {
		uint64_t v = msn_rand_next(&n);

		memcpy(page + i, &v, 8);
	}
}

static int add(struct fixture *f, uint64_t n, struct msn_frame_place *place)
{
	uint8_t page[4096];

	make_page(page, n);
	return msn_frame_writer_add(f->fw, page, msn_digest_page(page), place,
				    NULL);
}

/* Adds pages 0, 1, ... of a space, with their extents. */
static void add_pages(struct fixture *f, uint64_t count,
		      struct msn_extents *list)
{
	struct msn_frame_place p;

	for (uint64_t i = 0; i < count; i++) {
		CHECK(add(f, i, &p) == 0);
		CHECK(p.generation == 7);
		CHECK(msn_extents_append(list,
					 (struct msn_extent){
						 i, 1, (uint32_t)p.pack_id - 1,
						 p.frame, p.at }) == 0);
	}
}

static int read_back(struct fixture *f, const struct msn_extents *list,
		     uint64_t count, uint8_t *out, struct msn_failure *why)
{
	struct msn_frame_pack packs[PACKS_MAX];
	struct msn_frame_reader_opts opts = { .packs = packs,
					      .pack_count = f->packs.count,
					      .where = "/the/store" };
	struct msn_frame_reader *r;
	int rc;

	opts.snapshot = f->uid;
	for (unsigned i = 0; i < f->packs.count; i++)
		packs[i] = (struct msn_frame_pack){ f->packs.fds[i], i + 1, 7 };
	CHECK(msn_frame_reader_new(&r, &opts, NULL) == 0);
	rc = msn_frame_reader_read(r, list, 0, count, out, why);
	msn_frame_reader_free(r);
	return rc;
}

static bool same_pages(const uint8_t *got, uint64_t count)
{
	uint8_t page[4096];

	for (uint64_t i = 0; i < count; i++) {
		make_page(page, i);
		if (memcmp(got + i * 4096, page, 4096) != 0)
			return false;
	}
	return true;
}

/*
 * page   0 | 1      | 2 .. 64 | 65     | 66 .. 128 | ...
 *          | header | 63      | header | 63        |
 */
static void full_frames_are_of_64_pages(void)
{
	struct fixture f = { 0 };
	struct msn_frame_place p;

	setup(&f, MSN_AIO_AUTO);
	for (uint64_t i = 0; i < 63 * 9; i++) {
		CHECK(add(&f, i, &p) == 0);
		EXPECT(p.frame == 1 + i / 63 * 64);
		EXPECT(p.at == p.frame + 1 + i % 63);
	}
	teardown(&f);
}

static void pages_read_back_over_packs_and_methods(void)
{
	static const enum msn_aio_method methods[] = { MSN_AIO_URING,
						       MSN_AIO_SYNC };
	enum { COUNT = 20000 };
	msn_auto(msn_freep) uint8_t *got = malloc(COUNT * 4096);

	CHECK(got);
	for (size_t i = 0; i < 2; i++) {
		struct fixture f = { .packs.start = 16000 };
		const struct msn_pack_fill *fills;
		struct msn_extents list = { 0 };
		size_t count;

		setup(&f, methods[i]);
		add_pages(&f, COUNT, &list);
		CHECK(msn_frame_writer_finish(f.fw, NULL) == 0);
		fills = msn_frame_writer_fills(f.fw, &count);
		EXPECT(count == 3 && f.packs.count == 3);
		EXPECT(fills[0].pages == MSN_PACK_PAGES &&
		       fills[2].pages < 10000);
		memset(got, 0, COUNT * 4096);
		EXPECT(read_back(&f, &list, COUNT, got, NULL) == 0);
		EXPECT(same_pages(got, COUNT));
		msn_extents_deinit(&list);
		teardown(&f);
	}
}

/* Every number of free pages at the end of a pack, down to one frame's. */
static void the_end_of_a_pack_is_used_as_far_as_it_goes(void)
{
	for (uint32_t left = 2; left < 140; left += 3) {
		struct fixture f = { .packs.start = MSN_PACK_PAGES - left };
		struct msn_extents list = { 0 };
		static uint8_t got[200 * 4096];

		setup(&f, MSN_AIO_SYNC);
		add_pages(&f, 200, &list);
		CHECK(msn_frame_writer_finish(f.fw, NULL) == 0);
		EXPECT(read_back(&f, &list, 200, got, NULL) == 0);
		EXPECT(same_pages(got, 200));
		msn_extents_deinit(&list);
		teardown(&f);
	}
}

/* Pages of one snapshot in any order, repeated, with gaps and zero runs. */
static void scattered_extents_read_back(void)
{
	enum { COUNT = 3000 };
	uint64_t seed = check_seed();
	struct fixture f = { 0 };
	struct msn_extents in_order = { 0 }, list = { 0 };
	msn_auto(msn_freep) uint8_t *got = calloc(COUNT, 4096);
	msn_auto(msn_freep) uint64_t *from = calloc(COUNT, 8);
	uint8_t page[4096];

	CHECK(got && from);
	setup(&f, MSN_AIO_AUTO);
	add_pages(&f, COUNT, &in_order);
	CHECK(msn_frame_writer_finish(f.fw, NULL) == 0);
	for (uint64_t i = 0; i < COUNT; i++) {
		uint64_t n = i;
		struct msn_extent e;

		if (msn_rand_next(&seed) % 4 == 0)
			n = msn_rand_next(&seed) % COUNT;
		from[i] = n;
		e = *msn_extents_lower(&in_order, n);
		e.at += (uint32_t)(n - e.page);
		e.page = i;
		e.count = 1;
		if (n % 7 == 0)
			e = (struct msn_extent){ i, 1, MSN_EXTENT_ZERO, 0, 0 };
		if (n % 11)
			CHECK(msn_extents_append(&list, e) == 0);
	}
	EXPECT(read_back(&f, &list, COUNT, got, NULL) == 0);
	for (uint64_t i = 0; i < COUNT; i++) {
		memset(page, 0, 4096);
		if (from[i] % 7 && from[i] % 11)
			make_page(page, from[i]);
		EXPECT(memcmp(got + i * 4096, page, 4096) == 0);
	}
	msn_extents_deinit(&in_order);
	msn_extents_deinit(&list);
	teardown(&f);
}

static void a_manifest_reads_back_over_packs(void)
{
	static const size_t lens[] = { 1,    4095,	    4096,
				       4097, 63 * 4096 + 1, 3000000 };

	for (size_t i = 0; i < MSN_ARRAY_LEN(lens); i++) {
		struct fixture f = { .packs.start = MSN_PACK_PAGES - 300 };
		msn_auto(msn_freep) uint8_t *bytes = malloc(lens[i]);
		msn_auto(msn_freep) uint8_t *got = NULL;
		struct msn_frame_run runs[MSN_FRAME_RUNS_MAX];
		struct msn_frame_manifest m = { .runs = runs };
		struct msn_frame_place p;
		uint8_t byte;

		CHECK(bytes);
		memset(bytes, (int)i + 1, lens[i]);
		setup(&f, MSN_AIO_AUTO);
		CHECK(add(&f, 1, &p) == 0);
		CHECK(msn_frame_writer_manifest(f.fw, bytes, lens[i], runs,
						&m.run_count, NULL) == 0);
		CHECK(add(&f, 2, &p) == 0);
		CHECK(msn_frame_writer_finish(f.fw, NULL) == 0);
		EXPECT(m.run_count == (i == 5 ? 2 : 1));
		m.snapshot = f.uid;
		m.bytes = lens[i];
		m.sum = msn_digest_bytes(bytes, lens[i]);
		m.fds = f.packs.fds;
		CHECK(msn_frame_manifest_read(&m, &got) == 0);
		EXPECT(memcmp(got, bytes, lens[i]) == 0);

		/* Not for another snapshot, length or sum; nor damaged. */
		free(msn_steal(got));
		m.snapshot.bytes[0] ^= 1;
		EXPECT(msn_frame_manifest_read(&m, &got) == -EBADMSG);
		m.snapshot = f.uid;
		m.bytes++;
		EXPECT(msn_frame_manifest_read(&m, &got) == -EBADMSG);
		m.bytes--;
		m.sum ^= 1;
		EXPECT(msn_frame_manifest_read(&m, &got) == -EBADMSG);
		m.sum ^= 1;
		byte = (uint8_t)(bytes[0] + 1);
		CHECK(pwrite(f.packs.fds[0], &byte, 1,
			     (runs[0].first + 1) * 4096) == 1);
		EXPECT(msn_frame_manifest_read(&m, &got) == -EBADMSG);
		teardown(&f);
	}
}

static void a_changed_page_is_never_handed_out(void)
{
	struct fixture f = { 0 };
	struct msn_extents list = { 0 };
	static uint8_t got[400 * 4096];
	struct msn_failure why = { 0 };

	setup(&f, MSN_AIO_AUTO);
	add_pages(&f, 400, &list);
	CHECK(msn_frame_writer_finish(f.fw, NULL) == 0);
	for (uint32_t i = 0; i < 400; i += 13) {
		const struct msn_extent *e = msn_extents_lower(&list, i);
		off_t at = (off_t)(e->at + i - e->page) * 4096 + i;
		uint8_t byte, flipped;

		CHECK(pread(f.packs.fds[0], &byte, 1, at) == 1);
		flipped = byte ^ 8;
		CHECK(pwrite(f.packs.fds[0], &flipped, 1, at) == 1);
		memset(got, 0, sizeof(got));
		why = (struct msn_failure){ 0 };
		EXPECT(read_back(&f, &list, 400, got, &why) == -EBADMSG);
		EXPECT(why.kind == MSN_FAILURE_DATA_LOSS);
		EXPECT(got[i * 4096] == 0 && got[i * 4096 + 4095] == 0);
		CHECK(pwrite(f.packs.fds[0], &byte, 1, at) == 1);
	}
	EXPECT(read_back(&f, &list, 400, got, NULL) == 0);
	msn_extents_deinit(&list);
	teardown(&f);
}

static void without_a_pack_every_call_fails_alike(void)
{
	struct fixture f = { .packs.empty = true };
	struct msn_frame_place p;
	struct msn_failure why = { 0 };

	setup(&f, MSN_AIO_AUTO);
	EXPECT(add(&f, 1, &p) == -ENOSPC);
	EXPECT(add(&f, 1, &p) == -ENOSPC);
	EXPECT(msn_frame_writer_finish(f.fw, &why) == -ENOSPC);
	EXPECT(why.kind == MSN_FAILURE_EXHAUSTED &&
	       strstr(why.text, "/the/store"));
	EXPECT(!msn_frame_writer_io_failed(f.fw));
	teardown(&f);
}

static void a_failed_write_is_told_at_last_by_finish(void)
{
	static const struct aio_fault_rule rules[] = {
		{ .op = MSN_AIO_WRITE, .nth = 2, .error = -EIO },
		{ .op = MSN_AIO_FDATASYNC, .nth = 1, .error = -EIO },
	};

	for (size_t i = 0; i < 2; i++) {
		struct fixture f = { 0 };
		struct msn_frame_writer_opts opts = { .where = "/the/store" };
		struct msn_frame_place p;
		struct msn_failure why = { 0 };
		int rc = 0;

		setup(&f, MSN_AIO_AUTO);
		msn_frame_writer_free(f.fw);
		f.aio = aio_fault_new(f.aio, &rules[i], 1);
		opts.aio = f.aio;
		opts.supply = &f.packs.supply;
		CHECK(msn_frame_writer_new(&f.fw, &opts, NULL) == 0);
		for (uint64_t n = 0; n < 700 && rc == 0; n++)
			rc = add(&f, n, &p);
		EXPECT(msn_frame_writer_finish(f.fw, &why) == -EIO);
		EXPECT(strstr(why.text, "pack 0000000000000001"));
		EXPECT(msn_frame_writer_io_failed(f.fw));

		/* A failed write is not followed by a sync that succeeds. */
		EXPECT(aio_fault_hits(f.aio) == 1);
		teardown(&f);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(full_frames_are_of_64_pages),
		CHECK_TEST(pages_read_back_over_packs_and_methods),
		CHECK_TEST(the_end_of_a_pack_is_used_as_far_as_it_goes),
		CHECK_TEST(scattered_extents_read_back),
		CHECK_TEST(a_manifest_reads_back_over_packs),
		CHECK_TEST(a_changed_page_is_never_handed_out),
		CHECK_TEST(without_a_pack_every_call_fails_alike),
		CHECK_TEST(a_failed_write_is_told_at_last_by_finish),
		{}
	};

	return check_main(argc, argv, "frames", tests);
}
