/*
 * One space: its life, what it tells of itself, its gate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spaces/spaces_internal.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Life ---------------------------------------------------------------- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

struct msn_space *space_new(struct msn_spaces *s,
			    const struct msn_space_begin *opts)
{
	struct msn_space *space = msn_alloc(sizeof(*space));

	if (!space)
		return NULL;
	if (msn_labels_copy(&space->labels, &opts->labels)) {
		free(space);
		return NULL;
	}
	atomic_init(&space->refs, 1);
	space->registry = s;
	space->uid = msn_uid_new();
	space->generation = opts->generation;
	space->parent = opts->parent;
	space->limits = opts->limits;
	space->created_ns = now_ns();
	space->state = MSN_SPACE_RESTORING;
	space->etag = 1;
	snprintf(space->owner, sizeof(space->owner), "%s", opts->owner);
	msn_mutex_init(&space->lock, MSN_RANK_SPACE);
	pthread_cond_init(&space->changed, NULL);
	return space;
}

struct msn_space *msn_space_ref(struct msn_space *space)
{
	/* Whoever refs has a reference, so this orders nothing. */
	atomic_fetch_add_explicit(&space->refs, 1, memory_order_relaxed);
	return space;
}

struct msn_space *msn_space_unref(struct msn_space *space)
{
	/* Pairs with itself: the last one sees what the others did. */
	if (!space || atomic_fetch_sub_explicit(&space->refs, 1,
						memory_order_acq_rel) > 1)
		return NULL;
	spaces_forget(space);
	msn_mm_free(space->mm);
	msn_labels_deinit(&space->labels);
	pthread_cond_destroy(&space->changed);
	msn_mutex_deinit(&space->lock);
	free(space);
	return NULL;
}

const char *msn_space_name(const struct msn_space *space)
{
	return space->name;
}

const char *msn_space_owner(const struct msn_space *space)
{
	return space->owner;
}

struct msn_uid msn_space_uid(const struct msn_space *space)
{
	return space->uid;
}

msn_account_id msn_space_account(const struct msn_space *space)
{
	return space->account;
}

struct msn_mm *msn_space_mm(struct msn_space *space)
{
	return space->mm;
}

/* ---- Views and updates --------------------------------------------------- */

int msn_space_look(struct msn_space *space, struct msn_space_view *out)
{
	struct msn_space_view v = { .uid = space->uid,
				    .generation = space->generation,
				    .created_ns = space->created_ns };
	struct msn_mm_usage usage;

	snprintf(v.name, sizeof(v.name), "%s", space->name);
	snprintf(v.owner, sizeof(v.owner), "%s", space->owner);
	msn_mm_usage(space->mm, &usage);
	v.mapping_count = usage.mappings;
	v.mapped_bytes = usage.total;
	v.resident_bytes =
		usage.rss_anonymous + usage.rss_file + usage.rss_shmem;
	msn_lock_scope(&space->lock);
	v.parent = space->parent;
	v.state = space->state;
	v.limits = space->limits;
	v.etag = space->etag;
	if (msn_labels_copy(&v.labels, &space->labels))
		return msn_fail(-ENOMEM);
	*out = v;
	return 0;
}

void msn_space_view_deinit(struct msn_space_view *view)
{
	msn_labels_deinit(&view->labels);
}

void msn_space_set_parent(struct msn_space *space, struct msn_uid parent)
{
	msn_lock_scope(&space->lock);
	space->parent = parent;
}

static void merge_limit(uint64_t *to, uint64_t from)
{
	if (from)
		*to = from;
}

static void merge_limits(struct msn_space_limits *to,
			 const struct msn_space_limits *from)
{
	merge_limit(&to->address_space_bytes, from->address_space_bytes);
	merge_limit(&to->data_bytes, from->data_bytes);
	merge_limit(&to->locked_bytes, from->locked_bytes);
	merge_limit(&to->mappings, from->mappings);
	merge_limit(&to->memory_bytes, from->memory_bytes);
}

/* The labels as they would be. */
static int merge_labels(const struct msn_labels *old,
			const struct msn_space_update *opts,
			struct msn_labels *out, struct msn_status *why)
{
	struct msn_labels l;
	int rc = msn_labels_copy(&l, old);

	if (rc)
		return msn_pass(rc);
	for (size_t i = 0; i < opts->remove_count; i++)
		msn_labels_unset(&l, opts->remove[i]);
	for (size_t i = 0; !rc && i < opts->set.count; i++)
		rc = msn_labels_set(&l, opts->set.at[i].key,
				    opts->set.at[i].value, why);
	if (rc)
		msn_labels_deinit(&l);
	else
		*out = l;
	return msn_pass(rc);
}

int msn_space_update(struct msn_space *space,
		     const struct msn_space_update *opts,
		     struct msn_status *why)
{
	struct msn_spaces_quotas quotas;
	struct msn_labels labels;
	int rc;

	msn_mutex_lock(&space->registry->lock);
	quotas = space->registry->quotas;
	msn_mutex_unlock(&space->registry->lock);

	msn_lock_scope(&space->lock);
	if (opts->etag && opts->etag != space->etag) {
		msn_status_set(why, MSN_CODE_ABORTED, "ETAG_MISMATCH",
			       "space %s has changed since it was read",
			       space->name);
		return -ESTALE;
	}
	rc = merge_labels(&space->labels, opts, &labels, why);
	if (rc)
		return msn_pass(rc);
	msn_labels_deinit(&space->labels);
	space->labels = labels;
	merge_limits(&space->limits, &opts->limits);
	space->etag++;
	spaces_apply_limits(space, &quotas);
	return 0;
}

/* ---- The gate ------------------------------------------------------------ */

static void wait_changed(struct msn_space *space)
{
	pthread_cond_wait(&space->changed, &space->lock.raw);
}

void msn_space_enter(struct msn_space *space)
{
	msn_lock_scope(&space->lock);
	while (space->frozen)
		wait_changed(space);
	space->inside++;
}

void msn_space_leave(struct msn_space *space)
{
	msn_lock_scope(&space->lock);
	if (--space->inside == 0 && space->frozen)
		pthread_cond_broadcast(&space->changed);
}

int msn_space_freeze(struct msn_space *space, enum msn_space_state state,
		     struct msn_status *why)
{
	msn_lock_scope(&space->lock);
	if (space->frozen) {
		msn_status_set(why, MSN_CODE_FAILED_PRECONDITION, "SPACE_BUSY",
			       "space %s is being saved or forked",
			       space->name);
		return -EBUSY;
	}
	space->frozen = true;
	space->state = state;
	while (space->inside)
		wait_changed(space);
	return 0;
}

void msn_space_thaw(struct msn_space *space)
{
	msn_lock_scope(&space->lock);
	space->frozen = false;
	space->state = MSN_SPACE_READY;
	pthread_cond_broadcast(&space->changed);
}
