/*
 * Is the tree in the catalog's file sound?
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * LMDB 0.9 follows what stands in its pages without a doubt: a flipped bit in a
 * page number or a node offset makes it read outside its map or abort.  So the
 * pages that a transaction can reach are looked at once before LMDB does: each
 * page is in the file, is what its parent takes it for and is reached once;
 * nodes lie inside their pages, keys ascend, counts are right, and the list of
 * free pages names no page that is in use.
 *
 * The layout is that of LMDB 0.9 on a 64-bit little-endian machine.  What the
 * values mean is not looked at: they carry digests of their own.
 */
#include "base/alloc.h"
#include "base/cleanup.h"
#include "format/wire.h"
#include "index/index_env.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pages. */
#define PAGE_HEAD 16
#define PAGE_AT_FLAGS 10
#define PAGE_AT_LOWER 12
#define PAGE_AT_UPPER 14
#define PAGE_AT_OVERFLOW 12
#define P_BRANCH 0x01
#define P_LEAF 0x02
#define P_OVERFLOW 0x04
#define P_META 0x08

/* Nodes. */
#define NODE_HEAD 8
#define NODE_AT_FLAGS 4
#define NODE_AT_KEY_LEN 6
#define F_BIGDATA 0x01
#define F_SUBDATA 0x02
#define KEY_LEN_MAX 511

/* The record of a tree. */
#define DB_LEN 48
#define DB_AT_FLAGS 4
#define DB_AT_DEPTH 6
#define DB_AT_BRANCHES 8
#define DB_AT_LEAVES 16
#define DB_AT_OVERFLOWS 24
#define DB_AT_ENTRIES 32
#define DB_AT_ROOT 40
#define DB_FLAG_INTEGER_KEYS 0x08
#define DB_DEPTH_MAX 32
#define NO_PAGE UINT64_MAX

/* The two meta pages. */
#define META_AT_MAGIC 16
#define META_AT_VERSION 20
#define META_AT_ADDRESS 24
#define META_AT_MAP_BYTES 32
#define META_AT_FREE_DB 40
#define META_AT_MAIN_DB (META_AT_FREE_DB + DB_LEN)
#define META_AT_LAST_PAGE (META_AT_MAIN_DB + DB_LEN)
#define META_AT_TXNID (META_AT_LAST_PAGE + 8)
#define META_END (META_AT_TXNID + 8)
#define META_MAGIC 0xBEEFC0DEu
#define MAP_BYTES_MAX (UINT64_C(1) << 44) /* a catalog of 16 TiB is none */
#define META_PAGES 2

struct checker {
	const uint8_t *map;
	size_t map_bytes;
	size_t page_bytes;
	uint64_t page_count; /* that the meta page says are in use */
	uint8_t *seen;	     /* a byte for each page */
	const char *wrong;
};

enum tree_kind { TREE_FREE, TREE_MAIN, TREE_TABLE };

/* One tree under way: what was found, to compare with its record. */
struct tree {
	enum tree_kind kind;
	unsigned depth;
	uint64_t branches, leaves, overflows, entries;
	const uint8_t *last_key; /* in order over the whole tree */
	size_t last_len;
	bool may_repeat; /* the next key may be equal to the last */
};

struct node {
	const uint8_t *at, *key, *data;
	size_t key_len, data_len; /* data_len: of what stands in the page */
	uint64_t value_len;
	uint64_t child;
	unsigned flags;
};

static bool bad(struct checker *c, const char *what)
{
	if (!c->wrong)
		c->wrong = what;
	return false;
}

/* Marks a page as reached. */
static bool visit(struct checker *c, uint64_t number)
{
	if (number < META_PAGES || number >= c->page_count)
		return bad(c, "a page number lies outside the file");
	if (c->seen[number])
		return bad(c, "a page is used twice");
	c->seen[number] = 1;
	return true;
}

static const uint8_t *page_at(const struct checker *c, uint64_t number)
{
	return c->map + number * c->page_bytes;
}

