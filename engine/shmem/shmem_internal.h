/*
 * Shared memory object: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The size and the seals change only with both locks held, so either of them
 * is enough to read them; a truncation holds maps_lock from the first to the
 * last step, so nobody grows the object while its pages are taken away.
 */
#ifndef MSN_SHMEM_SHMEM_INTERNAL_H
#define MSN_SHMEM_SHMEM_INTERNAL_H

#include "base/lock.h"
#include "mapping/mapping_set.h"
#include "shmem/shmem.h"
#include "shmem/shmem_pages.h"

#include <stdatomic.h>

struct msn_shmem {
	struct msn_mappable mappable;
	struct msn_identity identity;
	atomic_uint refs;
	uint64_t inode; /* set once */
	char *name;	/* set once */

	struct msn_mutex maps_lock;	/* rank MSN_RANK_MAPPINGS */
	struct msn_mapping_set *mapped; /* under maps_lock */
	uint64_t writable_bytes; /* mapped shared, to be written; maps_lock */

	struct msn_rwlock data_lock;  /* rank MSN_RANK_MAPPABLE_DATA */
	struct msn_shmem_pages pages; /* under data_lock */
	unsigned mode;		      /* permission bits; under data_lock */
	uint64_t size;		      /* bytes; under both, see above */
	unsigned seals;		      /* F_SEAL_*; under both, see above */
};

/* The end of the last page of @size bytes, which are at most INT64_MAX. */
static inline uint64_t msn_shmem_page_end(uint64_t size)
{
	return msn_page_down(size + MSN_PAGE_MASK);
}

/* Seals under which no byte may be changed by a call. */
#define MSN_SHMEM_SEALS_WRITE (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

/* fallocate() with a hole, for an offset and a length that are in order. */
MSN_MUST_CHECK int msn_shmem_punch(struct msn_shmem *s, struct msn_obj_range r);

#endif /* MSN_SHMEM_SHMEM_INTERNAL_H */
