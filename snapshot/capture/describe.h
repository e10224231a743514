/*
 * Describe: a stopped process as a space.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One mapping of the space for each line of the process's maps, with the same
 * name, rights and offsets; private pages are placements in the process's
 * memory.  Nothing is read yet but what says which pages there are.
 *
 *    anonymous memory        the pages that were written
 *    private, of a file      the pages that differ from the file's
 *    private, of a file      all pages: nobody else has them any more
 *      without a name
 *    shared, of a file       no pages: the file has them
 *    shared, without a name  the object's bytes, once
 *    vdso                    its pages
 *    vvar, vsyscall          no pages: they are the kernel's
 *    device memory           refused
 */
#ifndef MSN_CAPTURE_DESCRIBE_H
#define MSN_CAPTURE_DESCRIBE_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "capture/target.h"
#include "mm/mm.h"

#include <stdbool.h>
#include <stdint.h>

struct msn_describe_opts {
	struct msn_file *memory; /* what private pages are placements in */
	/* Counts what is read from objects beside the process's memory. */
	uint64_t *object_bytes;
};

/*
 * Fills the empty @mm, which must go before @t is closed and @opts->memory
 * freed.  PRECONDITION names a mapping that cannot be captured.
 */
MSN_MUST_CHECK int msn_describe(struct msn_target *t, struct msn_mm *mm,
				const struct msn_describe_opts *opts,
				struct msn_failure *why);

/* Does @mm map shared memory that is saved by its bytes? */
bool msn_described_has_objects(struct msn_mm *mm);

#endif /* MSN_CAPTURE_DESCRIBE_H */
