/*
 * Owner: what one owner's connections and calls use.  Private to this
 * component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An owner is known from its first connection or call on; it is forgotten some
 * time after the last, when its right to calls a second has filled up again.
 *
 * Locks: loop thread; the budget and the references any thread.
 */
#ifndef MSN_WIRE_OWNER_H
#define MSN_WIRE_OWNER_H

#include "base/cleanup.h"
#include "base/lock.h"
#include "loop/loop.h"
#include "wire/budget.h"
#include "wire/ring.h"

#include <stdint.h>

struct owner_fds;

struct owner {
	atomic_uint refs;
	struct budget budget;
	atomic_size_t fds; /* received, and neither taken nor closed */
	struct msn_workers *workers; /* borrowed */
	struct msn_mutex lock;
	/* Under lock. */
	struct owner_fds *to_close;
	bool closes; /* `closing` is on its way, with a reference */
	struct msn_task closing;
	/* Thread of the loop. */
	struct owner *next; /* in its table */
	unsigned connections, calls, blocking;
	struct ring waiting; /* calls that wait for one of `blocking` */
	uint64_t full_at;    /* ns: when the calls a second are all there */
	char name[];
};

#define OWNER_BUCKETS 64

struct owners {
	struct owner *buckets[OWNER_BUCKETS];
	unsigned count, swept_count;
	struct budget budget; /* of all */
	struct msn_workers *workers;
};

void owners_init(struct owners *all, size_t budget_limit,
		 struct msn_workers *workers);
void owners_deinit(struct owners *all);

/* The owner of this name: *@out is a reference. */
MSN_MUST_CHECK int owners_get(struct owner **out, struct owners *all,
			      const char *name);
struct owner *owner_ref(struct owner *o);
struct owner *owner_unref(struct owner *o);

/*
 * Closes descriptors that came from this owner and that nobody took, and counts
 * them out; -1 are left out, @fds is freed.  On a worker, one task for each
 * owner: close() of a file that its owner serves itself (FUSE) may block for as
 * long as they like.  Any thread.
 */
void owner_close_fds(struct owner *o, int *fds, size_t count);

/*
 * Takes one call of @per_second; what was not used is kept for one second.  0,
 * or the ms after which there is another.
 */
MSN_MUST_CHECK unsigned owner_take_call(struct owner *o, unsigned per_second,
					uint64_t now);

#endif /* MSN_WIRE_OWNER_H */
