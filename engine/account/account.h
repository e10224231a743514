/*
 * Account: who pays for which pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A usage table counts the bytes that files have handed out, by account id (a
 * memory control group's id, or any number that the caller chose) and by kind.
 * The first reference to a page charges its account; the last one uncharges the
 * same account, whoever drops it (first toucher pays, as in the reference).
 *
 * An account may have a limit on the sum of its kinds.  It holds for who asks
 * first (msn_account_try_charge()): pages that are there already, as those of
 * a host file, are counted whatever the limit says, and leave less for others.
 * Pages of images belong to all who were cloned from them, and to no account.
 *
 * Locks: MSN_RANK_ACCOUNT inside, only where an id is new; counting takes none.
 */
#ifndef MSN_ACCOUNT_ACCOUNT_H
#define MSN_ACCOUNT_ACCOUNT_H

#include "base/cleanup.h"

#include <stdint.h>

typedef uint32_t msn_account_id;

enum msn_account_kind {
	MSN_ACCOUNT_ANONYMOUS, /* private and shared anonymous pages */
	MSN_ACCOUNT_MAPPED,    /* pages of host files that are mapped */
	MSN_ACCOUNT_KINDS
};

/*
 * Bytes by kind.  While others charge, each figure is one that was true, but
 * not all of them at the same moment.
 */
struct msn_account_usage {
	uint64_t bytes[MSN_ACCOUNT_KINDS];
};

/* The limit of an account that has none: what every account begins with. */
#define MSN_ACCOUNT_NO_LIMIT UINT64_MAX

struct msn_account_table;

MSN_MUST_CHECK int msn_account_table_new(struct msn_account_table **out);
struct msn_account_table *msn_account_table_free(struct msn_account_table *t);
MSN_DEFINE_AUTO(struct msn_account_table, msn_account_table_free)

/*
 * Makes sure that charging @id cannot fail from now on.  -ENOMEM otherwise.
 */
MSN_MUST_CHECK int msn_account_prepare(struct msn_account_table *t,
				       msn_account_id id);

/*
 * The most that @id may be charged, in bytes, all kinds together.  What is
 * charged already stays, even if it is more.  Prepares @id: -ENOMEM.
 */
MSN_MUST_CHECK int msn_account_set_limit(struct msn_account_table *t,
					 msn_account_id id, uint64_t bytes);

/*
 * Charges @id unless that would go past its limit.  0, or -ENOMEM with nothing
 * charged: the limit, or no memory for an id that is new.
 */
MSN_MUST_CHECK int msn_account_try_charge(struct msn_account_table *t,
					  msn_account_id id,
					  enum msn_account_kind kind,
					  uint64_t bytes);

/* Charges @id whatever its limit.  Before: @id was prepared. */
void msn_account_charge(struct msn_account_table *t, msn_account_id id,
			enum msn_account_kind kind, uint64_t bytes);

/* Before: at least @bytes were charged to @id under @kind. */
void msn_account_uncharge(struct msn_account_table *t, msn_account_id id,
			  enum msn_account_kind kind, uint64_t bytes);

/* What @id has charged now; all zero for an id that never was. */
struct msn_account_usage msn_account_get(struct msn_account_table *t,
					 msn_account_id id);

#endif /* MSN_ACCOUNT_ACCOUNT_H */
