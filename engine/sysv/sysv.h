/*
 * System V shared memory: segments, and the namespace that knows them by key
 * and by id.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A segment is a mappable over one shared memory object (shmem.h).  Calls take
 * the arguments of the Linux call and return 0 or what it returns, or -errno;
 * whoever calls says who it is (struct msn_sysv_cred), and the host of the
 * namespace says what time it is and which process is running.
 *
 * shmat() has two halves, with mm's mmap between them:
 *
 *    msn_sysv_shmat(ns, cred, id, addr, flags, &at);
 *    rc = msn_sysv_attached(&at, msn_mm_mmap(mm, &at.opts, &where));
 *
 * Locks: MSN_RANK_LEAF inside; the segment's object takes its own.  The host is
 * asked without a lock of this component, but from the mapping and unmapping of
 * a segment with mm's mapping lock held.
 */
#ifndef MSN_SYSV_SYSV_H
#define MSN_SYSV_SYSV_H

#include "account/account.h"
#include "base/cleanup.h"
#include "mapping/identity.h"
#include "mapping/mappable.h"
#include "mapping/mmap_opts.h"
#include "memfile/memfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_sysv;
struct msn_sysv_segment;
struct msn_sysv_host;

/* What the namespace asks of whoever runs the processes. */
struct msn_sysv_host_ops {
	int64_t (*now)(struct msn_sysv_host *host); /* seconds since 1970 */
	int32_t (*pid)(struct msn_sysv_host *host); /* of the calling process */
};

struct msn_sysv_host {
	const struct msn_sysv_host_ops *ops; /* set once */
};

struct msn_sysv_opts {
	struct msn_memfile *memfile; /* borrowed */
	struct msn_sysv_host *host;  /* borrowed */
	msn_account_id account;	     /* pays for the pages of segments */
	uint64_t shmmax; /* bytes of one segment; 0: Linux's default */
	uint64_t shmall; /* pages of all; 0: Linux's default */
	uint32_t shmmni; /* segments; 0: Linux's default, 4096 */
};

MSN_MUST_CHECK int msn_sysv_new(struct msn_sysv **out,
				const struct msn_sysv_opts *opts);

/*
 * Destroys every segment.  Before: none is mapped, and no shmat() is under way.
 * NULL is allowed.  Returns NULL.
 */
struct msn_sysv *msn_sysv_free(struct msn_sysv *ns);
MSN_DEFINE_AUTO(struct msn_sysv, msn_sysv_free)

/* Who calls. */
struct msn_sysv_cred {
	uint32_t uid, gid;	/* effective */
	const uint32_t *groups; /* supplementary; borrowed */
	size_t group_count;
	bool cap_ipc_owner, cap_ipc_lock, cap_sys_admin;
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK; UINT64_MAX: no limit */
};

/*
 * shmget(2): the id.  -ENOENT, -EEXIST, -EINVAL (too small, too large, larger
 * than what is there; SHM_HUGETLB, of which there are no pages), -EACCES,
 * -ENOSPC, -ENOMEM.
 */
MSN_MUST_CHECK int msn_sysv_shmget(struct msn_sysv *ns,
				   const struct msn_sysv_cred *cred,
				   int32_t key, uint64_t size, int flags);

/* A shmat() that is under way. */
struct msn_sysv_attach {
	struct msn_mmap_opts opts; /* for mm */
	struct msn_sysv_segment *segment;
};

/*
 * The first half of shmat(2): finds the segment, checks the rights and fills
 * @out->opts.  -EINVAL (id, address, flags), -EACCES, -ENOMEM.  On success the
 * segment stays until msn_sysv_attached(), which must follow.
 */
MSN_MUST_CHECK int msn_sysv_shmat(struct msn_sysv *ns,
				  const struct msn_sysv_cred *cred, int id,
				  uint64_t addr, int flags,
				  struct msn_sysv_attach *out);

/*
 * The second half: @rc is what mm's mmap said.  Returns what shmat(2) says,
 * which differs where something is mapped in the way: -EINVAL for -EEXIST.
 */
MSN_MUST_CHECK int msn_sysv_attached(struct msn_sysv_attach *at, int rc);

/*
 * shmdt(2): which mappings go.  Begin; show it every mapping of the space that
 * ends above @addr, in order of addresses, until it says STOP; unmap what it
 * says to TAKE; end.
 */
struct msn_sysv_detach {
	uint64_t addr;
	const struct msn_identity *of; /* the attachment, once it is found */
	uint64_t length;	       /* of its segment, in whole pages */
};

enum msn_sysv_detach_verdict {
	MSN_SYSV_DETACH_SKIP = 1,
	MSN_SYSV_DETACH_TAKE,
	MSN_SYSV_DETACH_STOP, /* nor anything above it */
};

/* -EINVAL: @addr is not page aligned. */
MSN_MUST_CHECK int msn_sysv_detach_begin(struct msn_sysv_detach *d,
					 uint64_t addr);
enum msn_sysv_detach_verdict
msn_sysv_detach_look(struct msn_sysv_detach *d, struct msn_addr_range ar,
		     struct msn_mappable *mappable,
		     const struct msn_identity *identity, uint64_t offset);
/* 0, or -EINVAL when nothing was attached at the address. */
MSN_MUST_CHECK int msn_sysv_detach_end(const struct msn_sysv_detach *d);

/* What IPC_STAT says. */
struct msn_sysv_stat {
	int32_t key;
	uint32_t uid, gid, cuid, cgid;
	unsigned mode; /* with SHM_DEST and SHM_LOCKED */
	unsigned seq;
	uint64_t size_bytes;
	int64_t atime, dtime, ctime; /* seconds; 0: never */
	int32_t cpid, lpid;	     /* lpid 0: nobody yet */
	uint64_t nattch;
};

/* shmctl(IPC_STAT).  -EINVAL, -EACCES. */
MSN_MUST_CHECK int msn_sysv_stat(struct msn_sysv *ns,
				 const struct msn_sysv_cred *cred, int id,
				 struct msn_sysv_stat *out);

/*
 * shmctl(IPC_SET): owner, group and the permission bits of @mode.  -EINVAL (id,
 * or an owner that is -1), -EPERM.
 */
MSN_MUST_CHECK int msn_sysv_set(struct msn_sysv *ns,
				const struct msn_sysv_cred *cred, int id,
				uint32_t uid, uint32_t gid, unsigned mode);

/*
 * shmctl(IPC_RMID): the segment goes at once, or with its last mapping; until
 * then its id still works, and its key is free.  -EINVAL, -EPERM.
 */
MSN_MUST_CHECK int msn_sysv_remove(struct msn_sysv *ns,
				   const struct msn_sysv_cred *cred, int id);

/*
 * shmctl(SHM_LOCK or SHM_UNLOCK): counts who locked how much; pages are not
 * touched.  -EINVAL, -EPERM, -ENOMEM (over the limit).
 */
MSN_MUST_CHECK int msn_sysv_lock(struct msn_sysv *ns,
				 const struct msn_sysv_cred *cred, int id,
				 bool lock);

struct msn_sysv_usage {
	uint32_t segments;
	uint64_t pages; /* of all segments, whether they exist or not */
};

/* What the limits are held against. */
struct msn_sysv_usage msn_sysv_usage(struct msn_sysv *ns);

#endif /* MSN_SYSV_SYSV_H */
