/*
 * Manifests: what only calls that come later can tell.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format/manifest.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "fakes/sample_manifest.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef void breaker(struct msn_manifest *m);

/*
 * Two mappings side by side, the first anonymous, the second of a shared
 * object, with a run of own and one of the object's pages.
 */
static struct msn_manifest *exact_pair(void)
{
	struct msn_manifest_mapping p = {
		.start = 0x10000,
		.end = 0x20000,
		.kind = MSN_MAPPING_ANON,
		.perms = 3,
		.max_perms = 7,
		.name = (char[]){ "" },
		.exact = true,
		.vm_flags = 0x73,
		.anon_offset = 0x10000,
		.history = 2,
		.forked = true,
	};
	struct msn_manifest_presence own = { 0x10, 4, 1 };
	struct msn_manifest_presence object = { 0x20, 2, 3 };
	struct msn_manifest *m;

	CHECK(msn_manifest_new(&m) == 0);
	m->uid = msn_uid_new();
	m->objects = msn_alloc_array(1, sizeof(*m->objects));
	CHECK(m->objects);
	m->object_count = 1;
	m->objects[0].size_bytes = 0x10000;
	CHECK(msn_manifest_add_mapping(m, &p) == 0);
	p = (struct msn_manifest_mapping){ .start = 0x20000,
					   .end = 0x30000,
					   .kind = MSN_MAPPING_OBJECT,
					   .perms = 3,
					   .max_perms = 7,
					   .shared = true,
					   .name = p.name,
					   .exact = true,
					   .vm_flags = 0xfb };
	CHECK(msn_manifest_add_mapping(m, &p) == 0);
	CHECK(msn_manifest_add_presence(m, &own) == 0);
	CHECK(msn_manifest_add_presence(m, &object) == 0);
	CHECK(!msn_manifest_check(m));
	return m;
}

static void not_exact(struct msn_manifest *m)
{
	m->mappings[1].exact = false;
}
static void flag_unknown(struct msn_manifest *m)
{
	m->mappings[0].vm_flags |= 1u << 26;
}
static void flag_perms(struct msn_manifest *m)
{
	m->mappings[0].vm_flags ^= 2;
}
static void flag_max_perms(struct msn_manifest *m)
{
	m->mappings[0].vm_flags ^= 0x40;
}
static void flag_mayshare(struct msn_manifest *m)
{
	m->mappings[1].vm_flags ^= 0x80;
}
static void flag_shared_of_private(struct msn_manifest *m)
{
	m->mappings[0].vm_flags |= 8;
}
static void flag_writes_and_not_shared(struct msn_manifest *m)
{
	m->mappings[1].vm_flags ^= 8;
}
static void flag_grows(struct msn_manifest *m)
{
	m->mappings[0].vm_flags |= 0x100;
}
static void flag_lock(struct msn_manifest *m)
{
	m->mappings[0].vm_flags |= 0x200;
}
static void flag_lock_on_fault_alone(struct msn_manifest *m)
{
	m->mappings[0].vm_flags |= 0x400;
}
static void shared_anonymous(struct msn_manifest *m)
{
	m->mappings[1].kind = MSN_MAPPING_ANON;
}
static void stack_of_an_object(struct msn_manifest *m)
{
	m->mappings[1].grows_down = true;
	m->mappings[1].vm_flags |= 0x100;
}
static void first_address_unaligned(struct msn_manifest *m)
{
	m->mappings[0].anon_offset++;
}
static void first_address_wraps(struct msn_manifest *m)
{
	m->mappings[0].anon_offset = UINT64_MAX - 0xffff + 0x1000;
}
static void history_past_the_last(struct msn_manifest *m)
{
	m->mappings[0].history = 3;
}
static void forked_from_nothing(struct msn_manifest *m)
{
	m->mappings[0].history = 0;
}
static void policy_of_none(struct msn_manifest *m)
{
	m->mappings[0].policy = 1;
}
static void run_empty(struct msn_manifest *m)
{
	m->present[0].count = 0;
}
static void run_overlaps(struct msn_manifest *m)
{
	m->present[1].page = 0x13;
}
static void run_unmapped(struct msn_manifest *m)
{
	m->present[1].count = 17;
}
static void run_past_all_addresses(struct msn_manifest *m)
{
	m->present[1].page = UINT64_C(1) << 52;
}
static void run_wraps(struct msn_manifest *m)
{
	m->present[1].count = UINT64_C(1) << 52;
}
static void run_in_no_way(struct msn_manifest *m)
{
	m->present[0].how = 0;
}
static void run_in_a_sixth_way(struct msn_manifest *m)
{
	m->present[0].how = 6;
}
static void run_own_of_shared(struct msn_manifest *m)
{
	m->present[1].how = 1;
}
static void run_own_into_shared(struct msn_manifest *m)
{
	m->present[0].count = 17;
	m->present_count = 1;
}
static void run_lazy_of_shared(struct msn_manifest *m)
{
	m->present[1].how = 5;
}
static void run_zero_of_object(struct msn_manifest *m)
{
	m->present[1].how = 2;
}
static void run_of_what_is_not_exact(struct msn_manifest *m)
{
	m->mappings[1].exact = false;
	m->mappings[1].vm_flags = 0;
}
static void heap_backwards(struct msn_manifest *m)
{
	m->space.heap_start = 1;
}
static void future_flag(struct msn_manifest *m)
{
	m->space.future_locks = 1u << 11;
}
static void future_on_fault_alone(struct msn_manifest *m)
{
	m->space.future_locks = 1u << 10;
}
static void policy_of_the_space(struct msn_manifest *m)
{
	m->space.policy = 1;
}

