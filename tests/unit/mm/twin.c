/*
 * Twins: running a script twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/mm/twin.h"

#include "mm/mm_calls.h"
#include "mm/mm_internal.h"
#include "shmem/shmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define STEPS_MAX 64
#define SHAPE_MAX 8192
/* A child has no heap to speak of: this is its text of /proc files. */
#define TEXT_MAX (1 << 18)

/* What one step came to. */
struct outcome {
	int error;
	uint64_t value; /* pages from BASE where a mapping went; a break */
	uint64_t locked;
	char shape[SHAPE_MAX];
};

typedef int (*peek_fn)(void *ctx, uint64_t addr);

/* Who is looked at: how to, and where its page 0 is. */
struct looked_at {
	peek_fn peek;
	void *ctx;
	uint64_t base;
};

/* Appends what a line of maps says, if it is about the compared pages. */
static size_t add_line(char *out, size_t len, const char *line,
		       const struct looked_at *at)
{
	uint64_t start, end, offset;
	char perms[8];
	size_t n = strcspn(line, "\n");
	const char *heap = n > 6 && memcmp(line + n - 6, "[heap]", 6) == 0
				   ? " [heap]"
				   : "";

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64, &start, &end,
		   perms, &offset) != 4 ||
	    start < at->base || start >= at->base + TWIN_PAGES * PAGE)
		return len;
	len += (size_t)snprintf(out + len, SHAPE_MAX - len,
				"%" PRIu64 "-%" PRIu64 " %s %" PRIu64 "%s \"",
				(start - at->base) / PAGE,
				(end - at->base) / PAGE, perms, offset / PAGE,
				heap);
	for (; start < end && len + 8 < SHAPE_MAX; start += PAGE) {
		int c = at->peek(at->ctx, start);

		out[len++] = (char)(c < 0 ? '!' : c ? c : '.');
	}
	return len + (size_t)snprintf(out + len, SHAPE_MAX - len, "\"\n");
}

static void take_shape(char *out, const char *maps, struct looked_at at)
{
	size_t len = 0;

	out[0] = '\0';
	while (*maps && len + 256 < SHAPE_MAX) {
		const char *end = strchr(maps, '\n');

		len = add_line(out, len, maps, &at);
		if (!end)
			break;
		maps = end + 1;
	}
}

static char letter(uint64_t page)
{
	return (char)('a' + page % 26);
}

/* ---- The kernel ---------------------------------------------------------- */

/* The heap of a process is where it is: page 0 is where suits it. */
static uint64_t kernel_base = BASE;

static void *pointer(uint64_t page)
{
	return (void *)(uintptr_t)(kernel_base + page * PAGE);
}

static int peek_kernel(void *ctx, uint64_t addr)
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

