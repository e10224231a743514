/*
 * Capture: every kind of mapping becomes what it should be.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fault.h"
#include "base/fd.h"
#include "memfile/memfile.h"
#include "mm/maps_line.h"
#include "platform/address_space.h"
#include "restore/restore.h"
#include "scene.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Files of the victims live beside the store of the test that is running. */
static struct scene scene;

static char *map(size_t pages, int prot, int flags, int fd, off_t offset)
{
	char *at = mmap(NULL, pages * PAGE, prot, flags, fd, offset);

	if (at == MAP_FAILED)
		abort();
	return at;
}

static void tell(struct victim_shared *shared, const void *at)
{
	shared->memory = (uint64_t)(uintptr_t)at;
}

/* A file of @pages pages that start with 'a', 'b', ... */
static int make_file(const char *name, size_t pages, char *path)
{
	char page[MSN_PAGE_SIZE] = { 0 };
	int fd;

	snprintf(path, 128, "%s/%s", scene.dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	for (size_t i = 0; i < pages; i++) {
		page[0] = (char)('a' + i);
		if (pwrite(fd, page, PAGE, (off_t)(i * PAGE)) != (ssize_t)PAGE)
			abort();
	}
	return fd;
}

static char first_byte(uint64_t addr)
{
	char page[MSN_PAGE_SIZE];

	scene_page(&scene, addr, page);
	return page[0];
}

/* First byte of a page of an object, 0 for none. */
static char object_byte(uint32_t object, uint64_t page)
{
	char bytes[MSN_PAGE_SIZE] = { 0 };
	struct msn_failure why = { 0 };
	struct msn_reader *r;

	CHECK(msn_reader_new(&r, scene.store, scene.m, &why) == 0);
	CHECK(msn_reader_read(r, &scene.m->objects[object].pages, page, 1,
			      bytes, &why) == 0);
	msn_reader_free(r);
	return bytes[0];
}

/* ---- Memory of the process ----------------------------------------------- */

static void anonymous(struct victim_shared *shared)
{
	char *at = map(6, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	/*
	 * pages     0 1 2 3 4 5
	 * written   A   C   0
	 * no rights     =
	 */
	at[0] = 'A';
	at[2 * PAGE] = 'C';
	at[4 * PAGE] = 0;
	mprotect(at + 2 * PAGE, PAGE, PROT_NONE);
	tell(shared, at);
}

static void written_pages_are_stored_whatever_their_rights(void)
{
	uint64_t at;

	scene_start(&scene, anonymous);
	at = scene.v.shared->memory;
	scene_capture(&scene);
	EXPECT(scene_stored(&scene, at, 6) == 2);
	EXPECT(first_byte(at) == 'A');
	EXPECT(first_byte(at + 2 * PAGE) == 'C');
	EXPECT(scene_mapping(&scene)->kind == MSN_MAPPING_ANON);
	EXPECT(msn_manifest_mapping_at(scene.m, at + 2 * PAGE)->perms == 0);
	EXPECT(msn_manifest_mapping_at(scene.m, at + 2 * PAGE)->max_perms == 7);
	EXPECT(scene.stats.thread_count == 1);
	EXPECT(scene.stats.pause_ns > 0);
	EXPECT(scene.stats.read_bytes >= 2 * PAGE);
	scene_end(&scene);
}

/* As the kernel's listing, byte for byte. */
static void the_listing_is_that_of_the_kernel(void)
{
	msn_auto(msn_freep) char *mine = NULL;
	msn_auto(msn_freep) char *kernels = NULL;
	size_t len = 0;
	char path[32];

	scene_start(&scene, anonymous);
	scene_capture(&scene);
	mine = malloc(scene.m->mapping_count * 8192);
	CHECK(mine);
	for (size_t i = 0; i < scene.m->mapping_count; i++) {
		const struct msn_manifest_mapping *v = &scene.m->mappings[i];
		const struct msn_maps_line line = {
			.start = v->start,
			.end = v->end,
			.offset = v->offset,
			.inode = v->inode,
			.perms = v->perms,
			.shared = v->shared,
			.dev_major = v->dev_major,
			.dev_minor = v->dev_minor,
			.name = v->name,
		};

		len += msn_maps_line(mine + len, 8192, &line);
	}
	mine[len] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/maps", scene.v.pid);
	CHECK(msn_read_file(&kernels, NULL, AT_FDCWD, path, 1 << 20) == 0);
	EXPECT(strcmp(mine, kernels) == 0);
	if (strcmp(mine, kernels) != 0)
		printf("%s\n%s\n", mine, kernels);
	scene_end(&scene);
}

static void the_kernels_mappings_are_its_own(void)
{
	bool vdso = false, vvar = false;

	scene_start(&scene, anonymous);
	scene_capture(&scene);
	for (size_t i = 0; i < scene.m->mapping_count; i++) {
		const struct msn_manifest_mapping *v = &scene.m->mappings[i];
		uint64_t pages = (v->end - v->start) / PAGE;

		if (strcmp(v->name, "[vdso]") == 0) {
			vdso = true;
			EXPECT(v->kind == MSN_MAPPING_KERNEL);
			EXPECT(scene_stored(&scene, v->start, pages) > 0);
			EXPECT(first_byte(v->start) == 0x7f);
		}
		if (strncmp(v->name, "[vvar", 5) == 0) {
			vvar = true;
			EXPECT(v->kind == MSN_MAPPING_KERNEL);
			EXPECT(scene_stored(&scene, v->start, pages) == 0);
		}
	}
	EXPECT(vdso && vvar);
	scene_end(&scene);
}

/* ---- Files --------------------------------------------------------------- */

static void private_file(struct victim_shared *shared)
{
	char path[128];
	int fd = make_file("private", 4, path);
	char *at = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	at[PAGE] = 'X';
	(void)*(volatile char *)at;
	tell(shared, at);
}

static void a_private_file_keeps_what_differs(void)
{
	const struct msn_manifest_mapping *v;
	struct stat st;
	char path[128];

	scene_start(&scene, private_file);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	snprintf(path, sizeof(path), "%s/private", scene.dir);
	CHECK(stat(path, &st) == 0);
	EXPECT(v->kind == MSN_MAPPING_FILE && !v->shared);
	EXPECT(strcmp(v->name, path) == 0);
	EXPECT(v->inode == st.st_ino && v->file_size == 4 * PAGE);
	EXPECT(v->file_mtime_ns ==
	       st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
	EXPECT(v->dev_major == major(st.st_dev) &&
	       v->dev_minor == minor(st.st_dev));
	EXPECT(scene_stored(&scene, v->start, 4) == 1);
	EXPECT(first_byte(v->start + PAGE) == 'X');
	scene_end(&scene);
}

static void newline_file(struct victim_shared *shared)
{
	char path[128];
	int fd = make_file("new\nline", 1, path);

	tell(shared, map(1, PROT_READ, MAP_SHARED, fd, 0));
}

static void a_name_with_a_newline_is_the_real_one(void)
{
	const struct msn_manifest_mapping *v;

	scene_start(&scene, newline_file);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	EXPECT(v->kind == MSN_MAPPING_FILE && v->shared);
	EXPECT(strstr(v->name, "/new\nline"));
	EXPECT(access(v->name, R_OK) == 0);
	EXPECT(v->perms == MSN_ACCESS_READ);
	scene_end(&scene);
}

static void deleted_private(struct victim_shared *shared)
{
	char path[128];
	int fd = make_file("gone", 3, path);
	char *at = map(5, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	at[PAGE] = 'X';
	unlink(path);
	close(fd);
	tell(shared, at);
}

static void a_deleted_files_private_pages_are_all_kept(void)
{
	const struct msn_manifest_mapping *v;

	/* 5 pages are mapped, of which the file has 3 */
	scene_start(&scene, deleted_private);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	EXPECT(v->kind == MSN_MAPPING_ANON);
	EXPECT(strstr(v->name, "/gone (deleted)"));
	EXPECT(scene_stored(&scene, v->start, 5) == 3);
	EXPECT(first_byte(v->start) == 'a');
	EXPECT(first_byte(v->start + PAGE) == 'X');
	EXPECT(first_byte(v->start + 2 * PAGE) == 'c');
	scene_end(&scene);
}

static void replaced_file(struct victim_shared *shared)
{
	char path[128];
	int fd = make_file("replaced", 2, path);

	tell(shared, map(2, PROT_READ, MAP_PRIVATE, fd, 0));
	unlink(path);
	close(make_file("replaced", 1, path));
	/* and one under the very name that maps shows */
	close(make_file("replaced (deleted)", 1, path));
}

static void another_file_under_the_same_name_is_not_taken(void)
{
	const struct msn_manifest_mapping *v;

	scene_start(&scene, replaced_file);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	EXPECT(v->kind == MSN_MAPPING_ANON);
	EXPECT(scene_stored(&scene, v->start, 2) == 2);
	scene_end(&scene);
}

/* ---- Shared memory ------------------------------------------------------- */

static void memfd_twice(struct victim_shared *shared)
{
	int fd = memfd_create("twice", MFD_CLOEXEC);
	char *a, *b;

	if (ftruncate(fd, 8 * (off_t)PAGE))
		abort();
	/*
	 * object  0 1 2 3 4 5 6 7
	 * a       =======
	 * b           =======
	 * bytes     B   D       H
	 */
	a = map(4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = map(4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * (off_t)PAGE);
	a[PAGE] = 'B';
	b[PAGE] = 'D';
	if (pwrite(fd, "H", 1, 7 * (off_t)PAGE) != 1)
		abort();
	shared->signals = (uint64_t)(uintptr_t)b;
	tell(shared, a);
}

static uint64_t object_pages(const struct msn_manifest_object *o)
{
	uint64_t count = 0;

	for (size_t i = 0; i < o->pages.count; i++)
		count += o->pages.list[i].count;
	return count;
}

static void shared_memory_is_stored_once(void)
{
	const struct msn_manifest_mapping *a, *b;

	scene_start(&scene, memfd_twice);
	scene_capture(&scene);
	a = scene_mapping(&scene);
	b = msn_manifest_mapping_at(scene.m, scene.v.shared->signals);
	CHECK(a && b);
	EXPECT(a->kind == MSN_MAPPING_OBJECT && b->kind == MSN_MAPPING_OBJECT);
	CHECK(a->object == b->object);
	EXPECT(b->offset == 2 * PAGE && a->shared);
	EXPECT(strcmp(a->name, "/memfd:twice (deleted)") == 0);
	EXPECT(scene.m->objects[a->object].size_bytes == 8 * PAGE);
	EXPECT(object_byte(a->object, 1) == 'B');
	EXPECT(object_byte(a->object, 3) == 'D');
	EXPECT(object_byte(a->object, 7) == 'H');
	EXPECT(object_pages(&scene.m->objects[a->object]) == 3);
	scene_end(&scene);
}

static void shared_anonymous(struct victim_shared *shared)
{
	char *at = map(3, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	at[2 * PAGE] = 'C';
	tell(shared, at);
}

static void shared_anonymous_memory_is_an_object(void)
{
	const struct msn_manifest_mapping *v;

	scene_start(&scene, shared_anonymous);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	EXPECT(v->kind == MSN_MAPPING_OBJECT);
	EXPECT(object_byte(v->object, 2) == 'C');
	EXPECT(object_pages(&scene.m->objects[v->object]) == 1);
	scene_end(&scene);
}

static void sysv(struct victim_shared *shared)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0600);
	char *at = shmat(id, NULL, 0);

	shmctl(id, IPC_RMID, NULL);
	at[PAGE] = 'S';
	tell(shared, at);
}

static void sysv_memory_is_an_object(void)
{
	const struct msn_manifest_mapping *v;

	scene_start(&scene, sysv);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	EXPECT(v->kind == MSN_MAPPING_OBJECT);
	EXPECT(strncmp(v->name, "/SYSV", 5) == 0);
	EXPECT(object_byte(v->object, 1) == 'S');
	scene_end(&scene);
}

static void deleted_shared(struct victim_shared *shared)
{
	char path[128];
	int fd = make_file("gone-shared", 2, path);

	tell(shared, map(2, PROT_READ, MAP_SHARED, fd, 0));
	unlink(path);
	close(fd);
}

static void a_deleted_files_shared_pages_are_an_object(void)
{
	const struct msn_manifest_mapping *v;

	scene_start(&scene, deleted_shared);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	EXPECT(v->kind == MSN_MAPPING_OBJECT);
	EXPECT(object_byte(v->object, 0) == 'a');
	EXPECT(object_byte(v->object, 1) == 'b');
	scene_end(&scene);
}

/* ---- Rights, locks and names --------------------------------------------- */

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static void locked_and_named(struct victim_shared *shared)
{
	char *at = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	at[0] = 'L';
	/* Sanitizers make mlock() do nothing. */
	if (syscall(SYS_mlock, at, 4 * PAGE))
		abort();
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, 4 * PAGE, "stuff");
	tell(shared, at);
}

static void locks_and_names_are_kept(void)
{
	const struct msn_manifest_mapping *v;

	scene_start(&scene, locked_and_named);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	/* The address sanitizer turns mlock() into nothing. */
	EXPECT(CHECK_SANITIZED || v->mlock_mode == MSN_MLOCK_EAGER);
	EXPECT(v->name_mut == MSN_NAME_MUT_ANON);
	/* kernels without CONFIG_ANON_VMA_NAME show no name */
	EXPECT(!*v->name || strcmp(v->name, "[anon:stuff]") == 0);
	EXPECT(first_byte(v->start) == 'L');
	scene_end(&scene);
}

static void private_zero(struct victim_shared *shared)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	char *at = map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	at[PAGE] = 'Z';
	tell(shared, at);
}

static void private_dev_zero_is_anonymous_memory(void)
{
	const struct msn_manifest_mapping *v;

	scene_start(&scene, private_zero);
	scene_capture(&scene);
	v = scene_mapping(&scene);
	EXPECT(v->kind == MSN_MAPPING_ANON);
	EXPECT(strcmp(v->name, "/dev/zero") == 0);
	EXPECT(scene_stored(&scene, v->start, 2) == 1);
	EXPECT(first_byte(v->start + PAGE) == 'Z');
	scene_end(&scene);
}

/* ---- Many mappings, and back again --------------------------------------- */

#define MANY (CHECK_SANITIZED ? 2000 : 50000)

static void many(struct victim_shared *shared)
{
	char *at = map(MANY, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < MANY; i += 2)
		if (mprotect(at + i * PAGE, PAGE, PROT_READ))
			abort();
	for (size_t i = 1; i < MANY; i += 1000)
		at[i * PAGE] = (char)(1 + i % 100);
	tell(shared, at);
}

static void fifty_thousand_mappings_are_captured(void)
{
	uint64_t at;

	scene_start(&scene, many);
	at = scene.v.shared->memory;
	scene_capture(&scene);
	EXPECT(scene.m->mapping_count >= MANY);
	EXPECT(scene_stored(&scene, at, MANY) == MANY / 1000);
	EXPECT(first_byte(at + 1001 * PAGE) == 2);
	printf("pause with %zu mappings: %lu ms\n", scene.m->mapping_count,
	       scene.stats.pause_ns / 1000000);
	scene_end(&scene);
}

static void a_clone_has_the_bytes_of_the_process(void)
{
	struct msn_address_space *as;
	struct msn_memfile *mf;
	struct msn_opened *o;
	struct msn_mm *mm;
	char byte = 0;
	size_t done;

	scene_start(&scene, anonymous);
	scene_capture(&scene);
	CHECK(msn_open_snapshot(&o, scene.store, scene.uid,
				&(struct msn_open_opts){ .eager = true },
				&scene.why) == 0);
	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = mf,
						     .as = as }) == 0);
	CHECK(msn_clone(o, mm, &(struct msn_clone_opts){ 0 }, &scene.why) == 0);
	CHECK(msn_mm_copy_in(mm, scene.v.shared->memory, &byte, 1,
			     (struct msn_mm_io){ 0 }, &done) == 0);
	EXPECT(byte == 'A');
	CHECK(msn_mm_copy_in(mm, scene.v.shared->memory + 2 * PAGE, &byte, 1,
			     (struct msn_mm_io){ .ignore_permissions = true },
			     &done) == 0);
	EXPECT(byte == 'C');
	msn_mm_free(mm);
	msn_memfile_free(mf);
	msn_opened_free(o);
	scene_end(&scene);
}

