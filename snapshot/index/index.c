/*
 * Opening a catalog and asking it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Answers are copied out inside the transaction: none is open while anything
 * else is done.
 */
#include "index/index.h"

#include "base/alloc.h"
#include "base/error.h"
#include "index/index_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct index_bytes index_meta_key = { "store", 5 };

int index_damaged(const struct msn_index *index, const char *what,
		  struct msn_failure *why)
{
	return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
			       "the catalog of store %s is damaged%s%s",
			       index->where, what ? ": " : "",
			       what ? what : "");
}

/* Says what went wrong with the catalog.  Outcomes pass. */
static int done(const struct msn_index *index, int rc, const char *wrong,
		struct msn_failure *why)
{
	if (rc >= 0)
		return rc;
	if (rc == -EBADMSG)
		return index_damaged(index, wrong, why);
	return msn_failure_errno(why, rc, "the catalog of store %s",
				 index->where);
}

int index_read(struct msn_index *index, index_body_fn *body, void *arg,
	       struct msn_failure *why)
{
	const char *wrong = NULL;
	int rc = index_tx_read(index->env, body, arg, &wrong);

	return done(index, rc, wrong, why);
}

struct change {
	index_body_fn *body;
	void *arg;
};

static int change(struct index_tx *tx, void *arg)
{
	struct change *c = arg;
	int rc = index_upgrade(tx);

	return rc ? msn_pass(rc) : c->body(tx, c->arg);
}

int index_write(struct msn_index *index, const struct index_write_opts *opts,
		index_body_fn *body, void *arg, struct msn_failure *why)
{
	struct change c = { body, arg };
	const char *wrong = NULL;
	int rc = index_tx_write(index->env, opts, change, &c, &wrong);

	return done(index, rc, wrong, why);
}

int index_meta_get(struct index_tx *tx, struct index_meta *meta,
		   uint32_t *version)
{
	struct index_bytes value;
	int rc = index_get(tx, INDEX_META, index_meta_key, &value);

	if (rc)
		return msn_pass(rc);
	return msn_pass(
		index_meta_decode(meta, version, index_meta_key, value));
}

int index_meta_put(struct index_tx *tx, const struct index_meta *meta)
{
	uint8_t value[INDEX_VALUE_MAX];
	size_t len = index_meta_encode(meta, index_meta_key, value);

	return msn_pass(index_put(tx, INDEX_META, index_meta_key, value, len));
}

struct meta_query {
	struct index_meta meta;
	uint32_t version;
};

static int meta_read(struct index_tx *tx, void *arg)
{
	struct meta_query *q = arg;

	return msn_pass(index_meta_get(tx, &q->meta, &q->version));
}

static int meta_create(struct index_tx *tx, void *arg)
{
	return msn_pass(index_meta_put(tx, arg));
}

static int meta_open(struct msn_index *index, const struct msn_index_opts *opts,
		     struct msn_failure *why)
{
	struct meta_query q = { .meta = { opts->store, 1 } };
	const char *wrong = NULL;
	int rc = index_tx_read(index->env, meta_read, &q, &wrong);

	if (rc == -ENOENT && opts->create)
		rc = index_tx_write(index->env, &(struct index_write_opts){ 0 },
				    meta_create, &q.meta, &wrong);
	if (rc == -EOPNOTSUPP)
		return msn_failure_set(why, rc, MSN_FAILURE_UNSUPPORTED,
				       "the catalog of store %s has format "
				       "version %u, this program reads up to "
				       "%u",
				       index->where, q.version,
				       MSN_INDEX_VERSION);
	if (rc == -EBADMSG || rc == -ENOENT)
		return index_damaged(
			index, wrong ? wrong : "its first record is not right",
			why);
	index->store = q.meta.store;
	return done(index, rc, wrong, why);
}

int msn_index_open(struct msn_index **out, const struct msn_index_opts *opts,
		   struct msn_failure *why)
{
	msn_auto(msn_index_closep) struct msn_index *index = NULL;
	const char *wrong = NULL;
	int rc;

