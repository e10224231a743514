/*
 * Small snapshots, and damage to them.  See snapshot_maker.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support/snapshot_maker.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/rand.h"
#include "digest/digest.h"
#include "range/access.h"
#include "range/range.h"
#include "support/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void open_it(struct test_store *s, bool read_only)
{
	struct msn_failure why = {};
	int rc = msn_store_open(&s->store,
				&(struct msn_store_opts){
					.path = s->path,
					.create = !read_only,
					.read_only = read_only,
				},
				&why);

	if (rc)
		fprintf(stderr, "%s\n", why.text);
	CHECK(rc == 0);
}

void test_store_open(struct test_store *s)
{
	snprintf(s->path, sizeof(s->path), "/tmp/memsnap-test-XXXXXX");
	CHECK(mkdtemp(s->path));
	open_it(s, false);
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void test_store_close(struct test_store *s)
{
	s->store = msn_store_close(s->store);
	CHECK(nftw(s->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

void test_store_reopen(struct test_store *s)
{
	s->store = msn_store_close(s->store);
	open_it(s, true);
}

void maker_begin(struct maker *k, struct test_store *s, const char *name)
{
	struct msn_failure why = {};

	CHECK(msn_manifest_new(&k->m) == 0);
	free(k->m->name);
	k->m->name = msn_strdup(name);
	k->m->uid = msn_uid_new();
	k->m->created_ns = 1;
	CHECK(k->m->name);
	CHECK(msn_writer_begin(&k->w, s->store, k->m, &why) == 0);
}

struct msn_manifest_mapping *maker_map(struct maker *k, uint64_t first,
				       uint64_t end, enum msn_mapping_kind kind)
{
	struct msn_manifest_mapping map = {
		.start = first << MSN_PAGE_SHIFT,
		.end = end << MSN_PAGE_SHIFT,
		.kind = kind,
		.perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
		.max_perms = MSN_ACCESS_ANY,
		.name = (char[]){ "" },
	};

	CHECK(msn_manifest_add_mapping(k->m, &map) == 0);
	return &k->m->mappings[k->m->mapping_count - 1];
}

/* One more element, zeroed: these tables are short. */
static void *one_more(void *list, size_t *count, size_t size)
{
	char *more = msn_realloc_array(list, *count + 1, size);

	CHECK(more);
	memset(more + *count * size, 0, size);
	++*count;
	return more;
}

struct msn_manifest_object *maker_object(struct maker *k, uint64_t pages)
{
	struct msn_manifest_object *o;

	k->m->objects = one_more(k->m->objects, &k->m->object_count,
				 sizeof(*k->m->objects));
	o = &k->m->objects[k->m->object_count - 1];
	o->size_bytes = pages << MSN_PAGE_SHIFT;
	return o;
}

struct msn_manifest_blob *maker_blob(struct maker *k, const char *name,
				     uint64_t pages)
{
	struct msn_manifest_blob *b;

	k->m->blobs =
		one_more(k->m->blobs, &k->m->blob_count, sizeof(*k->m->blobs));
	b = &k->m->blobs[k->m->blob_count - 1];
	b->name = msn_strdup(name);
	b->size_bytes = pages << MSN_PAGE_SHIFT;
	CHECK(b->name);
	return b;
}

void maker_fill(uint8_t *bytes, uint64_t page, uint64_t seed)
{
	uint64_t state = page << 32 ^ seed;

	memset(bytes, 0, MSN_PAGE_SIZE);
	for (size_t i = 0; seed && i < MSN_PAGE_SIZE; i += sizeof(uint64_t)) {
		uint64_t word = msn_rand_next(&state);

		memcpy(bytes + i, &word, sizeof(word));
	}
}

void maker_bytes(struct maker *k, struct msn_extents *list, uint64_t page,
		 const uint8_t *bytes)
{
	struct msn_failure why = {};
	struct msn_place at;

	CHECK(msn_writer_add(k->w, bytes, msn_digest_page(bytes), &at, &why) ==
	      0);
	CHECK(msn_extents_append(list, (struct msn_extent){ .page = page,
							    .count = 1,
							    .pack = at.pack,
							    .frame = at.frame,
							    .at = at.at }) ==
	      0);
}

void maker_page(struct maker *k, struct msn_extents *list, uint64_t page,
		uint64_t seed)
{
	uint8_t bytes[MSN_PAGE_SIZE];

	maker_fill(bytes, page, seed);
	maker_bytes(k, list, page, bytes);
}

void maker_zeros(struct maker *k, struct msn_extents *list, uint64_t page,
		 uint32_t count)
{
	(void)k;
	CHECK(msn_extents_append(list, (struct msn_extent){
					       .page = page,
					       .count = count,
					       .pack = MSN_EXTENT_ZERO }) == 0);
}

void maker_inherit(struct maker *k, uint64_t page,
		   const struct msn_manifest *from, uint64_t there)
{
	const struct msn_extent *e = msn_extents_lower(&from->pages, there);
	struct msn_extent one;

	CHECK(e && e->page <= there);
	one = *e;
	one.at += (uint32_t)(there - e->page);
	one.page = page;
	one.count = 1;
	CHECK(msn_manifest_pack_index(k->m, from->packs[e->pack], &one.pack) ==
	      0);
	CHECK(msn_extents_append(&k->m->pages, one) == 0);
}

struct msn_uid maker_commit(struct maker *k)
{
	struct msn_failure why = {};
	struct msn_uid uid = k->m->uid;
	int rc = msn_writer_commit(k->w, NULL, NULL, &why);

	if (rc)
		fprintf(stderr, "%s\n", why.text);
	CHECK(rc == 0);
	k->w = msn_writer_free(k->w);
	k->m = msn_manifest_free(k->m);
	return uid;
}

/* ---- Damage --------------------------------------------------------------*/

static struct {
	const void *bytes;
	size_t len;
	char *path;
	uint64_t at;
} wanted; /* nftw() hands no context on */

static int look_into(const char *path, const struct stat *st, int type,
		     struct FTW *ftw)
{
	msn_auto(msn_closep) int fd = -1;
	size_t len = (size_t)st->st_size;
	char *data, *hit, *at;

	(void)ftw;
	if (type != FTW_F || !len || !strstr(path, "/packs/"))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	data = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(data != MAP_FAILED);
	for (at = data; (hit = memmem(at, len - (size_t)(at - data),
				      wanted.bytes, wanted.len));
	     at = hit + 1) {
		free(wanted.path);
		wanted.path = msn_strdup(path);
		wanted.at = (uint64_t)(hit - data);
	}
	munmap(data, len);
	return 0;
}

char *find_bytes(struct test_store *s, const void *bytes, size_t len,
		 uint64_t *at)
{
	wanted.bytes = bytes;
	wanted.len = len;
	wanted.path = NULL;
	CHECK(nftw(s->path, look_into, 8, FTW_PHYS) == 0);
	CHECK(wanted.path);
	*at = wanted.at;
	return wanted.path;
}

void damage_bytes(struct test_store *s, const void *bytes, size_t len)
{
	msn_auto(msn_freep) char *path = NULL;
	msn_auto(msn_closep) int fd = -1;
	uint64_t at;
	uint8_t byte;

	s->store = msn_store_close(s->store);
	path = find_bytes(s, bytes, len, &at);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(msn_pread_full(fd, &byte, 1, at + len / 2) == 1);
	byte ^= 0x10;
	CHECK(msn_pwrite_full(fd, &byte, 1, at + len / 2) == 0);
	open_it(s, true);
}
