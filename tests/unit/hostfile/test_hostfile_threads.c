/*
 * Host files under many threads: files cut short in the middle of a copy,
 * windows that come and go, references from everywhere, reads in parallel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

#include "base/limits.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 4
#define LEN (64 * PAGE)

/* What the threads of a test share. */
struct scene {
	struct msn_hostfile *hf;
	struct msn_file *file;
	int fd;
	int way; /* of the test's own */
	atomic_bool stop;
	atomic_uint bus, whole;
	atomic_uint next; /* a number for each thread */
};

static void scene_make(struct scene *s, enum place place, bool buffered)
{
	*s = (struct scene){ .fd = new_file(place) };
	fill(s->fd, LEN);
	s->hf = host_of(dup(s->fd), buffered);
	s->file = file_of(s->hf);
}

static void scene_free(struct scene *s)
{
	host_free(s->hf);
	close(s->fd);
}

static void run_threads(struct scene *s, void *(*run)(void *scene))
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, run, s) == 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- Cut short ----------------------------------------------------------- */

static void *cut_in_a_loop(void *scene)
{
	struct scene *s = scene;

	for (unsigned i = 0; !atomic_load(&s->stop); i++) {
		off_t size = i % 2 ? (off_t)LEN : (off_t)(i % (unsigned)LEN);

		/* By somebody else, or by us. */
		if (s->way ? msn_hostfile_truncate(s->hf, (uint64_t)size)
			   : ftruncate(s->fd, size))
			abort();
		fill(s->fd, i % 2 ? LEN : 0);
	}
	return NULL;
}

static void copy_until_both_happened(struct scene *s)
{
	static char buf[LEN];

	for (unsigned i = 0; i < 200000; i++) {
		size_t done, n = 1 + i % LEN;
		int rc = i % 3 ? msn_file_read(s->file, 0, buf, n, &done)
			       : msn_file_write(s->file, 0, buf, n, &done);

		CHECK(rc == 0 || rc == MSN_FILE_E_BUS);
		CHECK(rc == 0 ? done == n : done < n);
		atomic_fetch_add(rc ? &s->bus : &s->whole, 1);
		if (i > 300 && atomic_load(&s->bus) > 20 &&
		    atomic_load(&s->whole) > 20)
			return;
	}
}

static void a_file_cut_short_under_a_copy_is_an_outcome(void)
{
	FOR_EACH_PLACE(p)
	{
		for (int way = 0; way < 4; way++) {
			struct scene s;
			pthread_t cutter;

			scene_make(&s, p, way & 1);
			s.way = way >> 1;
			CHECK(pthread_create(&cutter, NULL, cut_in_a_loop,
					     &s) == 0);
			copy_until_both_happened(&s);
			atomic_store(&s.stop, true);
			pthread_join(cutter, NULL);
			EXPECT(atomic_load(&s.bus) > 0);
			EXPECT(atomic_load(&s.whole) > 0);
			scene_free(&s);
		}
	}
}

/* ---- Truncation ---------------------------------------------------------- */

/* A space that maps the file from page 0 on, and looks at how long it is. */
struct watcher {
	struct msn_mapping_space base;
	int fd;
	unsigned told, wrong;
};

static void watch(struct msn_mapping_space *ms, struct msn_addr_range ar,
		  struct msn_invalidate_opts opts)
{
	struct watcher *w = msn_container_of(ms, struct watcher, base);
	struct stat st;

	w->told++;
	w->wrong += !opts.invalidate_private || fstat(w->fd, &st) < 0 ||
		    ar.start < (uint64_t)st.st_size;
}

static const struct msn_mapping_space_ops watcher_ops = { .invalidate = watch };

static void *truncate_in_turn(void *scene)
{
	struct scene *s = scene;
	unsigned self = atomic_fetch_add(&s->next, 1);

	for (unsigned i = 0; i < 500; i++)
		if (msn_hostfile_truncate(s->hf, (i + self) % 2 ? LEN : PAGE))
			atomic_fetch_add(&s->bus, 1);
	return NULL;
}

/* Else copies of pages that exist again would go. */
static void what_a_truncation_takes_lies_past_the_end(void)
{
	struct watcher w = { .base.ops = &watcher_ops };
	struct msn_mappable *obj;
	struct scene s;

	scene_make(&s, IN_MEMORY, false);
	w.fd = s.fd;
	obj = msn_hostfile_mappable(s.hf);
	CHECK(msn_mappable_add_mapping(obj, &w.base, ADDRS(0, 64), 0, true) ==
	      0);
	run_threads(&s, truncate_in_turn);
	EXPECT(atomic_load(&s.bus) == 0);
	EXPECT(w.told > 0 && w.wrong == 0);
	msn_mappable_remove_mapping(obj, &w.base, ADDRS(0, 64), 0, true);
	scene_free(&s);
}

/* ---- Windows ------------------------------------------------------------- */

/* Each thread goes through the windows, with a reference on what it reads. */
static void *read_windows(void *scene)
{
	struct scene *s = scene;
	unsigned self = atomic_fetch_add(&s->next, 1);

	for (unsigned i = 0; i < 2000; i++) {
		uint64_t nr = (i * (self + 1) + self) % 8;
		struct msn_file_range r = { nr * MSN_WINDOW_BYTES,
					    nr * MSN_WINDOW_BYTES + PAGE };

		msn_file_inc_ref(s->file, r, 0);
		if (byte_at(s->file, r.start) != (int)nr)
			atomic_fetch_add(&s->bus, 1);
		msn_file_dec_ref(s->file, r);
	}
	return NULL;
}

