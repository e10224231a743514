/*
 * Host files the buffered way: as a mapping would behave, in batches, past
 * awkward descriptors, and losing nothing when writing fails.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

#include "base/fault.h"
#include "base/limits.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- As a mapping -------------------------------------------------------- */

static void the_last_page_reads_as_zero_to_its_end(void)
{
	FOR_EACH_PLACE(p)
	{
		FOR_BOTH_WAYS(buffered)
		{
			int fd = new_file(p);
			struct msn_hostfile *hf;
			char buf[3 * MSN_PAGE_SIZE];
			size_t done;

			fill(fd, PAGE + 100);
			hf = host_of(fd, buffered);
			memset(buf, 'x', sizeof(buf));
			EXPECT(msn_file_read(file_of(hf), 0, buf, sizeof(buf),
					     &done) == MSN_FILE_E_BUS);
			EXPECT(done == 2 * PAGE);
			EXPECT(buf[PAGE + 99] == 'B' && buf[PAGE + 100] == 0);
			EXPECT(buf[2 * PAGE - 1] == 0);
			/* A page that does not exist, at any offset in it. */
			EXPECT(byte_at(file_of(hf), 2 * PAGE) == -1);
			EXPECT(byte_at(file_of(hf), 2 * PAGE + 5) == -1);
			EXPECT(byte_at(file_of(hf), 2 * PAGE - 1) == 0);
			host_free(hf);
		}
	}
}

static void a_store_never_makes_a_file_longer(void)
{
	FOR_EACH_PLACE(p)
	{
		FOR_BOTH_WAYS(buffered)
		{
			int fd = new_file(p);
			struct msn_hostfile *hf;
			char buf[2 * MSN_PAGE_SIZE];
			struct stat st;
			size_t done;

			fill(fd, PAGE + 100);
			hf = host_of(fd, buffered);
			memset(buf, 'w', sizeof(buf));
			EXPECT(msn_file_write(file_of(hf), PAGE + 50, buf,
					      sizeof(buf),
					      &done) == MSN_FILE_E_BUS);
			EXPECT(done == PAGE - 50);
			CHECK(fstat(fd, &st) == 0);
			EXPECT(st.st_size == (off_t)PAGE + 100);
			EXPECT(byte_at(file_of(hf), PAGE + 49) == 'B');
			EXPECT(byte_at(file_of(hf), PAGE + 99) == 'w');
			EXPECT(msn_file_write(file_of(hf), 2 * PAGE + 1, "x", 1,
					      &done) == MSN_FILE_E_BUS);
			EXPECT(done == 0);
			host_free(hf);
		}
	}
}

static void the_tail_is_zero_after_shrinking_and_growing(void)
{
	FOR_EACH_PLACE(p)
	{
		FOR_BOTH_WAYS(buffered)
		{
			int fd = new_file(p);
			struct msn_hostfile *hf;
			char tail[MSN_PAGE_SIZE];
			size_t done;

			fill(fd, 2 * PAGE);
			hf = host_of(fd, buffered);
			CHECK(msn_file_write(file_of(hf), PAGE, "data", 4,
					     &done) == 0);
			CHECK(msn_hostfile_truncate(hf, PAGE + 2) == 0);
			EXPECT(byte_at(file_of(hf), PAGE + 2) == 0);
			CHECK(msn_identity_msync(msn_hostfile_identity(hf),
						 PAGES(0, 2)) == 0);
			CHECK(msn_hostfile_truncate(hf, 2 * PAGE) == 0);
			EXPECT(byte_at(file_of(hf), PAGE + 1) == 'a');
			CHECK(msn_file_read(file_of(hf), PAGE + 2, tail,
					    PAGE - 2, &done) == 0);
			for (size_t i = 0; i < PAGE - 2; i++)
				CHECK(tail[i] == 0);
			CHECK(msn_pread_full(fd, tail, PAGE - 2, PAGE + 2) ==
			      (ssize_t)PAGE - 2);
			for (size_t i = 0; i < PAGE - 2; i++)
				CHECK(tail[i] == 0);
			host_free(hf);
		}
	}
}

