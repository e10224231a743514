/*
 * Does a manifest keep the promises of its header?
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Used on both sides: before a manifest is written and after bytes from a store
 * were decoded.
 */
#include "base/limits.h"
#include "base/utf8.h"
#include "format/layout.h"
#include "format/manifest.h"
#include "range/range.h"

#include <string.h>

/* Page numbers of a 64-bit address space. */
#define PAGE_NUMBER_END (UINT64_C(1) << (64 - MSN_PAGE_SHIFT))

#define PERMS_ALL 7
#define NAME_MUT_MAX 2
#define MLOCK_MODE_MAX 2
/* enum msn_presence of mm/exact.h */
#define PRESENCE_OWN 1
#define PRESENCE_ZERO 2
#define PRESENCE_LAZY 5
#define PRESENCE_MAX PRESENCE_LAZY

const char *msn_snapshot_name_check(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-";
	struct msn_uid uid;

	if (!*name)
		return "the name is empty";
	if (strlen(name) > MSN_SNAPSHOT_NAME_MAX)
		return "the name is longer than 63 characters";
	if (name[strspn(name, letters)])
		return "the name has a character other than a-z, 0-9, '.', '_' "
		       "and '-'";
	if (strchr("._-", *name))
		return "the name starts with '.', '_' or '-'";
	if (msn_uid_parse_prefix(name, &uid) == MSN_UID_TEXT - 1)
		return "the name looks like a uid";
	return NULL;
}

static const char *texts_check(const struct msn_manifest_text *list,
			       size_t count, bool utf8)
{
	if (count > MSN_LABEL_COUNT_MAX)
		return "there are too many labels or attributes";
	for (size_t i = 0; i < count; i++) {
		if (!*list[i].key)
			return "the key of a label or attribute is empty";
		if (strlen(list[i].key) + strlen(list[i].value) >
		    MSN_LABEL_BYTES_MAX)
			return "a label or attribute is too long";
		if (utf8 && (!msn_utf8_valid(list[i].key) ||
			     !msn_utf8_valid(list[i].value)))
			return "a label is not UTF-8";
		for (size_t j = 0; j < i; j++)
			if (strcmp(list[i].key, list[j].key) == 0)
				return "a label or attribute stands twice";
	}
	return NULL;
}

static const char *extent_check(const struct msn_extent *e, size_t pack_count)
{
	if (e->pack == MSN_EXTENT_ZERO)
		return e->frame || e->at
			       ? "a run of zero pages names a place in a pack"
			       : NULL;
	if (e->pack >= pack_count)
		return "a run of pages names a pack that is not in the table";
	if (e->frame == 0 || e->frame >= MSN_PACK_PAGES)
		return "a run of pages names a frame outside the pack";
	if (e->at <= e->frame || e->count > MSN_FRAME_PAGES_MAX ||
	    (uint64_t)e->at + e->count - 1 > e->frame + MSN_FRAME_PAGES_MAX)
		return "a run of pages leaves its frame";
	if (e->at + e->count > MSN_PACK_PAGES)
		return "a run of pages leaves its pack";
	return NULL;
}

/* Pages below @end, in order, each run in one frame. */
static const char *extents_check(const struct msn_extents *x, uint64_t end,
				 size_t pack_count)
{
	uint64_t at = 0;

	for (size_t i = 0; i < x->count; i++) {
		const struct msn_extent *e = &x->list[i];
		const char *text;

		if (e->count == 0)
			return "a run of pages is empty";
		if (e->page < at)
			return "runs of pages overlap or are out of order";
		if (e->page >= end || e->count > end - e->page)
			return "a run of pages leaves the object it is of";
		text = extent_check(e, pack_count);
		if (text)
			return text;
		at = e->page + e->count;
	}
	return NULL;
}

/* Bits of vm_flags (mm/vma.h), which the rest of a mapping has to agree with */
#define FLAG_SHARED (UINT32_C(1) << 3)
#define FLAG_MAYWRITE (UINT32_C(1) << 5)
#define FLAG_MAYSHARE (UINT32_C(1) << 7)
#define FLAG_GROWSDOWN (UINT32_C(1) << 8)
#define FLAG_LOCKED (UINT32_C(1) << 9)
#define FLAG_LOCKONFAULT (UINT32_C(1) << 10)
#define FLAGS_LOCK (FLAG_LOCKED | FLAG_LOCKONFAULT)

static bool locks_are_some(uint32_t flags)
{
	return (flags & FLAGS_LOCK) != FLAG_LOCKONFAULT;
}

/* 0 none, 1 locked, 2 locked when they are touched */
static unsigned mlock_mode_of(uint32_t flags)
{
	if (!(flags & FLAG_LOCKED))
		return 0;
	return flags & FLAG_LOCKONFAULT ? 2 : 1;
}

