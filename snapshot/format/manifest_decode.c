/*
 * Manifests from bytes that nobody vouches for.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * In three steps: protobuf-c makes a tree, with memory from a budget that
 * grows with the input and no more; the tree becomes a manifest, each number
 * taken over only where it fits; msn_manifest_check() has the last word.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/limits.h"
#include "format/layout.h"
#include "format/manifest.h"
#include "range/range.h"

#include <errno.h>
#include <inttypes.h>
#include <memsnap/v1/manifest.pb-c.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET_FLOOR 65536

/*
 * What the decoder may still take.  Shared by the tree and the manifest: the
 * tree's blocks give theirs back when they are freed.
 */
struct budget {
	size_t left;
	bool spent; /* somebody asked for more */
	bool no_memory;
};

/* Stands before each block; keeps malloc()'s alignment. */
struct block {
	_Alignas(16) size_t size;
};

static bool budget_take(struct budget *b, size_t size)
{
	if (size > b->left) {
		b->spent = true;
		return false;
	}
	b->left -= size;
	return true;
}

static void *budget_alloc(void *data, size_t size)
{
	struct budget *b = data;
	struct block *block;
	size_t whole;

	if (__builtin_add_overflow(size, sizeof(*block), &whole) ||
	    !budget_take(b, whole))
		return NULL;
	block = msn_fault("alloc") ? NULL : malloc(whole);
	if (!block) {
		b->no_memory = true;
		return NULL;
	}
	block->size = whole;
	return block + 1;
}

static void budget_free(void *data, void *pointer)
{
	struct budget *b = data;
	struct block *block = pointer;

	if (!block)
		return;
	block--;
	b->left += block->size;
	free(block);
}

/* One decoding: what is made, from what budget, and what is wrong. */
struct decoder {
	struct msn_manifest *m;
	struct budget budget;
	const char *wrong; /* set with -EBADMSG */
};

static int broken(struct decoder *d, const char *what)
{
	d->wrong = what;
	return msn_fail(-EBADMSG);
}

/* An array for the manifest.  *@out stays NULL for none. */
static int take_array(struct decoder *d, void **out, size_t count, size_t size)
{
	size_t bytes;

	if (count == 0)
		return 0;
	if (__builtin_mul_overflow(count, size, &bytes) ||
	    !budget_take(&d->budget, bytes))
		return broken(d,
			      "it asks for more memory than its size allows");
	*out = msn_alloc_array(count, size);
	return *out ? 0 : msn_fail(-ENOMEM);
}

static int get_text(struct decoder *d, char **out, ProtobufCBinaryData in)
{
	char *text = NULL;
	int rc;

	if (in.len && memchr(in.data, 0, in.len))
		return broken(d, "a text has a zero byte inside");
	rc = take_array(d, (void **)&text, in.len + 1, 1);
	if (rc)
		return msn_pass(rc);
	if (in.len)
		memcpy(text, in.data, in.len);
	*out = text;
	return 0;
}

