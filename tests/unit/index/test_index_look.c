/*
 * Index: what is looked at before LMDB follows it is all that it follows, and
 * no more than need be.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first test knows nothing of LMDB's ways.  It runs a random transaction
 * on a random tree and notes which pages were looked at.  Then it runs the same
 * transaction on the same file, with every other leaf full of rubbish: the
 * result must be the same.
 */
#include "base/alloc.h"
#include "base/fd.h"
#include "base/rand.h"
#include "fakes/index_fixture.h"
#include "format/wire.h"
#include "index/index_check.h"
#include "index/index_private.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define TABLE INDEX_EVENTS
#define KEYS_MAX 6000
#define OPS_MAX 400
#define PAGE 4096

/* The whole file, to be put back. */
struct image {
	uint8_t *bytes;
	size_t len;
};

static struct image image_take(const char *dir)
{
	msn_auto(msn_freep) char *path = msn_format("%s/data.mdb", dir);
	struct image image;

	CHECK(msn_read_file((char **)&image.bytes, &image.len, AT_FDCWD, path,
			    (size_t)1 << 30) == 0);
	return image;
}

static void image_put(const char *dir, const struct image *image)
{
	msn_auto(msn_freep) char *path = msn_format("%s/data.mdb", dir);
	msn_auto(msn_closep) int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && msn_pwrite_full(fd, image->bytes, image->len, 0) == 0);
}

/* How keys and values of a tree look. */
struct shape {
	size_t key_len; /* 4 to INDEX_KEY_MAX: long ones make narrow trees */
	size_t value_max;
};

static struct index_bytes key_make(const struct shape *s, uint64_t n,
				   uint8_t *key)
{
	memset(key, 'k', s->key_len);
	for (unsigned i = 0; i < 4; i++)
		key[i] = (uint8_t)(n >> (24 - 8 * i));
	return (struct index_bytes){ key, s->key_len };
}

/* One change: a key, and the length of its value or a deletion. */
struct op {
	uint64_t key;
	size_t len;
	bool del;
};

struct script {
	struct shape shape;
	struct op ops[OPS_MAX];
	size_t count;

	/* What was looked at: as of the end of the last run. */
	uint16_t *seen;
	uint64_t pages;
	bool whole;
};

static int run_op(struct index_tx *tx, const struct script *s,
		  const struct op *op)
{
	uint8_t bytes[INDEX_KEY_MAX], value[INDEX_VALUE_MAX];
	struct index_bytes key = key_make(&s->shape, op->key, bytes);
	int rc;

	if (op->del) {
		rc = index_del(tx, TABLE, key);
		return rc == -ENOENT ? 0 : rc;
	}
	memset(value, (int)op->key, op->len);
	return index_put(tx, TABLE, key, value,
			 index_seal(key, value, op->len));
}

static int run_script(struct index_tx *tx, void *arg)
{
	struct script *s = arg;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->count; i++)
		rc = run_op(tx, s, &s->ops[i]);
	free(s->seen);
	s->pages = tx->look.pages.count;
	s->seen = calloc(s->pages, sizeof(*s->seen));
	CHECK(s->seen);
	if (tx->look.seen)
		memcpy(s->seen, tx->look.seen, s->pages * sizeof(*s->seen));
	s->whole = tx->look.whole[TABLE];
	return rc;
}

static int run(const char *dir, struct script *s)
{
	struct msn_index *index = index_at(dir, 0);
	struct msn_failure why = { 0 };
	int rc = index_write(index, &(struct index_write_opts){ 0 }, run_script,
			     s, &why);

	if (rc)
		printf("(%s) ", why.text);
	msn_index_close(index);
	return rc;
}

/* A digest of all entries of the table, in order. */
static int digest_each(void *arg, struct index_bytes key,
		       struct index_bytes value)
{
	uint64_t *sum = arg;

	CHECK(index_sealed(key, value));
	*sum = *sum * 31 +
	       msn_get64((const uint8_t *)value.data + value.len - 8);
	return 0;
}

static int digest_read(struct index_tx *tx, void *arg)
{
	int rc = index_check_file(&tx->look.pages, INDEX_CHECK_ALL,
				  &tx->look.wrong);

	*(uint64_t *)arg = 1;
	return rc ? rc : index_walk(tx, TABLE, NULL, digest_each, arg);
}

static uint64_t contents(const char *dir)
{
	struct msn_index *index = index_at(dir, 0);
	struct msn_failure why = { 0 };
	uint64_t sum = 0;
	int rc = index_read(index, digest_read, &sum, &why);

	if (rc)
		printf("(%s) ", why.text);
	EXPECT(rc == 0);
	msn_index_close(index);
	return sum;
}

/* ---- A random tree ------------------------------------------------------- */

static void fill_ops(struct script *s, uint64_t *seed, uint64_t keys,
		     unsigned deletes)
{
	uint64_t near = msn_rand_next(seed) % keys;
	bool cluster = msn_rand_next(seed) % 2;

	s->count = 1 + msn_rand_next(seed) % OPS_MAX;
	if (msn_rand_next(seed) % 2)
		s->count = 1 + s->count % 6;
	for (size_t i = 0; i < s->count; i++) {
		uint64_t at = cluster ? near + i + msn_rand_next(seed) % 3
				      : msn_rand_next(seed);

		s->ops[i] = (struct op){
			.key = at % keys,
			.len = msn_rand_next(seed) % s->shape.value_max,
			.del = msn_rand_next(seed) % 100 < deletes
		};
	}
}

