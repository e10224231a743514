/*
 * mm: one space.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two segment sets: mappings (vmas) say what may be accessed and what is meant
 * to be there; placements (pmas) say where the pages are that are there.  A
 * placement exists only under a mapping.  Where a private page can be: nowhere
 * yet (zero, or the mapped file's page), in the memory file, in an image or in
 * another process (both need_cow), or, under a platform with kernel faults, in
 * the kernel's own private copy.
 *
 * Calls behave as the Linux calls of the same name, with the same errnos; where
 * the reference and Linux differ, Linux wins (docs/differences.md).
 *
 * Locks: all functions take the locks they need and may be called from any
 * thread.  Order: MSN_RANK_MM_MAPPING (vmas), a mappable's own, then
 * MSN_RANK_MM_ACTIVE (placements).
 */
#ifndef MSN_MM_MM_H
#define MSN_MM_MM_H

#include "account/account.h"
#include "base/cleanup.h"
#include "mapping/mapping_space.h"
#include "mapping/mmap_opts.h"
#include "memfile/memfile.h"
#include "mm/policy.h"
#include "platform/address_space.h"
#include "range/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_mm;

/*
 * Where mappings may be, and where the search for a place begins: downwards
 * from the top-down base, and if nothing is free there, upwards from the
 * bottom-up base (mmap_base and mmap_legacy_base of Linux).
 */
struct msn_layout {
	uint64_t min_addr; /* hints and searches stay above it */
	/*
	 * Below it nobody maps without CAP_SYS_RAWIO; 0: min_addr.  Linux has
	 * two such bounds: a security module may raise the first, and
	 * vm.mmap_min_addr is the second.
	 */
	uint64_t low_addr;
	uint64_t max_addr;	 /* TASK_SIZE */
	uint64_t top_down_base;	 /* highest end that is tried first */
	uint64_t bottom_up_base; /* 0: a third of max_addr */
	bool bottom_up;		 /* the legacy layout: upwards only */
};

/* No limit. */
#define MSN_UNLIMITED UINT64_MAX

/* What a space may have: resource limits of a process, and of the host. */
struct msn_mm_limits {
	uint64_t as; /* RLIMIT_AS, bytes */
	uint64_t
		data; /* RLIMIT_DATA, bytes; 0: @data_max counts, as in Linux */
	uint64_t data_max; /* its hard limit */
	uint64_t stack;	   /* RLIMIT_STACK, bytes: how far a stack grows */
	uint64_t memlock;  /* RLIMIT_MEMLOCK, bytes */
	uint64_t commit;   /* bytes of private memory in one request: what the
			      host's heuristic overcommit allows */
	uint64_t mappings; /* vm.max_map_count; MSN_MAPPING_COUNT_MAX at most */
	bool can_lock;	   /* CAP_IPC_LOCK: memlock does not count */
	bool can_map_low;  /* CAP_SYS_RAWIO: below layout.min_addr */
	bool can_move_all; /* CAP_SYS_NICE: MPOL_MF_MOVE_ALL of mbind */
};

/* Everything unlimited but mappings, which are MSN_MAPPING_COUNT_MAX. */
struct msn_mm_limits msn_mm_no_limits(void);

struct msn_mm_opts {
	struct msn_memfile *memfile;  /* borrowed; outlives the space */
	struct msn_address_space *as; /* taken over, also on failure */
	struct msn_layout layout;     /* zeroed: the whole lower half */
	msn_account_id account;	      /* pays for the space's own pages */
	/* NULL: msn_mm_no_limits().  Copied. */
	const struct msn_mm_limits *limits;
	/*
	 * Memory nodes that policies can name, a bit each,
	 * MSN_POLICY_MASK_WORDS words.  NULL: node 0.  Copied.
	 */
	const uint64_t *nodes;
};

MSN_MUST_CHECK int msn_mm_new(struct msn_mm **out,
			      const struct msn_mm_opts *opts);

/* Unmaps everything.  NULL is allowed.  Returns NULL. */
struct msn_mm *msn_mm_free(struct msn_mm *mm);
MSN_DEFINE_AUTO(struct msn_mm, msn_mm_free)

/* The face that mappables see. */
struct msn_mapping_space *msn_mm_mapping_space(struct msn_mm *mm);

/* Replaces the limits: setrlimit(2).  What is mapped already stays. */
void msn_mm_set_limits(struct msn_mm *mm, const struct msn_mm_limits *limits);
void msn_mm_get_limits(struct msn_mm *mm, struct msn_mm_limits *out);

/* ---- The mmap family ----------------------------------------------------- */

