/*
 * Clone: a space made of a restored snapshot, in this process, against mapping
 * the same runs of a memfd by hand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"
#include "benches.h"
#include "restore/restore.h"
#include "scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAPPINGS 16
#define TOUCHED 1024
#define REPEATS 64

/* Cuts the space into mappings by giving every second one other rights. */
static void cut(struct scene *s, uint64_t bytes)
{
	uint64_t part = bytes / MAPPINGS;

	for (unsigned i = 1; i < MAPPINGS; i += 2) {
		int rc = msn_mm_mprotect(s->mm, SCENE_BASE + i * part, part,
					 MSN_ACCESS_READ);

		if (rc)
			bench_die("mprotect", rc, NULL);
	}
}

static void touch(uint64_t bytes)
{
	for (uint64_t i = 0; i < TOUCHED; i++) {
		char *page =
			(char *)(uintptr_t)(SCENE_BASE + i * (bytes / TOUCHED));

		*page = (char)(i + 1);
	}
}

static struct msn_mm *clone_once(struct msn_opened *o, struct msn_memfile *mf,
				 uint64_t bytes)
{
	struct msn_addr_range region = { SCENE_BASE, SCENE_BASE + bytes };
	struct msn_clone_opts opts = { 0 };
	struct msn_failure why = { 0 };
	struct msn_address_space *as;
	struct msn_mm *mm;
	int rc = msn_platform_local_new(&as, region);

	if (rc == 0)
		rc = msn_mm_new(
			&mm, &(struct msn_mm_opts){ .memfile = mf, .as = as });
	if (rc == 0)
		rc = msn_clone(o, mm, &opts, &why);
	if (rc)
		bench_die("cloning", rc, why.text);
	return mm;
}

static double time_clones(struct msn_opened *o, struct msn_memfile *mf,
			  uint64_t bytes)
{
	double sum = 0;

	for (int i = 0; i < REPEATS; i++) {
		double start = bench_now();
		struct msn_mm *mm = clone_once(o, mf, bytes);

		sum += bench_now() - start;
		msn_mm_free(mm);
	}
	return sum / REPEATS;
}

/* The same mappings of an equally large memfd, by hand. */
static double time_mmaps(int fd, uint64_t bytes)
{
	uint64_t part = bytes / MAPPINGS;
	double sum = 0;

	for (int r = 0; r < REPEATS; r++) {
		double start = bench_now();

		for (unsigned i = 0; i < MAPPINGS; i++) {
			void *at = (void *)(uintptr_t)(SCENE_BASE + i * part);
			int prot = PROT_READ | (i % 2 ? 0 : PROT_WRITE);

			if (mmap(at, part, prot,
				 MAP_PRIVATE | MAP_FIXED_NOREPLACE |
					 MAP_NORESERVE,
				 fd, (off_t)(i * part)) == MAP_FAILED)
				bench_die("mmap", -errno, NULL);
		}
		sum += bench_now() - start;
		munmap((void *)(uintptr_t)SCENE_BASE, bytes);
	}
	return sum / REPEATS;
}

static void measure(const struct bench_opts *o, uint64_t bytes,
		    const char *what)
{
	struct bench_series series = { .rounds = o->rounds };
	struct msn_open_opts eager = { .eager = true };
	struct msn_failure why = { 0 };
	struct msn_opened *opened;
	struct msn_memfile *mf;
	struct bench_row row;
	struct msn_uid uid;
	struct scene s;
	int fd = memfd_create("limit", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		bench_die("memfd", -errno, NULL);
	scene_make(&s, o->dir, bytes);
	touch(bytes);
	cut(&s, bytes);
	uid = scene_save(&s, NULL);
	s.mm = msn_mm_free(s.mm); /* the clones go to the same addresses */
	if (msn_open_snapshot(&opened, s.store, uid, &eager, &why) ||
	    msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }))
		bench_die("restoring", -ENOMEM, why.text);
	for (unsigned i = 0; i < o->rounds; i++) {
		series.limit[i] = time_mmaps(fd, bytes);
		series.subject[i] = time_clones(opened, mf, bytes);
	}
	row = bench_row(&series, 0);
	row.bench = "clone";
	row.what = what;
	row.limit_name = "bare mmap of the same runs";
	row.goal = 3;
	row.goal_is_most = true;
	bench_add(&row);
	msn_opened_free(opened);
	msn_memfile_free(mf);
	scene_free(&s);
	close(fd);
}

void bench_clone(const struct bench_opts *o)
{
	measure(o, UINT64_C(64) << 20, "64 MiB in 16 mappings");
	measure(o, UINT64_C(1) << 30, "1 GiB in 16 mappings");
	measure(o, UINT64_C(16) << 30, "16 GiB in 16 mappings");
}
