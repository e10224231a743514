/*
 * One page of the catalog's file.  See index_page.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index/index_page.h"

#include "base/error.h"
#include "format/wire.h"

#include <errno.h>
#include <string.h>
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

/* Values are kept below what LMDB puts into pages of their own in these. */
#define PAGE_BYTES_MIN 4096
#define PAGE_BYTES_MAX 65536

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

#define SUM_LEN 8

const char index_text_outside[] = "a page number lies outside the file";
const char index_text_twice[] = "a page is used twice";
const char index_text_short[] = "its file is shorter than it says";
const char index_text_kind[] = "a page is not what the tree takes it for";

#ifdef MSN_FAULTS
_Thread_local uint64_t index_pages_looked;
#endif

/* ---- Meta pages --------------------------------------------------------- */

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

/*
 * The last pages that were given out may be free, and then the file need not
 * have them.
 */
static bool meta_fits(const uint8_t *meta, uint32_t page_bytes)
{
	uint64_t last = msn_get64(meta + META_AT_LAST_PAGE);
	uint64_t map = msn_get64(meta + META_AT_MAP_BYTES);

	return msn_get32(meta + META_AT_FREE_DB) == page_bytes && last >= 1 &&
	       last < map / page_bytes;
}

static bool page_bytes_ok(uint32_t bytes)
{
	return bytes >= PAGE_BYTES_MIN && bytes <= PAGE_BYTES_MAX &&
	       (bytes & (bytes - 1)) == 0;
}

/* Commits take turns, and their numbers have no gaps. */
static bool turns_ok(const uint64_t *txnid)
{
	if (txnid[0] == 0 && txnid[1] == 0)
		return true; /* just made */
	return txnid[0] % 2 == 0 && txnid[1] % 2 == 1 &&
	       (txnid[0] + 1 == txnid[1] || txnid[1] + 1 == txnid[0]);
}

const char *index_check_metas(int fd)
{
	uint64_t txnid[INDEX_META_PAGES];
	uint8_t meta[META_END];
	uint32_t page_bytes = 0;

	for (unsigned i = 0; i < INDEX_META_PAGES; i++) {
		if (pread(fd, meta, sizeof(meta), (off_t)(i * page_bytes)) !=
		    (ssize_t)sizeof(meta))
			return "its file is too short";
		if (i == 0)
			page_bytes = msn_get32(meta + META_AT_FREE_DB);
		if (!meta_ok(meta, i) || !page_bytes_ok(page_bytes))
			return "a meta page of its file is damaged";
		if (!meta_fits(meta, page_bytes))
			return index_text_short;
		txnid[i] = msn_get64(meta + META_AT_TXNID);
	}
	return turns_ok(txnid) ? NULL : "its meta pages do not belong together";
}

/* A writer may be at work on the page: what is read twice the same is whole. */
static bool meta_copy(uint8_t *out, const uint8_t *meta)
{
	uint8_t again[META_END];

	memcpy(out, meta, META_END);
	/* The processor keeps loads in order; the compiler is to do so too. */
	__asm__ volatile("" ::: "memory");
	memcpy(again, meta, META_END);
	return memcmp(out, again, META_END) == 0;
}

int index_pages_at(struct index_pages *out, const uint8_t *map, size_t bytes,
		   uint64_t txnid, const char **wrong)
{
	size_t page_bytes = msn_get32(map + META_AT_FREE_DB);
	uint8_t meta[META_END];

	*wrong = "a meta page of its file is damaged";
	if (!page_bytes_ok((uint32_t)page_bytes))
		return msn_fail(-EBADMSG);
	if (!meta_copy(meta, map + (txnid & 1) * page_bytes) ||
	    msn_get64(meta + META_AT_TXNID) != txnid)
		return -EAGAIN;
	out->map = map;
	out->page_bytes = page_bytes;
	out->count = msn_get64(meta + META_AT_LAST_PAGE) + 1;
	out->there = bytes / page_bytes;
	if (out->there > out->count)
		out->there = out->count;
	out->txnid = txnid;
	if (out->there < INDEX_META_PAGES)
		return msn_fail(-EBADMSG);
	*wrong = index_tree_read(&out->free, INDEX_TREE_FREE,
				 meta + META_AT_FREE_DB);
	if (!*wrong)
		*wrong = index_tree_read(&out->main, INDEX_TREE_MAIN,
					 meta + META_AT_MAIN_DB);
	return *wrong ? msn_fail(-EBADMSG) : 0;
}

