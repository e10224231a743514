/*
 * Versus: the process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The mlock family is called directly: sanitizers make the library's do
 * nothing.
 */
#include "base/fd.h"
#include "mm/mm_calls.h"
#include "unit/mm/versus_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* An access that may fail: the kernel copies the byte for us. */
static int64_t put_byte(uint64_t addr, int byte)
{
	char c = (char)byte;
	int ends[2];
	int64_t rc = -EPIPE;

	if (pipe(ends) == 0 && write(ends[1], &c, 1) == 1)
		rc = read(ends[0], (void *)(uintptr_t)addr, 1) == 1 ? 0
								    : -errno;
	close(ends[0]);
	close(ends[1]);
	return rc;
}

static int64_t get_byte(uint64_t addr)
{
	unsigned char c = 0;
	int ends[2];
	int64_t rc = -EPIPE;

	if (pipe(ends) == 0)
		rc = write(ends[1], (void *)(uintptr_t)addr, 1) == 1 ? 0
								     : -errno;
	if (rc == 0 && read(ends[0], &c, 1) == 1)
		rc = c;
	close(ends[0]);
	close(ends[1]);
	return rc;
}

static int64_t sum_mincore(uint64_t addr, uint64_t length)
{
	unsigned char vec[VERSUS_PAGES] = { 0 };
	int64_t sum = 0;

	if (mincore((void *)(uintptr_t)addr, length, vec) < 0)
		return -errno;
	for (size_t i = 0; i < VERSUS_PAGES; i++)
		sum += vec[i] & 1;
	return sum;
}

static long map_it(const struct versus_call *c, int flags, int fd)
{
	void *p = mmap((void *)(uintptr_t)c->addr, c->length, c->arg,
		       flags | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	return p == MAP_FAILED ? -1 : 0;
}

static long map_call(const struct versus_call *c, const struct versus_files *f)
{
	switch (c->verb) {
	case V_ANON:
		return map_it(c, MAP_PRIVATE, -1);
	case V_STACK:
		return map_it(c, MAP_PRIVATE | MAP_GROWSDOWN, -1);
	case V_SHARED:
		return map_it(c, MAP_SHARED, -1);
	case V_ZERO:
		return map_it(c, MAP_PRIVATE, f->zero);
	case V_FILE:
		return map_it(c, MAP_PRIVATE, f->rw);
	case V_FILE_SHARED:
		return map_it(c, MAP_SHARED, f->rw);
	default:
		return map_it(c, MAP_SHARED, f->ro);
	}
}

static int64_t run(const struct versus_call *c, const struct versus_files *f)
{
	void *p = (void *)(uintptr_t)c->addr;
	long rc;

	switch (c->verb) {
	case V_PUT:
		return put_byte(c->addr, c->arg);
	case V_GET:
		return get_byte(c->addr);
	case V_MINCORE:
		return sum_mincore(c->addr, c->length);
	case V_MPROTECT:
		rc = syscall(SYS_mprotect, p, c->length, c->arg);
		break;
	case V_MUNMAP:
		rc = munmap(p, c->length);
		break;
	case V_MADVISE:
		rc = madvise(p, c->length, c->arg);
		break;
	case V_MLOCK:
		rc = syscall(SYS_mlock2, p, c->length, c->arg);
		break;
	case V_MUNLOCK:
		rc = syscall(SYS_munlock, p, c->length);
		break;
	case V_MLOCKALL:
		rc = syscall(SYS_mlockall, c->arg);
		break;
	case V_MUNLOCKALL:
		rc = syscall(SYS_munlockall);
		break;
	case V_MSYNC:
		rc = msync(p, c->length, c->arg);
		break;
	default:
		rc = map_call(c, f);
		break;
	}
	return rc < 0 ? -errno : rc;
}

static void look(struct versus_side *side, int maps, int pagemap)
{
	static char text[1 << 16];
	uint64_t words[VERSUS_PAGES] = { 0 };
	size_t len = 0;
	ssize_t n;

	while ((n = read(maps, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	versus_add_layout(side, text);
	if (pread(pagemap, words, sizeof(words), BASE / PAGE * 8) > 0)
		for (size_t i = 0; i < VERSUS_PAGES; i++)
			side->present[i] =
				(words[i] & MSN_PAGEMAP_PRESENT) != 0;
}

static void child(const struct versus_call *calls, const struct versus_files *f,
		  struct versus_side *side)
{
	struct rlimit limit = { VERSUS_MEMLOCK, VERSUS_MEMLOCK };
	int maps = open("/proc/self/maps", O_RDONLY);
	int pagemap = open("/proc/self/pagemap", O_RDONLY);

	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		_exit(2);
	/* Another user has no capabilities; without any, nothing to drop. */
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		_exit(3);
	for (size_t i = 0; calls[i].verb; i++)
		side->result[i] = run(&calls[i], f);
	look(side, maps, pagemap);
	_exit(0);
}

void versus_run_kernel(const struct versus_call *calls,
		       const struct versus_files *f, struct versus_side *out)
{
	struct versus_side *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	CHECK(shared != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		child(calls, f, shared);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	*out = *shared;
	munmap(shared, sizeof(*shared));
}
