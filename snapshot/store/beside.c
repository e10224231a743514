/*
 * Notes and records: the catalog's, with the store's words for what goes wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "store/store_private.h"

#include <errno.h>

int store_outcome(const struct msn_store *store, struct msn_uid uid,
		  const char *name, int rc, struct msn_failure *why)
{
	switch (rc) {
	case MSN_INDEX_E_ABSENT:
		return store_no_snapshot(store, uid, why);
	case MSN_INDEX_E_EXISTS:
		return msn_failure_set(why, -EEXIST, MSN_FAILURE_EXISTS,
				       "there is a snapshot named '%s' in "
				       "store %s already",
				       name, store->path);
	case MSN_INDEX_E_CHANGED:
		return MSN_STORE_E_CHANGED;
	case MSN_INDEX_E_TAKEN:
		return MSN_STORE_E_TAKEN;
	default:
		return msn_pass(rc);
	}
}

int msn_store_note(struct msn_store *store, struct msn_uid uid,
		   struct msn_note *out, struct msn_failure *why)
{
	int rc = msn_index_note(store->index, uid, out, why);

	return store_outcome(store, uid, NULL, rc, why);
}

int msn_store_update(struct msn_store *store, struct msn_uid uid,
		     const struct msn_update_opts *opts, uint64_t *revision,
		     struct msn_failure *why)
{
	struct msn_index_update what = { .uid = uid,
					 .revision = opts->revision,
					 .name = opts->name,
					 .note = opts->note,
					 .note_len = opts->note_len,
					 .beside = opts->beside };
	int rc = store_writable(store, why);

	if (rc)
		return msn_pass(rc);
	rc = msn_index_update(store->index, &what, revision, why);
	return store_outcome(store, uid, opts->name, rc, why);
}

int msn_store_change(struct msn_store *store, const struct msn_beside *what,
		     struct msn_failure *why)
{
	int rc = store_writable(store, why);

	if (rc)
		return msn_pass(rc);
	rc = msn_index_change(store->index, what, why);
	return rc == MSN_INDEX_E_TAKEN ? MSN_STORE_E_TAKEN : msn_pass(rc);
}

int msn_store_record(struct msn_store *store, enum msn_record_kind kind,
		     const void *key, size_t key_len, uint8_t **out,
		     size_t *len, struct msn_failure *why)
{
	int rc = msn_index_record(store->index, kind, key, key_len, out, len,
				  why);

	if (rc == MSN_INDEX_E_ABSENT)
		return msn_failure_set(why, -ENOENT, MSN_FAILURE_NOT_FOUND,
				       "there is no such record in store %s",
				       store->path);
	return msn_pass(rc);
}

int msn_store_records(struct msn_store *store,
		      const struct msn_record_walk *walk,
		      struct msn_records *out, struct msn_failure *why)
{
	return msn_pass(msn_index_records(store->index, walk, out, why));
}

int msn_store_record_count(struct msn_store *store, enum msn_record_kind kind,
			   uint64_t *out, struct msn_failure *why)
{
	return msn_pass(msn_index_record_count(store->index, kind, out, why));
}

int msn_store_record_trim(struct msn_store *store, enum msn_record_kind kind,
			  const void *before, size_t before_len,
			  struct msn_failure *why)
{
	int rc = store_writable(store, why);

	return rc ? msn_pass(rc)
		  : msn_pass(msn_index_record_trim(store->index, kind, before,
						   before_len, why));
}
