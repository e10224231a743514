/*
 * The values of the catalog's tables as bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index/index_record.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/limits.h"
#include "digest/digest.h"
#include "format/layout.h"
#include "format/wire.h"

#include <errno.h>
#include <string.h>

#define SUM_LEN 8

#define META_LEN (4 + 16 + 8)
#define SNAPSHOT_FIXED (16 + 8 + 8 + 6 * 8 + 8 + 8 + 64 + 64 + 4)
#define RUN_LEN (8 + 8 + 4 + 4)
#define PACK_LEN (8 + 4 + 4 + 4)

/* Walks over a value, either way. */
struct writer {
	uint8_t *at;
};

struct reader {
	const uint8_t *at;
};

static void w32(struct writer *w, uint32_t v)
{
	msn_put32(w->at, v);
	w->at += 4;
}

static void w64(struct writer *w, uint64_t v)
{
	msn_put64(w->at, v);
	w->at += 8;
}

static void w_bytes(struct writer *w, const void *bytes, size_t len)
{
	memcpy(w->at, bytes, len);
	w->at += len;
}

static uint32_t r32(struct reader *r)
{
	r->at += 4;
	return msn_get32(r->at - 4);
}

static uint64_t r64(struct reader *r)
{
	r->at += 8;
	return msn_get64(r->at - 8);
}

static void r_bytes(struct reader *r, void *out, size_t len)
{
	memcpy(out, r->at, len);
	r->at += len;
}

static uint64_t sum_of(struct index_bytes key, const uint8_t *value, size_t len)
{
	uint8_t both[INDEX_KEY_MAX + INDEX_VALUE_MAX];

	/* As a node of a page has them. */
	if ((const uint8_t *)key.data + key.len == value)
		return msn_digest_bytes(key.data, key.len + len);
	msn_assert(key.len <= INDEX_KEY_MAX && len <= INDEX_VALUE_MAX);
	memcpy(both, key.data, key.len);
	memcpy(both + key.len, value, len);
	return msn_digest_bytes(both, key.len + len);
}

size_t index_seal(struct index_bytes key, uint8_t *value, size_t len)
{
	msn_assert(len + SUM_LEN <= INDEX_VALUE_MAX);
	msn_put64(value + len, sum_of(key, value, len));
	return len + SUM_LEN;
}

/* Ends a value that was written from @value on. */
static size_t seal(struct writer *w, struct index_bytes key, uint8_t *value)
{
	return index_seal(key, value, (size_t)(w->at - value));
}

bool index_sealed(struct index_bytes key, struct index_bytes value)
{
	const uint8_t *bytes = value.data;

	return key.len <= INDEX_KEY_MAX && value.len >= SUM_LEN &&
	       value.len <= INDEX_VALUE_MAX &&
	       msn_get64(bytes + value.len - SUM_LEN) ==
		       sum_of(key, bytes, value.len - SUM_LEN);
}

/* Is it of @len bytes before its sum, and is that right? */
static bool sealed(struct index_bytes key, struct index_bytes value, size_t len)
{
	return value.len == len + SUM_LEN && index_sealed(key, value);
}

size_t index_meta_encode(const struct index_meta *meta, struct index_bytes key,
			 uint8_t *value)
{
	struct writer w = { value };

	w32(&w, MSN_INDEX_VERSION);
	w_bytes(&w, meta->store.bytes, sizeof(meta->store.bytes));
	w64(&w, meta->next_pack);
	return seal(&w, key, value);
}

/* The version is told first: a later program may keep more here. */
int index_meta_decode(struct index_meta *meta, uint32_t *version,
		      struct index_bytes key, struct index_bytes value)
{
	struct reader r = { value.data };

	if (value.len < 4 + SUM_LEN || value.len > INDEX_VALUE_MAX ||
	    !sealed(key, value, value.len - SUM_LEN))
		return msn_fail(-EBADMSG);
	*version = r32(&r);
	if (*version > MSN_INDEX_VERSION)
		return msn_fail(-EOPNOTSUPP);
	if (*version == 0 || value.len != META_LEN + SUM_LEN)
		return msn_fail(-EBADMSG);
	r_bytes(&r, meta->store.bytes, sizeof(meta->store.bytes));
	meta->next_pack = r64(&r);
	return meta->next_pack ? 0 : msn_fail(-EBADMSG);
}

size_t index_snapshot_encode(const struct msn_index_snapshot *s,
			     struct index_bytes key, uint8_t *value)
{
	struct writer w = { value };

	w_bytes(&w, s->parent.bytes, sizeof(s->parent.bytes));
	w64(&w, (uint64_t)s->created_ns);
	w64(&w, s->mapping_count);
	w64(&w, s->stats.mapped);
	w64(&w, s->stats.private_pages);
	w64(&w, s->stats.stored);
	w64(&w, s->stats.inherited);
	w64(&w, s->stats.deduped);
	w64(&w, s->stats.zero);
	w64(&w, s->manifest_bytes);
	w64(&w, s->manifest_sum);
	w_bytes(&w, s->name, sizeof(s->name));
	w_bytes(&w, s->origin, sizeof(s->origin));
	w32(&w, s->run_count);
	for (unsigned i = 0; i < s->run_count; i++) {
		w64(&w, s->runs[i].pack_id);
		w64(&w, s->runs[i].generation);
		w32(&w, s->runs[i].first);
		w32(&w, s->runs[i].pages);
	}
	return seal(&w, key, value);
}

static bool run_ok(const struct msn_index_run *run)
{
	return run->pack_id && run->generation && run->first > 0 &&
	       run->first < MSN_PACK_PAGES && run->pages > 1 &&
	       run->pages <= MSN_PACK_PAGES - run->first;
}

