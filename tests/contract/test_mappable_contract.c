/*
 * The promises of struct msn_mappable_ops and struct msn_identity_ops, put to
 * every implementation, and the checker put to every broken promise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "contract/makers.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define PAGES(a, b) ((struct msn_obj_range){ (a)*PAGE, (b)*PAGE })
#define ADDRS(a, b) ((struct msn_addr_range){ (a)*PAGE, (b)*PAGE })

#define FOR_EACH_MAKER(mk)                                                     \
	for (const struct mappable_maker *mk = mappable_makers;                \
	     mk < mappable_makers + mappable_maker_count; mk++)

static struct made_mappable made(const struct mappable_maker *mk)
{
	struct made_mappable m = { 0 };

	printf("\n    %s", mk->name);
	mk->make(&m);
	return m;
}

static unsigned wanted(const struct mappable_maker *mk)
{
	return mk->writable ? MSN_ACCESS_WRITE : MSN_ACCESS_READ;
}

/* A mapping space that remembers what it was told. */
struct recorder {
	struct msn_mapping_space base;
	struct msn_addr_range last;
	bool private;
	unsigned calls;
};

static void record(struct msn_mapping_space *ms, struct msn_addr_range ar,
		   struct msn_invalidate_opts opts)
{
	struct recorder *r = msn_container_of(ms, struct recorder, base);

	r->last = ar;
	r->private = opts.invalidate_private;
	r->calls++;
}

static const struct msn_mapping_space_ops recorder_ops = {
	.invalidate = record,
};

static void a_page_inside_is_translated(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct msn_translation run;
		int why;

		CHECK(msn_mappable_translate(m.obj, PAGES(3, 4), PAGES(3, 4),
					     MSN_ACCESS_READ, &run, 1,
					     &why) == 1);
		EXPECT(run.source.start == 3 * PAGE &&
		       run.source.end == 4 * PAGE);
		EXPECT(why == 0);
		m.free(&m);
	}
}

static void translation_stays_inside_optional(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct msn_translation runs[4];
		int why, n;

		n = msn_mappable_translate(m.obj, PAGES(4, 5), PAGES(2, 9),
					   wanted(mk), runs, 4, &why);
		CHECK(n >= 1);
		EXPECT(runs[0].source.start >= 2 * PAGE);
		EXPECT(runs[n - 1].source.end <= 9 * PAGE);
		m.free(&m);
	}
}

static void past_the_end_is_a_bus_error(void)
{
	/*
	 * pages    0 ... 14 15 | 16 17
	 * asked             *  |  *
	 * given             =
	 */
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct msn_translation runs[4];
		int why;

		CHECK(msn_mappable_translate(m.obj, PAGES(15, 17),
					     PAGES(15, 17), MSN_ACCESS_READ,
					     runs, 4, &why) == 1);
		EXPECT(why == MSN_MAPPABLE_E_BUS);
		EXPECT(runs[0].source.end == 16 * PAGE);
		m.free(&m);
	}
}

static void wholly_past_the_end_gives_nothing(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct msn_translation run;
		int why;

		EXPECT(msn_mappable_translate(m.obj, PAGES(20, 21),
					      PAGES(0, 30), MSN_ACCESS_READ,
					      &run, 1, &why) == 0);
		EXPECT(why == MSN_MAPPABLE_E_BUS);
		m.free(&m);
	}
}

static void the_same_offset_is_the_same_page(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct msn_translation a, b;
		size_t done;
		char byte = 0;
		int why;

		CHECK(msn_mappable_translate(m.obj, PAGES(7, 8), PAGES(7, 8),
					     wanted(mk), &a, 1, &why) == 1);
		CHECK(msn_mappable_translate(m.obj, PAGES(7, 8), PAGES(0, 16),
					     MSN_ACCESS_READ, &b, 1,
					     &why) == 1);
		EXPECT(a.file == b.file);
		EXPECT(a.offset - 7 * PAGE == b.offset - b.source.start);
		if (mk->writable)
			CHECK(msn_file_write(a.file, a.offset, "!", 1, &done) ==
			      0);
		CHECK(msn_file_read(b.file,
				    b.offset + (7 * PAGE - b.source.start),
				    &byte, 1, &done) == 0);
		EXPECT(byte == (mk->writable ? '!' : 'H'));
		m.free(&m);
	}
}

