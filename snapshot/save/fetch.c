/*
 * Fetch: a ring of batches between two threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    free ---open---> filling ---start---> started ---thread---> read
 *      ^                                                          |
 *      '------------------ release <--- taken <------take---------'
 */
#include "save/fetch.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum state { FREE, FILLING, STARTED, READ, TAKEN };

struct slot {
	struct msn_fetch_batch batch;
	enum state state; /* under lock */
};

struct msn_fetch {
	struct slot slots[MSN_FETCH_BATCHES];
	size_t next_open, next_take; /* of the maker's thread */
	pthread_t thread;
	bool threaded; /* set once */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ending; /* under lock */
};

static void read_batch(struct msn_fetch_batch *b)
{
	b->rc = msn_file_buffer_read_batch(b->file, b->io, b->count);
}

static void *run(void *arg)
{
	struct msn_fetch *f = arg;

	for (size_t i = 0;; i = (i + 1) % MSN_FETCH_BATCHES) {
		struct slot *s = &f->slots[i];
		bool started;

		pthread_mutex_lock(&f->lock);
		while (s->state != STARTED && !f->ending)
			pthread_cond_wait(&f->changed, &f->lock);
		started = s->state == STARTED;
		pthread_mutex_unlock(&f->lock);
		if (!started)
			return NULL;
		read_batch(&s->batch);
		pthread_mutex_lock(&f->lock);
		s->state = READ;
		pthread_cond_broadcast(&f->changed);
		pthread_mutex_unlock(&f->lock);
	}
}

static void set_state(struct msn_fetch *f, struct slot *s, enum state state)
{
	pthread_mutex_lock(&f->lock);
	s->state = state;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

int msn_fetch_new(struct msn_fetch **out)
{
	msn_auto(msn_fetch_freep) struct msn_fetch *f = msn_alloc(sizeof(*f));

	if (!f)
		return msn_fail(-ENOMEM);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	for (size_t i = 0; i < MSN_FETCH_BATCHES; i++) {
		f->slots[i].batch.buf =
			msn_alloc_aligned(4096, MSN_FETCH_BYTES);
		if (!f->slots[i].batch.buf)
			return msn_fail(-ENOMEM);
	}
	f->threaded = pthread_create(&f->thread, NULL, run, f) == 0;
	*out = msn_steal(f);
	return 0;
}

struct msn_fetch *msn_fetch_free(struct msn_fetch *f)
{
	if (!f)
		return NULL;
	if (f->threaded) {
		pthread_mutex_lock(&f->lock);
		f->ending = true;
		pthread_cond_broadcast(&f->changed);
		pthread_mutex_unlock(&f->lock);
		pthread_join(f->thread, NULL);
	}
	for (size_t i = 0; i < MSN_FETCH_BATCHES; i++)
		free(f->slots[i].batch.buf);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->changed);
	free(f);
	return NULL;
}

struct msn_fetch_batch *msn_fetch_open(struct msn_fetch *f)
{
	struct slot *s = &f->slots[f->next_open];
	bool free_now;

	pthread_mutex_lock(&f->lock);
	free_now = s->state == FREE;
	if (free_now)
		s->state = FILLING;
	pthread_mutex_unlock(&f->lock);
	if (!free_now)
		return NULL;
	f->next_open = (f->next_open + 1) % MSN_FETCH_BATCHES;
	s->batch.count = 0;
	s->batch.used = 0;
	return &s->batch;
}

void msn_fetch_start(struct msn_fetch *f, struct msn_fetch_batch *b)
{
	struct slot *s = msn_container_of(b, struct slot, batch);

	msn_assert(b->count > 0);
	if (!f->threaded)
		read_batch(b);
	set_state(f, s, f->threaded ? STARTED : READ);
}

struct msn_fetch_batch *msn_fetch_take(struct msn_fetch *f)
{
	struct slot *s = &f->slots[f->next_take];

	pthread_mutex_lock(&f->lock);
	while (s->state == STARTED)
		pthread_cond_wait(&f->changed, &f->lock);
	if (s->state != READ)
		s = NULL;
	else
		s->state = TAKEN;
	pthread_mutex_unlock(&f->lock);
	if (!s)
		return NULL;
	f->next_take = (f->next_take + 1) % MSN_FETCH_BATCHES;
	return &s->batch;
}

void msn_fetch_release(struct msn_fetch *f, struct msn_fetch_batch *b)
{
	set_state(f, msn_container_of(b, struct slot, batch), FREE);
}
