/*
 * Kernel: starts steppers and talks to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/kernel.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SCRATCH_BYTES (STEPPER_ALL_SLOTS * OUTCOME_DATA_BYTES)
#define HEAP_START UINT64_C(0x160000000000)

/* ---- Talking to a stepper ------------------------------------------------ */

static void check_alive(struct kernel *k, unsigned slot)
{
	unsigned space = k->serves[slot];
	int status;

	if (waitpid(k->at[space].pid, &status, WNOHANG) == 0)
		return;
	die("the stepper of space %u ended by itself, status %#x", space,
	    status);
}

void kernel_wait(struct kernel *k, unsigned slot, const uint32_t *word,
		 uint32_t until)
{
	struct timespec second = { 1, 0 };
	uint32_t now;

	while ((now = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != until) {
		if (syscall(SYS_futex, word, FUTEX_WAIT, now, &second, NULL,
			    0) &&
		    errno == ETIMEDOUT)
			check_alive(k, slot);
	}
}

static void wait_for_answer(struct kernel *k, unsigned slot)
{
	struct stepper_command *c = &k->slots[slot].command;

	__atomic_store_n(&c->harness_sleeps, 1, __ATOMIC_SEQ_CST);
	kernel_wait(k, slot, &c->turn, STEPPER_DONE);
	__atomic_store_n(&c->harness_sleeps, 0, __ATOMIC_SEQ_CST);
}

void kernel_last_command(struct kernel *k, unsigned slot)
{
	struct stepper_command *c = &k->slots[slot].command;

	__atomic_store_n(&c->turn, STEPPER_ASKED, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->stepper_sleeps, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &c->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void kernel_command(struct kernel *k, unsigned slot)
{
	kernel_last_command(k, slot);
	wait_for_answer(k, slot);
}

int64_t kernel_call(struct kernel *k, unsigned slot, const uint64_t call[7])
{
	struct stepper_command *c = &k->slots[slot].command;

	c->kind = STEPPER_SYSCALL;
	memcpy(c->args, call, sizeof(c->args));
	kernel_command(k, slot);
	return c->result;
}

/* ---- Processes ----------------------------------------------------------- */

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die("cannot open %s: %m", path);
	return fd;
}

static void attach(struct kernel *k, unsigned space, pid_t pid)
{
	k->at[space] = (struct kernel_process){
		.pid = pid,
		.smaps = open_proc(pid, "smaps", O_RDONLY),
		.pagemap = open_proc(pid, "pagemap", O_RDONLY),
		.mem = open_proc(pid, "mem", O_RDWR),
	};
	k->serves[space] = space;
	k->side.spaces |= 1U << space;
}

static void detach(struct kernel *k, unsigned space)
{
	struct kernel_process *p = &k->at[space];

	msn_close(p->smaps);
	msn_close(p->pagemap);
	msn_close(p->mem);
	k->side.spaces &= ~(1U << space);
}

/* Where Yama asks: any process may reach into this one. */
static void let_others_in(struct kernel *k, unsigned space)
{
	KERNEL_CALL(k, space, SYS_prctl, PR_SET_PTRACER,
		    (uint64_t)PR_SET_PTRACER_ANY);
}

int64_t kernel_fork(struct kernel *k, unsigned space, unsigned child)
{
	struct stepper_command *c = &k->slots[space].command;

	memset(&k->slots[child].command, 0, sizeof(*c));
	c->kind = STEPPER_FORK;
	c->args[0] = child;
	kernel_command(k, space);
	if (c->result < 0)
		return c->result;
	attach(k, child, (pid_t)c->result);
	memcpy(k->at[child].limit, k->at[space].limit,
	       sizeof(k->at[child].limit));
	KERNEL_CALL(k, child, SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	let_others_in(k, child);
	return 0;
}

void kernel_exit(struct kernel *k, unsigned space)
{
	struct stepper_command *c = &k->slots[space].command;

	c->kind = STEPPER_EXIT;
	kernel_last_command(k, space);
	if (waitpid(k->at[space].pid, NULL, 0) != k->at[space].pid)
		die("cannot wait for space %u: %m", space);
	detach(k, space);
}

/* ---- Limits -------------------------------------------------------------- */

const struct kernel_limit_row kernel_limits[LIMIT_COUNT] = {
	[LIMIT_AS] = { RLIMIT_AS, RLIM_INFINITY },
	[LIMIT_DATA] = { RLIMIT_DATA, RLIM_INFINITY },
	[LIMIT_MEMLOCK] = { RLIMIT_MEMLOCK, KERNEL_MEMLOCK_LIMIT },
	[LIMIT_STACK] = { RLIMIT_STACK, KERNEL_STACK_LIMIT },
};

int64_t kernel_set_limit(struct kernel *k, unsigned space,
			 enum kernel_limit limit, uint64_t value)
{
	const struct kernel_limit_row *row = &kernel_limits[limit];
	struct rlimit r = { .rlim_cur = value, .rlim_max = row->most };
	int64_t rc;

	memcpy(kernel_data(k, space), &r, sizeof(r));
	rc = KERNEL_CALL(k, space, SYS_prlimit64, 0, row->which,
			 stepper_data(space), 0);
	if (rc == 0)
		k->at[space].limit[limit] = value;
	return rc;
}

/* This process's own soft limits, while it has those of a space. */
static rlim_t own_limit[LIMIT_COUNT];

/* Sets the soft limit of this process, and returns what it was. */
static rlim_t swap_limit(enum kernel_limit limit, rlim_t value)
{
	enum __rlimit_resource which = kernel_limits[limit].which;
	struct rlimit r;
	rlim_t old;

	if (getrlimit(which, &r))
		die("no limit: %m");
	old = r.rlim_cur;
	r.rlim_cur = value < r.rlim_max ? value : r.rlim_max;
	if (r.rlim_cur != old && setrlimit(which, &r))
		die("cannot set a limit: %m");
	return old;
}

void kernel_take_limits(struct kernel *k, unsigned space)
{
	for (unsigned i = 0; i < LIMIT_COUNT; i++)
		own_limit[i] = swap_limit(i, k->at[space].limit[i]);
}

void kernel_leave_limits(void)
{
	for (unsigned i = 0; i < LIMIT_COUNT; i++)
		swap_limit(i, own_limit[i]);
}

static void drop_rights(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		die("no capabilities: %m");
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	if (syscall(SYS_capset, &head, data))
		die("cannot drop a capability: %m");
}

static cpu_set_t all_cpus;

const cpu_set_t *kernel_cpus(void)
{
	return &all_cpus;
}

static void stay_on_one_cpu(void)
{
	cpu_set_t one;
	size_t n = 0;
	int at;

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		die("no CPUs: %m");
	at = getpid() % CPU_COUNT(&all_cpus);
	while (!CPU_ISSET(n, &all_cpus) || at-- > 0)
		n++;
	CPU_ZERO(&one);
	CPU_SET(n, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("cannot stay on a CPU: %m");
}

void kernel_prepare(void)
{
	drop_rights();
	stay_on_one_cpu();
}

/* ---- Starting ------------------------------------------------------------ */

static void set_limit(enum __rlimit_resource which, uint64_t value)
{
	struct rlimit r;

	if (getrlimit(which, &r))
		return;
	if (r.rlim_max > value)
		r.rlim_max = value;
	r.rlim_cur = r.rlim_max;
	setrlimit(which, &r);
}

/* In the child: becomes the stepper. */
__attribute__((noreturn)) static void become_stepper(const struct kernel *k)
{
	char name[] = "stepper", *const argv[] = { name, NULL };
	int high[FILE_COUNT + 2], n = 0;

	/* First out of the way, so that no descriptor is overwritten. */
	high[n++] = fcntl(k->shared, F_DUPFD, 100);
	high[n++] = fcntl(k->scratch, F_DUPFD, 100);
	for (int i = 1; i < FILE_COUNT; i++)
		high[n++] = fcntl(k->files.fd[i], F_DUPFD, 100);
	dup2(high[0], STEPPER_FD_SHARED);
	dup2(high[1], STEPPER_FD_SCRATCH);
	for (int i = 1; i < FILE_COUNT; i++)
		dup2(high[i + 1], STEPPER_FD_FILES + i);
	syscall(SYS_close_range, STEPPER_FD_FILES + FILE_COUNT, ~0U, 0);
	set_limit(RLIMIT_STACK, KERNEL_STACK_LIMIT);
	set_limit(RLIMIT_MEMLOCK, KERNEL_MEMLOCK_LIMIT);
	set_limit(RLIMIT_CORE, 0);
	personality(ADDR_NO_RANDOMIZE);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	execv(ORACLE_STEPPER, argv);
	_exit(96);
}

/* ---- The layout ---------------------------------------------------------- */

/* Reads /proc/PID/maps: what is the stepper's own, and what is to go. */
static size_t list_maps(struct kernel *k, struct foreign *out, size_t max)
{
	int fd = open_proc(k->at[0].pid, "maps", O_RDONLY);
	FILE *f = fdopen(fd, "r");
	char line[512];
	size_t n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long start, end;
		char perms[8];

		if (sscanf(line, "%llx-%llx %7s", &start, &end, perms) != 3 ||
		    start >> 63)
			continue;
		if (n == max)
			die("the stepper has too many mappings");
		out[n++] = (struct foreign){
			start, end,
			(perms[0] == 'r' ? PROT_READ : 0) |
				(perms[1] == 'w' ? PROT_WRITE : 0) |
				(perms[2] == 'x' ? PROT_EXEC : 0),
			perms[3] == 's'
		};
	}
	fclose(f);
	return n;
}

/* Unmaps what the stepper does not need: stack, vdso and the like. */
static void clear_layout(struct kernel *k)
{
	struct kernel_layout *l = &k->layout;
	struct foreign all[FOREIGN_MAX];
	size_t n = list_maps(k, all, FOREIGN_MAX);

	for (size_t i = 0; i < n; i++) {
		if (all[i].start >= STEPPER_TEXT &&
		    all[i].end <= STEPPER_FOREIGN_END)
			l->foreign[l->foreign_count++] = all[i];
		else if (KERNEL_CALL(k, 0, SYS_munmap, all[i].start,
				     all[i].end - all[i].start))
			die("the stepper cannot unmap %#llx",
			    (unsigned long long)all[i].start);
	}
}

/* A heap of its own, and no stack among what the steps map. */
static void move_heap(struct kernel *k)
{
	struct prctl_mm_map map = {
		.start_code = STEPPER_TEXT,
		.end_code = STEPPER_TEXT + 4096,
		.start_data = STEPPER_TEXT,
		.end_data = STEPPER_TEXT,
		.start_brk = HEAP_START,
		.brk = HEAP_START,
		.start_stack = STEPPER_TEXT,
		.arg_start = STEPPER_TEXT,
		.arg_end = STEPPER_TEXT,
		.env_start = STEPPER_TEXT,
		.env_end = STEPPER_TEXT,
		.exe_fd = (uint32_t)-1,
	};
	int64_t rc;

	memcpy(kernel_data(k, 0), &map, sizeof(map));
	rc = KERNEL_CALL(k, 0, SYS_prctl, PR_SET_MM, PR_SET_MM_MAP,
			 stepper_data(0), sizeof(map), 0);
	if (rc)
		die("the stepper cannot move its heap: %s", strerror((int)-rc));
	k->layout.brk = HEAP_START;
}

static uint64_t read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long n = 0;

	if (!f || fscanf(f, "%llu", &n) != 1)
		die("cannot read %s", path);
	fclose(f);
	return n;
}

/* Where the kernel puts a page for which this address is asked. */
static uint64_t probe(struct kernel *k, uint64_t hint)
{
	int64_t at = KERNEL_CALL(k, 0, SYS_mmap, hint, 4096, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0);

	if (at < 0)
		die("the stepper cannot map a page");
	KERNEL_CALL(k, 0, SYS_munmap, (uint64_t)at, 4096);
	return (uint64_t)at;
}

static void read_layout(struct kernel *k)
{
	struct kernel_layout *l = &k->layout;
	struct sysinfo info;

	clear_layout(k);
	move_heap(k);
	l->min_fixed = read_number("/proc/sys/vm/mmap_min_addr");
	l->mappings = read_number("/proc/sys/vm/max_map_count");
	l->min_addr = probe(k, 4096);
	l->max_addr = UINT64_C(0x7ffffffff000);
	l->mmap_base = probe(k, 0) + 4096;
	sysinfo(&info);
	l->commit_pages =
		(info.totalram + info.totalswap) * info.mem_unit / 4096;
}

/* ---- As a side ----------------------------------------------------------- */

static struct kernel *of_side(struct side *side)
{
	return msn_container_of(side, struct kernel, side);
}

static bool kernel_can(const struct op *op)
{
	return op->kernel;
}

static void kernel_run(struct side *side, const struct step *s,
		       struct outcome *o)
{
	s->op->kernel(of_side(side), s, o);
}

static void kernel_read_file(struct side *side, unsigned file,
			     struct file_state *out)
{
	file_read_state(of_side(side)->files.fd[file], out);
}

static void kernel_free(struct side *side)
{
	struct kernel *k = of_side(side);

	for (unsigned i = 0; i < STEPPER_SLOTS; i++) {
		if (!(side->spaces & 1U << i))
			continue;
		kill(k->at[i].pid, SIGKILL);
		waitpid(k->at[i].pid, NULL, 0);
		detach(k, i);
	}
	files_close(&k->files);
	munmap(k->slots, sizeof(struct stepper_shared));
	msn_close(k->shared);
	msn_close(k->scratch);
	free(k);
}

static const struct side_ops kernel_ops = {
	.name = "kernel",
	.can = kernel_can,
	.run = kernel_run,
	.run_group = kernel_run_group,
	.look = kernel_look,
	.read_file = kernel_read_file,
	.free = kernel_free,
};

static int make_memory(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		die("no memory to share: %m");
	return fd;
}

struct kernel *kernel_new(void)
{
	size_t bytes = sizeof(struct stepper_shared);
	struct kernel *k = msn_alloc(sizeof(*k));
	pid_t pid;

	if (!k)
		die("no memory");
	k->side.ops = &kernel_ops;
	k->side.detail = SIDE_MAPS | SIDE_SMAPS | SIDE_PAGEMAP | SIDE_BYTES;
	files_open(&k->files, false);
	k->shared = make_memory("oracle-shared", bytes);
	k->scratch = make_memory("oracle-scratch", SCRATCH_BYTES);
	k->slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			k->shared, 0);
	if (k->slots == MAP_FAILED)
		die("cannot map the slots: %m");
	k->slots[0].command.turn = STEPPER_ASKED;
	pid = fork();
	if (pid < 0)
		die("cannot fork: %m");
	if (pid == 0)
		become_stepper(k);
	k->at[0].pid = pid;
	wait_for_answer(k, 0);
	attach(k, 0, pid);
	for (unsigned i = 0; i < LIMIT_COUNT; i++)
		k->at[0].limit[i] = kernel_limits[i].most;
	let_others_in(k, 0);
	read_layout(k);
	return k;
}
