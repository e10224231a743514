/*
 * The public face of a space, and how options and failures cross it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/cleanup.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <memsnap/memsnap.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define BASE ((char *)0x310000000000)
#define LENGTH (64 * PAGE)

static struct memsnap_space *make(void)
{
	struct memsnap_space_opts o = { sizeof(o), BASE, LENGTH };
	struct memsnap_space *space;

	CHECK(memsnap_space_create(&space, &o, NULL) == 0);
	return space;
}

static struct memsnap_map_opts map_opts(void *addr, size_t pages)
{
	return (struct memsnap_map_opts){ .size = sizeof(
						  struct memsnap_map_opts),
					  .addr = addr,
					  .length = pages * PAGE,
					  .prot = PROT_READ | PROT_WRITE };
}

static void mapped_memory_is_ordinary_memory(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE + PAGE, 4);
	char back[6];
	void *at;

	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	CHECK(at == BASE + PAGE);
	EXPECT(BASE[PAGE] == 0);
	strcpy(BASE + PAGE, "hello");
	CHECK(memsnap_space_read(space, at, back, 6, NULL) == 0);
	EXPECT(!strcmp(back, "hello"));
	CHECK(memsnap_space_write(space, at, "J", 1, NULL) == 0);
	EXPECT(!strcmp(at, "Jello"));
	CHECK(memsnap_space_zero(space, at, 2, NULL) == 0);
	EXPECT(!memcmp(at, "\0\0llo", 6));
	memsnap_space_destroy(space);
}

static void memory_is_placed_where_there_is_room(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(NULL, 64);
	struct memsnap_error err;
	void *at;

	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	EXPECT(at == BASE);
	o.length = 1;
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -ENOMEM);
	EXPECT(err.code == MEMSNAP_EXHAUSTED);
	memsnap_space_destroy(space);
}

static void a_taken_region_is_refused(void)
{
	struct memsnap_space *space = make(), *second = NULL;
	struct memsnap_space_opts o = { sizeof(o), BASE + PAGE, PAGE };
	struct memsnap_error err;

	EXPECT(memsnap_space_create(&second, &o, &err) == -EEXIST);
	EXPECT(err.code == MEMSNAP_EXISTS);
	EXPECT(strstr(err.text, "0x310000001000"));
	EXPECT(second == NULL);
	memsnap_space_destroy(space);
	CHECK(memsnap_space_create(&second, &o, NULL) == 0);
	memsnap_space_destroy(second);
}

static void a_region_of_half_pages_is_refused(void)
{
	static const struct memsnap_space_opts bad[] = {
		{ sizeof(bad[0]), BASE + 1, PAGE },
		{ sizeof(bad[0]), BASE, PAGE + 1 },
		{ sizeof(bad[0]), BASE, 0 },
		{ sizeof(bad[0]), NULL, PAGE },
		{ sizeof(bad[0]), BASE, (size_t)0 - PAGE },
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++) {
		struct memsnap_space *space = NULL;
		struct memsnap_error err;

		EXPECT(memsnap_space_create(&space, &bad[i], &err) == -EINVAL);
		EXPECT(err.code == MEMSNAP_INVALID && !space);
	}
}

static void a_taken_address_needs_replace(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 2);
	struct memsnap_error err;
	void *at;

	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	BASE[0] = 'x';
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -EEXIST);
	EXPECT(err.code == MEMSNAP_EXISTS && BASE[0] == 'x');
	o.flags = MEMSNAP_MAP_REPLACE;
	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	EXPECT(BASE[0] == 0);
	memsnap_space_destroy(space);
}

static void a_place_outside_the_region_is_refused(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE + LENGTH, 1);
	void *at = NULL;

	EXPECT(memsnap_space_map(space, &o, &at, NULL) == -ENOMEM);
	EXPECT(!at);
	memsnap_space_destroy(space);
}

static void a_bad_address_is_an_error_and_no_signal(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 1);
	char back[2 * PAGE];
	struct memsnap_error err;
	void *at;

	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	strcpy(BASE + PAGE - 2, "z");
	EXPECT(memsnap_space_read(space, BASE + PAGE - 2, back, 4, &err) ==
	       -EFAULT);
	EXPECT(err.code == MEMSNAP_INVALID);
	EXPECT(strstr(err.text, "cannot read 0x310000001000"));
	EXPECT(back[0] == 'z');
	EXPECT(memsnap_space_write(space, BASE + PAGE, "a", 1, &err) ==
	       -EFAULT);
	EXPECT(memsnap_space_zero(space, BASE + PAGE, 1, &err) == -EFAULT);
	EXPECT(memsnap_space_read(space, (char *)BASE - 8, back, 1, &err) ==
	       -EFAULT);
	memsnap_space_destroy(space);
}

static void rights_are_changed_and_kept(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 2);
	struct memsnap_error err;
	void *at;

	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	CHECK(memsnap_space_protect(space, BASE, PAGE, PROT_READ, NULL) == 0);
	EXPECT(memsnap_space_write(space, BASE, "a", 1, NULL) == -EFAULT);
	EXPECT(memsnap_space_write(space, BASE + PAGE, "a", 1, NULL) == 0);
	EXPECT(memsnap_space_protect(space, BASE, PAGE, 64, &err) == -EINVAL);
	EXPECT(strstr(err.text, "0x40"));
	EXPECT(memsnap_space_protect(space, BASE + 2 * PAGE, PAGE, PROT_READ,
				     &err) == -ENOMEM);
	CHECK(memsnap_space_unmap(space, BASE, PAGE, NULL) == 0);
	EXPECT(memsnap_space_read(space, BASE, &o, 1, NULL) == -EFAULT);
	EXPECT(memsnap_space_unmap(space, BASE + 1, PAGE, &err) == -EINVAL);
	EXPECT(memsnap_space_unmap(space, BASE, 0, &err) == -EINVAL);
	memsnap_space_destroy(space);
}

static void a_listing_shows_mappings_and_names(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 2);
	char *text;
	void *at;

	o.name = "my heap";
	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	CHECK(memsnap_space_maps(space, &text, NULL) == 0);
	EXPECT(strstr(text, "310000000000-310000002000 rw-p "));
	EXPECT(strstr(text, "my heap\n"));
	free(text);
	memsnap_space_destroy(space);
}

static void a_created_space_has_no_generation(void)
{
	static const struct memsnap_uid none;
	struct memsnap_space *space = make();
	struct memsnap_uid g = memsnap_space_generation(space);

	EXPECT(!memcmp(&g, &none, sizeof(g)));
	memsnap_space_destroy(space);
}

/* ---- Host files ---------------------------------------------------------- */

