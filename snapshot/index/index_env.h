/*
 * The LMDB environment behind an index.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * LMDB wants a file open once in a process: closing a second one would drop the
 * locks of the first.  So environments are kept in a list by the file's inode
 * and shared; the last close closes.
 *
 * Locks: a transaction holds the environment's resize lock for reading, moving
 * the map takes it for writing.
 */
#ifndef MSN_INDEX_INDEX_ENV_H
#define MSN_INDEX_INDEX_ENV_H

#include "index/index.h"
#include "index/index_record.h"

#include <lmdb.h>

enum index_table {
	INDEX_META,
	INDEX_SNAPSHOTS,
	INDEX_NAMES,
	INDEX_PACKS,
	INDEX_REFS,
	INDEX_TABLES,
};

struct index_env;

/* A transaction under way. */
struct index_tx {
	MDB_txn *txn;
	struct index_env *env;
	bool map_full; /* set by index_rc() */
};

/*
 * What a transaction does: 0 to commit, else a negated errno or an outcome to
 * give up.  May be called again from the start when the map had to grow.
 */
typedef int index_body_fn(struct index_tx *tx, void *arg);

/*
 * -ENOENT: there is no catalog.  -EBADMSG: *@wrong says what is broken in it.
 */
int index_env_open(struct index_env **out, const struct msn_index_opts *opts,
		   const char **wrong);
void index_env_close(struct index_env *env);

int index_env_read(struct index_env *env, index_body_fn *body, void *arg);

struct index_write_opts {
	size_t reserve_bytes; /* what the disk must have room for at least */
	bool try_anyway;      /* go on when it has not: for what frees space */
};

/* On disk when it returns 0. */
int index_env_write(struct index_env *env, const struct index_write_opts *opts,
		    index_body_fn *body, void *arg);

int index_env_bytes(struct index_env *env, uint64_t *out);

/* LMDB's return code as a negated errno; MDB_NOTFOUND is -ENOENT. */
int index_rc(struct index_tx *tx, int mdb_rc);

/* Of one table.  -ENOENT when the key is not there. */
int index_get(struct index_tx *tx, enum index_table table,
	      struct index_bytes key, struct index_bytes *value);
int index_put(struct index_tx *tx, enum index_table table,
	      struct index_bytes key, const void *value, size_t len);
int index_del(struct index_tx *tx, enum index_table table,
	      struct index_bytes key);

/*
 * Calls @each for the entries from key @from on (NULL: from the first), until
 * it returns something else than 0, which is passed on, or there are no more.
 */
typedef int index_each_fn(void *arg, struct index_bytes key,
			  struct index_bytes value);
int index_walk(struct index_tx *tx, enum index_table table,
	       const struct index_bytes *from, index_each_fn *each, void *arg);

/*
 * Text of what is broken in the meta pages of the data file @fd, or NULL: to be
 * asked before LMDB maps the file.
 */
const char *index_check_metas(int fd);

/*
 * Text of what is broken in the tree of the data file @fd as of transaction
 * @txnid, which is held open, or NULL.
 */
const char *index_check_pages(int fd, uint64_t txnid);

#endif /* MSN_INDEX_INDEX_ENV_H */
