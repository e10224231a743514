/*
 * Scenes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scene.h"

#include "base/rand.h"
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_PAGES 16
#define RUN_BYTES (RUN_PAGES * MSN_PAGE_SIZE)

static void make_space(struct scene *s, uint64_t bytes)
{
	struct msn_addr_range region = { SCENE_BASE, SCENE_BASE + bytes };
	struct msn_mmap_opts o = {
		.length = bytes,
		.addr = SCENE_BASE,
		.fixed = true,
		.unmap = true,
		.perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
		.max_perms = MSN_ACCESS_ANY,
		.private = true,
	};
	struct msn_address_space *as;
	uint64_t addr;
	int rc = msn_memfile_new(&s->mf, &(struct msn_memfile_opts){ 0 });

	if (rc == 0)
		rc = msn_platform_local_new(&as, region);
	if (rc == 0)
		rc = msn_mm_new(&s->mm, &(struct msn_mm_opts){ .memfile = s->mf,
							       .as = as });
	if (rc == 0)
		rc = msn_mm_mmap(s->mm, &o, &addr);
	if (rc)
		bench_die("making a space", rc, NULL);
}

void scene_make(struct scene *s, const char *dir, uint64_t bytes)
{
	struct msn_failure why = { 0 };
	int rc;

	*s = (struct scene){ 0 };
	snprintf(s->path, sizeof(s->path), "%s/bench-store-XXXXXX", dir);
	if (!mkdtemp(s->path))
		bench_die(s->path, -errno, NULL);
	rc = msn_store_open(
		&s->store,
		&(struct msn_store_opts){ .path = s->path, .create = true },
		&why);
	if (rc)
		bench_die("opening a store", rc, why.text);
	if (bytes)
		make_space(s, bytes);
}

void scene_free(struct scene *s)
{
	char command[4200];

	msn_mm_free(s->mm);
	msn_memfile_free(s->mf);
	msn_store_close(s->store);
	snprintf(command, sizeof(command), "rm -rf '%s'", s->path);
	if (system(command) != 0)
		fprintf(stderr, "memsnap-bench: %s is left behind\n", s->path);
}

static void fill_random(uint64_t *rand, char *at)
{
	for (size_t i = 0; i < RUN_BYTES; i += sizeof(uint64_t)) {
		uint64_t v = msn_rand_next(rand);

		memcpy(at + i, &v, sizeof(v));
	}
}

void scene_fill_mixed(char *at, uint64_t bytes)
{
	uint64_t rand = 1;

	for (uint64_t run = 0; run < bytes / RUN_BYTES; run++) {
		char *to = at + run * RUN_BYTES;

		switch (run % 4) {
		case 0:
		case 2:
			fill_random(&rand, to);
			break;
		case 1:
			memset(to, 0, RUN_BYTES);
			break;
		default: {
			/* Even runs are the random ones. */
			uint64_t before = msn_rand_next(&rand) % (run / 2) * 2;

			memcpy(to, at + before * RUN_BYTES, RUN_BYTES);
			break;
		}
		}
	}
}

struct msn_uid scene_save(struct scene *s, struct msn_manifest_stats *stats)
{
	struct msn_save_opts opts = { .no_parent = true };
	struct msn_failure why = { 0 };
	struct msn_uid uid;
	int rc = msn_save(s->mm, s->store, &opts, &uid, stats, &why);

	if (rc)
		bench_die("saving", rc, why.text);
	return uid;
}

void scene_remove(struct scene *s, struct msn_uid uid)
{
	struct msn_failure why = { 0 };
	int rc = msn_store_remove(s->store, uid, NULL, &why);

	if (rc)
		bench_die("removing", rc, why.text);
}
