/*
 * verify: damage is found where it is, and nowhere else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "verify/verify.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "range/range.h"
#include "support/check.h"
#include "support/snapshot_maker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TOLD_MAX 64
#define ADDR(page) ((uint64_t)(page) << MSN_PAGE_SHIFT)

/* What verify told. */
struct told {
	struct msn_damage at[TOLD_MAX];
	size_t count;
	char blob[TOLD_MAX][16], reason[TOLD_MAX][128];
	int answer;	      /* of damaged() */
	int cancel_after;     /* progress calls; 0: never */
	uint64_t done, total; /* the last progress */
	unsigned steps;
};

static int on_damage(void *ctx, const struct msn_damage *d)
{
	struct told *t = ctx;

	CHECK(t->count < TOLD_MAX);
	t->at[t->count] = *d;
	snprintf(t->blob[t->count], sizeof(t->blob[0]), "%s",
		 d->blob ? d->blob : "");
	snprintf(t->reason[t->count++], sizeof(t->reason[0]), "%.127s",
		 d->reason);
	return t->answer;
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct told *t = ctx;

	EXPECT(done >= t->done && done <= total);
	t->done = done;
	t->total = total;
	t->steps++;
	return t->cancel_after && t->steps >= (unsigned)t->cancel_after;
}

static int verify(struct test_store *s, struct msn_uid uid, struct told *t,
		  struct msn_verify_summary *sum, struct msn_failure *why)
{
	t->count = 0;
	t->steps = 0;
	t->done = 0;
	return msn_verify(s->store, uid,
			  &(struct msn_verify_opts){
				  .damaged = on_damage,
				  .damaged_ctx = t,
				  .progress = on_progress,
				  .progress_ctx = t,
			  },
			  sum, why);
}

/*
 * page    16 17 18 19 20 21 22 23    an object: 0 1 2 3    a blob: 0 1
 * own      a  b  c  .  .  f  0  .                c . e .           r s
 */
static struct msn_uid make_one(struct test_store *s, const char *name,
			       uint64_t seed)
{
	struct msn_manifest_object *o;
	struct msn_manifest_blob *b;
	struct maker k;

	maker_begin(&k, s, name);
	maker_map(&k, 16, 24, MSN_MAPPING_ANON);
	for (uint64_t page = 16; page < 19; page++)
		maker_page(&k, &k.m->pages, page, seed);
	maker_page(&k, &k.m->pages, 21, seed);
	maker_zeros(&k, &k.m->pages, 22, 1);
	o = maker_object(&k, 4);
	maker_page(&k, &o->pages, 0, seed + 1);
	maker_page(&k, &o->pages, 2, seed + 1);
	b = maker_blob(&k, "regs", 2);
	b->size_bytes -= 100;
	maker_page(&k, &b->pages, 0, seed + 2);
	maker_page(&k, &b->pages, 1, seed + 2);
	CHECK(msn_manifest_add_label(k.m, "marker", "manifest-of-this") == 0);
	return maker_commit(&k);
}

static void damage_page(struct test_store *s, uint64_t page, uint64_t seed)
{
	uint8_t bytes[MSN_PAGE_SIZE];

	maker_fill(bytes, page, seed);
	damage_bytes(s, bytes, sizeof(bytes));
}

static void a_whole_snapshot_is_whole(void)
{
	struct msn_verify_summary sum = {};
	struct msn_failure why = {};
	struct told t = {};
	struct test_store s;
	struct msn_uid uid;

	test_store_open(&s);
	uid = make_one(&s, "one", 5);
	EXPECT(verify(&s, uid, &t, &sum, &why) == 0);
	EXPECT(t.count == 0);
	EXPECT(why.kind == MSN_FAILURE_NONE);
	EXPECT(sum.pages == 8);
	EXPECT(sum.objects == 1);
	EXPECT(sum.blobs == 1);
	EXPECT(sum.damaged_pages == 0 && sum.damaged_runs == 0);
	EXPECT(t.total == ADDR(8) && t.done == t.total);
	test_store_close(&s);
}