const char *index_tree_read(struct index_tree *out, enum index_tree_kind kind,
			    const uint8_t *record)
{
	unsigned flags = msn_get16(record + DB_AT_FLAGS);

	*out = (struct index_tree){
		.kind = kind,
		.depth = msn_get16(record + DB_AT_DEPTH),
		.root = msn_get64(record + DB_AT_ROOT),
		.branches = msn_get64(record + DB_AT_BRANCHES),
		.leaves = msn_get64(record + DB_AT_LEAVES),
		.overflows = msn_get64(record + DB_AT_OVERFLOWS),
		.entries = msn_get64(record + DB_AT_ENTRIES),
	};
	if (flags != (kind == INDEX_TREE_FREE ? DB_FLAG_INTEGER_KEYS : 0u) ||
	    out->depth > INDEX_DEPTH_MAX ||
	    (out->root == INDEX_NO_PAGE) != (out->depth == 0))
		return "the record of a table makes no sense";
	return NULL;
}

struct index_spot index_tree_root(const struct index_tree *tree)
{
	return (struct index_spot){ .number = tree->root,
				    .height = tree->depth - 1 };
}

/* ---- One page ----------------------------------------------------------- */

static const uint8_t *page_at(const struct index_pages *pages, uint64_t number)
{
	return pages->map + number * pages->page_bytes;
}

static bool inside(const struct index_pages *pages, uint64_t number)
{
	return number >= INDEX_META_PAGES && number < pages->there;
}

unsigned index_page_keys(const struct index_pages *pages, uint64_t number)
{
	const uint8_t *page = page_at(pages, number);

	return (msn_get16(page + PAGE_AT_LOWER) - PAGE_HEAD) / 2u;
}

static const char *head_check(const struct index_pages *pages,
			      const struct index_spot *at)
{
	const uint8_t *page = page_at(pages, at->number);
	unsigned lower = msn_get16(page + PAGE_AT_LOWER);
	unsigned upper = msn_get16(page + PAGE_AT_UPPER);

	if (msn_get64(page) != at->number ||
	    msn_get16(page + PAGE_AT_FLAGS) != (at->height ? P_BRANCH : P_LEAF))
		return index_text_kind;
	if (lower < PAGE_HEAD || lower % 2 || upper % 2 || lower > upper ||
	    upper > pages->page_bytes)
		return "the bounds of a page make no sense";
	if (index_page_keys(pages, at->number) < (at->height ? 2u : 1u))
		return "a page of the tree is empty";
	return NULL;
}

/* The node at offset @at of a page. */
static bool node_at(const struct index_pages *pages, const uint8_t *page,
		    size_t at, bool leaf, struct index_node *out)
{
	const uint8_t *node = page + at;
	unsigned flags;

	if (at % 2 || at < msn_get16(page + PAGE_AT_UPPER) ||
	    at + NODE_HEAD > pages->page_bytes)
		return false;
	flags = msn_get16(node + NODE_AT_FLAGS);
	out->key = node + NODE_HEAD;
	out->key_len = msn_get16(node + NODE_AT_KEY_LEN);
	out->value_len = msn_get32(node);
	out->child = out->value_len | (uint64_t)flags << 32;
	out->overflow = leaf && flags & F_BIGDATA;
	out->data = out->key + out->key_len;
	out->data_len = 0;
	if (leaf)
		out->data_len = out->overflow ? 8 : out->value_len;
	return out->key_len <= KEY_LEN_MAX &&
	       at + NODE_HEAD + out->key_len + out->data_len <=
		       pages->page_bytes;
}

static size_t node_offset(const uint8_t *page, unsigned i)
{
	return msn_get16(page + PAGE_HEAD + 2 * i);
}

bool index_node_read(const struct index_pages *pages, uint64_t number,
		     unsigned i, bool leaf, struct index_node *out)
{
	const uint8_t *page = page_at(pages, number);

	return node_at(pages, page, node_offset(page, i), leaf, out);
}

