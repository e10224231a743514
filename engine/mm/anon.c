/*
 * Anon: chains, counted.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A chain never changes once it is made, so mappings that were cut from one
 * share it.  An anon lives as long as a chain has it; since every chain has all
 * ancestors, a parent always outlives its children.
 */
#include "mm/anon.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What the forks of one mapping have in common. */
struct family {
	struct msn_mutex lock;
	atomic_uint refs; /* anons */
};

struct anon {
	struct family *family; /* set once; a reference */
	struct anon *parent;   /* set once; the root's is itself */
	unsigned children;     /* the root counts itself; under family->lock */
	unsigned active; /* mappings whose own it is; under family->lock */
	unsigned chains; /* that have it; under family->lock */
};

struct msn_anon_chain {
	unsigned refs;	     /* mappings; under the family's lock */
	size_t count;	     /* set once */
	struct anon *own;    /* set once */
	struct anon *anon[]; /* set once; oldest first */
};

static void family_unref(struct family *f)
{
	/* Acquire-release: the last owner frees after all others are done. */
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
		return;
	msn_mutex_deinit(&f->lock);
	free(f);
}

static struct family *family_new(void)
{
	struct family *f = msn_alloc(sizeof(*f));

	if (!f)
		return NULL;
	msn_mutex_init(&f->lock, MSN_RANK_LEAF);
	atomic_init(&f->refs, 1);
	return f;
}

static struct msn_anon_chain *chain_alloc(size_t count)
{
	struct msn_anon_chain *c =
		msn_alloc(sizeof(*c) + count * sizeof(c->anon[0]));

	if (!c)
		return NULL;
	c->refs = 1;
	c->count = count;
	return c;
}

int msn_anon_chain_new(struct msn_anon_chain **out)
{
	msn_auto(msn_freep) struct msn_anon_chain *c = chain_alloc(1);
	msn_auto(msn_freep) struct anon *a = msn_alloc(sizeof(*a));
	struct family *f;

	if (!c || !a)
		return msn_fail(-ENOMEM);
	f = family_new();
	if (!f)
		return msn_fail(-ENOMEM);
	*a = (struct anon){
		.family = f,
		.parent = a,
		.children = 1,
		.active = 1,
		.chains = 1,
	};
	c->own = c->anon[0] = msn_steal(a);
	*out = msn_steal(c);
	return 0;
}

struct msn_anon_chain *msn_anon_chain_ref(struct msn_anon_chain *c)
{
	if (c) {
		msn_lock_scope(&c->own->family->lock);
		c->refs++;
		c->own->active++;
	}
	return c;
}

/*
 * Takes @c out of its anons; *@count of them, in @dead, have no chain left.
 * @dead may be the list that is walked: it never gets ahead.
 */
static void chain_leave(struct msn_anon_chain *c, struct anon **dead,
			size_t *count)
{
	for (size_t i = 0; i < c->count; i++) {
		struct anon *a = c->anon[i];

		if (--a->chains > 0)
			continue;
		a->parent->children--;
		dead[(*count)++] = a;
	}
}

void msn_anon_chain_unref(struct msn_anon_chain *c)
{
	size_t dead = 0;

	if (!c)
		return;
	{
		msn_lock_scope(&c->own->family->lock);
		c->own->active--;
		if (--c->refs > 0)
			return;
		chain_leave(c, c->anon, &dead);
	}
	for (size_t i = 0; i < dead; i++) {
		family_unref(c->anon[i]->family);
		free(c->anon[i]);
	}
	free(c);
}

/* An ancestor that no mapping has as its own and with one child at most. */
static struct anon *idle_ancestor(const struct msn_anon_chain *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->anon[i]->children < 2 && c->anon[i]->active == 0)
			return c->anon[i];
	return NULL;
}

int msn_anon_chain_fork(struct msn_anon_chain *parent,
			struct msn_anon_chain **out)
{
	struct family *f = parent->own->family;
	msn_auto(msn_freep) struct msn_anon_chain *c =
		chain_alloc(parent->count + 1);
	msn_auto(msn_freep) struct anon *fresh = msn_alloc(sizeof(*fresh));

	if (!c || !fresh)
		return msn_fail(-ENOMEM);
	memcpy(c->anon, parent->anon, parent->count * sizeof(c->anon[0]));
	c->count = parent->count;

	msn_lock_scope(&f->lock);
	c->own = idle_ancestor(parent);
	if (!c->own) {
		*fresh = (struct anon){ .family = f, .parent = parent->own };
		atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
		parent->own->children++;
		c->own = c->anon[c->count++] = msn_steal(fresh);
	}
	c->own->active++;
	for (size_t i = 0; i < c->count; i++)
		c->anon[i]->chains++;
	*out = msn_steal(c);
	return 0;
}

int msn_anon_chain_new_forked(struct msn_anon_chain **out)
{
	struct msn_anon_chain *parent;
	int rc = msn_anon_chain_new(&parent);

	if (rc)
		return msn_pass(rc);
	rc = msn_anon_chain_fork(parent, out);
	msn_anon_chain_unref(parent);
	return msn_pass(rc);
}

const void *msn_anon_chain_id(const struct msn_anon_chain *c)
{
	return c ? c->own : NULL;
}

bool msn_anon_chain_same(const struct msn_anon_chain *a,
			 const struct msn_anon_chain *b)
{
	return a == b || (a && b && a->own == b->own);
}

bool msn_anon_chain_forked(const struct msn_anon_chain *c)
{
	return c && c->count > 1;
}
