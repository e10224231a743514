/*
 * Tracee: seize, interrupt, wait, let go.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Waiting never blocks: a thread can be in the kernel where nothing stops it
 * (a vfork, a dead disk), and the main thread of a process whose other threads
 * live on does not report its end.  So threads are polled, first by yielding,
 * then with short sleeps, until a deadline.
 */
#include "procfile/tracee.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/limits.h"
#include "procfile/proc_status.h"
#include "procfile/tracee_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS_DEFAULT 5000

/* Polls that only yield: a running thread stops within microseconds. */
#define YIELDS 64
#define SLEEP_NS 100000

#define EVENT(status) ((unsigned)(status) >> 16)

struct msn_tracee {
	pid_t pid;
	struct msn_traced_thread *threads;
	size_t count, cap;
	bool held; /* seized threads have not been let go yet */
	uint64_t deadline_ns;
	uint64_t stop_ns, resume_ns; /* 0: not yet */
	unsigned timeout_ms;

	/* The tracing thread: it works while its maker waits for @ready. */
	pthread_t tracer;
	bool threaded; /* @tracer was started and not joined */
	sem_t ready, go;
	int rc;
	struct msn_failure why;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- Refusals ------------------------------------------------------------ */

/* The text of a denial says what would lift it. */
static int denied(pid_t pid, const struct msn_proc_status *s, int rc,
		  struct msn_failure *why)
{
	msn_auto(msn_freep) char *scope = NULL;
	char yama[64] = "";

	if (msn_read_file(&scope, NULL, AT_FDCWD,
			  "/proc/sys/kernel/yama/ptrace_scope", 64) == 0 &&
	    atoi(scope) > 0)
		snprintf(yama, sizeof(yama),
			 ", or a kernel.yama.ptrace_scope below %d",
			 atoi(scope));
	return msn_failure_set(
		why, rc, MSN_FAILURE_DENIED,
		"not permitted to trace process %d of user %u: run as that user"
		" or with CAP_SYS_PTRACE%s",
		pid, s->uid, yama);
}

static int refuse(pid_t pid, const struct msn_proc_status *s,
		  struct msn_failure *why)
{
	if (s->tgid != pid)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "%d is a thread of process %d: name the "
				       "process",
				       pid, s->tgid);
	if (s->kernel_thread)
		return msn_failure_set(
			why, -EPERM, MSN_FAILURE_PRECONDITION,
			"process %d (%s) is a kernel thread: it has no memory "
			"of its own",
			pid, s->comm);
	if (s->state == 'Z' || s->state == 'X')
		return msn_failure_set(
			why, -ESRCH, MSN_FAILURE_PRECONDITION,
			"process %d (%s) is a zombie: its main thread has "
			"ended",
			pid, s->comm);
	if (s->tracer)
		return msn_failure_set(
			why, -EBUSY, MSN_FAILURE_PRECONDITION,
			"process %d (%s) is already traced by process %d", pid,
			s->comm, s->tracer);
	return 0;
}

static int no_such(pid_t pid, int rc, struct msn_failure *why)
{
	if (rc == -ENOENT || rc == -ESRCH)
		return msn_failure_set(why, -ESRCH, MSN_FAILURE_NOT_FOUND,
				       "no such process: %d", pid);
	return msn_failure_errno(why, rc, "process %d", pid);
}

static int ended(pid_t pid, struct msn_failure *why)
{
	return msn_failure_set(why, -ESRCH, MSN_FAILURE_ABORTED,
			       "process %d ended while it was being stopped",
			       pid);
}

static int read_status(pid_t pid, struct msn_proc_status *s)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	msn_auto(msn_closep) int dir =
		open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return msn_fail(-errno);
	return msn_pass(msn_proc_status_read(s, dir));
}

/* Opening memory asks the kernel for the right that ptrace needs. */
static int may_trace(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	msn_auto(msn_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? msn_fail(-errno) : 0;
}

int msn_tracee_check(pid_t pid, struct msn_failure *why)
{
	struct msn_proc_status s;
	int rc;

	if (pid <= 0)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "%d is not a process id", pid);
	rc = read_status(pid, &s);
	if (rc)
		return no_such(pid, rc, why);
	if (s.tgid == getpid())
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "process %d is this program itself",
				       pid);
	rc = refuse(pid, &s, why);
	if (rc)
		return msn_pass(rc);
	rc = may_trace(pid);
	if (rc == -EACCES || rc == -EPERM)
		return denied(pid, &s, rc, why);
	return rc ? no_such(pid, rc, why) : 0;
}

