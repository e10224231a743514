/*
 * Process maps: lines as Linux writes them, and lines that nobody writes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/rand.h"
#include "procfile/proc_maps.h"
#include "range/access.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char askew[] = "5555-5556 rw-p 0 0:0 0\n"; /* not page aligned */

static const char good[] =
	"00400000-00452000 r-xp 00002000 fe:0a 173521                     "
	"/usr/bin/a b\\012c (deleted)\n"
	"Size:               1312 kB\n"
	"VmFlags: rd ex mr mw me sd \n"
	"00e03000-00e24000 rw-p 00000000 00:00 0                          "
	"[heap]\n"
	"VmFlags: rd wr mr mw me ac lo gd zz \n"
	"7f0000000000-7f0000001000 -w-s ffffffffff000 00:01 18446744073709551615 "
	"\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                "
	"  [vsyscall]\n";

static int parse(struct msn_proc_maps *m, const char *text)
{
	return msn_proc_maps_parse(m, text, strlen(text));
}

static void lines_and_flags_are_understood(void)
{
	msn_auto(msn_proc_maps_deinit) struct msn_proc_maps m = { 0 };
	const struct msn_proc_map *p;

	CHECK(parse(&m, good) == 0);
	CHECK(m.count == 4);
	p = &m.list[0];
	EXPECT(p->addr.start == 0x400000 && p->addr.end == 0x452000);
	EXPECT(p->perms == (MSN_ACCESS_READ | MSN_ACCESS_EXEC));
	EXPECT(!p->shared && p->offset == 0x2000 && p->inode == 173521);
	EXPECT(p->dev_major == 0xfe && p->dev_minor == 0x0a);
	EXPECT(strcmp(p->name, "/usr/bin/a b\\012c (deleted)") == 0);
	EXPECT(p->flags == (MSN_VM_FLAGS_KNOWN | MSN_VM_MAYREAD |
			    MSN_VM_MAYWRITE | MSN_VM_MAYEXEC));
	EXPECT(m.list[1].flags ==
	       (MSN_VM_FLAGS_KNOWN | MSN_VM_MAYREAD | MSN_VM_MAYWRITE |
		MSN_VM_MAYEXEC | MSN_VM_LOCKED | MSN_VM_GROWSDOWN));
	p = &m.list[2];
	EXPECT(p->shared && p->perms == MSN_ACCESS_WRITE);
	EXPECT(p->inode == UINT64_MAX && p->offset == 0xffffffffff000);
	EXPECT(strcmp(p->name, "") == 0 && p->flags == 0);
	EXPECT(strcmp(m.list[3].name, "[vsyscall]") == 0);
}

static void a_mapping_is_found_by_address(void)
{
	msn_auto(msn_proc_maps_deinit) struct msn_proc_maps m = { 0 };

	/* 400..452  e03..e24  gap between them and past the end */
	CHECK(parse(&m, good) == 0);
	EXPECT(msn_proc_maps_at(&m, 0x400000) == &m.list[0]);
	EXPECT(msn_proc_maps_at(&m, 0x451fff) == &m.list[0]);
	EXPECT(msn_proc_maps_at(&m, 0x452000) == NULL);
	EXPECT(msn_proc_maps_at(&m, 0xe23fff) == &m.list[1]);
	EXPECT(msn_proc_maps_at(&m, 0) == NULL);
	EXPECT(msn_proc_maps_at(&m, UINT64_MAX) == NULL);
}

static void text_that_is_no_listing_is_refused(void)
{
	static const char *const bad[] = {
		askew,
		"00400000-00400000 rw-p 00000000 00:00 0\n",
		"00452000-00400000 rw-p 00000000 00:00 0\n",
		"00400000-00401000 rwxp 00000001 00:00 0\n",
		"00400000-00401000 rw?p 00000000 00:00 0\n",
		"00400000-00401000 rw-q 00000000 00:00 0\n",
		"00400000-00401000 rw-p 00000000 00:00\n",
		"00400000-00401000 rw-p 00000000 00-00 0\n",
		"00400000-00401000 rw-p 00000000 00:00 0x\n",
		"00400000-00401000 rw-p 00000000 100000000:00 0\n",
		"00400000-10000000000401000 rw-p 00000000 00:00 0\n",
		"00400000-00402000 rw-p fffffffffffff000 00:00 0\n",
		"00400000-00401000 rw-p 00000000 00:00 18446744073709551616\n",
		"00400000-00402000 rw-p 0 0:0 0\n00401000-00403000 rw-p 0 0:0 "
		"0\n",
		"00402000-00403000 rw-p 0 0:0 0\n00400000-00401000 rw-p 0 0:0 "
		"0\n",
		"00400000-00401000 rw-p 0 0:0 0\nVmFlags:rdwr\n",
		"VmFlags: rd \n",
		"Size: 4 kB\n",
		" 00400000-00401000 rw-p 0 0:0 0\n",
		"\n",
		"-\n",
		"0",
	};
	struct msn_proc_maps m = { .count = 77 };

	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		EXPECT(parse(&m, bad[i]) == -EBADMSG);
	EXPECT(m.count == 77);
}

