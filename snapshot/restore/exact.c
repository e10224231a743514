/*
 * Giving back what only calls that come later can tell (mm/exact.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "restore/restore_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "mm/exact.h"
#include "range/range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct msn_exacter {
	const struct msn_snapshot_source *source;
	const struct msn_manifest *m;
	struct msn_image *image; /* borrowed */
	struct msn_mm *mm;
	struct msn_anon_chain **histories; /* by number, less 1 */
	struct msn_policy **policies;	   /* parallel to the manifest's */
	struct msn_exact_run *runs;	   /* of one mapping */
	size_t run_count, run_cap;
	struct msn_run_list area; /* of one mapping */
};

struct msn_exacter *msn_exacter_free(struct msn_exacter *x)
{
	if (!x)
		return NULL;
	for (size_t i = 0; x->histories && i < x->m->mapping_count; i++)
		msn_anon_chain_unref(x->histories[i]);
	for (size_t i = 0; x->policies && i < x->m->policy_count; i++)
		msn_policy_unref(x->policies[i]);
	free(x->histories);
	free(x->policies);
	free(x->runs);
	free(x->area.list);
	free(x);
	return NULL;
}
MSN_DEFINE_AUTO(struct msn_exacter, msn_exacter_free)

static int make_policies(struct msn_exacter *x)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < x->m->policy_count; i++) {
		const struct msn_manifest_policy *p = &x->m->policies[i];
		struct msn_policy look = { .mode = p->mode, .flags = p->flags };

		memcpy(look.nodes, p->nodes, sizeof(look.nodes));
		memcpy(look.user_nodes, p->user_nodes, sizeof(look.user_nodes));
		rc = msn_policy_new(&x->policies[i], &look);
	}
	return msn_pass(rc);
}

int msn_exacter_new(struct msn_exacter **out,
		    const struct msn_snapshot_source *source,
		    struct msn_image *image, struct msn_mm *mm)
{
	msn_auto(msn_exacter_freep) struct msn_exacter *x =
		msn_alloc(sizeof(*x));
	int rc;

	if (!x)
		return msn_fail(-ENOMEM);
	x->source = source;
	x->m = source->m;
	x->image = image;
	x->mm = mm;
	x->histories =
		msn_alloc_array(x->m->mapping_count, sizeof(*x->histories));
	x->policies = msn_alloc_array(x->m->policy_count, sizeof(*x->policies));
	if (!x->histories || !x->policies)
		return msn_fail(-ENOMEM);
	rc = make_policies(x);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(x);
	return 0;
}

bool msn_exacter_knows(const struct msn_exacter *x, size_t index)
{
	return x->m->mappings[index].exact;
}

/* The history of a mapping, made with the first that has it. */
static int history_of(struct msn_exacter *x,
		      const struct msn_manifest_mapping *v,
		      struct msn_anon_chain **out)
{
	struct msn_anon_chain **slot;

	*out = NULL;
	if (!v->history)
		return 0;
	slot = &x->histories[v->history - 1];
	if (!*slot) {
		int rc = v->forked ? msn_anon_chain_new_forked(slot)
				   : msn_anon_chain_new(slot);

		if (rc)
			return msn_pass(rc);
	}
	*out = *slot;
	return 0;
}

static int add_run(struct msn_exacter *x, struct msn_exact_run run)
{
	int rc;

	if (msn_addr_range_empty(run.addr))
		return 0;
	rc = msn_grow((void **)&x->runs, &x->run_cap, x->run_count,
		      sizeof(*x->runs));
	if (rc == 0)
		x->runs[x->run_count++] = run;
	return msn_pass(rc);
}

/* The part of @p that is in mapping @index. */
static struct msn_exact_run run_of(struct msn_exacter *x, size_t index,
				   const struct msn_manifest_presence *p)
{
	const struct msn_manifest_mapping *v = &x->m->mappings[index];
	struct msn_exact_run run = { .how = (enum msn_presence)p->how };
	size_t area = x->source->layout.of_mapping[index];

	run.addr = msn_addr_range_intersect(
		(struct msn_addr_range){ p->page << MSN_PAGE_SHIFT,
					 (p->page + p->count)
						 << MSN_PAGE_SHIFT },
		(struct msn_addr_range){ v->start, v->end });
	if (area != SIZE_MAX) {
		run.file = msn_image_file(x->image);
		run.offset = x->source->layout.areas[area].offset +
			     (run.addr.start - v->start);
	}
	return run;
}