#define IN_NO_MAPPING "a page that is in place is in no mapping"
#define FLAGS_DIFFER "a mapping's flags are not those of its rights"
#define NO_SUCH_WAY "pages are in place in no known way"
#define CANNOT_BE "pages are in place as their mapping's cannot be"

static const struct {
	breaker *break_it;
	const char *text;
} exact_breakers[] = {
	{ not_exact, "a mapping is exact and says that it is not" },
	{ flag_unknown, FLAGS_DIFFER },
	{ flag_perms, FLAGS_DIFFER },
	{ flag_max_perms, FLAGS_DIFFER },
	{ flag_mayshare, FLAGS_DIFFER },
	{ flag_shared_of_private, FLAGS_DIFFER },
	{ flag_writes_and_not_shared, FLAGS_DIFFER },
	{ flag_grows, FLAGS_DIFFER },
	{ flag_lock, FLAGS_DIFFER },
	{ flag_lock_on_fault_alone, FLAGS_DIFFER },
	{ shared_anonymous, "a shared mapping has no object" },
	{ stack_of_an_object, "a stack maps an object" },
	{ first_address_unaligned, "a mapping's first address wraps" },
	{ first_address_wraps, "a mapping's first address wraps" },
	{ history_past_the_last,
	  "a mapping has a history that does not exist" },
	{ forked_from_nothing, "a mapping has a history that does not exist" },
	{ policy_of_none, "a mapping names a policy that is not in the table" },
	{ run_empty, "a run of pages is empty" },
	{ run_overlaps, "runs of pages overlap or are out of order" },
	{ run_unmapped, IN_NO_MAPPING },
	{ run_past_all_addresses, IN_NO_MAPPING },
	{ run_wraps, IN_NO_MAPPING },
	{ run_in_no_way, NO_SUCH_WAY },
	{ run_in_a_sixth_way, NO_SUCH_WAY },
	{ run_own_of_shared, CANNOT_BE },
	{ run_own_into_shared, CANNOT_BE },
	{ run_lazy_of_shared, CANNOT_BE },
	{ run_zero_of_object, CANNOT_BE },
	{ run_of_what_is_not_exact, CANNOT_BE },
	{ heap_backwards, "the heap ends before it begins" },
	{ future_flag, "the locks of mappings to come do not exist" },
	{ future_on_fault_alone, "the locks of mappings to come do not exist" },
	{ policy_of_the_space,
	  "the space names a policy that is not in the table" },
};

static void every_exact_promise_is_checked_by_name(void)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(exact_breakers); i++) {
		msn_auto(msn_manifest_freep) struct msn_manifest *m =
			exact_pair();
		const char *text;

		exact_breakers[i].break_it(m);
		text = msn_manifest_check(m);
		if (!text || strcmp(text, exact_breakers[i].text) != 0)
			printf("%zu: %s\n", i, text ? text : "no word");
		EXPECT(text && strcmp(text, exact_breakers[i].text) == 0);
	}
}

/* Version 1 and a uid, then @body: what decoding says of it. */
static void expect_damage(const void *body, size_t len, const char *text)
{
	uint8_t bytes[128] = { 0x08, 0x01, 0x12, 0x10, [4 ... 19] = 7 };
	struct msn_failure why = { 0 };
	struct msn_manifest *m;

	CHECK(20 + len <= sizeof(bytes));
	memcpy(bytes + 20, body, len);
	EXPECT(msn_manifest_decode(&m, bytes, 20 + len, &why) == -EBADMSG);
	if (!strstr(why.text, text))
		printf("'%s' and not '%s'\n", why.text, text);
	EXPECT(strstr(why.text, text));
}

