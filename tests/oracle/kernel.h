/*
 * Kernel: the side where steps are system calls of a stepper.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_ORACLE_KERNEL_H
#define MSN_TESTS_ORACLE_KERNEL_H

#include "oracle/files.h"
#include "oracle/side.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/types.h>

#define FOREIGN_MAX 16

/* The layout that the kernel gave the stepper. */
struct kernel_layout {
	uint64_t min_addr;     /* lower hints are raised to it */
	uint64_t min_fixed;    /* the lowest that may be mapped at all */
	uint64_t max_addr;     /* end of the address space */
	uint64_t mmap_base;    /* where the search downwards begins */
	uint64_t brk;	       /* start of the heap */
	uint64_t commit_pages; /* a bigger private mapping is refused */
	uint64_t mappings;     /* of a space, at most */
	struct foreign {
		uint64_t start, end;
		int prot;
		bool shared;
	} foreign[FOREIGN_MAX]; /* the stepper's own mappings */
	size_t foreign_count;
};

/* Limits that the stepper starts with. */
#define KERNEL_STACK_LIMIT (UINT64_C(8) << 20)
#define KERNEL_MEMLOCK_LIMIT (UINT64_C(8) << 20)

/* The limits that steps change.  An index into kernel_limits[]. */
enum kernel_limit {
	LIMIT_AS,
	LIMIT_DATA,
	LIMIT_MEMLOCK,
	LIMIT_STACK,
	LIMIT_COUNT
};

extern const struct kernel_limit_row {
	enum __rlimit_resource which;
	uint64_t most; /* hard limit, and what it is at first */
} kernel_limits[LIMIT_COUNT];

struct kernel_process {
	pid_t pid;
	int smaps, pagemap, mem; /* of /proc/PID */
	uint64_t limit[LIMIT_COUNT];
};

struct kernel {
	struct side side;
	struct files files;
	struct stepper_slot *slots; /* STEPPER_ALL_SLOTS of them */
	int shared, scratch;	    /* scratch: for copies in and out */
	struct kernel_process at[STEPPER_SLOTS];
	unsigned serves[STEPPER_ALL_SLOTS]; /* the space behind a slot */
	struct kernel_layout layout;
};

struct kernel *kernel_new(void);

/*
 * The slot of who runs a step: the first thread of a space has the space's, and
 * each thread of a group its own.  One thread of this process at a time uses a
 * slot; several may use different ones.
 */
static inline unsigned kernel_slot(const struct step *s)
{
	return s->thread ? STEPPER_SLOTS + s->thread - 1 : s->space;
}

/* Runs what is in the slot's command. */
void kernel_command(struct kernel *k, unsigned slot);

/* The same without an answer: who serves the slot ends by it. */
void kernel_last_command(struct kernel *k, unsigned slot);

/* Waits for a word of a slot that its stepper sets, or the kernel for it. */
void kernel_wait(struct kernel *k, unsigned slot, const uint32_t *word,
		 uint32_t until);

/* A system call: its number and its arguments. */
int64_t kernel_call(struct kernel *k, unsigned slot, const uint64_t call[7]);
#define KERNEL_CALL(k, slot, ...)                                              \
	kernel_call((k), (slot), (const uint64_t[7]){ __VA_ARGS__ })

/* setrlimit(2) of a soft limit.  0 or -errno. */
int64_t kernel_set_limit(struct kernel *k, unsigned space,
			 enum kernel_limit limit, uint64_t value);

/*
 * A debugger that makes a stack grow does so under its own limits: before it
 * touches, this process takes those of the space, and after it its own again.
 */
void kernel_take_limits(struct kernel *k, unsigned space);
void kernel_leave_limits(void);

/*
 * Once: gives up CAP_IPC_LOCK, which would lift one of these limits, and stays
 * on one CPU, with all that is started but the threads of groups.  The kernel
 * keeps lists of pages for each CPU and sees those of another too late: what
 * MADV_FREE, MADV_PAGEOUT and the like do would depend on where a step ran
 * before.  Since one waits for the other all the time, it costs nothing.
 */
void kernel_prepare(void);

/* Where threads of groups may run: on every CPU that there was. */
const cpu_set_t *kernel_cpus(void);

/* Forks @space into @child; ends @space. */
int64_t kernel_fork(struct kernel *k, unsigned space, unsigned child);
void kernel_exit(struct kernel *k, unsigned space);

/* The slot's data; stepper_data() is where the stepper sees it. */
static inline unsigned char *kernel_data(struct kernel *k, unsigned slot)
{
	return k->slots[slot].data;
}

/* Each slot has a part of the scratch file of its own. */
static inline uint64_t kernel_scratch(unsigned slot)
{
	return (uint64_t)slot * OUTCOME_DATA_BYTES;
}

/* The stepper's descriptor of a file. */
static inline uint64_t kernel_fd(uint64_t file)
{
	return file && file < FILE_COUNT ? STEPPER_FD_FILES + file
					 : (uint64_t)-1;
}

/* ---- kernel_group.c ------------------------------------------------------ */

/*
 * Looks at what the spaces of a group have mapped, at their limits and at the
 * files; notes which threads use files.  NULL, or why the steps do not go
 * together in this state.
 */
const char *kernel_group_forbidden(struct kernel *k, struct group *g);

/* See struct side_ops. */
void kernel_run_group(struct side *side, const struct group *g,
		      struct outcome **out);

/* kernel_look.c: see struct side_ops. */
void kernel_look(struct side *side, unsigned space, unsigned detail,
		 const struct view *model, struct view *out);

/* The smaps of a space, until the next call. */
const char *kernel_read_smaps(struct kernel *k, unsigned space);

/* Does this kernel have what looking needs?  Text why not, or NULL. */
const char *kernel_cannot_look(void);

#endif /* MSN_TESTS_ORACLE_KERNEL_H */