static void a_zero_byte_in_a_name_is_refused(void)
{
	static const char text[] = "00400000-00401000 rw-p 0 0:0 5 /a\0b\n";
	struct msn_proc_maps m;

	EXPECT(msn_proc_maps_parse(&m, text, sizeof(text) - 1) == -EBADMSG);
}

static void nothing_is_an_empty_list(void)
{
	struct msn_proc_maps m = { .count = 1 };

	EXPECT(msn_proc_maps_parse(&m, "", 0) == 0);
	EXPECT(m.count == 0);
}

/* @lines mappings of one page with a gap behind each; every name is long. */
static int write_listing(size_t lines)
{
	int fd = memfd_create("maps", MFD_CLOEXEC);
	FILE *f = fdopen(dup(fd), "w");

	for (size_t i = 0; i < lines; i++)
		fprintf(f,
			"%zx-%zx rw-s 00001000 00:01 %zu /%0*zu\nRss: 0 kB\n"
			"VmFlags: rd wr \n",
			0x10000 + i * 0x2000, 0x11000 + i * 0x2000, i,
			(int)(i % 500), i);
	fclose(f);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void a_long_listing_is_read_in_pieces(void)
{
	msn_auto(msn_proc_maps_deinit) struct msn_proc_maps m = { 0 };
	msn_auto(msn_closep) int fd = write_listing(20000);

	CHECK(fd >= 0);
	CHECK(msn_proc_maps_read(&m, fd) == 0);
	CHECK(m.count == 20000);
	for (size_t i = 0; i < m.count; i++) {
		EXPECT(m.list[i].inode == i);
		EXPECT(m.list[i].addr.start == 0x10000 + i * 0x2000);
		EXPECT(strtoull(m.list[i].name + 1, NULL, 10) == i);
	}
}

static void a_line_without_end_is_refused(void)
{
	msn_auto(msn_closep) int fd = memfd_create("maps", MFD_CLOEXEC);
	struct msn_proc_maps m;
	char block[4096];

	memset(block, 'a', sizeof(block));
	for (int i = 0; i < 100; i++)
		CHECK(write(fd, block, sizeof(block)) == sizeof(block));
	lseek(fd, 0, SEEK_SET);
	EXPECT(msn_proc_maps_read(&m, fd) == -EBADMSG);
}

static void one_mapping_too_many_is_refused(void)
{
	msn_auto(msn_freep) char *text = NULL;
	struct msn_proc_maps m;
	size_t len = 0;
	char *at;

	text = malloc((MSN_MAPPING_COUNT_MAX + 1) * 40);
	CHECK(text);
	at = text;
	for (size_t i = 0; i <= MSN_MAPPING_COUNT_MAX; i++)
		at += sprintf(at, "%zx-%zx ---p 0 0:0 0\n", i << 12,
			      (i + 1) << 12);
	len = (size_t)(at - text);
	EXPECT(msn_proc_maps_parse(&m, text, len) == -E2BIG);
}

/* Whatever is accepted keeps the promises of the header. */
static void check_promises(const struct msn_proc_maps *m)
{
	uint64_t floor = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct msn_proc_map *p = &m->list[i];

		EXPECT(p->addr.start >= floor && p->addr.end > p->addr.start);
		EXPECT(msn_addr_range_page_aligned(p->addr));
		EXPECT(p->perms <= MSN_ACCESS_ANY && p->name);
		EXPECT(strlen(p->name) <= MSN_PROC_MAPS_NAME_MAX);
		EXPECT(msn_proc_maps_at(m, p->addr.start) == p);
		floor = p->addr.end;
	}
}

