/*
 * The rules of host files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

#include "base/fault.h"
#include "base/limits.h"
#include "mm/mm.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- Pages --------------------------------------------------------------- */

#define PAGE_OF_WINDOW(nr)                                                     \
	((struct msn_file_range){ (nr)*MSN_WINDOW_BYTES,                       \
				  (nr)*MSN_WINDOW_BYTES + PAGE })

static struct msn_hostfile *made(uint64_t size, bool buffered)
{
	int fd = new_file(IN_MEMORY);

	fill(fd, size);
	return host_of(fd, buffered);
}

static int ask(struct msn_hostfile *hf, struct msn_obj_range r,
	       struct msn_translation *t, int *why)
{
	return msn_mappable_translate(msn_hostfile_mappable(hf), r, r, RW, t, 1,
				      why);
}

static void clamped_to_the_size(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		struct msn_hostfile *hf = made(3 * PAGE - 5, buffered);
		struct msn_translation t;
		int why;

		EXPECT(ask(hf, PAGES(1, 5), &t, &why) == 1);
		EXPECT(t.source.end == 3 * PAGE);
		EXPECT(why == MSN_MAPPABLE_E_BUS);
		EXPECT(ask(hf, PAGES(3, 4), &t, &why) == 0);
		EXPECT(why == MSN_MAPPABLE_E_BUS);
		host_free(hf);
	}
}

static void the_tail_is_zero(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		struct msn_hostfile *hf = made(PAGE + 5, buffered);
		struct msn_file *file = file_of(hf);

		msn_file_inc_ref(file, FILE_PAGES(0, 2), 0);
		EXPECT(byte_at(file, PAGE + 4) == 'B');
		EXPECT(byte_at(file, PAGE + 5) == 0);
		msn_file_dec_ref(file, FILE_PAGES(0, 2));
		host_free(hf);
	}
}

/* Refers to a page in each of three windows, of which it may have @max. */
static struct msn_hostfile *windowed(size_t max)
{
	int fd = new_file(IN_MEMORY);
	struct msn_hostfile *hf;

	CHECK(ftruncate(fd, 3 * (off_t)MSN_WINDOW_BYTES) == 0);
	CHECK(msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					    .fd = fd,
					    .path = "x",
					    .windows_max = max }) == 0);
	for (uint64_t nr = 0; nr < 3; nr++)
		msn_file_inc_ref(file_of(hf), PAGE_OF_WINDOW(nr), 0);
	return hf;
}

static void windowed_free(struct msn_hostfile *hf)
{
	for (uint64_t nr = 0; nr < 3; nr++)
		msn_file_dec_ref(file_of(hf), PAGE_OF_WINDOW(nr));
	host_free(hf);
}

static int map_page(struct msn_hostfile *hf, uint64_t nr,
		    struct msn_spans *spans)
{
	return msn_file_map_internal(file_of(hf), PAGE_OF_WINDOW(nr), RW,
				     spans);
}

static void windows_of_a_gib(void)
{
	struct msn_hostfile *hf = windowed(0);
	struct msn_spans a, b;

	CHECK(map_page(hf, 0, &a) == 0 && map_page(hf, 0, &b) == 0);
	EXPECT(a.span[0].data == b.span[0].data);
	EXPECT(msn_hostfile_stats(hf).windows == 1);
	CHECK(map_page(hf, 2, &b) == 0);
	EXPECT(msn_hostfile_stats(hf).windows == 2);
	windowed_free(hf);
}

static void windows_stay_while_used(void)
{
	struct msn_hostfile *hf = windowed(1);
	struct msn_spans spans;

	CHECK(map_page(hf, 0, &spans) == 0);
	EXPECT(map_page(hf, 1, &spans) == MSN_FILE_E_BUFFERED);
	EXPECT(byte_at(file_of(hf), MSN_WINDOW_BYTES) == 0);
	EXPECT(msn_hostfile_stats(hf).windows == 1);
	windowed_free(hf);
}

static void unused_windows_make_room(void)
{
	struct msn_hostfile *hf = windowed(1);
	struct msn_spans spans;

	CHECK(map_page(hf, 0, &spans) == 0);
	msn_file_dec_ref(file_of(hf), PAGE_OF_WINDOW(0));
	EXPECT(msn_hostfile_stats(hf).windows == 1); /* not at once */
	CHECK(map_page(hf, 1, &spans) == 0);
	EXPECT(msn_hostfile_stats(hf).windows == 1);
	msn_file_inc_ref(file_of(hf), PAGE_OF_WINDOW(0), 0);
	windowed_free(hf);
}