/* What is stored past the end of a file on a disk never gets there. */
static void the_tail_is_never_written_back(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		int fd = new_file(ON_DISK);
		msn_auto(msn_closep) int direct =
			open_again(fd, O_RDONLY | O_DIRECT);
		msn_auto(msn_freep) char *page = msn_alloc_aligned(PAGE, PAGE);
		struct msn_hostfile *hf;
		size_t done;

		CHECK(page);
		fill(fd, 100);
		hf = host_of(fd, buffered);
		CHECK(msn_file_write(file_of(hf), 90, "0123456789abcdef", 16,
				     &done) == 0);
		CHECK(msn_identity_msync(msn_hostfile_identity(hf),
					 PAGES(0, 1)) == 0);
		CHECK(ftruncate(fd, (off_t)PAGE) == 0);
		CHECK(fdatasync(fd) == 0);
		if (direct < 0) {
			printf("(no direct I/O) ");
		} else {
			CHECK(pread(direct, page, PAGE, 0) == (ssize_t)PAGE);
			EXPECT(memcmp(page + 90, "0123456789", 10) == 0);
			for (size_t i = 100; i < PAGE; i++)
				CHECK(page[i] == 0);
		}
		host_free(hf);
	}
}

/* ---- Batches ------------------------------------------------------------- */

static void pattern(char *at, size_t len, uint64_t seed)
{
	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t v = msn_rand_next(&seed);

		memcpy(at + i, &v, 8);
	}
}

static void a_batch_is_one_submission(void)
{
	enum { COUNT = 24, LEN = 5000 };
	int fd = new_file(ON_DISK);
	static char in[COUNT * 10000], out[COUNT][LEN];
	struct msn_file_io io[COUNT];
	struct msn_hostfile *hf;

	pattern(in, sizeof(in), 3);
	CHECK(msn_pwrite_full(fd, in, sizeof(in), 0) == 0);
	hf = host_of(fd, true);
	for (size_t i = 0; i < COUNT; i++)
		io[i] = (struct msn_file_io){ i * 10000 + 7, out[i], LEN };
	CHECK(msn_file_buffer_read_batch(file_of(hf), io, COUNT) == 0);
	for (size_t i = 0; i < COUNT; i++)
		EXPECT(memcmp(out[i], in + i * 10000 + 7, LEN) == 0);
	EXPECT(msn_hostfile_stats(hf).submissions == 1);
	EXPECT(msn_hostfile_stats(hf).reads == COUNT);
	host_free(hf);
}

static void long_reads_go_in_pieces_and_are_whole(void)
{
	enum { LEN = 40 * 256 * 1024 + 12345 };
	msn_auto(msn_freep) char *in = msn_alloc(LEN);
	msn_auto(msn_freep) char *out = msn_alloc(LEN);
	int fd = new_file(ON_DISK);
	struct msn_hostfile *hf;
	size_t done;

	CHECK(in && out);
	pattern(in, LEN, 4);
	CHECK(msn_pwrite_full(fd, in, LEN, 0) == 0);
	hf = host_of(fd, true);
	/* From the page cache by one call; what is not there in pieces. */
	CHECK(msn_file_read(file_of(hf), 3, out, LEN - 3, &done) == 0);
	EXPECT(done == LEN - 3);
	EXPECT(memcmp(out, in + 3, LEN - 3) == 0);
	EXPECT(msn_hostfile_stats(hf).submissions <= 1);
	CHECK(fdatasync(fd) == 0);
	CHECK(posix_fadvise(fd, 1 << 20, 0, POSIX_FADV_DONTNEED) == 0);
	memset(out, 0, LEN);
	CHECK(msn_file_read(file_of(hf), 3, out, LEN - 3, &done) == 0);
	EXPECT(done == LEN - 3);
	EXPECT(memcmp(out, in + 3, LEN - 3) == 0);
	EXPECT(msn_hostfile_stats(hf).submissions >= 1);
	host_free(hf);
}

