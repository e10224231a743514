/*
 * The file that says: this folder is a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    memsnap store
 *    format 1
 *    uid 4f1c...
 *    sum 89ab...
 *
 * In every format the first two lines and the last one stay as they are; the
 * sum is the XXH3-64 of all before its line.  So a newer format is told from a
 * damaged file.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "digest/digest.h"
#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARKER_BYTES_MAX 4096
#define FIRST_LINE "memsnap store\n"

static int damaged(const char *path, const char *what, struct msn_failure *why)
{
	return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
			       "store %s is damaged: its file %s %s", path,
			       STORE_MARKER, what);
}

/* Is the last line the sum of all before it? */
static bool sum_fits(const char *text, size_t len)
{
	const size_t line = strlen("sum 0123456789abcdef\n");
	char want[32];
	size_t body;

	if (len < line)
		return false;
	body = len - line;
	snprintf(want, sizeof(want), "sum %016" PRIx64 "\n",
		 msn_digest_bytes(text, body));
	return memcmp(text + body, want, line) == 0;
}

static int marker_parse(const char *text, size_t len, const char *path,
			struct msn_uid *uid, struct msn_failure *why)
{
	unsigned version;
	char hex[64];
	int used = 0;

	if (len != strlen(text) ||
	    strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0 ||
	    !sum_fits(text, len))
		return damaged(path, "is not what was written there", why);
	if (sscanf(text, FIRST_LINE "format %9u", &version) != 1)
		return damaged(path, "has no version", why);
	if (version > STORE_VERSION)
		return msn_failure_set(why, -EOPNOTSUPP,
				       MSN_FAILURE_UNSUPPORTED,
				       "store %s has format version %u, this "
				       "program reads up to %u",
				       path, version, STORE_VERSION);
	if (sscanf(text, FIRST_LINE "format %*u\nuid %33[0-9a-f]\n%n", hex,
		   &used) != 1 ||
	    version == 0 || used == 0 || msn_uid_parse_prefix(hex, uid) != 32)
		return damaged(path, "has no uid", why);
	return 0;
}

int store_marker_read(int dir, const char *path, struct msn_uid *uid,
		      struct msn_failure *why)
{
	msn_auto(msn_freep) char *text = NULL;
	size_t len;
	int rc =
		msn_read_file(&text, &len, dir, STORE_MARKER, MARKER_BYTES_MAX);

	if (rc == -ENOENT)
		return STORE_MARKER_E_ABSENT;
	if (rc == -EFBIG)
		return damaged(path, "is too large", why);
	if (rc)
		return msn_failure_errno(why, rc, "store %s: its file %s", path,
					 STORE_MARKER);
	return msn_pass(marker_parse(text, len, path, uid, why));
}

static int file_write(int dir, const char *name, const char *text)
{
	msn_auto(msn_closep) int fd = -1;
	int rc;

	if (msn_fault("store.marker"))
		return msn_fail(-EIO);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return msn_fail(-errno);
	rc = msn_write_full(fd, text, strlen(text));
	if (rc)
		return msn_pass(rc);
	return fsync(fd) ? msn_fail(-errno) : 0;
}

int store_marker_write(int dir, struct msn_uid uid)
{
	char text[256], hex[MSN_UID_TEXT];
	int rc, n;

	msn_uid_format(uid, hex);
	n = snprintf(text, sizeof(text), FIRST_LINE "format %d\nuid %s\n",
		     STORE_VERSION, hex);
	snprintf(text + n, sizeof(text) - (size_t)n, "sum %016" PRIx64 "\n",
		 msn_digest_bytes(text, (size_t)n));
	rc = file_write(dir, STORE_MARKER_TMP, text);
	if (rc)
		return msn_pass(rc);
	if (msn_fault("store.marker_rename"))
		return msn_fail(-EIO);
	if (renameat(dir, STORE_MARKER_TMP, dir, STORE_MARKER))
		return msn_fail(-errno);
	return fsync(dir) ? msn_fail(-errno) : 0;
}
