/*
 * mm: a space exactly as it was.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a listing does not show and later calls go by: flags, where anonymous
 * memory was first mapped, which mappings' pages have a common history, which
 * pages were in place without bytes of their own.  A save asks for it and a
 * restore gives it back, so that no call can tell that there was one.
 */
#ifndef MSN_MM_EXACT_H
#define MSN_MM_EXACT_H

#include "base/cleanup.h"
#include "mm/anon.h"
#include "mm/mm.h"
#include "mm/policy.h"

#include <stddef.h>
#include <stdint.h>

/* Of one mapping.  Borrowed pointers. */
struct msn_exact_mapping {
	uint32_t flags;	 /* enum msn_vma_flag */
	uint64_t offset; /* also of anonymous memory (vm_pgoff) */
	struct msn_anon_chain *anon;
	struct msn_policy *policy;
};

/* Of the whole space. */
struct msn_exact_space {
	struct msn_addr_range heap;
	uint32_t future_locks; /* mlockall(MCL_FUTURE): flags of new mappings */
	uint64_t stuck_locked; /* bytes that count as locked in no mapping */
	uint64_t peak;	       /* the most that was ever mapped; 0: not known */
	struct msn_policy *policy; /* set_mempolicy(); NULL; borrowed */
};

/* Calls @fn for each mapping, as msn_mm_for_each_mapping(). */
typedef int (*msn_exact_fn)(void *ctx, const struct msn_mapping_view *v,
			    const struct msn_exact_mapping *x);
MSN_MUST_CHECK int msn_mm_for_each_exact(struct msn_mm *mm, msn_exact_fn fn,
					 void *ctx);

void msn_mm_exact_space(struct msn_mm *mm, struct msn_exact_space *out);
void msn_mm_set_exact_space(struct msn_mm *mm, const struct msn_exact_space *x);

/* How a page is in place.  Snapshots hold these numbers: they never change. */
enum msn_presence {
	MSN_PRESENT_OWN = 1, /* a page of the space's own */
	MSN_PRESENT_ZERO,    /* anonymous memory that was only read */
	MSN_PRESENT_OBJECT,  /* the page of the object that is mapped */
	MSN_PRESENT_GUARD,   /* a guard page (MADV_GUARD_INSTALL) */
	MSN_PRESENT_LAZY,    /* as OWN, but given up (MADV_FREE) */
	/* Of an object, not a space: allocated and never written. */
	MSN_PRESENT_RESERVED,
};

/*
 * Calls @fn for each run of pages that are in place, in order; same rules.
 * Under a platform with kernel faults only the kernel knows, but for guards:
 * called for these alone.
 */
typedef int (*msn_presence_fn)(void *ctx, struct msn_addr_range r,
			       enum msn_presence how);
MSN_MUST_CHECK int msn_mm_for_each_present(struct msn_mm *mm,
					   msn_presence_fn fn, void *ctx);

/* Does only the kernel know what is in place? */
bool msn_mm_has_page_tables(const struct msn_mm *mm);

/* A run of pages to be put in place. */
struct msn_exact_run {
	struct msn_addr_range addr;
	enum msn_presence how;
	struct msn_file *file; /* OWN, LAZY: copied on write */
	uint64_t offset;
};

/*
 * Maps what was mapped before: @opts is fixed and says what and where, @x the
 * rest.  Merges with nobody and is held to no limit.  @list ascends and lies
 * inside the mapping.  Pages of a host file that are not in memory now are left
 * out; those of an object that only the space knows are made anew.  A platform
 * with kernel faults gets everything else too: @list has no ZERO and no OBJECT.
 * On failure nothing new is mapped.  -ENOMEM also if something is there already
 * or the platform has no such address.
 */
MSN_MUST_CHECK int msn_mm_mmap_exact(struct msn_mm *mm,
				     const struct msn_mmap_opts *opts,
				     const struct msn_exact_mapping *x,
				     const struct msn_exact_run *list,
				     size_t count);

#endif /* MSN_MM_EXACT_H */
