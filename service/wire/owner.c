/*
 * Owners: a small hash table.  See owner.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/owner.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "loop/timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

/* Owners of whom nothing is left are looked for when there are so many more. */
#define SWEEP_EVERY 64

void owners_init(struct owners *all, size_t budget_limit,
		 struct msn_workers *workers)
{
	*all = (struct owners){ .budget.limit = budget_limit,
				.workers = workers };
}

void owners_deinit(struct owners *all)
{
	for (size_t i = 0; i < OWNER_BUCKETS; i++)
		while (all->buckets[i]) {
			struct owner *o = all->buckets[i];

			all->buckets[i] = o->next;
			owner_unref(o);
		}
}

/* FNV-1a. */
static size_t bucket_of(const char *name)
{
	uint32_t h = 2166136261U;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619U;
	return h % OWNER_BUCKETS;
}

static bool is_gone(const struct owner *o, uint64_t now)
{
	return o->connections == 0 && o->calls == 0 && o->full_at <= now &&
	       atomic_load(&o->refs) == 1;
}

static void sweep(struct owners *all)
{
	uint64_t now = msn_clock_ns();

	for (size_t i = 0; i < OWNER_BUCKETS; i++) {
		struct owner **at = &all->buckets[i];

		while (*at) {
			struct owner *o = *at;

			if (!is_gone(o, now)) {
				at = &o->next;
				continue;
			}
			*at = o->next;
			all->count--;
			owner_unref(o);
		}
	}
	all->swept_count = all->count;
}

static struct owner *owner_new(struct owners *all, const char *name)
{
	size_t len = strlen(name) + 1;
	struct owner *o = msn_alloc(sizeof(*o) + len);

	if (!o)
		return NULL;
	atomic_init(&o->refs, 1);
	o->budget.limit = all->budget.limit / 2;
	o->budget.of_all = &all->budget;
	ring_init(&o->waiting);
	o->workers = all->workers;
	msn_mutex_init(&o->lock, MSN_RANK_LEAF);
	memcpy(o->name, name, len);
	return o;
}

int owners_get(struct owner **out, struct owners *all, const char *name)
{
	struct owner **bucket = &all->buckets[bucket_of(name)], *o;

	for (o = *bucket; o; o = o->next)
		if (strcmp(o->name, name) == 0) {
			*out = owner_ref(o);
			return 0;
		}
	if (all->count >= all->swept_count + SWEEP_EVERY)
		sweep(all);
	o = owner_new(all, name);
	if (!o)
		return msn_fail(-ENOMEM);
	o->next = *bucket;
	*bucket = o;
	all->count++;
	*out = owner_ref(o);
	return 0;
}

struct owner *owner_ref(struct owner *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

struct owner *owner_unref(struct owner *o)
{
	if (!o ||
	    atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	msn_mutex_deinit(&o->lock);
	free(o);
	return NULL;
}

/* ---- descriptors that nobody took ---------------------------------------- */

struct owner_fds {
	struct owner_fds *next;
	int *fds; /* owned */
	size_t count;
};

static void close_now(struct owner *o, int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		msn_close(fds[i]);
		atomic_fetch_sub(&o->fds, 1);
	}
	free(fds);
}

static struct owner_fds *next_to_close(struct owner *o)
{
	struct owner_fds *next;

	msn_lock_scope(&o->lock);
	next = o->to_close;
	if (next)
		o->to_close = next->next;
	else
		o->closes = false;
	return next;
}

static void closing_run(struct msn_task *task)
{
	struct owner *o = msn_container_of(task, struct owner, closing);
	struct owner_fds *f;

	while ((f = next_to_close(o))) {
		close_now(o, f->fds, f->count);
		free(f);
	}
	owner_unref(o);
}

/* True: it is for the caller to see to it that they are closed. */
static bool put_to_close(struct owner *o, struct owner_fds *f)
{
	bool first;

	msn_lock_scope(&o->lock);
	f->next = o->to_close;
	o->to_close = f;
	first = !o->closes;
	o->closes = true;
	return first;
}

void owner_close_fds(struct owner *o, int *fds, size_t count)
{
	struct owner_fds *f = count ? msn_alloc(sizeof(*f)) : NULL;

	if (!f) { /* without memory on the spot */
		close_now(o, fds, count);
		return;
	}
	*f = (struct owner_fds){ .fds = fds, .count = count };
	if (!put_to_close(o, f))
		return;
	o->closing.run = closing_run;
	owner_ref(o);
	if (msn_workers_submit(o->workers, &o->closing))
		closing_run(&o->closing);
}

/* ---- calls a second ------------------------------------------------------ */

/*
 * A bucket of tokens that is kept as the moment at which it will be full: each
 * call moves that moment by its share of a second, and none is left when it is
 * a second away.
 */
unsigned owner_take_call(struct owner *o, unsigned per_second, uint64_t now)
{
	uint64_t step;

	if (per_second == 0)
		return 0;
	step = SECOND / per_second;
	if (o->full_at < now)
		o->full_at = now;
	if (o->full_at + step > now + SECOND)
		return (unsigned)((o->full_at + step - now - SECOND) /
				  1000000) +
		       1;
	o->full_at += step;
	return 0;
}