static uint64_t kernel_number(const char *key)
{
	const char *at = strstr(read_proc("/proc/self/status"), key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void touch_kernel(const struct twin_step *s)
{
	for (uint64_t i = 0; i < s->pages; i++) {
		char c = letter(s->page + i);
		struct iovec from = { &c, 1 }, to = { pointer(s->page + i), 1 };

		(void)!process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	}
}

/*
 * Makes the heap of this child empty and calls its first page @page.  Nothing
 * here uses memory from it any more.
 */
static long empty_heap(uint64_t page)
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
	kernel_base = start - page * PAGE;
	return 0;
}

static long call_kernel(const struct twin_step *s, uint64_t *value)
{
	size_t len = s->pages * PAGE;
	long rc = 0;

	switch (s->op) {
	case TWIN_MAP:
		rc = syscall(SYS_mmap, pointer(s->page), len, s->prot,
			     s->flags | MAP_FIXED, -1, 0);
		break;
	case TWIN_UNMAP:
		return syscall(SYS_munmap, pointer(s->page), len);
	case TWIN_PROTECT:
		return syscall(SYS_mprotect, pointer(s->page), len, s->prot);
	case TWIN_TOUCH:
		touch_kernel(s);
		return 0;
	case TWIN_REMAP:
		rc = syscall(SYS_mremap, pointer(s->page), len,
			     s->new_pages * PAGE, s->flags, pointer(s->to));
		break;
	case TWIN_SEAL:
		return syscall(SYS_mseal, pointer(s->page), len, s->flags);
	case TWIN_HEAP:
		return empty_heap(s->page);
	case TWIN_BRK:
		*value = (uint64_t)syscall(SYS_brk, (char *)pointer(s->page) +
							    s->bytes) -
			 kernel_base;
		return 0;
	case TWIN_BIND:
		return syscall(SYS_mbind, pointer(s->page), len, s->mode,
			       &s->nodes, 65, s->flags);
	}
	if (rc != -1)
		*value = ((uint64_t)rc - kernel_base) / PAGE;
	return rc == -1 ? -1 : 0;
}

static void kernel_limit(__rlimit_resource_t which, const char *key,
			 uint64_t more)
{
	struct rlimit r = { 0 };

	if (!more)
		return;
	r.rlim_cur = r.rlim_max = kernel_number(key) * 1024 + more;
	setrlimit(which, &r);
}

/* In a child: says what each step came to. */
static void be_kernel(const struct twin_step *steps, size_t count,
		      struct twin_limits l, int fd)
{
	static struct outcome o;

	kernel_limit(RLIMIT_AS, "VmSize:", l.as);
	kernel_limit(RLIMIT_DATA, "VmData:", l.data);
	for (size_t i = 0; i < count; i++) {
		size_t done = 0;

		o.value = 0;
		o.error = call_kernel(&steps[i], &o.value) ? errno : 0;
		o.locked = kernel_number("VmLck:") * 1024;
		take_shape(
			o.shape, read_proc("/proc/self/maps"),
			(struct looked_at){ peek_kernel, NULL, kernel_base });
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

static void ask_kernel(const struct twin_step *steps, size_t count,
		       struct twin_limits l, struct outcome *out)
{
	size_t done = 0;
	int fd[2], status;
	pid_t pid;

	CHECK(pipe(fd) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(fd[0]);
		be_kernel(steps, count, l, fd[1]);
	}
	close(fd[1]);
	while (done < count * sizeof(*out)) {
		ssize_t n = read(fd[0], (char *)out + done,
				 count * sizeof(*out) - done);

		CHECK(n > 0);
		done += (size_t)n;
	}
	close(fd[0]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- The space ----------------------------------------------------------- */

static int peek_space(void *ctx, uint64_t addr)
{
	return get(ctx, addr);
}

static void touch_space(struct msn_mm *mm, const struct twin_step *s)
{
	for (uint64_t i = 0; i < s->pages; i++) {
		char c = letter(s->page + i);
		size_t done;
		int rc = msn_mm_copy_out(mm, AT(s->page + i), &c, 1, plain,
					 &done);

		(void)rc;
	}
}

static int make_shared(void *ctx, uint64_t size, struct msn_mappable **obj,
		       struct msn_identity **id)
{
	struct msn_mmap_opts o = { 0 };
	struct msn_shmem *s;
	int rc = msn_shmem_new(
		&s, &(struct msn_shmem_opts){ .memfile = ctx, .size = size });

	if (rc)
		return rc;
	msn_shmem_set_mapped(s, &o);
	*obj = o.mappable;
	*id = o.mapping_identity;
	return 0;
}

static int map_space(struct fixture *f, const struct twin_step *s,
		     uint64_t *addr)
{
	struct msn_mmap_call c = { .addr = AT(s->page),
				   .length = s->pages * PAGE,
				   .prot = s->prot,
				   .flags = s->flags | MAP_FIXED,
				   .shared = make_shared,
				   .ctx = f->mf };

	return msn_mm_sys_mmap(f->mm, &c, addr);
}

static int call_space(struct fixture *f, const struct twin_step *s,
		      uint64_t *value)
{
	uint64_t len = s->pages * PAGE, addr = BASE;
	int rc = 0;

	switch (s->op) {
	case TWIN_MAP:
		rc = map_space(f, s, &addr);
		break;
	case TWIN_UNMAP:
		return msn_mm_munmap(f->mm, AT(s->page), len);
	case TWIN_PROTECT:
		return msn_mm_mprotect(f->mm, AT(s->page), len, s->prot);
	case TWIN_TOUCH:
		touch_space(f->mm, s);
		return 0;
	case TWIN_REMAP:
		rc = msn_mm_mremap(f->mm, AT(s->page), len, s->new_pages * PAGE,
				   s->flags, AT(s->to), &addr);
		break;
	case TWIN_SEAL:
		return msn_mm_mseal(f->mm, AT(s->page), len,
				    (unsigned long)s->flags);
	case TWIN_HEAP:
		msn_mm_set_heap(f->mm, AT(s->page));
		return 0;
	case TWIN_BRK:
		*value = msn_mm_brk(f->mm, AT(s->page) + s->bytes) - BASE;
		return 0;
	case TWIN_BIND:
		return msn_mm_mbind(f->mm, AT(s->page), len, s->mode, &s->nodes,
				    65, (unsigned)s->flags);
	}
	*value = (addr - BASE) / PAGE;
	return rc;
}

static void limit_space(struct msn_mm *mm, struct twin_limits l)
{
	struct msn_mm_limits lim = msn_mm_no_limits();

	/* The host's heuristic refuses what nobody has. */
	lim.commit = UINT64_C(1) << 45;
	if (l.as)
		lim.as = l.as;
	if (l.data)
		lim.data = l.data;
	msn_mm_set_limits(mm, &lim);
}

static bool same(const struct twin_step *s, const struct outcome *kernel,
		 const struct outcome *space)
{
	bool moved_away = s->op == TWIN_REMAP && kernel->value >= TWIN_PAGES &&
			  space->value >= TWIN_PAGES;

	return kernel->error == space->error &&
	       kernel->locked == space->locked &&
	       (kernel->value == space->value || moved_away) &&
	       strcmp(kernel->shape, space->shape) == 0;
}

static void tell(const char *name, size_t step, const struct outcome *o,
		 const char *who)
{
	printf("%s, step %zu: %s says %d (%s), value %" PRIu64
	       ", locked %" PRIu64 "\n%s",
	       name, step, who, o->error, strerror(o->error), o->value,
	       o->locked, o->shape);
}

void twin_run(const char *name, const struct twin_step *steps, size_t count,
	      struct twin_limits limits)
{
	static struct outcome kernel[STEPS_MAX], space;
	struct fixture f = setup(false);

	CHECK(count <= STEPS_MAX);
	ask_kernel(steps, count, limits, kernel);
	limit_space(f.mm, limits);
	for (size_t i = 0; i < count; i++) {
		char *maps;

		space.value = 0;
		space.error = -call_space(&f, &steps[i], &space.value);
		if (space.error)
			space.value = 0;
		space.locked = f.mm->sizes.locked;
		CHECK(msn_mm_maps(f.mm, &maps) == 0);
		take_shape(space.shape, maps,
			   (struct looked_at){ peek_space, f.mm, BASE });
		free(maps);
		EXPECT(msn_mm_check(f.mm) == NULL);
		EXPECT(same(&steps[i], &kernel[i], &space));
		if (same(&steps[i], &kernel[i], &space))
			continue;
		tell(name, i, &kernel[i], "the kernel");
		tell(name, i, &space, "the space");
		break;
	}
	teardown(&f);
}
