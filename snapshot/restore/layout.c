/*
 * The layout of an image.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "restore/restore_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "mm/exact.h"
#include "range/range.h"

#include <errno.h>
#include <stdlib.h>

/* Pages of its own that are in place, if only with zeros in them? */
static bool has_blank_pages(const struct msn_manifest *m,
			    const struct msn_manifest_mapping *mapping)
{
	const struct msn_manifest_presence *p =
		msn_presence_lower(&m->present, mapping->start / MSN_PAGE_SIZE);

	for (; p && p < m->present.list + m->present.count &&
	       p->page < mapping->end / MSN_PAGE_SIZE;
	     p++)
		if (p->how == MSN_PRESENT_OWN || p->how == MSN_PRESENT_LAZY)
			return true;
	return false;
}

static bool has_pages(const struct msn_manifest *m,
		      const struct msn_manifest_mapping *mapping)
{
	const struct msn_extent *e =
		msn_extents_lower(&m->pages, mapping->start / MSN_PAGE_SIZE);

	return (e && e->page < mapping->end / MSN_PAGE_SIZE) ||
	       has_blank_pages(m, mapping);
}

/* Appends an area.  Offsets stay far below what a file can have: 2^63. */
static int add_area(struct msn_image_layout *l, uint64_t length, uint64_t page,
		    const struct msn_extents *extents)
{
	if (length > (UINT64_C(1) << 62) - l->size_bytes)
		return msn_fail(-EFBIG);
	l->areas[l->count++] =
		(struct msn_area){ l->size_bytes, length, page, extents };
	l->size_bytes += length;
	return 0;
}

int msn_image_layout_make(struct msn_image_layout *l,
			  const struct msn_manifest *m)
{
	int rc = 0;

	l->areas = msn_alloc_array(m->mapping_count + m->object_count,
				   sizeof(*l->areas));
	l->of_mapping =
		msn_alloc_array(m->mapping_count, sizeof(*l->of_mapping));
	l->of_object = msn_alloc_array(m->object_count, sizeof(*l->of_object));
	if (!l->areas || !l->of_mapping || !l->of_object)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; rc == 0 && i < m->mapping_count; i++) {
		const struct msn_manifest_mapping *v = &m->mappings[i];

		l->of_mapping[i] = SIZE_MAX;
		if (v->shared || !has_pages(m, v))
			continue;
		l->of_mapping[i] = l->count;
		rc = add_area(l, v->end - v->start, v->start / MSN_PAGE_SIZE,
			      &m->pages);
	}
	for (size_t i = 0; rc == 0 && i < m->object_count; i++) {
		l->of_object[i] = l->count;
		rc = add_area(l,
			      msn_manifest_object_pages(&m->objects[i])
				      << MSN_PAGE_SHIFT,
			      0, &m->objects[i].pages);
	}
	return msn_pass(rc);
}

void msn_image_layout_deinit(struct msn_image_layout *l)
{
	free(l->areas);
	free(l->of_mapping);
	free(l->of_object);
}

static int add_placement(struct msn_run_list *list, struct msn_placement p)
{
	int rc = msn_grow((void **)&list->list, &list->cap, list->count,
			  sizeof(*list->list));

	if (rc == 0)
		list->list[list->count++] = p;
	return msn_pass(rc);
}

int msn_area_runs(const struct msn_snapshot_source *source,
		  struct msn_image *image, size_t index,
		  struct msn_run_list *out)
{
	const struct msn_manifest_mapping *v = &source->m->mappings[index];
	size_t area = source->layout.of_mapping[index];
	struct msn_file *file = msn_image_file(image);
	struct msn_file_range left, data;
	int rc = 0;

	out->count = 0;
	if (area == SIZE_MAX)
		return 0;
	left.start = source->layout.areas[area].offset;
	left.end = left.start + (v->end - v->start);
	if (!msn_manifest_mapping_backed(v))
		return msn_pass(add_placement(
			out, (struct msn_placement){
				     { v->start, v->end }, file, left.start }));
	for (uint64_t base = left.start; rc == 0 && left.start < left.end;
	     left.start = data.end) {
		uint64_t addr;

		rc = msn_file_next_data(file, left, &data);
		if (rc == MSN_FILE_E_NO_DATA)
			return 0;
		if (rc)
			break;
		addr = v->start + (data.start - base);
		rc = add_placement(
			out,
			(struct msn_placement){
				{ addr, addr + msn_file_range_length(data) },
				file,
				data.start });
	}
	return msn_pass(rc);
}
