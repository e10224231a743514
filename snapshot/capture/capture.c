/*
 * Capture: stop, describe, save, let go.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    prepare     the store, its parent, an empty space, a stage
 *    stop        ----------------------------------------------.
 *    describe    mappings and private pages                    | the process
 *    stage       copies the pages                              | stands still
 *    resume      ----------------------------------------------'
 *    save        stores the copies, commits
 *
 * Without memory for a stage, or with shared memory that must be read while
 * nobody writes to it, the process goes on when the save has read everything
 * and calls released().
 */
#include "capture/capture.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/limits.h"
#include "capture/blobs.h"
#include "capture/describe.h"
#include "capture/stage.h"
#include "capture/target.h"
#include "memfile/memfile.h"
#include "platform/address_space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* What a process may grow by between two looks at it. */
#define STAGE_SLACK_BYTES (UINT64_C(2) << 20)

/* One capture under way. */
struct capture {
	const struct msn_capture_opts *opts;
	struct msn_store *store;
	struct msn_target target;
	struct msn_memfile *memfile; /* of the space: nothing is written to */
	struct msn_stage *stage;
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

	if (c->released)
		return;
	msn_tracee_resume(c->target.tracee);
	c->released = true;
}

/* Bytes of memory that may be asked for, 0 if it does not say. */
static uint64_t available_bytes(void)
{
	msn_auto(msn_freep) char *text = NULL;
	const char *at;

	if (msn_read_file(&text, NULL, AT_FDCWD, "/proc/meminfo", 65536))
		return 0;
	at = strstr(text, "\nMemAvailable:");
	return at ? strtoull(at + strlen("\nMemAvailable:"), NULL, 10) * 1024
		  : 0;
}

/*
 * Room for what the process has of its own, and for what it adds until it is
 * stopped; none if that is more than may be taken.
 */
static uint64_t stage_bytes(const struct capture *c)
{
	/* The process and others want to go on as before. */
	uint64_t most = c->opts->stage_bytes ? c->opts->stage_bytes
					     : available_bytes() / 4;
	uint64_t want = c->target.status.private_bytes;

	want += want / 16 + STAGE_SLACK_BYTES;
	return want > most ? 0 : want;
}

/* What needs no process that stands still. */
static int prepare(struct capture *c, struct msn_failure *why)
{
	const struct msn_capture_opts *o = c->opts;
	struct msn_mm_opts opts = { 0 };
	int rc;

	c->save = (struct msn_save_opts){
		.foreign = true,
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
	rc = msn_stage_new(&c->stage, stage_bytes(c));
	if (rc)
		return failed(c, rc, why);
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

/*
 * Copies what is to be saved and lets the process go, if all of it can be
 * copied.  A copy that fails is no failure: the save reads the process itself
 * and says what is wrong.
 */
static void stage(struct capture *c)
{
	if (msn_described_has_objects(c->mm))
		return;
	if (msn_stage_fill(c->stage, c->mm) == 0)
		released(c);
}

/* From the first stop to the end. */
static int stop_and_save(struct capture *c, struct msn_uid *out,
			 struct msn_manifest_stats *pages,
			 struct msn_failure *why)
{
	const struct msn_describe_opts opts = {
		.memory = msn_stage_file(c->stage),
		.object_bytes = &c->object_bytes,
	};
	struct msn_failure said = { 0 };
	int rc;

	rc = msn_target_stop(&c->target, why);
	if (rc)
		return msn_pass(rc);
	msn_stage_set_source(c->stage, msn_procfile_file(c->target.pf));
	rc = msn_describe(&c->target, c->mm, &opts, &said);
	/* A dead process has no private pages: that is no answer. */
	if (rc || !msn_tracee_stopped(c->target.tracee))
		return save_failed(c, rc, &said, why);
	stage(c);
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
	msn_stage_free(c.stage);
	msn_capture_blobs_deinit(&c.blobs);
	msn_target_close(&c.target);
	return msn_pass(rc);
}
