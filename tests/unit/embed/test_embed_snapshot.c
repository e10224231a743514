/*
 * The public face of save, open, clone and the store, also across fork.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/cleanup.h"
#include "support/check.h"

#include <errno.h>
#include <memsnap/memsnap.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define BASE ((char *)0x320000000000)
#define PAGES ((size_t)64)

/* A store in a folder of its own, and a space with something in it. */
struct fixture {
	char dir[64];
	struct memsnap_store *store;
	struct memsnap_space *space;
};

static struct memsnap_store *open_store(const char *path, uint32_t flags)
{
	struct memsnap_store_opts o = { sizeof(o), path, flags };
	struct memsnap_store *store = NULL;

	CHECK(memsnap_store_open(&store, &o, NULL) == 0);
	return store;
}

static void fill(char *page, char letter)
{
	memset(page, letter, PAGE);
	page[1] = '\0';
}

/*
 * pages   0 .. 15 | 16 .. 31 | 32 ..
 *         private | shared   | nothing
 *         a b c   | s        |
 */
static struct fixture set_up(void)
{
	struct memsnap_space_opts region = { sizeof(region), BASE,
					     PAGES * PAGE };
	struct memsnap_map_opts o = { .size = sizeof(o),
				      .addr = BASE,
				      .length = 16 * PAGE,
				      .prot = PROT_READ | PROT_WRITE };
	struct fixture f = { .dir = "/tmp/test_embed_XXXXXX" };
	void *at;

	CHECK(mkdtemp(f.dir));
	f.store = open_store(f.dir, MEMSNAP_STORE_CREATE);
	CHECK(memsnap_space_create(&f.space, &region, NULL) == 0);
	CHECK(memsnap_space_map(f.space, &o, &at, NULL) == 0);
	o.addr = BASE + 16 * PAGE;
	o.flags = MEMSNAP_MAP_SHARED;
	CHECK(memsnap_space_map(f.space, &o, &at, NULL) == 0);
	for (int i = 0; i < 3; i++)
		fill(BASE + (size_t)i * PAGE, (char)('a' + i));
	fill(BASE + 16 * PAGE, 's');
	return f;
}

static void tear_down(struct fixture *f)
{
	char command[96];

	memsnap_space_destroy(f->space);
	memsnap_store_close(f->store);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	EXPECT(system(command) == 0);
}

static struct memsnap_uid save_as(struct fixture *f, const char *name)
{
	struct memsnap_save_opts o = { .size = sizeof(o), .name = name };
	struct memsnap_uid uid = { { 0 } };

	CHECK(memsnap_save(f->space, f->store, &o, &uid, NULL, NULL) == 0);
	return uid;
}

static struct memsnap_image *open_image(struct fixture *f, const char *ref,
					uint32_t flags)
{
	struct memsnap_open_opts o = { sizeof(o), flags };
	struct memsnap_image *image = NULL;

	CHECK(memsnap_image_open(&image, f->store, ref, &o, NULL) == 0);
	return image;
}

/* Gives up the fixture's space and clones into its place. */
static void clone_again(struct fixture *f, struct memsnap_image *image)
{
	memsnap_space_destroy(f->space);
	f->space = NULL;
	CHECK(memsnap_clone(image, NULL, &f->space, NULL) == 0);
}

static bool holds(size_t page, const char *text)
{
	return !strcmp(BASE + page * PAGE, text);
}

static void a_clone_holds_what_was_saved(void)
{
	for (uint32_t flags = 0; flags <= MEMSNAP_OPEN_EAGER; flags++) {
		struct fixture f = set_up();
		struct memsnap_image *image;

		save_as(&f, "first");
		fill(BASE, 'x');
		image = open_image(&f, "first", flags);
		clone_again(&f, image);
		memsnap_image_close(image);
		EXPECT(holds(0, "a") && holds(1, "b") && holds(2, "c"));
		EXPECT(holds(3, "") && holds(15, "") && holds(16, "s"));
		EXPECT(BASE[PAGE - 1] == 'a');
		strcpy(BASE, "written");
		EXPECT(holds(0, "written"));
		tear_down(&f);
	}
}