static void mappings_come_and_go_in_pieces(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct recorder r = { .base = { &recorder_ops } };

		CHECK(msn_mappable_add_mapping(m.obj, &r.base, ADDRS(100, 108),
					       0, true) == 0);
		CHECK(msn_mappable_copy_mapping(m.obj, &r.base, ADDRS(100, 108),
						ADDRS(200, 208), 0, true) == 0);
		msn_mappable_remove_mapping(m.obj, &r.base, ADDRS(100, 103), 0,
					    true);
		msn_mappable_remove_mapping(m.obj, &r.base, ADDRS(200, 208), 0,
					    true);
		msn_mappable_remove_mapping(m.obj, &r.base, ADDRS(103, 108),
					    3 * PAGE, true);
		m.free(&m); /* fails if anything is still mapped */
	}
}

static void preparing_to_save_may_be_asked_again_and_again(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);

		EXPECT(msn_mappable_invalidate_unsavable(m.obj) == 0);
		EXPECT(msn_mappable_invalidate_unsavable(m.obj) == 0);
		m.free(&m);
	}
}

static void a_used_page_is_resident_and_data(void)
{
	/*
	 * pages     0 1 2 3 4 ... 15 | 16 17
	 * used            *
	 * resident  ? ? ? 1 ?      ? |  0  0
	 */
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct msn_obj_range left = PAGES(0, 16), data;
		struct msn_translation run;
		uint8_t vec[18];
		bool found = false;
		size_t done;
		int why;

		CHECK(msn_mappable_translate(m.obj, PAGES(3, 4), PAGES(3, 4),
					     wanted(mk), &run, 1, &why) == 1);
		if (mk->writable)
			CHECK(msn_file_write(run.file, run.offset, "!", 1,
					     &done) == 0);
		CHECK(msn_mappable_resident(m.obj, PAGES(0, 18), vec) == 0);
		EXPECT(vec[3] == 1 && vec[16] == 0 && vec[17] == 0);
		while (left.start < left.end &&
		       msn_mappable_next_data(m.obj, left, &data) == 0) {
			found |= msn_obj_range_covers(data, PAGES(3, 4));
			left.start = data.end;
		}
		EXPECT(found);
		m.free(&m);
	}
}

static void what_is_allocated_is_told_or_not_known(void)
{
	/*
	 * pages     0 1 2 3 4 5 ...
	 * touched         * *
	 */
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct msn_obj_range all = PAGES(0, 1000), got;
		struct msn_translation run[2];
		bool written, found = false;
		int why, rc;

		CHECK(msn_mappable_translate(m.obj, PAGES(3, 5), PAGES(3, 5),
					     MSN_ACCESS_READ, run, 2,
					     &why) > 0);
		while (all.start < all.end &&
		       (rc = msn_mappable_next_allocated(m.obj, all, &got,
							 &written)) == 0) {
			EXPECT(written);
			found |= msn_obj_range_covers(got, PAGES(3, 5));
			all.start = got.end;
		}
		EXPECT(rc == (found ? MSN_MAPPABLE_E_NO_DATA : -EOPNOTSUPP));
		m.free(&m);
	}
}

static void without_a_seal_a_mapping_keeps_its_rights(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		unsigned max = MSN_ACCESS_ANY;

		EXPECT(msn_mappable_check_mmap(m.obj, true, MSN_ACCESS_WRITE,
					       &max) == 0);
		EXPECT(max == MSN_ACCESS_ANY);
		m.free(&m);
	}
}

static void an_identity_names_its_object(void)
{
	FOR_EACH_MAKER (mk) {
		struct made_mappable m = made(mk);
		struct msn_identity_saved saved;

		EXPECT(*msn_identity_mapped_name(m.id));
		EXPECT(msn_identity_inode_id(m.id) != 0);
		EXPECT(msn_identity_msync(m.id, PAGES(0, 1)) == 0);
		CHECK(msn_identity_save(m.id, &saved) == 0);
		EXPECT(saved.as == mk->saved_as);
		EXPECT(saved.file.size_bytes == MADE_PAGES * PAGE);
		m.free(&m);
	}
}

