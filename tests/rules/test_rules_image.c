/*
 * The rules of images: the pages of a snapshot on this host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "image/image.h"
#include "mm/mm.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define SIZE (UINT64_C(4) << 20)
#define SNAPSHOT                                                               \
	{                                                                      \
		5, 4, 3                                                        \
	}

/* Page n is full of 'a' + n % 26; every 8th is zero. */
struct source {
	struct msn_page_source base;
	uint64_t filled; /* bytes */
	uint64_t bad;	 /* offset that cannot be read; UINT64_MAX: none */
};

static int source_fill(struct msn_page_source *base, struct msn_file_range r,
		       void *dst)
{
	struct source *s = msn_container_of(base, struct source, base);

	s->filled += msn_file_range_length(r);
	for (uint64_t at = r.start; at < r.end; at += PAGE)
		if (at / PAGE % 8)
			memset((char *)dst + (at - r.start),
			       'a' + (int)(at / PAGE % 26), PAGE);
	return msn_file_range_contains(r, s->bad) ? -EBADMSG : 0;
}

static int source_next(struct msn_page_source *base, struct msn_file_range r,
		       struct msn_file_range *out)
{
	(void)base;
	*out = (struct msn_file_range){ r.start, r.start + PAGE };
	if (r.start / PAGE % 8)
		return 0;
	out->start += PAGE;
	out->end += PAGE;
	return out->end <= r.end ? 0 : MSN_PAGE_SOURCE_E_NO_DATA;
}

static void source_free(struct msn_page_source *base)
{
	free(msn_container_of(base, struct source, base));
}

static const struct msn_page_source_ops source_ops = {
	.name = "letters",
	.fill = source_fill,
	.next_data = source_next,
	.free = source_free,
};

static struct msn_image *make(struct source **out)
{
	static const struct msn_image_piece piece = {
		{ 0x10000, 0x10000 + SIZE }, 0
	};
	struct msn_image_opts opts = { .size_bytes = SIZE,
				       .origin = SNAPSHOT,
				       .pieces = &piece,
				       .piece_count = 1 };
	struct source *s = msn_alloc(sizeof(*s));
	struct msn_image *img;

	CHECK(s);
	s->base.ops = &source_ops;
	s->bad = UINT64_MAX;
	opts.source = &s->base;
	CHECK(msn_image_new(&img, &opts) == 0);
	*out = s;
	return img;
}

/* The byte of page @page, or the error. */
static int byte_of(struct msn_image *img, uint64_t page)
{
	unsigned char c = 0;
	size_t done;
	int rc = msn_file_read(msn_image_file(img), page * PAGE, &c, 1, &done);

	return rc ? rc : c;
}

static void loaded_when_wanted(void)
{
	struct source *s;
	struct msn_image *img = make(&s);
	uint64_t first;

	EXPECT(s->filled == 0);
	EXPECT(byte_of(img, 1) == 'b');
	first = s->filled;
	EXPECT(first > 0 && first < SIZE / 8); /* some neighbours, not all */
	EXPECT(byte_of(img, 1) == 'b' && byte_of(img, 2) == 'c');
	EXPECT(s->filled == first);
	msn_image_unref(img);
}

static void the_descriptor_waits(void)
{
	struct source *s;
	struct msn_image *img = make(&s);

	EXPECT(msn_file_fd(msn_image_file(img)) >= 0);
	EXPECT(s->filled == SIZE);
	msn_image_unref(img);
}

static void a_failure_is_not_for_ever(void)
{
	struct source *s;
	struct msn_image *img = make(&s);

	s->bad = 9 * PAGE;
	EXPECT(byte_of(img, 10) == -EBADMSG);
	EXPECT(byte_of(img, SIZE / PAGE - 1) > 0); /* others are not hit */
	s->bad = UINT64_MAX;
	EXPECT(byte_of(img, 10) == 'k');
	msn_image_unref(img);
}

static void nobody_writes(void)
{
	struct source *s;
	struct msn_image *img = make(&s);
	struct msn_file_range r = { 0, PAGE };
	struct msn_spans spans;

	EXPECT(msn_file_map_internal(msn_image_file(img), r, MSN_ACCESS_WRITE,
				     &spans) == -EACCES);
	msn_image_unref(img);
}

