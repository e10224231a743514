/*
 * diff: pages compared.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "diff/diff.h"

#include "base/rand.h"
#include "range/range.h"
#include "support/check.h"
#include "support/snapshot_maker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RUNS_MAX 4096
#define ADDR(page) ((uint64_t)(page) << MSN_PAGE_SHIFT)

struct told {
	struct msn_diff_run run[RUNS_MAX];
	size_t count;
	unsigned mappings;
	int answer; /* of run() */
	bool cancel;
	uint64_t done, total;
	struct msn_diff_summary sum;
	struct msn_failure why;
};

static int on_run(void *ctx, const struct msn_diff_run *r)
{
	struct told *t = ctx;

	CHECK(t->count < RUNS_MAX);
	EXPECT(r->end - r->start == ADDR(r->pages) && r->pages > 0);
	EXPECT(r->bytes > 0 && r->bytes <= ADDR(r->pages));
	t->run[t->count++] = *r;
	return t->answer;
}

static int on_mapping(void *ctx, const struct msn_diff_mapping *d)
{
	struct told *t = ctx;

	(void)d;
	t->mappings++;
	return 0;
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct told *t = ctx;

	EXPECT(done >= t->done && done <= total);
	t->done = done;
	t->total = total;
	return t->cancel;
}

static int diff(struct test_store *s, struct msn_uid a, struct msn_uid b,
		struct told *t)
{
	t->count = t->mappings = 0;
	t->done = 0;
	t->why = (struct msn_failure){};
	return msn_diff(s->store, a, b,
			&(struct msn_diff_opts){
				.mapping = on_mapping,
				.run = on_run,
				.ctx = t,
				.progress = on_progress,
				.progress_ctx = t,
			},
			&t->sum, &t->why);
}

static struct told *told_new(void)
{
	struct told *t = calloc(1, sizeof(*t));

	CHECK(t);
	return t;
}

/*
 * A snapshot from a picture: page 16 is the first letter.  A letter is a page
 * of its own bytes, 0 a stored page of zeros, z a run of zeros stored nowhere,
 * a dot no page.
 */
static struct msn_uid make(struct test_store *s, const char *name,
			   const char *picture, enum msn_mapping_kind kind)
{
	struct maker k;

	maker_begin(&k, s, name);
	if (*picture)
		maker_map(&k, 16, 16 + strlen(picture), kind);
	for (uint64_t i = 0; picture[i]; i++) {
		if (picture[i] == 'z')
			maker_zeros(&k, &k.m->pages, 16 + i, 1);
		else if (picture[i] != '.')
			maker_page(&k, &k.m->pages, 16 + i,
				   picture[i] == '0' ? 0
						     : (uint64_t)picture[i]);
	}
	return maker_commit(&k);
}

/* Paints runs: what differs is '*'. */
static void paint(const struct told *t, char *out, size_t len)
{
	memset(out, '.', len);
	out[len] = '\0';
	for (size_t i = 0; i < t->count; i++)
		for (uint64_t at = t->run[i].start; at < t->run[i].end;
		     at += MSN_PAGE_SIZE)
			out[(at >> MSN_PAGE_SHIFT) - 16] = '*';
}

static void expect_pictures(const char *a, const char *b, const char *want,
			    enum msn_mapping_kind kind)
{
	struct told *t = told_new();
	struct msn_uid ua, ub;
	struct test_store s;
	char got[64];

	test_store_open(&s);
	ua = make(&s, "a", a, kind);
	ub = make(&s, "b", b, kind);
	EXPECT(diff(&s, ua, ub, t) == 0);
	paint(t, got, strlen(a));
	EXPECT(strcmp(got, want) == 0);
	EXPECT(t->mappings == 0);
	/* The other way round it is the same. */
	EXPECT(diff(&s, ub, ua, t) == 0);
	paint(t, got, strlen(a));
	EXPECT(strcmp(got, want) == 0);
	free(t);
	test_store_close(&s);
}

