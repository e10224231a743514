/*
 * Segment set: insert, merge, find, remove, split, isolate; memory running out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "picture.h"

#include <errno.h>

static const struct letter a = { 'a' }, b = { 'b' };

static void an_insert_between_others_keeps_the_order(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "Aa....Cc");
	CHECK(letters_insert(&set, PAGES(3, 5), &b, &s) == 0);
	EXPECT(letters_look(&set, "Aa.Bb.Cc"));
	EXPECT(letters_range(s).start == 3 * MSN_PAGE_SIZE);
	EXPECT(letters_value(&set, s)->name == 'b');
	EXPECT(set.core.count == 3 && set.core.span == 6 * MSN_PAGE_SIZE);
	letters_deinit(&set);
}

static void touching_neighbours_of_another_value_stay_apart(void)
{
	struct letters set;

	letters_draw(&set, "Aa..Cc");
	CHECK(letters_insert(&set, PAGES(2, 4), &b, NULL) == 0);
	EXPECT(letters_look(&set, "AaBbCc"));
	letters_deinit(&set);
}

static void merge_joins_both_neighbours(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "Aa..Aa.B");
	CHECK(letters_insert(&set, PAGES(2, 4), &a, &s) == 0);
	EXPECT(letters_look(&set, "Aaaaaa.B"));
	EXPECT(letters_range(s).end == 6 * MSN_PAGE_SIZE);
	letters_deinit(&set);
}

static void merge_joins_the_lower_neighbour_alone(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "Aa..B");
	CHECK(letters_insert(&set, PAGES(2, 4), &a, &s) == 0);
	EXPECT(letters_look(&set, "AaaaB"));
	EXPECT(letters_range(s).start == 0);
	letters_deinit(&set);
}

static void merge_joins_the_upper_neighbour_alone(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "B..Aa");
	CHECK(letters_insert(&set, PAGES(1, 3), &a, &s) == 0);
	EXPECT(letters_look(&set, "BAaaa"));
	EXPECT(letters_range(s).start == MSN_PAGE_SIZE);
	letters_deinit(&set);
}

static void an_unmerged_insert_stays_by_itself(void)
{
	struct letters set;

	letters_draw(&set, "Aa..Aa");
	CHECK(letters_insert_unmerged(&set, PAGES(2, 4), &a, NULL) == 0);
	EXPECT(letters_look(&set, "AaAaAa"));
	letters_deinit(&set);
}

static void find_needs_the_byte_and_lower_the_next_end(void)
{
	struct letters set;

	/* pages  0123456 */
	letters_draw(&set, ".Aa..B.");
	EXPECT(!msn_seg_ok(letters_find(&set, 0)));
	EXPECT(msn_seg_ok(letters_find(&set, MSN_PAGE_SIZE)));
	EXPECT(msn_seg_ok(letters_find(&set, 3 * MSN_PAGE_SIZE - 1)));
	EXPECT(!msn_seg_ok(letters_find(&set, 3 * MSN_PAGE_SIZE)));
	EXPECT(!msn_seg_ok(letters_find(&set, UINT64_MAX)));

	EXPECT(letters_range(letters_lower(&set, 0)).start == MSN_PAGE_SIZE);
	EXPECT(letters_range(letters_lower(&set, 0x2fff)).start ==
	       MSN_PAGE_SIZE);
	EXPECT(letters_range(letters_lower(&set, 0x3000)).start ==
	       5 * MSN_PAGE_SIZE);
	EXPECT(!msn_seg_ok(letters_lower(&set, 6 * MSN_PAGE_SIZE)));
	letters_deinit(&set);
}

static void an_empty_set_has_nothing_to_find(void)
{
	struct letters set;

	letters_draw(&set, "");
	EXPECT(!msn_seg_ok(letters_find(&set, 0)));
	EXPECT(!msn_seg_ok(letters_lower(&set, 0)));
	EXPECT(!msn_seg_ok(letters_first(&set)));
	EXPECT(!msn_seg_ok(msn_segset_last(&set.core)));
	EXPECT(letters_is_free(&set, PAGES(0, 100)));
	letters_deinit(&set);
}

