/*
 * Dedup table: pages that this save has stored already.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Maps a page's checksum to the place where an equal page may be.  May be: the
 * checksum is only a hint, and the caller compares the bytes.  The table has a
 * fixed size and forgets one of a full bucket; forgetting costs space, never
 * correctness.
 */
#ifndef MSN_SAVE_DEDUP_H
#define MSN_SAVE_DEDUP_H

#include "base/cleanup.h"
#include "mapping/file.h"
#include "store/store.h"

#include <stdint.h>

struct msn_dedup;

struct msn_dedup_entry {
	struct msn_file *file; /* where its bytes are still to be read */
	uint64_t offset;
	struct msn_place place; /* where they were stored */
};

MSN_MUST_CHECK int msn_dedup_new(struct msn_dedup **out);

/* NULL is allowed.  Returns NULL. */
struct msn_dedup *msn_dedup_free(struct msn_dedup *d);
MSN_DEFINE_AUTO(struct msn_dedup, msn_dedup_free)

/* An entry with this checksum, or NULL.  Valid until the next call. */
const struct msn_dedup_entry *msn_dedup_find(const struct msn_dedup *d,
					     uint64_t sum);

/* Remembers the page with this checksum. */
void msn_dedup_add(struct msn_dedup *d, uint64_t sum,
		   const struct msn_dedup_entry *e);

#endif /* MSN_SAVE_DEDUP_H */
