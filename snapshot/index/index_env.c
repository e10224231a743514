/*
 * The LMDB environment behind an index.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where LMDB bites, and what is done here about it:
 *  (1) Two environments of one file in a process: one list, shared.
 *  (2) The map is full: grown with no transaction open, the body run again.
 *  (3) Another process made the map larger: followed, tried again.
 *  (4) A disk that fills up in a commit leaves the environment dead: space is
 *      reserved before the transaction, and a dead one is opened again.
 *  (5) Readahead reads megabytes for one page: MDB_NORDAHEAD.
 *  (6) Readers are bound to threads, dead ones keep pages: MDB_NOTLS, and slots
 *      of dead processes are cleared when a catalog is opened or slots run out.
 *  (7) A file that was cut short is a SIGBUS, broken pages are worse: the whole
 *      tree is checked when it is opened, before LMDB follows it.
 *  (8) An empty file becomes a new catalog: refused unless one is to be made.
 *  (9) The table of readers is a mapped file with holes: on a full disk,
 * filling one is a SIGBUS.  Its blocks are reserved before LMDB maps it. (10) A
 * read-only file system has no lock file: MDB_NOLOCK, and what was read is
 * thrown away when a writer got two transactions ahead meanwhile.
 */
#include "index/index_env.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/lock.h"
#include "index/index_record.h"
#include "range/range.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_FILE "data.mdb"
#define LOCK_FILE "lock.mdb"
#define MAP_BYTES_DEFAULT ((size_t)1 << 30) /* of addresses, not of disk */
#define READERS_MAX 510
#define LOCK_FILE_BYTES 65536 /* 510 slots of 64 bytes, and a head */
#define RETRY_MAX 20

/* Room in the file for the pages that any transaction rewrites. */
#define RESERVE_MIN ((size_t)1 << 20)

struct index_env {
	struct index_env *next; /* under registry_lock */
	unsigned refs;		/* under registry_lock */
	dev_t dev;		/* set once, as all below but the two handles */
	ino_t ino;
	char *dir;
	bool no_lock; /* and read only */
	struct msn_rwlock resize;
	MDB_env *mdb;		    /* under resize */
	MDB_dbi dbis[INDEX_TABLES]; /* under resize */
};

/*
 * (1) A plain mutex, as it must be ready before any code ran and no lock of the
 * program is taken outside it.
 */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct index_env *registry;

static const char *const table_names[INDEX_TABLES] = {
	[INDEX_META] = "meta",	    [INDEX_SNAPSHOTS] = "snapshots",
	[INDEX_NAMES] = "names",    [INDEX_PACKS] = "packs",
	[INDEX_REFS] = "pack_refs",
};

int index_rc(struct index_tx *tx, int mdb_rc)
{
	switch (mdb_rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		if (tx)
			tx->map_full = true;
		return msn_fail(-ENOSPC);
	case MDB_PANIC:
		return msn_fail(-EIO);
	case MDB_READERS_FULL:
		return msn_fail(-EAGAIN);
	case MDB_TXN_FULL:
		return msn_fail(-E2BIG);
	default:
		return msn_fail(mdb_rc > 0 ? -mdb_rc : -EBADMSG);
	}
}

static int tables_open(struct index_env *env, MDB_txn *txn, bool create)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < INDEX_TABLES; i++)
		rc = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0,
				  &env->dbis[i]);
	return rc;
}

/* (7) What is checked stays as it is while the transaction is open. */
static int check_and_open_tables(struct index_env *env, const char **wrong)
{
	mdb_filehandle_t fd;
	MDB_txn *txn;
	int rc =
		index_rc(NULL, mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn));

	if (rc)
		return rc;
	if (mdb_env_get_fd(env->mdb, &fd) == 0)
		*wrong = index_check_pages(fd, mdb_txn_id(txn));
	rc = *wrong ? msn_fail(-EBADMSG)
		    : index_rc(NULL, tables_open(env, txn, false));
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return index_rc(NULL, mdb_txn_commit(txn));
}

static int create_tables(struct index_env *env)
{
	MDB_txn *txn;
	int rc = index_rc(NULL, mdb_txn_begin(env->mdb, NULL, 0, &txn));

	if (rc)
		return rc;
	rc = index_rc(NULL, tables_open(env, txn, true));
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return index_rc(NULL, mdb_txn_commit(txn));
}

/*
 * (9) Only called when this process has no environment of this file open: to
 * close a second descriptor of the lock file would drop (1) the locks.
 */
