/*
 * Looking at pages on the way that LMDB is about to take.  See index_look.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The way down is taken on a front as wide as what is asked for: at each level
 * the page for the key and its neighbours in the order of keys, whoever their
 * parents are.
 */
#include "index/index_look.h"

#include "base/alloc.h"
#include "base/error.h"
#include "index/index_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * How far a first change reaches, in pages: the sibling that it merges with,
 * the one that is moved to where the merged page left room, and that one's
 * neighbour.
 */
#define REACH 3
#define FRONT_MAX (2 * (INDEX_LOOK_CHANGES + REACH) + 1)

const char *const index_table_names[INDEX_TABLES] = {
	[INDEX_META] = "meta",
	[INDEX_SNAPSHOTS] = "snapshots",
	[INDEX_NAMES] = "names",
	[INDEX_PACKS] = "packs",
	[INDEX_REFS] = "pack_refs",
	[INDEX_TIMES] = "times",
	[INDEX_NOTES] = "notes",
	[INDEX_REQUESTS] = "requests",
	[INDEX_OPERATIONS] = "operations",
	[INDEX_EVENTS] = "events",
	[INDEX_TAILS] = "tails",
};

/* Where a look goes, and how wide. */
struct goal {
	enum index_table table;
	struct index_bytes key;
	bool last;	 /* to the last key of all */
	bool first_leaf; /* of each branch that is passed */
	unsigned reach;	 /* pages on either side */
};

/* Pages of one level, neighbours of each other. */
struct front {
	struct index_spot at[FRONT_MAX];
	unsigned count, mine; /* at[mine] is the one for the key */
};

static int broken(struct index_look *look, const char *wrong)
{
	if (!wrong)
		return 0;
	look->wrong = wrong;
	return msn_fail(-EBADMSG);
}

static int look_at(struct index_look *look, enum index_table table,
		   const struct index_spot *at)
{
	uint16_t as = (uint16_t)((table + 1u) << 6 | (at->height + 1));

	if (look->seen && at->number < look->pages.there &&
	    look->seen[at->number] == as)
		return broken(look,
			      index_page_check_bounds(&look->pages,
						      INDEX_TREE_TABLE, at));
	if (broken(look, index_page_check(&look->pages, INDEX_TREE_TABLE, at)))
		return -EBADMSG;
	if (look->seen)
		look->seen[at->number] = as;
	return 0;
}

static int first_leaf(struct index_look *look, enum index_table table,
		      struct index_spot at)
{
	int rc = 0;

	while (rc == 0 && at.height) {
		at = index_page_child(&look->pages, &at, 0);
		rc = look_at(look, table, &at);
	}
	return rc;
}

static unsigned front_pick(const struct index_look *look, const struct front *f,
			   const struct goal *g)
{
	const struct index_spot *at = &f->at[f->mine];

	return g->last ? index_page_keys(&look->pages, at->number) - 1
		       : index_page_find(&look->pages, at, g->key);
}

/*
 * Goes from child @i of page @page of the front by @step (1 or -1): false at
 * the end of the front.
 */
static bool front_step(const struct index_look *look, const struct front *f,
		       unsigned *page, unsigned *i, int step)
{
	if (step > 0) {
		if (*i + 1 <
		    index_page_keys(&look->pages, f->at[*page].number)) {
			*i += 1;
			return true;
		}
		*i = 0;
		return ++*page < f->count;
	}
	if (*i > 0) {
		*i -= 1;
		return true;
	}
	if (*page == 0)
		return false;
	*page -= 1;
	*i = index_page_keys(&look->pages, f->at[*page].number) - 1;
	return true;
}

/* The front one level lower. */
static void front_lower(const struct index_look *look, const struct front *f,
			const struct goal *g, struct front *out)
{
	unsigned page = f->mine, i = front_pick(look, f, g), left = 0;

	while (left < g->reach && front_step(look, f, &page, &i, -1))
		left++;
	out->count = 0;
	out->mine = left;
	do {
		out->at[out->count++] =
			index_page_child(&look->pages, &f->at[page], i);
	} while (out->count <= left + g->reach &&
		 front_step(look, f, &page, &i, 1));
}

static int front_look(struct index_look *look, const struct front *f,
		      const struct goal *g)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < f->count; i++) {
		rc = look_at(look, g->table, &f->at[i]);
		if (rc == 0 && g->first_leaf)
			rc = first_leaf(look, g->table, f->at[i]);
	}
	return rc;
}

