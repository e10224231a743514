/*
 * Stores in temporary folders.  See store_fixture.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fakes/store_fixture.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/rand.h"
#include "digest/digest.h"
#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_PAGE 1024

char *store_dir_in(const char *parent)
{
	char *path = msn_format("%s/msn-store-XXXXXX", parent);

	CHECK(path && mkdtemp(path));
	CHECK(rmdir(path) == 0);
	return path;
}

char *store_dir_in_memory(void)
{
	return access("/dev/shm", W_OK) == 0 ? store_dir_in("/dev/shm")
					     : store_dir_new();
}

char *store_dir_new(void)
{
	const char *tmp = getenv("TMPDIR");

	return store_dir_in(tmp ? tmp : "/tmp");
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void store_dir_free(char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}

struct msn_store *store_at(const char *path)
{
	struct msn_store_opts opts = { .path = path, .create = true };
	struct msn_failure why = { 0 };
	struct msn_store *store;

	if (msn_store_open(&store, &opts, &why)) {
		printf("(%s) ", why.text);
		CU_FAIL_FATAL("store");
	}
	return store;
}

/* Page @n of @what (0 memory, 1 object, 2 blob), different for each seed. */
static void make_page(uint8_t *page, const struct sample *s, unsigned what,
		      uint64_t n)
{
	uint64_t state = s->seed * 1000003 + n * 8 + what;

	for (size_t i = 0; i < 4096; i += 8) {
		uint64_t v = msn_rand_next(&state);

		memcpy(page + i, &v, 8);
	}
}

static bool wants(const struct sample *s, uint64_t n)
{
	return s->every == 0 || n % s->every == 0;
}

static int add_page(struct msn_writer *w, struct msn_extents *list, uint64_t at,
		    const uint8_t *page, struct msn_failure *why)
{
	struct msn_place place;
	int rc = msn_writer_add(w, page, msn_digest_page(page), &place, why);

	if (rc)
		return rc;
	return msn_extents_append(list,
				  (struct msn_extent){ at, 1, place.pack,
						       place.frame, place.at });
}

static int inherit(struct msn_manifest *m, const struct msn_manifest *parent,
		   struct msn_extents *list, uint64_t page)
{
	const struct msn_extent *e = msn_extents_lower(&parent->pages, page);
	struct msn_extent mine;
	int rc;

	CHECK(e && e->page <= page);
	mine = *e;
	rc = msn_manifest_pack_index(m, parent->packs[e->pack], &mine.pack);
	if (rc)
		return rc;
	mine.at += (uint32_t)(page - e->page);
	mine.page = page;
	mine.count = 1;
	return msn_extents_append(list, mine);
}

static int add_memory(struct msn_writer *w, struct msn_manifest *m,
		      const struct sample *s, const struct msn_manifest *parent,
		      struct msn_failure *why)
{
	_Alignas(8) uint8_t page[4096];
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < s->page_count; i++) {
		if (!wants(s, i))
			continue;
		if (parent && i % 10) {
			rc = inherit(m, parent, &m->pages, FIRST_PAGE + i);
			continue;
		}
		make_page(page, s, 0, i);
		rc = add_page(w, &m->pages, FIRST_PAGE + i, page, why);
	}
	return rc;
}

static int add_rest(struct msn_writer *w, struct msn_manifest *m,
		    const struct sample *s, struct msn_failure *why)
{
	_Alignas(8) uint8_t page[4096];
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < s->object_pages; i++) {
		make_page(page, s, 1, i);
		rc = add_page(w, &m->objects[0].pages, i, page, why);
	}
	for (uint64_t i = 0; rc == 0 && i * 4096 < s->blob_bytes; i++) {
		make_page(page, s, 2, i);
		rc = add_page(w, &m->blobs[0].pages, i, page, why);
	}
	return rc;
}

static int make_manifest(struct msn_manifest **out, const struct sample *s)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_manifest_mapping p = {
		.start = FIRST_PAGE * 4096,
		.end = (FIRST_PAGE + s->page_count) * 4096,
		.kind = MSN_MAPPING_ANON,
		.perms = 3,
		.max_perms = 7,
		.name = (char[]){ "[heap]" },
	};
	int rc = msn_manifest_new(&m);

	if (rc)
		return rc;
	m->uid = msn_uid_new();
	m->parent = s->parent;
	m->created_ns = (int64_t)s->seed;
	m->stats.private_pages = s->page_count;
	free(m->name);
	m->name = msn_strdup(s->name);
	rc = msn_manifest_add_attr(m, "origin", "pid 17 sample");
	if (rc == 0 && s->page_count)
		rc = msn_manifest_add_mapping(m, &p);
	m->objects = msn_alloc_array(1, sizeof(*m->objects));
	m->blobs = msn_alloc_array(1, sizeof(*m->blobs));
	if (rc || !m->name || !m->objects || !m->blobs)
		return rc ? rc : -ENOMEM;
	m->objects[0].size_bytes = s->object_pages * 4096;
	m->object_count = s->object_pages > 0;
	m->blobs[0].size_bytes = s->blob_bytes;
	if (s->blob_bytes) {
		m->blobs[0].name = msn_strdup("state");
		m->blob_count = 1;
		if (!m->blobs[0].name)
			return -ENOMEM;
	}
	*out = msn_steal(m);
	return 0;
}

