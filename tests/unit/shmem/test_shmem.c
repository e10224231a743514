/*
 * Shared memory objects: what the oracle test cannot see from outside.
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
#define PAGES(a, b) ((struct msn_obj_range){ (a)*PAGE, (b)*PAGE })
#define ADDRS(a, b) ((struct msn_addr_range){ (a)*PAGE, (b)*PAGE })
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* A mapping space that remembers what it was told, and what was so then. */
struct recorder {
	struct msn_mapping_space base;
	struct msn_shmem *of;
	struct msn_memfile *mf;
	struct msn_addr_range last;
	bool private;
	unsigned calls;
	uint64_t size_then, used_then;
};

struct fixture {
	struct msn_memfile *mf;
	struct msn_shmem *s;
	struct msn_mappable *obj;
	struct recorder r;
};

static void record(struct msn_mapping_space *ms, struct msn_addr_range ar,
		   struct msn_invalidate_opts opts)
{
	struct recorder *r = msn_container_of(ms, struct recorder, base);
	struct msn_shmem_stat st;

	CHECK(msn_shmem_stat(r->of, &st) == 0);
	r->last = ar;
	r->private = opts.invalidate_private;
	r->calls++;
	r->size_then = st.size_bytes;
	r->used_then = msn_memfile_used(r->mf);
}

static const struct msn_mapping_space_ops recorder_ops = {
	.invalidate = record,
};

