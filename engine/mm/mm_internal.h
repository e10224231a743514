/*
 * mm: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_MM_MM_INTERNAL_H
#define MSN_MM_MM_INTERNAL_H

#include "base/lock.h"
#include "mm/mm.h"
#include "mm/pma.h"
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

struct msn_mm {
	struct msn_mapping_space space;
	struct msn_memfile *memfile;  /* set once */
	struct msn_address_space *as; /* set once */
	struct msn_layout layout;     /* set once */
	msn_account_id account;	      /* set once */
	uint8_t origin[16];	      /* set once, by msn_mm_set_origin() */

	struct msn_rwlock mapping; /* rank MSN_RANK_MM_MAPPING */
	struct msn_vma_set vmas;   /* under mapping */

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

/* ---- place.c ------------------------------------------------------------- */

/*
 * Chooses where a mapping of @length bytes goes.  The mapping lock is held.  0,
 * -ENOMEM or -EEXIST.
 */
MSN_MUST_CHECK int msn_mm_find_place(struct msn_mm *mm,
				     const struct msn_mmap_opts *opts,
				     uint64_t length,
				     struct msn_addr_range *out);

/* ---- map.c --------------------------------------------------------------- */

/*
 * Makes sure that unmapping @ar cannot fail afterwards: nodes for the cuts and
 * room for the identities.  The mapping lock is held for writing.
 */
MSN_MUST_CHECK int msn_mm_prepare_unmap(struct msn_mm *mm,
					struct msn_addr_range ar,
					struct msn_dropped *d);

/*
 * Removes mappings and placements in @ar.  Prepared; mapping lock held for
 * writing; takes the active lock.
 */
void msn_mm_unmap_prepared(struct msn_mm *mm, struct msn_addr_range ar,
			   struct msn_dropped *d);

/* What is asked of the host about pages that are put in place. */
struct msn_commit {
	bool wanted, required;
};

/* ---- fault.c ------------------------------------------------------------- */

enum msn_page_error {
	MSN_PAGE_E_BUS = 1,  /* there is no such page */
	MSN_PAGE_E_ZERO = 2, /* nowhere yet: reads as zero */
};

/* Where the page at an address is, and how far that goes. */
struct msn_page_place {
	struct msn_file *file;
	uint64_t offset; /* of the address itself */
	uint64_t length; /* bytes from there on */
};

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
 * As above, but only if nothing has to change: active held for reading is
 * enough.  False: msn_mm_get_page() is needed.
 */
bool msn_mm_peek_page(struct msn_mm *mm, struct msn_seg vma,
		      struct msn_addr_range want, unsigned access,
		      struct msn_page_place *place);

/*
 * Platform with kernel faults: puts everything in @ar, inside one mapping, in
 * place and into the page tables.  Both locks are held, active for writing.
 */
MSN_MUST_CHECK int msn_mm_place_all(struct msn_mm *mm, struct msn_seg vma,
				    struct msn_addr_range ar,
				    struct msn_commit commit);

/*
 * Any other platform: puts the pages in place that accesses to @ar would, as
 * MAP_POPULATE does: writable private ones as if they were written.  Stops at
 * the first page that cannot be had and says why.  Same locks.
 */
MSN_MUST_CHECK int msn_mm_populate(struct msn_mm *mm, struct msn_seg vma,
				   struct msn_addr_range ar);

/* ---- pages.c ------------------------------------------------------------- */

/*
 * Drops the placements in @ar for which @only_shared does not forbid it, with
 * their page references and page table entries.  Active held for writing;
 * never fails if two cuts were reserved.
 */
void msn_mm_drop_pages(struct msn_mm *mm, struct msn_addr_range ar,
		       bool keep_private);

/* ---- invalidate.c -------------------------------------------------------- */

extern const struct msn_mapping_space_ops msn_mm_space_ops;

/*
 * Carries out what was captured and stops capturing.  Active is held.  0, or
 * -EAGAIN if there were more than room was made for.
 */
MSN_MUST_CHECK int msn_mm_replay_captured(struct msn_mm *mm);

#endif /* MSN_MM_MM_INTERNAL_H */
