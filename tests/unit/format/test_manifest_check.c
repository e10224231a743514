/*
 * Manifests: each promise of the header broken alone, and told by name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format/manifest.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "format/layout.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NO_NAME ((char[]){ "" })
#define MEMFD_NAME ((char[]){ "/memfd:x (deleted)" })

static void add_mappings(struct msn_manifest *m)
{
	/*
	 * pages  10   20      30       40   50    60   70 71
	 *        anon object  object        file       kernel
	 *             shared  private
	 */
	const struct msn_manifest_mapping list[] = {
		{ .start = 0x10000,
		  .end = 0x20000,
		  .kind = MSN_MAPPING_ANON,
		  .perms = 3,
		  .max_perms = 7,
		  .name = NO_NAME,
		  .exact = true,
		  .vm_flags = 0x73,
		  .anon_offset = 0x10000,
		  .history = 2,
		  .forked = true,
		  .policy = 1 },
		{ .start = 0x20000,
		  .end = 0x30000,
		  .kind = MSN_MAPPING_OBJECT,
		  .perms = 3,
		  .max_perms = 7,
		  .shared = true,
		  .name = MEMFD_NAME,
		  .exact = true,
		  .vm_flags = 0xfb },
		{ .start = 0x30000,
		  .end = 0x40000,
		  .kind = MSN_MAPPING_OBJECT,
		  .perms = 3,
		  .max_perms = 7,
		  .name = MEMFD_NAME,
		  .exact = true,
		  .vm_flags = 0x73,
		  .opened = 1 },
		{ .start = 0x50000,
		  .end = 0x60000,
		  .kind = MSN_MAPPING_FILE,
		  .perms = 1,
		  .max_perms = 7,
		  .name = (char[]){ "/lib/x" },
		  .inode = 7 },
		{ .start = 0x70000,
		  .end = 0x71000,
		  .kind = MSN_MAPPING_KERNEL,
		  .perms = 5,
		  .max_perms = 7,
		  .name = (char[]){ "[vdso]" } },
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(list); i++)
		CHECK(msn_manifest_add_mapping(m, &list[i]) == 0);
}

static void add_extents(struct msn_extents *to, const struct msn_extent *list,
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		CHECK(msn_extents_append(to, list[i]) == 0);
}

static void add_presence(struct msn_presence_list *to,
			 const struct msn_manifest_presence *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		CHECK(msn_presence_append(to, &list[i]) == 0);
}

static void add_pages(struct msn_manifest *m)
{
	const struct msn_extent pages[] = { { 0x10, 2, 0, 1, 2 },
					    { 0x31, 1, MSN_EXTENT_ZERO, 0, 0 },
					    { 0x32, 1, 1, 1, 5 },
					    { 0x50, 1, 1, 1, 6 } };
	const struct msn_manifest_presence present[] = {
		{ 0x10, 4, 1 }, { 0x20, 2, 3 }, { 0x30, 1, 3 }, { 0x31, 2, 1 }
	};

	add_extents(&m->pages, pages, MSN_ARRAY_LEN(pages));
	add_presence(&m->present, present, MSN_ARRAY_LEN(present));
}

static void add_objects(struct msn_manifest *m)
{
	const struct msn_extent pages[] = { { 2, 2, 1, 1, 8 } };
	const struct msn_manifest_presence present[] = {
		{ 0, 3, 1 }, { 3, 1, 1 }, { 8, 2, 6 }, { 40, 1, 1 }
	};
	struct msn_manifest_object o = { .size_bytes = 0x10000 - 100,
					 .exact = true,
					 .name = MEMFD_NAME,
					 .mode = 0777,
					 .seals = 1 };
	uint32_t index;

	CHECK(msn_manifest_add_object(m, &o, &index) == 0 && index == 0);
	add_extents(&m->objects[0].pages, pages, MSN_ARRAY_LEN(pages));
	add_presence(&m->objects[0].present, present, MSN_ARRAY_LEN(present));
	o = (struct msn_manifest_object){ .size_bytes = 0x4000 };
	CHECK(msn_manifest_add_object(m, &o, &index) == 0 && index == 1);
	add_extents(&m->objects[1].pages, pages, MSN_ARRAY_LEN(pages));
}

