/*
 * Saving what only calls that come later can tell (mm/exact.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/save_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "mm/exact.h"
#include "range/range.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A history, and the number that it has in the manifest. */
struct history {
	const void *id;
	uint32_t nr;
};

/* One walk over the mappings. */
struct exact {
	struct msn_manifest *m;
	size_t next;	 /* mapping that comes next */
	void *histories; /* tsearch() tree of struct history */
	uint32_t count;	 /* of them */
};

static int compare(const void *a, const void *b)
{
	const struct history *x = a, *y = b;
	uintptr_t l = (uintptr_t)x->id, r = (uintptr_t)y->id;

	return (l > r) - (l < r);
}

static int number_of(struct exact *e, const struct msn_anon_chain *anon,
		     uint32_t *nr)
{
	struct history look = { .id = msn_anon_chain_id(anon) }, *h;
	struct history **found;

	*nr = 0;
	if (!anon)
		return 0;
	found = tfind(&look, &e->histories, compare);
	if (found) {
		*nr = (*found)->nr;
		return 0;
	}
	h = msn_alloc(sizeof(*h));
	if (!h)
		return msn_fail(-ENOMEM);
	*h = (struct history){ look.id, ++e->count };
	if (!tsearch(h, &e->histories, compare)) {
		free(h);
		return msn_fail(-ENOMEM);
	}
	*nr = h->nr;
	return 0;
}

static int policy_of(struct msn_manifest *m, const struct msn_policy *policy,
		     uint32_t *nr)
{
	struct msn_manifest_policy p = { 0 };
	uint32_t index;
	int rc;

	*nr = 0;
	if (!policy)
		return 0;
	p.mode = policy->mode;
	p.flags = policy->flags;
	memcpy(p.nodes, policy->nodes, sizeof(p.nodes));
	memcpy(p.user_nodes, policy->user_nodes, sizeof(p.user_nodes));
	rc = msn_manifest_policy_index(m, &p, &index);
	if (rc == 0)
		*nr = index + 1;
	return msn_pass(rc);
}

static int describe(void *ctx, const struct msn_mapping_view *v,
		    const struct msn_exact_mapping *x)
{
	struct exact *e = ctx;
	struct msn_manifest_mapping *m = &e->m->mappings[e->next++];
	int rc = number_of(e, x->anon, &m->history);

	if (rc == 0)
		rc = policy_of(e->m, x->policy, &m->policy);
	if (rc)
		return msn_pass(rc);
	m->exact = true;
	m->vm_flags = x->flags;
	m->forked = msn_anon_chain_forked(x->anon);
	if (!v->mappable)
		m->anon_offset = x->offset;
	return 0;
}

static int note_presence(void *ctx, struct msn_addr_range r,
			 enum msn_presence how)
{
	struct exact *e = ctx;
	struct msn_manifest_presence p = {
		.page = r.start >> MSN_PAGE_SHIFT,
		.count = msn_addr_range_length(r) >> MSN_PAGE_SHIFT,
		.how = (uint8_t)how,
	};

	return msn_pass(msn_presence_append(&e->m->present, &p));
}

static int describe_space(struct msn_saver *sv)
{
	struct msn_manifest_space *s = &sv->m->space;
	struct msn_exact_space x;

	msn_mm_exact_space(sv->mm, &x);
	s->heap_start = x.heap.start;
	s->heap_end = x.heap.end;
	s->future_locks = x.future_locks;
	s->stuck_locked = x.stuck_locked;
	return msn_pass(policy_of(sv->m, x.policy, &s->policy));
}

int msn_save_exact(struct msn_saver *sv)
{
	struct exact e = { .m = sv->m };
	int rc = msn_mm_for_each_exact(sv->mm, describe, &e);

	if (rc == 0)
		rc = msn_mm_for_each_present(sv->mm, note_presence, &e);
	if (rc == 0)
		rc = describe_space(sv);
	tdestroy(e.histories, free);
	return rc ? msn_failure_errno(sv->why, rc, "describing the space") : 0;
}