static void walking_goes_both_ways(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "A.Bb");
	s = msn_segset_last(&set.core);
	EXPECT(letters_value(&set, s)->name == 'b');
	EXPECT(!msn_seg_ok(msn_seg_next(s)));
	s = msn_seg_prev(s);
	EXPECT(letters_value(&set, s)->name == 'a');
	EXPECT(!msn_seg_ok(msn_seg_prev(s)));
	letters_deinit(&set);
}

static void remove_returns_the_segment_after(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "A.B.C");
	s = letters_remove(&set, letters_find(&set, 2 * MSN_PAGE_SIZE));
	EXPECT(letters_value(&set, s)->name == 'c');
	EXPECT(letters_look(&set, "A...C"));
	s = letters_remove(&set, s);
	EXPECT(!msn_seg_ok(s));
	EXPECT(letters_look(&set, "A...."));
	s = letters_remove(&set, letters_first(&set));
	EXPECT(!msn_seg_ok(s));
	EXPECT(letters_look(&set, "....."));
	letters_deinit(&set);
}

static void split_gives_two_parts_of_one_value(void)
{
	struct letters set;
	struct msn_seg left, right;

	letters_draw(&set, "Aaaa");
	CHECK(msn_segset_split(&set.core, letters_first(&set),
			       3 * MSN_PAGE_SIZE, &left, &right) == 0);
	EXPECT(letters_look(&set, "AaaA"));
	EXPECT(letters_range(left).end == letters_range(right).start);
	letters_deinit(&set);
}

static void isolate_cuts_at_both_ends(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "Aaa.Bbb");
	CHECK(letters_isolate(&set, PAGES(1, 5), &s) == 0);
	EXPECT(letters_look(&set, "AAa.BBb"));
	EXPECT(letters_range(s).start == MSN_PAGE_SIZE);
	letters_deinit(&set);
}

static void isolate_inside_one_segment_makes_three(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "Aaaaa");
	CHECK(letters_isolate(&set, PAGES(1, 3), &s) == 0);
	EXPECT(letters_look(&set, "AAaAa"));
	EXPECT(letters_range(s).end == 3 * MSN_PAGE_SIZE);
	letters_deinit(&set);
}

static void isolate_at_borders_changes_nothing(void)
{
	struct letters set;
	struct msn_seg s;

	letters_draw(&set, "Aa..Bb");
	CHECK(letters_isolate(&set, PAGES(0, 4), &s) == 0);
	EXPECT(letters_look(&set, "Aa..Bb"));
	EXPECT(letters_range(s).start == 0);
	CHECK(letters_isolate(&set, PAGES(2, 4), &s) == 0);
	EXPECT(!msn_seg_ok(s));
	letters_deinit(&set);
}

static void merge_range_undoes_isolate(void)
{
	struct letters set;

	letters_draw(&set, "Aaa.Bbb");
	CHECK(letters_isolate(&set, PAGES(1, 5), NULL) == 0);
	letters_merge_range(&set, PAGES(1, 5));
	EXPECT(letters_look(&set, "Aaa.Bbb"));
	letters_deinit(&set);
}

static void merge_range_leaves_what_lies_outside(void)
{
	struct letters set;

	/* pages  01234567 */
	letters_draw(&set, "AAAAAAAA");
	letters_merge_range(&set, PAGES(2, 5));
	EXPECT(letters_look(&set, "AAaaaaAA"));
	letters_deinit(&set);
}

static void free_means_no_byte_is_taken(void)
{
	struct letters set;

	letters_draw(&set, "A..B");
	EXPECT(letters_is_free(&set, PAGES(1, 3)));
	EXPECT(!letters_is_free(&set, PAGES(0, 2)));
	EXPECT(!letters_is_free(&set, PAGES(2, 4)));
	EXPECT(letters_is_free(&set, PAGES(4, 9)));
	EXPECT(letters_is_free(&set, (struct msn_addr_range){ 5, 5 }));
	letters_deinit(&set);
}

