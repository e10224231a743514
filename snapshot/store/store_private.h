/*
 * What the files of the store share.  Private to this component and its tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_STORE_STORE_PRIVATE_H
#define MSN_STORE_STORE_PRIVATE_H

#include "index/index.h"
#include "pack/frame_writer.h"
#include "pack/pack_file.h"
#include "store/store.h"

#define STORE_CATALOG "catalog"
#define STORE_PACKS "packs"
#define STORE_LOCK "lock"
#define STORE_MARKER "memsnap-store"
#define STORE_MARKER_TMP "memsnap-store.tmp"

/*
 * Spare packs kept: 1 GiB of disk that a next save writes at full speed.  More
 * would keep too much from others.
 */
#define STORE_SPARES_MAX 16

struct msn_store {
	char *path;
	int dir, packs; /* descriptors of the folders */
	bool read_only;
	bool direct; /* packs are written past the page cache */
	enum msn_aio_method method;
	struct msn_uid uid;
	struct msn_index *index;
	struct msn_aio *aio; /* the writer's */
	int lock;	     /* kept by msn_store_lock(), or -1 */
	bool writing; /* a writer is open: it has the lock, or uses ours */
};

/* ---- marker.c: what the folder is ---------------------------------------- */

#define STORE_VERSION 1

enum store_marker_error {
	STORE_MARKER_E_ABSENT = 1, /* no such file */
};

/* Fills @why but for STORE_MARKER_E_ABSENT. */
int store_marker_read(int dir, const char *path, struct msn_uid *uid,
		      struct msn_failure *why);

/* Durable, and all or nothing. */
int store_marker_write(int dir, struct msn_uid uid);

/* ---- create.c ------------------------------------------------------------ */

/* Makes the store's folders, catalog and marker in folder @dir. */
int store_create(int dir, const char *path, struct msn_failure *why);

/* "<path>/catalog" for free(), or NULL. */
char *store_catalog_path(const char *path);

/* ---- lock.c: the one who writes ------------------------------------------ */

/*
 * Takes the writer's lock, which the descriptor holds until it is closed.
 * -EBUSY / UNAVAILABLE names the process that has it.
 */
int store_lock(int dir, const char *path, int *fd, struct msn_failure *why);

/* PRECONDITION if the store was opened read-only. */
int store_writable(const struct msn_store *store, struct msn_failure *why);

/*
 * Begins to write through this store, which one at a time may: *@fd is the
 * lock, or -1 where the store keeps it.  Ended by store_write_end().
 */
int store_write_begin(struct msn_store *store, int *fd,
		      struct msn_failure *why);
void store_write_end(struct msn_store *store, int fd);

/* ---- packs.c: files of packs, under the writer's lock ---------------------
 */

enum store_pack_origin {
	STORE_PACK_APPENDED, /* the open pack of the catalog */
	STORE_PACK_RECYCLED,
	STORE_PACK_NEW,
};

struct store_taken {
	uint64_t id;
	enum store_pack_origin origin;
};

/* Where a save gets its packs from. */
struct store_packs {
	struct msn_pack_supply supply;
	struct msn_store *store;
	struct msn_index_pack open; /* id 0: none, or taken already */
	char (*spares)[MSN_PACK_NAME];
	size_t spare_count, spare_cap;
	uint64_t next_id;
	struct store_taken *taken;
	size_t taken_count, taken_cap;
};

/*
 * Looks at the catalog and the folder: what no snapshot needs becomes a spare
 * or goes.  The writer's lock is held.
 */
int store_packs_init(struct store_packs *p, struct msn_store *store,
		     struct msn_failure *why);
void store_packs_deinit(struct store_packs *p);

/* New names are on disk when this returns. */
int store_packs_sync(const struct store_packs *p);

/*
 * Takes back what was taken and not published.  @doubtful: the disk failed, no
 * block of theirs is trusted again.
 */
void store_packs_give_up(struct store_packs *p, bool doubtful);

/* Removes spares to free their space. */
void store_packs_drop_spares(struct msn_store *store);

/* Counts the spare files.  Needs no lock. */
int store_packs_count_spares(struct msn_store *store, uint64_t *count);

/* Which packs of its table does @m use?  An array for free(), or NULL. */
bool *store_packs_used(const struct msn_manifest *m);

/* ---- load.c ---------------------------------------------------------------
 */

/*
 * Opens a pack for @uid, which needs it, and locks it against recycling.
 * Fills @why: removed meanwhile, missing, damaged, not the one.
 */
int store_pack_open(struct msn_store *store, struct msn_uid uid,
		    struct msn_manifest_pack pack, int *fd,
		    struct msn_failure *why);

/* NOT_FOUND for snapshot @uid. */
int store_no_snapshot(const struct msn_store *store, struct msn_uid uid,
		      struct msn_failure *why);

/* ---- list.c --------------------------------------------------------------
 */

void store_info_from(struct msn_snapshot_info *info,
		     const struct msn_index_snapshot *s);

/* ---- beside.c ------------------------------------------------------------
 */

/* An outcome of the index about a snapshot as one of the store. */
int store_outcome(const struct msn_store *store, struct msn_uid uid,
		  const char *name, int rc, struct msn_failure *why);

/* ---- store.c --------------------------------------------------------------
 */

/* For tests: what the writer's requests go through.  Owns @aio. */
void store_set_aio(struct msn_store *store, struct msn_aio *aio);

#endif /* MSN_STORE_STORE_PRIVATE_H */
