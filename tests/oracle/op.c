/*
 * Op: the table of the calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/op_common.h"

/* One a line. */
/* clang-format off */
const struct op *const ops[] = {
	&op_mmap, /* first: gen.c never leaves it out */
	&op_munmap,
	&op_mprotect,
	&op_mremap,
	&op_madvise,
	&op_msync,
	&op_mincore,
	&op_mseal,
	&op_mlock,
	&op_mlock2,
	&op_munlock,
	&op_mlockall,
	&op_munlockall,
	&op_brk,
	&op_limit,
	&op_fork,
	&op_exit,
	&op_restore,
	&op_mbind,
	&op_get_mempolicy,
	&op_load,
	&op_store,
	&op_cas,
	&op_load32,
	&op_swap32,
	&op_process_vm_readv,
	&op_process_vm_writev,
	&op_copy_in,
	&op_copy_out,
	&op_zero_out,
	&op_vm_read,
	&op_vm_write,
	&op_peek,
	&op_poke,
	&op_write,
	&op_truncate,
	&op_punch,
	&op_allocate,
	NULL,
};
/* clang-format on */
