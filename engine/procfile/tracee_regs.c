/*
 * Tracee: registers and signal state of one stopped thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "procfile/proc_status.h"
#include "procfile/tracee_internal.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#if !defined(__x86_64__)
#error "registers are described for x86-64 only"
#endif

/* XSAVE areas: 2.7 KiB with AVX-512, 11 KiB with AMX tiles. */
#define REGSET_MAX_BYTES 65536

static int gone_or(int err)
{
	return err == ESRCH ? MSN_TRACEE_E_GONE : msn_fail(-err);
}

static int keep_regset(struct msn_traced_thread *t, uint32_t type,
		       const uint8_t *bytes, size_t len)
{
	uint8_t *copy = msn_alloc(len);

	if (!copy)
		return msn_fail(-ENOMEM);
	memcpy(copy, bytes, len);
	t->regsets[t->regset_count++] = (struct msn_regset){ type, len, copy };
	return 0;
}

static int read_regset(struct msn_traced_thread *t, uint32_t type, size_t want)
{
	uint8_t buf[REGSET_MAX_BYTES];
	struct iovec iov = { buf, sizeof(buf) };

	if (ptrace(PTRACE_GETREGSET, t->tid, (void *)(uintptr_t)type, &iov) <
	    0) {
		/* A processor without extended state has no such set. */
		if (type == NT_X86_XSTATE &&
		    (errno == ENODEV || errno == EINVAL))
			return 0;
		return gone_or(errno);
	}
	if (want && iov.iov_len != want)
		return MSN_TRACEE_E_NOT_64BIT;
	return keep_regset(t, type, buf, iov.iov_len);
}

static int read_signals(pid_t pid, struct msn_traced_thread *t)
{
	struct msn_proc_status s;
	char path[64];

	if (ptrace(PTRACE_GETSIGMASK, t->tid, (void *)sizeof(t->blocked),
		   &t->blocked) < 0)
		return gone_or(errno);
	snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, t->tid);
	msn_auto(msn_closep) int dir =
		open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = dir < 0 ? -errno : msn_proc_status_read(&s, dir);
	if (rc == -ENOENT || rc == -ESRCH)
		return MSN_TRACEE_E_GONE;
	if (rc)
		return msn_pass(rc);
	memcpy(t->comm, s.comm, sizeof(t->comm));
	t->pending = s.pending;
	return 0;
}

/* The answer of PTRACE_GET_RSEQ_CONFIGURATION (Linux 5.13). */
struct rseq_config {
	uint64_t addr;
	uint32_t len, signature, flags, pad;
};

static void read_rseq(struct msn_traced_thread *t)
{
	struct rseq_config r = { 0 };

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, (void *)sizeof(r),
		   &r) < 0)
		return; /* an older kernel */
	t->rseq_addr = r.addr;
	t->rseq_len = r.len;
}

int msn_tracee_read_thread(pid_t pid, struct msn_traced_thread *t)
{
	int rc;

	rc = read_regset(t, NT_PRSTATUS, sizeof(struct user_regs_struct));
	if (rc == 0)
		rc = read_regset(t, NT_FPREGSET,
				 sizeof(struct user_fpregs_struct));
	if (rc == 0)
		rc = read_regset(t, NT_X86_XSTATE, 0);
	if (rc == 0)
		rc = read_signals(pid, t);
	if (rc == 0)
		read_rseq(t);
	return msn_pass(rc);
}

void msn_traced_thread_deinit(struct msn_traced_thread *t)
{
	for (size_t i = 0; i < t->regset_count; i++)
		free(t->regsets[i].data);
	t->regset_count = 0;
}