static bool snapshot_ok(const struct msn_index_snapshot *s)
{
	if (s->name[sizeof(s->name) - 1] || s->origin[sizeof(s->origin) - 1] ||
	    (*s->name && msn_snapshot_name_check(s->name)))
		return false;
	if (s->manifest_bytes == 0 ||
	    s->manifest_bytes > MSN_MANIFEST_BYTES_MAX)
		return false;
	for (unsigned i = 0; i < s->run_count; i++)
		if (!run_ok(&s->runs[i]))
			return false;
	return true;
}

int index_snapshot_decode(struct msn_index_snapshot *s, struct index_bytes key,
			  struct index_bytes value)
{
	struct reader r = { value.data };

	*s = (struct msn_index_snapshot){ 0 };
	if (key.len != INDEX_UID_KEY || value.len < SNAPSHOT_FIXED + SUM_LEN)
		return msn_fail(-EBADMSG);
	s->run_count =
		(unsigned)((value.len - SNAPSHOT_FIXED - SUM_LEN) / RUN_LEN);
	if (s->run_count < 1 || s->run_count > MSN_INDEX_RUNS_MAX ||
	    !sealed(key, value, SNAPSHOT_FIXED + s->run_count * RUN_LEN))
		return msn_fail(-EBADMSG);
	memcpy(s->uid.bytes, key.data, sizeof(s->uid.bytes));
	r_bytes(&r, s->parent.bytes, sizeof(s->parent.bytes));
	s->created_ns = (int64_t)r64(&r);
	s->mapping_count = r64(&r);
	s->stats.mapped = r64(&r);
	s->stats.private_pages = r64(&r);
	s->stats.stored = r64(&r);
	s->stats.inherited = r64(&r);
	s->stats.deduped = r64(&r);
	s->stats.zero = r64(&r);
	s->manifest_bytes = r64(&r);
	s->manifest_sum = r64(&r);
	r_bytes(&r, s->name, sizeof(s->name));
	r_bytes(&r, s->origin, sizeof(s->origin));
	if (r32(&r) != s->run_count)
		return msn_fail(-EBADMSG);
	for (unsigned i = 0; i < s->run_count; i++) {
		s->runs[i].pack_id = r64(&r);
		s->runs[i].generation = r64(&r);
		s->runs[i].first = r32(&r);
		s->runs[i].pages = r32(&r);
	}
	return snapshot_ok(s) ? 0 : msn_fail(-EBADMSG);
}

size_t index_pack_encode(const struct msn_index_pack *p, struct index_bytes key,
			 uint8_t *value)
{
	struct writer w = { value };

	w64(&w, p->generation);
	w32(&w, p->pages);
	w32(&w, p->refs);
	w32(&w, (uint32_t)p->state);
	return seal(&w, key, value);
}

int index_pack_decode(struct msn_index_pack *p, struct index_bytes key,
		      struct index_bytes value)
{
	struct reader r = { value.data };
	uint32_t state;

	*p = (struct msn_index_pack){ 0 };
	if (key.len != INDEX_PACK_KEY || !sealed(key, value, PACK_LEN))
		return msn_fail(-EBADMSG);
	p->id = index_pack_key_id(key.data);
	p->generation = r64(&r);
	p->pages = r32(&r);
	p->refs = r32(&r);
	state = r32(&r);
	p->state = (enum msn_index_pack_state)state;
	if (p->id == 0 || p->generation == 0 || p->pages == 0 ||
	    p->pages > MSN_PACK_PAGES || state < MSN_INDEX_PACK_OPEN ||
	    state > MSN_INDEX_PACK_SEALED)
		return msn_fail(-EBADMSG);
	return 0;
}

size_t index_uid_encode(struct msn_uid uid, struct index_bytes key,
			uint8_t *value)
{
	struct writer w = { value };

	w_bytes(&w, uid.bytes, sizeof(uid.bytes));
	return seal(&w, key, value);
}

int index_uid_decode(struct msn_uid *uid, struct index_bytes key,
		     struct index_bytes value)
{
	if (!sealed(key, value, sizeof(uid->bytes)))
		return msn_fail(-EBADMSG);
	memcpy(uid->bytes, value.data, sizeof(uid->bytes));
	return 0;
}

size_t index_ref_encode(uint64_t generation, struct index_bytes key,
			uint8_t *value)
{
	struct writer w = { value };

	w64(&w, generation);
	return seal(&w, key, value);
}

int index_ref_decode(uint64_t *generation, struct index_bytes key,
		     struct index_bytes value)
{
	if (key.len != INDEX_REF_KEY || !sealed(key, value, 8))
		return msn_fail(-EBADMSG);
	*generation = msn_get64(value.data);
	return 0;
}

/* Big-endian, which LMDB sorts as numbers. */
void index_pack_key(uint64_t id, uint8_t *key)
{
	for (int i = 0; i < INDEX_PACK_KEY; i++)
		key[i] = (uint8_t)(id >> (56 - 8 * i));
}

uint64_t index_pack_key_id(const uint8_t *key)
{
	uint64_t id = 0;

	for (int i = 0; i < INDEX_PACK_KEY; i++)
		id = id << 8 | key[i];
	return id;
}

/* As the bytes of both are compared: the sign first, and turned over. */
void index_time_key(int64_t created_ns, struct msn_uid uid, uint8_t *key)
{
	index_pack_key((uint64_t)created_ns ^ UINT64_C(1) << 63, key);
	memcpy(key + 8, uid.bytes, sizeof(uid.bytes));
}

int index_time_key_uid(struct index_bytes key, struct msn_uid *uid)
{
	if (key.len != INDEX_TIME_KEY)
		return msn_fail(-EBADMSG);
	memcpy(uid->bytes, (const uint8_t *)key.data + 8, sizeof(uid->bytes));
	return 0;
}
