/*
 * Transactions on the catalog.  See index_tx.h; the traps of LMDB that are
 * named by number stand in index_env.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index/index_tx.h"

#include "base/error.h"
#include "base/fault.h"
#include "index/index_check.h"

#include <errno.h>
#include <string.h>

/* With resize held. */
static int tx_look(struct index_tx *tx)
{
	struct index_env *env = tx->env;
	uint64_t base = mdb_txn_id(tx->txn) - tx->writing;
	size_t there = 0;
	int rc = index_env_there(env, &there);

	if (rc == 0)
		rc = index_look_begin(&tx->look, env->map, there, base);
	memcpy(tx->dbis, env->dbis, sizeof(tx->dbis));
	if (rc == 0 && tx->writing &&
	    !__atomic_load_n(&env->free_known, __ATOMIC_RELAXED)) {
		rc = index_check_file(&tx->look.pages, INDEX_CHECK_BRANCHES,
				      &tx->look.wrong);
		__atomic_store_n(&env->free_known, rc == 0, __ATOMIC_RELAXED);
	}
	return rc;
}

/* Has another process made tables? */
static bool tx_outgrown(const struct index_tx *tx)
{
	for (int i = 0; i < INDEX_TABLES; i++)
		if (tx->look.present[i] && !tx->dbis[i])
			return true;
	return false;
}

static void tx_abort(struct index_tx *tx)
{
	mdb_txn_abort(tx->txn);
	index_look_end(&tx->look);
	msn_rwlock_unlock(&tx->env->resize);
}

/* Begins with resize held; it stays so when this returns 0. */
static int tx_begin_held(struct index_tx *tx, bool *resized)
{
	struct index_env *env = tx->env;
	int dead = 0, rc;

	rc = mdb_txn_begin(env->mdb, NULL, tx->writing ? 0 : MDB_RDONLY,
			   &tx->txn);
	if (rc == MDB_READERS_FULL)
		mdb_reader_check(env->mdb, &dead); /* (6) */
	*resized = rc == MDB_MAP_RESIZED;
	return index_rc(rc);
}

/* One try.  -EAGAIN: something moved under us, try again. */
static int tx_begin(struct index_env *env, bool writing, struct index_tx *tx)
{
	const char *wrong = NULL;
	bool resized = false;
	int rc;

	*tx = (struct index_tx){ .env = env, .writing = writing };
	if (msn_fault("index.begin"))
		return msn_fail(-EIO);
	msn_rwlock_read(&env->resize);
	if (!env->mdb) {
		msn_rwlock_unlock(&env->resize);
		return index_env_reopen(env) ? msn_fail(-EIO) : -EAGAIN;
	}
	rc = tx_begin_held(tx, &resized);
	if (rc) {
		msn_rwlock_unlock(&env->resize);
		if (resized && index_env_resize(env, false) == 0)
			return -EAGAIN;
		return rc;
	}
	rc = tx_look(tx);
	if (rc == 0 && !tx_outgrown(tx))
		return 0;
	tx_abort(tx);
	if (rc == 0)
		rc = index_env_refresh(env, &wrong);
	if (wrong)
		tx->look.wrong = wrong;
	return rc ? rc : -EAGAIN;
}

/* (10) Without locks a writer reuses pages from the second commit on. */
static bool tx_overtaken(struct index_tx *tx)
{
	MDB_envinfo info;

	if (!tx->env->no_lock)
		return false;
	mdb_env_info(tx->env->mdb, &info);
	return info.me_last_txnid > mdb_txn_id(tx->txn) + 1;
}

int index_tx_read(struct index_env *env, index_body_fn *body, void *arg,
		  const char **wrong)
{
	struct index_tx tx;
	int rc = -EAGAIN;

	for (unsigned i = 0; i < INDEX_RETRY_MAX && rc == -EAGAIN; i++) {
		rc = tx_begin(env, false, &tx);
		if (rc == 0) {
			rc = body(&tx, arg);
			if (tx_overtaken(&tx))
				rc = -EAGAIN;
			tx_abort(&tx);
		}
		*wrong = tx.look.wrong;
	}
	return msn_pass(rc);
}

