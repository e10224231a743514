/*
 * Host files to test on, in each place that behaves differently.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_HOSTFILE_FIXTURE_H
#define MSN_TESTS_HOSTFILE_FIXTURE_H

#include "base/alloc.h"
#include "base/fd.h"
#include "base/rand.h"
#include "hostfile/hostfile.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PAGE ((size_t)MSN_PAGE_SIZE)
#define PAGES(a, b) ((struct msn_obj_range){ (a)*PAGE, (b)*PAGE })
#define FILE_PAGES(a, b) ((struct msn_file_range){ (a)*PAGE, (b)*PAGE })
#define ADDRS(a, b) ((struct msn_addr_range){ (a)*PAGE, (b)*PAGE })
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)

enum place { ON_DISK, ON_TMPFS, IN_MEMORY, PLACES };

static const char *const place_names[PLACES] = { "/tmp", "/dev/shm", "memfd" };

#define FOR_EACH_PLACE(p) for (enum place p = 0; p < PLACES; p++)
#define FOR_BOTH_WAYS(b) for (int b = 0; b < 2; b++)

/* TMPDIR puts the disk's files on another file system. */
static inline const char *folder_of(enum place p)
{
	const char *dir = p == ON_DISK ? getenv("TMPDIR") : NULL;

	return dir ? dir : place_names[p];
}

/* A new empty file without a name, open for reading and writing. */
static inline int new_file(enum place p)
{
	char path[256];
	int fd;

	if (p == IN_MEMORY)
		return memfd_create("hostfile",
				    MFD_CLOEXEC | MFD_ALLOW_SEALING);
	snprintf(path, sizeof(path), "%s/memsnap-test-XXXXXX", folder_of(p));
	fd = mkostemp(path, O_CLOEXEC);
	CHECK(fd >= 0);
	unlink(path);
	return fd;
}

/* Does its page cache belong to another file, so that cachestat sees none? */
static inline bool is_stacked(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

/* The same file opened once more. */
static inline int open_again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/* Page i is full of 'A' + i % 26, up to @size. */
static inline void fill(int fd, size_t size)
{
	char page[MSN_PAGE_SIZE];

	for (size_t at = 0; at < size; at += PAGE) {
		memset(page, 'A' + (int)(at / PAGE % 26), PAGE);
		CHECK(msn_pwrite_full(fd, page,
				      size - at < PAGE ? size - at : PAGE,
				      at) == 0);
	}
}

/* A host file over @fd, which it takes. */
static inline struct msn_hostfile *host_of(int fd, bool buffered)
{
	struct msn_hostfile *hf;

	CHECK(fd >= 0);
	CHECK(msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					    .fd = fd,
					    .path = "/a/file",
					    .buffered = buffered }) == 0);
	return hf;
}

/* One reference is the caller's; nothing may be left of others. */
static inline void host_free(struct msn_hostfile *hf)
{
	EXPECT(msn_hostfile_check(hf) == NULL);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
}

/* The file behind @hf, asked for by a translation of page 0 or the first. */
static inline struct msn_file *file_of(struct msn_hostfile *hf)
{
	struct msn_translation t;
	int why;

	CHECK(msn_mappable_translate(msn_hostfile_mappable(hf), PAGES(0, 1),
				     PAGES(0, 1), MSN_ACCESS_READ, &t, 1,
				     &why) == 1);
	return t.file;
}

/* One byte by whichever way; -1 for a bus error. */
static inline int byte_at(struct msn_file *file, uint64_t at)
{
	unsigned char byte;
	size_t done;
	int rc = msn_file_read(file, at, &byte, 1, &done);

	CHECK(rc == 0 || rc == MSN_FILE_E_BUS);
	EXPECT(done == (rc == 0));
	return rc ? -1 : byte;
}

/* msync of the first pages. */
static inline int sync_all(struct msn_hostfile *hf)
{
	return msn_identity_msync(msn_hostfile_identity(hf), PAGES(0, 4));
}

/* A mapping space that remembers what it was told. */
struct recorder {
	struct msn_mapping_space base;
	struct msn_addr_range last;
	bool copies_too;
	unsigned calls;
};

static inline void record(struct msn_mapping_space *ms,
			  struct msn_addr_range ar,
			  struct msn_invalidate_opts opts)
{
	struct recorder *r = msn_container_of(ms, struct recorder, base);

	r->last = ar;
	r->copies_too = opts.invalidate_private;
	r->calls++;
}

static const struct msn_mapping_space_ops recorder_ops = {
	.invalidate = record,
};

#endif /* MSN_TESTS_HOSTFILE_FIXTURE_H */
