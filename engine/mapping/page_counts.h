/*
 * Page counts: how many references each page of a file has, and who pays.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * For files whose pages are there whether or not somebody refers to them (a
 * host file): a page without references is not remembered at all, the first
 * reference charges an account and the last one uncharges the same account,
 * whoever drops it.
 *
 * Adding and dropping cannot fail: calls top up a reserve of nodes, and only if
 * memory cannot be had many times in a row does the program stop.
 * msn_page_counts_reserve() lets a caller that may still fail do so first.  A
 * payer that there is no memory for pays nothing: such pages are not charged.
 *
 * Locks: none.  The file serializes (MSN_RANK_FILE); takes MSN_RANK_ACCOUNT.
 */
#ifndef MSN_MAPPING_PAGE_COUNTS_H
#define MSN_MAPPING_PAGE_COUNTS_H

#include "account/account.h"
#include "base/cleanup.h"
#include "range/range.h"
#include "range/segset.h"

#include <stdbool.h>

/* Of each page of a range. */
struct msn_page_count {
	uint64_t refs; /* > 0 */
	msn_account_id payer;
	bool charged; /* was @payer charged? */
};

MSN_SEGSET_DEFINE(msn_count_set, struct msn_file_range, struct msn_page_count)

struct msn_page_counts {
	struct msn_count_set set;
	struct msn_account_table *accounts; /* borrowed, set once; or NULL */
	enum msn_account_kind kind;	    /* set once */
};

void msn_page_counts_init(struct msn_page_counts *counts,
			  struct msn_account_table *accounts,
			  enum msn_account_kind kind);

/* Pages that still have references are uncharged. */
void msn_page_counts_deinit(struct msn_page_counts *counts);

/* Fills the reserve.  0 or -ENOMEM. */
MSN_MUST_CHECK int msn_page_counts_reserve(struct msn_page_counts *counts);

/* Adds a reference to each page of @r; @payer pays for those that had none. */
void msn_page_counts_add(struct msn_page_counts *counts,
			 struct msn_file_range r, msn_account_id payer);

/* Drops one on each page of @r.  Before: each has one. */
void msn_page_counts_drop(struct msn_page_counts *counts,
			  struct msn_file_range r);

/*
 * The references of the first page of @r, and in *@run the longest prefix of
 * @r of which that is true.
 */
uint64_t msn_page_counts_get(const struct msn_page_counts *counts,
			     struct msn_file_range r,
			     struct msn_file_range *run);

/* Has no page of @r a reference? */
static inline bool msn_page_counts_is_free(const struct msn_page_counts *counts,
					   struct msn_file_range r)
{
	return msn_count_set_is_free(&counts->set, r);
}

/* Text of the first broken invariant, or NULL. */
const char *msn_page_counts_check(const struct msn_page_counts *counts);

#endif /* MSN_MAPPING_PAGE_COUNTS_H */
