/*
 * The walk over everything that a snapshot uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pages are read in batches that skip the gaps between extents: a batch is a
 * list of extents of its own, numbered from 0, so that the reader has many
 * reads in flight even where every other page is private.  A batch with damage
 * is read again page by page to find out which pages are hurt.
 *
 * A pack that cannot be opened at all makes the reader of the whole snapshot
 * fail.  The packs are then tried one by one, everything in a bad one is
 * damage, and the reader is made of the good ones only.
 */
#include "verify/verify.h"

#include "base/alloc.h"
#include "base/error.h"
#include "format/manifest.h"
#include "range/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one extent list belongs to. */
struct part {
	enum msn_damage_part kind;
	uint32_t object;
	const struct msn_manifest_blob *blob; /* or NULL */
	const struct msn_extents *pages;
};

/* Where a pack of the manifest stands in the table of sound packs. */
struct pack_state {
	uint32_t index; /* MSN_EXTENT_ZERO: it cannot be opened ... */
	char *reason;	/* ... and this is why */
};

/* Touching damaged pages of one pack, not yet told. */
struct run {
	uint64_t page, count; /* count 0: none */
	uint32_t pack;
	char reason[sizeof(((struct msn_failure *)NULL)->text)];
};

struct verify {
	struct msn_uid uid;
	const struct msn_manifest *m;
	const struct msn_verify_opts *opts;
	struct msn_verify_summary sum;
	uint64_t done_pages;

	struct msn_manifest sound; /* m with the packs that can be opened */
	struct msn_extent *users;  /* a run of each of them, and no more */
	struct pack_state *packs;  /* m->pack_count of them */
	struct msn_reader *reader; /* of sound */

	uint8_t *buf;
	struct msn_extent *batch; /* numbered from 0, pack indices of sound */
	uint64_t *real;		  /* page of the part for each page of batch */
	uint32_t *pack;		  /* index into m->packs, likewise */
	size_t batch_extents, batch_pages;
	struct run run;
};

static void verify_deinit(struct verify *v)
{
	if (v->packs)
		for (size_t i = 0; i < v->m->pack_count; i++)
			free(v->packs[i].reason);
	free(v->packs);
	free(v->sound.packs);
	free(v->users);
	msn_reader_free(v->reader);
	free(v->buf);
	free(v->batch);
	free(v->real);
	free(v->pack);
}

static int verify_alloc(struct verify *v)
{
	const size_t max = MSN_VERIFY_BATCH_PAGES;
	size_t packs = v->m->pack_count;

	v->buf = msn_alloc_aligned(MSN_PAGE_SIZE, max * MSN_PAGE_SIZE);
	v->batch = msn_alloc_array(max, sizeof(*v->batch));
	v->real = msn_alloc_array(max, sizeof(*v->real));
	v->pack = msn_alloc_array(max, sizeof(*v->pack));
	v->packs = msn_alloc_array(packs, sizeof(*v->packs));
	v->sound = *v->m;
	v->sound.packs = msn_alloc_array(packs, sizeof(*v->sound.packs));
	if (!v->buf || !v->batch || !v->real || !v->pack || !v->packs ||
	    !v->sound.packs)
		return msn_fail(-ENOMEM);
	if (packs > 0)
		memcpy(v->sound.packs, v->m->packs,
		       packs * sizeof(*v->sound.packs));
	for (size_t i = 0; i < packs; i++)
		v->packs[i].index = (uint32_t)i;
	return 0;
}

/* Bytes that are not what was stored, or that the disk cannot give back. */
static bool is_damage(int rc, const struct msn_failure *f)
{
	return rc == -EBADMSG || rc == -EIO || f->kind == MSN_FAILURE_DATA_LOSS;
}

/* Hands on a failure that somebody below has put into words. */
static int pass_failure(struct msn_failure *why, int rc,
			const struct msn_failure *f)
{
	if (f->kind == MSN_FAILURE_NONE)
		return msn_failure_errno(why, rc, "could not verify");
	return msn_failure_set(why, rc, f->kind, "%s", f->text);
}

/*
 * A reader opens the packs that some run stands in.  Which runs these are does
 * not matter here: one for each pack will do, and they are never read.
 */