static void no_first_reference(void)
{
	struct msn_hostfile *hf = made(4 * PAGE, false);
	struct msn_file *file = file_of(hf);
	struct msn_file_range run;

	EXPECT(msn_file_sharers(file, FILE_PAGES(0, 4), &run) == 0);
	msn_file_inc_ref(file, FILE_PAGES(1, 3), 0);
	msn_file_inc_ref(file, FILE_PAGES(1, 2), 0);
	EXPECT(msn_file_sharers(file, FILE_PAGES(1, 4), &run) == 2);
	EXPECT(run.end == 2 * PAGE);
	EXPECT(msn_hostfile_stats(hf).mapped_bytes == 2 * PAGE);
	msn_file_dec_ref(file, FILE_PAGES(1, 3));
	msn_file_dec_ref(file, FILE_PAGES(1, 2));
	EXPECT(msn_hostfile_stats(hf).mapped_bytes == 0);
	EXPECT(byte_at(file, PAGE) == 'B'); /* the page is still there */
	host_free(hf);
}

static void drop_a_page(void *file)
{
	msn_file_dec_ref(file, FILE_PAGES(0, 1));
}

static void nobodys_is_not_dropped(void)
{
	struct msn_hostfile *hf = made(PAGE, false);

	EXPECT(check_asserts(drop_a_page, file_of(hf)));
	host_free(hf);
}

static void the_first_pays(void)
{
	struct msn_account_table *accounts;
	struct msn_hostfile *hf;
	struct msn_file *file;
	int fd = new_file(IN_MEMORY);

	fill(fd, 4 * PAGE);
	CHECK(msn_account_table_new(&accounts) == 0);
	CHECK(msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					    .fd = fd,
					    .path = "x",
					    .accounts = accounts }) == 0);
	file = file_of(hf);
	msn_file_inc_ref(file, FILE_PAGES(0, 2), 7);
	msn_file_inc_ref(file, FILE_PAGES(0, 3), 8);
	msn_file_dec_ref(file, FILE_PAGES(0, 2));
	EXPECT(msn_account_get(accounts, 7).bytes[MSN_ACCOUNT_MAPPED] ==
	       2 * PAGE);
	EXPECT(msn_account_get(accounts, 8).bytes[MSN_ACCOUNT_MAPPED] == PAGE);
	msn_file_dec_ref(file, FILE_PAGES(0, 3));
	EXPECT(msn_account_get(accounts, 7).bytes[MSN_ACCOUNT_MAPPED] == 0);
	EXPECT(msn_account_get(accounts, 8).bytes[MSN_ACCOUNT_MAPPED] == 0);
	host_free(hf);
	msn_account_table_free(accounts);
}

static void in_the_page_cache(void)
{
	struct msn_hostfile *hf = made(8 * PAGE, false);
	struct msn_mappable *obj = msn_hostfile_mappable(hf);
	uint8_t vec[8];

	CHECK(msn_mappable_punch_hole(obj, PAGES(2, 4)) == 0);
	for (int look = 0; look < 2; look++) {
		CHECK(msn_file_resident(file_of(hf), FILE_PAGES(0, 8), vec) ==
		      0);
		EXPECT(vec[1] && !vec[2] && !vec[3] && vec[4]);
	}
	host_free(hf);
}

/* ---- Sizes and holes ----------------------------------------------------- */

static void truncation_tells_everybody(void)
{
	struct msn_hostfile *hf = made(8 * PAGE, false);
	struct msn_mappable *obj = msn_hostfile_mappable(hf);
	struct recorder r = { .base.ops = &recorder_ops };

	CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(100, 108), 0,
				       true) == 0);
	CHECK(msn_hostfile_truncate(hf, 3 * PAGE + 1) == 0);
	EXPECT(r.calls == 1 && r.copies_too);
	EXPECT(r.last.start == 104 * PAGE && r.last.end == 108 * PAGE);
	CHECK(msn_hostfile_truncate(hf, 8 * PAGE) == 0);
	EXPECT(r.calls == 1); /* growing tells nobody */
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(100, 108), 0, true);
	host_free(hf);
}