/* mmap(2).  *@addr becomes the place.  On failure nothing new is mapped. */
MSN_MUST_CHECK int msn_mm_mmap(struct msn_mm *mm,
			       const struct msn_mmap_opts *opts,
			       uint64_t *addr);

/* munmap(2): -EINVAL for an unaligned @addr or an empty or wrapping range. */
MSN_MUST_CHECK int msn_mm_munmap(struct msn_mm *mm, uint64_t addr,
				 uint64_t length);

/*
 * mprotect(2), @prot as there, PROT_GROWSDOWN and PROT_GROWSUP included:
 * -EINVAL unaligned or unknown bits, -ENOMEM for a hole (what came before it is
 * changed), a limit, or no memory; -EACCES beyond a mapping's max_perms; -EPERM
 * for a sealed one.
 */
MSN_MUST_CHECK int msn_mm_mprotect(struct msn_mm *mm, uint64_t addr,
				   uint64_t length, int prot);

/*
 * fork(2): a new space with the same mappings over @as (taken over, also on
 * failure).  Private pages are shared copy-on-write; cost O(mappings + private
 * runs), and with kernel faults also a copy of the pages that the kernel had
 * copied.  The parent must not run meanwhile if its platform has kernel faults.
 * -ENOMEM: no memory, or the limit of commit; -EAGAIN: objects were truncated
 * too often meanwhile; or what an object or a platform says.  Then there is no
 * child, and the parent is as it was.
 */
MSN_MUST_CHECK int msn_mm_fork(struct msn_mm *mm, struct msn_address_space *as,
			       struct msn_mm **out);

/* ---- Faults and copies --------------------------------------------------- */

enum msn_mm_error {
	MSN_MM_E_BUS = 1,    /* SIGBUS: mapped, but there is no page */
	MSN_MM_E_MAPERR = 2, /* SIGSEGV, SEGV_MAPERR: nothing is mapped */
	MSN_MM_E_ACCERR = 3, /* SIGSEGV, SEGV_ACCERR: not permitted */
};

/*
 * Handles a fault at @addr: puts the page in place for @access.  0, an outcome
 * that says which signal a process would get, or -errno (no memory).
 */
MSN_MUST_CHECK int msn_mm_handle_fault(struct msn_mm *mm, uint64_t addr,
				       unsigned access);

/* Whose access it is; zeroed: that of the code that runs in the space. */
struct msn_mm_io {
	/*
	 * A debugger's (ptrace, /proc/PID/mem): what mprotect() could grant is
	 * granted, and a private page that may not be written is copied first.
	 */
	bool ignore_permissions;
	/*
	 * Another process's (process_vm_readv(2)): reading needs PROT_READ
	 * itself, stacks do not grow, and pages (1024 at a time) are all in
	 * place before the first byte moves.
	 */
	bool remote;
};

/*
 * Copies from the space (in) or to it (out).  0; -EFAULT: not mapped, not
 * permitted, or no page; -ENOMEM, or what the object says.  *@done bytes are
 * copied either way: what came before the fault is done.  Reading memory that
 * was never touched allocates nothing.  May block on the object.
 */
MSN_MUST_CHECK int msn_mm_copy_in(struct msn_mm *mm, uint64_t addr, void *dst,
				  size_t len, struct msn_mm_io io,
				  size_t *done);
MSN_MUST_CHECK int msn_mm_copy_out(struct msn_mm *mm, uint64_t addr,
				   const void *src, size_t len,
				   struct msn_mm_io io, size_t *done);
MSN_MUST_CHECK int msn_mm_zero_out(struct msn_mm *mm, uint64_t addr, size_t len,
				   struct msn_mm_io io, size_t *done);

/*
 * Atomic compare-and-swap at a 4-byte aligned address; *@seen becomes the old
 * value.  -EFAULT, also when @addr is not aligned.
 */
MSN_MUST_CHECK int msn_mm_cas32(struct msn_mm *mm, uint64_t addr,
				uint32_t expected, uint32_t desired,
				uint32_t *seen);

/* ---- For save and restore ------------------------------------------------ */

/* The memory file that the space's own pages come from. */
struct msn_memfile *msn_mm_memfile(struct msn_mm *mm);

/* Who pays for the space's own pages, and for those of files that it shows. */
msn_account_id msn_mm_account(const struct msn_mm *mm);

/*
 * The uid of the snapshot that the space was made from; all zero for none.  Set
 * once, before the space is shared between threads.
 */
void msn_mm_set_origin(struct msn_mm *mm, const uint8_t origin[16]);
void msn_mm_origin(const struct msn_mm *mm, uint8_t origin[16]);

/*
 * Who pays from now on for the space's own pages; a fork's are its parent's
 * account's until then.  Before the space is shared between threads.
 */
