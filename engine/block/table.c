/*
 * Table: an array of pointers that only grows, read without a lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "block/table.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t part_entries(unsigned part)
{
	return (uint64_t)MSN_TABLE_FIRST << (part ? part - 1 : 0);
}

void msn_table_deinit(struct msn_table *t)
{
	for (unsigned i = 0; i < MSN_TABLE_PARTS; i++)
		free(t->part[i]);
}

int msn_table_reserve(struct msn_table *t, uint64_t nr)
{
	uint64_t at;
	unsigned part = msn_table_part_of(nr, &at);
	void **entries;

	if (part >= MSN_TABLE_PARTS)
		return msn_fail(-EOVERFLOW);
	if (t->part[part])
		return 0;
	entries = msn_alloc_array(part_entries(part), sizeof(*entries));
	if (!entries)
		return msn_fail(-ENOMEM);
	__atomic_store_n(&t->part[part], entries, __ATOMIC_RELEASE);
	return 0;
}

void msn_table_put(struct msn_table *t, uint64_t nr, void *entry)
{
	uint64_t at;
	unsigned part = msn_table_part_of(nr, &at);

	msn_assert(part < MSN_TABLE_PARTS && t->part[part]);
	__atomic_store_n(&t->part[part][at], entry, __ATOMIC_RELEASE);
}

void *msn_table_next(const struct msn_table *t, uint64_t *nr)
{
	uint64_t at;

	for (;;) {
		unsigned part = msn_table_part_of(*nr, &at);
		void *entry;

		if (part >= MSN_TABLE_PARTS)
			return NULL;
		if (!__atomic_load_n(&t->part[part], __ATOMIC_ACQUIRE)) {
			*nr += part_entries(part) - at;
			continue;
		}
		entry = msn_table_get(t, *nr);
		if (entry)
			return entry;
		++*nr;
	}
}
