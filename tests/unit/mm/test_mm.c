/*
 * mm: the rules of the mmap family, over both platforms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fault.h"
#include "base/fd.h"
#include "hostfile/hostfile.h"
#include "image/image.h"
#include "mm/mm.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x100000000000)
#define REGION_PAGES 4096
#define AT(page) (BASE + (page)*PAGE)
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)

static const struct msn_mm_io plain = { false }, forced = { true };

/* A space over one platform, and what it stands on. */
struct fixture {
	struct msn_memfile *mf;
	struct msn_mm *mm;
};

static struct msn_address_space *make_platform(bool local)
{
	struct msn_addr_range region = { AT(0), AT(REGION_PAGES) };
	struct msn_address_space *as;

	if (local)
		CHECK(msn_platform_local_new(&as, region) == 0);
	else
		CHECK(msn_platform_none_new(&as) == 0);
	return as;
}

static struct fixture setup(bool local)
{
	struct fixture f;
	struct msn_layout layout = { AT(0), AT(REGION_PAGES),
				     AT(REGION_PAGES) };

	CHECK(msn_memfile_new(&f.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_mm_new(&f.mm,
			 &(struct msn_mm_opts){ .memfile = f.mf,
						.as = make_platform(local),
						.layout = layout }) == 0);
	return f;
}

static void teardown(struct fixture *f)
{
	EXPECT(msn_mm_check(f->mm) == NULL);
	msn_mm_free(f->mm);
	EXPECT(msn_memfile_check(f->mf) == NULL);
	EXPECT(msn_memfile_used(f->mf) == 0);
	msn_memfile_free(f->mf);
}

#define FOR_BOTH(f, local)                                                     \
	for (int local = 0; local < 2; local++)                                \
		for (struct fixture f = setup(local), *once = &f; once;        \
		     teardown(&f), once = NULL)

static struct msn_mmap_opts anon(uint64_t page, uint64_t pages)
{
	return (struct msn_mmap_opts){ .length = pages * PAGE,
				       .addr = AT(page),
				       .fixed = true,
				       .unmap = true,
				       .perms = RW,
				       .max_perms = MSN_ACCESS_ANY,
				       .private = true };
}

static void map(struct msn_mm *mm, struct msn_mmap_opts o)
{
	uint64_t addr;

	CHECK(msn_mm_mmap(mm, &o, &addr) == 0);
}

static void put(struct msn_mm *mm, uint64_t addr, char c)
{
	size_t done;

	CHECK(msn_mm_copy_out(mm, addr, &c, 1, plain, &done) == 0);
}

static int get(struct msn_mm *mm, uint64_t addr)
{
	unsigned char c;
	size_t done;
	int rc = msn_mm_copy_in(mm, addr, &c, 1, plain, &done);

	return rc ? rc : c;
}

/* ---- mmap, munmap, mprotect ---------------------------------------------- */

static void fresh_memory_reads_as_zero_and_keeps_what_is_written(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(10, 4));
		EXPECT(get(f.mm, AT(11)) == 0);
		put(f.mm, AT(12) + 5, 'x');
		EXPECT(get(f.mm, AT(12) + 5) == 'x');
		EXPECT(get(f.mm, AT(12) + 6) == 0);
	}
}

static void reading_untouched_memory_allocates_nothing(void)
{
	struct fixture f = setup(false);
	char buf[64];
	size_t done;

	map(f.mm, anon(0, 1000));
	CHECK(msn_mm_copy_in(f.mm, AT(500), buf, sizeof(buf), plain, &done) ==
	      0);
	EXPECT(msn_memfile_used(f.mf) == 0);
	EXPECT(msn_mm_placed_bytes(f.mm) == 0);
	put(f.mm, AT(500), 'x');
	EXPECT(msn_memfile_used(f.mf) == PAGE);
	teardown(&f);
}