static unsigned key_count(const uint8_t *page)
{
	return (msn_get16(page + PAGE_AT_LOWER) - PAGE_HEAD) / 2u;
}

static bool page_head_ok(struct checker *c, const uint8_t *page,
			 uint64_t number, unsigned flags)
{
	unsigned lower = msn_get16(page + PAGE_AT_LOWER);
	unsigned upper = msn_get16(page + PAGE_AT_UPPER);

	if (msn_get64(page) != number ||
	    msn_get16(page + PAGE_AT_FLAGS) != flags)
		return bad(c, "a page is not what the tree takes it for");
	if (lower < PAGE_HEAD || lower % 2 || lower > upper ||
	    upper > c->page_bytes)
		return bad(c, "the bounds of a page make no sense");
	if (key_count(page) < (flags == P_BRANCH ? 2u : 1u))
		return bad(c, "a page of the tree is empty");
	return true;
}

static bool node_read(struct checker *c, const uint8_t *page, unsigned i,
		      bool leaf, struct node *n)
{
	size_t at = msn_get16(page + PAGE_HEAD + 2 * i);

	if (at % 2 || at < msn_get16(page + PAGE_AT_UPPER) ||
	    at + NODE_HEAD > c->page_bytes)
		return bad(c, "a node lies outside its page");
	n->at = page + at;
	n->flags = msn_get16(n->at + NODE_AT_FLAGS);
	n->key = n->at + NODE_HEAD;
	n->key_len = msn_get16(n->at + NODE_AT_KEY_LEN);
	n->value_len = msn_get32(n->at);
	n->child = n->value_len | (uint64_t)n->flags << 32;
	n->data = n->key + n->key_len;
	n->data_len = 0;
	if (leaf)
		n->data_len = n->flags & F_BIGDATA ? 8 : n->value_len;
	if (n->key_len > KEY_LEN_MAX ||
	    at + NODE_HEAD + n->key_len + n->data_len > c->page_bytes)
		return bad(c, "a node lies outside its page");
	return true;
}

static int key_compare(const struct tree *t, const struct node *n)
{
	size_t len = n->key_len < t->last_len ? n->key_len : t->last_len;
	int order;

	if (t->kind == TREE_FREE) {
		uint64_t a = msn_get64(t->last_key), b = msn_get64(n->key);

		return a < b ? -1 : a > b;
	}
	order = memcmp(t->last_key, n->key, len);
	if (order)
		return order;
	return t->last_len < n->key_len ? -1 : t->last_len > n->key_len;
}

/*
 * The key of a branch stands between the leaves on its left, which are smaller,
 * and those on its right, whose first may be equal to it.
 */
static bool key_ok(struct checker *c, struct tree *t, const struct node *n,
		   bool branch)
{
	int order;

	if (n->key_len == 0 || (t->kind == TREE_FREE && n->key_len != 8))
		return bad(c, "a key has a length that it cannot have");
	order = t->last_key ? key_compare(t, n) : -1;
	if (order > 0 || (order == 0 && !t->may_repeat))
		return bad(c, "keys are out of order");
	t->last_key = n->key;
	t->last_len = n->key_len;
	t->may_repeat = branch;
	return true;
}

/* Value pages of a node that is too large for its page. */
static const uint8_t *overflow_value(struct checker *c, struct tree *t,
				     const struct node *n)
{
	uint64_t number = msn_get64(n->data), count;
	const uint8_t *page;

	if (number < META_PAGES || number >= c->page_count) {
		bad(c, "a page number lies outside the file");
		return NULL;
	}
	page = page_at(c, number);
	count = msn_get32(page + PAGE_AT_OVERFLOW);
	if (msn_get64(page) != number ||
	    msn_get16(page + PAGE_AT_FLAGS) != P_OVERFLOW ||
	    count > c->page_count - number ||
	    count * c->page_bytes < PAGE_HEAD + n->value_len) {
		bad(c, "a page is not what the tree takes it for");
		return NULL;
	}
	for (uint64_t i = 0; i < count; i++)
		if (!visit(c, number + i))
			return NULL;
	t->overflows += count;
	return page + PAGE_HEAD;
}

