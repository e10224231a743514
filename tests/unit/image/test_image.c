/*
 * Image: pages are filled once, when they are wanted, or not at all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fault.h"
#include "base/limits.h"
#include "image/image.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define SIZE (UINT64_C(4) << 20)

/* A source that counts, and fails where it is told to. */
struct source {
	struct msn_page_source base;
	uint64_t filled; /* bytes */
	unsigned calls;
	uint64_t bad; /* offset that cannot be read; UINT64_MAX: none */
	bool zero;    /* all pages are: nothing is written */
};

static unsigned freed;

static int source_fill(struct msn_page_source *base, struct msn_file_range r,
		       void *dst)
{
	struct source *s = msn_container_of(base, struct source, base);

	if (!s->zero)
		memset(dst, 'x', msn_file_range_length(r));
	s->calls++;
	s->filled += msn_file_range_length(r);
	return msn_file_range_contains(r, s->bad) ? -EBADMSG : 0;
}

static int source_next(struct msn_page_source *base, struct msn_file_range r,
		       struct msn_file_range *out)
{
	(void)base;
	*out = r;
	out->end = r.start + PAGE;
	return r.start < SIZE / 2 ? 0 : MSN_PAGE_SOURCE_E_NO_DATA;
}

static void source_free(struct msn_page_source *base)
{
	freed++;
	free(msn_container_of(base, struct source, base));
}

static const struct msn_page_source_ops source_ops = {
	.name = "counting",
	.fill = source_fill,
	.next_data = source_next,
	.free = source_free,
};

static struct msn_image *make(struct source **source)
{
	struct source *s = msn_alloc(sizeof(*s));
	struct msn_image_piece pieces[] = {
		{ { 0x10000, 0x10000 + SIZE / 2 }, 0 },
		{ { 0x900000, 0x900000 + SIZE / 2 }, SIZE / 2 },
	};
	struct msn_image *img;

	CHECK(s);
	s->base.ops = &source_ops;
	s->bad = UINT64_MAX;
	*source = s;
	CHECK(msn_image_new(&img,
			    &(struct msn_image_opts){ .size_bytes = SIZE,
						      .source = &s->base,
						      .origin = { 1, 2, 3 },
						      .pieces = pieces,
						      .piece_count = 2 }) == 0);
	return img;
}

static int byte_at(struct msn_image *img, uint64_t offset)
{
	unsigned char c;
	size_t done;
	int rc = msn_file_read(msn_image_file(img), offset, &c, 1, &done);

	return rc ? rc : c;
}

static void a_page_is_filled_when_it_is_wanted_and_once(void)
{
	struct source *s;
	struct msn_image *img = make(&s);

	EXPECT(s->calls == 0);
	EXPECT(byte_at(img, SIZE / 2) == 'x');
	EXPECT(s->calls == 1 && s->filled < SIZE / 4);
	EXPECT(byte_at(img, SIZE / 2 + 1) == 'x');
	EXPECT(s->calls == 1);
	CHECK(msn_image_fill_all(img) == 0);
	EXPECT(s->filled == SIZE);
	CHECK(msn_image_fill_all(img) == 0);
	EXPECT(s->filled == SIZE);
	msn_image_unref(img);
}

static void asking_for_the_descriptor_fills_everything(void)
{
	struct source *s;
	struct msn_image *img = make(&s);

	EXPECT(msn_file_fd(msn_image_file(img)) >= 0);
	EXPECT(s->filled == SIZE);
	msn_image_unref(img);
}

static void a_failed_fill_shows_nothing_and_may_be_tried_again(void)
{
	struct source *s;
	struct msn_image *img = make(&s);

	s->bad = SIZE / 2;
	EXPECT(byte_at(img, SIZE / 2) == -EBADMSG);
	EXPECT(byte_at(img, SIZE / 2 + 1) == -EBADMSG);
	EXPECT(msn_file_fd(msn_image_file(img)) == -EBADMSG);
	EXPECT(byte_at(img, 0) == 'x');
	s->bad = UINT64_MAX;
	EXPECT(byte_at(img, SIZE / 2) == 'x');
	msn_image_unref(img);
}