/* Cut values keep count of where they came from. */
static void count_split(struct msn_seg_range r, void *value, uint64_t at,
			void *right)
{
	const uint64_t *offset = value;

	*(uint64_t *)right = *offset + (at - r.start);
}

static void the_split_policy_adjusts_the_right_part(void)
{
	static const struct msn_segset_ops ops = {
		.value_size = sizeof(uint64_t),
		.split = count_split,
	};
	struct msn_segset set;
	struct msn_seg left, right;
	uint64_t offset = 100;

	msn_segset_init(&set, &ops);
	CHECK(msn_segset_insert(&set, (struct msn_seg_range){ 10, 20 }, &offset,
				&left) == 0);
	CHECK(msn_segset_split(&set, left, 13, &left, &right) == 0);
	EXPECT(*(uint64_t *)msn_seg_value(&set, left) == 100);
	EXPECT(*(uint64_t *)msn_seg_value(&set, right) == 103);
	msn_segset_deinit(&set);
}

static void a_set_without_values_keeps_ranges(void)
{
	static const struct msn_segset_ops ops = { .value_size = 0 };
	struct msn_segset set;

	msn_segset_init(&set, &ops);
	for (uint64_t i = 0; i < 1000; i++)
		CHECK(msn_segset_insert(
			      &set, (struct msn_seg_range){ 2 * i, 2 * i + 1 },
			      NULL, NULL) == 0);
	EXPECT(set.count == 1000 && set.span == 1000);
	EXPECT(msn_segset_check(&set) == NULL);
	msn_segset_deinit(&set);
}

static void the_top_of_the_number_line_can_be_used(void)
{
	struct letters set;
	struct msn_addr_range top = { UINT64_MAX - 1, UINT64_MAX };

	letters_init(&set, &letters_ops);
	CHECK(letters_insert(&set, top, &a, NULL) == 0);
	EXPECT(msn_seg_ok(letters_find(&set, UINT64_MAX - 1)));
	EXPECT(!msn_seg_ok(letters_find(&set, UINT64_MAX)));
	letters_deinit(&set);
}

/* Fills @set with @count one-page segments, every other page, by @order. */
static void letters_fill(struct letters *set, uint64_t count, int order)
{
	letters_init(set, &letters_ops);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = order < 0 ? count - 1 - i : i;

		if (order == 0)
			at = i * 7919 % count;
		CHECK(letters_insert(set, PAGES(2 * at, 2 * at + 1), &a,
				     NULL) == 0);
	}
}

static void thousands_come_and_go_in_every_order(void)
{
	enum { COUNT = 5000 };

	for (int order = -1; order <= 1; order++) {
		struct letters set;

		letters_fill(&set, COUNT, order);
		EXPECT(set.core.count == COUNT);
		EXPECT(msn_segset_check(&set.core) == NULL);
		for (uint64_t i = 0; i < COUNT; i++) {
			uint64_t at = i * 4099 % COUNT * 2 * MSN_PAGE_SIZE;

			letters_remove(&set, letters_find(&set, at));
			if (i % 64 == 0)
				EXPECT(msn_segset_check(&set.core) == NULL);
		}
		EXPECT(set.core.count == 0 && set.core.height == 0);
		letters_deinit(&set);
	}
}

/*
 * Each insert at an edge of a set that is full to the brim may open a node on
 * every level; taking the same segment out must take them all away again.
 */
