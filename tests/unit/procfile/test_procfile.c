/*
 * Procfile: bytes of another process, in every state that pages can be in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "base/fd.h"
#include "procfile/procfile.h"
#include "support/check.h"
#include "victim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)MSN_PAGE_SIZE)
#define PAGES 2048

/*
 * Pages 0..PAGES-1 hold their number; page 100 is a hole, pages 200..299 have
 * no rights.
 */
static void prepare(struct victim_shared *shared)
{
	char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (uint64_t i = 0; i < PAGES; i++)
		memcpy(at + i * PAGE, &i, sizeof(i));
	munmap(at + 100 * PAGE, PAGE);
	mprotect(at + 200 * PAGE, 100 * PAGE, PROT_NONE);
	shared->memory = (uint64_t)(uintptr_t)at;
}

struct fixture {
	struct victim v;
	struct msn_procfile *pf;
	struct msn_file *file;
	uint64_t at;
	int mem;
};

static struct fixture start(void)
{
	struct fixture f = { .v = victim_run(prepare) };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", f.v.pid);
	f.mem = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(f.mem >= 0);
	CHECK(msn_procfile_new(&f.pf, &(struct msn_procfile_opts){
					      .pid = f.v.pid,
					      .mem_fd = f.mem,
				      }) == 0);
	f.file = msn_procfile_file(f.pf);
	f.at = f.v.shared->memory;
	return f;
}

static void stop(struct fixture *f)
{
	msn_procfile_free(f->pf);
	close(f->mem);
	victim_end(&f->v);
}

static uint64_t number(const void *page)
{
	uint64_t n;

	memcpy(&n, page, sizeof(n));
	return n;
}

static char buf[PAGES * PAGE];

static void pages_are_read_by_address(void)
{
	struct fixture f = start();
	size_t done;

	CHECK(msn_file_buffer_read_at(f.file, f.at + 3 * PAGE, buf, 4 * PAGE,
				      &done) == 0);
	EXPECT(done == 4 * PAGE);
	for (size_t i = 0; i < 4; i++)
		EXPECT(number(buf + i * PAGE) == 3 + i);
	EXPECT(msn_procfile_read_bytes(f.pf) == 4 * PAGE);
	stop(&f);
}

static void it_is_never_mapped_or_written(void)
{
	struct fixture f = start();
	struct msn_spans spans;
	size_t done = 1;

	EXPECT(msn_file_map_internal(
		       f.file, (struct msn_file_range){ f.at, f.at + PAGE },
		       MSN_ACCESS_READ, &spans) == MSN_FILE_E_BUFFERED);
	EXPECT(msn_file_buffer_write_at(f.file, f.at, "x", 1, &done) == -EROFS);
	EXPECT(done == 0);
	EXPECT(msn_file_fd(f.file) == -EBADF);
	stop(&f);
}

static void memory_without_rights_is_read(void)
{
	struct fixture f = start();
	size_t done;

	/* 198 199 | 200 ... 299 | 300 301 */
	CHECK(msn_file_buffer_read_at(f.file, f.at + 198 * PAGE, buf,
				      104 * PAGE, &done) == 0);
	EXPECT(done == 104 * PAGE);
	for (size_t i = 0; i < 104; i++)
		EXPECT(number(buf + i * PAGE) == 198 + i);
	stop(&f);
}

static void a_page_that_is_not_there_is_an_outcome(void)
{
	struct fixture f = start();
	size_t done;

	/* 98 99 | hole at 100 */
	EXPECT(msn_file_buffer_read_at(f.file, f.at + 98 * PAGE, buf, 5 * PAGE,
				       &done) == MSN_FILE_E_BUS);
	EXPECT(done == 2 * PAGE);
	EXPECT(number(buf + PAGE) == 99);
	EXPECT(msn_file_buffer_read_at(f.file, f.at + 100 * PAGE, buf, PAGE,
				       &done) == MSN_FILE_E_BUS);
	EXPECT(done == 0);
	stop(&f);
}