static void bad_requests_get_the_errno_of_linux(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(1, 0);
		uint64_t addr = 77;

		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EINVAL);
		o.length = UINT64_MAX - 5;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -ENOMEM);
		o = anon(1, 1);
		o.addr += 1;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EINVAL);
		o = anon(1, 1);
		o.max_perms = MSN_ACCESS_READ;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EACCES);
		o = anon(1, 1);
		o.fixed = false;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EINVAL);
		o = anon(REGION_PAGES - 1, 2);
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -ENOMEM);
		EXPECT(addr == 77); /* untouched by failures */
		EXPECT(msn_mm_munmap(f.mm, AT(0) + 1, PAGE) == -EINVAL);
		EXPECT(msn_mm_munmap(f.mm, AT(0), 0) == -EINVAL);
		EXPECT(msn_mm_munmap(f.mm, AT(0), UINT64_MAX) == -EINVAL);
		EXPECT(msn_mm_mprotect(f.mm, AT(0) + 1, PAGE, RW, false) ==
		       -EINVAL);
		EXPECT(msn_mm_mprotect(f.mm, AT(0), 0, RW, false) == 0);
		EXPECT(msn_mm_mprotect(f.mm, AT(0), PAGE, RW, false) ==
		       -ENOMEM);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 0);
	}
}

static void noreplace_refuses_a_taken_place_and_fixed_replaces_it(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 4);
		uint64_t addr;

		map(f.mm, o);
		put(f.mm, AT(11), 'x');
		o = anon(11, 1);
		o.unmap = false;
		o.no_replace = true;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EEXIST);
		EXPECT(get(f.mm, AT(11)) == 'x');
		map(f.mm, anon(11, 1));
		EXPECT(get(f.mm, AT(11)) == 0);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 4 * PAGE);
	}
}

static void without_a_place_the_highest_gap_is_taken(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(0, 3);
		uint64_t addr;

		o.fixed = o.unmap = false;
		o.addr = 0;
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(REGION_PAGES - 3));
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(REGION_PAGES - 6));
		o.addr = AT(100) + 12; /* a free hint is taken, rounded down */
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(100));
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(REGION_PAGES - 9));
	}
}

static void nothing_is_placed_into_the_guard_gap_of_a_stack(void)
{
	/*
	 * pages  0 .. 3740 ........ 3996 .... 4096
	 *              |-- 256 guard --| stack  |
	 *         new =|
	 */
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(3996, 100);
		uint64_t addr;

		o.grows_down = true;
		map(f.mm, o);
		o = anon(0, 1);
		o.fixed = o.unmap = false;
		o.addr = 0;
		CHECK(msn_mm_mmap(f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(3996 - 256 - 1));
	}
}

static void unmapping_the_middle_leaves_both_ends(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(10, 6));
		for (uint64_t i = 10; i < 16; i++)
			put(f.mm, AT(i), (char)('a' + i));
		EXPECT(msn_mm_munmap(f.mm, AT(12), 2 * PAGE) == 0);
		EXPECT(get(f.mm, AT(11)) == 'a' + 11);
		EXPECT(get(f.mm, AT(12)) == -EFAULT);
		EXPECT(get(f.mm, AT(14)) == 'a' + 14);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 4 * PAGE);
		EXPECT(msn_mm_munmap(f.mm, AT(0), REGION_PAGES * PAGE) == 0);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 0);
	}
}

static void copies_stop_at_a_hole_and_count_what_came_before(void)
{
	FOR_BOTH(f, local)
	{
		char buf[4 * MSN_PAGE_SIZE];
		size_t done;

		memset(buf, 'z', sizeof(buf));
		map(f.mm, anon(10, 2));
		EXPECT(msn_mm_copy_out(f.mm, AT(10) + 100, buf, sizeof(buf),
				       plain, &done) == -EFAULT);
		EXPECT(done == 2 * PAGE - 100);
		EXPECT(get(f.mm, AT(12) - 1) == 'z');
		EXPECT(msn_mm_copy_in(f.mm, AT(11), buf, sizeof(buf), plain,
				      &done) == -EFAULT);
		EXPECT(done == PAGE);
		EXPECT(msn_mm_zero_out(f.mm, AT(10) + 100, 100, plain, &done) ==
		       0);
		EXPECT(get(f.mm, AT(10) + 150) == 0);
	}
}

