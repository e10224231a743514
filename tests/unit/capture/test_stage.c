/*
 * Stage: what was copied stays, whatever becomes of where it came from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "capture/stage.h"
#include "memfile/memfile.h"
#include "procfile/procfile.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE MSN_PAGE_SIZE
#define PAGES 8

/*
 * The source is this process's own memory: pages 'A', 'B', ...  Of them 0-1,
 * 3 and 6-7 are placed at the same addresses of a space.
 */
struct fixture {
	char *memory;
	uint64_t base;
	int mem;
	struct msn_procfile *pf;
	struct msn_stage *stage;
	struct msn_memfile *mf;
	struct msn_mm *mm;
};

static void map_pages(struct fixture *f, uint64_t first, uint64_t end)
{
	const struct msn_mmap_opts opts = {
		.addr = f->base + first * PAGE,
		.length = (end - first) * PAGE,
		.fixed = true,
		.unmap = true,
		.private = true,
		.perms = MSN_ACCESS_READ,
		.max_perms = MSN_ACCESS_READ,
	};
	const struct msn_placement p = {
		.addr = { f->base + first * PAGE, f->base + end * PAGE },
		.file = msn_stage_file(f->stage),
		.offset = f->base + first * PAGE,
	};

	CHECK(msn_mm_mmap_placed(f->mm, &opts, &p, 1) == 0);
}

static struct fixture start(uint64_t bytes)
{
	struct msn_mm_opts opts = { 0 };
	struct fixture f = { 0 };

	f.memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(f.memory != MAP_FAILED);
	f.base = (uint64_t)(uintptr_t)f.memory;
	for (size_t i = 0; i < PAGES; i++)
		memset(f.memory + i * PAGE, (int)('A' + i), PAGE);
	f.mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	CHECK(msn_procfile_new(
		      &f.pf, &(struct msn_procfile_opts){
				     .pid = getpid(), .mem_fd = f.mem }) == 0);
	CHECK(msn_stage_new(&f.stage, bytes) == 0);
	msn_stage_set_source(f.stage, msn_procfile_file(f.pf));
	CHECK(msn_memfile_new(&f.mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_platform_none_new(&opts.as) == 0);
	opts.memfile = f.mf;
	CHECK(msn_mm_new(&f.mm, &opts) == 0);
	map_pages(&f, 0, 2);
	map_pages(&f, 3, 4);
	map_pages(&f, 6, 8);
	return f;
}

static void end(struct fixture *f)
{
	msn_mm_free(f->mm);
	msn_memfile_free(f->mf);
	msn_stage_free(f->stage);
	msn_procfile_free(f->pf);
	close(f->mem);
	munmap(f->memory, PAGES * PAGE);
}

/* First byte of a page, or the outcome as a digit. */
static char byte_of(struct fixture *f, size_t page)
{
	char byte;
	size_t done;
	int rc = msn_file_read(msn_stage_file(f->stage), f->base + page * PAGE,
			       &byte, 1, &done);

	return rc ? (char)('0' + rc) : byte;
}

static void an_empty_stage_shows_its_source(void)
{
	struct fixture f = start(0);

	EXPECT(byte_of(&f, 0) == 'A' && byte_of(&f, 2) == 'C');
	f.memory[0] = 'x';
	EXPECT(byte_of(&f, 0) == 'x');
	end(&f);
}

static void a_full_stage_shows_what_was_copied(void)
{
	struct fixture f = start(5 * PAGE);

	CHECK(msn_stage_fill(f.stage, f.mm) == 0);
	memset(f.memory, 'x', PAGES * PAGE);
	EXPECT(byte_of(&f, 0) == 'A' && byte_of(&f, 1) == 'B');
	EXPECT(byte_of(&f, 3) == 'D');
	EXPECT(byte_of(&f, 6) == 'G' && byte_of(&f, 7) == 'H');
	/* what is in no placement is not there */
	EXPECT(byte_of(&f, 2) == '0' + MSN_FILE_E_BUS);
	EXPECT(byte_of(&f, 5) == '0' + MSN_FILE_E_BUS);
	end(&f);
}

static void a_full_stage_is_looked_at_where_it_is(void)
{
	struct fixture f = start(5 * PAGE);
	struct msn_file_range r = { f.base + 100, f.base + 2 * PAGE };
	struct msn_spans spans;

	EXPECT(msn_file_map_internal(msn_stage_file(f.stage), r,
				     MSN_ACCESS_READ,
				     &spans) == MSN_FILE_E_BUFFERED);
	CHECK(msn_stage_fill(f.stage, f.mm) == 0);
	CHECK(msn_file_map_internal(msn_stage_file(f.stage), r, MSN_ACCESS_READ,
				    &spans) == 0);
	EXPECT(spans.span[0].len == 2 * PAGE - 100);
	EXPECT(msn_file_map_internal(msn_stage_file(f.stage), r,
				     MSN_ACCESS_WRITE, &spans) == -EACCES);
	end(&f);
}

static void too_small_a_stage_stays_empty(void)
{
	struct fixture f = start(4 * PAGE);

	EXPECT(msn_stage_fill(f.stage, f.mm) == MSN_STAGE_E_FULL);
	f.memory[0] = 'x';
	EXPECT(byte_of(&f, 0) == 'x');
	end(&f);
}

static void a_page_that_is_gone_leaves_it_empty(void)
{
	struct fixture f = start(5 * PAGE);

	munmap(f.memory + 3 * PAGE, PAGE);
	EXPECT(msn_stage_fill(f.stage, f.mm) == -EFAULT);
	EXPECT(byte_of(&f, 0) == 'A');
	end(&f);
}

static void without_a_buffer_nothing_fits(void)
{
	struct fixture f;
	struct msn_stage *s;

	msn_fault_arm(2);
	CHECK(msn_stage_new(&s, 64 * PAGE) == 0);
	EXPECT(strcmp(msn_fault_fired(), "stage.buffer") == 0);
	msn_fault_arm(0);
	f = start(0);
	EXPECT(msn_stage_fill(s, f.mm) == MSN_STAGE_E_FULL);
	msn_stage_free(s);
	end(&f);
}

static struct fixture fault_fixture;

static void *fault_prepare(void)
{
	fault_fixture = start(5 * PAGE);
	return &fault_fixture;
}

static int fault_body(void *state)
{
	struct fixture *f = state;

	return msn_stage_fill(f->stage, f->mm);
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(name ? rc < 0 : rc == 0);
	if (rc)
		EXPECT(msn_stage_fill(f->stage, f->mm) == 0);
	EXPECT(byte_of(f, 7) == 'H');
	end(f);
}

static void every_failure_leaves_it_usable(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) >= 3);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_empty_stage_shows_its_source),
		CHECK_TEST(a_full_stage_shows_what_was_copied),
		CHECK_TEST(a_full_stage_is_looked_at_where_it_is),
		CHECK_TEST(too_small_a_stage_stays_empty),
		CHECK_TEST(a_page_that_is_gone_leaves_it_empty),
		CHECK_TEST(without_a_buffer_nothing_fits),
		CHECK_TEST(every_failure_leaves_it_usable),
		{}
	};

	return check_main(argc, argv, "stage", tests);
}
