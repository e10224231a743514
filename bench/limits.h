/*
 * Physical limits: the same bytes moved by the shortest way there is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BENCH_LIMITS_H
#define MSN_BENCH_LIMITS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A file of @bytes whose blocks have been written once already, open with
 * O_DIRECT.  Unlinked: it goes away with its descriptor.
 */
int limit_open_preallocated(const char *dir, uint64_t bytes);

/*
 * Seconds to write @bytes to it: io_uring, registered 1 MiB buffers, four in
 * flight, and an fdatasync.
 */
double limit_raw_write(int fd, uint64_t bytes);

/* Seconds of one memcpy of @bytes between warm buffers. */
double limit_memcpy(uint64_t bytes);

/* Seconds to copy @bytes into fresh pages of a memfd through a mapping. */
double limit_fill_memfd(uint64_t bytes);

/*
 * Seconds to read @count pieces of @piece bytes of @fd to @buf, one behind the
 * other, from the offsets in @at, by a ring that is made before: @depth in
 * flight, the first of them by one submission.
 */
double limit_uring_read(int fd, char *buf, const uint64_t *at, size_t count,
			size_t piece, unsigned depth);

/* Seconds to read [@start, + @bytes) of process @pid in 1 MiB calls. */
double limit_process_read(pid_t pid, uint64_t start, uint64_t bytes);

#endif /* MSN_BENCH_LIMITS_H */
