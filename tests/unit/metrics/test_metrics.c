/*
 * Metrics: cells, buckets, text, many threads, memory running out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "metrics/metrics.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS, BYTES, SPACES, SECONDS, PLAIN, COLLECTED, ROWS };

static const char *const methods[] = { "/a.B/Get", "/a.B/List" };
static const char *const codes[] = { "OK", "NOT_FOUND", "od\"d\\\n" };

static const struct msn_metric rows[ROWS] = {
	[CALLS] = { "memsnap_calls_total", "Calls that ended.",
		    .kind = MSN_METRIC_COUNTER,
		    .labels = { { "method", methods, 2 },
				{ "code", codes, 3 } } },
	[BYTES] = { "memsnap_read_bytes_total", "Bytes\nread \\ sent.",
		    .kind = MSN_METRIC_COUNTER },
	[SPACES] = { "memsnap_spaces", "Spaces.", .kind = MSN_METRIC_GAUGE,
		     .labels = { { "mode", codes, 2 } } },
	[SECONDS] = { "memsnap_call_seconds", "How long calls took.",
		      .kind = MSN_METRIC_HISTOGRAM, .unit = MSN_METRIC_SECONDS,
		      .labels = { { "method", methods, 2 } } },
	[PLAIN] = { "memsnap_fault_seconds", "How long faults took.",
		    .kind = MSN_METRIC_HISTOGRAM, .unit = MSN_METRIC_SECONDS },
	[COLLECTED] = { "memsnap_waits_seconds_total", "Waits.",
			.kind = MSN_METRIC_COUNTER,
			.unit = MSN_METRIC_SECONDS },
};

struct scene {
	struct msn_metrics *m;
	struct msn_metric_set *set;
	char *text;
};

static void collect(struct msn_metric_set *set, void *ctx)
{
	msn_metric_set(set, COLLECTED, 0, ++*(int64_t *)ctx);
}

static int64_t collected;

static void scene_open(struct scene *s)
{
	*s = (struct scene){ 0 };
	collected = 0;
	CHECK(msn_metrics_new(&s->m) == 0);
	CHECK(msn_metrics_add(s->m, rows, ROWS, collect, &collected, &s->set) ==
	      0);
}

static const char *scene_text(struct scene *s)
{
	free(s->text);
	s->text = NULL;
	CHECK(msn_metrics_write(s->m, &s->text, NULL) == 0);
	return s->text;
}

static void scene_close(struct scene *s)
{
	msn_metrics_free(s->m);
	free(s->text);
}

/* Is this whole line there? */
static bool has(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at += len)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

static void counters_show_what_was_added_by_their_labels(void)
{
	struct scene s;
	const char *text;

	scene_open(&s);
	msn_metric_add(s.set, CALLS, msn_metric_cell(s.set, CALLS, 0, 1), 3);
	msn_metric_add(s.set, CALLS, msn_metric_cell(s.set, CALLS, 1, 0), 1);
	msn_metric_add(s.set, CALLS, msn_metric_cell(s.set, CALLS, 0, 1), 4);
	msn_metric_add(s.set, BYTES, 0, INT64_MAX);
	msn_metric_add(s.set, BYTES, 0, 2);
	text = scene_text(&s);
	EXPECT(has(text, "# TYPE memsnap_calls_total counter"));
	EXPECT(has(text, "# HELP memsnap_calls_total Calls that ended."));
	EXPECT(has(text, "memsnap_calls_total{method=\"/a.B/Get\","
			 "code=\"NOT_FOUND\"} 7"));
	EXPECT(has(text, "memsnap_calls_total{method=\"/a.B/List\","
			 "code=\"OK\"} 1"));
	EXPECT(has(text, "memsnap_read_bytes_total 9223372036854775809"));
	scene_close(&s);
}

static void labelled_counters_without_a_count_are_not_shown(void)
{
	struct scene s;
	const char *text;

	scene_open(&s);
	text = scene_text(&s);
	EXPECT(!strstr(text, "memsnap_calls_total"));
	EXPECT(!strstr(text, "memsnap_call_seconds"));
	EXPECT(has(text, "memsnap_read_bytes_total 0"));
	EXPECT(has(text, "memsnap_spaces{mode=\"NOT_FOUND\"} 0"));
	EXPECT(has(text, "memsnap_fault_seconds_count 0"));
	scene_close(&s);
}

static void gauges_go_up_and_down(void)
{
	struct scene s;

	scene_open(&s);
	msn_metric_add(s.set, SPACES, 0, 5);
	msn_metric_add(s.set, SPACES, 0, -7);
	msn_metric_set(s.set, SPACES, 1, 12);
	EXPECT(has(scene_text(&s), "memsnap_spaces{mode=\"OK\"} -2"));
	EXPECT(has(s.text, "memsnap_spaces{mode=\"NOT_FOUND\"} 12"));
	scene_close(&s);
}

