/*
 * Mapping set: what is mapped first and last, pieces and unions, invalidation,
 * and what it costs with ten thousand spaces.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "mapping/mapping_set.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OBJ(first, end)                                                        \
	((struct msn_obj_range){ (first)*MSN_PAGE_SIZE, (end)*MSN_PAGE_SIZE })
#define ADDR(first, end)                                                       \
	((struct msn_addr_range){ (first)*MSN_PAGE_SIZE, (end)*MSN_PAGE_SIZE })
#define PAGE(n) ((n)*MSN_PAGE_SIZE)

/* A space that writes down what it is told. */
struct space {
	struct msn_mapping_space base;
	char told[256]; /* "10-12 20-21p ": pages, p for private ones too */
};

static void space_invalidate(struct msn_mapping_space *ms,
			     struct msn_addr_range ar,
			     struct msn_invalidate_opts opts)
{
	struct space *space = msn_container_of(ms, struct space, base);
	size_t len = strlen(space->told);

	snprintf(space->told + len, sizeof(space->told) - len, "%d-%d%s ",
		 (int)(ar.start >> MSN_PAGE_SHIFT),
		 (int)(ar.end >> MSN_PAGE_SHIFT),
		 opts.invalidate_private ? "p" : "");
}

static const struct msn_mapping_space_ops space_ops = { space_invalidate };

struct fixture {
	struct msn_mapping_set *set;
	struct space a, b;
	char heard[256]; /* ranges that came or went: "0-4 " */
};

static void hear(void *ctx, struct msn_obj_range r)
{
	struct fixture *f = ctx;
	size_t len = strlen(f->heard);

	snprintf(f->heard + len, sizeof(f->heard) - len, "%d-%d ",
		 (int)(r.start >> MSN_PAGE_SHIFT),
		 (int)(r.end >> MSN_PAGE_SHIFT));
}

static void *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CHECK(f);
	CHECK(msn_mapping_set_new(&f->set) == 0);
	f->a.base.ops = f->b.base.ops = &space_ops;
	return f;
}

static void fixture_free(struct fixture *f)
{
	CHECK(msn_mapping_set_check(f->set) == NULL);
	msn_mapping_set_free(f->set);
	free(f);
}

/* Adds and tells whether exactly @fresh came to be mapped. */
static bool adds(struct fixture *f, struct space *s, struct msn_addr_range ar,
		 uint64_t page, bool writable, const char *fresh)
{
	int rc;

	f->heard[0] = '\0';
	rc = msn_mapping_set_add(f->set, &s->base, ar, PAGE(page), writable,
				 hear, f);
	return rc == 0 && strcmp(f->heard, fresh) == 0 &&
	       msn_mapping_set_check(f->set) == NULL;
}

static bool removes(struct fixture *f, struct space *s,
		    struct msn_addr_range ar, uint64_t page, bool writable,
		    const char *gone)
{
	f->heard[0] = '\0';
	msn_mapping_set_remove(f->set, &s->base, ar, PAGE(page), writable, hear,
			       f);
	return strcmp(f->heard, gone) == 0 &&
	       msn_mapping_set_check(f->set) == NULL;
}

static void invalidate(struct fixture *f, struct msn_obj_range r, bool private)
{
	f->a.told[0] = f->b.told[0] = '\0';
	msn_mapping_set_invalidate(
		f->set, r,
		(struct msn_invalidate_opts){ .invalidate_private = private });
}

static void only_the_first_mapping_of_a_page_is_fresh(void)
{
	struct fixture *f = fixture_new();

	/*
	 * pages  0 1 2 3 4 5 6 7
	 * a          = = = =
	 * b        = = = = = = =
	 * fresh    *         * *
	 */
	EXPECT(adds(f, &f->a, ADDR(10, 14), 2, false, "2-6 "));
	EXPECT(adds(f, &f->b, ADDR(20, 27), 1, false, "1-2 6-8 "));
	EXPECT(removes(f, &f->a, ADDR(10, 14), 2, false, ""));
	EXPECT(removes(f, &f->b, ADDR(20, 27), 1, false, "1-8 "));
	EXPECT(msn_mapping_set_empty(f->set));
	fixture_free(f);
}