static void windows_come_and_go_under_their_readers(void)
{
	struct scene s = { .fd = new_file(IN_MEMORY) };

	CHECK(ftruncate(s.fd, (off_t)(8 * MSN_WINDOW_BYTES)) == 0);
	for (char i = 0; i < 8; i++)
		CHECK(msn_pwrite_full(s.fd, &i, 1,
				      (uint64_t)i * MSN_WINDOW_BYTES) == 0);
	CHECK(msn_hostfile_new(&s.hf, &(struct msn_hostfile_opts){
					      .fd = dup(s.fd),
					      .path = "x",
					      .windows_max = 3 }) == 0);
	s.file = file_of(s.hf);
	msn_hostfile_set_windows_total(2);
	run_threads(&s, read_windows);
	msn_hostfile_set_windows_total(0);
	EXPECT(atomic_load(&s.bus) == 0);
	EXPECT(msn_hostfile_stats(s.hf).windows <= 2);
	scene_free(&s);
}

/* Files come and go while others look through all of them for a window. */
static void *make_and_read_files(void *scene)
{
	struct scene *s = scene;

	for (unsigned i = 0; i < 200; i++) {
		struct msn_hostfile *hf = host_of(dup(s->fd), false);
		struct msn_file *file = file_of(hf);

		msn_file_inc_ref(file, FILE_PAGES(0, 1), 0);
		if (byte_at(file, 1) != 'A')
			atomic_fetch_add(&s->bus, 1);
		msn_file_dec_ref(file, FILE_PAGES(0, 1));
		host_free(hf);
	}
	return NULL;
}

static void files_come_and_go_while_room_is_short(void)
{
	struct scene s;

	scene_make(&s, ON_TMPFS, false);
	msn_hostfile_set_windows_total(1);
	run_threads(&s, make_and_read_files);
	msn_hostfile_set_windows_total(0);
	EXPECT(atomic_load(&s.bus) == 0);
	scene_free(&s);
}

/* ---- Buffered ------------------------------------------------------------ */

static void *read_long(void *scene)
{
	struct scene *s = scene;
	size_t len = 3 * MSN_HOSTFILE_PIECE + 5, done;
	char *buf = malloc(len);

	if (!buf)
		abort();
	for (int i = 0; i < 40; i++) {
		/* Else one call gets it all from the page cache. */
		if (i % 4 == 0)
			posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
		buf[0] = buf[len - 1] = 0;
		if (msn_file_read(s->file, 0, buf, len, &done) || done != len ||
		    buf[0] != 'A' ||
		    buf[len - 1] != 'A' + (int)((len - 1) / PAGE % 26))
			atomic_fetch_add(&s->bus, 1);
	}
	free(buf);
	return NULL;
}

static void long_reads_run_side_by_side(void)
{
	struct scene s = { .fd = new_file(ON_DISK) };

	fill(s.fd, 4 * MSN_HOSTFILE_PIECE);
	CHECK(fdatasync(s.fd) == 0);
	s.hf = host_of(dup(s.fd), true);
	s.file = file_of(s.hf);
	run_threads(&s, read_long);
	EXPECT(atomic_load(&s.bus) == 0);
	EXPECT(msn_hostfile_stats(s.hf).submissions > 0);
	scene_free(&s);
}

/* Stores of each thread's own page, with msync and sizes in between. */
static void *store_and_sync(void *scene)
{
	struct scene *s = scene;
	unsigned self = atomic_fetch_add(&s->next, 1);
	uint64_t at = (uint64_t)self * 8 * PAGE;

	for (unsigned i = 0; i < 200; i++) {
		char byte = (char)(1 + i % 100);
		size_t done;

		if (msn_file_write(s->file, at, &byte, 1, &done) ||
		    byte_at(s->file, at) != byte)
			atomic_fetch_add(&s->bus, 1);
		if (i % 20 == 0 &&
		    msn_identity_msync(msn_hostfile_identity(s->hf),
				       PAGES(0, 64)))
			atomic_fetch_add(&s->bus, 1);
		if (i % 10 == 0 && msn_hostfile_truncate(s->hf, LEN + i * PAGE))
			atomic_fetch_add(&s->bus, 1);
	}
	return NULL;
}

static void stores_syncs_and_sizes_run_side_by_side(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		struct scene s;

		scene_make(&s, ON_TMPFS, buffered);
		run_threads(&s, store_and_sync);
		EXPECT(atomic_load(&s.bus) == 0);
		scene_free(&s);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_file_cut_short_under_a_copy_is_an_outcome),
		CHECK_TEST(what_a_truncation_takes_lies_past_the_end),
		CHECK_TEST(windows_come_and_go_under_their_readers),
		CHECK_TEST(files_come_and_go_while_room_is_short),
		CHECK_TEST(long_reads_run_side_by_side),
		CHECK_TEST(stores_syncs_and_sizes_run_side_by_side),
		{}
	};

	return check_main(argc, argv, "host file threads", tests);
}
