/*
 * Ops: what touches memory: loads and stores, copies by the kernel, a
 * debugger.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/op_common.h"

#include "base/fd.h"

#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define TOUCH_MAX 64

/* Bytes that are made of one number. */
static void pattern(unsigned char *to, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (unsigned char)(seed + i * 7);
}

static size_t touch_len(const struct step *s)
{
	return s->args[1] < TOUCH_MAX ? (size_t)s->args[1] : TOUCH_MAX;
}

static size_t copy_len(const struct step *s)
{
	return s->args[1] < OUTCOME_DATA_BYTES ? (size_t)s->args[1]
					       : OUTCOME_DATA_BYTES;
}

/* ---- load and store ------------------------------------------------------ */

static void make_load(struct gen *g, struct step *s)
{
	s->args[0] = gen_spot(g);
	s->args[1] = 1 + gen_pick(g, gen_percent(g, 70) ? 2 : 12);
}

static void make_store(struct gen *g, struct step *s)
{
	make_load(g, s);
	s->args[2] = gen_pick(g, 256);
}

static void kernel_touch(struct kernel *k, const struct step *s,
			 struct outcome *o, enum stepper_kind kind)
{
	struct stepper_command *c = &k->slots[kernel_slot(s)].command;

	c->kind = kind;
	c->args[0] = s->args[0];
	c->args[1] = touch_len(s);
	kernel_command(k, kernel_slot(s));
	o->result = c->result;
	o->signal = c->signal;
	o->code = c->signal ? c->code : 0;
	o->fault = c->signal ? c->fault : 0;
}

static void kernel_load(struct kernel *k, const struct step *s,
			struct outcome *o)
{
	kernel_touch(k, s, o, STEPPER_LOAD);
	o->len = (size_t)o->result;
	memcpy(o->data, kernel_data(k, kernel_slot(s)), o->len);
}

static void kernel_store(struct kernel *k, const struct step *s,
			 struct outcome *o)
{
	pattern(kernel_data(k, kernel_slot(s)), touch_len(s), s->args[2]);
	kernel_touch(k, s, o, STEPPER_STORE);
}

static void set_signal(struct outcome *o, int rc, uint64_t addr)
{
	o->signal = rc == MSN_MM_E_BUS ? SIGBUS : SIGSEGV;
	o->code = rc == MSN_MM_E_BUS	  ? BUS_ADRERR
		  : rc == MSN_MM_E_ACCERR ? SEGV_ACCERR
					  : SEGV_MAPERR;
	o->fault = addr;
	/* What is no address at all is refused without a page fault. */
	if (addr >> 47 && addr >> 47 != UINT64_MAX >> 47) {
		o->code = SI_KERNEL;
		o->fault = 0;
	}
}

/* One byte, as an instruction would: first the fault, then the access. */
static int touch_byte(struct msn_mm *mm, uint64_t addr, unsigned char *byte,
		      unsigned access, struct outcome *o)
{
	struct msn_mm_io io = { 0 };
	int rc = msn_mm_handle_fault(mm, addr, access);
	size_t done;

	if (rc < 0)
		broken("fault at %#llx: %s", (unsigned long long)addr,
		       strerror(-rc));
	if (rc > 0) {
		set_signal(o, rc, addr);
		return rc;
	}
	rc = access == MSN_ACCESS_READ
		     ? msn_mm_copy_in(mm, addr, byte, 1, io, &done)
		     : msn_mm_copy_out(mm, addr, byte, 1, io, &done);
	if (rc && slice_has(SLICE_COMMON, addr, 1)) {
		set_signal(o, MSN_MM_E_MAPERR, addr); /* somebody was faster */
		return rc;
	}
	if (rc)
		broken("no access at %#llx after its fault: %s",
		       (unsigned long long)addr, strerror(-rc));
	return 0;
}

static void run_touch(struct engine *e, const struct step *s, struct outcome *o,
		      unsigned access)
{
	size_t i, n = touch_len(s);

	for (i = 0; i < n; i++)
		if (touch_byte(engine_mm(e, s), s->args[0] + i, &o->data[i],
			       access, o))
			break;
	o->result = (int64_t)i;
	o->len = access == MSN_ACCESS_READ ? i : 0;
}

static void run_load(struct engine *e, const struct step *s, struct outcome *o)
{
	run_touch(e, s, o, MSN_ACCESS_READ);
}

static void run_store(struct engine *e, const struct step *s, struct outcome *o)
{
	pattern(o->data, touch_len(s), s->args[2]);
	run_touch(e, s, o, MSN_ACCESS_WRITE);
}

