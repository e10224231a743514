/*
 * Host file: a file of the host as a mappable.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Coherent with everybody else who reads or writes the file: its pages are the
 * host's page cache, mapped where the host lets us and moved by reads and
 * writes where it does not ("buffered": the file system cannot, this process
 * may not, or all windows are in use).  A file that somebody shortens while it
 * is copied is an outcome (MSN_FILE_E_BUS), never a signal.
 *
 * Size: asked at each translation, so what lies past the end is never handed
 * out.  A change by msn_hostfile_truncate() invalidates before it returns.  A
 * file that somebody else shortened is noticed by msn_hostfile_revalidate(),
 * which mappings, msync, hole punching and truncation call first: until then
 * private copies past the new end are still there, while the file's own pages
 * are gone at once.  A file that was shortened and lengthened again between
 * two looks cannot be told from one that was not.
 *
 * Buffered writes go to the host's page cache at once.  One that fails with an
 * I/O error keeps its bytes: they are read back from here, written again by the
 * next msync, and that msync says -EIO once, as Linux does of an error that
 * happened since the last.  Bytes stored past the end of the file, in its last
 * page, go nowhere.
 *
 * Locks: MSN_RANK_MAPPINGS for who maps it; MSN_RANK_FILE for references, for
 * buffered I/O and for the list of host files; MSN_RANK_LEAF.
 */
#ifndef MSN_HOSTFILE_HOSTFILE_H
#define MSN_HOSTFILE_HOSTFILE_H

#include "account/account.h"
#include "base/cleanup.h"
#include "mapping/identity.h"
#include "mapping/mappable.h"

#include <stdbool.h>
#include <stddef.h>

struct msn_hostfile;

/* What mmap of Linux would find in a descriptor, in the order that it looks. */
struct msn_hostfile_info {
	bool writable;	   /* opened for writing */
	bool append_only;  /* so is the inode: MAP_SHARED is -EACCES */
	bool readable;	   /* opened for reading; else mmap is -EACCES */
	bool no_exec;	   /* PROT_EXEC is -EPERM, and never comes later */
	bool write_sealed; /* MAP_SHARED with PROT_WRITE is -EPERM */
	int map_error;	   /* 0, or what mmap says when all that is well */
};

/*
 * Looks at any open descriptor.  0; -EBADF if it is none or O_PATH.  Maps a
 * page of it and unmaps it again, but never of a device.
 */
MSN_MUST_CHECK int msn_hostfile_examine(int fd, struct msn_hostfile_info *out);

/*
 * Is it /dev/zero?  Mapped, that is anonymous memory, private or shared, and no
 * host file: the caller makes the mapping without one.
 */
bool msn_hostfile_is_zero_device(int fd);

struct msn_hostfile_opts {
	int fd;		  /* taken over, also on failure */
	const char *path; /* shown in maps and saved; copied */
	bool buffered;	  /* never map it: move bytes by read and write */
	/* Who pays for referenced pages (MSN_ACCOUNT_MAPPED); or NULL. */
	struct msn_account_table *accounts;
	/* Most windows at a time; 0: MSN_HOSTFILE_WINDOWS_MAX. */
	size_t windows_max;
};

/*
 * Makes a mappable of an open regular file, memfd or block device.  -EBADF for
 * O_PATH, -EACCES if it is not open for reading; -ENODEV if it is of a kind
 * that cannot be mapped (directory, pipe, socket, character device, a file of
 * huge pages), and what mmap says if it refuses (a regular file then still can
 * be @buffered).  A descriptor that is O_DIRECT or O_APPEND is opened again
 * without, by /proc/self/fd, for what is not aligned; where that is refused,
 * the flags are taken off the descriptor.  The caller has one reference on the
 * identity.
 */
MSN_MUST_CHECK int msn_hostfile_new(struct msn_hostfile **out,
				    const struct msn_hostfile_opts *opts);

/* Opens @path and makes a host file of it.  0 or -errno. */
MSN_MUST_CHECK int msn_hostfile_open(struct msn_hostfile **out,
				     const char *path, bool writable);

struct msn_mappable *msn_hostfile_mappable(struct msn_hostfile *hf);
struct msn_identity *msn_hostfile_identity(struct msn_hostfile *hf);

/* The host file behind a mappable, or NULL if that is something else. */
struct msn_hostfile *msn_hostfile_of(struct msn_mappable *obj);

/*
 * What its descriptor was found to be when it was made; seals, which come at
 * any time, as they are now.
 */
struct msn_hostfile_info msn_hostfile_info(const struct msn_hostfile *hf);

/*
 * May shared mappings of it be written?  Opened for writing, not append-only,
 * and not sealed when it was made.
 */
bool msn_hostfile_writable(const struct msn_hostfile *hf);

/*
 * Sets the size, and invalidates in the order: size, mappings (private copies
 * too), pages.  The page that the new end lies in stays; the host makes its
 * rest zero.  0 or -errno, with nothing changed.
 * Locks: none of mm's is held.  Blocks.
 */
MSN_MUST_CHECK int msn_hostfile_truncate(struct msn_hostfile *hf,
					 uint64_t size);

/*
 * Asks the host for the size.  If the file now ends before pages that were
 * handed out, invalidates what lies past its end, private copies too, as the
 * kernel did for every process that maps it.  0 or -errno of fstat.
 * Locks: none of mm's is held.
 */
MSN_MUST_CHECK int msn_hostfile_revalidate(struct msn_hostfile *hf);

/* What a host file did so far, and what it holds. */
struct msn_hostfile_stats {
	uint64_t reads, read_bytes; /* buffered; system calls or requests */
	uint64_t writes, write_bytes;
	uint64_t submissions; /* of reads, many at once */
	uint64_t syncs;
	size_t windows;	       /* mapped now */
	uint64_t kept_bytes;   /* that could not be written yet */
	uint64_t mapped_bytes; /* of pages with references */
};

struct msn_hostfile_stats msn_hostfile_stats(struct msn_hostfile *hf);

/*
 * Most windows of all host files of this process together; 0: the default,
 * MSN_HOSTFILE_WINDOWS_TOTAL.  Windows that are there stay.
 */
void msn_hostfile_set_windows_total(size_t max);

/* Text of the first broken invariant, or NULL. */
const char *msn_hostfile_check(struct msn_hostfile *hf);

#endif /* MSN_HOSTFILE_HOSTFILE_H */
