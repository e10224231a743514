/*
 * Account: a hash table that only grows.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing with linear probing, at most half full.  An account that was
 * prepared stays, so that charging never needs memory; there are as many as
 * control groups that ever used this process, a few bytes each.
 */
#include "account/account.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/lock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum { ACCOUNT_SLOTS_FIRST = 16 };

struct account {
	bool used;
	msn_account_id id;
	struct msn_account_usage usage;
};

struct msn_account_table {
	struct msn_mutex lock;
	struct account *slot; /* under lock; @slots is a power of two */
	size_t slots, used;   /* under lock */
};

int msn_account_table_new(struct msn_account_table **out)
{
	msn_auto(msn_freep) struct msn_account_table *t = NULL;

	t = msn_alloc(sizeof(*t));
	if (!t)
		return msn_fail(-ENOMEM);
	t->slots = ACCOUNT_SLOTS_FIRST;
	t->slot = msn_alloc_array(t->slots, sizeof(*t->slot));
	if (!t->slot)
		return msn_fail(-ENOMEM);
	msn_mutex_init(&t->lock, MSN_RANK_ACCOUNT);
	*out = msn_steal(t);
	return 0;
}

struct msn_account_table *msn_account_table_free(struct msn_account_table *t)
{
	if (t) {
		msn_mutex_deinit(&t->lock);
		free(t->slot);
		free(t);
	}
	return NULL;
}

/* The slot of @id, or the free one where it belongs. */
static struct account *account_find(struct account *slot, size_t slots,
				    msn_account_id id)
{
	/* The golden ratio spreads ids that count up (Knuth 6.4). */
	size_t at = (id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (slots - 1);

	while (slot[at].used && slot[at].id != id)
		at = (at + 1) & (slots - 1);
	return &slot[at];
}

static int account_table_grow(struct msn_account_table *t)
{
	size_t slots = t->slots * 2;
	struct account *grown = msn_alloc_array(slots, sizeof(*grown));

	if (!grown)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < t->slots; i++)
		if (t->slot[i].used)
			*account_find(grown, slots, t->slot[i].id) = t->slot[i];
	free(t->slot);
	t->slot = grown;
	t->slots = slots;
	return 0;
}

int msn_account_prepare(struct msn_account_table *t, msn_account_id id)
{
	msn_lock_scope(&t->lock);
	struct account *a = account_find(t->slot, t->slots, id);
	int rc;

	if (a->used)
		return 0;
	if (2 * (t->used + 1) > t->slots) {
		rc = account_table_grow(t);
		if (rc)
			return msn_pass(rc);
		a = account_find(t->slot, t->slots, id);
	}
	*a = (struct account){ .used = true, .id = id };
	t->used++;
	return 0;
}

/* The counter of an account that was prepared. */
static uint64_t *account_bytes(struct msn_account_table *t, msn_account_id id,
			       enum msn_account_kind kind)
{
	struct account *a = account_find(t->slot, t->slots, id);

	msn_assert(kind < MSN_ACCOUNT_KINDS);
	msn_assert(a->used);
	return &a->usage.bytes[kind];
}

void msn_account_charge(struct msn_account_table *t, msn_account_id id,
			enum msn_account_kind kind, uint64_t bytes)
{
	msn_lock_scope(&t->lock);
	uint64_t *sum = account_bytes(t, id, kind);

	msn_assert(*sum <= UINT64_MAX - bytes);
	*sum += bytes;
}

void msn_account_uncharge(struct msn_account_table *t, msn_account_id id,
			  enum msn_account_kind kind, uint64_t bytes)
{
	msn_lock_scope(&t->lock);
	uint64_t *sum = account_bytes(t, id, kind);

	msn_assert(*sum >= bytes);
	*sum -= bytes;
}

struct msn_account_usage msn_account_get(struct msn_account_table *t,
					 msn_account_id id)
{
	msn_lock_scope(&t->lock);

	return account_find(t->slot, t->slots, id)->usage;
}
