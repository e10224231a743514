/*
 * Host files held against the kernel: the same random stores, loads, writes,
 * sizes and holes on one file through the engine and on another through a
 * mapping of this process.  Bytes, sizes and bus errors must agree.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is stored past the end of a file, in its last page, is seen by a mapping
 * until the page is written back, whenever that is; by the buffered way never.
 * So only on tmpfs, which writes nothing back, and mapped, stores go there.
 */
#include "unit/hostfile/fixture.h"

#include "block/safecopy.h"

#define FILE_MAX_PAGES 40
#define FILE_MAX (FILE_MAX_PAGES * PAGE)
#define STEP_MAX (6 * PAGE)

/* One file under the engine and one under the kernel. */
struct pair {
	struct msn_hostfile *hf;
	struct msn_file *file;
	int ours, theirs;
	char *map; /* of theirs */
	bool buffered;
	bool keeps_tail; /* stores past the end are comparable */
	uint64_t rand;
	size_t size;
};

static uint64_t pick(struct pair *p, uint64_t below)
{
	return msn_rand_next(&p->rand) % below;
}

/* A size or an offset: often at or beside a page's border. */
static size_t pick_offset(struct pair *p)
{
	size_t at = pick(p, FILE_MAX_PAGES) * PAGE;

	switch (pick(p, 4)) {
	case 0:
		return at;
	case 1:
		return at + 1 + pick(p, 8);
	case 2:
		return at + PAGE - 1 - pick(p, 8);
	default:
		return at + pick(p, PAGE);
	}
}

/* Half of the lengths are whole pages, as direct I/O wants them. */
static size_t pick_length(struct pair *p)
{
	size_t pages = 1 + pick(p, STEP_MAX / PAGE);

	return pick(p, 2) ? pages * PAGE : 1 + pick(p, STEP_MAX);
}

/* @flags: of the descriptor that the host file is made of, beside O_RDWR. */
static void pair_make(struct pair *p, enum place place, bool buffered,
		      int flags, uint64_t seed)
{
	int fd;

	*p = (struct pair){ .ours = new_file(place),
			    .theirs = new_file(place),
			    .buffered = buffered,
			    .keeps_tail = !buffered && place != ON_DISK,
			    .rand = seed };
	CHECK(ftruncate(p->ours, (off_t)PAGE) == 0);
	CHECK(ftruncate(p->theirs, (off_t)PAGE) == 0);
	p->size = PAGE;
	fd = open_again(p->ours, O_RDWR | flags);
	if (fd < 0) /* no direct I/O here */
		fd = dup(p->ours);
	p->hf = host_of(fd, buffered);
	p->file = file_of(p->hf);
	p->map = mmap(NULL, FILE_MAX + STEP_MAX, PROT_READ | PROT_WRITE,
		      MAP_SHARED, p->theirs, 0);
	CHECK(p->map != MAP_FAILED);
}

static void pair_free(struct pair *p)
{
	host_free(p->hf);
	munmap(p->map, FILE_MAX + STEP_MAX);
	close(p->ours);
	close(p->theirs);
}

static void store(struct pair *p)
{
	char buf[STEP_MAX];
	size_t at = pick_offset(p), len = pick_length(p);
	size_t ours, theirs;
	int rc, real;

	if (!p->keeps_tail && at < p->size && at + len > p->size)
		len = p->size - at;
	if (!p->keeps_tail && at >= p->size)
		at = (at / PAGE + 1) * PAGE; /* not the tail */
	memset(buf, (int)(1 + pick(p, 255)), len);
	rc = msn_file_write(p->file, at, buf, len, &ours);
	real = msn_safecopy(p->map + at, buf, len, &theirs);
	EXPECT(rc == (real ? MSN_FILE_E_BUS : 0));
	EXPECT(ours == theirs);
}

static void load(struct pair *p)
{
	static _Alignas(4096) char a[STEP_MAX], b[STEP_MAX];
	size_t at = pick_offset(p), len = pick_length(p);
	size_t ours, theirs;
	int rc = msn_file_read(p->file, at, a, len, &ours);
	int real = msn_safecopy(b, p->map + at, len, &theirs);

	EXPECT(rc == (real ? MSN_FILE_E_BUS : 0));
	EXPECT(ours == theirs);
	EXPECT(ours != theirs || memcmp(a, b, ours) == 0);
}

static void load_batch(struct pair *p)
{
	static _Alignas(4096) char a[4][STEP_MAX], b[STEP_MAX];
	struct msn_file_io io[4];
	int rc, real = 0;

	for (int i = 0; i < 4; i++)
		io[i] = (struct msn_file_io){ pick_offset(p), a[i],
					      pick_length(p) };
	rc = msn_file_buffer_read_batch(p->file, io, 4);
	for (int i = 0; i < 4; i++) {
		size_t done;

		if (msn_safecopy(b, p->map + io[i].offset, io[i].len, &done))
			real = MSN_FILE_E_BUS;
		else if (rc == 0)
			EXPECT(memcmp(a[i], b, io[i].len) == 0);
	}
	EXPECT(rc == real);
}

