/*
 * Pages of an object: which offsets have a page, and where in the memory file.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A segment set from object offsets to memory file offsets; neighbours in both
 * are one run.  Each page that has a place holds one reference.  A page is
 *
 *    hole       no place: reads as zero
 *    unwritten  allocated by fallocate(): takes part in st_blocks, but to
 *               mincore() and SEEK_DATA it is still a hole (Linux: a folio
 *               that is not up to date)
 *    placed     has a place for a space whose faults the host's kernel
 *               handles: it counts once the host has memory there
 *    present    was written, or touched through a mapping
 *
 *    hole      -> unwritten            [reserve]
 *    hole      -> placed               [fill without an access]
 *    anything  -> present              [fill; reserve, all but holes]
 *    anything  -> hole                 [take]
 *
 * Locks: none.  The object serializes with its data lock; calls that take a
 * pointer to const may run at the same time.
 */
#ifndef MSN_SHMEM_SHMEM_PAGES_H
#define MSN_SHMEM_SHMEM_PAGES_H

#include "account/account.h"
#include "base/cleanup.h"
#include "mapping/file.h"
#include "mapping/mappable.h"
#include "memfile/memfile.h"
#include "range/range.h"
#include "range/segset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum msn_shmem_state {
	MSN_SHMEM_PRESENT,
	MSN_SHMEM_PLACED,
	MSN_SHMEM_UNWRITTEN,
	MSN_SHMEM_ADDED, /* unwritten, by a reserve that is under way */
};

struct msn_shmem_run {
	uint64_t offset; /* in the memory file */
	enum msn_shmem_state state;
};

MSN_SEGSET_DEFINE(msn_shmem_set, struct msn_obj_range, struct msn_shmem_run)

struct msn_shmem_pages {
	struct msn_shmem_set set;
	struct msn_memfile *memfile; /* borrowed, set once */
	msn_account_id account;	     /* set once */
	uint64_t allocated_bytes;    /* in every state but placed */
};

void msn_shmem_pages_init(struct msn_shmem_pages *p, struct msn_memfile *mf,
			  msn_account_id account);

/* Drops every page. */
void msn_shmem_pages_deinit(struct msn_shmem_pages *p);

/* Are all pages of @r there already, as fill would leave them? */
bool msn_shmem_pages_filled(const struct msn_shmem_pages *p,
			    struct msn_obj_range r, bool touched);

/*
 * Gives every page of @r a place.  @touched: makes them present; else holes
 * become placed and the others stay.  0, or -ENOMEM with a part done.
 */
MSN_MUST_CHECK int msn_shmem_pages_fill(struct msn_shmem_pages *p,
					struct msn_obj_range r, bool touched);

/*
 * As fallocate() does: holes of @r become unwritten, what was there becomes
 * present.  0, or -ENOMEM with the holes as they were.
 */
MSN_MUST_CHECK int msn_shmem_pages_reserve(struct msn_shmem_pages *p,
					   struct msn_obj_range r);

/* Memory file ranges that were taken out of an object. */
struct msn_shmem_taken {
	struct msn_file_range *ranges;
	size_t count;
};

/*
 * Making holes of @r, in two steps.  The first may fail, -ENOMEM, and changes
 * no page; the second cannot, as long as no page came or went meanwhile.  The
 * references move to @taken, to be dropped once nobody can follow an old
 * translation any more.  Zeroed, @taken may be dropped after either step, or
 * before.
 */
MSN_MUST_CHECK int msn_shmem_pages_prepare_take(struct msn_shmem_pages *p,
						struct msn_obj_range r,
						struct msn_shmem_taken *taken);
void msn_shmem_pages_take(struct msn_shmem_pages *p, struct msn_obj_range r,
			  struct msn_shmem_taken *taken);
void msn_shmem_taken_drop(struct msn_shmem_pages *p,
			  struct msn_shmem_taken *taken);

/*
 * Makes the bytes of @r zero, which need not be page aligned, where there are
 * pages.  0 or -ENOMEM.
 */
MSN_MUST_CHECK int msn_shmem_pages_zero(struct msn_shmem_pages *p,
					struct msn_obj_range r);

/*
 * Translates [r.start, ...) to at most @max runs that meet @r; the first and
 * the last reach out of it, inside @optional, as far as the run does and, with
 * @touched, is present.  Before: @r is filled.  Returns their count.
 */
int msn_shmem_pages_translate(const struct msn_shmem_pages *p,
			      struct msn_obj_range r,
			      struct msn_obj_range optional, bool touched,
			      struct msn_translation *out, size_t max);

/* The pages that a search looks for. */
enum msn_shmem_find {
	MSN_SHMEM_FIND_RESIDENT, /* that mincore() and SEEK_DATA see */
	MSN_SHMEM_FIND_NONZERO,	 /* that may hold other bytes than zero */
};

/*
 * 0 and the first such pages of @r in a row, or of a part of the row;
 * MSN_MAPPABLE_E_NO_DATA when there are none; -errno.
 */
MSN_MUST_CHECK int msn_shmem_pages_next(const struct msn_shmem_pages *p,
					struct msn_obj_range r,
					enum msn_shmem_find what,
					struct msn_obj_range *out);

/* msn_mappable_ops.next_allocated(). */
MSN_MUST_CHECK int
msn_shmem_pages_next_allocated(const struct msn_shmem_pages *p,
			       struct msn_obj_range r,
			       struct msn_obj_range *out, bool *written);

/* Bytes of pages that are allocated, as in st_blocks.  0 or -errno. */
MSN_MUST_CHECK int msn_shmem_pages_allocated(const struct msn_shmem_pages *p,
					     uint64_t *bytes);

/*
 * Copies @len bytes at @offset out; holes read as zero.  0 or -errno.  Pages
 * that were never written take no memory by it.
 */
MSN_MUST_CHECK int msn_shmem_pages_read(const struct msn_shmem_pages *p,
					uint64_t offset, void *buf, size_t len);

/* Copies @len bytes in.  Before: their pages are present.  0 or -errno. */
MSN_MUST_CHECK int msn_shmem_pages_write(struct msn_shmem_pages *p,
					 uint64_t offset, const void *buf,
					 size_t len);

/* Text of the first broken invariant, or NULL. */
const char *msn_shmem_pages_check(const struct msn_shmem_pages *p);

#endif /* MSN_SHMEM_SHMEM_PAGES_H */
