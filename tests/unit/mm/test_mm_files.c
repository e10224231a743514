/*
 * mm: mappings of host files and of shared memory, over both platforms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "base/fd.h"
#include "hostfile/hostfile.h"
#include "mm/mm_calls.h"
#include "unit/mm/fixture.h"
#include "unit/mm/shared_object.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- Host files ---------------------------------------------------------- */

/* A file of two pages and a half: 'A' 'B' 'C'. */
static struct msn_hostfile *make_file(char *path)
{
	struct msn_hostfile *hf;
	char page[MSN_PAGE_SIZE];
	int fd;

	strcpy(path, "/tmp/memsnap-test-XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0);
	for (int i = 0; i < 3; i++) {
		memset(page, 'A' + i, PAGE);
		CHECK(msn_pwrite_full(fd, page, i == 2 ? PAGE / 2 : PAGE,
				      (uint64_t)i * PAGE) == 0);
	}
	close(fd);
	CHECK(msn_hostfile_open(&hf, path, true) == 0);
	return hf;
}

static void drop_file(struct msn_hostfile *hf, const char *path)
{
	unlink(path);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
}

static struct msn_mmap_opts of_file(struct msn_hostfile *hf, uint64_t page,
				    uint64_t pages, bool private)
{
	struct msn_mmap_opts o = anon(page, pages);

	o.mappable = msn_hostfile_mappable(hf);
	o.mapping_identity = msn_hostfile_identity(hf);
	o.private = private;
	return o;
}

static int on_disk(const char *path, uint64_t offset)
{
	unsigned char c = 0;
	FILE *file = fopen(path, "r");

	CHECK(file && fseek(file, (long)offset, SEEK_SET) == 0);
	CHECK(fread(&c, 1, 1, file) == 1);
	fclose(file);
	return c;
}

static void a_shared_file_mapping_writes_to_the_file(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);

		map(f.mm, of_file(hf, 10, 3, false));
		EXPECT(get(f.mm, AT(11)) == 'B');
		put(f.mm, AT(11), '!');
		EXPECT(on_disk(path, PAGE) == '!');
		EXPECT(get(f.mm, AT(13) - 1) == 0); /* tail reads zero */
		drop_file(hf, path);
	}
}

static void a_private_file_mapping_never_changes_the_file(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);

		map(f.mm, of_file(hf, 10, 3, true));
		put(f.mm, AT(11) + 1, '!');
		EXPECT(get(f.mm, AT(11)) == 'B'); /* the rest was copied */
		EXPECT(get(f.mm, AT(11) + 1) == '!');
		EXPECT(on_disk(path, PAGE + 1) == 'B');
		drop_file(hf, path);
	}
}

static void a_page_past_the_files_end_is_a_bus_error(void)
{
	struct fixture f = setup(false);
	char path[64];
	struct msn_hostfile *hf = make_file(path);

	map(f.mm, of_file(hf, 10, 5, false));
	EXPECT(msn_mm_handle_fault(f.mm, AT(12), MSN_ACCESS_READ) == 0);
	EXPECT(msn_mm_handle_fault(f.mm, AT(13), MSN_ACCESS_READ) ==
	       MSN_MM_E_BUS);
	EXPECT(get(f.mm, AT(13)) == -EFAULT);
	drop_file(hf, path);
	teardown(&f);
}

static void a_required_effect_not_to_be_had_undoes_the_mapping(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);
		struct msn_mmap_opts o = of_file(hf, 10, 3, true);
		uint64_t addr;

		CHECK(truncate(path, 100) == 0);
		o.platform_effect = MSN_PLATFORM_EFFECT_COMMIT;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == 0);
		CHECK(msn_mm_munmap(f.mm, AT(10), 3 * PAGE) == 0);
		o.require_platform_effect = true;
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EFAULT);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 0);
		EXPECT(msn_mm_placed_bytes(f.mm) == 0);
		drop_file(hf, path);
	}
}

static void truncation_takes_pages_away_private_ones_too(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);

		map(f.mm, of_file(hf, 10, 3, true));
		map(f.mm, of_file(hf, 20, 3, false));
		put(f.mm, AT(11), '!');
		put(f.mm, AT(21), '?');
		CHECK(msn_hostfile_truncate(hf, 100) == 0);
		EXPECT(get(f.mm, AT(10) + 99) == 'A');
		EXPECT(get(f.mm, AT(11)) == -EFAULT);
		EXPECT(get(f.mm, AT(21)) == -EFAULT);
		CHECK(msn_hostfile_truncate(hf, 2 * PAGE) == 0);
		EXPECT(get(f.mm, AT(11)) == 0); /* new pages of the file */
		drop_file(hf, path);
	}
}

