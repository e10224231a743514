/*
 * Shared memory object: the calls on its bytes, its size and its seals.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is done in which order is Linux's; test_shmem_oracle.c does the same to
 * a memfd of the running kernel.
 */
#include "shmem/shmem_internal.h"

#include "base/error.h"
#include "shmem/seals.h"

#include <errno.h>
#include <linux/falloc.h>
#include <unistd.h>

/* The most that one read or write moves: INT_MAX in whole pages. */
#define RW_MAX UINT64_C(0x7ffff000)

/* Pages that a write makes before it fills them. */
#define WRITE_CHUNK (UINT64_C(1) << 20)

#define SEALS_ALL                                                              \
	((unsigned)(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | \
		    F_SEAL_FUTURE_WRITE | F_SEAL_EXEC))

/* ---- Attributes ---------------------------------------------------------- */

int msn_shmem_stat(struct msn_shmem *s, struct msn_shmem_stat *out)
{
	struct msn_shmem_stat st = {
		.device = msn_identity_device_id(&s->identity),
		.inode = s->inode,
	};
	int rc;

	msn_read_scope(&s->data_lock);
	st.size_bytes = s->size;
	st.mode = s->mode;
	rc = msn_shmem_pages_allocated(&s->pages, &st.allocated_bytes);
	if (rc)
		return msn_pass(rc);
	*out = st;
	return 0;
}

int msn_shmem_chmod(struct msn_shmem *s, unsigned mode)
{
	msn_write_scope(&s->data_lock);
	if ((s->seals & F_SEAL_EXEC) && ((s->mode ^ mode) & 0111))
		return msn_fail(-EPERM);
	s->mode = mode & 07777;
	return 0;
}

/* ---- Size ---------------------------------------------------------------- */

/*
 * The step of a truncation under the data lock: pages past the end of @size
 * move to @gone, the rest of the last page becomes zero.
 */
static int set_size(struct msn_shmem *s, uint64_t size,
		    struct msn_shmem_taken *gone)
{
	uint64_t end = msn_shmem_page_end(size);
	struct msn_obj_range rest = { size, end };
	struct msn_obj_range past = { end, msn_page_down(UINT64_MAX) };
	int rc;

	msn_write_scope(&s->data_lock);
	if (size <= s->size) {
		rc = msn_shmem_pages_prepare_take(&s->pages, past, gone);
		if (rc == 0)
			rc = msn_shmem_pages_zero(&s->pages, rest);
		if (rc)
			return msn_pass(rc);
		msn_shmem_pages_take(&s->pages, past, gone);
	}
	s->size = size;
	return 0;
}

int msn_shmem_truncate(struct msn_shmem *s, int64_t size)
{
	struct msn_shmem_taken gone = { 0 };
	struct msn_obj_range cut;
	int rc;

	if (size < 0)
		return msn_fail(-EINVAL);
	msn_lock_scope(&s->maps_lock);
	if (((uint64_t)size < s->size && (s->seals & F_SEAL_SHRINK)) ||
	    ((uint64_t)size > s->size && (s->seals & F_SEAL_GROW)))
		return msn_fail(-EPERM);
	cut.start = msn_shmem_page_end((uint64_t)size);
	cut.end = msn_shmem_page_end(s->size);
	rc = set_size(s, (uint64_t)size, &gone);
	if (rc == 0 && !msn_obj_range_empty(cut))
		msn_mapping_set_invalidate(
			s->mapped, cut,
			(struct msn_invalidate_opts){ .invalidate_private =
							      true });
	msn_shmem_taken_drop(&s->pages, &gone);
	return msn_pass(rc);
}

/* The step of a punch under the data lock. */
static int make_hole(struct msn_shmem *s, struct msn_obj_range r,
		     struct msn_obj_range pages, struct msn_shmem_taken *gone)
{
	struct msn_obj_range head = { r.start, pages.start };
	struct msn_obj_range tail = { pages.end, r.end };
	int rc;

	msn_write_scope(&s->data_lock);
	if (msn_obj_range_empty(pages)) { /* a part of a page, or of two */
		head = r;
		tail = (struct msn_obj_range){ 0 };
	}
	rc = msn_obj_range_empty(pages)
		     ? 0
		     : msn_shmem_pages_prepare_take(&s->pages, pages, gone);
	if (rc == 0)
		rc = msn_shmem_pages_zero(&s->pages, head);
	if (rc == 0)
		rc = msn_shmem_pages_zero(&s->pages, tail);
	if (rc == 0 && !msn_obj_range_empty(pages))
		msn_shmem_pages_take(&s->pages, pages, gone);
	return msn_pass(rc);
}