static void a_batch_takes_more_pieces_than_one_call(void)
{
	static struct msn_file_io io[PAGES];
	struct fixture f = start();
	size_t n = 0;

	/* every page but the hole, last page first, and an empty piece */
	for (size_t i = PAGES; i-- > 0;)
		if (i != 100)
			io[n++] = (struct msn_file_io){ f.at + i * PAGE,
							buf + i * PAGE, PAGE };
	io[7].len = 0;
	memset(buf, 0, sizeof(buf));
	EXPECT(n > IOV_MAX);
	CHECK(msn_file_buffer_read_batch(f.file, io, n) == 0);
	for (uint64_t i = 0; i < PAGES; i++)
		if (i != 100 && i != PAGES - 8)
			EXPECT(number(buf + i * PAGE) == i);
	EXPECT(number(buf + (PAGES - 8) * PAGE) == 0);
	EXPECT(msn_procfile_read_bytes(f.pf) == (PAGES - 2) * PAGE);
	stop(&f);
}

static void a_batch_stops_at_the_first_missing_page(void)
{
	struct fixture f = start();
	struct msn_file_io io[] = {
		{ f.at + 99 * PAGE, buf, PAGE },
		{ f.at + 100 * PAGE, buf + PAGE, PAGE },
		{ f.at + 101 * PAGE, buf + 2 * PAGE, PAGE },
	};

	EXPECT(msn_file_buffer_read_batch(f.file, io, 3) == MSN_FILE_E_BUS);
	EXPECT(number(buf) == 99);
	stop(&f);
}

static void a_process_that_is_gone_is_an_error(void)
{
	struct fixture f = start();
	size_t done;

	kill(f.v.pid, SIGKILL);
	siginfo_t si;
	waitid(P_PID, (id_t)f.v.pid, &si, WEXITED | WNOWAIT);
	/* a zombie, then nothing at all */
	EXPECT(msn_file_buffer_read_at(f.file, f.at, buf, PAGE, &done) ==
	       -ESRCH);
	EXPECT(msn_file_buffer_read_at(f.file, f.at + 200 * PAGE, buf, PAGE,
				       &done) == -ESRCH);
	waitpid(f.v.pid, NULL, 0);
	EXPECT(msn_file_buffer_read_at(f.file, f.at, buf, PAGE, &done) ==
	       -ESRCH);
	EXPECT(done == 0);
	stop(&f);
}

static void *fault_prepare(void)
{
	static struct fixture f;

	f = start();
	return &f;
}

static int fault_body(void *state)
{
	struct fixture *f = state;
	size_t done;

	return msn_file_buffer_read_at(f->file, f->at, buf, PAGE, &done);
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(rc == (name ? -EIO : 0));
	EXPECT(fault_body(state) == 0);
	stop(f);
}

static void a_failed_read_leaves_it_usable(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) == 1);
}

static void without_memory_there_is_no_procfile(void)
{
	struct msn_procfile *pf = NULL;

	msn_fault_arm(1);
	EXPECT(msn_procfile_new(&pf, &(struct msn_procfile_opts){ 0 }) ==
	       -ENOMEM);
	msn_fault_arm(0);
	EXPECT(!pf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(pages_are_read_by_address),
		CHECK_TEST(it_is_never_mapped_or_written),
		CHECK_TEST(memory_without_rights_is_read),
		CHECK_TEST(a_page_that_is_not_there_is_an_outcome),
		CHECK_TEST(a_batch_takes_more_pieces_than_one_call),
		CHECK_TEST(a_batch_stops_at_the_first_missing_page),
		CHECK_TEST(a_process_that_is_gone_is_an_error),
		CHECK_TEST(a_failed_read_leaves_it_usable),
		CHECK_TEST(without_memory_there_is_no_procfile),
		{}
	};

	return check_main(argc, argv, "procfile", tests);
}
