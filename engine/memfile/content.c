/*
 * What is behind the pages of the memory file.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The kernel is asked with cachestat(), which takes no lock, touches no page
 * and counts what was swapped out as well.  SEEK_DATA waits for whoever punches
 * holes, and mincore() forgets swapped pages: neither will do where a page must
 * be known to read as zero.  Without cachestat() (Linux before 6.5) every page
 * counts as one with memory, which only costs work.
 */
#include "memfile/memfile_internal.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* Runs that usage() measures between two looks at the references. */
#define USAGE_RUNS 64

/* Segments that it looks at in one hold of a lock: some microseconds. */
#define USAGE_SEGMENTS 1024

/* What cachestat() takes and gives (Linux 6.5, uapi/linux/mman.h). */
struct cachestat_range {
	uint64_t offset, length;
};

struct cachestat_pages {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

/* Pages of @r that are in memory, and that are swapped out. */
static bool ask_kernel(struct msn_memfile *mf, struct msn_file_range r,
		       struct cachestat_pages *out)
{
	struct cachestat_range in = { r.start, msn_file_range_length(r) };

	return syscall(SYS_cachestat, mf->fd, &in, out, 0) == 0;
}

/* Pages of @r with something behind them, or more. */
static uint64_t pages_behind(struct msn_memfile *mf, struct msn_file_range r)
{
	struct cachestat_pages got;

	if (ask_kernel(mf, r, &got))
		return got.cached + got.evicted;
	return msn_file_range_length(r) / MSN_PAGE_SIZE;
}

/*
 * A prefix of @r with nothing behind it (*@behind is 0), or with @most pages or
 * fewer; @most 0 stands for a prefix with something behind every page.
 */
static struct msn_file_range next_piece(struct msn_memfile *mf,
					struct msn_file_range r, uint64_t most,
					uint64_t *behind)
{
	for (;;) {
		uint64_t pages = msn_file_range_length(r) / MSN_PAGE_SIZE;

		*behind = pages_behind(mf, r);
		if (*behind == 0 || pages == 1 ||
		    (most ? *behind <= most : *behind >= pages))
			return r;
		r.end = r.start + pages / 2 * MSN_PAGE_SIZE;
	}
}

/* Writes zeros through the window.  False when there is none. */
static bool write_zeros(struct msn_memfile *mf, struct msn_file_range r)
{
	struct msn_spans spans;

	while (r.start < r.end) {
		if (msn_memfile_map_internal(&mf->base, r, MSN_ACCESS_WRITE,
					     &spans))
			return false;
		for (size_t i = 0; i < spans.count; i++) {
			memset(spans.span[i].data, 0, spans.span[i].len);
			r.start += spans.span[i].len;
		}
	}
	return true;
}

static bool punch_hole(struct msn_memfile *mf, struct msn_file_range r)
{
	return fallocate(mf->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)r.start, (off_t)msn_file_range_length(r)) == 0;
}

void msn_memfile_punch(struct msn_memfile *mf, struct msn_file_range r)
{
	uint64_t behind;

	while (r.start < r.end) {
		struct msn_file_range piece = next_piece(
			mf, r, MSN_PUNCH_BYTES_MAX / MSN_PAGE_SIZE, &behind);

		/* A free page reads as zero, whatever it takes. */
		if (behind && !punch_hole(mf, piece))
			msn_assert(write_zeros(mf, piece));
		r.start = piece.end;
		if (atomic_load(&mf->releaser.stop))
			return; /* the whole file goes */
	}
}

void msn_memfile_zero(struct msn_memfile *mf, struct msn_file_range r)
{
	uint64_t behind;

	while (r.start < r.end) {
		struct msn_file_range piece = next_piece(mf, r, 0, &behind);

		if (behind && !write_zeros(mf, piece))
			msn_assert(punch_hole(mf, piece));
		r.start = piece.end;
	}
}

int msn_memfile_map_internal(struct msn_file *file, struct msn_file_range r,
			     unsigned access, struct msn_spans *out)
{
	struct msn_memfile *mf = msn_memfile_of(file);
	struct msn_arena *a = msn_arena_at(mf, r.start);

	(void)access; /* windows allow reading and writing */
	msn_assert(a);
	return msn_pass(msn_windows_map(&mf->windows[a->huge],
					msn_file_range_intersect(r, a->range),
					out));
}

/* The first data in @r, whose pages are all used. */
static int seek_data(struct msn_memfile *mf, struct msn_file_range r,
		     struct msn_file_range *out)
{
	off_t start = lseek(mf->fd, (off_t)r.start, SEEK_DATA);
	off_t end;

	if (start < 0)
		return errno == ENXIO ? MSN_FILE_E_NO_DATA : msn_fail(-errno);
	if ((uint64_t)start >= r.end)
		return MSN_FILE_E_NO_DATA;
	end = lseek(mf->fd, start, SEEK_HOLE);
	if (end < 0)
		return msn_fail(-errno);
	*out = msn_file_range_intersect(
		r, (struct msn_file_range){ (uint64_t)start, (uint64_t)end });
	return 0;
}

