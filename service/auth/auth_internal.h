/*
 * What decisions are made by.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_AUTH_INTERNAL_H
#define MSN_AUTH_INTERNAL_H

#include "tokens.h"

#include "base/lock.h"

#include <stdatomic.h>

/* Configuration and tokens of one moment; replaced as a whole. */
struct policy {
	atomic_uint refs;
	struct msn_config *config; /* a reference */
	struct tokens tokens;
};

struct msn_auth {
	struct msn_mutex lock;
	struct policy *policy; /* a reference; under lock */
	uid_t own_uid;	       /* set once, as what follows */
	uid_t foreign_uid;     /* what users look like whom the kernel cannot
				  name here; (uid_t)-1: there are none */
	int dumpable;	       /* of this process: see rights.c */
};

/* A reference, to be dropped. */
struct policy *msn_auth_policy_get(struct msn_auth *a);
void msn_auth_policy_unref(struct policy *p);
static inline void msn_auth_policy_unrefp(struct policy **p)
{
	msn_auth_policy_unref(*p);
}

#endif /* MSN_AUTH_INTERNAL_H */
