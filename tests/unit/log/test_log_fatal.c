/*
 * Last words: what a process that dies of a bug leaves in the log.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/assert.h"
#include "log/log.h"
#include "reader.h"
#include "support/check.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static struct msn_log_message often = {
	.id = "auth.often",
	.text = "it happened",
	.level = MSN_LOG_WARNING,
	.component = MSN_LOG_AUTH,
	.burst = UINT32_MAX,
};

static void set_up(int fd, enum msn_log_format format)
{
	const struct msn_log_opts opts = { .format = format, .fd = fd };
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	/* As a sanitizer finds them: not at all. */
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	if (msn_log_start(&opts, NULL))
		_exit(1);
	msn_log_catch_fatal();
}

/*
 * Runs @die in a child that logs JSON to a pipe: the last line that it left,
 * and how it ended.
 */
static json_t *last_words(void (*die)(void), int *status)
{
	static char text[65536];
	size_t len = 0;
	int out[2];
	ssize_t n;
	pid_t pid;
	char *last;

	CHECK(pipe2(out, O_CLOEXEC) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		set_up(out[1], MSN_LOG_JSON);
		die();
		_exit(0);
	}
	close(out[1]);
	while ((n = read(out[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(out[0]);
	CHECK(waitpid(pid, status, 0) == pid);
	CHECK(len > 1 && text[len - 1] == '\n');
	last = memrchr(text, '\n', len - 1);
	last = last ? last + 1 : text;
	return read_json(last, (size_t)(text + len - 1 - last));
}

static void touch_nothing(void)
{
	char *page =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*(volatile char *)(page + 16) = 1;
}

static void a_fault_is_told_with_its_address(void)
{
	int status;
	json_t *last = last_words(touch_nothing, &status);

	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	CHECK(last);
	EXPECT(strcmp(field(last, "id"), "daemon.fatal") == 0);
	EXPECT(strcmp(field(last, "level"), "error") == 0);
	EXPECT(strcmp(field(last, "signal"), "SEGV") == 0);
	EXPECT(strtoull(field(last, "address"), NULL, 16) % 4096 == 16);
	json_decref(last);
}

static void raise_bus(void)
{
	raise(SIGBUS);
}

static void a_signal_that_was_sent_ends_the_process_too(void)
{
	int status;
	json_t *last = last_words(raise_bus, &status);

	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	CHECK(last);
	EXPECT(strcmp(field(last, "signal"), "BUS") == 0);
	EXPECT(!json_object_get(last, "address"));
	json_decref(last);
}

static void break_promise(void)
{
	int two = 2;

	msn_assert(two == 3);
}

static void a_broken_assertion_is_two_lines_of_the_log(void)
{
	int status;
	json_t *last = last_words(break_promise, &status);

	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(last);
	EXPECT(strcmp(field(last, "signal"), "ABRT") == 0);
	json_decref(last);
}

/* The assertion itself: the line before the last. */
static void tell_promise(void)
{
	signal(SIGABRT, SIG_DFL);
	break_promise();
}

static void a_broken_assertion_is_told_with_its_text(void)
{
	int status;
	json_t *last = last_words(tell_promise, &status);

	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(last);
	EXPECT(strcmp(field(last, "why"), "two == 3") == 0);
	EXPECT(strcmp(field(last, "function"), "break_promise") == 0);
	EXPECT(strstr(field(last, "file"), "test_log_fatal.c"));
	json_decref(last);
}

/* Dies in the middle of writing: the log's own lock is held by then. */
static void on_alarm(int sig)
{
	(void)sig;
	break_promise();
}

static void log_until_alarm(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct msn_log_opts opts = { .format = MSN_LOG_JSON, .fd = null };
	struct itimerval soon = { .it_value = { .tv_usec = 2000 } };

	if (msn_log_start(&opts, NULL))
		_exit(1);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &soon, NULL);
	for (;;)
		msn_log(&often);
}

static void dying_while_writing_does_not_hang(void)
{
	for (int turn = 0; turn < 20; turn++) {
		int status;
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			set_up(STDERR_FILENO, MSN_LOG_LOGFMT);
			log_until_alarm();
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

static void on_segv(int sig)
{
	(void)sig;
	_exit(7);
}

static void a_handler_that_is_there_stays(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, on_segv);
		msn_log_catch_fatal();
		raise(SIGSEGV);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_fault_is_told_with_its_address),
		CHECK_TEST(a_signal_that_was_sent_ends_the_process_too),
		CHECK_TEST(a_broken_assertion_is_two_lines_of_the_log),
		CHECK_TEST(a_broken_assertion_is_told_with_its_text),
		CHECK_TEST(dying_while_writing_does_not_hang),
		CHECK_TEST(a_handler_that_is_there_stays),
		{}
	};

	return check_main(argc, argv, "log_fatal", tests);
}