static void an_empty_snapshot_is_whole(void)
{
	struct msn_verify_summary sum = {};
	struct msn_failure why = {};
	struct told t = {};
	struct test_store s;
	struct msn_uid uid;
	struct maker k;

	test_store_open(&s);
	maker_begin(&k, &s, "empty");
	uid = maker_commit(&k);
	EXPECT(verify(&s, uid, &t, &sum, &why) == 0);
	EXPECT(sum.pages == 0 && t.count == 0);
	test_store_close(&s);
}

static void a_flipped_bit_is_found_at_its_address(void)
{
	struct msn_verify_summary sum = {};
	struct msn_failure why = {};
	struct msn_uid one, two;
	struct told t = {};
	struct test_store s;

	test_store_open(&s);
	one = make_one(&s, "one", 5);
	two = make_one(&s, "two", 50);
	damage_page(&s, 21, 5);

	EXPECT(verify(&s, one, &t, &sum, &why) == -EBADMSG);
	EXPECT(why.kind == MSN_FAILURE_DATA_LOSS);
	EXPECT(strstr(why.text, "one"));
	CHECK(t.count == 1);
	EXPECT(msn_uid_equal(t.at[0].snapshot, one));
	EXPECT(t.at[0].part == MSN_DAMAGE_SPACE);
	EXPECT(t.at[0].start == ADDR(21) && t.at[0].end == ADDR(22));
	EXPECT(t.at[0].has_pack && t.at[0].pack != 0);
	EXPECT(t.reason[0][0] != '\0');
	EXPECT(sum.damaged_pages == 1 && sum.damaged_runs == 1);
	EXPECT(sum.pages == 8);
	EXPECT(t.done == t.total);

	memset(&why, 0, sizeof(why));
	EXPECT(verify(&s, two, &t, &sum, &why) == 0);
	test_store_close(&s);
}

static void touching_damage_is_one_run(void)
{
	struct msn_verify_summary sum = {};
	struct msn_failure why = {};
	struct told t = {};
	struct test_store s;
	struct msn_uid uid;

	test_store_open(&s);
	uid = make_one(&s, "one", 5);
	damage_page(&s, 17, 5);
	damage_page(&s, 18, 5);
	damage_page(&s, 21, 5);
	EXPECT(verify(&s, uid, &t, &sum, &why) == -EBADMSG);
	CHECK(t.count == 2);
	EXPECT(t.at[0].start == ADDR(17) && t.at[0].end == ADDR(19));
	EXPECT(t.at[1].start == ADDR(21) && t.at[1].end == ADDR(22));
	EXPECT(sum.damaged_pages == 3 && sum.damaged_runs == 2);
	test_store_close(&s);
}

static void damage_to_objects_and_blobs_is_named(void)
{
	struct msn_verify_summary sum = {};
	struct msn_failure why = {};
	struct told t = {};
	struct test_store s;
	struct msn_uid uid;

	test_store_open(&s);
	uid = make_one(&s, "one", 5);
	damage_page(&s, 2, 6);
	damage_page(&s, 1, 7);
	EXPECT(verify(&s, uid, &t, &sum, &why) == -EBADMSG);
	CHECK(t.count == 2);
	EXPECT(t.at[0].part == MSN_DAMAGE_OBJECT && t.at[0].object == 0);
	EXPECT(t.at[0].start == ADDR(2) && t.at[0].end == ADDR(3));
	EXPECT(t.at[1].part == MSN_DAMAGE_BLOB);
	EXPECT(strcmp(t.blob[1], "regs") == 0);
	/* The blob ends in the middle of its last page. */
	EXPECT(t.at[1].start == ADDR(1) && t.at[1].end == ADDR(2) - 100);
	test_store_close(&s);
}