static void a_snapshot_equals_itself_without_being_read(void)
{
	struct told *t = told_new();
	struct test_store s;
	struct msn_uid uid;

	test_store_open(&s);
	uid = make(&s, "a", "ab.cz0", MSN_MAPPING_ANON);
	EXPECT(diff(&s, uid, uid, t) == 0);
	EXPECT(t->count == 0 && t->mappings == 0);
	EXPECT(t->sum.same_place_pages == 4);
	EXPECT(t->sum.compared_pages == 0);
	EXPECT(t->done == t->total && t->total == ADDR(8));
	free(t);
	test_store_close(&s);
}

static void other_bytes_differ_and_equal_ones_do_not(void)
{
	expect_pictures("abcdefgh", "abxdeyyh", "..*..**.", MSN_MAPPING_ANON);
}

static void no_page_of_anonymous_memory_is_a_page_of_zeros(void)
{
	expect_pictures("..00zza.", "az.z0az.", "*....**.", MSN_MAPPING_ANON);
}

static void a_page_over_a_files_counts_as_changed(void)
{
	expect_pictures("..00zza.b", "az.z0az.b", "***..**..",
			MSN_MAPPING_FILE);
}

static void a_page_over_a_files_counts_whole(void)
{
	struct told *t = told_new();
	struct msn_uid a, b;
	struct test_store s;

	test_store_open(&s);
	a = make(&s, "a", "..", MSN_MAPPING_FILE);
	b = make(&s, "b", "0.", MSN_MAPPING_FILE);
	EXPECT(diff(&s, a, b, t) == 0);
	CHECK(t->count == 1);
	EXPECT(t->run[0].bytes == MSN_PAGE_SIZE);
	EXPECT(t->sum.compared_pages == 0);
	free(t);
	test_store_close(&s);
}

static void differing_bytes_are_counted(void)
{
	struct told *t = told_new();
	uint8_t bytes[MSN_PAGE_SIZE];
	struct msn_uid a, b;
	struct test_store s;
	struct maker k;

	test_store_open(&s);
	a = make(&s, "a", "aa", MSN_MAPPING_ANON);
	maker_begin(&k, &s, "b");
	maker_map(&k, 16, 18, MSN_MAPPING_ANON);
	for (uint64_t page = 16; page < 18; page++) {
		maker_fill(bytes, page, 'a');
		bytes[0] ^= 1;
		bytes[MSN_PAGE_SIZE - 1] ^= 1;
		bytes[77] ^= page == 17;
		maker_bytes(&k, &k.m->pages, page, bytes);
	}
	b = maker_commit(&k);
	EXPECT(diff(&s, a, b, t) == 0);
	CHECK(t->count == 1);
	EXPECT(t->run[0].start == ADDR(16) && t->run[0].pages == 2);
	EXPECT(t->run[0].bytes == 5);
	EXPECT(t->sum.changed_runs == 1 && t->sum.changed_pages == 2);
	EXPECT(t->sum.changed_bytes == 5 && t->sum.compared_pages == 2);
	free(t);
	test_store_close(&s);
}

static void inherited_pages_are_not_read(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *parent = NULL;
	struct told *t = told_new();
	struct msn_uid a, b;
	struct test_store s;
	struct maker k;

	test_store_open(&s);
	a = make(&s, "a", "abcd", MSN_MAPPING_ANON);
	CHECK(msn_store_load(s.store, a, &parent, &t->why) == 0);
	maker_begin(&k, &s, "b");
	maker_map(&k, 16, 20, MSN_MAPPING_ANON);
	maker_inherit(&k, 16, parent, 16);
	maker_inherit(&k, 17, parent, 17);
	maker_page(&k, &k.m->pages, 18, 'x');
	maker_inherit(&k, 19, parent, 19);
	b = maker_commit(&k);
	EXPECT(diff(&s, a, b, t) == 0);
	CHECK(t->count == 1);
	EXPECT(t->run[0].start == ADDR(18) && t->run[0].pages == 1);
	EXPECT(t->sum.same_place_pages == 3);
	EXPECT(t->sum.compared_pages == 1);
	free(t);
	test_store_close(&s);
}