static void a_histogram_counts_up_to_and_with_its_bounds(void)
{
	struct scene s;
	const char *text;

	scene_open(&s);
	msn_metric_observe(s.set, PLAIN, 0, 0);
	msn_metric_observe(s.set, PLAIN, 0, 100000);
	msn_metric_observe(s.set, PLAIN, 0, 100001);
	msn_metric_observe(s.set, PLAIN, 0, UINT64_C(60000000000));
	msn_metric_observe(s.set, PLAIN, 0, UINT64_C(60000000001));
	text = scene_text(&s);
	EXPECT(has(text, "memsnap_fault_seconds_bucket{le=\"0.0001\"} 2"));
	EXPECT(has(text, "memsnap_fault_seconds_bucket{le=\"0.00025\"} 3"));
	EXPECT(has(text, "memsnap_fault_seconds_bucket{le=\"2.5\"} 3"));
	EXPECT(has(text, "memsnap_fault_seconds_bucket{le=\"30\"} 3"));
	EXPECT(has(text, "memsnap_fault_seconds_bucket{le=\"60\"} 4"));
	EXPECT(has(text, "memsnap_fault_seconds_bucket{le=\"+Inf\"} 5"));
	EXPECT(has(text, "memsnap_fault_seconds_sum 120.000200002"));
	EXPECT(has(text, "memsnap_fault_seconds_count 5"));
	msn_metric_observe(s.set, SECONDS, 1, 3000000);
	EXPECT(has(scene_text(&s), "memsnap_call_seconds_bucket{method="
				   "\"/a.B/List\",le=\"0.005\"} 1"));
	scene_close(&s);
}

static void bounds_ascend(void)
{
	EXPECT(msn_metric_bounds_ns[0] == 100000);
	for (size_t i = 1; i < MSN_METRIC_BUCKETS; i++)
		EXPECT(msn_metric_bounds_ns[i - 1] < msn_metric_bounds_ns[i]);
	EXPECT(msn_metric_bounds_ns[MSN_METRIC_BUCKETS - 1] ==
	       UINT64_C(60000000000));
}

static void texts_cannot_break_a_line(void)
{
	struct scene s;

	scene_open(&s);
	msn_metric_add(s.set, CALLS, msn_metric_cell(s.set, CALLS, 0, 2), 1);
	EXPECT(has(scene_text(&s), "memsnap_calls_total{method=\"/a.B/Get\","
				   "code=\"od\\\"d\\\\\\n\"} 1"));
	EXPECT(has(s.text, "# HELP memsnap_read_bytes_total "
			   "Bytes\\nread \\\\ sent."));
	scene_close(&s);
}

static void what_is_collected_is_asked_for_each_time(void)
{
	struct scene s;

	scene_open(&s);
	EXPECT(has(scene_text(&s), "memsnap_waits_seconds_total 0.000000001"));
	EXPECT(has(scene_text(&s), "memsnap_waits_seconds_total 0.000000002"));
	scene_close(&s);
}

/* ---- The process -------------------------------------------------------- */

/* The value of a series without labels. */
static double number(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = text; (at = strstr(at, name)); at += len)
		if ((at == text || at[-1] == '\n') && at[len] == ' ')
			return strtod(at + len, NULL);
	return -1;
}

static void the_process_is_shown_as_the_kernel_has_it(void)
{
	struct scene s;
	int fds[2];
	double before, now = (double)time(NULL);
	const char *text;

	scene_open(&s);
	CHECK(msn_metrics_add_process(s.m, "1.2.3") == 0);
	text = scene_text(&s);
	EXPECT(has(text, "memsnap_build_info{version=\"1.2.3\"} 1"));
	EXPECT(number(text, "process_cpu_seconds_total") >= 0);
	EXPECT(number(text, "process_resident_memory_bytes") > 100000);
	EXPECT(number(text, "process_virtual_memory_bytes") >
	       number(text, "process_resident_memory_bytes"));
	EXPECT(number(text, "process_threads") == 1);
	EXPECT(number(text, "process_max_fds") > 10);
	/* Both clocks and the kernel's ticks are rounded. */
	EXPECT(number(text, "process_start_time_seconds") < now + 2);
	EXPECT(number(text, "process_start_time_seconds") > now - 3600);
	before = number(text, "process_open_fds");
	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	EXPECT(number(scene_text(&s), "process_open_fds") == before + 2);
	close(fds[0]);
	close(fds[1]);
	scene_close(&s);
}

/* ---- Broken tables ------------------------------------------------------ */