static void rights_are_enforced_unless_a_debugger_asks(void)
{
	FOR_BOTH(f, local)
	{
		size_t done;
		char c = 'q';

		map(f.mm, anon(10, 1));
		put(f.mm, AT(10), 'x');
		CHECK(msn_mm_mprotect(f.mm, AT(10), PAGE, MSN_ACCESS_READ,
				      false) == 0);
		EXPECT(msn_mm_copy_out(f.mm, AT(10), &c, 1, plain, &done) ==
		       -EFAULT);
		EXPECT(msn_mm_copy_out(f.mm, AT(10), &c, 1, forced, &done) ==
		       0);
		CHECK(msn_mm_mprotect(f.mm, AT(10), PAGE, MSN_ACCESS_NONE,
				      false) == 0);
		EXPECT(get(f.mm, AT(10)) == -EFAULT);
		EXPECT(msn_mm_copy_in(f.mm, AT(10), &c, 1, forced, &done) == 0);
		EXPECT(c == 'q');
		CHECK(msn_mm_mprotect(f.mm, AT(10), PAGE, RW, false) == 0);
		EXPECT(get(f.mm, AT(10)) == 'q');
	}
}

static void protecting_over_a_hole_changes_what_came_before(void)
{
	FOR_BOTH(f, local)
	{
		size_t done;
		char c = 'x';

		map(f.mm, anon(10, 2));
		map(f.mm, anon(13, 1));
		EXPECT(msn_mm_mprotect(f.mm, AT(10), 4 * PAGE, MSN_ACCESS_READ,
				       false) == -ENOMEM);
		EXPECT(msn_mm_copy_out(f.mm, AT(11), &c, 1, plain, &done) ==
		       -EFAULT);
		EXPECT(msn_mm_copy_out(f.mm, AT(13), &c, 1, plain, &done) == 0);
	}
}

static void rights_beyond_the_maximum_are_refused(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 1);

		o.perms = MSN_ACCESS_READ;
		o.max_perms = MSN_ACCESS_READ;
		map(f.mm, o);
		EXPECT(msn_mm_mprotect(f.mm, AT(10), PAGE, RW, false) ==
		       -EACCES);
	}
}

static void growsdown_protects_down_to_the_stacks_start(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(500, 4);
		size_t done;
		char c = 'x';

		EXPECT(msn_mm_mprotect(f.mm, AT(503), PAGE, MSN_ACCESS_READ,
				       true) == -ENOMEM);
		o.grows_down = true;
		map(f.mm, o);
		EXPECT(msn_mm_mprotect(f.mm, AT(503), PAGE, MSN_ACCESS_READ,
				       true) == 0);
		EXPECT(msn_mm_copy_out(f.mm, AT(500), &c, 1, plain, &done) ==
		       -EFAULT);
		map(f.mm, anon(10, 1));
		EXPECT(msn_mm_mprotect(f.mm, AT(10), PAGE, MSN_ACCESS_READ,
				       true) == -EINVAL);
	}
}

static void equal_neighbours_become_one_mapping(void)
{
	FOR_BOTH(f, local)
	{
		msn_auto(msn_freep) char *maps = NULL;
		char *end;

		map(f.mm, anon(10, 2));
		map(f.mm, anon(12, 2));
		CHECK(msn_mm_mprotect(f.mm, AT(11), PAGE, MSN_ACCESS_READ,
				      false) == 0);
		CHECK(msn_mm_mprotect(f.mm, AT(11), PAGE, RW, false) == 0);
		CHECK(msn_mm_maps(f.mm, &maps) == 0);
		end = strchr(maps, '\n');
		EXPECT(end && end[1] == '\0'); /* one line */
		EXPECT(strncmp(maps,
			       "10000000a000-10000000e000 rw-p 00000000 "
			       "00:00 0 \n",
			       49) == 0);
	}
}

