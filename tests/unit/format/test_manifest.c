/*
 * Manifests: building, looking, encoding, and decoding what is hostile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format/manifest.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/rand.h"
#include "fakes/sample_manifest.h"
#include "format/layout.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

struct bytes {
	uint8_t *data;
	size_t len;
};

static struct bytes encode(const struct msn_manifest *m)
{
	struct bytes b;

	CHECK(!msn_manifest_check(m));
	CHECK(msn_manifest_encode(m, &b.data, &b.len) == 0);
	return b;
}

/* Decodes, and checks what every outcome promises. */
static int decode(const uint8_t *data, size_t len)
{
	struct msn_failure why = { 0 };
	struct msn_manifest *m = NULL;
	int rc = msn_manifest_decode(&m, data, len, &why);

	if (rc) {
		EXPECT(!m && why.kind != MSN_FAILURE_NONE && *why.text);
		EXPECT(rc == -EBADMSG || rc == -EOPNOTSUPP);
	} else {
		EXPECT(why.kind == MSN_FAILURE_NONE);
		EXPECT(!msn_manifest_check(m));
	}
	msn_manifest_free(m);
	return rc;
}

static void runs_that_touch_become_one(void)
{
	/*
	 * frame 5:  at 6 7 8 | 9    frame 69: at 70
	 * pages        1 2 3 | 4              5        zero: 6 7 | 8
	 */
	static const struct msn_extent in[] = {
		{ 1, 3, 0, 5, 6 },
		{ 4, 1, 0, 5, 9 },
		{ 5, 1, 0, 69, 70 },
		{ 6, 2, MSN_EXTENT_ZERO, 0, 0 },
		{ 8, 1, MSN_EXTENT_ZERO, 0, 0 },
		{ 9, 1, 0, 69, 71 },
		{ 10, 1, 1, 69, 72 },
		{ 12, 1, 1, 69, 73 },
	};
	struct msn_extents list = { 0 };

	for (size_t i = 0; i < MSN_ARRAY_LEN(in); i++)
		CHECK(msn_extents_append(&list, in[i]) == 0);
	EXPECT(list.count == 6);
	EXPECT(list.list[0].count == 4 && list.list[2].count == 3);
	EXPECT(msn_extents_lower(&list, 0) == &list.list[0]);
	EXPECT(msn_extents_lower(&list, 4) == &list.list[0]);
	EXPECT(msn_extents_lower(&list, 5) == &list.list[1]);
	EXPECT(msn_extents_lower(&list, 11) == &list.list[5]);
	EXPECT(msn_extents_lower(&list, 12) == &list.list[5]);
	EXPECT(msn_extents_lower(&list, 13) == NULL);
	msn_extents_deinit(&list);
	EXPECT(list.count == 0 && msn_extents_lower(&list, 0) == NULL);
}

static void a_pack_stands_in_the_table_once(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	uint32_t index;

	CHECK(msn_manifest_new(&m) == 0);
	for (uint64_t pass = 0; pass < 2; pass++) {
		for (uint64_t id = 1; id < 40; id++) {
			struct msn_manifest_pack pack = { id, 3 };

			CHECK(msn_manifest_pack_index(m, pack, &index) == 0);
			EXPECT(index == id - 1);
		}
	}
	EXPECT(m->pack_count == 39);
	CHECK(msn_manifest_pack_index(m, (struct msn_manifest_pack){ 1, 4 },
				      &index) == 0);
	EXPECT(index == 39);
}

static void mappings_are_found_by_address(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m =
		sample_manifest(5, 30);

	for (size_t i = 0; i < m->mapping_count; i++) {
		struct msn_manifest_mapping *p = &m->mappings[i];

		EXPECT(msn_manifest_mapping_at(m, p->start) == p);
		EXPECT(msn_manifest_mapping_at(m, p->end - 1) == p);
		if (i == 0 || p[-1].end < p->start)
			EXPECT(!msn_manifest_mapping_at(m, p->start - 1));
	}
	EXPECT(!msn_manifest_mapping_at(m, UINT64_MAX));
}

static void texts_and_blobs_are_found_by_key(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m =
		sample_manifest(5, 3);

	EXPECT(strcmp(msn_manifest_attr(m, "key 2"), "comm \xff") == 0);
	EXPECT(!msn_manifest_attr(m, "key 3"));
	EXPECT(msn_manifest_blob(m, "blob-1") == &m->blobs[1]);
	EXPECT(!msn_manifest_blob(m, "blob-"));
}

