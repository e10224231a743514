/*
 * Policy: counted values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/policy.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int msn_policy_new(struct msn_policy **out, const struct msn_policy *look)
{
	struct msn_policy *p = msn_alloc(sizeof(*p));

	if (!p)
		return msn_fail(-ENOMEM);
	*p = *look;
	p->refs = 1;
	*out = p;
	return 0;
}

struct msn_policy *msn_policy_ref(struct msn_policy *p)
{
	/* Relaxed: whoever adds has a reference already. */
	if (p)
		__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void msn_policy_unref(struct msn_policy *p)
{
	/* Acquire-release: the last owner frees after all others are done. */
	if (p && __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL) == 1)
		free(p);
}

bool msn_policy_same(const struct msn_policy *a, const struct msn_policy *b)
{
	if (a == b)
		return true;
	return a && b && a->mode == b->mode && a->flags == b->flags &&
	       memcmp(a->nodes, b->nodes, sizeof(a->nodes)) == 0 &&
	       memcmp(a->user_nodes, b->user_nodes, sizeof(a->nodes)) == 0;
}
