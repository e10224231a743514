/*
 * Files of the host, for callers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two decisions, and both must be yes: the configuration's, by the path that
 * the caller wrote, and the kernel's, by the rights that the caller has.  The
 * second is asked with the thread acting as the caller, from the root's first
 * component on; so a root that somebody can swap for a link gives nobody more
 * than they had.
 */
#include "auth_internal.h"
#include "rights.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A file that is renamed meanwhile is looked for again so often. */
#define TURNS 16

static int deny(struct msn_status *s, const char *reason, const char *fmt, ...)
	MSN_PRINTF(3, 4);

static int deny(struct msn_status *s, const char *reason, const char *fmt, ...)
{
	char text[sizeof(s->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	msn_status_set(s, MSN_CODE_PERMISSION_DENIED, reason, "%s", text);
	return msn_fail(-EACCES);
}

/* ---- The configuration's part ------------------------------------------- */

/* What of @path lies below @root, without a slash at its start; NULL: none. */
static const char *below(const char *root, const char *path)
{
	size_t len = strlen(root);

	if (len > 1 &&
	    (strncmp(path, root, len) != 0 || (path[len] != '/' && path[len])))
		return NULL;
	path += len > 1 ? len : 0;
	return path + strspn(path, "/");
}

/* The longest root that @path lies below, and what of it does. */
static const struct msn_config_root *
find_root(const struct msn_config_roots *roots, const char *path,
	  const char **rest)
{
	const struct msn_config_root *best = NULL;

	for (size_t i = 0; i < roots->count; i++) {
		const struct msn_config_root *root = &roots->at[i];
		const char *left = below(root->path, path);

		if (left &&
		    (!best || strlen(root->path) > strlen(best->path))) {
			best = root;
			*rest = left;
		}
	}
	return best;
}

static int check_root(const struct msn_config_root *root,
		      const struct msn_peer *peer, const char *path, int flags,
		      struct msn_status *s)
{
	static const char reason[] = "PATH_NOT_ALLOWED";

	if (!root)
		return deny(s, reason,
			    "'%.200s' lies below no folder whose files callers "
			    "may have opened",
			    path);
	if (peer->role < root->role)
		return deny(s, reason,
			    "files below %.200s are for callers with the role "
			    "%s",
			    root->path, msn_role_name(root->role));
	if ((flags & O_ACCMODE) != O_RDONLY && !root->writable)
		return deny(s, reason,
			    "files below %.200s can be opened for reading only",
			    root->path);
	return 0;
}

static int check_path(const char *path, struct msn_status *s)
{
	if (*path == '/' && strlen(path) < PATH_MAX)
		return 0;
	msn_status_set(s, MSN_CODE_INVALID_ARGUMENT, "INVALID_PATH",
		       *path == '/' ? "a path has less than 4096 bytes"
				    : "'%.200s' does not begin with /",
		       path);
	return msn_fail(-EINVAL);
}

/* ---- The kernel's part -------------------------------------------------- */

/* What @rest leads to below @root, to be looked at: not opened. */
static int open_below(int root, const char *rest)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -EAGAIN;

	for (int turn = 0; turn < TURNS && fd == -EAGAIN; turn++) {
		fd = syscall(SYS_openat2, root, rest, &how, sizeof(how));
		if (fd < 0)
			fd = -errno;
	}
	return (int)fd;
}

/*
 * Opens what @probe stands for, whatever its path leads to by now.  Without
 * waiting for a lease that another process has on it.
 */
static int open_again(int probe, int flags)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", probe);
	fd = open(path, flags | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) /* ENOENT: there is no /proc */
		return msn_fail(errno == ENOENT ? -ENOSYS : -errno);
	if (fcntl(fd, F_SETFL, flags & ~O_ACCMODE)) {
		close(fd);
		return msn_fail(-EINVAL);
	}
	return fd;
}

