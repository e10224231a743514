/*
 * Operations: the list of them, and each one's life.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The list is in the order of starting, newest first; it holds a reference on
 * each.  A running operation also has one of its own.  Changes reach watches by
 * a task on the loop, posted when none is under way already.
 */
#include "operations/operations.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/lock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct msn_operations {
	struct msn_operations_opts opts; /* set once */
	struct msn_mutex lock;		 /* MSN_RANK_OPERATIONS; all below */
	struct msn_operation *newest;
	unsigned ended_count;
};

struct msn_operation {
	atomic_uint refs;
	struct msn_operations *home;	  /* set once */
	struct msn_operation_start start; /* set once; texts are not */
	struct msn_task work;		  /* the workers' */
	struct msn_task tell;		  /* the loop's */
	atomic_bool cancelled;
	uint64_t started_ns; /* CLOCK_MONOTONIC; set once */

	/* Under home->lock. */
	struct msn_operation *older, *newer;
	struct msn_operation_view view;
	bool telling; /* the tell task is posted */

	struct msn_operation_watch *watches; /* thread of the loop */
	bool told_end;			     /* thread of the loop */
};

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static int64_t epoch_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- Life ---------------------------------------------------------------- */

int msn_operations_new(struct msn_operations **out,
		       const struct msn_operations_opts *opts)
{
	struct msn_operations *o = msn_alloc(sizeof(*o));

	if (!o)
		return msn_fail(-ENOMEM);
	o->opts = *opts;
	msn_mutex_init(&o->lock, MSN_RANK_OPERATIONS);
	*out = o;
	return 0;
}

struct msn_operation *msn_operation_ref(struct msn_operation *op)
{
	/* Whoever refs has a reference, so this orders nothing. */
	atomic_fetch_add_explicit(&op->refs, 1, memory_order_relaxed);
	return op;
}

