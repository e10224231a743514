/*
 * The public face of save, open and clone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "embed/embed.h"

#include "base/alloc.h"
#include "base/error.h"
#include "save/save.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Arrays of blobs and labels are handed down as they are. */
static_assert(sizeof(struct memsnap_blob) == sizeof(struct msn_save_blob) &&
		      offsetof(struct memsnap_blob, name) ==
			      offsetof(struct msn_save_blob, name) &&
		      offsetof(struct memsnap_blob, data) ==
			      offsetof(struct msn_save_blob, data) &&
		      offsetof(struct memsnap_blob, len) ==
			      offsetof(struct msn_save_blob, len),
	      "a public blob is a blob");
static_assert(sizeof(struct memsnap_label) == sizeof(struct msn_save_text) &&
		      offsetof(struct memsnap_label, key) ==
			      offsetof(struct msn_save_text, key) &&
		      offsetof(struct memsnap_label, value) ==
			      offsetof(struct msn_save_text, value),
	      "a public label is a text");

static int find_parent(struct memsnap_store *store,
		       const struct memsnap_save_opts *opts,
		       struct msn_uid *parent, struct msn_failure *why)
{
	if (opts->flags & MEMSNAP_SAVE_NO_PARENT)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "save options: parent %s and "
				       "MEMSNAP_SAVE_NO_PARENT exclude each "
				       "other",
				       opts->parent);
	return msn_pass(
		msn_store_find(store->store, opts->parent, parent, why));
}

static int save(struct memsnap_space *space, struct memsnap_store *store,
		const struct memsnap_save_opts *given, struct memsnap_uid *out,
		struct memsnap_stats *stats, struct msn_failure *why)
{
	struct msn_manifest_stats pages;
	struct memsnap_save_opts opts;
	struct memsnap_stats bytes = { .size = sizeof(bytes) };
	struct msn_uid parent, uid;
	char origin[64];
	struct msn_save_text attr = { "origin", origin };
	int rc;

	snprintf(origin, sizeof(origin), "space of pid %d %.30s",
		 (int)space->owner, program_invocation_short_name);
	rc = msn_embed_owner(space->owner, "space", why);
	if (!rc)
		rc = msn_embed_owner(store->owner, "store", why);
	if (!rc)
		rc = msn_embed_take(&opts, sizeof(opts), given, "save options",
				    why);
	if (!rc)
		rc = msn_embed_flags(opts.flags, MEMSNAP_SAVE_NO_PARENT,
				     "save options", why);
	/* Once with nothing: a bad size is told before anything is saved. */
	if (!rc)
		rc = msn_embed_give(stats, &bytes, sizeof(bytes), "save stats",
				    why);
	if (!rc && opts.parent)
		rc = find_parent(store, &opts, &parent, why);
	if (rc)
		return msn_pass(rc);
	rc = msn_save(space->mm, store->store,
		      &(struct msn_save_opts){
			      .name = opts.name,
			      .parent = opts.parent ? &parent : NULL,
			      .no_parent = opts.flags & MEMSNAP_SAVE_NO_PARENT,
			      .labels = (const void *)opts.labels,
			      .label_count = opts.label_count,
			      .attrs = &attr,
			      .attr_count = 1,
			      .blobs = (const void *)opts.blobs,
			      .blob_count = opts.blob_count,
			      .progress = opts.progress,
			      .progress_ctx = opts.progress_ctx,
		      },
		      &uid, &pages, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_embed_uid(uid);
	bytes = msn_embed_stats(&pages);
	return msn_embed_give(stats, &bytes, sizeof(bytes), "save stats", why);
}

int memsnap_save(struct memsnap_space *space, struct memsnap_store *store,
		 const struct memsnap_save_opts *opts, struct memsnap_uid *uid,
		 struct memsnap_stats *stats, struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(save(space, store, opts, uid, stats, &why),
				&why, err);
}

static int open_image(struct memsnap_image **out, struct memsnap_store *store,
		      const char *ref, const struct memsnap_open_opts *given,
		      struct msn_failure *why)
{
	msn_auto(msn_freep) struct memsnap_image *img = NULL;
	struct memsnap_open_opts opts;
	int rc;