/* ---- When it goes on ----------------------------------------------------- */

#define BARE ((char *)UINT64_C(0x200000000000))
#define BARE_PAGES 1024

static void bare(void)
{
	char *at =
		mmap(BARE, BARE_PAGES * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	for (size_t i = 0; at == BARE && i < BARE_PAGES; i++)
		memcpy(at + i * PAGE, &i, sizeof(i));
}

/* States of the process as the save saw it. */
static int note_state(void *ctx, uint64_t done, uint64_t total)
{
	char *seen = ctx, state = victim_state(&scene.v);

	(void)done;
	(void)total;
	if (!strchr(seen, state) && strlen(seen) < 8)
		seen[strlen(seen)] = state;
	return 0;
}

static bool stood_still(uint64_t stage_bytes)
{
	char seen[16] = "";
	const struct msn_capture_opts opts = { .pid = scene.v.pid,
					       .progress = note_state,
					       .progress_ctx = seen,
					       .stage_bytes = stage_bytes };

	CHECK(msn_capture(scene.store, &opts, &scene.uid, NULL, &scene.why) ==
	      0);
	CHECK(*seen);
	return strchr(seen, 't');
}

static void check_bare_pages(void)
{
	scene.m = msn_manifest_free(scene.m);
	CHECK(msn_store_load(scene.store, scene.uid, &scene.m, &scene.why) ==
	      0);
	for (size_t i = 0; i < BARE_PAGES; i += 97) {
		char page[MSN_PAGE_SIZE];

		scene_page(&scene, (uint64_t)(uintptr_t)BARE + i * PAGE, page);
		EXPECT(memcmp(page, &i, sizeof(i)) == 0);
	}
}

static void private_memory_is_stored_while_the_process_runs(void)
{
	scene_start_bare(&scene, bare);
	EXPECT(!stood_still(0));
	check_bare_pages();
	EXPECT(stood_still(1));
	check_bare_pages();
	scene_end(&scene);
}

static void shared_memory_is_stored_while_the_process_stands_still(void)
{
	scene_start(&scene, shared_anonymous);
	EXPECT(stood_still(0));
	scene_end(&scene);
}

static void attributes_name_the_process(void)
{
	char pid[16];

	scene_start(&scene, anonymous);
	scene_capture(&scene);
	snprintf(pid, sizeof(pid), "%d", scene.v.pid);
	EXPECT(strcmp(msn_manifest_attr(scene.m, "pid"), pid) == 0);
	EXPECT(strcmp(msn_manifest_attr(scene.m, "comm"), "test_capture") == 0);
	EXPECT(strstr(msn_manifest_attr(scene.m, "origin"), " test_capture"));
	EXPECT(strstr(msn_manifest_attr(scene.m, "exe"), "/test_capture"));
	EXPECT(strcmp(msn_manifest_attr(scene.m, "arch"), "x86_64") == 0);
	EXPECT(*msn_manifest_attr(scene.m, "kernel"));
	EXPECT(strstr(msn_manifest_attr(scene.m, "cmdline"), "test_capture"));
	EXPECT(msn_manifest_blob(scene.m, "elf/threads"));
	EXPECT(msn_manifest_blob(scene.m, "elf/process"));
	EXPECT(msn_manifest_blob(scene.m, "elf/auxv"));
	scene_end(&scene);
}

static void a_second_capture_inherits_from_the_first(void)
{
	struct msn_capture_opts opts;
	struct msn_capture_stats stats;
	struct msn_uid uid;

	scene_start(&scene, many);
	scene_capture(&scene);
	opts = (struct msn_capture_opts){ .pid = scene.v.pid,
					  .parent = &scene.uid };
	CHECK(msn_capture(scene.store, &opts, &uid, &stats, &scene.why) == 0);
	EXPECT(stats.pages.inherited > 50);
	EXPECT(stats.pages.stored < 20);
	scene_end(&scene);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(written_pages_are_stored_whatever_their_rights),
		CHECK_TEST(the_listing_is_that_of_the_kernel),
		CHECK_TEST(the_kernels_mappings_are_its_own),
		CHECK_TEST(a_private_file_keeps_what_differs),
		CHECK_TEST(a_name_with_a_newline_is_the_real_one),
		CHECK_TEST(a_deleted_files_private_pages_are_all_kept),
		CHECK_TEST(another_file_under_the_same_name_is_not_taken),
		CHECK_TEST(shared_memory_is_stored_once),
		CHECK_TEST(shared_anonymous_memory_is_an_object),
		CHECK_TEST(sysv_memory_is_an_object),
		CHECK_TEST(a_deleted_files_shared_pages_are_an_object),
		CHECK_TEST(locks_and_names_are_kept),
		CHECK_TEST(private_dev_zero_is_anonymous_memory),
		CHECK_TEST(fifty_thousand_mappings_are_captured),
		CHECK_TEST(a_clone_has_the_bytes_of_the_process),
		CHECK_TEST(private_memory_is_stored_while_the_process_runs),
		CHECK_TEST(
			shared_memory_is_stored_while_the_process_stands_still),
		CHECK_TEST(attributes_name_the_process),
		CHECK_TEST(a_second_capture_inherits_from_the_first),
		{}
	};

	return check_main(argc, argv, "capture", tests);
}