static void use_packs(struct verify *v, struct msn_manifest *m)
{
	for (size_t i = 0; i < m->pack_count; i++)
		v->users[i] = (struct msn_extent){ .page = i,
						   .count = 1,
						   .pack = (uint32_t)i,
						   .frame = 1,
						   .at = 2 };
	m->pages =
		(struct msn_extents){ v->users, m->pack_count, m->pack_count };
	m->object_count = 0;
	m->blob_count = 0;
}

static int sort_pack(struct verify *v, struct msn_store *store, size_t i,
		     struct msn_failure *why)
{
	msn_auto(msn_reader_freep) struct msn_reader *r = NULL;
	struct msn_manifest one = v->sound;
	struct msn_failure f = {};
	int rc;

	one.packs = &v->m->packs[i];
	one.pack_count = 1;
	use_packs(v, &one);
	rc = msn_reader_new(&r, store, &one, &f);
	if (!rc) {
		v->packs[i].index = (uint32_t)v->sound.pack_count;
		v->sound.packs[v->sound.pack_count++] = v->m->packs[i];
		return 0;
	}
	if (!is_damage(rc, &f))
		return pass_failure(why, rc, &f);
	v->packs[i].index = MSN_EXTENT_ZERO;
	v->packs[i].reason = msn_strdup(f.text);
	if (!v->packs[i].reason)
		return msn_failure_errno(why, -ENOMEM, "could not verify");
	return 0;
}

static int open_sound_packs(struct verify *v, struct msn_store *store,
			    struct msn_failure *why)
{
	int rc;

	v->users = msn_alloc_array(v->m->pack_count, sizeof(*v->users));
	if (!v->users)
		return msn_failure_errno(why, -ENOMEM, "could not verify");
	v->sound.pack_count = 0;
	for (size_t i = 0; i < v->m->pack_count; i++) {
		rc = sort_pack(v, store, i, why);
		if (rc)
			return msn_pass(rc);
	}
	use_packs(v, &v->sound);
	return msn_pass(msn_reader_new(&v->reader, store, &v->sound, why));
}

static int open_reader(struct verify *v, struct msn_store *store,
		       struct msn_failure *why)
{
	struct msn_failure f = {};
	int rc;

	rc = msn_reader_new(&v->reader, store, v->m, &f);
	if (!rc)
		return 0;
	if (!is_damage(rc, &f))
		return pass_failure(why, rc, &f);
	return msn_pass(open_sound_packs(v, store, why));
}

/* Tells of the open run and closes it. */
static int tell_run(struct verify *v, const struct part *part)
{
	struct run *run = &v->run;
	struct msn_damage d = {
		.snapshot = v->uid,
		.part = part->kind,
		.object = part->object,
		.blob = part->blob ? part->blob->name : NULL,
		.start = run->page << MSN_PAGE_SHIFT,
		.end = (run->page + run->count) << MSN_PAGE_SHIFT,
		.has_pack = true,
		.reason = run->reason,
	};

	if (!run->count)
		return 0;
	if (part->blob && d.end > part->blob->size_bytes)
		d.end = part->blob->size_bytes;
	d.pack = v->m->packs[run->pack].id;
	v->sum.damaged_pages += run->count;
	v->sum.damaged_runs++;
	run->count = 0;
	return v->opts->damaged ? v->opts->damaged(v->opts->damaged_ctx, &d)
				: 0;
}

static int add_damage(struct verify *v, const struct part *part, uint64_t page,
		      uint64_t count, uint32_t pack, const char *reason)
{
	struct run *run = &v->run;
	int rc;

	if (run->count && run->page + run->count == page && run->pack == pack) {
		run->count += count;
		return 0;
	}
	rc = tell_run(v, part);
	if (rc)
		return rc;
	run->page = page;
	run->count = count;
	run->pack = pack;
	snprintf(run->reason, sizeof(run->reason), "%s", reason);
	return 0;
}

static int tell_progress(struct verify *v, struct msn_failure *why)
{
	const struct msn_verify_opts *o = v->opts;

	if (!o->progress ||
	    !o->progress(o->progress_ctx, v->done_pages << MSN_PAGE_SHIFT,
			 v->sum.pages << MSN_PAGE_SHIFT))
		return 0;
	return msn_failure_set(why, -ECANCELED, MSN_FAILURE_CANCELLED,
			       "verifying was cancelled");
}