static struct memsnap_usage usage_of(struct memsnap_space *space)
{
	struct memsnap_usage u = { .size = sizeof(u) };

	CHECK(memsnap_space_usage(space, &u, NULL) == 0);
	return u;
}

static void a_clone_tells_what_it_has(void)
{
	struct fixture f = set_up();
	struct memsnap_map_opts o = { .size = sizeof(o),
				      .addr = BASE + 40 * PAGE,
				      .length = 3 * PAGE,
				      .prot = PROT_READ,
				      .flags = MEMSNAP_MAP_FILE };
	char path[] = "/tmp/test_embed_XXXXXX";
	struct memsnap_image *image;
	struct memsnap_usage u;
	void *at;

	o.fd = mkstemp(path);
	CHECK(o.fd >= 0 && ftruncate(o.fd, 3 * (off_t)PAGE) == 0);
	CHECK(memsnap_space_map(f.space, &o, &at, NULL) == 0);
	close(o.fd);
	save_as(&f, "first");
	image = open_image(&f, "first", MEMSNAP_OPEN_EAGER);
	clone_again(&f, image);
	memsnap_image_close(image);
	u = usage_of(f.space);
	EXPECT(u.mapped_bytes == (16 + 16 + 3) * PAGE);
	EXPECT(u.own_bytes == 16 * PAGE); /* shared; the rest is the image's */
	EXPECT(u.resident_bytes == PAGE);
	EXPECT(u.file_bytes == 3 * PAGE);
	unlink(path);
	tear_down(&f);
}

static void two_clones_of_an_image_share_no_change(void)
{
	struct fixture f = set_up();
	struct memsnap_image *image;

	save_as(&f, "first");
	image = open_image(&f, "first", MEMSNAP_OPEN_EAGER);
	clone_again(&f, image);
	fill(BASE, '1');
	fill(BASE + 16 * PAGE, '1');
	clone_again(&f, image);
	EXPECT(holds(0, "a") && holds(16, "s"));
	memsnap_image_close(image);
	tear_down(&f);
}

static void each_clone_has_a_generation_of_its_own(void)
{
	struct fixture f = set_up();
	struct memsnap_image *image;
	struct memsnap_uid one, two, none = { { 0 } };

	save_as(&f, "first");
	image = open_image(&f, "first", 0);
	clone_again(&f, image);
	one = memsnap_space_generation(f.space);
	clone_again(&f, image);
	two = memsnap_space_generation(f.space);
	EXPECT(memcmp(&one, &two, sizeof(one)));
	EXPECT(memcmp(&one, &none, sizeof(one)));
	memsnap_image_close(image);
	tear_down(&f);
}

static void blobs_and_labels_come_back(void)
{
	struct fixture f = set_up();
	struct memsnap_blob blobs[] = { { "root", "\0\1\2", 3 },
					{ "empty", "", 0 } };
	struct memsnap_label labels[] = { { "owner", "alice" } };
	struct memsnap_save_opts o = { .size = sizeof(o),
				       .blobs = blobs,
				       .blob_count = 2,
				       .labels = labels,
				       .label_count = 1 };
	char text[MEMSNAP_UID_TEXT];
	struct memsnap_image *image;
	struct memsnap_uid uid, back;
	struct memsnap_error err;
	const void *data = NULL;
	size_t len = 9;

	CHECK(memsnap_save(f.space, f.store, &o, &uid, NULL, NULL) == 0);
	memsnap_uid_format(&uid, text);
	CHECK(strlen(text) == 32);
	image = open_image(&f, text, 0);
	back = memsnap_image_uid(image);
	EXPECT(!memcmp(&back, &uid, sizeof(uid)));
	CHECK(memsnap_image_blob(image, "root", &data, &len, NULL) == 0);
	EXPECT(len == 3 && !memcmp(data, "\0\1\2", 3));
	CHECK(memsnap_image_blob(image, "empty", &data, &len, NULL) == 0);
	EXPECT(len == 0);
	EXPECT(memsnap_image_blob(image, "none", &data, &len, &err) == -ENOENT);
	EXPECT(err.code == MEMSNAP_NOT_FOUND && strstr(err.text, "none"));
	EXPECT(!strcmp(memsnap_image_label(image, "owner"), "alice"));
	EXPECT(memsnap_image_label(image, "other") == NULL);
	memsnap_image_close(image);
	tear_down(&f);
}

