/*
 * The promises of struct msn_address_space_ops, put to both platforms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fd.h"
#include "memfile/memfile.h"
#include "platform/address_space.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x140000000000)
#define REGION ((struct msn_addr_range){ BASE, BASE + 64 * PAGE })
#define ADDRS(a, b)                                                            \
	((struct msn_addr_range){ BASE + (a)*PAGE, BASE + (b)*PAGE })

static struct msn_address_space *make_none(void)
{
	struct msn_address_space *as;

	CHECK(msn_platform_none_new(&as) == 0);
	return as;
}

static struct msn_address_space *make_local(void)
{
	struct msn_address_space *as;

	CHECK(msn_platform_local_new(&as, REGION) == 0);
	return as;
}

static struct msn_address_space *(*const makers[])(void) = { make_none,
							     make_local };

/* Eight pages 'a'..'h' of a memory file, and where they are. */
struct pages {
	struct msn_memfile *mf;
	struct msn_file_range r;
};

static struct pages make_pages(void)
{
	struct pages p;
	char page[MSN_PAGE_SIZE];
	size_t done;

	CHECK(msn_memfile_new(&p.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_memfile_allocate(
		      p.mf, &(struct msn_memfile_alloc){ .length = 8 * PAGE },
		      &p.r) == 0);
	for (size_t i = 0; i < 8; i++) {
		memset(page, 'a' + (int)i, PAGE);
		CHECK(msn_file_write(msn_memfile_file(p.mf),
				     p.r.start + i * PAGE, page, PAGE,
				     &done) == 0);
	}
	return p;
}

static void free_pages(struct pages *p)
{
	msn_file_dec_ref(msn_memfile_file(p->mf), p->r);
	msn_memfile_free(p->mf);
}

static struct msn_as_mapping mapping(const struct pages *p, bool cow)
{
	return (struct msn_as_mapping){
		.addr = ADDRS(2, 10),
		.file = msn_memfile_file(p->mf),
		.offset = p->r.start,
		.perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
		.cow = cow,
	};
}

static char *at(uint64_t page)
{
	return (char *)(uintptr_t)(BASE + page * PAGE);
}

static void mapping_and_unmapping_succeed_everywhere(void)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(makers); i++) {
		struct msn_address_space *as = makers[i]();
		struct pages p = make_pages();
		struct msn_as_mapping m = mapping(&p, false);

		EXPECT(msn_address_space_map_file(as, &m) == 0);
		EXPECT(msn_address_space_protect(as, ADDRS(3, 5),
						 MSN_ACCESS_READ) == 0);
		msn_address_space_unmap(as, ADDRS(2, 10));
		msn_address_space_free(as);
		free_pages(&p);
	}
}

static void a_shared_mapping_writes_to_the_file(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, false);
	size_t done;
	char byte;

	CHECK(msn_address_space_map_file(as, &m) == 0);
	EXPECT(*at(2) == 'a' && *at(9) == 'h');
	*at(3) = '!';
	CHECK(msn_file_read(m.file, p.r.start + PAGE, &byte, 1, &done) == 0);
	EXPECT(byte == '!');
	msn_address_space_free(as);
	free_pages(&p);
}

struct found {
	struct msn_addr_range runs[8];
	size_t count;
};

static int find_run(void *ctx, struct msn_addr_range run)
{
	struct found *f = ctx;

	CHECK(f->count < 8);
	f->runs[f->count++] = run;
	return 0;
}

static void copies_made_by_the_kernel_are_found(void)
{
	/*
	 * pages    2 3 4 5 6 7 8 9
	 * written    *       * *
	 * found      =       ===
	 */
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, true);
	struct found f = { 0 };
	size_t done;
	char byte;

	CHECK(msn_address_space_map_file(as, &m) == 0);
	EXPECT(*at(5) == 'd'); /* reading copies nothing */
	*at(3) = *at(7) = *at(8) = '!';
	CHECK(msn_address_space_private_runs(as, ADDRS(2, 10), find_run, &f) ==
	      0);
	CHECK(f.count == 2);
	EXPECT(f.runs[0].start == ADDRS(3, 4).start &&
	       f.runs[0].end == ADDRS(3, 4).end);
	EXPECT(f.runs[1].start == ADDRS(7, 9).start &&
	       f.runs[1].end == ADDRS(7, 9).end);
	CHECK(msn_file_read(m.file, p.r.start + PAGE, &byte, 1, &done) == 0);
	EXPECT(byte == 'b'); /* the file did not change */
	msn_address_space_free(as);
	free_pages(&p);
}

