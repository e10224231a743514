/*
 * Host file as a file: references on its pages, and its pages in this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A page is found in a window of the whole file.  Windows that are there are
 * found without a lock, which is safe because who asks holds a reference, and a
 * window with references is never closed (reclaim.c).  Where no window can be
 * had the bytes go the buffered way: slower, and nothing fails.
 */
#include "hostfile/hostfile_internal.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/limits.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * Windows past this number are not mapped: their table would be larger than
 * what it is good for (8 MiB for a file of 1 PiB).
 */
#define WINDOW_NR_MAX (UINT64_C(1) << 20)

enum { NO_ROOM = 100 }; /* an outcome between the functions below */

struct msn_hostfile *msn_hostfile_of_file(struct msn_file *file)
{
	msn_assert(file->ops == &msn_hostfile_file_ops);
	return msn_container_of(file, struct msn_hostfile, file);
}

/* ---- References ---------------------------------------------------------- */

static void inc_ref(struct msn_file *file, struct msn_file_range r,
		    msn_account_id account)
{
	struct msn_hostfile *hf = msn_hostfile_of_file(file);

	msn_lock_scope(&hf->lock);
	msn_page_counts_add(&hf->counts, r, account);
}

static void dec_ref(struct msn_file *file, struct msn_file_range r)
{
	struct msn_hostfile *hf = msn_hostfile_of_file(file);

	msn_lock_scope(&hf->lock);
	msn_page_counts_drop(&hf->counts, r);
}

static uint64_t sharers(struct msn_file *file, struct msn_file_range r,
			struct msn_file_range *run)
{
	struct msn_hostfile *hf = msn_hostfile_of_file(file);

	msn_lock_scope(&hf->lock);
	return msn_page_counts_get(&hf->counts, r, run);
}

/* ---- Windows ------------------------------------------------------------- */

/* Opens window @nr, unless somebody was faster.  0, NO_ROOM or -errno. */
static int open_window(struct msn_hostfile *hf, uint64_t nr)
{
	uint64_t start = nr * MSN_WINDOW_BYTES;
	struct msn_spans spans;
	int rc;

	msn_lock_scope(&hf->lock);
	if (msn_windows_at(&hf->windows, nr))
		return 0;
	if (hf->window_count >= hf->windows_max &&
	    msn_hostfile_close_unused(hf, false) == 0)
		return NO_ROOM;
	if (!msn_hostfile_take_slot())
		return NO_ROOM;
	rc = msn_windows_map(&hf->windows,
			     (struct msn_file_range){ start, start + 1 },
			     &spans);
	if (rc) {
		msn_hostfile_give_slots(1);
		return rc == -ENOMEM ? NO_ROOM : msn_pass(rc);
	}
	hf->window_count++;
	return 0;
}

