/*
 * Op common: what the rows of the table share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_ORACLE_OP_COMMON_H
#define MSN_TESTS_ORACLE_OP_COMMON_H

#include "base/cleanup.h"
#include "oracle/engine.h"
#include "oracle/gen.h"
#include "oracle/kernel.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* A kernel side that is one system call with the step's own numbers. */
#define OP_KERNEL(name, nr)                                                    \
	static void kernel_##name(struct kernel *k, const struct step *s,      \
				  struct outcome *o)                           \
	{                                                                      \
		o->result = KERNEL_CALL(k, kernel_slot(s), (nr), s->args[0],   \
					s->args[1], s->args[2], s->args[3],    \
					s->args[4], s->args[5]);               \
	}

/* An engine side that is one call on the space @mm with numbers @a. */
#define OP_ENGINE(name, call)                                                  \
	static void run_##name(struct engine *e, const struct step *s,         \
			       struct outcome *o)                              \
	{                                                                      \
		struct msn_mm *mm = engine_mm(e, s);                           \
		const uint64_t *a = s->args;                                   \
                                                                               \
		o->result = (call);                                            \
	}

/* Makers of numbers for calls that begin with a range. */
static inline void make_range(struct gen *g, struct step *s)
{
	if (gen_percent(g, g->in_slice ? 80 : 50)) {
		gen_inside(g, &s->args[0], &s->args[1]);
		return;
	}
	s->args[0] = gen_addr(g);
	s->args[1] = gen_wild_len(g);
}

/* May it run beside others?  (struct op.)  Its ranges are in the slice. */
static inline bool keeps_to_ranges(const struct step *s, unsigned slice)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(s->op->ranges); i++) {
		const struct op_range *r = &s->op->ranges[i];

		if (r->used &&
		    !slice_has(slice, s->args[r->addr], s->args[r->len]))
			return false;
	}
	return true;
}

/* The same of a word. */
static inline bool keeps_to_word(const struct step *s, unsigned slice)
{
	return slice_has(slice, s->args[0], 4);
}

/* Rights that only an invalid prot has. */
#define PROT_UNKNOWN 0x100

/* Removes what a process that ended in the middle of a restore left. */
void op_restore_clean(pid_t pid);

/* The rows, file by file. */
extern const struct op op_mmap, op_munmap, op_mprotect, op_mremap;
extern const struct op op_madvise, op_msync, op_mincore, op_mseal;
extern const struct op op_mlock, op_mlock2, op_munlock, op_mlockall,
	op_munlockall;
extern const struct op op_restore, op_brk, op_limit, op_fork, op_exit;
extern const struct op op_mbind, op_get_mempolicy;
extern const struct op op_cas, op_load32, op_swap32, op_process_vm_readv,
	op_process_vm_writev;
extern const struct op op_load, op_store, op_copy_in, op_copy_out, op_zero_out,
	op_vm_read, op_vm_write, op_peek, op_poke;
extern const struct op op_write, op_truncate, op_punch, op_allocate;

#endif /* MSN_TESTS_ORACLE_OP_COMMON_H */