/* ---- Faults -------------------------------------------------------------- */

static void a_fault_says_which_signal_it_would_be(void)
{
	struct fixture f = setup(false);

	map(f.mm, anon(10, 1));
	EXPECT(msn_mm_handle_fault(f.mm, AT(9), MSN_ACCESS_READ) ==
	       MSN_MM_E_MAPERR);
	EXPECT(msn_mm_handle_fault(f.mm, AT(10), MSN_ACCESS_EXEC) ==
	       MSN_MM_E_ACCERR);
	EXPECT(msn_mm_handle_fault(f.mm, AT(10) + 7, MSN_ACCESS_WRITE) == 0);
	EXPECT(msn_mm_placed_bytes(f.mm) == PAGE);
	teardown(&f);
}

static void a_compare_and_swap_is_atomic_and_checked(void)
{
	FOR_BOTH(f, local)
	{
		uint32_t seen = 1;

		map(f.mm, anon(10, 1));
		EXPECT(msn_mm_cas32(f.mm, AT(10) + 4, 0, 5, &seen) == 0);
		EXPECT(seen == 0);
		EXPECT(msn_mm_cas32(f.mm, AT(10) + 4, 0, 6, &seen) == 0);
		EXPECT(seen == 5);
		EXPECT(get(f.mm, AT(10) + 4) == 5);
		EXPECT(msn_mm_cas32(f.mm, AT(10) + 2, 0, 5, &seen) == -EFAULT);
		EXPECT(msn_mm_cas32(f.mm, AT(20), 0, 5, &seen) == -EFAULT);
	}
}

/* ---- Host files ---------------------------------------------------------- */

/* A file of two pages and a half: 'A' 'B' 'C'. */
static struct msn_hostfile *make_file(char *path)
{
	struct msn_hostfile *hf;
	char page[MSN_PAGE_SIZE];
	int fd;

	strcpy(path, "/tmp/memsnap-test-XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0);
	for (int i = 0; i < 3; i++) {
		memset(page, 'A' + i, PAGE);
		CHECK(msn_pwrite_full(fd, page, i == 2 ? PAGE / 2 : PAGE,
				      (uint64_t)i * PAGE) == 0);
	}
	close(fd);
	CHECK(msn_hostfile_open(&hf, path, true) == 0);
	return hf;
}

static void drop_file(struct msn_hostfile *hf, const char *path)
{
	unlink(path);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
}

static struct msn_mmap_opts of_file(struct msn_hostfile *hf, uint64_t page,
				    uint64_t pages, bool private)
{
	struct msn_mmap_opts o = anon(page, pages);

	o.mappable = msn_hostfile_mappable(hf);
	o.mapping_identity = msn_hostfile_identity(hf);
	o.private = private;
	return o;
}

static int on_disk(const char *path, uint64_t offset)
{
	unsigned char c = 0;
	FILE *file = fopen(path, "r");

	CHECK(file && fseek(file, (long)offset, SEEK_SET) == 0);
	CHECK(fread(&c, 1, 1, file) == 1);
	fclose(file);
	return c;
}

static void a_shared_file_mapping_writes_to_the_file(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);

		map(f.mm, of_file(hf, 10, 3, false));
		EXPECT(get(f.mm, AT(11)) == 'B');
		put(f.mm, AT(11), '!');
		EXPECT(on_disk(path, PAGE) == '!');
		EXPECT(get(f.mm, AT(13) - 1) == 0); /* tail reads zero */
		drop_file(hf, path);
	}
}