static void a_failed_fill_leaves_no_bytes_behind(void)
{
	struct source *s;
	struct msn_image *img = make(&s);

	s->bad = 0;
	EXPECT(byte_at(img, 0) == -EBADMSG);
	s->bad = UINT64_MAX;
	s->zero = true; /* a source need not touch a zero page */
	EXPECT(byte_at(img, 0) == 0);
	msn_image_unref(img);
}

static void nor_where_the_host_takes_no_memory_back(void)
{
	const char *fired;

	for (unsigned nth = 1;; nth++) {
		struct source *s;
		struct msn_image *img = make(&s);

		s->bad = 0;
		msn_fault_arm(nth);
		EXPECT(byte_at(img, 0) < 0);
		fired = msn_fault_fired();
		msn_fault_arm(0);
		s->bad = UINT64_MAX;
		s->zero = true;
		EXPECT(byte_at(img, 0) == 0);
		msn_image_unref(img);
		CHECK(fired);
		if (strcmp(fired, "image.forget") == 0)
			break;
	}
}

static void past_its_end_an_image_has_no_pages(void)
{
	struct source *s;
	struct msn_image *img = make(&s);

	EXPECT(byte_at(img, SIZE) == MSN_FILE_E_BUS);
	msn_image_unref(img);
}

static void an_offset_knows_the_address_it_came_from(void)
{
	struct source *s;
	struct msn_image *img = make(&s);
	uint8_t origin[16];
	uint64_t addr;

	CHECK(msn_image_origin(img, 5 * PAGE, origin, &addr));
	EXPECT(addr == 0x10000 + 5 * PAGE && origin[2] == 3);
	CHECK(msn_image_origin(img, SIZE - PAGE, origin, &addr));
	EXPECT(addr == 0x900000 + SIZE / 2 - PAGE);
	EXPECT(!msn_image_origin(img, SIZE, origin, &addr));
	msn_image_unref(img);
}

static void placements_keep_the_image_alive_page_by_page(void)
{
	struct source *s;
	struct msn_image *img = make(&s);
	struct msn_file *file = msn_image_file(img);
	struct msn_file_range r = { 0, 4 * PAGE };

	freed = 0;
	msn_file_inc_ref(file, r, 0);
	msn_image_unref(img);
	EXPECT(freed == 0);
	msn_file_dec_ref(file, (struct msn_file_range){ PAGE, 4 * PAGE });
	EXPECT(freed == 0);
	EXPECT(byte_at(img, 0) == 'x');
	msn_file_dec_ref(file, (struct msn_file_range){ 0, PAGE });
	EXPECT(freed == 1);
}

static void data_is_where_the_source_says(void)
{
	struct source *s;
	struct msn_image *img = make(&s);
	struct msn_file_range out;
	struct msn_file_range low = { PAGE, SIZE }, high = { SIZE / 2, SIZE };

	CHECK(msn_file_next_data(msn_image_file(img), low, &out) == 0);
	EXPECT(out.start == PAGE && out.end == 2 * PAGE);
	EXPECT(msn_file_next_data(msn_image_file(img), high, &out) ==
	       MSN_FILE_E_NO_DATA);
	EXPECT(s->calls == 0); /* asking reads nothing */
	msn_image_unref(img);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_page_is_filled_when_it_is_wanted_and_once),
		CHECK_TEST(asking_for_the_descriptor_fills_everything),
		CHECK_TEST(a_failed_fill_shows_nothing_and_may_be_tried_again),
		CHECK_TEST(a_failed_fill_leaves_no_bytes_behind),
		CHECK_TEST(nor_where_the_host_takes_no_memory_back),
		CHECK_TEST(past_its_end_an_image_has_no_pages),
		CHECK_TEST(an_offset_knows_the_address_it_came_from),
		CHECK_TEST(placements_keep_the_image_alive_page_by_page),
		CHECK_TEST(data_is_where_the_source_says),
		{}
	};

	return check_main(argc, argv, "image", tests);
}
