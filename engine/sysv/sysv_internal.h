/*
 * System V shared memory: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * References on a segment: one of the namespace while its id works, one of each
 * attachment (an identity, made by a shmat()).  The namespace lets go when the
 * segment was removed, nothing maps it and no shmat() is under way.
 */
#ifndef MSN_SYSV_SYSV_INTERNAL_H
#define MSN_SYSV_SYSV_INTERNAL_H

#include "base/lock.h"
#include "shmem/shmem.h"
#include "sysv/sysv.h"

#include <stdatomic.h>

struct msn_sysv_segment {
	struct msn_mappable mappable;
	atomic_uint refs;
	struct msn_sysv *ns;	/* set once */
	struct msn_shmem *data; /* set once; one reference */
	uint64_t size_bytes;	/* set once; as shmget() was asked */
	int id;			/* set once, before others can find it */
	unsigned seq;		/* set once, likewise */
	int32_t cpid;		/* set once */
	uint32_t cuid, cgid;	/* set once */
	char name[32];		/* set once; as maps shows it */

	/* Under the namespace's lock: */
	int32_t key; /* IPC_PRIVATE once it was removed */
	uint32_t uid, gid;
	unsigned mode;	 /* with SHM_DEST and SHM_LOCKED */
	uint32_t locker; /* who locked it, if SHM_LOCKED */
	int64_t atime, dtime, ctime;
	int32_t lpid;
	uint64_t mapped_bytes; /* by all spaces together */
	unsigned under_way;    /* shmat() calls */
};

struct msn_sysv {
	struct msn_memfile *memfile; /* set once */
	struct msn_sysv_host *host;  /* set once */
	msn_account_id account;	     /* set once */
	uint64_t shmmax, shmall;     /* set once */
	uint32_t shmmni;	     /* set once */

	struct msn_mutex lock; /* rank MSN_RANK_LEAF */

	/* Under lock: */
	struct msn_sysv_segment **slots; /* index -> segment, or NULL */
	size_t slot_count, slot_cap;
	uint32_t used;	/* segments */
	uint64_t pages; /* of all of them */
	uint32_t next;	/* index that is tried first */
	int64_t last;	/* index that was given last, or -1 */
	unsigned seq;	/* of ids that are given now */
};

static inline uint64_t msn_sysv_pages(const struct msn_sysv_segment *seg)
{
	return (seg->size_bytes + MSN_PAGE_MASK) >> MSN_PAGE_SHIFT;
}

/* Makes a segment with one reference, that no id leads to yet. */
MSN_MUST_CHECK int msn_sysv_segment_new(struct msn_sysv_segment **out,
					struct msn_sysv *ns, int32_t key,
					uint64_t size);

/* Drops a reference.  Before: no lock of this component is held. */
void msn_sysv_segment_unref(struct msn_sysv_segment *seg);

/* Makes an attachment: a new identity with one reference. */
MSN_MUST_CHECK int msn_sysv_attachment_new(struct msn_identity **out,
					   struct msn_sysv_segment *seg);

/*
 * Takes @seg out of the namespace if it was removed and nobody uses it any
 * more.  Before: the lock is held.  After: true if the caller now has the
 * namespace's reference, to be dropped without the lock.
 */
bool msn_sysv_reap(struct msn_sysv_segment *seg);

#endif /* MSN_SYSV_SYSV_INTERNAL_H */