static void a_file_shortened_by_somebody_else_is_an_error(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path);

		map(f.mm, of_file(hf, 10, 3, false));
		EXPECT(get(f.mm, AT(12)) == 'C');
		CHECK(truncate(path, 10) == 0);
		EXPECT(get(f.mm, AT(12)) == -EFAULT);
		EXPECT(get(f.mm, AT(10)) == 'A');
		drop_file(hf, path);
	}
}

static void a_copy_on_write_keeps_what_came_before_a_missing_page(void)
{
	struct fixture f = setup(false);
	char path[64], buf[2 * MSN_PAGE_SIZE];
	struct msn_hostfile *hf = make_file(path);
	size_t done;

	memset(buf, '!', sizeof(buf));
	map(f.mm, of_file(hf, 10, 3, true));
	EXPECT(get(f.mm, AT(12)) == 'C'); /* all three are placed */
	CHECK(truncate(path, MSN_PAGE_SIZE) == 0);
	EXPECT(msn_mm_copy_out(f.mm, AT(10), buf, sizeof(buf), plain, &done) ==
	       -EFAULT);
	EXPECT(done == PAGE);
	EXPECT(get(f.mm, AT(10)) == '!');
	drop_file(hf, path);
	teardown(&f);
}

static void a_file_that_cannot_be_mapped_is_copied(void)
{
	struct fixture f = setup(false);
	char path[64];
	struct msn_hostfile *hf = make_file(path), *buffered;
	struct msn_hostfile_opts o = { .path = path, .buffered = true };

	o.fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(msn_hostfile_new(&buffered, &o) == 0);
	map(f.mm, of_file(buffered, 10, 3, true));
	map(f.mm, of_file(buffered, 20, 3, false));
	EXPECT(get(f.mm, AT(12)) == 'C');
	put(f.mm, AT(11) + 1, '!'); /* copied on write all the same */
	EXPECT(get(f.mm, AT(11)) == 'B' && get(f.mm, AT(11) + 1) == '!');
	put(f.mm, AT(21), '?');
	EXPECT(on_disk(path, PAGE) == '?');
	msn_identity_dec_ref(msn_hostfile_identity(buffered));
	drop_file(hf, path);
	teardown(&f);
}

static void a_file_open_for_reading_cannot_be_mapped_for_writing(void)
{
	FOR_BOTH(f, local)
	{
		char path[64];
		struct msn_hostfile *hf = make_file(path), *ro;
		struct msn_mmap_opts o;
		uint64_t addr;

		CHECK(msn_hostfile_open(&ro, path, false) == 0);
		o = of_file(ro, 10, 1, false);
		EXPECT(msn_mm_mmap(f.mm, &o, &addr) == -EACCES);
		EXPECT(msn_mm_mapped_bytes(f.mm) == 0);
		map(f.mm, of_file(ro, 10, 1, true));
		put(f.mm, AT(10), 'x');
		EXPECT(get(f.mm, AT(10)) == 'x');
		CHECK(msn_mm_munmap(f.mm, AT(10), PAGE) == 0);
		msn_identity_dec_ref(msn_hostfile_identity(ro));
		drop_file(hf, path);
	}
}

/* ---- Shared memory ------------------------------------------------------- */

static void two_mappings_of_one_object_show_the_same_bytes(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 2);

		set_shared(&f, &o);
		o.private = false;
		map(f.mm, o);
		o.addr = AT(20);
		map(f.mm, o);
		put(f.mm, AT(11) + 3, 'x');
		EXPECT(get(f.mm, AT(21) + 3) == 'x');
		msn_identity_dec_ref(o.mapping_identity);
	}
}

/* ---- Objects that change under a mapping --------------------------------- */

/* An object of two pages, 'a' and 'b', mapped shared and private. */
static struct msn_shmem *map_object(struct fixture *f)
{
	struct msn_mmap_opts o = anon(10, 2), copy = anon(20, 2);
	struct msn_shmem *s;

	CHECK(msn_shmem_new(&s, &(struct msn_shmem_opts){ .memfile = f->mf,
							  .size = 2 * PAGE }) ==
	      0);
	o.private = false;
	msn_shmem_set_mapped(s, &o);
	msn_shmem_set_mapped(s, &copy);
	map(f->mm, o);
	map(f->mm, copy);
	put(f->mm, AT(10), 'a');
	put(f->mm, AT(11), 'b');
	return s;
}