static void only_the_last_mapping_of_a_page_is_gone(void)
{
	struct fixture *f = fixture_new();

	EXPECT(adds(f, &f->a, ADDR(10, 14), 2, false, "2-6 "));
	EXPECT(adds(f, &f->b, ADDR(20, 27), 1, false, "1-2 6-8 "));
	EXPECT(removes(f, &f->b, ADDR(20, 27), 1, false, "1-2 6-8 "));
	EXPECT(removes(f, &f->a, ADDR(10, 14), 2, false, "2-6 "));
	fixture_free(f);
}

static void adding_twice_is_adding_once(void)
{
	struct fixture *f = fixture_new();

	EXPECT(adds(f, &f->a, ADDR(10, 14), 0, true, "0-4 "));
	EXPECT(adds(f, &f->a, ADDR(10, 14), 0, true, ""));
	EXPECT(adds(f, &f->a, ADDR(11, 13), 1, true, ""));
	invalidate(f, OBJ(0, 4), false);
	EXPECT(strcmp(f->a.told, "10-14 ") == 0);
	EXPECT(removes(f, &f->a, ADDR(10, 14), 0, true, "0-4 "));
	EXPECT(msn_mapping_set_empty(f->set));
	fixture_free(f);
}

static void one_space_may_map_a_page_twice(void)
{
	struct fixture *f = fixture_new();

	EXPECT(adds(f, &f->a, ADDR(10, 12), 0, false, "0-2 "));
	EXPECT(adds(f, &f->a, ADDR(30, 32), 0, false, ""));
	EXPECT(removes(f, &f->a, ADDR(10, 12), 0, false, ""));
	EXPECT(removes(f, &f->a, ADDR(30, 32), 0, false, "0-2 "));
	fixture_free(f);
}

static void pieces_may_be_removed_in_other_portions(void)
{
	struct fixture *f = fixture_new();

	EXPECT(adds(f, &f->a, ADDR(10, 14), 0, false, "0-4 "));
	EXPECT(adds(f, &f->a, ADDR(14, 18), 4, false, "4-8 "));
	/* A middle that lies in both, then what is left at both ends. */
	EXPECT(removes(f, &f->a, ADDR(13, 16), 3, false, "3-6 "));
	invalidate(f, OBJ(0, 8), false);
	EXPECT(strcmp(f->a.told, "10-13 16-18 ") == 0);
	EXPECT(removes(f, &f->a, ADDR(10, 18), 0, false, "0-3 6-8 "));
	EXPECT(msn_mapping_set_empty(f->set));
	fixture_free(f);
}

static void adjacent_pieces_are_one_place(void)
{
	struct fixture *f = fixture_new();

	EXPECT(adds(f, &f->a, ADDR(10, 12), 0, false, "0-2 "));
	EXPECT(adds(f, &f->a, ADDR(14, 16), 4, false, "4-6 "));
	EXPECT(adds(f, &f->a, ADDR(12, 14), 2, false, "2-4 "));
	invalidate(f, OBJ(1, 5), false);
	EXPECT(strcmp(f->a.told, "11-15 ") == 0);
	EXPECT(removes(f, &f->a, ADDR(10, 16), 0, false, "0-6 "));
	fixture_free(f);
}

static void pages_that_are_not_there_are_passed_over(void)
{
	struct fixture *f = fixture_new();

	EXPECT(removes(f, &f->a, ADDR(10, 14), 0, false, ""));
	EXPECT(adds(f, &f->a, ADDR(10, 12), 0, false, "0-2 "));
	/* Another space, another place, another offset. */
	EXPECT(removes(f, &f->b, ADDR(10, 12), 0, false, ""));
	EXPECT(removes(f, &f->a, ADDR(20, 22), 0, false, ""));
	EXPECT(removes(f, &f->a, ADDR(10, 12), 1, false, ""));
	EXPECT(removes(f, &f->a, ADDR(10, 20), 0, false, "0-2 "));
	fixture_free(f);
}

static void another_writable_is_another_mapping(void)
{
	struct fixture *f = fixture_new();

	EXPECT(adds(f, &f->a, ADDR(10, 12), 0, true, "0-2 "));
	EXPECT(removes(f, &f->a, ADDR(10, 12), 0, false, ""));
	EXPECT(adds(f, &f->a, ADDR(10, 12), 0, false, ""));
	EXPECT(removes(f, &f->a, ADDR(10, 12), 0, false, ""));
	EXPECT(!msn_mapping_set_empty(f->set));
	EXPECT(removes(f, &f->a, ADDR(10, 12), 0, true, "0-2 "));
	fixture_free(f);
}

