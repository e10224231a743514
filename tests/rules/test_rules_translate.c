/*
 * The rules of memmap: translating offsets, the checks on what comes back, and
 * mapping sets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/mapping_set.h"
#include "rules/rule.h"

/* ---- Translate ----------------------------------------------------------- */

static void no_more_than_the_access(void)
{
	size_t done;

	ON_GROUND(g)
	{
		g->r.generous = true;
		map(g->f.mm, of_recorder(&g->r, 0, 8, false));
		recorder_take(&g->r);
		CHECK(msn_mm_zero_out(g->f.mm, AT(3) + 9, 2 * PAGE, plain,
				      &done) == 0);
		SAYS(g, "ask 3-6/3-6:2 ref ");
		EXPECT(g->r.page_refs == 3);
	}
}

static void offsets_are_the_objects(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 2, false);

		o.offset = 4 * PAGE;
		map(g->f.mm, o);
		recorder_take(&g->r);
		put(g->f.mm, AT(1), 'y');
		SAYS(g, "ask 5-6/5-6:2 ref ");
		EXPECT(g->r.bytes[5 * PAGE] == 'y');
	}
}

static void only_holes_are_asked_for(void)
{
	size_t done;

	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		put(g->f.mm, AT(1), 'x');
		recorder_take(&g->r);
		CHECK(msn_mm_zero_out(g->f.mm, AT(0), 4 * PAGE, plain, &done) ==
		      0);
		SAYS(g, "ask 0-1/0-1:2 ref ask 2-4/2-4:2 ref ");
		CHECK(msn_mm_zero_out(g->f.mm, AT(0), 4 * PAGE, plain, &done) ==
		      0);
		SAYS(g, "");
	}
}

static void private_is_asked_to_read(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, true));
		recorder_take(&g->r);
		put(g->f.mm, AT(0), 'x');
		EXPECT(strstr(recorder_take(&g->r), ":1 ") != NULL);
		EXPECT(g->r.bytes[0] == 'A');
		EXPECT(g->r.page_refs == 0); /* it has its own copy now */
	}
}

static void a_write_asks_again(void)
{
	ON_GROUND(g)
	{
		g->r.read_first = true;
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		EXPECT(get(g->f.mm, AT(1)) == 'B');
		EXPECT(g->r.page_refs == 1);
		recorder_take(&g->r);
		put(g->f.mm, AT(1), 'x');
		SAYS(g, "ask 1-2/1-2:7 ref unref ");
		EXPECT(g->r.page_refs == 1 && g->r.bytes[PAGE] == 'x');
	}
}

static void an_error_counts_only_without_pages(void)
{
	char buf[3 * MSN_PAGE_SIZE];
	size_t done;

	ON_GROUND(g)
	{
		g->r.pages = 2;
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		EXPECT(msn_mm_copy_in(g->f.mm, AT(0), buf, sizeof(buf), plain,
				      &done) == -EFAULT);
		EXPECT(done == 2 * PAGE);
		EXPECT(buf[0] == 'A' && buf[PAGE] == 'B');
		EXPECT(msn_mm_handle_fault(g->f.mm, AT(1), RW) == 0);
		EXPECT(msn_mm_handle_fault(g->f.mm, AT(2), RW) == MSN_MM_E_BUS);
	}
}

static void rights_are_the_lesser(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 4, false);
		char c = 'x';
		size_t done;

		o.perms = MSN_ACCESS_READ;
		map(g->f.mm, o);
		EXPECT(get(g->f.mm, AT(0)) == 'A');
		EXPECT(msn_mm_copy_out(g->f.mm, AT(0), &c, 1, plain, &done) ==
		       -EFAULT);
		EXPECT(g->r.bytes[0] == 'A');
	}
}

static void referenced_at_once(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		recorder_take(&g->r);
		put(g->f.mm, AT(0), 'x');
		SAYS(g, "ask 0-1/0-1:2 ref ");
		EXPECT(g->r.page_refs == 1);
	}
}

static void break_promise(void *ctx)
{
	struct ground *g = ctx;

	put(g->f.mm, AT(0), 'x');
}