int sample_save(struct msn_store *store, const struct sample *s,
		struct msn_uid *uid, struct msn_failure *why)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *parent = NULL;
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	msn_auto(msn_writer_freep) struct msn_writer *w = NULL;
	int rc = 0;

	if (!msn_uid_is_none(s->parent))
		rc = msn_store_load(store, s->parent, &parent, why);
	if (rc == 0)
		rc = make_manifest(&m, s);
	if (rc)
		return rc;
	*uid = m->uid;
	rc = msn_writer_begin(&w, store, m, why);
	if (rc == 0)
		rc = add_memory(w, m, s, parent, why);
	if (rc == 0)
		rc = add_rest(w, m, s, why);
	return rc ? rc : msn_writer_commit(w, NULL, NULL, why);
}

/* Which sample's page stands at @n?  A child has its parent's seed minus 1. */
static struct sample owner(const struct sample *s, uint64_t n)
{
	struct sample o = *s;

	if (!msn_uid_is_none(s->parent) && n % 10)
		o.seed--;
	return o;
}

static int compare_memory(const struct sample *s, const uint8_t *got)
{
	static const uint8_t zero[4096];
	_Alignas(8) uint8_t page[4096];

	for (uint64_t i = 0; i < s->page_count; i++) {
		struct sample o = owner(s, i);

		make_page(page, &o, 0, i);
		if (memcmp(got + i * 4096, wants(s, i) ? page : zero, 4096) !=
		    0)
			return 1;
	}
	return 0;
}

static int compare_rest(const struct sample *s, unsigned what,
			const uint8_t *got, size_t len)
{
	_Alignas(8) uint8_t page[4096];

	for (uint64_t i = 0; i * 4096 < len; i++) {
		size_t n = len - i * 4096 < 4096 ? len - i * 4096 : 4096;

		make_page(page, s, what, i);
		if (memcmp(got + i * 4096, page, n) != 0)
			return 1;
	}
	return 0;
}

static int verify_object(struct msn_reader *r, const struct msn_manifest *m,
			 const struct sample *s, struct msn_failure *why)
{
	msn_auto(msn_freep) uint8_t *got = NULL;
	int rc;

	if (m->object_count != (s->object_pages > 0))
		return 1;
	if (!s->object_pages)
		return 0;
	got = calloc(s->object_pages, 4096);
	CHECK(got);
	rc = msn_reader_read(r, &m->objects[0].pages, 0, s->object_pages, got,
			     why);
	return rc ? rc : compare_rest(s, 1, got, s->object_pages * 4096);
}

static int verify_blob(struct msn_reader *r, const struct msn_manifest *m,
		       const struct sample *s, struct msn_failure *why)
{
	const struct msn_manifest_blob *blob = msn_manifest_blob(m, "state");
	msn_auto(msn_freep) uint8_t *got = NULL;
	size_t len;
	int rc;

	if (!blob)
		return s->blob_bytes ? 1 : 0;
	rc = msn_reader_blob(r, blob, &got, &len, why);
	if (rc)
		return rc;
	if (len != s->blob_bytes || got[len] != 0)
		return 1;
	return compare_rest(s, 2, got, len);
}

int sample_verify(struct msn_store *store, const struct sample *s,
		  struct msn_uid uid, struct msn_failure *why)
{
	msn_auto(msn_freep) uint8_t *got = calloc(s->page_count + 1, 4096);
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	msn_auto(msn_reader_freep) struct msn_reader *r = NULL;
	int rc = msn_store_load(store, uid, &m, why);

	CHECK(got);
	if (rc == 0)
		rc = msn_reader_new(&r, store, m, why);
	if (rc == 0)
		rc = msn_reader_read(r, &m->pages, FIRST_PAGE, s->page_count,
				     got, why);
	if (rc == 0)
		rc = strcmp(m->name, s->name) != 0;
	if (rc == 0)
		rc = compare_memory(s, got);
	if (rc == 0)
		rc = verify_object(r, m, s, why);
	return rc ? rc : verify_blob(r, m, s, why);
}

unsigned store_count_files(const char *path, const char *suffix)
{
	msn_auto(msn_freep) char *packs = msn_format("%s/packs", path);
	DIR *dir = opendir(packs);
	struct dirent *e;
	unsigned n = 0;

	CHECK(dir);
	while ((e = readdir(dir))) {
		size_t len = strlen(e->d_name);

		n += len >= strlen(suffix) &&
		     strcmp(e->d_name + len - strlen(suffix), suffix) == 0;
	}
	closedir(dir);
	return n;
}
