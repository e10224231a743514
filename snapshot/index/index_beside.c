/*
 * Records of a service: changed, read, walked and trimmed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index/beside.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"
#include "index/index_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A transaction that deletes so many ends in some ms. */
#define TRIM_BATCH 1000

#define NUMBER_LEN INDEX_PACK_KEY

enum index_table index_record_table(enum msn_record_kind kind)
{
	switch (kind) {
	case MSN_RECORD_REQUEST:
		return INDEX_REQUESTS;
	case MSN_RECORD_OPERATION:
		return INDEX_OPERATIONS;
	case MSN_RECORD_EVENT:
	case MSN_RECORD_KINDS:
		break;
	}
	return INDEX_EVENTS;
}

/* ---- Changes ------------------------------------------------------------ */

static int too_long(const struct msn_index *index, const char *what, size_t len,
		    size_t max, struct msn_failure *why)
{
	return msn_failure_set(why, -E2BIG, MSN_FAILURE_INVALID,
			       "%s of %zu bytes for store %s is longer than "
			       "%zu",
			       what, len, index->where, max);
}

static int change_check(const struct msn_index *index,
			const struct msn_record_change *c,
			struct msn_failure *why)
{
	if (c->op != MSN_RECORD_APPEND && c->key_len == 0)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "a record for store %s has no key",
				       index->where);
	if (c->op != MSN_RECORD_APPEND && c->key_len > MSN_RECORD_KEY_MAX)
		return too_long(index, "the key of a record", c->key_len,
				MSN_RECORD_KEY_MAX, why);
	if (c->op != MSN_RECORD_DELETE && c->value_len > MSN_RECORD_BYTES_MAX)
		return too_long(index, "a record", c->value_len,
				MSN_RECORD_BYTES_MAX, why);
	return 0;
}

int index_beside_check(const struct msn_index *index, const void *note,
		       size_t note_len, const struct msn_beside *b,
		       struct msn_failure *why)
{
	int rc = 0;

	if (note && note_len > MSN_NOTE_BYTES_MAX)
		return too_long(index, "the note of a snapshot", note_len,
				MSN_NOTE_BYTES_MAX, why);
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		rc = change_check(index, &b->changes[i], why);
	return rc;
}

size_t index_beside_room(size_t note_len, const struct msn_beside *b)
{
	size_t room = index_long_room(note_len);

	for (size_t i = 0; i < b->count; i++)
		room += index_long_room(b->changes[i].value_len);
	return room;
}

struct last_key {
	uint8_t key[NUMBER_LEN];
	bool there;
};

static int last_each(void *arg, struct index_bytes key,
		     struct index_bytes value)
{
	struct last_key *last = arg;

	if (key.len != NUMBER_LEN || !index_sealed(key, value))
		return msn_fail(-EBADMSG);
	memcpy(last->key, key.data, key.len);
	last->there = true;
	return 1;
}

static int append(struct index_tx *tx, enum index_table table,
		  const struct msn_record_change *c)
{
	struct index_walk how = { .backward = true };
	struct last_key last = { .there = false };
	struct index_bytes key = { last.key, sizeof(last.key) };
	uint64_t number;
	int rc = index_walk(tx, table, &how, last_each, &last);

	if (rc < 0)
		return msn_pass(rc);
	number = last.there ? index_pack_key_id(last.key) + 1 : 1;
	index_pack_key(number, last.key);
	rc = index_long_put(tx, table, key, c->value, c->value_len);
	if (rc == 0 && c->number)
		*c->number = number;
	return msn_pass(rc);
}

static int apply(struct index_tx *tx, const struct msn_record_change *c)
{
	enum index_table table = index_record_table(c->kind);
	struct index_bytes key = { c->key, c->key_len }, there;
	int rc;

	switch (c->op) {
	case MSN_RECORD_APPEND:
		return msn_pass(append(tx, table, c));
	case MSN_RECORD_DELETE:
		rc = index_long_del(tx, table, key);
		return rc == -ENOENT ? 0 : msn_pass(rc);
	case MSN_RECORD_ADD:
		rc = index_get(tx, table, key, &there);
		if (rc == 0)
			return MSN_INDEX_E_TAKEN;
		if (rc != -ENOENT)
			return msn_pass(rc);
		break;
	case MSN_RECORD_PUT:
		break;
	}
	return msn_pass(index_long_put(tx, table, key, c->value, c->value_len));
}

