/*
 * Save: the order of things.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/save.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"
#include "save/save_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int check_name(const struct msn_save_opts *o, struct msn_failure *why)
{
	const char *wrong =
		o->name && *o->name ? msn_snapshot_name_check(o->name) : NULL;

	if (!wrong)
		return 0;
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "'%.80s' cannot name a snapshot: %s", o->name,
			       wrong);
}

static int check_blobs(const struct msn_save_opts *o, struct msn_failure *why)
{
	if (o->blob_count > MSN_BLOB_COUNT_MAX)
		return msn_failure_set(why, -E2BIG, MSN_FAILURE_INVALID,
				       "more than %d blobs",
				       MSN_BLOB_COUNT_MAX);
	for (size_t i = 0; i < o->blob_count; i++) {
		if (strlen(o->blobs[i].name) > MSN_BLOB_NAME_MAX ||
		    !*o->blobs[i].name)
			return msn_failure_set(
				why, -EINVAL, MSN_FAILURE_INVALID,
				"a blob's name is empty or longer than %d",
				MSN_BLOB_NAME_MAX);
		if (o->blobs[i].len > MSN_BLOB_BYTES_MAX)
			return msn_failure_set(why, -EFBIG, MSN_FAILURE_INVALID,
					       "blob %s is larger than 64 MiB",
					       o->blobs[i].name);
	}
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Header fields of the manifest that are known before the space is. */
static int describe(struct msn_saver *sv)
{
	const struct msn_save_opts *o = sv->opts;
	int rc = 0;

	sv->m->uid = msn_uid_new();
	sv->m->created_ns = now_ns();
	free(sv->m->name);
	sv->m->name = msn_strdup(o->name ? o->name : "");
	if (!sv->m->name)
		rc = -ENOMEM;
	for (size_t i = 0; rc == 0 && i < o->label_count; i++)
		rc = msn_manifest_add_label(sv->m, o->labels[i].key,
					    o->labels[i].value);
	return rc ? msn_failure_errno(sv->why, rc, "labels") : 0;
}

static int add_attrs(struct msn_saver *sv)
{
	const struct msn_save_opts *o = sv->opts;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < o->attr_count; i++)
		rc = msn_manifest_add_attr(sv->m, o->attrs[i].key,
					   o->attrs[i].value);
	return rc ? msn_failure_errno(sv->why, rc, "attributes") : 0;
}

/*
 * The parent whose pages may be shared: the one asked for, or the snapshot that
 * the space came from if this store has it.
 */
static int find_parent(struct msn_saver *sv, const struct msn_uid *origin)
{
	struct msn_failure unknown = { 0 };
	int rc;

	if (sv->opts->no_parent)
		return 0;
	if (sv->opts->parent) {
		rc = msn_store_load(sv->store, *sv->opts->parent, &sv->parent,
				    sv->why);
	} else {
		if (!origin || msn_uid_is_none(*origin))
			return 0;
		rc = msn_store_load(sv->store, *origin, &sv->parent, &unknown);
		if (unknown.kind == MSN_FAILURE_NOT_FOUND)
			return 0;
		if (rc)
			return msn_failure_set(sv->why, rc, unknown.kind, "%s",
					       unknown.text);
	}
	if (rc)
		return msn_pass(rc);
	sv->m->parent = sv->parent->uid;
	return msn_pass(
		msn_reader_new(&sv->reader, sv->store, sv->parent, sv->why));
}

static int check_savable(struct msn_saver *sv)
{
	char name[256] = "";
	int rc = msn_mm_invalidate_unsavable(sv->mm, name, sizeof(name));

	if (rc)
		return msn_failure_errno(sv->why, rc,
					 "mapping %s cannot be made ready to "
					 "be saved",
					 name);
	rc = msn_save_mappings(sv);
	if (rc == 0 && !sv->opts->foreign)
		rc = msn_save_exact(sv);
	return msn_pass(rc);
}

/* A blob's bytes are saved like pages of its own. */
static int save_blob(struct msn_saver *sv, const struct msn_save_blob *b)
{
	const struct msn_page_origin nowhere = { 0 };
	struct msn_manifest_blob *blob = &sv->m->blobs[sv->m->blob_count];
	const struct msn_manifest_blob *old =
		sv->parent ? msn_manifest_blob(sv->parent, b->name) : NULL;
	struct msn_page_sink sink = { .sv = sv,
				      .out = &blob->pages,
				      .old = old ? &old->pages : NULL };
	_Alignas(64) uint8_t last[MSN_PAGE_SIZE] = { 0 };
	size_t whole = b->len / MSN_PAGE_SIZE, rest = b->len % MSN_PAGE_SIZE;
	int rc;

	blob->name = msn_strdup(b->name);
	if (!blob->name)
		return msn_failure_errno(sv->why, -ENOMEM, "blob %s", b->name);
	sv->m->blob_count++;
	blob->size_bytes = b->len;
	rc = whole ? msn_save_pages(&sink, 0, whole, b->data, nowhere) : 0;
	if (rc || rest == 0)
		return msn_pass(rc);
	memcpy(last, (const uint8_t *)b->data + whole * MSN_PAGE_SIZE, rest);
	return msn_pass(msn_save_pages(&sink, whole, 1, last, nowhere));
}