static void short_without_reason_is_fatal(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		g->r.broken = true;
#ifdef MSN_DEBUG_CHECKS
		EXPECT(check_asserts(break_promise, g));
#endif
		g->r.broken = false;
		EXPECT(!check_asserts(break_promise, g));
	}
}

/* ---- The eleven checks --------------------------------------------------- */

#define PAGES(a, b)                                                            \
	(struct msn_obj_range)                                                 \
	{                                                                      \
		(a) * PAGE, (b)*PAGE                                           \
	}

static struct msn_file some_file;

static struct msn_translation run(uint64_t from, uint64_t to)
{
	return (struct msn_translation){ PAGES(from, to), &some_file,
					 from * PAGE, RW };
}

/* Required 2-6 of 0-8, for writing, in two runs or what is left of them. */
static const char *judge(struct msn_translation a, struct msn_translation b,
			 size_t count, int why)
{
	struct msn_translation runs[2] = { a, b };

	return msn_check_translate_result(
		&(struct msn_translate_result){ .required = PAGES(2, 6),
						.optional = PAGES(0, 8),
						.access = RW,
						.runs = runs,
						.count = count,
						.max = 8,
						.why = why });
}

static bool complains(const char *text, const char *word)
{
	return text && strstr(text, word);
}

static void a_good_answer(void)
{
	EXPECT(judge(run(2, 4), run(4, 6), 2, 0) == NULL);
	EXPECT(judge(run(0, 4), run(4, 8), 2, 0) == NULL);
}

static void check_1(void)
{
	EXPECT(complains(judge(run(3, 4), run(4, 6), 2, 0), "start"));
	EXPECT(complains(judge(run(3, 4), run(4, 6), 2, -EIO), "start"));
}

static void check_2(void)
{
	EXPECT(complains(judge(run(2, 4), run(4, 4), 2, 0), "empty"));
}

static void check_3(void)
{
	struct msn_translation b = run(4, 6);

	b.source.end--;
	EXPECT(complains(judge(run(2, 4), b, 2, 0), "aligned"));
	b = run(2, 6);
	b.source.start--;
	EXPECT(complains(judge(b, b, 1, 0), "aligned"));
}

static void check_4(void)
{
	struct msn_translation b = run(4, 6);

	b.file = NULL;
	EXPECT(complains(judge(run(2, 4), b, 2, 0), "no file"));
}

static void check_5(void)
{
	struct msn_translation b = run(4, 6);

	b.offset++;
	EXPECT(complains(judge(run(2, 4), b, 2, 0), "offset"));
}

static void check_6(void)
{
	EXPECT(complains(judge(run(2, 4), run(5, 6), 2, 0), "touch"));
	EXPECT(complains(judge(run(2, 4), run(3, 6), 2, 0), "touch"));
}

static void check_7(void)
{
	EXPECT(complains(judge(run(2, 6), run(6, 7), 2, 0), "required"));
}

static void check_8(void)
{
	EXPECT(complains(judge(run(2, 4), run(4, 9), 2, 0), "optional"));
}

static void check_9(void)
{
	struct msn_translation b = run(4, 6);

	b.perms = MSN_ACCESS_READ;
	EXPECT(complains(judge(run(2, 4), b, 2, 0), "permit"));
}

static void check_10(void)
{
	EXPECT(complains(judge(run(2, 4), run(4, 6), 0, 0), "nothing"));
	EXPECT(judge(run(2, 4), run(4, 6), 0, MSN_MAPPABLE_E_BUS) == NULL);
}

static void check_11(void)
{
	EXPECT(complains(judge(run(2, 4), run(4, 5), 2, 0), "short"));
	EXPECT(judge(run(2, 4), run(4, 5), 2, -EIO) == NULL);
}

static void a_translation_names_file_pages(void)
{
	struct msn_translation t = { PAGES(2, 5), &some_file, 7 * PAGE, RW };
	struct msn_file_range r = msn_translation_file_range(&t);

	EXPECT(r.start == 7 * PAGE && r.end == 10 * PAGE);
}

struct question {
	struct recorder *r;
	struct msn_obj_range required, optional;
};

static void ask(void *ctx)
{
	struct question *q = ctx;
	struct msn_translation t;
	int why, n;

	n = msn_mappable_translate(&q->r->obj, q->required, q->optional, RW, &t,
				   1, &why);
	(void)n;
}

