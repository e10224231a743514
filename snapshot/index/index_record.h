/*
 * The values of the catalog's tables as bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each value ends with the XXH3-64 of its key and of itself before that, so a
 * value that stands under another key is found out.  docs/formats/catalog.md
 * has the offsets.  Private to this component.
 */
#ifndef MSN_INDEX_INDEX_RECORD_H
#define MSN_INDEX_INDEX_RECORD_H

#include "index/index.h"

/*
 * Room for any value.  LMDB gives a value that takes more than half a page
 * pages of its own, which need neighbours that are free; so long ones are cut
 * (index_long.c).
 */
#define INDEX_VALUE_MAX 2000

#define INDEX_KEY_MAX 128
#define INDEX_UID_KEY 16
#define INDEX_PACK_KEY 8
#define INDEX_REF_KEY 24
#define INDEX_TIME_KEY 24

struct index_bytes {
	const void *data;
	size_t len;
};

struct index_meta {
	struct msn_uid store;
	uint64_t next_pack;
};

/* Does the value end with the digest of its key and itself? */
bool index_sealed(struct index_bytes key, struct index_bytes value);

/* Puts that digest behind @len bytes at @value; returns the whole length. */
size_t index_seal(struct index_bytes key, uint8_t *value, size_t len);

/* Encoders return the length of the value. */
size_t index_meta_encode(const struct index_meta *meta, struct index_bytes key,
			 uint8_t *value);
size_t index_snapshot_encode(const struct msn_index_snapshot *s,
			     struct index_bytes key, uint8_t *value);
size_t index_pack_encode(const struct msn_index_pack *p, struct index_bytes key,
			 uint8_t *value);
size_t index_uid_encode(struct msn_uid uid, struct index_bytes key,
			uint8_t *value);
size_t index_ref_encode(uint64_t generation, struct index_bytes key,
			uint8_t *value);

/* -EBADMSG; the first one also -EOPNOTSUPP, with the version told. */
int index_meta_decode(struct index_meta *meta, uint32_t *version,
		      struct index_bytes key, struct index_bytes value);
int index_snapshot_decode(struct msn_index_snapshot *s, struct index_bytes key,
			  struct index_bytes value);
int index_pack_decode(struct msn_index_pack *p, struct index_bytes key,
		      struct index_bytes value);
int index_uid_decode(struct msn_uid *uid, struct index_bytes key,
		     struct index_bytes value);
int index_ref_decode(uint64_t *generation, struct index_bytes key,
		     struct index_bytes value);

/* Keys of packs stand in the order of their ids. */
void index_pack_key(uint64_t id, uint8_t *key);
uint64_t index_pack_key_id(const uint8_t *key);

/* Those of times in the order of snapshots' age, and then of their uids. */
void index_time_key(int64_t created_ns, struct msn_uid uid, uint8_t *key);
int index_time_key_uid(struct index_bytes key, struct msn_uid *uid);

#endif /* MSN_INDEX_INDEX_RECORD_H */