int msn_shmem_punch(struct msn_shmem *s, struct msn_obj_range r)
{
	struct msn_obj_range pages = { msn_shmem_page_end(r.start),
				       msn_page_down(r.end) };
	struct msn_shmem_taken gone = { 0 };
	int rc;

	msn_lock_scope(&s->maps_lock);
	if (s->seals & MSN_SHMEM_SEALS_WRITE)
		return msn_fail(-EPERM);
	rc = make_hole(s, r, pages, &gone);
	if (gone.count)
		msn_mapping_set_invalidate(s->mapped, pages,
					   (struct msn_invalidate_opts){ 0 });
	msn_shmem_taken_drop(&s->pages, &gone);
	return msn_pass(rc);
}

static int allocate(struct msn_shmem *s, struct msn_obj_range r, bool keep_size)
{
	struct msn_obj_range pages = { msn_page_down(r.start),
				       msn_shmem_page_end(r.end) };
	int rc;

	msn_lock_scope(&s->maps_lock);
	msn_write_scope(&s->data_lock);
	if ((s->seals & F_SEAL_GROW) && r.end > s->size)
		return msn_fail(-EPERM);
	rc = msn_shmem_pages_reserve(&s->pages, pages);
	if (rc)
		return msn_pass(rc);
	if (!keep_size && r.end > s->size)
		s->size = r.end;
	return 0;
}

/*
 * Is @mode one that the kernel knows, for some kind of file?  Others fail
 * before the range is looked at, these after it.
 */
static bool is_fallocate_mode(int mode)
{
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
	case FALLOC_FL_UNSHARE_RANGE:
	case FALLOC_FL_ZERO_RANGE:
		return true;
	case FALLOC_FL_PUNCH_HOLE:
		return mode & FALLOC_FL_KEEP_SIZE;
	case FALLOC_FL_COLLAPSE_RANGE:
	case FALLOC_FL_INSERT_RANGE:
		return !(mode & FALLOC_FL_KEEP_SIZE);
	default:
		return false;
	}
}

int msn_shmem_fallocate(struct msn_shmem *s, int mode, int64_t offset,
			int64_t len)
{
	struct msn_obj_range r = { (uint64_t)offset,
				   (uint64_t)offset + (uint64_t)len };

	if (offset < 0 || len <= 0)
		return msn_fail(-EINVAL);
	if (!is_fallocate_mode(mode))
		return msn_fail(-EOPNOTSUPP);
	if (r.end > INT64_MAX)
		return msn_fail(-EFBIG);
	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
		return msn_pass(allocate(s, r, mode != 0));
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		return msn_pass(msn_shmem_punch(s, r));
	default:
		return msn_fail(-EOPNOTSUPP);
	}
}

/* ---- Bytes --------------------------------------------------------------- */

/* Checks the range of a transfer and clips its length. */
static int check_transfer(int64_t offset, size_t *len)
{
	if (offset < 0 || *len > (uint64_t)INT64_MAX - (uint64_t)offset)
		return msn_fail(-EINVAL);
	if (*len > RW_MAX)
		*len = RW_MAX;
	return 0;
}

ssize_t msn_shmem_pread(struct msn_shmem *s, void *buf, size_t len,
			int64_t offset)
{
	uint64_t at = (uint64_t)offset;
	int rc = check_transfer(offset, &len);

	if (rc)
		return msn_pass(rc);
	msn_read_scope(&s->data_lock);
	if (at >= s->size)
		return 0;
	if (len > s->size - at)
		len = s->size - at;
	rc = msn_shmem_pages_read(&s->pages, at, buf, len);
	return rc ? msn_pass(rc) : (ssize_t)len;
}

/*
 * How much of a write the seals allow.  Linux asks page by page, so a write
 * past a sealed end stops at the last page that it fills to its end.
 */
static int check_seals(const struct msn_shmem *s, uint64_t at, size_t *len)
{
	uint64_t whole = msn_page_down(s->size);

	if (s->seals & MSN_SHMEM_SEALS_WRITE)
		return msn_fail(-EPERM);
	if (!(s->seals & F_SEAL_GROW) || at + *len <= s->size)
		return 0;
	if (whole <= at)
		return msn_fail(-EPERM);
	*len = whole - at;
	return 0;
}

