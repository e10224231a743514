/*
 * Tracee: another process, stopped and let go again.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every thread is seized and interrupted with ptrace; threads that are made
 * meanwhile are caught, until a look at the process finds none that runs.  What
 * a process was doing it goes on doing: a signal that arrived while it was
 * being stopped is delivered when it is let go, a process that was stopped (job
 * control, SIGSTOP) stays stopped, a system call is resumed or restarted by the
 * kernel.  If this program dies, the kernel lets go of the process by itself.
 *
 *    running -> stopped  [msn_tracee_stop]
 *    stopped -> running  [msn_tracee_resume, msn_tracee_free, our death]
 *
 * Processes that share the memory without being threads (clone with CLONE_VM
 * alone, vfork) are not stopped.
 *
 * ptrace is bound to the thread that seized, and only that thread's end frees a
 * thread of the process that does not stop when told to.  So the tracing is
 * done by a thread made for it, which ends when the process is let go.
 *
 * Locks: none; calls on one tracee are not made at the same time.
 */
#ifndef MSN_PROCFILE_TRACEE_H
#define MSN_PROCFILE_TRACEE_H

#include "base/cleanup.h"
#include "base/failure.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One set of registers, named by the note type that a core file gives it. */
struct msn_regset {
	uint32_t note_type; /* NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE */
	size_t len;
	uint8_t *data;
};

#define MSN_REGSETS_MAX 3

struct msn_traced_thread {
	pid_t tid;
	char comm[64];
	int signal;	   /* arrived, not delivered yet; 0: none */
	int group_stop;	   /* the stop signal that holds it anyway, or 0 */
	siginfo_t siginfo; /* of @signal */
	uint64_t blocked;  /* signal mask */
	uint64_t pending;  /* this thread's own pending signals */
	struct msn_regset regsets[MSN_REGSETS_MAX];
	size_t regset_count;
	/* Where the kernel notes for the thread on which CPU it runs (rseq). */
	uint64_t rseq_addr; /* 0: nowhere, or this kernel does not say */
	uint32_t rseq_len;
};

struct msn_tracee;

struct msn_tracee_opts {
	pid_t pid;
	unsigned timeout_ms; /* for a thread that does not stop; 0: 5000 */

	/*
	 * Trace from the calling thread.  All other calls must come from it
	 * too, and a process that did not stop in time stays seized until it
	 * ends.
	 */
	bool from_this_thread;
};

/*
 * Stops the process and reads the registers of its threads.  On failure it runs
 * as before and @why names it: NOT_FOUND no such process; DENIED not permitted,
 * and what would be needed; PRECONDITION traced already, a kernel thread, a
 * zombie, a 32-bit program; INVALID this process itself, or a thread's id;
 * ABORTED it ended meanwhile; UNAVAILABLE a thread did not stop in time.
 */
MSN_MUST_CHECK int msn_tracee_stop(struct msn_tracee **out,
				   const struct msn_tracee_opts *opts,
				   struct msn_failure *why);

/*
 * Checks without stopping anything what msn_tracee_stop() would refuse.  For a
 * caller that wants to prepare before the process stands still.
 */
MSN_MUST_CHECK int msn_tracee_check(pid_t pid, struct msn_failure *why);

/* Lets the process go on.  Nothing happens the second time. */
void msn_tracee_resume(struct msn_tracee *t);

/* Resumes first.  NULL is allowed.  Returns NULL. */
struct msn_tracee *msn_tracee_free(struct msn_tracee *t);
MSN_DEFINE_AUTO(struct msn_tracee, msn_tracee_free)

/* Is the process still there and stopped?  False after SIGKILL. */
bool msn_tracee_stopped(struct msn_tracee *t);

/* The threads as they were when stopped, the main thread first.  Borrowed. */
const struct msn_traced_thread *msn_tracee_threads(const struct msn_tracee *t,
						   size_t *count);

/* Nanoseconds from the first stop to the last resume, or to now. */
uint64_t msn_tracee_pause_ns(const struct msn_tracee *t);

#endif /* MSN_PROCFILE_TRACEE_H */
