/*
 * Account: a hash table that only grows, read without a lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing with linear probing, at most half full, of pointers: an
 * account that was prepared stays where it is, so that charging needs neither
 * memory nor a lock.  There are as many as control groups that ever used this
 * process, a cache line each.  A table that is outgrown is kept for whoever
 * still looks at it: what is missing there is looked for again under the lock.
 *
 * Counters are relaxed: each stands for itself and orders nothing.  Pointers
 * are stored with release, after what they point to, and loaded with acquire.
 */
#include "account/account.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ACCOUNT_SLOTS_FIRST = 16 };

/* Two threads that count for two accounts do not share a line. */
#define ACCOUNT_ALIGN 64

struct account {
	msn_account_id id;	/* set once */
	_Atomic uint64_t total; /* of all kinds: what the limit is for */
	_Atomic uint64_t limit;
	_Atomic uint64_t bytes[MSN_ACCOUNT_KINDS];
};

struct slots {
	struct slots *old; /* outgrown; set once */
	size_t count;	   /* a power of two; set once */
	_Atomic(struct account *) slot[];
};

struct msn_account_table {
	_Atomic(struct slots *) slots; /* stored under lock */
	struct msn_mutex lock;
	size_t used; /* under lock */
};

static struct slots *slots_new(size_t count, struct slots *old)
{
	struct slots *s =
		msn_alloc(sizeof(*s) + count * sizeof(struct account *));

	if (s) {
		s->count = count;
		s->old = old;
	}
	return s;
}

int msn_account_table_new(struct msn_account_table **out)
{
	msn_auto(msn_freep) struct msn_account_table *t = msn_alloc(sizeof(*t));
	struct slots *slots;

	if (!t)
		return msn_fail(-ENOMEM);
	slots = slots_new(ACCOUNT_SLOTS_FIRST, NULL);
	if (!slots)
		return msn_fail(-ENOMEM);
	atomic_init(&t->slots, slots);
	msn_mutex_init(&t->lock, MSN_RANK_ACCOUNT);
	*out = msn_steal(t);
	return 0;
}

struct msn_account_table *msn_account_table_free(struct msn_account_table *t)
{
	struct slots *s, *old;

	if (!t)
		return NULL;
	s = atomic_load(&t->slots);
	for (size_t i = 0; i < s->count; i++)
		free(atomic_load(&s->slot[i]));
	for (; s; s = old) {
		old = s->old;
		free(s);
	}
	msn_mutex_deinit(&t->lock);
	free(t);
	return NULL;
}

/* The slot of @id, or the empty one where it belongs. */
static _Atomic(struct account *) *slot_of(struct slots *s, msn_account_id id)
{
	/* The golden ratio spreads ids that count up (Knuth 6.4). */
	size_t at = (id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (s->count - 1);

	for (;;) {
		struct account *a = atomic_load_explicit(&s->slot[at],
							 memory_order_acquire);

		if (!a || a->id == id)
			return &s->slot[at];
		at = (at + 1) & (s->count - 1);
	}
}

static struct account *account_find(struct msn_account_table *t,
				    msn_account_id id)
{
	struct slots *s = atomic_load_explicit(&t->slots, memory_order_acquire);

	return atomic_load_explicit(slot_of(s, id), memory_order_acquire);
}

/* Twice the slots.  Under the lock. */
static int account_table_grow(struct msn_account_table *t)
{
	struct slots *s = atomic_load(&t->slots);
	struct slots *grown = slots_new(2 * s->count, s);

	if (!grown)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < s->count; i++) {
		struct account *a = atomic_load(&s->slot[i]);

		if (a)
			atomic_init(slot_of(grown, a->id), a);
	}
	atomic_store_explicit(&t->slots, grown, memory_order_release);
	return 0;
}

static struct account *account_new(msn_account_id id)
{
	struct account *a =
		msn_alloc_aligned(ACCOUNT_ALIGN, sizeof(struct account));