static int tx_commit(struct index_tx *tx)
{
	struct index_env *env = tx->env;
	const char *wrong = NULL;
	int rc = mdb_txn_commit(tx->txn);

	index_look_end(&tx->look);
	msn_rwlock_unlock(&env->resize);
	tx->map_full |= rc == MDB_MAP_FULL;
	if (rc && !tx->map_full) {
		rc = index_rc(rc);
		return index_env_reopen(env) ? msn_fail(-EIO) : rc;
	}
	/* What was committed stands, whatever becomes of its handles. */
	if (rc == 0 && tx->made_tables &&
	    index_env_refresh(env, &wrong) == -EBADMSG)
		tx->look.wrong = wrong;
	return index_rc(rc);
}

/* One try.  -EAGAIN: try again. */
static int write_once(struct index_tx *tx, struct index_env *env,
		      index_body_fn *body, void *arg)
{
	int rc = tx_begin(env, true, tx);

	if (rc)
		return msn_pass(rc);
	rc = body(tx, arg);
	if (rc == 0 && msn_fault("index.commit"))
		rc = msn_fail(-EIO);
	if (rc)
		tx_abort(tx);
	else
		rc = tx_commit(tx);
	if (!tx->map_full)
		return msn_pass(rc);
	rc = index_env_resize(env, true);
	return rc ? msn_pass(rc) : -EAGAIN;
}

int index_tx_write(struct index_env *env, const struct index_write_opts *opts,
		   index_body_fn *body, void *arg, const char **wrong)
{
	int rc = index_env_reserve(env, opts->reserve_bytes);
	struct index_tx tx;

	if (rc && !(rc == -ENOSPC && opts->try_anyway))
		return msn_pass(rc);
	rc = -EAGAIN;
	for (unsigned i = 0; i < INDEX_RETRY_MAX && rc == -EAGAIN; i++) {
		rc = write_once(&tx, env, body, arg);
		*wrong = tx.look.wrong;
	}
	return msn_pass(rc);
}

int index_tables_make(struct index_tx *tx)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < INDEX_TABLES; i++) {
		if (tx->dbis[i])
			continue;
		tx->made_tables = true;
		rc = mdb_dbi_open(tx->txn, index_table_names[i], MDB_CREATE,
				  &tx->dbis[i]);
	}
	tx->map_full |= rc == MDB_MAP_FULL;
	return index_rc(rc);
}

/* ---- Entries ------------------------------------------------------------ */

static MDB_val val_of(struct index_bytes b)
{
	return (MDB_val){ .mv_size = b.len, .mv_data = (void *)b.data };
}

static struct index_bytes bytes_of(MDB_val v)
{
	return (struct index_bytes){ v.mv_data, v.mv_size };
}

static int tx_rc(struct index_tx *tx, int mdb_rc)
{
	tx->map_full |= mdb_rc == MDB_MAP_FULL;
	return index_rc(mdb_rc);
}

int index_get(struct index_tx *tx, enum index_table table,
	      struct index_bytes key, struct index_bytes *value)
{
	MDB_val k = val_of(key), v;
	int rc;

	if (!tx->dbis[table])
		return -ENOENT;
	rc = index_look_way(&tx->look, table, key);
	if (rc)
		return rc;
	rc = tx_rc(tx, mdb_get(tx->txn, tx->dbis[table], &k, &v));
	if (rc == 0)
		*value = bytes_of(v);
	if (rc != -ENOENT)
		return rc;
	/* Is it not there, or was the way a wrong one? */
	rc = index_look_sides(&tx->look, table, key);
	return rc ? rc : -ENOENT;
}

int index_put(struct index_tx *tx, enum index_table table,
	      struct index_bytes key, const void *value, size_t len)
{
	MDB_val k = val_of(key);
	MDB_val v = { .mv_size = len, .mv_data = (void *)value };
	int rc;

	if (msn_fault("index.put"))
		return msn_fail(-EIO);
	rc = index_look_change(&tx->look, table, key);
	if (rc)
		return rc;
	return tx_rc(tx, mdb_put(tx->txn, tx->dbis[table], &k, &v, 0));
}

int index_del(struct index_tx *tx, enum index_table table,
	      struct index_bytes key)
{
	MDB_val k = val_of(key);
	int rc;

