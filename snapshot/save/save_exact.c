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

/* Things that have numbers in the manifest, in the order they are met. */
struct numbers {
	void *tree; /* of tsearch(): struct number */
	uint32_t count;
};

struct number {
	const void *of;
	uint32_t nr;
};

/* One walk over the mappings. */
struct exact {
	struct msn_manifest *m;
	size_t next; /* mapping that comes next */
	struct numbers histories, open_files;
};

static int compare(const void *a, const void *b)
{
	const struct number *x = a, *y = b;
	uintptr_t l = (uintptr_t)x->of, r = (uintptr_t)y->of;

	return (l > r) - (l < r);
}

/* The number of a thing, from 1 on. */
static int number_of(struct numbers *n, const void *of, uint32_t *nr)
{
	struct number look = { .of = of }, *made;
	struct number **found = tfind(&look, &n->tree, compare);

	if (found) {
		*nr = (*found)->nr;
		return 0;
	}
	made = msn_alloc(sizeof(*made));
	if (!made)
		return msn_fail(-ENOMEM);
	*made = (struct number){ of, ++n->count };
	if (!tsearch(made, &n->tree, compare)) {
		free(made);
		return msn_fail(-ENOMEM);
	}
	*nr = made->nr;
	return 0;
}

static int open_file_of(struct exact *e, const struct msn_mapping_view *v,
			struct msn_manifest_mapping *m)
{
	int rc;

	if (!msn_manifest_mapping_backed(m))
		return 0;
	rc = number_of(&e->open_files, v->identity, &m->opened);
	if (rc == 0)
		m->opened--;
	return msn_pass(rc);
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
	struct msn_manifest_mapping *m = &e->m->mappings[e->next];
	int rc = 0;

	if (e->next++ == e->m->mapping_count || m->start != v->addr.start ||
	    m->end != v->addr.end)
		return msn_fail(-ESTALE); /* nobody kept it still */
	if (x->anon)
		rc = number_of(&e->histories, msn_anon_chain_id(x->anon),
			       &m->history);
	if (rc == 0)
		rc = open_file_of(e, v, m);
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
	s->peak = x.peak;
	return msn_pass(policy_of(sv->m, x.policy, &s->policy));
}

int msn_save_exact(struct msn_saver *sv)
{
	struct exact e = { .m = sv->m };
	int rc = msn_mm_for_each_exact(sv->mm, describe, &e);

	if (rc == 0 && e.next < sv->m->mapping_count)
		rc = msn_fail(-ESTALE);
	if (rc == 0)
		rc = msn_mm_for_each_present(sv->mm, note_presence, &e);
	if (rc == 0)
		rc = describe_space(sv);
	tdestroy(e.histories.tree, free);
	tdestroy(e.open_files.tree, free);
	if (rc == -ESTALE)
		return msn_failure_set(sv->why, rc, MSN_FAILURE_ABORTED,
				       "the space changed while it was saved");
	return rc ? msn_failure_errno(sv->why, rc, "describing the space") : 0;
}

static int note_allocated(struct msn_manifest_object *to,
			  struct msn_obj_range r, bool written)
{
	struct msn_manifest_presence p = {
		.page = r.start >> MSN_PAGE_SHIFT,
		.count = msn_obj_range_length(r) >> MSN_PAGE_SHIFT,
		.how = written ? MSN_PRESENT_OWN : MSN_PRESENT_RESERVED,
	};
	struct msn_manifest_presence *last;

	if (to->present.count) {
		last = &to->present.list[to->present.count - 1];
		if (last->how == p.how && last->page + last->count == p.page) {
			last->count += p.count;
			return 0;
		}
	}
	return msn_pass(msn_presence_append(&to->present, &p));
}

int msn_save_exact_object(const struct msn_save_object *from,
			  struct msn_manifest_object *to)
{
	/* As far as a file can reach: some are past its end. */
	struct msn_obj_range left = { 0, UINT64_C(1) << 63 }, got = left;
	bool written;
	int rc = 0;

	while (rc == 0 && left.start < left.end) {
		rc = msn_mappable_next_allocated(from->mappable, left, &got,
						 &written);
		if (rc == 0)
			rc = note_allocated(to, got, written);
		left.start = got.end;
	}
	if (rc == -EOPNOTSUPP)
		return 0;
	if (rc && rc != MSN_MAPPABLE_E_NO_DATA)
		return msn_pass(rc);
	to->name = msn_strdup(msn_identity_mapped_name(from->identity));
	if (!to->name)
		return msn_fail(-ENOMEM);
	to->exact = true;
	to->mode = from->saved.mode;
	to->seals = from->saved.seals;
	to->size_bytes = from->saved.file.size_bytes;
	return 0;
}
