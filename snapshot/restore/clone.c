/*
 * Cloning: mappings, and placements that point into the image.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "restore/restore_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* One clone under way. */
struct cloner {
	struct msn_opened *o;
	const struct msn_manifest *m;
	struct msn_mm *mm;
	const struct msn_clone_opts *opts;
	struct msn_failure *why;

	struct msn_backing *backing;
	struct msn_run_list runs; /* of one mapping */
	struct msn_exacter *exact;
};

static void base_opts(const struct msn_manifest_mapping *v,
		      struct msn_mmap_opts *o)
{
	*o = (struct msn_mmap_opts){
		.length = v->end - v->start,
		.addr = v->start,
		.fixed = true,
		.unmap = true, /* the space is empty; allows force */
		.force = true, /* a saved address may be outside the layout */
		.perms = v->perms,
		.max_perms = v->max_perms,
		.private = !v->shared,
		.grows_down = v->grows_down,
		.stack = v->stack,
		.mlock_mode = (enum msn_mlock_mode)v->mlock_mode,
		.name_mut = (enum msn_name_mut)v->name_mut,
	};
}

static int blame(struct cloner *c, const struct msn_manifest_mapping *v, int rc)
{
	return msn_failure_errno(c->why, rc,
				 "mapping %" PRIx64 "-%" PRIx64
				 " %s cannot be restored",
				 v->start, v->end, v->name);
}

/* Maps private memory, with the pages of it that the image has. */
static int map_private(struct cloner *c, size_t index,
		       const struct msn_mmap_opts *o)
{
	int rc;

	if (msn_exacter_knows(c->exact, index))
		return msn_pass(msn_exacter_map(c->exact, index, o));
	rc = msn_area_runs(c->o->source, c->o->image, index, &c->runs);
	if (rc)
		return msn_pass(rc);
	return msn_pass(
		msn_mm_mmap_placed(c->mm, o, c->runs.list, c->runs.count));
}

static int clone_anon(struct cloner *c, size_t index)
{
	const struct msn_manifest_mapping *v = &c->m->mappings[index];
	struct msn_mmap_opts o;
	int rc;

	base_opts(v, &o);
	o.name = *v->name ? v->name : NULL;
	rc = map_private(c, index, &o);
	return rc ? blame(c, v, rc) : 0;
}

/* Maps an object or a file, with the private pages that are over it. */
static int map_object(struct cloner *c, size_t index,
		      const struct msn_mmap_opts *o)
{
	uint64_t addr;

	if (o->private)
		return msn_pass(map_private(c, index, o));
	if (msn_exacter_knows(c->exact, index))
		return msn_pass(msn_exacter_map(c->exact, index, o));
	return msn_pass(msn_mm_mmap(c->mm, o, &addr));
}

/* Maps what a file or an object is behind. */
static int clone_backed(struct cloner *c, size_t index)
{
	const struct msn_manifest_mapping *v = &c->m->mappings[index];
	struct msn_mmap_opts o;
	int rc;

	base_opts(v, &o);
	rc = msn_backing_set(c->backing, index, &o, c->why);
	if (rc && c->opts->files == MSN_FILE_POLICY_SKIP &&
	    c->why->kind == MSN_FAILURE_PRECONDITION) {
		c->why->kind = MSN_FAILURE_NONE;
		return 0;
	}
	if (rc)
		return c->why->kind ? msn_pass(rc) : blame(c, v, rc);
	rc = map_object(c, index, &o);
	return rc ? blame(c, v, rc) : 0;
}

/* Saved vdso pages, for reading: the kernel's own cannot be put there. */
static int clone_kernel(struct cloner *c, size_t index)
{
	if (!c->opts->keep_kernel ||
	    c->o->source->layout.of_mapping[index] == SIZE_MAX)
		return 0;
	return msn_pass(clone_anon(c, index));
}

static int clone_mapping(struct cloner *c, size_t index)
{
	switch (c->m->mappings[index].kind) {
	case MSN_MAPPING_ANON:
		return msn_pass(clone_anon(c, index));
	case MSN_MAPPING_FILE:
	case MSN_MAPPING_OBJECT:
		return msn_pass(clone_backed(c, index));
	default:
		return msn_pass(clone_kernel(c, index));
	}
}

/* The space holds its own references by now. */
static void cloner_deinit(struct cloner *c)
{
	msn_exacter_free(c->exact);
	msn_backing_free(c->backing);
	free(c->runs.list);
}

int msn_clone(struct msn_opened *o, struct msn_mm *mm,
	      const struct msn_clone_opts *opts, struct msn_failure *why)
{
	struct msn_failure local = { 0 };
	struct cloner c = { .o = o,
			    .m = o->source->m,
			    .mm = mm,
			    .opts = opts,
			    .why = why ? why : &local };
	int rc = 0;

	if (msn_backing_new(&c.backing, o->source, o->image, mm) ||
	    msn_exacter_new(&c.exact, o->source, o->image, mm))
		rc = msn_failure_errno(c.why, -ENOMEM, "cloning");
	for (size_t i = 0; rc == 0 && i < c.m->mapping_count; i++)
		rc = clone_mapping(&c, i);
	if (rc == 0)
		msn_exacter_finish(c.exact);
	if (rc == 0)
		msn_mm_set_origin(mm, c.m->uid.bytes);
	cloner_deinit(&c);
	return msn_pass(rc);
}
