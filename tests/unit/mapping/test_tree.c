/*
 * Tree: order and balance whatever comes and goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/cleanup.h"
#include "base/rand.h"
#include "mapping/tree.h"
#include "support/check.h"

#include <string.h>

enum { COUNT = 1000 };

struct item {
	struct msn_tree_node node;
	uint64_t number;
	uint64_t sum; /* of the subtree */
	bool in;
};

static struct item *item_of(const struct msn_tree_node *n)
{
	return msn_container_of(n, struct item, node);
}

static int item_compare(const struct msn_tree_node *a,
			const struct msn_tree_node *b)
{
	uint64_t x = item_of(a)->number, y = item_of(b)->number;

	return x < y ? -1 : x > y;
}

static void item_update(struct msn_tree_node *n)
{
	struct item *item = item_of(n);

	item->sum = item->number;
	for (int i = 0; i < 2; i++)
		if (n->child[i])
			item->sum += item_of(n->child[i])->sum;
}

static const struct msn_tree_ops item_ops = { item_compare, item_update };

struct fixture {
	uint64_t visits;
	struct msn_tree tree;
	struct item item[COUNT];
};

static struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->tree = (struct msn_tree){ .ops = &item_ops, .visits = &f->visits };
	for (uint64_t i = 0; i < COUNT; i++)
		f->item[i].number = i;
	return f;
}

static uint64_t root_sum(const struct fixture *f)
{
	return f->tree.root ? item_of(f->tree.root)->sum : 0;
}

static void ordered_inserts_stay_balanced(void)
{
	struct fixture *f = fixture_new();

	for (uint64_t i = 0; i < COUNT; i++) {
		msn_tree_insert(&f->tree, &f->item[i].node);
		CHECK(msn_tree_check(&f->tree) == NULL);
	}
	/* 1.44 log2(1000) = 14.4: what an AVL tree promises. */
	EXPECT(f->tree.root->height <= 14);
	EXPECT(root_sum(f) == (uint64_t)COUNT * (COUNT - 1) / 2);
	for (uint64_t i = COUNT; i-- > 0;) {
		msn_tree_remove(&f->tree, &f->item[i].node);
		CHECK(msn_tree_check(&f->tree) == NULL);
	}
	EXPECT(f->tree.root == NULL);
	free(f);
}

static void random_changes_keep_order_and_summaries(void)
{
	struct fixture *f = fixture_new();
	uint64_t seed = check_seed(), sum = 0;

	for (int i = 0; i < 5000; i++) {
		struct item *item = &f->item[msn_rand_next(&seed) % COUNT];

		if (item->in)
			msn_tree_remove(&f->tree, &item->node);
		else
			msn_tree_insert(&f->tree, &item->node);
		sum = item->in ? sum - item->number : sum + item->number;
		item->in = !item->in;
		CHECK(msn_tree_check(&f->tree) == NULL);
		CHECK(root_sum(f) == sum);
	}
	free(f);
}

static void the_checker_sees_what_is_wrong(void)
{
	struct fixture *f = fixture_new();
	struct msn_tree_node *root;

	for (uint64_t i = 0; i < 7; i++)
		msn_tree_insert(&f->tree, &f->item[i].node);
	root = f->tree.root;
	root->height++;
	EXPECT(strcmp(msn_tree_check(&f->tree), "tree: a height is wrong") ==
	       0);
	root->height--;
	item_of(root)->number = 100;
	EXPECT(strcmp(msn_tree_check(&f->tree), "tree: out of order") == 0);
	item_of(root)->number = 3;
	root->child[0] = NULL;
	EXPECT(strcmp(msn_tree_check(&f->tree), "tree: out of balance") == 0);
	free(f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(ordered_inserts_stay_balanced),
		CHECK_TEST(random_changes_keep_order_and_summaries),
		CHECK_TEST(the_checker_sees_what_is_wrong),
		{}
	};

	return check_main(argc, argv, "tree", tests);
}