static void a_private_file_mapping_never_changes_the_file(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);

		map(f.mm, of_file(hf, 10, 3, true));
		put(f.mm, AT(11) + 1, '!');
		EXPECT(get(f.mm, AT(11)) == 'B'); /* the rest was copied */
		EXPECT(get(f.mm, AT(11) + 1) == '!');
		EXPECT(on_disk(path, PAGE + 1) == 'B');
		drop_file(hf, path);
	}
}

static void a_page_past_the_files_end_is_a_bus_error(void)
{
	struct fixture f = setup(false);
	char path[64];
	struct msn_hostfile *hf = make_file(path);

	map(f.mm, of_file(hf, 10, 5, false));
	EXPECT(msn_mm_handle_fault(f.mm, AT(12), MSN_ACCESS_READ) == 0);
	EXPECT(msn_mm_handle_fault(f.mm, AT(13), MSN_ACCESS_READ) ==
	       MSN_MM_E_BUS);
	EXPECT(get(f.mm, AT(13)) == -EFAULT);
	drop_file(hf, path);
	teardown(&f);
}

static void truncation_takes_pages_away_private_ones_too(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);

		map(f.mm, of_file(hf, 10, 3, true));
		map(f.mm, of_file(hf, 20, 3, false));
		put(f.mm, AT(11), '!');
		put(f.mm, AT(21), '?');
		CHECK(msn_hostfile_truncate(hf, 100) == 0);
		EXPECT(get(f.mm, AT(10) + 99) == 'A');
		EXPECT(get(f.mm, AT(11)) == -EFAULT);
		EXPECT(get(f.mm, AT(21)) == -EFAULT);
		CHECK(msn_hostfile_truncate(hf, 2 * PAGE) == 0);
		EXPECT(get(f.mm, AT(11)) == 0); /* new pages of the file */
		drop_file(hf, path);
	}
}

static void a_file_shortened_by_somebody_else_is_an_error(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);

		map(f.mm, of_file(hf, 10, 3, false));
		EXPECT(get(f.mm, AT(12)) == 'C');
		CHECK(truncate(path, 10) == 0);
		EXPECT(get(f.mm, AT(12)) == -EFAULT);
		EXPECT(get(f.mm, AT(10)) == 'A');
		drop_file(hf, path);
	}
}

static void a_file_that_cannot_be_mapped_is_copied(void)
{
	struct fixture f = setup(false);
	char path[64];
	struct msn_hostfile *hf = make_file(path), *buffered;
	struct msn_hostfile_opts o = { .path = path, .buffered = true };

	o.fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(msn_hostfile_new(&buffered, &o) == 0);
	map(f.mm, of_file(buffered, 10, 3, true));
	map(f.mm, of_file(buffered, 20, 3, false));
	EXPECT(get(f.mm, AT(12)) == 'C');
	put(f.mm, AT(11) + 1, '!'); /* copied on write all the same */
	EXPECT(get(f.mm, AT(11)) == 'B' && get(f.mm, AT(11) + 1) == '!');
	put(f.mm, AT(21), '?');
	EXPECT(on_disk(path, PAGE) == '?');
	msn_identity_dec_ref(msn_hostfile_identity(buffered));
	drop_file(hf, path);
	teardown(&f);
}

static void a_file_open_for_reading_cannot_be_mapped_for_writing(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path), *ro;
		struct msn_mmap_opts o;
		uint64_t addr;

		CHECK(msn_hostfile_open(&ro, path, false) == 0);
		o = of_file(ro, 10, 1, false);
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EACCES);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 0);
		map(f.mm, of_file(ro, 10, 1, true));
		put(f.mm, AT(10), 'x');
		EXPECT(get(f.mm, AT(10)) == 'x');
		CHECK(msn_mm_munmap(f.mm, AT(10), PAGE) == 0);
		msn_identity_dec_ref(msn_hostfile_identity(ro));
		drop_file(hf, path);
	}
}

/* ---- Shared memory ------------------------------------------------------- */

