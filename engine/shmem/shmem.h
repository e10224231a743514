/*
 * Shared memory object: what a memfd, an unlinked tmpfs file and shared
 * anonymous memory are to Linux.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A mappable with a size, whose pages come from the memory file one run at a
 * time: a hole costs nothing, however large the object.  Calls behave as the
 * Linux calls on a memfd and return what those return; the caller holds what
 * belongs to an open file (how it was opened, its position) and to a process.
 *
 * A page comes into being when it is written or touched through a mapping,
 * also by a read.  Bytes past the end, in the last page, are kept while the
 * size does not shrink, as in Linux.
 *
 * Life: counted on its identity.  The constructor gives one reference, to be
 * dropped with msn_identity_dec_ref(); the memory file outlives the object.
 *
 * Locks: MSN_RANK_MAPPINGS and MSN_RANK_MAPPABLE_DATA inside.  Calls that may
 * change the size (truncate, fallocate, a write past the end) and those that
 * invalidate (punch hole) take both, so they are called without mm's locks;
 * the others may be called with mm's locks held.
 */
#ifndef MSN_SHMEM_SHMEM_H
#define MSN_SHMEM_SHMEM_H

#include "account/account.h"
#include "base/cleanup.h"
#include "mapping/identity.h"
#include "mapping/mappable.h"
#include "mapping/mmap_opts.h"
#include "memfile/memfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct msn_shmem;

struct msn_shmem_opts {
	struct msn_memfile *memfile; /* borrowed */
	uint64_t size;		     /* bytes, up to INT64_MAX */
	const char *name; /* as maps shows it; NULL: "/dev/zero (deleted)" */
	msn_account_id account; /* pays for its pages */
	/*
	 * What one was that is made again; NULL: 0777, and F_SEAL_SEAL, so
	 * that nobody can seal it.
	 */
	const struct msn_shmem_was *was;
};

struct msn_shmem_was {
	unsigned mode;	/* permission bits */
	unsigned seals; /* F_SEAL_* */
};

/*
 * Makes an object without pages.  0; -EINVAL for a size that no file can have;
 * -ENOMEM.
 */
MSN_MUST_CHECK int msn_shmem_new(struct msn_shmem **out,
				 const struct msn_shmem_opts *opts);

/* The longest name of a memfd, in bytes. */
#define MSN_MEMFD_NAME_MAX 249

struct msn_memfd_opts {
	struct msn_memfile *memfile; /* borrowed */
	const char *name;	     /* shown as "/memfd:NAME (deleted)" */
	unsigned flags;		     /* MFD_* of memfd_create(2) */
	msn_account_id account;	     /* pays for its pages */
};

/*
 * memfd_create(2): an empty object.  -EINVAL: unknown flags, MFD_EXEC with
 * MFD_NOEXEC_SEAL, a name that is too long, or MFD_HUGETLB, of which there are
 * no pages.  MFD_CLOEXEC is the caller's matter.
 */
MSN_MUST_CHECK int msn_memfd_create(struct msn_shmem **out,
				    const struct msn_memfd_opts *opts);

struct msn_mappable *msn_shmem_mappable(struct msn_shmem *s);
struct msn_identity *msn_shmem_identity(struct msn_shmem *s);

/* Sets what an mmap maps; the reference stays the caller's. */
void msn_shmem_set_mapped(struct msn_shmem *s, struct msn_mmap_opts *opts);

/* The object behind a mappable, or NULL if that is something else. */
struct msn_shmem *msn_shmem_of(struct msn_mappable *obj);

struct msn_shmem_stat {
	uint64_t size_bytes;
	uint64_t allocated_bytes; /* 512 times st_blocks */
	uint64_t device, inode;
	unsigned mode; /* permission bits */
};

/* fstat(2).  0 or -errno. */
MSN_MUST_CHECK int msn_shmem_stat(struct msn_shmem *s,
				  struct msn_shmem_stat *out);

/*
 * fchmod(2): sets the bits 07777.  -EPERM where F_SEAL_EXEC keeps the bits of
 * execution.
 */
MSN_MUST_CHECK int msn_shmem_chmod(struct msn_shmem *s, unsigned mode);

/*
 * ftruncate(2).  -EINVAL below 0; -EPERM where a seal forbids it; -ENOMEM.
 * Shrinking invalidates the mappings of whole pages past the end, their private
 * copies too, and then frees the pages; what lies past the end in the last page
 * becomes zero, also when the size stays the same.
 */
MSN_MUST_CHECK int msn_shmem_truncate(struct msn_shmem *s, int64_t size);

/*
 * fallocate(2) with the modes 0, KEEP_SIZE and PUNCH_HOLE | KEEP_SIZE; others:
 * -EOPNOTSUPP.  -EINVAL, -EFBIG, -EPERM (a seal), -ENOMEM.  A punched hole
 * leaves private copies alone.
 */
MSN_MUST_CHECK int msn_shmem_fallocate(struct msn_shmem *s, int mode,
				       int64_t offset, int64_t len);

/*
 * pread(2) and pwrite(2): the bytes moved, fewer at the end of the object or
 * where something failed half way, or -errno: -EINVAL for an offset below 0 or
 * a range past INT64_MAX; -EPERM (a seal), -ENOMEM.  Reading allocates nothing.
 */
MSN_MUST_CHECK ssize_t msn_shmem_pread(struct msn_shmem *s, void *buf,
				       size_t len, int64_t offset);
MSN_MUST_CHECK ssize_t msn_shmem_pwrite(struct msn_shmem *s, const void *buf,
					size_t len, int64_t offset);

/*
 * lseek(2) with SEEK_DATA or SEEK_HOLE: the offset, or -ENXIO; -EINVAL for
 * another @whence, which is the open file's matter.
 */
MSN_MUST_CHECK int64_t msn_shmem_seek(struct msn_shmem *s, int64_t offset,
				      int whence);

/*
 * fcntl(F_ADD_SEALS) on a descriptor that is open for writing (else the caller
 * says -EPERM), and F_GET_SEALS.  -EINVAL: unknown seals; -EPERM: F_SEAL_SEAL
 * is set; -EBUSY: F_SEAL_WRITE with a shared mapping that may be written.
 */
MSN_MUST_CHECK int msn_shmem_add_seals(struct msn_shmem *s, unsigned seals);
unsigned msn_shmem_get_seals(struct msn_shmem *s);

/*
 * Gives an object that is made again its pages, whatever its seals say and
 * without changing its size.  The pages of @r come to be as zeros, written or
 * as fallocate() leaves them; msn_shmem_put() writes whole pages.  0 or -errno.
 */
MSN_MUST_CHECK int msn_shmem_populate(struct msn_shmem *s,
				      struct msn_obj_range r, bool written);
MSN_MUST_CHECK int msn_shmem_put(struct msn_shmem *s, const void *bytes,
				 size_t len, uint64_t offset);

/* In how many places the object is mapped: runs of addresses in a space. */
uint64_t msn_shmem_place_count(struct msn_shmem *s);

/* Text of the first broken invariant, or NULL. */
const char *msn_shmem_check(struct msn_shmem *s);

#endif /* MSN_SHMEM_SHMEM_H */
