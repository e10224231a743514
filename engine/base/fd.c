/*
 * Whole transfers over descriptors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fd.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int msn_close(int fd)
{
	if (fd >= 0)
		close(fd);
	return -1;
}

ssize_t msn_pread_full(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return msn_fail(-errno);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int msn_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done,
				   (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return msn_fail(-errno);
		done += (size_t)n;
	}
	return 0;
}

int msn_write_full(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, (const char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return msn_fail(-errno);
		done += (size_t)n;
	}
	return 0;
}

int msn_read_fd(char **out, size_t *len, int fd, size_t max)
{
	msn_auto(msn_freep) char *buf = NULL;
	size_t cap = 0, used = 0;

	for (;;) {
		ssize_t n;

		if (cap - used < 4096) {
			char *grown;

			cap = cap ? cap * 2 : 16384;
			grown = msn_realloc_array(buf, cap, 1);
			if (!grown)
				return msn_fail(-ENOMEM);
			buf = grown;
		}
		n = read(fd, buf + used, cap - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return msn_fail(-errno);
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > max)
			return msn_fail(-EFBIG);
	}
	buf[used] = '\0';
	*out = msn_steal(buf);
	if (len)
		*len = used;
	return 0;
}

int msn_read_file(char **out, size_t *len, int dirfd, const char *path,
		  size_t max)
{
	msn_auto(msn_closep) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return msn_fail(-errno);
	return msn_pass(msn_read_fd(out, len, fd, max));
}
