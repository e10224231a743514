/*
 * Process object: places, translation, life.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "capture/procobj.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE MSN_PAGE_SIZE
#define PAGES(a, b) ((struct msn_obj_range){ (a)*PAGE, (b)*PAGE })

/* Stands for a process's memory: translations only name it. */
static struct msn_file memory;

static struct msn_procobj *make(int fd)
{
	const struct msn_procobj_opts opts = { .as = MSN_SAVED_AS_CONTENT,
					       .name = "/memfd:x (deleted)",
					       .dev = 1,
					       .inode = 77,
					       .memory = &memory,
					       .fd = fd };
	struct msn_procobj *o;

	CHECK(msn_procobj_new(&o, &opts) == 0);
	return o;
}

static void drop(struct msn_procobj *o)
{
	msn_identity_dec_ref(msn_procobj_identity(o, 0));
}

static int translate(struct msn_procobj *o, struct msn_obj_range r,
		     struct msn_translation *out, size_t max, int *why)
{
	return msn_mappable_translate(msn_procobj_mappable(o), r, r,
				      MSN_ACCESS_READ, out, max, why);
}

static void places_are_found_by_offset(void)
{
	struct msn_procobj *o = make(-1);
	struct msn_translation t[4];
	int why;

	/*
	 * object   0 1 2 3 4 5 6 7 8
	 * at 100p  =====
	 * at 200p      =====           only 3 and 4 are new
	 * at 300p              ===
	 */
	CHECK(msn_procobj_add_place(o, PAGES(0, 3), 100 * PAGE) == 0);
	CHECK(msn_procobj_add_place(o, PAGES(2, 5), 200 * PAGE) == 0);
	CHECK(msn_procobj_add_place(o, PAGES(6, 8), 300 * PAGE) == 0);
	CHECK(translate(o, PAGES(1, 5), t, 4, &why) == 2);
	EXPECT(t[0].offset == 101 * PAGE && t[0].source.end == 3 * PAGE);
	EXPECT(t[1].offset == 201 * PAGE && t[1].source.end == 5 * PAGE);
	EXPECT(t[0].file == &memory);
	CHECK(translate(o, PAGES(4, 8), t, 4, &why) == 1);
	EXPECT(why == MSN_MAPPABLE_E_BUS);
	CHECK(translate(o, PAGES(5, 6), t, 4, &why) == 0);
	EXPECT(why == MSN_MAPPABLE_E_BUS);
	CHECK(translate(o, PAGES(0, 5), t, 1, &why) == 1);
	EXPECT(why == 0);
	drop(o);
}

static void overlapping_places_stay_disjoint(void)
{
	struct msn_procobj *o = make(-1);
	struct msn_translation t[8];
	int why, n;

	/* 2-3 and 5-6 first, then 0-9 around and between them */
	CHECK(msn_procobj_add_place(o, PAGES(2, 3), 102 * PAGE) == 0);
	CHECK(msn_procobj_add_place(o, PAGES(5, 6), 105 * PAGE) == 0);
	CHECK(msn_procobj_add_place(o, PAGES(0, 9), 100 * PAGE) == 0);
	n = translate(o, PAGES(0, 9), t, 8, &why);
	CHECK(n == 5);
	for (int i = 0; i < n; i++)
		EXPECT(t[i].offset == 100 * PAGE + t[i].source.start);
	EXPECT(t[4].source.end == 9 * PAGE);
	drop(o);
}

static void writing_is_not_for_it(void)
{
	struct msn_procobj *o = make(-1);
	struct msn_translation t;
	int why;

	CHECK(msn_procobj_add_place(o, PAGES(0, 1), PAGE) == 0);
	EXPECT(msn_mappable_translate(msn_procobj_mappable(o), PAGES(0, 1),
				      PAGES(0, 1), MSN_ACCESS_WRITE, &t, 1,
				      &why) == 0);
	EXPECT(why == -EACCES);
	drop(o);
}