static void a_span_covers_the_mappings(void)
{
	struct fixture f = set_up();
	struct memsnap_image *image;
	void *base;
	size_t length;

	save_as(&f, "first");
	image = open_image(&f, "first", 0);
	memsnap_image_span(image, &base, &length);
	EXPECT(base == BASE && length == 32 * PAGE);
	memsnap_image_close(image);
	tear_down(&f);
}

static void a_clone_needs_its_addresses(void)
{
	struct fixture f = set_up();
	struct memsnap_clone_opts o = { .size = sizeof(o),
					.base = BASE,
					.length = 16 * PAGE };
	struct memsnap_space *clone = NULL;
	struct memsnap_image *image;
	struct memsnap_error err;

	save_as(&f, "first");
	image = open_image(&f, "first", 0);
	EXPECT(memsnap_clone(image, NULL, &clone, &err) == -EEXIST);
	EXPECT(err.code == MEMSNAP_EXISTS && !clone);
	EXPECT(memsnap_clone(image, &o, &clone, &err) == -EINVAL);
	EXPECT(strstr(err.text, "does not cover"));
	EXPECT(holds(0, "a"));

	/* A larger region leaves room to map more. */
	memsnap_space_destroy(f.space);
	f.space = NULL;
	o.length = PAGES * PAGE;
	CHECK(memsnap_clone(image, &o, &f.space, NULL) == 0);
	CHECK(memsnap_space_map(f.space,
				&(struct memsnap_map_opts){
					.size = sizeof(struct memsnap_map_opts),
					.addr = BASE + 40 * PAGE,
					.length = PAGE },
				(void **)&clone, NULL) == 0);
	memsnap_image_close(image);
	tear_down(&f);
}

static struct memsnap_stats save_stats(struct fixture *f, const char *name,
				       const char *parent, uint32_t flags)
{
	struct memsnap_save_opts o = { .size = sizeof(o),
				       .name = name,
				       .parent = parent,
				       .flags = flags };
	struct memsnap_stats stats = { .size = sizeof(stats) };
	struct memsnap_uid uid;

	CHECK(memsnap_save(f->space, f->store, &o, &uid, &stats, NULL) == 0);
	return stats;
}

static void a_child_stores_only_what_changed(void)
{
	struct fixture f = set_up();
	struct memsnap_snapshot_info info = { .size = sizeof(info) };
	struct memsnap_image *image;
	struct memsnap_stats stats;
	struct memsnap_uid first;

	stats = save_stats(&f, "first", NULL, 0);
	EXPECT(stats.stored_bytes == 4 * PAGE);
	EXPECT(stats.mapped_bytes == 32 * PAGE);
	image = open_image(&f, "first", 0);
	first = memsnap_image_uid(image);
	clone_again(&f, image);
	memsnap_image_close(image);
	fill(BASE + PAGE, 'B');
	stats = save_stats(&f, "second", NULL, 0);
	EXPECT(stats.stored_bytes == PAGE);
	CHECK(memsnap_store_info(f.store, "second", &info, NULL) == 0);
	EXPECT(!memcmp(&info.parent, &first, sizeof(first)));
	EXPECT(strstr(info.origin, " test_embed_snapsh"));
	stats = save_stats(&f, "third", NULL, MEMSNAP_SAVE_NO_PARENT);
	EXPECT(stats.stored_bytes == 4 * PAGE);
	stats = save_stats(&f, "fourth", "second", 0);
	EXPECT(stats.stored_bytes == 0);
	tear_down(&f);
}

