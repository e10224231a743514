/*
 * Locks that know their place.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A mutex and a reader-writer lock, each made with a rank.  A thread takes
 * locks in ascending rank only; equal ranks only where the rank says so.  The
 * list of ranks below is the lock order of the whole program, outermost first;
 * docs/locking.md says what each one protects.  With MSN_DEBUG_CHECKS every
 * thread keeps the ranks that it holds and an out-of-order lock is an
 * assertion at the line that takes it; without, a lock is a plain pthread one.
 */
#ifndef MSN_BASE_LOCK_H
#define MSN_BASE_LOCK_H

#include "base/cleanup.h"

#include <pthread.h>
#include <stdbool.h>

enum msn_lock_rank {
	MSN_RANK_OPERATIONS = 1, /* the service: operations and their states */
	MSN_RANK_SPACES,	 /* the service: which spaces there are */
	MSN_RANK_SPACE,		 /* the service: one space's labels and gate */
	MSN_RANK_MM_MAPPING,	 /* mm: vmas.  Fork takes parent, then child */
	MSN_RANK_MAPPINGS,	 /* a mappable: who maps it */
	MSN_RANK_MM_ACTIVE,	 /* mm: placements.  Fork: parent, then child */
	MSN_RANK_MAPPABLE_DATA,	 /* a mappable: data and size */
	MSN_RANK_FILE,		 /* a file: page references, loading state */
	MSN_RANK_WINDOW,	 /* windows onto a file */
	MSN_RANK_ACCOUNT,	 /* usage counters */
	MSN_RANK_EVENTS,	 /* the service: events; posts tasks */
	MSN_RANK_CALL,		 /* a call of the service: its queues */
	MSN_RANK_LEAF,		 /* nothing but the log is taken below it */
	MSN_RANK_LOG,		 /* the log: may be written to by anyone */
	MSN_RANKS,
};

struct msn_mutex {
	pthread_mutex_t raw;
	enum msn_lock_rank rank; /* set once */
};

struct msn_rwlock {
	pthread_rwlock_t raw;
	enum msn_lock_rank rank; /* set once */
};

void msn_mutex_init(struct msn_mutex *m, enum msn_lock_rank rank);
void msn_mutex_deinit(struct msn_mutex *m);
void msn_mutex_lock(struct msn_mutex *m);
void msn_mutex_unlock(struct msn_mutex *m);

/* Takes @m if nobody holds it; else false, at once. */
MSN_MUST_CHECK bool msn_mutex_trylock(struct msn_mutex *m);

void msn_rwlock_init(struct msn_rwlock *l, enum msn_lock_rank rank);
void msn_rwlock_deinit(struct msn_rwlock *l);
void msn_rwlock_read(struct msn_rwlock *l);
void msn_rwlock_write(struct msn_rwlock *l);
void msn_rwlock_unlock(struct msn_rwlock *l);

/*
 * Takes the write side of @l although this thread holds a lock of the same
 * rank: only for fork, which holds the parent's first.
 */
void msn_rwlock_write_nested(struct msn_rwlock *l);

static inline void msn_mutex_unlockp(struct msn_mutex **m)
{
	msn_mutex_unlock(*m);
}

static inline void msn_rwlock_unlockp(struct msn_rwlock **l)
{
	msn_rwlock_unlock(*l);
}

#define MSN_SCOPE_NAME_(a, line) a##line
#define MSN_SCOPE_NAME(a, line) MSN_SCOPE_NAME_(a, line)
/* clang does not count the cleanup as a use. */
#define MSN_SCOPE_UNUSED __attribute__((unused))

/* Holds a mutex until the end of the scope. */
#define msn_lock_scope(m)                                                      \
	msn_auto(msn_mutex_unlockp) MSN_SCOPE_UNUSED struct msn_mutex *        \
	MSN_SCOPE_NAME(held_, __LINE__) = (msn_mutex_lock(m), (m))

/* Hold one side of a reader-writer lock until the end of the scope. */
#define msn_read_scope(l)                                                      \
	msn_auto(msn_rwlock_unlockp) MSN_SCOPE_UNUSED struct msn_rwlock *      \
	MSN_SCOPE_NAME(held_, __LINE__) = (msn_rwlock_read(l), (l))
#define msn_write_scope(l)                                                     \
	msn_auto(msn_rwlock_unlockp) MSN_SCOPE_UNUSED struct msn_rwlock *      \
	MSN_SCOPE_NAME(held_, __LINE__) = (msn_rwlock_write(l), (l))

#endif /* MSN_BASE_LOCK_H */
