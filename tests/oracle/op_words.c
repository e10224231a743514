/*
 * Ops: atomic accesses to words, and copies from space to space.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/op_common.h"

#include <string.h>
#include <sys/uio.h>

/* ---- Words --------------------------------------------------------------- */

static uint64_t word_address(struct gen *g)
{
	return gen_spot(g) & ~UINT64_C(3);
}

static void make_cas(struct gen *g, struct step *s)
{
	s->args[0] = word_address(g);
	s->args[1] = gen_percent(g, 70) ? 0 : gen_pick(g, 256);
	s->args[2] = gen_pick(g, 256);
}

static void make_load32(struct gen *g, struct step *s)
{
	s->args[0] = word_address(g);
}

static void make_swap32(struct gen *g, struct step *s)
{
	s->args[0] = word_address(g);
	s->args[1] = gen_pick(g, 256);
}

static void kernel_word(struct kernel *k, const struct step *s,
			struct outcome *o, enum stepper_kind kind)
{
	struct stepper_command *c = &k->slots[kernel_slot(s)].command;

	c->kind = kind;
	memcpy(c->args, s->args, 3 * sizeof(uint64_t));
	kernel_command(k, kernel_slot(s));
	o->result = c->signal ? -EFAULT : c->result;
}

static void kernel_cas(struct kernel *k, const struct step *s,
		       struct outcome *o)
{
	kernel_word(k, s, o, STEPPER_CAS);
}

static void kernel_load32(struct kernel *k, const struct step *s,
			  struct outcome *o)
{
	kernel_word(k, s, o, STEPPER_LOAD32);
}

static void kernel_swap32(struct kernel *k, const struct step *s,
			  struct outcome *o)
{
	kernel_word(k, s, o, STEPPER_SWAP32);
}

/* The word, or the error. */
static int64_t word_result(int rc, uint32_t seen)
{
	return rc ? rc : (int64_t)seen;
}

static void run_cas(struct engine *e, const struct step *s, struct outcome *o)
{
	uint32_t seen = 0;
	int rc = msn_mm_cas32(engine_mm(e, s), s->args[0], (uint32_t)s->args[1],
			      (uint32_t)s->args[2], &seen);

	o->result = word_result(rc, seen);
}

static void run_load32(struct engine *e, const struct step *s,
		       struct outcome *o)
{
	uint32_t seen = 0;
	int rc = msn_mm_load32(engine_mm(e, s), s->args[0], &seen);

	o->result = word_result(rc, seen);
}

static void run_swap32(struct engine *e, const struct step *s,
		       struct outcome *o)
{
	uint32_t seen = 0;
	int rc = msn_mm_swap32(engine_mm(e, s), s->args[0],
			       (uint32_t)s->args[1], &seen);

	o->result = word_result(rc, seen);
}

const struct op op_cas = {
	.name = "cas",
	.errors = { EFAULT },
	.args = { "addr", "expected", "desired" },
	.weight = 2,
	.make = make_cas,
	.beside = keeps_to_word,
	.kernel = kernel_cas,
	.engine = run_cas,
};

const struct op op_load32 = {
	.name = "load32",
	.errors = { EFAULT },
	.args = { "addr" },
	.weight = 1,
	.make = make_load32,
	.beside = keeps_to_word,
	.kernel = kernel_load32,
	.engine = run_load32,
};

const struct op op_swap32 = {
	.name = "swap32",
	.errors = { EFAULT },
	.args = { "addr", "value" },
	.weight = 1,
	.make = make_swap32,
	.beside = keeps_to_word,
	.kernel = kernel_swap32,
	.engine = run_swap32,
};

/* ---- From space to space ------------------------------------------------- */

/* Arguments of process_vm_readv(2) and process_vm_writev(2). */
enum vm_arg { VM_OTHER, VM_ADDR, VM_LEN, VM_THERE, VM_THERE_LEN, VM_FLAGS };

