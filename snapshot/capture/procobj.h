/*
 * Process object: what a process has mapped, as mappable and identity in one.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One for each file that the process maps and that is saved in the same way:
 *
 *    PATH     a regular file that still is where its name says
 *    CONTENT  shared memory that has no (or no longer any) name: memfd, SysV,
 *             shared anonymous, a deleted file.  Keyed by device and inode, so
 *             that it is saved once however often it is mapped
 *    KERNEL   vdso and the like
 *
 * Bytes come from the object itself where it can be opened (which finds its
 * holes, and what is not mapped), else from the process, at whichever address
 * maps that offset.
 *
 * Locks: none; places are added before anybody else sees the object.
 */
#ifndef MSN_CAPTURE_PROCOBJ_H
#define MSN_CAPTURE_PROCOBJ_H

#include "base/cleanup.h"
#include "mapping/identity.h"
#include "mapping/mappable.h"

#include <stdint.h>

struct msn_procobj_opts {
	enum msn_saved_as as;
	const char *name; /* copied */
	uint64_t dev;	  /* as by makedev() */
	uint64_t inode;
	struct msn_file_identity file; /* of a PATH */
	struct msn_file *memory;       /* the process's, borrowed */
	int fd; /* the object, open for reading, taken over; or -1 */
	uint64_t *read_bytes; /* counts what was read through @fd */
};

struct msn_procobj;

/* The caller has one reference on its identity.  -ENOMEM closes the fd too. */
MSN_MUST_CHECK int msn_procobj_new(struct msn_procobj **out,
				   const struct msn_procobj_opts *opts);

struct msn_identity *msn_procobj_identity(struct msn_procobj *o);
struct msn_mappable *msn_procobj_mappable(struct msn_procobj *o);
const struct msn_procobj_opts *msn_procobj_opts(const struct msn_procobj *o);

/*
 * Says where the process has @r of the object.  Of parts that are mapped twice
 * any will do: it is the same memory.  -ENOMEM.
 */
MSN_MUST_CHECK int msn_procobj_add_place(struct msn_procobj *o,
					 struct msn_obj_range r, uint64_t addr);

/* Sets the size of a CONTENT, page aligned. */
void msn_procobj_set_size(struct msn_procobj *o, uint64_t size_bytes);
uint64_t msn_procobj_size(const struct msn_procobj *o);

#endif /* MSN_CAPTURE_PROCOBJ_H */
