/*
 * Forgetting a snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "store/store_private.h"

#include <errno.h>

/*
 * On a full disk the transaction may lack the pages that it writes anew; spares
 * are worth less than being able to make room.
 */
static int forget(struct msn_store *store, const struct msn_index_removal *what,
		  bool *freed, struct msn_failure *why)
{
	struct msn_failure first = { 0 };
	int rc = msn_index_remove(store->index, what, freed, &first);

	if (rc == -ENOSPC) {
		store_packs_drop_spares(store);
		return msn_pass(
			msn_index_remove(store->index, what, freed, why));
	}
	return rc < 0 ? msn_failure_set(why, rc, first.kind, "%s", first.text)
		      : rc;
}

static int remove_locked(struct msn_store *store,
			 const struct msn_index_removal *what,
			 struct msn_failure *why)
{
	struct store_packs packs;
	bool freed = false;
	int rc = forget(store, what, &freed, why);

	if (rc)
		return store_outcome(store, what->uid, NULL, rc, why);
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

int msn_store_remove(struct msn_store *store, struct msn_uid uid,
		     const struct msn_remove_opts *opts,
		     struct msn_failure *why)
{
	struct msn_index_removal what = { .uid = uid,
					  .revision = MSN_NOTE_ANY };
	int lock, rc;

	if (opts) {
		what.revision = opts->revision;
		what.check = opts->check;
		what.check_ctx = opts->check_ctx;
		what.beside = opts->beside;
	}
	rc = store_write_begin(store, &lock, why);
	if (rc)
		return msn_pass(rc);
	rc = remove_locked(store, &what, why);
	store_write_end(store, lock);
	return msn_pass(rc);
}