static void the_first_bytes_that_do_not_come_are_told_exactly(void)
{
	enum { LEN = 8 * 1024 * 1024 };
	static const size_t sizes[] = { 0, 1, 4096, 262144, 262145, 3000000 };
	msn_auto(msn_freep) char *out = msn_alloc(LEN);

	CHECK(out);
	for (size_t i = 0; i < MSN_ARRAY_LEN(sizes); i++) {
		int fd = new_file(ON_DISK);
		struct msn_hostfile *hf = host_of(fd, true);
		uint64_t end = (sizes[i] + PAGE - 1) / PAGE * PAGE;
		struct msn_translation t;
		size_t done;
		int why;

		CHECK(ftruncate(fd, LEN) == 0);
		CHECK(msn_mappable_translate(
			      msn_hostfile_mappable(hf), PAGES(0, 1),
			      PAGES(0, 1), MSN_ACCESS_READ, &t, 1, &why) == 1);
		CHECK(ftruncate(fd, (off_t)sizes[i]) == 0);
		EXPECT(msn_file_read(t.file, 0, out, LEN, &done) ==
		       MSN_FILE_E_BUS);
		EXPECT(done == end);
		EXPECT(msn_file_read(t.file, 1000, out, LEN - 1000, &done) ==
		       MSN_FILE_E_BUS);
		EXPECT(done == (end > 1000 ? end - 1000 : 0));
		host_free(hf);
	}
}

static void a_batch_that_meets_the_end_says_so(void)
{
	char a[100], b[100], c[100];
	struct msn_file_io io[] = { { 0, a, 100 },
				    { 2 * PAGE - 50, b, 100 },
				    { 10 * PAGE, c, 100 } };
	int fd = new_file(ON_DISK);
	struct msn_hostfile *hf;

	fill(fd, 2 * PAGE);
	hf = host_of(fd, true);
	EXPECT(msn_file_buffer_read_batch(file_of(hf), io, 1) == 0);
	EXPECT(msn_file_buffer_read_batch(file_of(hf), io, 3) ==
	       MSN_FILE_E_BUS);
	EXPECT(msn_file_buffer_read_batch(file_of(hf), io, 0) == 0);
	host_free(hf);
}

/* A child may not use the ring that its parent made. */
static int read_in_child(struct msn_hostfile *hf, char *out, size_t len)
{
	size_t done;

	memset(out, 0, len);
	if (msn_file_read(file_of(hf), 0, out, len, &done))
		return 1;
	return out[len - 1] == 'A' + (int)((len - 1) / PAGE % 26) ? 0 : 2;
}

static void a_forked_child_reads_too(void)
{
	enum { LEN = 4 * 1024 * 1024 };
	msn_auto(msn_freep) char *out = msn_alloc(LEN);
	int fd = new_file(ON_DISK), status;
	struct msn_hostfile *hf;
	pid_t pid;

	CHECK(out);
	fill(fd, LEN);
	hf = host_of(fd, true);
	CHECK(read_in_child(hf, out, LEN) == 0);
	pid = fork();
	if (pid == 0)
		_exit(read_in_child(hf, out, LEN));
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(read_in_child(hf, out, LEN) == 0);
	host_free(hf);
}

/* ---- Awkward descriptors ------------------------------------------------- */

static void a_direct_descriptor_takes_any_offset_and_length(void)
{
	enum { SIZE = 5 * 4096 + 123 };
	msn_auto(msn_closep) int plain = new_file(ON_DISK);
	msn_auto(msn_freep) char *buf = msn_alloc_aligned(PAGE, 8 * PAGE);
	struct msn_hostfile *hf;
	struct stat st;
	size_t done;
	int fd;

	CHECK(buf);
	fill(plain, SIZE);
	fd = open_again(plain, O_RDWR | O_DIRECT);
	if (fd < 0) {
		printf("(no direct I/O) ");
		return;
	}
	hf = host_of(fd, true);
	EXPECT(byte_at(file_of(hf), PAGE + 1) == 'B');
	EXPECT(byte_at(file_of(hf), SIZE - 1) == 'F');
	EXPECT(byte_at(file_of(hf), SIZE) == 0);
	CHECK(msn_file_write(file_of(hf), SIZE - 3, "xyz and more", 12,
			     &done) == 0);
	CHECK(fstat(fd, &st) == 0);
	EXPECT(st.st_size == SIZE);
	/* Aligned, past the page cache, and up to the end inside a block. */
	CHECK(msn_file_read(file_of(hf), 0, buf, 6 * PAGE, &done) == 0);
	EXPECT(buf[0] == 'A' && buf[SIZE - 4] == 'F');
	EXPECT(memcmp(buf + SIZE - 3, "xyz", 4) == 0);
	EXPECT(msn_file_read(file_of(hf), 0, buf, 8 * PAGE, &done) ==
	       MSN_FILE_E_BUS);
	EXPECT(done == 6 * PAGE);
	host_free(hf);
}

