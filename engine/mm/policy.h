/*
 * Policy: where a mapping's memory should come from (mbind(2)).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Kept with the mapping, shown and saved; a space's pages are where the host
 * puts them.  Equal policies let mappings merge, as mpol_equal() of Linux.
 *
 * Counted and never changed; any thread.
 */
#ifndef MSN_MM_POLICY_H
#define MSN_MM_POLICY_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

/* Nodes that a mask can name: CONFIG_NODES_SHIFT 10 of distributions. */
#define MSN_POLICY_NODES_MAX 1024
#define MSN_POLICY_MASK_WORDS (MSN_POLICY_NODES_MAX / 64)

struct msn_policy {
	uint32_t refs;	/* atomic */
	uint16_t mode;	/* MPOL_*, without flags; set once */
	uint16_t flags; /* MPOL_F_STATIC_NODES, ...; set once */
	uint64_t nodes[MSN_POLICY_MASK_WORDS]; /* of the space; set once */
	/* As asked for, if there are flags: what is told then; set once. */
	uint64_t user_nodes[MSN_POLICY_MASK_WORDS];
};

/* A copy of @look, but for its count. */
MSN_MUST_CHECK int msn_policy_new(struct msn_policy **out,
				  const struct msn_policy *look);
struct msn_policy *msn_policy_ref(struct msn_policy *p); /* NULL is allowed */
void msn_policy_unref(struct msn_policy *p);		 /* NULL is allowed */

/* True if both are NULL: no policy is MPOL_DEFAULT. */
bool msn_policy_same(const struct msn_policy *a, const struct msn_policy *b);

#endif /* MSN_MM_POLICY_H */
