/*
 * Bytes of a host file that could not be written: kept, read, written later.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

#include "base/fault.h"
#include "base/limits.h"

#include <pthread.h>
#include <stdatomic.h>

/* A body that may fail, and what it works on. */
struct subject {
	struct msn_hostfile *hf;
	struct msn_file *file;
};

/*
 * Runs @body until it meets a fault called @name, the @nth point or later; what
 * it said then.
 */
static int with_fault(const char *name, unsigned nth,
		      int (*body)(struct subject *s), struct msn_hostfile *hf)
{
	struct subject s = { hf, file_of(hf) };

	for (;; nth++) {
		const char *fired;
		int rc;

		msn_fault_arm(nth);
		rc = body(&s);
		fired = msn_fault_fired();
		msn_fault_arm(0);
		if (!fired || strcmp(fired, name) == 0)
			return fired ? rc : -ENOENT;
	}
}

static int store_hello(struct subject *s)
{
	size_t done;

	return msn_file_write(s->file, PAGE - 2, "hello", 5, &done);
}

static int try_sync_all(struct subject *s)
{
	return sync_all(s->hf);
}

/* A file of four pages of which "hello" could not be written. */
static struct msn_hostfile *failing_host(int *fd)
{
	struct msn_hostfile *hf;

	*fd = new_file(ON_DISK);
	fill(*fd, 4 * PAGE);
	hf = host_of(*fd, true);
	/*
	 * Faults before the write's own leave it undone, and the last try,
	 * which is the one, keeps the bytes.
	 */
	CHECK(with_fault("hostfile.write", 1, store_hello, hf) == 0);
	return hf;
}

static char on_host(int fd, uint64_t at)
{
	char byte = 0;

	CHECK(pread(fd, &byte, 1, (off_t)at) == 1);
	return byte;
}

static void a_failed_write_is_kept_read_and_written_later(void)
{
	int fd;
	struct msn_hostfile *hf = failing_host(&fd);

	EXPECT(msn_hostfile_stats(hf).kept_bytes == 5);
	EXPECT(on_host(fd, PAGE) == 'B');
	EXPECT(byte_at(file_of(hf), PAGE - 3) == 'A');
	EXPECT(byte_at(file_of(hf), PAGE) == 'l');
	EXPECT(byte_at(file_of(hf), PAGE + 2) == 'o');
	EXPECT(byte_at(file_of(hf), PAGE + 3) == 'B');
	/* The next msync writes it, and tells of the error that there was. */
	EXPECT(sync_all(hf) == -EIO);
	EXPECT(msn_hostfile_stats(hf).kept_bytes == 0);
	EXPECT(on_host(fd, PAGE) == 'l');
	EXPECT(sync_all(hf) == 0);
	EXPECT(sync_all(hf) == 0);
	host_free(hf);
}

static void a_disk_that_fails_on_keeps_saying_so(void)
{
	int fd;
	struct msn_hostfile *hf = failing_host(&fd);

	EXPECT(with_fault("hostfile.write", 3, try_sync_all, hf) == -EIO);
	EXPECT(msn_hostfile_stats(hf).kept_bytes == 5);
	EXPECT(byte_at(file_of(hf), PAGE) == 'l');
	EXPECT(on_host(fd, PAGE) == 'B');
	EXPECT(sync_all(hf) == 0); /* written, and no new error */
	EXPECT(on_host(fd, PAGE) == 'l');
	EXPECT(with_fault("hostfile.msync", 1, try_sync_all, hf) == -EIO);
	EXPECT(sync_all(hf) == 0);
	host_free(hf);
}

static void newer_stores_win_over_what_is_kept(void)
{
	int fd;
	struct msn_hostfile *hf = failing_host(&fd);
	size_t done;

	CHECK(msn_file_write(file_of(hf), PAGE, "XY", 2, &done) == 0);
	EXPECT(byte_at(file_of(hf), PAGE - 1) == 'e');
	EXPECT(byte_at(file_of(hf), PAGE) == 'X');
	EXPECT(sync_all(hf) == -EIO);
	EXPECT(on_host(fd, PAGE - 1) == 'e' && on_host(fd, PAGE) == 'X');
	EXPECT(on_host(fd, PAGE + 2) == 'o');
	host_free(hf);
}