static void moving_takes_the_copies_along(void)
{
	/*
	 * pages    2 3 4 5 6 7 8 9  ->  20 .. 27
	 * written    *       * *           *        * *
	 */
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, true);
	struct found f = { 0 };
	char byte;
	size_t done;

	CHECK(msn_address_space_map_file(as, &m) == 0);
	*at(3) = *at(7) = *at(8) = '!';
	CHECK(msn_address_space_move(as, ADDRS(2, 10), ADDRS(20, 28).start) ==
	      0);
	EXPECT(*at(20) == 'a' && *at(21) == '!' && *at(27) == 'h');
	CHECK(msn_address_space_private_runs(as, ADDRS(2, 28), find_run, &f) ==
	      0);
	CHECK(f.count == 2);
	EXPECT(f.runs[0].start == ADDRS(21, 22).start);
	EXPECT(f.runs[1].start == ADDRS(25, 27).start);
	EXPECT(msn_address_space_copy_in(as, BASE + 2 * PAGE, &byte, 1, false,
					 &done) == MSN_ADDRESS_SPACE_E_FAULT);
	/* Still the space's own: nobody else can have it. */
	EXPECT(mmap(at(2), PAGE, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		    0) == MAP_FAILED);
	msn_address_space_free(as);
	free_pages(&p);
}

static void several_mappings_move_as_one_run(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping shared = mapping(&p, false), cow;

	shared.addr = ADDRS(2, 5);
	cow = shared;
	cow.addr = ADDRS(5, 10);
	cow.offset += 3 * PAGE;
	cow.cow = true;
	CHECK(msn_address_space_map_file(as, &shared) == 0);
	CHECK(msn_address_space_map_file(as, &cow) == 0);
	*at(6) = '!';
	CHECK(msn_address_space_move(as, ADDRS(2, 10), ADDRS(20, 28).start) ==
	      0);
	EXPECT(*at(20) == 'a' && *at(22) == 'c' && *at(23) == 'd');
	EXPECT(*at(24) == '!' && *at(27) == 'h');
	msn_address_space_free(as);
	free_pages(&p);
}

/* In a child, as nothing takes a seal of the host's off again. */
static int fail_half_way(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, true);
	bool kept;

	CHECK(msn_address_space_map_file(as, &m) == 0);
	*at(3) = *at(9) = '!';
	if (syscall(SYS_mseal, at(6), PAGE, 0) < 0)
		return 77;
	if (msn_address_space_move(as, ADDRS(2, 10), ADDRS(20, 28).start) !=
	    -EPERM)
		return 1;
	kept = *at(2) == 'a' && *at(3) == '!' && *at(6) == 'e' && *at(9) == '!';
	return kept ? 0 : 2;
}

static void a_move_that_fails_half_way_changes_nothing(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(fail_half_way());
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	/* A kernel before 6.10 has no seals, and no such way to fail. */
	EXPECT(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}

static int stop_at_once(void *ctx, struct msn_addr_range run)
{
	(void)run;
	++*(int *)ctx;
	return 42;
}

static void a_walk_over_copies_can_be_stopped(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, true);
	int calls = 0;

	CHECK(msn_address_space_map_file(as, &m) == 0);
	*at(3) = *at(7) = '!';
	EXPECT(msn_address_space_private_runs(as, ADDRS(2, 10), stop_at_once,
					      &calls) == 42);
	EXPECT(calls == 1);
	msn_address_space_free(as);
	free_pages(&p);
}

static void copying_respects_rights_unless_told_otherwise(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, true);
	char buf[8] = { 0 };
	size_t done;

	m.perms = MSN_ACCESS_NONE;
	CHECK(msn_address_space_map_file(as, &m) == 0);
	EXPECT(msn_address_space_copy_in(as, BASE + 2 * PAGE, buf, 8, false,
					 &done) == MSN_ADDRESS_SPACE_E_FAULT);
	EXPECT(done == 0);
	EXPECT(msn_address_space_copy_in(as, BASE + 2 * PAGE, buf, 8, true,
					 &done) == 0);
	EXPECT(done == 8 && buf[7] == 'a');
	msn_address_space_free(as);
	free_pages(&p);
}

static void a_copy_stops_where_nothing_is_mapped(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, false);
	char buf[2 * MSN_PAGE_SIZE];
	size_t done;

	CHECK(msn_address_space_map_file(as, &m) == 0);
	EXPECT(msn_address_space_copy_in(as, BASE + 9 * PAGE, buf, sizeof(buf),
					 false,
					 &done) == MSN_ADDRESS_SPACE_E_FAULT);
	EXPECT(done == PAGE && buf[0] == 'h');
	msn_address_space_free(as);
	free_pages(&p);
}

