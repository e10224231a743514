/*
 * Does everything in a catalog fit together?
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One pass over each table.  Where one follows from another, each entry has its
 * counterpart and both have as many.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "index/index_check.h"
#include "index/index_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct verify {
	struct index_tx *tx;
	enum index_table table;	      /* that is being walked */
	struct msn_index_pack *packs; /* in order; refs are counted down */
	size_t pack_count, pack_cap;
	uint64_t named, tails;
	bool times; /* that table is in use: see index_times_usable() */
	const char *wrong;
};

static int bad(struct verify *v, const char *wrong)
{
	if (!v->wrong)
		v->wrong = wrong;
	return msn_fail(-EBADMSG);
}

static int counterpart(struct verify *v, int rc, const char *wrong)
{
	return rc == -ENOENT || rc == MSN_INDEX_E_ABSENT ? bad(v, wrong)
							 : msn_pass(rc);
}

static int name_of(struct verify *v, const struct msn_index_snapshot *s)
{
	struct index_bytes key = { s->name, strlen(s->name) }, value;
	static const char wrong[] = "names and snapshots do not fit together";
	struct msn_uid uid;
	int rc;

	if (!key.len)
		return 0;
	v->named++;
	rc = index_get(v->tx, INDEX_NAMES, key, &value);
	if (rc)
		return counterpart(v, rc, wrong);
	rc = index_uid_decode(&uid, key, value);
	if (rc == 0 && !msn_uid_equal(uid, s->uid))
		rc = bad(v, wrong);
	return msn_pass(rc);
}

static int snapshot_each(void *arg, struct index_bytes key,
			 struct index_bytes value)
{
	struct verify *v = arg;
	struct msn_index_snapshot s;
	uint8_t time[INDEX_TIME_KEY];
	struct index_bytes time_key = { time, sizeof(time) }, there;
	int rc = index_snapshot_decode(&s, key, value);

	if (rc == 0)
		rc = name_of(v, &s);
	if (rc || !v->times)
		return msn_pass(rc);
	index_time_key(s.created_ns, s.uid, time);
	rc = index_get(v->tx, INDEX_TIMES, time_key, &there);
	return counterpart(v, rc, "times and snapshots do not fit together");
}

static int pack_each(void *arg, struct index_bytes key,
		     struct index_bytes value)
{
	struct verify *v = arg;
	int rc = msn_grow((void **)&v->packs, &v->pack_cap, v->pack_count,
			  sizeof(*v->packs));

	if (rc == 0)
		rc = index_pack_decode(&v->packs[v->pack_count], key, value);
	v->pack_count += rc == 0;
	return msn_pass(rc);
}

static int by_id(const void *key, const void *elem)
{
	uint64_t id = *(const uint64_t *)key;
	const struct msn_index_pack *p = elem;

	return id < p->id ? -1 : id > p->id;
}

static int ref_each(void *arg, struct index_bytes key, struct index_bytes value)
{
	static const char wrong[] = "packs and snapshots do not fit together";
	struct index_bytes uid = { key.data, INDEX_UID_KEY }, there;
	struct verify *v = arg;
	struct msn_index_pack *p;
	uint64_t generation, id;
	int rc = index_ref_decode(&generation, key, value);

	if (rc)
		return msn_pass(rc);
	id = index_pack_key_id((const uint8_t *)key.data + INDEX_UID_KEY);
	p = v->pack_count ? bsearch(&id, v->packs, v->pack_count,
				    sizeof(*v->packs), by_id)
			  : NULL;
	if (!p || p->generation != generation || p->refs == 0)
		return bad(v, wrong);
	p->refs--;
	rc = index_get(v->tx, INDEX_SNAPSHOTS, uid, &there);
	return counterpart(v, rc, wrong);
}

static int long_each(void *arg, struct index_bytes key, struct index_bytes head)
{
	struct verify *v = arg;
	struct index_bytes there;
	size_t len = 0;
	uint8_t *copy;
	int rc = index_long_len(key, head, &len);

	if (rc == 0 && v->table == INDEX_NOTES) {
		rc = index_get(v->tx, INDEX_SNAPSHOTS, key, &there);
		rc = counterpart(v, rc, "a note is of no snapshot");
	}
	if (rc)
		return msn_pass(rc);
	copy = msn_alloc(len);
	if (!copy)
		return msn_fail(-ENOMEM);
	rc = index_long_copy(v->tx, v->table, key, head, copy);
	v->tails += len ? (len - 1) / INDEX_PART_BYTES : 0;
	free(copy);
	return msn_pass(rc);
}

static int count_is(struct verify *v, enum index_table table, uint64_t want,
		    const char *wrong)
{
	uint64_t count;
	int rc = index_count(v->tx, table, &count);

	return rc == 0 && count != want ? bad(v, wrong) : msn_pass(rc);
}

/* What catalogs of version 1 have. */
static int verify_snapshots(struct verify *v)
{
	int rc = index_times_usable(v->tx, &v->times);

	if (rc == 0)
		rc = index_walk(v->tx, INDEX_SNAPSHOTS, NULL, snapshot_each, v);
	if (rc == 0)
		rc = count_is(v, INDEX_NAMES, v->named,
			      "names and snapshots do not fit together");
	if (rc == 0)
		rc = index_walk(v->tx, INDEX_PACKS, NULL, pack_each, v);
	if (rc == 0)
		rc = index_walk(v->tx, INDEX_REFS, NULL, ref_each, v);
	for (size_t i = 0; rc == 0 && i < v->pack_count; i++)
		if (v->packs[i].refs)
			rc = bad(v, "packs and snapshots do not fit together");
	return msn_pass(rc);
}

static int verify_long(struct verify *v)
{
	static const enum index_table tables[] = { INDEX_NOTES, INDEX_REQUESTS,
						   INDEX_OPERATIONS,
						   INDEX_EVENTS };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < MSN_ARRAY_LEN(tables); i++) {
		v->table = tables[i];
		rc = index_walk(v->tx, v->table, NULL, long_each, v);
	}
	return rc ? msn_pass(rc)
		  : msn_pass(count_is(v, INDEX_TAILS, v->tails,
				      "parts of a record are left over"));
}

static int verify_body(struct index_tx *tx, void *arg)
{
	struct verify v = { .tx = tx };
	const char **wrong = arg;
	int rc = index_check_file(&tx->look.pages, INDEX_CHECK_ALL, wrong);

	if (rc == 0)
		rc = verify_snapshots(&v);
	if (rc == 0)
		rc = verify_long(&v);
	free(v.packs);
	if (!*wrong)
		*wrong = v.wrong;
	return msn_pass(rc);
}

int msn_index_check(struct msn_index *index, struct msn_failure *why)
{
	struct msn_failure mine = { 0 };
	const char *wrong = NULL;
	int rc = index_read(index, verify_body, &wrong, &mine);

	if (rc == -EBADMSG && wrong)
		return index_damaged(index, wrong, why);
	return rc ? msn_failure_set(why, rc, mine.kind, "%s", mine.text) : 0;
}
