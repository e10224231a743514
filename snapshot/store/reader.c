/*
 * Reading one snapshot's pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every pack that the manifest uses is open and locked shared for as long as
 * the reader lives, so none of them is taken for something else meanwhile.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "pack/frame_reader.h"
#include "range/range.h"
#include "store/store_private.h"

#include <errno.h>
#include <stdlib.h>

struct msn_reader {
	struct msn_store *store;
	struct msn_frame_pack *packs; /* fd -1: not used by the manifest */
	size_t pack_count;
	struct msn_frame_reader *frames;
};

static int open_packs(struct msn_reader *r, const struct msn_manifest *m,
		      struct msn_failure *why)
{
	msn_auto(msn_freep) bool *used = store_packs_used(m);
	int rc = 0;

	r->packs = msn_alloc_array(m->pack_count, sizeof(*r->packs));
	if (!used || !r->packs)
		return msn_failure_errno(why, -ENOMEM,
					 "could not read from store %s",
					 r->store->path);
	for (size_t i = 0; rc == 0 && i < m->pack_count; i++) {
		r->packs[i] = (struct msn_frame_pack){ -1, m->packs[i].id,
						       m->packs[i].generation };
		r->pack_count++;
		if (used[i])
			rc = store_pack_open(r->store, m->uid, m->packs[i],
					     &r->packs[i].fd, why);
	}
	return msn_pass(rc);
}

int msn_reader_new(struct msn_reader **out, struct msn_store *store,
		   const struct msn_manifest *m, struct msn_failure *why)
{
	msn_auto(msn_reader_freep) struct msn_reader *r = NULL;
	struct msn_frame_reader_opts opts = { .aio = store->method,
					      .snapshot = m->uid,
					      .where = store->path };
	int rc;

	r = msn_alloc(sizeof(*r));
	if (!r)
		return msn_failure_errno(why, -ENOMEM,
					 "could not read from store %s",
					 store->path);
	r->store = store;
	rc = open_packs(r, m, why);
	if (rc)
		return msn_pass(rc);
	opts.packs = r->packs;
	opts.pack_count = r->pack_count;
	rc = msn_frame_reader_new(&r->frames, &opts, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(r);
	return 0;
}

struct msn_reader *msn_reader_free(struct msn_reader *r)
{
	if (!r)
		return NULL;
	msn_frame_reader_free(r->frames);
	for (size_t i = 0; i < r->pack_count; i++)
		msn_close(r->packs[i].fd);
	free(r->packs);
	free(r);
	return NULL;
}

int msn_reader_read(struct msn_reader *r, const struct msn_extents *extents,
		    uint64_t page, uint64_t count, void *dst,
		    struct msn_failure *why)
{
	return msn_pass(msn_frame_reader_read(r->frames, extents, page, count,
					      dst, why));
}

int msn_reader_sum(struct msn_reader *r, const struct msn_extents *extents,
		   uint64_t page, uint64_t *sum, struct msn_failure *why)
{
	const struct msn_extent *e = msn_extents_lower(extents, page);

	if (!e || e->page > page || e->pack == MSN_EXTENT_ZERO)
		return MSN_READER_E_ABSENT;
	return msn_pass(msn_frame_reader_sum(r->frames, e, page, sum, why));
}

int msn_reader_blob(struct msn_reader *r, const struct msn_manifest_blob *blob,
		    uint8_t **out, size_t *len, struct msn_failure *why)
{
	uint64_t pages = (blob->size_bytes + MSN_PAGE_MASK) >> MSN_PAGE_SHIFT;
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	int rc;

	bytes = msn_alloc(pages * MSN_PAGE_SIZE + 1);
	if (!bytes)
		return msn_failure_errno(why, -ENOMEM,
					 "could not read blob '%s' from store "
					 "%s",
					 blob->name, r->store->path);
	rc = msn_reader_read(r, &blob->pages, 0, pages, bytes, why);
	if (rc)
		return msn_pass(rc);
	bytes[blob->size_bytes] = '\0';
	*out = msn_steal(bytes);
	*len = blob->size_bytes;
	return 0;
}
