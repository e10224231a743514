/*
 * Twins: the process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * System calls are made directly: sanitizers make some of the library's do
 * nothing.
 */
#include "unit/mm/twin_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

/* A child has no heap to speak of: this is its text of /proc files. */
#define TEXT_MAX (1 << 18)

/* The heap of a process is where it is: page 0 is where suits it. */
static uint64_t base = BASE;

static void *pointer(uint64_t at)
{
	return (void *)(uintptr_t)(base + at);
}

static int peek(void *ctx, uint64_t addr)
{
	unsigned char c;
	struct iovec to = { &c, 1 }, from = { (void *)(uintptr_t)addr, 1 };

	(void)ctx;
	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1 ? c : -1;
}

static const char *read_proc(const char *path)
{
	static char text[TEXT_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	while (len + 1 < TEXT_MAX &&
	       (n = read(fd, text + len, TEXT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd);
	return text;
}

static uint64_t number(const char *key)
{
	const char *at = strstr(read_proc("/proc/self/status"), key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* ---- Steps --------------------------------------------------------------- */

static void touch(const struct twin_step *s)
{
	for (uint64_t at = s->addr; at < s->addr + s->length; at += PAGE) {
		char c = twin_letter(at / PAGE);
		struct iovec from = { &c, 1 }, to = { pointer(at), 1 };

		(void)!process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	}
}

/*
 * Makes the heap of this child empty and calls its first page that at @at.
 * Nothing here uses memory from it any more.
 */
static long empty_heap(uint64_t at)
{
	const char *stat = strrchr(read_proc("/proc/self/stat"), ')');
	unsigned long long start = 0;

	/* start_brk is the 47th field; this is behind the second. */
	for (int field = 3; stat && field <= 47; field++)
		stat = strchr(stat + 1, ' ');
	if (stat)
		start = strtoull(stat, NULL, 10);
	if (!start || start % PAGE ||
	    (uint64_t)syscall(SYS_brk, start) != start)
		return -1;
	base = start - at;
	return 0;
}

/* An access that may fail: the kernel copies the byte for us, as a program. */
static long put_byte(void *at, int byte)
{
	char c = (char)byte;
	int ends[2], error;
	long rc = -1;

	if (pipe(ends) == 0 && write(ends[1], &c, 1) == 1)
		rc = read(ends[0], at, 1) == 1 ? 0 : -1;
	error = errno;
	close(ends[0]);
	close(ends[1]);
	errno = error;
	return rc;
}

static long get_byte(void *at, uint64_t *value)
{
	unsigned char c = 0;
	int ends[2], error;
	long rc = -1;

	if (pipe(ends) == 0 && write(ends[1], at, 1) == 1)
		rc = read(ends[0], &c, 1) == 1 ? 0 : -1;
	error = errno;
	close(ends[0]);
	close(ends[1]);
	*value = c;
	errno = error;
	return rc;
}

static long sum_mincore(const struct twin_step *s, uint64_t *value)
{
	static unsigned char vec[TWIN_PAGES];

	memset(vec, 0, sizeof(vec));
	if (syscall(SYS_mincore, pointer(s->addr), s->length, vec) < 0)
		return -1;
	for (size_t i = 0; i < TWIN_PAGES; i++)
		*value += vec[i] & 1;
	return 0;
}

/* Calls that touch memory or tell a number. */
static long access_step(const struct twin_step *s, uint64_t *value)
{
	switch (s->op) {
	case TWIN_TOUCH:
		touch(s);
		return 0;
	case TWIN_HEAP:
		return empty_heap(s->addr);
	case TWIN_BRK:
		*value = (uint64_t)syscall(SYS_brk, pointer(s->addr)) - base;
		return 0;
	case TWIN_PUT:
		return put_byte(pointer(s->addr), s->flags);
	case TWIN_GET:
		return get_byte(pointer(s->addr), value);
	default:
		return sum_mincore(s, value);
	}
}

static long map_step(const struct twin_step *s, const struct twin_files *f)
{
	int fd = s->of == TWIN_FILE	   ? f->rw
		 : s->of == TWIN_READ_ONLY ? f->ro
		 : s->of == TWIN_ZERO	   ? f->zero
					   : -1;

	return syscall(SYS_mmap, pointer(s->addr), s->length, (long)s->prot,
		       (long)s->flags | MAP_FIXED, (long)fd, 0L);
}

static long call_step(const struct twin_step *s, const struct twin_files *f,
		      uint64_t *value)
{
	void *at = pointer(s->addr);
	long flags = s->flags; /* a syscall takes whole words */
	long rc;

	switch (s->op) {
	case TWIN_MAP:
		rc = map_step(s, f);
		break;
	case TWIN_REMAP:
		rc = syscall(SYS_mremap, at, s->length, s->new_length, flags,
			     pointer(s->to));
		break;
	case TWIN_UNMAP:
		return syscall(SYS_munmap, at, s->length);
	case TWIN_PROTECT:
		return syscall(SYS_mprotect, at, s->length, (long)s->prot);
	case TWIN_SEAL:
		return syscall(SYS_mseal, at, s->length, flags);
	case TWIN_BIND:
		return syscall(SYS_mbind, at, s->length, (long)s->mode,
			       &s->nodes, 65L, flags);
	case TWIN_ADVISE:
		return syscall(SYS_madvise, at, s->length, flags);
	case TWIN_LOCK:
		return syscall(SYS_mlock2, at, s->length, flags);
	case TWIN_UNLOCK:
		return syscall(SYS_munlock, at, s->length);
	case TWIN_LOCK_ALL:
		return syscall(SYS_mlockall, flags);
	case TWIN_UNLOCK_ALL:
		return syscall(SYS_munlockall);
	case TWIN_SYNC:
		return syscall(SYS_msync, at, s->length, flags);
	default:
		return access_step(s, value);
	}
	if (rc != -1)
		*value = ((uint64_t)rc - base) / PAGE;
	return rc == -1 ? -1 : 0;
}

/* ---- The child ----------------------------------------------------------- */

static void limit(__rlimit_resource_t which, uint64_t bytes)
{
	struct rlimit r = { bytes, bytes };

	if (setrlimit(which, &r) < 0)
		_exit(2);
}

static void go_under(struct twin_opts o)
{
	if (o.as)
		limit(RLIMIT_AS, number("VmSize:") * 1024 + o.as);
	if (o.data)
		limit(RLIMIT_DATA, number("VmData:") * 1024 + o.data);
	if (!o.memlock)
		return;
	limit(RLIMIT_MEMLOCK, o.memlock);
	/* Another user has no capabilities; without any, nothing to drop. */
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		_exit(3);
	/* Or the files in /proc/self would be somebody else's. */
	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		_exit(4);
}

static void look(const struct twin_script *s, struct twin_outcome *out)
{
	static struct twin_side side;
	int fd;

	side = (struct twin_side){ peek, NULL, base, { 0 } };
	out->locked = number("VmLck:") * 1024;
	if (s->opts.presence) {
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		if (pread(fd, side.pagemap, sizeof(side.pagemap),
			  (off_t)(base / PAGE * 8)) != sizeof(side.pagemap))
			_exit(5);
		close(fd);
	}
	twin_take_shape(out->shape, read_proc("/proc/self/maps"), &side,
			s->opts.presence);
}

/* Says what each step came to. */
static void be_kernel(const struct twin_script *s, int fd)
{
	static struct twin_outcome o;

	go_under(s->opts);
	for (size_t i = 0; i < s->count; i++) {
		size_t done = 0;

		o.value = 0;
		o.error = call_step(&s->steps[i], &s->files, &o.value) ? errno
								       : 0;
		if (o.error)
			o.value = 0;
		look(s, &o);
		while (done < sizeof(o)) {
			ssize_t n =
				write(fd, (char *)&o + done, sizeof(o) - done);

			if (n <= 0)
				_exit(1);
			done += (size_t)n;
		}
	}
	_exit(0);
}

void twin_ask_kernel(const struct twin_script *s, struct twin_outcome *out)
{
	size_t done = 0;
	int fd[2], status;
	pid_t pid;

	CHECK(pipe(fd) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(fd[0]);
		be_kernel(s, fd[1]);
	}
	close(fd[1]);
	while (done < s->count * sizeof(*out)) {
		ssize_t n = read(fd[0], (char *)out + done,
				 s->count * sizeof(*out) - done);

		CHECK(n > 0);
		done += (size_t)n;
	}
	close(fd[0]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}
