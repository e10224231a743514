/*
 * Tracee: what its two files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_PROCFILE_TRACEE_INTERNAL_H
#define MSN_PROCFILE_TRACEE_INTERNAL_H

#include "procfile/tracee.h"

enum msn_tracee_error {
	/* The thread is no longer there, or no longer stopped. */
	MSN_TRACEE_E_GONE = 1,
	/* Its registers are not those of a 64-bit program. */
	MSN_TRACEE_E_NOT_64BIT = 2,
};

/*
 * Reads the registers, name and signal state of a stopped thread of @pid.  0,
 * an outcome, or -errno.
 */
MSN_MUST_CHECK int msn_tracee_read_thread(pid_t pid,
					  struct msn_traced_thread *t);

void msn_traced_thread_deinit(struct msn_traced_thread *t);

#endif /* MSN_PROCFILE_TRACEE_INTERNAL_H */
