/*
 * The rules of the memory file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/memfile/fixture.h"

static void fresh_pages(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 8, MSN_BOTTOM_UP);

	EXPECT(msn_memfile_used(mf) == 8 * PAGE);
	EXPECT(host_bytes(mf) == 0);
	EXPECT(peek(mf, r, 3) == 0);
	drop(mf, r);
	done_with(mf);
}

static void counted_by_page(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), run;

	msn_file_inc_ref(msn_memfile_file(mf), part(r, 1, 2), 0);
	drop(mf, r);
	EXPECT(msn_memfile_used(mf) == PAGE);
	EXPECT(msn_memfile_is_sole(mf, part(r, 1, 2), &run));
	drop(mf, part(r, 1, 2));
	done_with(mf);
}

static void sole_by_page(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP), run;

	msn_file_inc_ref(msn_memfile_file(mf), part(r, 2, 3), 0);
	EXPECT(msn_memfile_is_sole(mf, r, &run));
	EXPECT(msn_file_range_length(run) == 2 * PAGE);
	EXPECT(!msn_memfile_is_sole(mf, part(r, 2, 4), &run));
	EXPECT(msn_file_range_length(run) == PAGE);
	drop(mf, part(r, 2, 3));
	drop(mf, r);
	done_with(mf);
}

static void recycled_is_zero(void)
{
	struct msn_memfile *mf = make();

	for (int i = 0; i < 3; i++) {
		struct msn_file_range r = take(mf, 4, MSN_BOTTOM_UP);

		EXPECT(peek(mf, r, 1) == 0);
		touch(mf, r, 1, 'x');
		drop(mf, r);
	}
	done_with(mf);
}

static void given_back(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 64, MSN_BOTTOM_UP);

	for (uint64_t i = 0; i < 64; i++)
		touch(mf, r, i, 'x');
	EXPECT(host_bytes(mf) >= 64 * PAGE);
	drop(mf, r);
	msn_memfile_drain(mf);
	EXPECT(msn_memfile_waste(mf) == 0 && host_bytes(mf) == 0);
	done_with(mf);
}

static void directions(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range a = take(mf, 4, MSN_BOTTOM_UP);
	struct msn_file_range b = take(mf, 4, MSN_BOTTOM_UP);
	struct msn_file_range c = take(mf, 4, MSN_TOP_DOWN);
	struct msn_file_range d = take(mf, 4, MSN_TOP_DOWN);

	EXPECT(a.start < b.start && d.start < c.start);
	drop(mf, a);
	drop(mf, b);
	drop(mf, c);
	drop(mf, d);
	done_with(mf);
}

static void mapped_here_and_there(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 2, MSN_BOTTOM_UP);
	struct msn_spans spans;

	EXPECT(msn_file_fd(msn_memfile_file(mf)) >= 0);
	EXPECT(msn_file_map_internal(msn_memfile_file(mf), part(r, 0, 1),
				     MSN_ACCESS_WRITE, &spans) == 0);
	drop(mf, r);
	done_with(mf);
}

static void too_much(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r;

	EXPECT(msn_memfile_allocate(mf,
				    &(struct msn_memfile_alloc){
					    .length = UINT64_C(1) << 63 },
				    &r) == -ENOMEM);
	done_with(mf);
}

static void untouched_is_no_data(void)
{
	struct msn_memfile *mf = make();
	struct msn_file_range r = take(mf, 512, MSN_BOTTOM_UP), data;
	struct msn_file *file = msn_memfile_file(mf);

	EXPECT(msn_file_next_data(file, r, &data) == MSN_FILE_E_NO_DATA);
	touch(mf, r, 7, 'x');
	EXPECT(msn_file_next_data(file, r, &data) == 0);
	EXPECT(data.start == r.start + 7 * PAGE);
	drop(mf, r);
	done_with(mf);
}

static const struct check_test rules[] = {
	{ "pages read as zero and cost nothing until they are written",
	  fresh_pages },
	{ "references are counted by the page; the last one frees it",
	  counted_by_page },
	{ "sole ownership is told page by page", sole_by_page },
	{ "what is used again reads as zero", recycled_is_zero },
	{ "memory of dropped pages goes back to the host", given_back },
	{ "from below or from above, as memory grows", directions },
	{ "pages can be mapped, here and by descriptor",
	  mapped_here_and_there },
	{ "more than a file can have is ENOMEM", too_much },
	{ "a save finds what was written without touching the rest",
	  untouched_is_no_data },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "memfile", rules);
}
