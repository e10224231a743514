/*
 * Snapshots by their age: the table, and what older catalogs do without it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table follows from that of snapshots.  Where it does not list as many it
 * is not believed: readers sort what they read, and the next writer makes it
 * anew.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "index/index_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- The table ---------------------------------------------------------- */

struct time_key {
	uint8_t bytes[INDEX_TIME_KEY];
};

static struct index_bytes bytes_of(const struct time_key *k)
{
	return (struct index_bytes){ k->bytes, sizeof(k->bytes) };
}

static struct time_key key_of(int64_t created_ns, struct msn_uid uid)
{
	struct time_key k;

	index_time_key(created_ns, uid, k.bytes);
	return k;
}

/* The key says it all: the value is its digest. */
static int put(struct index_tx *tx, struct index_bytes key)
{
	uint8_t value[INDEX_VALUE_MAX];

	return msn_pass(index_put(tx, INDEX_TIMES, key, value,
				  index_seal(key, value, 0)));
}

int index_time_put(struct index_tx *tx, const struct msn_index_snapshot *s)
{
	struct time_key k = key_of(s->created_ns, s->uid);

	return msn_pass(put(tx, bytes_of(&k)));
}

int index_time_del(struct index_tx *tx, const struct msn_index_snapshot *s)
{
	struct time_key k = key_of(s->created_ns, s->uid);
	int rc = index_del(tx, INDEX_TIMES, bytes_of(&k));

	return rc == -ENOENT ? msn_fail(-EBADMSG) : msn_pass(rc);
}

int index_times_usable(struct index_tx *tx, bool *usable)
{
	uint64_t snapshots, times;
	int rc = index_count(tx, INDEX_SNAPSHOTS, &snapshots);

	if (rc == 0)
		rc = index_count(tx, INDEX_TIMES, &times);
	if (rc == 0)
		*usable = snapshots == times;
	return msn_pass(rc);
}

/* ---- Making it anew ----------------------------------------------------- */

/* Keys of one length that are to go. */
struct doomed {
	struct index_tx *tx;
	uint8_t *keys;
	size_t count, cap, key_len;
};

static int add_each(void *arg, struct index_bytes key, struct index_bytes value)
{
	struct index_tx *tx = arg;
	struct msn_index_snapshot s;
	struct index_bytes there;
	struct time_key k;
	int rc = index_snapshot_decode(&s, key, value);

	if (rc)
		return msn_pass(rc);
	k = key_of(s.created_ns, s.uid);
	rc = index_get(tx, INDEX_TIMES, bytes_of(&k), &there);
	return rc == -ENOENT ? msn_pass(put(tx, bytes_of(&k))) : msn_pass(rc);
}

static int doom(struct doomed *d, struct index_bytes key)
{
	int rc = msn_grow((void **)&d->keys, &d->cap, d->count, d->key_len);

	if (rc == 0)
		memcpy(d->keys + d->count++ * d->key_len, key.data, d->key_len);
	return msn_pass(rc);
}

static int time_each(void *arg, struct index_bytes key,
		     struct index_bytes value)
{
	struct doomed *d = arg;
	struct msn_index_snapshot s;
	struct msn_uid uid;
	struct time_key k;
	int rc = index_time_key_uid(key, &uid);

	(void)value;
	if (rc == 0)
		rc = index_snapshot_get(d->tx, uid, &s);
	if (rc < 0)
		return msn_pass(rc);
	k = key_of(s.created_ns, uid);
	if (rc == 0 && memcmp(k.bytes, key.data, sizeof(k.bytes)) == 0)
		return 0;
	return msn_pass(doom(d, key));
}

static int note_each(void *arg, struct index_bytes key,
		     struct index_bytes value)
{
	struct doomed *d = arg;
	struct index_bytes there;
	int rc;

	(void)value;
	if (key.len != d->key_len)
		return msn_fail(-EBADMSG);
	rc = index_get(d->tx, INDEX_SNAPSHOTS, key, &there);
	return rc == -ENOENT ? msn_pass(doom(d, key)) : msn_pass(rc);
}

/* What the table has and no snapshot. */
static int times_clear(struct index_tx *tx)
{
	struct doomed d = { .tx = tx, .key_len = INDEX_TIME_KEY };
	int rc = index_walk(tx, INDEX_TIMES, NULL, time_each, &d);

	for (size_t i = 0; rc == 0 && i < d.count; i++)
		rc = index_del(tx, INDEX_TIMES,
			       (struct index_bytes){ d.keys + i * d.key_len,
						     d.key_len });
	free(d.keys);
	return msn_pass(rc);
}

static int notes_clear(struct index_tx *tx)
{
	struct doomed d = { .tx = tx, .key_len = INDEX_UID_KEY };
	int rc = index_walk(tx, INDEX_NOTES, NULL, note_each, &d);

	for (size_t i = 0; rc == 0 && i < d.count; i++)
		rc = index_long_del(
			tx, INDEX_NOTES,
			(struct index_bytes){ d.keys + i * d.key_len,
					      d.key_len });
	free(d.keys);
	return msn_pass(rc);
}

