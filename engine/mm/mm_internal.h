/*
 * mm: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_MM_MM_INTERNAL_H
#define MSN_MM_MM_INTERNAL_H

#include "base/lock.h"
#include "mm/maps_line.h"
#include "mm/mm.h"
#include "mm/pma.h"
#include "mm/smaps.h"
#include "mm/vma.h"

/* Identities to let go of once no lock of the space is held. */
struct msn_dropped {
	struct msn_identity **list;
	size_t count, cap;
};

/* An invalidation that came while the space was being made by fork. */
struct msn_captured {
	struct msn_addr_range addr;
	struct msn_invalidate_opts opts;
};

/* Bytes of mappings by the kinds that limits speak of. */
struct msn_mm_sizes {
	uint64_t total, data, stack, locked;
};

struct msn_mm {
	struct msn_mapping_space space;
	struct msn_memfile *memfile;  /* set once */
	struct msn_address_space *as; /* set once */
	struct msn_layout layout;     /* set once */
	msn_account_id account;	      /* set once, by msn_mm_set_account() */
	uint8_t origin[16];	      /* set once, by msn_mm_set_origin() */
	uint64_t nodes[MSN_POLICY_MASK_WORDS]; /* set once */

	struct msn_rwlock mapping; /* rank MSN_RANK_MM_MAPPING */
	/*
	 * Under mapping; but a vma's anon is set under mapping for reading and
	 * active for writing (a fault), and so is read under mapping for
	 * writing, or under both.
	 */
	struct msn_vma_set vmas;
	struct msn_mm_sizes sizes; /* under mapping */
	uint64_t peak;		   /* of sizes.total; under mapping */
	/* Counted as locked though no mapping is: mremap; under mapping. */
	uint64_t stuck_locked;
	struct msn_mm_limits limits; /* under mapping */
	uint32_t def_flags; /* of new mappings (mlockall); under mapping */
	struct msn_policy *policy;  /* set_mempolicy(); NULL; under mapping */
	struct msn_addr_range heap; /* brk: its start and the break; mapping */

	struct msn_rwlock active; /* rank MSN_RANK_MM_ACTIVE */
	struct msn_pma_set pmas;  /* under active */

	/* While fork makes this space: invalidations to replay.  Under active.
	 */
	bool capturing, overflowed;
	struct msn_captured *captured;
	size_t captured_count, captured_cap;
};

static inline struct msn_mm *msn_mm_of(struct msn_mapping_space *ms)
{
	return msn_container_of(ms, struct msn_mm, space);
}

/* ---- mm.c ---------------------------------------------------------------- */

/* Room for @more identities, so that dropping them cannot fail. */
MSN_MUST_CHECK int msn_dropped_reserve(struct msn_dropped *d, size_t more);
void msn_dropped_add(struct msn_dropped *d, struct msn_identity *id);

/* Before: no lock of the space is held. */
void msn_dropped_let_go(struct msn_dropped *d);

/* ---- limits.c ------------------------------------------------------------ */

/* Adds @bytes (modulo 2^64) of a mapping with @flags. */
void msn_mm_add_sizes(struct msn_mm_sizes *s, uint32_t flags, uint64_t bytes);

/* The same for the space, negative for what goes.  Mapping lock, writing. */
void msn_mm_count_bytes(struct msn_mm *mm, uint32_t flags, int64_t bytes);

/* may_expand_vm() of Linux: RLIMIT_AS and RLIMIT_DATA.  Mapping lock held. */
bool msn_mm_may_expand(const struct msn_mm *mm, uint32_t flags, uint64_t bytes);

/* mlock_future_ok(): RLIMIT_MEMLOCK, unless @flags has no LOCKED. */
bool msn_mm_may_lock(const struct msn_mm *mm, uint32_t flags, uint64_t bytes);

/* can_do_mlock(): may it lock anything at all? */
bool msn_mm_can_lock(const struct msn_mm *mm);

/* Would the host grant @bytes in one request?  Mapping lock held. */
bool msn_mm_may_commit(const struct msn_mm *mm, uint64_t bytes);

/* ---- vma_merge.c --------------------------------------------------------- */

