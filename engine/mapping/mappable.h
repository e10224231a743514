/*
 * Mappable: an object whose pages can be mapped.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A mappable turns its own offsets into (file, file offset) pairs on demand.
 * It maps nothing itself: mm asks it to translate, takes references on the
 * pages that it is given and puts them into a space.  Two coherent mappables
 * are the same object; comparing pointers decides.
 *
 * Life: a mappable has no count of its own; it is valid while a reference on an
 * identity of it is held (identity.h).
 *
 * Locks: all but translate() are called with mm's mapping lock held and take
 * MSN_RANK_MAPPINGS; translate() is called with mm's active lock held and so
 * takes MSN_RANK_MAPPABLE_DATA and must not call back into mm.  See
 * docs/locking.md.
 *
 * Implementations: shmem/shmem.c (memfds, shared memory), sysv/segment.c,
 * hostfile/mappable.c (a host file).  Each runs
 * tests/contract/test_mappable_contract.c.  Semantics: gVisor's
 * memmap.Mappable.
 */
#ifndef MSN_MAPPING_MAPPABLE_H
#define MSN_MAPPING_MAPPABLE_H

#include "base/cleanup.h"
#include "mapping/file.h"
#include "mapping/mapping_space.h"
#include "range/access.h"
#include "range/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_mappable;

enum msn_mappable_error {
	/*
	 * The page does not exist: past the object's end, or reading it
	 * failed.  For the one who touched it this is SIGBUS.
	 */
	MSN_MAPPABLE_E_BUS = 1,
	/* next_data: nothing but zero bytes until the end of the range. */
	MSN_MAPPABLE_E_NO_DATA = 2,
};

/* One run of the object's pages and where they are. */
struct msn_translation {
	struct msn_obj_range source;
	struct msn_file *file; /* borrowed: valid while the mapping stands */
	uint64_t offset;       /* in @file, of source.start */
	unsigned perms;	       /* the most that may be done: enum msn_access */
};

static inline struct msn_file_range
msn_translation_file_range(const struct msn_translation *t)
{
	return (struct msn_file_range){
		t->offset, t->offset + msn_obj_range_length(t->source)
	};
}

/*
 * What an implementation provides.  Not called directly: callers use the
 * msn_mappable_*() functions below, which check what is promised here.
 */
struct msn_mappable_ops {
	const char *name;

	/*
	 * Notes that @ms maps [@offset, @offset + length of @ar) at @ar.
	 * @writable: shared and may ever be written through this mapping
	 * (VM_SHARED of Linux); it never changes while the mapping stands.
	 * 0, or -errno, which aborts the mmap and is its result.
	 * Optional, with the next two: for an object whose pages never move,
	 * so that nobody needs to be told.
	 */
	int (*add_mapping)(struct msn_mappable *obj,
			   struct msn_mapping_space *ms,
			   struct msn_addr_range ar, uint64_t offset,
			   bool writable);

	/*
	 * Undoes add_mapping() for @ar, which may be a piece or a union of the
	 * ranges given there; @writable is the same.  Called after the
	 * placements at @ar are gone, so that no invalidation is missed.
	 */
	void (*remove_mapping)(struct msn_mappable *obj,
			       struct msn_mapping_space *ms,
			       struct msn_addr_range ar, uint64_t offset,
			       bool writable);

	/*
	 * Notes that the mapping at @src is about to be moved or duplicated to
	 * @dst (mremap only; lengths may differ, @src may be empty).  @offset
	 * is the object's offset at both starts.  0 or -errno.
	 */
	int (*copy_mapping)(struct msn_mappable *obj,
			    struct msn_mapping_space *ms,
			    struct msn_addr_range src,
			    struct msn_addr_range dst, uint64_t offset,
			    bool writable);

	/*
	 * Finds the pages behind @required, and as much of @optional as comes
	 * at no extra cost, and writes at most @max runs to @out.
	 *
	 * Before:  @required is not empty; @optional covers it; both are page
	 *          aligned; @max > 0.
	 * After:   the return value is a count of runs, or negative.  Runs are
	 *          in order and touch each other, each meets @required, none
	 *          leaves @optional, each permits @access.  If required.end was
	 *          not reached, *@why says why: -errno or MSN_MAPPABLE_E_BUS,
	 *          or 0 if only @max stood in the way.
	 * Runs stay valid until invalidate() covers them or the mapping is
	 * removed.  May block on I/O.
	 */
	int (*translate)(struct msn_mappable *obj,
			 struct msn_obj_range required,
			 struct msn_obj_range optional, unsigned access,
			 struct msn_translation *out, size_t max, int *why);

	/*
	 * Before a save: invalidates every translation to a file that cannot
	 * be saved, and writes back what only a cache has.  Idempotent.  0 or
	 * -errno, which aborts the save.  Nothing else runs meanwhile.
	 * Optional: there is nothing to do.
	 */
	int (*invalidate_unsavable)(struct msn_mappable *obj);