static int get_uid(struct decoder *d, struct msn_uid *out,
		   ProtobufCBinaryData in)
{
	if (in.len == 0)
		return 0;
	if (in.len != sizeof(out->bytes))
		return broken(d, "a uid has not 16 bytes");
	memcpy(out->bytes, in.data, sizeof(out->bytes));
	return 0;
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Where the runs are: what delta coding carries from one to the next. */
struct cursor {
	uint64_t end;
	int64_t pack, frame;
};

static int get_place(struct decoder *d, struct cursor *c,
		     const Memsnap__V1__Extents *x, size_t i,
		     struct msn_extent *e)
{
	if (x->pack[i] == 0) {
		if (x->frame[i] || x->at[i])
			return broken(d, "a run of zero pages names a place in "
					 "a pack");
		e->pack = MSN_EXTENT_ZERO;
		return 0;
	}
	if (__builtin_add_overflow(c->pack, unzigzag(x->pack[i] - 1),
				   &c->pack) ||
	    c->pack < 0 || c->pack >= MSN_EXTENT_ZERO)
		return broken(d, "a run of pages names a pack that is not in "
				 "the table");
	if (__builtin_add_overflow(c->frame, x->frame[i], &c->frame) ||
	    c->frame < 0 || c->frame >= MSN_PACK_PAGES ||
	    x->at[i] > MSN_FRAME_PAGES_MAX)
		return broken(d, "a run of pages names a frame outside the "
				 "pack");
	e->pack = (uint32_t)c->pack;
	e->frame = (uint32_t)c->frame;
	e->at = e->frame + x->at[i];
	return 0;
}

static int get_extents(struct decoder *d, struct msn_extents *out,
		       const Memsnap__V1__Extents *x)
{
	struct cursor c = { 0 };
	int rc;

	if (!x)
		return 0;
	if (x->n_count != x->n_gap || x->n_pack != x->n_gap ||
	    x->n_frame != x->n_gap || x->n_at != x->n_gap)
		return broken(d, "the columns of a list of runs differ in "
				 "length");
	rc = take_array(d, (void **)&out->list, x->n_gap, sizeof(*out->list));
	if (rc)
		return msn_pass(rc);
	out->cap = x->n_gap;
	for (size_t i = 0; rc == 0 && i < x->n_gap; i++) {
		struct msn_extent *e = &out->list[i];

		if (__builtin_add_overflow(c.end, x->gap[i], &e->page) ||
		    __builtin_add_overflow(e->page, x->count[i], &c.end))
			return broken(d, "a run of pages wraps");
		e->count = x->count[i];
		rc = get_place(d, &c, x, i, e);
		out->count++;
	}
	return msn_pass(rc);
}

static int get_texts(struct decoder *d, struct msn_manifest_text **out,
		     size_t *count, Memsnap__V1__ManifestText **in, size_t n)
{
	int rc;

	if (n > MSN_LABEL_COUNT_MAX)
		return broken(d, "there are too many labels or attributes");
	rc = take_array(d, (void **)out, n, sizeof(**out));
	for (size_t i = 0; rc == 0 && i < n; i++) {
		++*count;
		rc = get_text(d, &(*out)[i].key, in[i]->key);
		if (rc == 0)
			rc = get_text(d, &(*out)[i].value, in[i]->value);
	}
	return msn_pass(rc);
}

/* Pages to bytes; false if that does not fit. */
static bool pages_to_bytes(uint64_t pages, uint64_t *bytes)
{
	*bytes = pages << MSN_PAGE_SHIFT;
	return *bytes >> MSN_PAGE_SHIFT == pages;
}

static int get_mapping_range(struct decoder *d, struct msn_manifest_mapping *p,
			     const Memsnap__V1__ManifestMapping *t,
			     uint64_t end)
{
	uint64_t gap, length;

	if (!pages_to_bytes(t->gap_pages, &gap) ||
	    !pages_to_bytes(t->length_pages, &length) ||
	    !pages_to_bytes(t->offset_pages, &p->offset) ||
	    __builtin_add_overflow(end, gap, &p->start) ||
	    __builtin_add_overflow(p->start, length, &p->end))
		return broken(d, "a mapping wraps");
	return 0;
}

static int get_mapping(struct decoder *d, struct msn_manifest_mapping *p,
		       const Memsnap__V1__ManifestMapping *t, uint64_t end)
{
	int rc = get_mapping_range(d, p, t, end);

	if (rc)
		return msn_pass(rc);
	if ((t->perms | t->max_perms | t->name_mut | t->mlock_mode) > UINT8_MAX)
		return broken(d, "a mapping has a mode that does not exist");
	if ((int)t->kind < MSN_MAPPING_ANON ||
	    (int)t->kind > MSN_MAPPING_KERNEL)
		return broken(d, "a mapping is of no known kind");
	p->kind = (enum msn_mapping_kind)t->kind;
	p->perms = (uint8_t)t->perms;
	p->max_perms = (uint8_t)t->max_perms;
	p->shared = t->shared;
	p->grows_down = t->grows_down;
	p->stack = t->stack;
	p->name_mut = (uint8_t)t->name_mut;
	p->mlock_mode = (uint8_t)t->mlock_mode;
	p->dev_major = t->dev_major;
	p->dev_minor = t->dev_minor;
	p->inode = t->inode;
	p->file_size = t->file_size;
	p->file_mtime_ns = t->file_mtime_ns;
	p->object = t->object;
	p->exact = t->exact;
	p->vm_flags = t->vm_flags;
	p->history = t->history;
	p->forked = t->forked;
	p->policy = t->policy;
	p->opened = t->opened;
	if (!pages_to_bytes(t->first_page, &p->anon_offset))
		return broken(d, "a mapping was made past the last address");
	return msn_pass(get_text(d, &p->name, t->name));
}

static int get_mappings(struct decoder *d, const Memsnap__V1__Manifest *pb)
{
	struct msn_manifest *m = d->m;
	uint64_t end = 0;
	int rc;

	if (pb->n_mappings > MSN_MAPPING_COUNT_MAX)
		return broken(d, "there are too many mappings");
	rc = take_array(d, (void **)&m->mappings, pb->n_mappings,
			sizeof(*m->mappings));
	for (size_t i = 0; rc == 0 && i < pb->n_mappings; i++) {
		m->mapping_count++;
		rc = get_mapping(d, &m->mappings[i], pb->mappings[i], end);
		end = m->mappings[i].end;
	}
	return msn_pass(rc);
}

static int get_packs(struct decoder *d, const Memsnap__V1__Manifest *pb)
{
	struct msn_manifest *m = d->m;
	int rc = take_array(d, (void **)&m->packs, pb->n_packs,
			    sizeof(*m->packs));

	if (rc)
		return msn_pass(rc);
	m->pack_count = pb->n_packs;
	for (size_t i = 0; i < pb->n_packs; i++) {
		m->packs[i].id = pb->packs[i]->id;
		m->packs[i].generation = pb->packs[i]->generation;
	}
	return 0;
}

static int get_presence(struct decoder *d, struct msn_presence_list *out,
			const Memsnap__V1__Presence *x)
{
	uint64_t end = 0;
	int rc;

	if (!x)
		return 0;
	if (x->n_count != x->n_gap || x->n_how != x->n_gap)
		return broken(d, "the columns of a list of runs differ in "
				 "length");
	rc = take_array(d, (void **)&out->list, x->n_gap, sizeof(*out->list));
	for (size_t i = 0; rc == 0 && i < x->n_gap; i++) {
		struct msn_manifest_presence *p = &out->list[i];

		if (__builtin_add_overflow(end, x->gap[i], &p->page) ||
		    __builtin_add_overflow(p->page, x->count[i], &end))
			return broken(d, "a run of pages wraps");
		if (x->how[i] > UINT8_MAX)
			return broken(d, "pages are in place in no known way");
		p->count = x->count[i];
		p->how = (uint8_t)x->how[i];
		out->count++;
	}
	return msn_pass(rc);
}

static int get_memfd(struct decoder *d, struct msn_manifest_object *o,
		     const Memsnap__V1__ManifestMemfd *t)
{
	int rc;

	if (!t)
		return 0;
	if (t->cut_bytes > MSN_PAGE_MASK || t->cut_bytes > o->size_bytes)
		return broken(d, "an object does not end in its last page");
	o->exact = true;
	o->size_bytes -= t->cut_bytes;
	o->mode = t->mode;
	o->seals = t->seals;
	rc = get_text(d, &o->name, t->name);
	return rc ? msn_pass(rc)
		  : msn_pass(get_presence(d, &o->present, t->present));
}

static int get_objects(struct decoder *d, const Memsnap__V1__Manifest *pb)
{
	struct msn_manifest *m = d->m;
	int rc = take_array(d, (void **)&m->objects, pb->n_objects,
			    sizeof(*m->objects));

	for (size_t i = 0; rc == 0 && i < pb->n_objects; i++) {
		struct msn_manifest_object *o = &m->objects[i];

		m->object_count++;
		if (!pages_to_bytes(pb->objects[i]->size_pages, &o->size_bytes))
			return broken(d, "an object is too large");
		rc = get_extents(d, &o->pages, pb->objects[i]->pages);
		if (rc == 0)
			rc = get_memfd(d, o, pb->objects[i]->memfd);
	}
	return msn_pass(rc);
}

static int get_blobs(struct decoder *d, const Memsnap__V1__Manifest *pb)
{
	struct msn_manifest *m = d->m;
	int rc;

	if (pb->n_blobs > MSN_BLOB_COUNT_MAX)
		return broken(d, "there are too many blobs");
	rc = take_array(d, (void **)&m->blobs, pb->n_blobs, sizeof(*m->blobs));
	for (size_t i = 0; rc == 0 && i < pb->n_blobs; i++) {
		struct msn_manifest_blob *b = &m->blobs[i];

		m->blob_count++;
		b->size_bytes = pb->blobs[i]->size_bytes;
		rc = get_text(d, &b->name, pb->blobs[i]->name);
		if (rc == 0)
			rc = get_extents(d, &b->pages, pb->blobs[i]->pages);
	}
	return msn_pass(rc);
}

static int get_policies(struct decoder *d, const Memsnap__V1__Manifest *pb)
{
	struct msn_manifest *m = d->m;
	int rc = take_array(d, (void **)&m->policies, pb->n_policies,
			    sizeof(*m->policies));

	for (size_t i = 0; rc == 0 && i < pb->n_policies; i++) {
		const Memsnap__V1__ManifestPolicy *t = pb->policies[i];
		struct msn_manifest_policy *p = &m->policies[i];

		if (t->mode > UINT16_MAX || t->flags > UINT16_MAX ||
		    t->n_nodes > MSN_MANIFEST_NODE_WORDS ||
		    t->n_user_nodes > MSN_MANIFEST_NODE_WORDS)
			return broken(d, "a memory policy is none");
		p->mode = (uint16_t)t->mode;
		p->flags = (uint16_t)t->flags;
		for (size_t k = 0; k < t->n_nodes; k++)
			p->nodes[k] = t->nodes[k];
		for (size_t k = 0; k < t->n_user_nodes; k++)
			p->user_nodes[k] = t->user_nodes[k];
		m->policy_count++;
	}
	return msn_pass(rc);
}

static int get_space(struct decoder *d, const Memsnap__V1__ManifestSpace *t)
{
	struct msn_manifest_space *s = &d->m->space;

	if (!t)
		return 0;
	s->heap_start = t->heap_start;
	s->future_locks = t->future_locks;
	s->stuck_locked = t->stuck_locked;
	s->policy = t->policy;
	s->peak = t->peak_bytes;
	if (__builtin_add_overflow(t->heap_start, t->heap_bytes, &s->heap_end))
		return broken(d, "the heap wraps");
	return 0;
}

static void get_stats(struct msn_manifest_stats *s,
		      const Memsnap__V1__ManifestStats *t)
{
	if (!t)
		return;
	s->mapped = t->mapped;
	s->private_pages = t->private_pages;
	s->stored = t->stored;
	s->inherited = t->inherited;
	s->deduped = t->deduped;
	s->zero = t->zero;
}

static int get_manifest(struct decoder *d, const Memsnap__V1__Manifest *pb)
{
	struct msn_manifest *m = d->m;
	int rc;

	m->created_ns = pb->created_ns;
	get_stats(&m->stats, pb->stats);
	rc = get_uid(d, &m->uid, pb->uid);
	if (rc == 0)
		rc = get_uid(d, &m->parent, pb->parent);
	if (rc == 0) {
		free(msn_steal(m->name));
		rc = get_text(d, &m->name, pb->name);
	}
	if (rc == 0)
		rc = get_texts(d, &m->labels, &m->label_count, pb->labels,
			       pb->n_labels);
	if (rc == 0)
		rc = get_texts(d, &m->attrs, &m->attr_count, pb->attributes,
			       pb->n_attributes);
	if (rc == 0)
		rc = get_mappings(d, pb);
	if (rc == 0)
		rc = get_packs(d, pb);
	if (rc == 0)
		rc = get_extents(d, &m->pages, pb->pages);
	if (rc == 0)
		rc = get_objects(d, pb);
	if (rc == 0)
		rc = get_blobs(d, pb);
	if (rc == 0)
		rc = get_space(d, pb->space);
	if (rc == 0)
		rc = get_presence(d, &m->present, pb->present);
	if (rc == 0)
		rc = get_policies(d, pb);
	return msn_pass(rc);
}

/*
 * The version stands first (tag 1, varint), readable whatever the rest has
 * become.  0: it does not stand there.
 */
static uint32_t first_version(const uint8_t *bytes, size_t len)
{
	uint32_t version = 0;

	if (len < 2 || bytes[0] != 0x08)
		return 0;
	for (size_t i = 1; i < len && i < 5; i++) {
		version |= (uint32_t)(bytes[i] & 0x7f) << (7 * (i - 1));
		if (!(bytes[i] & 0x80))
			return version;
	}
	return 0;
}

static int newer(uint32_t version, struct msn_failure *why)
{
	return msn_failure_set(why, -EOPNOTSUPP, MSN_FAILURE_UNSUPPORTED,
			       "the manifest has format version %" PRIu32
			       ", this program reads up to %d",
			       version, MSN_MANIFEST_VERSION);
}

static int decode_tree(struct decoder *d, const Memsnap__V1__Manifest *pb,
		       struct msn_failure *why)
{
	int rc;

	if (pb->version > MSN_MANIFEST_VERSION)
		return newer(pb->version, why);
	if (pb->version == 0)
		return broken(d, "it has no format version");
	rc = get_manifest(d, pb);
	if (rc)
		return msn_pass(rc);
	d->wrong = msn_manifest_check(d->m);
	return d->wrong ? msn_fail(-EBADMSG) : 0;
}

static int decode_bytes(struct decoder *d, const uint8_t *bytes, size_t len,
			struct msn_failure *why)
{
	ProtobufCAllocator from_budget = { .alloc = budget_alloc,
					   .free = budget_free,
					   .allocator_data = &d->budget };
	Memsnap__V1__Manifest *pb;
	int rc;

	if (first_version(bytes, len) > MSN_MANIFEST_VERSION)
		return newer(first_version(bytes, len), why);
	pb = memsnap__v1__manifest__unpack(&from_budget, len, bytes);
	if (!pb && d->budget.no_memory)
		return msn_fail(-ENOMEM);
	if (!pb)
		return broken(d, d->budget.spent
					 ? "it asks for more memory than its "
					   "size allows"
					 : "its encoding is broken");
	rc = decode_tree(d, pb, why);
	memsnap__v1__manifest__free_unpacked(pb, &from_budget);
	return msn_pass(rc);
}

int msn_manifest_decode(struct msn_manifest **out, const uint8_t *bytes,
			size_t len, struct msn_failure *why)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct decoder d = { 0 };
	int rc;

	if (len > MSN_MANIFEST_BYTES_MAX)
		return msn_failure_set(why, -EBADMSG, MSN_FAILURE_DATA_LOSS,
				       "the manifest is damaged: it is too "
				       "large");
	rc = msn_manifest_new(&m);
	if (rc)
		return msn_failure_errno(why, rc, "could not read a manifest");
	d.m = m;
	d.budget.left = len * MSN_MANIFEST_MEMORY_FACTOR + BUDGET_FLOOR;
	rc = decode_bytes(&d, bytes, len, why);
	if (rc == -EBADMSG)
		return msn_failure_set(why, rc, MSN_FAILURE_DATA_LOSS,
				       "the manifest is damaged: %s", d.wrong);
	if (rc)
		return msn_failure_errno(why, rc, "could not read a manifest");
	*out = msn_steal(m);
	return 0;
}