/* By others, through descriptors. */
static void write_both(struct pair *p)
{
	char buf[STEP_MAX];
	size_t at = pick_offset(p), len = 1 + pick(p, STEP_MAX);

	if (at + len > FILE_MAX)
		return;
	memset(buf, (int)(1 + pick(p, 255)), len);
	CHECK(msn_pwrite_full(p->ours, buf, len, at) == 0);
	CHECK(msn_pwrite_full(p->theirs, buf, len, at) == 0);
	if (at + len > p->size)
		p->size = at + len;
}

static void resize(struct pair *p)
{
	p->size = pick_offset(p);
	if (pick(p, 2))
		CHECK(msn_hostfile_truncate(p->hf, p->size) == 0);
	else
		CHECK(ftruncate(p->ours, (off_t)p->size) == 0);
	CHECK(ftruncate(p->theirs, (off_t)p->size) == 0);
}

static void punch(struct pair *p)
{
	uint64_t a = pick(p, FILE_MAX_PAGES);
	uint64_t b = a + 1 + pick(p, FILE_MAX_PAGES - a);

	CHECK(msn_mappable_punch_hole(msn_hostfile_mappable(p->hf),
				      PAGES(a, b)) == 0);
	CHECK(fallocate(p->theirs, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)(a * PAGE), (off_t)((b - a) * PAGE)) == 0);
}

static void sync_both(struct pair *p)
{
	uint64_t a = pick(p, FILE_MAX_PAGES);
	uint64_t b = a + 1 + pick(p, FILE_MAX_PAGES - a);

	CHECK(msn_identity_msync(msn_hostfile_identity(p->hf), PAGES(a, b)) ==
	      0);
	CHECK(msync(p->map + a * PAGE, (b - a) * PAGE, MS_SYNC) == 0);
}

static void translate(struct pair *p)
{
	uint64_t page = pick_offset(p) / PAGE;
	struct msn_translation t;
	char byte;
	size_t done;
	int why;
	int n = msn_mappable_translate(
		msn_hostfile_mappable(p->hf), PAGES(page, page + 1),
		PAGES(page, page + 1), MSN_ACCESS_WRITE, &t, 1, &why);

	CHECK(n >= 0);
	EXPECT((n == 0) ==
	       (msn_safecopy(&byte, p->map + page * PAGE, 1, &done) != 0));
}

static void compare_all(struct pair *p)
{
	static char a[FILE_MAX], b[FILE_MAX];
	struct stat ours, theirs;

	CHECK(fstat(p->ours, &ours) == 0 && fstat(p->theirs, &theirs) == 0);
	CHECK(ours.st_size == theirs.st_size);
	CHECK(ours.st_size == (off_t)p->size);
	CHECK(msn_pread_full(p->ours, a, p->size, 0) == (ssize_t)p->size);
	CHECK(msn_pread_full(p->theirs, b, p->size, 0) == (ssize_t)p->size);
	CHECK(memcmp(a, b, p->size) == 0);
}

static void step(struct pair *p)
{
	switch (pick(p, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		store(p);
		break;
	case 4:
	case 5:
	case 6:
		load(p);
		break;
	case 7:
		if (p->buffered) /* else it is not to be called */
			load_batch(p);
		break;
	case 8:
	case 9:
		write_both(p);
		break;
	case 10:
	case 11:
	case 12:
		resize(p);
		break;
	case 13:
		punch(p);
		break;
	case 14:
		translate(p);
		break;
	default:
		if (pick(p, 8) == 0)
			sync_both(p);
		break;
	}
}

static void agree(enum place place, bool buffered, int flags)
{
	int steps = CHECK_SANITIZED ? 600 : 3000;
	struct pair p;

	pair_make(&p, place, buffered, flags, check_seed());
	for (int i = 0; i < steps; i++) {
		step(&p);
		if (i % 16 == 0)
			compare_all(&p);
	}
	compare_all(&p);
	pair_free(&p);
}

static void mapped_files_on_a_disk_agree_with_the_kernel(void)
{
	agree(ON_DISK, false, 0);
}

static void mapped_files_on_tmpfs_agree_with_the_kernel(void)
{
	agree(ON_TMPFS, false, 0);
	agree(IN_MEMORY, false, 0);
}

static void buffered_files_on_a_disk_agree_with_the_kernel(void)
{
	agree(ON_DISK, true, 0);
}

static void buffered_files_on_tmpfs_agree_with_the_kernel(void)
{
	agree(ON_TMPFS, true, 0);
	agree(IN_MEMORY, true, 0);
}

static void awkward_descriptors_agree_with_the_kernel(void)
{
	agree(ON_DISK, false, O_DIRECT);
	agree(ON_DISK, true, O_DIRECT);
	agree(ON_TMPFS, true, O_APPEND);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(mapped_files_on_a_disk_agree_with_the_kernel),
		CHECK_TEST(mapped_files_on_tmpfs_agree_with_the_kernel),
		CHECK_TEST(buffered_files_on_a_disk_agree_with_the_kernel),
		CHECK_TEST(buffered_files_on_tmpfs_agree_with_the_kernel),
		CHECK_TEST(awkward_descriptors_agree_with_the_kernel),
		{}
	};

	return check_main(argc, argv, "host file and kernel", tests);
}