static void zeros_stay_holes(void)
{
	struct source *s;
	struct msn_image *img = make(&s);
	struct msn_file_range data;

	EXPECT(byte_of(img, 8) == 0);
	CHECK(msn_file_next_data(msn_image_file(img),
				 (struct msn_file_range){ 8 * PAGE, 12 * PAGE },
				 &data) == 0);
	EXPECT(data.start == 9 * PAGE);
	EXPECT(msn_file_next_data(msn_image_file(img),
				  (struct msn_file_range){ 8 * PAGE, 9 * PAGE },
				  &data) == MSN_FILE_E_NO_DATA);
	msn_image_unref(img);
}

static struct msn_mm *clone_of(struct msn_image *img, struct msn_memfile *mf)
{
	struct msn_mmap_opts o = { .length = SIZE,
				   .addr = 0x10000,
				   .fixed = true,
				   .perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true };
	struct msn_placement p = { { 0x10000, 0x10000 + SIZE },
				   msn_image_file(img),
				   0 };
	struct msn_address_space *as;
	struct msn_mm *mm;

	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = mf,
						     .as = as }) == 0);
	CHECK(msn_mm_mmap_placed(mm, &o, &p, 1) == 0);
	return mm;
}

static int byte_in(struct msn_mm *mm, uint64_t page)
{
	unsigned char c = 0;
	size_t done;

	CHECK(msn_mm_copy_in(mm, 0x10000 + page * PAGE, &c, 1,
			     (struct msn_mm_io){ 0 }, &done) == 0);
	return c;
}

static void once_for_all(void)
{
	struct source *s;
	struct msn_image *img = make(&s);
	struct msn_memfile *mf;
	struct msn_mm *a, *b;
	size_t done;

	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	a = clone_of(img, mf);
	b = clone_of(img, mf);
	EXPECT(s->filled == 0);
	EXPECT(byte_in(a, 1) == 'b' && byte_in(b, 1) == 'b');
	EXPECT(s->filled < SIZE / 8 && msn_memfile_used(mf) == 0);
	CHECK(msn_mm_copy_out(a, 0x10000 + PAGE, "!", 1,
			      (struct msn_mm_io){ 0 }, &done) == 0);
	EXPECT(byte_in(a, 1) == '!' && byte_in(b, 1) == 'b');
	EXPECT(msn_memfile_used(mf) == PAGE);
	msn_mm_free(a);
	msn_mm_free(b);
	msn_memfile_free(mf);
	msn_image_unref(img);
}

static void clones_keep_it(void)
{
	struct source *s;
	struct msn_image *img = make(&s);
	struct msn_memfile *mf;
	struct msn_mm *mm;

	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	mm = clone_of(img, mf);
	msn_image_unref(img);
	EXPECT(byte_in(mm, 3) == 'd');
	msn_mm_free(mm);
	msn_memfile_free(mf);
}

static void where_it_came_from(void)
{
	static const uint8_t snapshot[16] = SNAPSHOT;
	struct source *s;
	struct msn_image *img = make(&s);
	uint8_t origin[16];
	uint64_t addr;

	CHECK(msn_image_origin(img, 3 * PAGE, origin, &addr));
	EXPECT(addr == 0x10000 + 3 * PAGE);
	EXPECT(memcmp(origin, snapshot, sizeof(origin)) == 0);
	EXPECT(s->filled == 0);
	msn_image_unref(img);
}

static const struct check_test rules[] = {
	{ "a page is loaded when it is wanted, with few neighbours, and once",
	  loaded_when_wanted },
	{ "once for all clones, which copy what they write", once_for_all },
	{ "who wants a descriptor waits for everything", the_descriptor_waits },
	{ "what cannot be loaded is an error to who wants it, and may be "
	  "tried again",
	  a_failure_is_not_for_ever },
	{ "nobody writes to it", nobody_writes },
	{ "zero pages stay holes", zeros_stay_holes },
	{ "clones keep it, whoever made it", clones_keep_it },
	{ "an untouched page knows its snapshot and address, unread",
	  where_it_came_from },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "image", rules);
}
