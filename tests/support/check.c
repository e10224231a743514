/*
 * Test support: one CUnit suite a program, and the fault walk.  See check.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "check.h"

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/rand.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static bool picked(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return true;
	return argc < 2;
}

int check_main(int argc, char **argv, const char *suite,
	       const struct check_test *tests)
{
	unsigned failed;
	CU_pSuite s;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite(suite, NULL, NULL);
	for (; tests->name; tests++)
		if (picked(tests->name, argc, argv))
			CU_add_test(s, tests->name, tests->run);

	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}

unsigned check_every_fault(void *(*prepare)(void), int (*body)(void *state),
			   void (*verify)(void *state, int rc,
					  const char *name))
{
	const char *fired;
	unsigned nth = 0;

	do {
		void *state = prepare();
		int rc;

		msn_fault_arm(++nth);
		rc = body(state);
		fired = msn_fault_fired();
		msn_fault_arm(0);
		verify(state, rc, fired);
	} while (fired);
	return nth - 1;
}

bool check_asserts(void (*body)(void *ctx), void *ctx)
{
	const struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(null, STDERR_FILENO);
		body(ctx);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

bool check_forbid_syscall(unsigned nr, unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { MSN_ARRAY_LEN(code), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

uint64_t check_seed(void)
{
	const char *text = getenv("MSN_TEST_SEED");
	uint64_t seed;

	if (text)
		seed = strtoull(text, NULL, 0);
	else
		msn_random_bytes(&seed, sizeof(seed));
	printf("MSN_TEST_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

void check_skip(const char *why)
{
	printf("skipped: %s\n", why);
	exit(77);
}
