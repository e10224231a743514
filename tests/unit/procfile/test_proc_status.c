/*
 * Process status: names that try to look like fields.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "procfile/proc_status.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STAT_TAIL                                                              \
	" S 7 8 9 0 -1 2097216 1 2 3 4 5 6 7 8 20 -5 3 0 777 1000 2 3\n"
#define STATUS                                                                 \
	"Name:\tx\nState:\tS\nTgid:\t41\nPPid:\t7\nTracerPid:\t12\n"           \
	"Uid:\t1000\t1001\t0\t0\nGid:\t10\t11\t0\t0\n"                         \
	"RssAnon:\t      12 kB\nVmSwap:\t       4 kB\n"                        \
	"SigPnd:\t0000000000000200\nSigBlk:\tffffffffffffffff\n"

static int parse(struct msn_proc_status *s, const char *stat)
{
	return msn_proc_status_parse(s, stat, strlen(stat), STATUS);
}

static void fields_are_found_behind_any_name(void)
{
	static const char *const names[] = { "a", "a) R 1 2 (b", ") (", "\n" };

	for (size_t i = 0; i < 4; i++) {
		struct msn_proc_status s;
		char stat[256];

		snprintf(stat, sizeof(stat), "42 (%s)%s", names[i], STAT_TAIL);
		CHECK(parse(&s, stat) == 0);
		EXPECT(strcmp(s.comm, names[i]) == 0);
		EXPECT(s.pid == 42 && s.state == 'S' && s.ppid == 7);
		EXPECT(s.pgrp == 8 && s.session == 9 && s.nice == -5);
		EXPECT(s.kernel_thread && s.thread_count == 3);
		EXPECT(s.start_ticks == 777);
		EXPECT(s.tgid == 41 && s.tracer == 12);
		EXPECT(s.uid == 1000 && s.euid == 1001);
		EXPECT(s.gid == 10 && s.egid == 11);
		EXPECT(s.private_bytes == 16384);
		EXPECT(s.pending == 0x200 && s.blocked == UINT64_MAX);
	}
}

static void texts_that_are_cut_are_refused(void)
{
	static const char whole[] = "42 (name)" STAT_TAIL;
	struct msn_proc_status s = { .pid = 5 };

	/* up to the start time, whose first digit is a number already */
	for (size_t len = 0; len < strlen("42 (name)") + 42; len++) {
		char cut[sizeof(whole)] = "";

		memcpy(cut, whole, len);
		EXPECT(parse(&s, cut) == -EBADMSG);
	}
	EXPECT(msn_proc_status_parse(&s, whole, sizeof(whole) - 1, "Name:\n") ==
	       -EBADMSG);
	EXPECT(s.pid == 5);
}

static void this_process_is_known(void)
{
	int dir = open("/proc/self", O_PATH | O_DIRECTORY);
	struct msn_proc_status s;

	CHECK(prctl(PR_SET_NAME, "od)d (name", 0, 0, 0) == 0);
	CHECK(msn_proc_status_read(&s, dir) == 0);
	close(dir);
	EXPECT(strcmp(s.comm, "od)d (name") == 0);
	EXPECT(s.pid == getpid() && s.tgid == getpid());
	EXPECT(s.ppid == getppid() && s.uid == getuid());
	EXPECT(!s.kernel_thread && s.thread_count == 1 && s.tracer == 0);
	EXPECT(msn_proc_thread_state(getpid(), getpid()) == 'R');
}

static void a_process_that_is_gone_has_no_status(void)
{
	char path[32];
	pid_t pid = fork();
	int dir;
	struct msn_proc_status s;

	if (pid == 0)
		pause();
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY);
	CHECK(dir >= 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT(msn_proc_status_read(&s, dir) < 0);
	EXPECT(msn_proc_thread_state(pid, pid) == 'X');
	close(dir);
}

static void *no_state(void)
{
	static int dir;

	dir = open("/proc/self", O_PATH | O_DIRECTORY);
	return &dir;
}

static int read_self(void *state)
{
	struct msn_proc_status s;

	return msn_proc_status_read(&s, *(int *)state);
}

static void memory_only(void *state, int rc, const char *name)
{
	close(*(int *)state);
	EXPECT(rc == (name ? -ENOMEM : 0));
}

static void running_out_of_memory_leaks_nothing(void)
{
	EXPECT(check_every_fault(no_state, read_self, memory_only) == 2);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(fields_are_found_behind_any_name),
		CHECK_TEST(texts_that_are_cut_are_refused),
		CHECK_TEST(this_process_is_known),
		CHECK_TEST(a_process_that_is_gone_has_no_status),
		CHECK_TEST(running_out_of_memory_leaks_nothing),
		{}
	};

	return check_main(argc, argv, "proc_status", tests);
}