/*
 * Leaves one key of some, so that branches have few children: LMDB does not
 * join them before they have but one.
 */
static void thin_out(const char *dir, struct script *s, uint64_t *seed,
		     uint64_t keys)
{
	uint64_t one_of = msn_rand_next(seed) % 30, at = 0;

	while (one_of > 1 && at < keys) {
		for (s->count = 0; s->count < OPS_MAX && at < keys; at++)
			if (msn_rand_next(seed) % one_of)
				s->ops[s->count++] = (struct op){ at, 0, true };
		CHECK(run(dir, s) == 0);
	}
}

static void grow_tree(const char *dir, struct script *s, uint64_t *seed,
		      uint64_t keys)
{
	uint64_t at = 0;

	while (at < keys) {
		for (s->count = 0; s->count < OPS_MAX && at < keys; at++)
			s->ops[s->count++] = (struct op){
				at, msn_rand_next(seed) % s->shape.value_max,
				false
			};
		CHECK(run(dir, s) == 0);
	}
	thin_out(dir, s, seed, keys);
	/* Some of it goes again: whole stretches, and here and there. */
	for (uint64_t turns = msn_rand_next(seed) % 12; turns > 0; turns--) {
		fill_ops(s, seed, keys, 97);
		CHECK(run(dir, s) == 0);
	}
}

/* ---- Rubbish where nobody looked ----------------------------------------- */

struct rubbish {
	struct image *file; /* is changed */
	const struct script *s;
	const struct image *good;
	uint64_t *where;
	size_t count, cap, leaves;
};

static void rubbish_below(struct rubbish *r, const struct index_pages *pages,
			  const struct index_spot *at)
{
	if (at->height == 0) {
		r->leaves++;
		if (r->s->whole || r->s->seen[at->number])
			return;
		CHECK(msn_grow((void **)&r->where, &r->cap, r->count,
			       sizeof(*r->where)) == 0);
		r->where[r->count++] = at->number;
		memset(r->file->bytes + at->number * PAGE, 0xff, PAGE);
		return;
	}
	for (unsigned i = 0; i < index_page_keys(pages, at->number); i++) {
		struct index_spot child = index_page_child(pages, at, i);

		rubbish_below(r, pages, &child);
	}
}

static int rubbish_read(struct index_tx *tx, void *arg)
{
	struct rubbish *r = arg;
	const struct index_tree *tree = &tx->look.tables[TABLE];
	struct index_spot root;

	if (tree->root == INDEX_NO_PAGE)
		return 0;
	root = index_tree_root(tree);
	rubbish_below(r, &tx->look.pages, &root);
	return 0;
}

static void rubbish_find(const char *dir, struct rubbish *r)
{
	struct msn_index *index = index_at(dir, 0);

	CHECK(index_read(index, rubbish_read, r, NULL) == 0);
	msn_index_close(index);
}

/* Puts back what was rubbish, in the file as it is now. */
static void rubbish_undo(const char *dir, const struct rubbish *r)
{
	msn_auto(msn_freep) char *path = msn_format("%s/data.mdb", dir);
	msn_auto(msn_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	for (size_t i = 0; i < r->count; i++)
		CHECK(msn_pwrite_full(fd, r->good->bytes + r->where[i] * PAGE,
				      PAGE, r->where[i] * PAGE) == 0);
}

/* One transaction on the tree of @good: with rubbish in it, and without. */
static bool try_script(const char *dir, struct script *s,
		       const struct image *good, size_t *unseen)
{
	struct image bad = { msn_alloc(good->len), good->len };
	struct rubbish r = { .s = s, .good = good, .file = &bad };
	uint64_t want;
	bool same;

	CHECK(bad.bytes);
	memcpy(bad.bytes, good->bytes, good->len);
	image_put(dir, good);
	CHECK(run(dir, s) == 0);
	want = contents(dir);

	image_put(dir, good);
	rubbish_find(dir, &r);
	image_put(dir, &bad);
	CHECK(run(dir, s) == 0);
	rubbish_undo(dir, &r);
	same = contents(dir) == want;
	*unseen += r.count;
	free(r.where);
	free(bad.bytes);
	return same;
}

static void try_tree(struct script *s, uint64_t *seed, size_t *unseen)
{
	uint64_t keys = 20 + msn_rand_next(seed) % KEYS_MAX;
	char *dir = index_dir_new();
	struct image good;

	grow_tree(dir, s, seed, keys);
	good = image_take(dir);
	for (unsigned i = 0; i < 10; i++) {
		fill_ops(s, seed, keys, msn_rand_next(seed) % 2 ? 100 : 40);
		EXPECT(try_script(dir, s, &good, unseen));
	}
	free(good.bytes);
	index_dir_free(dir);
}

static void a_change_follows_only_what_was_looked_at(void)
{
	static const struct shape shapes[] = {
		{ 128, 1800 }, { 128, 40 }, { 64, 1900 }, { 8, 60 }
	};
	static struct script s;
	uint64_t seed = check_seed();
	unsigned turns = CHECK_SANITIZED ? 6 : 30;
	size_t unseen = 0;

	for (unsigned i = 0; i < turns; i++) {
		s.shape = shapes[i % MSN_ARRAY_LEN(shapes)];
		try_tree(&s, &seed, &unseen);
	}
	free(s.seen);
	s.seen = NULL;
	printf("(%zu leaves were rubbish) ", unseen);
	EXPECT(unseen > turns * 10);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_change_follows_only_what_was_looked_at), {}
	};

	return check_main(argc, argv, "index look", tests);
}
