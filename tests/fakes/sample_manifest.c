/*
 * Manifests made up from a seed.  See sample_manifest.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fakes/sample_manifest.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "format/layout.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>

static uint64_t below(uint64_t *seed, uint64_t n)
{
	return msn_rand_next(seed) % n;
}

static void add_pages(struct msn_extents *list, uint64_t *seed, uint64_t first,
		      uint64_t end, uint32_t pack_count)
{
	uint64_t page = first;

	while (page + 200 < end) {
		struct msn_extent e = { .page = page + below(seed, 3) };
		uint32_t first_at = 1 + (uint32_t)below(seed, 8);

		e.count = 1 + (uint32_t)below(seed, 50);
		e.pack = (uint32_t)below(seed, pack_count + 1);
		if (e.pack == pack_count) {
			e.pack = MSN_EXTENT_ZERO;
		} else {
			e.frame =
				1 + (uint32_t)below(seed, MSN_PACK_PAGES - 64);
			e.at = e.frame + first_at;
		}
		CHECK(msn_extents_append(list, e) == 0);
		page = e.page + e.count;
	}
}

static void add_mappings(struct msn_manifest *m, uint64_t *seed, unsigned size)
{
	uint64_t at = UINT64_C(0x400000);

	for (unsigned i = 0; i < size; i++) {
		struct msn_manifest_mapping p = {
			.start = at + below(seed, 5) * 4096,
			.kind = (enum msn_mapping_kind)(1 + below(seed, 4)),
			.max_perms = 7,
			.perms = (uint8_t)below(seed, 8),
			.shared = below(seed, 2),
			.grows_down = below(seed, 2),
			.stack = below(seed, 2),
			.name_mut = (uint8_t)below(seed, 3),
			.mlock_mode = (uint8_t)below(seed, 3),
			.offset = below(seed, 1000) * 4096,
		};
		char name[32];

		snprintf(name, sizeof(name), "/lib/\xe4%u (deleted)", i);
		p.name = below(seed, 2) ? name : (char[]){ "" };
		p.end = p.start + (1 + below(seed, 1000)) * 4096;
		if (p.kind == MSN_MAPPING_FILE || p.kind == MSN_MAPPING_OBJECT)
			p.inode = msn_rand_next(seed);
		if (p.kind == MSN_MAPPING_FILE)
			p.file_mtime_ns = (int64_t)msn_rand_next(seed);
		if (p.kind == MSN_MAPPING_OBJECT)
			p.object = (uint32_t)below(seed, m->object_count);
		CHECK(msn_manifest_add_mapping(m, &p) == 0);
		at = p.end;
		if (!p.shared)
			add_pages(&m->pages, seed, p.start / 4096, p.end / 4096,
				  3);
	}
}

/* Makes every second mapping exact, with something in each field. */
static void add_exact(struct msn_manifest *m, uint64_t *seed)
{
	for (size_t i = 0; i < m->mapping_count; i += 2) {
		struct msn_manifest_mapping *p = &m->mappings[i];

		if (p->kind == MSN_MAPPING_ANON)
			p->shared = false;
		else
			p->grows_down = false;
		p->exact = true;
		p->vm_flags = p->perms | (uint32_t)p->max_perms << 4 |
			      (p->shared ? 1u << 3 | 1u << 7 : 0) |
			      (p->grows_down ? 1u << 8 : 0) |
			      (p->mlock_mode ? 1u << 9 : 0) |
			      (p->mlock_mode == 2 ? 1u << 10 : 0) |
			      (uint32_t)below(seed, 1 << 15) << 11;
		p->anon_offset = below(seed, 1u << 30) * 4096;
		p->history = (uint32_t)below(seed, m->mapping_count + 1);
		p->forked = p->history && below(seed, 2);
		p->policy = (uint32_t)below(seed, m->policy_count + 1);
		if (msn_manifest_mapping_backed(p))
			p->opened = (uint32_t)below(seed, 3);
	}
}

/* Makes every second object exact; nothing of it is sealed against writing. */
static void add_exact_objects(struct msn_manifest *m, uint64_t *seed)
{
	for (size_t i = 0; i < m->object_count; i += 2) {
		struct msn_manifest_object *o = &m->objects[i];
		struct msn_manifest_presence run = { 0 };

		o->exact = true;
		o->name = msn_format("/memfd:%zu (deleted)", i);
		CHECK(o->name);
		o->mode = (uint32_t)below(seed, 07777);
		o->seals = (uint32_t)below(seed, 8);
		run.count = 1 + below(seed, o->size_bytes / 4096);
		run.how = 1;
		for (size_t k = 0; k < o->pages.count; k++)
			if (o->pages.list[k].page + o->pages.list[k].count >
			    run.count)
				run.count = o->pages.list[k].page +
					    o->pages.list[k].count;
		CHECK(msn_presence_append(&o->present, &run) == 0);
		run.page = run.count + below(seed, 9);
		run.how = 6;
		CHECK(msn_presence_append(&o->present, &run) == 0);
		o->size_bytes -= below(seed, 4096);
	}
}

