/*
 * Pages of an object: allocating, finding, copying and giving them back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "shmem/shmem_pages.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool run_merge(struct msn_seg_range a, void *va, struct msn_seg_range b,
		      void *vb)
{
	const struct msn_shmem_run *l = va, *r = vb;

	(void)b;
	return l->state == r->state &&
	       l->offset + (a.end - a.start) == r->offset;
}

static void run_split(struct msn_seg_range r, void *value, uint64_t at,
		      void *right)
{
	const struct msn_shmem_run *l = value;

	((struct msn_shmem_run *)right)->offset = l->offset + (at - r.start);
}

static const struct msn_segset_ops run_ops = {
	.value_size = sizeof(struct msn_shmem_run),
	.merge = run_merge,
	.split = run_split,
};

/* Where the part @part of segment @s is in the memory file. */
static struct msn_file_range place_of(const struct msn_shmem_pages *p,
				      struct msn_seg s,
				      struct msn_obj_range part)
{
	uint64_t start = msn_shmem_set_value(&p->set, s)->offset +
			 (part.start - msn_shmem_set_range(s).start);

	return (struct msn_file_range){ start,
					start + msn_obj_range_length(part) };
}

void msn_shmem_pages_init(struct msn_shmem_pages *p, struct msn_memfile *mf,
			  msn_account_id account)
{
	*p = (struct msn_shmem_pages){ .memfile = mf, .account = account };
	msn_shmem_set_init(&p->set, &run_ops);
}

void msn_shmem_pages_deinit(struct msn_shmem_pages *p)
{
	for (struct msn_seg s = msn_shmem_set_first(&p->set); msn_seg_ok(s);
	     s = msn_seg_next(s))
		msn_file_dec_ref(msn_memfile_file(p->memfile),
				 place_of(p, s, msn_shmem_set_range(s)));
	msn_shmem_set_deinit(&p->set);
}

/* ---- Coming into being --------------------------------------------------- */

bool msn_shmem_pages_filled(const struct msn_shmem_pages *p,
			    struct msn_obj_range r, bool touched)
{
	for (struct msn_seg s = msn_shmem_set_find(&p->set, r.start);
	     msn_seg_ok(s); s = msn_seg_next(s)) {
		struct msn_obj_range sr = msn_shmem_set_range(s);

		if (sr.start > r.start ||
		    (touched && msn_shmem_set_value(&p->set, s)->state !=
					MSN_SHMEM_PRESENT))
			return false;
		if (sr.end >= r.end)
			return true;
		r.start = sr.end;
	}
	return false;
}

static int fill_gap(struct msn_shmem_pages *p, struct msn_obj_range gap,
		    enum msn_shmem_state state)
{
	struct msn_memfile_alloc want = { .length = msn_obj_range_length(gap),
					  .account = p->account };
	struct msn_file_range pages;
	struct msn_shmem_run run;
	int rc = msn_memfile_allocate(p->memfile, &want, &pages);

	if (rc)
		return msn_pass(rc);
	run = (struct msn_shmem_run){ pages.start, state };
	rc = msn_shmem_set_insert(&p->set, gap, &run, NULL);
	if (rc) {
		msn_file_dec_ref(msn_memfile_file(p->memfile), pages);
		return msn_pass(rc);
	}
	if (state != MSN_SHMEM_PLACED)
		p->allocated_bytes += want.length;
	return 0;
}

/* Makes @part, which lies in one segment, present. */
static int make_present(struct msn_shmem_pages *p, struct msn_obj_range part)
{
	struct msn_shmem_run *run;
	struct msn_seg s;
	int rc = msn_shmem_set_isolate(&p->set, part, &s);

	if (rc)
		return msn_pass(rc);
	run = msn_shmem_set_value(&p->set, s);
	if (run->state == MSN_SHMEM_PLACED)
		p->allocated_bytes += msn_obj_range_length(part);
	run->state = MSN_SHMEM_PRESENT;
	msn_shmem_set_merge_range(&p->set, part);
	return 0;
}

/* Holes of @r come into @state; the others become present if @touched. */
static int fill(struct msn_shmem_pages *p, struct msn_obj_range r,
		enum msn_shmem_state state, bool touched)
{
	while (r.start < r.end) {
		struct msn_seg s = msn_shmem_set_lower(&p->set, r.start);
		struct msn_obj_range part = r;
		bool gap = true;
		int rc = 0;

		if (msn_seg_ok(s)) {
			struct msn_obj_range sr = msn_shmem_set_range(s);

			gap = sr.start > r.start;
			part = msn_obj_range_intersect(
				r, gap ? (struct msn_obj_range){ r.start,
								 sr.start }
				       : sr);
		}
		if (gap)
			rc = fill_gap(p, part, state);
		else if (touched && msn_shmem_set_value(&p->set, s)->state !=
					    MSN_SHMEM_PRESENT)
			rc = make_present(p, part);
		if (rc)
			return msn_pass(rc);
		r.start = part.end;
	}
	return 0;
}

