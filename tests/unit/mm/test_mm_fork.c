/*
 * mm: fork, placements, walks, and every failure, over both platforms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "image/image.h"
#include "mm/mm_calls.h"
#include "unit/mm/fixture.h"
#include "unit/mm/shared_object.h"

#include <stdlib.h>

/* ---- fork ---------------------------------------------------------------- */

struct seen {
	struct msn_private_run runs[16];
	size_t count;
};

static int see(void *ctx, const struct msn_private_run *r)
{
	struct seen *s = ctx;

	CHECK(s->count < 16);
	s->runs[s->count++] = *r;
	return 0;
}

static struct msn_mm *fork_of(struct msn_mm *mm)
{
	struct msn_mm *child;

	CHECK(msn_mm_fork(mm, make_platform(false), &child) == 0);
	EXPECT(msn_mm_check(child) == NULL);
	return child;
}

static void parent_and_child_do_not_see_each_others_writes(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mm *child;

		map(f.mm, anon(10, 4));
		put(f.mm, AT(10), 'a');
		put(f.mm, AT(11), 'b');
		child = fork_of(f.mm);
		put(f.mm, AT(10), 'p');
		put(f.mm, AT(13), 'p');
		put(child, AT(11), 'c');
		EXPECT(get(f.mm, AT(10)) == 'p' && get(child, AT(10)) == 'a');
		EXPECT(get(f.mm, AT(11)) == 'b' && get(child, AT(11)) == 'c');
		EXPECT(get(child, AT(13)) == 0);
		msn_mm_free(child);
	}
}

static void a_grandchild_sees_what_its_parent_had(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mm *child, *second;

		map(f.mm, anon(10, 4));
		put(f.mm, AT(10), 'a');
		child = fork_of(f.mm);
		put(f.mm, AT(10), 'b'); /* local: a copy of the kernel's */
		second = fork_of(f.mm);
		put(f.mm, AT(10), 'c');
		EXPECT(get(child, AT(10)) == 'a');
		EXPECT(get(second, AT(10)) == 'b');
		EXPECT(get(f.mm, AT(10)) == 'c');
		msn_mm_free(second);
		msn_mm_free(child);
		EXPECT(get(f.mm, AT(10)) == 'c');
	}
}

static void a_write_after_fork_copies_one_page(void)
{
	struct fixture f = setup(false);
	struct msn_mm *child;

	map(f.mm, anon(10, 64));
	for (uint64_t i = 10; i < 74; i++)
		put(f.mm, AT(i), 'x');
	child = fork_of(f.mm);
	EXPECT(msn_memfile_used(f.mf) == 64 * PAGE);
	put(child, AT(20), 'y');
	EXPECT(msn_memfile_used(f.mf) == 65 * PAGE);
	msn_mm_free(child);
	EXPECT(msn_memfile_used(f.mf) == 64 * PAGE);
	teardown(&f);
}

static void the_last_owner_of_a_page_writes_it_in_place(void)
{
	struct fixture f = setup(false);
	struct seen s = { 0 };
	struct msn_mm *child;

	map(f.mm, anon(10, 8));
	for (uint64_t i = 10; i < 18; i++)
		put(f.mm, AT(i), 'x');
	child = fork_of(f.mm);
	msn_mm_free(child);
	put(f.mm, AT(13), 'z');
	/* A copy would stand elsewhere in the file than its neighbours do. */
	CHECK(msn_mm_for_each_private_run(
		      f.mm, (struct msn_addr_range){ 0, UINT64_MAX }, see,
		      &s) == 0);
	CHECK(s.count > 0);
	for (size_t i = 1; i < s.count; i++)
		EXPECT(s.runs[i].offset - s.runs[i].addr.start ==
		       s.runs[0].offset - s.runs[0].addr.start);
	EXPECT(get(f.mm, AT(13)) == 'z' && get(f.mm, AT(14)) == 'x');
	teardown(&f);
}

static void shared_memory_stays_shared_across_fork(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 2);
		struct msn_mm *child;

		set_shared(&f, &o);
		o.private = false;
		map(f.mm, o);
		msn_identity_dec_ref(o.mapping_identity);
		child = fork_of(f.mm);
		put(child, AT(10), 'c');
		EXPECT(get(f.mm, AT(10)) == 'c');
		msn_mm_free(child);
	}
}

static void a_child_on_page_tables_hands_its_pages_on(void)
{
	struct fixture f = setup(false);
	struct msn_mm *child, *second;

	map(f.mm, anon(10, 2)); /* never touched before the fork */
	map(f.mm, anon(20, 2)); /* not given to the child */
	put(f.mm, AT(20), 'p');
	CHECK(msn_mm_madvise(f.mm, AT(20), PAGE, MADV_WIPEONFORK) == 0);
	CHECK(msn_mm_fork(f.mm, make_platform(true), &child) == 0);
	CHECK(msn_mm_madvise(child, AT(20), PAGE, MADV_KEEPONFORK) == 0);
	EXPECT(get(child, AT(20)) == 0);
	put(child, AT(10), 'c');
	put(child, AT(20), 'd');
	second = fork_of(child);
	EXPECT(get(second, AT(10)) == 'c' && get(second, AT(20)) == 'd');
	msn_mm_free(second);
	msn_mm_free(child);
	teardown(&f);
}

