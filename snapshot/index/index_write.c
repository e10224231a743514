/*
 * Changing a catalog: publish, update, remove, seal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"
#include "index/index_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What an entry takes in a leaf, with what rewriting its branch costs. */
#define BYTES_PER_ENTRY 512

static int pack_get(struct index_tx *tx, uint64_t id, struct msn_index_pack *p)
{
	uint8_t key[INDEX_PACK_KEY];
	struct index_bytes k = { key, sizeof(key) }, value;
	int rc;

	index_pack_key(id, key);
	rc = index_get(tx, INDEX_PACKS, k, &value);
	return rc ? rc : msn_pass(index_pack_decode(p, k, value));
}

static int pack_put(struct index_tx *tx, const struct msn_index_pack *p)
{
	uint8_t key[INDEX_PACK_KEY], value[INDEX_VALUE_MAX];
	struct index_bytes k = { key, sizeof(key) };

	index_pack_key(p->id, key);
	return msn_pass(index_put(tx, INDEX_PACKS, k, value,
				  index_pack_encode(p, k, value)));
}

static int pack_del(struct index_tx *tx, uint64_t id)
{
	uint8_t key[INDEX_PACK_KEY];

	index_pack_key(id, key);
	return msn_pass(index_del(tx, INDEX_PACKS,
				  (struct index_bytes){ key, sizeof(key) }));
}

/* References are sorted by snapshot, so that one snapshot's are a range. */
static void ref_key(const struct msn_uid *uid, uint64_t pack_id, uint8_t *key)
{
	memcpy(key, uid->bytes, sizeof(uid->bytes));
	index_pack_key(pack_id, key + sizeof(uid->bytes));
}

/* Its pages and state; the references to it come with the needs. */
static int publish_pack(struct index_tx *tx, const struct msn_index_pack *p)
{
	struct msn_index_pack now = { 0 };
	int rc = pack_get(tx, p->id, &now);

	if (rc == -ENOENT) {
		now = *p;
		now.refs = 0;
		return msn_pass(pack_put(tx, &now));
	}
	if (rc)
		return msn_pass(rc);
	if (now.generation != p->generation || now.pages > p->pages)
		return msn_fail(-EBADMSG);
	now.pages = p->pages;
	now.state = p->state;
	return msn_pass(pack_put(tx, &now));
}

static int publish_need(struct index_tx *tx,
			const struct msn_index_publish *what,
			const struct msn_manifest_pack *need)
{
	uint8_t key[INDEX_REF_KEY], value[INDEX_VALUE_MAX];
	struct index_bytes k = { key, sizeof(key) };
	struct msn_index_pack p;
	int rc = pack_get(tx, need->id, &p);

	if (rc == -ENOENT)
		return MSN_INDEX_E_STALE;
	if (rc)
		return msn_pass(rc);
	if (p.generation != need->generation)
		return MSN_INDEX_E_STALE;
	p.refs++;
	rc = pack_put(tx, &p);
	if (rc)
		return msn_pass(rc);
	ref_key(&what->snapshot->uid, need->id, key);
	return msn_pass(
		index_put(tx, INDEX_REFS, k, value,
			  index_ref_encode(need->generation, k, value)));
}

static int name_put(struct index_tx *tx, const struct msn_index_snapshot *s)
{
	struct index_bytes key = { s->name, strlen(s->name) }, value;
	uint8_t bytes[INDEX_VALUE_MAX];
	int rc;

	if (!key.len)
		return 0;
	rc = index_get(tx, INDEX_NAMES, key, &value);
	if (rc == 0)
		return MSN_INDEX_E_EXISTS;
	if (rc != -ENOENT)
		return msn_pass(rc);
	return msn_pass(index_put(tx, INDEX_NAMES, key, bytes,
				  index_uid_encode(s->uid, key, bytes)));
}

static int publish_next_id(struct index_tx *tx,
			   const struct msn_index_publish *what)
{
	struct index_meta meta;
	uint32_t version;
	int rc = index_meta_get(tx, &meta, &version);

	if (rc)
		return msn_pass(rc);
	for (size_t i = 0; i < what->pack_count; i++)
		if (meta.next_pack <= what->packs[i].id)
			meta.next_pack = what->packs[i].id + 1;
	return msn_pass(index_meta_put(tx, &meta));
}

static int publish_service(struct index_tx *tx,
			   const struct msn_index_publish *what)
{
	int rc = 0;

	if (what->note)
		rc = index_note_put(tx, what->snapshot->uid, 1, what->note,
				    what->note_len);
	return rc ? msn_pass(rc)
		  : msn_pass(index_beside_apply(tx, &what->beside));
}

