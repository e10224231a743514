/*
 * Metrics as Prometheus reads them: promtool finds nothing to say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "metrics/metrics.h"
#include "support/check.h"

#include "base/fd.h"

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *const codes[] = { "OK", "od\"d\\\n\xc3\xa9" };

static const struct msn_metric rows[] = {
	{ "memsnap_calls_total", "Calls that ended.",
	  .kind = MSN_METRIC_COUNTER, .labels = { { "code", codes, 2 } } },
	{ "memsnap_spaces", "Spaces \\ that\nthere are.",
	  .kind = MSN_METRIC_GAUGE },
	{ "memsnap_call_seconds", "How long calls took.",
	  .kind = MSN_METRIC_HISTOGRAM, .unit = MSN_METRIC_SECONDS,
	  .labels = { { "code", codes, 2 } } },
};

static char said[65536];

/* What promtool says about @text; returns its exit code. */
static int promtool(const char *text, size_t len)
{
	char *argv[] = { "promtool", "check", "metrics", NULL };
	posix_spawn_file_actions_t actions;
	int in = memfd_create("in", 0), out = memfd_create("out", 0), status;
	pid_t pid;
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	CHECK(msn_write_full(in, text, len) == 0 &&
	      lseek(in, 0, SEEK_SET) == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ))
		check_skip("no promtool (Debian package prometheus)");
	posix_spawn_file_actions_destroy(&actions);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	n = pread(out, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(in);
	close(out);
	return WEXITSTATUS(status);
}

static void promtool_has_nothing_to_say(void)
{
	msn_auto(msn_metrics_freep) struct msn_metrics *m = NULL;
	struct msn_metric_set *set;
	char *text = NULL;
	size_t len;

	CHECK(msn_metrics_new(&m) == 0);
	CHECK(msn_metrics_add_process(m, "1.2.3") == 0);
	CHECK(msn_metrics_add(m, rows, 3, NULL, NULL, &set) == 0);
	for (size_t i = 0; i < 2; i++) {
		msn_metric_add(set, 0, i, 5);
		msn_metric_observe(set, 2, i, 1500000);
	}
	CHECK(msn_metrics_write(m, &text, &len) == 0);
	EXPECT(promtool(text, len) == 0);
	EXPECT(strcmp(said, "") == 0);
	if (*said)
		fputs(said, stderr);
	free(text);
}

/* Otherwise the test above would mean nothing. */
static void promtool_would_have_said_something(void)
{
	static const char bad[] = "memsnap_calls_total{code=\"OK\"} 5\n";

	EXPECT(promtool(bad, strlen(bad)) != 0);
	EXPECT(strstr(said, "memsnap_calls_total"));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(promtool_would_have_said_something),
		CHECK_TEST(promtool_has_nothing_to_say),
		{}
	};

	return check_main(argc, argv, "metrics_promtool", tests);
}
