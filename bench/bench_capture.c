/*
 * Capture: how long a process stands still, against reading the same pages out
 * of it by process_vm_readv alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"
#include "benches.h"
#include "capture/capture.h"
#include "limits.h"
#include "scene.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process with @bytes of mixed memory at SCENE_BASE, asleep. */
static pid_t start_victim(uint64_t bytes)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	if (pipe(ready) < 0 || (pid = fork()) < 0)
		bench_die("starting a process", -errno, NULL);
	if (pid == 0) {
		char *at =
			mmap((void *)(uintptr_t)SCENE_BASE, bytes,
			     PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			     -1, 0);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (at == MAP_FAILED)
			_exit(1);
		scene_fill_mixed(at, bytes);
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		bench_die("starting a process", -EIO, NULL);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static double capture(struct scene *s, pid_t pid, uint64_t stage_bytes)
{
	struct msn_capture_opts opts = { .pid = pid,
					 .stage_bytes = stage_bytes };
	struct msn_capture_stats stats;
	struct msn_failure why = { 0 };
	struct msn_uid uid;
	int rc = msn_capture(s->store, &opts, &uid, &stats, &why);

	if (rc)
		bench_die("capturing", rc, why.text);
	scene_remove(s, uid);
	return (double)stats.pause_ns / 1e9;
}

static void add(struct bench_series *series, const char *what)
{
	struct bench_row row = bench_row(series, 0);

	row.bench = "capture";
	row.what = what;
	row.limit_name = "plain process_vm_readv";
	row.goal = 1.5;
	row.goal_is_most = true;
	bench_add(&row);
}

void bench_capture(const struct bench_opts *o)
{
	struct bench_series lean = { .rounds = o->rounds };
	struct bench_series staged = { .rounds = o->rounds };
	pid_t pid = start_victim(o->size_bytes);
	struct scene s;

	scene_make(&s, o->dir, 0);
	capture(&s, pid, 1); /* warms the packs */
	for (unsigned i = 0; i < o->rounds; i++) {
		lean.limit[i] =
			limit_process_read(pid, SCENE_BASE, o->size_bytes);
		lean.subject[i] = capture(&s, pid, 1);
		staged.limit[i] = lean.limit[i];
		staged.subject[i] = capture(&s, pid, 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	add(&staged, "pause, as it is by default");
	add(&lean, "pause, within 64 MiB of memory");
	scene_free(&s);
}