static void open_object(struct fixture *f, uint64_t size)
{
	memset(f, 0, sizeof(*f));
	CHECK(msn_memfile_new(&f->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_memfd_create(&f->s,
			       &(struct msn_memfd_opts){
				       .memfile = f->mf,
				       .name = "test",
				       .flags = MFD_ALLOW_SEALING }) == 0);
	CHECK(msn_shmem_truncate(f->s, (int64_t)size) == 0);
	f->obj = msn_shmem_mappable(f->s);
	f->r = (struct recorder){ .base = { &recorder_ops },
				  .of = f->s,
				  .mf = f->mf };
}

static void close_object(struct fixture *f)
{
	EXPECT(!msn_shmem_check(f->s));
	msn_identity_dec_ref(msn_shmem_identity(f->s));
	EXPECT(msn_memfile_used(f->mf) == 0);
	msn_memfile_free(f->mf);
}

static int touch(struct fixture *f, struct msn_obj_range required,
		 struct msn_obj_range optional, unsigned access,
		 struct msn_translation *t)
{
	int why, n = msn_mappable_translate(f->obj, required, optional, access,
					    t, 1, &why);

	return n;
}

static uint64_t allocated(struct fixture *f)
{
	struct msn_shmem_stat st;

	CHECK(msn_shmem_stat(f->s, &st) == 0);
	return st.allocated_bytes / PAGE;
}

static char byte_at(struct fixture *f, uint64_t at)
{
	char c = 1;

	CHECK(msn_shmem_pread(f->s, &c, 1, (int64_t)at) == 1);
	return c;
}

static void an_object_of_a_terabyte_costs_its_pages(void)
{
	const uint64_t size = UINT64_C(1) << 40;
	struct fixture f;

	open_object(&f, size);
	EXPECT(msn_memfile_used(f.mf) == 0);
	CHECK(msn_shmem_pwrite(f.s, "x", 1, (int64_t)size - 1) == 1);
	EXPECT(msn_memfile_used(f.mf) == PAGE);
	EXPECT(msn_shmem_seek(f.s, 0, SEEK_DATA) == (int64_t)(size - PAGE));
	EXPECT(byte_at(&f, size / 2) == 0);
	EXPECT(allocated(&f) == 1);
	close_object(&f);
}

static void only_what_is_required_comes_into_being(void)
{
	struct msn_translation t;
	struct fixture f;

	open_object(&f, 16 * PAGE);
	CHECK(touch(&f, PAGES(4, 6), PAGES(0, 16), MSN_ACCESS_READ, &t) == 1);
	EXPECT(t.source.start == 4 * PAGE && t.source.end == 6 * PAGE);
	EXPECT(allocated(&f) == 2);
	close_object(&f);
}

static void pages_touched_one_after_the_other_are_one_run(void)
{
	struct msn_translation t;
	struct fixture f;

	open_object(&f, 16 * PAGE);
	for (uint64_t i = 2; i < 10; i++)
		CHECK(touch(&f, PAGES(i, i + 1), PAGES(i, i + 1),
			    MSN_ACCESS_WRITE, &t) == 1);
	CHECK(touch(&f, PAGES(5, 6), PAGES(1, 9), MSN_ACCESS_READ, &t) == 1);
	EXPECT(t.source.start == 2 * PAGE && t.source.end == 9 * PAGE);
	close_object(&f);
}

static void unwritten_neighbours_are_not_offered(void)
{
	struct msn_translation t;
	struct fixture f;

	open_object(&f, 16 * PAGE);
	CHECK(msn_shmem_fallocate(f.s, 0, 0, 16 * (int64_t)PAGE) == 0);
	CHECK(touch(&f, PAGES(5, 6), PAGES(0, 16), MSN_ACCESS_READ, &t) == 1);
	EXPECT(t.source.start == 5 * PAGE && t.source.end == 6 * PAGE);
	EXPECT(msn_shmem_seek(f.s, 0, SEEK_DATA) == 5 * (int64_t)PAGE);
	close_object(&f);
}

static void a_place_without_an_access_counts_once_memory_is_there(void)
{
	struct msn_translation t;
	uint8_t vec[16];
	struct fixture f;
	size_t done;

	open_object(&f, 16 * PAGE);
	CHECK(touch(&f, PAGES(0, 16), PAGES(0, 16), MSN_ACCESS_NONE, &t) == 1);
	EXPECT(t.source.end == 16 * PAGE);
	EXPECT(allocated(&f) == 0);
	/* As the kernel would, at a fault in its own page tables. */
	CHECK(msn_file_write(t.file, t.offset + 3 * PAGE, "k", 1, &done) == 0);
	EXPECT(allocated(&f) == 1);
	CHECK(msn_mappable_resident(f.obj, PAGES(0, 16), vec) == 0);
	for (int i = 0; i < 16; i++)
		EXPECT(vec[i] == (i == 3));
	EXPECT(byte_at(&f, 3 * PAGE) == 'k' && byte_at(&f, 4 * PAGE) == 0);
	EXPECT(allocated(&f) == 1); /* reading took no memory */
	CHECK(touch(&f, PAGES(4, 5), PAGES(4, 5), MSN_ACCESS_READ, &t) == 1);
	EXPECT(allocated(&f) == 2);
	close_object(&f);
}

static void only_pages_with_bytes_are_data(void)
{
	struct msn_obj_range data;
	struct msn_translation t;
	struct fixture f;

	open_object(&f, 16 * PAGE);
	CHECK(touch(&f, PAGES(2, 3), PAGES(2, 3), MSN_ACCESS_READ, &t) == 1);
	CHECK(msn_shmem_fallocate(f.s, 0, 8 * PAGE, PAGE) == 0);
	EXPECT(msn_mappable_next_data(f.obj, PAGES(0, 16), &data) ==
	       MSN_MAPPABLE_E_NO_DATA);
	CHECK(msn_shmem_pwrite(f.s, "x", 1, 8 * PAGE) == 1);
	CHECK(msn_mappable_next_data(f.obj, PAGES(0, 16), &data) == 0);
	EXPECT(data.start == 8 * PAGE && data.end == 9 * PAGE);
	close_object(&f);
}

/* ---- Size ---------------------------------------------------------------- */

static void a_truncation_publishes_then_invalidates_then_frees(void)
{
	struct fixture f;

	open_object(&f, 8 * PAGE);
	CHECK(msn_shmem_fallocate(f.s, 0, 0, 8 * PAGE) == 0);
	CHECK(msn_mappable_add_mapping(f.obj, &f.r.base, ADDRS(100, 108), 0,
				       true) == 0);
	CHECK(msn_shmem_truncate(f.s, 2 * PAGE + 1) == 0);
	EXPECT(f.r.calls == 1 && f.r.private);
	EXPECT(f.r.last.start == 103 * PAGE && f.r.last.end == 108 * PAGE);
	EXPECT(f.r.size_then == 2 * PAGE + 1);
	EXPECT(f.r.used_then == 8 * PAGE);
	EXPECT(msn_memfile_used(f.mf) == 3 * PAGE);
	msn_mappable_remove_mapping(f.obj, &f.r.base, ADDRS(100, 108), 0, true);
	close_object(&f);
}

static void growing_and_shrinking_in_the_last_page_invalidate_nothing(void)
{
	struct fixture f;

	open_object(&f, 2 * PAGE);
	CHECK(msn_mappable_add_mapping(f.obj, &f.r.base, ADDRS(100, 108), 0,
				       true) == 0);
	CHECK(msn_shmem_truncate(f.s, 8 * PAGE) == 0);
	CHECK(msn_shmem_truncate(f.s, 7 * PAGE + 1) == 0);
	EXPECT(f.r.calls == 0);
	msn_mappable_remove_mapping(f.obj, &f.r.base, ADDRS(100, 108), 0, true);
	close_object(&f);
}

static void what_was_cut_off_reads_as_zero_after_growing(void)
{
	struct fixture f;
	char all[2 * PAGE];

	open_object(&f, 0);
	memset(all, 'a', sizeof(all));
	CHECK(msn_shmem_pwrite(f.s, all, sizeof(all), 0) == 2 * PAGE);
	CHECK(msn_shmem_truncate(f.s, 100) == 0);
	CHECK(msn_shmem_truncate(f.s, 2 * PAGE) == 0);
	EXPECT(byte_at(&f, 99) == 'a' && byte_at(&f, 100) == 0);
	EXPECT(byte_at(&f, PAGE - 1) == 0 && byte_at(&f, PAGE) == 0);
	close_object(&f);
}

static void a_hole_invalidates_whole_pages_and_no_private_copies(void)
{
	struct fixture f;

	open_object(&f, 8 * PAGE);
	CHECK(msn_shmem_fallocate(f.s, 0, 0, 8 * PAGE) == 0);
	CHECK(msn_mappable_add_mapping(f.obj, &f.r.base, ADDRS(100, 108), 0,
				       true) == 0);
	CHECK(msn_shmem_fallocate(f.s, PUNCH, PAGE + 1, PAGE - 2) == 0);
	EXPECT(f.r.calls == 0); /* a part of one page */
	CHECK(msn_shmem_fallocate(f.s, PUNCH, PAGE + 1, 3 * PAGE) == 0);
	EXPECT(f.r.calls == 1 && !f.r.private);
	EXPECT(f.r.last.start == 102 * PAGE && f.r.last.end == 104 * PAGE);
	EXPECT(f.r.used_then == 8 * PAGE);
	EXPECT(msn_memfile_used(f.mf) == 6 * PAGE);
	CHECK(msn_mappable_punch_hole(f.obj, PAGES(6, 20)) == 0);
	EXPECT(f.r.calls == 2 && msn_memfile_used(f.mf) == 4 * PAGE);
	msn_mappable_remove_mapping(f.obj, &f.r.base, ADDRS(100, 108), 0, true);
	close_object(&f);
}

/* ---- Seals and names ----------------------------------------------------- */

static void a_write_seal_takes_the_right_from_shared_mappings(void)
{
	const unsigned rw = MSN_ACCESS_READ | MSN_ACCESS_WRITE;
	unsigned max = MSN_ACCESS_ANY;
	struct fixture f;

	open_object(&f, PAGE);
	EXPECT(msn_mappable_check_mmap(f.obj, true, rw, &max) == 0);
	EXPECT(max == MSN_ACCESS_ANY);
	CHECK(msn_shmem_add_seals(f.s, F_SEAL_FUTURE_WRITE) == 0);
	EXPECT(msn_mappable_check_mmap(f.obj, false, rw, &max) == 0);
	EXPECT(max == MSN_ACCESS_ANY);
	EXPECT(msn_mappable_check_mmap(f.obj, true, rw, &max) == -EPERM);
	EXPECT(msn_mappable_check_mmap(f.obj, true, MSN_ACCESS_READ, &max) ==
	       0);
	EXPECT(max == (MSN_ACCESS_READ | MSN_ACCESS_EXEC));
	close_object(&f);
}

static void a_mapping_from_before_a_future_seal_can_be_forked(void)
{
	struct fixture f;

	open_object(&f, PAGE);
	CHECK(msn_mappable_add_mapping(f.obj, &f.r.base, ADDRS(1, 2), 0,
				       true) == 0);
	CHECK(msn_shmem_add_seals(f.s, F_SEAL_FUTURE_WRITE) == 0);
	CHECK(msn_mappable_add_mapping(f.obj, &f.r.base, ADDRS(5, 6), 0,
				       true) == 0);
	EXPECT(msn_shmem_place_count(f.s) == 2);
	EXPECT(msn_shmem_add_seals(f.s, F_SEAL_WRITE) == -EBUSY);
	msn_mappable_remove_mapping(f.obj, &f.r.base, ADDRS(1, 2), 0, true);
	msn_mappable_remove_mapping(f.obj, &f.r.base, ADDRS(5, 6), 0, true);
	CHECK(msn_shmem_add_seals(f.s, F_SEAL_WRITE) == 0);
	EXPECT(msn_mappable_add_mapping(f.obj, &f.r.base, ADDRS(1, 2), 0,
					true) == -EPERM);
	CHECK(msn_mappable_add_mapping(f.obj, &f.r.base, ADDRS(1, 2), 0,
				       false) == 0);
	msn_mappable_remove_mapping(f.obj, &f.r.base, ADDRS(1, 2), 0, false);
	close_object(&f);
}

static int create(struct fixture *f, const char *name, unsigned flags)
{
	struct msn_shmem *s;
	int rc = msn_memfd_create(
		&s, &(struct msn_memfd_opts){
			    .memfile = f->mf, .name = name, .flags = flags });

	if (rc == 0)
		msn_identity_dec_ref(msn_shmem_identity(s));
	return rc;
}

static void a_memfd_is_refused_as_the_kernel_refuses_it(void)
{
	const unsigned flags[] = { 0x40, MFD_EXEC | MFD_NOEXEC_SEAL, MFD_EXEC,
				   MFD_NOEXEC_SEAL };
	char name[MSN_MEMFD_NAME_MAX + 2];
	struct fixture f;

	open_object(&f, 0);
	memset(name, 'n', sizeof(name));
	for (size_t i = 0; i < 2; i++) {
		int fd;

		name[MSN_MEMFD_NAME_MAX + 1 - i] = 0;
		fd = memfd_create(name, 0);
		EXPECT(create(&f, name, 0) == (fd < 0 ? -errno : 0));
		close(fd);
	}
	for (size_t i = 0; i < MSN_ARRAY_LEN(flags); i++) {
		int fd = memfd_create("f", flags[i]);

		EXPECT(create(&f, "f", flags[i]) == (fd < 0 ? -errno : 0));
		close(fd);
	}
	close_object(&f);
}

static void an_object_shows_the_name_that_maps_shows(void)
{
	struct msn_identity_saved saved;
	struct msn_shmem *zero;
	struct fixture f;

	open_object(&f, PAGE + 1);
	EXPECT(!strcmp(msn_identity_mapped_name(msn_shmem_identity(f.s)),
		       "/memfd:test (deleted)"));
	CHECK(msn_shmem_new(&zero, &(struct msn_shmem_opts){ .memfile = f.mf,
							     .size = PAGE }) ==
	      0);
	EXPECT(!strcmp(msn_identity_mapped_name(msn_shmem_identity(zero)),
		       "/dev/zero (deleted)"));
	EXPECT(msn_shmem_get_seals(zero) == F_SEAL_SEAL);
	EXPECT(msn_identity_inode_id(msn_shmem_identity(zero)) !=
	       msn_identity_inode_id(msn_shmem_identity(f.s)));
	CHECK(msn_identity_save(msn_shmem_identity(f.s), &saved) == 0);
	EXPECT(saved.as == MSN_SAVED_AS_CONTENT);
	EXPECT(saved.file.size_bytes == PAGE + 1);
	EXPECT(saved.mode == 0777 && saved.seals == 0);
	EXPECT(msn_shmem_of(f.obj) == f.s);
	EXPECT(msn_shmem_new(&zero,
			     &(struct msn_shmem_opts){
				     .memfile = f.mf,
				     .size = UINT64_C(1) << 63 }) == -EINVAL);
	msn_identity_dec_ref(msn_shmem_identity(zero));
	close_object(&f);
}

static void pages_are_charged_to_the_account(void)
{
	struct msn_account_table *accounts;
	struct msn_memfile *mf;
	struct msn_shmem *s;

	CHECK(msn_account_table_new(&accounts) == 0);
	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){
					   .accounts = accounts }) == 0);
	CHECK(msn_shmem_new(&s, &(struct msn_shmem_opts){ .memfile = mf,
							  .size = 8 * PAGE,
							  .account = 7 }) == 0);
	CHECK(msn_shmem_pwrite(s, "x", 1, 5 * PAGE) == 1);
	EXPECT(msn_account_get(accounts, 7).bytes[MSN_ACCOUNT_ANONYMOUS] ==
	       PAGE);
	CHECK(msn_shmem_truncate(s, 0) == 0);
	EXPECT(msn_account_get(accounts, 7).bytes[MSN_ACCOUNT_ANONYMOUS] == 0);
	msn_identity_dec_ref(msn_shmem_identity(s));
	msn_memfile_free(mf);
	msn_account_table_free(accounts);
}

