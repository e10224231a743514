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
#include <sys/mman.h>

/* ---- Mapping: sys_mmap.c ------------------------------------------------- */

/* What a file descriptor stands for. */
struct msn_open_file {
	struct msn_identity *identity; /* borrowed; one open file, one */
	struct msn_mappable *mappable; /* NULL: it cannot be mapped */
	int map_error;		       /* why not; 0: -ENODEV */
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

/* Newer than some C libraries. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

/*
 * madvise(2), for every advice that Linux 6.18 has, MADV_* here.  @length is in
 * bytes and rounded up to pages.
 *
 * -EINVAL: an unknown advice, an unaligned @addr, a range that wraps; or one
 * that a mapping in the range is not made for (locked and MADV_DONTNEED, a
 * file and MADV_FREE, ...).  -ENOMEM: a hole, after all that is mapped was
 * advised; for MADV_POPULATE_* as soon as it is reached.  -EPERM: would discard
 * sealed memory that cannot be written.  -EACCES: MADV_REMOVE of what cannot
 * be written to.  -EAGAIN: no memory, or too many mappings.  -EFAULT,
 * -EHWPOISON: a page that MADV_POPULATE_* cannot have.  MADV_REMOVE also says
 * what the object does (-EOPNOTSUPP, ...).  An error ends the walk; what came
 * before it is done.
 *
 * Limits of this engine:
 * - MADV_HWPOISON and MADV_SOFT_OFFLINE are unknown (-EINVAL), as to a kernel
 *   without CONFIG_MEMORY_FAILURE.
 * - MADV_COLLAPSE: -EINVAL always; there are no huge pages.  MADV_HUGEPAGE and
 *   MADV_MERGEABLE are remembered and shown, and change no page.
 * - MADV_WILLNEED and MADV_COLD reach the host where the platform has page
 *   tables, and do nothing else.  There is no swap: MADV_PAGEOUT only makes
 *   pages of objects be placed no more; they stay in the object.
 * - MADV_FREE where the platform has page tables: the pages stay.
 */
MSN_MUST_CHECK int msn_mm_madvise(struct msn_mm *mm, uint64_t addr,
				  uint64_t length, int advice);

/*
 * Takes the pages that MADV_FREE gave up and nobody has written to since; they
 * read as zero afterwards.  To be called when memory is short.  Returns how
 * many bytes of placements went.
 */
uint64_t msn_mm_reclaim_lazy(struct msn_mm *mm);

/* ---- Locking in memory: lock.c ------------------------------------------- */

/*
 * mlock2(2), and mlock(2) with no flags: marks the mappings of the whole pages
 * in the range as locked and brings their pages in, those of MLOCK_ONFAULT
 * only when they are touched.  The bytes need not be aligned.
 *
 * -EINVAL: unknown flags, a range that wraps.  -EPERM: may not lock anything.
 * -ENOMEM: over RLIMIT_MEMLOCK (what is locked already counts once), a hole
 * (what came before it is locked), too many mappings, or a page that cannot be
 * had; -EAGAIN: no memory for pages.  In these last two cases the range is
 * locked nevertheless.
 *
 * Locked pages are kept in the space; the host is not asked to keep them in
 * its memory.
 */
MSN_MUST_CHECK int msn_mm_mlock(struct msn_mm *mm, uint64_t addr,
				uint64_t length, int flags);

/* munlock(2): -EINVAL wraps, -ENOMEM for a hole or too many mappings. */
MSN_MUST_CHECK int msn_mm_munlock(struct msn_mm *mm, uint64_t addr,
				  uint64_t length);

/*
 * mlockall(2), @flags MCL_*: each call replaces what an earlier one said of
 * future mappings.  -EINVAL, -EPERM, or -ENOMEM over RLIMIT_MEMLOCK.  Pages
 * that cannot be had are passed over.
 */
MSN_MUST_CHECK int msn_mm_mlockall(struct msn_mm *mm, int flags);
void msn_mm_munlockall(struct msn_mm *mm);

/* ---- Writing back: sync.c ------------------------------------------------ */

/*
 * msync(2): with MS_SYNC, writes back what shared mappings of objects changed
 * in the range.  -EINVAL: unknown or contradicting flags, unaligned; -ENOMEM:
 * wraps, or a hole, told at the end (with MS_ASYNC alone at once); -EBUSY:
 * MS_INVALIDATE of a locked mapping; or what the object says.  Blocks; no lock
 * is held meanwhile.
 */
MSN_MUST_CHECK int msn_mm_msync(struct msn_mm *mm, uint64_t addr,
				uint64_t length, int flags);

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
 * -EINVAL unaligned or wrapping, a name of more than 80 bytes (its end
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
 * moved.  Pages count as on the first node that their policy names, else on the
 * space's first: -EIO if MPOL_MF_STRICT alone finds one outside of @nodes.
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
#define MSN_PAGEMAP_SWAP (UINT64_C(1) << 62)	  /* a guard: as Linux */
#define MSN_PAGEMAP_GUARD (UINT64_C(1) << 58)	  /* MADV_GUARD_INSTALL */
#define MSN_PAGEMAP_FILE (UINT64_C(1) << 61)	  /* of a file, or shared */
#define MSN_PAGEMAP_EXCLUSIVE (UINT64_C(1) << 56) /* placed nowhere else */

/*
 * The words of /proc/PID/pagemap for @pages pages from @addr (page aligned) on,
 * frame numbers left out.  Brings nothing in.  0 or -errno.
 */
MSN_MUST_CHECK int msn_mm_pagemap(struct msn_mm *mm, uint64_t addr,
				  size_t pages, uint64_t *out);

/* ---- Between spaces: process_vm.c ---------------------------------------- */

/* A piece of memory of a space; struct iovec of a process in it. */
struct msn_iov {
	uint64_t addr, length; /* bytes */
};

/* The most pieces in one list (UIO_MAXIOV, IOV_MAX). */
#define MSN_IOV_MAX 1024

/* The most bytes that one call moves (MAX_RW_COUNT). */
#define MSN_PROCESS_VM_MAX (INT32_MAX & ~MSN_PAGE_MASK)

/* Arguments of process_vm_readv(2) and process_vm_writev(2). */
struct msn_process_vm {
	struct msn_mm *local; /* the caller's */
	const struct msn_iov *local_iov;
	size_t local_count;
	struct msn_mm *remote; /* the other's; may be the same */
	const struct msn_iov *remote_iov;
	size_t remote_count;
	unsigned long flags; /* 0 */
};

/*
 * Copies from the remote space to the local one, or the other way.  0 with
 * *@done bytes moved, which is less than asked for if a later byte cannot be
 * reached; -EFAULT: the first cannot; -EINVAL: flags, too many pieces, or one
 * that is longer than the half of all addresses; -ENOMEM.
 *
 * The two spaces are looked at one after the other, through a buffer; no lock
 * of one is held while one of the other is taken.
 */
MSN_MUST_CHECK int msn_mm_process_vm_readv(const struct msn_process_vm *call,
					   uint64_t *done);
MSN_MUST_CHECK int msn_mm_process_vm_writev(const struct msn_process_vm *call,
					    uint64_t *done);

/* ---- Words and futexes: atomic.c ----------------------------------------- */

/*
 * Atomic accesses to 32 bits at a 4-byte aligned address, sequentially
 * consistent among all that go through this engine or the page tables.
 * *@value, *@seen: what was there.  -EFAULT: not mapped, no right, no page, or
 * not aligned; -ENOMEM.  msn_mm_cas32() is in mm.h.  A load copies no page.
 */
MSN_MUST_CHECK int msn_mm_load32(struct msn_mm *mm, uint64_t addr,
				 uint32_t *value);
MSN_MUST_CHECK int msn_mm_swap32(struct msn_mm *mm, uint64_t addr,
				 uint32_t value, uint32_t *seen);

enum msn_futex_kind {
	MSN_FUTEX_PRIVATE = 1, /* FUTEX_PRIVATE_FLAG: of one space */
	MSN_FUTEX_ANONYMOUS,   /* without it, in memory that is private */
	MSN_FUTEX_OBJECT,      /* in an object: the same for all who map it */
};

/* What a futex is known by; two keys that are the same are one futex. */
struct msn_futex_key {
	enum msn_futex_kind kind;
	void *of;    /* the space or the object; to be compared, not used */
	uint64_t at; /* address, or offset in the object */
	struct msn_identity *identity; /* a reference: keeps @of; or NULL */
};

/*
 * The key of the futex at @addr; @shared: without FUTEX_PRIVATE_FLAG, which
 * brings the page in.  -EINVAL: not aligned.  -EFAULT: not an address; with
 * @shared also: not mapped, no right to read or write, no page, or private
 * memory that cannot be written, which nobody could ever wake from.  -ENOMEM.
 * On success the key is to be put with msn_futex_key_put().
 */
MSN_MUST_CHECK int msn_mm_futex_key(struct msn_mm *mm, uint64_t addr,
				    bool shared, struct msn_futex_key *out);
bool msn_futex_key_same(const struct msn_futex_key *a,
			const struct msn_futex_key *b);
uint64_t msn_futex_key_hash(const struct msn_futex_key *k);

/* Drops the reference; no lock of a space is held. */
void msn_futex_key_put(struct msn_futex_key *k);

#endif /* MSN_MM_MM_CALLS_H */
