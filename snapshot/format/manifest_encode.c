/*
 * Manifests to bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The protobuf tree is built beside the manifest, from an arena that is thrown
 * away when the bytes are there; its texts are the manifest's own.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"
#include "format/manifest.h"
#include "range/range.h"

#include <errno.h>
#include <memsnap/v1/manifest.pb-c.h>
#include <stdlib.h>
#include <string.h>

struct arena {
	void **blocks;
	size_t count, cap;
};

static void arena_deinit(struct arena *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->blocks[i]);
	free(a->blocks);
}

/* Zeroed; NULL without memory. */
static void *arena_array(struct arena *a, size_t count, size_t size)
{
	if (msn_grow((void **)&a->blocks, &a->cap, a->count, sizeof(void *)))
		return NULL;
	a->blocks[a->count] = msn_alloc_array(count, size);
	return a->blocks[a->count] ? a->blocks[a->count++] : NULL;
}

static ProtobufCBinaryData text_bytes(const char *text)
{
	return (ProtobufCBinaryData){ .data = (uint8_t *)text,
				      .len = strlen(text) };
}

static ProtobufCBinaryData uid_bytes(const struct msn_uid *uid)
{
	if (msn_uid_is_none(*uid))
		return (ProtobufCBinaryData){ 0 };
	return (ProtobufCBinaryData){ .data = (uint8_t *)uid->bytes,
				      .len = sizeof(uid->bytes) };
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int columns_new(struct arena *a, Memsnap__V1__Extents *x, size_t n)
{
	x->n_gap = x->n_count = x->n_pack = x->n_frame = x->n_at = n;
	x->gap = arena_array(a, n, sizeof(*x->gap));
	x->count = arena_array(a, n, sizeof(*x->count));
	x->pack = arena_array(a, n, sizeof(*x->pack));
	x->frame = arena_array(a, n, sizeof(*x->frame));
	x->at = arena_array(a, n, sizeof(*x->at));
	if (!x->gap || !x->count || !x->pack || !x->frame || !x->at)
		return msn_fail(-ENOMEM);
	return 0;
}

static int put_extents(struct arena *a, Memsnap__V1__Extents **out,
		       const struct msn_extents *list)
{
	Memsnap__V1__Extents *x = arena_array(a, 1, sizeof(*x));
	int64_t pack = 0, frame = 0;
	uint64_t end = 0;

	if (!x ||
	    (memsnap__v1__extents__init(x), columns_new(a, x, list->count)))
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < list->count; i++) {
		const struct msn_extent *e = &list->list[i];

		x->gap[i] = e->page - end;
		x->count[i] = e->count;
		end = e->page + e->count;
		if (e->pack == MSN_EXTENT_ZERO)
			continue;
		x->pack[i] = 1 + zigzag((int64_t)e->pack - pack);
		x->frame[i] = (int64_t)e->frame - frame;
		x->at[i] = e->at - e->frame;
		pack = e->pack;
		frame = e->frame;
	}
	*out = x;
	return 0;
}

/*
 * An array of @count messages and the array of pointers to them that protobuf
 * wants.
 */
static int message_list(struct arena *a, size_t count, size_t size,
			void **messages, void ***pointers)
{
	*messages = arena_array(a, count, size);
	*pointers = arena_array(a, count, sizeof(void *));
	if (!*messages || !*pointers)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < count; i++)
		(*pointers)[i] = (char *)*messages + i * size;
	return 0;
}

static int put_texts(struct arena *a, Memsnap__V1__ManifestText ***out,
		     const struct msn_manifest_text *list, size_t count)
{
	Memsnap__V1__ManifestText *t;
	int rc = message_list(a, count, sizeof(*t), (void **)&t, (void ***)out);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		memsnap__v1__manifest_text__init(&t[i]);
		t[i].key = text_bytes(list[i].key);
		t[i].value = text_bytes(list[i].value);
	}
	return msn_pass(rc);
}

static void put_mapping(Memsnap__V1__ManifestMapping *t,
			const struct msn_manifest_mapping *p, uint64_t end)
{
	memsnap__v1__manifest_mapping__init(t);
	t->gap_pages = (p->start - end) >> MSN_PAGE_SHIFT;
	t->length_pages = (p->end - p->start) >> MSN_PAGE_SHIFT;
	t->kind = (Memsnap__V1__MappingKind)p->kind;
	t->perms = p->perms;
	t->max_perms = p->max_perms;
	t->shared = p->shared;
	t->grows_down = p->grows_down;
	t->stack = p->stack;
	t->name_mut = p->name_mut;
	t->mlock_mode = p->mlock_mode;
	t->offset_pages = p->offset >> MSN_PAGE_SHIFT;
	t->name = text_bytes(p->name);
	t->dev_major = p->dev_major;
	t->dev_minor = p->dev_minor;
	t->inode = p->inode;
	t->file_size = p->file_size;
	t->file_mtime_ns = p->file_mtime_ns;
	t->object = p->object;
	if (!p->exact)
		return;
	t->exact = true;
	t->vm_flags = p->vm_flags;
	t->first_page = p->anon_offset >> MSN_PAGE_SHIFT;
	t->history = p->history;
	t->forked = p->forked;
	t->policy = p->policy;
	t->opened = p->opened;
}