/*
 * Gives @part, which lies inside one mapping, the flags, name and policy of @to
 * (borrowed; it is that mapping's value but for those).  Merges with the
 * neighbours where the kernel would (vma_modify()), else cuts.  *@out becomes
 * the mapping that has @part now.  -ENOMEM: no memory, or too many mappings;
 * one cut may have been made.  Mapping lock held for writing.
 */
MSN_MUST_CHECK int msn_vma_modify(struct msn_mm *mm, struct msn_addr_range part,
				  const struct msn_vma *to,
				  struct msn_seg *out);

/*
 * Puts a mapping at @ar, where none is: makes a neighbour longer where the
 * kernel would (vma_merge_new_range()), else inserts a copy of @v.  Takes
 * references of its own.  v->anon: of the mapping that a move copies from, else
 * NULL.  Never fails if two changes were reserved.  Mapping lock for writing.
 */
struct msn_seg msn_vma_add(struct msn_mm *mm, struct msn_addr_range ar,
			   const struct msn_vma *v);

/*
 * As above, where @v grows up to @ar (vma_merge_extend()): takes in a neighbour
 * without pages even if @v's history comes from a fork.  @v->anon is its own.
 */
void msn_vma_grow(struct msn_mm *mm, struct msn_addr_range ar,
		  const struct msn_vma *v);

/* As above, but makes the mapping below longer or does nothing (brk). */
bool msn_vma_extend(struct msn_mm *mm, struct msn_addr_range ar,
		    const struct msn_vma *v);

/* Cuts at both ends of @ar.  Before: two changes were reserved. */
void msn_vma_cut_reserved(struct msn_mm *mm, struct msn_addr_range ar);

/*
 * anon_vma_prepare() of Linux: the mapping at @s is about to get a page of its
 * own.  Mapping lock for reading and active for writing, or mapping for
 * writing.  -ENOMEM.
 */
MSN_MUST_CHECK int msn_vma_prepare_anon(struct msn_mm *mm, struct msn_seg s);

/* ---- place.c ------------------------------------------------------------- */

/*
 * Chooses where a mapping of @length bytes goes.  The mapping lock is held.  0,
 * -ENOMEM, -EEXIST, -EINVAL or -EPERM.
 */
MSN_MUST_CHECK int msn_mm_find_place(struct msn_mm *mm,
				     const struct msn_mmap_opts *opts,
				     uint64_t length,
				     struct msn_addr_range *out);

/* The lowest address that the mapping at @s keeps free for itself. */
uint64_t msn_mm_guard_start(struct msn_mm *mm, struct msn_seg s);

/* ---- unmap.c ------------------------------------------------------------- */

/*
 * Cuts the mappings at the ends of @ar and makes sure that unmapping cannot
 * fail afterwards.  -EPERM: one is sealed; -ENOMEM; a cut may have been made
 * (as in Linux).  The mapping lock is held for writing.
 */
MSN_MUST_CHECK int msn_mm_gather(struct msn_mm *mm, struct msn_addr_range ar,
				 struct msn_dropped *d);

/*
 * Removes mappings and placements in @ar.  Gathered; mapping lock held for
 * writing; takes the active lock.
 */
void msn_mm_unmap_gathered(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_dropped *d);

/* munmap() of a checked range.  Mapping lock held for writing. */
MSN_MUST_CHECK int msn_mm_unmap_locked(struct msn_mm *mm,
				       struct msn_addr_range ar,
				       struct msn_dropped *d);

/*
 * Makes sure that one mapping can be added, and that msn_mm_unmap_reserved()
 * can take two away again.  -ENOMEM.  Lock as above.
 */
MSN_MUST_CHECK int msn_mm_reserve_unmap(struct msn_mm *mm,
					struct msn_dropped *d);

/* munmap() of @ar, inside one mapping, reserved: never fails.  Lock as above.
 */
void msn_mm_unmap_reserved(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_dropped *d);

/* ---- map.c --------------------------------------------------------------- */

/* What a mapping is refused for, and when Linux says so. */
struct msn_map_refusal {
	int early; /* after the place and the locks were looked at; 0: not */
	int late;  /* after what was there has been unmapped; 0: not */
};