static void adders_know_their_limits(void)
{
	static char text[MSN_MAPPING_NAME_MAX + 2];
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_manifest_mapping p = { .name = text };

	CHECK(msn_manifest_new(&m) == 0);
	memset(text, 'x', sizeof(text) - 1);
	EXPECT(msn_manifest_add_mapping(m, &p) == -E2BIG);
	EXPECT(msn_manifest_add_label(m, "k", text) == -E2BIG);
	EXPECT(m->mapping_count == 0 && m->label_count == 0);
	for (int i = 0; i < MSN_LABEL_COUNT_MAX; i++)
		CHECK(msn_manifest_add_attr(m, "k", "v") == 0);
	EXPECT(msn_manifest_add_attr(m, "k", "v") == -E2BIG);
	msn_fault_arm(1);
	EXPECT(msn_manifest_add_label(m, "k", "v") == -ENOMEM);
	msn_fault_arm(0);
	EXPECT(m->label_count == 0);
}

static void names_fit_everywhere(void)
{
	static const char letters[] = "the name has a character other than "
				      "a-z, 0-9, '.', '_' and '-'";
	static const char start[] = "the name starts with '.', '_' or '-'";
	static const struct {
		const char *name, *text;
	} bad[] = {
		{ "", "the name is empty" },
		{ ".a", start },
		{ "-a", start },
		{ "_a", start },
		{ "a b", letters },
		{ "a/b", letters },
		{ "gr\xc3\xbc", letters },
		{ "a\n", letters },
		{ "A", letters },
		{ "0123456789abcdef0123456789abcdef",
		  "the name looks like a uid" },
		{ "1234567890123456789012345678901234567890"
		  "123456789012345678901234",
		  "the name is longer than 63 characters" },
	};

	EXPECT(!msn_snapshot_name_check("a"));
	EXPECT(!msn_snapshot_name_check("9a.b-c_9"));
	EXPECT(!msn_snapshot_name_check(
		"123456789012345678901234567890123456789012345678901234567890123"));
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++) {
		const char *text = msn_snapshot_name_check(bad[i].name);

		EXPECT(text && strcmp(text, bad[i].text) == 0);
	}
}

static void what_was_encoded_decodes_to_the_same(void)
{
	uint64_t seed = check_seed();

	for (unsigned i = 0; i < 40; i++) {
		msn_auto(msn_manifest_freep) struct msn_manifest *m =
			sample_manifest(msn_rand_next(&seed), i * 2);
		msn_auto(msn_manifest_freep) struct msn_manifest *back = NULL;
		struct bytes b = encode(m);

		CHECK(msn_manifest_decode(&back, b.data, b.len, NULL) == 0);
		EXPECT(sample_manifest_equal(m, back));
		free(b.data);
	}
}

static void runs_of_whole_frames_take_few_bytes(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_manifest_mapping p = { .start = 0,
					  .end = 63 * 4096 * 250,
					  .kind = MSN_MAPPING_ANON,
					  .name = (char[]){ "" } };
	uint32_t index;
	struct bytes b;

	CHECK(msn_manifest_new(&m) == 0);
	m->uid = msn_uid_new();
	CHECK(msn_manifest_add_mapping(m, &p) == 0);
	CHECK(msn_manifest_pack_index(m, (struct msn_manifest_pack){ 1, 1 },
				      &index) == 0);
	for (uint32_t i = 0; i < 250; i++)
		CHECK(msn_extents_append(&m->pages,
					 (struct msn_extent){
						 i * 63, 63, index, 1 + i * 64,
						 2 + i * 64 }) == 0);
	b = encode(m);
	EXPECT(b.len < 250 * 6 + 100);
	free(b.data);
}

static void every_flipped_bit_is_survived(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m =
		sample_manifest_exact(3, 6);
	struct bytes b = encode(m);

	for (size_t i = 0; i < b.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			b.data[i] ^= (uint8_t)(1u << bit);
			decode(b.data, b.len);
			b.data[i] ^= (uint8_t)(1u << bit);
		}
		b.data[i] ^= 0xff;
		decode(b.data, b.len);
		b.data[i] ^= 0xff;
	}
	free(b.data);
}

static void every_truncation_is_survived(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m =
		sample_manifest_exact(4, 6);
	struct bytes b = encode(m);

	for (size_t len = 0; len < b.len; len++) {
		/* A copy of just that length lets a sanitizer see overreads. */
		uint8_t *part = malloc(len + 1);

		CHECK(part);
		memcpy(part, b.data, len);
		decode(part, len);
		free(part);
	}
	free(b.data);
}

static void random_damage_is_survived(void)
{
	uint64_t seed = check_seed();
	msn_auto(msn_manifest_freep) struct msn_manifest *m =
		sample_manifest_exact(seed, 10);
	struct bytes b = encode(m);
	msn_auto(msn_freep) uint8_t *copy = malloc(b.len);

	CHECK(copy);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t hits = 1 + msn_rand_next(&seed) % 8;

		memcpy(copy, b.data, b.len);
		while (hits--)
			copy[msn_rand_next(&seed) % b.len] =
				(uint8_t)msn_rand_next(&seed);
		decode(copy, b.len);
	}
	free(b.data);
}