static void add_blobs(struct msn_manifest *m)
{
	const struct msn_extent pages[] = { { 1, 1, 0, 1, 2 } };

	m->blobs = msn_alloc_array(2, sizeof(*m->blobs));
	CHECK(m->blobs);
	for (; m->blob_count < 2; m->blob_count++) {
		struct msn_manifest_blob *b = &m->blobs[m->blob_count];

		b->name = msn_format("blob-%zu", m->blob_count);
		CHECK(b->name);
		b->size_bytes = 5000;
		add_extents(&b->pages, pages, MSN_ARRAY_LEN(pages));
	}
}

/* Something of everything, and nothing wrong with it. */
static struct msn_manifest *whole(void)
{
	const struct msn_manifest_policy policy = { .mode = 2, .nodes = { 1 } };
	struct msn_manifest *m;
	uint32_t index;

	CHECK(msn_manifest_new(&m) == 0);
	m->uid = msn_uid_new();
	free(m->name);
	m->name = msn_strdup("name.1");
	CHECK(m->name);
	for (uint64_t i = 1; i < 3; i++) {
		const char *key = i == 1 ? "one" : "two";
		struct msn_manifest_pack pack = { i, i };

		CHECK(msn_manifest_add_label(m, key, "value") == 0);
		CHECK(msn_manifest_add_attr(m, key, "value") == 0);
		CHECK(msn_manifest_pack_index(m, pack, &index) == 0);
	}
	CHECK(msn_manifest_policy_index(m, &policy, &index) == 0);
	add_mappings(m);
	add_pages(m);
	add_objects(m);
	add_blobs(m);
	m->space = (struct msn_manifest_space){ 0x11000, 0x12345, 0x200,
						1,	 0x3000,  0x41000 };
	CHECK(!msn_manifest_check(m));
	return m;
}

/* ---- Breaking ------------------------------------------------------------ */

/* A text of @len letters in place of *@text. */
static void lengthen(char **text, size_t len)
{
	free(*text);
	*text = msn_alloc_array(len + 1, 1);
	CHECK(*text);
	memset(*text, 'x', len);
}

static void drop(char **text)
{
	free(*text);
	*text = NULL;
}

#define MAP(i) m->mappings[i]
#define PAGES(i) m->pages.list[i]
#define PRESENT(i) m->present.list[i]
#define OBJECT m->objects[0]
#define THERE(i) m->objects[0].present.list[i]

#define HAS_INODE "a mapping without a file has an inode"
#define FLAGS_DIFFER "a mapping's flags are not those of its rights"
#define NO_SUCH_MODE "a mapping has a mode that does not exist"
#define NOT_EXACT "a mapping is exact and says that it is not"
#define NO_HISTORY "a mapping has a history that does not exist"
#define NAMELESS "a mapping's name is missing or too long"
#define EMPTY_RUN "a run of pages is empty"
#define OUT_OF_ORDER "runs of pages overlap or are out of order"
#define LEAVES_OBJECT "a run of pages leaves the object it is of"
#define LEAVES_FRAME "a run of pages leaves its frame"
#define OUTSIDE_PACK "a run of pages names a frame outside the pack"
#define IN_NO_MAPPING "a page that is in place is in no mapping"
#define NO_SUCH_WAY "pages are in place in no known way"
#define CANNOT_BE "pages are in place as their mapping's cannot be"
#define NO_SUCH_LOCK "the locks of mappings to come do not exist"
#define LOCKED_PAGES "what counts as locked is no number of pages"
#define OBJECT_NOT_EXACT "an object is exact and says that it is not"
#define NOT_THERE "an object's page has bytes and is not there"
#define NO_OBJECT_WAY "an object's pages are there in no known way"

/* The whole: a row a promise, with what breaks it alone. */
/* clang-format off */
#define BREAKS(X)                                                              \
X(m->uid = (struct msn_uid){ 0 }, "the snapshot has no uid")                   \
X(drop(&m->name), "the name is missing")                                       \
X(m->name[0] = '/', "the name has a character other than a-z, 0-9, '.', '_' "  \
  "and '-'")                                                                   \
X(m->label_count = MSN_LABEL_COUNT_MAX + 1,                                    \
  "there are too many labels or attributes")                                   \
X(m->attr_count = MSN_LABEL_COUNT_MAX + 1,                                     \
  "there are too many labels or attributes")                                   \
X(m->labels[1].key[0] = 0, "the key of a label or attribute is empty")         \
X(m->attrs[1].key[0] = 0, "the key of a label or attribute is empty")          \
X(lengthen(&m->labels[1].value, MSN_LABEL_BYTES_MAX - 2),                      \
  "a label or attribute is too long")                                          \
