/*
 * Transactions on the catalog, and what is done in one.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whatever LMDB is told to follow was looked at before (index_look.h).  What is
 * found broken is -EBADMSG with a text in index_tx.look.wrong, or none where a
 * value makes no sense.  Private to this component.
 */
#ifndef MSN_INDEX_INDEX_TX_H
#define MSN_INDEX_INDEX_TX_H

#include "index/index_env.h"

/* A transaction under way. */
struct index_tx {
	MDB_txn *txn;
	struct index_env *env;
	struct index_look look;
	MDB_dbi dbis[INDEX_TABLES]; /* 0: not there */
	bool writing;
	bool map_full;	  /* LMDB said so */
	bool made_tables; /* that the environment does not know yet */
};

/*
 * What a transaction does: 0 to commit, else a negated errno or an outcome to
 * give up.  May be called again from the start when the map had to grow.
 */
typedef int index_body_fn(struct index_tx *tx, void *arg);

/* -EBADMSG: *@wrong says what is broken, or is NULL. */
int index_tx_read(struct index_env *env, index_body_fn *body, void *arg,
		  const char **wrong);

struct index_write_opts {
	size_t reserve_bytes; /* what the disk must have room for at least */
	bool try_anyway;      /* go on when it has not: for what frees space */
};

/* On disk when it returns 0. */
int index_tx_write(struct index_env *env, const struct index_write_opts *opts,
		   index_body_fn *body, void *arg, const char **wrong);

/* Makes the tables that are not there. */
int index_tables_make(struct index_tx *tx);

/*
 * Of one table; one that is not there is empty.  -ENOENT when the key is not
 * there.  A value stays until the next change of the table.
 */
int index_get(struct index_tx *tx, enum index_table table,
	      struct index_bytes key, struct index_bytes *value);
int index_put(struct index_tx *tx, enum index_table table,
	      struct index_bytes key, const void *value, size_t len);
int index_del(struct index_tx *tx, enum index_table table,
	      struct index_bytes key);
int index_count(struct index_tx *tx, enum index_table table, uint64_t *count);

struct index_walk {
	struct index_bytes from; /* without data: from the end */
	bool backward;		 /* from the largest key to the smallest */
	bool after;		 /* leave out @from itself */
};

/*
 * Calls @each for entries in order (@how NULL: for all of them), until it
 * returns something else than 0, which is passed on, or there are no more.  It
 * may change other tables, not this one.
 */
typedef int index_each_fn(void *arg, struct index_bytes key,
			  struct index_bytes value);
int index_walk(struct index_tx *tx, enum index_table table,
	       const struct index_walk *how, index_each_fn *each, void *arg);

#endif /* MSN_INDEX_INDEX_TX_H */