/* A list of page numbers, largest first, behind their count. */
static bool free_list_ok(struct checker *c, const uint8_t *list, uint64_t len)
{
	uint64_t count = len >= 8 ? msn_get64(list) : 0;
	uint64_t last = c->page_count;

	if (len % 8 || count == 0 || count > len / 8 - 1)
		return bad(c, "a list of free pages has the wrong length");
	for (uint64_t i = 1; i <= count; i++) {
		uint64_t number = msn_get64(list + 8 * i);

		if (number >= last)
			return bad(c, "a list of free pages is out of order");
		if (!visit(c, number))
			return false;
		last = number;
	}
	return true;
}

static bool tree_check(struct checker *c, enum tree_kind kind,
		       const uint8_t *record);

static bool leaf_node_ok(struct checker *c, struct tree *t,
			 const struct node *n)
{
	const uint8_t *value = n->data;
	unsigned allowed = t->kind == TREE_MAIN ? F_SUBDATA : F_BIGDATA;

	t->entries++;
	if (n->flags & ~allowed)
		return bad(c, "a node has flags that it cannot have");
	if (n->flags & F_BIGDATA) {
		value = overflow_value(c, t, n);
		if (!value)
			return false;
	}
	if (t->kind == TREE_FREE)
		return free_list_ok(c, value, n->value_len);
	if (t->kind == TREE_MAIN) {
		if (n->flags != F_SUBDATA || n->value_len != DB_LEN)
			return bad(c, "the record of a table has the wrong "
				      "length");
		return tree_check(c, TREE_TABLE, value);
	}
	return true;
}

static bool leaf_ok(struct checker *c, struct tree *t, const uint8_t *page)
{
	struct node n;

	t->leaves++;
	for (unsigned i = 0; i < key_count(page); i++)
		if (!node_read(c, page, i, true, &n) ||
		    !key_ok(c, t, &n, false) || !leaf_node_ok(c, t, &n))
			return false;
	return true;
}

/*
 * The subtree under page @number, whose leaves stand @height levels lower.  The
 * first key of a branch is not looked at by LMDB.
 */
static bool subtree_ok(struct checker *c, struct tree *t, uint64_t number,
		       unsigned height)
{
	const uint8_t *page;
	struct node n;

	if (!visit(c, number))
		return false;
	page = page_at(c, number);
	if (!page_head_ok(c, page, number, height ? P_BRANCH : P_LEAF))
		return false;
	if (height == 0)
		return leaf_ok(c, t, page);
	t->branches++;
	for (unsigned i = 0; i < key_count(page); i++) {
		if (!node_read(c, page, i, false, &n))
			return false;
		if (i > 0 && !key_ok(c, t, &n, true))
			return false;
		if (!subtree_ok(c, t, n.child, height - 1))
			return false;
	}
	return true;
}

static bool tree_check(struct checker *c, enum tree_kind kind,
		       const uint8_t *record)
{
	struct tree t = { .kind = kind };
	uint64_t root = msn_get64(record + DB_AT_ROOT);
	unsigned flags = msn_get16(record + DB_AT_FLAGS);

	t.depth = msn_get16(record + DB_AT_DEPTH);
	if (flags != (kind == TREE_FREE ? DB_FLAG_INTEGER_KEYS : 0u) ||
	    t.depth > DB_DEPTH_MAX || (root == NO_PAGE) != (t.depth == 0))
		return bad(c, "the record of a table makes no sense");
	if (root != NO_PAGE && !subtree_ok(c, &t, root, t.depth - 1))
		return false;
	if (t.branches != msn_get64(record + DB_AT_BRANCHES) ||
	    t.leaves != msn_get64(record + DB_AT_LEAVES) ||
	    t.overflows != msn_get64(record + DB_AT_OVERFLOWS) ||
	    t.entries != msn_get64(record + DB_AT_ENTRIES))
		return bad(c, "a table has more or fewer entries than its "
			      "record says");
	return true;
}

