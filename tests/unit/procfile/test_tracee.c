/*
 * Tracee: processes are stopped whole and go on unharmed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "base/rand.h"
#include "procfile/proc_status.h"
#include "procfile/tracee.h"
#include "support/check.h"
#include "victim.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int stop(struct msn_tracee **t, pid_t pid, struct msn_failure *why)
{
	return msn_tracee_stop(t, &(struct msn_tracee_opts){ .pid = pid }, why);
}

/* Nothing of the victim moves for a while. */
static bool frozen(const struct victim *v, unsigned threads)
{
	uint64_t before[VICTIM_THREADS_MAX];

	for (unsigned i = 0; i < threads; i++)
		before[i] = v->shared->count[i];
	usleep(20000);
	for (unsigned i = 0; i < threads; i++)
		if (v->shared->count[i] != before[i])
			return false;
	return true;
}

static void every_thread_stops_and_goes_on(void)
{
	struct victim v = victim_start(VICTIM_COUNTS, 8);
	struct msn_failure why = { 0 };
	struct msn_tracee *t;
	size_t count;

	CHECK(stop(&t, v.pid, &why) == 0);
	EXPECT(frozen(&v, 8));
	EXPECT(msn_tracee_stopped(t));
	EXPECT(msn_tracee_threads(t, &count)[0].tid == v.pid);
	EXPECT(count == 8);
	msn_tracee_resume(t);
	EXPECT(!msn_tracee_stopped(t));
	EXPECT(victim_goes_on(&v, 8));
	EXPECT(msn_tracee_pause_ns(t) > 20000000);
	msn_tracee_resume(t);
	msn_tracee_free(t);
	victim_end(&v);
}

static void threads_made_meanwhile_are_caught(void)
{
	struct victim v = victim_start(VICTIM_SPAWNS, 4);
	struct msn_failure why = { 0 };

	for (int i = 0; i < 30; i++) {
		struct msn_tracee *t;
		uint64_t made;

		CHECK(stop(&t, v.pid, &why) == 0);
		made = v.shared->made;
		EXPECT(frozen(&v, 4) && v.shared->made == made);
		msn_tracee_free(t);
	}
	EXPECT(victim_goes_on(&v, 4));
	victim_end(&v);
}

static void registers_are_those_of_each_thread(void)
{
	struct victim v = victim_start(VICTIM_SLEEPS, 3);
	const struct msn_traced_thread *th;
	struct msn_failure why = { 0 };
	struct msn_tracee *t;
	size_t count;

	CHECK(stop(&t, v.pid, &why) == 0);
	th = msn_tracee_threads(t, &count);
	CHECK(count == 3);
	for (size_t i = 0; i < count; i++) {
		struct user_regs_struct regs;

		CHECK(th[i].regset_count >= 2);
		EXPECT(th[i].regsets[0].note_type == NT_PRSTATUS);
		CHECK(th[i].regsets[0].len == sizeof(regs));
		memcpy(&regs, th[i].regsets[0].data, sizeof(regs));
		EXPECT(regs.rip && regs.rsp && regs.cs == 0x33);
		/* in pause(), which will be restarted */
		EXPECT(regs.orig_rax == 34 || regs.orig_rax == 271);
		EXPECT(th[i].regsets[1].note_type == NT_FPREGSET);
		EXPECT(th[i].regsets[1].len ==
		       sizeof(struct user_fpregs_struct));
		EXPECT(strncmp(th[i].comm, "test_tracee", 11) == 0);
		EXPECT(th[i].signal == 0 && th[i].group_stop == 0);
	}
	msn_tracee_free(t);
	victim_end(&v);
}

