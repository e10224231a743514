/*
 * FdRef: files that callers give.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rpc/fd_ref.h"

#include "base/alloc.h"
#include "base/error.h"
#include "rpc/convert.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int no_transport(struct msn_call *call, const char *field,
			const char *what)
{
	struct msn_status *s = msn_call_status(call);
	int rc = msn_call_fail(
		call, MSN_CODE_FAILED_PRECONDITION, "FD_TRANSPORT_REQUIRED",
		"%s: %s is not to be had on this connection", field, what);

	snprintf(s->field, sizeof(s->field), "%s", field);
	return rc;
}

static int take_peer_fd(struct msn_call *call, const char *field, int number,
			int *fd)
{
	const struct msn_peer *peer = msn_call_peer(call);
	int got;

	if (peer->transport != MSN_TRANSPORT_UNIX || peer->pidfd < 0)
		return no_transport(call, field, "a descriptor of the caller");
	got = (int)syscall(SYS_pidfd_getfd, peer->pidfd, number, 0);
	if (got < 0 && errno == EPERM)
		return no_transport(call, field,
				    "a descriptor of a process that the "
				    "service may not look into");
	if (got < 0)
		return msn_call_bad_field(
			call, field, "%s: cannot take descriptor %d: %s", field,
			number, strerrordesc_np(errno));
	*fd = got;
	return 0;
}

static int open_path(struct msn_call *call, const char *field, const char *path,
		     bool writable, int *fd)
{
	const struct msn_rpc *rpc = rpc_of(call);

	if (!rpc->open_path)
		return no_transport(call, field, "a path");
	return msn_pass(rpc->open_path(msn_call_peer(call), path, writable, fd,
				       msn_call_status(call)));
}

int rpc_take_fd_ref(struct msn_call *call, const char *field,
		    const Memsnap__V1__FdRef *ref, bool writable, int *fd)
{
	switch (ref ? ref->source_case : MEMSNAP__V1__FD_REF__SOURCE__NOT_SET) {
	case MEMSNAP__V1__FD_REF__SOURCE_INBAND:
		if (msn_call_take_fd(call, ref->inband, fd))
			return no_transport(call, field,
					    "a descriptor that came with the "
					    "message");
		return 0;
	case MEMSNAP__V1__FD_REF__SOURCE_PEER_FD:
		return take_peer_fd(call, field, ref->peer_fd, fd);
	case MEMSNAP__V1__FD_REF__SOURCE_PATH:
		return open_path(call, field, ref->path, writable, fd);
	case MEMSNAP__V1__FD_REF__SOURCE_TOKEN:
		return no_transport(call, field, "a token");
	default:
		return msn_call_bad_field(call, field, "%s names no file",
					  field);
	}
}

static char *kernel_path(int fd)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0 || fstat(fd, &st) || !st.st_nlink || path[0] != '/')
		return NULL;
	path[n] = '\0';
	return msn_strdup(path);
}

int rpc_path_of(struct msn_call *call, int fd, const char *given, char **out)
{
	char *path;

	if (*given && given[0] != '/')
		return msn_call_bad_field(call, "file.path",
					  "'%.80s' is not an absolute path",
					  given);
	path = *given ? msn_strdup(given) : kernel_path(fd);
	if (!path)
		return msn_call_bad_field(call, "file.path",
					  "the file has no path: a restore "
					  "could not find it again");
	*out = path;
	return 0;
}