static void invalidate_tells_the_right_addresses(void)
{
	struct fixture *f = fixture_new();

	/*
	 * pages   0 1 2 3 4 5
	 * a       = = = =        at 10
	 * b           = = = =    at 20, and page 3 at 90
	 */
	EXPECT(adds(f, &f->a, ADDR(10, 14), 0, false, "0-4 "));
	EXPECT(adds(f, &f->b, ADDR(20, 24), 2, true, "4-6 "));
	EXPECT(adds(f, &f->b, ADDR(90, 91), 3, true, ""));

	invalidate(f, OBJ(1, 3), false);
	EXPECT(strcmp(f->a.told, "11-13 ") == 0);
	EXPECT(strcmp(f->b.told, "20-21 ") == 0);
	invalidate(f, OBJ(3, 100), true);
	EXPECT(strcmp(f->a.told, "13-14p ") == 0);
	EXPECT(strcmp(f->b.told, "21-24p 90-91p ") == 0);
	invalidate(f, OBJ(6, 7), false);
	EXPECT(f->a.told[0] == '\0' && f->b.told[0] == '\0');

	msn_mapping_set_invalidate_all(f->set,
				       (struct msn_invalidate_opts){ false });
	EXPECT(strcmp(f->a.told, "10-14 ") == 0);
	EXPECT(strcmp(f->b.told, "20-24 90-91 ") == 0);
	EXPECT(removes(f, &f->a, ADDR(10, 14), 0, false, "0-2 "));
	EXPECT(removes(f, &f->b, ADDR(20, 24), 2, true, "2-3 4-6 "));
	EXPECT(removes(f, &f->b, ADDR(90, 91), 3, true, "3-4 "));
	fixture_free(f);
}

static void an_address_below_the_offset_is_no_trouble(void)
{
	struct fixture *f = fixture_new();

	EXPECT(adds(f, &f->a, ADDR(1, 3), 1000, false, "1000-1002 "));
	invalidate(f, OBJ(1001, 2000), false);
	EXPECT(strcmp(f->a.told, "2-3 ") == 0);
	EXPECT(removes(f, &f->a, ADDR(1, 3), 1000, false, "1000-1002 "));
	fixture_free(f);
}

static void write_place(void *ctx, struct msn_obj_range r,
			const struct msn_mapping_of_range *place)
{
	struct fixture *f = ctx;

	hear(f, r);
	EXPECT(msn_addr_range_length(place->addr) == msn_obj_range_length(r));
	EXPECT(place->writable == (place->space == &f->b.base));
}

static void places_are_shown_in_the_order_of_offsets(void)
{
	struct fixture *f = fixture_new();

	EXPECT(adds(f, &f->b, ADDR(50, 52), 6, true, "6-8 "));
	EXPECT(adds(f, &f->a, ADDR(10, 14), 0, false, "0-4 "));
	EXPECT(adds(f, &f->b, ADDR(20, 23), 2, true, "4-5 "));
	f->heard[0] = '\0';
	msn_mapping_set_for_each(f->set, OBJ(1, 7), write_place, f);
	EXPECT(strcmp(f->heard, "1-4 2-5 6-7 ") == 0);

	EXPECT(msn_mapping_set_is_mapped(f->set, OBJ(4, 5)));
	EXPECT(!msn_mapping_set_is_mapped(f->set, OBJ(5, 6)));
	EXPECT(msn_mapping_set_is_mapped(f->set, OBJ(5, 7)));
	EXPECT(!msn_mapping_set_is_mapped(f->set, OBJ(8, 100)));
	EXPECT(!msn_mapping_set_is_mapped(f->set, OBJ(3, 3)));
	EXPECT(removes(f, &f->b, ADDR(50, 52), 6, true, "6-8 "));
	EXPECT(removes(f, &f->a, ADDR(10, 14), 0, false, "0-2 "));
	EXPECT(removes(f, &f->b, ADDR(20, 23), 2, true, "2-5 "));
	fixture_free(f);
}

static int fault_add(void *state)
{
	struct fixture *f = state;

	return msn_mapping_set_add(f->set, &f->b.base, ADDR(0, 4096), PAGE(2),
				   false, hear, f);
}

