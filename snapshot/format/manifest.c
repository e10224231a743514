/*
 * Manifests in memory: making, adding to and looking into them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format/manifest.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/limits.h"
#include "range/range.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void texts_free(struct msn_manifest_text *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].key);
		free(list[i].value);
	}
	free(list);
}

int msn_manifest_new(struct msn_manifest **out)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;

	m = msn_alloc(sizeof(*m));
	if (!m)
		return msn_fail(-ENOMEM);
	m->name = msn_strdup("");
	if (!m->name)
		return msn_fail(-ENOMEM);
	*out = msn_steal(m);
	return 0;
}

struct msn_manifest *msn_manifest_free(struct msn_manifest *m)
{
	if (!m)
		return NULL;
	free(m->name);
	texts_free(m->labels, m->label_count);
	texts_free(m->attrs, m->attr_count);
	for (size_t i = 0; i < m->mapping_count; i++)
		free(m->mappings[i].name);
	free(m->mappings);
	free(m->packs);
	msn_extents_deinit(&m->pages);
	for (size_t i = 0; i < m->object_count; i++) {
		free(m->objects[i].name);
		free(m->objects[i].present.list);
		msn_extents_deinit(&m->objects[i].pages);
	}
	free(m->objects);
	for (size_t i = 0; i < m->blob_count; i++) {
		free(m->blobs[i].name);
		msn_extents_deinit(&m->blobs[i].pages);
	}
	free(m->blobs);
	free(m->present.list);
	free(m->policies);
	free(m);
	return NULL;
}

/* Is @e the next part of the run that @last is? */
static bool extent_continues(const struct msn_extent *last,
			     const struct msn_extent *e)
{
	if (last->page + last->count != e->page || last->pack != e->pack ||
	    last->count > UINT32_MAX - e->count)
		return false;
	if (e->pack == MSN_EXTENT_ZERO)
		return true;
	return last->frame == e->frame && last->at + last->count == e->at;
}

int msn_extents_append(struct msn_extents *list, struct msn_extent e)
{
	struct msn_extent *last = NULL;
	int rc;

	if (list->count)
		last = &list->list[list->count - 1];
	msn_assert(e.count > 0);
	msn_assert(!last || last->page + last->count <= e.page);
	if (last && extent_continues(last, &e)) {
		last->count += e.count;
		return 0;
	}
	rc = msn_grow((void **)&list->list, &list->cap, list->count,
		      sizeof(*list->list));
	if (rc)
		return msn_pass(rc);
	list->list[list->count++] = e;
	return 0;
}

void msn_extents_deinit(struct msn_extents *list)
{
	free(list->list);
	*list = (struct msn_extents){ 0 };
}

const struct msn_extent *msn_extents_lower(const struct msn_extents *list,
					   uint64_t page)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct msn_extent *e = &list->list[mid];

		if (e->page + e->count <= page)
			low = mid + 1;
		else
			high = mid;
	}
	return low < list->count ? &list->list[low] : NULL;
}

void msn_extents_blank(const struct msn_extents *list, uint64_t page,
		       uint64_t count, uint8_t *dst)
{
	const struct msn_extent *e = msn_extents_lower(list, page);
	const struct msn_extent *end = list->list + list->count;

	for (; e && e < end && e->page < page + count; e++) {
		uint64_t from = e->page > page ? e->page : page;
		uint64_t to = e->page + e->count;

		if (e->pack != MSN_EXTENT_ZERO)
			continue;
		if (to > page + count)
			to = page + count;
		memset(dst + (from - page) * MSN_PAGE_SIZE, 0,
		       (to - from) * MSN_PAGE_SIZE);
	}
}

/*
 * Room for one more.  These arrays keep no capacity beside their count, so that
 * whoever builds them by hand has none to keep right; the heap knows how large
 * a block is, and blocks grow by doubling.
 */
static int table_grow(void **list, size_t count, size_t elem_size)
{
	void *grown;

	if (malloc_usable_size(*list) / elem_size > count)
		return 0;
	grown = msn_realloc_array(*list, count * 2 + 1, elem_size);
	if (!grown)
		return msn_fail(-ENOMEM);
	*list = grown;
	return 0;
}

int msn_manifest_pack_index(struct msn_manifest *m,
			    struct msn_manifest_pack pack, uint32_t *index)
{
	int rc;

	/* Backwards: what was added last is asked for most. */
	for (size_t i = m->pack_count; i-- > 0;) {
		if (m->packs[i].id == pack.id &&
		    m->packs[i].generation == pack.generation) {
			*index = (uint32_t)i;
			return 0;
		}
	}
	rc = table_grow((void **)&m->packs, m->pack_count, sizeof(*m->packs));
	if (rc)
		return msn_pass(rc);
	*index = (uint32_t)m->pack_count;
	m->packs[m->pack_count++] = pack;
	return 0;
}

