/*
 * MMapOpts: what an mmap asks for.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every field of the memmap interface under its standard name.  A zeroed struct
 * with a length is a valid request for unreadable private anonymous memory at
 * an address of mm's choice.
 */
#ifndef MSN_MAPPING_MMAP_OPTS_H
#define MSN_MAPPING_MMAP_OPTS_H

#include "mapping/identity.h"
#include "mapping/mappable.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * How a mapping is locked in memory.  Ordered: where two modes meet, the
 * greater one is used.
 */
enum msn_mlock_mode {
	MSN_MLOCK_NONE = 0,
	MSN_MLOCK_EAGER, /* mlock(): pages are made present at once */
	MSN_MLOCK_LAZY,	 /* MLOCK_ONFAULT: pages stay once they are present */
};

/* What mmap does to the platform's page tables before it returns. */
enum msn_mmap_platform_effect {
	MSN_PLATFORM_EFFECT_DEFAULT = 0, /* nothing is asked for */
	MSN_PLATFORM_EFFECT_POPULATE,	 /* map the pages that are there */
	MSN_PLATFORM_EFFECT_COMMIT,	 /* and have the host commit them */
};

/* May PR_SET_VMA_ANON_NAME change the name of a mapping? */
enum msn_name_mut {
	MSN_NAME_MUT_DISALLOWED = 0,
	MSN_NAME_MUT_ANON,	 /* shown as [anon:NAME] */
	MSN_NAME_MUT_ANON_SHMEM, /* shown as [anon_shmem:NAME] */
};

struct msn_mmap_opts {
	uint64_t length; /* bytes, > 0; rounded up to pages */

	/*
	 * What is mapped: both NULL for anonymous memory; an identity alone for
	 * anonymous memory that shows a name (private /dev/zero).  mm takes its
	 * own reference on the identity.
	 */
	struct msn_identity *mapping_identity;
	struct msn_mappable *mappable;
	/* Into @mappable, page aligned; without, it only helps to find a place.
	 */
	uint64_t offset;

	uint64_t addr;	    /* hint, or the place itself when @fixed */
	bool fixed;	    /* only @addr will do */
	bool unmap;	    /* with @fixed: what is there is unmapped first */
	bool no_replace;    /* with @fixed, not @unmap: -EEXIST if taken */
	bool map_32bit;	    /* in [1 GiB, 2 GiB), unless @fixed */
	unsigned perms;	    /* enum msn_access: what may be done now */
	unsigned max_perms; /* what mprotect may ever grant; covers @perms */
	bool private;	    /* copy on write into the space's own memory */
	bool grows_down;    /* a stack: keeps a guard gap; not with @mappable */
	bool stack;	    /* MAP_STACK: no large-page treatment */
	bool no_reserve;    /* MAP_NORESERVE: not counted against the commit */
	bool sync;	    /* MAP_SYNC: shown, and without effect on memory */
	bool droppable;	    /* MAP_DROPPABLE: may be lost; not kept by a fork */
	/*
	 * Shared, of a file that was not opened for writing: Linux does not
	 * call such a mapping VM_SHARED.  @max_perms has no WRITE then.
	 */
	bool file_read_only;

	enum msn_mmap_platform_effect platform_effect;
	bool require_platform_effect; /* fail when it cannot be had */
	enum msn_mlock_mode mlock_mode;

	const char *name; /* shown in maps instead of the identity's; copied */
	enum msn_name_mut name_mut;

	bool force; /* with @fixed and @unmap: also outside the layout */

	/*
	 * A promise that nobody else changes the object's bytes.  Nothing here
	 * relies on it: a save asks every object.
	 */
	bool sentry_owned_content;
};

#endif /* MSN_MAPPING_MMAP_OPTS_H */