/* ---- Failures ------------------------------------------------------------ */

static void *walk_prepare(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char all[8 * PAGE];

	CHECK(f);
	open_object(f, 8 * PAGE);
	memset(all, 'a', sizeof(all));
	CHECK(msn_shmem_pwrite(f->s, all, sizeof(all), 0) == sizeof(all));
	CHECK(msn_mappable_add_mapping(f->obj, &f->r.base, ADDRS(1, 9), 0,
				       false) == 0);
	return f;
}

/* The object is as it was if @rc, else cut or punched at page 2. */
static void walk_end(struct fixture *f, int rc)
{
	EXPECT(rc == 0 || rc == -ENOMEM);
	EXPECT(f->r.calls == (rc ? 0 : 1));
	EXPECT((msn_memfile_used(f->mf) == 8 * PAGE) == (rc != 0));
	EXPECT(byte_at(f, PAGE) == 'a');
	msn_mappable_remove_mapping(f->obj, &f->r.base, ADDRS(1, 9), 0, false);
	close_object(f);
	free(f);
}

static int truncate_body(void *state)
{
	return msn_shmem_truncate(((struct fixture *)state)->s, 2 * PAGE - 5);
}

static void truncate_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;
	struct msn_shmem_stat st;

	CHECK(msn_shmem_stat(f->s, &st) == 0);
	EXPECT(name || rc == 0);
	EXPECT(st.size_bytes == (rc ? 8 * PAGE : 2 * PAGE - 5));
	CHECK(msn_shmem_truncate(f->s, 8 * PAGE) == 0);
	EXPECT(byte_at(f, 2 * PAGE - 6) == 'a');
	EXPECT(byte_at(f, 2 * PAGE - 5) == (rc ? 'a' : 0));
	walk_end(f, rc);
}

