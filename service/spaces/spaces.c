/*
 * The registry: who has which space.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An array sorted by owner and name: a lookup is a binary search, and a new
 * space moves some pointers.  It holds a reference on each space in it.
 */
#include "spaces/spaces_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"
#include "format/manifest.h"
#include "memfile/memfile.h"
#include "platform/address_space.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The registry itself ------------------------------------------------- */

int msn_spaces_new(struct msn_spaces **out, const struct msn_spaces_opts *opts)
{
	msn_auto(msn_spaces_freep) struct msn_spaces *s = NULL;
	int rc;

	s = msn_alloc(sizeof(*s));
	if (!s)
		return msn_fail(-ENOMEM);
	msn_mutex_init(&s->lock, MSN_RANK_SPACES);
	s->quotas = opts->quotas;
	s->next_account = 1;
	rc = msn_account_table_new(&s->accounts);
	if (!rc)
		rc = msn_memfile_new(&s->memfile,
				     &(struct msn_memfile_opts){
					     .accounts = s->accounts,
					     .releaser = true,
				     });
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(s);
	return 0;
}

struct msn_spaces *msn_spaces_free(struct msn_spaces *s)
{
	if (!s)
		return NULL;
	while (s->count > 0) {
		struct msn_space *space = s->list[--s->count];

		space->listed = false;
		msn_space_unref(space);
	}
	free(s->list);
	msn_memfile_free(s->memfile);
	msn_account_table_free(s->accounts);
	msn_mutex_deinit(&s->lock);
	free(s);
	return NULL;
}

void msn_spaces_set_quotas(struct msn_spaces *s,
			   const struct msn_spaces_quotas *quotas)
{
	msn_lock_scope(&s->lock);
	s->quotas = *quotas;
}

struct msn_memfile *msn_spaces_memfile(struct msn_spaces *s)
{
	return s->memfile;
}

struct msn_account_table *msn_spaces_accounts(struct msn_spaces *s)
{
	return s->accounts;
}

/* ---- Places in the list -------------------------------------------------- */

static int compare(const struct msn_space *a, const char *owner,
		   const char *name)
{
	int order = strcmp(a->owner, owner);

	return order ? order : strcmp(a->name, name);
}

