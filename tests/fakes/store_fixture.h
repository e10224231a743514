/*
 * Stores in temporary folders, and snapshots whose pages follow from a seed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_STORE_FIXTURE_H
#define MSN_TESTS_STORE_FIXTURE_H

#include "store/store.h"

/* A folder that does not exist yet, in one that does; for store_dir_free(). */
char *store_dir_new(void);

/* The same where a sync costs nothing, if there is such a place. */
char *store_dir_in_memory(void);

/* The same below @parent, a file system of the test's. */
char *store_dir_in(const char *parent);

/* Removes the folder and everything in it. */
void store_dir_free(char *path);

/* Opens, and makes if need be; must work. */
struct msn_store *store_at(const char *path);

/* What a snapshot of the fixture holds. */
struct sample {
	uint64_t seed;
	const char *name;      /* "" for none */
	uint64_t page_count;   /* private pages, one after another */
	uint64_t object_pages; /* of one shared object; 0: none */
	size_t blob_bytes;     /* of one blob "state"; 0: none */
	uint64_t every;	       /* stores each n-th page, 0: each one */
	struct msn_uid parent; /* inherits its pages but each 10th */
};

/* 0 or the error; the uid of what was saved. */
int sample_save(struct msn_store *store, const struct sample *s,
		struct msn_uid *uid, struct msn_failure *why);

/* Loads, reads every page and compares: 0, or the error, or 1: not the same. */
int sample_verify(struct msn_store *store, const struct sample *s,
		  struct msn_uid uid, struct msn_failure *why);

/* How many files in the packs folder end with @suffix. */
unsigned store_count_files(const char *path, const char *suffix);

#endif /* MSN_TESTS_STORE_FIXTURE_H */