/* ---- The checker --------------------------------------------------------- */

static int any_file;

static struct msn_translation run_of(uint64_t first, uint64_t end)
{
	return (struct msn_translation){
		.source = PAGES(first, end),
		.file = (struct msn_file *)(void *)&any_file,
		.offset = first * PAGE,
		.perms = MSN_ACCESS_READ,
	};
}

static const char *check_of(struct msn_obj_range required,
			    struct msn_obj_range optional,
			    const struct msn_translation *runs, size_t count,
			    int why)
{
	return msn_check_translate_result(
		&(struct msn_translate_result){ .required = required,
						.optional = optional,
						.access = MSN_ACCESS_READ,
						.runs = runs,
						.count = count,
						.max = count + 1,
						.why = why });
}

static void a_right_answer_passes_the_check(void)
{
	struct msn_translation runs[] = { run_of(1, 4), run_of(4, 6) };

	EXPECT(!check_of(PAGES(2, 5), PAGES(0, 8), runs, 2, 0));
	EXPECT(!check_of(PAGES(2, 7), PAGES(0, 8), runs, 2,
			 MSN_MAPPABLE_E_BUS));
	EXPECT(!check_of(PAGES(2, 7), PAGES(0, 8), NULL, 0, -EIO));
}

static void each_broken_promise_is_named(void)
{
	struct msn_translation runs[2];
	const char *said[11];

	runs[0] = run_of(3, 5); /* 1: misses the required start */
	said[0] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 1, 0);
	runs[0] = run_of(2, 5);
	runs[1] = run_of(5, 5); /* 2: empty */
	said[1] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 2, 0);
	runs[0] = run_of(2, 5);
	runs[0].source.end--; /* 3: not aligned */
	said[2] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 1, 0);
	runs[0] = run_of(2, 5);
	runs[0].file = NULL; /* 4: no file */
	said[3] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 1, 0);
	runs[0] = run_of(2, 5);
	runs[0].offset++; /* 5: file offset not aligned */
	said[4] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 1, 0);
	runs[0] = run_of(2, 3);
	runs[1] = run_of(4, 5); /* 6: a gap */
	said[5] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 2, 0);
	runs[0] = run_of(2, 5);
	runs[1] = run_of(5, 6); /* 7: outside required */
	said[6] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 2, 0);
	runs[0] = run_of(2, 9); /* 8: outside optional */
	said[7] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 1, 0);
	runs[0] = run_of(2, 5);
	runs[0].perms = MSN_ACCESS_EXEC; /* 9: access not permitted */
	said[8] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 1, 0);
	/* 10: nothing at all, and no reason */
	said[9] = check_of(PAGES(2, 5), PAGES(0, 8), NULL, 0, 0);
	runs[0] = run_of(2, 4); /* 11: stops short without a reason */
	said[10] = check_of(PAGES(2, 5), PAGES(0, 8), runs, 1, 0);

	for (size_t i = 0; i < MSN_ARRAY_LEN(said); i++) {
		CHECK(said[i]);
		for (size_t k = 0; k < i; k++)
			EXPECT(strcmp(said[i], said[k]) != 0);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_page_inside_is_translated),
		CHECK_TEST(translation_stays_inside_optional),
		CHECK_TEST(past_the_end_is_a_bus_error),
		CHECK_TEST(wholly_past_the_end_gives_nothing),
		CHECK_TEST(the_same_offset_is_the_same_page),
		CHECK_TEST(mappings_come_and_go_in_pieces),
		CHECK_TEST(preparing_to_save_may_be_asked_again_and_again),
		CHECK_TEST(a_used_page_is_resident_and_data),
		CHECK_TEST(what_is_allocated_is_told_or_not_known),
		CHECK_TEST(without_a_seal_a_mapping_keeps_its_rights),
		CHECK_TEST(an_identity_names_its_object),
		CHECK_TEST(a_right_answer_passes_the_check),
		CHECK_TEST(each_broken_promise_is_named),
		{}
	};

	return check_main(argc, argv, "mappable contract", tests);
}
