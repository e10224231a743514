/*
 * Saving one snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The commit protocol, with the numbers of README.md:
 *
 *    begin    writer's lock; what was never published is taken back
 *    add      frames into packs, many writes in flight
 *    commit   (1) the manifest behind them, in frames of its own
 *             (2) every pack that was written to is synced
 *             (3) so is their folder, if it has new names
 *             (4) one catalog transaction, synced: now the snapshot exists,
 *                 and what its publisher wants to be published with it
 *
 * Whatever fails before (4) leaves nothing but files that the catalog does not
 * know, and bytes behind the committed end of the open pack.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "digest/digest.h"
#include "store/store_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct msn_writer {
	struct msn_store *store;
	struct msn_manifest *m;
	int lock; /* or -1: the store keeps it */
	bool locked;
	struct store_packs packs;
	struct msn_frame_writer *frames;

	/* The last place's pack, as most places have the same. */
	struct msn_manifest_pack last;
	uint32_t last_index;

	bool committed;
	bool unsure; /* the disk failed while publishing: who knows */
};

int msn_writer_begin(struct msn_writer **out, struct msn_store *store,
		     struct msn_manifest *m, struct msn_failure *why)
{
	msn_auto(msn_writer_freep) struct msn_writer *w = NULL;
	struct msn_frame_writer_opts opts = { .aio = store->aio,
					      .snapshot = m->uid,
					      .where = store->path };
	int rc;

	rc = store_writable(store, why);
	if (rc)
		return msn_pass(rc);
	w = msn_alloc(sizeof(*w));
	if (!w)
		return msn_failure_errno(why, -ENOMEM,
					 "could not write to store %s",
					 store->path);
	w->store = store;
	w->m = m;
	w->lock = -1;
	rc = store_write_begin(store, &w->lock, why);
	w->locked = rc == 0;
	if (rc == 0)
		rc = store_packs_init(&w->packs, store, why);
	if (rc)
		return msn_pass(rc);
	opts.supply = &w->packs.supply;
	rc = msn_frame_writer_new(&w->frames, &opts, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(w);
	return 0;
}

static int pack_index(struct msn_writer *w, uint64_t id, uint64_t generation,
		      uint32_t *index)
{
	struct msn_manifest_pack pack = { id, generation };
	int rc;

	if (w->last.id != id || w->last.generation != generation) {
		rc = msn_manifest_pack_index(w->m, pack, &w->last_index);
		if (rc)
			return msn_pass(rc);
		w->last = pack;
	}
	*index = w->last_index;
	return 0;
}

int msn_writer_add(struct msn_writer *w, const void *page, uint64_t sum,
		   struct msn_place *out, struct msn_failure *why)
{
	struct msn_frame_place place;
	uint32_t index = 0;
	int rc = msn_frame_writer_add(w->frames, page, sum, &place, why);

	if (rc)
		return msn_pass(rc);
	rc = pack_index(w, place.pack_id, place.generation, &index);
	if (rc)
		return msn_failure_errno(why, rc, "could not write to store %s",
					 w->store->path);
	*out = (struct msn_place){ index, place.frame, place.at };
	return 0;
}

/* Copies as much of @text as fits, never half a UTF-8 character. */
static void copy_text(char *to, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	if (text[n])
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
	memcpy(to, text, n);
	memset(to + n, 0, size - n);
}

static void record_fill(struct msn_index_snapshot *s,
			const struct msn_manifest *m)
{
	const char *origin = msn_manifest_attr(m, "origin");

	s->uid = m->uid;
	s->parent = m->parent;
	s->created_ns = m->created_ns;
	s->mapping_count = m->mapping_count;
	s->stats = m->stats;
	copy_text(s->name, sizeof(s->name), m->name);
	copy_text(s->origin, sizeof(s->origin), origin ? origin : "");
}

static int write_manifest(struct msn_writer *w, struct msn_index_snapshot *s,
			  struct msn_failure *why)
{
	struct msn_frame_run runs[MSN_FRAME_RUNS_MAX];
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	const char *text = msn_manifest_check(w->m);
	size_t len;
	int rc;

	if (text)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "the snapshot cannot be saved: %s",
				       text);
	rc = msn_manifest_encode(w->m, &bytes, &len);
	if (rc)
		return msn_failure_errno(why, rc,
					 "could not write the manifest to "
					 "store %s",
					 w->store->path);
	rc = msn_frame_writer_manifest(w->frames, bytes, len, runs,
				       &s->run_count, why);
	if (rc)
		return msn_pass(rc);
	s->manifest_bytes = len;
	s->manifest_sum = msn_digest_bytes(bytes, len);
	for (unsigned i = 0; i < s->run_count; i++)
		s->runs[i] =
			(struct msn_index_run){ runs[i].pack_id,
						runs[i].generation,
						runs[i].first, runs[i].pages };
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct msn_manifest_pack *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Every pack that holds a page or a part of the manifest, each once. */
static int collect_needs(const struct msn_manifest *m,
			 const struct msn_index_pack *fills, size_t fill_count,
			 struct msn_manifest_pack **out, size_t *count)
{
	msn_auto(msn_freep) struct msn_manifest_pack *list = NULL;
	msn_auto(msn_freep) bool *used = store_packs_used(m);
	size_t n = 0, kept = 0;