static int publish(struct index_tx *tx, void *arg)
{
	const struct msn_index_publish *what = arg;
	const struct msn_index_snapshot *s = what->snapshot;
	struct index_bytes key = index_uid_key(&s->uid), old;
	int rc = index_get(tx, INDEX_SNAPSHOTS, key, &old);

	if (rc != -ENOENT)
		return rc ? msn_pass(rc) : msn_fail(-EEXIST);
	rc = name_put(tx, s);
	for (size_t i = 0; rc == 0 && i < what->pack_count; i++)
		rc = publish_pack(tx, &what->packs[i]);
	for (size_t i = 0; rc == 0 && i < what->need_count; i++)
		rc = publish_need(tx, what, &what->needs[i]);
	if (rc == 0)
		rc = publish_next_id(tx, what);
	if (rc == 0)
		rc = index_snapshot_put(tx, s);
	if (rc == 0)
		rc = index_time_put(tx, s);
	return rc ? msn_pass(rc) : msn_pass(publish_service(tx, what));
}

int msn_index_publish(struct msn_index *index,
		      const struct msn_index_publish *what,
		      struct msn_failure *why)
{
	struct index_write_opts opts = {
		.reserve_bytes =
			(what->need_count + what->pack_count + 8) *
				BYTES_PER_ENTRY +
			index_beside_room(what->note_len, &what->beside),
	};
	int rc = index_beside_check(index, what->note, what->note_len,
				    &what->beside, why);

	return rc ? msn_pass(rc)
		  : msn_pass(index_write(index, &opts, publish, (void *)what,
					 why));
}

/* ---- Updates ------------------------------------------------------------ */

static int name_del(struct index_tx *tx, const struct msn_index_snapshot *s)
{
	struct index_bytes key = { s->name, strlen(s->name) };
	int rc = key.len ? index_del(tx, INDEX_NAMES, key) : 0;

	return rc == -ENOENT ? msn_fail(-EBADMSG) : msn_pass(rc);
}

static int rename_to(struct index_tx *tx, struct msn_uid uid, const char *name)
{
	struct msn_index_snapshot s;
	int rc = index_snapshot_get(tx, uid, &s);

	if (rc || strcmp(s.name, name) == 0)
		return msn_pass(rc);
	rc = name_del(tx, &s);
	memset(s.name, 0, sizeof(s.name));
	strcpy(s.name, name);
	if (rc == 0)
		rc = name_put(tx, &s);
	return rc ? msn_pass(rc) : msn_pass(index_snapshot_put(tx, &s));
}

struct update {
	const struct msn_index_update *what;
	uint64_t revision;
};

static int update_note(struct index_tx *tx, struct update *u)
{
	const struct msn_index_update *what = u->what;
	struct msn_note now;
	int rc = index_note_get(tx, what->uid, &now);

	if (rc)
		return msn_pass(rc);
	u->revision = now.revision + 1;
	if (what->revision != MSN_NOTE_ANY && what->revision != now.revision)
		rc = MSN_INDEX_E_CHANGED;
	else if (what->note)
		rc = index_note_put(tx, what->uid, u->revision, what->note,
				    what->note_len);
	else
		rc = index_note_put(tx, what->uid, u->revision, now.bytes,
				    now.len);
	free(now.bytes);
	return msn_pass(rc);
}

static int update(struct index_tx *tx, void *arg)
{
	struct update *u = arg;
	const struct msn_index_update *what = u->what;
	struct msn_index_snapshot s;
	int rc = index_snapshot_get(tx, what->uid, &s);

	if (rc == 0)
		rc = update_note(tx, u);
	if (rc == 0 && what->name)
		rc = rename_to(tx, what->uid, what->name);
	return rc ? msn_pass(rc)
		  : msn_pass(index_beside_apply(tx, &what->beside));
}

int msn_index_update(struct msn_index *index,
		     const struct msn_index_update *what, uint64_t *revision,
		     struct msn_failure *why)
{
	struct update u = { .what = what };
	size_t len = what->note ? what->note_len : MSN_NOTE_BYTES_MAX;
	struct index_write_opts opts = {
		.reserve_bytes = 8 * BYTES_PER_ENTRY +
				 index_beside_room(len, &what->beside),
	};
	const char *wrong = what->name && *what->name
				    ? msn_snapshot_name_check(what->name)
				    : NULL;
	int rc = index_beside_check(index, what->note, what->note_len,
				    &what->beside, why);

	if (wrong)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "'%.80s' cannot name a snapshot: %s",
				       what->name, wrong);
	if (rc == 0)
		rc = index_write(index, &opts, update, &u, why);
	if (rc)
		return msn_pass(rc);
	if (revision)
		*revision = u.revision;
	return 0;
}

/* ---- Removal ------------------------------------------------------------ */

struct removal {
	const struct msn_index_removal *what;
	struct msn_failure *why;
	uint64_t *packs; /* that the snapshot needs */
	size_t count, cap;
	bool freed;
};