int msn_shmem_pages_fill(struct msn_shmem_pages *p, struct msn_obj_range r,
			 bool touched)
{
	return msn_pass(fill(
		p, r, touched ? MSN_SHMEM_PRESENT : MSN_SHMEM_PLACED, touched));
}

/* Drops what a failed reserve had added. */
static void undo_reserve(struct msn_shmem_pages *p, struct msn_obj_range r)
{
	struct msn_seg s = msn_shmem_set_lower(&p->set, r.start);

	while (msn_seg_ok(s) && msn_shmem_set_range(s).start < r.end) {
		struct msn_obj_range sr = msn_shmem_set_range(s);

		if (msn_shmem_set_value(&p->set, s)->state != MSN_SHMEM_ADDED) {
			s = msn_seg_next(s);
			continue;
		}
		p->allocated_bytes -= msn_obj_range_length(sr);
		msn_file_dec_ref(msn_memfile_file(p->memfile),
				 place_of(p, s, sr));
		s = msn_shmem_set_remove(&p->set, s);
	}
}

int msn_shmem_pages_reserve(struct msn_shmem_pages *p, struct msn_obj_range r)
{
	int rc = fill(p, r, MSN_SHMEM_ADDED, true);

	if (rc) {
		undo_reserve(p, r);
		return msn_pass(rc);
	}
	for (struct msn_seg s = msn_shmem_set_lower(&p->set, r.start);
	     msn_seg_ok(s) && msn_shmem_set_range(s).start < r.end;
	     s = msn_seg_next(s)) {
		struct msn_shmem_run *run = msn_shmem_set_value(&p->set, s);

		if (run->state == MSN_SHMEM_ADDED)
			run->state = MSN_SHMEM_UNWRITTEN;
	}
	msn_shmem_set_merge_range(&p->set, r);
	return 0;
}

/* ---- Going away ---------------------------------------------------------- */

static size_t count_in(const struct msn_shmem_pages *p, struct msn_obj_range r)
{
	size_t n = 0;

	for (struct msn_seg s = msn_shmem_set_lower(&p->set, r.start);
	     msn_seg_ok(s) && msn_shmem_set_range(s).start < r.end;
	     s = msn_seg_next(s))
		n++;
	return n;
}

int msn_shmem_pages_prepare_take(struct msn_shmem_pages *p,
				 struct msn_obj_range r,
				 struct msn_shmem_taken *taken)
{
	size_t count = count_in(p, r);

	if (!count)
		return 0;
	taken->ranges = msn_alloc_array(count, sizeof(*taken->ranges));
	if (!taken->ranges)
		return msn_fail(-ENOMEM);
	return msn_pass(msn_shmem_set_isolate(&p->set, r, NULL));
}

void msn_shmem_pages_take(struct msn_shmem_pages *p, struct msn_obj_range r,
			  struct msn_shmem_taken *taken)
{
	struct msn_seg s = msn_shmem_set_lower(&p->set, r.start);

	while (msn_seg_ok(s) && msn_shmem_set_range(s).start < r.end) {
		struct msn_obj_range sr = msn_shmem_set_range(s);

		msn_assert(msn_obj_range_covers(r, sr));
		taken->ranges[taken->count++] = place_of(p, s, sr);
		if (msn_shmem_set_value(&p->set, s)->state != MSN_SHMEM_PLACED)
			p->allocated_bytes -= msn_obj_range_length(sr);
		s = msn_shmem_set_remove(&p->set, s);
	}
}

void msn_shmem_taken_drop(struct msn_shmem_pages *p,
			  struct msn_shmem_taken *taken)
{
	for (size_t i = 0; i < taken->count; i++)
		msn_file_dec_ref(msn_memfile_file(p->memfile),
				 taken->ranges[i]);
	free(taken->ranges);
	*taken = (struct msn_shmem_taken){ 0 };
}

/* ---- Finding ------------------------------------------------------------- */

int msn_shmem_pages_translate(const struct msn_shmem_pages *p,
			      struct msn_obj_range r,
			      struct msn_obj_range optional, bool touched,
			      struct msn_translation *out, size_t max)
{
	struct msn_seg s = msn_shmem_set_find(&p->set, r.start);
	size_t n = 0;