/* Why did PTRACE_SEIZE of a thread fail?  0: the thread has ended. */
static int seize_failed(struct msn_tracee *t, pid_t tid, int err,
			struct msn_failure *why)
{
	struct msn_proc_status s;
	char state = msn_proc_thread_state(t->pid, tid);
	int rc;

	rc = read_status(t->pid, &s);
	if (rc || s.state == 'Z' || s.state == 'X')
		return ended(t->pid, why);
	if (tid != t->pid && (state == 'Z' || state == 'X'))
		return 0;
	rc = read_status(tid, &s); /* somebody may trace this thread alone */
	s.tgid = t->pid;
	if (rc == 0)
		rc = refuse(t->pid, &s, why);
	if (rc)
		return msn_pass(rc);
	if (err == EPERM || err == EACCES)
		return denied(t->pid, &s, -err, why);
	return msn_failure_errno(why, -err, "stopping thread %d of process %d",
				 tid, t->pid);
}

/* ---- Letting go ---------------------------------------------------------- */

static void wait_a_little(unsigned turn)
{
	if (turn < YIELDS)
		sched_yield();
	else
		nanosleep(&(struct timespec){ .tv_nsec = SLEEP_NS }, NULL);
}

/*
 * Lets go of a thread that did not stop in time, or that was killed: it is
 * detached as soon as it stops, and its end is collected so that its parent
 * hears of it.
 */
static void let_go_unstopped(pid_t tid)
{
	int status;

	for (unsigned turn = 0; turn < YIELDS * 2; turn++) {
		pid_t got =
			waitpid(tid, &status, __WALL | WNOHANG | __WNOTHREAD);

		if (got < 0 && errno != EINTR)
			return;
		if (got == tid && !WIFSTOPPED(status))
			return;
		if (got == tid) {
			int sig = EVENT(status) ? 0 : WSTOPSIG(status);

			ptrace(PTRACE_DETACH, tid, NULL,
			       (void *)(uintptr_t)sig);
			return;
		}
		wait_a_little(turn);
	}
}

/* Before: on the thread that seized. */
static void let_go(struct msn_tracee *t)
{
	/* The main thread last: it is collected only after all others. */
	for (size_t i = t->count; i > 0; i--) {
		struct msn_traced_thread *th = &t->threads[i - 1];

		if (ptrace(PTRACE_DETACH, th->tid, NULL,
			   (void *)(uintptr_t)th->signal) < 0)
			let_go_unstopped(th->tid);
	}
	t->held = false;
	t->resume_ns = now_ns();
}

/* ---- Stopping ------------------------------------------------------------ */

/*
 * Threads are listed in the order in which they were found before, so *@hint
 * mostly is the answer.
 */
static bool known(const struct msn_tracee *t, pid_t tid, size_t *hint)
{
	for (size_t i = 0; i < t->count; i++) {
		size_t at = (*hint + i) % t->count;

		if (t->threads[at].tid == tid) {
			*hint = at + 1;
			return true;
		}
	}
	return false;
}

static int seize(struct msn_tracee *t, pid_t tid, struct msn_failure *why)
{
	int rc;

	if (t->count == MSN_THREAD_COUNT_MAX)
		return msn_failure_set(why, -E2BIG, MSN_FAILURE_EXHAUSTED,
				       "process %d has more than %d threads",
				       t->pid, MSN_THREAD_COUNT_MAX);
	rc = msn_grow((void **)&t->threads, &t->cap, t->count,
		      sizeof(*t->threads));
	if (rc)
		return msn_failure_errno(why, rc, "threads of process %d",
					 t->pid);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return msn_pass(seize_failed(t, tid, errno, why));
	if (t->stop_ns == 0)
		t->stop_ns = now_ns();
	t->held = true;
	t->threads[t->count++] = (struct msn_traced_thread){ .tid = tid };
	/* A thread that ended at this very moment is found by waiting. */
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return 0;
}