static void two_mappings_of_one_object_show_the_same_bytes(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 2);

		CHECK(msn_shared_new(f.mf, 2 * PAGE, NULL, 0, &o.mappable,
				     &o.mapping_identity) == 0);
		o.private = false;
		map(f.mm, o);
		o.addr = AT(20);
		map(f.mm, o);
		put(f.mm, AT(11) + 3, 'x');
		EXPECT(get(f.mm, AT(21) + 3) == 'x');
		msn_identity_dec_ref(o.mapping_identity);
	}
}

/* ---- fork ---------------------------------------------------------------- */

static struct msn_mm *fork_of(struct msn_mm *mm)
{
	struct msn_mm *child;

	CHECK(msn_mm_fork(mm, make_platform(false), &child) == 0);
	EXPECT(msn_mm_check(child) == NULL);
	return child;
}

static void parent_and_child_do_not_see_each_others_writes(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mm *child;

		map(f.mm, anon(10, 4));
		put(f.mm, AT(10), 'a');
		put(f.mm, AT(11), 'b');
		child = fork_of(f.mm);
		put(f.mm, AT(10), 'p');
		put(f.mm, AT(13), 'p');
		put(child, AT(11), 'c');
		EXPECT(get(f.mm, AT(10)) == 'p' && get(child, AT(10)) == 'a');
		EXPECT(get(f.mm, AT(11)) == 'b' && get(child, AT(11)) == 'c');
		EXPECT(get(child, AT(13)) == 0);
		msn_mm_free(child);
	}
}

static void a_grandchild_sees_what_its_parent_had(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mm *child, *second;

		map(f.mm, anon(10, 4));
		put(f.mm, AT(10), 'a');
		child = fork_of(f.mm);
		put(f.mm, AT(10), 'b'); /* local: a copy of the kernel's */
		second = fork_of(f.mm);
		put(f.mm, AT(10), 'c');
		EXPECT(get(child, AT(10)) == 'a');
		EXPECT(get(second, AT(10)) == 'b');
		EXPECT(get(f.mm, AT(10)) == 'c');
		msn_mm_free(second);
		msn_mm_free(child);
		EXPECT(get(f.mm, AT(10)) == 'c');
	}
}

static void a_write_after_fork_copies_one_page(void)
{
	struct fixture f = setup(false);
	struct msn_mm *child;

	map(f.mm, anon(10, 64));
	for (uint64_t i = 10; i < 74; i++)
		put(f.mm, AT(i), 'x');
	child = fork_of(f.mm);
	EXPECT(msn_memfile_used(f.mf) == 64 * PAGE);
	put(child, AT(20), 'y');
	EXPECT(msn_memfile_used(f.mf) == 65 * PAGE);
	msn_mm_free(child);
	EXPECT(msn_memfile_used(f.mf) == 64 * PAGE);
	put(f.mm, AT(21), 'z'); /* the last owner writes in place */
	EXPECT(msn_memfile_used(f.mf) == 64 * PAGE);
	teardown(&f);
}

static void shared_memory_stays_shared_across_fork(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 2);
		struct msn_mm *child;

		CHECK(msn_shared_new(f.mf, 2 * PAGE, NULL, 0, &o.mappable,
				     &o.mapping_identity) == 0);
		o.private = false;
		map(f.mm, o);
		msn_identity_dec_ref(o.mapping_identity);
		child = fork_of(f.mm);
		put(child, AT(10), 'c');
		EXPECT(get(f.mm, AT(10)) == 'c');
		msn_mm_free(child);
	}
}

/* ---- Placements and walks ------------------------------------------------ */

static int letters_fill(struct msn_page_source *src, struct msn_file_range r,
			void *dst)
{
	(void)src;
	for (uint64_t at = r.start; at < r.end; at += PAGE)
		memset((char *)dst + (at - r.start), 'a' + (int)(at / PAGE),
		       PAGE);
	return 0;
}

static int letters_next(struct msn_page_source *src, struct msn_file_range r,
			struct msn_file_range *out)
{
	(void)src;
	*out = r;
	return 0;
}

