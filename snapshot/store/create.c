/*
 * Making a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The marker comes last: a folder without one is not a store yet, and making it
 * again goes on where the last try stopped.  Two processes that try at once
 * agree by the writer's lock.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "store/store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Making a store takes milliseconds: two seconds are enough to wait. */
#define CREATE_TRIES 200
#define CREATE_PAUSE_NS 10000000

char *store_catalog_path(const char *path)
{
	return msn_format("%s/" STORE_CATALOG, path);
}

static bool ours(const char *name)
{
	static const char *const names[] = {
		".",	     "..",	 STORE_CATALOG,
		STORE_PACKS, STORE_LOCK, STORE_MARKER_TMP,
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Only a folder without anything foreign is made a store. */
static int check_empty(int dir, const char *path, struct msn_failure *why)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	bool foreign = false;
	struct dirent *e;

	if (!list) {
		int rc = -errno;

		msn_close(fd);
		return msn_failure_errno(why, rc, "store %s", path);
	}
	while (!foreign && (e = readdir(list)))
		foreign = !ours(e->d_name);
	closedir(list);
	if (foreign)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "%s is not a store, and not empty",
				       path);
	return 0;
}

static int make_folder(int dir, const char *name)
{
	msn_auto(msn_closep) int fd = -1;

	if (msn_fault("store.mkdir"))
		return msn_fail(-EIO);
	if (mkdirat(dir, name, 0700) && errno != EEXIST)
		return msn_fail(-errno);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return msn_fail(-errno);
	return fsync(fd) ? msn_fail(-errno) : 0;
}

/* LMDB makes its files without syncing the folder they are in. */
static int sync_folder(int dir, const char *name)
{
	msn_auto(msn_closep) int fd =
		openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? msn_fail(-errno) : 0;
}

static int make_catalog(const char *path, struct msn_uid *uid,
			struct msn_failure *why)
{
	msn_auto(msn_freep) char *catalog = store_catalog_path(path);
	msn_auto(msn_index_closep) struct msn_index *index = NULL;
	msn_auto(msn_freep) struct msn_index_snapshot *list = NULL;
	struct msn_index_opts opts = { .dir = catalog,
				       .where = path,
				       .store = msn_uid_new(),
				       .create = true };
	size_t count;
	int rc;

	if (!catalog)
		return msn_fail(-ENOMEM);
	rc = msn_index_open(&index, &opts, why);
	if (rc == 0)
		rc = msn_index_snapshots(index, &list, &count, why);
	if (rc)
		return msn_pass(rc);
	if (count)
		return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
				       "store %s is damaged: its file %s is "
				       "missing",
				       path, STORE_MARKER);
	*uid = msn_index_store(index);
	return 0;
}

static int create_locked(int dir, const char *path, struct msn_failure *why)
{
	struct msn_uid uid;
	int rc = check_empty(dir, path, why);

	if (rc == 0)
		rc = make_folder(dir, STORE_PACKS);
	if (rc == 0)
		rc = make_folder(dir, STORE_CATALOG);
	if (rc == 0)
		rc = make_catalog(path, &uid, why);
	if (rc == 0)
		rc = sync_folder(dir, STORE_CATALOG);
	if (rc == 0)
		rc = store_marker_write(dir, uid);
	if (rc == 0)
		rc = sync_folder(dir, "..");
	return rc ? msn_failure_errno(why, rc, "could not make store %s", path)
		  : 0;
}

int store_create(int dir, const char *path, struct msn_failure *why)
{
	struct timespec pause = { .tv_nsec = CREATE_PAUSE_NS };
	struct msn_failure mine = { 0 };
	msn_auto(msn_closep) int lock = -1;
	struct msn_uid uid;
	int rc = check_empty(dir, path, why);

	if (rc)
		return msn_pass(rc);
	for (unsigned i = 0; i < CREATE_TRIES; i++) {
		mine = (struct msn_failure){ 0 };
		rc = store_lock(dir, path, &lock, &mine);
		if (rc != -EBUSY)
			break;
		if (store_marker_read(dir, path, &uid, NULL) == 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	if (rc)
		return msn_failure_set(why, rc, mine.kind, "%s", mine.text);
	if (store_marker_read(dir, path, &uid, NULL) == 0)
		return 0;
	return msn_pass(create_locked(dir, path, why));
}