static int reserve_lock_file(const struct index_env *env)
{
	msn_auto(msn_freep) char *path = msn_format("%s/" LOCK_FILE, env->dir);
	msn_auto(msn_closep) int fd = -1;
	int rc;

	if (!path)
		return msn_fail(-ENOMEM);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return msn_fail(-errno);
	do {
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOCK_FILE_BYTES);
	} while (rc && errno == EINTR);
	return rc && errno != EOPNOTSUPP ? msn_fail(-errno) : 0;
}

static int lmdb_open(struct index_env *env, size_t map_bytes)
{
	unsigned flags = MDB_NORDAHEAD | MDB_NOTLS;
	int dead, rc;

	if (msn_fault("index.open"))
		return msn_fail(-EIO);
	rc = mdb_env_create(&env->mdb);
	if (rc)
		return index_rc(NULL, rc);
	if (env->no_lock)
		flags |= MDB_RDONLY | MDB_NOLOCK;
	rc = mdb_env_set_maxdbs(env->mdb, INDEX_TABLES);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(env->mdb, READERS_MAX);
	if (rc == 0)
		rc = mdb_env_set_mapsize(env->mdb, map_bytes);
	if (rc == 0)
		rc = mdb_env_open(env->mdb, env->dir, flags, 0600);
	if (rc == 0 && !env->no_lock)
		rc = mdb_reader_check(env->mdb, &dead); /* (6) */
	if (rc) {
		mdb_env_close(env->mdb);
		env->mdb = NULL;
	}
	return index_rc(NULL, rc);
}

/* (4) After a commit that failed in the middle nothing else works. */
static int reopen(struct index_env *env)
{
	const char *wrong = NULL;
	MDB_envinfo info;
	int rc;

	msn_write_scope(&env->resize);
	mdb_env_info(env->mdb, &info);
	mdb_env_close(env->mdb);
	env->mdb = NULL;
	rc = lmdb_open(env, info.me_mapsize);
	return rc ? rc : check_and_open_tables(env, &wrong);
}

static int data_stat(const char *dir, struct stat *st)
{
	msn_auto(msn_closep) int fd =
		open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstatat(fd, DATA_FILE, st, AT_SYMLINK_NOFOLLOW))
		return msn_fail(-errno);
	return 0;
}

bool msn_index_exists(const char *dir)
{
	struct stat st;

	return data_stat(dir, &st) == 0 && st.st_size > 0;
}

/*
 * (10) Can the files be written, so that readers can be registered?  Then a
 * catalog that is only to be read is opened like any other, and shared.
 */
static bool files_writable(const char *dir)
{
	msn_auto(msn_closep) int fd =
		open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 &&
	       faccessat(fd, LOCK_FILE, R_OK | W_OK, AT_EACCESS) == 0 &&
	       faccessat(fd, DATA_FILE, R_OK | W_OK, AT_EACCESS) == 0;
}

static void env_free(struct index_env *env)
{
	if (!env)
		return;
	if (env->mdb)
		mdb_env_close(env->mdb);
	msn_rwlock_deinit(&env->resize);
	free(env->dir);
	free(env);
}

static void env_freep(struct index_env **env)
{
	env_free(*env);
}

/*
 * (7) Before LMDB maps the file.  A writer may be at work on a meta page at
 * this very moment: what is damaged is so the second time too.
 */
static int check_metas(const struct index_env *env, const char **wrong)
{
	msn_auto(msn_freep) char *path = msn_format("%s/" DATA_FILE, env->dir);
	msn_auto(msn_closep) int fd = -1;

	if (!path)
		return msn_fail(-ENOMEM);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return msn_fail(-errno);
	for (unsigned i = 0; i < RETRY_MAX; i++) {
		*wrong = index_check_metas(fd);
		if (!*wrong)
			return 0;
		sched_yield();
	}
	return msn_fail(-EBADMSG);
}

static int env_new(struct index_env **out, const struct msn_index_opts *opts,
		   bool fresh, const char **wrong)
{
	msn_auto(env_freep) struct index_env *env = msn_alloc(sizeof(*env));
	size_t map = opts->map_bytes ? opts->map_bytes : MAP_BYTES_DEFAULT;
	int rc;

	if (!env)
		return msn_fail(-ENOMEM);
	msn_rwlock_init(&env->resize, MSN_RANK_LEAF);
	env->no_lock = opts->read_only && !files_writable(opts->dir);
	env->dir = msn_strdup(opts->dir);
	if (!env->dir)
		return msn_fail(-ENOMEM);
	rc = fresh ? 0 : check_metas(env, wrong);
	if (rc == 0 && !env->no_lock)
		rc = reserve_lock_file(env);
	if (rc == 0)
		rc = lmdb_open(env, map);
	if (rc == 0 && fresh)
		rc = create_tables(env);
	if (rc == 0)
		rc = check_and_open_tables(env, wrong);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(env);
	return 0;
}

