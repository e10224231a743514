/*
 * Objects: what a process's mappings are mappings of.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Decides for each line of maps how it can be saved, and keeps one process
 * object for each thing that is mapped.  A file counts as found by its path
 * when the file that is there now, seen from the process's root, is the one
 * that is mapped.
 */
#ifndef MSN_CAPTURE_OBJECTS_H
#define MSN_CAPTURE_OBJECTS_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "capture/procobj.h"
#include "capture/target.h"

#include <stdint.h>

enum msn_mapped_kind {
	MSN_MAPPED_ANON = 1,	/* private memory, whatever its name */
	MSN_MAPPED_FILE,	/* a file that its path finds */
	MSN_MAPPED_OBJECT,	/* shared memory without a path */
	MSN_MAPPED_ORPHAN,	/* private pages of a file without a path */
	MSN_MAPPED_KERNEL,	/* the kernel's, without pages of its own */
	MSN_MAPPED_KERNEL_CODE, /* vdso: the kernel's, with pages */
};

struct msn_mapped {
	enum msn_mapped_kind kind;
	struct msn_procobj *obj; /* FILE, OBJECT, KERNEL*; borrowed */
};

struct msn_objects;

/* @t is stopped, and closed after the objects are freed. */
MSN_MUST_CHECK int msn_objects_new(struct msn_objects **out,
				   const struct msn_target *t,
				   uint64_t *read_bytes);

/* NULL is allowed.  Returns NULL. */
struct msn_objects *msn_objects_free(struct msn_objects *o);
MSN_DEFINE_AUTO(struct msn_objects, msn_objects_free)

/*
 * What @map is a mapping of.  PRECONDITION for what cannot be saved, with the
 * range and the name.
 */
MSN_MUST_CHECK int msn_objects_classify(struct msn_objects *o,
					const struct msn_proc_map *map,
					struct msn_mapped *out,
					struct msn_failure *why);

#endif /* MSN_CAPTURE_OBJECTS_H */