/* Who is told sees the new size. */
struct witness {
	struct msn_mapping_space base;
	int fd;
	off_t size_then;
};

static void bear_witness(struct msn_mapping_space *ms, struct msn_addr_range ar,
			 struct msn_invalidate_opts opts)
{
	struct witness *w = msn_container_of(ms, struct witness, base);

	(void)ar;
	(void)opts;
	w->size_then = lseek(w->fd, 0, SEEK_END);
}

static void the_size_comes_first(void)
{
	static const struct msn_mapping_space_ops ops = { bear_witness };
	struct witness w = { .base.ops = &ops, .fd = new_file(IN_MEMORY) };
	struct msn_mappable *obj;
	struct msn_hostfile *hf;

	fill(w.fd, 8 * PAGE);
	hf = host_of(dup(w.fd), false);
	obj = msn_hostfile_mappable(hf);
	CHECK(msn_mappable_add_mapping(obj, &w.base, ADDRS(0, 8), 0, true) ==
	      0);
	CHECK(msn_hostfile_truncate(hf, 3 * PAGE) == 0);
	EXPECT(w.size_then == 3 * (off_t)PAGE);
	msn_mappable_remove_mapping(obj, &w.base, ADDRS(0, 8), 0, true);
	host_free(hf);
	close(w.fd);
}

static void no_such_size(void)
{
	struct msn_hostfile *hf = made(2 * PAGE, false);

	EXPECT(msn_hostfile_truncate(hf, UINT64_MAX) == -EFBIG);
	EXPECT(byte_at(file_of(hf), PAGE) == 'B');
	host_free(hf);
}

static int look_by_mapping(struct msn_hostfile *hf)
{
	struct msn_mappable *obj = msn_hostfile_mappable(hf);
	struct recorder other = { .base.ops = &recorder_ops };
	int rc = msn_mappable_add_mapping(obj, &other.base, ADDRS(0, 1), 0,
					  false);

	if (rc == 0)
		msn_mappable_remove_mapping(obj, &other.base, ADDRS(0, 1), 0,
					    false);
	return rc;
}

static int look_by_msync(struct msn_hostfile *hf)
{
	return sync_all(hf);
}

static int look_by_a_hole(struct msn_hostfile *hf)
{
	return msn_mappable_punch_hole(msn_hostfile_mappable(hf), PAGES(0, 1));
}

static int look_by_truncation(struct msn_hostfile *hf)
{
	return msn_hostfile_truncate(hf, 16 * PAGE);
}

static void who_looks(void)
{
	static int (*const looks[])(struct msn_hostfile *) = {
		msn_hostfile_revalidate, look_by_mapping,    look_by_msync,
		look_by_a_hole,		 look_by_truncation,
	};

	for (size_t i = 0; i < MSN_ARRAY_LEN(looks); i++) {
		msn_auto(msn_closep) int fd = new_file(IN_MEMORY);
		struct recorder r = { .base.ops = &recorder_ops };
		struct msn_mappable *obj;
		struct msn_translation t;
		struct msn_hostfile *hf;
		int why;

		fill(fd, 8 * PAGE);
		hf = host_of(dup(fd), false);
		obj = msn_hostfile_mappable(hf);
		CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(4, 8),
					       4 * PAGE, true) == 0);
		CHECK(ask(hf, PAGES(4, 8), &t, &why) == 1);
		CHECK(ftruncate(fd, 5 * (off_t)PAGE) == 0);
		EXPECT(r.calls == 0);
		CHECK(looks[i](hf) == 0);
		EXPECT(r.calls == 1 && r.copies_too);
		EXPECT(r.last.start == 5 * PAGE && r.last.end == 8 * PAGE);
		msn_mappable_remove_mapping(obj, &r.base, ADDRS(4, 8), 4 * PAGE,
					    true);
		host_free(hf);
	}
}

static void others_shorten(void)
{
	int fd = new_file(IN_MEMORY);
	struct recorder r = { .base.ops = &recorder_ops };
	struct msn_mappable *obj;
	struct msn_translation t;
	struct msn_hostfile *hf;
	int why, same;

	fill(fd, 8 * PAGE);
	same = dup(fd);
	hf = host_of(fd, false);
	obj = msn_hostfile_mappable(hf);
	CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(100, 108), 0,
				       true) == 0);
	CHECK(ask(hf, PAGES(0, 8), &t, &why) == 1);
	CHECK(ftruncate(same, 2 * PAGE) == 0);
	CHECK(msn_hostfile_revalidate(hf) == 0);
	EXPECT(r.calls == 1 && r.copies_too);
	EXPECT(r.last.start == 102 * PAGE);
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(100, 108), 0, true);
	close(same);
	host_free(hf);
}