	index = msn_alloc(sizeof(*index));
	if (!index)
		return msn_failure_errno(why, -ENOMEM, "store %s", opts->where);
	index->where = opts->where;
	rc = index_env_open(&index->env, opts, &wrong);
	if (rc == -ENOENT)
		rc = msn_fail(-EBADMSG);
	if (rc)
		return done(index, rc, wrong ? wrong : "it is not one at all",
			    why);
	rc = meta_open(index, opts, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(index);
	return 0;
}

struct msn_index *msn_index_close(struct msn_index *index)
{
	if (!index)
		return NULL;
	if (index->env)
		index_env_close(index->env);
	free(index);
	return NULL;
}

struct msn_uid msn_index_store(const struct msn_index *index)
{
	return index->store;
}

int msn_index_bytes(struct msn_index *index, uint64_t *out,
		    struct msn_failure *why)
{
	return done(index, index_env_bytes(index->env, out), NULL, why);
}

/* ---- One snapshot ------------------------------------------------------- */

struct name_query {
	const char *name;
	struct msn_uid uid;
};

static int name_read(struct index_tx *tx, void *arg)
{
	struct name_query *q = arg;
	struct index_bytes key = { q->name, strlen(q->name) }, value;
	int rc = index_get(tx, INDEX_NAMES, key, &value);

	if (rc == -ENOENT)
		return MSN_INDEX_E_ABSENT;
	if (rc)
		return msn_pass(rc);
	return msn_pass(index_uid_decode(&q->uid, key, value));
}

int msn_index_by_name(struct msn_index *index, const char *name,
		      struct msn_uid *out, struct msn_failure *why)
{
	struct name_query q = { .name = name };
	int rc;

	/* LMDB takes no empty and no very long key. */
	if (!*name || strlen(name) >= MSN_INDEX_NAME_MAX)
		return MSN_INDEX_E_ABSENT;
	rc = index_read(index, name_read, &q, why);
	if (rc)
		return msn_pass(rc);
	*out = q.uid;
	return 0;
}

struct prefix_query {
	struct msn_uid prefix, found;
	unsigned digits, count;
};

static int prefix_each(void *arg, struct index_bytes key,
		       struct index_bytes value)
{
	struct prefix_query *q = arg;
	struct msn_uid uid;

	(void)value;
	if (key.len != INDEX_UID_KEY)
		return msn_fail(-EBADMSG);
	memcpy(uid.bytes, key.data, sizeof(uid.bytes));
	if (!msn_uid_has_prefix(uid, q->prefix, q->digits))
		return MSN_INDEX_E_ABSENT; /* past the last one that does */
	q->found = uid;
	return ++q->count > 1 ? MSN_INDEX_E_AMBIGUOUS : 0;
}

static int prefix_read(struct index_tx *tx, void *arg)
{
	struct prefix_query *q = arg;
	struct index_walk how = { .from = index_uid_key(&q->prefix) };
	int rc;

	q->count = 0;
	rc = index_walk(tx, INDEX_SNAPSHOTS, &how, prefix_each, q);
	if (rc < 0 || rc == MSN_INDEX_E_AMBIGUOUS)
		return msn_pass(rc);
	return q->count == 1 ? 0 : MSN_INDEX_E_ABSENT;
}

int msn_index_by_prefix(struct msn_index *index, struct msn_uid prefix,
			unsigned digits, struct msn_uid *out,
			struct msn_failure *why)
{
	struct prefix_query q = { .prefix = prefix, .digits = digits };
	int rc = index_read(index, prefix_read, &q, why);

	if (rc)
		return msn_pass(rc);
	*out = q.found;
	return 0;
}

int index_snapshot_get(struct index_tx *tx, struct msn_uid uid,
		       struct msn_index_snapshot *out)
{
	struct index_bytes key = index_uid_key(&uid), value;
	int rc = index_get(tx, INDEX_SNAPSHOTS, key, &value);