static void a_stopped_process_stays_stopped(void)
{
	struct victim v = victim_start(VICTIM_COUNTS, 2);
	const struct msn_traced_thread *th;
	struct msn_failure why = { 0 };
	struct msn_tracee *t;
	size_t count;

	kill(v.pid, SIGSTOP);
	while (victim_state(&v) != 'T')
		usleep(1000);
	CHECK(stop(&t, v.pid, &why) == 0);
	th = msn_tracee_threads(t, &count);
	EXPECT(count == 2);
	EXPECT(th[0].group_stop == SIGSTOP && th[1].group_stop == SIGSTOP);
	msn_tracee_free(t);
	EXPECT(frozen(&v, 2));
	EXPECT(victim_state(&v) == 'T');
	kill(v.pid, SIGCONT);
	EXPECT(victim_goes_on(&v, 2));
	victim_end(&v);
}

/* Sends @n signals that queue, each once. */
static _Noreturn void send(pid_t pid, unsigned n)
{
	for (unsigned i = 0; i < n;) {
		if (sigqueue(pid, SIGRTMIN, (union sigval){ 0 }) == 0)
			i++;
		else
			usleep(100);
	}
	_exit(0);
}

static void note_kept(struct msn_tracee *t, unsigned *kept)
{
	const struct msn_traced_thread *th;
	size_t count;

	th = msn_tracee_threads(t, &count);
	for (size_t i = 0; i < count; i++) {
		if (th[i].signal == 0)
			continue;
		EXPECT(th[i].signal == SIGRTMIN);
		EXPECT(th[i].siginfo.si_code == SI_QUEUE);
		*kept += 1;
	}
}

static void every_signal_is_delivered_after_all(void)
{
	struct victim v = victim_start(VICTIM_COUNTS, 2);
	struct msn_failure why = { 0 };
	unsigned sent = 0, kept = 0;

	/* Few come between seizing and interrupting: until one did. */
	for (int round = 0; round < 20 && kept == 0; round++) {
		pid_t sender = fork();

		if (sender == 0)
			send(v.pid, 20000);
		sent += 20000;
		do {
			struct msn_tracee *t;

			CHECK(stop(&t, v.pid, &why) == 0);
			note_kept(t, &kept);
			msn_tracee_free(t);
		} while (waitpid(sender, NULL, WNOHANG) == 0);
	}
	for (int w = 0; w < 2000 && v.shared->signals != sent; w++)
		usleep(1000);
	EXPECT(v.shared->signals == sent);
	printf("%u signals kept and given back of %u\n", kept, sent);
	EXPECT(kept > 0);
	victim_end(&v);
}

static void a_process_that_is_not_there_is_named(void)
{
	struct msn_failure why = { 0 };
	struct msn_tracee *t;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	EXPECT(stop(&t, pid, &why) == -ESRCH);
	EXPECT(why.kind == MSN_FAILURE_NOT_FOUND);
	EXPECT(strstr(why.text, "no such process"));
	why.kind = MSN_FAILURE_NONE;
	EXPECT(stop(&t, -5, &why) == -EINVAL);
	EXPECT(why.kind == MSN_FAILURE_INVALID);
}

static void a_zombie_is_refused(void)
{
	struct msn_failure why = { 0 };
	struct msn_tracee *t;
	pid_t pid = fork();
	siginfo_t si;

	if (pid == 0)
		_exit(0);
	waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	EXPECT(stop(&t, pid, &why) == -ESRCH);
	EXPECT(why.kind == MSN_FAILURE_PRECONDITION);
	EXPECT(strstr(why.text, "zombie"));
	waitpid(pid, NULL, 0);
}

static void a_kernel_thread_is_refused(void)
{
	struct msn_failure why = { 0 };
	struct msn_proc_status s;
	struct msn_tracee *t;
	int dir = open("/proc/2", O_PATH | O_DIRECTORY);

	if (dir < 0 || msn_proc_status_read(&s, dir) || !s.kernel_thread) {
		puts("no kernel thread to be seen from here");
		return;
	}
	close(dir);
	EXPECT(stop(&t, 2, &why) == -EPERM);
	EXPECT(why.kind == MSN_FAILURE_PRECONDITION);
	EXPECT(strstr(why.text, "kernel thread"));
}

