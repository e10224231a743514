/*
 * Bytes that a failed write left behind.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The sandbox stored them, so they are what the file holds for it, whatever the
 * host's disk says; losing them is the one thing that may not happen.  A short
 * ordered list: there is something in it only while a disk fails.
 */
#include "hostfile/hostfile_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of one piece, in @r: where in the piece, and where behind r.start. */
struct overlap {
	char *kept;
	size_t at, len;
};

static struct overlap overlap_of(struct msn_kept *k, struct msn_file_range r)
{
	struct msn_file_range part = msn_file_range_intersect(r, k->range);

	return (struct overlap){ k->bytes + (part.start - k->range.start),
				 part.start - r.start,
				 msn_file_range_length(part) };
}

void msn_hostfile_kept_show(struct msn_hostfile *hf, struct msn_file_range r,
			    char *buf)
{
	for (struct msn_kept *k = hf->kept; k; k = k->next) {
		struct overlap o;

		if (!msn_file_range_overlaps(k->range, r))
			continue;
		o = overlap_of(k, r);
		memcpy(buf + o.at, o.kept, o.len);
	}
}

void msn_hostfile_kept_update(struct msn_hostfile *hf, struct msn_file_range r,
			      const char *buf)
{
	for (struct msn_kept *k = hf->kept; k; k = k->next) {
		struct overlap o;

		if (!msn_file_range_overlaps(k->range, r))
			continue;
		o = overlap_of(k, r);
		if (buf)
			memcpy(o.kept, buf + o.at, o.len);
		else
			memset(o.kept, 0, o.len);
	}
}

static void note_kept(struct msn_hostfile *hf)
{
	/* Release: who sees the hint and takes the lock finds the bytes. */
	atomic_store_explicit(&hf->has_kept, hf->kept != NULL,
			      memory_order_release);
}

static void kept_remove(struct msn_hostfile *hf, struct msn_kept **at)
{
	struct msn_kept *k = *at;

	hf->kept_bytes -= msn_file_range_length(k->range);
	*at = k->next;
	free(k);
	note_kept(hf);
}

/* Bytes of @r that no piece has. */
static uint64_t missing(const struct msn_hostfile *hf, struct msn_file_range r)
{
	uint64_t bytes = msn_file_range_length(r);

	for (const struct msn_kept *k = hf->kept; k; k = k->next)
		bytes -= msn_file_range_length(
			msn_file_range_intersect(k->range, r));
	return bytes;
}

/* A new piece for @gap, in front of *@at. */
static int kept_insert(struct msn_hostfile *hf, struct msn_kept **at,
		       struct msn_file_range gap, const char *buf)
{
	size_t len = msn_file_range_length(gap);
	struct msn_kept *k = msn_alloc(sizeof(*k) + len);

	if (!k)
		return msn_fail(-ENOMEM);
	k->range = gap;
	memcpy(k->bytes, buf, len);
	k->next = *at;
	*at = k;
	hf->kept_bytes += len;
	note_kept(hf);
	return 0;
}

int msn_hostfile_kept_add(struct msn_hostfile *hf, struct msn_file_range r,
			  const char *buf)
{
	struct msn_kept **at = &hf->kept;
	struct msn_file_range left = r;

	if (hf->kept_bytes + missing(hf, r) > MSN_HOSTFILE_KEPT_BYTES)
		return msn_fail(-ENOSPC);
	msn_hostfile_kept_update(hf, r, buf);
	while (left.start < left.end) {
		struct msn_file_range gap = left;
		int rc;

		while (*at && (*at)->range.end <= left.start)
			at = &(*at)->next;
		if (*at && (*at)->range.start <= left.start) {
			left.start = (*at)->range.end;
			continue;
		}
		if (*at && (*at)->range.start < gap.end)
			gap.end = (*at)->range.start;
		rc = kept_insert(hf, at, gap, buf + (gap.start - r.start));
		if (rc)
			return msn_pass(rc);
		left.start = gap.end;
	}
	return 0;
}

void msn_hostfile_kept_cut(struct msn_hostfile *hf, uint64_t start)
{
	struct msn_kept **at = &hf->kept;

	while (*at) {
		struct msn_kept *k = *at;

		if (k->range.start >= start) {
			kept_remove(hf, at);
			continue;
		}
		if (k->range.end > start) {
			hf->kept_bytes -= k->range.end - start;
			k->range.end = start;
		}
		at = &k->next;
	}
}

int msn_hostfile_kept_write(struct msn_hostfile *hf, struct msn_file_range r)
{
	struct msn_kept **at = &hf->kept;
	uint64_t size;
	int first = 0;

	if (!hf->kept)
		return 0;
	first = msn_hostfile_size(hf, &size);
	if (first)
		return msn_pass(first);
	/* What somebody cut off is gone, as from the kernel's cache. */
	msn_hostfile_kept_cut(hf, size);
	while (*at) {
		struct msn_kept *k = *at;
		int rc = 0;

		if (!msn_file_range_overlaps(k->range, r)) {
			at = &k->next;
			continue;
		}
		rc = msn_hostfile_write_host(hf, k->range.start, k->bytes,
					     msn_file_range_length(k->range));
		if (rc == 0) {
			/* Before the hint says that there is nothing. */
			atomic_fetch_add(&hf->kept_written, 1);
			kept_remove(hf, at);
			continue;
		}
		if (!first)
			first = rc;
		at = &k->next;
	}
	return msn_pass(first);
}