	if (!tx->dbis[table])
		return -ENOENT;
	rc = index_look_change(&tx->look, table, key);
	if (rc)
		return rc;
	return tx_rc(tx, mdb_del(tx->txn, tx->dbis[table], &k, NULL));
}

int index_count(struct index_tx *tx, enum index_table table, uint64_t *count)
{
	MDB_stat st;
	int rc;

	*count = 0;
	if (!tx->dbis[table])
		return 0;
	rc = tx_rc(tx, mdb_stat(tx->txn, tx->dbis[table], &st));
	if (rc == 0)
		*count = st.ms_entries;
	return rc;
}

/* ---- Walks -------------------------------------------------------------- */

/* On a cursor, at the entry that @k and @v are of. */
struct walker {
	struct index_tx *tx;
	enum index_table table;
	MDB_cursor *cursor;
	MDB_val k, v;
};

static int walker_move(struct walker *w, MDB_cursor_op op)
{
	return tx_rc(w->tx, mdb_cursor_get(w->cursor, &w->k, &w->v, op));
}

/* Backward from a key: the first one that is not above it. */
static int walker_begin_below(struct walker *w, const struct index_walk *how)
{
	int rc = walker_move(w, MDB_SET_RANGE);

	if (rc == -ENOENT)
		return walker_move(w, MDB_LAST);
	if (rc == 0 && (w->k.mv_size != how->from.len ||
			memcmp(w->k.mv_data, how->from.data, how->from.len)))
		return walker_move(w, MDB_PREV);
	return rc;
}

static int walker_begin(struct walker *w, const struct index_walk *how)
{
	int rc;

	if (how->from.data) {
		rc = index_look_sides(&w->tx->look, w->table, how->from);
		if (rc)
			return rc;
		w->k = val_of(how->from);
		return how->backward ? walker_begin_below(w, how)
				     : walker_move(w, MDB_SET_RANGE);
	}
	rc = how->backward
		     ? index_look_last(&w->tx->look, w->table)
		     : index_look_sides(&w->tx->look, w->table, how->from);
	return rc ? rc : walker_move(w, how->backward ? MDB_LAST : MDB_FIRST);
}

/*
 * The next page may be stepped onto, as it was looked at from the page before.
 * On a new page the one after it is due.  What was changed by this transaction
 * stands in memory of LMDB's, where pages cannot be told apart.
 */
static int walker_next(struct walker *w, bool backward)
{
	const uint8_t *map = w->k.mv_data;
	int rc = walker_move(w, backward ? MDB_PREV : MDB_NEXT);

	if (rc || (!w->tx->writing &&
		   (uintptr_t)map >> 12 == (uintptr_t)w->k.mv_data >> 12))
		return rc;
	return index_look_sides(&w->tx->look, w->table, bytes_of(w->k));
}

static bool is_from(const struct walker *w, const struct index_walk *how)
{
	return how->from.data && w->k.mv_size == how->from.len &&
	       memcmp(w->k.mv_data, how->from.data, how->from.len) == 0;
}

static int walk(struct walker *w, const struct index_walk *how,
		index_each_fn *each, void *arg)
{
	int rc = walker_begin(w, how), stop;

	/* It may be the neighbour's. */
	if (rc == 0)
		rc = index_look_sides(&w->tx->look, w->table, bytes_of(w->k));
	if (rc == 0 && how->after && is_from(w, how))
		rc = walker_next(w, how->backward);
	while (rc == 0) {
		stop = each(arg, bytes_of(w->k), bytes_of(w->v));
		if (stop)
			return stop;
		rc = walker_next(w, how->backward);
	}
	return rc == -ENOENT ? 0 : rc;
}

int index_walk(struct index_tx *tx, enum index_table table,
	       const struct index_walk *how, index_each_fn *each, void *arg)
{
	static const struct index_walk all;
	struct walker w = { .tx = tx, .table = table };
	int rc;

	if (!tx->dbis[table])
		return 0;
	rc = tx_rc(tx, mdb_cursor_open(tx->txn, tx->dbis[table], &w.cursor));
	if (rc)
		return rc;
	rc = walk(&w, how ? how : &all, each, arg);
	mdb_cursor_close(w.cursor);
	return rc;
}
