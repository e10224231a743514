/*
 * Files that are believed only if nobody else could have written them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/trusted.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int check_rights(const struct stat *st, mode_t forbidden,
			struct msn_failure *why)
{
	mode_t given = st->st_mode & forbidden;

	if (st->st_uid != 0 && st->st_uid != geteuid())
		return msn_failure_set(why, -EACCES, MSN_FAILURE_DENIED,
				       "the file belongs to user %u; it must "
				       "be root's or the service's own",
				       (unsigned)st->st_uid);
	if (given & S_IWOTH)
		return msn_failure_set(why, -EACCES, MSN_FAILURE_DENIED,
				       "anybody may write to the file; take "
				       "that right away (chmod o-w)");
	if (given & S_IWGRP)
		return msn_failure_set(why, -EACCES, MSN_FAILURE_DENIED,
				       "its group may write to the file; take "
				       "that right away (chmod g-w)");
	if (given)
		return msn_failure_set(why, -EACCES, MSN_FAILURE_DENIED,
				       "anybody may read the file; take that "
				       "right away (chmod o=)");
	return 0;
}

static int read_text(char **out, int fd, size_t max, struct msn_failure *why)
{
	msn_auto(msn_freep) char *text = NULL;
	size_t len = 0;
	int rc = msn_fault("trusted.read") ? -EIO
					   : msn_read_fd(&text, &len, fd, max);

	if (rc == -EFBIG)
		return msn_failure_set(why, rc, MSN_FAILURE_INVALID,
				       "the file is larger than %zu bytes",
				       max);
	if (rc)
		return msn_failure_errno(why, rc, "cannot read the file");
	if (strlen(text) != len)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "the file has a zero byte in it");
	*out = msn_steal(text);
	return 0;
}

static bool is_null_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

int msn_read_trusted(char **out, const char *path, mode_t forbidden, size_t max,
		     struct msn_failure *why)
{
	/* Neither waits for somebody at a pipe nor takes a terminal over. */
	msn_auto(msn_closep) int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) != 0)
		return msn_failure_errno(why, -errno, "cannot open the file");
	if (!is_null_device(&st)) {
		if (!S_ISREG(st.st_mode))
			return msn_failure_set(why, -EINVAL,
					       MSN_FAILURE_INVALID,
					       "this is no file");
		rc = check_rights(&st, forbidden, why);
		if (rc)
			return msn_pass(rc);
	}
	return msn_pass(read_text(out, fd, max, why));
}
