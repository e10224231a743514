/*
 * The same random calls on a memfd of the running kernel and on an object:
 * results, errnos, bytes, sizes, blocks and residency must be the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "shmem/shmem.h"

#include "base/cleanup.h"
#include "base/rand.h"
#include "shmem/seals.h"
#include "support/check.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define PAGE MSN_PAGE_SIZE
#define PAGES 24
#define LEN (PAGES * PAGE)
#define ROUNDS 60
#define STEPS 250

struct pair {
	int fd;
	struct msn_memfile *mf;
	struct msn_shmem *s;
	char *shared; /* a writable shared mapping of the memfd, or NULL */
	struct msn_mapping_space space;
	uint64_t rand;
	int step;
};

static void ignore(struct msn_mapping_space *ms, struct msn_addr_range ar,
		   struct msn_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts;
}

static const struct msn_mapping_space_ops space_ops = { .invalidate = ignore };

static uint64_t below(struct pair *p, uint64_t n)
{
	return msn_rand_next(&p->rand) % n;
}

static int64_t result(int64_t rc)
{
	return rc < 0 ? -errno : rc;
}

/* Says what differed, once. */
static void same(struct pair *p, const char *what, int64_t kernel, int64_t ours)
{
	if (kernel != ours)
		printf("\n    step %d: %s: the kernel says %lld, we say %lld",
		       p->step, what, (long long)kernel, (long long)ours);
	CHECK(kernel == ours);
}

/* Mostly page aligned or near it, at times wild. */
static int64_t offset(struct pair *p)
{
	static const int64_t wild[] = { -1, INT64_MAX, INT64_MAX - 100,
					INT64_MAX - (int64_t)PAGE };

	switch (below(p, 12)) {
	case 0:
		return wild[below(p, MSN_ARRAY_LEN(wild))];
	case 1:
	case 2:
	case 3:
		return (int64_t)below(p, LEN);
	case 4:
		return (int64_t)(below(p, PAGES) * PAGE + PAGE - 1);
	default:
		return (int64_t)(below(p, PAGES) * PAGE);
	}
}

static size_t length(struct pair *p)
{
	switch (below(p, 4)) {
	case 0:
		return below(p, 3);
	case 1:
		return below(p, 3 * PAGE);
	default:
		return (1 + below(p, 4)) * PAGE;
	}
}

static void do_truncate(struct pair *p)
{
	int64_t size = below(p, 3) ? (int64_t)below(p, LEN) : offset(p);

	if (size > (int64_t)LEN) /* the comparison reads all of it */
		size = LEN;
	same(p, "ftruncate", result(ftruncate(p->fd, size)),
	     msn_shmem_truncate(p->s, size));
}

static void do_pwrite(struct pair *p)
{
	static char buf[4 * MSN_PAGE_SIZE];
	int64_t at = offset(p);
	size_t len = length(p);

	if (at >= (int64_t)LEN)
		at = INT64_MAX;
	else if (at >= 0 && len > LEN - (size_t)at)
		len = LEN - (size_t)at;
	memset(buf, 'a' + (int)below(p, 26), len);
	same(p, "pwrite", result(pwrite(p->fd, buf, len, at)),
	     msn_shmem_pwrite(p->s, buf, len, at));
}

static void do_pread(struct pair *p)
{
	static char a[4 * MSN_PAGE_SIZE], b[4 * MSN_PAGE_SIZE];
	int64_t at = offset(p);
	size_t len = length(p);
	int64_t kernel;

	memset(a, 1, sizeof(a));
	memset(b, 1, sizeof(b));
	kernel = result(pread(p->fd, a, len, at));
	same(p, "pread", kernel, msn_shmem_pread(p->s, b, len, at));
	same(p, "bytes of pread", 0, memcmp(a, b, sizeof(a)));
}

