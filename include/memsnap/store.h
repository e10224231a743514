/*
 * Store: a folder of snapshots.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One process writes to a store at a time, any number read meanwhile; no server
 * is needed.  A snapshot is there as a whole or not at all: when a save has
 * returned 0 it survives a crash of the machine.
 *
 * Threads: a handle is used by the thread that opened it.  Other threads open
 * their own only if they belong to another process; within one process a store
 * is opened once.
 * Fork: not to be used in a forked child (-EPERM); see memsnap.h.
 * Blocking: all functions may wait for the disk.
 */
#ifndef MEMSNAP_STORE_H
#define MEMSNAP_STORE_H

#include <memsnap/error.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct memsnap_store;

/* Names a snapshot for ever: 128 random bits.  All zero: none. */
struct memsnap_uid {
	uint8_t bytes[16];
};

/* 32 lower-case hexadecimal digits and a terminating zero. */
#define MEMSNAP_UID_TEXT 33

/* Writes MEMSNAP_UID_TEXT bytes to @out.  Any thread; does not block. */
void memsnap_uid_format(const struct memsnap_uid *uid, char *out);

enum memsnap_store_flags {
	/* Make the store if the folder is missing or empty. */
	MEMSNAP_STORE_CREATE = 1 << 0,
	/* Never write; works on a store that this user may only read. */
	MEMSNAP_STORE_READ_ONLY = 1 << 1,
};

struct memsnap_store_opts {
	size_t size;	  /* sizeof(struct memsnap_store_opts) */
	const char *path; /* of the folder */
	uint32_t flags;	  /* enum memsnap_store_flags */
};

/*
 * Opens a store.  *@out is the caller's, to be closed with
 * memsnap_store_close().  NOT_FOUND if there is none and none is to be made;
 * INVALID if the folder is something else; UNSUPPORTED if its format is newer.
 */
MEMSNAP_MUST_CHECK int memsnap_store_open(struct memsnap_store **out,
					  const struct memsnap_store_opts *opts,
					  struct memsnap_error *err);

/*
 * Closes a store; NULL is allowed.  Images that were opened on demand from it
 * must be closed before.
 */
void memsnap_store_close(struct memsnap_store *store);

/* What a save found, in bytes. */
struct memsnap_stats {
	size_t size; /* sizeof(struct memsnap_stats), set by whoever made it */
	uint64_t mapped_bytes;	  /* length of all mappings */
	uint64_t private_bytes;	  /* the snapshot's own pages, without zeros */
	uint64_t stored_bytes;	  /* pages that this save added to the store */
	uint64_t inherited_bytes; /* pages that are the parent's */
	uint64_t deduped_bytes;	  /* pages equal to another one of this save */
	uint64_t zero_bytes;	  /* pages found to be all zero */
};

/* What a listing shows of a snapshot. */
struct memsnap_snapshot_info {
	size_t size; /* sizeof(struct memsnap_snapshot_info), see above */
	struct memsnap_uid uid;
	struct memsnap_uid parent; /* all zero: none */
	char name[64];		   /* "" for none */
	char origin[64];	   /* what was saved, for people */
	int64_t created_ns;	   /* since the epoch */
	uint64_t mapping_count;
	struct memsnap_stats stats;
};

/*
 * Calls @fn for each snapshot, oldest first; @info is valid during the call
 * only.  Stops at the first result that is not 0 and returns it.  @fn must not
 * call into the store.
 */
typedef int (*memsnap_snapshot_fn)(void *ctx,
				   const struct memsnap_snapshot_info *info);
MEMSNAP_MUST_CHECK int memsnap_store_list(struct memsnap_store *store,
					  memsnap_snapshot_fn fn, void *ctx,
					  struct memsnap_error *err);

/*
 * Fills @info (its size is set) about one snapshot.  @ref is a name, a uid, or
 * a unique prefix of a uid of at least four digits; a name wins.  NOT_FOUND, or
 * INVALID for a prefix that fits several.
 */
MEMSNAP_MUST_CHECK int memsnap_store_info(struct memsnap_store *store,
					  const char *ref,
					  struct memsnap_snapshot_info *info,
					  struct memsnap_error *err);

/*
 * Forgets a snapshot and takes back the space that no other one needs.
 * Snapshots saved with it as their parent stay whole.  UNAVAILABLE while
 * another process writes.
 */
MEMSNAP_MUST_CHECK int memsnap_store_remove(struct memsnap_store *store,
					    const char *ref,
					    struct memsnap_error *err);

#ifdef __cplusplus
}
#endif

#endif /* MEMSNAP_STORE_H */