static bool aborts_with(const struct msn_metric *row)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		struct msn_metrics *m;
		struct msn_metric_set *set;

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		_exit(msn_metrics_new(&m) ||
		      msn_metrics_add(m, rows, ROWS, NULL, NULL, &set) ||
		      msn_metrics_add(m, row, 1, NULL, NULL, &set));
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_table_that_prometheus_would_refuse_is_an_assertion(void)
{
	static const struct msn_metric bad[] = {
		{ "memsnap_calls", "No end.", .kind = MSN_METRIC_COUNTER },
		{ "memsnap_x_total", "No counter.", .kind = MSN_METRIC_GAUGE },
		{ "memsnap_x_total", "", .kind = MSN_METRIC_COUNTER },
		{ "memsnap_X", "Letters.", .kind = MSN_METRIC_GAUGE },
		{ "9_x", "A digit.", .kind = MSN_METRIC_GAUGE },
		{ "memsnap_x_ms", "No unit.", .kind = MSN_METRIC_HISTOGRAM },
		{ "memsnap_x_ms", "No unit.", .kind = MSN_METRIC_GAUGE,
		  .unit = MSN_METRIC_SECONDS },
		{ "memsnap_spaces", "Twice.", .kind = MSN_METRIC_GAUGE },
		{ "memsnap_x", "No values.", .kind = MSN_METRIC_GAUGE,
		  .labels = { { "mode", codes, 0 } } },
		{ "memsnap_x", "Too many.", .kind = MSN_METRIC_GAUGE,
		  .labels = { { "mode", codes, 100000 } } },
	};
	static const struct msn_metric good = { "memsnap_x", "Fine.",
						.kind = MSN_METRIC_GAUGE };

	EXPECT(!aborts_with(&good));
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		EXPECT(aborts_with(&bad[i]));
}

/* ---- Threads ------------------------------------------------------------ */

#define THREADS 4
#define TURNS 400000

static void *update(void *arg)
{
	struct scene *s = arg;

	for (int i = 0; i < TURNS; i++) {
		msn_metric_add(s->set, BYTES, 0, 3);
		msn_metric_add(s->set, SPACES, 0, i % 2 ? 1 : -1);
		msn_metric_observe(s->set, PLAIN, 0, 1000);
	}
	return NULL;
}

static void no_update_of_many_threads_is_lost(void)
{
	pthread_t threads[THREADS];
	struct scene s;

	scene_open(&s);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, update, &s) == 0);
	/* Meanwhile what is shown agrees with itself. */
	for (int i = 0; i < 50; i++) {
		const char *text = scene_text(&s);

		EXPECT(number(text, "memsnap_fault_seconds_count") ==
		       number(text, "memsnap_fault_seconds_bucket{le="
				    "\"+Inf\"}"));
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	EXPECT(has(scene_text(&s), "memsnap_read_bytes_total 4800000"));
	EXPECT(has(s.text, "memsnap_spaces{mode=\"OK\"} 0"));
	EXPECT(has(s.text, "memsnap_fault_seconds_count 1600000"));
	EXPECT(has(s.text, "memsnap_fault_seconds_sum 1.600000000"));
	scene_close(&s);
}

/* ---- Faults ------------------------------------------------------------- */

static void *fault_prepare(void)
{
	return calloc(1, sizeof(struct scene));
}

static int fault_body(void *state)
{
	struct scene *s = state;
	int rc = msn_metrics_new(&s->m);

	if (!rc)
		rc = msn_metrics_add(s->m, rows, ROWS, collect, &collected,
				     &s->set);
	if (!rc)
		rc = msn_metrics_add_process(s->m, "1");
	if (!rc)
		rc = msn_metrics_write(s->m, &s->text, NULL);
	return rc;
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct scene *s = state;

	/* What the kernel says may be missing; all else fails. */
	EXPECT(rc == 0 || (rc == -ENOMEM && name));
	EXPECT((rc == 0) == (s->text != NULL));
	if (s->m)
		EXPECT(scene_text(s));
	scene_close(s);
	free(s);
}

static void without_memory_nothing_is_half_added(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) > 6);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(counters_show_what_was_added_by_their_labels),
		CHECK_TEST(labelled_counters_without_a_count_are_not_shown),
		CHECK_TEST(gauges_go_up_and_down),
		CHECK_TEST(a_histogram_counts_up_to_and_with_its_bounds),
		CHECK_TEST(bounds_ascend),
		CHECK_TEST(texts_cannot_break_a_line),
		CHECK_TEST(what_is_collected_is_asked_for_each_time),
		CHECK_TEST(the_process_is_shown_as_the_kernel_has_it),
		CHECK_TEST(
			a_table_that_prometheus_would_refuse_is_an_assertion),
		CHECK_TEST(no_update_of_many_threads_is_lost),
		CHECK_TEST(without_memory_nothing_is_half_added),
		{}
	};

	return check_main(argc, argv, "metrics", tests);
}