static void holes_leave_copies(void)
{
	struct msn_hostfile *hf = made(8 * PAGE, false);
	struct msn_mappable *obj = msn_hostfile_mappable(hf);
	struct recorder r = { .base.ops = &recorder_ops };
	struct msn_file *file = file_of(hf);

	CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(100, 108), 0,
				       true) == 0);
	CHECK(msn_mappable_punch_hole(obj, PAGES(2, 4)) == 0);
	EXPECT(!r.copies_too);
	msn_file_inc_ref(file, FILE_PAGES(0, 8), 0);
	EXPECT(byte_at(file, 3 * PAGE) == 0);
	EXPECT(byte_at(file, 4 * PAGE) == 'E');
	msn_file_dec_ref(file, FILE_PAGES(0, 8));
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(100, 108), 0, true);
	host_free(hf);
}

/* ---- Bytes --------------------------------------------------------------- */

static void stores_reach_the_file(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		int fd = new_file(IN_MEMORY), same = dup(fd);
		struct msn_hostfile *hf;
		struct msn_file *file;
		size_t done;
		char c = 0;

		fill(fd, 2 * PAGE);
		hf = host_of(fd, buffered);
		file = file_of(hf);
		msn_file_inc_ref(file, FILE_PAGES(0, 2), 0);
		CHECK(msn_file_write(file, PAGE, "!", 1, &done) == 0);
		EXPECT(pread(same, &c, 1, PAGE) == 1 && c == '!');
		CHECK(pwrite(same, "?", 1, 7) == 1);
		EXPECT(byte_at(file, 7) == '?');
		msn_file_dec_ref(file, FILE_PAGES(0, 2));
		close(same);
		host_free(hf);
	}
}

static void moved_by_reads_and_writes(void)
{
	struct msn_hostfile *hf = made(2 * PAGE, true);
	struct msn_file *file = file_of(hf);
	struct msn_spans spans;
	size_t done;

	msn_file_inc_ref(file, FILE_PAGES(0, 2), 0);
	EXPECT(msn_file_map_internal(file, FILE_PAGES(0, 1), RW, &spans) ==
	       MSN_FILE_E_BUFFERED);
	CHECK(msn_file_buffer_write_at(file, 5, "x", 1, &done) == 0);
	EXPECT(byte_at(file, 5) == 'x' && byte_at(file, 6) == 'A');
	EXPECT(msn_hostfile_stats(hf).windows == 0);
	EXPECT(msn_hostfile_stats(hf).writes == 1);
	msn_file_dec_ref(file, FILE_PAGES(0, 2));
	host_free(hf);
}

static void how_far_it_came(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		struct msn_hostfile *hf = made(2 * PAGE + 5, buffered);
		struct msn_file *file = file_of(hf);
		char bytes[4 * MSN_PAGE_SIZE];
		size_t done;

		msn_file_inc_ref(file, FILE_PAGES(0, 4), 0);
		EXPECT(msn_file_read(file, 100, bytes, 4 * PAGE - 100, &done) ==
		       MSN_FILE_E_BUS);
		EXPECT(done == 3 * PAGE - 100);
		EXPECT(bytes[done - 1] == 0 && bytes[0] == 'A');
		EXPECT(msn_file_write(file, 2 * PAGE, bytes, 2 * PAGE, &done) ==
		       MSN_FILE_E_BUS);
		EXPECT(done == PAGE);
		msn_file_dec_ref(file, FILE_PAGES(0, 4));
		host_free(hf);
	}
}

static void never_longer(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		msn_auto(msn_closep) int fd = new_file(IN_MEMORY);
		struct msn_hostfile *hf;
		size_t done;

		fill(fd, PAGE + 5);
		hf = host_of(dup(fd), buffered);
		msn_file_inc_ref(file_of(hf), FILE_PAGES(0, 2), 0);
		CHECK(msn_file_write(file_of(hf), PAGE, "0123456789", 10,
				     &done) == 0);
		EXPECT(lseek(fd, 0, SEEK_END) == PAGE + 5);
		msn_file_dec_ref(file_of(hf), FILE_PAGES(0, 2));
		host_free(hf);
	}
}

