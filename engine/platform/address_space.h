/*
 * Address space: real page tables that a space's placements go into.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two implementations: `none` has no page tables at all, so every access goes
 * through copy in and copy out of mm; `local` is a reserved region of this
 * process, in which the kernel handles faults and copies on write by itself.
 *
 * Locks: called with mm's active lock held for writing, copies, words and
 * private_runs() with it held for reading.  Takes none of its own.
 */
#ifndef MSN_PLATFORM_ADDRESS_SPACE_H
#define MSN_PLATFORM_ADDRESS_SPACE_H

#include "base/cleanup.h"
#include "mapping/file.h"
#include "range/access.h"
#include "range/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_address_space;

enum msn_address_space_error {
	MSN_ADDRESS_SPACE_E_BUS = 1,   /* the page does not exist */
	MSN_ADDRESS_SPACE_E_FAULT = 2, /* not mapped, or not permitted */
};

/* A piece of a file that is to appear at an address. */
struct msn_as_mapping {
	struct msn_addr_range addr;
	struct msn_file *file;
	uint64_t offset;
	unsigned perms; /* enum msn_access, right away */
	bool cow;	/* writes go to a private copy that the kernel makes */
	bool commit;	/* have the host commit the pages now, if it can */
	bool must_commit; /* and fail if it cannot; only with commit */
};

/* What the host may be told about pages that are in place. */
enum msn_as_advice {
	/*
	 * Forget page table entries, and copies that the kernel made: what is
	 * seen next is what the file has.
	 */
	MSN_AS_DISCARD,
	/* Will be wanted soon, or not: no promise either way. */
	MSN_AS_WILLNEED,
	MSN_AS_COLD,
	MSN_AS_PAGEOUT,
	/*
	 * Bring in what a read or a write would.  -EFAULT: there is no such
	 * page, or it may not be accessed that way; -ENOMEM; -EHWPOISON.
	 */
	MSN_AS_POPULATE_READ,
	MSN_AS_POPULATE_WRITE,
};

/* Told of one run; a result that is not 0 ends the walk. */
typedef int (*msn_addr_run_fn)(void *ctx, struct msn_addr_range run);

struct msn_address_space_ops {
	const char *name;

	/*
	 * The kernel handles faults and copies on write without telling
	 * anybody.  mm then places whole mappings when they are made, copies
	 * through the page tables, and asks private_runs() what was copied.
	 */
	bool kernel_faults;

	/*
	 * Replaces what was at m->addr.  0 or -errno: nothing changed, or, with
	 * must_commit, it was replaced and the caller takes it out again.
	 */
	int (*map_file)(struct msn_address_space *as,
			const struct msn_as_mapping *m);

	/* Nothing is accessible at @ar afterwards; private copies are gone. */
	void (*unmap)(struct msn_address_space *as, struct msn_addr_range ar);

	/* Changes the rights of what map_file() put at @ar.  0 or -errno. */
	int (*protect)(struct msn_address_space *as, struct msn_addr_range ar,
		       unsigned perms);

	/* See enum msn_as_advice.  Optional: there is nothing to do. */
	int (*advise)(struct msn_address_space *as, struct msn_addr_range ar,
		      enum msn_as_advice advice);

	/*
	 * Moves what is at @from to @to, private copies included: nothing is
	 * accessible at @from afterwards, and what was at @to is gone.  They do
	 * not overlap.  0 or -errno (nothing changed).  Optional: there are no
	 * page tables.
	 */
	int (*move)(struct msn_address_space *as, struct msn_addr_range from,
		    uint64_t to);

	/*
	 * With kernel_faults only.  Copies through the page tables; @ignore
	 * also where the page's rights forbid it.  0 or an outcome, with
	 * *@done bytes copied either way.
	 */
	int (*copy_in)(struct msn_address_space *as, uint64_t addr, void *dst,
		       size_t len, bool ignore, size_t *done);
	int (*copy_out)(struct msn_address_space *as, uint64_t addr,
			const void *src, size_t len, bool ignore, size_t *done);
	int (*cas32)(struct msn_address_space *as, uint64_t addr,
		     uint32_t expected, uint32_t desired, uint32_t *seen);
	int (*load32)(struct msn_address_space *as, uint64_t addr,
		      uint32_t *value);

	/*
	 * With kernel_faults only.  Calls @fn for each run of pages in @ar that
	 * are private copies made by the kernel, in order.  0, -errno, or the
	 * first result of @fn that is not 0.
	 */
	int (*private_runs)(struct msn_address_space *as,
			    struct msn_addr_range ar, msn_addr_run_fn fn,
			    void *ctx);

	/* Takes everything out of the page tables and frees. */
	void (*free)(struct msn_address_space *as);
};

struct msn_address_space {
	const struct msn_address_space_ops *ops; /* set once */
	struct msn_addr_range region; /* set once: where mappings may be */
};

/* See struct msn_address_space_ops. */
MSN_MUST_CHECK int msn_address_space_map_file(struct msn_address_space *as,
					      const struct msn_as_mapping *m);
void msn_address_space_unmap(struct msn_address_space *as,
			     struct msn_addr_range ar);
MSN_MUST_CHECK int msn_address_space_protect(struct msn_address_space *as,
					     struct msn_addr_range ar,
					     unsigned perms);
MSN_MUST_CHECK int msn_address_space_advise(struct msn_address_space *as,
					    struct msn_addr_range ar,
					    enum msn_as_advice advice);
MSN_MUST_CHECK int msn_address_space_move(struct msn_address_space *as,
					  struct msn_addr_range from,
					  uint64_t to);
MSN_MUST_CHECK int msn_address_space_copy_in(struct msn_address_space *as,
					     uint64_t addr, void *dst,
					     size_t len, bool ignore,
					     size_t *done);
MSN_MUST_CHECK int msn_address_space_copy_out(struct msn_address_space *as,
					      uint64_t addr, const void *src,
					      size_t len, bool ignore,
					      size_t *done);
MSN_MUST_CHECK int msn_address_space_cas32(struct msn_address_space *as,
					   uint64_t addr, uint32_t expected,
					   uint32_t desired, uint32_t *seen);
MSN_MUST_CHECK int msn_address_space_load32(struct msn_address_space *as,
					    uint64_t addr, uint32_t *value);
MSN_MUST_CHECK int msn_address_space_private_runs(struct msn_address_space *as,
						  struct msn_addr_range ar,
						  msn_addr_run_fn fn,
						  void *ctx);

/* NULL is allowed.  Returns NULL. */
struct msn_address_space *msn_address_space_free(struct msn_address_space *as);
MSN_DEFINE_AUTO(struct msn_address_space, msn_address_space_free)

/* Platform `none`: mappings may be anywhere in the lower 47 bits. */
MSN_MUST_CHECK int msn_platform_none_new(struct msn_address_space **out);

/*
 * Platform `local`: reserves @region of this process.  -EEXIST if anything is
 * mapped there already, -EINVAL if it is not page aligned, -ENOMEM.
 */
MSN_MUST_CHECK int msn_platform_local_new(struct msn_address_space **out,
					  struct msn_addr_range region);

#endif /* MSN_PLATFORM_ADDRESS_SPACE_H */
