/*
 * Host files in a space: stores, private copies, sizes and who pays, mapped and
 * buffered alike.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

#include "mm/mm.h"

#define BASE UINT64_C(0x140000000000)
#define AT(page) (BASE + (page)*PAGE)
#define ACCOUNT 7

/* A space without page tables, and a file of eight pages that it maps. */
struct world {
	struct msn_account_table *accounts;
	struct msn_memfile *mf;
	struct msn_mm *mm;
	struct msn_hostfile *hf;
	int fd;
};

static void world_make(struct world *w, bool buffered)
{
	struct msn_address_space *as;

	w->fd = new_file(ON_TMPFS);
	fill(w->fd, 8 * PAGE);
	CHECK(msn_account_table_new(&w->accounts) == 0);
	CHECK(msn_hostfile_new(&w->hf, &(struct msn_hostfile_opts){
					       .fd = dup(w->fd),
					       .path = "/a/file",
					       .buffered = buffered,
					       .accounts = w->accounts }) == 0);
	CHECK(msn_memfile_new(&w->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&w->mm, &(struct msn_mm_opts){ .memfile = w->mf,
							.as = as,
							.account = ACCOUNT }) ==
	      0);
}

static void world_free(struct world *w)
{
	msn_mm_free(w->mm);
	EXPECT(msn_hostfile_stats(w->hf).mapped_bytes == 0);
	EXPECT(msn_account_get(w->accounts, ACCOUNT)
		       .bytes[MSN_ACCOUNT_MAPPED] == 0);
	host_free(w->hf);
	msn_memfile_free(w->mf);
	msn_account_table_free(w->accounts);
	close(w->fd);
}

/* Maps the whole file at page @page of the space. */
static void map(struct world *w, uint64_t page, bool private)
{
	struct msn_mmap_opts o = {
		.length = 8 * PAGE,
		.addr = AT(page),
		.fixed = true,
		.unmap = true,
		.perms = RW,
		.max_perms = MSN_ACCESS_ANY,
		.private = private,
		.mappable = msn_hostfile_mappable(w->hf),
		.mapping_identity = msn_hostfile_identity(w->hf),
	};
	uint64_t addr;

	CHECK(msn_mm_mmap(w->mm, &o, &addr) == 0);
}

static int get(struct msn_mm *mm, uint64_t addr)
{
	unsigned char c;
	size_t done;
	int rc =
		msn_mm_copy_in(mm, addr, &c, 1, (struct msn_mm_io){ 0 }, &done);

	return rc ? rc : c;
}

static void put(struct msn_mm *mm, uint64_t addr, char c)
{
	size_t done;

	CHECK(msn_mm_copy_out(mm, addr, &c, 1, (struct msn_mm_io){ 0 },
			      &done) == 0);
}

static int on_host(struct world *w, uint64_t at)
{
	unsigned char c;

	return pread(w->fd, &c, 1, (off_t)at) == 1 ? c : -1;
}

static void shared_stores_reach_the_file_and_private_ones_do_not(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		struct world w;

		world_make(&w, buffered);
		map(&w, 0, false);
		map(&w, 16, true);
		put(w.mm, AT(2) + 5, 's');
		EXPECT(on_host(&w, 2 * PAGE + 5) == 's');
		EXPECT(get(w.mm, AT(18) + 5) == 's'); /* not copied yet */
		put(w.mm, AT(18) + 6, 'p');
		EXPECT(on_host(&w, 2 * PAGE + 6) == 'C');
		EXPECT(get(w.mm, AT(2) + 6) == 'C');
		EXPECT(get(w.mm, AT(18) + 5) == 's'); /* copied with it */
		EXPECT(get(w.mm, AT(18) + 6) == 'p');
		put(w.mm, AT(2) + 5, 't');
		EXPECT(get(w.mm, AT(18) + 5) == 's'); /* no longer the file's */
		world_free(&w);
	}
}