/* Both are in one pack: only the place in it tells them apart. */
static void pages_that_changed_places_differ(void)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *parent = NULL;
	struct told *t = told_new();
	struct msn_uid a, b;
	struct test_store s;
	struct maker k;

	test_store_open(&s);
	a = make(&s, "a", "abc", MSN_MAPPING_ANON);
	CHECK(msn_store_load(s.store, a, &parent, &t->why) == 0);
	maker_begin(&k, &s, "b");
	maker_map(&k, 16, 19, MSN_MAPPING_ANON);
	maker_inherit(&k, 16, parent, 17);
	maker_inherit(&k, 17, parent, 16);
	maker_inherit(&k, 18, parent, 18);
	b = maker_commit(&k);
	EXPECT(diff(&s, a, b, t) == 0);
	CHECK(t->count == 1);
	EXPECT(t->run[0].start == ADDR(16) && t->run[0].pages == 2);
	EXPECT(t->sum.same_place_pages == 1);
	free(t);
	test_store_close(&s);
}

/*
 * page     16 17 18 19 20 21
 * mapping   anon  file  anon
 * a         .  .  .  .  .  .
 * b         0  0  0  0  0  0
 */
static void what_is_beneath_changes_with_the_mapping(void)
{
	struct told *t = told_new();
	struct msn_uid uid[2];
	struct test_store s;
	struct maker k;

	test_store_open(&s);
	for (int i = 0; i < 2; i++) {
		maker_begin(&k, &s, i ? "b" : "a");
		maker_map(&k, 16, 18, MSN_MAPPING_ANON);
		maker_map(&k, 18, 20, MSN_MAPPING_FILE);
		maker_map(&k, 20, 22, MSN_MAPPING_ANON);
		for (uint64_t page = 16; i && page < 22; page++)
			maker_page(&k, &k.m->pages, page, 0);
		uid[i] = maker_commit(&k);
	}
	EXPECT(diff(&s, uid[0], uid[1], t) == 0);
	CHECK(t->count == 1);
	EXPECT(t->run[0].start == ADDR(18) && t->run[0].end == ADDR(20));
	free(t);
	test_store_close(&s);
}

static void a_new_mapping_of_a_file_has_no_changed_pages(void)
{
	struct told *t = told_new();
	struct msn_uid a, b;
	struct test_store s;

	test_store_open(&s);
	a = make(&s, "a", "", MSN_MAPPING_ANON);
	b = make(&s, "b", "....", MSN_MAPPING_FILE);
	EXPECT(diff(&s, a, b, t) == 0);
	EXPECT(t->mappings == 1 && t->count == 0);
	b = make(&s, "c", ".0..", MSN_MAPPING_FILE);
	EXPECT(diff(&s, a, b, t) == 0);
	EXPECT(t->count == 0);
	b = make(&s, "d", ".x..", MSN_MAPPING_FILE);
	EXPECT(diff(&s, a, b, t) == 0);
	CHECK(t->count == 1);
	EXPECT(t->run[0].start == ADDR(17) && t->run[0].pages == 1);
	free(t);
	test_store_close(&s);
}

static void progress_ends_at_its_total(void)
{
	struct msn_manifest_mapping *map;
	struct msn_manifest_object *o;
	struct told *t = told_new();
	struct msn_uid uid[2];
	struct test_store s;
	struct maker k;

	test_store_open(&s);
	for (int i = 0; i < 2; i++) {
		maker_begin(&k, &s, i ? "b" : "a");
		o = maker_object(&k, 8); /* only its first page shows */
		for (uint64_t page = 0; page < 8; page++)
			maker_page(&k, &o->pages, page, 5);
		map = maker_map(&k, 32, 33, MSN_MAPPING_OBJECT);
		map->shared = true;
		uid[i] = maker_commit(&k);
	}
	EXPECT(diff(&s, uid[0], uid[1], t) == 0);
	EXPECT(t->count == 0);
	EXPECT(t->total == ADDR(16) && t->done == t->total);
	free(t);
	test_store_close(&s);
}

