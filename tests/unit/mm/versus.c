/*
 * Versus: the space, and the comparison.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/mm/versus.h"

#include "base/fd.h"
#include "hostfile/hostfile.h"
#include "mm/mm_calls.h"
#include "shmem/shmem.h"
#include "unit/mm/versus_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* The space's side under way. */
struct engine {
	struct fixture f;
	struct msn_hostfile *file;
};

static int64_t map_call(struct engine *e, const struct versus_call *c)
{
	bool shared = c->verb == V_SHARED;
	struct msn_mmap_opts o = anon(0, 0);
	struct msn_identity *mine = NULL;
	uint64_t at;
	int rc;

	o.addr = c->addr;
	o.length = c->length;
	o.perms = (unsigned)c->arg;
	o.grows_down = c->verb == V_STACK;
	if (shared) {
		struct msn_shmem *s;

		CHECK(msn_shmem_new(&s, &(struct msn_shmem_opts){
						.memfile = e->f.mf,
						.size = o.length }) == 0);
		msn_shmem_set_mapped(s, &o);
		mine = o.mapping_identity;
	} else if (c->verb == V_ZERO) {
		o.mapping_identity = msn_hostfile_identity(e->file);
	} else if (c->verb >= V_FILE) {
		o.mapping_identity = msn_hostfile_identity(e->file);
		o.mappable = msn_hostfile_mappable(e->file);
	}
	o.private = !shared && c->verb < V_FILE_SHARED;
	if (c->verb == V_FILE_READ_ONLY) {
		o.file_read_only = true;
		o.max_perms &= ~(unsigned)MSN_ACCESS_WRITE;
	}
	rc = msn_mm_mmap(e->f.mm, &o, &at);
	msn_identity_dec_ref(mine);
	return rc;
}

static int64_t sum_mincore(struct msn_mm *mm, const struct versus_call *c)
{
	uint8_t vec[VERSUS_PAGES] = { 0 };
	int rc = msn_mm_mincore(mm, c->addr, c->length, vec);
	int64_t sum = 0;

	for (size_t i = 0; i < VERSUS_PAGES; i++)
		sum += vec[i] & 1;
	return rc ? rc : sum;
}

static int64_t run(struct engine *e, const struct versus_call *c)
{
	struct msn_mm *mm = e->f.mm;
	char byte = (char)c->arg;
	size_t done;

	switch (c->verb) {
	case V_PUT:
		return msn_mm_copy_out(mm, c->addr, &byte, 1, plain, &done);
	case V_GET:
		return get(mm, c->addr);
	case V_MINCORE:
		return sum_mincore(mm, c);
	case V_MPROTECT:
		return msn_mm_mprotect(mm, c->addr, c->length, c->arg);
	case V_MUNMAP:
		return msn_mm_munmap(mm, c->addr, c->length);
	case V_MADVISE:
		return msn_mm_madvise(mm, c->addr, c->length, c->arg);
	case V_MLOCK:
		return msn_mm_mlock(mm, c->addr, c->length, c->arg);
	case V_MUNLOCK:
		return msn_mm_munlock(mm, c->addr, c->length);
	case V_MLOCKALL:
		return msn_mm_mlockall(mm, c->arg);
	case V_MUNLOCKALL:
		msn_mm_munlockall(mm);
		return 0;
	case V_MSYNC:
		return msn_mm_msync(mm, c->addr, c->length, c->arg);
	default:
		return map_call(e, c);
	}
}

void versus_add_layout(struct versus_side *side, char *maps)
{
	char *save;

	for (char *l = strtok_r(maps, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(side->layout);
		uint64_t start, end;
		char rights[8];

		if (sscanf(l, "%" SCNx64 "-%" SCNx64 " %7s", &start, &end,
			   rights) != 3 ||
		    start < BASE || end > AT(VERSUS_PAGES))
			continue;
		snprintf(side->layout + len, sizeof(side->layout) - len,
			 "%" PRIu64 "-%" PRIu64 " %s\n", (start - BASE) / PAGE,
			 (end - BASE) / PAGE, rights);
	}
}

void versus_run_engine(const struct versus_call *calls,
		       const struct versus_files *files,
		       struct versus_side *side)
{
	struct engine e = { .f = setup(false) };
	struct msn_mm_limits limits = msn_mm_no_limits();
	uint64_t words[VERSUS_PAGES];
	char *maps;

	limits.memlock = VERSUS_MEMLOCK;
	limits.can_lock = false;
	msn_mm_set_limits(e.f.mm, &limits);
	CHECK(msn_hostfile_open(&e.file, files->path, true) == 0);
	for (size_t i = 0; calls[i].verb; i++) {
		side->result[i] = run(&e, &calls[i]);
		CHECK(msn_mm_check(e.f.mm) == NULL);
	}
	CHECK(msn_mm_maps(e.f.mm, &maps) == 0);
	versus_add_layout(side, maps);
	free(maps);
	CHECK(msn_mm_pagemap(e.f.mm, BASE, VERSUS_PAGES, words) == 0);
	for (size_t i = 0; i < VERSUS_PAGES; i++)
		side->present[i] = (words[i] & MSN_PAGEMAP_PRESENT) != 0;
	msn_identity_dec_ref(msn_hostfile_identity(e.file));
	teardown(&e.f);
}

static void open_files(struct versus_files *f)
{
	char page[MSN_PAGE_SIZE];

	strcpy(f->path, "/tmp/memsnap-test-XXXXXX");
	f->rw = mkstemp(f->path);
	CHECK(f->rw >= 0);
	for (int i = 0; i < VERSUS_FILE_PAGES; i++) {
		memset(page, '0' + i, PAGE);
		CHECK(msn_pwrite_full(f->rw, page, PAGE, (uint64_t)i * PAGE) ==
		      0);
	}
	CHECK(fchmod(f->rw, 0666) == 0);
	f->ro = open(f->path, O_RDONLY | O_CLOEXEC);
	f->zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	CHECK(f->ro >= 0 && f->zero >= 0);
}

static void close_files(struct versus_files *f)
{
	close(f->rw);
	close(f->ro);
	close(f->zero);
	unlink(f->path);
}

/* Says how the two sides differ. */
static void tell(const struct versus_call *calls, const struct versus_side *k,
		 const struct versus_side *e)
{
	for (size_t i = 0; calls[i].verb; i++)
		if (k->result[i] != e->result[i])
			printf("\n  call %zu: kernel %" PRId64
			       ", engine %" PRId64,
			       i, k->result[i], e->result[i]);
	for (size_t i = 0; i < VERSUS_PAGES; i++)
		if (k->present[i] != e->present[i])
			printf("\n  page %zu: kernel %u, engine %u", i,
			       k->present[i], e->present[i]);
	if (strcmp(k->layout, e->layout) != 0)
		printf("\n  kernel\n%s  engine\n%s", k->layout, e->layout);
}

void versus(const struct versus_call *calls)
{
	struct versus_side kernel = { 0 }, engine = { 0 };
	struct versus_files files;

	open_files(&files);
	versus_run_kernel(calls, &files, &kernel);
	versus_run_engine(calls, &files, &engine);
	close_files(&files);
	EXPECT(memcmp(kernel.result, engine.result, sizeof(kernel.result)) ==
	       0);
	EXPECT(memcmp(kernel.present, engine.present, sizeof(kernel.present)) ==
	       0);
	EXPECT(strcmp(kernel.layout, engine.layout) == 0);
	tell(calls, &kernel, &engine);
}
