/*
 * Notes: what a counter, a duration and a line of the log cost who makes them,
 * against the addition and the write() that are in them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"
#include "benches.h"
#include "log/log.h"
#include "metrics/metrics.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define UPDATES 2000000
#define LINES 100000

enum { CALLS, CALL_SECONDS };

static const char *const codes[] = { "OK", "NOT_FOUND" };
static const struct msn_metric rows[] = {
	[CALLS] = { .name = "memsnap_calls_total",
		    .help = "Calls that ended.",
		    .kind = MSN_METRIC_COUNTER,
		    .labels = { { "code", codes, 2 } } },
	[CALL_SECONDS] = { .name = "memsnap_call_seconds",
			   .help = "How long calls took.",
			   .kind = MSN_METRIC_HISTOGRAM,
			   .unit = MSN_METRIC_SECONDS },
};

static struct msn_log_message message = {
	.id = "wire.call",
	.text = "call ended",
	.level = MSN_LOG_DEBUG,
	.component = MSN_LOG_WIRE,
};

static struct msn_metric_set *set;
static _Atomic uint64_t word;
static int null_fd;

/* ---- What is timed ------------------------------------------------------ */

static void count(void)
{
	for (unsigned i = 0; i < UPDATES; i++)
		msn_metric_add(set, CALLS, i & 1, 1);
}

static void observe(void)
{
	for (unsigned i = 0; i < UPDATES; i++)
		msn_metric_observe(set, CALL_SECONDS, 0, i * 100);
}

static void add_atomically(void)
{
	for (unsigned i = 0; i < UPDATES; i++)
		atomic_fetch_add_explicit(&word, 1, memory_order_relaxed);
}

static void log_line(void)
{
	for (unsigned i = 0; i < LINES; i++)
		msn_log(&message, msn_log_text("method", "/a.B/GetSpace"),
			msn_log_text("owner", "uid:1000"),
			msn_log_seconds("duration", i));
}

static void write_line(void)
{
	static const char line[] =
		"ts=2026-11-24T18:42:01.123456Z level=debug component=wire "
		"id=wire.call msg=\"call ended\" method=/a.B/GetSpace "
		"owner=uid:1000 duration=0.000100\n";

	for (unsigned i = 0; i < LINES; i++)
		if (write(null_fd, line, sizeof(line) - 1) < 0)
			bench_die("writing", -1, NULL);
}

static void *other(void *arg)
{
	void (**run)(void) = arg;

	(*run)();
	return NULL;
}

static double timed(void (*run)(void), bool twice, unsigned times)
{
	double start = bench_now();
	pthread_t thread;

	if (twice && pthread_create(&thread, NULL, other, &run))
		bench_die("making a thread", -1, NULL);
	run();
	if (twice)
		pthread_join(thread, NULL);
	return (bench_now() - start) / times;
}

struct pair {
	const char *what, *limit_name;
	void (*subject)(void), (*limit)(void);
	unsigned times;
	bool twice; /* by two threads at once */
	enum msn_log_level level;
};

static void measure(const struct pair *p, const struct bench_opts *o)
{
	struct bench_series s = { .rounds = o->rounds };
	struct bench_row row;

	msn_log_set_level(MSN_LOG_ALL, p->level, 0);
	for (unsigned i = 0; i < o->rounds; i++) {
		s.limit[i] = timed(p->limit, p->twice, p->times);
		s.subject[i] = timed(p->subject, p->twice, p->times);
	}
	row = bench_row(&s, 0);
	row.bench = "notes";
	row.what = p->what;
	row.limit_name = p->limit_name;
	bench_add(&row);
}

void bench_notes(const struct bench_opts *o)
{
	static const struct pair pairs[] = {
		{ "count", "an atomic addition", count, add_atomically, UPDATES,
		  false, MSN_LOG_INFO },
		{ "observe a duration", "an atomic addition", observe,
		  add_atomically, UPDATES, false, MSN_LOG_INFO },
		{ "count, two threads", "an atomic addition, two threads",
		  count, add_atomically, UPDATES, true, MSN_LOG_INFO },
		{ "line that is not wanted", "write()", log_line, write_line,
		  LINES, false, MSN_LOG_INFO },
		{ "line", "write()", log_line, write_line, LINES, false,
		  MSN_LOG_DEBUG },
	};
	struct msn_log_opts opts = { .format = MSN_LOG_LOGFMT };
	struct msn_metrics *m;

	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	opts.fd = null_fd;
	if (null_fd < 0 || msn_log_start(&opts, NULL) || msn_metrics_new(&m) ||
	    msn_metrics_add(m, rows, 2, NULL, NULL, &set))
		bench_die("setting up", -1, NULL);
	for (size_t i = 0; i < MSN_ARRAY_LEN(pairs); i++)
		measure(&pairs[i], o);
	msn_log_stop();
	msn_metrics_free(m);
	close(null_fd);
}