	list = msn_alloc_array(m->pack_count + fill_count, sizeof(*list));
	if (!used || !list)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < m->pack_count; i++)
		if (used[i])
			list[n++] = m->packs[i];
	for (size_t i = 0; i < fill_count; i++)
		list[n++] = (struct msn_manifest_pack){ fills[i].id,
							fills[i].generation };
	qsort(list, n, sizeof(*list), by_id);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || list[kept - 1].id != list[i].id)
			list[kept++] = list[i];
	*out = msn_steal(list);
	*count = kept;
	return 0;
}

static int collect_fills(const struct msn_writer *w,
			 struct msn_index_pack **out, size_t *count)
{
	const struct msn_pack_fill *fills =
		msn_frame_writer_fills(w->frames, count);
	struct msn_index_pack *list = msn_alloc_array(*count, sizeof(*list));

	if (!list)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < *count; i++) {
		bool room = fills[i].pages + 2 <= MSN_PACK_PAGES;

		list[i] = (struct msn_index_pack){
			.id = fills[i].id,
			.generation = fills[i].generation,
			.pages = fills[i].pages,
			.state = room && i + 1 == *count
					 ? MSN_INDEX_PACK_OPEN
					 : MSN_INDEX_PACK_SEALED,
		};
	}
	*out = list;
	return 0;
}

/* Who publishes, and what it says. */
struct publisher {
	msn_publishing_fn *fn; /* or NULL */
	void *ctx;
};

static int companions(const struct publisher *p,
		      const struct msn_index_snapshot *s,
		      struct msn_index_publish *what, struct msn_failure *why)
{
	struct msn_companions with = { 0 };
	struct msn_snapshot_info info;
	int rc;

	if (!p->fn)
		return 0;
	store_info_from(&info, s);
	rc = p->fn(p->ctx, &info, &with, why);
	if (rc)
		return msn_pass(rc);
	what->note = with.note;
	what->note_len = with.note_len;
	what->beside = with.beside;
	return 0;
}

static int publish_failed(struct msn_writer *w,
			  const struct msn_index_snapshot *s, int rc,
			  struct msn_failure *why)
{
	switch (rc) {
	case MSN_INDEX_E_STALE:
		return msn_failure_set(why, -ESTALE, MSN_FAILURE_ABORTED,
				       "the parent of the snapshot was removed "
				       "from store %s meanwhile",
				       w->store->path);
	case MSN_INDEX_E_TAKEN:
		return msn_failure_set(why, -EEXIST, MSN_FAILURE_EXISTS,
				       "a record to be made with the snapshot "
				       "is in store %s already",
				       w->store->path);
	default:
		return store_outcome(w->store, s->uid, s->name, rc, why);
	}
}

static int publish(struct msn_writer *w, const struct msn_index_snapshot *s,
		   const struct publisher *p, struct msn_failure *why)
{
	msn_auto(msn_freep) struct msn_index_pack *fills = NULL;
	msn_auto(msn_freep) struct msn_manifest_pack *needs = NULL;
	struct msn_index_publish what = { .snapshot = s };
	int rc = collect_fills(w, &fills, &what.pack_count);

	if (rc == 0)
		rc = collect_needs(w->m, fills, what.pack_count, &needs,
				   &what.need_count);
	if (rc)
		return msn_failure_errno(why, rc, "could not write to store %s",
					 w->store->path);
	what.packs = fills;
	what.needs = needs;
	rc = companions(p, s, &what, why);
	if (rc)
		return msn_pass(rc);
	rc = msn_index_publish(w->store->index, &what, why);
	w->unsure = rc == -EIO;
	return rc ? publish_failed(w, s, rc, why) : 0;
}

static int commit(struct msn_writer *w, const struct publisher *p,
		  struct msn_failure *why)
{
	struct msn_index_snapshot s = { 0 };
	int rc;

	record_fill(&s, w->m);
	rc = write_manifest(w, &s, why); /* (1) */
	if (rc == 0)
		rc = msn_frame_writer_finish(w->frames, why); /* (2) */
	if (rc)
		return msn_pass(rc);
	rc = store_packs_sync(&w->packs); /* (3) */
	if (rc)
		return msn_failure_errno(why, rc,
					 "could not sync the packs of store %s",
					 w->store->path);
	return msn_pass(publish(w, &s, p, why)); /* (4) */
}

int msn_writer_commit(struct msn_writer *w, msn_publishing_fn *publishing,
		      void *ctx, struct msn_failure *why)
{
	struct publisher p = { publishing, ctx };
	int rc = commit(w, &p, why);

	w->committed = rc == 0;
	return msn_pass(rc);
}

struct msn_writer *msn_writer_free(struct msn_writer *w)
{
	bool doubtful;

	if (!w)
		return NULL;
	doubtful = w->frames && msn_frame_writer_io_failed(w->frames);
	msn_frame_writer_free(w->frames);
	if (!w->committed && !w->unsure)
		store_packs_give_up(&w->packs, doubtful);
	store_packs_deinit(&w->packs);
	if (w->locked)
		store_write_end(w->store, w->lock);
	free(w);
	return NULL;
}
