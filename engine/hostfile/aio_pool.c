/*
 * Aios that buffered reads of all host files borrow.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An aio belongs to one thread at a time: a read takes one that is idle, or
 * makes one, and gives it back.  So no lock is held while bytes move, and as
 * many threads as read at once are served at once.
 */
#include "hostfile/hostfile_internal.h"

#include "base/limits.h"

#include <unistd.h>

/* More threads than this that read large ranges at once make their own. */
#define IDLE_MAX 8

static struct {
	struct msn_mutex lock;
	struct msn_aio *idle[IDLE_MAX]; /* under lock */
	unsigned count;			/* under lock */
	pid_t owner;			/* under lock: whose they are */
} pool = { .lock = { PTHREAD_MUTEX_INITIALIZER, MSN_RANK_LEAF } };

/* A forked child may not use its parent's: they become the caller's. */
static struct msn_aio *take_idle(bool *foreign)
{
	pid_t self = getpid();

	msn_lock_scope(&pool.lock);
	*foreign = pool.owner != self;
	if (pool.count > 0)
		return pool.idle[--pool.count];
	pool.owner = self;
	*foreign = false;
	return NULL;
}

struct msn_aio *msn_hostfile_aio_take(void)
{
	struct msn_aio *aio;
	bool foreign;
	int rc;

	for (aio = take_idle(&foreign); aio && foreign;
	     aio = take_idle(&foreign))
		msn_aio_free(aio);
	if (aio)
		return aio;
	rc = msn_aio_new(&aio,
			 &(struct msn_aio_opts){ .method = MSN_AIO_AUTO,
						 .depth = MSN_HOSTFILE_DEPTH });
	return rc ? NULL : aio;
}

void msn_hostfile_aio_give(struct msn_aio *aio)
{
	{
		msn_lock_scope(&pool.lock);
		if (pool.owner == getpid() && pool.count < IDLE_MAX) {
			pool.idle[pool.count++] = aio;
			return;
		}
	}
	msn_aio_free(aio);
}

void msn_hostfile_aio_clear(void)
{
	struct msn_aio *aio;
	bool foreign;

	for (aio = take_idle(&foreign); aio; aio = take_idle(&foreign))
		msn_aio_free(aio);
}