/* Runs that any mapping which is exact can have, and own pages. */
static void add_presence(struct msn_manifest *m, uint64_t *seed)
{
	for (size_t i = 0; i < m->mapping_count; i += 2) {
		const struct msn_manifest_mapping *p = &m->mappings[i];
		uint64_t page = p->start / 4096;

		while (page < p->end / 4096) {
			struct msn_manifest_presence run = {
				.page = page,
				.count = 1 + below(seed, p->end / 4096 - page),
				.how = (uint8_t)(3 + below(seed, 2)),
			};

			if (p->kind == MSN_MAPPING_ANON)
				run.how = (uint8_t)(1 + below(seed, 5));
			CHECK(msn_presence_append(&m->present, &run) == 0);
			page += run.count + below(seed, 50);
		}
	}
}

static void add_policies(struct msn_manifest *m, uint64_t *seed)
{
	for (uint16_t i = 0; i < 2; i++) {
		struct msn_manifest_policy p = {
			.mode = i, .flags = (uint16_t)below(seed, 65536)
		};
		uint32_t index;

		p.nodes[below(seed, MSN_MANIFEST_NODE_WORDS)] = 1;
		p.user_nodes[15] = msn_rand_next(seed);
		CHECK(msn_manifest_policy_index(m, &p, &index) == 0);
		CHECK(index == i);
	}
	m->space = (struct msn_manifest_space){ 0x10010, 0x20020,
						1u << 9, 2,
						0x3000,	 UINT64_C(1) << 50 };
}

static void add_objects(struct msn_manifest *m, uint64_t *seed, unsigned size)
{
	m->objects = msn_alloc_array(size, sizeof(*m->objects));
	m->blobs = msn_alloc_array(size, sizeof(*m->blobs));
	CHECK(m->objects && m->blobs);
	for (unsigned i = 0; i < size; i++) {
		m->objects[i].size_bytes = (1 + below(seed, 900)) * 4096;
		m->blobs[i].size_bytes = 1 + below(seed, 3000000);
		m->blobs[i].name = msn_format("blob-%u", i);
		CHECK(m->blobs[i].name);
		add_pages(&m->objects[i].pages, seed, 0,
			  m->objects[i].size_bytes / 4096, 3);
		add_pages(&m->blobs[i].pages, seed, 0,
			  m->blobs[i].size_bytes / 4096, 3);
		m->object_count++;
		m->blob_count++;
	}
}

struct msn_manifest *sample_manifest(uint64_t seed, unsigned size)
{
	struct msn_manifest *m;
	char key[32];

	CHECK(msn_manifest_new(&m) == 0);
	m->uid = msn_uid_new();
	m->parent = below(&seed, 2) ? msn_uid_new() : (struct msn_uid){ 0 };
	free(m->name);
	m->name = msn_strdup("sample.1");
	m->created_ns = (int64_t)msn_rand_next(&seed);
	for (uint64_t *s = &m->stats.mapped; s <= &m->stats.zero; s++)
		*s = msn_rand_next(&seed) >> below(&seed, 64);
	m->packs = msn_alloc_array(3, sizeof(*m->packs));
	CHECK(m->packs && m->name);
	for (; m->pack_count < 3; m->pack_count++)
		m->packs[m->pack_count] = (struct msn_manifest_pack){
			1 + msn_rand_next(&seed) / 2, 1 + below(&seed, 9)
		};
	for (unsigned i = 0; i < size && i < 100; i++) {
		snprintf(key, sizeof(key), "key %u", i);
		CHECK(msn_manifest_add_label(m, key, "gr\xc3\xbc\xc3\x9f") ==
		      0);
		CHECK(msn_manifest_add_attr(m, key, "comm \xff") == 0);
	}
	add_objects(m, &seed, size < 20 ? size : 20);
	add_mappings(m, &seed, size);
	return m;
}

struct msn_manifest *sample_manifest_exact(uint64_t seed, unsigned size)
{
	struct msn_manifest *m = sample_manifest(seed, size);

	add_policies(m, &seed);
	add_exact(m, &seed);
	add_exact_objects(m, &seed);
	add_presence(m, &seed);
	return m;
}