void msn_mm_set_account(struct msn_mm *mm, msn_account_id account);

/* Private pages that are there already: @addr shows @file from @offset on. */
struct msn_placement {
	struct msn_addr_range addr;
	struct msn_file *file;
	uint64_t offset;
};

/*
 * mmap(2) of a private mapping whose pages are in place from the start, to be
 * copied when they are written.  @opts is fixed; @list ascends and lies inside
 * the mapping.  Takes one reference on each page, through files that allow
 * that.  Pages in no placement are as after an ordinary mmap.
 */
MSN_MUST_CHECK int msn_mm_mmap_placed(struct msn_mm *mm,
				      const struct msn_mmap_opts *opts,
				      const struct msn_placement *list,
				      size_t count);

/* invalidate_unsavable() of every mappable.  Text in @name on failure. */
MSN_MUST_CHECK int msn_mm_invalidate_unsavable(struct msn_mm *mm, char *name,
					       size_t name_size);

/* A mapping as a listing or a save sees it.  Borrowed pointers. */
struct msn_mapping_view {
	struct msn_addr_range addr;
	unsigned perms, max_perms;
	bool private, grows_down, stack;
	enum msn_mlock_mode mlock_mode;
	enum msn_name_mut name_mut;
	const char *name; /* as maps shows it; never NULL */
	uint64_t offset;
	struct msn_mappable *mappable; /* NULL: anonymous */
	struct msn_identity *identity; /* or NULL */
};

/*
 * Calls @fn for each mapping in order, with the mapping lock held: @fn must not
 * call into this space.  Stops at the first result that is not 0 and returns
 * it.
 */
typedef int (*msn_mapping_fn)(void *ctx, const struct msn_mapping_view *v);
MSN_MUST_CHECK int msn_mm_for_each_mapping(struct msn_mm *mm, msn_mapping_fn fn,
					   void *ctx);

/* A run of private pages that may differ from what is mapped there. */
struct msn_private_run {
	struct msn_addr_range addr;
	struct msn_file *file; /* NULL: only in the platform's page tables */
	uint64_t offset;
};

/*
 * Calls @fn for each run of private pages in @ar in order, leaving out what the
 * file knows to be zero.  Same rules as msn_mm_for_each_mapping(); under a
 * platform with kernel faults the caller keeps its threads out of the space.
 */
typedef int (*msn_private_run_fn)(void *ctx, const struct msn_private_run *r);
MSN_MUST_CHECK int msn_mm_for_each_private_run(struct msn_mm *mm,
					       struct msn_addr_range ar,
					       msn_private_run_fn fn,
					       void *ctx);

/*
 * Reads pages of a run that has no file, whatever their rights are.  To be
 * called from inside msn_mm_for_each_private_run() only.
 */
MSN_MUST_CHECK int msn_mm_read_private(struct msn_mm *mm, uint64_t addr,
				       void *dst, size_t len);

/* ---- Listings and checks ------------------------------------------------- */

/* Bytes of mappings; bytes of pages in place, what only reads as zero apart. */
uint64_t msn_mm_mapped_bytes(struct msn_mm *mm);
uint64_t msn_mm_placed_bytes(struct msn_mm *mm);

/* What a space has and uses, in bytes; the counters of /proc/PID/status. */
struct msn_mm_usage {
	uint64_t total;		/* VmSize: of all mappings */
	uint64_t peak;		/* VmPeak: the most that total ever was */
	uint64_t data;		/* VmData: private, writable, no stack */
	uint64_t stack;		/* VmStk */
	uint64_t locked;	/* VmLck */
	uint64_t mappings;	/* how many */
	uint64_t rss_anonymous; /* RssAnon: private pages that take memory */
	uint64_t rss_file;	/* RssFile: pages of files */
	uint64_t rss_shmem; /* RssShmem: of objects that no file is behind */
	uint64_t lazy_free; /* of the private ones: msn_mm_reclaim_lazy() */
};

/*
 * All of it at one moment.  Resident is what is placed; on a platform with page
 * tables that is the most that may be resident.  Costs O(placements).
 */
void msn_mm_usage(struct msn_mm *mm, struct msn_mm_usage *out);

/* The listings of /proc/PID/maps and smaps, as a string for free(). */
MSN_MUST_CHECK int msn_mm_maps(struct msn_mm *mm, char **out);
MSN_MUST_CHECK int msn_mm_smaps(struct msn_mm *mm, char **out);

/* Text of the first broken invariant, or NULL. */
const char *msn_mm_check(struct msn_mm *mm);

#endif /* MSN_MM_MM_H */
