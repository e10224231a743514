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
	CHECK(msn_presence_append(&m->present, &own) == 0);
	CHECK(msn_presence_append(&m->present, &object) == 0);
	CHECK(!msn_manifest_check(m));
	return m;
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
	EXPECT(m->present.count == 0 && m->policy_count == 0);
	EXPECT(m->space.heap_end == 0 && m->space.policy == 0);
}

/* The version is the second byte; @shared: of the mapping of the object. */
static uint8_t version_with(bool shared)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = exact_pair();
	struct msn_manifest_mapping *p = &m->mappings[1];
	uint8_t *bytes, version;
	size_t len;

	p->shared = shared;
	p->vm_flags = shared ? 0xfb : 0x73;
	CHECK(msn_manifest_encode(m, &bytes, &len) == 0);
	version = bytes[1];
	free(bytes);
	return version;
}

static void a_manifest_says_the_least_version_that_reads_it(void)
{
	EXPECT(version_with(true) == 1);
	EXPECT(version_with(false) == 2);
}

static void runs_in_place_are_found_by_page(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = exact_pair();

	EXPECT(msn_presence_lower(&m->present, 0) == &m->present.list[0]);
	EXPECT(msn_presence_lower(&m->present, 0x13) == &m->present.list[0]);
	EXPECT(msn_presence_lower(&m->present, 0x14) == &m->present.list[1]);
	EXPECT(msn_presence_lower(&m->present, 0x22) == NULL);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(what_later_calls_can_tell_decodes_to_the_same),
		CHECK_TEST(a_manifest_without_it_still_decodes),
		CHECK_TEST(a_manifest_says_the_least_version_that_reads_it),
		CHECK_TEST(runs_in_place_are_found_by_page),
		{}
	};

	return check_main(argc, argv, "manifest_exact", tests);
}