X(lengthen(&m->attrs[0].key, MSN_LABEL_BYTES_MAX - 4),                         \
  "a label or attribute is too long")                                          \
X(m->labels[0].key[0] = '\xff', "a label is not UTF-8")                        \
X(m->labels[0].value[0] = '\xff', "a label is not UTF-8")                      \
X(strcpy(m->labels[1].key, "one"), "a label or attribute stands twice")        \
X(strcpy(m->attrs[1].key, "one"), "a label or attribute stands twice")         \
X(m->pack_count = MSN_EXTENT_ZERO, "there are too many packs")                 \
X(m->packs[1].id = 0, "a pack has no id or generation")                        \
X(m->packs[1].generation = 0, "a pack has no id or generation")                \
X(m->mapping_count = MSN_MAPPING_COUNT_MAX + 1, "there are too many mappings") \
X(MAP(4).kind = 0, "a mapping is of no known kind")                            \
X(MAP(4).kind = MSN_MAPPING_KERNEL + 1, "a mapping is of no known kind")       \
X(MAP(4).start++, "a mapping is not page aligned")                             \
X(MAP(4).end--, "a mapping is not page aligned")                               \
X(MAP(3).offset = 1, "a mapping is not page aligned")                          \
X(MAP(4).end = MAP(4).start, "a mapping is empty")                             \
X(MAP(4).end = MAP(4).start - 4096, "a mapping is empty")                      \
X(MAP(3).offset = UINT64_MAX - 0xefff, "a mapping's offset wraps")             \
X(MAP(3).max_perms = 8, "a mapping has rights beyond those it may have")       \
X(MAP(3).perms = 8, "a mapping has rights beyond those it may have")           \
X(MAP(4).max_perms = 4, "a mapping has rights beyond those it may have")       \
X(MAP(3).name_mut = 3, NO_SUCH_MODE)                                           \
X(MAP(3).mlock_mode = 3, NO_SUCH_MODE)                                         \
X(drop(&MAP(3).name), NAMELESS)                                                \
X(lengthen(&MAP(3).name, MSN_MAPPING_NAME_MAX + 1), NAMELESS)                  \
X(MAP(0).inode = 1, HAS_INODE)                                                 \
X(MAP(0).dev_major = 1, HAS_INODE)                                             \
X(MAP(4).dev_minor = 1, HAS_INODE)                                             \
X(MAP(1).object = 2, "a mapping names an object that is not in the table")     \
X(MAP(3).start = MAP(2).end - 4096, "mappings overlap or are out of order")    \
X(MAP(3).vm_flags = 1, NOT_EXACT)                                              \
X(MAP(3).anon_offset = 4096, NOT_EXACT)                                        \
X(MAP(3).history = 1, NOT_EXACT)                                               \
X(MAP(3).forked = true, NOT_EXACT)                                             \
X(MAP(3).policy = 1, NOT_EXACT)                                                \
X(MAP(3).opened = 1, NOT_EXACT)                                                \
X(MAP(0).vm_flags |= 1u << 26, FLAGS_DIFFER)                                   \
X(MAP(0).vm_flags ^= 2, FLAGS_DIFFER)                                          \
X(MAP(0).vm_flags ^= 0x40, FLAGS_DIFFER)                                       \
X(MAP(1).vm_flags ^= 0x80, FLAGS_DIFFER)                                       \
X(MAP(0).vm_flags |= 8, FLAGS_DIFFER)                                          \
X(MAP(1).vm_flags ^= 8, FLAGS_DIFFER)                                          \
X(MAP(0).vm_flags |= 0x100, FLAGS_DIFFER)                                      \
X(MAP(0).vm_flags |= 0x200, FLAGS_DIFFER)                                      \
X(MAP(0).vm_flags |= 0x400, FLAGS_DIFFER)                                      \
X((MAP(1).kind = MSN_MAPPING_ANON), "a shared mapping has no object")          \
X((MAP(2).grows_down = true, MAP(2).vm_flags |= 0x100),                        \
  "a stack maps an object")                                                    \