static unsigned node_flags(const struct index_node *n)
{
	return msn_get16(n->key - NODE_HEAD + NODE_AT_FLAGS);
}

static size_t node_bytes(const struct index_node *n)
{
	return (NODE_HEAD + n->key_len + n->data_len + 1) & ~(size_t)1;
}

/*
 * Marks where nodes start.  Then they are walked by their sizes: as many steps
 * as there are nodes, each from a marked place, lead to the end of the page, so
 * no two overlap and none is left out.
 */
static const char *tiles_check(const struct index_pages *pages, uint64_t number,
			       bool leaf)
{
	static const char wrong[] = "nodes of a page overlap";
	const uint8_t *page = page_at(pages, number);
	unsigned count = index_page_keys(pages, number), steps = 0;
	size_t at = msn_get16(page + PAGE_AT_UPPER);
	uint8_t starts[PAGE_BYTES_MAX / 16];
	struct index_node n;

	memset(starts, 0, pages->page_bytes / 16);
	for (unsigned i = 0; i < count; i++) {
		size_t start = node_offset(page, i);

		if (!node_at(pages, page, start, leaf, &n))
			return "a node lies outside its page";
		if (starts[start / 16] & 1u << start / 2 % 8)
			return wrong;
		starts[start / 16] |= (uint8_t)(1u << start / 2 % 8);
	}
	for (; at < pages->page_bytes; steps++) {
		if (!(starts[at / 16] & 1u << at / 2 % 8) ||
		    !node_at(pages, page, at, leaf, &n))
			return wrong;
		at += node_bytes(&n);
	}
	return at == pages->page_bytes && steps == count ? NULL : wrong;
}