#define DAMAGE(text, ...)                                                      \
	expect_damage((const uint8_t[]){ __VA_ARGS__ },                        \
		      sizeof((const uint8_t[]){ __VA_ARGS__ }), text)

/* 2^64 - 1 as a varint. */
#define MOST 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01

static void what_does_not_fit_is_damage(void)
{
	DAMAGE("a mapping was made past the last address", 0x4a, 0x13, 0x10,
	       0x01, 0x18, 0x01, 0x98, 0x01, 0x01, 0xa8, 0x01, MOST);
	DAMAGE("the heap wraps", 0x72, 0x0d, 0x08, 0x01, 0x10, MOST);
	DAMAGE("the columns of a list of runs differ in length", 0x7a, 0x06,
	       0x0a, 0x01, 0x01, 0x12, 0x01, 0x01);
	DAMAGE("the columns of a list of runs differ in length", 0x7a, 0x07,
	       0x0a, 0x01, 0x01, 0x1a, 0x02, 0x01, 0x01);
	DAMAGE("a run of pages wraps", 0x7a, 0x12, 0x0a, 0x01, 0x01, 0x12, 0x0a,
	       MOST, 0x1a, 0x01, 0x01);
	DAMAGE("pages are in place in no known way", 0x7a, 0x0a, 0x0a, 0x01,
	       0x01, 0x12, 0x01, 0x01, 0x1a, 0x02, 0x80, 0x02);
	DAMAGE("a memory policy is none", 0x82, 0x01, 0x04, 0x08, 0x80, 0x80,
	       0x04);
	DAMAGE("a memory policy is none", 0x82, 0x01, 0x04, 0x10, 0x80, 0x80,
	       0x04);
	DAMAGE("a memory policy is none", 0x82, 0x01, 0x13, 0x1a, 0x11, 0, 0, 0,
	       0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	DAMAGE("a memory policy is none", 0x82, 0x01, 0x13, 0x22, 0x11, 0, 0, 0,
	       0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void what_later_calls_can_tell_decodes_to_the_same(void)
{
	uint64_t seed = check_seed();

	for (unsigned i = 0; i < 40; i++) {
		msn_auto(msn_manifest_freep) struct msn_manifest *m =
			sample_manifest_exact(msn_rand_next(&seed), i * 2);
		msn_auto(msn_manifest_freep) struct msn_manifest *back = NULL;
		uint8_t *bytes;
		size_t len;

		CHECK(msn_manifest_encode(m, &bytes, &len) == 0);
		CHECK(msn_manifest_decode(&back, bytes, len, NULL) == 0);
		EXPECT(sample_manifest_equal(m, back));
		free(bytes);
	}
}

/* A uid and one mapping of one page, as the first writers had it. */
static void a_manifest_without_it_still_decodes(void)
{
	uint8_t bytes[] = { 0x08, 0x01, 0x12, 0x10, [4 ... 19] = 7, 0x4a, 0x06,
			    0x08, 0x10, 0x10, 0x01, 0x18,	    0x01 };
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;

	CHECK(msn_manifest_decode(&m, bytes, sizeof(bytes), NULL) == 0);
	EXPECT(m->mapping_count == 1 && !m->mappings[0].exact);
	EXPECT(m->mappings[0].start == 0x10000);
	EXPECT(m->present_count == 0 && m->policy_count == 0);
	EXPECT(m->space.heap_end == 0 && m->space.policy == 0);
}

static void runs_in_place_are_found_by_page(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = exact_pair();

	EXPECT(msn_manifest_presence_lower(m, 0) == &m->present[0]);
	EXPECT(msn_manifest_presence_lower(m, 0x13) == &m->present[0]);
	EXPECT(msn_manifest_presence_lower(m, 0x14) == &m->present[1]);
	EXPECT(msn_manifest_presence_lower(m, 0x22) == NULL);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_exact_promise_is_checked_by_name),
		CHECK_TEST(what_does_not_fit_is_damage),
		CHECK_TEST(what_later_calls_can_tell_decodes_to_the_same),
		CHECK_TEST(a_manifest_without_it_still_decodes),
		CHECK_TEST(runs_in_place_are_found_by_page),
		{}
	};

	return check_main(argc, argv, "manifest_exact", tests);
}