static void pages_of_a_mapping_that_is_gone_are_compared_with_zero(void)
{
	struct told *t = told_new();
	struct msn_uid a, b;
	struct test_store s;
	struct maker k;

	test_store_open(&s);
	a = make(&s, "a", "a0", MSN_MAPPING_ANON);
	maker_begin(&k, &s, "b");
	b = maker_commit(&k);
	EXPECT(diff(&s, a, b, t) == 0);
	EXPECT(t->mappings == 1 && t->sum.mappings_removed == 1);
	CHECK(t->count == 1);
	EXPECT(t->run[0].start == ADDR(16) && t->run[0].pages == 1);
	EXPECT(diff(&s, b, a, t) == 0);
	EXPECT(t->sum.mappings_added == 1 && t->count == 1);
	free(t);
	test_store_close(&s);
}

/* Object pages 0 1 2 3 show at 32 33 34 35, and 1 2 at 40 41 as well. */
static struct msn_uid make_shared(struct test_store *s, const char *name,
				  uint64_t seed_of_2)
{
	struct msn_manifest_mapping *map;
	struct msn_manifest_object *o;
	struct maker k;

	maker_begin(&k, s, name);
	o = maker_object(&k, 4);
	maker_page(&k, &o->pages, 1, 5);
	if (seed_of_2)
		maker_page(&k, &o->pages, 2, seed_of_2);
	map = maker_map(&k, 32, 36, MSN_MAPPING_OBJECT);
	map->shared = true;
	map = maker_map(&k, 40, 42, MSN_MAPPING_OBJECT);
	map->shared = true;
	map->offset = ADDR(1);
	return maker_commit(&k);
}

static void shared_memory_is_compared_where_it_shows(void)
{
	struct told *t = told_new();
	struct msn_uid a, b, c;
	struct test_store s;

	test_store_open(&s);
	a = make_shared(&s, "a", 6);
	b = make_shared(&s, "b", 7);
	c = make_shared(&s, "c", 0);
	EXPECT(diff(&s, a, b, t) == 0);
	CHECK(t->count == 2);
	EXPECT(t->run[0].shared && t->run[0].start == ADDR(34));
	EXPECT(t->run[1].shared && t->run[1].start == ADDR(41));
	EXPECT(diff(&s, a, c, t) == 0);
	CHECK(t->count == 2);
	EXPECT(t->run[0].start == ADDR(34) && t->run[1].start == ADDR(41));
	free(t);
	test_store_close(&s);
}

/*
 * A private mapping of an object: @object are its pages as in make(), and
 * @copies the space's own over them.
 */
static struct msn_uid make_copied(struct test_store *s, const char *name,
				  const char *object, const char *copies)
{
	struct msn_manifest_object *o;
	struct maker k;

	maker_begin(&k, s, name);
	o = maker_object(&k, strlen(object));
	for (uint64_t i = 0; object[i]; i++)
		if (object[i] != '.')
			maker_page(&k, &o->pages, i, (uint64_t)object[i]);
	maker_map(&k, 16, 16 + strlen(copies), MSN_MAPPING_OBJECT);
	for (uint64_t i = 0; copies[i]; i++)
		if (copies[i] == 'z')
			maker_zeros(&k, &k.m->pages, 16 + i, 1);
		else if (copies[i] != '.')
			maker_page(&k, &k.m->pages, 16 + i,
				   (uint64_t)copies[i]);
	return maker_commit(&k);
}

/* Bytes of a page depend on its number in its list: copies never equal. */
static void copies_of_an_object_are_compared_as_they_show(void)
{
	struct told *t = told_new();
	struct msn_uid a, b, c;
	struct test_store s;
	char got[16];

	test_store_open(&s);
	a = make_copied(&s, "a", "abcdef..", "..xyz.z.");
	b = make_copied(&s, "b", "aBcDeFg.", "..xz.zgz");
	EXPECT(diff(&s, a, a, t) == 0);
	EXPECT(t->count == 0 && t->mappings == 0);
	EXPECT(diff(&s, a, b, t) == 0);
	paint(t, got, 8);
	/*
	 * object  a b c d e f . .   a B c D e F g .
	 * copies  . . x y z . z .   . . x z . z g z
	 * shown   a b x y 0 f 0 0   a B x 0 e 0 g 0
	 */
	EXPECT(strcmp(got, ".*.****.") == 0);
	for (size_t i = 0; i < t->count; i++)
		EXPECT(!t->run[i].shared);
	/* Pages of its own against what an object shows: by their bytes. */
	c = make(&s, "c", "..x.z", MSN_MAPPING_ANON);
	EXPECT(diff(&s, a, c, t) == 0);
	paint(t, got, 8);
	EXPECT(strcmp(got, "...*....") == 0 && t->mappings == 2);
	free(t);
	test_store_close(&s);
}