/* Blobs are not counted among the pages of the space. */
static int save_blobs(struct msn_saver *sv)
{
	struct msn_manifest_stats before = sv->m->stats;
	size_t count = sv->opts->blob_count;

	if (count == 0)
		return 0;
	sv->m->blobs = msn_alloc_array(count, sizeof(*sv->m->blobs));
	if (!sv->m->blobs)
		return msn_failure_errno(sv->why, -ENOMEM, "saving blobs");
	for (size_t i = 0; i < count; i++) {
		int rc = save_blob(sv, &sv->opts->blobs[i]);

		if (rc)
			return msn_pass(rc);
	}
	sv->m->stats = before;
	return 0;
}

/* Everything that needs no space. */
static int begin(struct msn_saver *sv, const struct msn_uid *origin)
{
	int rc = check_name(sv->opts, sv->why);

	if (rc == 0 && (msn_manifest_new(&sv->m) || msn_dedup_new(&sv->dedup)))
		rc = msn_failure_errno(sv->why, -ENOMEM, "saving");
	if (rc == 0)
		rc = describe(sv);
	if (rc == 0)
		rc = find_parent(sv, origin);
	if (rc == 0)
		rc = msn_writer_begin(&sv->writer, sv->store, sv->m, sv->why);
	return msn_pass(rc);
}

int msn_saver_new(struct msn_saver **out, struct msn_store *store,
		  const struct msn_save_opts *opts,
		  const struct msn_uid *origin, struct msn_failure *why)
{
	msn_auto(msn_saver_freep) struct msn_saver *sv = msn_alloc(sizeof(*sv));
	int rc;

	if (!sv)
		return msn_failure_errno(why, -ENOMEM, "saving");
	sv->store = store;
	sv->opts = opts;
	sv->why = why;
	rc = begin(sv, origin);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(sv);
	return 0;
}

/* Everything that reads the space. */
static int save_space(struct msn_saver *sv)
{
	int rc = check_savable(sv);

	sv->total_bytes = msn_mm_placed_bytes(sv->mm);
	if (rc == 0)
		rc = msn_save_private(sv);
	if (rc == 0)
		rc = msn_save_objects(sv);
	return msn_pass(rc);
}

int msn_saver_run(struct msn_saver *sv, struct msn_mm *mm, struct msn_uid *out,
		  struct msn_manifest_stats *stats, struct msn_failure *why)
{
	int rc;

	sv->mm = mm;
	sv->why = why;
	rc = check_blobs(sv->opts, why);
	if (rc == 0)
		rc = add_attrs(sv);
	if (rc == 0)
		rc = save_space(sv);
	if (rc)
		return msn_pass(rc);
	/* From here on the space may change: it is no witness any more. */
	sv->dedup = msn_dedup_free(sv->dedup);
	if (sv->opts->space_released)
		sv->opts->space_released(sv->opts->released_ctx);
	rc = save_blobs(sv);
	if (rc == 0)
		rc = msn_writer_commit(sv->writer, sv->opts->publishing,
				       sv->opts->publishing_ctx, why);
	if (rc)
		return msn_pass(rc);
	*out = sv->m->uid;
	if (stats)
		*stats = sv->m->stats;
	return 0;
}

struct msn_saver *msn_saver_free(struct msn_saver *sv)
{
	if (!sv)
		return NULL;
	msn_writer_free(sv->writer);
	msn_reader_free(sv->reader);
	msn_dedup_free(sv->dedup);
	msn_manifest_free(sv->parent);
	msn_manifest_free(sv->m);
	free(sv->objects);
	free(sv->scratch);
	free(sv);
	return NULL;
}

int msn_save(struct msn_mm *mm, struct msn_store *store,
	     const struct msn_save_opts *opts, struct msn_uid *out,
	     struct msn_manifest_stats *stats, struct msn_failure *why)
{
	msn_auto(msn_saver_freep) struct msn_saver *sv = NULL;
	struct msn_uid origin;
	int rc;

	msn_mm_origin(mm, origin.bytes);
	rc = msn_saver_new(&sv, store, opts, &origin, why);
	if (rc)
		return msn_pass(rc);
	return msn_pass(msn_saver_run(sv, mm, out, stats, why));
}
