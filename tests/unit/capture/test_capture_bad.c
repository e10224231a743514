/*
 * Capture of what cannot be captured: one clear line, nothing half done.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "capture/describe.h"
#include "capture/objects.h"
#include "capture/target.h"
#include "memfile/memfile.h"
#include "platform/address_space.h"
#include "scene.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scene scene;

static void tell(struct victim_shared *shared, const void *at)
{
	shared->memory = (uint64_t)(uintptr_t)at;
}

static void large(struct victim_shared *shared)
{
	char *at = mmap(NULL, 4096 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < 4096; i++)
		memcpy(at + i * PAGE, &i, sizeof(i));
	tell(shared, at);
}

static size_t snapshot_count(struct msn_store *store)
{
	struct msn_snapshot_info *list;
	struct msn_failure why = { 0 };
	size_t count;

	CHECK(msn_store_list(store, &list, &count, &why) == 0);
	free(list);
	return count;
}

static int try_pid(pid_t pid)
{
	const struct msn_capture_opts opts = { .pid = pid };

	scene.why.kind = MSN_FAILURE_NONE;
	return msn_capture(scene.store, &opts, &scene.uid, NULL, &scene.why);
}

static void what_is_no_process_is_named(void)
{
	pid_t gone;

	scene_start(&scene, large);
	gone = fork();
	if (gone == 0)
		_exit(0);
	waitpid(gone, NULL, 0);
	EXPECT(try_pid(gone) < 0);
	EXPECT(scene.why.kind == MSN_FAILURE_NOT_FOUND);
	EXPECT(strstr(scene.why.text, "no such process"));
	EXPECT(try_pid(getpid()) < 0);
	EXPECT(scene.why.kind == MSN_FAILURE_INVALID);
	EXPECT(snapshot_count(scene.store) == 0);
	scene_end(&scene);
}

static int denied(void)
{
	if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
		return 99;
	if (try_pid(scene.v.pid) >= 0)
		return 1;
	return scene.why.kind != MSN_FAILURE_DENIED;
}

static void another_users_process_is_denied(void)
{
	int status;
	pid_t child;

	if (getuid() != 0) {
		puts("needs root to become another user");
		return;
	}
	scene_start(&scene, large);
	child = fork();
	if (child == 0)
		_exit(denied());
	waitpid(child, &status, 0);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	scene_end(&scene);
}

/* ---- Mappings that cannot be saved --------------------------------------- */

static void ring(struct victim_shared *shared)
{
	struct io_uring_params p = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				 fd, IORING_OFF_SQ_RING);

	if (at != MAP_FAILED)
		tell(shared, at);
}

static void perf(struct victim_shared *shared)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_DUMMY };
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);

	if (at != MAP_FAILED)
		tell(shared, at);
}

static void device(struct victim_shared *shared)
{
	int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	if (at != MAP_FAILED)
		tell(shared, at);
}

/* Refused with range and name, if this system lets us have one at all. */
static bool is_refused(void (*fn)(struct victim_shared *), const char *name)
{
	char range[64];
	bool had;

	scene_start(&scene, fn);
	had = scene.v.shared->memory != 0;
	if (had) {
		EXPECT(try_pid(scene.v.pid) == -EOPNOTSUPP);
		EXPECT(scene.why.kind == MSN_FAILURE_PRECONDITION);
		snprintf(range, sizeof(range), "mapping %lx-",
			 scene.v.shared->memory);
		EXPECT(strstr(scene.why.text, range));
		EXPECT(strstr(scene.why.text, name));
		EXPECT(snapshot_count(scene.store) == 0);
		EXPECT(victim_sleeps(&scene.v));
	}
	scene_end(&scene);
	return had;
}

static void device_memory_is_refused_by_name(void)
{
	unsigned had = 0;

	had += is_refused(ring, "anon_inode:[io_uring]");
	had += is_refused(perf, "anon_inode:[perf_event]");
	had += is_refused(device, "/dev/mem");
	printf("%u kinds of device memory to be had here\n", had);
	if (had == 0)
		puts("none: nothing was tested");
}

/* Device memory may have any name: what the kernel says of it decides. */
static void memory_that_is_io_is_refused_whatever_its_name(void)
{
	static const uint32_t flags[] = { MSN_VM_IO, MSN_VM_PFNMAP };

	scene_start(&scene, large);
	for (size_t i = 0; i < MSN_ARRAY_LEN(flags); i++) {
		struct msn_failure why = { 0 };
		struct msn_objects *o;
		struct msn_target t;
		struct msn_proc_map map;
		struct msn_mapped mapped;

		CHECK(msn_target_open(&t, scene.v.pid, &why) == 0);
		CHECK(msn_target_stop(&t, &why) == 0);
		CHECK(msn_objects_new(&o, &t, NULL) == 0);
		map = *msn_proc_maps_at(&t.maps, scene.v.shared->memory);
		EXPECT(msn_objects_classify(o, &map, &mapped, &why) == 0);
		map.flags |= flags[i];
		EXPECT(msn_objects_classify(o, &map, &mapped, &why) ==
		       -EOPNOTSUPP);
		EXPECT(why.kind == MSN_FAILURE_PRECONDITION);
		EXPECT(strstr(why.text, "a device's memory"));
		msn_objects_free(o);
		msn_target_close(&t);
	}
	scene_end(&scene);
}

/* ---- Interrupted --------------------------------------------------------- */

static int kill_half_way(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	if (done * 2 > total)
		kill(scene.v.pid, SIGKILL);
	return 0;
}