static void an_object_that_shrinks_and_grows_shows_no_old_bytes(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_shmem *s = map_object(&f);
		uint32_t word;

		put(f.mm, AT(21) + 1, '!');
		CHECK(msn_shmem_truncate(s, PAGE) == 0);
		EXPECT(get(f.mm, AT(10)) == 'a' && get(f.mm, AT(20)) == 'a');
		EXPECT(get(f.mm, AT(11)) == -EFAULT);
		EXPECT(get(f.mm, AT(21)) == -EFAULT);
		EXPECT(msn_mm_handle_fault(f.mm, AT(11), MSN_ACCESS_READ) ==
		       MSN_MM_E_BUS);
		EXPECT(msn_mm_load32(f.mm, AT(11), &word) == -EFAULT);

		CHECK(msn_shmem_truncate(s, 2 * PAGE) == 0);
		EXPECT(msn_mm_load32(f.mm, AT(11), &word) == 0 && word == 0);
		EXPECT(get(f.mm, AT(21)) == 0 && get(f.mm, AT(21) + 1) == 0);
		put(f.mm, AT(11), 'c');
		EXPECT(get(f.mm, AT(21)) == 'c');
		msn_identity_dec_ref(msn_shmem_identity(s));
	}
}

static void a_punched_hole_is_seen_but_leaves_private_copies(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_shmem *s = map_object(&f);

		put(f.mm, AT(21) + 1, '!');
		CHECK(msn_shmem_fallocate(
			      s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      2 * PAGE) == 0);
		EXPECT(get(f.mm, AT(10)) == 0 && get(f.mm, AT(20)) == 0);
		EXPECT(get(f.mm, AT(21)) == 'b');
		EXPECT(get(f.mm, AT(21) + 1) == '!');
		put(f.mm, AT(11), 'c');
		EXPECT(get(f.mm, AT(21)) == 'b'); /* it is a copy */
		put(f.mm, AT(10), 'd');
		EXPECT(get(f.mm, AT(20)) == 'd');
		msn_identity_dec_ref(msn_shmem_identity(s));
	}
}

struct cutter {
	int fd;
	off_t size;
	atomic_bool stop;
};

static void *cut_in_a_loop(void *arg)
{
	struct cutter *c = arg;

	while (!atomic_load(&c->stop))
		if (ftruncate(c->fd, 0) || ftruncate(c->fd, c->size))
			abort();
	return NULL;
}

/* The host takes copies away whoever looks at them. */
static void a_fork_passes_by_copies_that_go_meanwhile(void)
{
	struct fixture f = setup(true);
	struct cutter c = { .fd = memfd_create("cut", MFD_CLOEXEC),
			    .size = 64 * (off_t)PAGE };
	struct msn_hostfile *hf;
	struct msn_mm *child;
	pthread_t thread;

	CHECK(c.fd >= 0 && ftruncate(c.fd, c.size) == 0);
	CHECK(msn_hostfile_new(
		      &hf, &(struct msn_hostfile_opts){ .fd = dup(c.fd),
							.path = "x" }) == 0);
	map(f.mm, of_file(hf, 10, 64, true));
	CHECK(pthread_create(&thread, NULL, cut_in_a_loop, &c) == 0);
	for (int i = 0; i < 300; i++) {
		size_t done;
		int rc = 0;

		for (uint64_t page = 10; page < 74 && rc == 0; page++)
			rc = msn_mm_copy_out(f.mm, AT(page), "x", 1,
					     (struct msn_mm_io){ 0 }, &done);
		rc = msn_mm_fork(f.mm, make_platform(false), &child);
		EXPECT(rc == 0);
		if (rc == 0)
			msn_mm_free(child);
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
	close(c.fd);
	teardown(&f);
}

/* Punches everything; the @nth fault point fails.  Its name. */
static const char *punch_with_fault(struct msn_shmem *s, unsigned nth)
{
	const char *fired;
	int rc;

	msn_fault_arm(nth);
	rc = msn_shmem_fallocate(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 0, 2 * PAGE);
	fired = msn_fault_fired();
	msn_fault_arm(0);
	EXPECT(rc == 0 || rc == -ENOMEM);
	return fired;
}

static void without_the_page_map_a_hole_takes_no_copies_and_no_pages(void)
{
	const char *fired = "";

	for (unsigned nth = 1; strcmp(fired, "proc_pages.scan") != 0; nth++) {
		struct fixture f = setup(true);
		struct msn_shmem *s = map_object(&f);

		put(f.mm, AT(21) + 1, '!');
		fired = punch_with_fault(s, nth);
		CHECK(fired);
		EXPECT(get(f.mm, AT(21)) == 'b');
		EXPECT(get(f.mm, AT(21) + 1) == '!');
		/* Others get other pages than the one that still shows. */
		map(f.mm, anon(40, 8));
		for (uint64_t page = 40; page < 48; page++)
			put(f.mm, AT(page), 'x');
		EXPECT(get(f.mm, AT(20)) == 'a');
		msn_identity_dec_ref(msn_shmem_identity(s));
		teardown(&f);
	}
}

static void code_on_page_tables_gets_what_a_fault_puts_there(void)
{
	struct fixture f = setup(true);
	struct msn_shmem *s = map_object(&f);
	volatile char *at = (volatile char *)(uintptr_t)AT(11);

	CHECK(msn_shmem_truncate(s, 0) == 0);
	CHECK(msn_shmem_truncate(s, 2 * PAGE) == 0);
	EXPECT(msn_mm_handle_fault(f.mm, AT(11), RW) == 0);
	EXPECT(*at == 0);
	*at = 'z';
	EXPECT(get(f.mm, AT(21)) == 'z');
	msn_identity_dec_ref(msn_shmem_identity(s));
	teardown(&f);
}

static void a_debugger_reads_no_page_where_an_object_has_none(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_shmem *s = map_object(&f);
		size_t done;
		char c = 'x';

		CHECK(msn_shmem_truncate(s, PAGE) == 0);
		EXPECT(msn_mm_copy_in(f.mm, AT(11), &c, 1, forced, &done) ==
		       -EFAULT);
		EXPECT(msn_mm_copy_out(f.mm, AT(11), &c, 1, forced, &done) ==
		       -EFAULT);
		msn_identity_dec_ref(msn_shmem_identity(s));
	}
}

