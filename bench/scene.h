/*
 * Scenes: stores and spaces to measure on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BENCH_SCENE_H
#define MSN_BENCH_SCENE_H

#include "mm/mm.h"
#include "save/save.h"
#include "store/store.h"

/* Where the measured spaces are in this process. */
#define SCENE_BASE UINT64_C(0x180000000000)

struct scene {
	char path[4096]; /* of the store */
	struct msn_store *store;
	struct msn_memfile *mf;
	struct msn_mm *mm;
};

/* A new store in @dir and a space of @bytes over this process's page tables. */
void scene_make(struct scene *s, const char *dir, uint64_t bytes);
void scene_free(struct scene *s);

/*
 * Fills @bytes of memory, in runs of 16 pages: half random, a quarter zero, a
 * quarter repeats of earlier random pages.
 */
void scene_fill_mixed(char *at, uint64_t bytes);

/* Saves the space; the uid. */
struct msn_uid scene_save(struct scene *s, struct msn_manifest_stats *stats);

/* Removes a snapshot: its packs become spare. */
void scene_remove(struct scene *s, struct msn_uid uid);

#endif /* MSN_BENCH_SCENE_H */
