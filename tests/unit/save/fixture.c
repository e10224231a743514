/*
 * A space and a store.  See fixture.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/save/fixture.h"

#include "base/fd.h"
#include "base/rand.h"
#include "fakes/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct msn_mm *new_space(struct fixture *f, bool local)
{
	struct msn_addr_range region = { AT(0), AT(REGION_PAGES) };
	struct msn_address_space *as;
	struct msn_mm *mm;

	if (local)
		CHECK(msn_platform_local_new(&as, region) == 0);
	else
		CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = f->mf,
						     .as = as }) == 0);
	return mm;
}

void setup(struct fixture *f, bool local)
{
	*f = (struct fixture){ .path = store_dir_in_memory(), .local = local };
	f->store = store_at(f->path);
	CHECK(msn_memfile_new(&f->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	f->mm = new_space(f, local);
}

void teardown(struct fixture *f)
{
	msn_mm_free(f->mm);
	EXPECT(msn_memfile_used(f->mf) == 0);
	msn_memfile_free(f->mf);
	msn_store_close(f->store);
	store_dir_free(f->path);
}

/* ---- Contents ------------------------------------------------------------ */

void map_opts(struct msn_mm *mm, uint64_t page, uint64_t pages,
	      struct msn_mmap_opts opts)
{
	uint64_t addr;

	opts.length = LEN(pages);
	opts.addr = AT(page);
	opts.fixed = opts.unmap = true;
	opts.perms = RW;
	opts.max_perms = MSN_ACCESS_ANY;
	CHECK(msn_mm_mmap(mm, &opts, &addr) == 0);
}

void map(struct msn_mm *mm, uint64_t page, uint64_t pages)
{
	map_opts(mm, page, pages, (struct msn_mmap_opts){ .private = true });
}

void fill(struct msn_mm *mm, uint64_t page, uint64_t kind)
{
	uint64_t bytes[MSN_PAGE_SIZE / 8], state = kind;
	size_t done;

	for (size_t i = 0; i < MSN_ARRAY_LEN(bytes); i++)
		bytes[i] = kind ? msn_rand_next(&state) : 0;
	CHECK(msn_mm_copy_out(mm, AT(page), bytes, sizeof(bytes), plain,
			      &done) == 0);
}

bool holds(struct msn_mm *mm, uint64_t page, uint64_t kind)
{
	uint64_t bytes[MSN_PAGE_SIZE / 8], state = kind;
	size_t done;

	if (msn_mm_copy_in(mm, AT(page), bytes, sizeof(bytes), plain, &done))
		return false;
	for (size_t i = 0; i < MSN_ARRAY_LEN(bytes); i++)
		if (bytes[i] != (kind ? msn_rand_next(&state) : 0))
			return false;
	return true;
}

void put(struct msn_mm *mm, uint64_t page, const char *text)
{
	size_t done;

	CHECK(msn_mm_copy_out(mm, AT(page), text, strlen(text) + 1, plain,
			      &done) == 0);
}

bool reads(struct msn_mm *mm, uint64_t page, const char *text)
{
	char got[64] = "";
	size_t done;

	return msn_mm_copy_in(mm, AT(page), got, strlen(text) + 1, plain,
			      &done) == 0 &&
	       strcmp(got, text) == 0;
}

int first_byte(struct msn_mm *mm, uint64_t page)
{
	unsigned char c;
	size_t done;

	return msn_mm_copy_in(mm, AT(page), &c, 1, plain, &done) ? -1 : c;
}

void make_file(char path[64])
{
	char page[MSN_PAGE_SIZE];
	int fd;

	strcpy(path, "/tmp/memsnap-test-XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0);
	for (int i = 0; i < 4; i++) {
		memset(page, 'A' + i, PAGE);
		CHECK(msn_pwrite_full(fd, page, PAGE, (uint64_t)i * PAGE) == 0);
	}
	close(fd);
}

struct msn_hostfile *open_file(char path[64])
{
	struct msn_hostfile *hf;

	make_file(path);
	CHECK(msn_hostfile_open(&hf, path, true) == 0);
	return hf;
}

void map_file(struct msn_mm *mm, struct msn_hostfile *hf, uint64_t page,
	      bool private)
{
	map_opts(mm, page, 4,
		 (struct msn_mmap_opts){ .private = private,
					 .mappable = msn_hostfile_mappable(hf),
					 .mapping_identity =
						 msn_hostfile_identity(hf) });
}

struct msn_shmem *make_memfd(struct fixture *f, uint64_t pages)
{
	struct msn_shmem *s;

	CHECK(msn_memfd_create(&s, &(struct msn_memfd_opts){
					   .memfile = f->mf,
					   .name = "made",
					   .flags = MFD_ALLOW_SEALING }) == 0);
	CHECK(msn_shmem_truncate(s, (int64_t)LEN(pages)) == 0);
	return s;
}

void map_object(struct msn_mm *mm, struct msn_shmem *s, uint64_t page,
		uint64_t pages, bool private)
{
	struct msn_mmap_opts o = { .private = private };

	msn_shmem_set_mapped(s, &o);
	map_opts(mm, page, pages, o);
}

/* ---- Saving and restoring ------------------------------------------------ */

/* Must have worked. */
static void check(const struct fixture *f, int rc)
{
	if (rc)
		printf("%s\n", f->why.text);
	CHECK(rc == 0);
}

struct msn_uid save(struct fixture *f, struct msn_mm *mm,
		    const struct msn_save_opts *opts,
		    struct msn_manifest_stats *stats)
{
	static const struct msn_save_opts defaults;
	struct msn_uid uid;

	check(f, msn_save(mm, f->store, opts ? opts : &defaults, &uid, stats,
			  &f->why));
	return uid;
}

struct msn_opened *open_it(struct fixture *f, struct msn_uid uid, bool eager)
{
	struct msn_open_opts opts = { .eager = eager };
	struct msn_opened *o;

	check(f, msn_open_snapshot(&o, f->store, uid, &opts, &f->why));
	return o;
}

struct msn_mm *clone_it(struct fixture *f, struct msn_opened *o, bool local)
{
	struct msn_mm *mm = new_space(f, local);

	check(f, msn_clone(o, mm, &(struct msn_clone_opts){ 0 }, &f->why));
	EXPECT(msn_mm_check(mm) == NULL);
	return mm;
}

struct msn_mm *restore(struct fixture *f, struct msn_uid uid, bool local)
{
	struct msn_opened *o = open_it(f, uid, true);
	struct msn_mm *mm = clone_it(f, o, local);

	msn_opened_free(o);
	return mm;
}

void go_through(struct fixture *f, struct msn_uid uid, bool eager)
{
	struct msn_opened *o = open_it(f, uid, eager);

	f->mm = msn_mm_free(f->mm);
	f->mm = clone_it(f, o, f->local);
	msn_opened_free(o);
}

struct finder {
	uint64_t addr;
	struct msn_mapping_view found;
};

static int find(void *ctx, const struct msn_mapping_view *v)
{
	struct finder *f = ctx;

	if (!msn_addr_range_contains(v->addr, f->addr))
		return 0;
	f->found = *v;
	return 1;
}

struct msn_mapping_view view_at(struct msn_mm *mm, uint64_t page)
{
	struct finder f = { .addr = AT(page) };

	CHECK(msn_mm_for_each_mapping(mm, find, &f) == 1);
	return f.found;
}