static void make_process_vm(struct gen *g, struct step *s)
{
	s->args[VM_OTHER] = gen_pick(g, STEPPER_SLOTS);
	s->args[VM_ADDR] = gen_spot(g);
	s->args[VM_LEN] = gen_pick(g, 4 * 4096);
	/*
	 * At the same place in a page: what a copy onto itself does inside of
	 * one is the processor's matter.
	 */
	s->args[VM_THERE] =
		(gen_spot(g) & ~UINT64_C(4095)) | (s->args[VM_ADDR] & 4095);
	s->args[VM_THERE_LEN] =
		gen_percent(g, 80) ? s->args[VM_LEN] : gen_pick(g, 4 * 4096);
	s->args[VM_FLAGS] = gen_percent(g, 2);
}

static bool has_other(const struct step *s, unsigned spaces)
{
	return s->args[VM_OTHER] < STEPPER_SLOTS &&
	       spaces & 1U << s->args[VM_OTHER];
}

/* Memory over itself. */
static bool process_vm_is_left_out(const struct step *s)
{
	const uint64_t *a = s->args;

	return a[VM_OTHER] == s->space &&
	       a[VM_ADDR] < a[VM_THERE] + a[VM_LEN] &&
	       a[VM_THERE] < a[VM_ADDR] + a[VM_LEN];
}

/* Another space's slice may be somebody else's. */
static bool process_vm_keeps_to(const struct step *s, unsigned slice)
{
	return s->args[VM_OTHER] == s->space && keeps_to_ranges(s, slice);
}

static void kernel_process_vm(struct kernel *k, const struct step *s,
			      struct outcome *o, long nr)
{
	struct iovec list[2] = {
		{ (void *)(uintptr_t)s->args[VM_ADDR], s->args[VM_LEN] },
		{ (void *)(uintptr_t)s->args[VM_THERE], s->args[VM_THERE_LEN] },
	};
	uint64_t at = stepper_data(kernel_slot(s));

	if (!has_other(s, k->side.spaces)) {
		o->result = -ESRCH;
		return;
	}
	memcpy(kernel_data(k, kernel_slot(s)), list, sizeof(list));
	o->result = KERNEL_CALL(k, kernel_slot(s), (uint64_t)nr,
				(uint64_t)k->at[s->args[VM_OTHER]].pid, at, 1,
				at + sizeof(list[0]), 1, s->args[VM_FLAGS]);
}

static void
run_process_vm(struct engine *e, const struct step *s, struct outcome *o,
	       int (*fn)(const struct msn_process_vm *call, uint64_t *done))
{
	struct msn_iov here = { s->args[VM_ADDR], s->args[VM_LEN] };
	struct msn_iov there = { s->args[VM_THERE], s->args[VM_THERE_LEN] };
	struct msn_process_vm call = {
		.local = engine_mm(e, s),
		.local_iov = &here,
		.local_count = 1,
		.remote_iov = &there,
		.remote_count = 1,
		.flags = s->args[VM_FLAGS],
	};
	uint64_t done = 0;
	int rc;

	if (!has_other(s, e->side.spaces)) {
		o->result = -ESRCH;
		return;
	}
	call.remote = e->mm[s->args[VM_OTHER]];
	rc = fn(&call, &done);
	o->result = rc ? rc : (int64_t)done;
}

/* The row of a call; the two differ in nothing but which way bytes go. */
#define PROCESS_VM(call)                                                       \
	static void kernel_##call(struct kernel *k, const struct step *s,      \
				  struct outcome *o)                           \
	{                                                                      \
		kernel_process_vm(k, s, o, SYS_##call);                        \
	}                                                                      \
	static void run_##call(struct engine *e, const struct step *s,         \
			       struct outcome *o)                              \
	{                                                                      \
		run_process_vm(e, s, o, msn_mm_##call);                        \
	}                                                                      \
	const struct op op_##call = {                                          \
		.name = #call,                                                 \
		.errors = { EFAULT, EINVAL },                                  \
		.args = { "other", "addr", "len", "there", "there_len",        \
			  "flags" },                                           \
		.weight = 1,                                                   \
		.ranges = { { true, VM_ADDR, VM_LEN },                         \
			    { true, VM_THERE, VM_THERE_LEN } },                \
		.make = make_process_vm,                                       \
		.is_left_out = process_vm_is_left_out,                         \
		.beside = process_vm_keeps_to,                                 \
		.kernel = kernel_##call,                                       \
		.engine = run_##call,                                          \
	};

PROCESS_VM(process_vm_readv)
PROCESS_VM(process_vm_writev)
