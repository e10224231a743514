/*
 * Catalogs in temporary folders, and snapshots that exist in them alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_INDEX_FIXTURE_H
#define MSN_TESTS_INDEX_FIXTURE_H

#include "index/index.h"

/* A new folder, where a sync costs nothing if there is such a place. */
char *index_dir_new(void);

/* Removes the folder with the catalog in it. */
void index_dir_free(char *dir);

/* The store that the catalogs are of. */
extern const struct msn_uid index_store_uid;

/* Opens, and makes if need be; must work.  0 bytes: the map's default. */
struct msn_index *index_at(const char *dir, size_t map_bytes);

/* A uid that starts with the digits of @n (16 bits). */
struct msn_uid index_uid(unsigned n);

/*
 * Publishes a snapshot that needs packs [@first, @first + @count), at most 8,
 * each with 9 pages.  Fields of @more go along: companions, created_ns.
 */
int index_publish_with(struct msn_index *index, struct msn_uid uid,
		       const char *name, uint64_t first, size_t count,
		       int64_t created_ns,
		       const struct msn_index_publish *more);

/* The same without anything more. */
int index_publish(struct msn_index *index, struct msn_uid uid, const char *name,
		  uint64_t first, size_t count);

/* Whatever its note says, and nothing beside. */
int index_remove(struct msn_index *index, struct msn_uid uid, bool *freed);

/* How many snapshots are listed. */
size_t index_count_all(struct msn_index *index);

#endif /* MSN_TESTS_INDEX_FIXTURE_H */