static void a_lost_manifest_is_damage(void)
{
	struct msn_verify_summary sum = {};
	struct msn_failure why = {};
	struct msn_uid one, two;
	struct told t = {};
	struct test_store s;

	test_store_open(&s);
	two = make_one(&s, "two", 50);
	one = make_one(&s, "one", 5);
	damage_bytes(&s, "manifest-of-this", 16);
	EXPECT(verify(&s, one, &t, &sum, &why) == -EBADMSG);
	EXPECT(why.kind == MSN_FAILURE_DATA_LOSS);
	CHECK(t.count == 1);
	EXPECT(t.at[0].part == MSN_DAMAGE_MANIFEST);
	EXPECT(!t.at[0].has_pack);
	EXPECT(sum.damaged_runs == 1);
	memset(&why, 0, sizeof(why));
	EXPECT(verify(&s, two, &t, &sum, &why) == 0);
	test_store_close(&s);
}

static void a_snapshot_that_is_not_there_is_not_damage(void)
{
	struct msn_failure why = {};
	struct told t = {};
	struct test_store s;

	test_store_open(&s);
	EXPECT(verify(&s, msn_uid_new(), &t, NULL, &why) < 0);
	EXPECT(why.kind == MSN_FAILURE_NOT_FOUND);
	EXPECT(t.count == 0);
	test_store_close(&s);
}

/* A pack that holds the pages of one part of a snapshot only. */
static void a_lost_pack_hurts_only_its_pages(void)
{
	struct msn_verify_summary sum = {};
	struct msn_failure why = {};
	msn_auto(msn_freep) char *path = NULL;
	uint8_t bytes[MSN_PAGE_SIZE];
	const uint64_t many = 17000; /* more than one pack holds */
	struct told t = {};
	struct test_store s;
	struct msn_uid uid;
	struct maker k;
	uint64_t at;

	test_store_open(&s);
	maker_begin(&k, &s, "large");
	maker_map(&k, 16, 16 + many, MSN_MAPPING_ANON);
	for (uint64_t i = 16; i < 16 + many; i++)
		maker_page(&k, &k.m->pages, i, 3);
	uid = maker_commit(&k);
	maker_fill(bytes, 16, 3);
	path = find_bytes(&s, bytes, sizeof(bytes), &at);
	s.store = msn_store_close(s.store);
	CHECK(unlink(path) == 0);
	test_store_reopen(&s);

	EXPECT(verify(&s, uid, &t, &sum, &why) == -EBADMSG);
	EXPECT(why.kind == MSN_FAILURE_DATA_LOSS);
	CHECK(t.count == 1);
	EXPECT(t.at[0].start == ADDR(16));
	EXPECT(t.at[0].end > ADDR(10000) && t.at[0].end < ADDR(16 + many));
	EXPECT(sum.pages == many);
	EXPECT(sum.damaged_pages == (t.at[0].end - t.at[0].start) / ADDR(1));
	EXPECT(t.done == t.total);
	test_store_close(&s);
}

static void progress_can_cancel(void)
{
	struct msn_failure why = {};
	struct told t = { .cancel_after = 1 };
	struct test_store s;
	struct msn_uid uid;

	test_store_open(&s);
	uid = make_one(&s, "one", 5);
	EXPECT(verify(&s, uid, &t, NULL, &why) == -ECANCELED);
	EXPECT(why.kind == MSN_FAILURE_CANCELLED);
	test_store_close(&s);
}

static void the_callers_answer_ends_the_walk(void)
{
	struct msn_failure why = {};
	struct told t = { .answer = -EXDEV };
	struct test_store s;
	struct msn_uid uid;

	test_store_open(&s);
	uid = make_one(&s, "one", 5);
	damage_page(&s, 16, 5);
	damage_page(&s, 21, 5);
	EXPECT(verify(&s, uid, &t, NULL, &why) == -EXDEV);
	EXPECT(t.count == 1);
	test_store_close(&s);
}

static void part_names_are_words(void)
{
	EXPECT(!strcmp(msn_damage_part_name(MSN_DAMAGE_MANIFEST), "manifest"));
	EXPECT(!strcmp(msn_damage_part_name(MSN_DAMAGE_SPACE), "space"));
	EXPECT(!strcmp(msn_damage_part_name(MSN_DAMAGE_OBJECT), "object"));
	EXPECT(!strcmp(msn_damage_part_name(MSN_DAMAGE_BLOB), "blob"));
}

