/*
 * What the files of spaces share.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_SPACES_SPACES_INTERNAL_H
#define MSN_SPACES_SPACES_INTERNAL_H

#include "account/account.h"
#include "base/lock.h"
#include "spaces/spaces.h"

#include <pthread.h>
#include <stdatomic.h>

struct msn_space {
	atomic_uint refs;
	struct msn_spaces *registry;	/* set once */
	char name[MSN_SPACE_NAME_TEXT]; /* set once */
	char owner[MSN_OWNER_TEXT];	/* set once */
	struct msn_uid uid, generation; /* set once */
	int64_t created_ns;		/* set once */
	msn_account_id account;		/* set once */
	struct msn_mm *mm;		/* set once; owned */
	/* Under registry->lock. */
	bool listed;	/* it holds its name */
	bool published; /* and is found; the list has a reference */

	struct msn_mutex lock;	/* MSN_RANK_SPACE; all below */
	pthread_cond_t changed; /* of inside, waiting and frozen */
	unsigned inside;	/* calls that may change the space */
	bool frozen;		/* nobody enters; one waits or is at work */
	enum msn_space_state state;
	struct msn_uid parent;
	struct msn_space_limits limits;
	struct msn_labels labels;
	uint64_t etag;
};

struct msn_spaces {
	struct msn_account_table *accounts; /* set once */
	struct msn_memfile *memfile;	    /* set once */

	struct msn_mutex lock; /* MSN_RANK_SPACES; all below */
	struct msn_spaces_quotas quotas;
	struct msn_space **list; /* by owner, then name */
	size_t count, cap;
	msn_account_id next_account;
};

/* What mm is told: the space's own limits, else those of the quotas. */
void spaces_apply_limits(struct msn_space *space,
			 const struct msn_spaces_quotas *quotas);

/* A space without a name and an mm.  NULL: no memory. */
struct msn_space *space_new(struct msn_spaces *s,
			    const struct msn_space_begin *opts);

/* Gives up the name of a space that was never published. */
void spaces_forget(struct msn_space *space);

#endif /* MSN_SPACES_SPACES_INTERNAL_H */
