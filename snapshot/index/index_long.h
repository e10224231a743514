/*
 * Values that may be longer than half a page.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first part stands in the table itself, with the whole length before it;
 * what is left is cut into parts in the table of tails, under the letter of the
 * table, the key and the number of the part.  So a table has an entry for each
 * value, and LMDB never needs free pages side by side.
 *
 * For the tables of notes and records.  Private to this component.
 */
#ifndef MSN_INDEX_INDEX_LONG_H
#define MSN_INDEX_INDEX_LONG_H

#include "index/index_tx.h"

/*
 * Two entries with a key of MSN_RECORD_KEY_MAX fit into a page of 4096 bytes,
 * and LMDB takes an entry of up to 2038.
 */
#define INDEX_PART_BYTES 1920

/* Makes or replaces a value. */
int index_long_put(struct index_tx *tx, enum index_table table,
		   struct index_bytes key, const void *bytes, size_t len);

/* -ENOENT if it is not there. */
int index_long_del(struct index_tx *tx, enum index_table table,
		   struct index_bytes key);

/* The whole length that entry @head of a table tells.  -EBADMSG. */
int index_long_len(struct index_bytes key, struct index_bytes head,
		   size_t *len);

/*
 * Copies the value whose entry in the table is @head to @out, which has room
 * for index_long_len() bytes.
 */
int index_long_copy(struct index_tx *tx, enum index_table table,
		    struct index_bytes key, struct index_bytes head,
		    uint8_t *out);

/* Bytes that a transaction writes, at most, for a value of @len bytes. */
size_t index_long_room(size_t len);

#endif /* MSN_INDEX_INDEX_LONG_H */