static int put_mappings(struct arena *a, Memsnap__V1__Manifest *pb,
			const struct msn_manifest *m)
{
	Memsnap__V1__ManifestMapping *t;
	uint64_t end = 0;
	int rc;

	rc = message_list(a, m->mapping_count, sizeof(*t), (void **)&t,
			  (void ***)&pb->mappings);
	if (rc)
		return msn_pass(rc);
	pb->n_mappings = m->mapping_count;
	for (size_t i = 0; i < m->mapping_count; i++) {
		put_mapping(&t[i], &m->mappings[i], end);
		end = m->mappings[i].end;
	}
	return 0;
}

static int put_packs(struct arena *a, Memsnap__V1__Manifest *pb,
		     const struct msn_manifest *m)
{
	Memsnap__V1__ManifestPack *t;
	int rc;

	rc = message_list(a, m->pack_count, sizeof(*t), (void **)&t,
			  (void ***)&pb->packs);
	if (rc)
		return msn_pass(rc);
	pb->n_packs = m->pack_count;
	for (size_t i = 0; i < m->pack_count; i++) {
		memsnap__v1__manifest_pack__init(&t[i]);
		t[i].id = m->packs[i].id;
		t[i].generation = m->packs[i].generation;
	}
	return 0;
}

static int put_presence(struct arena *a, Memsnap__V1__Presence **out,
			const struct msn_presence_list *list)
{
	Memsnap__V1__Presence *x = arena_array(a, 1, sizeof(*x));
	size_t n = list->count;
	uint64_t end = 0;

	if (!x)
		return msn_fail(-ENOMEM);
	memsnap__v1__presence__init(x);
	x->n_gap = x->n_count = x->n_how = n;
	x->gap = arena_array(a, n, sizeof(*x->gap));
	x->count = arena_array(a, n, sizeof(*x->count));
	x->how = arena_array(a, n, sizeof(*x->how));
	if (!x->gap || !x->count || !x->how)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < n; i++) {
		const struct msn_manifest_presence *p = &list->list[i];

		x->gap[i] = p->page - end;
		x->count[i] = p->count;
		x->how[i] = p->how;
		end = p->page + p->count;
	}
	*out = x;
	return 0;
}

static int put_memfd(struct arena *a, Memsnap__V1__ManifestObject *to,
		     const struct msn_manifest_object *o)
{
	Memsnap__V1__ManifestMemfd *t;

	if (!o->exact)
		return 0;
	t = arena_array(a, 1, sizeof(*t));
	if (!t)
		return msn_fail(-ENOMEM);
	memsnap__v1__manifest_memfd__init(t);
	t->name = text_bytes(o->name);
	t->mode = o->mode;
	t->seals = o->seals;
	t->cut_bytes = (uint32_t)(-o->size_bytes & MSN_PAGE_MASK);
	to->memfd = t;
	return msn_pass(put_presence(a, &t->present, &o->present));
}

static int put_object(struct arena *a, Memsnap__V1__ManifestObject *t,
		      const struct msn_manifest_object *o)
{
	int rc;

	memsnap__v1__manifest_object__init(t);
	t->size_pages = msn_manifest_object_pages(o);
	rc = put_extents(a, &t->pages, &o->pages);
	return rc ? msn_pass(rc) : msn_pass(put_memfd(a, t, o));
}

static int put_objects(struct arena *a, Memsnap__V1__Manifest *pb,
		       const struct msn_manifest *m)
{
	Memsnap__V1__ManifestObject *t;
	int rc;

	rc = message_list(a, m->object_count, sizeof(*t), (void **)&t,
			  (void ***)&pb->objects);
	pb->n_objects = m->object_count;
	for (size_t i = 0; rc == 0 && i < m->object_count; i++)
		rc = put_object(a, &t[i], &m->objects[i]);
	return msn_pass(rc);
}

static int put_blobs(struct arena *a, Memsnap__V1__Manifest *pb,
		     const struct msn_manifest *m)
{
	Memsnap__V1__ManifestBlob *t;
	int rc;

	rc = message_list(a, m->blob_count, sizeof(*t), (void **)&t,
			  (void ***)&pb->blobs);
	pb->n_blobs = m->blob_count;
	for (size_t i = 0; rc == 0 && i < m->blob_count; i++) {
		memsnap__v1__manifest_blob__init(&t[i]);
		t[i].name = text_bytes(m->blobs[i].name);
		t[i].size_bytes = m->blobs[i].size_bytes;
		rc = put_extents(a, &t[i].pages, &m->blobs[i].pages);
	}
	return msn_pass(rc);
}