/* Reads one page of the batch under its own number, for an exact text. */
static int read_alone(struct verify *v, const struct part *part, size_t i,
		      const struct msn_extent *from, struct msn_failure *why)
{
	struct msn_extent e = *from;
	struct msn_extents list = { &e, 1, 1 };
	struct msn_failure f = {};
	int rc;

	e.at += (uint32_t)(i - from->page);
	e.page = v->real[i];
	e.count = 1;
	rc = msn_reader_read(v->reader, &list, e.page, 1, v->buf, &f);
	if (!rc)
		return 0;
	if (!is_damage(rc, &f))
		return pass_failure(why, rc, &f);
	return add_damage(v, part, e.page, 1, v->pack[i],
			  f.kind ? f.text : strerror(-rc));
}

static int find_damage(struct verify *v, const struct part *part,
		       struct msn_failure *why)
{
	for (size_t x = 0; x < v->batch_extents; x++) {
		const struct msn_extent *e = &v->batch[x];

		for (uint64_t i = e->page; i < e->page + e->count; i++) {
			int rc = read_alone(v, part, i, e, why);

			if (rc)
				return msn_pass(rc);
		}
	}
	return 0;
}

static int flush(struct verify *v, const struct part *part,
		 struct msn_failure *why)
{
	const struct msn_extents list = { v->batch, v->batch_extents,
					  v->batch_extents };
	struct msn_failure f = {};
	int rc;

	if (!v->batch_pages)
		return 0;
	rc = msn_reader_read(v->reader, &list, 0, v->batch_pages, v->buf, &f);
	if (rc && is_damage(rc, &f))
		rc = find_damage(v, part, why);
	else if (rc)
		rc = pass_failure(why, rc, &f);
	if (rc)
		return msn_pass(rc);
	v->done_pages += v->batch_pages;
	v->batch_pages = 0;
	v->batch_extents = 0;
	return tell_progress(v, why);
}

/* Takes as much of @e as the batch has room for. */
static uint32_t batch_add(struct verify *v, struct msn_extent e)
{
	size_t room = MSN_VERIFY_BATCH_PAGES - v->batch_pages;
	uint32_t n = e.count < room ? e.count : (uint32_t)room;

	for (uint32_t i = 0; i < n; i++) {
		v->real[v->batch_pages + i] = e.page + i;
		v->pack[v->batch_pages + i] = e.pack;
	}
	v->batch[v->batch_extents++] = (struct msn_extent){
		.page = v->batch_pages,
		.count = n,
		.pack = v->packs[e.pack].index,
		.frame = e.frame,
		.at = e.at,
	};
	v->batch_pages += n;
	return n;
}

static int verify_extent(struct verify *v, const struct part *part,
			 struct msn_extent e, struct msn_failure *why)
{
	int rc;