static bool is_own(enum msn_presence how)
{
	return how == MSN_PRESENT_OWN || how == MSN_PRESENT_LAZY;
}

/* The part of placement @p in [@from, @to). */
static int add_part(struct msn_exacter *x, const struct msn_placement *p,
		    uint64_t from, uint64_t to)
{
	struct msn_exact_run run = {
		.addr = msn_addr_range_intersect(
			p->addr, (struct msn_addr_range){ from, to }),
		.how = MSN_PRESENT_OWN,
		.file = p->file,
	};

	run.offset = p->offset + (run.addr.start - p->addr.start);
	return msn_pass(add_run(x, run));
}

/*
 * What the image has of the mapping, as far as there are no guards; these are
 * the runs that find_presence() found.
 */
static int find_area(struct msn_exacter *x, size_t index)
{
	size_t guards = x->run_count, j = 0;
	int rc = msn_area_runs(x->source, x->image, index, &x->area);

	for (size_t i = 0; rc == 0 && i < x->area.count; i++) {
		const struct msn_placement *p = &x->area.list[i];
		uint64_t at = p->addr.start;

		while (j < guards && x->runs[j].addr.end <= at)
			j++;
		for (size_t k = j; rc == 0 && k < guards &&
				   x->runs[k].addr.start < p->addr.end;
		     k++) {
			struct msn_addr_range g = x->runs[k].addr;

			if (at < g.start)
				rc = add_part(x, p, at, g.start);
			at = g.end;
		}
		if (rc == 0 && at < p->addr.end)
			rc = add_part(x, p, at, p->addr.end);
	}
	return msn_pass(rc);
}

/* Runs of the mapping; *@own: are its own pages among them? */
static int find_presence(struct msn_exacter *x, size_t index, bool *own)
{
	const struct msn_presence_list *list = &x->m->present;
	const struct msn_manifest_mapping *v = &x->m->mappings[index];
	const struct msn_manifest_presence *p =
		msn_presence_lower(list, v->start >> MSN_PAGE_SHIFT);
	bool tables = msn_mm_has_page_tables(x->mm);
	int rc = 0;

	*own = false;
	for (; rc == 0 && p && p < list->list + list->count &&
	       p->page < v->end >> MSN_PAGE_SHIFT;
	     p++) {
		if (tables && p->how != MSN_PRESENT_GUARD)
			continue;
		*own = *own || is_own((enum msn_presence)p->how);
		rc = add_run(x, run_of(x, index, p));
	}
	return msn_pass(rc);
}

/*
 * Page tables are given all that the image has; and if the space was saved from
 * some, nobody knows more than that.
 */
static int find_runs(struct msn_exacter *x, size_t index)
{
	bool own;
	int rc;

	x->run_count = 0;
	rc = find_presence(x, index, &own);
	if (rc == 0 && !own)
		rc = find_area(x, index);
	return msn_pass(rc);
}

int msn_exacter_map(struct msn_exacter *x, size_t index,
		    const struct msn_mmap_opts *opts)
{
	const struct msn_manifest_mapping *v = &x->m->mappings[index];
	struct msn_exact_mapping exact = {
		.flags = v->vm_flags,
		.offset = opts->mappable ? opts->offset : v->anon_offset,
		.policy = v->policy ? x->policies[v->policy - 1] : NULL,
	};
	int rc = history_of(x, v, &exact.anon);

	if (rc == 0)
		rc = find_runs(x, index);
	if (rc)
		return msn_pass(rc);
	return msn_pass(
		msn_mm_mmap_exact(x->mm, opts, &exact, x->runs, x->run_count));
}

void msn_exacter_finish(struct msn_exacter *x)
{
	const struct msn_manifest_space *s = &x->m->space;

	msn_mm_set_exact_space(
		x->mm, &(struct msn_exact_space){
			       .heap = { s->heap_start, s->heap_end },
			       .future_locks = s->future_locks,
			       .stuck_locked = s->stuck_locked,
			       .peak = s->peak,
			       .policy = s->policy ? x->policies[s->policy - 1]
						   : NULL });
}