static void what_a_child_writes_to_page_tables_is_not_given_up(void)
{
	struct fixture f = setup(false);
	struct msn_mm *child;

	map(f.mm, anon(10, 2));
	put(f.mm, AT(10), 'p');
	CHECK(msn_mm_madvise(f.mm, AT(10), PAGE, MADV_FREE) == 0);
	CHECK(msn_mm_fork(f.mm, make_platform(true), &child) == 0);
	put(child, AT(10), 'c');
	EXPECT(msn_mm_reclaim_lazy(child) == 0);
	EXPECT(get(child, AT(10)) == 'c');
	msn_mm_free(child);
	teardown(&f);
}

/* ---- Placements and walks ------------------------------------------------ */

static int letters_fill(struct msn_page_source *src, struct msn_file_range r,
			void *dst)
{
	(void)src;
	for (uint64_t at = r.start; at < r.end; at += PAGE)
		memset((char *)dst + (at - r.start), 'a' + (int)(at / PAGE),
		       PAGE);
	return 0;
}

static int letters_next(struct msn_page_source *src, struct msn_file_range r,
			struct msn_file_range *out)
{
	(void)src;
	*out = r;
	return 0;
}

static void letters_free(struct msn_page_source *src)
{
	free(src);
}

static const struct msn_page_source_ops letters_ops = {
	.name = "letters",
	.fill = letters_fill,
	.next_data = letters_next,
	.free = letters_free,
};

static struct msn_image *make_image(uint64_t pages)
{
	struct msn_page_source *src = msn_alloc(sizeof(*src));
	struct msn_image *img;

	src->ops = &letters_ops;
	CHECK(msn_image_new(&img, &(struct msn_image_opts){
					  .size_bytes = pages * PAGE,
					  .source = src }) == 0);
	return img;
}

static void clones_of_an_image_share_it_until_they_write(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_image *img = make_image(8);
		struct msn_mmap_opts o = anon(10, 8);
		struct msn_placement p = { { AT(10), AT(18) },
					   msn_image_file(img),
					   0 };
		struct msn_mm *child;

		CHECK(msn_mm_mmap_placed(f.mm, &o, &p, 1) == 0);
		msn_image_unref(img); /* the space holds it */
		EXPECT(get(f.mm, AT(12)) == 'c');
		put(f.mm, AT(12), '!');
		EXPECT(get(f.mm, AT(12)) == '!');
		EXPECT(get(f.mm, AT(12) + 1) == 'c');
		EXPECT(get(f.mm, AT(13)) == 'd');
		child = fork_of(f.mm);
		EXPECT(get(child, AT(12)) == '!');
		EXPECT(get(child, AT(17)) == 'h');
		msn_mm_free(child);
	}
}

static void a_walk_tells_the_images_pages_from_the_spaces_own(void)
{
	/*
	 * pages    10 11 12 13 14 15 16 17
	 * written        *
	 * runs     image |own| image
	 */
	FOR_BOTH(f, local)
	{
		struct msn_image *img = make_image(8);
		struct msn_file *file = msn_image_file(img);
		struct msn_mmap_opts o = anon(10, 8);
		struct msn_placement p = { { AT(10), AT(18) }, file, 0 };
		struct seen s = { 0 };

		CHECK(msn_mm_mmap_placed(f.mm, &o, &p, 1) == 0);
		put(f.mm, AT(12), '!');
		CHECK(msn_mm_for_each_private_run(
			      f.mm, (struct msn_addr_range){ 0, UINT64_MAX },
			      see, &s) == 0);
		CHECK(s.count == 3);
		EXPECT(s.runs[0].file == file && s.runs[0].offset == 0 &&
		       s.runs[0].addr.end == AT(12));
		EXPECT(s.runs[1].file != file &&
		       s.runs[1].addr.start == AT(12) &&
		       s.runs[1].addr.end == AT(13));
		EXPECT(s.runs[2].file == file && s.runs[2].offset == 3 * PAGE &&
		       s.runs[2].addr.end == AT(18));
		msn_image_unref(img);
	}
}