static void do_fallocate(struct pair *p)
{
	static const int modes[] = { 0,
				     0,
				     FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_COLLAPSE_RANGE,
				     FALLOC_FL_COLLAPSE_RANGE |
					     FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_INSERT_RANGE,
				     FALLOC_FL_UNSHARE_RANGE,
				     0x1000 };
	int mode = modes[below(p, MSN_ARRAY_LEN(modes))];
	int64_t at = offset(p), len = (int64_t)length(p);

	if (mode <= FALLOC_FL_KEEP_SIZE && at >= 0 && at < INT64_MAX - len &&
	    at + len > (int64_t)LEN)
		at = 0;
	if (below(p, 20) == 0)
		len = -len;
	same(p, "fallocate", result(fallocate(p->fd, mode, at, len)),
	     msn_shmem_fallocate(p->s, mode, at, len));
}

static void do_seek(struct pair *p)
{
	int whence = below(p, 2) ? SEEK_DATA : SEEK_HOLE;
	int64_t at = offset(p);

	same(p, whence == SEEK_DATA ? "SEEK_DATA" : "SEEK_HOLE",
	     result(lseek(p->fd, at, whence)),
	     msn_shmem_seek(p->s, at, whence));
}

static void do_seal(struct pair *p)
{
	static const unsigned seals[] = { F_SEAL_SHRINK,
					  F_SEAL_GROW,
					  F_SEAL_WRITE,
					  F_SEAL_FUTURE_WRITE,
					  F_SEAL_SEAL,
					  F_SEAL_EXEC,
					  0,
					  0x100 };
	unsigned want = seals[below(p, MSN_ARRAY_LEN(seals))];

	if (below(p, 8)) /* seldom: nothing takes them away again */
		return;
	same(p, "F_ADD_SEALS", result(fcntl(p->fd, F_ADD_SEALS, want)),
	     msn_shmem_add_seals(p->s, want));
}

static void do_chmod(struct pair *p)
{
	unsigned mode = (unsigned)below(p, 01000);

	same(p, "fchmod", result(fchmod(p->fd, mode)),
	     msn_shmem_chmod(p->s, mode));
}

/* Maps or unmaps all of it, shared and writable. */
static void do_map(struct pair *p)
{
	struct msn_addr_range ar = { PAGE, PAGE + LEN };
	unsigned max = MSN_ACCESS_ANY;
	char *at;
	int rc;

	if (p->shared) {
		munmap(p->shared, LEN);
		p->shared = NULL;
		msn_mappable_remove_mapping(msn_shmem_mappable(p->s), &p->space,
					    ar, 0, true);
		return;
	}
	at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	rc = msn_mappable_check_mmap(msn_shmem_mappable(p->s), true,
				     MSN_ACCESS_READ | MSN_ACCESS_WRITE, &max);
	if (rc == 0)
		rc = msn_mappable_add_mapping(msn_shmem_mappable(p->s),
					      &p->space, ar, 0, true);
	same(p, "mmap", at == MAP_FAILED ? -errno : 0, rc);
	p->shared = at == MAP_FAILED ? NULL : at;
}

/* 0, or -EFAULT where a signal would come. */
static int touch(struct pair *p, uint64_t page, unsigned access,
		 struct msn_translation *t)
{
	struct msn_obj_range r = { page * PAGE, (page + 1) * PAGE };
	int why, n = msn_mappable_translate(msn_shmem_mappable(p->s), r, r,
					    access, t, 1, &why);

	CHECK(n == 1 || (n == 0 && why == MSN_MAPPABLE_E_BUS));
	return n == 1 ? 0 : -EFAULT;
}

/* Reads or writes one byte of a page through a mapping. */
static void do_touch(struct pair *p)
{
	bool write = p->shared && below(p, 2);
	uint64_t page = below(p, PAGES + 2), in = below(p, PAGE);
	struct msn_translation t;
	int64_t rc;
	char *at = mmap(NULL, PAGE, PROT_READ | (write ? PROT_WRITE : 0),
			MAP_SHARED, p->fd, (off_t)(page * PAGE));
	size_t done;

	if (at == MAP_FAILED) { /* sealed after it was mapped */
		CHECK(write);
		return;
	}
	rc = result(madvise(at, PAGE,
			    write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ));
	same(p, "touching a page", rc,
	     touch(p, page, write ? MSN_ACCESS_WRITE : MSN_ACCESS_READ, &t));
	if (rc == 0 && write) {
		at[in] = 'W';
		CHECK(msn_file_write(t.file, t.offset + in, "W", 1, &done) ==
		      0);
	}
	munmap(at, PAGE);
}