const struct op op_load = {
	.name = "load",
	.args = { "addr", "len" },
	.weight = 10,
	.ranges = { { true, 0, 1 } },
	.make = make_load,
	.beside = keeps_to_ranges,
	.kernel = kernel_load,
	.engine = run_load,
};

const struct op op_store = {
	.name = "store",
	.args = { "addr", "len", "seed" },
	.weight = 14,
	.ranges = { { true, 0, 1 } },
	.make = make_store,
	.beside = keeps_to_ranges,
	.kernel = kernel_store,
	.engine = run_store,
};

/* ---- copies by the kernel ------------------------------------------------ */

static void make_copy(struct gen *g, struct step *s)
{
	s->args[0] = gen_spot(g);
	s->args[1] = gen_pick(g, 5 * 4096);
}

static void make_copy_out(struct gen *g, struct step *s)
{
	make_copy(g, s);
	s->args[2] = gen_pick(g, 256);
}

/* A file in between takes what the kernel copies. */
static void kernel_copy_in(struct kernel *k, const struct step *s,
			   struct outcome *o)
{
	uint64_t at = kernel_scratch(kernel_slot(s));

	o->result =
		KERNEL_CALL(k, kernel_slot(s), SYS_pwrite64, STEPPER_FD_SCRATCH,
			    s->args[0], copy_len(s), at);
	if (o->result > 0) {
		o->len = (size_t)o->result;
		if (msn_pread_full(k->scratch, o->data, o->len, at) !=
		    (ssize_t)o->len)
			die("cannot read the scratch file");
	}
}

static void kernel_copy_out(struct kernel *k, const struct step *s,
			    struct outcome *o)
{
	uint64_t at = kernel_scratch(kernel_slot(s));

	pattern(o->data, copy_len(s), s->args[2]);
	if (msn_pwrite_full(k->scratch, o->data, copy_len(s), at))
		die("cannot write the scratch file");
	o->result =
		KERNEL_CALL(k, kernel_slot(s), SYS_pread64, STEPPER_FD_SCRATCH,
			    s->args[0], copy_len(s), at);
}

static void engine_copy(struct engine *e, const struct step *s,
			struct outcome *o, bool in, struct msn_mm_io io)
{
	size_t done = 0;
	int rc;

	if (in) {
		rc = msn_mm_copy_in(engine_mm(e, s), s->args[0], o->data,
				    copy_len(s), io, &done);
		o->len = done;
	} else {
		pattern(o->data, copy_len(s), s->args[2]);
		rc = msn_mm_copy_out(engine_mm(e, s), s->args[0], o->data,
				     copy_len(s), io, &done);
	}
	o->result = done || !rc ? (int64_t)done : rc;
}

static void run_copy_in(struct engine *e, const struct step *s,
			struct outcome *o)
{
	engine_copy(e, s, o, true, (struct msn_mm_io){ 0 });
}

static void run_copy_out(struct engine *e, const struct step *s,
			 struct outcome *o)
{
	engine_copy(e, s, o, false, (struct msn_mm_io){ 0 });
}

const struct op op_copy_in = {
	.name = "copy_in",
	.errors = { EFAULT },
	.args = { "addr", "len" },
	.weight = 4,
	.ranges = { { true, 0, 1 } },
	.make = make_copy,
	.beside = keeps_to_ranges,
	.kernel = kernel_copy_in,
	.engine = run_copy_in,
};

const struct op op_copy_out = {
	.name = "copy_out",
	.errors = { EFAULT },
	.args = { "addr", "len", "seed" },
	.weight = 4,
	.ranges = { { true, 0, 1 } },
	.make = make_copy_out,
	.beside = keeps_to_ranges,
	.kernel = kernel_copy_out,
	.engine = run_copy_out,
};

/* What reads /dev/zero fills memory with zeros. */
static void kernel_zero_out(struct kernel *k, const struct step *s,
			    struct outcome *o)
{
	o->result =
		KERNEL_CALL(k, kernel_slot(s), SYS_pread64,
			    kernel_fd(FILE_ZERO), s->args[0], copy_len(s), 0);
}

static void run_zero_out(struct engine *e, const struct step *s,
			 struct outcome *o)
{
	struct msn_mm_io io = { 0 };
	size_t done = 0;
	int rc = msn_mm_zero_out(engine_mm(e, s), s->args[0], copy_len(s), io,
				 &done);

	o->result = done || !rc ? (int64_t)done : rc;
}

const struct op op_zero_out = {
	.name = "zero_out",
	.errors = { EFAULT },
	.args = { "addr", "len" },
	.weight = 2,
	.ranges = { { true, 0, 1 } },
	.make = make_copy,
	.beside = keeps_to_ranges,
	.kernel = kernel_zero_out,
	.engine = run_zero_out,
};

