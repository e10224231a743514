/*
 * Anon: which mappings' own pages have a common history.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Linux gives a mapping an anon_vma when it gets its first page of its own, and
 * merges two mappings only if their anon_vmas allow it.  Nothing here finds
 * pages: what is kept is just what decides merging, so that the layout of a
 * space is the one that the kernel would have made.
 *
 * A chain is what a mapping has: its own anon, and those of the mappings that
 * it was forked from, oldest first.  Cutting a mapping shares the chain; a fork
 * makes the child a longer one, or gives it an ancestor's anon that has fallen
 * idle (mm/rmap.c of Linux, anon_vma_clone() and anon_vma_fork()).
 *
 *    parent   chain { A }          own A
 *    child    chain { A, B }       own B: "forked", merges only with its like
 *
 * Locks: one of MSN_RANK_LEAF for each family of forks, inside.
 */
#ifndef MSN_MM_ANON_H
#define MSN_MM_ANON_H

#include "base/cleanup.h"

#include <stdbool.h>

struct msn_anon_chain;

/* A chain of one fresh anon: of a mapping that gets its first own page. */
MSN_MUST_CHECK int msn_anon_chain_new(struct msn_anon_chain **out);

/* The chain for the child's copy of a mapping that has @parent. */
MSN_MUST_CHECK int msn_anon_chain_fork(struct msn_anon_chain *parent,
				       struct msn_anon_chain **out);

/*
 * The same, but of a mapping that came from a fork whose other side nobody
 * knows: for a space that is restored.
 */
MSN_MUST_CHECK int msn_anon_chain_new_forked(struct msn_anon_chain **out);

/* Equal for chains with the same own anon; NULL for NULL. */
const void *msn_anon_chain_id(const struct msn_anon_chain *c);

/* One reference for each mapping.  NULL is allowed. */
struct msn_anon_chain *msn_anon_chain_ref(struct msn_anon_chain *c);
void msn_anon_chain_unref(struct msn_anon_chain *c);

/* Do both have the same own anon?  True if both are NULL. */
bool msn_anon_chain_same(const struct msn_anon_chain *a,
			 const struct msn_anon_chain *b);

/* Does it come from a fork, so that parents' pages may still be shared? */
bool msn_anon_chain_forked(const struct msn_anon_chain *c);

#endif /* MSN_MM_ANON_H */
