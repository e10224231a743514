/*
 * Manifests: what does not fit is damage, each field alone, told by name.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Only what decoding itself refuses; what test_manifest_check.c breaks is
 * looked at afterwards.
 */
#include "format/manifest.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "format/layout.h"
#include "support/check.h"

#include <errno.h>
#include <memsnap/v1/manifest.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A list of one run; the columns can be made longer. */
struct run {
	Memsnap__V1__Extents x;
	uint64_t gap[2], pack[2];
	uint32_t count[2], at[2];
	int64_t frame[2];
};

struct presence {
	Memsnap__V1__Presence x;
	uint64_t gap[2], count[2];
	uint32_t how[2];
};

/* A manifest of one thing of each kind. */
struct tree {
	Memsnap__V1__Manifest pb;
	uint8_t uid[16];
	Memsnap__V1__ManifestMapping mapping, *mappings[1];
	Memsnap__V1__ManifestPack pack, *packs[1];
	Memsnap__V1__ManifestObject object, *objects[1];
	Memsnap__V1__ManifestMemfd memfd;
	Memsnap__V1__ManifestBlob blob, *blobs[1];
	Memsnap__V1__ManifestPolicy policy, *policies[1];
	Memsnap__V1__ManifestSpace space;
	Memsnap__V1__ManifestText text, *texts[1];
	struct run pages, object_pages, blob_pages;
	struct presence present, object_present;
	/* Many times the same. */
	void *many[MSN_BLOB_COUNT_MAX + 1];
	uint64_t words[17];
};

static void make_run(struct run *r, Memsnap__V1__Extents **out)
{
	memsnap__v1__extents__init(&r->x);
	r->x.gap = r->gap;
	r->x.count = r->count;
	r->x.pack = r->pack;
	r->x.frame = r->frame;
	r->x.at = r->at;
	r->x.n_gap = r->x.n_count = r->x.n_pack = r->x.n_frame = r->x.n_at = 1;
	r->count[0] = r->count[1] = 1;
	r->pack[0] = 1;
	r->frame[0] = 1;
	r->at[0] = 1;
	*out = &r->x;
}

static void make_presence(struct presence *p, Memsnap__V1__Presence **out)
{
	memsnap__v1__presence__init(&p->x);
	p->x.gap = p->gap;
	p->x.count = p->count;
	p->x.how = p->how;
	p->x.n_gap = p->x.n_count = p->x.n_how = 1;
	p->count[0] = p->count[1] = 1;
	p->how[0] = 1;
	*out = &p->x;
}

static ProtobufCBinaryData text_bytes(const char *text)
{
	return (ProtobufCBinaryData){ strlen(text),
				      (uint8_t *)(uintptr_t)text };
}

static void make_lists(struct tree *t)
{
	memsnap__v1__manifest_mapping__init(&t->mapping);
	t->mapping.gap_pages = t->mapping.length_pages = 16;
	t->mapping.kind = MEMSNAP__V1__MAPPING_KIND__MAPPING_KIND_ANON;
	t->mapping.perms = 3;
	t->mapping.max_perms = 7;
	t->mapping.exact = true;
	t->mapping.vm_flags = 0x73;
	memsnap__v1__manifest_pack__init(&t->pack);
	t->pack.id = t->pack.generation = 1;
	memsnap__v1__manifest_memfd__init(&t->memfd);
	t->memfd.name = text_bytes("/memfd:x (deleted)");
	make_presence(&t->object_present, &t->memfd.present);
	memsnap__v1__manifest_object__init(&t->object);
	t->object.size_pages = 1;
	t->object.memfd = &t->memfd;
	make_run(&t->object_pages, &t->object.pages);
	memsnap__v1__manifest_blob__init(&t->blob);
	t->blob.name = text_bytes("blob");
	t->blob.size_bytes = 1;
	make_run(&t->blob_pages, &t->blob.pages);
	memsnap__v1__manifest_policy__init(&t->policy);
	memsnap__v1__manifest_space__init(&t->space);
	memsnap__v1__manifest_text__init(&t->text);
	t->text.key = text_bytes("key");
}

static void make_tree(struct tree *t)
{
	memset(t, 0, sizeof(*t));
	memsnap__v1__manifest__init(&t->pb);
	t->pb.version = 1;
	memset(t->uid, 7, sizeof(t->uid));
	t->pb.uid = (ProtobufCBinaryData){ sizeof(t->uid), t->uid };
	make_lists(t);
#define LIST(one, list, in)                                                    \
	t->list[0] = &t->one;                                                  \
	t->pb.in = t->list;                                                    \
	t->pb.n_##in = 1
	LIST(mapping, mappings, mappings);
	LIST(pack, packs, packs);
	LIST(object, objects, objects);
	LIST(blob, blobs, blobs);
	LIST(policy, policies, policies);
	LIST(text, texts, labels);
#undef LIST
	t->pb.attributes = t->texts;
	t->pb.n_attributes = 1;
	t->pb.space = &t->space;
	make_run(&t->pages, &t->pb.pages);
	t->pages.gap[0] = 16;
	make_presence(&t->present, &t->pb.present);
	t->present.gap[0] = 16;
}

