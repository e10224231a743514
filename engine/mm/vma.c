/*
 * vma: cutting, counting and naming mappings.
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

bool msn_text_same(const struct msn_text *a, const struct msn_text *b)
{
	return a == b || (a && b && strcmp(a->string, b->string) == 0);
}

void msn_vma_ref(struct msn_vma *v)
{
	msn_identity_inc_ref(v->identity);
	msn_text_ref(v->name);
	msn_anon_chain_ref(v->anon);
	msn_policy_ref(v->policy);
}

void msn_vma_unref_all_but_identity(struct msn_vma *v)
{
	msn_text_unref(v->name);
	msn_anon_chain_unref(v->anon);
	msn_policy_unref(v->policy);
}

static void vma_split(struct msn_seg_range r, void *value, uint64_t at,
		      void *right)
{
	const struct msn_vma *v = value;
	struct msn_vma *tail = right;

	tail->offset = v->offset + (at - r.start);
	msn_vma_ref(tail);
}

/* No merge: neighbours become one by vma_merge.c only. */
const struct msn_segset_ops msn_vma_ops = {
	.value_size = sizeof(struct msn_vma),
	.split = vma_split,
};

const char *msn_vma_name(const struct msn_vma *v)
{
	if (v->name)
		return v->name->string;
	return v->identity ? msn_identity_mapped_name(v->identity) : "";
}
