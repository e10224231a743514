/*
 * Owned file descriptors and whole transfers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BASE_FD_H
#define MSN_BASE_FD_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Closes @fd unless it is negative.  Returns -1, for `fd = msn_close(fd)`. */
int msn_close(int fd);

/* For msn_auto(): closes a local descriptor. */
static inline void msn_closep(int *fd)
{
	msn_close(*fd);
}

/*
 * Reads @len bytes at @offset, through short reads and signals.  Returns the
 * bytes read, fewer than @len only at the end of the file, or a negated errno.
 */
MSN_MUST_CHECK ssize_t msn_pread_full(int fd, void *buf, size_t len,
				      uint64_t offset);

/* Writes all of @len bytes at @offset.  0 or a negated errno. */
MSN_MUST_CHECK int msn_pwrite_full(int fd, const void *buf, size_t len,
				   uint64_t offset);

/*
 * Writes all of @len bytes to a stream (pipe, terminal, file position).  0 or
 * a negated errno.
 */
MSN_MUST_CHECK int msn_write_full(int fd, const void *buf, size_t len);

/*
 * Reads a whole small file that has no size of its own (procfs): a
 * zero-terminated buffer for free() and, unless @len is NULL, its length.
 * -EFBIG beyond @max bytes.
 */
MSN_MUST_CHECK int msn_read_file(char **out, size_t *len, int dirfd,
				 const char *path, size_t max);

/* The same of a descriptor, from where it stands. */
MSN_MUST_CHECK int msn_read_fd(char **out, size_t *len, int fd, size_t max);

#endif /* MSN_BASE_FD_H */