	if (!a)
		return NULL;
	a->id = id;
	atomic_init(&a->total, 0);
	atomic_init(&a->limit, MSN_ACCOUNT_NO_LIMIT);
	for (int kind = 0; kind < MSN_ACCOUNT_KINDS; kind++)
		atomic_init(&a->bytes[kind], 0);
	return a;
}

/* Finds @id or makes it. */
static int account_take(struct msn_account_table *t, msn_account_id id,
			struct account **out)
{
	msn_auto(msn_freep) struct account *a = NULL;
	int rc;

	*out = account_find(t, id);
	if (*out)
		return 0;
	msn_lock_scope(&t->lock);
	*out = account_find(t, id);
	if (*out)
		return 0;
	if (2 * (t->used + 1) > atomic_load(&t->slots)->count) {
		rc = account_table_grow(t);
		if (rc)
			return msn_pass(rc);
	}
	a = account_new(id);
	if (!a)
		return msn_fail(-ENOMEM);
	*out = a;
	atomic_store_explicit(slot_of(atomic_load(&t->slots), id), msn_steal(a),
			      memory_order_release);
	t->used++;
	return 0;
}

int msn_account_prepare(struct msn_account_table *t, msn_account_id id)
{
	struct account *a;

	return msn_pass(account_take(t, id, &a));
}

int msn_account_set_limit(struct msn_account_table *t, msn_account_id id,
			  uint64_t bytes)
{
	struct account *a;
	int rc = account_take(t, id, &a);

	if (rc)
		return msn_pass(rc);
	atomic_store_explicit(&a->limit, bytes, memory_order_relaxed);
	return 0;
}

static void account_add(struct account *a, enum msn_account_kind kind,
			uint64_t bytes)
{
	uint64_t was = atomic_fetch_add_explicit(&a->bytes[kind], bytes,
						 memory_order_relaxed);

	msn_assert(was <= UINT64_MAX - bytes);
}

int msn_account_try_charge(struct msn_account_table *t, msn_account_id id,
			   enum msn_account_kind kind, uint64_t bytes)
{
	struct account *a;
	uint64_t limit, total;
	int rc = account_take(t, id, &a);

	msn_assert(kind < MSN_ACCOUNT_KINDS);
	if (rc)
		return msn_pass(rc);
	limit = atomic_load_explicit(&a->limit, memory_order_relaxed);
	total = atomic_load_explicit(&a->total, memory_order_relaxed);
	do {
		if (total > limit || bytes > limit - total)
			return msn_fail(-ENOMEM);
	} while (!atomic_compare_exchange_weak_explicit(
		&a->total, &total, total + bytes, memory_order_relaxed,
		memory_order_relaxed));
	account_add(a, kind, bytes);
	return 0;
}

/* An account that was prepared. */
static struct account *account_get(struct msn_account_table *t,
				   msn_account_id id,
				   enum msn_account_kind kind)
{
	struct account *a = account_find(t, id);

	msn_assert(kind < MSN_ACCOUNT_KINDS);
	msn_assert(a);
	return a;
}

void msn_account_charge(struct msn_account_table *t, msn_account_id id,
			enum msn_account_kind kind, uint64_t bytes)
{
	struct account *a = account_get(t, id, kind);

	atomic_fetch_add_explicit(&a->total, bytes, memory_order_relaxed);
	account_add(a, kind, bytes);
}

void msn_account_uncharge(struct msn_account_table *t, msn_account_id id,
			  enum msn_account_kind kind, uint64_t bytes)
{
	struct account *a = account_get(t, id, kind);
	uint64_t was = atomic_fetch_sub_explicit(&a->bytes[kind], bytes,
						 memory_order_relaxed);

	msn_assert(was >= bytes);
	atomic_fetch_sub_explicit(&a->total, bytes, memory_order_relaxed);
}

struct msn_account_usage msn_account_get(struct msn_account_table *t,
					 msn_account_id id)
{
	struct msn_account_usage usage = { 0 };
	struct account *a = account_find(t, id);

	for (int kind = 0; a && kind < MSN_ACCOUNT_KINDS; kind++)
		usage.bytes[kind] = atomic_load_explicit(&a->bytes[kind],
							 memory_order_relaxed);
	return usage;
}