static bool flags_agree(const struct msn_manifest_mapping *p)
{
	uint32_t f = p->vm_flags;

	if ((f & ~MSN_MANIFEST_VM_FLAGS) || (f & PERMS_ALL) != p->perms ||
	    (f >> 4 & PERMS_ALL) != p->max_perms ||
	    !!(f & FLAG_MAYSHARE) != p->shared ||
	    !!(f & FLAG_GROWSDOWN) != p->grows_down || !locks_are_some(f) ||
	    mlock_mode_of(f) != p->mlock_mode)
		return false;
	/* Shared, of a file that was not opened for writing: no FLAG_SHARED. */
	return p->shared ? (f & FLAG_SHARED) || !(f & FLAG_MAYWRITE)
			 : !(f & FLAG_SHARED);
}

/* What @p says beyond a listing, against what the listing says. */
static const char *exact_check(const struct msn_manifest *m,
			       const struct msn_manifest_mapping *p)
{
	if (!p->exact)
		return p->vm_flags || p->anon_offset || p->history ||
				       p->forked || p->policy
			       ? "a mapping is exact and says that it is not"
			       : NULL;
	if (!flags_agree(p))
		return "a mapping's flags are not those of its rights";
	if (p->kind == MSN_MAPPING_ANON && p->shared)
		return "a shared mapping has no object";
	if (p->grows_down && p->kind != MSN_MAPPING_ANON)
		return "a stack maps an object";
	if (!msn_page_aligned(p->anon_offset) ||
	    p->anon_offset > UINT64_MAX - (p->end - p->start))
		return "a mapping's first address wraps";
	if (p->history > m->mapping_count || (p->forked && !p->history))
		return "a mapping has a history that does not exist";
	if (p->policy > m->policy_count)
		return "a mapping names a policy that is not in the table";
	return NULL;
}

static const char *mapping_check(const struct msn_manifest *m,
				 const struct msn_manifest_mapping *p)
{
	bool backed =
		p->kind == MSN_MAPPING_FILE || p->kind == MSN_MAPPING_OBJECT;

	if (p->kind < MSN_MAPPING_ANON || p->kind > MSN_MAPPING_KERNEL)
		return "a mapping is of no known kind";
	if (!msn_page_aligned(p->start | p->end | p->offset))
		return "a mapping is not page aligned";
	if (p->start >= p->end)
		return "a mapping is empty";
	if (p->offset > UINT64_MAX - (p->end - p->start))
		return "a mapping's offset wraps";
	if ((p->max_perms & ~PERMS_ALL) || (p->perms & ~p->max_perms))
		return "a mapping has rights beyond those it may have";
	if (p->name_mut > NAME_MUT_MAX || p->mlock_mode > MLOCK_MODE_MAX)
		return "a mapping has a mode that does not exist";
	if (!p->name || strlen(p->name) > MSN_MAPPING_NAME_MAX)
		return "a mapping's name is missing or too long";
	if (!backed && (p->dev_major || p->dev_minor || p->inode))
		return "a mapping without a file has an inode";
	if (p->kind == MSN_MAPPING_OBJECT && p->object >= m->object_count)
		return "a mapping names an object that is not in the table";
	return exact_check(m, p);
}

static const char *mappings_check(const struct msn_manifest *m)
{
	uint64_t end = 0;

	if (m->mapping_count > MSN_MAPPING_COUNT_MAX)
		return "there are too many mappings";
	for (size_t i = 0; i < m->mapping_count; i++) {
		const char *text = mapping_check(m, &m->mappings[i]);

		if (text)
			return text;
		if (m->mappings[i].start < end)
			return "mappings overlap or are out of order";
		end = m->mappings[i].end;
	}
	return NULL;
}

/*
 * Is the run of pages in mappings?  *@j is the first mapping that the search
 * looks at: runs come in order, so one walk over both lists is enough.
 */
static bool run_is_mapped(const struct msn_manifest *m, uint64_t page,
			  uint64_t count, size_t *j)
{
	uint64_t at = page << MSN_PAGE_SHIFT;
	uint64_t last = (page + count - 1) << MSN_PAGE_SHIFT;

	for (;; at = m->mappings[*j].end) {
		while (*j < m->mapping_count && m->mappings[*j].end <= at)
			++*j;
		if (*j == m->mapping_count || m->mappings[*j].start > at)
			return false;
		if (m->mappings[*j].end > last)
			return true;
	}
}

static const char *pages_are_mapped(const struct msn_manifest *m)
{
	size_t j = 0;

	for (size_t i = 0; i < m->pages.count; i++)
		if (!run_is_mapped(m, m->pages.list[i].page,
				   m->pages.list[i].count, &j))
			return "a private page is in no mapping";
	return NULL;
}

/*
 * Can pages of all mappings that the run meets be in place as it says?  @j is
 * the last of them.
 */