/* The list holds the same thing @count times. */
static void *many(struct tree *t, void *one, size_t count)
{
	CHECK(count <= MSN_ARRAY_LEN(t->many));
	for (size_t i = 0; i < count; i++)
		t->many[i] = one;
	return t->many;
}

static int decode(const struct tree *t, struct msn_failure *why)
{
	size_t len = memsnap__v1__manifest__get_packed_size(&t->pb);
	uint8_t *bytes = malloc(len);
	struct msn_manifest *m = NULL;
	int rc;

	CHECK(bytes);
	CHECK(memsnap__v1__manifest__pack(&t->pb, bytes) == len);
	rc = msn_manifest_decode(&m, bytes, len, why);
	EXPECT(!m == (rc != 0));
	msn_manifest_free(m);
	free(bytes);
	return rc;
}

/* ---- Breaking ------------------------------------------------------------ */

static ProtobufCBinaryData with_zero = { 3, (uint8_t[]){ 'a', 0, 'b' } };
static ProtobufCBinaryData too_short = { 15, (uint8_t[15]){ 1 } };

#define ZERO_BYTE "a text has a zero byte inside"
#define UID_LENGTH "a uid has not 16 bytes"
#define TOO_MANY_TEXTS "there are too many labels or attributes"
#define COLUMNS "the columns of a list of runs differ in length"
#define WRAPS "a run of pages wraps"
#define NO_PACK "a run of pages names a pack that is not in the table"
#define OUTSIDE_PACK "a run of pages names a frame outside the pack"
#define ZERO_PLACE "a run of zero pages names a place in a pack"
#define MAPPING_WRAPS "a mapping wraps"
#define NO_SUCH_MODE "a mapping has a mode that does not exist"
#define NO_SUCH_KIND "a mapping is of no known kind"
#define NO_SUCH_WAY "pages are in place in no known way"
#define NO_POLICY "a memory policy is none"

#define PB t->pb
#define MAPPING t->mapping

/* clang-format off */
#define BREAKS(X)                                                              \
X(PB.version = 0, "it has no format version")                                  \
X(PB.uid = too_short, UID_LENGTH)                                              \
X(PB.parent = too_short, UID_LENGTH)                                           \
X(PB.name = with_zero, ZERO_BYTE)                                              \
X(t->text.key = with_zero, ZERO_BYTE)                                          \
X(t->text.value = with_zero, ZERO_BYTE)                                        \
X(MAPPING.name = with_zero, ZERO_BYTE)                                         \
X(t->memfd.name = with_zero, ZERO_BYTE)                                        \
X(t->blob.name = with_zero, ZERO_BYTE)                                         \
X((PB.labels = many(t, &t->text, MSN_LABEL_COUNT_MAX + 1),                     \
   PB.n_labels = MSN_LABEL_COUNT_MAX + 1), TOO_MANY_TEXTS)                     \
X((PB.attributes = many(t, &t->text, MSN_LABEL_COUNT_MAX + 1),                 \
   PB.n_attributes = MSN_LABEL_COUNT_MAX + 1), TOO_MANY_TEXTS)                 \
X((PB.blobs = many(t, &t->blob, MSN_BLOB_COUNT_MAX + 1),                       \
   PB.n_blobs = MSN_BLOB_COUNT_MAX + 1), "there are too many blobs")           \
X(t->pages.x.n_gap = 2, COLUMNS)                                               \
X(t->pages.x.n_count = 2, COLUMNS)                                             \
X(t->pages.x.n_pack = 2, COLUMNS)                                              \
X(t->pages.x.n_frame = 2, COLUMNS)                                             \
X(t->pages.x.n_at = 2, COLUMNS)                                                \
X(t->object_pages.x.n_at = 2, COLUMNS)                                         \
X(t->blob_pages.x.n_at = 2, COLUMNS)                                           \
X(t->pages.gap[0] = UINT64_MAX, WRAPS)                                         \
X((t->pages.gap[1] = UINT64_MAX, t->pages.x.n_gap = t->pages.x.n_count =       \
   t->pages.x.n_pack = t->pages.x.n_frame = t->pages.x.n_at = 2), WRAPS)       \
X(t->pages.pack[0] = 2, NO_PACK)                                               \
X(t->pages.pack[0] = UINT64_C(1) << 33, NO_PACK)                               \
X((t->pages.pack[0] = UINT64_MAX, t->pages.pack[1] = UINT64_MAX,               \
   t->pages.x.n_gap = t->pages.x.n_count = t->pages.x.n_pack =                 \
   t->pages.x.n_frame = t->pages.x.n_at = 2), NO_PACK)                         \
