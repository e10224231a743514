/*
 * A snapshot as the page source of its image.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "restore/restore_internal.h"

#include <errno.h>
#include <stdlib.h>

static const struct msn_page_source_ops snapshot_source_ops;

static struct msn_snapshot_source *source_of(struct msn_page_source *src)
{
	msn_assert(src->ops == &snapshot_source_ops);
	return msn_container_of(src, struct msn_snapshot_source, base);
}

/* Index of the area that contains @offset, or of the first above it. */
static size_t area_at(const struct msn_image_layout *l, uint64_t offset)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->areas[mid].offset + l->areas[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The part of an area in @r, as page numbers of its extents. */
static void clip(const struct msn_area *a, struct msn_file_range r,
		 uint64_t *page, uint64_t *count, uint64_t *offset)
{
	struct msn_file_range part = msn_file_range_intersect(
		r, (struct msn_file_range){ a->offset, a->offset + a->length });

	*offset = part.start;
	*page = a->page + (part.start - a->offset) / MSN_PAGE_SIZE;
	*count = msn_file_range_length(part) / MSN_PAGE_SIZE;
}

static int source_fill(struct msn_page_source *base, struct msn_file_range r,
		       void *dst)
{
	struct msn_snapshot_source *src = source_of(base);
	const struct msn_image_layout *l = &src->layout;

	msn_assert(src->reader);
	for (size_t i = area_at(l, r.start);
	     i < l->count && l->areas[i].offset < r.end; i++) {
		struct msn_failure why = { 0 };
		uint64_t page, count, offset;
		int rc;

		clip(&l->areas[i], r, &page, &count, &offset);
		if (count == 0)
			continue;
		rc = msn_reader_read(src->reader, l->areas[i].extents, page,
				     count, (uint8_t *)dst + (offset - r.start),
				     &why);
		if (rc) {
			src->failure = why;
			return msn_pass(rc);
		}
	}
	return 0;
}

/* The first run of extents inside [page, page + count), zero ones included:
 * those hide a file's bytes. */
static bool find_run(const struct msn_extents *list, uint64_t *page,
		     uint64_t *count)
{
	const struct msn_extent *e = msn_extents_lower(list, *page);
	const struct msn_extent *end = list->list + list->count;
	uint64_t limit = *page + *count, reached;

	if (!e || e->page >= limit)
		return false;
	if (e->page > *page)
		*page = e->page;
	for (reached = e->page + e->count; ++e < end && e->page == reached;)
		reached = e->page + e->count;
	*count = (reached < limit ? reached : limit) - *page;
	return true;
}

static int source_next_data(struct msn_page_source *base,
			    struct msn_file_range r, struct msn_file_range *out)
{
	const struct msn_image_layout *l = &source_of(base)->layout;

	for (size_t i = area_at(l, r.start);
	     i < l->count && l->areas[i].offset < r.end; i++) {
		const struct msn_area *a = &l->areas[i];
		uint64_t page, count, offset;

		clip(a, r, &page, &count, &offset);
		if (count == 0 || !find_run(a->extents, &page, &count))
			continue;
		out->start = a->offset + (page - a->page) * MSN_PAGE_SIZE;
		out->end = out->start + count * MSN_PAGE_SIZE;
		return 0;
	}
	return MSN_PAGE_SOURCE_E_NO_DATA;
}

static void source_free(struct msn_page_source *base)
{
	struct msn_snapshot_source *src = source_of(base);

	msn_reader_free(src->reader);
	msn_image_layout_deinit(&src->layout);
	msn_manifest_free(src->m);
	free(src);
}

static const struct msn_page_source_ops snapshot_source_ops = {
	.name = "snapshot",
	.fill = source_fill,
	.next_data = source_next_data,
	.free = source_free,
};

int msn_snapshot_source_new(struct msn_snapshot_source **out,
			    struct msn_store *store, struct msn_manifest *m,
			    struct msn_failure *why)
{
	struct msn_snapshot_source *src = msn_alloc(sizeof(*src));
	int rc;

	if (!src) {
		msn_manifest_free(m);
		return msn_failure_errno(why, -ENOMEM, "opening a snapshot");
	}
	src->base.ops = &snapshot_source_ops;
	src->m = m;
	rc = msn_reader_new(&src->reader, store, m, why);
	if (rc == 0) {
		rc = msn_image_layout_make(&src->layout, m);
		if (rc)
			rc = msn_failure_errno(why, rc, "opening a snapshot");
	}
	if (rc) {
		source_free(&src->base);
		return msn_pass(rc);
	}
	*out = src;
	return 0;
}