struct host_file {
	char path[64];
	int fd;
};

static struct host_file make_file(int flags)
{
	struct host_file f = { .path = "/tmp/test_embed_XXXXXX" };
	int fd = mkstemp(f.path);

	CHECK(fd >= 0);
	CHECK(write(fd, "file", 4) == 4 && ftruncate(fd, PAGE) == 0);
	close(fd);
	f.fd = open(f.path, flags | O_CLOEXEC);
	CHECK(f.fd >= 0);
	return f;
}

static void drop_file(struct host_file *f)
{
	close(f->fd);
	unlink(f->path);
}

static struct memsnap_usage usage_of(struct memsnap_space *space)
{
	struct memsnap_usage u = { .size = sizeof(u) };

	CHECK(memsnap_space_usage(space, &u, NULL) == 0);
	CHECK(u.size == sizeof(u));
	return u;
}

static void a_space_tells_what_it_has(void)
{
	struct host_file f = make_file(O_RDONLY);
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 8);
	struct memsnap_usage u = usage_of(space);
	void *at;

	EXPECT(!u.mapped_bytes && !u.own_bytes && !u.resident_bytes &&
	       !u.file_bytes);
	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	memset(at, 'x', 2 * PAGE);
	u = usage_of(space);
	EXPECT(u.mapped_bytes == 8 * PAGE && u.own_bytes == 8 * PAGE);
	EXPECT(u.resident_bytes == 2 * PAGE && u.file_bytes == 0);
	o = map_opts(BASE + 16 * PAGE, 1);
	o.flags = MEMSNAP_MAP_FILE;
	o.fd = f.fd;
	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	u = usage_of(space);
	EXPECT(u.mapped_bytes == 9 * PAGE && u.own_bytes == 8 * PAGE);
	EXPECT(u.file_bytes == PAGE);
	CHECK(memsnap_space_unmap(space, BASE, LENGTH, NULL) == 0);
	u = usage_of(space);
	EXPECT(!u.mapped_bytes && !u.own_bytes && !u.file_bytes);
	memsnap_space_destroy(space);
	drop_file(&f);
}

