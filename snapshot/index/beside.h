/*
 * What a service keeps beside snapshots: notes and records.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A note is what a service says about one snapshot and may change its mind
 * about: labels, an expiry, holds.  It goes with the snapshot.  Records are the
 * service's own: which requests were answered, which operations there are, what
 * happened.  The bytes of both are the service's affair; here they are kept,
 * under a digest, in the same transaction as the change that they speak of.
 *
 * Locks: none; a value belongs to its holder.
 */
#ifndef MSN_INDEX_BESIDE_H
#define MSN_INDEX_BESIDE_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a page of a listing of snapshots ended: what its last one has. */
struct msn_snapshot_cursor {
	int64_t created_ns;
	struct msn_uid uid;
};

/* ---- Notes -------------------------------------------------------------- */

struct msn_note {
	uint64_t revision; /* grows by 1 with each change; 0: there is none */
	uint8_t *bytes;	   /* at most MSN_NOTE_BYTES_MAX; for free() */
	size_t len;
};

/* A revision to be met: any. */
#define MSN_NOTE_ANY UINT64_MAX

/*
 * May the snapshot with this note be removed?  0, or a negated errno and @why.
 * Called inside the transaction, maybe more than once: it takes no lock, does
 * not block, and calls nothing of the index or the store.
 */
typedef int msn_note_check_fn(void *ctx, const struct msn_note *note,
			      struct msn_failure *why);

/* ---- Records ------------------------------------------------------------ */

enum msn_record_kind {
	MSN_RECORD_REQUEST,
	MSN_RECORD_OPERATION,
	MSN_RECORD_EVENT,
	MSN_RECORD_KINDS,
};

enum msn_record_op {
	MSN_RECORD_PUT = 1, /* make it, or replace what is there */
	MSN_RECORD_ADD,	    /* make it; the change fails if it is there */
	/*
	 * Make it with the next number as its key: 8 bytes, big-endian, one
	 * more than that of the last record of its kind, from 1.  Whoever sees
	 * a number sees all smaller ones.
	 */
	MSN_RECORD_APPEND,
	MSN_RECORD_DELETE, /* whether it is there or not */
};

/* One record to be changed.  Nothing in it is kept. */
struct msn_record_change {
	enum msn_record_op op;
	enum msn_record_kind kind;
	const void *key; /* APPEND: not looked at */
	size_t key_len;	 /* 1 to MSN_RECORD_KEY_MAX */
	const void *value;
	size_t value_len; /* at most MSN_RECORD_BYTES_MAX */
	uint64_t *number; /* APPEND: set when it succeeds; or NULL */
};

/* What is changed together with something else, in this order. */
struct msn_beside {
	const struct msn_record_change *changes;
	size_t count;
};

struct msn_record {
	const uint8_t *key, *value; /* of one piece of memory */
	size_t key_len, value_len;
};

struct msn_records {
	struct msn_record *list; /* for msn_records_deinit() */
	size_t count;
	bool more; /* there are more than were asked for */
};

void msn_records_deinit(struct msn_records *r);

/* Which records to read: from a key on, in the order of their bytes. */
struct msn_record_walk {
	enum msn_record_kind kind;
	const void *from; /* NULL: from the first, or the last */
	size_t from_len;
	bool after;	  /* leave out @from itself */
	bool backward;	  /* to smaller keys */
	size_t limit;	  /* > 0 */
	size_t bytes_max; /* stop after as many, but after one; 0: no bound */
};

#endif /* MSN_INDEX_BESIDE_H */