/* Writes with the data lock held; the size may grow if @grows. */
static ssize_t write_locked(struct msn_shmem *s, const char *buf, size_t len,
			    uint64_t at)
{
	size_t done = 0;
	int rc = check_seals(s, at, &len);

	while (rc == 0 && done < len) {
		struct msn_obj_range r = { at + done, at + len };

		if (msn_obj_range_length(r) > WRITE_CHUNK)
			r.end = msn_page_down(r.start + WRITE_CHUNK);
		rc = msn_shmem_pages_fill(
			&s->pages,
			(struct msn_obj_range){ msn_page_down(r.start),
						msn_shmem_page_end(r.end) },
			true);
		if (rc == 0)
			rc = msn_shmem_pages_write(&s->pages, r.start,
						   buf + done,
						   msn_obj_range_length(r));
		if (rc)
			break;
		done += msn_obj_range_length(r);
		if (r.end > s->size)
			s->size = r.end;
	}
	return done ? (ssize_t)done : msn_pass(rc);
}

ssize_t msn_shmem_pwrite(struct msn_shmem *s, const void *buf, size_t len,
			 int64_t offset)
{
	uint64_t at = (uint64_t)offset;
	int rc = check_transfer(offset, &len);

	if (rc)
		return msn_pass(rc);
	if (!len)
		return 0;
	{
		msn_write_scope(&s->data_lock);
		if (at + len <= s->size)
			return write_locked(s, buf, len, at);
	}
	/* It may grow the object, and a truncation must not be half way. */
	msn_lock_scope(&s->maps_lock);
	msn_write_scope(&s->data_lock);
	return write_locked(s, buf, len, at);
}

int msn_shmem_populate(struct msn_shmem *s, struct msn_obj_range r,
		       bool written)
{
	msn_write_scope(&s->data_lock);
	return written ? msn_pass(msn_shmem_pages_fill(&s->pages, r, true))
		       : msn_pass(msn_shmem_pages_reserve(&s->pages, r));
}

int msn_shmem_put(struct msn_shmem *s, const void *bytes, size_t len,
		  uint64_t offset)
{
	struct msn_obj_range r = { offset, offset + len };
	int rc;

	msn_write_scope(&s->data_lock);
	rc = msn_shmem_pages_fill(&s->pages, r, true);
	return rc ? msn_pass(rc)
		  : msn_pass(msn_shmem_pages_write(&s->pages, offset, bytes,
						   len));
}

/* The end of the data pages that begin at @at, or @at where there is a hole. */
static int data_end(struct msn_shmem *s, uint64_t at, uint64_t end,
		    uint64_t *out)
{
	while (at < end) {
		struct msn_obj_range found;
		int rc = msn_shmem_pages_next(&s->pages,
					      (struct msn_obj_range){ at, end },
					      MSN_SHMEM_FIND_RESIDENT, &found);

		if (rc < 0)
			return msn_pass(rc);
		if (rc == MSN_MAPPABLE_E_NO_DATA || found.start > at)
			break;
		at = found.end;
	}
	*out = at;
	return 0;
}

int64_t msn_shmem_seek(struct msn_shmem *s, int64_t offset, int whence)
{
	struct msn_obj_range left, found;
	uint64_t at = (uint64_t)offset;
	int rc;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return msn_fail(-EINVAL);
	msn_read_scope(&s->data_lock);
	if (offset < 0 || at >= s->size)
		return msn_fail(-ENXIO);
	left.start = msn_page_down(at);
	left.end = msn_shmem_page_end(s->size);
	if (whence == SEEK_DATA) {
		rc = msn_shmem_pages_next(&s->pages, left,
					  MSN_SHMEM_FIND_RESIDENT, &found);
		if (rc == MSN_MAPPABLE_E_NO_DATA)
			return msn_fail(-ENXIO);
	} else {
		rc = data_end(s, left.start, left.end, &found.start);
		if (rc == 0 && found.start > s->size)
			found.start = s->size;
	}
	if (rc)
		return msn_pass(rc);
	return (int64_t)(found.start > at ? found.start : at);
}

/* ---- Seals --------------------------------------------------------------- */

int msn_shmem_add_seals(struct msn_shmem *s, unsigned seals)
{
	if (seals & ~SEALS_ALL)
		return msn_fail(-EINVAL);
	msn_lock_scope(&s->maps_lock);
	msn_write_scope(&s->data_lock);
	if (s->seals & F_SEAL_SEAL)
		return msn_fail(-EPERM);
	/* What is meant to stay executable must never change. */
	if ((seals & F_SEAL_EXEC) && (s->mode & 0111))
		seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
			 F_SEAL_FUTURE_WRITE;
	if ((seals & F_SEAL_WRITE) && !(s->seals & F_SEAL_WRITE) &&
	    s->writable_bytes)
		return msn_fail(-EBUSY);
	s->seals |= seals;
	return 0;
}

unsigned msn_shmem_get_seals(struct msn_shmem *s)
{
	msn_read_scope(&s->data_lock);
	return s->seals;
}
