/*
 * Looking at pages on the way that LMDB is about to take.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Opening a catalog reads none of its tables.  Instead each call of LMDB is
 * preceded by a look at the pages that it will follow, as the last commit left
 * them: pages that the transaction itself wrote are LMDB's own and in its
 * memory.  A transaction looks at a page once.
 *
 *    way        the pages from the root to the key's leaf: enough to read what
 *               is there
 *    sides      their neighbours too, whose bounds touch the key's: enough to
 *               believe that a key is not there, and to step to the next
 *    change     the pages within reach of a rebalancing: LMDB reads siblings,
 *               and the first leaf below a branch that it moves.  Each change
 *               of a transaction may have merged away one page, so the reach
 *               grows by one; past INDEX_LOOK_CHANGES the whole table is
 *               looked at
 *
 * Private to this component.
 */
#ifndef MSN_INDEX_INDEX_LOOK_H
#define MSN_INDEX_INDEX_LOOK_H

#include "index/index_page.h"

#include <stdbool.h>
#include <stdint.h>

/* Writing one record of the longest takes fewer in each table. */
#define INDEX_LOOK_CHANGES 40

enum index_table {
	INDEX_META,
	INDEX_SNAPSHOTS,
	INDEX_NAMES,
	INDEX_PACKS,
	INDEX_REFS,
	INDEX_TABLES_V1, /* the ones above are in every catalog */
	INDEX_TIMES = INDEX_TABLES_V1,
	INDEX_NOTES,
	INDEX_REQUESTS,
	INDEX_OPERATIONS,
	INDEX_EVENTS,
	INDEX_TAILS,
	INDEX_TABLES,
};

/* Names of the tables in the file. */
extern const char *const index_table_names[INDEX_TABLES];

/* What one transaction looks at. */
struct index_look {
	struct index_pages pages;
	struct index_tree tables[INDEX_TABLES];
	bool present[INDEX_TABLES]; /* is the table in the file? */
	unsigned changes[INDEX_TABLES];
	bool whole[INDEX_TABLES]; /* every page of it has been looked at */
	uint16_t *seen;	   /* for each page what it passed as, or 0; or NULL */
	const char *wrong; /* what is broken, after -EBADMSG */
};

/*
 * Looks at the file, @bytes of which are mapped at @map, as of transaction
 * @txnid, which is held open, and finds its tables.  -EAGAIN if the transaction
 * is not the last or the last but one any more.
 */
int index_look_begin(struct index_look *look, const uint8_t *map, size_t bytes,
		     uint64_t txnid);
void index_look_end(struct index_look *look);

/* NULL data: the first key of the table.  0, -EBADMSG, -ENOMEM. */
int index_look_way(struct index_look *look, enum index_table table,
		   struct index_bytes key);
int index_look_sides(struct index_look *look, enum index_table table,
		     struct index_bytes key);
int index_look_change(struct index_look *look, enum index_table table,
		      struct index_bytes key);

/* The last key of the table, for walks that begin there. */
int index_look_last(struct index_look *look, enum index_table table);

#endif /* MSN_INDEX_INDEX_LOOK_H */
