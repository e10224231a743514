/*
 * The promises of struct msn_file_ops, put to every implementation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "contract/makers.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE ((size_t)MSN_PAGE_SIZE)

#define FOR_EACH_MAKER(mk)                                                     \
	for (const struct file_maker *mk = file_makers;                        \
	     mk < file_makers + file_maker_count; mk++)

/* Makes one, and says on failure which kind it was. */
static struct made_file made(const struct file_maker *mk)
{
	struct made_file m = { 0 };

	printf("\n    %s", mk->name);
	mk->make(&m);
	return m;
}

static void every_page_reads_as_it_was_made(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);

		for (size_t i = 0; i < MADE_PAGES; i++) {
			char page[MSN_PAGE_SIZE];
			size_t done;

			EXPECT(msn_file_read(m.file, m.pages.start + i * PAGE,
					     page, PAGE, &done) == 0);
			EXPECT(done == PAGE);
			EXPECT(page[0] == (char)('A' + i) &&
			       page[PAGE - 1] == (char)('A' + i));
		}
		m.free(&m);
	}
}

static void a_read_across_pages_at_odd_offsets_is_whole(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		char buf[3 * MSN_PAGE_SIZE];
		size_t done;

		CHECK(msn_file_read(m.file, m.pages.start + PAGE / 2, buf,
				    sizeof(buf), &done) == 0);
		EXPECT(done == sizeof(buf));
		EXPECT(buf[0] == 'A' && buf[PAGE / 2] == 'B' &&
		       buf[sizeof(buf) - 1] == 'D');
		m.free(&m);
	}
}

static void what_is_written_is_read_back(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		uint64_t at = m.pages.start + 5 * PAGE - 2;
		char buf[4];
		size_t done;

		if (mk->writable) {
			CHECK(msn_file_write(m.file, at, "wxyz", 4, &done) ==
			      0);
			EXPECT(done == 4);
			CHECK(msn_file_read(m.file, at, buf, 4, &done) == 0);
			EXPECT(memcmp(buf, "wxyz", 4) == 0);
		}
		m.free(&m);
	}
}

static void a_read_only_file_refuses_writes(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		struct msn_spans spans;

		if (!mk->writable) {
			int rc = msn_file_map_internal(
				m.file, m.pages, MSN_ACCESS_WRITE, &spans);

			EXPECT(rc == -EACCES || rc == MSN_FILE_E_BUFFERED);
		}
		m.free(&m);
	}
}

static void spans_cover_a_prefix_with_the_right_bytes(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		struct msn_file_range r = { m.pages.start + 100,
					    m.pages.end - 100 };
		struct msn_spans spans;
		int rc = msn_file_map_internal(m.file, r, MSN_ACCESS_READ,
					       &spans);

		if (mk->mapped) {
			CHECK(rc == 0);
			EXPECT(spans.count >= 1 && spans.span[0].len > 0);
			EXPECT(((char *)spans.span[0].data)[0] == 'A');
			EXPECT(((char *)spans.span[0].data)[PAGE] == 'B');
		} else {
			EXPECT(rc == MSN_FILE_E_BUFFERED);
		}
		m.free(&m);
	}
}

static void a_batch_of_reads_fills_every_piece(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		struct msn_spans spans;
		char a[8], b[8], c[2 * MSN_PAGE_SIZE];
		struct msn_file_io io[] = {
			{ m.pages.start + 3 * PAGE, a, sizeof(a) },
			{ m.pages.start + 9 * PAGE + 7, b, sizeof(b) },
			{ m.pages.start + 14 * PAGE, c, sizeof(c) },
		};

		if (msn_file_map_internal(m.file, m.pages, MSN_ACCESS_READ,
					  &spans) == MSN_FILE_E_BUFFERED) {
			CHECK(msn_file_buffer_read_batch(m.file, io, 3) == 0);
			EXPECT(a[0] == 'D' && b[7] == 'J');
			EXPECT(c[0] == 'O' && c[sizeof(c) - 1] == 'P');
		}
		m.free(&m);
	}
}

static void references_are_added_and_dropped_by_page(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		struct msn_file_range part = { m.pages.start + 4 * PAGE,
					       m.pages.start + 8 * PAGE };
		struct msn_file_range left = { part.start, part.start + PAGE };
		struct msn_file_range right = { left.end, part.end };
		char byte;
		size_t done;

		msn_file_inc_ref(m.file, part, 0);
		msn_file_inc_ref(m.file, part, 0);
		msn_file_dec_ref(m.file, right);
		msn_file_dec_ref(m.file, part);
		msn_file_dec_ref(m.file, left);
		/* The first reference is still there, and so are the bytes. */
		EXPECT(msn_file_read(m.file, part.start, &byte, 1, &done) == 0);
		EXPECT(byte == 'E');
		m.free(&m);
	}
}

