/*
 * Index: a file that was damaged while nobody had it open.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The three promises of index.h: nothing crashes; what is answered is what was
 * written, "there is none" as well; what was whole stays whole whatever is
 * written.
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
#include <sys/stat.h>
#include <unistd.h>

#define SNAPSHOTS 500
#define PAGE 4096
#define NOTE_LONG 9000

struct fixture {
	char *dir, *file;
};

static void note_of(unsigned n, uint8_t *note, size_t *len)
{
	*len = n % 50 == 0 ? NOTE_LONG : 20 + n % 90;
	memset(note, (int)('a' + n % 26), *len);
}

static void name_of(unsigned n, char *name)
{
	sprintf(name, "snapshot-%u", n);
}

static int publish_one(struct msn_index *index, unsigned n)
{
	uint8_t note[NOTE_LONG];
	char name[32];
	struct msn_record_change record = { .op = MSN_RECORD_PUT,
					    .kind = MSN_RECORD_REQUEST,
					    .key = name,
					    .value = note };
	struct msn_index_publish more = { .note = note,
					  .beside = { &record, 1 } };

	name_of(n, name);
	note_of(n, note, &more.note_len);
	record.key_len = strlen(name);
	record.value_len = more.note_len;
	return index_publish_with(index, index_uid(n * 131), name, 1 + n / 20,
				  2, (int64_t)(n * 7919 % SNAPSHOTS), &more);
}

static struct fixture setup(void)
{
	struct fixture f = { .dir = index_dir_new() };
	struct msn_index *index = index_at(f.dir, 0);
	bool freed;

	f.file = msn_format("%s/data.mdb", f.dir);
	CHECK(f.file);
	for (unsigned n = 0; n < SNAPSHOTS + 50; n++)
		CHECK(publish_one(index, n) == 0);
	/* So that there are free pages. */
	for (unsigned n = SNAPSHOTS; n < SNAPSHOTS + 50; n++)
		CHECK(index_remove(index, index_uid(n * 131), &freed) == 0);
	CHECK(msn_index_check(index, NULL) == 0);
	msn_index_close(index);
	return f;
}

static void teardown(struct fixture *f)
{
	free(f->file);
	index_dir_free(f->dir);
}

static struct msn_index *open_it(const struct fixture *f)
{
	struct msn_index_opts opts = { .dir = f->dir, .where = "/the/store" };
	struct msn_failure why = { 0 };
	struct msn_index *index = NULL;
	int rc = msn_index_open(&index, &opts, &why);

	EXPECT(rc == 0 || rc == -EBADMSG);
	EXPECT(rc == 0 || why.kind == MSN_FAILURE_DATA_LOSS);
	return index;
}

/* Right, or told.  False: told. */
static bool right_or_told(int rc, bool right)
{
	EXPECT(rc == 0 || rc == -EBADMSG);
	if (rc == 0)
		EXPECT(right);
	return rc == 0;
}

static bool ask_one(struct msn_index *index, unsigned n)
{
	struct msn_uid uid = index_uid(n * 131), got;
	struct msn_index_snapshot s;
	struct msn_note note;
	uint8_t want[NOTE_LONG], *value;
	size_t want_len, len;
	char name[32];
	bool ok;
	int rc;

	name_of(n, name);
	note_of(n, want, &want_len);
	rc = msn_index_by_name(index, name, &got, NULL);
	ok = right_or_told(rc, msn_uid_equal(got, uid));
	rc = msn_index_snapshot(index, uid, &s, NULL);
	ok &= right_or_told(rc, strcmp(s.name, name) == 0);
	rc = msn_index_note(index, uid, &note, NULL);
	ok &= right_or_told(rc,
			    rc == 0 && note.len == want_len &&
				    memcmp(note.bytes, want, want_len) == 0);
	if (rc == 0)
		free(note.bytes);
	rc = msn_index_record(index, MSN_RECORD_REQUEST, name, strlen(name),
			      &value, &len, NULL);
	ok &= right_or_told(rc, rc == 0 && len == want_len &&
					memcmp(value, want, want_len) == 0);
	if (rc == 0)
		free(value);
	return ok;
}

