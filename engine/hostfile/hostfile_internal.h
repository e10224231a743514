/*
 * Host file: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * hostfile.c   its life, and as an identity
 * examine.c    what a descriptor is
 * mappable.c   as a mappable: who maps it, translations, its size
 * truncate.c   size, holes
 * pages.c      as a file: references, windows, residency
 * reclaim.c    windows that nobody uses, over all host files
 * buffered.c   bytes by read and write
 * aio_pool.c   aios that buffered reads borrow
 * kept.c       bytes that could not be written yet
 * writeback.c  msync
 */
#ifndef MSN_HOSTFILE_HOSTFILE_INTERNAL_H
#define MSN_HOSTFILE_HOSTFILE_INTERNAL_H

#include "aio/aio.h"
#include "base/lock.h"
#include "block/window.h"
#include "hostfile/hostfile.h"
#include "mapping/mapping_set.h"
#include "mapping/page_counts.h"

#include <stdatomic.h>

/* Bytes that a failed write left, not in the file yet. */
struct msn_kept {
	struct msn_kept *next; /* higher offsets */
	struct msn_file_range range;
	char bytes[];
};

struct msn_hostfile_counters {
	atomic_uint_fast64_t reads, read_bytes, writes, write_bytes;
	atomic_uint_fast64_t submissions, syncs;
};

struct msn_hostfile {
	struct msn_mappable mappable;
	struct msn_identity identity;
	struct msn_file file;
	atomic_uint refs;
	int fd;	       /* set once: as it was given */
	int io_fd;     /* set once: for any read or write; may be @fd */
	int window_fd; /* set once: for windows; may be @fd */
	bool direct;   /* set once: @fd is O_DIRECT and @io_fd is not */
	bool writable; /* set once: by shared mappings */
	bool is_block; /* set once: a block device */
	struct msn_hostfile_info info; /* set once */
	char *path;		       /* set once */
	uint64_t dev, inode;	       /* set once */
	size_t windows_max;	       /* set once */
	atomic_bool buffered;	       /* only ever becomes true */

	/* The highest page end that the file had since it was looked at. */
	atomic_uint_fast64_t handed_out;

	struct msn_mutex maps_lock;	/* rank MSN_RANK_MAPPINGS */
	struct msn_mapping_set *mapped; /* under maps_lock */

	struct msn_mutex lock;	       /* rank MSN_RANK_FILE */
	struct msn_page_counts counts; /* under lock */
	struct msn_windows windows;    /* opened and closed under lock */
	size_t window_count;	       /* under lock */

	/* Writing: buffered writes.  Excludes sizes changing under them. */
	struct msn_rwlock io_lock; /* rank MSN_RANK_FILE */
	struct msn_kept *kept;	   /* in order; changed under io_lock write */
	uint64_t kept_bytes;	   /* under io_lock */
	atomic_bool has_kept;	   /* a hint: nothing is kept if false */
	/* How often kept bytes got into the file; under io_lock write. */
	atomic_uint_fast64_t kept_written;
	atomic_uint_fast64_t errors, errors_told; /* of writing back */

	struct msn_hostfile *prev, *next; /* reclaim.c: under its lock */
	struct msn_hostfile_counters did;
};

/* hostfile.c */
bool msn_hostfile_try_ref(struct msn_hostfile *hf);
int msn_hostfile_size(const struct msn_hostfile *hf, uint64_t *size);
/* The page end of @size. */
uint64_t msn_hostfile_page_end(uint64_t size);

/* mappable.c */
extern const struct msn_mappable_ops msn_hostfile_mappable_ops;
struct msn_hostfile *msn_hostfile_of_mappable(struct msn_mappable *obj);
/* Is it sealed against writers now?  Seals may come at any time. */
bool msn_hostfile_is_sealed(const struct msn_hostfile *hf);
/* With maps_lock held. */
void msn_hostfile_invalidate_locked(struct msn_hostfile *hf,
				    struct msn_obj_range r, bool copies_too);
int msn_hostfile_revalidate_locked(struct msn_hostfile *hf);

/* truncate.c */
int msn_hostfile_punch_hole(struct msn_mappable *obj, struct msn_obj_range r);

/* pages.c */
extern const struct msn_file_ops msn_hostfile_file_ops;
struct msn_hostfile *msn_hostfile_of_file(struct msn_file *file);

/* reclaim.c: the list of all host files, and the windows they share. */
void msn_hostfile_enlist(struct msn_hostfile *hf);
void msn_hostfile_delist(struct msn_hostfile *hf);
/* Takes room for one more window of this process.  False: there is none. */
bool msn_hostfile_take_slot(void);
void msn_hostfile_give_slots(size_t count);
/* Closes one window of @hf, or all, that nobody refers to.  Its lock is held.
 */
size_t msn_hostfile_close_unused(struct msn_hostfile *hf, bool every);
/* Closes unused windows of every host file.  No lock of rank FILE is held. */
void msn_hostfile_reclaim(void);

/* buffered.c: members of struct msn_file_ops. */
int msn_hostfile_read_at(struct msn_file *file, uint64_t offset, void *buf,
			 size_t len, size_t *done);
int msn_hostfile_read_batch(struct msn_file *file, const struct msn_file_io *io,
			    size_t count);
int msn_hostfile_write_at(struct msn_file *file, uint64_t offset,
			  const void *buf, size_t len, size_t *done);
/* Counts one write to the host, and makes it fail where a test asks for it. */
int msn_hostfile_write_host(struct msn_hostfile *hf, uint64_t offset,
			    const void *buf, size_t len);

/* aio_pool.c: NULL where there is no memory.  Belongs to the caller. */
struct msn_aio *msn_hostfile_aio_take(void);
void msn_hostfile_aio_give(struct msn_aio *aio);
/* Frees those that nobody borrowed. */
void msn_hostfile_aio_clear(void);

/* kept.c.  The caller holds io_lock: for reading, or for writing (W). */
/* Puts kept bytes of @r over @buf, which holds the bytes of @r. */
void msn_hostfile_kept_show(struct msn_hostfile *hf, struct msn_file_range r,
			    char *buf);
/* W: bytes of @r that are kept become those in @buf; NULL: zero. */
void msn_hostfile_kept_update(struct msn_hostfile *hf, struct msn_file_range r,
			      const char *buf);
/* W: keeps all of @r.  0, -ENOMEM; -ENOSPC past MSN_HOSTFILE_KEPT_BYTES. */
int msn_hostfile_kept_add(struct msn_hostfile *hf, struct msn_file_range r,
			  const char *buf);
/* W: forgets what lies at @start and above. */
void msn_hostfile_kept_cut(struct msn_hostfile *hf, uint64_t start);
/* W: writes again what meets @r; what cannot be written stays. */
int msn_hostfile_kept_write(struct msn_hostfile *hf, struct msn_file_range r);

/* writeback.c */
int msn_hostfile_msync(struct msn_identity *id, struct msn_obj_range r);
int msn_hostfile_invalidate_unsavable(struct msn_mappable *obj);

#endif /* MSN_HOSTFILE_HOSTFILE_INTERNAL_H */