int index_beside_apply(struct index_tx *tx, const struct msn_beside *b)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->count; i++)
		rc = apply(tx, &b->changes[i]);
	return msn_pass(rc);
}

static int change_body(struct index_tx *tx, void *arg)
{
	return msn_pass(index_beside_apply(tx, arg));
}

/* Deleting alone works on a full disk too. */
static bool only_deletes(const struct msn_beside *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->changes[i].op != MSN_RECORD_DELETE)
			return false;
	return true;
}

int msn_index_change(struct msn_index *index, const struct msn_beside *what,
		     struct msn_failure *why)
{
	struct index_write_opts opts = {
		.reserve_bytes = index_beside_room(0, what),
		.try_anyway = only_deletes(what),
	};
	int rc = index_beside_check(index, NULL, 0, what, why);

	return rc ? msn_pass(rc)
		  : msn_pass(index_write(index, &opts, change_body,
					 (void *)what, why));
}

/* ---- Reading ------------------------------------------------------------ */

struct record_query {
	enum index_table table;
	struct index_bytes key;
	uint8_t *bytes;
	size_t len;
};

static int record_read(struct index_tx *tx, void *arg)
{
	struct record_query *q = arg;
	struct index_bytes head;
	int rc = index_get(tx, q->table, q->key, &head);

	if (rc == -ENOENT)
		return MSN_INDEX_E_ABSENT;
	if (rc == 0)
		rc = index_long_len(q->key, head, &q->len);
	if (rc)
		return msn_pass(rc);
	free(q->bytes);
	q->bytes = msn_alloc(q->len + 1);
	if (!q->bytes)
		return msn_fail(-ENOMEM);
	return msn_pass(index_long_copy(tx, q->table, q->key, head, q->bytes));
}

int msn_index_record(struct msn_index *index, enum msn_record_kind kind,
		     const void *key, size_t key_len, uint8_t **out,
		     size_t *len, struct msn_failure *why)
{
	struct record_query q = { .table = index_record_table(kind),
				  .key = { key, key_len } };
	int rc;

	if (key_len == 0 || key_len > MSN_RECORD_KEY_MAX)
		return MSN_INDEX_E_ABSENT;
	rc = index_read(index, record_read, &q, why);
	if (rc) {
		free(q.bytes);
		return msn_pass(rc);
	}
	q.bytes[q.len] = '\0';
	*out = q.bytes;
	*len = q.len;
	return 0;
}

struct walk_query {
	struct index_tx *tx;
	const struct msn_record_walk *walk;
	enum index_table table;
	struct msn_records out;
	size_t cap, bytes;
};

static int record_add(struct walk_query *q, struct index_bytes key,
		      struct index_bytes head)
{
	size_t len = 0;
	uint8_t *bytes;
	int rc = index_long_len(key, head, &len);

	if (rc == 0)
		rc = msn_grow((void **)&q->out.list, &q->cap, q->out.count,
			      sizeof(*q->out.list));
	if (rc)
		return msn_pass(rc);
	bytes = msn_alloc(key.len + len + 1);
	if (!bytes)
		return msn_fail(-ENOMEM);
	memcpy(bytes, key.data, key.len);
	q->out.list[q->out.count++] =
		(struct msn_record){ bytes, bytes + key.len, key.len, len };
	q->bytes += len;
	return msn_pass(
		index_long_copy(q->tx, q->table, key, head, bytes + key.len));
}

static int records_each(void *arg, struct index_bytes key,
			struct index_bytes head)
{
	struct walk_query *q = arg;