/* ---- another process ----------------------------------------------------- */

static void kernel_vm(struct kernel *k, const struct step *s, struct outcome *o,
		      bool in)
{
	struct iovec here = { o->data, copy_len(s) };
	struct iovec there = { (void *)(uintptr_t)s->args[0], copy_len(s) };
	pid_t pid = k->at[s->space].pid;
	ssize_t n = in ? process_vm_readv(pid, &here, 1, &there, 1, 0)
		       : process_vm_writev(pid, &here, 1, &there, 1, 0);

	o->result = n < 0 ? -errno : n;
	o->len = in && n > 0 ? (size_t)n : 0;
}

static void kernel_vm_read(struct kernel *k, const struct step *s,
			   struct outcome *o)
{
	kernel_vm(k, s, o, true);
}

static void kernel_vm_write(struct kernel *k, const struct step *s,
			    struct outcome *o)
{
	pattern(o->data, copy_len(s), s->args[2]);
	kernel_vm(k, s, o, false);
}

static void run_vm_read(struct engine *e, const struct step *s,
			struct outcome *o)
{
	engine_copy(e, s, o, true, (struct msn_mm_io){ .remote = true });
}

static void run_vm_write(struct engine *e, const struct step *s,
			 struct outcome *o)
{
	engine_copy(e, s, o, false, (struct msn_mm_io){ .remote = true });
}

const struct op op_vm_read = {
	.name = "vm_read",
	.errors = { EFAULT },
	.args = { "addr", "len" },
	.weight = 1,
	.ranges = { { true, 0, 1 } },
	.make = make_copy,
	.beside = keeps_to_ranges,
	.kernel = kernel_vm_read,
	.engine = run_vm_read,
};

const struct op op_vm_write = {
	.name = "vm_write",
	.errors = { EFAULT },
	.args = { "addr", "len", "seed" },
	.weight = 1,
	.ranges = { { true, 0, 1 } },
	.make = make_copy_out,
	.beside = keeps_to_ranges,
	.kernel = kernel_vm_write,
	.engine = run_vm_write,
};

/* ---- a debugger's access ------------------------------------------------- */

/* /proc/PID/mem says EIO or EINVAL where a copy says EFAULT. */
static int64_t mem_result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EIO || errno == EINVAL ? -EFAULT : -errno;
}

/*
 * Only where no stack is: there the limits of this process are no matter, which
 * are one for all threads.
 */
static bool debugger_keeps_to(const struct step *s, unsigned slice)
{
	return slice != SLICE_STACKS && keeps_to_ranges(s, slice);
}

static void kernel_peek(struct kernel *k, const struct step *s,
			struct outcome *o)
{
	ssize_t n;

	if (!copy_len(s)) /* a file would mind its offset */
		return;
	if (!s->thread)
		kernel_take_limits(k, s->space);
	n = pread(k->at[s->space].mem, o->data, copy_len(s), (off_t)s->args[0]);
	o->result = mem_result(n);
	if (!s->thread)
		kernel_leave_limits();
	o->len = n > 0 ? (size_t)n : 0;
}

static void kernel_poke(struct kernel *k, const struct step *s,
			struct outcome *o)
{
	if (!copy_len(s))
		return;
	pattern(o->data, copy_len(s), s->args[2]);
	if (!s->thread)
		kernel_take_limits(k, s->space);
	o->result = mem_result(pwrite(k->at[s->space].mem, o->data, copy_len(s),
				      (off_t)s->args[0]));
	if (!s->thread)
		kernel_leave_limits();
}

static void run_peek(struct engine *e, const struct step *s, struct outcome *o)
{
	engine_copy(e, s, o, true,
		    (struct msn_mm_io){ .ignore_permissions = true });
}

static void run_poke(struct engine *e, const struct step *s, struct outcome *o)
{
	engine_copy(e, s, o, false,
		    (struct msn_mm_io){ .ignore_permissions = true });
}

const struct op op_peek = {
	.name = "peek",
	.errors = { EFAULT },
	.args = { "addr", "len" },
	.weight = 2,
	.ranges = { { true, 0, 1 } },
	.make = make_copy,
	.beside = debugger_keeps_to,
	.kernel = kernel_peek,
	.engine = run_peek,
};

const struct op op_poke = {
	.name = "poke",
	.errors = { EFAULT },
	.args = { "addr", "len", "seed" },
	.weight = 2,
	.ranges = { { true, 0, 1 } },
	.make = make_copy_out,
	.beside = debugger_keeps_to,
	.kernel = kernel_poke,
	.engine = run_poke,
};