static void this_process_and_its_threads_are_refused(void)
{
	struct msn_failure why = { 0 };
	struct victim v = victim_start(VICTIM_SLEEPS, 2);
	struct msn_tracee *t;
	size_t count;
	pid_t other;

	EXPECT(stop(&t, getpid(), &why) == -EINVAL);
	EXPECT(why.kind == MSN_FAILURE_INVALID);
	CHECK(stop(&t, v.pid, NULL) == 0);
	other = msn_tracee_threads(t, &count)[1].tid;
	msn_tracee_free(t);
	why.kind = MSN_FAILURE_NONE;
	EXPECT(stop(&t, other, &why) == -EINVAL);
	EXPECT(strstr(why.text, "is a thread of process"));
	victim_end(&v);
}

static void a_process_that_is_traced_already_is_refused(void)
{
	struct victim v = victim_start(VICTIM_COUNTS, 1);
	struct msn_failure why = { 0 };
	struct msn_tracee *first, *second;
	char tracer[32];

	CHECK(stop(&first, v.pid, &why) == 0);
	EXPECT(stop(&second, v.pid, &why) == -EBUSY);
	EXPECT(why.kind == MSN_FAILURE_PRECONDITION);
	snprintf(tracer, sizeof(tracer), "traced by process");
	EXPECT(strstr(why.text, tracer));
	msn_tracee_free(first);
	EXPECT(victim_goes_on(&v, 1));
	victim_end(&v);
}

/* Runs @fn as user 65534 in a child; its result is the child's exit code. */
static int as_nobody(int (*fn)(pid_t pid), pid_t pid)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(99);
		_exit(fn(pid));
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int denied_with_reason(pid_t pid)
{
	struct msn_failure why = { 0 };
	struct msn_tracee *t;
	char want[64];

	if (stop(&t, pid, &why) >= 0 || why.kind != MSN_FAILURE_DENIED)
		return 1;
	snprintf(want, sizeof(want), "trace process %d of user %u", pid, 0);
	return !strstr(why.text, want) || !strstr(why.text, "CAP_SYS_PTRACE");
}

static void another_users_process_is_denied(void)
{
	struct victim v = victim_start(VICTIM_COUNTS, 1);

	if (getuid() != 0) {
		puts("needs root to become another user");
	} else {
		EXPECT(as_nobody(denied_with_reason, v.pid) == 0);
	}
	EXPECT(victim_goes_on(&v, 1));
	victim_end(&v);
}

static void a_process_killed_while_stopped_is_told(void)
{
	struct victim v = victim_start(VICTIM_COUNTS, 4);
	struct msn_failure why = { 0 };
	struct msn_tracee *t;

	CHECK(stop(&t, v.pid, &why) == 0);
	kill(v.pid, SIGKILL);
	for (int i = 0; i < 1000 && msn_tracee_stopped(t); i++)
		usleep(1000);
	EXPECT(!msn_tracee_stopped(t));
	msn_tracee_free(t);
	/* its parent hears of its end */
	victim_end(&v);
	EXPECT(kill(v.pid, 0) < 0 && errno == ESRCH);
}

/* A parent in vfork() waits where no signal reaches it. */
static void sleep_in_vfork(struct victim_shared *shared)
{
	shared->ready = 1;
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		usleep(600000);
		_exit(0);
	}
	shared->memory = 1;
}

static void a_thread_that_cannot_stop_is_given_up(void)
{
	struct victim v = victim_run(sleep_in_vfork);
	struct msn_failure why = { 0 };
	struct msn_tracee *t;

	usleep(50000);
	EXPECT(msn_tracee_stop(&t,
			       &(struct msn_tracee_opts){ .pid = v.pid,
							  .timeout_ms = 50 },
			       &why) == -EBUSY);
	EXPECT(why.kind == MSN_FAILURE_UNAVAILABLE);
	EXPECT(strstr(why.text, "did not stop"));
	/* and goes on although it was told to stop */
	for (int i = 0; i < 2000 && !v.shared->memory; i++)
		usleep(1000);
	EXPECT(v.shared->memory == 1);
	victim_end(&v);
}