static bool texts_equal(const struct msn_manifest_text *a, size_t an,
			const struct msn_manifest_text *b, size_t bn)
{
	if (an != bn)
		return false;
	for (size_t i = 0; i < an; i++)
		if (strcmp(a[i].key, b[i].key) != 0 ||
		    strcmp(a[i].value, b[i].value) != 0)
			return false;
	return true;
}

static bool extents_equal(const struct msn_extents *a,
			  const struct msn_extents *b)
{
	return a->count == b->count &&
	       (!a->count ||
		memcmp(a->list, b->list, a->count * sizeof(*a->list)) == 0);
}

static bool mapping_equal(struct msn_manifest_mapping a,
			  struct msn_manifest_mapping b)
{
	return a.start == b.start && a.end == b.end && a.kind == b.kind &&
	       a.perms == b.perms && a.max_perms == b.max_perms &&
	       a.shared == b.shared && a.grows_down == b.grows_down &&
	       a.stack == b.stack && a.name_mut == b.name_mut &&
	       a.mlock_mode == b.mlock_mode && a.offset == b.offset &&
	       strcmp(a.name, b.name) == 0 && a.dev_major == b.dev_major &&
	       a.dev_minor == b.dev_minor && a.inode == b.inode &&
	       a.file_size == b.file_size &&
	       a.file_mtime_ns == b.file_mtime_ns && a.object == b.object &&
	       a.exact == b.exact && a.vm_flags == b.vm_flags &&
	       a.anon_offset == b.anon_offset && a.history == b.history &&
	       a.forked == b.forked && a.policy == b.policy &&
	       a.opened == b.opened;
}

static bool presence_equal(const struct msn_presence_list *a,
			   const struct msn_presence_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->list[i].page != b->list[i].page ||
		    a->list[i].count != b->list[i].count ||
		    a->list[i].how != b->list[i].how)
			return false;
	return true;
}

static bool object_equal(const struct msn_manifest_object *a,
			 const struct msn_manifest_object *b)
{
	return a->size_bytes == b->size_bytes &&
	       extents_equal(&a->pages, &b->pages) && a->exact == b->exact &&
	       (!a->exact || strcmp(a->name, b->name) == 0) &&
	       a->mode == b->mode && a->seals == b->seals &&
	       presence_equal(&a->present, &b->present);
}

static bool tables_equal(const struct msn_manifest *a,
			 const struct msn_manifest *b)
{
	for (size_t i = 0; i < a->mapping_count; i++)
		if (!mapping_equal(a->mappings[i], b->mappings[i]))
			return false;
	for (size_t i = 0; i < a->object_count; i++)
		if (!object_equal(&a->objects[i], &b->objects[i]))
			return false;
	for (size_t i = 0; i < a->blob_count; i++)
		if (a->blobs[i].size_bytes != b->blobs[i].size_bytes ||
		    strcmp(a->blobs[i].name, b->blobs[i].name) != 0 ||
		    !extents_equal(&a->blobs[i].pages, &b->blobs[i].pages))
			return false;
	return true;
}

static bool exact_equal(const struct msn_manifest *a,
			const struct msn_manifest *b)
{
	if (!presence_equal(&a->present, &b->present) ||
	    a->policy_count != b->policy_count ||
	    memcmp(&a->space, &b->space, sizeof(a->space)) != 0)
		return false;
	for (size_t i = 0; i < a->policy_count; i++)
		if (memcmp(&a->policies[i], &b->policies[i],
			   sizeof(a->policies[i])) != 0)
			return false;
	return true;
}

bool sample_manifest_equal(const struct msn_manifest *a,
			   const struct msn_manifest *b)
{
	return msn_uid_equal(a->uid, b->uid) &&
	       msn_uid_equal(a->parent, b->parent) &&
	       strcmp(a->name, b->name) == 0 &&
	       a->created_ns == b->created_ns &&
	       memcmp(&a->stats, &b->stats, sizeof(a->stats)) == 0 &&
	       texts_equal(a->labels, a->label_count, b->labels,
			   b->label_count) &&
	       texts_equal(a->attrs, a->attr_count, b->attrs, b->attr_count) &&
	       a->pack_count == b->pack_count &&
	       memcmp(a->packs, b->packs, a->pack_count * sizeof(*a->packs)) ==
		       0 &&
	       a->mapping_count == b->mapping_count &&
	       a->object_count == b->object_count &&
	       a->blob_count == b->blob_count &&
	       extents_equal(&a->pages, &b->pages) && tables_equal(a, b) &&
	       exact_equal(a, b);
}
