/*
 * Tree: a balanced search tree of nodes that live inside other structs.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An AVL tree that needs no memory of its own, so that neither inserting nor
 * removing can fail.  Its user searches by walking child[] from the root and
 * may keep in each node something about the whole subtree: update() is called
 * for every node whose subtree changed, children first.
 *
 * Locks: none.
 */
#ifndef MSN_MAPPING_TREE_H
#define MSN_MAPPING_TREE_H

#include <stddef.h>
#include <stdint.h>

struct msn_tree_node {
	struct msn_tree_node *child[2]; /* lower, higher */
	unsigned height;		/* of this subtree; a leaf has 1 */
};

struct msn_tree_ops {
	/* <0, 0 or >0, as @a stands before, at or after @b. */
	int (*compare)(const struct msn_tree_node *a,
		       const struct msn_tree_node *b);

	/* NULL: nothing is kept about subtrees. */
	void (*update)(struct msn_tree_node *node);
};

struct msn_tree {
	const struct msn_tree_ops *ops; /* set once */
	struct msn_tree_node *root;	/* NULL when empty */
	uint64_t *visits;		/* counts nodes looked at; set once */
};

/* Before: no node that compares equal is in the tree. */
void msn_tree_insert(struct msn_tree *tree, struct msn_tree_node *node);

/* Before: @node is in the tree, and compares as when it came in. */
void msn_tree_remove(struct msn_tree *tree, struct msn_tree_node *node);

/* Text of the first thing wrong with heights, balance or order; or NULL. */
const char *msn_tree_check(const struct msn_tree *tree);

#endif /* MSN_MAPPING_TREE_H */
