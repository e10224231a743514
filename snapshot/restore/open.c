/*
 * Opening a snapshot: manifest, image, blobs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "restore/restore_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The image's account of which addresses its offsets stand for. */
static int make_pieces(const struct msn_snapshot_source *src,
		       struct msn_image_piece **out, size_t *count)
{
	const struct msn_manifest *m = src->m;
	struct msn_image_piece *list =
		msn_alloc_array(m->mapping_count, sizeof(*list));
	size_t n = 0;

	if (!list)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < m->mapping_count; i++) {
		size_t area = src->layout.of_mapping[i];

		if (area == SIZE_MAX)
			continue;
		list[n++] = (struct msn_image_piece){
			.addr = { m->mappings[i].start, m->mappings[i].end },
			.offset = src->layout.areas[area].offset,
		};
	}
	*out = list;
	*count = n;
	return 0;
}

/* Makes the image, which takes @src over. */
static int make_image(struct msn_opened *o, struct msn_snapshot_source *src)
{
	struct msn_image_opts opts = { .size_bytes = src->layout.size_bytes,
				       .source = &src->base };
	msn_auto(msn_freep) struct msn_image_piece *pieces = NULL;
	int rc = make_pieces(src, &pieces, &opts.piece_count);

	if (rc) {
		msn_page_source_free(&src->base);
		return msn_pass(rc);
	}
	opts.pieces = pieces;
	memcpy(opts.origin, src->m->uid.bytes, sizeof(opts.origin));
	return msn_pass(msn_image_new(&o->image, &opts));
}

static int load_blobs(struct msn_opened *o, struct msn_failure *why)
{
	const struct msn_manifest *m = o->source->m;

	o->blobs = msn_alloc_array(m->blob_count, sizeof(*o->blobs));
	if (!o->blobs)
		return msn_failure_errno(why, -ENOMEM, "reading blobs");
	for (size_t i = 0; i < m->blob_count; i++) {
		size_t len;
		int rc = msn_reader_blob(o->source->reader, &m->blobs[i],
					 &o->blobs[i], &len, why);

		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* Reads every page now; the packs are not needed any more then. */
static int load_pages(struct msn_opened *o, struct msn_failure *why)
{
	int rc = msn_image_fill_all(o->image);

	if (rc) {
		if (o->source->failure.kind)
			return msn_failure_set(why, rc, o->source->failure.kind,
					       "%s", o->source->failure.text);
		return msn_failure_errno(why, rc, "filling the image");
	}
	o->source->reader = msn_reader_free(o->source->reader);
	return 0;
}

int msn_open_snapshot(struct msn_opened **out, struct msn_store *store,
		      struct msn_uid uid, const struct msn_open_opts *opts,
		      struct msn_failure *why)
{
	msn_auto(msn_opened_freep) struct msn_opened *o = msn_alloc(sizeof(*o));
	struct msn_snapshot_source *src;
	struct msn_manifest *m;
	int rc;

	if (!o)
		return msn_failure_errno(why, -ENOMEM, "opening a snapshot");
	rc = msn_store_load(store, uid, &m, why);
	if (rc == 0)
		rc = msn_snapshot_source_new(&src, store, m, why);
	if (rc)
		return msn_pass(rc);
	rc = make_image(o, src);
	if (rc)
		return msn_failure_errno(why, rc, "making an image");
	o->source = src;
	rc = load_blobs(o, why);
	if (rc == 0 && opts->eager)
		rc = load_pages(o, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(o);
	return 0;
}

struct msn_opened *msn_opened_free(struct msn_opened *o)
{
	if (!o)
		return NULL;
	if (o->blobs)
		for (size_t i = 0; i < o->source->m->blob_count; i++)
			free(o->blobs[i]);
	free(o->blobs);
	msn_image_unref(o->image);
	free(o);
	return NULL;
}

const struct msn_manifest *msn_opened_manifest(const struct msn_opened *o)
{
	return o->source->m;
}

struct msn_image *msn_opened_image(const struct msn_opened *o)
{
	return o->image;
}

const struct msn_failure *msn_opened_failure(const struct msn_opened *o)
{
	return &o->source->failure;
}

int msn_opened_blob(const struct msn_opened *o, const char *name,
		    const uint8_t **data, size_t *len)
{
	const struct msn_manifest_blob *b =
		msn_manifest_blob(o->source->m, name);

	if (!b)
		return msn_fail(-ENOENT);
	*data = o->blobs[b - o->source->m->blobs];
	*len = b->size_bytes;
	return 0;
}

struct msn_addr_range msn_opened_span(const struct msn_opened *o)
{
	const struct msn_manifest *m = o->source->m;

	if (m->mapping_count == 0)
		return (struct msn_addr_range){ 0, 0 };
	return (struct msn_addr_range){ m->mappings[0].start,
					m->mappings[m->mapping_count - 1].end };
}