static void a_damaged_page_of_an_object_is_told_by_its_address(void)
{
	struct told *t = told_new();
	uint8_t page[MSN_PAGE_SIZE];
	struct msn_uid a, b;
	struct test_store s;

	test_store_open(&s);
	a = make_copied(&s, "a", "abc", "..x");
	b = make_copied(&s, "b", "aBc", "..x");
	maker_fill(page, 1, 'B');
	damage_bytes(&s, page, sizeof(page));
	EXPECT(diff(&s, a, b, t) == -EBADMSG);
	EXPECT(t->why.kind == MSN_FAILURE_DATA_LOSS);
	EXPECT(strstr(t->why.text, "0x11000"));
	free(t);
	test_store_close(&s);
}

static void a_damaged_page_is_data_loss_with_its_place(void)
{
	struct told *t = told_new();
	uint8_t bytes[MSN_PAGE_SIZE];
	struct msn_uid a, b;
	struct test_store s;

	test_store_open(&s);
	a = make(&s, "a", "abcd", MSN_MAPPING_ANON);
	b = make(&s, "b", "abxd", MSN_MAPPING_ANON);
	maker_fill(bytes, 18, 'x');
	damage_bytes(&s, bytes, sizeof(bytes));
	EXPECT(diff(&s, a, b, t) < 0);
	EXPECT(t->why.kind == MSN_FAILURE_DATA_LOSS);
	EXPECT(strstr(t->why.text, "address 0x12000:"));
	EXPECT(diff(&s, a, a, t) == 0);
	free(t);
	test_store_close(&s);
}

static void a_snapshot_that_is_not_there_is_not_found(void)
{
	struct told *t = told_new();
	struct test_store s;
	struct msn_uid a;

	test_store_open(&s);
	a = make(&s, "a", "a", MSN_MAPPING_ANON);
	EXPECT(diff(&s, a, msn_uid_new(), t) < 0);
	EXPECT(t->why.kind == MSN_FAILURE_NOT_FOUND);
	EXPECT(diff(&s, msn_uid_new(), a, t) < 0);
	EXPECT(t->why.kind == MSN_FAILURE_NOT_FOUND);
	free(t);
	test_store_close(&s);
}

static void progress_can_cancel_and_so_can_the_caller(void)
{
	struct told *t = told_new();
	struct msn_uid a, b;
	struct test_store s;

	test_store_open(&s);
	a = make(&s, "a", "a.a", MSN_MAPPING_ANON);
	b = make(&s, "b", "b.b", MSN_MAPPING_ANON);
	t->cancel = true;
	EXPECT(diff(&s, a, b, t) == -ECANCELED);
	EXPECT(t->why.kind == MSN_FAILURE_CANCELLED);
	t->cancel = false;
	t->answer = -EXDEV;
	EXPECT(diff(&s, a, b, t) == -EXDEV);
	EXPECT(t->count == 1);
	free(t);
	test_store_close(&s);
}

/* Two large random snapshots, and what a page by page look says of them. */
enum { PAGES = 3000 };

static struct msn_uid make_random(struct test_store *s, const char *name,
				  const char *states)
{
	struct maker k;

	maker_begin(&k, s, name);
	maker_map(&k, 16, 16 + PAGES, MSN_MAPPING_ANON);
	for (uint64_t i = 0; i < PAGES; i++)
		if (states[i] == 'z')
			maker_zeros(&k, &k.m->pages, 16 + i, 1);
		else if (states[i] != '.')
			maker_page(&k, &k.m->pages, 16 + i,
				   (uint64_t)(states[i] - '0'));
	return maker_commit(&k);
}

