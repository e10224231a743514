/*
 * Ranked locks.  In debug builds each thread counts how many locks of each
 * rank it holds; taking a lower one, or a second of the same, is a broken
 * promise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/lock.h"

#include "base/assert.h"

#ifdef MSN_DEBUG_CHECKS
static _Thread_local unsigned held[MSN_RANKS];

static void note_taken(enum msn_lock_rank rank, bool nested)
{
	for (int r = (int)rank + (nested ? 1 : 0); r < MSN_RANKS; r++)
		if (held[r])
			msn_assert_failed("lock taken out of order", __func__,
					  __FILE__, __LINE__);
	held[rank]++;
}

static void note_dropped(enum msn_lock_rank rank)
{
	msn_assert(held[rank] > 0);
	held[rank]--;
}
#else
static void note_taken(enum msn_lock_rank rank, bool nested)
{
	(void)rank;
	(void)nested;
}

static void note_dropped(enum msn_lock_rank rank)
{
	(void)rank;
}
#endif

void msn_mutex_init(struct msn_mutex *m, enum msn_lock_rank rank)
{
	m->rank = rank;
	pthread_mutex_init(&m->raw, NULL);
}

void msn_mutex_deinit(struct msn_mutex *m)
{
	pthread_mutex_destroy(&m->raw);
}

void msn_mutex_lock(struct msn_mutex *m)
{
	note_taken(m->rank, false);
	msn_assert(pthread_mutex_lock(&m->raw) == 0);
}

void msn_mutex_unlock(struct msn_mutex *m)
{
	note_dropped(m->rank);
	pthread_mutex_unlock(&m->raw);
}

bool msn_mutex_trylock(struct msn_mutex *m)
{
	if (pthread_mutex_trylock(&m->raw) != 0)
		return false;
	note_taken(m->rank, false);
	return true;
}

void msn_rwlock_init(struct msn_rwlock *l, enum msn_lock_rank rank)
{
	l->rank = rank;
	pthread_rwlock_init(&l->raw, NULL);
}

void msn_rwlock_deinit(struct msn_rwlock *l)
{
	pthread_rwlock_destroy(&l->raw);
}

void msn_rwlock_read(struct msn_rwlock *l)
{
	note_taken(l->rank, false);
	msn_assert(pthread_rwlock_rdlock(&l->raw) == 0);
}

void msn_rwlock_write(struct msn_rwlock *l)
{
	note_taken(l->rank, false);
	msn_assert(pthread_rwlock_wrlock(&l->raw) == 0);
}

void msn_rwlock_write_nested(struct msn_rwlock *l)
{
	note_taken(l->rank, true);
	msn_assert(pthread_rwlock_wrlock(&l->raw) == 0);
}

void msn_rwlock_unlock(struct msn_rwlock *l)
{
	note_dropped(l->rank);
	pthread_rwlock_unlock(&l->raw);
}
