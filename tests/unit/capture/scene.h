/*
 * Scene: a store, and a process to be captured into it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_CAPTURE_SCENE_H
#define MSN_TESTS_CAPTURE_SCENE_H

#include "capture/capture.h"
#include "fakes/victim.h"
#include "format/manifest.h"
#include "store/store.h"

#define PAGE ((size_t)MSN_PAGE_SIZE)

struct scene {
	char dir[64]; /* for files of the test; the store is dir/store */
	struct msn_store *store;
	struct victim v;
	struct msn_uid uid;
	struct msn_capture_stats stats;
	struct msn_manifest *m; /* of the last capture */
	struct msn_failure why;
};

/* Opens a store and starts a process that runs @fn and sleeps. */
void scene_start(struct scene *s, void (*fn)(struct victim_shared *shared));
void scene_end(struct scene *s);

/* Captures the process; checks that this works and loads the manifest. */
void scene_capture(struct scene *s);

/* The mapping at the address that the process told. */
const struct msn_manifest_mapping *scene_mapping(const struct scene *s);

/* Stored pages of [addr, addr + pages), zero ones left out. */
uint64_t scene_stored(const struct scene *s, uint64_t addr, uint64_t pages);

/* Reads a private page of the snapshot; zeros if it has none. */
void scene_page(const struct scene *s, uint64_t addr, void *out);

#endif /* MSN_TESTS_CAPTURE_SCENE_H */