/* A copy that a forked space holds apart from the file. */
static void a_forks_copies_go_when_their_file_becomes_shorter(void)
{
	for (int local = 0; local < 2; local++) {
		struct fixture f = setup(false);
		char path[64];
		struct msn_hostfile *hf = make_file(path);
		struct msn_mm *child;

		map(f.mm, of_file(hf, 10, 3, true));
		put(f.mm, AT(11), '!');
		CHECK(msn_mm_fork(f.mm, make_platform(local), &child) == 0);
		EXPECT(get(child, AT(11)) == '!');
		CHECK(msn_hostfile_truncate(hf, PAGE) == 0);
		EXPECT(get(child, AT(11)) == -EFAULT);
		EXPECT(get(f.mm, AT(11)) == -EFAULT);
		CHECK(msn_hostfile_truncate(hf, 2 * PAGE) == 0);
		EXPECT(get(child, AT(11)) == 0 && get(f.mm, AT(11)) == 0);
		EXPECT(msn_mm_check(child) == NULL);
		msn_mm_free(child);
		drop_file(hf, path);
		teardown(&f);
	}
}

/* ---- Populating ---------------------------------------------------------- */

/* An object during whose first translation another thread lists mappings. */
struct watched {
	struct msn_mappable obj;
	struct msn_mappable *inner;
	struct msn_mm *mm;
	pthread_t lister;
	bool asked, listed;
};

static void *list_mappings(void *ctx)
{
	char *text;

	if (msn_mm_maps(ctx, &text) == 0)
		free(text);
	return NULL;
}

static int watched_translate(struct msn_mappable *obj,
			     struct msn_obj_range required,
			     struct msn_obj_range optional, unsigned access,
			     struct msn_translation *out, size_t max, int *why)
{
	struct watched *w = msn_container_of(obj, struct watched, obj);
	struct timespec limit;

	if (!w->asked) {
		w->asked = true;
		CHECK(pthread_create(&w->lister, NULL, list_mappings, w->mm) ==
		      0);
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_sec += 10; /* for ever, if it has to wait */
		w->listed = !pthread_timedjoin_np(w->lister, NULL, &limit);
	}
	return msn_mappable_translate(w->inner, required, optional, access, out,
				      max, why);
}

static const struct msn_mappable_ops watched_ops = {
	.name = "watched",
	.translate = watched_translate,
};

static void a_mapping_is_there_before_its_pages_are(void)
{
	struct fixture f = setup(false);
	struct msn_mmap_opts o = anon(10, 4);
	struct watched w = { .obj.ops = &watched_ops, .mm = f.mm };

	set_shared(&f, &o);
	w.inner = o.mappable;
	o.mappable = &w.obj;
	o.private = false;
	o.platform_effect = MSN_PLATFORM_EFFECT_POPULATE;
	map(f.mm, o);
	EXPECT(w.asked && w.listed);
	if (!w.listed)
		pthread_join(w.lister, NULL);
	EXPECT(msn_mm_placed_bytes(f.mm) == 4 * PAGE);
	msn_identity_dec_ref(o.mapping_identity);
	teardown(&f);
}