static void a_bad_save_says_why_and_saves_nothing(void)
{
	struct fixture f = set_up();
	struct memsnap_save_opts o = { .size = sizeof(o),
				       .name = "Not a name" };
	struct memsnap_stats stats = { .size = 1 };
	struct memsnap_snapshot_info info = { .size = sizeof(info) };
	struct memsnap_uid uid;
	struct memsnap_error err;

	EXPECT(memsnap_save(f.space, f.store, &o, &uid, NULL, &err) == -EINVAL);
	EXPECT(err.code == MEMSNAP_INVALID && strstr(err.text, "Not a name"));
	o.name = "fine";
	EXPECT(memsnap_save(f.space, f.store, &o, &uid, &stats, &err) ==
	       -EINVAL);
	EXPECT(strstr(err.text, "save stats"));
	o.parent = "nobody";
	EXPECT(memsnap_save(f.space, f.store, &o, &uid, NULL, &err) < 0);
	EXPECT(err.code == MEMSNAP_NOT_FOUND && strstr(err.text, "nobody"));
	o.flags = MEMSNAP_SAVE_NO_PARENT;
	EXPECT(memsnap_save(f.space, f.store, &o, &uid, NULL, &err) == -EINVAL);
	EXPECT(memsnap_store_info(f.store, "fine", &info, NULL) < 0);
	save_as(&f, "fine");
	o = (struct memsnap_save_opts){ .size = sizeof(o), .name = "fine" };
	EXPECT(memsnap_save(f.space, f.store, &o, &uid, NULL, &err) == -EEXIST);
	EXPECT(err.code == MEMSNAP_EXISTS);
	tear_down(&f);
}

static int cancel(void *ctx, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	++*(int *)ctx;
	return 1;
}

static void a_save_can_be_cancelled(void)
{
	struct fixture f = set_up();
	int calls = 0;
	struct memsnap_save_opts o = { .size = sizeof(o),
				       .name = "first",
				       .progress = cancel,
				       .progress_ctx = &calls };
	struct memsnap_uid uid;
	struct memsnap_error err;

	EXPECT(memsnap_save(f.space, f.store, &o, &uid, NULL, &err) ==
	       -ECANCELED);
	EXPECT(err.code == MEMSNAP_CANCELLED && calls == 1);
	save_as(&f, "first");
	tear_down(&f);
}

/* Changes every page of packs that begins with @letter as fill() left it. */
static void damage(struct fixture *f, char letter)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "python3 - %s %c <<'END'\n"
		 "import glob, sys\n"
		 "for path in glob.glob(sys.argv[1] + '/packs/*'):\n"
		 "    data = open(path, 'rb').read()\n"
		 "    old = (sys.argv[2] + '\\0' + sys.argv[2] * 9).encode()\n"
		 "    open(path, 'wb').write(data.replace(old, b'?' * 11))\n"
		 "END",
		 f->dir, letter);
	CHECK(system(command) == 0);
}

static void damage_is_told_before_anybody_sees_it(void)
{
	struct memsnap_open_opts eager = { sizeof(eager), MEMSNAP_OPEN_EAGER };
	struct fixture f = set_up();
	struct memsnap_space *clone = NULL;
	struct memsnap_image *image = NULL;
	struct memsnap_error err;

	save_as(&f, "first");
	memsnap_space_destroy(f.space);
	f.space = NULL;
	damage(&f, 'b');
	EXPECT(memsnap_image_open(&image, f.store, "first", &eager, &err) < 0);
	EXPECT(err.code == MEMSNAP_DATA_LOSS && !image);
	image = open_image(&f, "first", 0);
	err.code = MEMSNAP_OK;
	EXPECT(memsnap_clone(image, NULL, &clone, &err) == -EBADMSG);
	EXPECT(err.code == MEMSNAP_DATA_LOSS && !clone);
	EXPECT(strstr(err.text, "page"));
	memsnap_image_close(image);
	tear_down(&f);
}

struct walk {
	struct fixture f;
	struct memsnap_image *image;
};

static void *walk_prepare(void)
{
	static struct walk w;

	w.f = set_up();
	save_as(&w.f, "first");
	memsnap_space_destroy(w.f.space);
	w.f.space = NULL;
	w.image = open_image(&w.f, "first", MEMSNAP_OPEN_EAGER);
	return &w;
}