static int text_add(struct msn_manifest_text **list, size_t *count,
		    const char *key, const char *value)
{
	msn_auto(msn_freep) char *k = NULL;
	msn_auto(msn_freep) char *v = NULL;
	int rc;

	if (*count >= MSN_LABEL_COUNT_MAX ||
	    strlen(key) + strlen(value) > MSN_LABEL_BYTES_MAX)
		return msn_fail(-E2BIG);
	k = msn_strdup(key);
	v = msn_strdup(value);
	if (!k || !v)
		return msn_fail(-ENOMEM);
	rc = table_grow((void **)list, *count, sizeof(**list));
	if (rc)
		return msn_pass(rc);
	(*list)[*count].key = msn_steal(k);
	(*list)[*count].value = msn_steal(v);
	++*count;
	return 0;
}

int msn_manifest_add_label(struct msn_manifest *m, const char *key,
			   const char *value)
{
	return msn_pass(text_add(&m->labels, &m->label_count, key, value));
}

int msn_manifest_add_attr(struct msn_manifest *m, const char *key,
			  const char *value)
{
	return msn_pass(text_add(&m->attrs, &m->attr_count, key, value));
}

int msn_manifest_add_mapping(struct msn_manifest *m,
			     const struct msn_manifest_mapping *mapping)
{
	msn_auto(msn_freep) char *name = NULL;
	int rc;

	if (m->mapping_count >= MSN_MAPPING_COUNT_MAX ||
	    strlen(mapping->name) > MSN_MAPPING_NAME_MAX)
		return msn_fail(-E2BIG);
	name = msn_strdup(mapping->name);
	if (!name)
		return msn_fail(-ENOMEM);
	rc = table_grow((void **)&m->mappings, m->mapping_count,
			sizeof(*m->mappings));
	if (rc)
		return msn_pass(rc);
	m->mappings[m->mapping_count] = *mapping;
	m->mappings[m->mapping_count++].name = msn_steal(name);
	return 0;
}

int msn_manifest_add_object(struct msn_manifest *m,
			    const struct msn_manifest_object *object,
			    uint32_t *index)
{
	msn_auto(msn_freep) char *name = NULL;
	struct msn_manifest_object *o;
	int rc;

	if (object->name) {
		if (strlen(object->name) > MSN_MAPPING_NAME_MAX)
			return msn_fail(-E2BIG);
		name = msn_strdup(object->name);
		if (!name)
			return msn_fail(-ENOMEM);
	}
	rc = table_grow((void **)&m->objects, m->object_count,
			sizeof(*m->objects));
	if (rc)
		return msn_pass(rc);
	*index = (uint32_t)m->object_count;
	o = &m->objects[m->object_count++];
	*o = *object;
	o->name = msn_steal(name);
	return 0;
}

uint64_t msn_manifest_object_pages(const struct msn_manifest_object *o)
{
	return (o->size_bytes >> MSN_PAGE_SHIFT) +
	       !!(o->size_bytes & MSN_PAGE_MASK);
}

int msn_presence_append(struct msn_presence_list *list,
			const struct msn_manifest_presence *run)
{
	int rc = table_grow((void **)&list->list, list->count,
			    sizeof(*list->list));

	if (rc == 0)
		list->list[list->count++] = *run;
	return msn_pass(rc);
}

int msn_manifest_policy_index(struct msn_manifest *m,
			      const struct msn_manifest_policy *policy,
			      uint32_t *index)
{
	int rc;

	for (size_t i = m->policy_count; i-- > 0;) {
		if (memcmp(&m->policies[i], policy, sizeof(*policy)) == 0) {
			*index = (uint32_t)i;
			return 0;
		}
	}
	rc = table_grow((void **)&m->policies, m->policy_count,
			sizeof(*m->policies));
	if (rc)
		return msn_pass(rc);
	*index = (uint32_t)m->policy_count;
	m->policies[m->policy_count++] = *policy;
	return 0;
}

const struct msn_manifest_presence *
msn_presence_lower(const struct msn_presence_list *list, uint64_t page)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list->list[mid].page + list->list[mid].count <= page)
			low = mid + 1;
		else
			high = mid;
	}
	return low < list->count ? &list->list[low] : NULL;
}

const char *msn_manifest_attr(const struct msn_manifest *m, const char *key)
{
	for (size_t i = 0; i < m->attr_count; i++)
		if (strcmp(m->attrs[i].key, key) == 0)
			return m->attrs[i].value;
	return NULL;
}

const struct msn_manifest_blob *msn_manifest_blob(const struct msn_manifest *m,
						  const char *name)
{
	for (size_t i = 0; i < m->blob_count; i++)
		if (strcmp(m->blobs[i].name, name) == 0)
			return &m->blobs[i];
	return NULL;
}

const struct msn_manifest_mapping *
msn_manifest_mapping_at(const struct msn_manifest *m, uint64_t addr)
{
	size_t low = 0, high = m->mapping_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->mappings[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == m->mapping_count || m->mappings[low].start > addr)
		return NULL;
	return &m->mappings[low];
}