static void a_long_copy_goes_through_whole(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		static char in[8 * MSN_PAGE_SIZE], out[8 * MSN_PAGE_SIZE];
		struct world w;
		size_t done;

		world_make(&w, buffered);
		map(&w, 0, false);
		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (char)(i * 7);
		CHECK(msn_mm_copy_out(w.mm, AT(0) + 3, in, sizeof(in) - 3,
				      (struct msn_mm_io){ 0 }, &done) == 0);
		CHECK(msn_mm_copy_in(w.mm, AT(0) + 3, out, sizeof(in) - 3,
				     (struct msn_mm_io){ 0 }, &done) == 0);
		EXPECT(memcmp(in, out, sizeof(in) - 3) == 0);
		CHECK(msn_mm_zero_out(w.mm, AT(1), 3 * PAGE,
				      (struct msn_mm_io){ 0 }, &done) == 0);
		EXPECT(on_host(&w, 3 * PAGE) == 0);
		world_free(&w);
	}
}

static void private_copies_go_when_the_file_is_shortened(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		struct world w;

		world_make(&w, buffered);
		map(&w, 0, true);
		put(w.mm, AT(3), 'x');
		put(w.mm, AT(4), 'y');
		put(w.mm, AT(7), 'z');
		CHECK(msn_hostfile_truncate(w.hf, 4 * PAGE + 1) == 0);
		EXPECT(get(w.mm, AT(3)) == 'x');
		EXPECT(get(w.mm, AT(4)) == 'y'); /* the boundary stays */
		EXPECT(get(w.mm, AT(7)) == -EFAULT);
		CHECK(msn_hostfile_truncate(w.hf, 8 * PAGE) == 0);
		EXPECT(get(w.mm, AT(7)) == 0);
		/* The same by somebody else, once it is noticed. */
		put(w.mm, AT(7), 'z');
		CHECK(ftruncate(w.fd, 4 * (off_t)PAGE) == 0);
		CHECK(msn_hostfile_revalidate(w.hf) == 0);
		EXPECT(get(w.mm, AT(3)) == 'x');
		EXPECT(get(w.mm, AT(4)) == -EFAULT);
		EXPECT(get(w.mm, AT(7)) == -EFAULT);
		world_free(&w);
	}
}

static void a_hole_leaves_private_copies(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		struct world w;

		world_make(&w, buffered);
		map(&w, 0, true);
		map(&w, 16, false);
		put(w.mm, AT(3), 'x');
		EXPECT(get(w.mm, AT(5)) == 'F' && get(w.mm, AT(21)) == 'F');
		CHECK(msn_mappable_punch_hole(msn_hostfile_mappable(w.hf),
					      PAGES(2, 7)) == 0);
		EXPECT(get(w.mm, AT(3)) == 'x');
		EXPECT(get(w.mm, AT(5)) == 0 && get(w.mm, AT(21)) == 0);
		EXPECT(get(w.mm, AT(7)) == 'H');
		world_free(&w);
	}
}

static void the_space_pays_for_the_pages_it_refers_to(void)
{
	struct msn_address_space *as;
	struct msn_file_range run;
	struct msn_mm *child;
	struct world w;

	world_make(&w, false);
	map(&w, 0, false);
	EXPECT(msn_hostfile_stats(w.hf).mapped_bytes == 0);
	EXPECT(get(w.mm, AT(1)) == 'B');
	EXPECT(msn_hostfile_stats(w.hf).mapped_bytes > 0);
	EXPECT(msn_account_get(w.accounts, ACCOUNT).bytes[MSN_ACCOUNT_MAPPED] ==
	       msn_hostfile_stats(w.hf).mapped_bytes);
	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_fork(w.mm, as, &child) == 0);
	EXPECT(get(child, AT(1)) == 'B');
	EXPECT(msn_file_sharers(file_of(w.hf), FILE_PAGES(1, 2), &run) == 2);
	msn_mm_free(child);
	EXPECT(msn_file_sharers(file_of(w.hf), FILE_PAGES(1, 2), &run) == 1);
	CHECK(msn_mm_munmap(w.mm, AT(0), 8 * PAGE) == 0);
	EXPECT(msn_file_sharers(file_of(w.hf), FILE_PAGES(1, 2), &run) == 0);
	world_free(&w);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(
			shared_stores_reach_the_file_and_private_ones_do_not),
		CHECK_TEST(a_long_copy_goes_through_whole),
		CHECK_TEST(private_copies_go_when_the_file_is_shortened),
		CHECK_TEST(a_hole_leaves_private_copies),
		CHECK_TEST(the_space_pays_for_the_pages_it_refers_to),
		{}
	};

	return check_main(argc, argv, "host file in a space", tests);
}
