/*
 * Shared memory objects made again: what a snapshot knows of one is enough.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "shmem/shmem.h"

#include "base/cleanup.h"
#include "shmem/seals.h"
#include "support/check.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#define PAGE MSN_PAGE_SIZE
#define ALL ((struct msn_obj_range){ 0, UINT64_C(1) << 63 })
#define SIZE (10 * PAGE + 5)

struct pair {
	struct msn_memfile *mf;
	struct msn_shmem *was, *now;
};

/*
 * pages    0 1 2 3 4 5 6 7 8 9 | 10 ... 20 21
 *          b   z   f f     w   |  b     f
 *
 * b bytes, z zeros that were written, f from fallocate(), w twice so; the size
 * ends in page 10.
 */
static struct msn_shmem *make(struct msn_memfile *mf, unsigned seals)
{
	static const char zeros[MSN_PAGE_SIZE];
	struct msn_shmem *s;

	CHECK(msn_memfd_create(&s, &(struct msn_memfd_opts){
					   .memfile = mf,
					   .name = "was",
					   .flags = MFD_ALLOW_SEALING }) == 0);
	CHECK(msn_shmem_pwrite(s, "first", 5, 0) == 5);
	CHECK(msn_shmem_pwrite(s, zeros, PAGE, 2 * PAGE) == PAGE);
	CHECK(msn_shmem_fallocate(s, 0, 4 * PAGE, 2 * PAGE) == 0);
	CHECK(msn_shmem_fallocate(s, 0, 8 * PAGE, PAGE) == 0);
	CHECK(msn_shmem_fallocate(s, 0, 8 * PAGE, PAGE) == 0);
	CHECK(msn_shmem_pwrite(s, "last", 4, SIZE - 4) == 4);
	CHECK(msn_shmem_fallocate(s, FALLOC_FL_KEEP_SIZE, 20 * PAGE, PAGE) ==
	      0);
	CHECK(msn_shmem_chmod(s, 0640) == 0);
	CHECK(msn_shmem_add_seals(s, seals) == 0);
	return s;
}

static int copy_bytes(struct msn_shmem *from, struct msn_shmem *to,
		      struct msn_obj_range data)
{
	static char page[MSN_PAGE_SIZE];

	for (; data.start < data.end; data.start += PAGE) {
		int rc;

		memset(page, 0, sizeof(page));
		CHECK(msn_shmem_pread(from, page, PAGE, (int64_t)data.start) >
		      0);
		rc = msn_shmem_put(to, page, PAGE, data.start);
		if (rc)
			return rc;
	}
	return 0;
}

/* As a restore does. */
static int fill_again(struct pair *p)
{
	struct msn_mappable *obj = msn_shmem_mappable(p->was);
	struct msn_obj_range left = ALL, got;
	bool written;
	int rc;

	while ((rc = msn_mappable_next_allocated(obj, left, &got, &written)) ==
	       0) {
		rc = msn_shmem_populate(p->now, got, written);
		if (rc)
			return rc;
		left.start = got.end;
	}
	CHECK(rc == MSN_MAPPABLE_E_NO_DATA);
	left.start = 0;
	while ((rc = msn_mappable_next_data(obj, left, &got)) == 0) {
		rc = copy_bytes(p->was, p->now, got);
		if (rc)
			return rc;
		left.start = got.end;
	}
	return rc == MSN_MAPPABLE_E_NO_DATA ? 0 : rc;
}

static int make_again(struct pair *p)
{
	struct msn_identity *id = msn_shmem_identity(p->was);
	struct msn_identity_saved saved;
	int rc;

	CHECK(msn_identity_save(id, &saved) == 0);
	rc = msn_shmem_new(
		&p->now,
		&(struct msn_shmem_opts){ .memfile = p->mf,
					  .size = saved.file.size_bytes,
					  .name = msn_identity_mapped_name(id),
					  .was = &(struct msn_shmem_was){
						  saved.mode, saved.seals } });
	return rc ? rc : fill_again(p);
}

