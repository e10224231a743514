/*
 * Page references of the memory file, and the way of a page back to the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Taking and dropping references cannot fail, although both may cut segments:
 * every call tops up a reserve of nodes that is deep enough for several more
 * calls.  Only if memory cannot be had that many times in a row does the
 * program stop.
 */
#include "memfile/memfile_internal.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Cuts that the reserve is good for: 16 calls with two cuts each. */
#define REFS_RESERVE 32

static bool refs_merge(struct msn_seg_range a, void *va, struct msn_seg_range b,
		       void *vb)
{
	const struct msn_page_refs *l = va, *r = vb;

	(void)a;
	(void)b;
	return l->refs == r->refs && l->account == r->account && l->refs > 0;
}

const struct msn_segset_ops msn_page_refs_ops = {
	.value_size = sizeof(struct msn_page_refs),
	.merge = refs_merge,
};

static struct msn_seg isolate_referenced(struct msn_memfile *mf,
					 struct msn_file_range r)
{
	struct msn_seg seg;
	int rc = msn_segset_reserve(&mf->refs.core, REFS_RESERVE);

	(void)rc; /* what an earlier call reserved is still there */
	rc = msn_refs_set_isolate(&mf->refs, r, &seg);
	msn_assert(rc == 0);
	msn_assert(msn_seg_ok(seg));
	return seg;
}

void msn_memfile_inc_ref(struct msn_file *file, struct msn_file_range r,
			 msn_account_id account)
{
	struct msn_memfile *mf = msn_memfile_of(file);
	uint64_t at = r.start;

	(void)account; /* fixed when the page was allocated */
	msn_lock_scope(&mf->lock);
	for (struct msn_seg s = isolate_referenced(mf, r);
	     msn_seg_ok(s) && at < r.end; s = msn_seg_next(s)) {
		struct msn_page_refs *v = msn_refs_set_value(&mf->refs, s);

		msn_assert(msn_refs_set_range(s).start == at && v->refs > 0);
		v->refs++;
		at = msn_refs_set_range(s).end;
	}
	msn_assert(at == r.end);
	msn_refs_set_merge_range(&mf->refs, r);
}

/* Gives the memory of pages without references back to the host. */
static void release(struct msn_memfile *mf, struct msn_file_range r)
{
	struct msn_spans spans;

	if (fallocate(mf->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)r.start, (off_t)msn_file_range_length(r)) == 0)
		return;
	/* A free page reads as zero, whatever it takes. */
	while (r.start < r.end) {
		msn_assert(msn_windows_map(&mf->windows, r, &spans) == 0);
		for (size_t i = 0; i < spans.count; i++) {
			memset(spans.span[i].data, 0, spans.span[i].len);
			r.start += spans.span[i].len;
		}
	}
}

/* releasing -> free, for what dropping @r left without references. */
static void finish_release(struct msn_memfile *mf, struct msn_file_range r)
{
	struct msn_seg s;

	msn_lock_scope(&mf->lock);
	s = msn_refs_set_lower(&mf->refs, r.start);
	while (msn_seg_ok(s) && msn_refs_set_range(s).start < r.end)
		s = msn_refs_set_remove(&mf->refs, s);
}

/*
 * used -> used or releasing, for the first run of @r that shares one count.
 * Returns the run; *@last says whether its pages lost their last reference.
 */
static struct msn_file_range drop_run(struct msn_memfile *mf,
				      struct msn_file_range r, bool *last)
{
	struct msn_file_range run;
	struct msn_page_refs *v;
	struct msn_seg s;

	msn_lock_scope(&mf->lock);
	s = msn_refs_set_find(&mf->refs, r.start);
	msn_assert(msn_seg_ok(s));
	run = msn_file_range_intersect(r, msn_refs_set_range(s));
	s = isolate_referenced(mf, run);
	v = msn_refs_set_value(&mf->refs, s);
	msn_assert(v->refs > 0);
	*last = --v->refs == 0;
	if (*last) {
		mf->used_bytes -= msn_file_range_length(run);
		if (mf->accounts)
			msn_account_uncharge(mf->accounts, v->account,
					     MSN_ACCOUNT_ANONYMOUS,
					     msn_file_range_length(run));
	} else {
		msn_refs_set_merge_range(&mf->refs, run);
	}
	return run;
}

void msn_memfile_dec_ref(struct msn_file *file, struct msn_file_range r)
{
	struct msn_memfile *mf = msn_memfile_of(file);

	while (r.start < r.end) {
		bool last;
		struct msn_file_range run = drop_run(mf, r, &last);

		if (last) {
			release(mf, run);
			finish_release(mf, run);
		}
		r.start = run.end;
	}
}

bool msn_memfile_is_sole(struct msn_memfile *mf, struct msn_file_range r,
			 struct msn_file_range *run)
{
	struct msn_file_range seg_run;
	struct msn_seg s;
	bool sole;

	msn_lock_scope(&mf->lock);
	s = msn_refs_set_find(&mf->refs, r.start);
	msn_assert(msn_seg_ok(s));
	sole = msn_refs_set_value(&mf->refs, s)->refs == 1;
	*run = msn_file_range_intersect(r, msn_refs_set_range(s));
	for (s = msn_seg_next(s); msn_seg_ok(s) && run->end < r.end;
	     s = msn_seg_next(s)) {
		seg_run = msn_refs_set_range(s);
		if (seg_run.start != run->end ||
		    (msn_refs_set_value(&mf->refs, s)->refs == 1) != sole)
			break;
		run->end = seg_run.end < r.end ? seg_run.end : r.end;
	}
	return sole;
}