static void a_failed_truncation_changes_nothing(void)
{
	EXPECT(check_every_fault(walk_prepare, truncate_body,
				 truncate_verify) >= 1);
}

static int punch_body(void *state)
{
	return msn_shmem_fallocate(((struct fixture *)state)->s, PUNCH,
				   2 * PAGE - 5, 3 * PAGE + 10);
}

static void punch_verify(void *state, int rc, const char *name)
{
	EXPECT(name || rc == 0);
	EXPECT(byte_at(state, 2 * PAGE - 6) == 'a');
	EXPECT(byte_at(state, 2 * PAGE - 5) == (rc ? 'a' : 0));
	EXPECT(byte_at(state, 3 * PAGE) == (rc ? 'a' : 0));
	EXPECT(byte_at(state, 5 * PAGE + 4) == (rc ? 'a' : 0));
	EXPECT(byte_at(state, 5 * PAGE + 5) == 'a');
	walk_end(state, rc);
}

static void a_failed_hole_changes_nothing(void)
{
	EXPECT(check_every_fault(walk_prepare, punch_body, punch_verify) >= 1);
}

/* Every other page of 200: more runs than one node of the set holds. */
static void *dotted_prepare(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CHECK(f);
	open_object(f, 200 * PAGE);
	for (int i = 0; i < 200; i += 2)
		CHECK(msn_shmem_pwrite(f->s, "a", 1, i * (int64_t)PAGE) == 1);
	return f;
}