static int compare(enum index_tree_kind kind, struct index_bytes a,
		   struct index_bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order;

	if (kind == INDEX_TREE_FREE) {
		uint64_t x = msn_get64(a.data), y = msn_get64(b.data);

		return x < y ? -1 : x > y;
	}
	order = memcmp(a.data, b.data, len);
	if (order)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

static struct index_bytes key_of(const struct index_node *n)
{
	return (struct index_bytes){ n->key, n->key_len };
}

/* The first key of a branch is not looked at by LMDB, and so not here. */
static const char *keys_check(const struct index_pages *pages,
			      enum index_tree_kind kind,
			      const struct index_spot *at)
{
	unsigned count = index_page_keys(pages, at->number);
	struct index_bytes last = { NULL, 0 };
	struct index_node n;

	for (unsigned i = at->height ? 1 : 0; i < count; i++) {
		index_node_read(pages, at->number, i, !at->height, &n);
		if (n.key_len == 0 ||
		    (kind == INDEX_TREE_FREE && n.key_len != 8))
			return "a key has a length that it cannot have";
		if (last.data && compare(kind, last, key_of(&n)) >= 0)
			return "keys are out of order";
		last = key_of(&n);
	}
	return NULL;
}

const char *index_page_check_bounds(const struct index_pages *pages,
				    enum index_tree_kind kind,
				    const struct index_spot *at)
{
	unsigned count = index_page_keys(pages, at->number);
	struct index_node first, last;

	index_node_read(pages, at->number, at->height ? 1 : 0, !at->height,
			&first);
	index_node_read(pages, at->number, count - 1, !at->height, &last);
	if ((at->low.data && compare(kind, key_of(&first), at->low) < 0) ||
	    (at->high.data && compare(kind, key_of(&last), at->high) >= 0))
		return "keys are out of order";
	return NULL;
}

static const char *children_check(const struct index_pages *pages,
				  const struct index_spot *at)
{
	struct index_node n;

	for (unsigned i = 0; i < index_page_keys(pages, at->number); i++) {
		index_node_read(pages, at->number, i, false, &n);
		if (!inside(pages, n.child))
			return index_text_outside;
	}
	return NULL;
}

static const char *value_check(enum index_tree_kind kind,
			       const struct index_node *n)
{
	unsigned flags = node_flags(n);
	size_t len = n->data_len;

	if (flags & ~(kind == INDEX_TREE_FREE	? F_BIGDATA
		      : kind == INDEX_TREE_MAIN ? F_SUBDATA
						: 0u))
		return "a node has flags that it cannot have";
	if (kind == INDEX_TREE_MAIN && (flags != F_SUBDATA || len != DB_LEN))
		return "the record of a table has the wrong length";
	if (kind == INDEX_TREE_TABLE &&
	    !index_sealed(key_of(n), (struct index_bytes){ n->data, len }))
		return "a value is not the one that was written";
	return NULL;
}

static const char *values_check(const struct index_pages *pages,
				enum index_tree_kind kind,
				const struct index_spot *at)
{
	const char *wrong = NULL;
	struct index_node n;

	for (unsigned i = 0; !wrong && i < index_page_keys(pages, at->number);
	     i++) {
		index_node_read(pages, at->number, i, true, &n);
		wrong = value_check(kind, &n);
	}
	return wrong;
}

const char *index_page_check(const struct index_pages *pages,
			     enum index_tree_kind kind,
			     const struct index_spot *at)
{
	const char *wrong;

	if (!inside(pages, at->number))
		return index_text_outside;
#ifdef MSN_FAULTS
	index_pages_looked++;
#endif
	wrong = head_check(pages, at);
	if (!wrong)
		wrong = tiles_check(pages, at->number, !at->height);
	if (!wrong)
		wrong = keys_check(pages, kind, at);
	if (!wrong)
		wrong = index_page_check_bounds(pages, kind, at);
	if (!wrong)
		wrong = at->height ? children_check(pages, at)
				   : values_check(pages, kind, at);
	return wrong;
}

/* ---- Ways down ---------------------------------------------------------- */

struct index_spot index_page_child(const struct index_pages *pages,
				   const struct index_spot *at, unsigned i)
{
	struct index_spot child = { .height = at->height - 1,
				    .low = at->low,
				    .high = at->high };
	struct index_node n;

	index_node_read(pages, at->number, i, false, &n);
	child.number = n.child;
	if (i > 0)
		child.low = key_of(&n);
	if (i + 1 < index_page_keys(pages, at->number)) {
		index_node_read(pages, at->number, i + 1, false, &n);
		child.high = key_of(&n);
	}
	return child;
}

unsigned index_page_find(const struct index_pages *pages,
			 const struct index_spot *at, struct index_bytes key)
{
	unsigned low = 0, high = index_page_keys(pages, at->number);
	struct index_node n;

	if (!key.data)
		return 0;
	while (high - low > 1) {
		unsigned mid = low + (high - low) / 2;

		index_node_read(pages, at->number, mid, false, &n);
		if (compare(INDEX_TREE_TABLE, key_of(&n), key) <= 0)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* ---- Lists of free pages ------------------------------------------------ */

static const char *free_overflow(const struct index_pages *pages,
				 const struct index_node *n,
				 struct index_free_list *out)
{
	uint64_t number = msn_get64(n->data), count;
	const uint8_t *page;

	if (!inside(pages, number))
		return index_text_outside;
	page = page_at(pages, number);
	count = msn_get32(page + PAGE_AT_OVERFLOW);
	if (msn_get64(page) != number ||
	    msn_get16(page + PAGE_AT_FLAGS) != P_OVERFLOW || count == 0 ||
	    count > pages->there - number ||
	    count * pages->page_bytes < PAGE_HEAD + n->value_len)
		return index_text_kind;
	out->own_first = number;
	out->own_count = count;
	out->numbers = page + PAGE_HEAD;
	return NULL;
}

const char *index_free_list_read(const struct index_pages *pages,
				 const struct index_node *n,
				 struct index_free_list *out)
{
	uint64_t last = pages->count;
	const char *wrong = NULL;

	*out = (struct index_free_list){ .numbers = n->data };
	if (n->overflow)
		wrong = free_overflow(pages, n, out);
	if (wrong)
		return wrong;
	out->count = n->value_len >= 8 ? msn_get64(out->numbers) : 0;
	/* LMDB leaves an empty list behind now and then. */
	if (n->value_len < 8 || n->value_len % 8 ||
	    out->count > n->value_len / 8 - 1)
		return "a list of free pages has the wrong length";
	out->numbers += 8;
	for (uint64_t i = 0; i < out->count; i++) {
		uint64_t number = msn_get64(out->numbers + 8 * i);

		if (number >= last || number < INDEX_META_PAGES)
			return "a list of free pages is out of order";
		last = number;
	}
	return NULL;
}
