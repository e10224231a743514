/*
 * What the files of the index share.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_INDEX_INDEX_PRIVATE_H
#define MSN_INDEX_INDEX_PRIVATE_H

#include "index/index_long.h"
#include "index/index_record.h"
#include "index/index_tx.h"

struct msn_index {
	struct index_env *env;
	const char *where;
	struct msn_uid store;
};

extern const struct index_bytes index_meta_key;

static inline struct index_bytes index_uid_key(const struct msn_uid *uid)
{
	return (struct index_bytes){ uid->bytes, sizeof(uid->bytes) };
}

/* One transaction of an index.  Outcomes pass; errors fill @why. */
int index_read(struct msn_index *index, index_body_fn *body, void *arg,
	       struct msn_failure *why);

/* The same to write: a catalog of version 1 becomes one of version 2 first. */
int index_write(struct msn_index *index, const struct index_write_opts *opts,
		index_body_fn *body, void *arg, struct msn_failure *why);

/* Says that the catalog is damaged: where, or NULL. */
int index_damaged(const struct msn_index *index, const char *what,
		  struct msn_failure *why);

/* ---- Inside a transaction ------------------------------------------------ */

int index_meta_get(struct index_tx *tx, struct index_meta *meta,
		   uint32_t *version);
int index_meta_put(struct index_tx *tx, const struct index_meta *meta);

/* MSN_INDEX_E_ABSENT. */
int index_snapshot_get(struct index_tx *tx, struct msn_uid uid,
		       struct msn_index_snapshot *out);
int index_snapshot_put(struct index_tx *tx, const struct msn_index_snapshot *s);

/* ---- index_time.c -------------------------------------------------------- */

/* The entry of a snapshot in the table by time. */
int index_time_put(struct index_tx *tx, const struct msn_index_snapshot *s);
int index_time_del(struct index_tx *tx, const struct msn_index_snapshot *s);

/*
 * Does that table list all snapshots?  Not in a catalog of version 1, nor after
 * a program that knows no better removed a snapshot.
 */
int index_times_usable(struct index_tx *tx, bool *usable);

/* Makes tables and version those of today. */
int index_upgrade(struct index_tx *tx);

/* ---- index_note.c -------------------------------------------------------- */

/* The note of a snapshot, or revision 0. */
int index_note_get(struct index_tx *tx, struct msn_uid uid,
		   struct msn_note *out);
int index_note_put(struct index_tx *tx, struct msn_uid uid, uint64_t revision,
		   const void *bytes, size_t len);

/* Whether there is one or not. */
int index_note_del(struct index_tx *tx, struct msn_uid uid);

/* ---- index_beside.c ------------------------------------------------------ */

enum index_table index_record_table(enum msn_record_kind kind);

/* INVALID names what is too long. */
int index_beside_check(const struct msn_index *index, const void *note,
		       size_t note_len, const struct msn_beside *b,
		       struct msn_failure *why);

/* MSN_INDEX_E_TAKEN. */
int index_beside_apply(struct index_tx *tx, const struct msn_beside *b);

/* Bytes that it writes, at most. */
size_t index_beside_room(size_t note_len, const struct msn_beside *b);

#endif /* MSN_INDEX_INDEX_PRIVATE_H */