static char zero_or(char state)
{
	return state == '.' || state == 'z' ? '0' : state;
}

static void random_snapshots_agree_with_a_page_by_page_look(void)
{
	static char a[PAGES + 1], b[PAGES + 1], want[PAGES + 1], got[PAGES + 1];
	static const char states[] = "...zz0123";
	struct told *t = told_new();
	uint64_t seed = check_seed();
	struct msn_uid ua, ub;
	struct test_store s;

	for (size_t i = 0; i < PAGES; i++) {
		a[i] = states[msn_rand_next(&seed) % 9];
		b[i] = msn_rand_next(&seed) % 2
			       ? a[i]
			       : states[msn_rand_next(&seed) % 9];
		want[i] = zero_or(a[i]) == zero_or(b[i]) ? '.' : '*';
	}
	test_store_open(&s);
	ua = make_random(&s, "a", a);
	ub = make_random(&s, "b", b);
	EXPECT(diff(&s, ua, ub, t) == 0);
	paint(t, got, PAGES);
	EXPECT(strcmp(got, want) == 0);
	for (size_t i = 1; i < t->count; i++)
		EXPECT(t->run[i - 1].end < t->run[i].start);
	free(t);
	test_store_close(&s);
}

struct walk {
	struct test_store s;
	struct msn_uid a, b;
	struct told t;
};

static void *walk_prepare(void)
{
	struct walk *w = calloc(1, sizeof(*w));

	CHECK(w);
	test_store_open(&w->s);
	w->a = make(&w->s, "a", "ab.d", MSN_MAPPING_ANON);
	w->b = make(&w->s, "b", "axcd", MSN_MAPPING_ANON);
	test_store_reopen(&w->s);
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;

	return diff(&w->s, w->a, w->b, &w->t);
}

static void walk_verify(void *state, int rc, const char *fired)
{
	struct walk *w = state;

	/* The store goes round some failures: then the result has to be right.
	 */
	EXPECT(rc == 0 || (fired && rc < 0));
	if (rc)
		EXPECT(w->t.why.kind != MSN_FAILURE_NONE);
	if (!rc)
		EXPECT(w->t.sum.changed_pages == 2);
	EXPECT(walk_body(w) == 0);
	EXPECT(w->t.sum.changed_pages == 2);
	test_store_close(&w->s);
	free(w);
}

static void every_failure_leaves_the_store_usable(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 8);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_snapshot_equals_itself_without_being_read),
		CHECK_TEST(other_bytes_differ_and_equal_ones_do_not),
		CHECK_TEST(no_page_of_anonymous_memory_is_a_page_of_zeros),
		CHECK_TEST(a_page_over_a_files_counts_as_changed),
		CHECK_TEST(a_page_over_a_files_counts_whole),
		CHECK_TEST(differing_bytes_are_counted),
		CHECK_TEST(inherited_pages_are_not_read),
		CHECK_TEST(pages_that_changed_places_differ),
		CHECK_TEST(what_is_beneath_changes_with_the_mapping),
		CHECK_TEST(a_new_mapping_of_a_file_has_no_changed_pages),
		CHECK_TEST(progress_ends_at_its_total),
		CHECK_TEST(
			pages_of_a_mapping_that_is_gone_are_compared_with_zero),
		CHECK_TEST(shared_memory_is_compared_where_it_shows),
		CHECK_TEST(copies_of_an_object_are_compared_as_they_show),
		CHECK_TEST(a_damaged_page_of_an_object_is_told_by_its_address),
		CHECK_TEST(a_damaged_page_is_data_loss_with_its_place),
		CHECK_TEST(a_snapshot_that_is_not_there_is_not_found),
		CHECK_TEST(progress_can_cancel_and_so_can_the_caller),
		CHECK_TEST(random_snapshots_agree_with_a_page_by_page_look),
		CHECK_TEST(every_failure_leaves_the_store_usable),
		{}
	};

	return check_main(argc, argv, "diff", tests);
}