static void msync_of_other_pages_leaves_what_is_kept(void)
{
	int fd;
	struct msn_hostfile *hf = failing_host(&fd);

	EXPECT(msn_identity_msync(msn_hostfile_identity(hf), PAGES(2, 4)) ==
	       -EIO);
	EXPECT(msn_hostfile_stats(hf).kept_bytes == 5);
	/* A save makes sure that nothing is only here. */
	EXPECT(msn_mappable_invalidate_unsavable(msn_hostfile_mappable(hf)) ==
	       0);
	EXPECT(msn_hostfile_stats(hf).kept_bytes == 0);
	EXPECT(on_host(fd, PAGE) == 'l');
	host_free(hf);
}

/* The second window is not to be had while the first is referred to. */
static void what_is_kept_shows_when_the_page_can_be_mapped_again(void)
{
	int fd = new_file(IN_MEMORY);
	struct msn_file_range page = { MSN_WINDOW_BYTES,
				       MSN_WINDOW_BYTES + PAGE };
	struct msn_file_range first = { 0, PAGE };
	struct msn_hostfile *hf;
	struct msn_file *file;
	struct msn_spans spans;
	size_t done;

	CHECK(ftruncate(fd, (off_t)(2 * MSN_WINDOW_BYTES)) == 0);
	CHECK(msn_hostfile_new(
		      &hf,
		      &(struct msn_hostfile_opts){
			      .fd = fd, .path = "x", .windows_max = 1 }) == 0);
	file = file_of(hf);
	msn_file_inc_ref(file, first, 0);
	msn_file_inc_ref(file, page, 0);
	EXPECT(byte_at(file, 0) == 0);
	/* The points before are the size's, as in store_hello(). */
	msn_fault_arm(2);
	CHECK(msn_file_write(file, page.start, "k", 1, &done) == 0);
	EXPECT(strcmp(msn_fault_fired(), "hostfile.write") == 0);
	msn_fault_arm(0);
	EXPECT(byte_at(file, page.start) == 'k');
	msn_file_dec_ref(file, first);
	EXPECT(byte_at(file, page.start) == 'k');
	EXPECT(msn_identity_msync(
		       msn_hostfile_identity(hf),
		       (struct msn_obj_range){ page.start, page.end }) == -EIO);
	CHECK(msn_file_map_internal(file, page, RW, &spans) == 0);
	EXPECT(byte_at(file, page.start) == 'k');
	msn_file_dec_ref(file, page);
	host_free(hf);
}

static void truncation_and_holes_let_go_of_what_is_kept(void)
{
	int fd;
	struct msn_hostfile *hf = failing_host(&fd);

	CHECK(msn_mappable_punch_hole(msn_hostfile_mappable(hf), PAGES(0, 1)) ==
	      0);
	EXPECT(byte_at(file_of(hf), PAGE - 1) == 0);
	EXPECT(byte_at(file_of(hf), PAGE) == 'l');
	CHECK(msn_hostfile_truncate(hf, PAGE + 1) == 0);
	EXPECT(msn_hostfile_stats(hf).kept_bytes == 3);
	CHECK(msn_hostfile_truncate(hf, 4 * PAGE) == 0);
	EXPECT(byte_at(file_of(hf), PAGE) == 'l');
	EXPECT(byte_at(file_of(hf), PAGE + 1) == 0);
	/* And what others cut off is not written back either. */
	CHECK(ftruncate(fd, 10) == 0);
	EXPECT(sync_all(hf) == -EIO);
	EXPECT(msn_hostfile_stats(hf).kept_bytes == 0);
	host_free(hf);
}

static void what_is_kept_gets_a_last_chance_at_the_end(void)
{
	int fd;
	struct msn_hostfile *hf = failing_host(&fd);
	msn_auto(msn_closep) int other = dup(fd);

	host_free(hf);
	EXPECT(on_host(other, PAGE) == 'l');
}

/* The bytes that may be kept, less @less, from the second page on. */
static struct msn_hostfile *full_host(int *fd, size_t less)
{
	size_t len = MSN_HOSTFILE_KEPT_BYTES - less, done;
	msn_auto(msn_freep) char *bytes = malloc(len);
	struct msn_hostfile *hf;
	struct msn_file *file;

