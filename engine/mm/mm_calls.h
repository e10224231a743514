/*
 * mm: the system calls on a space, with the arguments that Linux gives them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * For whoever runs programs in a space: each function does what the call of its
 * name does to a process, with the constants of <sys/mman.h>, and returns 0 or
 * the call's errno, negated.  What came before a failure is done where Linux
 * does it.  What Linux does with a signal or another process is an outcome
 * here: a fault's signal is what msn_mm_handle_fault() says.
 *
 * Sources of the rules: the man pages, and mm/ of Linux 6.18, function by
 * function; tests/oracle compares with the running kernel.
 *
 * Locks: each takes what it needs; any thread.  Calls that bring pages in or
 * write them back may block on the object.
 */
#ifndef MSN_MM_MM_CALLS_H
#define MSN_MM_MM_CALLS_H

#include "base/cleanup.h"
#include "mm/mm.h"

#include <stddef.h>
#include <stdint.h>

/* ---- Mapping: sys_mmap.c ------------------------------------------------- */

/* What a file descriptor stands for. */
struct msn_open_file {
	struct msn_identity *identity; /* borrowed; one open file, one */
	struct msn_mappable *mappable; /* NULL: it cannot be mapped (-ENODEV) */
	bool readable, writable;       /* how it was opened */
	bool append_only;	       /* the inode is: no shared writing */
	bool no_exec;		       /* on a file system mounted noexec */
	bool zero;		       /* /dev/zero: anonymous memory */
};

/* Makes shared anonymous memory; msn_shared_new() with what it needs. */
typedef int (*msn_shared_fn)(void *ctx, uint64_t size,
			     struct msn_mappable **obj,
			     struct msn_identity **id);

struct msn_mmap_call {
	uint64_t addr, length;
	int prot, flags;		  /* PROT_*, MAP_* */
	const struct msn_open_file *file; /* NULL: a bad descriptor, or none */
	uint64_t offset;
	msn_shared_fn shared; /* for MAP_SHARED | MAP_ANONYMOUS */
	void *ctx;
};

/* mmap(2).  *@addr becomes the place. */
MSN_MUST_CHECK int msn_mm_sys_mmap(struct msn_mm *mm,
				   const struct msn_mmap_call *call,
				   uint64_t *addr);

/* ---- Moving: remap.c ----------------------------------------------------- */

/*
 * mremap(2): makes the mapping at @old_addr longer or shorter, or moves it with
 * its pages.  *@out becomes its address.  @flags: MREMAP_MAYMOVE, MREMAP_FIXED,
 * MREMAP_DONTUNMAP; @new_addr counts with the last two only.
 *
 * -EINVAL for what the arguments alone forbid; -EFAULT where nothing is mapped
 * or the range ends in another mapping; -EPERM sealed; -EAGAIN the limit of
 * locked memory; -ENOMEM no place, a limit, or no memory; what the object says.
 * What MREMAP_FIXED unmaps, and what shrinking does, stays done if the move
 * then fails; so do moves of earlier mappings where the range has several
 * (MREMAP_FIXED without a change of size).
 */
MSN_MUST_CHECK int msn_mm_mremap(struct msn_mm *mm, uint64_t old_addr,
				 uint64_t old_len, uint64_t new_len, int flags,
				 uint64_t new_addr, uint64_t *out);

/* ---- The heap: brk.c ----------------------------------------------------- */

/*
 * Where the heap begins, as a program's loader sets it: it is empty.  Whatever
 * is mapped stays; listings call what meets the heap "[heap]".
 */
void msn_mm_set_heap(struct msn_mm *mm, uint64_t start);

/*
 * brk(2), as the system call and not as the C library has it: the heap's end
 * becomes @addr.  Returns the end as it is then: @addr, or what it was if that
 * cannot be (below the start, something in the way, a limit, no memory).
 */
uint64_t msn_mm_brk(struct msn_mm *mm, uint64_t addr);

/* ---- Advice: advise.c ---------------------------------------------------- */

/* ---- Locking in memory: lock.c ------------------------------------------- */

/* ---- Writing back: sync.c ------------------------------------------------ */

/* ---- Sealing and naming: seal.c, name.c ---------------------------------- */