static bool meta_ok(const uint8_t *meta, unsigned i)
{
	uint64_t map = msn_get64(meta + META_AT_MAP_BYTES);

	return msn_get64(meta) == i &&
	       msn_get16(meta + PAGE_AT_FLAGS) == P_META &&
	       msn_get32(meta + META_AT_MAGIC) == META_MAGIC &&
	       msn_get32(meta + META_AT_VERSION) == 1 &&
	       msn_get64(meta + META_AT_ADDRESS) == 0 &&
	       msn_get16(meta + META_AT_FREE_DB + DB_AT_FLAGS) ==
		       DB_FLAG_INTEGER_KEYS &&
	       map <= MAP_BYTES_MAX;
}

/* Does the file have the pages that the meta page speaks of? */
static bool meta_fits(const uint8_t *meta, uint64_t file_bytes,
		      uint32_t page_bytes)
{
	uint64_t last = msn_get64(meta + META_AT_LAST_PAGE);

	return msn_get32(meta + META_AT_FREE_DB) == page_bytes && last >= 1 &&
	       last < file_bytes / page_bytes;
}

static bool page_bytes_ok(uint32_t bytes)
{
	return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) == 0;
}

const char *index_check_metas(int fd)
{
	uint8_t meta[META_END];
	uint32_t page_bytes = 0;
	struct stat st;

	if (fstat(fd, &st))
		return "its file cannot be read";
	for (unsigned i = 0; i < META_PAGES; i++) {
		if (pread(fd, meta, sizeof(meta), (off_t)(i * page_bytes)) !=
		    (ssize_t)sizeof(meta))
			return "its file is too short";
		if (i == 0)
			page_bytes = msn_get32(meta + META_AT_FREE_DB);
		if (!meta_ok(meta, i) || !page_bytes_ok(page_bytes))
			return "a meta page of its file is damaged";
		if (!meta_fits(meta, (uint64_t)st.st_size, page_bytes))
			return "its file is shorter than it says";
	}
	return NULL;
}

static const char *meta_check(struct checker *c, const uint8_t *meta)
{
	c->page_count = msn_get64(meta + META_AT_LAST_PAGE) + 1;
	if (c->page_count < META_PAGES ||
	    c->page_count > c->map_bytes / c->page_bytes)
		return "its file is shorter than it says";
	c->seen = msn_alloc(c->page_count);
	if (!c->seen)
		return "there is no memory to check it";
	if (tree_check(c, TREE_MAIN, meta + META_AT_MAIN_DB))
		tree_check(c, TREE_FREE, meta + META_AT_FREE_DB);
	free(c->seen);
	return c->wrong;
}

static const char *map_check(struct checker *c, uint64_t txnid)
{
	for (unsigned i = 0; i < META_PAGES; i++) {
		const uint8_t *meta = c->map + i * c->page_bytes;

		if (msn_get64(meta + META_AT_TXNID) == txnid)
			return meta_check(c, meta);
	}
	return "its meta pages do not belong together";
}

const char *index_check_pages(int fd, uint64_t txnid)
{
	const char *wrong = index_check_metas(fd);
	struct checker c = { 0 };
	struct stat st;
	void *map;

	if (wrong)
		return wrong;
	if (fstat(fd, &st))
		return "its file cannot be read";
	c.map_bytes = (size_t)st.st_size;
	map = mmap(NULL, c.map_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return "its file cannot be mapped";
	c.map = map;
	c.page_bytes = msn_get32(c.map + META_AT_FREE_DB);
	wrong = map_check(&c, txnid);
	munmap(map, c.map_bytes);
	return wrong;
}
