/*
 * vma: merging, cutting and naming mappings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/vma.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct msn_text {
	atomic_uint refs;
	char string[];
};

int msn_text_new(struct msn_text **out, const char *text)
{
	size_t len = strlen(text);
	struct msn_text *t = msn_alloc(sizeof(*t) + len + 1);

	if (!t)
		return msn_fail(-ENOMEM);
	atomic_init(&t->refs, 1);
	memcpy(t->string, text, len + 1);
	*out = t;
	return 0;
}

struct msn_text *msn_text_ref(struct msn_text *t)
{
	/* Relaxed: whoever adds has a reference already. */
	if (t)
		atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void msn_text_unref(struct msn_text *t)
{
	/* Acquire-release: the last owner frees after all others are done. */
	if (t &&
	    atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
		free(t);
}

const char *msn_text_string(const struct msn_text *t)
{
	return t->string;
}

static bool same_name(const struct msn_text *a, const struct msn_text *b)
{
	return a == b || (a && b && strcmp(a->string, b->string) == 0);
}

static bool vma_merge(struct msn_seg_range a, void *va, struct msn_seg_range b,
		      void *vb)
{
	const struct msn_vma *l = va, *r = vb;

	(void)b;
	if (l->mappable != r->mappable || l->identity != r->identity ||
	    l->perms != r->perms || l->max_perms != r->max_perms ||
	    l->private != r->private || l->grows_down != r->grows_down ||
	    l->stack != r->stack || l->mlock_mode != r->mlock_mode ||
	    l->name_mut != r->name_mut || !same_name(l->name, r->name))
		return false;
	if (l->mappable && l->offset + (a.end - a.start) != r->offset)
		return false;
	msn_identity_dec_ref(r->identity); /* not the last: @va has one */
	msn_text_unref(r->name);
	return true;
}

static void vma_split(struct msn_seg_range r, void *value, uint64_t at,
		      void *right)
{
	const struct msn_vma *v = value;
	struct msn_vma *tail = right;

	if (v->mappable)
		tail->offset = v->offset + (at - r.start);
	msn_identity_inc_ref(tail->identity);
	msn_text_ref(tail->name);
}

const struct msn_segset_ops msn_vma_ops = {
	.value_size = sizeof(struct msn_vma),
	.merge = vma_merge,
	.split = vma_split,
};

const char *msn_vma_name(const struct msn_vma *v)
{
	if (v->name)
		return v->name->string;
	return v->identity ? msn_identity_mapped_name(v->identity) : "";
}