static void questions_are_checked(void)
{
	struct recorder r;
	struct question good = { &r, PAGES(1, 2), PAGES(0, 4) };
	struct question empty = { &r, PAGES(1, 1), PAGES(0, 4) };
	struct question outside = { &r, PAGES(1, 5), PAGES(0, 4) };
	struct question odd = { &r, { PAGE, 2 * PAGE - 1 }, PAGES(0, 4) };
	struct question odd_room = { &r, PAGES(1, 2), { 1, 4 * PAGE } };

	recorder_init(&r);
	EXPECT(!check_asserts(ask, &good));
	EXPECT(check_asserts(ask, &empty));
	EXPECT(check_asserts(ask, &outside));
	EXPECT(check_asserts(ask, &odd));
	EXPECT(check_asserts(ask, &odd_room));
	recorder_deinit(&r);
}

/* ---- Mapping sets -------------------------------------------------------- */

struct heard {
	struct msn_mapping_space space;
	unsigned calls;
	struct msn_addr_range last;
	char text[128]; /* of fresh and gone ranges */
};

static void hear(struct msn_mapping_space *ms, struct msn_addr_range ar,
		 struct msn_invalidate_opts opts)
{
	struct heard *h = msn_container_of(ms, struct heard, space);

	(void)opts;
	h->calls++;
	h->last = ar;
}

static const struct msn_mapping_space_ops hear_ops = { .invalidate = hear };

static void write_range(void *ctx, struct msn_obj_range r)
{
	struct heard *h = ctx;
	size_t len = strlen(h->text);

	snprintf(h->text + len, sizeof(h->text) - len, "%u-%u ",
		 (unsigned)(r.start / PAGE), (unsigned)(r.end / PAGE));
}

static const char *add(struct msn_mapping_set *set, struct heard *h,
		       uint64_t page, uint64_t pages, uint64_t offset,
		       bool writable)
{
	h->text[0] = '\0';
	CHECK(msn_mapping_set_add(
		      set, &h->space,
		      (struct msn_addr_range){ AT(page), AT(page + pages) },
		      offset * PAGE, writable, write_range, h) == 0);
	return h->text;
}

static const char *take_off(struct msn_mapping_set *set, struct heard *h,
			    uint64_t page, uint64_t pages, uint64_t offset,
			    bool writable)
{
	h->text[0] = '\0';
	msn_mapping_set_remove(
		set, &h->space,
		(struct msn_addr_range){ AT(page), AT(page + pages) },
		offset * PAGE, writable, write_range, h);
	return h->text;
}

#define WITH_SET(set)                                                          \
	for (struct msn_mapping_set *set = new_set(); set;                     \
	     msn_mapping_set_free(set), set = NULL)

static struct msn_mapping_set *new_set(void)
{
	struct msn_mapping_set *set;

	CHECK(msn_mapping_set_new(&set) == 0);
	return set;
}

static void set_reports_fresh_and_gone(void)
{
	struct heard a = { .space.ops = &hear_ops };
	struct heard b = { .space.ops = &hear_ops };

	WITH_SET(set)
	{
		EXPECT(!strcmp(add(set, &a, 10, 4, 2, true), "2-6 "));
		EXPECT(!strcmp(add(set, &b, 20, 8, 0, true), "0-2 6-8 "));
		EXPECT(!strcmp(take_off(set, &b, 20, 4, 0, true), "0-2 "));
		EXPECT(!strcmp(take_off(set, &a, 10, 4, 2, true), "2-4 "));
		EXPECT(!strcmp(take_off(set, &b, 24, 4, 4, true), "4-8 "));
		EXPECT(msn_mapping_set_empty(set));
	}
}

static void set_takes_twice_as_once(void)
{
	struct heard a = { .space.ops = &hear_ops };

	WITH_SET(set)
	{
		add(set, &a, 10, 4, 0, true);
		EXPECT(!strcmp(add(set, &a, 10, 4, 0, true), ""));
		EXPECT(!strcmp(take_off(set, &a, 10, 4, 0, true), "0-4 "));
	}
}