X(t->pages.frame[0] = -1, OUTSIDE_PACK)                                        \
X(t->pages.frame[0] = MSN_PACK_PAGES, OUTSIDE_PACK)                            \
X((t->pages.pack[1] = 1, t->pages.frame[1] = INT64_MAX,                        \
   t->pages.x.n_gap = t->pages.x.n_count = t->pages.x.n_pack =                 \
   t->pages.x.n_frame = t->pages.x.n_at = 2), OUTSIDE_PACK)                    \
X(t->pages.at[0] = MSN_FRAME_PAGES_MAX + 1, OUTSIDE_PACK)                      \
X((t->pages.pack[0] = 0, t->pages.at[0] = 0), ZERO_PLACE)                      \
X((t->pages.pack[0] = 0, t->pages.frame[0] = 0), ZERO_PLACE)                   \
X(MAPPING.gap_pages = UINT64_C(1) << 52, MAPPING_WRAPS)                        \
X(MAPPING.length_pages = UINT64_C(1) << 52, MAPPING_WRAPS)                     \
X(MAPPING.length_pages = (UINT64_C(1) << 52) - 1, MAPPING_WRAPS)               \
X(MAPPING.offset_pages = UINT64_C(1) << 52, MAPPING_WRAPS)                     \
X((PB.mappings = many(t, &MAPPING, 2), PB.n_mappings = 2,                      \
   MAPPING.gap_pages = UINT64_C(1) << 51), MAPPING_WRAPS)                      \
X(MAPPING.perms = 256 + 3, NO_SUCH_MODE)                                       \
X(MAPPING.max_perms = 256 + 7, NO_SUCH_MODE)                                   \
X(MAPPING.name_mut = 256, NO_SUCH_MODE)                                        \
X(MAPPING.mlock_mode = 256, NO_SUCH_MODE)                                      \
X(MAPPING.kind = 0, NO_SUCH_KIND)                                              \
X(MAPPING.kind = (Memsnap__V1__MappingKind)5, NO_SUCH_KIND)                    \
X(MAPPING.first_page = UINT64_C(1) << 52,                                      \
  "a mapping was made past the last address")                                  \
X(t->object.size_pages = UINT64_C(1) << 52, "an object is too large")          \
X(t->memfd.cut_bytes = 4096, "an object does not end in its last page")        \
X((t->object.size_pages = 0, t->memfd.cut_bytes = 1),                          \
  "an object does not end in its last page")                                   \
X(t->object_present.x.n_gap = 2, COLUMNS)                                      \
X(t->present.x.n_gap = 2, COLUMNS)                                             \
X(t->present.x.n_count = 2, COLUMNS)                                           \
X(t->present.x.n_how = 2, COLUMNS)                                             \
X(t->present.gap[0] = UINT64_MAX, WRAPS)                                       \
X((t->present.gap[1] = UINT64_MAX, t->present.x.n_gap =                        \
   t->present.x.n_count = t->present.x.n_how = 2), WRAPS)                      \
X(t->present.how[0] = 256 + 1, NO_SUCH_WAY)                                    \
X(t->object_present.how[0] = 256 + 1, NO_SUCH_WAY)                             \
X(t->policy.mode = 65536, NO_POLICY)                                           \
X(t->policy.flags = 65536, NO_POLICY)                                          \
X((t->policy.nodes = t->words, t->policy.n_nodes = 17), NO_POLICY)             \
X((t->policy.user_nodes = t->words, t->policy.n_user_nodes = 17), NO_POLICY)   \
X((t->space.heap_start = 1, t->space.heap_bytes = UINT64_MAX),                 \
  "the heap wraps")
/* clang-format on */

struct row {
	const char *how, *text;
};

#define TRY(how, text)                                                         \
	if (nr-- == 0) {                                                       \
		(void)(how);                                                   \
		*row = (struct row){ #how, text };                             \
		return true;                                                   \
	}

/* Breaks @t as row @nr says; false if there is none. */
static bool break_as(struct tree *t, unsigned nr, struct row *row)
{
	BREAKS(TRY)
	return false;
}

static void what_does_not_fit_is_damage(void)
{
	static struct tree t;
	struct row row;
	unsigned nr = 0;

	make_tree(&t);
	CHECK(decode(&t, NULL) == 0);
	for (; break_as(&t, nr, &row); nr++) {
		struct msn_failure why = { 0 };

		EXPECT(decode(&t, &why) == -EBADMSG);
		EXPECT(why.kind == MSN_FAILURE_DATA_LOSS);
		if (!strstr(why.text, row.text))
			printf("%s: '%s'\n", row.how, why.text);
		EXPECT(strstr(why.text, row.text));
		make_tree(&t);
	}
	EXPECT(nr > 50);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(what_does_not_fit_is_damage), {}
	};

	return check_main(argc, argv, "manifest_decode", tests);
}