static void a_walk_leaves_out_what_was_never_touched(void)
{
	FOR_BOTH(f, local)
	{
		struct seen s = { 0 };

		map(f.mm, anon(10, 100));
		put(f.mm, AT(60), 'x');
		CHECK(msn_mm_for_each_private_run(
			      f.mm, (struct msn_addr_range){ 0, UINT64_MAX },
			      see, &s) == 0);
		CHECK(s.count == 1);
		EXPECT(s.runs[0].addr.start == AT(60) &&
		       s.runs[0].addr.end == AT(61));
	}
}

/* ---- Every failure ------------------------------------------------------- */

static void *walk_prepare(void)
{
	struct fixture *f = msn_alloc(sizeof(*f));

	CHECK(f);
	*f = setup(true);
	map(f->mm, anon(10, 8));
	put(f->mm, AT(12), 'k');
	return f;
}

static int walk_body(void *state)
{
	struct fixture *f = state;
	struct msn_mmap_opts o = anon(13, 4);
	struct msn_address_space *as;
	struct msn_mm *child = NULL;
	uint64_t addr;
	int rc = msn_mm_mmap(f->mm, &o, &addr);

	if (rc == 0)
		rc = msn_mm_mprotect(f->mm, AT(11), PAGE, MSN_ACCESS_READ);
	if (rc == 0)
		rc = msn_platform_none_new(&as);
	if (rc == 0)
		rc = msn_mm_fork(f->mm, as, &child);
	if (rc == 0) {
		size_t done;

		rc = msn_mm_copy_out(child, AT(12), "c", 1, plain, &done);
	}
	if (rc == 0)
		rc = msn_mm_munmap(f->mm, AT(14), PAGE);
	msn_mm_free(child);
	return rc;
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	/* A failed allocation that was only a reserve may go unnoticed. */
	EXPECT(rc == 0 || (name && rc < 0));
	EXPECT(msn_mm_check(f->mm) == NULL);
	EXPECT(get(f->mm, AT(12)) == 'k');
	teardown(f);
	free(f);
}

static void every_failure_leaves_the_space_whole(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 10);
}

/* Two mappings whose pages are one placement. */
static void *frozen_prepare(void)
{
	struct fixture *f = walk_prepare();

	CHECK(msn_mm_madvise(f->mm, AT(14), 4 * PAGE, MADV_DONTDUMP) == 0);
	put(f->mm, AT(15), 'l');
	return f;
}

static int frozen_body(void *state)
{
	struct fixture *f = state;
	struct msn_address_space *as;
	struct msn_mm *child = NULL;
	int rc = msn_platform_none_new(&as);

	if (rc == 0)
		rc = msn_mm_fork(f->mm, as, &child);
	msn_mm_free(child);
	return rc;
}

/* What the parent wrote last is seen by a walk and by the next child. */
static void frozen_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;
	struct seen s = { 0 };
	struct msn_mm *child;
	size_t found = 0;

	EXPECT(rc == 0 || (name && rc < 0));
	put(f->mm, AT(12), 'x');
	CHECK(msn_mm_for_each_private_run(
		      f->mm, (struct msn_addr_range){ AT(12), AT(13) }, see,
		      &s) == 0);
	for (size_t i = 0; i < s.count; i++) {
		size_t done;
		char c;
		int read =
			s.runs[i].file
				? msn_file_read(s.runs[i].file,
						s.runs[i].offset, &c, 1, &done)
				: msn_mm_read_private(
					  f->mm, s.runs[i].addr.start, &c, 1);

		EXPECT(read == 0 && c == 'x');
		found++;
	}
	EXPECT(found == 1);
	child = fork_of(f->mm);
	put(f->mm, AT(12), 'y');
	put(f->mm, AT(15), 'y');
	EXPECT(get(child, AT(12)) == 'x' && get(child, AT(15)) == 'l');
	msn_mm_free(child);
	teardown(f);
	free(f);
}

static void a_fork_that_fails_leaves_no_page_half_shared(void)
{
	EXPECT(check_every_fault(frozen_prepare, frozen_body, frozen_verify) >
	       10);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(parent_and_child_do_not_see_each_others_writes),
		CHECK_TEST(a_grandchild_sees_what_its_parent_had),
		CHECK_TEST(a_write_after_fork_copies_one_page),
		CHECK_TEST(the_last_owner_of_a_page_writes_it_in_place),
		CHECK_TEST(shared_memory_stays_shared_across_fork),
		CHECK_TEST(a_child_on_page_tables_hands_its_pages_on),
		CHECK_TEST(what_a_child_writes_to_page_tables_is_not_given_up),
		CHECK_TEST(clones_of_an_image_share_it_until_they_write),
		CHECK_TEST(a_walk_tells_the_images_pages_from_the_spaces_own),
		CHECK_TEST(a_walk_leaves_out_what_was_never_touched),
		CHECK_TEST(every_failure_leaves_the_space_whole),
		CHECK_TEST(a_fork_that_fails_leaves_no_page_half_shared),
		{}
	};

	return check_main(argc, argv, "mm fork", tests);
}
