/*
 * Save: the whole way to a published snapshot against a raw write of the bytes
 * that had to be stored, and how much memory a save takes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Warm: an earlier snapshot was removed, so that packs are rewritten in place,
 * as the raw file is.
 */
#include "bench.h"
#include "benches.h"
#include "limits.h"
#include "scene.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Memory that this process holds: anonymous pages, and what its memory files
 * hold.  (Resident shared pages would be no measure: a page that is mapped
 * twice counts twice.)
 */
static uint64_t memory_now(int memfd)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kb = 0;
	char line[256];
	struct stat st;

	if (!f || fstat(memfd, &st) < 0)
		bench_die("memory", 0, "cannot be measured");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %lu kB", &kb) == 1)
			break;
	fclose(f);
	return ((uint64_t)kb << 10) + (uint64_t)st.st_blocks * 512;
}

struct watch {
	int memfd;
	atomic_bool stop;
	uint64_t peak;
};

static void *watch_memory(void *arg)
{
	struct watch *w = arg;

	while (!atomic_load(&w->stop)) {
		uint64_t now = memory_now(w->memfd);

		if (now > w->peak)
			w->peak = now;
		usleep(200);
	}
	return NULL;
}

/* A save that is not timed, watched by a second thread. */
static void measure_memory(struct scene *s)
{
	struct watch w = { .memfd = msn_file_fd(msn_memfile_file(s->mf)) };
	struct bench_row row = { .bench = "save",
				 .what = "memory above the space",
				 .limit_name = "64 MiB allowed",
				 .unit = "MiB",
				 .goal = 1,
				 .goal_is_most = true,
				 .rounds = 1 };
	uint64_t before = memory_now(w.memfd);
	pthread_t thread;

	if (pthread_create(&thread, NULL, watch_memory, &w))
		bench_die("watching memory", 0, "no thread");
	scene_remove(s, scene_save(s, NULL));
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	row.subject = w.peak > before ? (double)(w.peak - before) / 1048576 : 0;
	row.limit = 64;
	row.ratio = row.ratio_min = row.ratio_max = row.subject / row.limit;
	bench_add(&row);
}

void bench_save(const struct bench_opts *o)
{
	struct bench_series raw = { .rounds = o->rounds };
	struct bench_series copy = { .rounds = o->rounds };
	struct msn_manifest_stats stats;
	struct bench_row row;
	struct scene s;
	uint64_t stored;
	int fd;

	scene_make(&s, o->dir, o->size_bytes);
	scene_fill_mixed((char *)(uintptr_t)SCENE_BASE, o->size_bytes);
	/* The first save: nothing is left over from others. */
	measure_memory(&s);
	scene_remove(&s, scene_save(&s, &stats)); /* warms the packs */
	scene_remove(&s, scene_save(&s, &stats));
	stored = stats.stored * MSN_PAGE_SIZE;
	fd = limit_open_preallocated(o->dir, stored);
	for (unsigned i = 0; i < o->rounds; i++) {
		struct msn_uid uid;
		double start;

		raw.limit[i] = limit_raw_write(fd, stored);
		start = bench_now();
		uid = scene_save(&s, &stats);
		raw.subject[i] = bench_now() - start;
		copy.subject[i] = raw.subject[i];
		copy.limit[i] = limit_memcpy(o->size_bytes);
		scene_remove(&s, uid);
	}
	close(fd);
	row = bench_row(&raw, stored);
	row.bench = "save";
	row.what = "mixed space, bytes stored";
	row.limit_name = "raw O_DIRECT io_uring write";
	row.goal = 0.7;
	bench_add(&row);
	row = bench_row(&copy, o->size_bytes);
	row.bench = "save";
	row.what = "mixed space, bytes of the space";
	row.limit_name = "memcpy";
	bench_add(&row);
	scene_free(&s);
}