static void letters_free(struct msn_page_source *src)
{
	free(src);
}

static const struct msn_page_source_ops letters_ops = {
	.name = "letters",
	.fill = letters_fill,
	.next_data = letters_next,
	.free = letters_free,
};

static struct msn_image *make_image(uint64_t pages)
{
	struct msn_page_source *src = msn_alloc(sizeof(*src));
	struct msn_image *img;

	src->ops = &letters_ops;
	CHECK(msn_image_new(&img, &(struct msn_image_opts){
					  .size_bytes = pages * PAGE,
					  .source = src }) == 0);
	return img;
}

static void clones_of_an_image_share_it_until_they_write(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_image *img = make_image(8);
		struct msn_mmap_opts o = anon(10, 8);
		struct msn_placement p = { { AT(10), AT(18) },
					   msn_image_file(img),
					   0 };
		struct msn_mm *child;

		CHECK(msn_mm_mmap_placed(f.mm, &o, &p, 1) == 0);
		msn_image_unref(img); /* the space holds it */
		EXPECT(get(f.mm, AT(12)) == 'c');
		put(f.mm, AT(12), '!');
		EXPECT(get(f.mm, AT(12)) == '!');
		EXPECT(get(f.mm, AT(12) + 1) == 'c');
		EXPECT(get(f.mm, AT(13)) == 'd');
		child = fork_of(f.mm);
		EXPECT(get(child, AT(12)) == '!');
		EXPECT(get(child, AT(17)) == 'h');
		msn_mm_free(child);
	}
}

struct seen {
	struct msn_private_run runs[16];
	size_t count;
};

static int see(void *ctx, const struct msn_private_run *r)
{
	struct seen *s = ctx;

	CHECK(s->count < 16);
	s->runs[s->count++] = *r;
	return 0;
}

static void a_walk_tells_the_images_pages_from_the_spaces_own(void)
{
	/*
	 * pages    10 11 12 13 14 15 16 17
	 * written        *
	 * runs     image |own| image
	 */
	FOR_BOTH(f, local)
	{
		struct msn_image *img = make_image(8);
		struct msn_file *file = msn_image_file(img);
		struct msn_mmap_opts o = anon(10, 8);
		struct msn_placement p = { { AT(10), AT(18) }, file, 0 };
		struct seen s = { 0 };

		CHECK(msn_mm_mmap_placed(f.mm, &o, &p, 1) == 0);
		put(f.mm, AT(12), '!');
		CHECK(msn_mm_for_each_private_run(
			      f.mm, (struct msn_addr_range){ 0, UINT64_MAX },
			      see, &s) == 0);
		CHECK(s.count == 3);
		EXPECT(s.runs[0].file == file && s.runs[0].offset == 0 &&
		       s.runs[0].addr.end == AT(12));
		EXPECT(s.runs[1].file != file &&
		       s.runs[1].addr.start == AT(12) &&
		       s.runs[1].addr.end == AT(13));
		EXPECT(s.runs[2].file == file && s.runs[2].offset == 3 * PAGE &&
		       s.runs[2].addr.end == AT(18));
		msn_image_unref(img);
	}
}

static void a_walk_leaves_out_what_was_never_touched(void)
{
	FOR_BOTH(f, local)
	{
		struct seen s = { 0 };

		map(f.mm, anon(10, 100));
		put(f.mm, AT(60), 'x');
		CHECK(msn_mm_for_each_private_run(
			      f.mm, (struct msn_addr_range){ 0, UINT64_MAX },
			      see, &s) == 0);
		CHECK(s.count == 1);
		EXPECT(s.runs[0].addr.start == AT(60) &&
		       s.runs[0].addr.end == AT(61));
	}
}

/* ---- Every failure ------------------------------------------------------- */

