/*
 * Pack files.  See pack_file.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pack/pack_file.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/rand.h"
#include "range/range.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACK_BYTES (MSN_PACK_PAGES * MSN_PAGE_SIZE)
#define NAME_DIGITS 16

void msn_pack_name(uint64_t id, char *out)
{
	snprintf(out, MSN_PACK_NAME, "%016" PRIx64 MSN_PACK_SUFFIX, id);
}

static bool parse_name(const char *name, const char *suffix, uint64_t *id)
{
	*id = 0;
	for (int i = 0; i < NAME_DIGITS; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *at = name[i] ? strchr(digits, name[i]) : NULL;

		if (!at)
			return false;
		*id = *id << 4 | (uint64_t)(at - digits);
	}
	return strcmp(name + NAME_DIGITS, suffix) == 0;
}

bool msn_pack_parse_name(const char *name, uint64_t *id)
{
	return parse_name(name, MSN_PACK_SUFFIX, id);
}

bool msn_pack_is_spare_name(const char *name)
{
	uint64_t number;

	return parse_name(name, MSN_SPARE_SUFFIX, &number);
}

bool msn_pack_direct(int dirfd)
{
	msn_auto(msn_closep) int fd = openat(
		dirfd, ".", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

	return fd >= 0;
}

static int open_file(int dirfd, const char *name, int flags, bool direct)
{
	int fd;

	if (msn_fault("pack.open"))
		return msn_fail(-EIO);
	fd = openat(dirfd, name,
		    flags | O_CLOEXEC | O_NOFOLLOW | (direct ? O_DIRECT : 0),
		    0600);
	return fd < 0 ? msn_fail(-errno) : fd;
}

static int write_header(int fd, const struct msn_pack_header *h)
{
	_Alignas(4096) uint8_t page[MSN_PAGE_SIZE];

	if (msn_fault("pack.header"))
		return msn_fail(-EIO);
	msn_pack_header_encode(h, page);
	return msn_pass(msn_pwrite_full(fd, page, sizeof(page), 0));
}

static int read_header(int fd, struct msn_pack_header *h)
{
	_Alignas(4096) uint8_t page[MSN_PAGE_SIZE];
	ssize_t n = msn_pread_full(fd, page, sizeof(page), 0);

	if (n < 0)
		return msn_pass((int)n);
	if (n != (ssize_t)sizeof(page))
		return MSN_PACK_E_DAMAGED;
	return msn_pass(msn_pack_header_decode(h, page));
}

/* Has the file @h's header? */
static int compare_header(int fd, const struct msn_pack_header *h)
{
	struct msn_pack_header found;
	int rc = read_header(fd, &found);

	if (rc)
		return msn_pass(rc);
	if (found.id != h->id || found.generation != h->generation ||
	    !msn_uid_equal(found.store, h->store))
		return MSN_PACK_E_OTHER;
	return 0;
}