/* msn_mm_mmap() that may be told to refuse. */
MSN_MUST_CHECK int msn_mm_map_unless(struct msn_mm *mm,
				     const struct msn_mmap_opts *opts,
				     struct msn_map_refusal refusal,
				     uint64_t *addr);

/* What is asked of the host about pages that are put in place. */
struct msn_commit {
	bool wanted, required;
};

/* ---- fault.c ------------------------------------------------------------- */

enum msn_page_error {
	MSN_PAGE_E_BUS = 1,   /* there is no such page */
	MSN_PAGE_E_GUARD = 2, /* nobody may touch it */
};

/* Where the page at an address is, and how far that goes. */
struct msn_page_place {
	struct msn_file *file;
	uint64_t offset; /* of the address itself */
	uint64_t length; /* bytes from there on */
};

/*
 * With READ: as pin_user_pages() of Linux (process_vm_readv(2)), which first
 * gives the space a copy of what it shares with a fork.
 */
#define MSN_ACCESS_PIN (1u << 3)

/*
 * Finds the pages at want.start for @access (READ, WRITE), putting them in
 * place if need be, as far as one placement reaches into @want.  @want lies in
 * the mapping at @vma.  0, an outcome (then place->length says how far it
 * holds) or -errno.  Locks: mapping held; active held for writing.
 */
MSN_MUST_CHECK int msn_mm_get_page(struct msn_mm *mm, struct msn_seg vma,
				   struct msn_addr_range want, unsigned access,
				   struct msn_page_place *place);

/*
 * What was got above is there from now on, even if no byte of it moves: a hole
 * of a host file is filled.  False: there is no page.  Same locks.
 */
MSN_MUST_CHECK bool msn_mm_touch_pages(const struct msn_page_place *place);

/*
 * As msn_mm_get_page(), but only if nothing has to change: active held for
 * reading is enough.  False: msn_mm_get_page() is needed.
 */
bool msn_mm_peek_page(struct msn_mm *mm, struct msn_addr_range want,
		      unsigned access, struct msn_page_place *place);

/* The same, if the mapping's rights permit @access: no other lock is needed. */
bool msn_mm_peek_permitted(struct msn_mm *mm, struct msn_addr_range want,
			   unsigned access, struct msn_page_place *place);

/* Pages of another process that come before any of their bytes move. */
#define MSN_MM_PIN_PAGES 1024

/*
 * pin_user_pages_remote() of Linux: brings in the pages of [@addr, + @length),
 * at most @pages of them, for another process to read or @write.  Returns those
 * from the first on that are there; empty if that one is not.  Takes the locks
 * it needs; the pages may go again at any time.
 */
struct msn_addr_range msn_mm_pin(struct msn_mm *mm, uint64_t addr,
				 uint64_t length, uint64_t pages, bool write);

/*
 * Is there a mapping at @addr, perhaps after the stack above has grown?  Takes
 * the mapping lock.
 */
bool msn_mm_reach(struct msn_mm *mm, uint64_t addr);

/* ---- stack.c ------------------------------------------------------------- */

/* stack_guard_gap of Linux: what stays free below a stack. */
#define MSN_GUARD_BYTES (UINT64_C(256) << MSN_PAGE_SHIFT)

/*
 * Makes the stack above @addr reach down to it.  0 also if @addr is mapped
 * already; -EFAULT, -EPERM, -ENOMEM.  Mapping lock held for writing.
 */
MSN_MUST_CHECK int msn_mm_grow_stack(struct msn_mm *mm, uint64_t addr);

/* ---- translate.c --------------------------------------------------------- */

/* The part of @want from its start that has no placement; may be empty. */
struct msn_addr_range msn_mm_gap_at(struct msn_mm *mm,
				    struct msn_addr_range want);

/*
 * Places the pages of the object that stand at @want, as far as it has them for
 * @access.  0 if at least the first of them is in place now; else
 * MSN_PAGE_E_BUS or -errno.  Locks as msn_mm_get_page().
 */
MSN_MUST_CHECK int msn_mm_place_translated(struct msn_mm *mm,
					   struct msn_seg vma,
					   struct msn_addr_range want,
					   unsigned access);

/*
 * msn_mm_renew() of a part of an object's mapping.
 */
MSN_MUST_CHECK int msn_mm_renew_translated(struct msn_mm *mm,
					   struct msn_seg vma,
					   struct msn_addr_range ar);

