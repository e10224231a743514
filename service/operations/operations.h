/*
 * Operations: work that outlives the call that began it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    start --> QUEUED --> RUNNING --> done (or failed, or cancelled)
 *                 |          ^
 *                 +- cancel -+
 *
 * An operation runs on a worker.  It tells how far it is, asks whether it was
 * cancelled, and leaves a result.  Whoever waits for it gives a watch, which is
 * called on the loop thread; the newest state wins.  Operations that ended are
 * kept for a while, the oldest go first.
 *
 * What must be known after a crash is the keeper's matter (see struct
 * msn_operations_opts): it writes an operation down before it leaves QUEUED and
 * before it is done, so that what is not QUEUED survives.
 *
 * Locks: MSN_RANK_OPERATIONS, held for bookkeeping only.  Any thread, but for
 * watches (loop thread).
 */
#ifndef MSN_OPERATIONS_OPERATIONS_H
#define MSN_OPERATIONS_OPERATIONS_H

#include "base/cleanup.h"
#include "format/uid.h"
#include "loop/loop.h"
#include "status/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values are those of the .proto. */
enum msn_operation_kind {
	MSN_OPERATION_SAVE = 1,
	MSN_OPERATION_RESTORE,
	MSN_OPERATION_CHECK,
	MSN_OPERATION_PRUNE,
};

enum msn_phase {
	MSN_PHASE_QUEUED = 1,
	MSN_PHASE_SCANNING,
	MSN_PHASE_COPYING,
	MSN_PHASE_WRITING,
	MSN_PHASE_SYNCING,
	MSN_PHASE_READING,
	MSN_PHASE_DONE,
};

/* Texts of a check's report that are kept. */
#define MSN_OPERATION_ERRORS_MAX 1000

/* What an operation leaves; zeroed where it has nothing to say. */
struct msn_operation_result {
	char snapshot[MSN_UID_TEXT];
	char space[64];
	uint64_t snapshots, pages, damaged_pages; /* CHECK */
	char **errors;				  /* owned */
	size_t error_count, error_cap;
	uint64_t packs_freed, bytes_freed; /* PRUNE */
};

/* Everything that a listing shows, at one moment. */
struct msn_operation_view {
	char name[MSN_UID_TEXT];
	enum msn_operation_kind kind;
	char target[64], owner[80], trace_id[33];
	enum msn_phase phase;
	bool done;
	uint64_t bytes_done, bytes_total;
	int64_t created_ns, ended_ns; /* since the epoch; 0: not yet */
	uint64_t elapsed_ns;
	struct msn_status status;	    /* of a done one */
	struct msn_operation_result result; /* borrowed texts: see look */
};

struct msn_operations;
struct msn_operation;

struct msn_operations_opts {
	struct msn_loop *loop;			     /* borrowed */
	struct msn_workers *workers;		     /* borrowed */
	unsigned running_max, running_per_owner_max; /* queued ones count */
	unsigned kept_max;			     /* that ended */
	uint64_t kept_ns;

	/*
	 * Writes down what a listing after a crash must show, on the worker.
	 * NULL: nothing is written down.
	 */
	void (*keep)(void *ctx, const struct msn_operation_view *view);
	void (*forget)(void *ctx, const char *name);
	/* Told on the loop thread that one has ended. */
	void (*ended)(void *ctx, struct msn_operation *op);
	void *ctx;
};

MSN_MUST_CHECK int msn_operations_new(struct msn_operations **out,
				      const struct msn_operations_opts *opts);

/*
 * Before: the workers have none of its tasks any more.  NULL is allowed.
 * Returns NULL.
 */
struct msn_operations *msn_operations_free(struct msn_operations *o);
MSN_DEFINE_AUTO(struct msn_operations, msn_operations_free)

struct msn_operation_start {
	enum msn_operation_kind kind;
	const char *target, *owner, *trace_id; /* copied, cut to what fits */

	/*
	 * Does the work, on a worker.  0, or a negated errno with @why filled
	 * (an empty one is filled from the errno).
	 */
	int (*run)(struct msn_operation *op, void *ctx, struct msn_status *why);
	/* Frees @ctx, once, whatever became of the operation. */
	void (*release)(void *ctx);
	void *ctx; /* taken over, also on failure */
};

/*
 * Starts an operation.  *@out is a reference.  RESOURCE_EXHAUSTED
 * (OPERATION_QUOTA) when too many are running.
 */
MSN_MUST_CHECK int msn_operation_start(struct msn_operations *o,
				       const struct msn_operation_start *opts,
				       struct msn_operation **out,
				       struct msn_status *why);

struct msn_operation *msn_operation_ref(struct msn_operation *op);
struct msn_operation *msn_operation_unref(struct msn_operation *op);
MSN_DEFINE_AUTO(struct msn_operation, msn_operation_unref)

/* Puts one from before a crash into the list; done, as @view says. */
MSN_MUST_CHECK int msn_operations_adopt(struct msn_operations *o,
					const struct msn_operation_view *view);

/* ---- Inside run() -------------------------------------------------------- */

/* Says how far it is.  -ECANCELED when it was cancelled, else 0. */
MSN_MUST_CHECK int msn_operation_progress(struct msn_operation *op,
					  enum msn_phase phase,
					  uint64_t bytes_done,
					  uint64_t bytes_total);
bool msn_operation_cancelled(const struct msn_operation *op);

/* To be filled; nobody sees it before run() returns. */
struct msn_operation_result *msn_operation_result(struct msn_operation *op);

/* Adds a text to the report of a check; past the most, drops it. */
MSN_MUST_CHECK int msn_operation_error(struct msn_operation *op,
				       const char *text);

/* ---- From outside -------------------------------------------------------- */

/* NOT_FOUND (OPERATION_NOT_FOUND), also for one of another owner. */
MSN_MUST_CHECK int msn_operations_find(struct msn_operations *o,
				       const char *owner, const char *name,
				       struct msn_operation **out,
				       struct msn_status *why);

/*
 * Up to @max references on @owner's, newest first, those before the operation
 * named @before ("": from the newest).  *@out is an array for free().
 */
MSN_MUST_CHECK int msn_operations_list(struct msn_operations *o,
				       const char *owner, const char *before,
				       size_t max, struct msn_operation ***out,
				       size_t *count);

/*
 * What it is now.  Texts in view->result are the operation's: they live as long
 * as the reference, and are there when it is done only.
 */
void msn_operation_look(struct msn_operation *op,
			struct msn_operation_view *out);

/* Has run() asked to end.  Done ones stay as they are. */
void msn_operation_cancel(struct msn_operation *op);

unsigned msn_operations_running(struct msn_operations *o, const char *owner);

/*
 * A wish to be told.  @fn is called on the loop thread after the operation has
 * got further or ended, once for any number of changes; it may unwatch itself
 * and no other.  Who wants to miss nothing watches first and looks then.
 */
struct msn_operation_watch {
	void (*fn)(struct msn_operation_watch *self);
	/* The rest belongs to the operation. */
	struct msn_operation *op;
	struct msn_operation_watch *next, **link;
};

/* Loop thread. */
void msn_operation_watch(struct msn_operation *op,
			 struct msn_operation_watch *watch);
void msn_operation_unwatch(struct msn_operation_watch *watch);

#endif /* MSN_OPERATIONS_OPERATIONS_H */