	CHECK(bytes);
	memset(bytes, 'k', len);
	*fd = new_file(IN_MEMORY);
	CHECK(ftruncate(*fd, 2 * (off_t)MSN_HOSTFILE_KEPT_BYTES) == 0);
	hf = host_of(*fd, true);
	file = file_of(hf);
	msn_fault_arm(2); /* the size is asked for, then the write */
	CHECK(msn_file_write(file, PAGE, bytes, len, &done) == 0);
	msn_fault_arm(0);
	CHECK(msn_hostfile_stats(hf).kept_bytes == len);
	return hf;
}

static int store_over_both_ends(struct subject *s)
{
	size_t done;

	return msn_file_write(s->file, PAGE - 2, "xxxx", 4, &done);
}

static void what_is_too_much_to_be_kept_changes_nothing(void)
{
	int fd;
	struct msn_hostfile *hf = full_host(&fd, 1);

	EXPECT(with_fault("hostfile.write", 1, store_over_both_ends, hf) ==
	       MSN_FILE_E_BUS);
	EXPECT(msn_hostfile_stats(hf).kept_bytes ==
	       MSN_HOSTFILE_KEPT_BYTES - 1);
	EXPECT(byte_at(file_of(hf), PAGE - 1) == 0);
	EXPECT(byte_at(file_of(hf), PAGE) == 'k');
	host_free(hf);
}

/* ---- Among threads ------------------------------------------------------- */

struct disk {
	struct msn_hostfile *hf;
	struct msn_file *file;
	atomic_bool stop;
	atomic_uint wrong;
};

/* Stores that the disk refuses at first, each newer than the last. */
static void *store_on_a_failing_disk(void *arg)
{
	struct disk *d = arg;
	size_t done;

	for (uint8_t i = 1; i < UINT8_MAX; i++) {
		msn_fault_arm(2);
		if (msn_file_write(d->file, 8, &i, 1, &done))
			atomic_fetch_add(&d->wrong, 1);
		msn_fault_arm(0);
		/* Says so, and writes it. */
		if (sync_all(d->hf) != -EIO)
			atomic_fetch_add(&d->wrong, 1);
	}
	atomic_store(&d->stop, true);
	return NULL;
}

/* Much is read at once: that takes long, and begins with what is stored. */
static void read_meanwhile(struct disk *d)
{
	static uint8_t bytes[MSN_HOSTFILE_PIECE];
	uint8_t last = 0;
	size_t done;

	while (!atomic_load(&d->stop)) {
		CHECK(msn_file_read(d->file, 0, bytes, sizeof(bytes), &done) ==
		      0);
		EXPECT(bytes[8] >= last);
		last = bytes[8];
	}
}

static void nobody_sees_what_was_there_before_what_is_kept(void)
{
	for (int round = 0; round < 20; round++) {
		struct disk d = { .hf = host_of(new_file(IN_MEMORY), true) };
		pthread_t writer;

		CHECK(msn_hostfile_truncate(d.hf, MSN_HOSTFILE_PIECE) == 0);
		d.file = file_of(d.hf);
		CHECK(pthread_create(&writer, NULL, store_on_a_failing_disk,
				     &d) == 0);
		read_meanwhile(&d);
		pthread_join(writer, NULL);
		EXPECT(atomic_load(&d.wrong) == 0);
		host_free(d.hf);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_failed_write_is_kept_read_and_written_later),
		CHECK_TEST(a_disk_that_fails_on_keeps_saying_so),
		CHECK_TEST(newer_stores_win_over_what_is_kept),
		CHECK_TEST(msync_of_other_pages_leaves_what_is_kept),
		CHECK_TEST(
			what_is_kept_shows_when_the_page_can_be_mapped_again),
		CHECK_TEST(truncation_and_holes_let_go_of_what_is_kept),
		CHECK_TEST(what_is_kept_gets_a_last_chance_at_the_end),
		CHECK_TEST(what_is_too_much_to_be_kept_changes_nothing),
		CHECK_TEST(nobody_sees_what_was_there_before_what_is_kept),
		{}
	};

	return check_main(argc, argv, "host file: kept bytes", tests);
}
