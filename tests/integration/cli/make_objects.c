/*
 * Makes two snapshots with private mappings of a memfd: make_objects STORE
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    object   0  1  2  3        page n is full of 'a' + n; it ends in page 3
 *    copies      X  0           at ADDR; the mapping is one page longer
 *
 * "first" is that, in "second" page 0 of the object is full of 'A'.
 */
#include "base/alloc.h"
#include "save/save.h"
#include "shmem/seals.h"
#include "shmem/shmem.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

#define ADDR UINT64_C(0x120000000000)
#define PAGE MSN_PAGE_SIZE
#define SIZE (3 * PAGE + 5)

static int fail(const char *what)
{
	fprintf(stderr, "make_objects: %s\n", what);
	return 1;
}

static int make_object(struct msn_memfile *mf, struct msn_shmem **out)
{
	char page[MSN_PAGE_SIZE];
	int rc = msn_memfd_create(
		out, &(struct msn_memfd_opts){ .memfile = mf,
					       .name = "made",
					       .flags = MFD_ALLOW_SEALING });

	for (int i = 0; rc == 0 && i < 4; i++) {
		memset(page, 'a' + i, sizeof(page));
		if (msn_shmem_pwrite(*out, page, sizeof(page),
				     i * (int64_t)PAGE) < 0)
			rc = -1;
	}
	if (rc == 0)
		rc = msn_shmem_truncate(*out, SIZE);
	if (rc == 0)
		rc = msn_shmem_chmod(*out, 0640);
	return rc ? rc : msn_shmem_add_seals(*out, F_SEAL_GROW);
}

static int map_it(struct msn_mm *mm, struct msn_shmem *s)
{
	struct msn_mmap_opts o = { .length = 5 * PAGE,
				   .addr = ADDR,
				   .fixed = true,
				   .unmap = true,
				   .perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true };
	const struct msn_mm_io io = { 0 };
	char page[MSN_PAGE_SIZE];
	uint64_t addr;
	size_t done;
	int rc;

	msn_shmem_set_mapped(s, &o);
	rc = msn_mm_mmap(mm, &o, &addr);
	memset(page, 'X', sizeof(page));
	if (rc == 0)
		rc = msn_mm_copy_out(mm, ADDR + PAGE, page, PAGE, io, &done);
	return rc ? rc : msn_mm_zero_out(mm, ADDR + 2 * PAGE, PAGE, io, &done);
}

static int save(struct msn_mm *mm, const char *path, const char *name)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	const struct msn_store_opts opts = { .path = path, .create = true };
	const struct msn_save_opts how = { .name = name };
	struct msn_failure why = { 0 };
	struct msn_uid uid;

	if (msn_store_open(&store, &opts, &why) ||
	    msn_save(mm, store, &how, &uid, NULL, &why))
		return fail(why.text);
	return 0;
}

int main(int argc, char **argv)
{
	struct msn_mm_opts opts = { 0 };
	struct msn_memfile *mf;
	char page[MSN_PAGE_SIZE];
	struct msn_shmem *s;
	struct msn_mm *mm;
	int rc;

	if (argc != 2)
		return fail("usage: make_objects STORE");
	if (msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) ||
	    make_object(mf, &s) || msn_platform_none_new(&opts.as))
		return fail("no object");
	opts.memfile = mf;
	if (msn_mm_new(&mm, &opts) || map_it(mm, s))
		return fail("no space");
	rc = save(mm, argv[1], "first");
	memset(page, 'A', sizeof(page));
	if (rc == 0 && msn_shmem_pwrite(s, page, sizeof(page), 0) < 0)
		rc = fail("cannot write the object");
	if (rc == 0)
		rc = save(mm, argv[1], "second");
	msn_mm_free(mm);
	msn_identity_dec_ref(msn_shmem_identity(s));
	msn_memfile_free(mf);
	return rc;
}
