/*
 * Pack files: made, taken anew, opened, retired.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    <16 digits of id>.pack     in use (or left behind by a crash)
 *    <16 digits>.spare          used up, waits to become a pack again
 *
 * A spare keeps its blocks: writing them again is two to three times faster
 * than the first time.  Its next life has the next generation in its header,
 * written and synced before any frame, so that what is left of the old life
 * cannot pass as new.
 *
 * Readers hold a shared flock() on a pack; who retires it or takes a spare
 * needs the exclusive one and leaves the file alone when somebody reads it.
 *
 * Directories are given as descriptors.  Making names durable (fsync of the
 * directory) is the caller's.
 */
#ifndef MSN_PACK_PACK_FILE_H
#define MSN_PACK_PACK_FILE_H

#include "base/cleanup.h"
#include "pack/pack_format.h"

#include <stdbool.h>

#define MSN_PACK_SUFFIX ".pack"
#define MSN_SPARE_SUFFIX ".spare"
#define MSN_PACK_NAME 32 /* bytes for any file name here */

void msn_pack_name(uint64_t id, char *out);

/* Is it the name of a pack?  Then its id. */
bool msn_pack_parse_name(const char *name, uint64_t *id);
bool msn_pack_is_spare_name(const char *name);

/* Does this file system take O_DIRECT?  Tells what the functions below do. */
bool msn_pack_direct(int dirfd);

/*
 * Makes the file of a new pack, all its space reserved, its header written but
 * not synced.  *@fd: for writing.
 */
MSN_MUST_CHECK int msn_pack_create(int dirfd, const struct msn_pack_header *h,
				   bool direct, int *fd);

/*
 * Makes spare file @spare the pack @h.id: h.generation is set to the one after
 * the file's last.  The header is on disk when this returns.
 * MSN_PACK_E_BUSY: somebody still reads it.  MSN_PACK_E_DAMAGED: it was no
 * whole pack and is gone now.
 */
MSN_MUST_CHECK int msn_pack_recycle(int dirfd, const char *spare,
				    struct msn_pack_header *h, bool direct,
				    int *fd);

/*
 * Opens a pack to append to, with its header compared with @h.
 * MSN_PACK_E_DAMAGED, _NEWER, _OTHER: do not.
 */
MSN_MUST_CHECK int msn_pack_open_append(int dirfd,
					const struct msn_pack_header *h,
					bool direct, int *fd);

/*
 * Opens a pack to read, holding the shared lock until *@fd is closed, with its
 * header compared with @h.  MSN_PACK_E_DAMAGED, _NEWER, _OTHER; MSN_PACK_E_BUSY
 * when it is being taken anew at this moment.
 */
MSN_MUST_CHECK int msn_pack_open_read(int dirfd,
				      const struct msn_pack_header *h, int *fd);

/*
 * Makes file @name (a pack that nothing refers to) a spare, or removes it
 * unless @keep.  MSN_PACK_E_BUSY: somebody still reads it.
 */
MSN_MUST_CHECK int msn_pack_retire(int dirfd, const char *name, bool keep);

#endif /* MSN_PACK_PACK_FILE_H */