static void *walk_prepare(void)
{
	struct fixture *f = msn_alloc(sizeof(*f));

	CHECK(f);
	*f = setup(true);
	map(f->mm, anon(10, 8));
	put(f->mm, AT(12), 'k');
	return f;
}

static int walk_body(void *state)
{
	struct fixture *f = state;
	struct msn_mmap_opts o = anon(13, 4);
	struct msn_address_space *as;
	struct msn_mm *child = NULL;
	uint64_t addr;
	int rc = msn_mm_mmap(f->mm, &o, &addr);

	if (rc == 0)
		rc = msn_mm_mprotect(f->mm, AT(11), PAGE, MSN_ACCESS_READ,
				     false);
	if (rc == 0)
		rc = msn_platform_none_new(&as);
	if (rc == 0)
		rc = msn_mm_fork(f->mm, as, &child);
	if (rc == 0) {
		size_t done;

		rc = msn_mm_copy_out(child, AT(12), "c", 1, plain, &done);
	}
	if (rc == 0)
		rc = msn_mm_munmap(f->mm, AT(14), PAGE);
	msn_mm_free(child);
	return rc;
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	/* A failed allocation that was only a reserve may go unnoticed. */
	EXPECT(rc == 0 || (name && rc < 0));
	EXPECT(msn_mm_check(f->mm) == NULL);
	EXPECT(get(f->mm, AT(12)) == 'k');
	teardown(f);
	free(f);
}

static void every_failure_leaves_the_space_whole(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 10);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(
			fresh_memory_reads_as_zero_and_keeps_what_is_written),
		CHECK_TEST(reading_untouched_memory_allocates_nothing),
		CHECK_TEST(bad_requests_get_the_errno_of_linux),
		CHECK_TEST(
			noreplace_refuses_a_taken_place_and_fixed_replaces_it),
		CHECK_TEST(without_a_place_the_highest_gap_is_taken),
		CHECK_TEST(nothing_is_placed_into_the_guard_gap_of_a_stack),
		CHECK_TEST(unmapping_the_middle_leaves_both_ends),
		CHECK_TEST(copies_stop_at_a_hole_and_count_what_came_before),
		CHECK_TEST(rights_are_enforced_unless_a_debugger_asks),
		CHECK_TEST(protecting_over_a_hole_changes_what_came_before),
		CHECK_TEST(rights_beyond_the_maximum_are_refused),
		CHECK_TEST(growsdown_protects_down_to_the_stacks_start),
		CHECK_TEST(equal_neighbours_become_one_mapping),
		CHECK_TEST(a_fault_says_which_signal_it_would_be),
		CHECK_TEST(a_compare_and_swap_is_atomic_and_checked),
		CHECK_TEST(a_shared_file_mapping_writes_to_the_file),
		CHECK_TEST(a_private_file_mapping_never_changes_the_file),
		CHECK_TEST(a_page_past_the_files_end_is_a_bus_error),
		CHECK_TEST(truncation_takes_pages_away_private_ones_too),
		CHECK_TEST(a_file_shortened_by_somebody_else_is_an_error),
		CHECK_TEST(a_file_that_cannot_be_mapped_is_copied),
		CHECK_TEST(
			a_file_open_for_reading_cannot_be_mapped_for_writing),
		CHECK_TEST(two_mappings_of_one_object_show_the_same_bytes),
		CHECK_TEST(parent_and_child_do_not_see_each_others_writes),
		CHECK_TEST(a_grandchild_sees_what_its_parent_had),
		CHECK_TEST(a_write_after_fork_copies_one_page),
		CHECK_TEST(shared_memory_stays_shared_across_fork),
		CHECK_TEST(clones_of_an_image_share_it_until_they_write),
		CHECK_TEST(a_walk_tells_the_images_pages_from_the_spaces_own),
		CHECK_TEST(a_walk_leaves_out_what_was_never_touched),
		CHECK_TEST(every_failure_leaves_the_space_whole),
		{}
	};

	return check_main(argc, argv, "mm", tests);
}