/* Maps @hf privately in a space of its own, and stores into page 1. */
static void copied_on_write(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		msn_auto(msn_closep) int fd = new_file(IN_MEMORY);
		struct msn_mmap_opts o = { .length = 2 * PAGE,
					   .perms = RW,
					   .max_perms = MSN_ACCESS_ANY,
					   .private = true };
		struct msn_address_space *as;
		struct msn_hostfile *hf;
		struct msn_memfile *mf;
		struct msn_mm *mm;
		uint64_t addr;
		size_t done;
		char c[2];

		fill(fd, 2 * PAGE);
		hf = host_of(open_again(fd, O_RDONLY), buffered);
		CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) ==
		      0);
		CHECK(msn_platform_none_new(&as) == 0);
		CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = mf,
							     .as = as }) == 0);
		o.mappable = msn_hostfile_mappable(hf);
		o.mapping_identity = msn_hostfile_identity(hf);
		CHECK(msn_mm_mmap(mm, &o, &addr) == 0);
		CHECK(msn_mm_copy_out(mm, addr + PAGE + 7, "!", 1,
				      (struct msn_mm_io){ 0 }, &done) == 0);
		CHECK(msn_mm_copy_in(mm, addr + PAGE + 6, c, 2,
				     (struct msn_mm_io){ 0 }, &done) == 0);
		EXPECT(c[0] == 'B' && c[1] == '!');
		EXPECT(pread(fd, c, 1, PAGE + 7) == 1 && c[0] == 'B');
		EXPECT(msn_memfile_used(mf) == PAGE);
		msn_mm_free(mm);
		msn_memfile_free(mf);
		host_free(hf);
	}
}

/* ---- Writing back -------------------------------------------------------- */

static void only_what_changed(void)
{
	struct msn_hostfile *hf = made(64 * PAGE, true);
	struct msn_hostfile_stats s;
	size_t done;

	CHECK(msn_file_write(file_of(hf), 9 * PAGE, "x", 1, &done) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(msn_identity_msync(msn_hostfile_identity(hf),
					 PAGES(0, 64)) == 0);
	s = msn_hostfile_stats(hf);
	EXPECT(s.syncs == 3 && s.writes == 1 && s.write_bytes == 1);
	host_free(hf);
}

/* A file of four pages; the disk did not take the 'k' that went to page 1. */
static struct msn_hostfile *with_kept_byte(int *fd)
{
	struct msn_hostfile *hf;
	struct msn_file *file;
	size_t done;

	*fd = new_file(IN_MEMORY);
	fill(*fd, 4 * PAGE);
	hf = host_of(dup(*fd), true);
	file = file_of(hf);
	msn_fault_arm(2); /* the size is asked for, then the write */
	CHECK(msn_file_write(file, PAGE, "k", 1, &done) == 0);
	CHECK(strcmp(msn_fault_fired(), "hostfile.write") == 0);
	msn_fault_arm(0);
	CHECK(msn_hostfile_stats(hf).kept_bytes == 1);
	return hf;
}

static char on_disk(int fd)
{
	char c = 0;

	CHECK(pread(fd, &c, 1, PAGE) == 1);
	return c;
}

static void kept_and_written_later(void)
{
	int fd;
	struct msn_hostfile *hf = with_kept_byte(&fd);

	EXPECT(byte_at(file_of(hf), PAGE) == 'k' && on_disk(fd) == 'B');
	EXPECT(sync_all(hf) == -EIO);
	EXPECT(on_disk(fd) == 'k' && msn_hostfile_stats(hf).kept_bytes == 0);
	EXPECT(sync_all(hf) == 0);
	host_free(hf);
	close(fd);
}

static void never_dropped_on_a_failure(void)
{
	int fd;
	struct msn_hostfile *hf = with_kept_byte(&fd);
	const char *fired;
	unsigned nth = 0;

	/* It fails again, whatever goes wrong. */
	do {
		int rc;

		msn_fault_arm(++nth);
		rc = msn_mappable_invalidate_unsavable(
			msn_hostfile_mappable(hf));
		fired = msn_fault_fired();
		msn_fault_arm(0);
		EXPECT(fired ? rc == -EIO : rc == 0);
		EXPECT((msn_hostfile_stats(hf).kept_bytes == 1) == !!fired);
		EXPECT(byte_at(file_of(hf), PAGE) == 'k');
	} while (fired);
	EXPECT(nth > 2 && on_disk(fd) == 'k');
	host_free(hf);
	close(fd);
}

static void of_its_range_alone(void)
{
	int fd;
	struct msn_hostfile *hf = with_kept_byte(&fd);

	EXPECT(msn_identity_msync(msn_hostfile_identity(hf), PAGES(2, 4)) ==
	       -EIO);
	EXPECT(on_disk(fd) == 'B' && msn_hostfile_stats(hf).kept_bytes == 1);
	host_free(hf);
	EXPECT(on_disk(fd) == 'k'); /* the last owner tries once more */
	close(fd);
}

static void let_go_of(void)
{
	int fd;
	struct msn_hostfile *hf = with_kept_byte(&fd);

	CHECK(msn_mappable_punch_hole(msn_hostfile_mappable(hf), PAGES(1, 2)) ==
	      0);
	EXPECT(byte_at(file_of(hf), PAGE) == 0);
	CHECK(msn_hostfile_truncate(hf, PAGE) == 0);
	EXPECT(msn_hostfile_stats(hf).kept_bytes == 0);
	host_free(hf);
	close(fd);
}

/* In a child, as the limit is the process's. */
static int store_past_a_limit(void)
{
	const struct rlimit limit = { PAGE, PAGE };
	struct msn_hostfile *hf = made(4 * PAGE, true);
	size_t done;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) ||
	    msn_file_write(file_of(hf), 3 * PAGE, "x", 1, &done) !=
		    MSN_FILE_E_BUS)
		return 1;
	return msn_hostfile_stats(hf).kept_bytes || sync_all(hf) ? 2 : 0;
}

