/*
 * mm: what a space has and uses, and against the kernel's counters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hostfile/hostfile.h"
#include "mm/mm_calls.h"
#include "unit/mm/shared_object.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct msn_mm_usage usage(struct msn_mm *mm)
{
	struct msn_mm_usage u;

	msn_mm_usage(mm, &u);
	return u;
}

static void mappings_are_counted_by_their_kind(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts stack = anon(20, 2);
		struct msn_mmap_opts code = anon(30, 3);
		struct msn_mm_usage u;

		stack.grows_down = true;
		code.perms = MSN_ACCESS_READ | MSN_ACCESS_EXEC;
		map(f.mm, anon(0, 4));
		map(f.mm, stack);
		map(f.mm, code);
		CHECK(msn_mm_mlock(f.mm, AT(1), PAGE, MLOCK_ONFAULT) == 0);
		u = usage(f.mm);
		EXPECT(u.total == 9 * PAGE && u.data == 4 * PAGE);
		EXPECT(u.stack == 2 * PAGE && u.locked == PAGE);
		EXPECT(u.mappings == 5);
	}
}

static void the_peak_stays_when_mappings_go(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(0, 8));
		CHECK(msn_mm_munmap(f.mm, AT(0), 6 * PAGE) == 0);
		EXPECT(usage(f.mm).total == 2 * PAGE);
		EXPECT(usage(f.mm).peak == 8 * PAGE);
		map(f.mm, anon(0, 3));
		EXPECT(usage(f.mm).peak == 8 * PAGE);
		map(f.mm, anon(10, 5));
		EXPECT(usage(f.mm).peak == 10 * PAGE);
	}
}

static void resident_pages_are_anonymous_of_files_or_of_memory(void)
{
	char path[] = "/tmp/memsnap-test-XXXXXX", page[MSN_PAGE_SIZE] = "x";
	struct fixture f = setup(false);
	struct msn_mmap_opts sh = anon(20, 4), file = anon(30, 1);
	struct msn_hostfile *hf;
	struct msn_mm_usage u;
	int fd = mkstemp(path);

	CHECK(fd >= 0 && write(fd, page, PAGE) == (ssize_t)PAGE);
	close(fd);
	CHECK(msn_hostfile_open(&hf, path, true) == 0);
	unlink(path);
	sh.private = file.private = false;
	set_shared(&f, &sh);
	file.mappable = msn_hostfile_mappable(hf);
	file.mapping_identity = msn_hostfile_identity(hf);
	map(f.mm, anon(0, 4));
	map(f.mm, sh);
	map(f.mm, file);
	put(f.mm, AT(0), 'x');
	put(f.mm, AT(1), 'x');
	EXPECT(get(f.mm, AT(2)) == 0); /* reads as zero, takes nothing */
	put(f.mm, AT(20), 'x');
	EXPECT(get(f.mm, AT(30)) == 'x');
	CHECK(msn_mm_madvise(f.mm, AT(0), PAGE, MADV_FREE) == 0);
	u = usage(f.mm);
	EXPECT(u.rss_anonymous == 2 * PAGE && u.rss_shmem == PAGE);
	EXPECT(u.rss_file == PAGE && u.lazy_free == PAGE);
	CHECK(msn_mm_madvise(f.mm, AT(0), 31 * PAGE, MADV_DONTNEED) == -12);
	u = usage(f.mm);
	EXPECT(u.rss_anonymous + u.rss_shmem + u.rss_file == 0);
	msn_identity_dec_ref(sh.mapping_identity);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
	teardown(&f);
}

/* ---- Against the kernel -------------------------------------------------- */

static uint64_t status_kb(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	uint64_t kb = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			kb = strtoull(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return kb;
}

enum { TOTAL, DATA, LOCKED, SHMEM, COUNTERS };

static void read_counters(uint64_t out[COUNTERS])
{
	static const char *const names[] = { "VmSize:", "VmData:", "VmLck:",
					     "RssShmem:" };

	for (int i = 0; i < COUNTERS; i++)
		out[i] = status_kb(names[i]) << 10;
}

static void *at(uint64_t page)
{
	return (void *)(uintptr_t)AT(page);
}

/* The same mappings in a process; what they add to its counters. */
static void count_in_kernel(uint64_t *out)
{
	uint64_t before[COUNTERS], after[COUNTERS];
	int flags = MAP_FIXED | MAP_ANONYMOUS;

	read_counters(before); /* what that itself takes is there now */
	read_counters(before);
	if (mmap(at(0), 64 * PAGE, 3, flags | MAP_PRIVATE, -1, 0) != at(0) ||
	    mmap(at(70), 8 * PAGE, 1, flags | MAP_PRIVATE, -1, 0) != at(70) ||
	    mmap(at(80), 64 * PAGE, 3, flags | MAP_SHARED, -1, 0) != at(80))
		_exit(1);
	memset(at(80), 1, 32 * PAGE);
	if (mprotect(at(10), 4 * PAGE, PROT_READ) < 0 ||
	    syscall(SYS_mlock, at(20), 4 * PAGE) < 0)
		_exit(2);
	read_counters(after);
	for (int i = 0; i < COUNTERS; i++)
		out[i] = after[i] - before[i];
	_exit(0);
}

static void counters_agree_with_the_kernel(void)
{
	uint64_t *kernel = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct msn_mmap_opts ro = anon(70, 8), sh = anon(80, 64);
	struct fixture f = setup(false);
	struct msn_mm_usage u;
	int status;
	pid_t pid;

	CHECK(kernel != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		count_in_kernel(kernel);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	ro.perms = MSN_ACCESS_READ;
	sh.private = false;
	set_shared(&f, &sh);
	map(f.mm, anon(0, 64));
	map(f.mm, ro);
	map(f.mm, sh);
	for (uint64_t i = 0; i < 32; i++)
		put(f.mm, AT(80 + i), 1);
	CHECK(msn_mm_mprotect(f.mm, AT(10), 4 * PAGE, PROT_READ) == 0);
	CHECK(msn_mm_mlock(f.mm, AT(20), 4 * PAGE, 0) == 0);
	u = usage(f.mm);
	EXPECT(u.total == kernel[TOTAL] && u.data == kernel[DATA]);
	EXPECT(u.locked == kernel[LOCKED] && u.rss_shmem == kernel[SHMEM]);
	msn_identity_dec_ref(sh.mapping_identity);
	munmap(kernel, PAGE);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(mappings_are_counted_by_their_kind),
		CHECK_TEST(the_peak_stays_when_mappings_go),
		CHECK_TEST(resident_pages_are_anonymous_of_files_or_of_memory),
		CHECK_TEST(counters_agree_with_the_kernel),
		{}
	};

	return check_main(argc, argv, "mm usage", tests);
}
