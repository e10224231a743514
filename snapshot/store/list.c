/*
 * Telling of snapshots.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "store/store_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void store_info_from(struct msn_snapshot_info *info,
		     const struct msn_index_snapshot *s)
{
	*info = (struct msn_snapshot_info){
		.uid = s->uid,
		.parent = s->parent,
		.created_ns = s->created_ns,
		.mapping_count = s->mapping_count,
		.stats = s->stats,
		.manifest_bytes = s->manifest_bytes,
	};
	memcpy(info->name, s->name, sizeof(info->name));
	memcpy(info->origin, s->origin, sizeof(info->origin));
}

static int by_age(const void *a, const void *b)
{
	const struct msn_snapshot_info *x = a, *y = b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return memcmp(x->uid.bytes, y->uid.bytes, sizeof(x->uid.bytes));
}

int msn_store_list(struct msn_store *store, struct msn_snapshot_info **out,
		   size_t *count, struct msn_failure *why)
{
	msn_auto(msn_freep) struct msn_index_snapshot *list = NULL;
	struct msn_snapshot_info *infos;
	size_t n;
	int rc = msn_index_snapshots(store->index, &list, &n, why);

	if (rc)
		return msn_pass(rc);
	infos = msn_alloc_array(n, sizeof(*infos));
	if (!infos)
		return msn_failure_errno(why, -ENOMEM, "store %s", store->path);
	for (size_t i = 0; i < n; i++)
		store_info_from(&infos[i], &list[i]);
	qsort(infos, n, sizeof(*infos), by_age);
	*out = infos;
	*count = n;
	return 0;
}

int msn_store_info(struct msn_store *store, struct msn_uid uid,
		   struct msn_snapshot_info *out, struct msn_failure *why)
{
	struct msn_index_snapshot s;
	int rc = msn_index_snapshot(store->index, uid, &s, why);

	if (rc == MSN_INDEX_E_ABSENT)
		return store_no_snapshot(store, uid, why);
	if (rc)
		return msn_pass(rc);
	store_info_from(out, &s);
	return 0;
}

int msn_store_page(struct msn_store *store,
		   const struct msn_store_page_opts *opts,
		   struct msn_snapshot_page *out, struct msn_failure *why)
{
	struct msn_index_page_opts how = { opts->after, opts->limit,
					   opts->notes };
	struct msn_index_page page;
	int rc = msn_index_page(store->index, &how, &page, why);

	if (rc)
		return msn_pass(rc);
	out->list = msn_alloc_array(page.count, sizeof(*out->list));
	if (!out->list) {
		msn_index_page_deinit(&page);
		return msn_failure_errno(why, -ENOMEM, "store %s", store->path);
	}
	out->count = page.count;
	out->more = page.more;
	for (size_t i = 0; i < page.count; i++) {
		store_info_from(&out->list[i].info, &page.list[i].snapshot);
		out->list[i].note = page.list[i].note;
		page.list[i].note.bytes = NULL; /* it has moved */
	}
	msn_index_page_deinit(&page);
	return 0;
}

void msn_snapshot_page_deinit(struct msn_snapshot_page *page)
{
	for (size_t i = 0; i < page->count; i++)
		free(page->list[i].note.bytes);
	free(page->list);
	*page = (struct msn_snapshot_page){ 0 };
}