/* Stops and lets go for ever. */
static _Noreturn void harass(pid_t pid, uint64_t seed)
{
	for (;;) {
		struct msn_tracee *t;

		if (stop(&t, pid, NULL) == 0) {
			if (msn_rand_next(&seed) % 2)
				usleep((useconds_t)(msn_rand_next(&seed) %
						    2000));
			msn_tracee_free(t);
		}
	}
}

static void the_process_runs_on_when_the_tracer_is_killed(void)
{
	struct victim v = victim_start(VICTIM_COUNTS, 3);
	uint64_t seed = check_seed();

	for (int i = 0; i < 50; i++) {
		pid_t tracer = fork();

		if (tracer == 0)
			harass(v.pid, msn_rand_next(&seed));
		usleep((useconds_t)(msn_rand_next(&seed) % 8000));
		kill(v.pid, SIGUSR1);
		usleep((useconds_t)(msn_rand_next(&seed) % 8000));
		kill(tracer, SIGKILL);
		waitpid(tracer, NULL, 0);
		EXPECT(victim_goes_on(&v, 3));
	}
	EXPECT(v.shared->signals == 50);
	victim_end(&v);
}

static void *fault_prepare(void)
{
	static struct victim v;

	v = victim_start(VICTIM_COUNTS, 2);
	return &v;
}

static int fault_body(void *state)
{
	struct victim *v = state;
	struct msn_failure why = { 0 };
	struct msn_tracee *t;
	int rc;

	rc = msn_tracee_stop(&t,
			     &(struct msn_tracee_opts){
				     .pid = v->pid,
				     .from_this_thread = true,
			     },
			     &why);
	if (rc == 0)
		msn_tracee_free(t);
	else
		EXPECT(why.kind != MSN_FAILURE_NONE && *why.text);
	return rc;
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct victim *v = state;

	EXPECT(name ? rc < 0 : rc == 0);
	EXPECT(victim_goes_on(v, 2));
	victim_end(v);
}

static void every_failure_lets_the_process_go(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) > 8);
}

static void without_a_thread_nothing_is_stopped(void)
{
	struct victim v = victim_start(VICTIM_COUNTS, 1);
	struct msn_failure why = { 0 };
	struct msn_tracee *t;
	unsigned nth = 1;

	do {
		msn_fault_arm(nth++);
		why.kind = MSN_FAILURE_NONE;
		EXPECT(stop(&t, v.pid, &why) < 0);
	} while (strcmp(msn_fault_fired(), "tracee.thread") != 0);
	msn_fault_arm(0);
	EXPECT(why.kind == MSN_FAILURE_UNAVAILABLE);
	EXPECT(victim_goes_on(&v, 1));
	victim_end(&v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_thread_stops_and_goes_on),
		CHECK_TEST(threads_made_meanwhile_are_caught),
		CHECK_TEST(registers_are_those_of_each_thread),
		CHECK_TEST(a_stopped_process_stays_stopped),
		CHECK_TEST(every_signal_is_delivered_after_all),
		CHECK_TEST(a_process_that_is_not_there_is_named),
		CHECK_TEST(a_zombie_is_refused),
		CHECK_TEST(a_kernel_thread_is_refused),
		CHECK_TEST(this_process_and_its_threads_are_refused),
		CHECK_TEST(a_process_that_is_traced_already_is_refused),
		CHECK_TEST(another_users_process_is_denied),
		CHECK_TEST(a_process_killed_while_stopped_is_told),
		CHECK_TEST(a_thread_that_cannot_stop_is_given_up),
		CHECK_TEST(the_process_runs_on_when_the_tracer_is_killed),
		CHECK_TEST(every_failure_lets_the_process_go),
		CHECK_TEST(without_a_thread_nothing_is_stopped),
		{}
	};

	return check_main(argc, argv, "tracee", tests);
}
