/*
 * The LMDB environment behind an index.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * LMDB wants a file open once in a process: closing a second one would drop the
 * locks of the first.  So environments are kept in a list by the file's inode
 * and shared; the last close closes.
 *
 * Locks: a transaction holds the environment's resize lock for reading; moving
 * the map and opening tables take it for writing.
 */
#ifndef MSN_INDEX_INDEX_ENV_H
#define MSN_INDEX_INDEX_ENV_H

#include "base/lock.h"
#include "index/index.h"
#include "index/index_look.h"

#include <lmdb.h>
#include <sys/types.h>

/* Times that what another process got in the way of is tried again. */
#define INDEX_RETRY_MAX 20

struct index_env {
	struct index_env *next; /* under the list's lock */
	unsigned refs;		/* under the list's lock */
	dev_t dev;		/* set once */
	ino_t ino;		/* set once */
	char *dir;		/* set once */
	bool no_lock;		/* set once; and read only */
	struct msn_rwlock resize;
	MDB_env *mdb;		    /* under resize */
	const uint8_t *map;	    /* under resize: the file, to look at */
	size_t map_bytes;	    /* under resize */
	MDB_dbi dbis[INDEX_TABLES]; /* under resize; 0: not there */
	bool free_known;   /* atomic: no free page is in use, who writes saw */
	uint64_t reserved; /* atomic: bytes of the file that have blocks */
};

/*
 * -ENOENT: there is no catalog.  -EBADMSG: *@wrong says what is broken in it,
 * unless it is NULL.
 */
int index_env_open(struct index_env **out, const struct msn_index_opts *opts,
		   const char **wrong);
void index_env_close(struct index_env *env);

/* Of the file and of the map; with the resize lock held. */
int index_env_there(const struct index_env *env, size_t *bytes);

/* All below: no transaction of this thread is open. */

/* Opens tables that were made since. */
int index_env_refresh(struct index_env *env, const char **wrong);

/* Makes the map larger, or (!@grow) as large as another process made it. */
int index_env_resize(struct index_env *env, bool grow);

/* After a commit that failed in the middle nothing else works. */
int index_env_reopen(struct index_env *env);

/*
 * Makes sure that the disk has room for @bytes more behind the end of the file.
 * What is not used stays reserved.
 */
int index_env_reserve(struct index_env *env, size_t bytes);

int index_env_bytes(struct index_env *env, uint64_t *out);

/* LMDB's return code as a negated errno; MDB_NOTFOUND is -ENOENT. */
int index_rc(int mdb_rc);

#endif /* MSN_INDEX_INDEX_ENV_H */