static int version_raise(struct index_tx *tx)
{
	struct index_meta meta;
	uint32_t version;
	int rc = index_meta_get(tx, &meta, &version);

	if (rc || version == MSN_INDEX_VERSION)
		return msn_pass(rc);
	return msn_pass(index_meta_put(tx, &meta));
}

int index_upgrade(struct index_tx *tx)
{
	bool usable = false;
	int rc = index_tables_make(tx);

	if (rc == 0)
		rc = version_raise(tx);
	if (rc == 0)
		rc = index_times_usable(tx, &usable);
	if (rc || usable)
		return msn_pass(rc);
	rc = index_walk(tx, INDEX_SNAPSHOTS, NULL, add_each, tx);
	if (rc == 0)
		rc = times_clear(tx);
	return rc ? msn_pass(rc) : msn_pass(notes_clear(tx));
}

/* ---- Pages of a listing -------------------------------------------------- */

struct page_query {
	const struct msn_index_page_opts *opts;
	struct msn_index_page *page;
	struct time_key *keys; /* one more than the page has, to know of it */
	size_t count, cap;
	struct time_key after;
};

static int key_add(struct page_query *q, const struct time_key *k)
{
	int rc = msn_grow((void **)&q->keys, &q->cap, q->count,
			  sizeof(*q->keys));

	if (rc == 0)
		q->keys[q->count++] = *k;
	return msn_pass(rc);
}

static int key_each(void *arg, struct index_bytes key, struct index_bytes value)
{
	struct page_query *q = arg;
	struct time_key k;
	int rc;

	(void)value;
	if (key.len != sizeof(k.bytes))
		return msn_fail(-EBADMSG);
	memcpy(k.bytes, key.data, sizeof(k.bytes));
	rc = key_add(q, &k);
	return rc ? msn_pass(rc) : q->count > q->opts->limit;
}

static int sort_each(void *arg, struct index_bytes key,
		     struct index_bytes value)
{
	struct page_query *q = arg;
	struct msn_index_snapshot s;
	struct time_key k;
	int rc = index_snapshot_decode(&s, key, value);

	if (rc)
		return msn_pass(rc);
	k = key_of(s.created_ns, s.uid);
	if (q->opts->after && memcmp(k.bytes, q->after.bytes, sizeof(k)) <= 0)
		return 0;
	return msn_pass(key_add(q, &k));
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct time_key));
}

/* Without the table: all that come after, sorted. */
static int keys_sort(struct index_tx *tx, struct page_query *q)
{
	int rc = index_walk(tx, INDEX_SNAPSHOTS, NULL, sort_each, q);

	if (rc == 0 && q->count)
		qsort(q->keys, q->count, sizeof(*q->keys), by_bytes);
	return msn_pass(rc);
}

static int keys_find(struct index_tx *tx, struct page_query *q)
{
	struct index_walk how = { .after = true };
	bool usable = false;
	int rc = index_times_usable(tx, &usable);

	q->count = 0;
	if (q->opts->after) {
		q->after =
			key_of(q->opts->after->created_ns, q->opts->after->uid);
		how.from = bytes_of(&q->after);
	}
	if (rc == 0)
		rc = usable ? index_walk(tx, INDEX_TIMES, &how, key_each, q)
			    : keys_sort(tx, q);
	return rc < 0 ? msn_pass(rc) : 0;
}

static int entry_get(struct index_tx *tx, struct page_query *q,
		     const struct time_key *k)
{
	struct msn_index_entry *e = &q->page->list[q->page->count];
	struct msn_uid uid;
	int rc = index_time_key_uid(bytes_of(k), &uid);

	if (rc == 0)
		rc = index_snapshot_get(tx, uid, &e->snapshot);
	if (rc == MSN_INDEX_E_ABSENT)
		return msn_fail(-EBADMSG);
	if (rc == 0 && q->opts->notes)
		rc = index_note_get(tx, uid, &e->note);
	q->page->count += rc == 0;
	return msn_pass(rc);
}

static int page_read(struct index_tx *tx, void *arg)
{
	struct page_query *q = arg;
	size_t limit = q->opts->limit, n;
	int rc;

	msn_index_page_deinit(q->page);
	rc = keys_find(tx, q);
	if (rc)
		return msn_pass(rc);
	n = q->count < limit ? q->count : limit;
	q->page->more = q->count > limit;
	q->page->list = msn_alloc_array(n, sizeof(*q->page->list));
	if (n && !q->page->list)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = entry_get(tx, q, &q->keys[i]);
	return msn_pass(rc);
}

int msn_index_page(struct msn_index *index,
		   const struct msn_index_page_opts *opts,
		   struct msn_index_page *out, struct msn_failure *why)
{
	struct msn_index_page page = { 0 };
	struct page_query q = { .opts = opts, .page = &page };
	int rc = index_read(index, page_read, &q, why);

	free(q.keys);
	if (rc) {
		msn_index_page_deinit(&page);
		return msn_pass(rc);
	}
	*out = page;
	return 0;
}

void msn_index_page_deinit(struct msn_index_page *page)
{
	for (size_t i = 0; i < page->count; i++)
		free(page->list[i].note.bytes);
	free(page->list);
	*page = (struct msn_index_page){ 0 };
}
