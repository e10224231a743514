/*
 * Shared anonymous memory, for the tests of mm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_MM_SHARED_OBJECT_H
#define MSN_TESTS_MM_SHARED_OBJECT_H

#include "shmem/shmem.h"
#include "unit/mm/fixture.h"

/* Makes @o map a new object of its length; the caller drops the identity. */
static inline void set_shared(struct fixture *f, struct msn_mmap_opts *o)
{
	struct msn_shmem *s;

	CHECK(msn_shmem_new(
		      &s, &(struct msn_shmem_opts){ .memfile = f->mf,
						    .size = o->length }) == 0);
	msn_shmem_set_mapped(s, o);
}

#endif /* MSN_TESTS_MM_SHARED_OBJECT_H */
