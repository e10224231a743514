/*
 * Stepper: the process whose address space the kernel keeps.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Linked without a C library at an address of its own, so that nothing but the
 * steps changes its mappings.  It runs on a stack in its own data, since the
 * harness has it unmap the one that the kernel made.
 */
#include "oracle/stepper.h"

#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/sched.h>

/* Not declared by the kernel's headers for programs. */
struct kernel_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};
#define FLAG_RESTORER 0x04000000

unsigned char stepper_stack[STEPPER_STACK_BYTES] __attribute__((aligned(4096)));

/* What the last touch ran into: of the process's first thread, of others. */
static struct caught {
	int signal, code;
	uint64_t fault;
} caught_by[1 + STEPPER_THREADS];

/* Defined in assembly below. */
#pragma GCC visibility push(hidden)
int stepper_touch_load(uint64_t addr, unsigned char *to);
int stepper_touch_store(uint64_t addr, unsigned char byte);
int stepper_touch_cas(uint64_t addr, uint32_t expected, uint32_t desired,
		      uint32_t *seen);
int stepper_touch_load32(uint64_t addr, uint32_t *seen);
int stepper_touch_swap32(uint64_t addr, uint32_t value, uint32_t *seen);
extern const char stepper_load_at[], stepper_store_at[], stepper_cas_at[];
extern const char stepper_load32_at[], stepper_swap32_at[];
extern const char stepper_touch_failed[];
void stepper_restorer(void);
int64_t stepper_spawn(uint64_t flags, uint64_t stack, uint32_t *tid,
		      unsigned slot);
#pragma GCC visibility pop
void stepper_main(void);
void stepper_thread(unsigned slot);

/*
 * Each touch is one instruction with a name, so that the handler knows that a
 * step did it and where to go on.
 */
__asm__(".text\n"
	".globl _start\n"
	"_start:\n"
	"	lea stepper_stack+16384(%rip), %rsp\n"
	"	xor %ebp, %ebp\n"
	"	call stepper_main\n"
	"	ud2\n"
	"stepper_restorer:\n"
	"	mov $15, %eax\n"
	"	syscall\n"
	"stepper_spawn:\n"
	"	mov %ecx, %r9d\n"
	"	mov %rdx, %r10\n"
	"	mov $56, %eax\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jnz stepper_spawned\n"
	"	xor %ebp, %ebp\n"
	"	mov %r9d, %edi\n"
	"	call stepper_thread\n"
	"	ud2\n"
	"stepper_spawned:\n"
	"	ret\n"
	"stepper_touch_load:\n"
	"stepper_load_at:\n"
	"	movb (%rdi), %al\n"
	"	movb %al, (%rsi)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	"stepper_touch_store:\n"
	"stepper_store_at:\n"
	"	movb %sil, (%rdi)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	"stepper_touch_cas:\n"
	"	mov %esi, %eax\n"
	"stepper_cas_at:\n"
	"	lock cmpxchgl %edx, (%rdi)\n"
	"	mov %eax, (%rcx)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	"stepper_touch_load32:\n"
	"stepper_load32_at:\n"
	"	mov (%rdi), %eax\n"
	"	mov %eax, (%rsi)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	"stepper_touch_swap32:\n"
	"stepper_swap32_at:\n"
	"	xchg %esi, (%rdi)\n"
	"	mov %esi, (%rdx)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	"stepper_touch_failed:\n"
	"	mov $-1, %eax\n"
	"	ret\n");

static int64_t call6(uint64_t nr, uint64_t a, uint64_t b, uint64_t c,
		     uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	int64_t ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static void leave(int status)
{
	for (;;)
		call6(__NR_exit_group, (uint64_t)status, 0, 0, 0, 0, 0);
}

static struct stepper_shared *shared(void)
{
	return (void *)STEPPER_SHARED;
}

static struct stepper_slot *slot_of(unsigned slot)
{
	return &shared()->slots[slot];
}

/* Threads are told apart by the stack that they run on. */
static struct caught *caught(void)
{
	uint64_t at = (uintptr_t)__builtin_frame_address(0);
	uint64_t first = (uintptr_t)shared()->stacks;

	if (at < first || at >= first + sizeof(shared()->stacks))
		return &caught_by[0];
	return &caught_by[1 + (at - first) / STEPPER_STACK_BYTES];
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	struct ucontext *uc = context;
	uint64_t ip = uc->uc_mcontext.rip;

	if (ip != (uintptr_t)stepper_load_at &&
	    ip != (uintptr_t)stepper_store_at &&
	    ip != (uintptr_t)stepper_cas_at &&
	    ip != (uintptr_t)stepper_load32_at &&
	    ip != (uintptr_t)stepper_swap32_at)
		leave(99);
	*caught() = (struct caught){
		.signal = signal,
		.code = info->si_code,
		.fault = (uintptr_t)info->si_addr,
	};
	uc->uc_mcontext.rip = (uintptr_t)stepper_touch_failed;
}

static void catch_signal(int signal)
{
	struct kernel_sigaction act = {
		.handler = on_fault,
		.flags = SA_SIGINFO | FLAG_RESTORER,
		.restorer = stepper_restorer,
	};

	if (call6(__NR_rt_sigaction, (uint64_t)signal, (uintptr_t)&act, 0,
		  sizeof(act.mask), 0, 0))
		leave(98);
}

/* Limits shall bite, so no rights. */
static void drop_rights(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	call6(__NR_capset, (uintptr_t)&head, (uintptr_t)none, 0, 0, 0, 0);
}

static void wait_for_command(struct stepper_command *c)
{
	__atomic_store_n(&c->stepper_sleeps, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&c->turn, __ATOMIC_SEQ_CST) != STEPPER_ASKED)
		call6(__NR_futex, (uintptr_t)&c->turn, FUTEX_WAIT, STEPPER_DONE,
		      0, 0, 0);
	__atomic_store_n(&c->stepper_sleeps, 0, __ATOMIC_SEQ_CST);
}