static void a_compare_and_swap_swaps_only_what_was_expected(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, false);
	uint32_t seen;

	CHECK(msn_address_space_map_file(as, &m) == 0);
	EXPECT(msn_address_space_cas32(as, BASE + 2 * PAGE, 1, 7, &seen) == 0);
	EXPECT(seen == 0x61616161);
	EXPECT(msn_address_space_cas32(as, BASE + 2 * PAGE, seen, 7, &seen) ==
	       0);
	EXPECT(*(uint32_t *)(void *)at(2) == 7);
	msn_address_space_free(as);
	free_pages(&p);
}

static void a_load_sees_the_word_also_where_nobody_may_write(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, true);
	uint32_t value = 0;

	m.perms = MSN_ACCESS_READ;
	CHECK(msn_address_space_map_file(as, &m) == 0);
	EXPECT(msn_address_space_load32(as, BASE + 3 * PAGE, &value) == 0);
	EXPECT(value == 0x62626262);
	EXPECT(msn_address_space_load32(as, BASE + 10 * PAGE, &value) ==
	       MSN_ADDRESS_SPACE_E_FAULT);
	msn_address_space_free(as);
	free_pages(&p);
}

static bool is_present(uint64_t page)
{
	FILE *file = fopen("/proc/self/pagemap", "r");
	uint64_t word = 0;

	CHECK(file && fseek(file, (long)((BASE + page * PAGE) / PAGE * 8),
			    SEEK_SET) == 0);
	CHECK(fread(&word, sizeof(word), 1, file) == 1);
	fclose(file);
	return word >> 63;
}

static void discarding_drops_the_kernels_copies_and_entries(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, true);

	CHECK(msn_address_space_map_file(as, &m) == 0);
	*at(3) = *at(4) = '!';
	CHECK(msn_address_space_advise(as, ADDRS(3, 4), MSN_AS_DISCARD) == 0);
	EXPECT(!is_present(3) && is_present(4));
	EXPECT(*at(3) == 'b' && *at(4) == '!');
	msn_address_space_free(as);
	free_pages(&p);
}

static void populating_brings_pages_in_or_says_why_not(void)
{
	struct msn_address_space *as = make_local();
	struct pages p = make_pages();
	struct msn_as_mapping m = mapping(&p, true);
	struct found f = { 0 };

	CHECK(msn_address_space_map_file(as, &m) == 0);
	CHECK(msn_address_space_advise(as, ADDRS(2, 4), MSN_AS_POPULATE_READ) ==
	      0);
	CHECK(msn_address_space_advise(as, ADDRS(6, 8),
				       MSN_AS_POPULATE_WRITE) == 0);
	EXPECT(is_present(2) && is_present(3) && is_present(7));
	CHECK(msn_address_space_private_runs(as, ADDRS(2, 10), find_run, &f) ==
	      0);
	EXPECT(f.count == 1 && f.runs[0].start == ADDRS(6, 8).start);
	CHECK(msn_address_space_protect(as, ADDRS(2, 4), MSN_ACCESS_READ) == 0);
	EXPECT(msn_address_space_advise(as, ADDRS(2, 4),
					MSN_AS_POPULATE_WRITE) == -EFAULT);
	EXPECT(msn_address_space_advise(as, ADDRS(9, 11),
					MSN_AS_POPULATE_READ) == -EFAULT);
	msn_address_space_free(as);
	free_pages(&p);
}

static void advice_changes_no_bytes_anywhere(void)
{
	static const enum msn_as_advice all[] = {
		MSN_AS_DISCARD, MSN_AS_WILLNEED,      MSN_AS_COLD,
		MSN_AS_PAGEOUT, MSN_AS_POPULATE_READ, MSN_AS_POPULATE_WRITE
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(makers); i++) {
		struct msn_address_space *as = makers[i]();
		struct pages p = make_pages();
		struct msn_as_mapping m = mapping(&p, false);
		char byte;
		size_t done;

		CHECK(msn_address_space_map_file(as, &m) == 0);
		for (size_t a = 0; a < MSN_ARRAY_LEN(all); a++) {
			EXPECT(msn_address_space_advise(as, ADDRS(2, 10),
							all[a]) == 0);
			CHECK(msn_file_read(m.file, p.r.start + PAGE, &byte, 1,
					    &done) == 0);
			EXPECT(byte == 'b');
		}
		msn_address_space_free(as);
		free_pages(&p);
	}
}

/* Uses up the mappings that this process may have. */
struct hog {
	char *all;
	size_t len, made; /* every second page has another right */
};