static void set_keeps_writable_apart(void)
{
	struct heard a = { .space.ops = &hear_ops };

	WITH_SET(set)
	{
		add(set, &a, 10, 4, 0, true);
		EXPECT(!strcmp(take_off(set, &a, 10, 4, 0, false), ""));
		EXPECT(!msn_mapping_set_empty(set));
		take_off(set, &a, 10, 4, 0, true);
	}
}

static void set_tells_the_addresses(void)
{
	struct heard a = { .space.ops = &hear_ops };

	WITH_SET(set)
	{
		add(set, &a, 10, 4, 2, true);
		msn_mapping_set_invalidate(set, PAGES(0, 4),
					   (struct msn_invalidate_opts){ 0 });
		EXPECT(a.calls == 1 && a.last.start == AT(10));
		EXPECT(a.last.end == AT(12));
		msn_mapping_set_invalidate(set, PAGES(6, 9),
					   (struct msn_invalidate_opts){ 0 });
		EXPECT(a.calls == 1);
		msn_mapping_set_invalidate_all(
			set, (struct msn_invalidate_opts){ 0 });
		EXPECT(a.calls == 2 && a.last.end == AT(14));
		take_off(set, &a, 10, 4, 2, true);
	}
}

static void set_joins_what_goes_on(void)
{
	struct heard a = { .space.ops = &hear_ops };

	WITH_SET(set)
	{
		add(set, &a, 10, 2, 0, true);
		add(set, &a, 12, 2, 2, true);
		msn_mapping_set_invalidate_all(
			set, (struct msn_invalidate_opts){ 0 });
		EXPECT(a.calls == 1 && a.last.end == AT(14));
		take_off(set, &a, 11, 2, 1, true);
		EXPECT(!msn_mapping_set_is_mapped(set, PAGES(1, 3)));
		EXPECT(msn_mapping_set_is_mapped(set, PAGES(3, 4)));
		take_off(set, &a, 10, 4, 0, true);
	}
}

/* ---- The table ----------------------------------------------------------- */

static const struct check_test rules[] = {
	{ "no more is optional than what the access needs",
	  no_more_than_the_access },
	{ "what is asked for is where the object has it",
	  offsets_are_the_objects },
	{ "only holes are asked for, each in one piece",
	  only_holes_are_asked_for },
	{ "a private mapping asks to read, and copies to write",
	  private_is_asked_to_read },
	{ "a read-only translation is asked for again to write, and "
	  "replaced",
	  a_write_asks_again },
	{ "an error behind pages counts when they are used up",
	  an_error_counts_only_without_pages },
	{ "a placement has the rights of the mapping and of the "
	  "translation",
	  rights_are_the_lesser },
	{ "pages are referenced as soon as they are translated",
	  referenced_at_once },
	{ "a translation that stops short without a reason is an "
	  "assertion",
	  short_without_reason_is_fatal },
	{ "a whole answer, or one past required inside optional, "
	  "passes",
	  a_good_answer },
	{ "check 1: the first run contains the required start", check_1 },
	{ "check 2: no run is empty", check_2 },
	{ "check 3: runs are page aligned", check_3 },
	{ "check 4: each run has a file", check_4 },
	{ "check 5: at a page aligned offset", check_5 },
	{ "check 6: each begins where the one before ended", check_6 },
	{ "check 7: each meets what is required", check_7 },
	{ "check 8: none leaves what is optional", check_8 },
	{ "check 9: each permits the access", check_9 },
	{ "check 10: without a reason there is a run", check_10 },
	{ "check 11: without a reason the last reaches the required "
	  "end",
	  check_11 },
	{ "a translation's pages in its file are as long as its "
	  "source",
	  a_translation_names_file_pages },
	{ "a question that is empty, unaligned or outside optional "
	  "is an assertion",
	  questions_are_checked },
	{ "a mapping set tells which pages nobody mapped before, "
	  "and nobody does now",
	  set_reports_fresh_and_gone },
	{ "adding the same mapping twice is adding it once",
	  set_takes_twice_as_once },
	{ "a removal that says writable otherwise removes nothing",
	  set_keeps_writable_apart },
	{ "the set invalidates the addresses of the overlap, and no "
	  "others",
	  set_tells_the_addresses },
	{ "a mapping that goes on is one, and cut again where a "
	  "part goes",
	  set_joins_what_goes_on },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "translate", rules);
}