	if (v->packs[e.pack].index == MSN_EXTENT_ZERO) {
		rc = flush(v, part, why);
		if (rc)
			return msn_pass(rc);
		v->done_pages += e.count;
		return add_damage(v, part, e.page, e.count, e.pack,
				  v->packs[e.pack].reason);
	}
	while (e.count) {
		uint32_t n = batch_add(v, e);

		e.page += n;
		e.at += n;
		e.count -= n;
		if (v->batch_pages < MSN_VERIFY_BATCH_PAGES)
			continue;
		rc = flush(v, part, why);
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

static int verify_part(struct verify *v, const struct part *part,
		       struct msn_failure *why)
{
	int rc;

	for (size_t i = 0; i < part->pages->count; i++) {
		if (part->pages->list[i].pack == MSN_EXTENT_ZERO)
			continue;
		rc = verify_extent(v, part, part->pages->list[i], why);
		if (rc)
			return msn_pass(rc);
	}
	rc = flush(v, part, why);
	if (rc)
		return msn_pass(rc);
	return tell_run(v, part);
}

static int verify_parts(struct verify *v, struct msn_failure *why)
{
	const struct msn_manifest *m = v->m;
	int rc;

	rc = verify_part(
		v,
		&(struct part){ .kind = MSN_DAMAGE_SPACE, .pages = &m->pages },
		why);
	for (uint32_t i = 0; !rc && i < m->object_count; i++)
		rc = verify_part(
			v,
			&(struct part){ .kind = MSN_DAMAGE_OBJECT,
					.object = i,
					.pages = &m->objects[i].pages },
			why);
	for (size_t i = 0; !rc && i < m->blob_count; i++)
		rc = verify_part(v,
				 &(struct part){ .kind = MSN_DAMAGE_BLOB,
						 .blob = &m->blobs[i],
						 .pages = &m->blobs[i].pages },
				 why);
	return msn_pass(rc);
}

static uint64_t stored_pages(const struct msn_extents *list)
{
	uint64_t n = 0;

	for (size_t i = 0; i < list->count; i++)
		if (list->list[i].pack != MSN_EXTENT_ZERO)
			n += list->list[i].count;
	return n;
}

static void count_pages(struct verify *v)
{
	const struct msn_manifest *m = v->m;

	v->sum.objects = m->object_count;
	v->sum.blobs = m->blob_count;
	v->sum.pages = stored_pages(&m->pages);
	for (size_t i = 0; i < m->object_count; i++)
		v->sum.pages += stored_pages(&m->objects[i].pages);
	for (size_t i = 0; i < m->blob_count; i++)
		v->sum.pages += stored_pages(&m->blobs[i].pages);
}

static int say_damaged(const struct verify *v, struct msn_failure *why)
{
	char uid[MSN_UID_TEXT];

	msn_uid_format(v->uid, uid);
	return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
			       "snapshot %s is damaged: %" PRIu64 " of %" PRIu64
			       " pages in %" PRIu64 " run%s",
			       v->m->name[0] ? v->m->name : uid,
			       v->sum.damaged_pages, v->sum.pages,
			       v->sum.damaged_runs,
			       v->sum.damaged_runs == 1 ? "" : "s");
}

static int verify_loaded(struct verify *v, struct msn_store *store,
			 struct msn_failure *why)
{
	int rc;

	count_pages(v);
	rc = verify_alloc(v);
	if (rc)
		return msn_failure_errno(why, rc, "could not verify");
	rc = open_reader(v, store, why);
	if (rc)
		return msn_pass(rc);
	rc = tell_progress(v, why);
	if (!rc)
		rc = verify_parts(v, why);
	if (!rc && v->sum.damaged_runs)
		rc = say_damaged(v, why);
	return msn_pass(rc);
}

/* A manifest that cannot be read is the damage. */
static int lost_manifest(struct msn_uid uid, const struct msn_verify_opts *opts,
			 struct msn_verify_summary *out, int rc,
			 const struct msn_failure *f, struct msn_failure *why)
{
	struct msn_damage d = {
		.snapshot = uid,
		.part = MSN_DAMAGE_MANIFEST,
		.reason = f->kind ? f->text : strerror(-rc),
	};

	if (!is_damage(rc, f))
		return pass_failure(why, rc, f);
	if (out)
		*out = (struct msn_verify_summary){ .damaged_runs = 1 };
	rc = opts->damaged ? opts->damaged(opts->damaged_ctx, &d) : 0;
	if (rc)
		return rc;
	return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS, "%s",
			       d.reason);
}

int msn_verify(struct msn_store *store, struct msn_uid uid,
	       const struct msn_verify_opts *opts,
	       struct msn_verify_summary *out, struct msn_failure *why)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct verify v = { .uid = uid, .opts = opts };
	struct msn_failure f = {};
	int rc;

	rc = msn_store_load(store, uid, &m, &f);
	if (rc)
		return lost_manifest(uid, opts, out, rc, &f, why);
	v.m = m;
	rc = verify_loaded(&v, store, why);
	verify_deinit(&v);
	if (out && (!rc || v.sum.damaged_runs))
		*out = v.sum;
	return msn_pass(rc);
}

const char *msn_damage_part_name(enum msn_damage_part part)
{
	static const char *const names[] = {
		[MSN_DAMAGE_MANIFEST] = "manifest",
		[MSN_DAMAGE_SPACE] = "space",
		[MSN_DAMAGE_OBJECT] = "object",
		[MSN_DAMAGE_BLOB] = "blob",
	};

	return names[part];
}