static void answer(struct stepper_command *c)
{
	__atomic_store_n(&c->turn, STEPPER_DONE, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->harness_sleeps, __ATOMIC_SEQ_CST))
		call6(__NR_futex, (uintptr_t)&c->turn, FUTEX_WAKE, 1, 0, 0, 0);
}

static void touch(struct stepper_slot *s)
{
	struct stepper_command *c = &s->command;
	uint64_t i;

	for (i = 0; i < c->args[1] && i < sizeof(s->data); i++) {
		uint64_t at = c->args[0] + i;
		int rc = c->kind == STEPPER_LOAD
				 ? stepper_touch_load(at, &s->data[i])
				 : stepper_touch_store(at, s->data[i]);

		if (rc)
			break;
	}
	c->result = (int64_t)i;
}

static void touch_word(struct stepper_command *c)
{
	uint32_t seen = 0;
	int rc;

	if (c->kind == STEPPER_CAS)
		rc = stepper_touch_cas(c->args[0], (uint32_t)c->args[1],
				       (uint32_t)c->args[2], &seen);
	else if (c->kind == STEPPER_LOAD32)
		rc = stepper_touch_load32(c->args[0], &seen);
	else
		rc = stepper_touch_swap32(c->args[0], (uint32_t)c->args[1],
					  &seen);
	c->result = rc ? -1 : (int64_t)seen;
}

/* The child is the harness's, so that the harness can wait for its end. */
static unsigned fork_into(struct stepper_command *c, unsigned slot)
{
	int64_t pid = call6(__NR_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0, 0);

	if (pid == 0)
		return (unsigned)c->args[0];
	c->result = pid;
	return slot;
}

/* The slot's tid is cleared and its waiter woken when the thread has ended. */
static int64_t start_thread(unsigned slot)
{
	uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
			 CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID |
			 CLONE_CHILD_CLEARTID;
	unsigned char *stack = shared()->stacks[slot - STEPPER_SLOTS];

	return stepper_spawn(flags, (uintptr_t)stack + STEPPER_STACK_BYTES,
			     &slot_of(slot)->command.tid, slot);
}

static unsigned run(unsigned slot)
{
	struct stepper_slot *s = slot_of(slot);
	struct stepper_command *c = &s->command;
	unsigned next = slot;

	caught()->signal = 0;
	switch (c->kind) {
	case STEPPER_SYSCALL:
		c->result =
			call6(c->args[0], c->args[1], c->args[2], c->args[3],
			      c->args[4], c->args[5], c->args[6]);
		break;
	case STEPPER_LOAD:
	case STEPPER_STORE:
		touch(s);
		break;
	case STEPPER_CAS:
	case STEPPER_LOAD32:
	case STEPPER_SWAP32:
		touch_word(c);
		break;
	case STEPPER_FORK:
		next = fork_into(c, slot);
		break;
	case STEPPER_THREAD:
		c->result = start_thread((unsigned)c->args[0]);
		break;
	case STEPPER_LEAVE:
		call6(__NR_exit, 0, 0, 0, 0, 0, 0);
		break;
	default:
		leave(0);
	}
	if (next != slot)
		return next;
	c->signal = caught()->signal;
	c->code = caught()->code;
	c->fault = caught()->fault;
	answer(c);
	return slot;
}

static void serve(unsigned slot)
{
	for (;;) {
		wait_for_command(&slot_of(slot)->command);
		slot = run(slot);
	}
}

void stepper_thread(unsigned slot)
{
	serve(slot);
}

void stepper_main(void)
{
	if (call6(__NR_mmap, STEPPER_SHARED, sizeof(struct stepper_shared),
		  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		  STEPPER_FD_SHARED, 0) != (int64_t)STEPPER_SHARED)
		leave(97);
	drop_rights();
	catch_signal(SIGSEGV);
	catch_signal(SIGBUS);
	answer(&slot_of(0)->command);
	serve(0);
}