/* Seizes every thread that is not known yet. */
static int seize_new(struct msn_tracee *t, DIR *tasks, struct msn_failure *why)
{
	struct dirent *e;
	size_t hint = 0;

	rewinddir(tasks);
	while ((e = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		int rc;

		if (tid <= 0 || known(t, tid, &hint))
			continue;
		rc = seize(t, tid, why);
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* Takes note of how a thread stopped. */
static int note_stop(struct msn_traced_thread *th, int status)
{
	if (EVENT(status) == PTRACE_EVENT_STOP) {
		if (WSTOPSIG(status) != SIGTRAP)
			th->group_stop = WSTOPSIG(status);
		return 0;
	}
	/* A signal was quicker than the interrupt: it is kept. */
	th->signal = WSTOPSIG(status);
	if (ptrace(PTRACE_GETSIGINFO, th->tid, NULL, &th->siginfo) < 0)
		return MSN_TRACEE_E_GONE;
	return 0;
}

static int not_stopping(const struct msn_tracee *t, pid_t tid,
			struct msn_failure *why)
{
	char state = msn_proc_thread_state(t->pid, tid);

	if (state == 'X' || state == 'Z')
		return ended(t->pid, why);
	return msn_failure_set(
		why, -EBUSY, MSN_FAILURE_UNAVAILABLE,
		"thread %d of process %d did not stop within %u ms (state %c): "
		"try again",
		tid, t->pid, t->timeout_ms, state);
}

/* 0: stopped; MSN_TRACEE_E_GONE: it ended; or a failure. */
static int wait_stop(struct msn_tracee *t, struct msn_traced_thread *th,
		     struct msn_failure *why)
{
	int status;

	for (unsigned turn = 0;; turn++) {
		pid_t got = waitpid(th->tid, &status,
				    __WALL | WNOHANG | __WNOTHREAD);

		if (got == th->tid)
			return WIFSTOPPED(status) ? note_stop(th, status)
						  : MSN_TRACEE_E_GONE;
		if (got < 0 && errno != EINTR)
			return MSN_TRACEE_E_GONE;
		if (now_ns() > t->deadline_ns)
			return not_stopping(t, th->tid, why);
		/* A dead main thread reports only after all others. */
		if (turn > YIELDS && th->tid == t->pid &&
		    msn_proc_thread_state(t->pid, th->tid) == 'Z')
			return MSN_TRACEE_E_GONE;
		wait_a_little(turn);
	}
}

static void drop(struct msn_tracee *t, size_t i)
{
	let_go_unstopped(t->threads[i].tid);
	msn_traced_thread_deinit(&t->threads[i]);
	memmove(&t->threads[i], &t->threads[i + 1],
		(t->count - i - 1) * sizeof(*t->threads));
	t->count--;
}

/* Waits for the threads from @first on and reads their registers. */
static int settle(struct msn_tracee *t, size_t first, struct msn_failure *why)
{
	for (size_t i = first; i < t->count;) {
		struct msn_traced_thread *th = &t->threads[i];
		pid_t tid = th->tid;
		int rc = wait_stop(t, th, why);

		if (rc == 0)
			rc = msn_tracee_read_thread(t->pid, th);
		if (rc == MSN_TRACEE_E_NOT_64BIT)
			return msn_failure_set(
				why, -ENOEXEC, MSN_FAILURE_PRECONDITION,
				"process %d is not a 64-bit program", t->pid);
		if (rc == MSN_TRACEE_E_GONE && tid == t->pid)
			return ended(t->pid, why);
		if (rc < 0)
			return msn_failure_errno(
				why, rc, "stopping thread %d of process %d",
				tid, t->pid);
		if (rc == MSN_TRACEE_E_GONE)
			drop(t, i);
		else
			i++;
	}
	return 0;
}

/*
 * Done when a look at the process finds no new thread and as many as are
 * stopped: reading the folder alone could pass over one while another ends.
 */
static int stop_all(struct msn_tracee *t, DIR *tasks, struct msn_failure *why)
{
	struct msn_proc_status s;
	size_t before;
	int rc;

	for (;;) {
		before = t->count;
		rc = seize_new(t, tasks, why);
		if (rc == 0)
			rc = settle(t, before, why);
		if (rc)
			return msn_pass(rc);
		rc = read_status(t->pid, &s);
		if (rc || t->count == 0)
			return ended(t->pid, why);
		if (t->count == before && s.thread_count == t->count)
			return 0;
		if (now_ns() > t->deadline_ns)
			return msn_failure_set(
				why, -EBUSY, MSN_FAILURE_UNAVAILABLE,
				"process %d makes threads faster than they can"
				" be stopped: try again",
				t->pid);
	}
}

/* Debuggers take the first thread for the one that was looked at. */
static int main_first(struct msn_tracee *t, struct msn_failure *why)
{
	for (size_t i = 0; i < t->count; i++) {
		struct msn_traced_thread main = t->threads[i];

		if (main.tid != t->pid)
			continue;
		memmove(&t->threads[1], &t->threads[0], i * sizeof(main));
		t->threads[0] = main;
		return 0;
	}
	return ended(t->pid, why);
}

static int stop(struct msn_tracee *t, struct msn_failure *why)
{
	char path[32];
	DIR *tasks;
	int rc;

	if (msn_fault("tracee.opendir"))
		return msn_failure_errno(why, -EMFILE, "process %d", t->pid);
	snprintf(path, sizeof(path), "/proc/%d/task", t->pid);
	tasks = opendir(path);
	if (!tasks)
		return no_such(t->pid, -errno, why);
	t->deadline_ns = now_ns() + t->timeout_ms * UINT64_C(1000000);
	rc = stop_all(t, tasks, why);
	closedir(tasks);
	if (rc == 0)
		rc = main_first(t, why);
	if (rc)
		let_go(t);
	return msn_pass(rc);
}

/* ---- The tracing thread -------------------------------------------------- */

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0)
		msn_assert(errno == EINTR);
}

static void *trace(void *arg)
{
	struct msn_tracee *t = arg;

	t->rc = stop(t, &t->why);
	sem_post(&t->ready);
	if (t->rc)
		return NULL;
	wait_for(&t->go);
	let_go(t);
	return NULL;
}

/* Signals of this program are for its own threads. */
static int start_tracer(struct msn_tracee *t)
{
	sigset_t all, old;
	int err;

	if (msn_fault("tracee.thread"))
		return msn_fail(-EAGAIN);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&t->tracer, NULL, trace, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	t->threaded = err == 0;
	return err ? msn_fail(-err) : 0;
}

static int stop_by_thread(struct msn_tracee *t, struct msn_failure *why)
{
	int rc = start_tracer(t);

	if (rc)
		return msn_failure_errno(
			why, rc, "a thread to trace process %d", t->pid);
	wait_for(&t->ready);
	if (t->rc == 0)
		return 0;
	pthread_join(t->tracer, NULL);
	t->threaded = false;
	return msn_failure_set(why, t->rc, t->why.kind, "%s", t->why.text);
}

int msn_tracee_stop(struct msn_tracee **out, const struct msn_tracee_opts *opts,
		    struct msn_failure *why)
{
	msn_auto(msn_tracee_freep) struct msn_tracee *t = NULL;
	int rc;

	rc = msn_tracee_check(opts->pid, why);
	if (rc)
		return msn_pass(rc);
	t = msn_alloc(sizeof(*t));
	if (!t)
		return msn_failure_errno(why, -ENOMEM, "process %d", opts->pid);
	sem_init(&t->ready, 0, 0);
	sem_init(&t->go, 0, 0);
	t->pid = opts->pid;
	t->timeout_ms =
		opts->timeout_ms ? opts->timeout_ms : TIMEOUT_MS_DEFAULT;
	rc = opts->from_this_thread ? stop(t, why) : stop_by_thread(t, why);
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(t);
	return 0;
}

void msn_tracee_resume(struct msn_tracee *t)
{
	if (t->threaded) {
		sem_post(&t->go);
		pthread_join(t->tracer, NULL);
		t->threaded = false;
	} else if (t->held) {
		let_go(t);
	}
}

struct msn_tracee *msn_tracee_free(struct msn_tracee *t)
{
	if (!t)
		return NULL;
	msn_tracee_resume(t);
	for (size_t i = 0; i < t->count; i++)
		msn_traced_thread_deinit(&t->threads[i]);
	free(t->threads);
	sem_destroy(&t->ready);
	sem_destroy(&t->go);
	free(t);
	return NULL;
}

bool msn_tracee_stopped(struct msn_tracee *t)
{
	if (!t->held)
		return false;
	for (size_t i = 0; i < t->count; i++)
		if (msn_proc_thread_state(t->pid, t->threads[i].tid) != 't')
			return false;
	return true;
}

const struct msn_traced_thread *msn_tracee_threads(const struct msn_tracee *t,
						   size_t *count)
{
	*count = t->count;
	return t->threads;
}

uint64_t msn_tracee_pause_ns(const struct msn_tracee *t)
{
	uint64_t end = t->resume_ns ? t->resume_ns : now_ns();

	return t->stop_ns ? end - t->stop_ns : 0;
}