static void a_newer_version_is_named(void)
{
	/* Version 7 with a body that makes no sense to this program. */
	static const uint8_t bytes[] = { 0x08, 0x07, 0x12, 0x7f };
	/* Version 1 first, version 300 later: the last one counts. */
	static const uint8_t later[] = { 0x08, 0x01, 0x08, 0xac, 0x02 };
	struct msn_failure why = { 0 };
	struct msn_manifest *m;

	EXPECT(msn_manifest_decode(&m, bytes, 4, &why) == -EOPNOTSUPP);
	EXPECT(why.kind == MSN_FAILURE_UNSUPPORTED);
	EXPECT(strstr(why.text, "version 7") && strstr(why.text, "up to 2"));
	why = (struct msn_failure){ 0 };
	EXPECT(msn_manifest_decode(&m, later, 5, &why) == -EOPNOTSUPP);
	EXPECT(strstr(why.text, "version 300"));
}

static void no_version_is_damage(void)
{
	struct msn_failure why = { 0 };
	struct msn_manifest *m;

	EXPECT(msn_manifest_decode(&m, NULL, 0, &why) == -EBADMSG);
	EXPECT(why.kind == MSN_FAILURE_DATA_LOSS);
	EXPECT(strstr(why.text, "no format version"));
}

static void a_zero_byte_inside_a_text_is_damage(void)
{
	static const uint8_t bytes[] = { 0x08, 0x01, 0x22, 0x03, 'a', 0, 'b' };
	struct msn_failure why = { 0 };
	struct msn_manifest *m;

	EXPECT(msn_manifest_decode(&m, bytes, sizeof(bytes), &why) == -EBADMSG);
	EXPECT(strstr(why.text, "zero byte"));
}

/* A million empty mappings, two bytes each, would be 200 MB of structs. */
static void small_bytes_cannot_ask_for_much_memory(void)
{
	enum { COUNT = 500000 };
	static const uint8_t tags[] = { 0x3a, 0x42, 0x4a, 0x52, 0x62, 0x6a };

	for (size_t t = 0; t < sizeof(tags); t++) {
		msn_auto(msn_freep) uint8_t *bytes = malloc(2 * COUNT + 2);
		struct msn_manifest *m = NULL;
		struct msn_failure why;

		CHECK(bytes);
		bytes[0] = 0x08;
		bytes[1] = 0x01;
		for (size_t i = 1; i <= COUNT; i++) {
			bytes[2 * i] = tags[t];
			bytes[2 * i + 1] = 0;
		}
		why = (struct msn_failure){ 0 };
		EXPECT(msn_manifest_decode(&m, bytes, 2 * COUNT + 2, &why) ==
		       -EBADMSG);
		EXPECT(strstr(why.text, "more memory than its size"));
	}
}

static void unknown_fields_are_passed_over(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m =
		sample_manifest(8, 3);
	struct bytes b = encode(m);
	uint8_t *longer = realloc(b.data, b.len + 3);

	CHECK(longer);
	memcpy(longer + b.len, (uint8_t[]){ 0xf8, 0x07, 0x05 }, 3);
	EXPECT(decode(longer, b.len + 3) == 0);
	free(longer);
}

static void *fault_prepare(void)
{
	return sample_manifest_exact(9, 3);
}

static int fault_body(void *state)
{
	struct msn_manifest *back = NULL;
	struct bytes b;
	int rc = msn_manifest_encode(state, &b.data, &b.len);

	if (rc)
		return rc;
	rc = msn_manifest_decode(&back, b.data, b.len, NULL);
	free(b.data);
	if (rc == 0)
		CHECK(sample_manifest_equal(state, back));
	msn_manifest_free(back);
	return rc;
}

static void fault_verify(void *state, int rc, const char *name)
{
	EXPECT(rc == (name ? -ENOMEM : 0));
	msn_manifest_free(state);
}

static void every_lack_of_memory_is_an_error(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) > 50);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(runs_that_touch_become_one),
		CHECK_TEST(a_pack_stands_in_the_table_once),
		CHECK_TEST(mappings_are_found_by_address),
		CHECK_TEST(texts_and_blobs_are_found_by_key),
		CHECK_TEST(adders_know_their_limits),
		CHECK_TEST(names_fit_everywhere),
		CHECK_TEST(what_was_encoded_decodes_to_the_same),
		CHECK_TEST(runs_of_whole_frames_take_few_bytes),
		CHECK_TEST(every_flipped_bit_is_survived),
		CHECK_TEST(every_truncation_is_survived),
		CHECK_TEST(random_damage_is_survived),
		CHECK_TEST(a_newer_version_is_named),
		CHECK_TEST(no_version_is_damage),
		CHECK_TEST(a_zero_byte_inside_a_text_is_damage),
		CHECK_TEST(small_bytes_cannot_ask_for_much_memory),
		CHECK_TEST(unknown_fields_are_passed_over),
		CHECK_TEST(every_lack_of_memory_is_an_error),
		{}
	};

	return check_main(argc, argv, "manifest", tests);
}