static void a_host_that_refuses(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(store_past_a_limit());
	CHECK(waitpid(pid, &status, 0) == pid);
	EXPECT(status == 0);
}

static const struct check_test rules[] = {
	{ "no page past the end of the file is handed out",
	  clamped_to_the_size },
	{ "the last page is zero from the end of the file on",
	  the_tail_is_zero },
	{ "pages are reached through windows of 1 GiB, each mapped once",
	  windows_of_a_gib },
	{ "a window stays while somebody refers to a page of it; without "
	  "room the way is buffered",
	  windows_stay_while_used },
	{ "one that nobody refers to makes room when that is short",
	  unused_windows_make_room },
	{ "references need no first one, and the last frees no page",
	  no_first_reference },
	{ "dropping what nobody has is an assertion", nobodys_is_not_dropped },
	{ "who refers first pays, until the last reference", the_first_pays },
	{ "resident is what the host's page cache has; looking brings "
	  "nothing in",
	  in_the_page_cache },
	{ "truncation invalidates from the rounded end, copies too",
	  truncation_tells_everybody },
	{ "the size is published before anybody is told",
	  the_size_comes_first },
	{ "a size that no file can have is EFBIG, and changes nothing",
	  no_such_size },
	{ "a file that somebody else shortened is noticed by a look",
	  others_shorten },
	{ "mapping, msync, holes and truncation look first", who_looks },
	{ "a hole leaves private copies alone", holes_leave_copies },
	{ "stores and the file are one, mapped or not", stores_reach_the_file },
	{ "what cannot be mapped here is moved by reads and writes",
	  moved_by_reads_and_writes },
	{ "past the end is a bus error that tells how far it came",
	  how_far_it_came },
	{ "no store makes a file longer", never_longer },
	{ "pages are copied on write either way, also of a file open for "
	  "reading",
	  copied_on_write },
	{ "writing back writes what changed, and that once",
	  only_what_changed },
	{ "what the disk did not take is kept, read, and written later; one "
	  "msync says EIO",
	  kept_and_written_later },
	{ "no failure to write it back drops it, and a save waits for it",
	  never_dropped_on_a_failure },
	{ "msync writes what is kept of its range alone; the last owner the "
	  "rest",
	  of_its_range_alone },
	{ "holes and truncation let go of what is kept", let_go_of },
	{ "what the host refuses is a bus error, and not kept",
	  a_host_that_refuses },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "hostfile", rules);
}
