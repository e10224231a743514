/*
 * Release: waste -> releasing -> free.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A batch takes a few runs of waste out of one arena, punches their holes with
 * no lock held, and sets them free.  Batches are flown by the releaser's
 * thread, by who drops references while there is too much waste, and by who
 * drains; they do not mind each other.
 *
 * The thread sleeps while there is no waste.  When some appears it waits a
 * little, so that runs grow together and what is wanted again soon is recycled,
 * then flies batches until nothing is left.
 *
 * fork() copies locks in whatever state they are in, but not the thread that
 * would open them.  The thread therefore takes locks only inside the gate,
 * which fork() waits for; a child finds every lock of the arenas open and never
 * touches the releaser's own.
 */
#include "memfile/memfile_internal.h"

#include "base/assert.h"
#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* Runs of waste a batch. */
#define BATCH_RUNS 64

/* How long waste is left for recycling, unless it becomes much. */
#define DELAY_NS 50000000L

/* Much: half of what one system call gives back. */
#define URGENT_BYTES (MSN_PUNCH_BYTES_MAX / 2)

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint forks; /* of this process and its ancestors */

static void before_fork(void)
{
	pthread_mutex_lock(&gate);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&gate);
}

static void after_fork_in_child(void)
{
	atomic_fetch_add(&forks, 1);
	pthread_mutex_unlock(&gate);
}

static void watch_forks(void)
{
	msn_assert(pthread_atfork(before_fork, after_fork_in_parent,
				  after_fork_in_child) == 0);
}

bool msn_memfile_is_forked(const struct msn_memfile *mf)
{
	return atomic_load_explicit(&forks, memory_order_relaxed) !=
	       mf->releaser.forks;
}

void msn_releaser_init(struct msn_memfile *mf, bool wanted)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct msn_releaser *rel = &mf->releaser;
	pthread_condattr_t attr;

	pthread_once(&once, watch_forks);
	rel->wanted = wanted;
	rel->forks = atomic_load(&forks);
	msn_mutex_init(&rel->lock, MSN_RANK_LEAF);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rel->wake, &attr);
	pthread_cond_init(&rel->idle, &attr);
	pthread_condattr_destroy(&attr);
}

/* ---- batches ------------------------------------------------------------- */

struct batch {
	struct msn_arena *arena;
	struct msn_file_range run[BATCH_RUNS];
	size_t count;
};

/*
 * waste -> releasing, as far as there are nodes for it.  Without any, the first
 * run is released on the spot.
 */
static void batch_load(struct msn_memfile *mf, struct batch *b)
{
	static const struct msn_page_refs releasing;
	struct msn_arena *a = b->arena;
	struct msn_seg s;

	msn_lock_scope(&a->lock);
	s = msn_waste_set_first(&a->waste);
	while (msn_seg_ok(s) && b->count < BATCH_RUNS) {
		struct msn_file_range r = msn_waste_set_range(s);
		int rc = msn_refs_set_insert_unmerged(&a->refs, r, &releasing,
						      NULL);

		if (rc && b->count > 0)
			break;
		s = msn_waste_set_remove(&a->waste, s);
		if (rc) {
			msn_memfile_punch(mf, r);
			break;
		}
		b->run[b->count++] = r;
		a->releasing_bytes += msn_file_range_length(r);
	}
	msn_arena_settle(mf, a);
}

/* releasing -> free. */
static void batch_finish(struct msn_memfile *mf, struct batch *b)
{
	struct msn_arena *a = b->arena;

	msn_lock_scope(&a->lock);
	for (size_t i = 0; i < b->count; i++) {
		struct msn_seg s = msn_refs_set_find(&a->refs, b->run[i].start);

		msn_assert(msn_seg_ok(s) &&
			   msn_refs_set_value(&a->refs, s)->refs == 0);
		msn_refs_set_remove(&a->refs, s);
		a->releasing_bytes -= msn_file_range_length(b->run[i]);
	}
	msn_arena_settle(mf, a);
}

/* Flies one batch out of @a. */
static void batch_fly(struct msn_memfile *mf, struct msn_arena *a)
{
	struct msn_releaser *rel = &mf->releaser;
	struct batch b = { .arena = a };

	pthread_mutex_lock(&gate);
	msn_mutex_lock(&rel->lock);
	rel->flights++;
	msn_mutex_unlock(&rel->lock);
	batch_load(mf, &b);
	pthread_mutex_unlock(&gate);
	for (size_t i = 0; i < b.count; i++)
		msn_memfile_punch(mf, b.run[i]);
	pthread_mutex_lock(&gate);
	batch_finish(mf, &b);
	msn_mutex_lock(&rel->lock);
	if (--rel->flights == 0)
		pthread_cond_broadcast(&rel->idle);
	msn_mutex_unlock(&rel->lock);
	pthread_mutex_unlock(&gate);
}