static int walk_body(void *state)
{
	struct walk *w = state;

	return memsnap_clone(w->image, NULL, &w->f.space, NULL);
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	EXPECT(rc == 0 || name);
	EXPECT(rc == 0 || !w->f.space);
	if (rc)
		EXPECT(walk_body(w) == 0);
	EXPECT(holds(0, "a") && holds(16, "s"));
	memsnap_image_close(w->image);
	tear_down(&w->f);
}

static void a_clone_that_fails_leaves_its_addresses_free(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 0);
}

/* ---- The store ----------------------------------------------------------- */

static int note_name(void *ctx, const struct memsnap_snapshot_info *info)
{
	strcat(ctx, info->name);
	strcat(ctx, " ");
	return info->name[0] == 'o' ? 7 : 0;
}

static void a_listing_goes_from_old_to_new_and_stops(void)
{
	struct fixture f = set_up();
	char names[256] = "";

	save_as(&f, "two");
	save_as(&f, "six");
	EXPECT(memsnap_store_list(f.store, note_name, names, NULL) == 0);
	EXPECT(!strcmp(names, "two six "));
	save_as(&f, "one");
	save_as(&f, "ten");
	names[0] = '\0';
	EXPECT(memsnap_store_list(f.store, note_name, names, NULL) == 7);
	EXPECT(!strcmp(names, "two six one "));
	tear_down(&f);
}

static void a_removed_snapshot_is_gone_and_its_child_is_whole(void)
{
	struct fixture f = set_up();
	struct memsnap_snapshot_info info = { .size = sizeof(info) };
	struct memsnap_image *image;
	struct memsnap_error err;

	save_as(&f, "first");
	fill(BASE, 'A');
	save_stats(&f, "second", "first", 0);
	CHECK(memsnap_store_remove(f.store, "first", NULL) == 0);
	EXPECT(memsnap_store_info(f.store, "first", &info, &err) == -ENOENT);
	EXPECT(err.code == MEMSNAP_NOT_FOUND);
	EXPECT(memsnap_store_remove(f.store, "first", &err) == -ENOENT);
	image = open_image(&f, "second", MEMSNAP_OPEN_EAGER);
	clone_again(&f, image);
	EXPECT(holds(0, "A") && holds(1, "b"));
	memsnap_image_close(image);
	tear_down(&f);
}

static void a_store_that_is_none_is_refused(void)
{
	static const struct memsnap_store_opts bad[] = {
		{ sizeof(bad[0]), "/tmp/test_embed_missing", 0 },
		{ sizeof(bad[0]), NULL, 0 },
		{ sizeof(bad[0]), "", MEMSNAP_STORE_CREATE },
		{ sizeof(bad[0]), "/tmp", 0 },
		{ sizeof(bad[0]), "/tmp/test_embed_missing", 0x100 },
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++) {
		struct memsnap_store *store = NULL;
		struct memsnap_error err = { .code = MEMSNAP_OK };

		EXPECT(memsnap_store_open(&store, &bad[i], &err) < 0);
		EXPECT(err.code != MEMSNAP_OK && err.text[0] && !store);
	}
}

static void info_fits_an_older_program(void)
{
	struct fixture f = set_up();
	union {
		struct memsnap_snapshot_info info;
		unsigned char bytes[sizeof(struct memsnap_snapshot_info)];
	} u;

	save_as(&f, "first");
	memset(&u, 0x5a, sizeof(u));
	u.info.size = offsetof(struct memsnap_snapshot_info, origin);
	CHECK(memsnap_store_info(f.store, "first", &u.info, NULL) == 0);
	EXPECT(!strcmp(u.info.name, "first"));
	EXPECT(u.info.size == offsetof(struct memsnap_snapshot_info, origin));
	EXPECT(u.bytes[u.info.size] == 0x5a);
	tear_down(&f);
}

/* ---- Fork ---------------------------------------------------------------- */