/*
 * The file @rest of the folder @root.  First without opening it, so that what
 * is no file (a device, a pipe) is not woken up.
 */
static int open_file(const char *root_path, const char *rest, int flags)
{
	msn_auto(msn_closep) int root =
		open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	msn_auto(msn_closep) int probe = -1;
	struct stat st;

	if (root < 0)
		return msn_fail(-errno);
	probe = msn_fault("auth.open") ? -EMFILE
				       : open_below(root, *rest ? rest : ".");
	if (probe < 0)
		return msn_fail(probe);
	if (fstat(probe, &st))
		return msn_fail(-errno);
	if (!S_ISREG(st.st_mode))
		return msn_fail(-ENOTBLK);
	return msn_pass(open_again(probe, flags));
}

/* ---- What is told ------------------------------------------------------- */

static int refuse_rights(const struct msn_auth *a, const struct msn_peer *peer,
			 int rc, struct msn_status *s)
{
	struct msn_failure why = { 0 };

	if (rc == -EPERM)
		return deny(s, "FILE_RIGHTS",
			    "the service runs as user %u and may not open "
			    "files with the rights of user %u and its groups",
			    (unsigned)a->own_uid, (unsigned)peer->uid);
	msn_failure_errno(&why, rc, "cannot act for user %u",
			  (unsigned)peer->uid);
	msn_status_failure(s, rc, &why);
	return msn_pass(rc);
}

static int refuse_open(const char *path, const char *root, int rc,
		       struct msn_status *s)
{
	struct msn_failure why = { 0 };

	switch (-rc) {
	case EXDEV:
	case ELOOP:
		return deny(s, "PATH_NOT_ALLOWED",
			    "'%.200s' leads out of %.200s, or in circles", path,
			    root);
	case EACCES:
	case EPERM:
		return deny(s, "FILE_DENIED",
			    "the caller may not open '%.300s'", path);
	case ENOENT:
	case ENOTDIR:
		msn_status_set(s, MSN_CODE_NOT_FOUND, "FILE_NOT_FOUND",
			       "there is no file '%.300s'", path);
		return msn_fail(-ENOENT);
	case ENOTBLK:
		msn_status_set(s, MSN_CODE_FAILED_PRECONDITION, "FILE_KIND",
			       "'%.300s' is no regular file", path);
		return msn_fail(-EINVAL);
	default:
		msn_failure_errno(&why, rc, "cannot open '%.300s'", path);
		msn_status_failure(s, rc, &why);
		return msn_pass(rc);
	}
}

int msn_auth_open_path(struct msn_auth *a, const struct msn_peer *peer,
		       const char *path, int flags, int *fd,
		       struct msn_status *status)
{
	msn_auto(msn_auth_policy_unrefp) struct policy *policy =
		msn_auth_policy_get(a);
	const struct msn_config_root *root;
	const char *rest = NULL;
	struct rights saved;
	int rc;

	msn_assert((flags & ~(O_ACCMODE | O_DIRECT)) == 0);
	rc = check_path(path, status);
	if (rc)
		return msn_pass(rc);
	root = find_root(&policy->config->files.allow, path, &rest);
	rc = check_root(root, peer, path, flags, status);
	if (rc)
		return msn_pass(rc);
	if (peer->transport != MSN_TRANSPORT_UNIX)
		return deny(status, "FILE_RIGHTS",
			    "files can be opened by path for callers on a Unix "
			    "socket only: others have no rights here");
	rc = msn_auth_rights_take(&saved,
				  &(struct rights_of){ peer->uid, peer->gid,
						       peer->groups,
						       peer->group_count },
				  a->dumpable);
	if (rc)
		return refuse_rights(a, peer, rc, status);
	rc = open_file(root->path, rest, flags);
	msn_auth_rights_give_back(&saved);
	if (rc < 0)
		return refuse_open(path, root->path, rc, status);
	*fd = rc;
	return 0;
}
