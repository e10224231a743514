/*
 * The writer's lock: flock() on a file that names its holder.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The kernel drops the lock when its holder dies, whatever the way.  The pid in
 * the file is only for messages.
 */
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static int busy(int fd, const char *path, struct msn_failure *why)
{
	char text[16] = { 0 };
	long pid = 0;

	if (msn_pread_full(fd, text, sizeof(text) - 1, 0) > 0)
		pid = strtol(text, NULL, 10);
	if (pid <= 0)
		return msn_failure_set(why, -EBUSY, MSN_FAILURE_UNAVAILABLE,
				       "store %s is being written by another "
				       "process",
				       path);
	return msn_failure_set(why, -EBUSY, MSN_FAILURE_UNAVAILABLE,
			       "store %s is being written by process %ld", path,
			       pid);
}

/* Best effort: a full disk must not keep a snapshot from being removed. */
static void name_holder(int fd)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) || msn_pwrite_full(fd, text, (size_t)n, 0))
		return;
}

int store_lock(int dir, const char *path, int *fd, struct msn_failure *why)
{
	msn_auto(msn_closep) int file = -1;

	file = openat(dir, STORE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0 || msn_fault("store.lock")) {
		int rc = file < 0 ? -errno : -EIO;

		return msn_failure_errno(why, rc, "could not lock store %s",
					 path);
	}
	while (flock(file, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return busy(file, path, why);
		if (errno != EINTR)
			return msn_failure_errno(
				why, -errno, "could not lock store %s", path);
	}
	name_holder(file);
	*fd = file;
	file = -1;
	return 0;
}

int store_writable(const struct msn_store *store, struct msn_failure *why)
{
	if (!store->read_only)
		return 0;
	return msn_failure_set(why, -EROFS, MSN_FAILURE_PRECONDITION,
			       "store %s was opened read-only", store->path);
}

/*
 * A lock that is kept keeps others out, but not a second writer of this store:
 * it would take the first one's packs for nobody's.
 */
int store_write_begin(struct msn_store *store, int *fd, struct msn_failure *why)
{
	int rc = store_writable(store, why);

	*fd = -1;
	if (rc)
		return msn_pass(rc);
	if (store->writing)
		return msn_failure_set(why, -EBUSY, MSN_FAILURE_UNAVAILABLE,
				       "store %s is being written by process "
				       "%d",
				       store->path, (int)getpid());
	if (store->lock < 0)
		rc = store_lock(store->dir, store->path, fd, why);
	store->writing = rc == 0;
	return msn_pass(rc);
}

void store_write_end(struct msn_store *store, int fd)
{
	store->writing = false;
	msn_close(fd);
}
