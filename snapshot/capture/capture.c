/*
 * Capture: stop, describe, save, let go.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    prepare     the store, its parent, an empty space
 *    stop        ----------------------------------------------.
 *    describe    mappings and private pages                    | the process
 *    save        reads the pages, then calls released()        | stands still
 *    resume      ----------------------------------------------'
 *    commit      blobs, disk, catalog
 */
#include "capture/capture.h"

#include "base/alloc.h"
#include "base/error.h"
#include "capture/blobs.h"
#include "capture/describe.h"
#include "capture/target.h"
#include "memfile/memfile.h"
#include "platform/address_space.h"

#include <errno.h>

/* One capture under way. */
struct capture {
	const struct msn_capture_opts *opts;
	struct msn_store *store;
	struct msn_target target;
	struct msn_memfile *memfile; /* of the space: nothing is written to */
	struct msn_mm *mm;
	struct msn_save_opts save;
	struct msn_saver *saver;
	struct msn_capture_blobs blobs;
	uint64_t object_bytes;
	bool released;
};

static int failed(const struct capture *c, int rc, struct msn_failure *why)
{
	return msn_failure_errno(why, rc, "capturing process %d", c->opts->pid);
}

static void released(void *ctx)
{
	struct capture *c = ctx;

	msn_tracee_resume(c->target.tracee);
	c->released = true;
}

/* What needs no process that stands still. */
static int prepare(struct capture *c, struct msn_failure *why)
{
	const struct msn_capture_opts *o = c->opts;
	struct msn_mm_opts opts = { 0 };
	int rc;

	c->save = (struct msn_save_opts){
		.name = o->name,
		.parent = o->parent,
		.no_parent = !o->parent,
		.labels = o->labels,
		.label_count = o->label_count,
		.progress = o->progress,
		.progress_ctx = o->progress_ctx,
		.space_released = released,
		.released_ctx = c,
	};
	rc = msn_memfile_new(&c->memfile, &(struct msn_memfile_opts){ 0 });
	if (rc == 0)
		rc = msn_platform_none_new(&opts.as);
	if (rc)
		return failed(c, rc, why);
	opts.memfile = c->memfile;
	rc = msn_mm_new(&c->mm, &opts);
	if (rc)
		return failed(c, rc, why);
	return msn_pass(
		msn_saver_new(&c->saver, c->store, &c->save, NULL, why));
}

/*
 * A process that is killed while it stands still takes its pages along; what
 * the save then says of some address is not what happened.
 */
static int save_failed(const struct capture *c, int rc,
		       const struct msn_failure *said, struct msn_failure *why)
{
	if (!c->released && !msn_tracee_stopped(c->target.tracee))
		return msn_failure_set(
			why, -ESRCH, MSN_FAILURE_ABORTED,
			"process %d ended while it was being captured",
			c->opts->pid);
	return msn_failure_set(why, rc, said->kind, "%s", said->text);
}

static int save(struct capture *c, struct msn_uid *out,
		struct msn_manifest_stats *pages, struct msn_failure *why)
{
	struct msn_failure said = { 0 };
	int rc;

	c->save.attrs = c->blobs.attrs;
	c->save.attr_count = c->blobs.attr_count;
	c->save.blobs = c->blobs.list;
	c->save.blob_count = c->blobs.count;
	rc = msn_saver_run(c->saver, c->mm, out, pages, &said);
	return rc ? save_failed(c, rc, &said, why) : 0;
}

/* From the first stop to the end. */
static int stop_and_save(struct capture *c, struct msn_uid *out,
			 struct msn_manifest_stats *pages,
			 struct msn_failure *why)
{
	struct msn_failure said = { 0 };
	int rc;

	rc = msn_target_stop(&c->target, why);
	if (rc)
		return msn_pass(rc);
	rc = msn_describe(&c->target, c->mm, &c->object_bytes, &said);
	/* A dead process has no private pages: that is no answer. */
	if (rc || !msn_tracee_stopped(c->target.tracee))
		return save_failed(c, rc, &said, why);
	rc = msn_capture_blobs_make(&c->blobs, &c->target);
	if (rc)
		return failed(c, rc, why);
	return msn_pass(save(c, out, pages, why));
}

static void count(const struct capture *c, struct msn_capture_stats *stats)
{
	size_t threads;

	msn_tracee_threads(c->target.tracee, &threads);
	stats->thread_count = threads;
	stats->pause_ns = msn_tracee_pause_ns(c->target.tracee);
	stats->read_bytes =
		msn_procfile_read_bytes(c->target.pf) + c->object_bytes;
}

int msn_capture(struct msn_store *store, const struct msn_capture_opts *opts,
		struct msn_uid *out, struct msn_capture_stats *stats,
		struct msn_failure *why)
{
	struct msn_capture_stats found = { 0 };
	struct capture c = { .opts = opts, .store = store };
	struct msn_uid uid;
	int rc;

	rc = msn_target_open(&c.target, opts->pid, why);
	if (rc)
		return msn_pass(rc);
	rc = prepare(&c, why);
	if (rc == 0)
		rc = stop_and_save(&c, &uid, &found.pages, why);
	if (rc == 0) {
		count(&c, &found);
		*out = uid;
		if (stats)
			*stats = found;
	}
	if (c.target.tracee)
		msn_tracee_resume(c.target.tracee);
	msn_saver_free(c.saver);
	msn_mm_free(c.mm);
	msn_memfile_free(c.memfile);
	msn_capture_blobs_deinit(&c.blobs);
	msn_target_close(&c.target);
	return msn_pass(rc);
}