int msn_memfile_next_data(struct msn_file *file, struct msn_file_range r,
			  struct msn_file_range *out)
{
	struct msn_memfile *mf = msn_memfile_of(file);
	struct msn_file_range used;

	while (msn_memfile_next_used(mf, r, &used)) {
		int rc = seek_data(mf, used, out);

		if (rc != MSN_FILE_E_NO_DATA)
			return msn_pass(rc);
		r.start = used.end;
	}
	return MSN_FILE_E_NO_DATA;
}

/* For @r, whose pages are all used. */
static int look_into_memory(struct msn_memfile *mf, struct msn_file_range r,
			    uint8_t *vec)
{
	struct msn_spans spans;

	while (r.start < r.end) {
		int rc = msn_memfile_map_internal(&mf->base, r, MSN_ACCESS_READ,
						  &spans);

		for (size_t i = 0; rc == 0 && i < spans.count; i++) {
			size_t pages = spans.span[i].len / MSN_PAGE_SIZE;

			if (mincore(spans.span[i].data, spans.span[i].len,
				    vec) < 0)
				return msn_fail(-errno);
			for (size_t p = 0; p < pages; p++)
				vec[p] &= 1; /* the other bits are reserved */
			vec += pages;
			r.start += spans.span[i].len;
		}
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

int msn_memfile_resident(struct msn_file *file, struct msn_file_range r,
			 uint8_t *vec)
{
	struct msn_memfile *mf = msn_memfile_of(file);
	struct msn_file_range used, rest = r;

	memset(vec, 0, msn_file_range_length(r) / MSN_PAGE_SIZE);
	while (msn_memfile_next_used(mf, rest, &used)) {
		int rc = look_into_memory(
			mf, used, vec + (used.start - r.start) / MSN_PAGE_SIZE);

		if (rc)
			return msn_pass(rc);
		rest.start = used.end;
	}
	return 0;
}

/* Bytes of @r in memory. */
static uint64_t resident_bytes(struct msn_memfile *mf, struct msn_file_range r)
{
	struct cachestat_pages got;
	uint64_t bytes = 0;
	uint8_t vec[512];

	if (ask_kernel(mf, r, &got))
		return got.cached * MSN_PAGE_SIZE;
	while (r.start < r.end) {
		struct msn_file_range step = {
			r.start, r.start + sizeof(vec) * MSN_PAGE_SIZE
		};

		step = msn_file_range_intersect(r, step);
		if (look_into_memory(mf, step, vec))
			break; /* no window: what was counted so far */
		for (size_t i = 0; r.start < step.end;
		     i++, r.start += MSN_PAGE_SIZE)
			bytes += vec[i] * MSN_PAGE_SIZE;
	}
	return bytes;
}

/* Runs of one account, found in one hold of an arena's lock. */
struct account_runs {
	struct msn_file_range run[USAGE_RUNS];
	size_t count;
	uint64_t next; /* where to go on */
};

/* Finds more runs of @account in @a.  False when there is no more to look at.
 */
static bool next_runs(struct msn_arena *a, msn_account_id account,
		      struct account_runs *runs)
{
	struct msn_seg s;

	runs->count = 0;
	msn_lock_scope(&a->lock);
	s = msn_refs_set_lower(&a->refs, runs->next);
	for (int i = 0; i < USAGE_SEGMENTS; i++, s = msn_seg_next(s)) {
		const struct msn_page_refs *v;
		struct msn_file_range r;

		if (!msn_seg_ok(s))
			return false;
		if (runs->count == USAGE_RUNS)
			break;
		v = msn_refs_set_value(&a->refs, s);
		r = msn_refs_set_range(s);
		runs->next = r.end;
		if (v->refs == 0 || v->account != account)
			continue;
		if (runs->count && runs->run[runs->count - 1].end == r.start)
			runs->run[runs->count - 1].end = r.end;
		else
			runs->run[runs->count++] = r;
	}
	return true;
}

struct msn_memfile_usage msn_memfile_usage(struct msn_memfile *mf,
					   msn_account_id account)
{
	unsigned arenas = atomic_load(&mf->arena_count);
	struct msn_memfile_usage sum = { 0 };
	struct account_runs runs;

	for (unsigned nr = 0; nr < arenas; nr++) {
		struct msn_arena *a = msn_arena_nr(mf, nr);
		bool more;

		runs.next = a->range.start;
		do {
			more = next_runs(a, account, &runs);
			for (size_t i = 0; i < runs.count; i++) {
				struct msn_file_range r = runs.run[i];

				sum.referenced += msn_file_range_length(r);
				sum.resident += resident_bytes(mf, r);
			}
		} while (more);
	}
	return sum;
}