	for (; n < max && msn_seg_ok(s); s = msn_seg_next(s)) {
		struct msn_obj_range sr = msn_shmem_set_range(s);

		if (sr.start >= r.end)
			break;
		msn_assert(!touched || msn_shmem_set_value(&p->set, s)->state ==
					       MSN_SHMEM_PRESENT);
		sr = msn_obj_range_intersect(sr, optional);
		out[n++] = (struct msn_translation){
			.source = sr,
			.file = msn_memfile_file(p->memfile),
			.offset = place_of(p, s, sr).start,
			.perms = MSN_ACCESS_ANY,
		};
	}
	return (int)n;
}

/* The first such pages in the part @part of segment @s. */
static int next_in(const struct msn_shmem_pages *p, struct msn_seg s,
		   struct msn_obj_range part, enum msn_shmem_find what,
		   struct msn_obj_range *out)
{
	enum msn_shmem_state state = msn_shmem_set_value(&p->set, s)->state;
	struct msn_file_range place = place_of(p, s, part), data;
	int rc;

	if (state == MSN_SHMEM_UNWRITTEN)
		return MSN_MAPPABLE_E_NO_DATA;
	if (state == MSN_SHMEM_PRESENT && what == MSN_SHMEM_FIND_RESIDENT) {
		*out = part;
		return 0;
	}
	rc = msn_file_next_data(msn_memfile_file(p->memfile), place, &data);
	if (rc == MSN_FILE_E_NO_DATA)
		return MSN_MAPPABLE_E_NO_DATA;
	if (rc)
		return msn_pass(rc);
	out->start = part.start + (data.start - place.start);
	out->end = part.start + (data.end - place.start);
	return 0;
}

int msn_shmem_pages_next(const struct msn_shmem_pages *p,
			 struct msn_obj_range r, enum msn_shmem_find what,
			 struct msn_obj_range *out)
{
	for (struct msn_seg s = msn_shmem_set_lower(&p->set, r.start);
	     msn_seg_ok(s) && msn_shmem_set_range(s).start < r.end;
	     s = msn_seg_next(s)) {
		int rc = next_in(
			p, s,
			msn_obj_range_intersect(r, msn_shmem_set_range(s)),
			what, out);

		if (rc != MSN_MAPPABLE_E_NO_DATA)
			return msn_pass(rc);
	}
	return MSN_MAPPABLE_E_NO_DATA;
}

int msn_shmem_pages_next_allocated(const struct msn_shmem_pages *p,
				   struct msn_obj_range r,
				   struct msn_obj_range *out, bool *written)
{
	for (struct msn_seg s = msn_shmem_set_lower(&p->set, r.start);
	     msn_seg_ok(s) && msn_shmem_set_range(s).start < r.end;
	     s = msn_seg_next(s)) {
		struct msn_obj_range part =
			msn_obj_range_intersect(r, msn_shmem_set_range(s));
		int rc;

		*written = msn_shmem_set_value(&p->set, s)->state !=
			   MSN_SHMEM_UNWRITTEN;
		if (!*written) {
			*out = part;
			return 0;
		}
		rc = next_in(p, s, part, MSN_SHMEM_FIND_RESIDENT, out);
		if (rc != MSN_MAPPABLE_E_NO_DATA)
			return msn_pass(rc);
	}
	return MSN_MAPPABLE_E_NO_DATA;
}

/* Bytes of the placed segment @s for which the host has memory. */
static int placed_bytes(const struct msn_shmem_pages *p, struct msn_seg s,
			uint64_t *bytes)
{
	struct msn_obj_range left = msn_shmem_set_range(s), found;

	*bytes = 0;
	while (left.start < left.end) {
		int rc = next_in(p, s, left, MSN_SHMEM_FIND_RESIDENT, &found);

		if (rc == MSN_MAPPABLE_E_NO_DATA)
			break;
		if (rc)
			return msn_pass(rc);
		*bytes += msn_obj_range_length(found);
		left.start = found.end;
	}
	return 0;
}

int msn_shmem_pages_allocated(const struct msn_shmem_pages *p, uint64_t *bytes)
{
	uint64_t sum = p->allocated_bytes, more;

	if (sum == p->set.core.span) {
		*bytes = sum;
		return 0;
	}
	for (struct msn_seg s = msn_shmem_set_first(&p->set); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		int rc;

		if (msn_shmem_set_value(&p->set, s)->state != MSN_SHMEM_PLACED)
			continue;
		rc = placed_bytes(p, s, &more);
		if (rc)
			return msn_pass(rc);
		sum += more;
	}
	*bytes = sum;
	return 0;
}

/* ---- Copying ------------------------------------------------------------- */

/* What the memory file says of a transfer, as an errno. */
static int io_result(int rc)
{
	/* The host had no memory for a page of ours. */
	return rc > 0 ? msn_fail(-ENOMEM) : msn_pass(rc);
}