/* Releases one batch of any arena.  False when there was no waste. */
static bool release_some(struct msn_memfile *mf)
{
	unsigned count = atomic_load(&mf->arena_count);

	for (unsigned nr = 0; nr < count; nr++) {
		struct msn_arena *a = msn_arena_nr(mf, nr);

		if (atomic_load_explicit(&a->waste_bytes,
					 memory_order_relaxed) == 0)
			continue;
		batch_fly(mf, a);
		return true;
	}
	return false;
}

/* ---- the thread ---------------------------------------------------------- */

/* Waits until there is work.  False: the end. */
static bool wait_for_waste(struct msn_memfile *mf)
{
	struct msn_releaser *rel = &mf->releaser;

	while (!atomic_load(&rel->stop) && !atomic_load(&mf->waste_bytes)) {
		atomic_store(&rel->awake, false);
		if (!atomic_load(&mf->waste_bytes))
			pthread_cond_wait(&rel->wake, &rel->lock.raw);
		atomic_store(&rel->awake, true);
	}
	return !atomic_load(&rel->stop);
}

/* Leaves waste to be recycled for a while. */
static void wait_for_more(struct msn_memfile *mf)
{
	struct msn_releaser *rel = &mf->releaser;
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += DELAY_NS;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (rc == 0 && !atomic_load(&rel->stop) &&
	       atomic_load(&mf->waste_bytes) < URGENT_BYTES)
		rc = pthread_cond_timedwait(&rel->wake, &rel->lock.raw, &until);
}

static void *releaser_run(void *arg)
{
	struct msn_memfile *mf = arg;
	struct msn_releaser *rel = &mf->releaser;

	for (;;) {
		bool go;

		msn_mutex_lock(&rel->lock);
		go = wait_for_waste(mf);
		if (go)
			wait_for_more(mf);
		msn_mutex_unlock(&rel->lock);
		if (!go)
			return NULL;
		while (!atomic_load(&rel->stop) && release_some(mf))
			;
	}
}

/* Starts the thread, deaf to signals, unless it runs.  Under the lock. */
static bool releaser_start(struct msn_memfile *mf)
{
	struct msn_releaser *rel = &mf->releaser;
	sigset_t all, old;
	int rc;

	if (rel->started)
		return true;
	if (msn_fault("memfile.releaser"))
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&rel->thread, NULL, releaser_run, mf);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return false;
	pthread_setname_np(rel->thread, "msn-releaser");
	rel->started = true;
	return true;
}

/* Sees to it that the thread knows.  False when there is none. */
static bool releaser_wake(struct msn_memfile *mf)
{
	struct msn_releaser *rel = &mf->releaser;

	msn_lock_scope(&rel->lock);
	if (!releaser_start(mf))
		return false;
	atomic_store(&rel->awake, true);
	pthread_cond_signal(&rel->wake);
	return true;
}

void msn_releaser_deinit(struct msn_memfile *mf)
{
	struct msn_releaser *rel = &mf->releaser;

	if (msn_memfile_is_forked(mf))
		return; /* neither the thread nor its locks are ours */
	if (rel->started) {
		msn_mutex_lock(&rel->lock);
		atomic_store(&rel->stop, true);
		pthread_cond_signal(&rel->wake);
		msn_mutex_unlock(&rel->lock);
		pthread_join(rel->thread, NULL);
	}
	msn_assert(rel->flights == 0);
	pthread_cond_destroy(&rel->wake);
	pthread_cond_destroy(&rel->idle);
	msn_mutex_deinit(&rel->lock);
}

/* ---- for everybody ------------------------------------------------------- */

void msn_memfile_wasted(struct msn_memfile *mf, uint64_t added)
{
	struct msn_releaser *rel = &mf->releaser;
	uint64_t waste = atomic_load(&mf->waste_bytes);
	uint64_t most = MSN_WASTE_BYTES_KEPT;

	if (msn_memfile_is_forked(mf))
		return;
	if (rel->wanted) {
		bool urgent = waste >= URGENT_BYTES &&
			      (added > waste || waste - added < URGENT_BYTES);

		if ((!urgent && atomic_load(&rel->awake)) || releaser_wake(mf))
			most = MSN_WASTE_BYTES_MAX;
	}
	if (waste <= most)
		return;
	/* Down to half, so that the next one has room. */
	while (atomic_load(&mf->waste_bytes) > most / 2 && release_some(mf))
		;
}

void msn_memfile_drain(struct msn_memfile *mf)
{
	struct msn_releaser *rel = &mf->releaser;

	if (msn_memfile_is_forked(mf))
		return;
	while (release_some(mf))
		;
	msn_lock_scope(&rel->lock);
	while (rel->flights > 0)
		pthread_cond_wait(&rel->idle, &rel->lock.raw);
}