/* One change of a copy: a bit, a byte, a cut, a copied piece. */
static size_t mutate(char *text, size_t len, size_t cap, uint64_t *seed)
{
	size_t at = msn_rand_next(seed) % len;
	size_t n = msn_rand_next(seed) % 32;

	switch (msn_rand_next(seed) % 4) {
	case 0:
		text[at] ^= (char)(1u << msn_rand_next(seed) % 8);
		return len;
	case 1:
		text[at] = "0f-: \n\0rwxsp[V"[msn_rand_next(seed) % 14];
		return len;
	case 2:
		n = n > len - at ? len - at : n;
		memmove(text + at, text + at + n, len - at - n);
		return len - n ? len - n : 1;
	default:
		n = n > len - at ? len - at : n;
		if (len + n > cap)
			return len;
		memmove(text + at + n, text + at, len - at);
		return len + n;
	}
}

static void mutated_listings_never_break_a_promise(void)
{
	uint64_t seed = check_seed();
	unsigned accepted = 0;

	for (int turn = 0; turn < 50000; turn++) {
		struct msn_proc_maps m = { 0 };
		size_t len = sizeof(good) - 1, n = 1;
		char text[sizeof(good) + 256];
		int rc;

		memcpy(text, good, len);
		for (n = 1 + msn_rand_next(&seed) % 4; n > 0; n--)
			len = mutate(text, len, sizeof(text), &seed);
		rc = msn_proc_maps_parse(&m, text, len);
		EXPECT(rc == 0 || rc == -EBADMSG);
		accepted += rc == 0;
		check_promises(&m);
		msn_proc_maps_deinit(&m);
	}
	EXPECT(accepted > 1000);
}

static void this_process_is_listed(void)
{
	msn_auto(msn_closep) int fd = open("/proc/self/smaps", O_RDONLY);
	msn_auto(msn_proc_maps_deinit) struct msn_proc_maps m = { 0 };
	const struct msn_proc_map *here;

	CHECK(fd >= 0);
	CHECK(msn_proc_maps_read(&m, fd) == 0);
	check_promises(&m);
	here = msn_proc_maps_at(&m,
				(uint64_t)(uintptr_t)this_process_is_listed);
	CHECK(here);
	EXPECT(here->perms == (MSN_ACCESS_READ | MSN_ACCESS_EXEC));
	EXPECT(here->flags & MSN_VM_FLAGS_KNOWN);
	EXPECT(here->inode != 0 && *here->name == '/');
}

static void escapes_and_deleted_files_are_told(void)
{
	msn_auto(msn_freep) char *a = msn_proc_maps_unescape("/x\\012y\\01");
	msn_auto(msn_freep) char *b = msn_proc_maps_unescape("");

	CHECK(a && b);
	EXPECT(strcmp(a, "/x\ny\\01") == 0);
	EXPECT(strcmp(b, "") == 0);
	EXPECT(msn_proc_maps_deleted("/dev/zero (deleted)"));
	EXPECT(!msn_proc_maps_deleted("/a (deleted) b"));
	EXPECT(!msn_proc_maps_deleted("(deleted)"));
}

static void *no_state(void)
{
	return (void *)(uintptr_t)good;
}

static int parse_good(void *state)
{
	struct msn_proc_maps m;
	int rc = parse(&m, state);

	if (rc == 0)
		msn_proc_maps_deinit(&m);
	return rc;
}

static int read_good(void *state)
{
	msn_auto(msn_closep) int fd = write_listing(40);
	struct msn_proc_maps m;
	int rc;

	(void)state;
	rc = msn_proc_maps_read(&m, fd);
	if (rc == 0)
		msn_proc_maps_deinit(&m);
	return rc;
}

static void memory_only(void *state, int rc, const char *name)
{
	(void)state;
	EXPECT(rc == (name ? -ENOMEM : 0));
}

static void running_out_of_memory_leaks_nothing(void)
{
	EXPECT(check_every_fault(no_state, parse_good, memory_only) == 5);
	EXPECT(check_every_fault(no_state, read_good, memory_only) > 40);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(lines_and_flags_are_understood),
		CHECK_TEST(a_mapping_is_found_by_address),
		CHECK_TEST(text_that_is_no_listing_is_refused),
		CHECK_TEST(a_zero_byte_in_a_name_is_refused),
		CHECK_TEST(nothing_is_an_empty_list),
		CHECK_TEST(a_long_listing_is_read_in_pieces),
		CHECK_TEST(a_line_without_end_is_refused),
		CHECK_TEST(one_mapping_too_many_is_refused),
		CHECK_TEST(mutated_listings_never_break_a_promise),
		CHECK_TEST(this_process_is_listed),
		CHECK_TEST(escapes_and_deleted_files_are_told),
		CHECK_TEST(running_out_of_memory_leaks_nothing),
		{}
	};

	return check_main(argc, argv, "proc_maps", tests);
}
