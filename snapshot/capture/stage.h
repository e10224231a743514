/*
 * Stage: a process's private pages, copied out so that it may run on.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Storing pages takes several times as long as reading them.  Where there is
 * memory enough, they are first read into a buffer that was made ready before
 * the process was stopped; the process goes on, and the save reads the buffer.
 *
 *    empty -> full  [msn_stage_fill]
 *
 * A stage is a file whose offsets are the process's addresses.  Empty, it reads
 * the process; full, it shows the buffer and knows nothing else.
 */
#ifndef MSN_CAPTURE_STAGE_H
#define MSN_CAPTURE_STAGE_H

#include "base/cleanup.h"
#include "mapping/file.h"
#include "mm/mm.h"

#include <stdint.h>

struct msn_stage;

/*
 * Makes one with a buffer of @bytes, backed by memory already, or of none if
 * that cannot be had.  -ENOMEM: not even the stage itself.
 */
MSN_MUST_CHECK int msn_stage_new(struct msn_stage **out, uint64_t bytes);

/* NULL is allowed.  Returns NULL. */
struct msn_stage *msn_stage_free(struct msn_stage *s);
MSN_DEFINE_AUTO(struct msn_stage, msn_stage_free)

/* What placements point into. */
struct msn_file *msn_stage_file(struct msn_stage *s);

/* The process's memory, borrowed.  Once, before anything is read. */
void msn_stage_set_source(struct msn_stage *s, struct msn_file *source);

enum msn_stage_error {
	MSN_STAGE_E_FULL = 1, /* does not fit: the stage is as before */
};

/*
 * Reads every private page of @mm.  0; MSN_STAGE_E_FULL; or -errno (-EFAULT: a
 * page is gone) with the stage as it was.
 */
MSN_MUST_CHECK int msn_stage_fill(struct msn_stage *s, struct msn_mm *mm);

#endif /* MSN_CAPTURE_STAGE_H */