/*
 * One without locks serves no writer, and may stand beside one that has them.
 */
static struct index_env *registry_find(const struct stat *st, bool read_only)
{
	for (struct index_env *e = registry; e; e = e->next)
		if (e->dev == st->st_dev && e->ino == st->st_ino &&
		    (read_only || !e->no_lock))
			return e;
	return NULL;
}

static int registry_add(struct index_env **out,
			const struct msn_index_opts *opts, bool fresh,
			const char **wrong)
{
	struct index_env *env = NULL;
	struct stat st;
	int rc = env_new(&env, opts, fresh, wrong);

	if (rc)
		return msn_pass(rc);
	rc = data_stat(opts->dir, &st);
	if (rc) {
		env_free(env);
		return msn_pass(rc);
	}
	env->dev = st.st_dev;
	env->ino = st.st_ino;
	env->refs = 1;
	env->next = registry;
	registry = env;
	*out = env;
	return 0;
}

/* With registry_lock held. */
static int registry_open(struct index_env **out,
			 const struct msn_index_opts *opts, const char **wrong)
{
	struct stat st = { 0 };
	int rc = data_stat(opts->dir, &st);
	bool fresh = rc == -ENOENT || (rc == 0 && st.st_size == 0);

	if (rc && rc != -ENOENT)
		return msn_pass(rc);
	if (fresh && !opts->create) {
		*wrong = "its file data.mdb is missing or empty";
		return msn_fail(-EBADMSG); /* (8) */
	}
	if (!fresh)
		*out = registry_find(&st, opts->read_only);
	if (!fresh && *out) {
		(*out)->refs++;
		return 0;
	}
	return msn_pass(registry_add(out, opts, fresh, wrong));
}

int index_env_open(struct index_env **out, const struct msn_index_opts *opts,
		   const char **wrong)
{
	int rc;

	*wrong = NULL;
	*out = NULL;
	pthread_mutex_lock(&registry_lock);
	rc = registry_open(out, opts, wrong);
	pthread_mutex_unlock(&registry_lock);
	return msn_pass(rc);
}

void index_env_close(struct index_env *env)
{
	struct index_env **at = &registry;

	pthread_mutex_lock(&registry_lock);
	if (--env->refs == 0) {
		while (*at != env)
			at = &(*at)->next;
		*at = env->next;
		env_free(env);
	}
	pthread_mutex_unlock(&registry_lock);
}

/* (2), (3): a size of 0 takes over what the file says. */
static int map_resize(struct index_env *env, bool grow)
{
	MDB_envinfo info;

	msn_write_scope(&env->resize);
	if (!env->mdb)
		return msn_fail(-EIO);
	mdb_env_info(env->mdb, &info);
	return index_rc(
		NULL,
		mdb_env_set_mapsize(env->mdb, grow ? info.me_mapsize * 2 : 0));
}

/* One try.  -EAGAIN: the map was moved or slots were cleared, try again. */
static int tx_begin(struct index_env *env, unsigned flags, struct index_tx *tx)
{
	int dead = 0, rc;

	*tx = (struct index_tx){ .env = env };
	if (msn_fault("index.begin"))
		return msn_fail(-EIO);
	msn_rwlock_read(&env->resize);
	if (!env->mdb) {
		msn_rwlock_unlock(&env->resize);
		return msn_fail(-EIO);
	}
	rc = mdb_txn_begin(env->mdb, NULL, flags, &tx->txn);
	if (rc == MDB_READERS_FULL)
		mdb_reader_check(env->mdb, &dead); /* (6) */
	if (rc == 0)
		return 0;
	msn_rwlock_unlock(&env->resize);
	if (rc == MDB_MAP_RESIZED && map_resize(env, false) == 0)
		return msn_fail(-EAGAIN);
	return index_rc(NULL, rc);
}

static void tx_abort(struct index_tx *tx)
{
	mdb_txn_abort(tx->txn);
	msn_rwlock_unlock(&tx->env->resize);
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

int index_env_read(struct index_env *env, index_body_fn *body, void *arg)
{
	struct index_tx tx;
	int rc = -EAGAIN;

	for (unsigned i = 0; i < RETRY_MAX && rc == -EAGAIN; i++) {
		rc = tx_begin(env, MDB_RDONLY, &tx);
		if (rc)
			continue;
		rc = body(&tx, arg);
		if (tx_overtaken(&tx))
			rc = -EAGAIN;
		tx_abort(&tx);
	}
	return msn_pass(rc);
}

/*
 * (4) Blocks behind the end of the file, which LMDB grows into.  They stay when
 * a transaction did not need them: removing a snapshot always finds some.
 */
static int reserve(struct index_env *env, const struct index_write_opts *opts)
{
	size_t bytes = opts->reserve_bytes;
	mdb_filehandle_t fd;
	struct stat st;
	int rc;

	if (bytes < RESERVE_MIN)
		bytes = RESERVE_MIN;
	msn_read_scope(&env->resize);
	if (!env->mdb)
		return msn_fail(-EIO);
	if (msn_fault("index.reserve"))
		return msn_fail(-ENOSPC);
	rc = mdb_env_get_fd(env->mdb, &fd);
	if (rc)
		return index_rc(NULL, rc);
	if (fstat(fd, &st))
		return msn_fail(-errno);
	do {
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0,
			       st.st_size + (off_t)bytes);
	} while (rc && errno == EINTR);
	if (rc && errno != EOPNOTSUPP)
		return msn_fail(-errno);
	return 0;
}