static void the_descriptor_shows_the_same_bytes(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		int fd = msn_file_fd(m.file);
		char *at;

		if (!mk->fd) {
			EXPECT(fd == -EBADF);
			m.free(&m);
			continue;
		}
		CHECK(fd >= 0);
		at = mmap(NULL, MADE_PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd,
			  (off_t)m.pages.start);
		CHECK(at != MAP_FAILED);
		EXPECT(at[0] == 'A' && at[15 * PAGE] == 'P');
		munmap(at, MADE_PAGES * PAGE);
		m.free(&m);
	}
}

static void data_is_found_where_it_is(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		struct msn_file_range want = { m.pages.start + 2 * PAGE,
					       m.pages.start + 6 * PAGE };
		struct msn_file_range got;

		CHECK(msn_file_next_data(m.file, want, &got) == 0);
		EXPECT(got.start == want.start && got.end == want.end);
		m.free(&m);
	}
}

/* Blocks behind the file's descriptor, if it has one. */
static blkcnt_t blocks(struct msn_file *file)
{
	struct stat st;
	int fd = msn_file_fd(file);

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_blocks : 0;
}

static void residence_is_told_and_brings_nothing_in(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		blkcnt_t before = blocks(m.file);
		char all[MADE_PAGES * MSN_PAGE_SIZE];
		uint8_t vec[MADE_PAGES + 1], part[MADE_PAGES];
		size_t done;

		memset(vec, 9, sizeof(vec));
		CHECK(msn_file_resident(m.file, m.pages, vec) == 0);
		EXPECT(blocks(m.file) == before);
		for (size_t i = 0; i < MADE_PAGES; i++)
			EXPECT(vec[i] <= 1);
		EXPECT(vec[MADE_PAGES] == 9);
		/* A page that was read just now is there. */
		CHECK(msn_file_read(m.file, m.pages.start, all, sizeof(all),
				    &done) == 0);
		CHECK(msn_file_resident(m.file, m.pages, vec) == 0);
		for (size_t i = 0; i < MADE_PAGES; i++) {
			struct msn_file_range page = { m.pages.start + i * PAGE,
						       m.pages.start +
							       (i + 1) * PAGE };

			EXPECT(vec[i] == 1);
			CHECK(msn_file_resident(m.file, page, &part[i]) == 0);
		}
		EXPECT(memcmp(vec, part, MADE_PAGES) == 0);
		m.free(&m);
	}
}

static void sharers_are_counted_by_page(void)
{
	/* pages   0..3 4 5 6 7 8..15 ; 4..7 are referenced once more */
	FOR_EACH_MAKER (mk) {
		struct made_file m = made(mk);
		struct msn_file_range part = { m.pages.start + 4 * PAGE,
					       m.pages.start + 8 * PAGE };
		struct msn_file_range run, rest = { part.end, m.pages.end };
		bool counts = m.file->ops->sharers != NULL;
		uint64_t before = msn_file_sharers(m.file, m.pages, &run);

		EXPECT(before >= 1 && run.end == m.pages.end);
		msn_file_inc_ref(m.file, part, 0);
		EXPECT(msn_file_sharers(m.file, m.pages, &run) == before);
		EXPECT(run.end == (counts ? part.start : m.pages.end));
		EXPECT(msn_file_sharers(m.file, part, &run) == before + counts);
		EXPECT(run.end == part.end);
		EXPECT(msn_file_sharers(m.file, rest, &run) == before);
		EXPECT(run.end == rest.end);
		msn_file_dec_ref(m.file, part);
		EXPECT(msn_file_sharers(m.file, m.pages, &run) == before);
		EXPECT(run.end == m.pages.end);
		m.free(&m);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_page_reads_as_it_was_made),
		CHECK_TEST(a_read_across_pages_at_odd_offsets_is_whole),
		CHECK_TEST(what_is_written_is_read_back),
		CHECK_TEST(a_read_only_file_refuses_writes),
		CHECK_TEST(spans_cover_a_prefix_with_the_right_bytes),
		CHECK_TEST(a_batch_of_reads_fills_every_piece),
		CHECK_TEST(references_are_added_and_dropped_by_page),
		CHECK_TEST(the_descriptor_shows_the_same_bytes),
		CHECK_TEST(data_is_found_where_it_is),
		CHECK_TEST(residence_is_told_and_brings_nothing_in),
		CHECK_TEST(sharers_are_counted_by_page),
		{}
	};

	return check_main(argc, argv, "file contract", tests);
}
