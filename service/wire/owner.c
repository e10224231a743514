/*
 * Owners: a small hash table.  See owner.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/owner.h"

#include "base/alloc.h"
#include "base/error.h"
#include "loop/timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

/* Owners of whom nothing is left are looked for when there are so many more. */
#define SWEEP_EVERY 64

void owners_init(struct owners *all, size_t budget_limit)
{
	*all = (struct owners){ .budget.limit = budget_limit };
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
	if (o &&
	    atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
		free(o);
	return NULL;
}

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
