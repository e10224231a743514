/*
 * Values that may be longer than half a page.  See index_long.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index/index_long.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/limits.h"
#include "format/wire.h"

#include <errno.h>
#include <string.h>

#define HEAD_LEN 4
#define SUM_LEN 8
#define LEN_MAX (MSN_RECORD_BYTES_MAX + 64)

/* A key of tails: the table's letter, the key, the number of the part. */
#define TAIL_KEY_EXTRA 3

struct tail_key {
	uint8_t bytes[INDEX_KEY_MAX];
	struct index_bytes key;
};

static uint8_t letter_of(enum index_table table)
{
	switch (table) {
	case INDEX_NOTES:
		return 'n';
	case INDEX_REQUESTS:
		return 'r';
	case INDEX_OPERATIONS:
		return 'o';
	default:
		msn_assert(table == INDEX_EVENTS);
		return 'e';
	}
}

static void tail_key_make(struct tail_key *t, enum index_table table,
			  struct index_bytes key, unsigned part)
{
	msn_assert(key.len + TAIL_KEY_EXTRA <= sizeof(t->bytes));
	t->bytes[0] = letter_of(table);
	memcpy(t->bytes + 1, key.data, key.len);
	t->bytes[key.len + 1] = (uint8_t)(part >> 8);
	t->bytes[key.len + 2] = (uint8_t)part;
	t->key = (struct index_bytes){ t->bytes, key.len + TAIL_KEY_EXTRA };
}

/* Parts behind the first. */
static unsigned tail_count(size_t len)
{
	return len ? (unsigned)((len - 1) / INDEX_PART_BYTES) : 0;
}

static size_t part_len(size_t len, unsigned part)
{
	size_t at = (size_t)part * INDEX_PART_BYTES;

	return len - at < INDEX_PART_BYTES ? len - at : INDEX_PART_BYTES;
}

size_t index_long_room(size_t len)
{
	/* A part takes half a page or more; pages above it are written anew. */
	return ((size_t)tail_count(len) + 3) * 4096;
}

/* How many tails the value has that is there now. */
static int tails_now(struct index_tx *tx, enum index_table table,
		     struct index_bytes key, unsigned *count)
{
	struct index_bytes head;
	size_t len = 0;
	int rc = index_get(tx, table, key, &head);

	if (rc == 0)
		rc = index_long_len(key, head, &len);
	*count = tail_count(len);
	return rc;
}

static int tails_del(struct index_tx *tx, enum index_table table,
		     struct index_bytes key, unsigned first, unsigned count)
{
	struct tail_key t;
	int rc = 0;

	for (unsigned i = first; rc == 0 && i <= count; i++) {
		tail_key_make(&t, table, key, i);
		rc = index_del(tx, INDEX_TAILS, t.key);
	}
	return rc == -ENOENT ? msn_fail(-EBADMSG) : rc;
}

static int tail_put(struct index_tx *tx, enum index_table table,
		    struct index_bytes key, unsigned part, const uint8_t *bytes,
		    size_t len)
{
	uint8_t value[INDEX_VALUE_MAX];
	struct tail_key t;

	tail_key_make(&t, table, key, part);
	memcpy(value, bytes, len);
	return index_put(tx, INDEX_TAILS, t.key, value,
			 index_seal(t.key, value, len));
}

int index_long_put(struct index_tx *tx, enum index_table table,
		   struct index_bytes key, const void *bytes, size_t len)
{
	unsigned old, count = tail_count(len);
	uint8_t head[INDEX_VALUE_MAX];
	size_t n = part_len(len, 0);
	int rc = tails_now(tx, table, key, &old);

	if (rc && rc != -ENOENT)
		return msn_pass(rc);
	msn_put32(head, (uint32_t)len);
	if (n)
		memcpy(head + HEAD_LEN, bytes, n);
	rc = index_put(tx, table, key, head,
		       index_seal(key, head, HEAD_LEN + n));
	for (unsigned i = 1; rc == 0 && i <= count; i++)
		rc = tail_put(tx, table, key, i,
			      (const uint8_t *)bytes +
				      (size_t)i * INDEX_PART_BYTES,
			      part_len(len, i));
	return rc ? msn_pass(rc)
		  : msn_pass(tails_del(tx, table, key, count + 1, old));
}

int index_long_del(struct index_tx *tx, enum index_table table,
		   struct index_bytes key)
{
	unsigned count;
	int rc = tails_now(tx, table, key, &count);

	if (rc == 0)
		rc = tails_del(tx, table, key, 1, count);
	return rc ? rc : msn_pass(index_del(tx, table, key));
}

int index_long_len(struct index_bytes key, struct index_bytes head, size_t *len)
{
	if (head.len < HEAD_LEN + SUM_LEN || !index_sealed(key, head))
		return msn_fail(-EBADMSG);
	*len = msn_get32(head.data);
	if (*len > LEN_MAX ||
	    part_len(*len, 0) != head.len - HEAD_LEN - SUM_LEN)
		return msn_fail(-EBADMSG);
	return 0;
}

int index_long_copy(struct index_tx *tx, enum index_table table,
		    struct index_bytes key, struct index_bytes head,
		    uint8_t *out)
{
	size_t len = 0, n;
	int rc = index_long_len(key, head, &len);

	if (rc)
		return msn_pass(rc);
	n = part_len(len, 0);
	memcpy(out, (const uint8_t *)head.data + HEAD_LEN, n);
	for (unsigned i = 1; i <= tail_count(len); i++) {
		struct index_bytes tail;
		struct tail_key t;

		tail_key_make(&t, table, key, i);
		rc = index_get(tx, INDEX_TAILS, t.key, &tail);
		if (rc && rc != -ENOENT)
			return msn_pass(rc);
		n = part_len(len, i);
		if (rc || tail.len != n + SUM_LEN || !index_sealed(t.key, tail))
			return msn_fail(-EBADMSG);
		memcpy(out + (size_t)i * INDEX_PART_BYTES, tail.data, n);
	}
	return 0;
}
