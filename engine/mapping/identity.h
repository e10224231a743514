/*
 * Mapping identity: what a mapping is a mapping of, for people and for life
 * time.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Several identities (open files) may share one mappable (an inode).  A
 * mappable is valid as long as a reference on an identity of it is held.
 *
 * Locks: inc_ref() may be called under any lock; dec_ref() may free the object
 * and so only with no mm lock held: mm collects what it dropped and lets go
 * after unlocking.
 */
#ifndef MSN_MAPPING_IDENTITY_H
#define MSN_MAPPING_IDENTITY_H

#include "base/cleanup.h"
#include "range/range.h"

#include <stddef.h>
#include <stdint.h>

struct msn_identity;

/* What a file was when it was mapped: enough to find it again and to tell. */
struct msn_file_identity {
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	uint64_t size_bytes;
	int64_t mtime_ns; /* since the epoch */
};

struct stat;

/* What stat() says of a file. */
struct msn_file_identity msn_file_identity_of(const struct stat *st);

/* How an object goes into a snapshot. */
enum msn_saved_as {
	MSN_SAVED_AS_PATH = 1, /* by mapped_name(): it is opened again */
	MSN_SAVED_AS_CONTENT,  /* by its bytes: nothing else could find it */
	MSN_SAVED_AS_KERNEL,   /* not at all: every process gets its own */
};

struct msn_identity_saved {
	enum msn_saved_as as;
	struct msn_file_identity file; /* AS_CONTENT: size_bytes is needed */
	/*
	 * AS_CONTENT: permission bits (07777) and F_SEAL_*, if the object's
	 * mappable knows its pages (next_allocated() of mappable.h).
	 */
	unsigned mode, seals;
};

struct msn_identity_ops {
	const char *name;

	void (*inc_ref)(struct msn_identity *id);
	void (*dec_ref)(struct msn_identity *id);

	/*
	 * The text that a maps listing shows, e.g. the path.  Borrowed; lives
	 * as long as the identity.  Never NULL; "" shows nothing.
	 */
	const char *(*mapped_name)(struct msn_identity *id);

	/* Device and inode for a maps listing, 0 where there is none. */
	uint64_t (*device_id)(struct msn_identity *id); /* as by makedev() */
	uint64_t (*inode_id)(struct msn_identity *id);

	/*
	 * Writes back the dirty pages of @r: fsync of the data.  0 or -errno.
	 * Blocks.
	 */
	int (*msync)(struct msn_identity *id, struct msn_obj_range r);

	/*
	 * Optional: 0 and how a snapshot holds the object; -EOPNOTSUPP when it
	 * cannot be saved (a device, a socket).  Default: -EOPNOTSUPP.
	 */
	int (*save)(struct msn_identity *id, struct msn_identity_saved *out);
};

struct msn_identity {
	const struct msn_identity_ops *ops; /* set once */
};

/* See struct msn_identity_ops.  NULL is allowed for the two counters. */
void msn_identity_inc_ref(struct msn_identity *id);
void msn_identity_dec_ref(struct msn_identity *id);
const char *msn_identity_mapped_name(struct msn_identity *id);
uint64_t msn_identity_device_id(struct msn_identity *id);
uint64_t msn_identity_inode_id(struct msn_identity *id);
MSN_MUST_CHECK int msn_identity_msync(struct msn_identity *id,
				      struct msn_obj_range r);
MSN_MUST_CHECK int msn_identity_save(struct msn_identity *id,
				     struct msn_identity_saved *out);

static inline void msn_identity_dec_refp(struct msn_identity **id)
{
	msn_identity_dec_ref(*id);
}

#endif /* MSN_MAPPING_IDENTITY_H */