/* Runs @body in a child; true if it said so. */
static bool in_child(bool (*body)(void *), void *ctx)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(body(ctx) ? 0 : 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool child_is_refused(void *ctx)
{
	struct memsnap_save_opts o = { .size = sizeof(o), .name = "child" };
	struct memsnap_image *image = NULL;
	struct fixture *f = ctx;
	struct memsnap_error err = { .code = MEMSNAP_OK };
	struct memsnap_usage u = { .size = sizeof(u) };
	struct memsnap_uid uid;
	char byte;
	bool ok;

	ok = memsnap_space_usage(f->space, &u, NULL) == -EPERM &&
	     memsnap_space_read(f->space, BASE, &byte, 1, NULL) == -EPERM &&
	     memsnap_space_unmap(f->space, BASE, PAGE, NULL) == -EPERM &&
	     memsnap_save(f->space, f->store, &o, &uid, NULL, &err) == -EPERM &&
	     memsnap_image_open(&image, f->store, "first", NULL, NULL) ==
		     -EPERM &&
	     err.code == MEMSNAP_PRECONDITION;
	memsnap_space_destroy(f->space);
	memsnap_store_close(f->store);
	return ok;
}

static void a_forked_child_cannot_harm_the_parents_handles(void)
{
	struct fixture f = set_up();

	save_as(&f, "first");
	EXPECT(in_child(child_is_refused, &f));
	EXPECT(holds(0, "a") && holds(16, "s"));
	save_as(&f, "second");
	tear_down(&f);
}

static bool child_clones(void *ctx)
{
	struct memsnap_space *space;
	bool ok;

	if (memsnap_clone(ctx, NULL, &space, NULL))
		return false;
	ok = holds(0, "a") && holds(16, "s");
	fill(BASE, 'C');
	ok = ok && holds(0, "C");
	memsnap_space_destroy(space);
	memsnap_image_close(ctx);
	return ok;
}

static void children_clone_an_image_opened_eagerly(void)
{
	struct fixture f = set_up();
	struct memsnap_image *image;

	save_as(&f, "first");
	memsnap_space_destroy(f.space);
	f.space = NULL;
	image = open_image(&f, "first", MEMSNAP_OPEN_EAGER);
	memsnap_store_close(f.store);
	f.store = NULL;
	for (int i = 0; i < 3; i++)
		EXPECT(in_child(child_clones, image));
	EXPECT(child_clones(image));
	tear_down(&f);
}

static bool child_may_not_clone(void *ctx)
{
	struct memsnap_space *space = NULL;
	struct memsnap_error err;
	int rc = memsnap_clone(ctx, NULL, &space, &err);

	memsnap_image_close(ctx);
	return rc == -EPERM && err.code == MEMSNAP_PRECONDITION;
}

static void an_image_on_demand_stays_with_its_process(void)
{
	struct fixture f = set_up();
	struct memsnap_image *image;

	save_as(&f, "first");
	image = open_image(&f, "first", 0);
	EXPECT(in_child(child_may_not_clone, image));
	clone_again(&f, image);
	EXPECT(holds(0, "a"));
	memsnap_image_close(image);
	tear_down(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_clone_holds_what_was_saved),
		CHECK_TEST(a_clone_tells_what_it_has),
		CHECK_TEST(two_clones_of_an_image_share_no_change),
		CHECK_TEST(each_clone_has_a_generation_of_its_own),
		CHECK_TEST(blobs_and_labels_come_back),
		CHECK_TEST(a_span_covers_the_mappings),
		CHECK_TEST(a_clone_needs_its_addresses),
		CHECK_TEST(a_child_stores_only_what_changed),
		CHECK_TEST(a_bad_save_says_why_and_saves_nothing),
		CHECK_TEST(a_save_can_be_cancelled),
		CHECK_TEST(damage_is_told_before_anybody_sees_it),
		CHECK_TEST(a_clone_that_fails_leaves_its_addresses_free),
		CHECK_TEST(a_listing_goes_from_old_to_new_and_stops),
		CHECK_TEST(a_removed_snapshot_is_gone_and_its_child_is_whole),
		CHECK_TEST(a_store_that_is_none_is_refused),
		CHECK_TEST(info_fits_an_older_program),
		CHECK_TEST(a_forked_child_cannot_harm_the_parents_handles),
		CHECK_TEST(children_clone_an_image_opened_eagerly),
		CHECK_TEST(an_image_on_demand_stays_with_its_process),
		{}
	};

	return check_main(argc, argv, "embed snapshot", tests);
}