	if (key.len > MSN_RECORD_KEY_MAX)
		return msn_fail(-EBADMSG);
	if (q->out.count == q->walk->limit ||
	    (q->walk->bytes_max && q->out.count &&
	     q->bytes >= q->walk->bytes_max)) {
		q->out.more = true;
		return 1;
	}
	return msn_pass(record_add(q, key, head));
}

static int records_read(struct index_tx *tx, void *arg)
{
	struct walk_query *q = arg;
	struct index_walk how = { .from = { q->walk->from, q->walk->from_len },
				  .after = q->walk->after,
				  .backward = q->walk->backward };
	int rc;

	msn_records_deinit(&q->out);
	q->cap = q->bytes = 0;
	q->tx = tx;
	rc = index_walk(tx, q->table, &how, records_each, q);
	return rc < 0 ? msn_pass(rc) : 0;
}

int msn_index_records(struct msn_index *index,
		      const struct msn_record_walk *walk,
		      struct msn_records *out, struct msn_failure *why)
{
	struct walk_query q = { .walk = walk,
				.table = index_record_table(walk->kind) };
	int rc = index_read(index, records_read, &q, why);

	if (rc) {
		msn_records_deinit(&q.out);
		return msn_pass(rc);
	}
	*out = q.out;
	return 0;
}

void msn_records_deinit(struct msn_records *r)
{
	for (size_t i = 0; i < r->count; i++)
		free((void *)r->list[i].key);
	free(r->list);
	*r = (struct msn_records){ 0 };
}

struct count_query {
	enum index_table table;
	uint64_t count;
};

static int count_read(struct index_tx *tx, void *arg)
{
	struct count_query *q = arg;

	return msn_pass(index_count(tx, q->table, &q->count));
}

int msn_index_record_count(struct msn_index *index, enum msn_record_kind kind,
			   uint64_t *out, struct msn_failure *why)
{
	struct count_query q = { .table = index_record_table(kind) };
	int rc = index_read(index, count_read, &q, why);

	if (rc)
		return msn_pass(rc);
	*out = q.count;
	return 0;
}

/* ---- Trimming ----------------------------------------------------------- */

struct trim {
	enum index_table table;
	struct index_bytes before;
	uint8_t keys[TRIM_BATCH + 1][MSN_RECORD_KEY_MAX];
	size_t lens[TRIM_BATCH + 1];
	size_t count;
};

static int trim_each(void *arg, struct index_bytes key,
		     struct index_bytes value)
{
	struct trim *t = arg;
	size_t len = key.len < t->before.len ? key.len : t->before.len;
	int order = memcmp(key.data, t->before.data, len);

	(void)value;
	if (key.len > MSN_RECORD_KEY_MAX)
		return msn_fail(-EBADMSG);
	if (t->count > TRIM_BATCH)
		return 1;
	memcpy(t->keys[t->count], key.data, key.len);
	t->lens[t->count++] = key.len;
	/* The first one that stays: those before it are not the last. */
	return order > 0 || (order == 0 && key.len >= t->before.len);
}

static int trim_body(struct index_tx *tx, void *arg)
{
	struct trim *t = arg;
	int rc;

	t->count = 0;
	rc = index_walk(tx, t->table, NULL, trim_each, t);
	if (rc < 0)
		return msn_pass(rc);
	rc = 0;
	for (size_t i = 0; rc == 0 && i + 1 < t->count; i++)
		rc = index_long_del(
			tx, t->table,
			(struct index_bytes){ t->keys[i], t->lens[i] });
	return msn_pass(rc);
}

int msn_index_record_trim(struct msn_index *index, enum msn_record_kind kind,
			  const void *before, size_t before_len,
			  struct msn_failure *why)
{
	struct index_write_opts opts = { .try_anyway = true };
	struct trim *t = msn_alloc(sizeof(*t));
	int rc;

	if (!t)
		return msn_failure_errno(why, -ENOMEM, "store %s",
					 index->where);
	t->table = index_record_table(kind);
	t->before = (struct index_bytes){ before, before_len };
	do {
		rc = index_write(index, &opts, trim_body, t, why);
	} while (rc == 0 && t->count > TRIM_BATCH);
	free(t);
	return msn_pass(rc);
}