static int reserve_body(void *state)
{
	return msn_shmem_fallocate(((struct fixture *)state)->s, 0, 0,
				   300 * PAGE);
}

static void reserve_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;
	struct msn_shmem_stat st;

	CHECK(msn_shmem_stat(f->s, &st) == 0);
	EXPECT(rc == 0 || (name && rc == -ENOMEM));
	EXPECT(st.size_bytes == (rc ? 200 : 300) * PAGE);
	EXPECT(st.allocated_bytes == (rc ? 100 : 300) * PAGE);
	EXPECT(msn_memfile_used(f->mf) == st.allocated_bytes);
	close_object(f);
	free(f);
}

static void a_failed_fallocate_takes_back_what_it_added(void)
{
	EXPECT(check_every_fault(dotted_prepare, reserve_body,
				 reserve_verify) >= 1);
}

static void *empty_prepare(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CHECK(f);
	open_object(f, 8 * PAGE);
	return f;
}

static int write_body(void *state)
{
	ssize_t n = msn_shmem_pwrite(((struct fixture *)state)->s, "hello", 5,
				     12 * PAGE - 2);

	return n < 0 ? (int)n : 0;
}

static void write_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;
	struct msn_shmem_stat st;

	CHECK(msn_shmem_stat(f->s, &st) == 0);
	EXPECT(rc == 0 || (name && rc == -ENOMEM));
	EXPECT(st.size_bytes == (rc ? 8 * PAGE : 12 * PAGE + 3));
	close_object(f);
	free(f);
}