X(MAP(0).anon_offset++, "a mapping's first address wraps")                     \
X(MAP(0).anon_offset = UINT64_MAX - 0xefff, "a mapping's first address wraps") \
X(MAP(0).history = 6, NO_HISTORY)                                              \
X(MAP(0).history = 0, NO_HISTORY)                                              \
X(MAP(0).policy = 2, "a mapping names a policy that is not in the table")      \
X(MAP(0).opened = 1, "a mapping without a file is of an open file")            \
X(OBJECT.seals |= 8, "a mapping may write an object that is sealed")           \
X(PAGES(1).count = 0, EMPTY_RUN)                                               \
X(PAGES(2).page = 0x31, OUT_OF_ORDER)                                          \
X(PAGES(3).page = UINT64_C(1) << 52, LEAVES_OBJECT)                            \
X((PAGES(3).pack = MSN_EXTENT_ZERO, PAGES(3).frame = PAGES(3).at = 0,          \
   PAGES(3).page = (UINT64_C(1) << 52) - 1, PAGES(3).count = 2),               \
  LEAVES_OBJECT)                                                               \
X(PAGES(1).frame = 1, "a run of zero pages names a place in a pack")           \
X(PAGES(1).at = 1, "a run of zero pages names a place in a pack")              \
X(PAGES(2).pack = 2, "a run of pages names a pack that is not in the table")   \
X(PAGES(2).frame = 0, OUTSIDE_PACK)                                            \
X(PAGES(2).frame = MSN_PACK_PAGES, OUTSIDE_PACK)                               \
X(PAGES(2).at = PAGES(2).frame, LEAVES_FRAME)                                  \
X(PAGES(0).at = PAGES(0).frame + MSN_FRAME_PAGES_MAX, LEAVES_FRAME)            \
X((PAGES(3).count = MSN_FRAME_PAGES_MAX + 1, PAGES(3).at = 2), LEAVES_FRAME)   \
X((PAGES(2).frame = MSN_PACK_PAGES - 1, PAGES(2).at = MSN_PACK_PAGES),         \
  "a run of pages leaves its pack")                                            \
X(PAGES(0).page = 2, "a private page is in no mapping")                        \
X(PAGES(3).page = 0x71, "a private page is in no mapping")                     \
X(PAGES(1).page = 0x2f, "a private page is in a shared mapping")               \
X((PAGES(1).page = 0x1f, PAGES(1).count = 0x12),                               \
  "a private page is in a shared mapping")                                     \
X(PRESENT(0).count = 0, EMPTY_RUN)                                             \
X(PRESENT(1).page = 0x13, OUT_OF_ORDER)                                        \
X(PRESENT(3).count = 17, IN_NO_MAPPING)                                        \
X(PRESENT(3).page = UINT64_C(1) << 52, IN_NO_MAPPING)                          \
X(PRESENT(3).count = UINT64_C(1) << 52, IN_NO_MAPPING)                         \
X(PRESENT(0).how = 0, NO_SUCH_WAY)                                             \
X(PRESENT(0).how = 6, NO_SUCH_WAY)                                             \
X(PRESENT(1).how = 1, CANNOT_BE)                                               \
X(PRESENT(1).how = 5, CANNOT_BE)                                               \
X(PRESENT(1).how = 2, CANNOT_BE)                                               \
X(PRESENT(2).how = 2, CANNOT_BE)                                               \
X((PRESENT(0).count = 17, m->present.count = 1), CANNOT_BE)                    \
X((PRESENT(3).page = 0x50, PRESENT(3).how = 4), CANNOT_BE)                     \
X(m->space.heap_start = 0x12346, "the heap ends before it begins")             \
X(m->space.future_locks |= 1u << 11, NO_SUCH_LOCK)                             \
X(m->space.future_locks = 1u << 10, NO_SUCH_LOCK)                              \
X(m->space.policy = 2, "the space names a policy that is not in the table")    \
X(m->space.stuck_locked++, LOCKED_PAGES)                                       \
X(m->space.stuck_locked = UINT64_C(1) << 63, LOCKED_PAGES)                     \
X(m->space.peak++, "the most that was mapped is no number of pages")           \
X(m->space.peak -= 4096, "more is mapped than ever was")                       \
X(m->objects[1].size_bytes--, "an object's size is not a page multiple")       \
X(m->objects[1].size_bytes = 0x3000, LEAVES_OBJECT)                            \
X(OBJECT.size_bytes = 0x3000, LEAVES_OBJECT)                                   \
X(OBJECT.pages.list[0].count = 0, EMPTY_RUN)                                   \
X(OBJECT.exact = false, "an object's size is not a page multiple")             \
X((OBJECT.exact = false, OBJECT.size_bytes = 0x10000), OBJECT_NOT_EXACT)       \
X(m->objects[1].name = msn_strdup("x"), OBJECT_NOT_EXACT)                      \
X(m->objects[1].mode = 1, OBJECT_NOT_EXACT)                                    \
X(m->objects[1].seals = 1, OBJECT_NOT_EXACT)                                   \
X(drop(&OBJECT.name), "an object's name is missing or too long")               \
X(lengthen(&OBJECT.name, MSN_MAPPING_NAME_MAX + 1),                            \
  "an object's name is missing or too long")                                   \