	rc = msn_embed_owner(store->owner, "store", why);
	if (!rc)
		rc = msn_embed_take(&opts, sizeof(opts), given, "open options",
				    why);
	if (!rc)
		rc = msn_embed_flags(opts.flags, MEMSNAP_OPEN_EAGER,
				     "open options", why);
	if (rc)
		return msn_pass(rc);
	img = msn_alloc(sizeof(*img));
	if (!img)
		return msn_fail(-ENOMEM);
	img->owner = getpid();
	img->eager = opts.flags & MEMSNAP_OPEN_EAGER;
	rc = msn_store_find(store->store, ref, &img->uid, why);
	if (!rc)
		rc = msn_open_snapshot(
			&img->opened, store->store, img->uid,
			&(struct msn_open_opts){ .eager = img->eager }, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(img);
	return 0;
}

int memsnap_image_open(struct memsnap_image **out, struct memsnap_store *store,
		       const char *ref, const struct memsnap_open_opts *opts,
		       struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(open_image(out, store, ref, opts, &why), &why,
				err);
}

void memsnap_image_close(struct memsnap_image *image)
{
	if (!image)
		return;
	if (image->eager || image->owner == getpid())
		msn_opened_free(image->opened);
	free(image);
}

struct memsnap_uid memsnap_image_uid(const struct memsnap_image *image)
{
	return msn_embed_uid(image->uid);
}

void memsnap_image_span(const struct memsnap_image *image, void **base,
			size_t *length)
{
	struct msn_addr_range span = msn_opened_span(image->opened);

	*base = (void *)(uintptr_t)span.start;
	*length = (size_t)msn_addr_range_length(span);
}

int memsnap_image_blob(const struct memsnap_image *image, const char *name,
		       const void **data, size_t *len,
		       struct memsnap_error *err)
{
	struct msn_failure why = { 0 };
	const uint8_t *bytes;
	int rc;

	rc = msn_opened_blob(image->opened, name, &bytes, len);
	if (rc)
		rc = msn_failure_set(&why, rc, msn_failure_kind_of(rc),
				     "snapshot has no blob \"%s\"", name);
	else
		*data = bytes;
	return msn_embed_finish(rc, &why, err);
}

const char *memsnap_image_label(const struct memsnap_image *image,
				const char *key)
{
	const struct msn_manifest *m = msn_opened_manifest(image->opened);

	for (size_t i = 0; i < m->label_count; i++)
		if (!strcmp(m->labels[i].key, key))
			return m->labels[i].value;
	return NULL;
}

/* The region that a clone asks for: its own, or the image's span. */
static int clone_region(const struct memsnap_image *image,
			const struct memsnap_clone_opts *opts,
			struct msn_addr_range *region, struct msn_failure *why)
{
	struct msn_addr_range span = msn_opened_span(image->opened);
	struct msn_addr_range own = { (uintptr_t)opts->base,
				      (uintptr_t)opts->base + opts->length };

	*region = opts->length ? own : span;
	if (msn_addr_range_empty(*region))
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "no region to clone into: the snapshot "
				       "has no mappings");
	if (msn_addr_range_page_aligned(*region) &&
	    (msn_addr_range_empty(span) ||
	     msn_addr_range_covers(*region, span)))
		return 0;
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "region 0x%" PRIx64 "-0x%" PRIx64
			       " does not cover the snapshot's 0x%" PRIx64
			       "-0x%" PRIx64 " in whole pages",
			       region->start, region->end, span.start,
			       span.end);
}

/* Clones; a page that could not be read is told as the reader told it. */
static int clone_into(struct memsnap_image *image, uint32_t flags,
		      struct msn_mm *mm, struct msn_failure *why)
{
	const struct msn_failure *page = msn_opened_failure(image->opened);
	struct msn_clone_opts opts = { .files = MSN_FILE_POLICY_FAIL };
	struct msn_failure own = { 0 };
	int rc;

	if (flags & MEMSNAP_CLONE_SKIP_FILES)
		opts.files = MSN_FILE_POLICY_SKIP;
	rc = msn_clone(image->opened, mm, &opts, &own);
	if (rc == -EBADMSG && page->kind)
		return msn_failure_set(why, rc, page->kind, "%s", page->text);
	if (rc)
		return msn_failure_set(why, rc, own.kind, "%s", own.text);
	return 0;
}

static int clone_image(struct memsnap_image *image,
		       const struct memsnap_clone_opts *given,
		       struct memsnap_space **out, struct msn_failure *why)
{
	msn_auto(msn_embed_space_destroyp) struct memsnap_space *space = NULL;
	struct memsnap_clone_opts opts;
	struct msn_addr_range region;
	int rc = 0;

	if (!image->eager)
		rc = msn_embed_owner(image->owner, "image on demand", why);
	if (!rc)
		rc = msn_embed_take(&opts, sizeof(opts), given, "clone options",
				    why);
	if (!rc)
		rc = msn_embed_flags(opts.flags, MEMSNAP_CLONE_SKIP_FILES,
				     "clone options", why);
	if (!rc)
		rc = clone_region(image, &opts, &region, why);
	if (!rc)
		rc = msn_embed_space_new(&space, region, why);
	if (!rc)
		rc = clone_into(image, opts.flags, space->mm, why);
	if (rc)
		return msn_pass(rc);
	space->generation = msn_uid_new();
	*out = msn_steal(space);
	return 0;
}

int memsnap_clone(struct memsnap_image *image,
		  const struct memsnap_clone_opts *opts,
		  struct memsnap_space **out, struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(clone_image(image, opts, out, &why), &why, err);
}
