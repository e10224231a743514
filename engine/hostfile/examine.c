/*
 * What a descriptor is, found out as mmap of Linux would.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Some of what decides an mmap shows nowhere else (a mount without exec, an
 * inode that only grows, a seal, a file system without mmap), so one page is
 * mapped in each way that matters.  A character device is not: that may mean
 * something to it.
 */
#include "hostfile/hostfile_internal.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

/* 0, or the errno of mapping one page so. */
static int probe(int fd, int prot, int flags)
{
	void *at = mmap(NULL, MSN_PAGE_SIZE, prot, flags, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, MSN_PAGE_SIZE);
	return 0;
}

static bool is_on_noexec_mount(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) == 0 && (st.f_flag & ST_NOEXEC);
}

/* Its pages are not ours, and mapping it makes it longer. */
static bool is_of_huge_pages(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == HUGETLBFS_MAGIC;
}

static int map_error(int fd, mode_t mode)
{
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return -ENODEV;
	if (is_of_huge_pages(fd))
		return -ENODEV;
	return probe(fd, PROT_READ, MAP_PRIVATE);
}

int msn_hostfile_examine(int fd, struct msn_hostfile_info *out)
{
	struct msn_hostfile_info info = { 0 };
	int flags = msn_fault("hostfile.examine") ? -1 : fcntl(fd, F_GETFL);
	int mode = flags & O_ACCMODE;
	struct stat st;

	if (flags < 0 || (flags & O_PATH))
		return msn_fail(-EBADF);
	if (fstat(fd, &st) < 0)
		return msn_fail(-errno);
	info.readable = mode == O_RDONLY || mode == O_RDWR;
	info.writable = mode == O_WRONLY || mode == O_RDWR;
	info.no_exec = is_on_noexec_mount(fd);
	if (info.readable && !S_ISCHR(st.st_mode)) {
		if (probe(fd, PROT_READ | PROT_EXEC, MAP_PRIVATE) == -EPERM)
			info.no_exec = true;
		info.map_error = map_error(fd, st.st_mode);
	} else {
		info.map_error = info.readable ? -ENODEV : -EACCES;
	}
	if (info.writable && info.readable && info.map_error == 0) {
		info.append_only = probe(fd, PROT_READ, MAP_SHARED) == -EACCES;
		info.write_sealed =
			probe(fd, PROT_READ | PROT_WRITE, MAP_SHARED) == -EPERM;
	}
	*out = info;
	return 0;
}

bool msn_hostfile_is_zero_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(1, 5);
}