static void an_append_descriptor_writes_where_it_is_told(void)
{
	FOR_EACH_PLACE(p)
	{
		msn_auto(msn_closep) int plain = new_file(p);
		struct msn_hostfile *hf;
		struct stat st;
		size_t done;

		fill(plain, 2 * PAGE);
		hf = host_of(open_again(plain, O_RDWR | O_APPEND), true);
		CHECK(msn_file_write(file_of(hf), 10, "here", 4, &done) == 0);
		CHECK(fstat(plain, &st) == 0);
		EXPECT(st.st_size == 2 * (off_t)PAGE);
		EXPECT(byte_at(file_of(hf), 10) == 'h');
		host_free(hf);
	}
}

/* The second descriptor is refused: the flags come off the first. */
static void without_a_second_descriptor_it_works_too(void)
{
	msn_auto(msn_closep) int plain = new_file(ON_DISK);
	struct msn_hostfile *hf = NULL;
	unsigned nth = 0;
	const char *name;
	size_t done;
	int rc;

	fill(plain, 2 * PAGE);
	do {
		int fd = open_again(plain, O_RDWR | O_APPEND | O_DIRECT);

		if (fd < 0)
			fd = open_again(plain, O_RDWR | O_APPEND);
		if (hf)
			host_free(hf);
		hf = NULL;
		msn_fault_arm(++nth);
		rc = msn_hostfile_new(
			&hf, &(struct msn_hostfile_opts){
				     .fd = fd, .path = "x", .buffered = true });
		name = msn_fault_fired();
		msn_fault_arm(0);
	} while (name && strcmp(name, "hostfile.reopen") != 0);
	CHECK(name && rc == 0);
	CHECK(msn_file_write(file_of(hf), 10, "here", 4, &done) == 0);
	EXPECT(byte_at(file_of(hf), 10) == 'h');
	EXPECT(byte_at(file_of(hf), PAGE) == 'B');
	host_free(hf);
}

/* ---- Writing back -------------------------------------------------------- */

/* In a child, as the limit is the process's. */
static int write_past_limit(void)
{
	struct rlimit limit = { 2 * PAGE, 2 * PAGE };
	int fd = new_file(ON_DISK);
	struct msn_hostfile *hf;
	size_t done;

	CHECK(ftruncate(fd, 4 * (off_t)PAGE) == 0);
	hf = host_of(fd, true);
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit))
		return 77;
	if (msn_file_write(file_of(hf), 3 * PAGE, "x", 1, &done) !=
	    MSN_FILE_E_BUS)
		return 1;
	if (msn_hostfile_stats(hf).kept_bytes || byte_at(file_of(hf), 3 * PAGE))
		return 2;
	return sync_all(hf) ? 3 : 0;
}

static void a_host_that_refuses_is_a_bus_error(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(write_past_limit());
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void clean_pages_are_not_written_again(void)
{
	int fd = new_file(ON_DISK);
	struct msn_hostfile *hf;
	struct msn_hostfile_stats s;
	size_t done;

	fill(fd, 64 * PAGE);
	hf = host_of(fd, true);
	for (uint64_t i = 0; i < 64; i += 8)
		CHECK(msn_file_write(file_of(hf), i * PAGE, "x", 1, &done) ==
		      0);
	for (int i = 0; i < 5; i++)
		CHECK(msn_identity_msync(msn_hostfile_identity(hf),
					 PAGES(0, 64)) == 0);
	s = msn_hostfile_stats(hf);
	EXPECT(s.writes == 8 && s.write_bytes == 8);
	EXPECT(s.syncs == 5);
	host_free(hf);
}

/* Dirty pages of the host's page cache in @r, or -1. */
static int64_t dirty_pages(int fd, struct msn_file_range r)
{
	uint64_t range[2] = { r.start, r.end - r.start }, stat[5];

	if (syscall(451 /* cachestat */, fd, range, stat, 0) < 0)
		return -1;
	return (int64_t)(stat[1] + stat[2]);
}

/*
 * Makes pages 3 and 40 dirty, syncs the first 16; is page 40 still dirty?  Who
 * syncs the whole machine meanwhile makes it clean.
 */
static bool syncs_its_range_alone(struct msn_hostfile *hf, int fd)
{
	size_t done;

	CHECK(msn_file_write(file_of(hf), 3 * PAGE, "x", 1, &done) == 0);
	CHECK(msn_file_write(file_of(hf), 40 * PAGE, "y", 1, &done) == 0);
	CHECK(msn_identity_msync(msn_hostfile_identity(hf), PAGES(0, 16)) == 0);
	EXPECT(dirty_pages(fd, FILE_PAGES(0, 16)) == 0);
	return dirty_pages(fd, FILE_PAGES(40, 41)) == 1;
}

static void msync_writes_the_dirty_pages_of_its_range_alone(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		int fd = new_file(ON_DISK), tries = 20;
		struct msn_hostfile *hf;
		bool alone = false;

		fill(fd, 64 * PAGE);
		CHECK(fsync(fd) == 0);
		hf = host_of(fd, buffered);
		if (dirty_pages(fd, FILE_PAGES(0, 64)) < 0 || is_stacked(fd)) {
			printf("(no cachestat) ");
			host_free(hf);
			continue;
		}
		while (!alone && tries-- > 0)
			alone = syncs_its_range_alone(hf, fd);
		EXPECT(alone);
		CHECK(msn_identity_msync(msn_hostfile_identity(hf),
					 PAGES(32, 64)) == 0);
		EXPECT(dirty_pages(fd, FILE_PAGES(0, 64)) == 0);
		host_free(hf);
	}
}

