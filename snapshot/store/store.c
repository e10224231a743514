/*
 * Opening a store and asking it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/store.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/limits.h"
#include "range/range.h"
#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int open_folder(struct msn_store *store, bool create,
		       struct msn_failure *why)
{
	const char *path = store->path;
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

	store->dir = open(path, flags);
	if (store->dir < 0 && errno == ENOENT && create) {
		if (mkdir(path, 0700) && errno != EEXIST)
			return msn_failure_errno(
				why, -errno, "could not make store %s", path);
		store->dir = open(path, flags);
	}
	if (store->dir >= 0)
		return 0;
	if (errno == ENOENT)
		return msn_failure_set(why, -ENOENT, MSN_FAILURE_NOT_FOUND,
				       "store %s does not exist", path);
	if (errno == ENOTDIR)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "%s is not a store: it is no folder",
				       path);
	return msn_failure_errno(why, -errno, "could not open store %s", path);
}

static int no_marker(const struct msn_store *store, struct msn_failure *why)
{
	msn_auto(msn_freep) char *catalog = store_catalog_path(store->path);

	if (catalog && msn_index_exists(catalog))
		return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
				       "store %s is damaged: its file %s is "
				       "missing",
				       store->path, STORE_MARKER);
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "%s is not a store", store->path);
}

static int open_marker(struct msn_store *store, bool create,
		       struct msn_failure *why)
{
	int rc = store_marker_read(store->dir, store->path, &store->uid, why);

	if (rc == STORE_MARKER_E_ABSENT && create) {
		rc = store_create(store->dir, store->path, why);
		if (rc == 0)
			rc = store_marker_read(store->dir, store->path,
					       &store->uid, why);
	}
	if (rc == STORE_MARKER_E_ABSENT)
		return no_marker(store, why);
	return msn_pass(rc);
}

static int open_packs(struct msn_store *store, struct msn_failure *why)
{
	store->packs = openat(store->dir, STORE_PACKS,
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->packs < 0 && (errno == ENOENT || errno == ENOTDIR))
		return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
				       "store %s is damaged: its folder %s is "
				       "missing",
				       store->path, STORE_PACKS);
	if (store->packs < 0)
		return msn_failure_errno(why, -errno, "store %s: its folder %s",
					 store->path, STORE_PACKS);
	store->direct = !store->read_only && msn_pack_direct(store->packs);
	return 0;
}

static int open_catalog(struct msn_store *store, struct msn_failure *why)
{
	msn_auto(msn_freep) char *catalog = store_catalog_path(store->path);
	struct msn_index_opts opts = { .dir = catalog,
				       .where = store->path,
				       .read_only = store->read_only };
	int rc;

	if (!catalog)
		return msn_failure_errno(why, -ENOMEM, "store %s", store->path);
	rc = msn_index_open(&store->index, &opts, why);
	if (rc)
		return msn_pass(rc);
	if (!msn_uid_equal(msn_index_store(store->index), store->uid))
		return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
				       "store %s is damaged: its catalog is "
				       "that of another store",
				       store->path);
	return 0;
}

int msn_store_open(struct msn_store **out, const struct msn_store_opts *opts,
		   struct msn_failure *why)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	bool create = opts->create && !opts->read_only;
	int rc;

	store = msn_alloc(sizeof(*store));
	if (!store)
		return msn_failure_errno(why, -ENOMEM, "store %s", opts->path);
	store->dir = store->packs = store->lock = -1;
	store->read_only = opts->read_only;
	store->method = opts->aio;
	store->path = msn_strdup(opts->path);
	if (!store->path)
		return msn_failure_errno(why, -ENOMEM, "store %s", opts->path);
	rc = open_folder(store, create, why);
	if (rc == 0)
		rc = open_marker(store, create, why);
	if (rc == 0)
		rc = open_packs(store, why);
	if (rc == 0)
		rc = open_catalog(store, why);
	if (rc)
		return msn_pass(rc);
	rc = msn_aio_new(&store->aio,
			 &(struct msn_aio_opts){ .method = opts->aio });
	if (rc)
		return msn_failure_errno(why, rc, "store %s", opts->path);
	*out = msn_steal(store);
	return 0;
}

struct msn_store *msn_store_close(struct msn_store *store)
{
	if (!store)
		return NULL;
	msn_aio_free(store->aio);
	msn_index_close(store->index);
	msn_close(store->lock);
	msn_close(store->packs);
	msn_close(store->dir);
	free(store->path);
	free(store);
	return NULL;
}

const char *msn_store_path(const struct msn_store *store)
{
	return store->path;
}

struct msn_uid msn_store_uid(const struct msn_store *store)
{
	return store->uid;
}

const char *msn_store_aio_name(const struct msn_store *store)
{
	return msn_aio_name(store->aio);
}

bool msn_store_direct(const struct msn_store *store)
{
	return store->direct;
}

int msn_store_lock(struct msn_store *store, struct msn_failure *why)
{
	int rc = store_writable(store, why);

	if (rc || store->lock >= 0)
		return msn_pass(rc);
	return msn_pass(store_lock(store->dir, store->path, &store->lock, why));
}

void msn_store_unlock(struct msn_store *store)
{
	store->lock = msn_close(store->lock);
}

int msn_store_check(struct msn_store *store, struct msn_failure *why)
{
	return msn_pass(msn_index_check(store->index, why));
}

void store_set_aio(struct msn_store *store, struct msn_aio *aio)
{
	msn_aio_free(store->aio);
	store->aio = aio;
}

static int find_by_prefix(struct msn_store *store, const char *ref,
			  struct msn_uid *out, struct msn_failure *why)
{
	struct msn_uid prefix;
	unsigned digits = msn_uid_parse_prefix(ref, &prefix);
	int rc = MSN_INDEX_E_ABSENT;

	if (digits > 0 && digits < MSN_UID_PREFIX_MIN)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "there is no snapshot named '%s' in "
				       "store %s, and a uid needs at least %d "
				       "digits",
				       ref, store->path, MSN_UID_PREFIX_MIN);
	if (digits)
		rc = msn_index_by_prefix(store->index, prefix, digits, out,
					 why);
	if (rc == MSN_INDEX_E_AMBIGUOUS)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "more than one snapshot in store %s "
				       "starts with '%s'",
				       store->path, ref);
	if (rc == MSN_INDEX_E_ABSENT)
		return msn_failure_set(why, -ENOENT, MSN_FAILURE_NOT_FOUND,
				       "there is no snapshot '%s' in store %s",
				       ref, store->path);
	return msn_pass(rc);
}

int msn_store_find(struct msn_store *store, const char *ref,
		   struct msn_uid *out, struct msn_failure *why)
{
	int rc = msn_index_by_name(store->index, ref, out, why);

	if (rc == MSN_INDEX_E_ABSENT)
		return msn_pass(find_by_prefix(store, ref, out, why));
	return msn_pass(rc);
}

int msn_store_usage(struct msn_store *store, struct msn_store_usage *out,
		    struct msn_failure *why)
{
	msn_auto(msn_freep) struct msn_index_pack *packs = NULL;
	struct msn_store_usage usage = { 0 };
	uint64_t next_id;
	size_t count;
	int rc = msn_index_packs(store->index, &packs, &count, &next_id, why);

	if (rc)
		return msn_pass(rc);
	usage.pack_count = count;
	for (size_t i = 0; i < count; i++)
		usage.pack_bytes += packs[i].pages * MSN_PAGE_SIZE;
	rc = msn_index_count(store->index, &usage.snapshot_count, why);
	if (rc == 0)
		rc = msn_index_bytes(store->index, &usage.catalog_bytes, why);
	if (rc)
		return msn_pass(rc);
	rc = store_packs_count_spares(store, &usage.spare_count);
	if (rc)
		return msn_failure_errno(why, rc, "store %s", store->path);
	*out = usage;
	return 0;
}