static int try_lock(int fd, int how)
{
	while (flock(fd, how | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return MSN_PACK_E_BUSY;
		if (errno != EINTR)
			return msn_fail(-errno);
	}
	return 0;
}

/*
 * All blocks at once, so that a full disk shows before the first page.  Where
 * the file system cannot, the file is sparse and it shows later.
 */
static int reserve(int fd)
{
	int rc;

	if (msn_fault("pack.reserve"))
		return msn_fail(-ENOSPC);
	do {
		rc = fallocate(fd, 0, 0, (off_t)PACK_BYTES);
	} while (rc && errno == EINTR);
	if (rc && errno == EOPNOTSUPP)
		rc = ftruncate(fd, (off_t)PACK_BYTES);
	return rc ? msn_fail(-errno) : 0;
}

int msn_pack_create(int dirfd, const struct msn_pack_header *h, bool direct,
		    int *fd)
{
	char name[MSN_PACK_NAME];
	int file, rc;

	msn_pack_name(h->id, name);
	file = open_file(dirfd, name, O_RDWR | O_CREAT | O_EXCL, direct);
	if (file < 0)
		return msn_pass(file);
	rc = reserve(file);
	if (rc == 0)
		rc = write_header(file, h);
	if (rc) {
		msn_close(file);
		unlinkat(dirfd, name, 0);
		return msn_pass(rc);
	}
	*fd = file;
	return 0;
}

static int rename_file(int dirfd, const char *from, const char *to)
{
	if (msn_fault("pack.rename"))
		return msn_fail(-EIO);
	return renameat(dirfd, from, dirfd, to) ? msn_fail(-errno) : 0;
}

/* The header of its next life; the lock is held. */
static int renew(int fd, struct msn_pack_header *h)
{
	struct msn_pack_header old;
	struct stat st;
	int rc;

	if (fstat(fd, &st))
		return msn_fail(-errno);
	if ((uint64_t)st.st_size != PACK_BYTES || !S_ISREG(st.st_mode))
		return MSN_PACK_E_DAMAGED;
	rc = read_header(fd, &old);
	if (rc)
		return rc < 0 ? msn_pass(rc) : MSN_PACK_E_DAMAGED;
	h->generation = old.generation + 1;
	if (h->generation == 0)
		return MSN_PACK_E_DAMAGED;
	rc = write_header(fd, h);
	if (rc)
		return msn_pass(rc);
	if (msn_fault("pack.header_sync"))
		return msn_fail(-EIO);
	return fdatasync(fd) ? msn_fail(-errno) : 0;
}

int msn_pack_recycle(int dirfd, const char *spare, struct msn_pack_header *h,
		     bool direct, int *fd)
{
	msn_auto(msn_closep) int file = -1;
	char name[MSN_PACK_NAME];
	int rc;

	file = open_file(dirfd, spare, O_RDWR, direct);
	if (file < 0)
		return msn_pass(file);
	rc = try_lock(file, LOCK_EX);
	if (rc)
		return msn_pass(rc);
	rc = renew(file, h);
	if (rc) {
		/* Neither half a header nor a doubtful block is kept. */
		unlinkat(dirfd, spare, 0);
		return msn_pass(rc);
	}
	msn_pack_name(h->id, name);
	rc = rename_file(dirfd, spare, name);
	if (rc)
		return msn_pass(rc);
	flock(file, LOCK_UN);
	*fd = file;
	file = -1;
	return 0;
}

int msn_pack_open_append(int dirfd, const struct msn_pack_header *h,
			 bool direct, int *fd)
{
	msn_auto(msn_closep) int file = -1;
	char name[MSN_PACK_NAME];
	int rc;

	msn_pack_name(h->id, name);
	file = open_file(dirfd, name, O_RDWR, direct);
	if (file < 0)
		return msn_pass(file);
	rc = compare_header(file, h);
	if (rc)
		return msn_pass(rc);
	*fd = file;
	file = -1;
	return 0;
}

int msn_pack_open_read(int dirfd, const struct msn_pack_header *h, int *fd)
{
	msn_auto(msn_closep) int file = -1;
	char name[MSN_PACK_NAME];
	int rc;

	msn_pack_name(h->id, name);
	file = open_file(dirfd, name, O_RDONLY | O_NONBLOCK, false);
	if (file < 0)
		return msn_pass(file);
	rc = try_lock(file, LOCK_SH);
	if (rc)
		return msn_pass(rc);
	rc = compare_header(file, h);
	if (rc)
		return msn_pass(rc);
	*fd = file;
	file = -1;
	return 0;
}

int msn_pack_retire(int dirfd, const char *name, bool keep)
{
	msn_auto(msn_closep) int file = -1;
	char spare[MSN_PACK_NAME];
	uint64_t number;
	int rc;

	file = open_file(dirfd, name, O_RDONLY | O_NONBLOCK, false);
	if (file < 0)
		return msn_pass(file);
	rc = try_lock(file, LOCK_EX);
	if (rc)
		return msn_pass(rc);
	if (!keep)
		return unlinkat(dirfd, name, 0) ? msn_fail(-errno) : 0;
	msn_random_bytes(&number, sizeof(number));
	snprintf(spare, sizeof(spare), "%016" PRIx64 MSN_SPARE_SUFFIX, number);
	return msn_pass(rename_file(dirfd, name, spare));
}
