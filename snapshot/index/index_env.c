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
 *  (7) A file that was cut short is a SIGBUS, broken pages are worse: meta
 * pages are looked at before LMDB maps the file, others before it follows them
 *      (index_look.h).
 *  (8) An empty file becomes a new catalog: refused unless one is to be made.
 *  (9) The table of readers is a mapped file with holes: on a full disk,
 *      filling one is a SIGBUS.  Its blocks are reserved before LMDB maps it.
 * (10) A read-only file system has no lock file: MDB_NOLOCK, and what was read
 *      is thrown away when a writer got two transactions ahead meanwhile.
 */
#include "index/index_env.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "index/index_check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_FILE "data.mdb"
#define LOCK_FILE "lock.mdb"
#define MAP_BYTES_DEFAULT ((size_t)1 << 30) /* of addresses, not of disk */
#define READERS_MAX 510
#define LOCK_FILE_BYTES 65536 /* 510 slots of 64 bytes, and a head */

/* Room in the file for the pages that any transaction rewrites. */
#define RESERVE_MIN ((size_t)1 << 20)

/*
 * (1) A plain mutex, as it must be ready before any code ran and no lock of the
 * program is taken outside it.
 */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct index_env *registry;

int index_rc(int mdb_rc)
{
	switch (mdb_rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
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

/* ---- What is open of the file ------------------------------------------- */

static void unmap_file(struct index_env *env)
{
	if (env->map)
		munmap((void *)env->map, env->map_bytes);
	env->map = NULL;
	env->map_bytes = 0;
}

/*
 * (7) A map of our own, as LMDB does not tell where it has its one.  As large,
 * so that whatever a transaction can speak of is in it.
 */
static int map_file(struct index_env *env)
{
	MDB_envinfo info;
	mdb_filehandle_t fd;
	void *map;
	int rc;

	unmap_file(env);
	rc = index_rc(mdb_env_info(env->mdb, &info));
	if (rc == 0)
		rc = index_rc(mdb_env_get_fd(env->mdb, &fd));
	if (rc)
		return rc;
	map = mmap(NULL, info.me_mapsize, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return msn_fail(-errno);
	env->map = map;
	env->map_bytes = info.me_mapsize;
	return 0;
}

static void close_file(struct index_env *env)
{
	unmap_file(env);
	if (env->mdb)
		mdb_env_close(env->mdb);
	env->mdb = NULL;
	memset(env->dbis, 0, sizeof(env->dbis));
}

/* Those that the file has.  With resize held for writing. */
static int tables_open(struct index_env *env, MDB_txn *txn,
		       const struct index_look *look, const char **wrong)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < INDEX_TABLES; i++) {
		if (look->present[i])
			rc = index_rc(mdb_dbi_open(txn, index_table_names[i], 0,
						   &env->dbis[i]));
		else if (i < INDEX_TABLES_V1)
			rc = -ENOENT;
	}
	if (rc == -ENOENT)
		*wrong = "a table of it is missing";
	return rc == -ENOENT ? msn_fail(-EBADMSG) : rc;
}

int index_env_there(const struct index_env *env, size_t *bytes)
{
	mdb_filehandle_t fd;
	struct stat st;
	int rc = index_rc(mdb_env_get_fd(env->mdb, &fd));

	if (rc)
		return rc;
	if (fstat(fd, &st))
		return msn_fail(-errno);
	*bytes = (size_t)st.st_size < env->map_bytes ? (size_t)st.st_size
						     : env->map_bytes;
	return 0;
}

/*
 * A file that is shorter than its meta page says lacks free pages alone, or was
 * cut.
 */
static int look_once(const struct index_env *env, MDB_txn *txn,
		     struct index_look *look)
{
	size_t there = 0;
	int rc = index_env_there(env, &there);

	if (rc == 0)
		rc = index_look_begin(look, env->map, there, mdb_txn_id(txn));
	if (rc == 0 && look->pages.there < look->pages.count)
		rc = index_check_file(&look->pages, INDEX_CHECK_BRANCHES,
				      &look->wrong);
	return rc;
}

static int tables_find_once(struct index_env *env, const char **wrong)
{
	struct index_look look = { 0 };
	MDB_txn *txn;
	int rc = index_rc(mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn));

	if (rc)
		return rc;
	rc = look_once(env, txn, &look);
	if (rc == -EBADMSG)
		*wrong = look.wrong;
	if (rc == 0 && look.pages.main.root == INDEX_NO_PAGE)
		rc = -ENOENT;
	if (rc == 0)
		rc = tables_open(env, txn, &look, wrong);
	index_look_end(&look);
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return index_rc(mdb_txn_commit(txn));
}

