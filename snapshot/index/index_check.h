/*
 * All pages of the catalog's file, and what each is used for.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every page that a transaction can reach is looked at: it is in the file,
 * right by itself (index_page.h) and reached once, counts are those of the
 * tables' records, and the list of free pages names no page that is in use.
 * Private to this component.
 */
#ifndef MSN_INDEX_INDEX_CHECK_H
#define MSN_INDEX_INDEX_CHECK_H

#include "index/index_page.h"

enum index_check_what {
	/*
	 * Leaves of tables are known by their numbers alone.  That is enough to
	 * say that no free page is in use, and costs a hundredth.
	 */
	INDEX_CHECK_BRANCHES,
	INDEX_CHECK_ALL,
};

/* -EBADMSG: *@wrong says what is broken. */
int index_check_file(const struct index_pages *pages,
		     enum index_check_what what, const char **wrong);

/* The same of one tree, with all its leaves. */
int index_check_tree(const struct index_pages *pages,
		     const struct index_tree *tree, const char **wrong);

#endif /* MSN_INDEX_INDEX_CHECK_H */