static void compare(struct pair *p)
{
	static char a[LEN + PAGE], b[LEN + PAGE];
	unsigned char kernel[PAGES + 2];
	uint8_t ours[PAGES + 2];
	struct msn_shmem_stat st;
	struct stat real;
	char *at;

	CHECK(fstat(p->fd, &real) == 0 && msn_shmem_stat(p->s, &st) == 0);
	same(p, "st_size", real.st_size, (int64_t)st.size_bytes);
	same(p, "st_blocks", real.st_blocks * 512, (int64_t)st.allocated_bytes);
	same(p, "st_mode", real.st_mode & 07777, st.mode);
	same(p, "seals", fcntl(p->fd, F_GET_SEALS), msn_shmem_get_seals(p->s));
	at = mmap(NULL, sizeof(kernel) * PAGE, PROT_READ, MAP_SHARED, p->fd, 0);
	CHECK(at != MAP_FAILED);
	CHECK(mincore(at, sizeof(kernel) * PAGE, kernel) == 0);
	munmap(at, sizeof(kernel) * PAGE);
	CHECK(msn_mappable_resident(
		      msn_shmem_mappable(p->s),
		      (struct msn_obj_range){ 0, sizeof(ours) * PAGE },
		      ours) == 0);
	for (size_t i = 0; i < sizeof(ours); i++)
		same(p, "mincore", kernel[i] & 1, ours[i]);
	same(p, "all bytes", pread(p->fd, a, sizeof(a), 0),
	     msn_shmem_pread(p->s, b, sizeof(b), 0));
	same(p, "what all bytes are", 0, memcmp(a, b, sizeof(a)));
	CHECK(!msn_shmem_check(p->s));
}

static void start(struct pair *p)
{
	static const unsigned flags[] = { 0, MFD_ALLOW_SEALING,
					  MFD_ALLOW_SEALING | MFD_EXEC,
					  MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL };
	unsigned how = flags[below(p, MSN_ARRAY_LEN(flags))];

	p->fd = memfd_create("oracle", MFD_CLOEXEC | how);
	if (p->fd < 0)
		check_skip("the kernel knows no MFD_EXEC");
	CHECK(msn_memfd_create(&p->s,
			       &(struct msn_memfd_opts){ .memfile = p->mf,
							 .name = "oracle",
							 .flags = how }) == 0);
	p->shared = NULL;
	p->space.ops = &space_ops;
}

static void finish(struct pair *p)
{
	if (p->shared)
		do_map(p);
	close(p->fd);
	msn_identity_dec_ref(msn_shmem_identity(p->s));
	EXPECT(msn_memfile_used(p->mf) == 0);
}

/* Large folios change what one write or one fault brings in. */
static void need_small_pages(void)
{
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
			"re");
	char text[128] = "[never]";

	if (f) {
		CHECK(fgets(text, sizeof(text), f));
		fclose(f);
	}
	if (!strstr(text, "[never]") && !strstr(text, "[advise]"))
		check_skip("the kernel uses large pages for memfds");
}

static void an_object_does_what_a_memfd_does(void)
{
	static void (*const ops[])(struct pair *) = {
		do_truncate,  do_truncate,  do_pwrite, do_pwrite, do_pread,
		do_fallocate, do_fallocate, do_seek,   do_seal,	  do_chmod,
		do_map,	      do_touch,	    do_touch,  do_touch
	};
	struct pair p = { .rand = check_seed() };

	need_small_pages();
	CHECK(msn_memfile_new(&p.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		start(&p);
		for (p.step = 0; p.step < STEPS; p.step++) {
			ops[below(&p, MSN_ARRAY_LEN(ops))](&p);
			compare(&p);
		}
		finish(&p);
	}
	msn_memfile_free(p.mf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_object_does_what_a_memfd_does), {}
	};

	return check_main(argc, argv, "shmem oracle", tests);
}