/* One try.  -EAGAIN: try again. */
static int write_once(struct index_env *env, index_body_fn *body, void *arg)
{
	struct index_tx tx;
	int rc = tx_begin(env, 0, &tx);

	if (rc)
		return msn_pass(rc);
	rc = body(&tx, arg);
	if (rc == 0 && msn_fault("index.commit"))
		rc = msn_fail(-EIO);
	if (rc) {
		tx_abort(&tx);
	} else {
		rc = index_rc(&tx, mdb_txn_commit(tx.txn));
		msn_rwlock_unlock(&env->resize);
		if (rc && !tx.map_full)
			return reopen(env) ? msn_fail(-EIO) : msn_pass(rc);
	}
	if (!tx.map_full)
		return msn_pass(rc);
	rc = map_resize(env, true);
	return rc ? msn_pass(rc) : msn_fail(-EAGAIN);
}

int index_env_write(struct index_env *env, const struct index_write_opts *opts,
		    index_body_fn *body, void *arg)
{
	int rc = reserve(env, opts);

	if (rc && !(rc == -ENOSPC && opts->try_anyway))
		return msn_pass(rc);
	rc = -EAGAIN;
	for (unsigned i = 0; i < RETRY_MAX && rc == -EAGAIN; i++)
		rc = write_once(env, body, arg);
	return msn_pass(rc);
}

int index_env_bytes(struct index_env *env, uint64_t *out)
{
	mdb_filehandle_t fd;
	struct stat st;

	msn_read_scope(&env->resize);
	if (!env->mdb || mdb_env_get_fd(env->mdb, &fd))
		return msn_fail(-EIO);
	if (fstat(fd, &st))
		return msn_fail(-errno);
	*out = (uint64_t)st.st_size;
	return 0;
}

static MDB_val val_of(struct index_bytes b)
{
	return (MDB_val){ .mv_size = b.len, .mv_data = (void *)b.data };
}

static struct index_bytes bytes_of(MDB_val v)
{
	return (struct index_bytes){ v.mv_data, v.mv_size };
}

int index_get(struct index_tx *tx, enum index_table table,
	      struct index_bytes key, struct index_bytes *value)
{
	MDB_val k = val_of(key), v;
	int rc = index_rc(tx, mdb_get(tx->txn, tx->env->dbis[table], &k, &v));

	if (rc == 0)
		*value = bytes_of(v);
	return rc;
}

int index_put(struct index_tx *tx, enum index_table table,
	      struct index_bytes key, const void *value, size_t len)
{
	MDB_val k = val_of(key);
	MDB_val v = { .mv_size = len, .mv_data = (void *)value };

	if (msn_fault("index.put"))
		return msn_fail(-EIO);
	return index_rc(tx, mdb_put(tx->txn, tx->env->dbis[table], &k, &v, 0));
}

int index_del(struct index_tx *tx, enum index_table table,
	      struct index_bytes key)
{
	MDB_val k = val_of(key);

	return index_rc(tx, mdb_del(tx->txn, tx->env->dbis[table], &k, NULL));
}

int index_walk(struct index_tx *tx, enum index_table table,
	       const struct index_bytes *from, index_each_fn *each, void *arg)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = index_rc(
		tx, mdb_cursor_open(tx->txn, tx->env->dbis[table], &cursor));

	if (rc)
		return rc;
	if (from)
		k = val_of(*from);
	rc = index_rc(tx, mdb_cursor_get(cursor, &k, &v,
					 from ? MDB_SET_RANGE : MDB_FIRST));
	while (rc == 0) {
		rc = each(arg, bytes_of(k), bytes_of(v));
		if (rc == 0)
			rc = index_rc(tx,
				      mdb_cursor_get(cursor, &k, &v, MDB_NEXT));
	}
	mdb_cursor_close(cursor);
	return rc == -ENOENT ? 0 : rc;
}