/* All pages of a listing: every snapshot in order, or told. */
static bool ask_pages(struct msn_index *index)
{
	struct msn_snapshot_cursor at;
	struct msn_index_page_opts opts = { .limit = 60, .notes = true };
	struct msn_index_page page;
	size_t count = 0;
	bool more = true;

	while (more) {
		if (msn_index_page(index, &opts, &page, NULL))
			return false;
		for (size_t i = 0; i < page.count; i++) {
			at.created_ns = page.list[i].snapshot.created_ns;
			at.uid = page.list[i].snapshot.uid;
			EXPECT(at.created_ns == (int64_t)count++);
		}
		opts.after = &at;
		more = page.more;
		msn_index_page_deinit(&page);
	}
	EXPECT(count == SNAPSHOTS);
	return true;
}

static bool ask_all(struct msn_index *index)
{
	bool ok = ask_pages(index);

	for (unsigned n = 0; n < SNAPSHOTS; n++)
		ok &= ask_one(index, n);
	return ok;
}

static void flip(const struct fixture *f, uint64_t at, unsigned bits)
{
	msn_auto(msn_closep) int fd = open(f->file, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	CHECK(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
	byte ^= (uint8_t)bits;
	CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
}

/* ---- Pages of tables ----------------------------------------------------- */

struct pages {
	uint64_t list[4000];
	size_t count;
	uint64_t leaf; /* one of them */
};

static void pages_below(struct pages *p, const struct index_pages *pages,
			const struct index_spot *at)
{
	CHECK(p->count < MSN_ARRAY_LEN(p->list));
	p->list[p->count++] = at->number;
	if (at->height == 0)
		p->leaf = at->number;
	for (unsigned i = 0;
	     at->height && i < index_page_keys(pages, at->number); i++) {
		struct index_spot child = index_page_child(pages, at, i);

		pages_below(p, pages, &child);
	}
}

static int pages_read(struct index_tx *tx, void *arg)
{
	for (int i = 0; i < INDEX_TABLES; i++) {
		const struct index_tree *tree = &tx->look.tables[i];
		struct index_spot root = index_tree_root(tree);

		if (tree->root != INDEX_NO_PAGE)
			pages_below(arg, &tx->look.pages, &root);
	}
	return 0;
}

static void pages_of(const struct fixture *f, struct pages *p)
{
	struct msn_index *index = index_at(f->dir, 0);

	p->count = 0;
	CHECK(index_read(index, pages_read, p, NULL) == 0);
	msn_index_close(index);
}

static void a_flip_in_a_table_is_never_an_answer(void)
{
	static struct pages p;
	struct fixture f = setup();
	uint64_t seed = check_seed();
	unsigned turns = CHECK_SANITIZED ? 60 : 400, told = 0;

	pages_of(&f, &p);
	for (unsigned i = 0; i < turns; i++) {
		uint64_t page = p.list[msn_rand_next(&seed) % p.count];
		uint64_t at = page * PAGE + msn_rand_next(&seed) % PAGE;
		unsigned bit = 1u << msn_rand_next(&seed) % 8;
		struct msn_index *index;
		bool whole, ok;

		/* Heads of pages more often than the rest. */
		if (i % 4 == 0)
			at = page * PAGE + msn_rand_next(&seed) % 40;
		flip(&f, at, bit);
		index = open_it(&f);
		if (!index) { /* what says which catalog this is */
			told++;
			flip(&f, at, bit);
			continue;
		}
		ok = ask_all(index);
		whole = msn_index_check(index, NULL) == 0;
		EXPECT(ok || !whole);
		told += !whole;
		msn_index_close(index);
		flip(&f, at, bit);
	}
	printf("(%u of %u told) ", told, turns);
	teardown(&f);
}

/* ---- Writing ------------------------------------------------------------- */

static void write_some(struct msn_index *index, unsigned i)
{
	struct msn_index_update up = { .uid = index_uid(3 * 131),
				       .revision = MSN_NOTE_ANY,
				       .name = "other",
				       .note = "n",
				       .note_len = 1 };
	bool freed;
	int rc = publish_one(index, SNAPSHOTS + 60 + i);

	EXPECT(rc == 0 || rc == -EBADMSG);
	rc = msn_index_update(index, &up, NULL, NULL);
	EXPECT(rc == 0 || rc == -EBADMSG || rc == MSN_INDEX_E_EXISTS);
	for (unsigned n = 5; n < 60; n += 6) {
		rc = index_remove(index, index_uid(n * 131), &freed);
		EXPECT(rc == 0 || rc == -EBADMSG);
	}
	rc = msn_index_record_trim(index, MSN_RECORD_REQUEST, "snapshot-2", 10,
				   NULL);
	EXPECT(rc == 0 || rc == -EBADMSG);
}

static bool was_changed(unsigned n)
{
	char name[32];

	name_of(n, name);
	return n == 3 || (n < 60 && n % 6 == 5) ||
	       strcmp(name, "snapshot-2") < 0;
}

/* What could be asked before can be asked afterwards. */
static void write_under(const struct fixture *f, unsigned i)
{
	static bool before[SNAPSHOTS];
	struct msn_index *index = open_it(f);

	if (!index)
		return;
	for (unsigned n = 0; n < SNAPSHOTS; n++)
		before[n] = ask_one(index, n);
	write_some(index, i);
	msn_index_close(index);
	index = open_it(f);
	CHECK(index);
	for (unsigned n = 0; n < SNAPSHOTS; n++)
		if (!was_changed(n))
			EXPECT(ask_one(index, n) || !before[n]);
	msn_index_close(index);
}

struct image {
	uint8_t *bytes;
	size_t len;
};

static struct image image_take(const struct fixture *f)
{
	struct image image;

	CHECK(msn_read_file((char **)&image.bytes, &image.len, AT_FDCWD,
			    f->file, (size_t)1 << 30) == 0);
	return image;
}

static void image_put(const struct fixture *f, const struct image *image)
{
	msn_auto(msn_closep) int fd = open(f->file, O_WRONLY | O_TRUNC);

	CHECK(fd >= 0 && msn_pwrite_full(fd, image->bytes, image->len, 0) == 0);
}

static void what_is_whole_stays_so_whatever_is_written(void)
{
	struct fixture f = setup();
	struct image good = image_take(&f);
	uint64_t seed = check_seed();
	unsigned turns = CHECK_SANITIZED ? 20 : 150;

	for (unsigned i = 0; i < turns; i++) {
		uint64_t at = msn_rand_next(&seed) % (good.len / PAGE) * PAGE;

		at += msn_rand_next(&seed) % (i % 2 ? 200 : PAGE);
		image_put(&f, &good);
		if (at >= 2 * PAGE)
			flip(&f, at, 1u << msn_rand_next(&seed) % 8);
		write_under(&f, i);
	}
	free(good.bytes);
	teardown(&f);
}

/* ---- Free pages ---------------------------------------------------------- */

/* Where a list of free pages stands in the file, and which page is to go in. */
struct free_list {
	uint64_t at, in_use;
};

static int free_list_find(struct index_tx *tx, void *arg)
{
	const struct index_pages *pages = &tx->look.pages;
	struct index_spot root = index_tree_root(&pages->free);
	struct free_list *f = arg;
	struct index_free_list list;
	struct index_node n;

	CHECK(root.height == 0);
	for (unsigned i = 0; i < index_page_keys(pages, root.number); i++) {
		CHECK(index_node_read(pages, root.number, i, true, &n));
		CHECK(!index_free_list_read(pages, &n, &list));
		for (uint64_t k = 0; k < list.count; k++) {
			const uint8_t *at = list.numbers + 8 * k;

			/* The first smaller one: so the order stays. */
			if (msn_get64(at) < f->in_use) {
				f->at = (uint64_t)(at - pages->map);
				return 0;
			}
		}
	}
	return 0;
}

static void a_free_page_that_is_in_use_stops_the_first_write(void)
{
	static struct pages p;
	struct fixture f = setup();
	struct free_list list = { 0 };
	struct msn_failure why = { 0 };
	struct msn_index *index;
	uint8_t number[8];
	int fd;

	pages_of(&f, &p);
	list.in_use = p.leaf;
	index = open_it(&f);
	CHECK(index_read(index, free_list_find, &list, NULL) == 0 && list.at);
	msn_index_close(index);
	fd = open(f.file, O_RDWR | O_CLOEXEC);
	msn_put64(number, list.in_use);
	CHECK(fd >= 0 && msn_pwrite_full(fd, number, 8, list.at) == 0);
	close(fd);

	index = open_it(&f);
	EXPECT(ask_all(index));
	EXPECT(msn_index_seal(index, 1, &why) == -EBADMSG);
	EXPECT(why.kind == MSN_FAILURE_DATA_LOSS &&
	       strstr(why.text, "used twice") &&
	       strstr(why.text, "/the/store"));
	EXPECT(ask_all(index));
	EXPECT(msn_index_check(index, NULL) == -EBADMSG);
	msn_index_close(index);
	teardown(&f);
}

/* Puts and deletes again: pages are given out and never written. */
static int waste(struct index_tx *tx, void *arg)
{
	uint8_t value[INDEX_VALUE_MAX] = { 0 }, bytes[2];
	struct index_bytes key = { bytes, sizeof(bytes) };
	unsigned count = *(unsigned *)arg;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < 2 * count; i++) {
		bytes[0] = (uint8_t)(i % count >> 8);
		bytes[1] = (uint8_t)(i % count);
		rc = i < count ? index_put(tx, INDEX_TAILS, key, value,
					   index_seal(key, value, 1900))
			       : index_del(tx, INDEX_TAILS, key);
	}
	return rc;
}

static int is_short(struct index_tx *tx, void *arg)
{
	*(bool *)arg = tx->look.pages.there < tx->look.pages.count;
	return 0;
}

static void a_file_that_lacks_free_pages_alone_is_whole(void)
{
	struct fixture f = setup();
	struct msn_index *index = index_at(f.dir, 0);
	struct stat st;
	bool shorter = false;

	for (unsigned n = 20; !shorter && n < 2000; n += 20) {
		CHECK(index_write(index, &(struct index_write_opts){ 0 }, waste,
				  &n, NULL) == 0);
		CHECK(index_read(index, is_short, &shorter, NULL) == 0);
	}
	CHECK(shorter);
	msn_index_close(index);
	index = open_it(&f);
	CHECK(index);
	EXPECT(ask_all(index));
	EXPECT(msn_index_check(index, NULL) == 0);
	EXPECT(publish_one(index, SNAPSHOTS + 90) == 0);
	EXPECT(msn_index_check(index, NULL) == 0);
	msn_index_close(index);

	/* What is in use must be there. */
	CHECK(stat(f.file, &st) == 0 && truncate(f.file, st.st_size / 2) == 0);
	index = NULL;
	EXPECT(msn_index_open(
		       &index,
		       &(struct msn_index_opts){ .dir = f.dir, .where = "s" },
		       NULL) == -EBADMSG);
	teardown(&f);
}

/* ---- How much is looked at ----------------------------------------------- */

static uint64_t looks_of_opening(const char *dir)
{
	struct msn_index *index;
	uint64_t before = index_pages_looked;

	index = index_at(dir, 0);
	before = index_pages_looked - before;
	msn_index_close(index);
	return before;
}

static void opening_looks_at_no_more_however_much_there_is(void)
{
	struct fixture f = setup();
	char *empty = index_dir_new();
	struct msn_index_snapshot s;
	struct msn_index *index;
	uint64_t before;

	msn_index_close(index_at(empty, 0));
	EXPECT(looks_of_opening(f.dir) == looks_of_opening(empty));

	/* A tree of this size is three pages high, its tables one. */
	index = index_at(f.dir, 0);
	before = index_pages_looked;
	CHECK(msn_index_snapshot(index, index_uid(131), &s, NULL) == 0);
	EXPECT(index_pages_looked - before <= 4);
	msn_index_close(index);
	index_dir_free(empty);
	teardown(&f);
}

/* Two nodes of a page in one place. */
static int overlap(struct index_tx *tx, void *arg)
{
	const struct index_tree *tree = &tx->look.tables[INDEX_SNAPSHOTS];
	struct index_pages pages = tx->look.pages;
	struct index_spot at = index_tree_root(tree);
	static uint8_t file[PAGE * 4000];

	(void)arg;
	while (at.height)
		at = index_page_child(&pages, &at, 0);
	CHECK(pages.there * PAGE <= sizeof(file));
	memcpy(file, pages.map, pages.there * PAGE);
	pages.map = file;
	EXPECT(!index_page_check(&pages, INDEX_TREE_TABLE, &at));
	memcpy(file + at.number * PAGE + 16, file + at.number * PAGE + 18, 2);
	EXPECT(index_page_check(&pages, INDEX_TREE_TABLE, &at));
	return 0;
}

static void nodes_that_overlap_are_told(void)
{
	struct fixture f = setup();
	struct msn_index *index = open_it(&f);

	CHECK(index_read(index, overlap, NULL, NULL) == 0);
	msn_index_close(index);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_flip_in_a_table_is_never_an_answer),
		CHECK_TEST(what_is_whole_stays_so_whatever_is_written),
		CHECK_TEST(a_free_page_that_is_in_use_stops_the_first_write),
		CHECK_TEST(a_file_that_lacks_free_pages_alone_is_whole),
		CHECK_TEST(opening_looks_at_no_more_however_much_there_is),
		CHECK_TEST(nodes_that_overlap_are_told),
		{}
	};

	return check_main(argc, argv, "index damage", tests);
}