	/*
	 * Makes the bytes of @r zero and gives their memory back, as
	 * fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE): invalidates
	 * the mappings of @r but leaves private copies alone (as Linux does),
	 * and never changes the size; what lies past the end is passed over.
	 * 0; -EOPNOTSUPP where the object cannot; -EPERM where a seal forbids
	 * it; -errno.
	 * Locks: none of mm's is held.  Optional: -EOPNOTSUPP.
	 */
	int (*punch_hole)(struct msn_mappable *obj, struct msn_obj_range r);

	/*
	 * May the object be mapped like this?  0, with the rights that no
	 * mprotect may ever give to such a mapping taken out of *@max_perms;
	 * or -EPERM (a seal forbids it).  @shared: MAP_SHARED; @perms: what
	 * the mmap asks for.  Called before add_mapping(), without mm's locks
	 * or with them.  Optional: 0 with *@max_perms as it is.
	 */
	int (*check_mmap)(struct msn_mappable *obj, bool shared, unsigned perms,
			  unsigned *max_perms);

	/*
	 * 0 and the first sub-range of @r, page aligned, that may hold bytes
	 * other than zero; MSN_MAPPABLE_E_NO_DATA when there is none; -errno.
	 * Allocates nothing.  Locks: as translate().  Optional: all of @r.
	 */
	int (*next_data)(struct msn_mappable *obj, struct msn_obj_range r,
			 struct msn_obj_range *out);

	/*
	 * Which pages of @r are in memory, one byte a page in @vec, as
	 * mincore(2) would say of a page that is not mapped yet: 1 if so, else
	 * 0, also past the end.  Allocates nothing and brings nothing in.  0
	 * or -errno.  Locks: as translate().  Optional: translates, and asks
	 * the file; for an object whose translate() allocates nothing.
	 */
	int (*resident)(struct msn_mappable *obj, struct msn_obj_range r,
			uint8_t *vec);

	/*
	 * 0 and the first pages of @r in a row that the object has, as
	 * st_blocks counts them, also past its end; *@written: were they
	 * written or touched, or is all that fallocate() made them?
	 * MSN_MAPPABLE_E_NO_DATA when there are none; -errno.  Allocates
	 * nothing.  Locks: as translate().  Optional: -EOPNOTSUPP, for an
	 * object that does not know or is behind somebody else's back.
	 */
	int (*next_allocated)(struct msn_mappable *obj, struct msn_obj_range r,
			      struct msn_obj_range *out, bool *written);
};

struct msn_mappable {
	const struct msn_mappable_ops *ops; /* set once, by the constructor */
};

/* See struct msn_mappable_ops. */
MSN_MUST_CHECK int msn_mappable_add_mapping(struct msn_mappable *obj,
					    struct msn_mapping_space *ms,
					    struct msn_addr_range ar,
					    uint64_t offset, bool writable);
void msn_mappable_remove_mapping(struct msn_mappable *obj,
				 struct msn_mapping_space *ms,
				 struct msn_addr_range ar, uint64_t offset,
				 bool writable);
MSN_MUST_CHECK int msn_mappable_copy_mapping(struct msn_mappable *obj,
					     struct msn_mapping_space *ms,
					     struct msn_addr_range src,
					     struct msn_addr_range dst,
					     uint64_t offset, bool writable);
MSN_MUST_CHECK int
msn_mappable_translate(struct msn_mappable *obj, struct msn_obj_range required,
		       struct msn_obj_range optional, unsigned access,
		       struct msn_translation *out, size_t max, int *why);
MSN_MUST_CHECK int msn_mappable_invalidate_unsavable(struct msn_mappable *obj);
MSN_MUST_CHECK int msn_mappable_punch_hole(struct msn_mappable *obj,
					   struct msn_obj_range r);
MSN_MUST_CHECK int msn_mappable_check_mmap(struct msn_mappable *obj,
					   bool shared, unsigned perms,
					   unsigned *max_perms);
MSN_MUST_CHECK int msn_mappable_next_data(struct msn_mappable *obj,
					  struct msn_obj_range r,
					  struct msn_obj_range *out);
MSN_MUST_CHECK int msn_mappable_resident(struct msn_mappable *obj,
					 struct msn_obj_range r, uint8_t *vec);
MSN_MUST_CHECK int msn_mappable_next_allocated(struct msn_mappable *obj,
					       struct msn_obj_range r,
					       struct msn_obj_range *out,
					       bool *written);

/* What was asked of a translate() call and what it said. */
struct msn_translate_result {
	struct msn_obj_range required, optional;
	unsigned access;
	const struct msn_translation *runs;
	size_t count;
	size_t max; /* room that the caller gave; a full answer may stop early
		     */
	int why;
};

/*
 * check_translate_result of the interface: text of the first promise that is
 * broken, or NULL.  Eleven checks: (1) the first run contains required.start;
 * each run (2) is not empty, (3) is page aligned, (4) has a file, (5) at a page
 * aligned offset, (6) begins where the one before ended, (7) meets @required,
 * (8) stays inside @optional, (9) permits the access; and unless a reason was
 * given (10) there is a run and (11) the last reaches required.end.
 */
const char *
msn_check_translate_result(const struct msn_translate_result *result);

#endif /* MSN_MAPPING_MAPPABLE_H */
