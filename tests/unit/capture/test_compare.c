/*
 * Comparing a snapshot with the process: each kind of difference is found.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The process changes its memory when it is told to by a signal: the test sets
 * what it is to do and waits until it is done.
 */
#include "base/fault.h"
#include "scene.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct scene scene;

#define PAGES 64

static struct victim_shared *told;
static char *memory, *file, *object;

static void change(int sig)
{
	unsigned what = (unsigned)told->made;

	(void)sig;
	switch (what) {
	case 1:
		memory[3 * PAGE + 17] ^= 1;
		memory[4 * PAGE] ^= 1;
		memory[9 * PAGE] ^= 1;
		break;
	case 2:
		mprotect(memory + 8 * PAGE, 2 * PAGE, PROT_READ);
		break;
	case 3:
		munmap(memory + 60 * PAGE, 4 * PAGE);
		break;
	case 4:
		object[2 * PAGE] = 'o';
		break;
	case 5:
		file[PAGE] = file[PAGE]; /* a copy, but with the same bytes */
		break;
	case 6:
		file[PAGE] ^= 1;
		break;
	case 7:
		memory[40 * PAGE] = 1; /* was never touched */
		break;
	case 8:
		memset(memory + 5 * PAGE, 0, PAGE);
		break;
	case 9:
		mmap(memory + 62 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 10:
		memset(file + 2 * PAGE, 0, PAGE); /* hides the file's page */
		break;
	default:
		abort();
	}
	told->signals++;
}

static char *map(size_t pages, int flags, int fd)
{
	char *at =
		mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

/* Pages 0..31 of @memory hold something, the others were never touched. */
static void prepare(struct victim_shared *shared)
{
	int fd = memfd_create("object", MFD_CLOEXEC);
	char path[128];

	snprintf(path, sizeof(path), "%s/file", scene.dir);
	told = shared;
	memory = map(PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (size_t i = 0; i < 32; i++)
		memory[i * PAGE] = (char)('A' + i);
	if (ftruncate(fd, 4 * (off_t)PAGE))
		abort();
	object = map(4, MAP_SHARED, fd);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (off_t i = 0; i < 4; i++)
		if (pwrite(fd, "f", 1, i * (off_t)PAGE) != 1)
			abort();
	if (ftruncate(fd, 4 * (off_t)PAGE))
		abort();
	file = map(4, MAP_PRIVATE, fd);
	signal(SIGUSR1, change);
	shared->memory = (uint64_t)(uintptr_t)memory;
	shared->count[0] = (uint64_t)(uintptr_t)file;
	shared->count[1] = (uint64_t)(uintptr_t)object;
}

static void tell(unsigned what)
{
	uint64_t before = scene.v.shared->signals;

	scene.v.shared->made = what;
	kill(scene.v.pid, SIGUSR1);
	while (scene.v.shared->signals == before)
		usleep(1000);
	/* and sleeps again, so that its stack stands still */
	CHECK(victim_sleeps(&scene.v));
}

/*
 * Handling a signal changes the stack, counters and more: only differences in
 * what the test made are looked at.
 */
struct found {
	struct msn_difference list[64];
	char what[64][32];
	size_t count;
	struct msn_compare_stats stats;
};

static bool in(const struct msn_difference *d, uint64_t base, uint64_t pages)
{
	return d->addr.start >= base && d->addr.end <= base + pages * PAGE;
}

static int note(void *ctx, const struct msn_difference *d)
{
	struct found *f = ctx;

	if (!in(d, scene.v.shared->memory, PAGES) &&
	    !in(d, scene.v.shared->count[0], 4) &&
	    !in(d, scene.v.shared->count[1], 4))
		return 0;
	CHECK(f->count < 64);
	snprintf(f->what[f->count], sizeof(f->what[0]), "%s", d->what);
	f->list[f->count++] = *d;
	return 0;
}

static struct found compare(void)
{
	static struct found f;
	const struct msn_compare_opts opts = { .uid = scene.uid,
					       .pid = scene.v.pid,
					       .difference = note,
					       .difference_ctx = &f };
	int rc;

	f = (struct found){ 0 };
	rc = msn_capture_compare(scene.store, &opts, &f.stats, &scene.why);
	if (rc)
		puts(scene.why.text);
	CHECK(rc == 0);
	return f;
}

static bool is(const struct found *f, size_t i, enum msn_difference_kind kind,
	       uint64_t base, uint64_t first, uint64_t end)
{
	return i < f->count && f->list[i].kind == kind &&
	       f->list[i].addr.start == base + first * PAGE &&
	       f->list[i].addr.end == base + end * PAGE;
}

static void begin(void)
{
	scene_start(&scene, prepare);
	scene_capture(&scene);
}

static void an_unchanged_process_is_equal(void)
{
	struct found f;

	begin();
	f = compare();
	EXPECT(f.count == 0);
	/* The kernel notes the processor in the thread's rseq area. */
	EXPECT(f.stats.different_pages <= 1);
	EXPECT(f.stats.different_mappings == 0);
	EXPECT(f.stats.compared_pages >= 32 && f.stats.pause_ns > 0);
	EXPECT(victim_sleeps(&scene.v));
	scene_end(&scene);
}

static void changed_pages_are_told_as_runs(void)
{
	uint64_t at;
	struct found f;

	/* pages 3 and 4, and 9 */
	begin();
	at = scene.v.shared->memory;
	tell(1);
	f = compare();
	EXPECT(f.count == 2);
	EXPECT(is(&f, 0, MSN_DIFFERENCE_BYTES, at, 3, 5));
	EXPECT(is(&f, 1, MSN_DIFFERENCE_BYTES, at, 9, 10));
	EXPECT(f.stats.different_pages >= 3);
	scene_end(&scene);
}

static void a_page_that_became_zero_is_told(void)
{
	struct found f;

	begin();
	tell(8);
	f = compare();
	EXPECT(f.count == 1);
	EXPECT(is(&f, 0, MSN_DIFFERENCE_BYTES, scene.v.shared->memory, 5, 6));
	scene_end(&scene);
}

static void a_page_that_was_never_touched_is_told(void)
{
	struct found f;

	begin();
	tell(7);
	f = compare();
	EXPECT(f.count == 1);
	EXPECT(is(&f, 0, MSN_DIFFERENCE_BYTES, scene.v.shared->memory, 40, 41));
	scene_end(&scene);
}

static void other_rights_are_told(void)
{
	struct found f;

	begin();
	tell(2);
	f = compare();
	EXPECT(f.count == 1);
	EXPECT(is(&f, 0, MSN_DIFFERENCE_MAPPING, scene.v.shared->memory, 8,
		  10));
	EXPECT(strcmp(f.what[0], "rights") == 0);
	scene_end(&scene);
}

static void mappings_that_went_and_came_are_told(void)
{
	struct found f;
	uint64_t at;

	begin();
	at = scene.v.shared->memory;
	tell(3);
	f = compare();
	EXPECT(f.count == 1 && is(&f, 0, MSN_DIFFERENCE_REMOVED, at, 60, 64));
	/* a snapshot of it without them, then one page comes back */
	scene_capture(&scene);
	tell(9);
	f = compare();
	EXPECT(f.count == 1 && is(&f, 0, MSN_DIFFERENCE_ADDED, at, 62, 63));
	scene_end(&scene);
}

static void shared_memory_is_compared(void)
{
	struct found f;

	begin();
	tell(4);
	f = compare();
	EXPECT(f.count == 1);
	EXPECT(is(&f, 0, MSN_DIFFERENCE_BYTES, scene.v.shared->count[1], 2, 3));
	scene_end(&scene);
}

static void a_copy_of_a_files_page_differs_by_its_bytes(void)
{
	struct found f;

	begin();
	tell(5);
	f = compare();
	EXPECT(f.count == 0);
	tell(6);
	f = compare();
	EXPECT(f.count == 1);
	EXPECT(is(&f, 0, MSN_DIFFERENCE_BYTES, scene.v.shared->count[0], 1, 2));
	scene_end(&scene);
}

static void a_zero_page_over_a_files_is_compared(void)
{
	struct found f;

	begin();
	tell(10);
	f = compare();
	EXPECT(f.count == 1);
	EXPECT(is(&f, 0, MSN_DIFFERENCE_BYTES, scene.v.shared->count[0], 2, 3));
	scene_capture(&scene);
	f = compare();
	EXPECT(f.count == 0);
	scene_end(&scene);
}

static void a_modified_file_is_told(void)
{
	char path[128];
	struct found f;
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s/file", scene.dir);
	fd = open(path, O_WRONLY);
	EXPECT(pwrite(fd, "g", 1, 0) == 1);
	close(fd);
	f = compare();
	EXPECT(f.count == 1);
	EXPECT(is(&f, 0, MSN_DIFFERENCE_MAPPING, scene.v.shared->count[0], 0,
		  4));
	EXPECT(strcmp(f.what[0], "contents of the file") == 0);
	scene_end(&scene);
}

static int stop_at_once(void *ctx, const struct msn_difference *d)
{
	(void)d;
	++*(int *)ctx;
	return -ECANCELED;
}

static void the_callback_ends_it(void)
{
	struct msn_compare_opts opts = { .difference = stop_at_once };
	int calls = 0;

	begin();
	tell(1);
	opts.uid = scene.uid;
	opts.pid = scene.v.pid;
	opts.difference_ctx = &calls;
	EXPECT(msn_capture_compare(scene.store, &opts, NULL, &scene.why) ==
	       -ECANCELED);
	EXPECT(calls == 1);
	EXPECT(victim_sleeps(&scene.v));
	scene_end(&scene);
}

static void unknown_snapshots_and_processes_are_named(void)
{
	struct msn_compare_opts opts = { 0 };

	begin();
	opts.pid = scene.v.pid;
	EXPECT(msn_capture_compare(scene.store, &opts, NULL, &scene.why) < 0);
	EXPECT(scene.why.kind == MSN_FAILURE_NOT_FOUND);
	scene.why.kind = MSN_FAILURE_NONE;
	opts.uid = scene.uid;
	opts.pid = 1 << 30;
	EXPECT(msn_capture_compare(scene.store, &opts, NULL, &scene.why) < 0);
	EXPECT(scene.why.kind == MSN_FAILURE_NOT_FOUND);
	scene_end(&scene);
}

static void *same_scene(void)
{
	scene.why.kind = MSN_FAILURE_NONE;
	return &scene;
}

static int compare_body(void *state)
{
	const struct msn_compare_opts opts = { .uid = scene.uid,
					       .pid = scene.v.pid };

	(void)state;
	return msn_capture_compare(scene.store, &opts, NULL, &scene.why);
}

static void compare_verify(void *state, int rc, const char *name)
{
	(void)state;
	EXPECT(rc == 0 || (name && scene.why.kind != MSN_FAILURE_NONE));
	EXPECT(victim_sleeps(&scene.v));
}

static void failures_let_the_process_go(void)
{
	begin();
	/* Ever fewer: what fails in describing is walked whole elsewhere. */
	for (unsigned nth = 1;; nth += 1 + nth / 8) {
		const char *fired;
		int rc;

		msn_fault_arm(nth);
		rc = compare_body(same_scene());
		fired = msn_fault_fired();
		msn_fault_arm(0);
		compare_verify(&scene, rc, fired);
		if (!fired)
			break;
	}
	scene_end(&scene);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_unchanged_process_is_equal),
		CHECK_TEST(changed_pages_are_told_as_runs),
		CHECK_TEST(a_page_that_became_zero_is_told),
		CHECK_TEST(a_page_that_was_never_touched_is_told),
		CHECK_TEST(other_rights_are_told),
		CHECK_TEST(mappings_that_went_and_came_are_told),
		CHECK_TEST(shared_memory_is_compared),
		CHECK_TEST(a_copy_of_a_files_page_differs_by_its_bytes),
		CHECK_TEST(a_zero_page_over_a_files_is_compared),
		CHECK_TEST(a_modified_file_is_told),
		CHECK_TEST(the_callback_ends_it),
		CHECK_TEST(unknown_snapshots_and_processes_are_named),
		CHECK_TEST(failures_let_the_process_go),
		{}
	};

	return check_main(argc, argv, "compare", tests);
}