static void a_process_killed_half_way_is_no_snapshot(void)
{
	struct msn_capture_opts opts = { .progress = kill_half_way };

	scene_start(&scene, large);
	opts.pid = scene.v.pid;
	EXPECT(msn_capture(scene.store, &opts, &scene.uid, NULL, &scene.why) ==
	       -ESRCH);
	EXPECT(scene.why.kind == MSN_FAILURE_ABORTED);
	EXPECT(strstr(scene.why.text, "ended while it was being captured"));
	EXPECT(snapshot_count(scene.store) == 0);
	scene_end(&scene);
}

static int cancel(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	(void)total;
	return done > 0;
}

static void a_cancelled_capture_lets_the_process_go(void)
{
	struct msn_capture_opts opts = { .progress = cancel };

	scene_start(&scene, large);
	opts.pid = scene.v.pid;
	EXPECT(msn_capture(scene.store, &opts, &scene.uid, NULL, &scene.why) ==
	       -ECANCELED);
	EXPECT(scene.why.kind == MSN_FAILURE_CANCELLED);
	EXPECT(snapshot_count(scene.store) == 0);
	EXPECT(victim_sleeps(&scene.v));
	scene_capture(&scene);
	scene_end(&scene);
}

static void a_bad_name_stops_nothing(void)
{
	struct msn_capture_opts opts = { .name = "no/such/name" };

	scene_start(&scene, large);
	opts.pid = scene.v.pid;
	EXPECT(msn_capture(scene.store, &opts, &scene.uid, NULL, &scene.why) <
	       0);
	EXPECT(scene.why.kind == MSN_FAILURE_INVALID);
	EXPECT(victim_sleeps(&scene.v));
	scene_end(&scene);
}

/* ---- Every failure ------------------------------------------------------- */

static void tiny(struct victim_shared *shared)
{
	int fd = memfd_create("tiny", MFD_CLOEXEC);
	char *at;

	if (ftruncate(fd, (off_t)PAGE))
		abort();
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	at[0] = 1;
	tell(shared, at);
}

static void *same_scene(void)
{
	scene.why.kind = MSN_FAILURE_NONE;
	return &scene;
}

static int capture_body(void *state)
{
	(void)state;
	return try_pid(scene.v.pid);
}

static void capture_verify(void *state, int rc, const char *name)
{
	(void)state;
	if (rc == 0) {
		CHECK(msn_store_remove(scene.store, scene.uid, NULL,
				       &scene.why) == 0);
	} else {
		EXPECT(name && rc < 0);
		EXPECT(scene.why.kind != MSN_FAILURE_NONE);
		EXPECT(*scene.why.text);
	}
	EXPECT(snapshot_count(scene.store) == 0);
	EXPECT(victim_sleeps(&scene.v));
}

static void failures_leave_process_and_store_as_they_were(void)
{
	unsigned nth = 1;
	const char *fired;

	/* Ever fewer: what fails in describing is walked whole below. */
	scene_start(&scene, tiny);
	do {
		int rc;

		msn_fault_arm(nth);
		rc = capture_body(same_scene());
		fired = msn_fault_fired();
		msn_fault_arm(0);
		capture_verify(&scene, rc, fired);
		nth += 1 + nth / 8;
	} while (fired);
	EXPECT(nth > 100);
	scene_end(&scene);
}

static int describe_body(void *state)
{
	struct msn_mm_opts opts = { .memfile = state };
	struct msn_target t;
	struct msn_mm *mm = NULL;
	uint64_t bytes = 0;
	struct msn_describe_opts describe = { .object_bytes = &bytes };
	int rc = msn_target_open(&t, scene.v.pid, &scene.why);

	if (rc)
		return rc;
	if (msn_platform_none_new(&opts.as) || msn_mm_new(&mm, &opts))
		rc = msn_failure_errno(&scene.why, -ENOMEM, "space");
	if (rc == 0)
		rc = msn_target_stop(&t, &scene.why);
	if (rc == 0) {
		describe.memory = msn_procfile_file(t.pf);
		rc = msn_describe(&t, mm, &describe, &scene.why);
	}
	if (mm)
		EXPECT(!msn_mm_check(mm));
	msn_mm_free(mm);
	msn_target_close(&t);
	return rc;
}

static void *a_memory_file(void)
{
	struct msn_memfile *mf;

	scene.why.kind = MSN_FAILURE_NONE;
	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	return mf;
}

static void describe_verify(void *state, int rc, const char *name)
{
	if (rc) {
		EXPECT(name && rc < 0 && scene.why.kind != MSN_FAILURE_NONE);
		EXPECT(*scene.why.text);
	}
	EXPECT(victim_sleeps(&scene.v));
	msn_memfile_free(state);
}

static void every_failure_of_describing_lets_the_process_go(void)
{
	unsigned points;

	scene_start(&scene, tiny);
	points = check_every_fault(a_memory_file, describe_body,
				   describe_verify);
	EXPECT(points > 200);
	scene_end(&scene);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(what_is_no_process_is_named),
		CHECK_TEST(another_users_process_is_denied),
		CHECK_TEST(device_memory_is_refused_by_name),
		CHECK_TEST(memory_that_is_io_is_refused_whatever_its_name),
		CHECK_TEST(a_process_killed_half_way_is_no_snapshot),
		CHECK_TEST(a_cancelled_capture_lets_the_process_go),
		CHECK_TEST(a_bad_name_stops_nothing),
		CHECK_TEST(failures_leave_process_and_store_as_they_were),
		CHECK_TEST(every_failure_of_describing_lets_the_process_go),
		{}
	};

	return check_main(argc, argv, "capture of what is bad", tests);
}