/* Opens what a list of spans for the start of @r needs. */
static int open_windows(struct msn_hostfile *hf, struct msn_file_range r)
{
	uint64_t nr = r.start / MSN_WINDOW_BYTES;
	uint64_t last = (r.end - 1) / MSN_WINDOW_BYTES;

	if (last - nr >= MSN_SPANS_MAX)
		last = nr + MSN_SPANS_MAX - 1;
	if (last >= WINDOW_NR_MAX)
		return NO_ROOM;
	for (; nr <= last; nr++) {
		int rc;

		if (msn_windows_at(&hf->windows, nr))
			continue;
		rc = open_window(hf, nr);
		if (rc == NO_ROOM) {
			msn_hostfile_reclaim();
			rc = open_window(hf, nr);
		}
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

static int map_internal(struct msn_file *file, struct msn_file_range r,
			unsigned access, struct msn_spans *out)
{
	struct msn_hostfile *hf = msn_hostfile_of_file(file);
	int rc;

	if ((access & MSN_ACCESS_WRITE) && !hf->writable)
		return msn_fail(-EACCES);
	/* Relaxed: a late look costs one more mmap that fails. */
	if (atomic_load_explicit(&hf->buffered, memory_order_relaxed))
		return MSN_FILE_E_BUFFERED;
	/* Acquire: the page cache does not have what is kept. */
	if (atomic_load_explicit(&hf->has_kept, memory_order_acquire))
		return MSN_FILE_E_BUFFERED;
	rc = open_windows(hf, r);
	if (rc == -ENODEV || rc == -EACCES || rc == -EPERM)
		atomic_store_explicit(&hf->buffered, true,
				      memory_order_relaxed);
	if (rc)
		return MSN_FILE_E_BUFFERED;
	/* All of them are there: no system call, and no failure. */
	return msn_pass(msn_windows_map(&hf->windows, r, out));
}

static int descriptor(struct msn_file *file)
{
	return msn_hostfile_of_file(file)->fd;
}

/* ---- Residency ----------------------------------------------------------- */

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct cache_range {
	uint64_t offset, length;
};

struct cache_stat {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

/* Pages of @r that are in the page cache, or -1. */
static int64_t cached_pages(int fd, struct msn_file_range r)
{
	struct cache_range range = { r.start, msn_file_range_length(r) };
	struct cache_stat stat;
	struct statfs fs;

	/* The pages are another file's, which the call does not look at. */
	if (fstatfs(fd, &fs) < 0 || fs.f_type == OVERLAYFS_SUPER_MAGIC)
		return -1;
	if (syscall(SYS_cachestat, fd, &range, &stat, 0) < 0)
		return -1;
	return (int64_t)stat.cached;
}

/* Without a mapping: the whole at once if it is alike, else page by page. */
static void resident_by_cachestat(struct msn_hostfile *hf,
				  struct msn_file_range r, uint8_t *vec)
{
	size_t pages = msn_file_range_length(r) / MSN_PAGE_SIZE;
	int64_t cached = cached_pages(hf->fd, r);

	/* Who may not know is told that all is there, as by mincore. */
	memset(vec, cached != 0, pages);
	if (cached <= 0 || (uint64_t)cached == pages)
		return;
	for (size_t i = 0; i < pages; i++) {
		uint64_t at = r.start + i * MSN_PAGE_SIZE;

		vec[i] = cached_pages(hf->fd,
				      (struct msn_file_range){
					      at, at + MSN_PAGE_SIZE }) != 0;
	}
}

static bool ask_mincore(void *at, size_t len, uint8_t *vec)
{
	int rc;

	do {
		rc = mincore(at, len, vec);
	} while (rc < 0 && errno == EAGAIN);
	for (size_t i = 0; rc == 0 && i < len / MSN_PAGE_SIZE; i++)
		vec[i] &= 1;
	return rc == 0;
}

/* In the window, if there is one: @r does not leave it. */
static bool resident_in_window(struct msn_hostfile *hf, struct msn_file_range r,
			       uint8_t *vec)
{
	msn_lock_scope(&hf->lock);
	char *base = msn_windows_at(&hf->windows, r.start / MSN_WINDOW_BYTES);

	return base && ask_mincore(base + r.start % MSN_WINDOW_BYTES,
				   msn_file_range_length(r), vec);
}

/* In a mapping made for it; it is never touched. */
static bool resident_in_passing(struct msn_hostfile *hf,
				struct msn_file_range r, uint8_t *vec)
{
	size_t len = msn_file_range_length(r);
	void *at = mmap(NULL, len, PROT_NONE, MAP_SHARED | MAP_NORESERVE,
			hf->window_fd, (off_t)r.start);
	bool known;

	if (at == MAP_FAILED)
		return false;
	known = ask_mincore(at, len, vec);
	munmap(at, len);
	return known;
}

static int resident(struct msn_file *file, struct msn_file_range r,
		    uint8_t *vec)
{
	struct msn_hostfile *hf = msn_hostfile_of_file(file);

	while (r.start < r.end) {
		uint64_t skip = r.start % MSN_WINDOW_BYTES;
		struct msn_file_range part = r;

		if (part.end - part.start > MSN_WINDOW_BYTES - skip)
			part.end = part.start + MSN_WINDOW_BYTES - skip;
		if (!resident_in_window(hf, part, vec) &&
		    !resident_in_passing(hf, part, vec))
			resident_by_cachestat(hf, part, vec);
		vec += msn_file_range_length(part) / MSN_PAGE_SIZE;
		r.start = part.end;
	}
	return 0;
}

const struct msn_file_ops msn_hostfile_file_ops = {
	.name = "host file",
	.inc_ref = inc_ref,
	.dec_ref = dec_ref,
	.map_internal = map_internal,
	.buffer_read_at = msn_hostfile_read_at,
	.buffer_write_at = msn_hostfile_write_at,
	.buffer_read_batch = msn_hostfile_read_batch,
	.fd = descriptor,
	.resident = resident,
	.sharers = sharers,
};

const char *msn_hostfile_check(struct msn_hostfile *hf)
{
	size_t windows = 0;

	msn_lock_scope(&hf->lock);
	for (uint64_t nr = 0; msn_windows_next(&hf->windows, &nr); nr++)
		windows++;
	if (windows != hf->window_count)
		return "windows do not add up";
	return msn_page_counts_check(&hf->counts);
}
