/*
 * Test support: small snapshots in a real store, page by page.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    struct test_store s;
 *    struct maker k;
 *
 *    test_store_open(&s);
 *    maker_begin(&k, &s, "one");
 *    maker_map(&k, 16, 20, MSN_MAPPING_ANON);
 *    maker_page(&k, &k.m->pages, 17, 'a');
 *    uid = maker_commit(&k);
 *    ...
 *    test_store_close(&s);
 *
 * Whatever goes wrong stops the test.
 */
#ifndef MSN_TESTS_SNAPSHOT_MAKER_H
#define MSN_TESTS_SNAPSHOT_MAKER_H

#include "format/manifest.h"
#include "store/store.h"

#include <stdint.h>

struct test_store {
	char path[64]; /* a folder of its own, removed at the end */
	struct msn_store *store;
};

void test_store_open(struct test_store *s);
void test_store_close(struct test_store *s);

/* Closes and opens it again, for reading: nothing is cached. */
void test_store_reopen(struct test_store *s);

struct maker {
	struct msn_manifest *m;
	struct msn_writer *w;
};

void maker_begin(struct maker *k, struct test_store *s, const char *name);

/* A mapping of pages [@first, @end), rw-p; returned to be changed. */
struct msn_manifest_mapping *maker_map(struct maker *k, uint64_t first,
				       uint64_t end,
				       enum msn_mapping_kind kind);

/* An object or a blob of @pages pages without any. */
struct msn_manifest_object *maker_object(struct maker *k, uint64_t pages);
struct msn_manifest_blob *maker_blob(struct maker *k, const char *name,
				     uint64_t pages);

/* A page of bytes that depend on @seed and on @page, but for seed 0: zeros. */
void maker_fill(uint8_t *bytes, uint64_t page, uint64_t seed);

/* Stores such a page, and adds it to @list. */
void maker_page(struct maker *k, struct msn_extents *list, uint64_t page,
		uint64_t seed);

/* Stores these bytes. */
void maker_bytes(struct maker *k, struct msn_extents *list, uint64_t page,
		 const uint8_t *bytes);

/* Adds a run of pages that are zero and stored nowhere. */
void maker_zeros(struct maker *k, struct msn_extents *list, uint64_t page,
		 uint32_t count);

/*
 * Adds at @page what another snapshot has at @there: the same place of the same
 * pack.
 */
void maker_inherit(struct maker *k, uint64_t page,
		   const struct msn_manifest *from, uint64_t there);

struct msn_uid maker_commit(struct maker *k);

/*
 * Flips a bit of the last place in a pack that holds these bytes.  Leaves the
 * store closed while it does.
 */
void damage_bytes(struct test_store *s, const void *bytes, size_t len);

/* The file and the offset of that place: a path for free(). */
char *find_bytes(struct test_store *s, const void *bytes, size_t len,
		 uint64_t *at);

#endif /* MSN_TESTS_SNAPSHOT_MAKER_H */