static void pair_open(struct pair *p, unsigned seals)
{
	*p = (struct pair){ 0 };
	CHECK(msn_memfile_new(&p->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	p->was = make(p->mf, seals);
}

static void pair_close(struct pair *p)
{
	msn_identity_dec_ref(msn_shmem_identity(p->was));
	if (p->now)
		msn_identity_dec_ref(msn_shmem_identity(p->now));
	EXPECT(msn_memfile_used(p->mf) == 0);
	msn_memfile_free(p->mf);
}

static void expect_same_stat(struct msn_shmem *a, struct msn_shmem *b)
{
	struct msn_shmem_stat x, y;

	CHECK(msn_shmem_stat(a, &x) == 0 && msn_shmem_stat(b, &y) == 0);
	EXPECT(x.size_bytes == y.size_bytes && x.mode == y.mode);
	EXPECT(x.allocated_bytes == y.allocated_bytes);
	EXPECT(x.inode != y.inode);
	EXPECT(msn_shmem_get_seals(a) == msn_shmem_get_seals(b));
	EXPECT(strcmp(msn_identity_mapped_name(msn_shmem_identity(a)),
		      msn_identity_mapped_name(msn_shmem_identity(b))) == 0);
	EXPECT(msn_shmem_check(b) == NULL);
}

static void expect_same_bytes(struct msn_shmem *a, struct msn_shmem *b)
{
	static char x[32 * MSN_PAGE_SIZE], y[sizeof(x)];
	ssize_t n = msn_shmem_pread(a, x, sizeof(x), 0);

	EXPECT(msn_shmem_pread(b, y, sizeof(y), 0) == n);
	EXPECT(n >= 0 && memcmp(x, y, (size_t)n) == 0);
	for (int64_t at = 0; at < 12 * 4096; at += 2048) {
		EXPECT(msn_shmem_seek(a, at, SEEK_DATA) ==
		       msn_shmem_seek(b, at, SEEK_DATA));
		EXPECT(msn_shmem_seek(a, at, SEEK_HOLE) ==
		       msn_shmem_seek(b, at, SEEK_HOLE));
	}
}

static void an_object_made_again_is_the_one_that_was(void)
{
	static const unsigned seals[] = { 0, F_SEAL_WRITE | F_SEAL_SEAL,
					  F_SEAL_GROW | F_SEAL_SHRINK };

	for (size_t i = 0; i < MSN_ARRAY_LEN(seals); i++) {
		struct msn_shmem_stat st;
		struct pair p;

		pair_open(&p, seals[i]);
		CHECK(make_again(&p) == 0);
		expect_same_stat(p.was, p.now);
		expect_same_bytes(p.was, p.now);
		EXPECT(msn_shmem_get_seals(p.now) == seals[i]);
		CHECK(msn_shmem_stat(p.now, &st) == 0);
		EXPECT(st.size_bytes == SIZE && st.mode == 0640);
		EXPECT(st.allocated_bytes == 7 * PAGE);
		pair_close(&p);
	}
}

static void later_calls_do_the_same_to_both(void)
{
	struct pair p;
	struct msn_shmem *s;

	pair_open(&p, 0);
	CHECK(make_again(&p) == 0);
	for (int i = 0; i < 2; i++) {
		s = i ? p.now : p.was;
		CHECK(msn_shmem_fallocate(s, 0, 4 * PAGE, PAGE) == 0);
		CHECK(msn_shmem_truncate(s, 30 * PAGE) == 0);
		CHECK(msn_shmem_pwrite(s, "there", 5, 20 * PAGE) == 5);
		CHECK(msn_shmem_fallocate(
			      s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      PAGE) == 0);
		CHECK(msn_shmem_add_seals(s, F_SEAL_WRITE) == 0);
		EXPECT(msn_shmem_pwrite(s, "x", 1, 0) == -EPERM);
	}
	expect_same_stat(p.was, p.now);
	expect_same_bytes(p.was, p.now);
	pair_close(&p);
}

static void what_is_allocated_stands_in_rows(void)
{
	static const struct {
		uint64_t start, end;
		bool written;
	} rows[] = { { 0, 1, true }, { 2, 3, true },   { 4, 6, false },
		     { 8, 9, true }, { 10, 11, true }, { 20, 21, false },
		     { 0, 0, false } };
	struct msn_obj_range left = ALL, got;
	struct pair p;
	bool written;
	size_t i = 0;

	pair_open(&p, 0);
	for (; msn_mappable_next_allocated(msn_shmem_mappable(p.was), left,
					   &got, &written) == 0;
	     i++) {
		EXPECT(got.start == rows[i].start * PAGE &&
		       got.end == rows[i].end * PAGE &&
		       written == rows[i].written);
		left.start = got.end;
	}
	EXPECT(i == MSN_ARRAY_LEN(rows) - 1);
	pair_close(&p);
}

static void what_only_has_a_place_is_not_allocated(void)
{
	struct msn_obj_range pages = { 0, 4 * PAGE }, got;
	struct msn_translation t;
	struct msn_memfile *mf;
	struct msn_shmem *s;
	size_t done;
	bool written;
	int why;

	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_shmem_new(&s, &(struct msn_shmem_opts){ .memfile = mf,
							  .size = 4 * PAGE }) ==
	      0);
	CHECK(msn_mappable_translate(msn_shmem_mappable(s), pages, pages,
				     MSN_ACCESS_NONE, &t, 1, &why) == 1);
	EXPECT(msn_mappable_next_allocated(msn_shmem_mappable(s), pages, &got,
					   &written) == MSN_MAPPABLE_E_NO_DATA);
	/* As a program does that has it in its page tables. */
	CHECK(msn_file_write(t.file, t.offset + PAGE, "x", 1, &done) == 0);
	EXPECT(msn_mappable_next_allocated(msn_shmem_mappable(s), pages, &got,
					   &written) == 0);
	EXPECT(got.start == PAGE && got.end == 2 * PAGE && written);
	msn_identity_dec_ref(msn_shmem_identity(s));
	msn_memfile_free(mf);
}

/* ---- Failures ------------------------------------------------------------ */

static void *walk_prepare(void)
{
	struct pair *p = calloc(1, sizeof(*p));

	CHECK(p);
	pair_open(p, F_SEAL_WRITE);
	return p;
}

static int walk_body(void *state)
{
	return make_again(state);
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct pair *p = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	if (p->now)
		EXPECT(msn_shmem_check(p->now) == NULL);
	pair_close(p);
	free(p);
}

static void a_failure_leaves_nothing_behind(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 3);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_object_made_again_is_the_one_that_was),
		CHECK_TEST(later_calls_do_the_same_to_both),
		CHECK_TEST(what_is_allocated_stands_in_rows),
		CHECK_TEST(what_only_has_a_place_is_not_allocated),
		CHECK_TEST(a_failure_leaves_nothing_behind),
		{}
	};

	return check_main(argc, argv, "shmem_again", tests);
}