X(OBJECT.mode = 010000, "an object has mode bits that do not exist")           \
X(OBJECT.seals |= 0x40, "an object has seals that do not exist")               \
X(OBJECT.size_bytes = UINT64_C(1) << 63,                                       \
  "an object is larger than a file can be")                                    \
X(THERE(1).count = 0, EMPTY_RUN)                                               \
X(THERE(1).page = 2, OUT_OF_ORDER)                                             \
X(THERE(3).page = UINT64_C(1) << 51,                                           \
  "a page that is there is past an object's end")                              \
X(THERE(3).count = UINT64_C(1) << 51,                                          \
  "a page that is there is past an object's end")                              \
X(THERE(3).how = 0, NO_OBJECT_WAY)                                             \
X(THERE(3).how = 2, NO_OBJECT_WAY)                                             \
X(THERE(3).how = 7, NO_OBJECT_WAY)                                             \
X(THERE(1).how = 6, NOT_THERE)                                                 \
X(THERE(1).page = 4, NOT_THERE)                                                \
X(THERE(0).count = 2, NOT_THERE)                                               \
X(OBJECT.present.count = 1, NOT_THERE)                                         \
X(m->blob_count = MSN_BLOB_COUNT_MAX + 1, "there are too many blobs")          \
X(drop(&m->blobs[1].name), "a blob's name is missing or too long")             \
X(m->blobs[1].name[0] = 0, "a blob's name is missing or too long")             \
X(lengthen(&m->blobs[1].name, MSN_BLOB_NAME_MAX + 1),                          \
  "a blob's name is missing or too long")                                      \
X(m->blobs[1].name[0] = '\xff', "a blob's name is not UTF-8")                  \
X(m->blobs[1].size_bytes = MSN_BLOB_BYTES_MAX + 1, "a blob is too large")      \
X(m->blobs[1].name[5] = '0', "two blobs have one name")                        \
X(m->blobs[1].size_bytes = 4096, LEAVES_OBJECT)                                \
X(m->blobs[0].pages.list[0].pack = 2,                                          \
  "a run of pages names a pack that is not in the table")
/* clang-format on */

/* One row, and what is expected of it. */
struct row {
	const char *how, *text;
};

#define TRY(how, text)                                                         \
	if (nr-- == 0) {                                                       \
		(void)(how);                                                   \
		*row = (struct row){ #how, text };                             \
		return true;                                                   \
	}

/* Breaks @m as row @nr says; false if there is none. */
static bool break_as(struct msn_manifest *m, unsigned nr, struct row *row)
{
	BREAKS(TRY)
	return false;
}

static void expect_told(const struct msn_manifest *m, const struct row *row)
{
	const char *text = msn_manifest_check(m);
	uint8_t *out = NULL;
	size_t len;

	if (!text || strcmp(text, row->text) != 0)
		printf("%s: %s\n", row->how, text ? text : "no word");
	EXPECT(text && strcmp(text, row->text) == 0);
	EXPECT(msn_manifest_encode(m, &out, &len) == -EINVAL && !out);
}

static void every_promise_is_checked_by_name(void)
{
	struct row row;
	unsigned nr = 0;

	for (;; nr++) {
		msn_auto(msn_manifest_freep) struct msn_manifest *m = whole();
		struct msn_manifest counts = *m;

		if (!break_as(m, nr, &row))
			break;
		expect_told(m, &row);
		/* So that it can be freed. */
		m->label_count = counts.label_count;
		m->attr_count = counts.attr_count;
		m->mapping_count = counts.mapping_count;
		m->blob_count = counts.blob_count;
	}
	EXPECT(nr > 100);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_promise_is_checked_by_name), {}
	};

	return check_main(argc, argv, "manifest_check", tests);
}