	if (rc == -ENOENT)
		return MSN_INDEX_E_ABSENT;
	if (rc)
		return msn_pass(rc);
	return msn_pass(index_snapshot_decode(out, key, value));
}

int index_snapshot_put(struct index_tx *tx, const struct msn_index_snapshot *s)
{
	struct index_bytes key = index_uid_key(&s->uid);
	uint8_t value[INDEX_VALUE_MAX];

	return msn_pass(index_put(tx, INDEX_SNAPSHOTS, key, value,
				  index_snapshot_encode(s, key, value)));
}

struct snapshot_query {
	struct msn_uid uid;
	struct msn_index_snapshot *out;
};

static int snapshot_read(struct index_tx *tx, void *arg)
{
	struct snapshot_query *q = arg;

	return msn_pass(index_snapshot_get(tx, q->uid, q->out));
}

int msn_index_snapshot(struct msn_index *index, struct msn_uid uid,
		       struct msn_index_snapshot *out, struct msn_failure *why)
{
	struct snapshot_query q = { uid, out };

	return msn_pass(index_read(index, snapshot_read, &q, why));
}

/* ---- Lists -------------------------------------------------------------- */

static int count_read(struct index_tx *tx, void *arg)
{
	return msn_pass(index_count(tx, INDEX_SNAPSHOTS, arg));
}

int msn_index_count(struct msn_index *index, uint64_t *out,
		    struct msn_failure *why)
{
	uint64_t count;
	int rc = index_read(index, count_read, &count, why);

	if (rc)
		return msn_pass(rc);
	*out = count;
	return 0;
}

struct snapshots_query {
	struct msn_index_snapshot *list;
	size_t count, cap;
};

static int snapshots_each(void *arg, struct index_bytes key,
			  struct index_bytes value)
{
	struct snapshots_query *q = arg;
	int rc = msn_grow((void **)&q->list, &q->cap, q->count,
			  sizeof(*q->list));

	if (rc == 0)
		rc = index_snapshot_decode(&q->list[q->count], key, value);
	q->count += rc == 0;
	return msn_pass(rc);
}

static int snapshots_read(struct index_tx *tx, void *arg)
{
	struct snapshots_query *q = arg;

	q->count = 0;
	return msn_pass(
		index_walk(tx, INDEX_SNAPSHOTS, NULL, snapshots_each, q));
}

int msn_index_snapshots(struct msn_index *index,
			struct msn_index_snapshot **out, size_t *count,
			struct msn_failure *why)
{
	struct snapshots_query q = { 0 };
	int rc = index_read(index, snapshots_read, &q, why);

	if (rc) {
		free(q.list);
		return msn_pass(rc);
	}
	*out = q.list;
	*count = q.count;
	return 0;
}

struct packs_query {
	struct msn_index_pack *list;
	size_t count, cap;
	uint64_t next_id;
};

static int packs_each(void *arg, struct index_bytes key,
		      struct index_bytes value)
{
	struct packs_query *q = arg;
	int rc = msn_grow((void **)&q->list, &q->cap, q->count,
			  sizeof(*q->list));

	if (rc == 0)
		rc = index_pack_decode(&q->list[q->count], key, value);
	if (rc == 0 && q->list[q->count].refs == 0)
		rc = msn_fail(-EBADMSG);
	q->count += rc == 0;
	return msn_pass(rc);
}

static int packs_read(struct index_tx *tx, void *arg)
{
	struct packs_query *q = arg;
	struct index_meta meta;
	uint32_t version;
	int rc = index_meta_get(tx, &meta, &version);

	if (rc)
		return msn_pass(rc);
	q->next_id = meta.next_pack;
	q->count = 0;
	return msn_pass(index_walk(tx, INDEX_PACKS, NULL, packs_each, q));
}

int msn_index_packs(struct msn_index *index, struct msn_index_pack **out,
		    size_t *count, uint64_t *next_id, struct msn_failure *why)
{
	struct packs_query q = { 0 };
	int rc = index_read(index, packs_read, &q, why);

	if (rc) {
		free(q.list);
		return msn_pass(rc);
	}
	*out = q.list;
	*count = q.count;
	*next_id = q.next_id;
	return 0;
}