/*
 * Places the neighbours of the page at want.start that are in memory, and it
 * too if it is.  Returns how far into @want a fault there may place pages:
 * those behind would make faults of their own.
 */
uint64_t msn_mm_place_around(struct msn_mm *mm, struct msn_seg vma,
			     struct msn_addr_range want);

/*
 * Places the pages of @hole, in which nothing is, that are in memory.  Locks as
 * msn_mm_get_page().
 */
MSN_MUST_CHECK int msn_mm_place_resident(struct msn_mm *mm, struct msn_seg vma,
					 struct msn_addr_range hole);

/* ---- cow.c --------------------------------------------------------------- */

/*
 * Makes the placement at @seg writable at want.start, by taking it over or by
 * copying, and as far into @want as comes along.  Locks as msn_mm_get_page().
 */
MSN_MUST_CHECK int msn_mm_break_cow(struct msn_mm *mm, struct msn_seg seg,
				    struct msn_addr_range want);

/*
 * Are the first pages of *@part, a part of the placement @p at @whole, shared
 * with a fork?  *@part becomes as long as the answer is the same.
 */
bool msn_mm_is_shared_copy(struct msn_mm *mm, const struct msn_pma *p,
			   struct msn_addr_range whole,
			   struct msn_addr_range *part);

/*
 * Gives the space its own copy of such pages, for a reader that Linux would let
 * pin them.  Locks as msn_mm_get_page().
 */
MSN_MUST_CHECK int msn_mm_unshare(struct msn_mm *mm, struct msn_seg seg,
				  struct msn_addr_range part);

/*
 * Allocates new pages for @ar in the memory file, charged to the space, and
 * reserves what one placement of them needs.  The caller owns the references.
 */
MSN_MUST_CHECK int msn_mm_take_pages(struct msn_mm *mm,
				     struct msn_addr_range ar,
				     struct msn_file_range *pages);

/*
 * Puts new pages of the space's own at @ar, copies of @src of @from's file, or
 * zero if @from is NULL; what was placed there is dropped.  MSN_PAGE_E_BUS if
 * a page cannot be read.
 */
MSN_MUST_CHECK int msn_mm_place_fresh(struct msn_mm *mm,
				      struct msn_addr_range ar,
				      uint8_t vma_perms,
				      const struct msn_pma *from,
				      struct msn_file_range src);

/* ---- populate.c ---------------------------------------------------------- */

/*
 * Platform with kernel faults: puts everything in @ar, inside one mapping, in
 * place and into the page tables.  Both locks are held, active for writing.
 */
MSN_MUST_CHECK int msn_mm_place_all(struct msn_mm *mm, struct msn_seg vma,
				    struct msn_addr_range ar,
				    struct msn_commit commit);

/*
 * Platform with kernel faults: the same for what has no placement in @ar, as
 * after an invalidation, or since the object has become longer.  0 also if
 * pages are still missing, because there are none.  Same locks.
 */
MSN_MUST_CHECK int msn_mm_place_missing(struct msn_mm *mm, struct msn_seg vma,
					struct msn_addr_range ar);

/*
 * As above for the page at @addr in the mapping at @vma, if nothing is placed
 * there.  0: something is now.  MSN_PAGE_E_BUS, MSN_PAGE_E_GUARD, -errno.
 * Mapping lock held; takes active.
 */
MSN_MUST_CHECK int msn_mm_fault_missing(struct msn_mm *mm, struct msn_seg vma,
					uint64_t addr);

/*
 * Platform with kernel faults: shows at @ar what the mapping has where the
 * space has nothing of its own, zeros or the object's pages, in place of what
 * is placed there, own pages and guards.  At no time does nothing show.  0 or
 * -errno: it ends at the first run that cannot be had, and what follows is as
 * it was.  Same locks.
 */
MSN_MUST_CHECK int msn_mm_renew(struct msn_mm *mm, struct msn_seg vma,
				struct msn_addr_range ar);

/*
 * Any platform: puts the pages in place that accesses to @ar would, as
 * MAP_POPULATE does: writable private ones as if they were written.  Stops at
 * the first page that cannot be had and says why.  Same locks.
 */