static int put_policies(struct arena *a, Memsnap__V1__Manifest *pb,
			const struct msn_manifest *m)
{
	Memsnap__V1__ManifestPolicy *t;
	int rc = message_list(a, m->policy_count, sizeof(*t), (void **)&t,
			      (void ***)&pb->policies);

	if (rc)
		return msn_pass(rc);
	pb->n_policies = m->policy_count;
	for (size_t i = 0; i < m->policy_count; i++) {
		memsnap__v1__manifest_policy__init(&t[i]);
		t[i].mode = m->policies[i].mode;
		t[i].flags = m->policies[i].flags;
		t[i].nodes = m->policies[i].nodes;
		t[i].n_nodes = MSN_MANIFEST_NODE_WORDS;
		t[i].user_nodes = m->policies[i].user_nodes;
		t[i].n_user_nodes = MSN_MANIFEST_NODE_WORDS;
	}
	return 0;
}

static int put_space(struct arena *a, Memsnap__V1__Manifest *pb,
		     const struct msn_manifest *m)
{
	Memsnap__V1__ManifestSpace *t = arena_array(a, 1, sizeof(*t));

	if (!t)
		return msn_fail(-ENOMEM);
	memsnap__v1__manifest_space__init(t);
	t->heap_start = m->space.heap_start;
	t->heap_bytes = m->space.heap_end - m->space.heap_start;
	t->future_locks = m->space.future_locks;
	t->stuck_locked = m->space.stuck_locked;
	t->policy = m->space.policy;
	t->peak_bytes = m->space.peak;
	pb->space = t;
	return 0;
}

static void put_stats(Memsnap__V1__ManifestStats *t,
		      const struct msn_manifest_stats *s)
{
	memsnap__v1__manifest_stats__init(t);
	t->mapped = s->mapped;
	t->private_pages = s->private_pages;
	t->stored = s->stored;
	t->inherited = s->inherited;
	t->deduped = s->deduped;
	t->zero = s->zero;
}

static int put_lists(struct arena *a, Memsnap__V1__Manifest *pb,
		     const struct msn_manifest *m)
{
	int rc;

	pb->n_labels = m->label_count;
	rc = put_texts(a, &pb->labels, m->labels, m->label_count);
	pb->n_attributes = m->attr_count;
	if (rc == 0)
		rc = put_texts(a, &pb->attributes, m->attrs, m->attr_count);
	if (rc == 0)
		rc = put_mappings(a, pb, m);
	if (rc == 0)
		rc = put_packs(a, pb, m);
	if (rc == 0)
		rc = put_extents(a, &pb->pages, &m->pages);
	if (rc == 0)
		rc = put_objects(a, pb, m);
	if (rc == 0)
		rc = put_blobs(a, pb, m);
	if (rc == 0)
		rc = put_space(a, pb, m);
	if (rc == 0)
		rc = put_presence(a, &pb->present, &m->present);
	if (rc == 0)
		rc = put_policies(a, pb, m);
	return msn_pass(rc);
}

/*
 * The least that a reader has to know, so that older programs read what they
 * can: the first did not know that an object shows under private pages.
 */
static uint32_t version_of(const struct msn_manifest *m)
{
	for (size_t i = 0; i < m->mapping_count; i++)
		if (m->mappings[i].kind == MSN_MAPPING_OBJECT &&
		    !m->mappings[i].shared)
			return 2;
	return 1;
}

static int pack_bytes(const Memsnap__V1__Manifest *pb, uint8_t **out,
		      size_t *len)
{
	size_t size = memsnap__v1__manifest__get_packed_size(pb);
	uint8_t *bytes;

	if (size > MSN_MANIFEST_BYTES_MAX)
		return msn_fail(-EFBIG);
	bytes = msn_alloc(size);
	if (!bytes)
		return msn_fail(-ENOMEM);
	*len = memsnap__v1__manifest__pack(pb, bytes);
	*out = bytes;
	return 0;
}

int msn_manifest_encode(const struct msn_manifest *m, uint8_t **out,
			size_t *len)
{
	msn_auto(arena_deinit) struct arena a = { 0 };
	Memsnap__V1__Manifest pb = MEMSNAP__V1__MANIFEST__INIT;
	Memsnap__V1__ManifestStats stats;
	int rc;

	if (msn_manifest_check(m))
		return msn_fail(-EINVAL);
	pb.version = version_of(m);
	pb.uid = uid_bytes(&m->uid);
	pb.parent = uid_bytes(&m->parent);
	pb.name = text_bytes(m->name);
	pb.created_ns = m->created_ns;
	put_stats(&stats, &m->stats);
	pb.stats = &stats;
	rc = put_lists(&a, &pb, m);
	if (rc)
		return msn_pass(rc);
	return msn_pass(pack_bytes(&pb, out, len));
}