/* Pages here and there; some flipped; exactly those are told. */
static void exactly_the_damaged_pages_are_told(void)
{
	enum { PAGES = 4000 };
	static bool stored[PAGES], hurt[PAGES];
	uint64_t seed = check_seed();
	struct msn_verify_summary sum = {};
	struct msn_failure why = {};
	struct told t = {};
	uint64_t told = 0, want = 0;
	struct test_store s;
	struct msn_uid uid;
	struct maker k;

	test_store_open(&s);
	maker_begin(&k, &s, "random");
	maker_map(&k, 1, PAGES + 1, MSN_MAPPING_ANON);
	memset(hurt, 0, sizeof(hurt));
	for (uint64_t i = 0; i < PAGES; i++) {
		stored[i] = msn_rand_next(&seed) % 3 != 0;
		if (stored[i])
			maker_page(&k, &k.m->pages, i + 1, 9);
	}
	uid = maker_commit(&k);
	for (int i = 0; i < 12; i++) {
		uint64_t page = msn_rand_next(&seed) % PAGES;

		if (!stored[page] || hurt[page])
			continue;
		hurt[page] = true;
		want++;
		damage_page(&s, page + 1, 9);
	}
	EXPECT(verify(&s, uid, &t, &sum, &why) == (want ? -EBADMSG : 0));
	for (size_t i = 0; i < t.count; i++)
		for (uint64_t at = t.at[i].start; at < t.at[i].end;
		     at += MSN_PAGE_SIZE, told++)
			EXPECT(hurt[(at >> MSN_PAGE_SHIFT) - 1]);
	EXPECT(told == want && sum.damaged_pages == want);
	test_store_close(&s);
}

struct walk {
	struct test_store s;
	struct msn_uid uid;
	struct told t;
	struct msn_failure why;
	bool damaged;
};

static void *walk_prepare(void)
{
	struct walk *w = calloc(1, sizeof(*w));

	CHECK(w);
	test_store_open(&w->s);
	w->uid = make_one(&w->s, "one", 5);
	test_store_reopen(&w->s);
	return w;
}

static void *walk_prepare_damaged(void)
{
	struct walk *w = walk_prepare();

	w->damaged = true;
	damage_page(&w->s, 17, 5);
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;

	return verify(&w->s, w->uid, &w->t, NULL, &w->why);
}

static void walk_verify(void *state, int rc, const char *fired)
{
	struct walk *w = state;

	/* A read that fails once is tried again: it may end well. */
	if (!fired)
		EXPECT(rc == (w->damaged ? -EBADMSG : 0));
	if (rc)
		EXPECT(rc < 0 && w->why.kind != MSN_FAILURE_NONE);
	if (!rc)
		EXPECT(!w->damaged);
	memset(&w->why, 0, sizeof(w->why));
	EXPECT(walk_body(w) == (w->damaged ? -EBADMSG : 0));
	EXPECT(w->t.count == (w->damaged ? 1 : 0));
	test_store_close(&w->s);
	free(w);
}

static void every_failure_leaves_the_store_usable(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 5);
	EXPECT(check_every_fault(walk_prepare_damaged, walk_body, walk_verify) >
	       5);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_whole_snapshot_is_whole),
		CHECK_TEST(an_empty_snapshot_is_whole),
		CHECK_TEST(a_flipped_bit_is_found_at_its_address),
		CHECK_TEST(touching_damage_is_one_run),
		CHECK_TEST(damage_to_objects_and_blobs_is_named),
		CHECK_TEST(a_lost_manifest_is_damage),
		CHECK_TEST(a_snapshot_that_is_not_there_is_not_damage),
		CHECK_TEST(a_lost_pack_hurts_only_its_pages),
		CHECK_TEST(progress_can_cancel),
		CHECK_TEST(the_callers_answer_ends_the_walk),
		CHECK_TEST(part_names_are_words),
		CHECK_TEST(exactly_the_damaged_pages_are_told),
		CHECK_TEST(every_failure_leaves_the_store_usable),
		{}
	};

	return check_main(argc, argv, "verify", tests);
}