/* The first space that is not before (@owner, @name). */
static size_t place(const struct msn_spaces *s, const char *owner,
		    const char *name)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (compare(s->list[mid], owner, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_at(const struct msn_spaces *s, size_t at, const char *owner,
		  const char *name)
{
	return at < s->count && compare(s->list[at], owner, name) == 0;
}

/* Where the spaces of @owner end. */
static size_t owner_end(const struct msn_spaces *s, const char *owner,
			size_t from)
{
	while (from < s->count && strcmp(s->list[from]->owner, owner) == 0)
		from++;
	return from;
}

/* ---- Limits -------------------------------------------------------------- */

static uint64_t least(uint64_t own, uint64_t quota, uint64_t none)
{
	uint64_t a = own ? own : none, b = quota ? quota : none;

	return a < b ? a : b;
}

void spaces_apply_limits(struct msn_space *space,
			 const struct msn_spaces_quotas *q)
{
	const struct msn_space_limits *own = &space->limits;
	struct msn_mm_limits l = msn_mm_no_limits();

	l.as = least(own->address_space_bytes, q->mapped_bytes, MSN_UNLIMITED);
	l.data = least(own->data_bytes, 0, MSN_UNLIMITED);
	l.memlock = least(own->locked_bytes, 0, MSN_UNLIMITED);
	l.can_lock = l.memlock == MSN_UNLIMITED;
	l.mappings = least(own->mappings, q->mappings, MSN_MAPPING_COUNT_MAX);
	msn_mm_set_limits(space->mm, &l);
	/* The account was prepared when the space was made. */
	if (msn_account_set_limit(space->registry->accounts, space->account,
				  least(own->memory_bytes, q->memory_bytes,
					MSN_ACCOUNT_NO_LIMIT)))
		abort();
}

/* ---- Making -------------------------------------------------------------- */

static int quota_full(struct msn_status *why, const char *whose, uint64_t max)
{
	msn_status_set(why, MSN_CODE_RESOURCE_EXHAUSTED, "SPACE_QUOTA",
		       "%s already has the %" PRIu64 " spaces that it may have",
		       whose, max);
	return -EDQUOT;
}

/* Before: the lock is held. */
static int check_quota(const struct msn_spaces *s, const char *owner,
		       struct msn_status *why)
{
	size_t from = place(s, owner, "");
	size_t n = owner_end(s, owner, from) - from;

	if (s->quotas.spaces && s->count >= s->quotas.spaces)
		return quota_full(why, "the service", s->quotas.spaces);
	if (s->quotas.spaces_per_owner && n >= s->quotas.spaces_per_owner)
		return quota_full(why, owner, s->quotas.spaces_per_owner);
	return 0;
}

static int check_name(const char *name, struct msn_status *why)
{
	const char *wrong = msn_snapshot_name_check(name);

	if (!wrong)
		return 0;
	msn_status_set(why, MSN_CODE_INVALID_ARGUMENT, "INVALID_NAME",
		       "'%.80s' cannot name a space: %s", name, wrong);
	snprintf(why->field, sizeof(why->field), "name");
	return -EINVAL;
}

/* A name that nobody has: "space-" and some digits of the uid. */
static void make_name(struct msn_space *space)
{
	char uid[MSN_UID_TEXT];

	msn_uid_format(space->uid, uid);
	snprintf(space->name, sizeof(space->name), "space-%.16s", uid);
}

/* Puts the space into the list, hidden: it holds its name from now on. */
static int take_name(struct msn_spaces *s, struct msn_space *space,
		     struct msn_status *why)
{
	msn_lock_scope(&s->lock);
	size_t at = place(s, space->owner, space->name);
	int rc = check_quota(s, space->owner, why);

	if (rc)
		return rc;
	if (is_at(s, at, space->owner, space->name)) {
		msn_status_set(why, MSN_CODE_ALREADY_EXISTS, "NAME_EXISTS",
			       "there is a space %s already", space->name);
		return -EEXIST;
	}
	rc = msn_grow((void **)&s->list, &s->cap, s->count, sizeof(*s->list));
	if (rc)
		return msn_pass(rc);
	memmove(&s->list[at + 1], &s->list[at],
		(s->count - at) * sizeof(*s->list));
	s->list[at] = space;
	s->count++;
	space->listed = true;
	space->account = s->next_account++;
	return 0;
}

/* Takes it out of the list.  Before: the lock is held and it is in it. */
static void unlist(struct msn_spaces *s, struct msn_space *space)
{
	size_t at = place(s, space->owner, space->name);

	assert(is_at(s, at, space->owner, space->name));
	space->listed = false;
	s->count--;
	memmove(&s->list[at], &s->list[at + 1],
		(s->count - at) * sizeof(*s->list));
}

void spaces_forget(struct msn_space *space)
{
	msn_lock_scope(&space->registry->lock);
	if (space->listed)
		unlist(space->registry, space);
}

static int make_mm(struct msn_spaces *s, struct msn_space *space)
{
	msn_auto(msn_address_space_freep) struct msn_address_space *as = NULL;
	int rc = msn_platform_none_new(&as);

	if (rc)
		return msn_pass(rc);
	return msn_pass(
		msn_mm_new(&space->mm, &(struct msn_mm_opts){
					       .memfile = s->memfile,
					       .as = msn_steal(as),
					       .account = space->account,
				       }));
}

/* All of a begin but the mm. */
static int begin_without_mm(struct msn_spaces *s,
			    const struct msn_space_begin *opts,
			    struct msn_space **out, struct msn_status *why)
{
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	int rc = 0;

	space = space_new(s, opts);
	if (!space)
		return msn_fail(-ENOMEM);
	if (opts->name && *opts->name) {
		rc = check_name(opts->name, why);
		if (!rc)
			snprintf(space->name, sizeof(space->name), "%s",
				 opts->name);
	} else {
		make_name(space);
	}
	if (!rc)
		rc = take_name(s, space, why);
	if (!rc)
		rc = msn_account_prepare(s->accounts, space->account);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(space);
	return 0;
}

static void apply_limits(struct msn_spaces *s, struct msn_space *space)
{
	struct msn_spaces_quotas quotas;

	msn_mutex_lock(&s->lock);
	quotas = s->quotas;
	msn_mutex_unlock(&s->lock);
	spaces_apply_limits(space, &quotas);
}

int msn_spaces_begin(struct msn_spaces *s, const struct msn_space_begin *opts,
		     struct msn_space **out, struct msn_status *why)
{
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	int rc = begin_without_mm(s, opts, &space, why);

	if (!rc)
		rc = make_mm(s, space);
	if (rc)
		return msn_pass(rc);
	apply_limits(s, space);
	*out = msn_steal(space);
	return 0;
}

static int fork_mm(struct msn_space *parent, struct msn_space *child)
{
	msn_auto(msn_address_space_freep) struct msn_address_space *as = NULL;
	int rc = msn_platform_none_new(&as);

	if (!rc)
		rc = msn_mm_fork(parent->mm, msn_steal(as), &child->mm);
	if (rc)
		return msn_pass(rc);
	msn_mm_set_account(child->mm, child->account);
	return 0;
}

int msn_spaces_fork(struct msn_spaces *s, struct msn_space *parent,
		    const struct msn_space_begin *opts, struct msn_space **out,
		    struct msn_status *why)
{
	msn_auto(msn_space_unrefp) struct msn_space *child = NULL;
	int rc = begin_without_mm(s, opts, &child, why);

	if (rc)
		return msn_pass(rc);
	msn_space_enter(parent);
	rc = fork_mm(parent, child);
	msn_space_leave(parent);
	if (rc)
		return msn_pass(rc);
	apply_limits(s, child);
	*out = msn_steal(child);
	return 0;
}

void msn_spaces_publish(struct msn_spaces *s, struct msn_space *space)
{
	msn_space_ref(space);
	msn_mutex_lock(&space->lock);
	space->state = MSN_SPACE_READY;
	msn_mutex_unlock(&space->lock);
	msn_lock_scope(&s->lock);
	space->published = true;
}

/* ---- Finding ------------------------------------------------------------- */

static int not_found(const char *ref, struct msn_status *why)
{
	msn_status_set(why, MSN_CODE_NOT_FOUND, "SPACE_NOT_FOUND",
		       "there is no space '%.80s'", ref);
	return -ENOENT;
}

/* Before: the lock is held. */
static struct msn_space *find(const struct msn_spaces *s, const char *owner,
			      const char *ref)
{
	size_t at = place(s, owner, ref), from, end;
	struct msn_uid uid;

	if (is_at(s, at, owner, ref))
		return s->list[at]->published ? s->list[at] : NULL;
	if (msn_uid_parse_prefix(ref, &uid) != 2 * sizeof(uid.bytes))
		return NULL;
	from = place(s, owner, "");
	end = owner_end(s, owner, from);
	for (; from < end; from++)
		if (s->list[from]->published &&
		    msn_uid_equal(s->list[from]->uid, uid))
			return s->list[from];
	return NULL;
}

int msn_spaces_find(struct msn_spaces *s, const char *owner, const char *ref,
		    struct msn_space **out, struct msn_status *why)
{
	msn_lock_scope(&s->lock);
	struct msn_space *space = find(s, owner, ref);

	if (!space)
		return not_found(ref, why);
	*out = msn_space_ref(space);
	return 0;
}

int msn_spaces_list(struct msn_spaces *s, const char *owner, const char *after,
		    size_t max, struct msn_space ***out, size_t *count)
{
	msn_lock_scope(&s->lock);
	size_t at = owner ? place(s, owner, after) : 0, n = 0;
	size_t end = owner ? owner_end(s, owner, at) : s->count;
	struct msn_space **list;

	if (max > end - at)
		max = end - at;
	list = msn_alloc_array(max ? max : 1, sizeof(*list));
	if (!list)
		return msn_fail(-ENOMEM);
	for (; at < end && n < max; at++) {
		struct msn_space *space = s->list[at];

		if (space->published && strcmp(space->name, after) != 0)
			list[n++] = msn_space_ref(space);
	}
	*out = list;
	*count = n;
	return 0;
}

void msn_spaces_usage(struct msn_spaces *s, const char *owner,
		      struct msn_spaces_usage *out)
{
	msn_lock_scope(&s->lock);
	size_t at = owner ? place(s, owner, "") : 0;
	size_t end = owner ? owner_end(s, owner, at) : s->count;

	*out = (struct msn_spaces_usage){ .spaces = end - at };
	for (; at < end; at++) {
		struct msn_account_usage u =
			msn_account_get(s->accounts, s->list[at]->account);

		for (unsigned kind = 0; kind < MSN_ACCOUNT_KINDS; kind++)
			out->resident_bytes += u.bytes[kind];
	}
}

/* ---- Deleting ------------------------------------------------------------ */

/* Before: the registry's lock is held. */
static int check_delete(struct msn_space *space,
			const struct msn_space_delete *opts,
			struct msn_status *why)
{
	msn_lock_scope(&space->lock);
	if (!space->published || !space->listed)
		return not_found(space->name, why);
	if (opts->etag && opts->etag != space->etag) {
		msn_status_set(why, MSN_CODE_ABORTED, "ETAG_MISMATCH",
			       "space %s has changed since it was read",
			       space->name);
		return -ESTALE;
	}
	if (space->frozen && !opts->force) {
		msn_status_set(why, MSN_CODE_FAILED_PRECONDITION, "SPACE_BUSY",
			       "space %s is being saved", space->name);
		return -EBUSY;
	}
	return 0;
}

int msn_spaces_delete(struct msn_spaces *s, struct msn_space *space,
		      const struct msn_space_delete *opts,
		      struct msn_status *why)
{
	int rc;

	msn_mutex_lock(&s->lock);
	rc = check_delete(space, opts, why);
	if (!rc && !opts->dry_run)
		unlist(s, space);
	msn_mutex_unlock(&s->lock);
	if (!rc && !opts->dry_run)
		msn_space_unref(space); /* the list's */
	return rc;
}