static void a_failed_write_leaves_the_size(void)
{
	EXPECT(check_every_fault(empty_prepare, write_body, write_verify) >= 1);
}

static int touch_body(void *state)
{
	struct fixture *f = state;
	struct msn_translation t;
	int n = touch(f, PAGES(1, 2), PAGES(1, 2), MSN_ACCESS_READ, &t);

	return n < 0 ? n : 0;
}

static void touch_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(rc == 0 || (name && rc == -ENOMEM));
	EXPECT(allocated(f) == (rc ? 0 : 1));
	close_object(f);
	free(f);
}

static void a_failed_fault_brings_no_page(void)
{
	EXPECT(check_every_fault(empty_prepare, touch_body, touch_verify) >= 1);
}

static int create_body(void *state)
{
	return create(state, "walk", 0);
}

static void create_verify(void *state, int rc, const char *name)
{
	EXPECT(name ? rc == -ENOMEM : rc == 0);
	close_object(state);
	free(state);
}

static void a_failed_create_leaves_nothing(void)
{
	EXPECT(check_every_fault(empty_prepare, create_body, create_verify) >=
	       3);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_object_of_a_terabyte_costs_its_pages),
		CHECK_TEST(only_what_is_required_comes_into_being),
		CHECK_TEST(pages_touched_one_after_the_other_are_one_run),
		CHECK_TEST(unwritten_neighbours_are_not_offered),
		CHECK_TEST(
			a_place_without_an_access_counts_once_memory_is_there),
		CHECK_TEST(only_pages_with_bytes_are_data),
		CHECK_TEST(a_truncation_publishes_then_invalidates_then_frees),
		CHECK_TEST(
			growing_and_shrinking_in_the_last_page_invalidate_nothing),
		CHECK_TEST(what_was_cut_off_reads_as_zero_after_growing),
		CHECK_TEST(
			a_hole_invalidates_whole_pages_and_no_private_copies),
		CHECK_TEST(a_write_seal_takes_the_right_from_shared_mappings),
		CHECK_TEST(a_mapping_from_before_a_future_seal_can_be_forked),
		CHECK_TEST(a_memfd_is_refused_as_the_kernel_refuses_it),
		CHECK_TEST(an_object_shows_the_name_that_maps_shows),
		CHECK_TEST(pages_are_charged_to_the_account),
		CHECK_TEST(a_failed_truncation_changes_nothing),
		CHECK_TEST(a_failed_hole_changes_nothing),
		CHECK_TEST(a_failed_fallocate_takes_back_what_it_added),
		CHECK_TEST(a_failed_write_leaves_the_size),
		CHECK_TEST(a_failed_fault_brings_no_page),
		CHECK_TEST(a_failed_create_leaves_nothing),
		{}
	};

	return check_main(argc, argv, "shmem", tests);
}
