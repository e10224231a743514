/*
 * What the kernel says of this process, and what was built.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "metrics_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	BUILD_INFO,
	CPU,
	RESIDENT,
	VIRTUAL,
	OPEN_FDS,
	MAX_FDS,
	THREADS,
	START,
	ROWS,
};

static const struct msn_metric process_rows[ROWS] = {
	[BUILD_INFO] = { "memsnap_build_info",
			 "Always 1; which memsnap this is.",
			 .kind = MSN_METRIC_GAUGE },
	[CPU] = { "process_cpu_seconds_total",
		  "Processor time of this process, in user and system mode.",
		  .kind = MSN_METRIC_COUNTER, .unit = MSN_METRIC_SECONDS },
	[RESIDENT] = { "process_resident_memory_bytes",
		       "Memory of this process that is present.",
		       .kind = MSN_METRIC_GAUGE },
	[VIRTUAL] = { "process_virtual_memory_bytes",
		      "Addresses that this process has mapped.",
		      .kind = MSN_METRIC_GAUGE },
	[OPEN_FDS] = { "process_open_fds", "Descriptors that are open.",
		       .kind = MSN_METRIC_GAUGE },
	[MAX_FDS] = { "process_max_fds", "Descriptors that may be open.",
		      .kind = MSN_METRIC_GAUGE },
	[THREADS] = { "process_threads", "Threads of this process.",
		      .kind = MSN_METRIC_GAUGE },
	[START] = { "process_start_time_seconds",
		    "When this process began, since the epoch.",
		    .kind = MSN_METRIC_GAUGE, .unit = MSN_METRIC_SECONDS },
};

/* Field @nth of /proc/self/stat, counted from 1 as proc(5) does. */
static uint64_t stat_field(const char *text, unsigned nth)
{
	/* The name, field 2, may have anything in it, but it ends last. */
	const char *at = strrchr(text, ')');

	for (unsigned i = 2; at && i < nth; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * (int64_t)S_NS + now.tv_nsec;
}

/* Since the epoch.  Asked once: the answer moves as the clock is adjusted. */
static int64_t started_ns(void)
{
	msn_auto(msn_freep) char *text = NULL;
	uint64_t tick_ns = S_NS / (uint64_t)sysconf(_SC_CLK_TCK);

	if (msn_read_file(&text, NULL, AT_FDCWD, "/proc/self/stat", 4096))
		return clock_ns(CLOCK_REALTIME);
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) +
	       (int64_t)(stat_field(text, 22) * tick_ns);
}

static void collect_stat(struct msn_metric_set *set)
{
	msn_auto(msn_freep) char *text = NULL;

	if (msn_read_file(&text, NULL, AT_FDCWD, "/proc/self/stat", 4096))
		return;
	msn_metric_set(set, THREADS, 0, (int64_t)stat_field(text, 20));
	msn_metric_set(set, VIRTUAL, 0, (int64_t)stat_field(text, 23));
	msn_metric_set(set, RESIDENT, 0,
		       (int64_t)stat_field(text, 24) * sysconf(_SC_PAGESIZE));
}

static void collect_cpu(struct msn_metric_set *set)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u))
		return;
	msn_metric_set(set, CPU, 0,
		       (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * (int64_t)S_NS +
			       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) *
				       INT64_C(1000));
}

/* One by one: kernels before 6.2 do not say how many there are. */
static int64_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int64_t n = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* the two dots, and the folder itself */
}

static void collect_fds(struct msn_metric_set *set)
{
	struct rlimit limit;
	struct stat st;
	int64_t n;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		n = st.st_size;
	else
		n = count_entries("/proc/self/fd");
	if (n >= 0)
		msn_metric_set(set, OPEN_FDS, 0, n);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		msn_metric_set(set, MAX_FDS, 0, (int64_t)limit.rlim_cur);
}

static void collect_process(struct msn_metric_set *set, void *ctx)
{
	(void)ctx;
	collect_stat(set);
	collect_cpu(set);
	collect_fds(set);
}

int msn_metrics_add_process(struct msn_metrics *m, const char *version)
{
	/* The rows, and behind them the one value of a label. */
	struct own {
		struct msn_metric rows[ROWS];
		const char *values[1];
		char version[64];
	} *own = msn_alloc(sizeof(*own));
	struct msn_metric_set *set;
	int rc;

	if (!own)
		return msn_fail(-ENOMEM);
	memcpy(own->rows, process_rows, sizeof(process_rows));
	snprintf(own->version, sizeof(own->version), "%s", version);
	own->values[0] = own->version;
	own->rows[BUILD_INFO].labels[0] =
		(struct msn_metric_label){ "version", own->values, 1 };
	rc = msn_metrics_add(m, own->rows, ROWS, collect_process, NULL, &set);
	if (rc) {
		free(own);
		return msn_pass(rc);
	}
	set->own = own;
	msn_metric_set(set, BUILD_INFO, 0, 1);
	msn_metric_set(set, START, 0, started_ns());
	return 0;
}
