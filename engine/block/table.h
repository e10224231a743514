/*
 * Table: an array of pointers that only grows, read without a lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Entries stand in parts, each as large as all before it together, which are
 * made when the first entry in them is needed and stay until the end.  So no
 * entry ever moves, and a reader needs no more than two loads.
 *
 * Locks: the caller serializes who changes the table.  Readers need nothing: an
 * entry that was there when it was asked for is seen whole (release, acquire).
 */
#ifndef MSN_BLOCK_TABLE_H
#define MSN_BLOCK_TABLE_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/* Entries of the first part, a power of two. */
#define MSN_TABLE_FIRST 8

/* Parts: enough for a window of 1 GiB at every offset that a file can have. */
#define MSN_TABLE_PARTS 32

/* Zero bytes are an empty table. */
struct msn_table {
	void **part[MSN_TABLE_PARTS]; /* stored with release */
};

/* Frees the parts; the entries are the caller's. */
void msn_table_deinit(struct msn_table *t);

/*
 * Makes sure that storing entry @nr cannot fail.  0, -ENOMEM, or -EOVERFLOW
 * past the last entry that a table can have.
 */
MSN_MUST_CHECK int msn_table_reserve(struct msn_table *t, uint64_t nr);

/* Before: entry @nr was reserved. */
void msn_table_put(struct msn_table *t, uint64_t nr, void *entry);

/* The first entry at or after *@nr that is not NULL, and its number; or NULL.
 */
void *msn_table_next(const struct msn_table *t, uint64_t *nr);

/* Where entry @nr is: the part, and its place there. */
static inline unsigned msn_table_part_of(uint64_t nr, uint64_t *at)
{
	uint64_t n = nr / MSN_TABLE_FIRST;
	unsigned part = n ? 64 - (unsigned)__builtin_clzll(n) : 0;

	*at = part ? nr - ((uint64_t)MSN_TABLE_FIRST << (part - 1)) : nr;
	return part;
}

/* Entry @nr, or NULL when there is none. */
static inline void *msn_table_get(const struct msn_table *t, uint64_t nr)
{
	uint64_t at;
	unsigned part = msn_table_part_of(nr, &at);
	void **entries;

	if (part >= MSN_TABLE_PARTS)
		return NULL;
	entries = __atomic_load_n(&t->part[part], __ATOMIC_ACQUIRE);
	return entries ? __atomic_load_n(&entries[at], __ATOMIC_ACQUIRE) : NULL;
}

#endif /* MSN_BLOCK_TABLE_H */