/* Zero bytes over a part of a page of segment @s. */
static int zero_part(struct msn_shmem_pages *p, struct msn_seg s,
		     struct msn_obj_range part)
{
	static const char zeros[MSN_PAGE_SIZE];
	struct msn_obj_range page = { msn_page_down(part.start), 0 }, data;
	size_t done;
	int rc;

	/* Where the host has no memory yet, there is nothing to change. */
	page.end = page.start + MSN_PAGE_SIZE;
	rc = next_in(p, s, page, MSN_SHMEM_FIND_RESIDENT, &data);
	if (rc)
		return rc == MSN_MAPPABLE_E_NO_DATA ? 0 : msn_pass(rc);
	return io_result(msn_file_write(msn_memfile_file(p->memfile),
					place_of(p, s, part).start, zeros,
					msn_obj_range_length(part), &done));
}

int msn_shmem_pages_zero(struct msn_shmem_pages *p, struct msn_obj_range r)
{
	while (r.start < r.end) {
		struct msn_seg s = msn_shmem_set_find(&p->set, r.start);
		uint64_t page = msn_page_down(r.start);
		struct msn_obj_range part = msn_obj_range_intersect(
			r,
			(struct msn_obj_range){ page, page + MSN_PAGE_SIZE });
		int rc = msn_seg_ok(s) ? zero_part(p, s, part) : 0;

		if (rc)
			return msn_pass(rc);
		r.start = part.end;
	}
	return 0;
}

/* The first bytes of @want with a page; an empty range at its end. */
static int next_bytes(const struct msn_shmem_pages *p,
		      struct msn_obj_range want, struct msn_obj_range *out)
{
	struct msn_obj_range pages = { msn_page_down(want.start), 0 };
	int rc;

	pages.end = msn_page_down(want.end - 1) + MSN_PAGE_SIZE;
	rc = msn_shmem_pages_next(p, pages, MSN_SHMEM_FIND_RESIDENT, out);
	if (rc == MSN_MAPPABLE_E_NO_DATA)
		*out = (struct msn_obj_range){ want.end, want.end };
	else if (rc)
		return msn_pass(rc);
	else
		*out = msn_obj_range_intersect(want, *out);
	return 0;
}

int msn_shmem_pages_read(const struct msn_shmem_pages *p, uint64_t offset,
			 void *buf, size_t len)
{
	struct msn_file *file = msn_memfile_file(p->memfile);
	struct msn_obj_range want = { offset, offset + len }, data;
	char *to = buf;

	while (want.start < want.end) {
		struct msn_seg s;
		size_t done;
		int rc = next_bytes(p, want, &data);

		if (rc)
			return msn_pass(rc);
		memset(to, 0, data.start - want.start);
		to += data.start - want.start;
		if (msn_obj_range_empty(data))
			return 0;
		s = msn_shmem_set_find(&p->set, data.start);
		rc = msn_file_read(file, place_of(p, s, data).start, to,
				   msn_obj_range_length(data), &done);
		if (rc)
			return io_result(rc);
		to += msn_obj_range_length(data);
		want.start = data.end;
	}
	return 0;
}

int msn_shmem_pages_write(struct msn_shmem_pages *p, uint64_t offset,
			  const void *buf, size_t len)
{
	struct msn_obj_range left = { offset, offset + len };

	while (left.start < left.end) {
		struct msn_seg s = msn_shmem_set_find(&p->set, left.start);
		struct msn_obj_range part =
			msn_obj_range_intersect(left, msn_shmem_set_range(s));
		size_t done;
		int rc = msn_file_write(msn_memfile_file(p->memfile),
					place_of(p, s, part).start,
					(const char *)buf +
						(part.start - offset),
					msn_obj_range_length(part), &done);

		if (rc)
			return io_result(rc);
		left.start = part.end;
	}
	return 0;
}

const char *msn_shmem_pages_check(const struct msn_shmem_pages *p)
{
	const char *wrong = msn_segset_check(&p->set.core);
	uint64_t sum = 0;

	if (wrong)
		return wrong;
	for (struct msn_seg s = msn_shmem_set_first(&p->set); msn_seg_ok(s);
	     s = msn_seg_next(s)) {
		struct msn_obj_range r = msn_shmem_set_range(s);
		enum msn_shmem_state state =
			msn_shmem_set_value(&p->set, s)->state;

		if (!msn_obj_range_page_aligned(r))
			return "a run of pages is not page aligned";
		if (state == MSN_SHMEM_ADDED)
			return "a reserve is still under way";
		if (state != MSN_SHMEM_PLACED)
			sum += msn_obj_range_length(r);
	}
	return sum == p->allocated_bytes ? NULL
					 : "allocated bytes do not add up";
}