static void hog_make(struct hog *h)
{
	msn_auto(msn_freep) char *max = NULL;

	CHECK(msn_read_file(&max, NULL, AT_FDCWD, "/proc/sys/vm/max_map_count",
			    64) == 0);
	h->made = 0;
	h->len = (strtoul(max, NULL, 10) + 8) * PAGE;
	h->all = mmap(NULL, h->len, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(h->all != MAP_FAILED);
}

static char *hog_page(struct hog *h)
{
	return h->all + (2 * h->made + 1) * PAGE;
}

static void hog_eat(struct hog *h)
{
	while (mprotect(hog_page(h), PAGE, PROT_READ) == 0)
		h->made++;
}

static void hog_ease(struct hog *h)
{
	for (int i = 0; i < 64; i++) {
		h->made--;
		CHECK(mprotect(hog_page(h), PAGE, PROT_NONE) == 0);
	}
}

/* How many pages of the mapping can be read; none of @cut may be. */
static uint64_t count_reached(struct msn_address_space *as,
			      struct msn_addr_range cut)
{
	uint64_t reached = 0;

	for (uint64_t page = 2; page < 10; page++) {
		uint64_t addr = BASE + page * PAGE;
		size_t done;
		char byte;

		if (msn_address_space_copy_in(as, addr, &byte, 1, false, &done))
			continue;
		reached++;
		EXPECT(byte == '!' && !msn_addr_range_contains(cut, addr));
	}
	return reached;
}

/* What is unmapped may be another's the next moment. */
static void without_room_for_mappings_nothing_stays_accessible(void)
{
	const struct msn_addr_range cuts[] = { ADDRS(4, 6), ADDRS(2, 10),
					       ADDRS(2, 3), ADDRS(9, 10) };
	struct hog hog;

	if (CHECK_SANITIZED) /* the sanitizer needs mappings of its own */
		return;
	hog_make(&hog);
	for (size_t i = 0; i < 2 * MSN_ARRAY_LEN(cuts); i++) {
		struct msn_addr_range cut = cuts[i / 2];
		struct msn_address_space *as = make_local();
		struct pages p = make_pages();
		struct msn_as_mapping m = mapping(&p, i % 2);

		CHECK(msn_address_space_map_file(as, &m) == 0);
		for (uint64_t page = 2; page < 10; page++)
			*at(page) = '!';
		hog_eat(&hog);
		msn_address_space_unmap(as, cut);
		EXPECT(count_reached(as, cut) ==
		       8 - msn_addr_range_length(cut) / PAGE);
		/* -ENOMEM would tell of a hole in the region. */
		EXPECT(msync(at(0), 64 * PAGE, MS_ASYNC) == 0);
		/* Room again: it can be used as before. */
		hog_ease(&hog);
		EXPECT(msn_address_space_map_file(as, &m) == 0);
		EXPECT(*at(4) == (m.cow ? 'c' : '!'));
		msn_address_space_free(as);
		free_pages(&p);
	}
	CHECK(munmap(hog.all, hog.len) == 0);
}

static void a_taken_region_is_refused(void)
{
	struct msn_address_space *as = make_local(), *second;

	EXPECT(msn_platform_local_new(&second, REGION) == -EEXIST);
	EXPECT(msn_platform_local_new(
		       &second, (struct msn_addr_range){ 1, 4097 }) == -EINVAL);
	msn_address_space_free(as);
	as = make_local(); /* free again */
	msn_address_space_free(as);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(mapping_and_unmapping_succeed_everywhere),
		CHECK_TEST(a_shared_mapping_writes_to_the_file),
		CHECK_TEST(copies_made_by_the_kernel_are_found),
		CHECK_TEST(moving_takes_the_copies_along),
		CHECK_TEST(several_mappings_move_as_one_run),
		CHECK_TEST(a_move_that_fails_half_way_changes_nothing),
		CHECK_TEST(a_walk_over_copies_can_be_stopped),
		CHECK_TEST(copying_respects_rights_unless_told_otherwise),
		CHECK_TEST(a_copy_stops_where_nothing_is_mapped),
		CHECK_TEST(a_compare_and_swap_swaps_only_what_was_expected),
		CHECK_TEST(a_load_sees_the_word_also_where_nobody_may_write),
		CHECK_TEST(discarding_drops_the_kernels_copies_and_entries),
		CHECK_TEST(populating_brings_pages_in_or_says_why_not),
		CHECK_TEST(advice_changes_no_bytes_anywhere),
		CHECK_TEST(without_room_for_mappings_nothing_stays_accessible),
		CHECK_TEST(a_taken_region_is_refused),
		{}
	};

	return check_main(argc, argv, "address space contract", tests);
}
