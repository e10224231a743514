/*
 * Changing what a host file holds: its size, and holes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host does the work on pages: it makes the rest of the last page zero,
 * unmaps what lies past the end from every process and frees it.  What it does
 * not know are the copies and the placements of our spaces.
 */
#include "hostfile/hostfile_internal.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Nobody writes buffered meanwhile, which might make it longer again. */
static int set_size(struct msn_hostfile *hf, uint64_t size)
{
	msn_write_scope(&hf->io_lock);
	if (msn_fault("hostfile.truncate"))
		return msn_fail(-EIO);
	if (ftruncate(hf->fd, (off_t)size) < 0)
		return msn_fail(-errno);
	msn_hostfile_kept_cut(hf, size);
	return 0;
}

int msn_hostfile_truncate(struct msn_hostfile *hf, uint64_t size)
{
	uint64_t end = msn_hostfile_page_end(size);
	int rc;

	if (size > INT64_MAX)
		return msn_fail(-EFBIG);
	/* To the end: who makes it longer meets no copies that are to go. */
	msn_lock_scope(&hf->maps_lock);
	rc = msn_hostfile_revalidate_locked(hf);
	if (rc == 0)
		rc = set_size(hf, size);
	if (rc)
		return msn_pass(rc);
	/* The size is published: nothing past it is translated any more. */
	atomic_store_explicit(&hf->handed_out, end, memory_order_relaxed);
	msn_hostfile_invalidate_locked(
		hf, (struct msn_obj_range){ end, msn_page_down(UINT64_MAX) },
		true);
	return 0;
}

static int punch(struct msn_hostfile *hf, struct msn_obj_range r)
{
	msn_write_scope(&hf->io_lock);
	if (msn_fault("hostfile.punch"))
		return msn_fail(-EIO);
	if (fallocate(hf->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)r.start, (off_t)msn_obj_range_length(r)) < 0)
		return msn_fail(-errno);
	msn_hostfile_kept_update(hf, (struct msn_file_range){ r.start, r.end },
				 NULL);
	return 0;
}

int msn_hostfile_punch_hole(struct msn_mappable *obj, struct msn_obj_range r)
{
	struct msn_hostfile *hf = msn_hostfile_of_mappable(obj);
	int rc;

	if (r.end > INT64_MAX)
		return msn_fail(-EFBIG);
	msn_lock_scope(&hf->maps_lock);
	rc = msn_hostfile_revalidate_locked(hf);
	if (rc == 0)
		rc = punch(hf, r);
	if (rc == 0)
		msn_hostfile_invalidate_locked(hf, r, false);
	return msn_pass(rc);
}
