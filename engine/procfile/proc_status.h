/*
 * Process status: what procfs tells about a process or a thread as a whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Read from "stat" and "status" of /proc/PID or /proc/PID/task/TID, which
 * everybody may read.  The name of a process is chosen by the process, so the
 * text is untrusted.
 */
#ifndef MSN_PROCFILE_PROC_STATUS_H
#define MSN_PROCFILE_PROC_STATUS_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct msn_proc_status {
	char comm[64]; /* raw bytes, zero-terminated */
	char state;    /* R S D T t Z X I */
	pid_t pid, tgid, ppid, pgrp, session;
	pid_t tracer; /* 0: nobody traces it */
	uid_t uid, euid;
	gid_t gid, egid;
	int nice;
	bool kernel_thread;
	uint64_t thread_count;
	uint64_t start_ticks; /* since boot: with the pid, names a process */
	uint64_t pending;     /* signals: this thread's */
	uint64_t blocked;
	uint64_t flags;		/* PF_* of the kernel */
	uint64_t private_bytes; /* anonymous pages, in memory and swapped out */
};

/* Parses the two zero-terminated texts.  0, or -EBADMSG, *@out untouched. */
MSN_MUST_CHECK int msn_proc_status_parse(struct msn_proc_status *out,
					 const char *stat, size_t stat_len,
					 const char *status);

/*
 * Reads them in the folder @dirfd.  0, -ENOENT or -ESRCH when the process is
 * gone, -EBADMSG, -ENOMEM.
 */
MSN_MUST_CHECK int msn_proc_status_read(struct msn_proc_status *out, int dirfd);

/* The state letter alone of /proc/@pid/task/@tid, 'X' when it is gone. */
char msn_proc_thread_state(pid_t pid, pid_t tid);

#endif /* MSN_PROCFILE_PROC_STATUS_H */