static void an_edge_grows_and_shrinks_by_one(void)
{
	static const struct msn_segset_ops ops = {
		.value_size = MSN_SEGSET_VALUE_MAX,
	};
	static const unsigned char wide[MSN_SEGSET_VALUE_MAX];
	enum { COUNT = 2000 };

	for (int down = 0; down <= 1; down++) {
		struct msn_segset set;

		msn_segset_init(&set, &ops);
		for (uint64_t i = 0; i < COUNT; i++) {
			uint64_t at = 2 * (down ? COUNT - i : i);
			struct msn_seg_range r = { at, at + 1 };
			struct msn_seg s;

			CHECK(msn_segset_insert(&set, r, wide, &s) == 0);
			s = msn_segset_remove(&set, s);
			CHECK(msn_segset_check(&set) == NULL);
			EXPECT(msn_seg_ok(s) == (down && i > 0));
			CHECK(msn_segset_insert(&set, r, wide, NULL) == 0);
			CHECK(set.count == i + 1);
		}
		EXPECT(set.height >= 3 && msn_segset_check(&set) == NULL);
		msn_segset_deinit(&set);
	}
}

static void clear_keeps_what_was_reserved(void)
{
	struct letters set;

	letters_fill(&set, 5000, 1);
	CHECK(msn_segset_reserve(&set.core, 4) == 0);
	msn_segset_clear(&set.core);
	EXPECT(set.core.count == 0 && set.core.span == 0);
	EXPECT(msn_segset_check(&set.core) == NULL);
	msn_fault_arm(1);
	EXPECT(letters_insert(&set, PAGES(0, 1), &a, NULL) == 0);
	msn_fault_arm(0);
	letters_deinit(&set);
}

/*
 * Faults.  The set is filled so that every change needs nodes on all levels:
 * ascending inserts leave full nodes behind.
 */
struct faulty {
	struct letters set;
	size_t count;
	uint64_t span;
};

enum { FULL = 4000 };

static void *fault_full_set(void)
{
	struct faulty *f = calloc(1, sizeof(*f));

	CHECK(f);
	letters_init(&f->set, &letters_ops);
	for (uint64_t i = 0; i < FULL; i++)
		CHECK(letters_insert_unmerged(&f->set, PAGES(4 * i, 4 * i + 3),
					      &a, NULL) == 0);
	f->count = f->set.core.count;
	f->span = f->set.core.span;
	return f;
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct faulty *f = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	EXPECT(msn_segset_check(&f->set.core) == NULL);
	EXPECT((f->set.core.count == f->count) == (name != NULL));
	EXPECT(!name || f->set.core.span == f->span);
	letters_deinit(&f->set);
	free(f);
}

static int fault_insert(void *state)
{
	struct faulty *f = state;

	return letters_insert(&f->set, PAGES(4 * 50 + 3, 4 * 50 + 4), &b, NULL);
}

static int fault_split(void *state)
{
	struct faulty *f = state;
	struct msn_seg left, right;

	return msn_segset_split(&f->set.core,
				letters_find(&f->set, 400 * MSN_PAGE_SIZE),
				401 * MSN_PAGE_SIZE, &left, &right);
}

static int fault_isolate(void *state)
{
	struct faulty *f = state;

	return letters_isolate(&f->set, PAGES(401, 4 * 2000 + 1), NULL);
}

static void an_insert_without_memory_changes_nothing(void)
{
	EXPECT(check_every_fault(fault_full_set, fault_insert, fault_verify) >=
	       1);
}

static void a_split_without_memory_changes_nothing(void)
{
	EXPECT(check_every_fault(fault_full_set, fault_split, fault_verify) >=
	       1);
}

static void an_isolate_without_memory_changes_nothing(void)
{
	EXPECT(check_every_fault(fault_full_set, fault_isolate, fault_verify) >=
	       2);
}

static void a_failed_reserve_changes_nothing(void)
{
	struct faulty *f = fault_full_set();

	for (unsigned nth = 1; nth <= 3; nth++) {
		msn_fault_arm(nth);
		EXPECT(msn_segset_reserve(&f->set.core, 3) == -ENOMEM);
		msn_fault_arm(0);
		EXPECT(msn_segset_check(&f->set.core) == NULL);
		EXPECT(f->set.core.count == f->count);
	}
	letters_deinit(&f->set);
	free(f);
}