struct msn_operation *msn_operation_unref(struct msn_operation *op)
{
	/* Pairs with itself: the last one sees what the others did. */
	if (!op ||
	    atomic_fetch_sub_explicit(&op->refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	for (size_t i = 0; i < op->view.result.error_count; i++)
		free(op->view.result.errors[i]);
	free(op->view.result.errors);
	if (op->start.release)
		op->start.release(op->start.ctx);
	free(op);
	return NULL;
}

/* Before: the lock is held. */
static void list_add(struct msn_operations *o, struct msn_operation *op)
{
	op->older = o->newest;
	if (o->newest)
		o->newest->newer = op;
	o->newest = op;
}

static void list_remove(struct msn_operations *o, struct msn_operation *op)
{
	if (op->older)
		op->older->newer = op->newer;
	if (op->newer)
		op->newer->older = op->older;
	else
		o->newest = op->older;
	op->older = op->newer = NULL;
}

struct msn_operations *msn_operations_free(struct msn_operations *o)
{
	if (!o)
		return NULL;
	while (o->newest) {
		struct msn_operation *op = o->newest;

		list_remove(o, op);
		msn_operation_unref(op);
	}
	msn_mutex_deinit(&o->lock);
	free(o);
	return NULL;
}

/* ---- What is kept of those that ended ------------------------------------ */

static bool is_old(const struct msn_operations *o,
		   const struct msn_operation *op)
{
	return o->ended_count > o->opts.kept_max ||
	       (o->opts.kept_ns &&
		epoch_ns() - op->view.ended_ns > (int64_t)o->opts.kept_ns);
}

/* Before: the lock is held.  Those taken out, linked by @older. */
static struct msn_operation *take_old(struct msn_operations *o)
{
	struct msn_operation *taken = NULL, *op = o->newest, *next;

	while (op && op->older)
		op = op->older;
	for (; op; op = next) {
		next = op->newer;
		if (!op->view.done)
			continue;
		if (!is_old(o, op))
			break;
		list_remove(o, op);
		o->ended_count--;
		op->older = taken;
		taken = op;
	}
	return taken;
}

static void drop_old(struct msn_operations *o)
{
	struct msn_operation *taken;

	msn_mutex_lock(&o->lock);
	taken = take_old(o);
	msn_mutex_unlock(&o->lock);
	while (taken) {
		struct msn_operation *op = taken;

		taken = op->older;
		op->older = NULL;
		if (o->opts.forget)
			o->opts.forget(o->opts.ctx, op->view.name);
		msn_operation_unref(op);
	}
}

/* ---- Telling ------------------------------------------------------------- */

static void tell(struct msn_task *task)
{
	struct msn_operation *op =
		msn_container_of(task, struct msn_operation, tell);
	struct msn_operation_watch *watch, *next;
	bool done;

	msn_mutex_lock(&op->home->lock);
	op->telling = false;
	done = op->view.done;
	msn_mutex_unlock(&op->home->lock);
	for (watch = op->watches; watch; watch = next) {
		next = watch->next;
		watch->fn(watch);
	}
	if (done && !op->told_end) {
		op->told_end = true;
		if (op->home->opts.ended)
			op->home->opts.ended(op->home->opts.ctx, op);
	}
	msn_operation_unref(op);
}

/* Before: the lock is held. */
static void post_tell(struct msn_operation *op)
{
	if (op->telling)
		return;
	op->telling = true;
	msn_operation_ref(op);
	msn_loop_post(op->home->opts.loop, &op->tell);
}

void msn_operation_watch(struct msn_operation *op,
			 struct msn_operation_watch *watch)
{
	watch->op = msn_operation_ref(op);
	watch->next = op->watches;
	watch->link = &op->watches;
	if (watch->next)
		watch->next->link = &watch->next;
	op->watches = watch;
}

void msn_operation_unwatch(struct msn_operation_watch *watch)
{
	if (!watch->op)
		return;
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	watch->op = msn_operation_unref(watch->op);
}

/* ---- Running ------------------------------------------------------------- */

static void keep(struct msn_operation *op, const struct msn_operation_view *v)
{
	const struct msn_operations_opts *opts = &op->home->opts;

	if (opts->keep)
		opts->keep(opts->ctx, v);
}

/* Nobody sees it running before that is written down. */
static int leave_queue(struct msn_operation *op)
{
	struct msn_operation_view v;

	msn_operation_look(op, &v);
	v.phase = MSN_PHASE_SCANNING;
	keep(op, &v);
	return msn_operation_progress(op, MSN_PHASE_SCANNING, 0, 0);
}

/* Nobody sees it done before that is written down. */
static void end(struct msn_operation *op, const struct msn_status *status)
{
	struct msn_operations *o = op->home;
	struct msn_operation_view v;

	msn_mutex_lock(&o->lock);
	v = op->view;
	msn_mutex_unlock(&o->lock);
	v.status = *status;
	v.done = true;
	v.phase = MSN_PHASE_DONE;
	v.ended_ns = epoch_ns();
	v.elapsed_ns = monotonic_ns() - op->started_ns;
	keep(op, &v);
	msn_mutex_lock(&o->lock);
	op->view = v;
	o->ended_count++;
	msn_mutex_unlock(&o->lock);
	drop_old(o);
	msn_mutex_lock(&o->lock);
	post_tell(op);
	msn_mutex_unlock(&o->lock);
}

static void work(struct msn_task *task)
{
	struct msn_operation *op =
		msn_container_of(task, struct msn_operation, work);
	struct msn_status status = { 0 };
	int rc = leave_queue(op);

	if (!rc)
		rc = op->start.run(op, op->start.ctx, &status);
	if (rc == -ECANCELED && !status.code)
		msn_status_set(&status, MSN_CODE_CANCELLED, "CANCELLED",
			       "the operation was cancelled");
	else if (rc)
		msn_status_failure(&status, rc, NULL);
	end(op, &status);
	msn_operation_unref(op);
}

/* Before: the lock is held. */
static unsigned count_running(const struct msn_operations *o, const char *owner)
{
	unsigned n = 0;

	for (const struct msn_operation *op = o->newest; op; op = op->older)
		n += !op->view.done &&
		     (!owner || strcmp(op->view.owner, owner) == 0);
	return n;
}

static struct msn_operation *make(struct msn_operations *o,
				  const struct msn_operation_start *opts)
{
	struct msn_operation *op = msn_alloc(sizeof(*op));
	struct msn_operation_view *v;

	if (!op)
		return NULL;
	atomic_init(&op->refs, 1);
	op->home = o;
	op->start = *opts;
	op->work.run = work;
	op->tell.run = tell;
	op->started_ns = monotonic_ns();
	v = &op->view;
	msn_uid_format(msn_uid_new(), v->name);
	v->kind = opts->kind;
	v->phase = MSN_PHASE_QUEUED;
	v->created_ns = epoch_ns();
	snprintf(v->target, sizeof(v->target), "%s", opts->target);
	snprintf(v->owner, sizeof(v->owner), "%s", opts->owner);
	snprintf(v->trace_id, sizeof(v->trace_id), "%s",
		 opts->trace_id ? opts->trace_id : "");
	return op;
}

static int too_many(struct msn_status *why, const char *whose, unsigned max)
{
	msn_status_set(why, MSN_CODE_RESOURCE_EXHAUSTED, "OPERATION_QUOTA",
		       "%s has %u operations under way already", whose, max);
	why->retry_ms = 1000;
	return -EDQUOT;
}

/* Lists it, unless there are too many. */
static int admit(struct msn_operations *o, struct msn_operation *op,
		 struct msn_status *why)
{
	const struct msn_operations_opts *opts = &o->opts;

	msn_lock_scope(&o->lock);
	if (opts->running_max && count_running(o, NULL) >= opts->running_max)
		return too_many(why, "the service", opts->running_max);
	if (opts->running_per_owner_max &&
	    count_running(o, op->view.owner) >= opts->running_per_owner_max)
		return too_many(why, op->view.owner,
				opts->running_per_owner_max);
	msn_operation_ref(op);
	list_add(o, op);
	return 0;
}

static void unlist(struct msn_operations *o, struct msn_operation *op)
{
	msn_mutex_lock(&o->lock);
	list_remove(o, op);
	msn_mutex_unlock(&o->lock);
	msn_operation_unref(op);
}

int msn_operation_start(struct msn_operations *o,
			const struct msn_operation_start *opts,
			struct msn_operation **out, struct msn_status *why)
{
	msn_auto(msn_operation_unrefp) struct msn_operation *op = make(o, opts);
	int rc;

	if (!op) {
		if (opts->release)
			opts->release(opts->ctx);
		return msn_fail(-ENOMEM);
	}
	rc = admit(o, op, why);
	if (rc)
		return msn_pass(rc);
	msn_operation_ref(op); /* the worker's */
	rc = msn_workers_submit(o->opts.workers, &op->work);
	if (rc) {
		unlist(o, op);
		msn_operation_unref(op);
		return too_many(why, "the service", o->opts.running_max);
	}
	*out = msn_steal(op);
	return 0;
}

int msn_operations_adopt(struct msn_operations *o,
			 const struct msn_operation_view *view)
{
	struct msn_operation *op =
		make(o, &(struct msn_operation_start){ .kind = view->kind,
						       .target = view->target,
						       .owner = view->owner });

	if (!op)
		return msn_fail(-ENOMEM);
	op->view = *view;
	op->view.done = true;
	op->view.phase = MSN_PHASE_DONE;
	op->told_end = true;
	msn_lock_scope(&o->lock);
	list_add(o, op);
	o->ended_count++;
	return 0;
}

/* ---- Inside run() -------------------------------------------------------- */

int msn_operation_progress(struct msn_operation *op, enum msn_phase phase,
			   uint64_t bytes_done, uint64_t bytes_total)
{
	msn_lock_scope(&op->home->lock);
	op->view.phase = phase;
	op->view.bytes_done = bytes_done;
	op->view.bytes_total = bytes_total;
	post_tell(op);
	return msn_operation_cancelled(op) ? -ECANCELED : 0;
}

bool msn_operation_cancelled(const struct msn_operation *op)
{
	return atomic_load_explicit(&op->cancelled, memory_order_relaxed);
}

struct msn_operation_result *msn_operation_result(struct msn_operation *op)
{
	return &op->view.result;
}

int msn_operation_error(struct msn_operation *op, const char *text)
{
	struct msn_operation_result *r = &op->view.result;
	char *copy;

	if (r->error_count == MSN_OPERATION_ERRORS_MAX)
		return 0;
	copy = msn_strdup(text);
	if (!copy || msn_grow((void **)&r->errors, &r->error_cap,
			      r->error_count, sizeof(*r->errors))) {
		free(copy);
		return msn_fail(-ENOMEM);
	}
	r->errors[r->error_count++] = copy;
	return 0;
}

/* ---- From outside -------------------------------------------------------- */

static bool is_named(const struct msn_operation *op, const char *owner,
		     const char *name)
{
	return strcmp(op->view.name, name) == 0 &&
	       strcmp(op->view.owner, owner) == 0;
}

int msn_operations_find(struct msn_operations *o, const char *owner,
			const char *name, struct msn_operation **out,
			struct msn_status *why)
{
	msn_lock_scope(&o->lock);
	for (struct msn_operation *op = o->newest; op; op = op->older)
		if (is_named(op, owner, name)) {
			*out = msn_operation_ref(op);
			return 0;
		}
	msn_status_set(why, MSN_CODE_NOT_FOUND, "OPERATION_NOT_FOUND",
		       "there is no operation '%.80s'", name);
	return -ENOENT;
}

int msn_operations_list(struct msn_operations *o, const char *owner,
			const char *before, size_t max,
			struct msn_operation ***out, size_t *count)
{
	struct msn_operation **list =
		msn_alloc_array(max ? max : 1, sizeof(struct msn_operation *));
	bool begun = !*before;
	size_t n = 0;

	if (!list)
		return msn_fail(-ENOMEM);
	msn_lock_scope(&o->lock);
	for (struct msn_operation *op = o->newest; op && n < max;
	     op = op->older) {
		if (begun && strcmp(op->view.owner, owner) == 0)
			list[n++] = msn_operation_ref(op);
		begun = begun || is_named(op, owner, before);
	}
	*out = list;
	*count = n;
	return 0;
}

void msn_operation_look(struct msn_operation *op,
			struct msn_operation_view *out)
{
	msn_mutex_lock(&op->home->lock);
	*out = op->view;
	msn_mutex_unlock(&op->home->lock);
	if (out->done)
		return;
	out->elapsed_ns = monotonic_ns() - op->started_ns;
	out->result = (struct msn_operation_result){ 0 };
}

void msn_operation_cancel(struct msn_operation *op)
{
	atomic_store_explicit(&op->cancelled, true, memory_order_relaxed);
}

unsigned msn_operations_running(struct msn_operations *o, const char *owner)
{
	msn_lock_scope(&o->lock);
	return count_running(o, owner);
}