static void a_private_file_mapping_leaves_the_file(void)
{
	struct host_file f = make_file(O_RDONLY);
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 1);
	char back[4];
	char *text;
	void *at;

	o.flags = MEMSNAP_MAP_FILE;
	o.fd = f.fd;
	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	EXPECT(!memcmp(at, "file", 4));
	memcpy(at, "mine", 4);
	EXPECT(pread(f.fd, back, 4, 0) == 4 && !memcmp(back, "file", 4));
	CHECK(memsnap_space_maps(space, &text, NULL) == 0);
	EXPECT(strstr(text, f.path));
	free(text);
	memsnap_space_destroy(space);
	drop_file(&f);
}

static void a_shared_file_mapping_is_the_file(void)
{
	struct host_file f = make_file(O_RDWR);
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 1);
	char back[4];
	void *at;

	o.flags = MEMSNAP_MAP_FILE | MEMSNAP_MAP_SHARED;
	o.fd = f.fd;
	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	memcpy(at, "ours", 4);
	EXPECT(pread(f.fd, back, 4, 0) == 4 && !memcmp(back, "ours", 4));
	memsnap_space_destroy(space);
	drop_file(&f);
}

static void a_file_that_is_only_read_is_not_written(void)
{
	struct host_file f = make_file(O_RDONLY);
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 1);
	struct memsnap_error err;
	void *at;

	o.flags = MEMSNAP_MAP_FILE | MEMSNAP_MAP_SHARED;
	o.fd = f.fd;
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -EACCES);
	EXPECT(err.code == MEMSNAP_DENIED && strstr(err.text, f.path));
	o.prot = PROT_READ;
	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	EXPECT(memsnap_space_protect(space, at, PAGE, PROT_WRITE, NULL) ==
	       -EACCES);
	memsnap_space_destroy(space);
	drop_file(&f);
}

static void a_file_that_cannot_be_found_again_is_refused(void)
{
	struct host_file f = make_file(O_RDONLY);
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 1);
	struct memsnap_error err;
	void *at;

	o.flags = MEMSNAP_MAP_FILE;
	o.fd = f.fd;
	o.path = "relative/path";
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -EINVAL);
	EXPECT(strstr(err.text, "relative/path"));
	o.path = NULL;
	unlink(f.path);
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -ENOENT);
	EXPECT(err.code == MEMSNAP_INVALID);
	o.fd = -1;
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -EBADF);
	memsnap_space_destroy(space);
	drop_file(&f);
}

/* ---- Options and failures ------------------------------------------------ */

static void an_options_struct_says_its_size(void)
{
	struct memsnap_space_opts o = { 0, BASE, LENGTH };
	struct memsnap_space *space = NULL;
	struct memsnap_error err;

	EXPECT(memsnap_space_create(&space, &o, &err) == -EINVAL);
	EXPECT(strstr(err.text, "space options: size is 0"));
	o.size = 1 << 20;
	EXPECT(memsnap_space_create(&space, &o, &err) == -EINVAL);
	EXPECT(!space);
}

static void a_newer_programs_options_work_while_they_are_zero(void)
{
	struct {
		struct memsnap_space_opts o;
		uint64_t newer;
	} both = { { sizeof(both), BASE, LENGTH }, 0 };
	struct memsnap_space *space = NULL;
	struct memsnap_error err;

	CHECK(memsnap_space_create(&space, &both.o, &err) == 0);
	memsnap_space_destroy(space);
	space = NULL;
	both.newer = 1;
	EXPECT(memsnap_space_create(&space, &both.o, &err) == -E2BIG);
	EXPECT(err.code == MEMSNAP_UNSUPPORTED && !space);
}