/* ---- Failures ------------------------------------------------------------ */

/* Pages 10 and 11 show an object, 20 and 21 are private mappings of it. */
struct walk {
	struct fixture f;
	struct msn_shmem *s;
};

/* Where all pages were taken away, and are wanted again. */
static void *missing_prepare(void)
{
	struct walk *w = calloc(1, sizeof(*w));

	CHECK(w);
	w->f = setup(true);
	w->s = map_object(&w->f);
	put(w->f.mm, AT(21), 'c');
	CHECK(msn_shmem_truncate(w->s, 0) == 0);
	CHECK(msn_shmem_truncate(w->s, 2 * PAGE) == 0);
	return w;
}

static int missing_fault(void *state)
{
	struct walk *w = state;
	int rc = msn_mm_handle_fault(w->f.mm, AT(11), RW);

	return rc ? rc : msn_mm_handle_fault(w->f.mm, AT(20), RW);
}

static int missing_populate(void *state)
{
	struct walk *w = state;
	int rc = msn_mm_madvise(w->f.mm, AT(10), 2 * PAGE, MADV_POPULATE_READ);

	return rc ? rc
		  : msn_mm_madvise(w->f.mm, AT(20), 2 * PAGE,
				   MADV_POPULATE_WRITE);
}

static int missing_word(void *state)
{
	struct walk *w = state;
	uint32_t old;
	int rc = msn_mm_swap32(w->f.mm, AT(11), 'b', &old);

	return rc ? rc : msn_mm_swap32(w->f.mm, AT(21), 'c', &old);
}

/* Nothing is half there: whoever asks again gets what there is. */
static void missing_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;
	struct msn_mm *mm = w->f.mm;

	/* Without memory for a window a page is zeroed another way. */
	EXPECT(rc == 0 || (name && rc == -ENOMEM));
	EXPECT(rc || !name || strncmp(name, "local.", 6) != 0);
	EXPECT(msn_mm_check(mm) == NULL && msn_shmem_check(w->s) == NULL);
	put(mm, AT(11), 'd');
	EXPECT(get(mm, AT(10)) == 0 && get(mm, AT(20)) == 0);
	EXPECT(get(mm, AT(11)) == 'd');
	put(mm, AT(20), 'e');
	EXPECT(get(mm, AT(10)) == 0 && get(mm, AT(20)) == 'e');
	msn_identity_dec_ref(msn_shmem_identity(w->s));
	teardown(&w->f);
	free(w);
}

static void a_failure_places_what_is_missing_whole_or_not_at_all(void)
{
	EXPECT(check_every_fault(missing_prepare, missing_fault,
				 missing_verify) >= 5);
	EXPECT(check_every_fault(missing_prepare, missing_populate,
				 missing_verify) >= 5);
	EXPECT(check_every_fault(missing_prepare, missing_word,
				 missing_verify) >= 5);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_shared_file_mapping_writes_to_the_file),
		CHECK_TEST(a_private_file_mapping_never_changes_the_file),
		CHECK_TEST(a_page_past_the_files_end_is_a_bus_error),
		CHECK_TEST(a_required_effect_not_to_be_had_undoes_the_mapping),
		CHECK_TEST(truncation_takes_pages_away_private_ones_too),
		CHECK_TEST(a_file_shortened_by_somebody_else_is_an_error),
		CHECK_TEST(
			a_copy_on_write_keeps_what_came_before_a_missing_page),
		CHECK_TEST(a_file_that_cannot_be_mapped_is_copied),
		CHECK_TEST(
			a_file_open_for_reading_cannot_be_mapped_for_writing),
		CHECK_TEST(two_mappings_of_one_object_show_the_same_bytes),
		CHECK_TEST(an_object_that_shrinks_and_grows_shows_no_old_bytes),
		CHECK_TEST(a_punched_hole_is_seen_but_leaves_private_copies),
		CHECK_TEST(a_fork_passes_by_copies_that_go_meanwhile),
		CHECK_TEST(
			without_the_page_map_a_hole_takes_no_copies_and_no_pages),
		CHECK_TEST(code_on_page_tables_gets_what_a_fault_puts_there),
		CHECK_TEST(a_debugger_reads_no_page_where_an_object_has_none),
		CHECK_TEST(
			a_failure_places_what_is_missing_whole_or_not_at_all),
		CHECK_TEST(a_forks_copies_go_when_their_file_becomes_shorter),
		CHECK_TEST(a_mapping_is_there_before_its_pages_are),
		{}
	};

	return check_main(argc, argv, "mm files", tests);
}
