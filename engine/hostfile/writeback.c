/*
 * Writing back: msync of a range of a host file.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pages that are dirty are the kernel's to know, so it is asked to write those
 * of the range: by msync() on a mapping made for the call, which is the one
 * system call that syncs a range with its metadata and tells of errors since
 * the last time.  Nothing that is clean is written.  Where no mapping can be
 * had, fdatasync() does the whole file.
 */
#include "hostfile/hostfile_internal.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* The most that one mapping covers: any file of today, any address space. */
#define SYNC_BYTES_MAX (UINT64_C(1) << 40)

/* 0 or -errno; *@mapped says whether it could be asked this way. */
static int sync_mapped(struct msn_hostfile *hf, struct msn_obj_range r,
		       bool *mapped)
{
	size_t len = msn_obj_range_length(r);
	void *at;
	int rc;

	*mapped = false;
	if (len > SYNC_BYTES_MAX)
		return 0;
	at = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_NORESERVE, hf->fd,
		  (off_t)r.start);
	if (at == MAP_FAILED)
		return 0;
	*mapped = true;
	rc = msync(at, len, MS_SYNC) < 0 ? -errno : 0;
	munmap(at, len);
	return rc ? msn_fail(rc) : 0;
}

static int sync_host(struct msn_hostfile *hf, struct msn_obj_range r)
{
	bool mapped;
	int rc;

	atomic_fetch_add_explicit(&hf->did.syncs, 1, memory_order_relaxed);
	if (msn_fault("hostfile.msync"))
		return msn_fail(-EIO);
	rc = sync_mapped(hf, r, &mapped);
	if (mapped)
		return msn_pass(rc);
	return fdatasync(hf->fd) < 0 ? msn_fail(-errno) : 0;
}

static int write_kept(struct msn_hostfile *hf, struct msn_file_range r)
{
	int rc;

	if (!atomic_load_explicit(&hf->has_kept, memory_order_acquire))
		return 0;
	msn_write_scope(&hf->io_lock);
	rc = msn_hostfile_kept_write(hf, r);
	if (rc)
		atomic_fetch_add(&hf->errors, 1);
	return msn_pass(rc);
}

/* Was there an error since the last time that somebody asked? */
static bool has_new_error(struct msn_hostfile *hf)
{
	uint_fast64_t errors = atomic_load(&hf->errors);

	return atomic_exchange(&hf->errors_told, errors) != errors;
}

int msn_hostfile_msync(struct msn_identity *id, struct msn_obj_range r)
{
	struct msn_hostfile *hf =
		msn_container_of(id, struct msn_hostfile, identity);
	int rc, looked;

	/* To Linux no mapping of such a descriptor is shared. */
	if (!hf->writable || msn_obj_range_empty(r))
		return 0;
	looked = msn_hostfile_revalidate(hf);
	rc = write_kept(hf, (struct msn_file_range){ r.start, r.end });
	if (rc == 0)
		rc = sync_host(hf, r);
	if (has_new_error(hf) && rc == 0)
		rc = msn_fail(-EIO);
	return rc ? msn_pass(rc) : msn_pass(looked);
}

int msn_hostfile_invalidate_unsavable(struct msn_mappable *obj)
{
	/* Only what could not be written yet is not in the host's cache. */
	return msn_pass(write_kept(msn_hostfile_of_mappable(obj),
				   (struct msn_file_range){ 0, UINT64_MAX }));
}