static int look_down(struct index_look *look, const struct goal *g)
{
	const struct index_tree *tree = &look->tables[g->table];
	struct front fronts[2];
	unsigned now = 0;
	int rc;

	if (!look->present[g->table] || look->whole[g->table] ||
	    tree->root == INDEX_NO_PAGE)
		return 0;
	fronts[0].at[0] = index_tree_root(tree);
	fronts[0].count = 1;
	fronts[0].mine = 0;
	rc = front_look(look, &fronts[0], g);
	while (rc == 0 && fronts[now].at[0].height) {
		front_lower(look, &fronts[now], g, &fronts[!now]);
		now = !now;
		rc = front_look(look, &fronts[now], g);
	}
	return msn_pass(rc);
}

/* Whoever looks to the sides does so more than once. */
static int remember(struct index_look *look)
{
	if (!look->seen)
		look->seen = msn_alloc_array((size_t)look->pages.count,
					     sizeof(*look->seen));
	return look->seen ? 0 : msn_fail(-ENOMEM);
}

int index_look_way(struct index_look *look, enum index_table table,
		   struct index_bytes key)
{
	struct goal g = { .table = table, .key = key };

	return msn_pass(look_down(look, &g));
}

/* What this transaction changed may have brought pages nearer. */
static unsigned sides_reach(const struct index_look *look,
			    enum index_table table)
{
	unsigned changes = look->changes[table];

	return 1 +
	       (changes < INDEX_LOOK_CHANGES ? changes : INDEX_LOOK_CHANGES);
}

int index_look_sides(struct index_look *look, enum index_table table,
		     struct index_bytes key)
{
	struct goal g = { .table = table,
			  .key = key,
			  .reach = sides_reach(look, table) };
	int rc = remember(look);

	return rc ? rc : msn_pass(look_down(look, &g));
}

int index_look_last(struct index_look *look, enum index_table table)
{
	struct goal g = { .table = table,
			  .last = true,
			  .reach = sides_reach(look, table) };
	int rc = remember(look);

	return rc ? rc : msn_pass(look_down(look, &g));
}

int index_look_change(struct index_look *look, enum index_table table,
		      struct index_bytes key)
{
	unsigned before = look->changes[table]++;
	struct goal g = { .table = table,
			  .key = key,
			  .first_leaf = true,
			  .reach = before + REACH };
	int rc = remember(look);

	if (rc || look->whole[table] || !look->present[table])
		return rc;
	if (before < INDEX_LOOK_CHANGES)
		return msn_pass(look_down(look, &g));
	rc = index_check_tree(&look->pages, &look->tables[table], &look->wrong);
	look->whole[table] = rc == 0;
	return msn_pass(rc);
}

/* ---- The tables there are ----------------------------------------------- */

static int take_table(struct index_look *look, const struct index_node *n)
{
	for (unsigned i = 0; i < INDEX_TABLES; i++)
		if (strlen(index_table_names[i]) == n->key_len &&
		    memcmp(index_table_names[i], n->key, n->key_len) == 0) {
			look->present[i] = true;
			return broken(look, index_tree_read(&look->tables[i],
							    INDEX_TREE_TABLE,
							    n->data));
		}
	return 0; /* a later program's */
}

/* LMDB reads, and writes, any page of this tree: it is one page as a rule. */
static int take_tables(struct index_look *look, const struct index_spot *at)
{
	const struct index_pages *pages = &look->pages;
	int rc = broken(look, index_page_check(pages, INDEX_TREE_MAIN, at));
	unsigned count = rc ? 0 : index_page_keys(pages, at->number);
	struct index_node n;

	for (unsigned i = 0; rc == 0 && i < count; i++) {
		struct index_spot child;

		if (at->height) {
			child = index_page_child(pages, at, i);
			rc = take_tables(look, &child);
			continue;
		}
		index_node_read(pages, at->number, i, true, &n);
		rc = take_table(look, &n);
	}
	return msn_pass(rc);
}

int index_look_begin(struct index_look *look, const uint8_t *map, size_t bytes,
		     uint64_t txnid)
{
	struct index_spot root;
	int rc;

	*look = (struct index_look){ 0 };
	rc = index_pages_at(&look->pages, map, bytes, txnid, &look->wrong);
	if (rc)
		return msn_pass(rc);
	if (look->pages.main.root == INDEX_NO_PAGE)
		return 0;
	root = index_tree_root(&look->pages.main);
	return msn_pass(take_tables(look, &root));
}

void index_look_end(struct index_look *look)
{
	free(look->seen);
	look->seen = NULL;
}
