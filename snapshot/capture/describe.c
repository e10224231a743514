/*
 * Describe: maps to mappings, pagemap to placements.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two passes: the first decides how each mapping can be saved, so that what
 * cannot be is refused before anything else happens, and finds all places of
 * shared objects; the second makes the mappings.
 */
#include "capture/describe.h"

#include "base/alloc.h"
#include "base/error.h"
#include "capture/objects.h"
#include "procfile/proc_pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct describer {
	struct msn_target *t;
	struct msn_mm *mm;
	const struct msn_describe_opts *opts;
	struct msn_objects *objects;
	struct msn_mapped *mapped;  /* parallel to the maps */
	struct msn_placement *list; /* of the mapping at hand */
	size_t count, cap;
};

static int failed(const struct describer *d, const struct msn_proc_map *map,
		  int rc, struct msn_failure *why)
{
	return msn_failure_errno(
		why, rc, "process %d: mapping %" PRIx64 "-%" PRIx64 " %s",
		d->t->pid, map->addr.start, map->addr.end, map->name);
}

static int add_run(void *ctx, struct msn_addr_range run)
{
	struct describer *d = ctx;
	int rc;

	if (msn_addr_range_empty(run))
		return 0;
	rc = msn_grow((void **)&d->list, &d->cap, d->count, sizeof(*d->list));
	if (rc)
		return msn_pass(rc);
	d->list[d->count++] = (struct msn_placement){
		.addr = run,
		.file = d->opts->memory,
		.offset = run.start,
	};
	return 0;
}

/* All pages that exist, whosever they are. */
static int add_readable(struct describer *d, struct msn_addr_range ar)
{
	uint64_t len;
	int rc = msn_target_readable(d->t, ar.start, msn_addr_range_length(ar),
				     &len);

	ar.end = ar.start + len;
	return rc ? msn_pass(rc) : msn_pass(add_run(d, ar));
}

static int find_pages(struct describer *d, const struct msn_proc_map *map,
		      enum msn_mapped_kind kind)
{
	d->count = 0;
	switch (kind) {
	case MSN_MAPPED_ORPHAN:
	case MSN_MAPPED_KERNEL_CODE:
		return msn_pass(add_readable(d, map->addr));
	case MSN_MAPPED_ANON:
		break;
	case MSN_MAPPED_FILE:
		if (!map->shared)
			break;
		return 0;
	default:
		return 0;
	}
	return msn_pass(msn_proc_pages_private(
		d->t->pagemap_fd, map->addr, MSN_PROC_PAGES_BEST, add_run, d));
}

/* What mprotect could ever grant.  Rights that writing implies are in it. */
static unsigned max_perms(const struct msn_proc_map *map)
{
	unsigned max = map->perms;

	if (!(map->flags & MSN_VM_FLAGS_KNOWN))
		return MSN_ACCESS_ANY;
	max |= map->flags & MSN_VM_MAYREAD ? MSN_ACCESS_READ : 0u;
	max |= map->flags & MSN_VM_MAYWRITE ? MSN_ACCESS_WRITE : 0u;
	max |= map->flags & MSN_VM_MAYEXEC ? MSN_ACCESS_EXEC : 0u;
	return msn_access_effective(max);
}

static enum msn_mlock_mode mlock_mode(const struct msn_proc_map *map)
{
	if (!(map->flags & MSN_VM_LOCKED))
		return MSN_MLOCK_NONE;
	return map->flags & MSN_VM_LOCKONFAULT ? MSN_MLOCK_LAZY
					       : MSN_MLOCK_EAGER;
}

/* Who may be renamed by prctl: memory without a file. */
static enum msn_name_mut name_mut(const struct msn_proc_map *map,
				  enum msn_mapped_kind kind)
{
	if (strncmp(map->name, "[anon_shmem:", 12) == 0)
		return MSN_NAME_MUT_ANON_SHMEM;
	if (kind == MSN_MAPPED_ANON &&
	    (!*map->name || strncmp(map->name, "[anon:", 6) == 0))
		return MSN_NAME_MUT_ANON;
	return MSN_NAME_MUT_DISALLOWED;
}

static int map_one(struct describer *d, const struct msn_proc_map *map,
		   const struct msn_mapped *m)
{
	bool has_bytes =
		m->kind == MSN_MAPPED_FILE || m->kind == MSN_MAPPED_OBJECT;
	msn_auto(msn_freep) char *name = msn_proc_maps_unescape(map->name);
	struct msn_mmap_opts opts = {
		.length = msn_addr_range_length(map->addr),
		.addr = map->addr.start,
		.fixed = true,
		.unmap = true,
		.force = true,
		.perms = map->perms,
		.max_perms = max_perms(map),
		.private = !map->shared,
		.grows_down = !has_bytes && map->flags & MSN_VM_GROWSDOWN,
		.mlock_mode = mlock_mode(map),
		.name_mut = name_mut(map, m->kind),
	};
	uint64_t addr;
	int rc = name ? find_pages(d, map, m->kind) : -ENOMEM;

	if (rc)
		return msn_pass(rc);
	opts.mapping_identity =
		msn_procobj_identity(m->obj, (size_t)(map - d->t->maps.list));
	if (has_bytes) {
		opts.mappable = msn_procobj_mappable(m->obj);
		opts.offset = map->offset;
	}
	/* A file's own path is the name; what is shown else stands here. */
	if (*name && m->kind != MSN_MAPPED_FILE)
		opts.name = name;
	if (d->count == 0)
		return msn_pass(msn_mm_mmap(d->mm, &opts, &addr));
	return msn_pass(msn_mm_mmap_placed(d->mm, &opts, d->list, d->count));
}

static int describe(struct describer *d, struct msn_failure *why)
{
	const struct msn_proc_maps *maps = &d->t->maps;
	int rc;

	d->mapped = msn_alloc_array(maps->count, sizeof(*d->mapped));
	if (!d->mapped)
		return failed(d, &maps->list[0], -ENOMEM, why);
	for (size_t i = 0; i < maps->count; i++) {
		rc = msn_objects_classify(d->objects, &maps->list[i],
					  &d->mapped[i], why);
		if (rc)
			return msn_pass(rc);
	}
	for (size_t i = 0; i < maps->count; i++) {
		rc = map_one(d, &maps->list[i], &d->mapped[i]);
		if (rc)
			return failed(d, &maps->list[i], rc, why);
	}
	return 0;
}

int msn_describe(struct msn_target *t, struct msn_mm *mm,
		 const struct msn_describe_opts *opts, struct msn_failure *why)
{
	struct describer d = { .t = t, .mm = mm, .opts = opts };
	int rc = msn_objects_new(&d.objects, t, opts->object_bytes);

	if (rc)
		rc = msn_failure_errno(why, rc, "process %d", t->pid);
	else
		rc = describe(&d, why);
	msn_objects_free(d.objects);
	free(d.mapped);
	free(d.list);
	return msn_pass(rc);
}

static int is_object(void *ctx, const struct msn_mapping_view *v)
{
	struct msn_identity_saved saved;

	(void)ctx;
	return v->mappable && msn_identity_save(v->identity, &saved) == 0 &&
	       saved.as == MSN_SAVED_AS_CONTENT;
}

bool msn_described_has_objects(struct msn_mm *mm)
{
	return msn_mm_for_each_mapping(mm, is_object, NULL) != 0;
}