/* -ENOENT: the file has no tables at all, whoever made it did not get there. */
static int tables_find(struct index_env *env, const char **wrong)
{
	int rc = -EAGAIN;

	for (unsigned i = 0; i < INDEX_RETRY_MAX && rc == -EAGAIN; i++)
		rc = tables_find_once(env, wrong);
	return msn_pass(rc);
}

static int tables_create(struct index_env *env)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	int rc;

	if (msn_fault("index.create"))
		return msn_fail(-EIO);
	rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
	if (rc)
		return index_rc(rc);
	for (int i = 0; rc == 0 && i < INDEX_TABLES; i++)
		rc = mdb_dbi_open(txn, index_table_names[i], MDB_CREATE, &dbi);
	if (rc) {
		mdb_txn_abort(txn);
		return index_rc(rc);
	}
	return index_rc(mdb_txn_commit(txn));
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
		return index_rc(rc);
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
	rc = rc ? index_rc(rc) : map_file(env);
	if (rc)
		close_file(env);
	return rc;
}

int index_env_refresh(struct index_env *env, const char **wrong)
{
	msn_write_scope(&env->resize);
	return env->mdb ? msn_pass(tables_find(env, wrong)) : msn_fail(-EIO);
}

int index_env_reopen(struct index_env *env)
{
	const char *wrong = NULL;
	int rc;

	msn_write_scope(&env->resize);
	close_file(env);
	rc = lmdb_open(env, MAP_BYTES_DEFAULT);
	if (rc == 0)
		rc = tables_find(env, &wrong);
	if (rc)
		close_file(env);
	return rc;
}

/* (2), (3): a size of 0 takes over what the file says. */
int index_env_resize(struct index_env *env, bool grow)
{
	MDB_envinfo info;
	int rc;

	msn_write_scope(&env->resize);
	if (!env->mdb)
		return msn_fail(-EIO);
	mdb_env_info(env->mdb, &info);
	rc = index_rc(
		mdb_env_set_mapsize(env->mdb, grow ? info.me_mapsize * 2 : 0));
	if (rc == 0)
		rc = map_file(env);
	if (rc)
		close_file(env); /* there is no map to look at it by */
	return rc;
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
	close_file(env);
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
	for (unsigned i = 0; i < INDEX_RETRY_MAX; i++) {
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
	if (rc == 0)
		rc = tables_find(env, wrong);
	if (rc == -ENOENT && opts->create) {
		rc = tables_create(env);
		if (rc == 0)
			rc = tables_find(env, wrong);
	}
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

static int allocate(int fd, uint64_t from, uint64_t to)
{
	int rc;

	do {
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from,
			       (off_t)(to - from));
	} while (rc && errno == EINTR);
	return rc && errno != EOPNOTSUPP ? -errno : 0;
}

/*
 * (4) Blocks for what is written, holes in the file among it.  What was asked
 * for once is not asked for again, as the file never shrinks, and so some more
 * is asked for if it is there.
 */
int index_env_reserve(struct index_env *env, size_t bytes)
{
	uint64_t from = __atomic_load_n(&env->reserved, __ATOMIC_RELAXED), to;
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
	rc = index_rc(mdb_env_get_fd(env->mdb, &fd));
	if (rc == 0 && fstat(fd, &st))
		rc = msn_fail(-errno);
	if (rc)
		return rc;
	to = (uint64_t)st.st_size + bytes;
	if (to <= from)
		return 0;
	rc = allocate(fd, from, to + RESERVE_MIN);
	if (rc == 0)
		to += RESERVE_MIN;
	else if (rc == -ENOSPC)
		rc = allocate(fd, from, to);
	if (rc)
		return msn_fail(rc);
	__atomic_store_n(&env->reserved, to, __ATOMIC_RELAXED);
	return 0;
}

int index_env_bytes(struct index_env *env, uint64_t *out)
{
	size_t bytes = 0;
	int rc;

	msn_read_scope(&env->resize);
	rc = env->mdb ? index_env_there(env, &bytes) : msn_fail(-EIO);
	*out = bytes;
	return rc;
}