/*
 * mseal(2): what is mapped at [@addr, @addr + @length) can no longer be
 * unmapped, moved, resized, replaced or given other rights, for as long as the
 * space is there.  @flags: 0.  -EINVAL for other flags, an unaligned @addr or a
 * range that wraps; -ENOMEM for a hole (nothing is sealed), too many mappings
 * or no memory (what came before is sealed).
 */
MSN_MUST_CHECK int msn_mm_mseal(struct msn_mm *mm, uint64_t addr,
				uint64_t length, unsigned long flags);

/*
 * prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME): listings call anonymous memory at
 * [@addr, @addr + @length) "[anon:NAME]", shared "[anon_shmem:NAME]"; NULL
 * takes the name off.  Mappings with different names are never one.
 *
 * -EINVAL unaligned or wrapping, a name of 80 bytes and more (its end
 * included), or with a character outside ' ' .. '~' or one of \\ ` $ [ ];
 * -EBADF for other memory (what came before is named); -ENOMEM for a hole (the
 * rest is named), or no memory for the name; -EAGAIN for no other memory.
 */
MSN_MUST_CHECK int msn_mm_set_anon_name(struct msn_mm *mm, uint64_t addr,
					uint64_t length, const char *name);

/* ---- Memory policy: mempolicy.c ------------------------------------------ */

/*
 * mbind(2), with MPOL_* of <linux/mempolicy.h>.  @nodes has @maxnode - 1 bits,
 * in whole words; NULL: none.  The policy stays with the mappings; no page is
 * moved, and none is said to be on a wrong node.
 *
 * -EINVAL unaligned, wrapping, an unknown mode or flag, a mask that does not go
 * with the mode or names no node of the space; -EPERM for MPOL_MF_MOVE_ALL
 * without can_move_all; -EFAULT for a hole, or with MPOL_DEFAULT for nothing
 * mapped at all; -ENOMEM no memory or too many mappings (what came before is
 * done).
 */
MSN_MUST_CHECK int msn_mm_mbind(struct msn_mm *mm, uint64_t addr,
				uint64_t length, int mode,
				const uint64_t *nodes, uint64_t maxnode,
				unsigned flags);

/* set_mempolicy(2): of the whole space, as all its threads'.  As above. */
MSN_MUST_CHECK int msn_mm_set_mempolicy(struct msn_mm *mm, int mode,
					const uint64_t *nodes,
					uint64_t maxnode);

/*
 * get_mempolicy(2).  @mode and @nodes may be NULL; @nodes gets @maxnode - 1
 * bits, in whole words.  @flags: MPOL_F_ADDR tells of the mapping at @addr,
 * MPOL_F_MEMS_ALLOWED the space's nodes, MPOL_F_NODE the node of a page (which
 * is brought in): the first that its policy names, else the space's first.
 * -EINVAL for other flags or what does not go together, fewer bits than the
 * space has nodes; -EFAULT where nothing is mapped.
 */
MSN_MUST_CHECK int msn_mm_get_mempolicy(struct msn_mm *mm, int *mode,
					uint64_t *nodes, uint64_t maxnode,
					uint64_t addr, unsigned long flags);

/* ---- What is in memory: residency.c -------------------------------------- */

/*
 * mincore(2): one byte for each page of [@addr, @addr + @length), bit 0 set if
 * it is in memory.  -EINVAL unaligned, -ENOMEM for a hole (@vec is then not
 * complete) or a range past the top.
 */
MSN_MUST_CHECK int msn_mm_mincore(struct msn_mm *mm, uint64_t addr,
				  uint64_t length, uint8_t *vec);

/* Bits of a page's word in /proc/PID/pagemap. */
#define MSN_PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define MSN_PAGEMAP_FILE (UINT64_C(1) << 61)	  /* of a file, or shared */
#define MSN_PAGEMAP_EXCLUSIVE (UINT64_C(1) << 56) /* placed nowhere else */

/*
 * The words of /proc/PID/pagemap for @pages pages from @addr (page aligned) on,
 * frame numbers left out.  Brings nothing in.  0 or -errno.
 */
MSN_MUST_CHECK int msn_mm_pagemap(struct msn_mm *mm, uint64_t addr,
				  size_t pages, uint64_t *out);

/* ---- Between spaces and for futexes: process_vm.c, atomic.c -------------- */

#endif /* MSN_MM_MM_CALLS_H */