static void an_open_object_reads_itself(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	struct msn_translation t;
	struct msn_file_range data;
	struct msn_procobj *o;
	char page[MSN_PAGE_SIZE];
	size_t done;
	int why;

	/*
	 * pages  0 1 2 3 (3 is half a page)
	 * data     =
	 */
	CHECK(ftruncate(fd, 3 * (off_t)PAGE + 2048) == 0);
	CHECK(pwrite(fd, "one", 3, (off_t)PAGE) == 3);
	o = make(fd);
	msn_procobj_set_size(o, 4 * PAGE);
	CHECK(translate(o, PAGES(0, 9), &t, 1, &why) == 1);
	EXPECT(t.source.end == 4 * PAGE && t.offset == 0);
	CHECK(msn_file_next_data(t.file, msn_translation_file_range(&t),
				 &data) == 0);
	EXPECT(data.start == PAGE && data.end == 2 * PAGE);
	EXPECT(msn_file_next_data(t.file,
				  (struct msn_file_range){ 2 * PAGE, 4 * PAGE },
				  &data) == MSN_FILE_E_NO_DATA);
	CHECK(msn_file_read(t.file, PAGE, page, PAGE, &done) == 0);
	EXPECT(memcmp(page, "one", 4) == 0);
	memset(page, 'x', sizeof(page));
	CHECK(msn_file_read(t.file, 3 * PAGE, page, PAGE, &done) == 0);
	EXPECT(page[0] == 0 && page[PAGE - 1] == 0);
	EXPECT(msn_file_read(t.file, 4 * PAGE, page, PAGE, &done) ==
	       MSN_FILE_E_BUS);
	drop(o);
	EXPECT(fcntl(fd, F_GETFD) < 0); /* it was closed */
}

static void it_says_how_it_is_saved(void)
{
	struct msn_procobj *o = make(-1);
	struct msn_identity *id = msn_procobj_identity(o, 0);
	struct msn_identity_saved saved;

	msn_procobj_set_size(o, 8 * PAGE);
	CHECK(msn_identity_save(id, &saved) == 0);
	EXPECT(saved.as == MSN_SAVED_AS_CONTENT);
	EXPECT(saved.file.size_bytes == 8 * PAGE);
	EXPECT(strcmp(msn_identity_mapped_name(id), "/memfd:x (deleted)") == 0);
	EXPECT(msn_identity_device_id(id) == 1);
	EXPECT(msn_identity_inode_id(id) == 77);
	drop(o);
}

static void either_identity_keeps_it(void)
{
	struct msn_procobj *o = make(-1);
	struct msn_identity *even = msn_procobj_identity(o, 4);
	struct msn_identity *odd = msn_procobj_identity(o, 5);

	EXPECT(even != odd && even == msn_procobj_identity(o, 0));
	msn_identity_inc_ref(odd);
	msn_identity_dec_ref(even);
	EXPECT(msn_identity_inode_id(odd) == 77);
	msn_identity_dec_ref(odd);
}

static void *no_state(void)
{
	return NULL;
}

static int make_body(void *state)
{
	const struct msn_procobj_opts opts = { .name = "x", .fd = -1 };
	struct msn_procobj *o;
	int rc = msn_procobj_new(&o, &opts);

	(void)state;
	if (rc)
		return rc;
	rc = msn_procobj_add_place(o, PAGES(0, 1), PAGE);
	drop(o);
	return rc;
}

static void make_verify(void *state, int rc, const char *name)
{
	(void)state;
	EXPECT(rc == (name ? -ENOMEM : 0));
}

static void running_out_of_memory_leaks_nothing(void)
{
	EXPECT(check_every_fault(no_state, make_body, make_verify) == 3);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(places_are_found_by_offset),
		CHECK_TEST(overlapping_places_stay_disjoint),
		CHECK_TEST(writing_is_not_for_it),
		CHECK_TEST(an_open_object_reads_itself),
		CHECK_TEST(it_says_how_it_is_saved),
		CHECK_TEST(either_identity_keeps_it),
		CHECK_TEST(running_out_of_memory_leaks_nothing),
		{}
	};

	return check_main(argc, argv, "procobj", tests);
}
