/*
 * All pages of the catalog's file.  See index_check.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index/index_check.h"

#include "base/alloc.h"
#include "base/error.h"
#include "format/wire.h"

#include <errno.h>
#include <stdlib.h>

struct checker {
	const struct index_pages *pages;
	enum index_check_what what;
	uint8_t *seen; /* a bit for each page */
	const char *wrong;
};

/* What was found of one tree, to compare with its record. */
struct counts {
	uint64_t branches, leaves, overflows, entries;
};

static bool bad(struct checker *c, const char *wrong)
{
	if (!c->wrong)
		c->wrong = wrong;
	return !wrong;
}

/* Marks a page as reached. */
static bool visit(struct checker *c, uint64_t number)
{
	uint8_t bit = (uint8_t)(1u << number % 8);

	if (number < INDEX_META_PAGES || number >= c->pages->count)
		return bad(c, index_text_outside);
	if (c->seen[number / 8] & bit)
		return bad(c, index_text_twice);
	c->seen[number / 8] |= bit;
	return true;
}

static bool tree_ok(struct checker *c, const struct index_tree *tree);

static bool free_list_ok(struct checker *c, struct counts *k,
			 const struct index_node *n)
{
	struct index_free_list list;

	if (!bad(c, index_free_list_read(c->pages, n, &list)))
		return false;
	k->overflows += list.own_count;
	for (uint64_t i = 0; i < list.own_count; i++)
		if (!visit(c, list.own_first + i))
			return false;
	for (uint64_t i = 0; i < list.count; i++)
		if (!visit(c, msn_get64(list.numbers + 8 * i)))
			return false;
	return true;
}

static bool table_ok(struct checker *c, const struct index_node *n)
{
	struct index_tree table;

	return bad(c, index_tree_read(&table, INDEX_TREE_TABLE, n->data)) &&
	       tree_ok(c, &table);
}

static bool leaf_ok(struct checker *c, const struct index_tree *tree,
		    struct counts *k, const struct index_spot *at)
{
	unsigned count = index_page_keys(c->pages, at->number);
	bool ok = true;
	struct index_node n;

	k->entries += count;
	for (unsigned i = 0; ok && i < count; i++) {
		index_node_read(c->pages, at->number, i, true, &n);
		if (tree->kind == INDEX_TREE_FREE)
			ok = free_list_ok(c, k, &n);
		else if (tree->kind == INDEX_TREE_MAIN)
			ok = table_ok(c, &n);
	}
	return ok;
}

static bool subtree_ok(struct checker *c, const struct index_tree *tree,
		       struct counts *k, const struct index_spot *at)
{
	bool ok = visit(c, at->number);

	if (ok && at->number >= c->pages->there)
		ok = bad(c, index_text_short);
	*(at->height ? &k->branches : &k->leaves) += 1;
	if (ok && at->height == 0 && tree->kind == INDEX_TREE_TABLE &&
	    c->what == INDEX_CHECK_BRANCHES)
		return true;
	ok = ok && bad(c, index_page_check(c->pages, tree->kind, at));
	if (ok && at->height == 0)
		return leaf_ok(c, tree, k, at);
	for (unsigned i = 0; ok && i < index_page_keys(c->pages, at->number);
	     i++) {
		struct index_spot child = index_page_child(c->pages, at, i);

		ok = subtree_ok(c, tree, k, &child);
	}
	return ok;
}

static bool tree_ok(struct checker *c, const struct index_tree *tree)
{
	struct counts k = { 0 };
	struct index_spot root = index_tree_root(tree);

	if (tree->root != INDEX_NO_PAGE && !subtree_ok(c, tree, &k, &root))
		return false;
	if (k.branches != tree->branches || k.leaves != tree->leaves ||
	    k.overflows != tree->overflows ||
	    (k.entries != tree->entries &&
	     (c->what == INDEX_CHECK_ALL || tree->kind != INDEX_TREE_TABLE)))
		return bad(c, "a table has more or fewer entries than its "
			      "record says");
	return true;
}

/* Pages that the file has not are known to be free. */
static bool rest_ok(struct checker *c)
{
	for (uint64_t i = c->pages->there; i < c->pages->count; i++)
		if (!(c->seen[i / 8] & 1u << i % 8))
			return bad(c, index_text_short);
	return true;
}

static int check(const struct index_pages *pages, enum index_check_what what,
		 const struct index_tree *const *trees, bool all,
		 const char **wrong)
{
	struct checker c = { .pages = pages, .what = what };
	bool ok = true;

	c.seen = msn_alloc((size_t)(pages->count / 8 + 1));
	if (!c.seen)
		return msn_fail(-ENOMEM);
	for (; ok && *trees; trees++)
		ok = tree_ok(&c, *trees);
	if (ok && all)
		ok = rest_ok(&c);
	free(c.seen);
	*wrong = c.wrong;
	return ok ? 0 : msn_fail(-EBADMSG);
}

int index_check_file(const struct index_pages *pages,
		     enum index_check_what what, const char **wrong)
{
	const struct index_tree *const trees[] = { &pages->main, &pages->free,
						   NULL };

	return msn_pass(check(pages, what, trees, true, wrong));
}

int index_check_tree(const struct index_pages *pages,
		     const struct index_tree *tree, const char **wrong)
{
	const struct index_tree *const trees[] = { tree, NULL };

	return msn_pass(check(pages, INDEX_CHECK_ALL, trees, false, wrong));
}
