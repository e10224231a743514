/*
 * Files of this host, if they still are what a snapshot says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fd.h"
#include "corefile/corefile_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/*
 * A device number without a driver (major 0) is made up by the file system,
 * afresh at each mount or even for each subvolume: it says nothing.
 */
static bool same_device(const struct msn_manifest_mapping *v,
			const struct stat *st)
{
	if (v->dev_major == 0 && major(st->st_dev) == 0)
		return true;
	return v->dev_major == major(st->st_dev) &&
	       v->dev_minor == minor(st->st_dev);
}

static bool same_file(const struct msn_manifest_mapping *v,
		      const struct stat *st)
{
	int64_t mtime =
		st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;

	return S_ISREG(st->st_mode) && same_device(v, st) &&
	       v->inode == st->st_ino &&
	       v->file_size == (uint64_t)st->st_size &&
	       v->file_mtime_ns == mtime;
}

int msn_core_open_same(const struct msn_manifest_mapping *v)
{
	/* Neither a terminal nor a pipe that took its place may hold us up. */
	int fd = open(v->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !same_file(v, &st)))
		fd = msn_close(fd);
	return fd;
}