/* ---- Failures ------------------------------------------------------------ */

struct walk {
	struct msn_hostfile *hf;
	int fd;
	char *buf;
};

#define WALK_LEN ((size_t)1 << 20)

static void *walk_prepare(void)
{
	struct walk *w = msn_alloc(sizeof(*w));

	CHECK(w);
	w->buf = msn_alloc(WALK_LEN);
	CHECK(w->buf);
	w->fd = new_file(ON_DISK);
	fill(w->fd, WALK_LEN);
	w->hf = host_of(w->fd, true);
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;
	struct msn_translation t;
	struct msn_file_io io[2];
	size_t done;
	int why;
	int rc = msn_mappable_translate(msn_hostfile_mappable(w->hf),
					PAGES(0, 1), PAGES(0, 1),
					MSN_ACCESS_READ, &t, 1, &why);

	if (rc < 0)
		return rc;
	rc = msn_file_write(t.file, PAGE - 1, "12", 2, &done);
	if (rc)
		return rc;
	rc = msn_file_read(t.file, 0, w->buf, WALK_LEN, &done);
	if (rc)
		return rc;
	io[0] = (struct msn_file_io){ PAGE - 1, w->buf, 1 };
	io[1] = (struct msn_file_io){ PAGE, w->buf + 1, 1 };
	rc = msn_file_buffer_read_batch(t.file, io, 2);
	if (rc)
		return rc;
	EXPECT(w->buf[0] == '1' && w->buf[1] == '2');
	return sync_all(w->hf);
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	EXPECT(rc <= 0 || rc == MSN_FILE_E_BUS);
	EXPECT(name || rc == 0);
	/* What was stored and said to be so is there in the end. */
	if (rc == 0)
		EXPECT(byte_at(file_of(w->hf), PAGE) == '2');
	host_free(w->hf);
	free(w->buf);
	free(w);
}

static void every_failure_of_buffered_io_loses_nothing(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 8);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_last_page_reads_as_zero_to_its_end),
		CHECK_TEST(a_store_never_makes_a_file_longer),
		CHECK_TEST(the_tail_is_zero_after_shrinking_and_growing),
		CHECK_TEST(the_tail_is_never_written_back),
		CHECK_TEST(a_batch_is_one_submission),
		CHECK_TEST(long_reads_go_in_pieces_and_are_whole),
		CHECK_TEST(the_first_bytes_that_do_not_come_are_told_exactly),
		CHECK_TEST(a_batch_that_meets_the_end_says_so),
		CHECK_TEST(a_forked_child_reads_too),
		CHECK_TEST(a_direct_descriptor_takes_any_offset_and_length),
		CHECK_TEST(an_append_descriptor_writes_where_it_is_told),
		CHECK_TEST(without_a_second_descriptor_it_works_too),
		CHECK_TEST(a_host_that_refuses_is_a_bus_error),
		CHECK_TEST(clean_pages_are_not_written_again),
		CHECK_TEST(msync_writes_the_dirty_pages_of_its_range_alone),
		CHECK_TEST(every_failure_of_buffered_io_loses_nothing),
		{}
	};

	return check_main(argc, argv, "buffered host file", tests);
}
