/*
 * Memory file: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_MEMFILE_MEMFILE_INTERNAL_H
#define MSN_MEMFILE_MEMFILE_INTERNAL_H

#include "base/lock.h"
#include "block/window.h"
#include "memfile/memfile.h"
#include "range/segset.h"

/* References on each page of a range; 0 while it is being released. */
struct msn_page_refs {
	uint64_t refs;
	msn_account_id account; /* that its pages are charged to */
};

MSN_SEGSET_DEFINE(msn_refs_set, struct msn_file_range, struct msn_page_refs)

extern const struct msn_segset_ops msn_page_refs_ops;

struct msn_memfile {
	struct msn_file base;
	struct msn_account_table *accounts; /* set once; or NULL */
	int fd;				    /* set once */
	struct msn_windows windows;

	struct msn_mutex lock;
	struct msn_refs_set refs; /* gaps are free; under lock */
	uint64_t size_bytes;	  /* of the memfd; under lock */
	uint64_t used_bytes;	  /* with references; under lock */
};

/* Implementations of struct msn_file_ops in refs.c. */
void msn_memfile_inc_ref(struct msn_file *file, struct msn_file_range r,
			 msn_account_id account);
void msn_memfile_dec_ref(struct msn_file *file, struct msn_file_range r);

struct msn_memfile *msn_memfile_of(struct msn_file *file);

#endif /* MSN_MEMFILE_MEMFILE_INTERNAL_H */