static void an_older_programs_options_are_completed_with_zeros(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 1);
	void *at;

	/* As if `flags` and all behind it did not exist yet. */
	o.size = offsetof(struct memsnap_map_opts, flags);
	o.flags = ~0U;
	CHECK(memsnap_space_map(space, &o, &at, NULL) == 0);
	memsnap_space_destroy(space);
}

static void unknown_flags_are_refused(void)
{
	struct memsnap_space *space = make();
	struct memsnap_map_opts o = map_opts(BASE, 1);
	struct memsnap_error err;
	void *at;

	o.flags = 0x80;
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -EINVAL);
	EXPECT(strstr(err.text, "0x80"));
	o = map_opts(BASE, 0);
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -EINVAL);
	o = map_opts(BASE, 1);
	o.prot = 0x100;
	EXPECT(memsnap_space_map(space, &o, &at, &err) == -EINVAL);
	memsnap_space_destroy(space);
}

static void every_code_has_a_name(void)
{
	EXPECT(!strcmp(memsnap_code_name(MEMSNAP_OK), "OK"));
	EXPECT(!strcmp(memsnap_code_name(MEMSNAP_UNSUPPORTED), "UNSUPPORTED"));
	EXPECT(!strcmp(memsnap_code_name((enum memsnap_code)99), "UNKNOWN"));
	EXPECT(!strcmp(memsnap_version(), MEMSNAP_VERSION));
}

static void *fault_prepare(void)
{
	return make();
}

static int fault_body(void *state)
{
	struct memsnap_map_opts o = map_opts(BASE, 3);
	void *at;

	o.flags = MEMSNAP_MAP_SHARED;
	return memsnap_space_map(state, &o, &at, NULL);
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct memsnap_map_opts o = map_opts(BASE + 8 * PAGE, 1);
	char byte;
	void *at;

	/* Memory that was to be set aside may be had later instead. */
	EXPECT(rc == 0 || name);
	EXPECT(memsnap_space_read(state, BASE, &byte, 1, NULL) ==
	       (rc ? -EFAULT : 0));
	EXPECT(memsnap_space_map(state, &o, &at, NULL) == 0);
	memsnap_space_destroy(state);
}

static void a_mapping_that_fails_leaves_the_space_usable(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) > 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(mapped_memory_is_ordinary_memory),
		CHECK_TEST(memory_is_placed_where_there_is_room),
		CHECK_TEST(a_taken_region_is_refused),
		CHECK_TEST(a_region_of_half_pages_is_refused),
		CHECK_TEST(a_taken_address_needs_replace),
		CHECK_TEST(a_place_outside_the_region_is_refused),
		CHECK_TEST(a_bad_address_is_an_error_and_no_signal),
		CHECK_TEST(rights_are_changed_and_kept),
		CHECK_TEST(a_listing_shows_mappings_and_names),
		CHECK_TEST(a_created_space_has_no_generation),
		CHECK_TEST(a_space_tells_what_it_has),
		CHECK_TEST(a_private_file_mapping_leaves_the_file),
		CHECK_TEST(a_shared_file_mapping_is_the_file),
		CHECK_TEST(a_file_that_is_only_read_is_not_written),
		CHECK_TEST(a_file_that_cannot_be_found_again_is_refused),
		CHECK_TEST(an_options_struct_says_its_size),
		CHECK_TEST(a_newer_programs_options_work_while_they_are_zero),
		CHECK_TEST(an_older_programs_options_are_completed_with_zeros),
		CHECK_TEST(unknown_flags_are_refused),
		CHECK_TEST(every_code_has_a_name),
		CHECK_TEST(a_mapping_that_fails_leaves_the_space_usable),
		{}
	};

	return check_main(argc, argv, "embed space", tests);
}
