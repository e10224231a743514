/*
 * Pages of the catalog's file, looked at before LMDB follows them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * LMDB 0.9 follows what stands in its pages without a doubt: a flipped bit in a
 * page number or a node offset makes it read outside its map or abort.  What is
 * here says of one page whether LMDB may be let at it: it is the page that its
 * parent takes it for, its nodes tile it without a gap, keys ascend and keep
 * within the bounds that the parent gives, and each value of a table is the one
 * that was written under its key, by its digest.
 *
 * The layout is that of LMDB 0.9 on a 64-bit little-endian machine.  Private to
 * this component.
 */
#ifndef MSN_INDEX_INDEX_PAGE_H
#define MSN_INDEX_INDEX_PAGE_H

#include "index/index_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_NO_PAGE UINT64_MAX
#define INDEX_META_PAGES 2
#define INDEX_DEPTH_MAX 32

enum index_tree_kind {
	INDEX_TREE_FREE,  /* lists of free pages; keys are numbers */
	INDEX_TREE_MAIN,  /* records of the tables */
	INDEX_TREE_TABLE, /* ours: every value ends with its digest */
};

/* What the record of a tree says. */
struct index_tree {
	enum index_tree_kind kind;
	unsigned depth;
	uint64_t root; /* INDEX_NO_PAGE: it is empty */
	uint64_t branches, leaves, overflows, entries;
};

/* The file as of one transaction. */
struct index_pages {
	const uint8_t *map;
	size_t page_bytes;
	uint64_t count; /* that have been given out, from the first */
	uint64_t there; /* of them, that the file has: the last may be free */
	uint64_t txnid;
	struct index_tree free, main;
};

/* A page, and what is known of it from above. */
struct index_spot {
	uint64_t number;
	unsigned height; /* 0: a leaf */

	/* low <= each key < high; without data there is no such bound. */
	struct index_bytes low, high;
};

struct index_node {
	const uint8_t *key, *data;
	size_t key_len, data_len; /* data_len: of what stands in the page */
	uint64_t value_len;
	uint64_t child; /* of a branch */
	bool overflow;	/* the value has pages of its own: data is a number */
};

/*
 * Text of what is broken in the meta pages of the data file @fd, or NULL: to be
 * asked before LMDB maps the file.
 */
const char *index_check_metas(int fd);

/*
 * The file mapped at @map, @bytes of it, as of transaction @txnid, which is
 * held open.  -EAGAIN if its meta page was written over meanwhile; -EBADMSG
 * with text in *@wrong.
 */
int index_pages_at(struct index_pages *out, const uint8_t *map, size_t bytes,
		   uint64_t txnid, const char **wrong);

/* Text of what is wrong with a tree's record, or NULL and the tree. */
const char *index_tree_read(struct index_tree *out, enum index_tree_kind kind,
			    const uint8_t *record);

/* The root of a tree that is not empty. */
struct index_spot index_tree_root(const struct index_tree *tree);

/*
 * Text of what is broken in a page, or NULL.  For the two functions after it,
 * and for LMDB, a page must have passed.
 */
const char *index_page_check(const struct index_pages *pages,
			     enum index_tree_kind kind,
			     const struct index_spot *at);

/* The same of its bounds alone, for a page that passed with others. */
const char *index_page_check_bounds(const struct index_pages *pages,
				    enum index_tree_kind kind,
				    const struct index_spot *at);

unsigned index_page_keys(const struct index_pages *pages, uint64_t number);

/* Node @i of a page.  False: it lies outside. */
bool index_node_read(const struct index_pages *pages, uint64_t number,
		     unsigned i, bool leaf, struct index_node *out);

/* Child @i of a branch. */
struct index_spot index_page_child(const struct index_pages *pages,
				   const struct index_spot *at, unsigned i);

/* Which child of a branch is the one for @key?  NULL data: the first. */
unsigned index_page_find(const struct index_pages *pages,
			 const struct index_spot *at, struct index_bytes key);

/*
 * The list of page numbers that a node of the free tree holds: text of what is
 * broken in it, or NULL, the numbers and how many there are, and the pages of
 * its own that the list takes (first and count; count 0: none).
 */
struct index_free_list {
	const uint8_t *numbers; /* 8 bytes each, descending */
	uint64_t count;
	uint64_t own_first, own_count;
};
const char *index_free_list_read(const struct index_pages *pages,
				 const struct index_node *n,
				 struct index_free_list *out);

/* Tells of a page that cannot be, from wherever it is found. */
extern const char index_text_outside[], index_text_twice[], index_text_kind[],
	index_text_short[];

#ifdef MSN_FAULTS
/* For tests: pages that this thread has looked at. */
extern _Thread_local uint64_t index_pages_looked;
#endif

#endif /* MSN_INDEX_INDEX_PAGE_H */