static void *fault_one_place(void)
{
	struct fixture *f = fixture_new();

	CHECK(adds(f, &f->a, ADDR(10, 14), 0, false, "0-4 "));
	f->heard[0] = '\0';
	return f;
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	EXPECT(msn_mapping_set_check(f->set) == NULL);
	EXPECT(strcmp(f->heard, name ? "" : "4-4098 ") == 0);
	EXPECT(msn_mapping_set_is_mapped(f->set, OBJ(50, 51)) == !name);
	EXPECT(removes(f, &f->b, ADDR(0, 4096), 2, false,
		       name ? "" : "4-4098 "));
	EXPECT(removes(f, &f->a, ADDR(10, 14), 0, false, "0-4 "));
	fixture_free(f);
}

static void *fault_nothing(void)
{
	return calloc(1, sizeof(struct msn_mapping_set *));
}

static int fault_new(void *state)
{
	return msn_mapping_set_new(state);
}

static void fault_new_verify(void *state, int rc, const char *name)
{
	struct msn_mapping_set **set = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	msn_mapping_set_free(*set);
	free(set);
}

static void every_failure_leaves_the_set_usable(void)
{
	EXPECT(check_every_fault(fault_nothing, fault_new, fault_new_verify) ==
	       1);
	EXPECT(check_every_fault(fault_one_place, fault_add, fault_verify) ==
	       1);
}

/* MiB of address space that this process has. */
static long address_space_mib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	CHECK(f);
	CHECK(fscanf(f, "%ld", &pages) == 1);
	fclose(f);
	return pages >> (20 - MSN_PAGE_SHIFT);
}

static void removing_every_other_page_needs_no_memory(void)
{
	enum { PAGES = 20000 };
	struct fixture *f = fixture_new();

	CHECK(adds(f, &f->a, ADDR(0, PAGES), 0, false, "0-20000 "));
	msn_fault_arm(1);
	for (uint64_t i = 1; i < PAGES; i += 2)
		msn_mapping_set_remove(f->set, &f->a.base, ADDR(i, i + 1),
				       PAGE(i), false, NULL, NULL);
	EXPECT(msn_mapping_set_check(f->set) == NULL);
	for (uint64_t i = 0; i < PAGES; i++)
		EXPECT(msn_mapping_set_is_mapped(f->set, OBJ(i, i + 1)) ==
		       (i % 2 == 0));
	msn_mapping_set_remove(f->set, &f->a.base, ADDR(0, PAGES), 0, false,
			       NULL, NULL);
	EXPECT(msn_fault_fired() == NULL);
	msn_fault_arm(0);
	EXPECT(msn_mapping_set_empty(f->set));
	fixture_free(f);
}

static void an_empty_set_holds_on_to_little(void)
{
	enum { PAGES = 1 << 20 };
	struct fixture *f = fixture_new();
	long before = address_space_mib();

	CHECK(adds(f, &f->a, ADDR(0, PAGES), 0, false, "0-1048576 "));
	EXPECT(address_space_mib() - before >= 40);
	for (uint64_t i = 1; i < 20000; i += 2)
		msn_mapping_set_remove(f->set, &f->a.base, ADDR(i, i + 1),
				       PAGE(i), false, NULL, NULL);
	msn_mapping_set_remove(f->set, &f->a.base, ADDR(0, PAGES), 0, false,
			       NULL, NULL);
	EXPECT(address_space_mib() - before < 20);
	fixture_free(f);
}

static void huge_runs_are_cut_within_their_promise(void)
{
	/* 4 TiB: more pieces than a space may have mappings. */
	uint64_t pages = UINT64_C(1) << 30;
	struct fixture *f = fixture_new();
	long before = address_space_mib();

	CHECK(msn_mapping_set_add(f->set, &f->a.base, ADDR(0, pages), 0, false,
				  NULL, NULL) == 0);
	EXPECT(address_space_mib() - before < 200);
	for (uint64_t i = 1; i < 1000; i++)
		msn_mapping_set_remove(f->set, &f->a.base,
				       ADDR(i << 20, (i << 20) + 1),
				       PAGE(i << 20), false, NULL, NULL);
	EXPECT(msn_mapping_set_check(f->set) == NULL);
	CHECK(msn_mapping_set_add(f->set, &f->b.base, ADDR(0, pages), 0, false,
				  NULL, NULL) == 0);
	EXPECT(msn_mapping_set_check(f->set) == NULL);
	msn_mapping_set_remove(f->set, &f->a.base, ADDR(0, pages), 0, false,
			       NULL, NULL);
	msn_mapping_set_remove(f->set, &f->b.base, ADDR(0, pages), 0, false,
			       NULL, NULL);
	EXPECT(msn_mapping_set_empty(f->set));
	fixture_free(f);
}

