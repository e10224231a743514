/*
 * Describing the mappings of a space, and refusing by name what cannot be
 * saved.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/save_internal.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/sysmacros.h>

/* Index of the object behind @v, which is new if nobody mapped it. */
static int find_object(struct msn_saver *sv, const struct msn_mapping_view *v,
		       const struct msn_identity_saved *saved, uint32_t *index)
{
	struct msn_manifest_object object = { 0 };
	int rc;

	for (size_t i = 0; i < sv->m->object_count; i++) {
		if (sv->objects[i].mappable == v->mappable) {
			*index = (uint32_t)i;
			return 0;
		}
	}
	if (!msn_page_up(saved->file.size_bytes, &object.size_bytes))
		return msn_fail(-EFBIG);
	rc = msn_grow((void **)&sv->objects, &sv->object_cap,
		      sv->m->object_count, sizeof(*sv->objects));
	if (rc == 0)
		rc = msn_manifest_add_object(sv->m, &object, index);
	if (rc == 0)
		sv->objects[*index] =
			(struct msn_save_object){ v->mappable, v->identity,
						  *saved, v->addr, v->offset };
	return msn_pass(rc);
}

static int refuse(struct msn_saver *sv, const struct msn_mapping_view *v,
		  int rc)
{
	const char *name = *v->name ? v->name : "(no name)";

	if (rc == -EOPNOTSUPP)
		return msn_failure_set(sv->why, rc, MSN_FAILURE_PRECONDITION,
				       "mapping %" PRIx64 "-%" PRIx64
				       " %s cannot be saved: nothing could "
				       "find or remake it",
				       v->addr.start, v->addr.end, name);
	return msn_failure_errno(sv->why, rc,
				 "mapping %" PRIx64 "-%" PRIx64
				 " %s cannot be saved",
				 v->addr.start, v->addr.end, name);
}

/* What kind of mapping it is, by what its identity says. */
static int describe_identity(struct msn_saver *sv,
			     const struct msn_mapping_view *v,
			     struct msn_manifest_mapping *out)
{
	struct msn_identity_saved saved;
	int rc = msn_identity_save(v->identity, &saved);

	if (rc)
		return refuse(sv, v, rc);
	switch (saved.as) {
	case MSN_SAVED_AS_PATH:
		out->kind = MSN_MAPPING_FILE;
		out->file_size = saved.file.size_bytes;
		out->file_mtime_ns = saved.file.mtime_ns;
		break;
	case MSN_SAVED_AS_KERNEL:
		out->kind = MSN_MAPPING_KERNEL;
		return 0;
	default:
		if (!v->mappable)
			return 0; /* anonymous, with a name */
		out->kind = MSN_MAPPING_OBJECT;
		rc = find_object(sv, v, &saved, &out->object);
	}
	out->dev_major = major(msn_identity_device_id(v->identity));
	out->dev_minor = minor(msn_identity_device_id(v->identity));
	out->inode = msn_identity_inode_id(v->identity);
	return rc ? refuse(sv, v, rc) : 0;
}

static int describe(void *ctx, const struct msn_mapping_view *v)
{
	struct msn_saver *sv = ctx;
	struct msn_manifest_mapping m = {
		.start = v->addr.start,
		.end = v->addr.end,
		.kind = MSN_MAPPING_ANON,
		.perms = (uint8_t)v->perms,
		.max_perms = (uint8_t)v->max_perms,
		.shared = !v->private,
		.grows_down = v->grows_down,
		.stack = v->stack,
		.name_mut = (uint8_t)v->name_mut,
		.mlock_mode = (uint8_t)v->mlock_mode,
		.offset = v->offset,
		.name = (char *)(uintptr_t)v->name, /* copied below */
	};
	int rc = 0;

	if (v->identity)
		rc = describe_identity(sv, v, &m);
	else if (v->mappable)
		rc = refuse(sv, v, -EOPNOTSUPP);
	if (rc)
		return msn_pass(rc);
	sv->m->stats.mapped += msn_addr_range_length(v->addr) / MSN_PAGE_SIZE;
	rc = msn_manifest_add_mapping(sv->m, &m);
	return rc ? refuse(sv, v, rc) : 0;
}

int msn_save_mappings(struct msn_saver *sv)
{
	return msn_pass(msn_mm_for_each_mapping(sv->mm, describe, sv));
}
