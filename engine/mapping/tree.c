/*
 * Tree: AVL by recursion, one turn a level.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/tree.h"

#include "base/assert.h"

static unsigned node_height(const struct msn_tree_node *n)
{
	return n ? n->height : 0;
}

static void node_update(const struct msn_tree *tree, struct msn_tree_node *n)
{
	unsigned low = node_height(n->child[0]),
		 high = node_height(n->child[1]);

	n->height = 1 + (low > high ? low : high);
	if (tree->ops->update)
		tree->ops->update(n);
}

/* Lifts the child on @side above @n. */
static struct msn_tree_node *node_rotate(const struct msn_tree *tree,
					 struct msn_tree_node *n, int side)
{
	struct msn_tree_node *top = n->child[side];

	n->child[side] = top->child[!side];
	top->child[!side] = n;
	node_update(tree, n);
	node_update(tree, top);
	return top;
}

/* Restores balance and summary after one change below @n. */
static struct msn_tree_node *node_balance(const struct msn_tree *tree,
					  struct msn_tree_node *n)
{
	unsigned low = node_height(n->child[0]),
		 high = node_height(n->child[1]);
	int side = high > low;
	struct msn_tree_node *heavy = n->child[side];

	node_update(tree, n);
	if (low <= high + 1 && high <= low + 1)
		return n;
	if (node_height(heavy->child[!side]) > node_height(heavy->child[side]))
		n->child[side] = node_rotate(tree, heavy, !side);
	return node_rotate(tree, n, side);
}

static struct msn_tree_node *node_with(const struct msn_tree *tree,
				       struct msn_tree_node *at,
				       struct msn_tree_node *node)
{
	int order, side;

	if (!at)
		return node;
	++*tree->visits;
	order = tree->ops->compare(node, at);
	msn_assert(order != 0);
	side = order > 0;
	at->child[side] = node_with(tree, at->child[side], node);
	return node_balance(tree, at);
}

/* Takes the lowest node of a subtree out into *@first. */
static struct msn_tree_node *node_without_first(const struct msn_tree *tree,
						struct msn_tree_node *at,
						struct msn_tree_node **first)
{
	++*tree->visits;
	if (!at->child[0]) {
		*first = at;
		return at->child[1];
	}
	at->child[0] = node_without_first(tree, at->child[0], first);
	return node_balance(tree, at);
}

/* What takes the place of @at, which goes. */
static struct msn_tree_node *node_successor(const struct msn_tree *tree,
					    struct msn_tree_node *at)
{
	struct msn_tree_node *next = NULL, *high;

	if (!at->child[0])
		return at->child[1];
	if (!at->child[1])
		return at->child[0];
	high = node_without_first(tree, at->child[1], &next);
	next->child[0] = at->child[0];
	next->child[1] = high;
	return node_balance(tree, next);
}

static struct msn_tree_node *node_without(const struct msn_tree *tree,
					  struct msn_tree_node *at,
					  struct msn_tree_node *node)
{
	int side;

	msn_assert(at);
	++*tree->visits;
	if (at == node)
		return node_successor(tree, at);
	side = tree->ops->compare(node, at) > 0;
	at->child[side] = node_without(tree, at->child[side], node);
	return node_balance(tree, at);
}

void msn_tree_insert(struct msn_tree *tree, struct msn_tree_node *node)
{
	node->child[0] = node->child[1] = NULL;
	node_update(tree, node);
	tree->root = node_with(tree, tree->root, node);
}

void msn_tree_remove(struct msn_tree *tree, struct msn_tree_node *node)
{
	tree->root = node_without(tree, tree->root, node);
}

/* @last is the node before, in order. */
static const char *check_below(const struct msn_tree *tree,
			       const struct msn_tree_node *n,
			       const struct msn_tree_node **last)
{
	unsigned low, high;
	const char *wrong;

	if (!n)
		return NULL;
	wrong = check_below(tree, n->child[0], last);
	if (wrong)
		return wrong;
	if (*last && tree->ops->compare(*last, n) >= 0)
		return "tree: out of order";
	*last = n;
	low = node_height(n->child[0]);
	high = node_height(n->child[1]);
	if (n->height != 1 + (low > high ? low : high))
		return "tree: a height is wrong";
	if (low > high + 1 || high > low + 1)
		return "tree: out of balance";
	return check_below(tree, n->child[1], last);
}

const char *msn_tree_check(const struct msn_tree *tree)
{
	const struct msn_tree_node *last = NULL;

	return check_below(tree, tree->root, &last);
}