static bool run_can_be(const struct msn_manifest *m,
		       const struct msn_manifest_presence *p, size_t j)
{
	for (size_t i = j; m->mappings[i].end > p->page << MSN_PAGE_SHIFT;
	     i--) {
		const struct msn_manifest_mapping *v = &m->mappings[i];

		if (!v->exact)
			return false;
		if (p->how == PRESENCE_OWN || p->how == PRESENCE_LAZY) {
			if (v->shared)
				return false;
		} else if (p->how == PRESENCE_ZERO) {
			if (v->kind != MSN_MAPPING_ANON)
				return false;
		}
		if (i == 0)
			break;
	}
	return true;
}

static const char *presence_check(const struct msn_manifest *m)
{
	uint64_t at = 0;
	size_t j = 0;

	for (size_t i = 0; i < m->present_count; i++) {
		const struct msn_manifest_presence *p = &m->present[i];

		if (p->count == 0)
			return "a run of pages is empty";
		if (p->page < at)
			return "runs of pages overlap or are out of order";
		if (p->page >= PAGE_NUMBER_END ||
		    p->count > PAGE_NUMBER_END - p->page ||
		    !run_is_mapped(m, p->page, p->count, &j))
			return "a page that is in place is in no mapping";
		if (p->how < PRESENCE_OWN || p->how > PRESENCE_MAX)
			return "pages are in place in no known way";
		if (!run_can_be(m, p, j))
			return "pages are in place as their mapping's cannot "
			       "be";
		at = p->page + p->count;
	}
	return NULL;
}

static const char *space_check(const struct msn_manifest *m)
{
	const struct msn_manifest_space *s = &m->space;

	if (s->heap_end < s->heap_start)
		return "the heap ends before it begins";
	if ((s->future_locks & ~FLAGS_LOCK) || !locks_are_some(s->future_locks))
		return "the locks of mappings to come do not exist";
	if (s->policy > m->policy_count)
		return "the space names a policy that is not in the table";
	/* A sum with what is locked shall not wrap. */
	if (!msn_page_aligned(s->stuck_locked) || s->stuck_locked > INT64_MAX)
		return "what counts as locked is no number of pages";
	return NULL;
}

static const char *objects_check(const struct msn_manifest *m)
{
	for (size_t i = 0; i < m->object_count; i++) {
		const struct msn_manifest_object *o = &m->objects[i];
		const char *text;

		if (!msn_page_aligned(o->size_bytes))
			return "an object's size is not a page multiple";
		text = extents_check(&o->pages, o->size_bytes >> MSN_PAGE_SHIFT,
				     m->pack_count);
		if (text)
			return text;
	}
	return NULL;
}

static const char *blob_check(const struct msn_manifest *m, size_t i)
{
	const struct msn_manifest_blob *b = &m->blobs[i];

	if (!b->name || !*b->name || strlen(b->name) > MSN_BLOB_NAME_MAX)
		return "a blob's name is missing or too long";
	if (!msn_utf8_valid(b->name))
		return "a blob's name is not UTF-8";
	if (b->size_bytes > MSN_BLOB_BYTES_MAX)
		return "a blob is too large";
	for (size_t j = 0; j < i; j++)
		if (strcmp(b->name, m->blobs[j].name) == 0)
			return "two blobs have one name";
	return extents_check(&b->pages,
			     (b->size_bytes + MSN_PAGE_MASK) >> MSN_PAGE_SHIFT,
			     m->pack_count);
}

static const char *blobs_check(const struct msn_manifest *m)
{
	if (m->blob_count > MSN_BLOB_COUNT_MAX)
		return "there are too many blobs";
	for (size_t i = 0; i < m->blob_count; i++) {
		const char *text = blob_check(m, i);

		if (text)
			return text;
	}
	return NULL;
}

static const char *packs_check(const struct msn_manifest *m)
{
	if (m->pack_count >= MSN_EXTENT_ZERO)
		return "there are too many packs";
	for (size_t i = 0; i < m->pack_count; i++)
		if (m->packs[i].id == 0 || m->packs[i].generation == 0)
			return "a pack has no id or generation";
	return NULL;
}

const char *msn_manifest_check(const struct msn_manifest *m)
{
	const char *text;

	if (msn_uid_is_none(m->uid))
		return "the snapshot has no uid";
	if (!m->name)
		return "the name is missing";
	text = *m->name ? msn_snapshot_name_check(m->name) : NULL;
	if (!text)
		text = texts_check(m->labels, m->label_count, true);
	if (!text)
		text = texts_check(m->attrs, m->attr_count, false);
	if (!text)
		text = packs_check(m);
	if (!text)
		text = mappings_check(m);
	if (!text)
		text = extents_check(&m->pages, PAGE_NUMBER_END, m->pack_count);
	if (!text)
		text = pages_are_mapped(m);
	if (!text)
		text = presence_check(m);
	if (!text)
		text = space_check(m);
	if (!text)
		text = objects_check(m);
	return text ? text : blobs_check(m);
}
