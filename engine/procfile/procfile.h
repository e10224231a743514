/*
 * Procfile: another process's memory as a file.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The offset is the address.  Pages are read with process_vm_readv() in
 * batches; what that refuses (PROT_NONE memory that holds something) is read
 * through /proc/PID/mem, which a tracer may.  Nothing is mapped and nothing is
 * written.  References are not counted: the pages belong to the process, which
 * its user keeps from running.
 *
 * A page that is not there is MSN_FILE_E_BUS; a process that is gone is
 * -ESRCH.  Neither is ever waited for.
 *
 * Locks: none; any thread.
 */
#ifndef MSN_PROCFILE_PROCFILE_H
#define MSN_PROCFILE_PROCFILE_H

#include "base/cleanup.h"
#include "mapping/file.h"

#include <stdint.h>
#include <sys/types.h>

struct msn_procfile;

struct msn_procfile_opts {
	pid_t pid;
	int mem_fd; /* /proc/PID/mem, open for reading; borrowed */
};

/* 0, or -ENOMEM. */
MSN_MUST_CHECK int msn_procfile_new(struct msn_procfile **out,
				    const struct msn_procfile_opts *opts);

/* NULL is allowed.  Returns NULL. */
struct msn_procfile *msn_procfile_free(struct msn_procfile *pf);
MSN_DEFINE_AUTO(struct msn_procfile, msn_procfile_free)

struct msn_file *msn_procfile_file(struct msn_procfile *pf);

/* Bytes that were read out of the process so far. */
uint64_t msn_procfile_read_bytes(const struct msn_procfile *pf);

#endif /* MSN_PROCFILE_PROCFILE_H */
