/*
 * Target: the process that is captured or compared, with all that is open on
 * it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Opened in two steps: what does not need the process to stand still comes
 * first.  A process may run another program until it is stopped, so everything
 * that belongs to its memory is opened afterwards.
 */
#ifndef MSN_CAPTURE_TARGET_H
#define MSN_CAPTURE_TARGET_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "procfile/proc_maps.h"
#include "procfile/proc_status.h"
#include "procfile/procfile.h"
#include "procfile/tracee.h"

struct msn_target {
	pid_t pid;
	int proc_fd; /* /proc/PID; -1 as all below before they are open */
	int mem_fd, pagemap_fd;
	struct msn_proc_status status;	  /* before it was stopped */
	struct msn_proc_maps before;	  /* likewise, or empty */
	struct msn_tracee *tracee;	  /* NULL: not stopped yet */
	struct msn_procfile *pf;	  /* after msn_target_stop() */
	struct msn_proc_maps maps;	  /* likewise */
	char *cmdline, *exe, *cwd, *auxv; /* likewise; "" where not readable */
	size_t cmdline_len, auxv_len;
};

/* Checks that the process can be captured.  @why as msn_tracee_stop(). */
MSN_MUST_CHECK int msn_target_open(struct msn_target *t, pid_t pid,
				   struct msn_failure *why);

/* Stops the process and reads what describes it. */
MSN_MUST_CHECK int msn_target_stop(struct msn_target *t,
				   struct msn_failure *why);

/* Lets the process go and frees everything.  A zeroed target may be closed
 * only if its descriptors are -1: msn_target_open() leaves none open when it
 * fails. */
void msn_target_close(struct msn_target *t);

/*
 * Bytes from @addr that can be read, page aligned, at most @len: a file may end
 * inside its mapping, and what lies behind does not exist.
 */
MSN_MUST_CHECK int msn_target_readable(const struct msn_target *t,
				       uint64_t addr, uint64_t len,
				       uint64_t *out);

#endif /* MSN_CAPTURE_TARGET_H */
