/*
 * The public face of a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "embed/embed.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void memsnap_uid_format(const struct memsnap_uid *uid, char *out)
{
	struct msn_uid raw;

	memcpy(raw.bytes, uid->bytes, sizeof(raw.bytes));
	msn_uid_format(raw, out);
}

struct memsnap_stats msn_embed_stats(const struct msn_manifest_stats *pages)
{
	return (struct memsnap_stats){
		.size = sizeof(struct memsnap_stats),
		.mapped_bytes = pages->mapped << MSN_PAGE_SHIFT,
		.private_bytes = pages->private_pages << MSN_PAGE_SHIFT,
		.stored_bytes = pages->stored << MSN_PAGE_SHIFT,
		.inherited_bytes = pages->inherited << MSN_PAGE_SHIFT,
		.deduped_bytes = pages->deduped << MSN_PAGE_SHIFT,
		.zero_bytes = pages->zero << MSN_PAGE_SHIFT,
	};
}

static struct memsnap_snapshot_info
public_info(const struct msn_snapshot_info *info)
{
	struct memsnap_snapshot_info out = {
		.size = sizeof(out),
		.uid = msn_embed_uid(info->uid),
		.parent = msn_embed_uid(info->parent),
		.created_ns = info->created_ns,
		.mapping_count = info->mapping_count,
		.stats = msn_embed_stats(&info->stats),
	};

	snprintf(out.name, sizeof(out.name), "%s", info->name);
	snprintf(out.origin, sizeof(out.origin), "%s", info->origin);
	return out;
}

static int open_store(struct memsnap_store **out,
		      const struct memsnap_store_opts *given,
		      struct msn_failure *why)
{
	msn_auto(msn_freep) struct memsnap_store *s = NULL;
	struct memsnap_store_opts opts;
	int rc;

	rc = msn_embed_take(&opts, sizeof(opts), given, "store options", why);
	if (!rc)
		rc = msn_embed_flags(opts.flags,
				     MEMSNAP_STORE_CREATE |
					     MEMSNAP_STORE_READ_ONLY,
				     "store options", why);
	if (rc)
		return msn_pass(rc);
	if (!opts.path || !*opts.path)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "store options: no path");
	s = msn_alloc(sizeof(*s));
	if (!s)
		return msn_fail(-ENOMEM);
	s->owner = getpid();
	rc = msn_store_open(
		&s->store,
		&(struct msn_store_opts){
			.path = opts.path,
			.create = opts.flags & MEMSNAP_STORE_CREATE,
			.read_only = opts.flags & MEMSNAP_STORE_READ_ONLY,
		},
		why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(s);
	return 0;
}

int memsnap_store_open(struct memsnap_store **out,
		       const struct memsnap_store_opts *opts,
		       struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(open_store(out, opts, &why), &why, err);
}

void memsnap_store_close(struct memsnap_store *store)
{
	if (!store)
		return;
	/* A child that closed it could let go of the parent's locks. */
	if (store->owner == getpid())
		msn_store_close(store->store);
	free(store);
}

static int list_store(struct memsnap_store *store, memsnap_snapshot_fn fn,
		      void *ctx, struct msn_failure *why)
{
	msn_auto(msn_freep) struct msn_snapshot_info *list = NULL;
	size_t count;
	int rc;

	rc = msn_embed_owner(store->owner, "store", why);
	if (!rc)
		rc = msn_store_list(store->store, &list, &count, why);
	if (rc)
		return msn_pass(rc);
	for (size_t i = 0; !rc && i < count; i++) {
		struct memsnap_snapshot_info info = public_info(&list[i]);

		rc = fn(ctx, &info);
	}
	return rc;
}

int memsnap_store_list(struct memsnap_store *store, memsnap_snapshot_fn fn,
		       void *ctx, struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(list_store(store, fn, ctx, &why), &why, err);
}

static int find(struct memsnap_store *store, const char *ref,
		struct msn_uid *uid, struct msn_failure *why)
{
	int rc = msn_embed_owner(store->owner, "store", why);

	return rc ? rc : msn_store_find(store->store, ref, uid, why);
}

static int info_of(struct memsnap_store *store, const char *ref,
		   struct memsnap_snapshot_info *info, struct msn_failure *why)
{
	struct memsnap_snapshot_info out;
	struct msn_snapshot_info raw;
	struct msn_uid uid;
	int rc;

	rc = find(store, ref, &uid, why);
	if (!rc)
		rc = msn_store_info(store->store, uid, &raw, why);
	if (rc)
		return msn_pass(rc);
	out = public_info(&raw);
	return msn_embed_give(info, &out, sizeof(out), "snapshot info", why);
}

int memsnap_store_info(struct memsnap_store *store, const char *ref,
		       struct memsnap_snapshot_info *info,
		       struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(info_of(store, ref, info, &why), &why, err);
}

int memsnap_store_remove(struct memsnap_store *store, const char *ref,
			 struct memsnap_error *err)
{
	struct msn_failure why = { 0 };
	struct msn_uid uid;
	int rc;

	rc = find(store, ref, &uid, &why);
	if (!rc)
		rc = msn_store_remove(store->store, uid, NULL, &why);
	return msn_embed_finish(rc, &why, err);
}