static int fault_changes_after_reserve(void *state)
{
	struct faulty *f = state;
	const char *fired = NULL;
	int rc;

	/* 3 inserts or splits: isolate counts for two. */
	CHECK(msn_segset_reserve(&f->set.core, 3) == 0);
	msn_fault_arm(1);
	rc = letters_insert(&f->set, PAGES(4 * 50 + 3, 4 * 50 + 4), &b, NULL);
	if (!rc)
		rc = letters_isolate(&f->set, PAGES(401, 4 * 2000 + 1), NULL);
	fired = msn_fault_fired();
	msn_fault_arm(0);
	EXPECT(fired == NULL);
	return rc;
}

static void nothing_fails_after_reserve(void)
{
	struct faulty *f = fault_full_set();

	EXPECT(fault_changes_after_reserve(f) == 0);
	EXPECT(f->set.core.count == f->count + 3);
	EXPECT(msn_segset_check(&f->set.core) == NULL);
	letters_deinit(&f->set);
	free(f);
}

static void an_insert_that_merges_needs_no_memory(void)
{
	struct faulty *f = fault_full_set();

	msn_fault_arm(1);
	EXPECT(letters_insert(&f->set, PAGES(203, 204), &a, NULL) == 0);
	msn_fault_arm(0);
	EXPECT(f->set.core.count == f->count - 1);
	letters_deinit(&f->set);
	free(f);
}

static void many_changes_after_one_reserve_succeed(void)
{
	struct letters set;

	/* From an empty set, past several root splits. */
	letters_init(&set, &letters_ops);
	CHECK(msn_segset_reserve(&set.core, 3000) == 0);
	msn_fault_arm(1);
	for (uint64_t i = 0; i < 3000; i++)
		EXPECT(letters_insert(&set, PAGES(2 * i, 2 * i + 1), &a,
				      NULL) == 0);
	msn_fault_arm(0);
	EXPECT(set.core.count == 3000 && set.core.height >= 2);
	letters_deinit(&set);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_insert_between_others_keeps_the_order),
		CHECK_TEST(touching_neighbours_of_another_value_stay_apart),
		CHECK_TEST(merge_joins_both_neighbours),
		CHECK_TEST(merge_joins_the_lower_neighbour_alone),
		CHECK_TEST(merge_joins_the_upper_neighbour_alone),
		CHECK_TEST(an_unmerged_insert_stays_by_itself),
		CHECK_TEST(find_needs_the_byte_and_lower_the_next_end),
		CHECK_TEST(an_empty_set_has_nothing_to_find),
		CHECK_TEST(walking_goes_both_ways),
		CHECK_TEST(remove_returns_the_segment_after),
		CHECK_TEST(split_gives_two_parts_of_one_value),
		CHECK_TEST(isolate_cuts_at_both_ends),
		CHECK_TEST(isolate_inside_one_segment_makes_three),
		CHECK_TEST(isolate_at_borders_changes_nothing),
		CHECK_TEST(merge_range_undoes_isolate),
		CHECK_TEST(merge_range_leaves_what_lies_outside),
		CHECK_TEST(free_means_no_byte_is_taken),
		CHECK_TEST(the_split_policy_adjusts_the_right_part),
		CHECK_TEST(a_set_without_values_keeps_ranges),
		CHECK_TEST(the_top_of_the_number_line_can_be_used),
		CHECK_TEST(thousands_come_and_go_in_every_order),
		CHECK_TEST(an_edge_grows_and_shrinks_by_one),
		CHECK_TEST(clear_keeps_what_was_reserved),
		CHECK_TEST(an_insert_without_memory_changes_nothing),
		CHECK_TEST(a_split_without_memory_changes_nothing),
		CHECK_TEST(an_isolate_without_memory_changes_nothing),
		CHECK_TEST(a_failed_reserve_changes_nothing),
		CHECK_TEST(nothing_fails_after_reserve),
		CHECK_TEST(an_insert_that_merges_needs_no_memory),
		CHECK_TEST(many_changes_after_one_reserve_succeed),
		{}
	};

	return check_main(argc, argv, "segset", tests);
}
