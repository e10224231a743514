/*
 * What index.c and index_write.c share.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_INDEX_INDEX_PRIVATE_H
#define MSN_INDEX_INDEX_PRIVATE_H

#include "index/index_env.h"
#include "index/index_record.h"

struct msn_index {
	struct index_env *env;
	const char *where;
	struct msn_uid store;
};

extern const struct index_bytes index_meta_key;

/* Says what went wrong with the catalog.  Outcomes pass. */
int index_fail(const struct msn_index *index, int rc, struct msn_failure *why);
int index_damaged(const struct msn_index *index, const char *what,
		  struct msn_failure *why);

/* Inside a transaction. */
int index_meta_get(struct index_tx *tx, struct index_meta *meta,
		   uint32_t *version);
int index_meta_put(struct index_tx *tx, const struct index_meta *meta);
int index_snapshot_get(struct index_tx *tx, struct msn_uid uid,
		       struct msn_index_snapshot *out);

#endif /* MSN_INDEX_INDEX_PRIVATE_H */