static int removal_each(void *arg, struct index_bytes key,
			struct index_bytes value)
{
	struct removal *r = arg;
	uint64_t generation;
	int rc = index_ref_decode(&generation, key, value);

	if (rc)
		return msn_pass(rc);
	if (memcmp(key.data, r->what->uid.bytes, sizeof(r->what->uid.bytes)) !=
	    0)
		return MSN_INDEX_E_ABSENT; /* the next snapshot's */
	rc = msn_grow((void **)&r->packs, &r->cap, r->count, sizeof(*r->packs));
	if (rc)
		return msn_pass(rc);
	r->packs[r->count++] =
		index_pack_key_id((const uint8_t *)key.data + INDEX_UID_KEY);
	return 0;
}

static int remove_need(struct index_tx *tx, struct removal *r, uint64_t id)
{
	uint8_t key[INDEX_REF_KEY];
	struct msn_index_pack p;
	int rc = pack_get(tx, id, &p);

	if (rc == -ENOENT || (rc == 0 && p.refs == 0))
		return msn_fail(-EBADMSG);
	if (rc)
		return msn_pass(rc);
	ref_key(&r->what->uid, id, key);
	rc = index_del(tx, INDEX_REFS,
		       (struct index_bytes){ key, sizeof(key) });
	if (rc)
		return msn_pass(rc);
	if (--p.refs > 0)
		return msn_pass(pack_put(tx, &p));
	r->freed = true;
	return msn_pass(pack_del(tx, id));
}

/* The packs that the snapshot needs. */
static int removal_packs(struct index_tx *tx, struct removal *r)
{
	uint8_t from[INDEX_REF_KEY];
	struct index_walk how = { .from = { from, sizeof(from) } };
	int rc;

	r->count = 0;
	r->freed = false;
	ref_key(&r->what->uid, 0, from);
	rc = index_walk(tx, INDEX_REFS, &how, removal_each, r);
	return rc < 0 ? msn_pass(rc) : 0;
}

static int removal_allowed(struct index_tx *tx, struct removal *r)
{
	const struct msn_index_removal *what = r->what;
	struct msn_note note;
	int rc;

	if (what->revision == MSN_NOTE_ANY && !what->check)
		return 0;
	rc = index_note_get(tx, what->uid, &note);
	if (rc)
		return msn_pass(rc);
	if (what->revision != MSN_NOTE_ANY && what->revision != note.revision)
		rc = MSN_INDEX_E_CHANGED;
	else if (what->check)
		rc = what->check(what->check_ctx, &note, r->why);
	free(note.bytes);
	return msn_pass(rc);
}

static int remove_snapshot(struct index_tx *tx, void *arg)
{
	struct removal *r = arg;
	struct msn_index_snapshot s;
	struct index_bytes key = index_uid_key(&r->what->uid);
	int rc = index_snapshot_get(tx, r->what->uid, &s);

	if (rc == 0)
		rc = removal_allowed(tx, r);
	if (rc == 0)
		rc = removal_packs(tx, r);
	if (rc == 0)
		rc = name_del(tx, &s);
	for (size_t i = 0; rc == 0 && i < r->count; i++)
		rc = remove_need(tx, r, r->packs[i]);
	if (rc == 0)
		rc = index_time_del(tx, &s);
	if (rc == 0)
		rc = index_note_del(tx, s.uid);
	if (rc == 0)
		rc = index_del(tx, INDEX_SNAPSHOTS, key);
	return rc ? msn_pass(rc)
		  : msn_pass(index_beside_apply(tx, &r->what->beside));
}

int msn_index_remove(struct msn_index *index,
		     const struct msn_index_removal *what, bool *packs_freed,
		     struct msn_failure *why)
{
	struct index_write_opts opts = {
		.reserve_bytes = index_beside_room(0, &what->beside),
		.try_anyway = true,
	};
	struct removal r = { .what = what, .why = why };
	int rc = index_beside_check(index, NULL, 0, &what->beside, why);

	if (rc == 0)
		rc = index_write(index, &opts, remove_snapshot, &r, why);
	free(r.packs);
	if (rc)
		return msn_pass(rc);
	*packs_freed = r.freed;
	return 0;
}

static int seal(struct index_tx *tx, void *arg)
{
	struct msn_index_pack p;
	int rc = pack_get(tx, *(uint64_t *)arg, &p);

	if (rc)
		return rc == -ENOENT ? 0 : msn_pass(rc);
	p.state = MSN_INDEX_PACK_SEALED;
	return msn_pass(pack_put(tx, &p));
}

int msn_index_seal(struct msn_index *index, uint64_t pack_id,
		   struct msn_failure *why)
{
	struct index_write_opts opts = { .try_anyway = true };

	return msn_pass(index_write(index, &opts, seal, &pack_id, why));
}
