/*
 * Restore: a whole image read and verified, against copying as many bytes into
 * fresh pages of a memfd, which is the least that any restore has to do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"
#include "benches.h"
#include "limits.h"
#include "restore/restore.h"
#include "scene.h"

#include <stdint.h>

static double open_eagerly(struct scene *s, struct msn_uid uid)
{
	struct msn_open_opts opts = { .eager = true };
	struct msn_failure why = { 0 };
	struct msn_opened *o;
	double start = bench_now();
	int rc = msn_open_snapshot(&o, s->store, uid, &opts, &why);

	if (rc)
		bench_die("restoring", rc, why.text);
	start = bench_now() - start;
	msn_opened_free(o);
	return start;
}

void bench_restore(const struct bench_opts *o)
{
	struct bench_series fill = { .rounds = o->rounds };
	struct msn_manifest_stats stats;
	struct bench_row row;
	struct msn_uid uid;
	struct scene s;
	uint64_t bytes;

	scene_make(&s, o->dir, o->size_bytes);
	scene_fill_mixed((char *)(uintptr_t)SCENE_BASE, o->size_bytes);
	uid = scene_save(&s, &stats);
	bytes = stats.private_pages * MSN_PAGE_SIZE;
	open_eagerly(&s, uid); /* packs are in the page cache from here on */
	for (unsigned i = 0; i < o->rounds; i++) {
		fill.limit[i] = limit_fill_memfd(bytes);
		fill.subject[i] = open_eagerly(&s, uid);
	}
	row = bench_row(&fill, bytes);
	row.bench = "restore";
	row.what = "eager, packs in page cache";
	row.limit_name = "memcpy into a fresh memfd";
	bench_add(&row);
	scene_free(&s);
}