MSN_MUST_CHECK int msn_mm_populate(struct msn_mm *mm, struct msn_seg vma,
				   struct msn_addr_range ar);

/*
 * MADV_POPULATE_READ or, with @write, MADV_POPULATE_WRITE of @ar, a part of the
 * mapping at @vma: -EINVAL if its rights forbid that; -EFAULT for a page that
 * is not there; -EHWPOISON, -ENOMEM.  Any platform.  Mapping lock held; takes
 * active.
 */
MSN_MUST_CHECK int msn_mm_populate_as(struct msn_mm *mm, struct msn_seg vma,
				      struct msn_addr_range ar, bool write);

/*
 * A platform with kernel faults has to have all pages of what was just mapped
 * at @ar, inside one mapping; any other needs nothing.  On failure none of them
 * is left.  Mapping lock held for writing; takes the active lock.
 */
MSN_MUST_CHECK int msn_mm_fill(struct msn_mm *mm, struct msn_addr_range ar);

/*
 * mm_populate() of Linux: msn_mm_populate() for every mapping in @ar that wants
 * it (those that are locked on fault do not).  With @ignore goes on past what
 * cannot be had; else says why as mlock(2) does.  Takes the locks it needs.
 */
MSN_MUST_CHECK int msn_mm_populate_range(struct msn_mm *mm,
					 struct msn_addr_range ar, bool ignore);

/* ---- pages.c ------------------------------------------------------------- */

/*
 * The first placement that meets @ar, or none, and in *@part what it has of
 * @ar.  A walk goes on from part->end, whatever was done to placements.
 */
struct msn_seg msn_mm_first_placed(struct msn_mm *mm, struct msn_addr_range ar,
				   struct msn_addr_range *part);

/*
 * Drops the placements in @ar, but for the space's own pages if @keep_private,
 * with their page references and page table entries.  Active held for writing;
 * never fails if two cuts were reserved.
 */
void msn_mm_drop_pages(struct msn_mm *mm, struct msn_addr_range ar,
		       bool keep_private);

/* As msn_mm_drop_pages(), but for guard pages (guard.h), which stay. */
void msn_mm_zap_pages(struct msn_mm *mm, struct msn_addr_range ar,
		      bool keep_private);

/*
 * Platform with kernel faults: puts the placement @p at @ar of the mapping @v,
 * and into the page tables, in place of what is placed there.  0 or -errno
 * (nothing has changed); the references are the caller's before, and after a
 * failure.  Active held for writing.
 */
MSN_MUST_CHECK int msn_mm_cover(struct msn_mm *mm, const struct msn_vma *v,
				struct msn_addr_range ar,
				const struct msn_pma *p);

/* ---- guard.c ------------------------------------------------------------- */

/* What placements that are guards point to; the one there is. */
struct msn_file *msn_guard_file(void);

/* ---- report.c ------------------------------------------------------------ */

void msn_mm_view_mapping(struct msn_mm *mm, struct msn_seg s,
			 struct msn_mapping_view *out);

/* What a listing shows of the mapping at @s.  Borrowed texts. */
void msn_mm_describe_line(struct msn_mm *mm, struct msn_seg s,
			  struct msn_maps_line *out);

/* ---- smaps.c ------------------------------------------------------------- */

/*
 * In how many placements the first page of @r, a part of @p, is; *@run as
 * msn_file_sharers() says.
 */
uint64_t msn_mm_sharers(struct msn_mm *mm, const struct msn_pma *p,
			struct msn_file_range r, struct msn_file_range *run);

/*
 * Sums up the placements in @ar, a part of the mapping @v.  The active lock is
 * held.
 */
void msn_mm_sum_placed(struct msn_mm *mm, struct msn_addr_range ar,
		       const struct msn_vma *v, struct msn_smaps *out);

/* ---- invalidate.c -------------------------------------------------------- */

extern const struct msn_mapping_space_ops msn_mm_space_ops;

/*
 * Carries out what was captured and stops capturing.  Active is held.  0, or
 * -EAGAIN if there were more than room was made for.
 */
MSN_MUST_CHECK int msn_mm_replay_captured(struct msn_mm *mm);

#endif /* MSN_MM_MM_INTERNAL_H */
