/*
 * Forgetting a snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "base/fd.h"
#include "store/store_private.h"

#include <errno.h>

/*
 * On a full disk the transaction may lack the pages that it writes anew; spares
 * are worth less than being able to make room.
 */
static int forget(struct msn_store *store, struct msn_uid uid, bool *freed,
		  struct msn_failure *why)
{
	int rc = msn_index_remove(store->index, uid, freed, NULL);

	if (rc == -ENOSPC)
		store_packs_drop_spares(store);
	if (rc < 0)
		rc = msn_index_remove(store->index, uid, freed, why);
	return msn_pass(rc);
}

int msn_store_remove(struct msn_store *store, struct msn_uid uid,
		     struct msn_failure *why)
{
	msn_auto(msn_closep) int lock = -1;
	struct store_packs packs;
	bool freed = false;
	int rc;

	if (store->read_only)
		return msn_failure_set(why, -EROFS, MSN_FAILURE_PRECONDITION,
				       "store %s was opened read-only",
				       store->path);
	rc = store_lock(store->dir, store->path, &lock, why);
	if (rc)
		return msn_pass(rc);
	rc = forget(store, uid, &freed, why);
	if (rc == MSN_INDEX_E_ABSENT)
		return store_no_snapshot(store, uid, why);
	if (rc)
		return msn_pass(rc);
	if (!freed)
		return 0;

	/*
	 * The snapshot is gone, whatever happens to its files: what cannot be
	 * taken back now is found by the next writer.
	 */
	rc = store_packs_init(&packs, store, NULL);
	store_packs_deinit(&packs);
	return rc < 0 ? 0 : rc;
}