/*
 * Cost.  @spread 0: all map the same pages, as a library is; else each starts
 * that many pages after the one before.
 */
static uint64_t visits_of_one_more(uint64_t spaces, uint64_t spread)
{
	struct msn_mapping_space *ms = calloc(spaces + 1, sizeof(*ms));
	struct fixture *f = fixture_new();
	uint64_t middle = spaces / 2 * spread + 3, before;

	CHECK(ms);
	for (uint64_t i = 0; i < spaces; i++)
		CHECK(msn_mapping_set_add(f->set, &ms[i], ADDR(500, 900),
					  PAGE(i * spread), false, hear,
					  f) == 0);
	before = msn_mapping_set_visits(f->set);
	f->heard[0] = '\0';
	CHECK(msn_mapping_set_add(f->set, &ms[spaces], ADDR(10, 110),
				  PAGE(middle), false, hear, f) == 0);
	/* Cutting a piece out of the middle, then the rest. */
	msn_mapping_set_remove(f->set, &ms[spaces], ADDR(50, 60),
			       PAGE(middle + 40), false, hear, f);
	msn_mapping_set_remove(f->set, &ms[spaces], ADDR(10, 110), PAGE(middle),
			       false, hear, f);
	EXPECT(f->heard[0] == '\0');
	before = msn_mapping_set_visits(f->set) - before;
	for (uint64_t i = 0; i < spaces; i++)
		msn_mapping_set_remove(f->set, &ms[i], ADDR(500, 900),
				       PAGE(i * spread), false, NULL, NULL);
	fixture_free(f);
	free(ms);
	return before;
}

static void a_hundred_times_the_spaces_cost_twice_the_visits(void)
{
	for (uint64_t spread = 0; spread < 3; spread++) {
		uint64_t few = visits_of_one_more(100, spread);
		uint64_t many = visits_of_one_more(10000, spread);

		/* log2(100) = 6.6, log2(10000) = 13.3. */
		EXPECT(few > 20 && many < few * 5 / 2);
	}
}

static void the_ten_thousandth_page_costs_what_the_first_did(void)
{
	enum { PAGES = 10000 };
	struct fixture *f = fixture_new();
	uint64_t before, worst = 0;

	/* One space, every page at an address of its own. */
	for (uint64_t i = 0; i < PAGES; i++) {
		before = msn_mapping_set_visits(f->set);
		CHECK(msn_mapping_set_add(f->set, &f->a.base,
					  ADDR(3 * i, 3 * i + 1), PAGE(i), true,
					  NULL, NULL) == 0);
		before = msn_mapping_set_visits(f->set) - before;
		worst = before > worst ? before : worst;
	}
	EXPECT(worst < 150);
	for (uint64_t i = 0; i < PAGES; i++)
		msn_mapping_set_remove(f->set, &f->a.base,
				       ADDR(3 * i, 3 * i + 1), PAGE(i), true,
				       NULL, NULL);
	EXPECT(msn_mapping_set_empty(f->set));
	fixture_free(f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(only_the_first_mapping_of_a_page_is_fresh),
		CHECK_TEST(only_the_last_mapping_of_a_page_is_gone),
		CHECK_TEST(adding_twice_is_adding_once),
		CHECK_TEST(one_space_may_map_a_page_twice),
		CHECK_TEST(pieces_may_be_removed_in_other_portions),
		CHECK_TEST(adjacent_pieces_are_one_place),
		CHECK_TEST(pages_that_are_not_there_are_passed_over),
		CHECK_TEST(another_writable_is_another_mapping),
		CHECK_TEST(invalidate_tells_the_right_addresses),
		CHECK_TEST(an_address_below_the_offset_is_no_trouble),
		CHECK_TEST(places_are_shown_in_the_order_of_offsets),
		CHECK_TEST(every_failure_leaves_the_set_usable),
		CHECK_TEST(removing_every_other_page_needs_no_memory),
		CHECK_TEST(an_empty_set_holds_on_to_little),
		CHECK_TEST(huge_runs_are_cut_within_their_promise),
		CHECK_TEST(a_hundred_times_the_spaces_cost_twice_the_visits),
		CHECK_TEST(the_ten_thousandth_page_costs_what_the_first_did),
		{}
	};

	return check_main(argc, argv, "mapping set", tests);
}
