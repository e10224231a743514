/*
 * The rules of host files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

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

static void refused(void)
{
	struct msn_hostfile *hf;
	int ends[2];

	CHECK(pipe(ends) == 0);
	EXPECT(msn_hostfile_new(
		       &hf, &(struct msn_hostfile_opts){
				    .fd = ends[0], .path = "p" }) == -ENODEV);
	close(ends[1]);
	EXPECT(msn_hostfile_new(
		       &hf, &(struct msn_hostfile_opts){
				    .fd = open("/tmp", O_RDONLY | O_CLOEXEC),
				    .path = "/tmp" }) == -ENODEV);
	EXPECT(msn_hostfile_new(&hf,
				&(struct msn_hostfile_opts){
					.fd = open("/tmp", O_PATH | O_CLOEXEC),
					.path = "/tmp" }) == -EBADF);
}

static void seals(void)
{
	int fd = new_file(IN_MEMORY);
	unsigned may = MSN_ACCESS_ANY;
	struct msn_hostfile *hf;

	fill(fd, PAGE);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	hf = host_of(fd, false);
	EXPECT(msn_mappable_check_mmap(msn_hostfile_mappable(hf), true, RW,
				       &may) == -EPERM);
	EXPECT(msn_mappable_check_mmap(msn_hostfile_mappable(hf), false, RW,
				       &may) == 0);
	host_free(hf);
}

static const struct check_test rules[] = {
	{ "no page past the end of the file is handed out",
	  clamped_to_the_size },
	{ "the last page is zero from the end of the file on",
	  the_tail_is_zero },
	{ "truncation invalidates from the rounded end, copies too",
	  truncation_tells_everybody },
	{ "a file that somebody else shortened is noticed by a look",
	  others_shorten },
	{ "a hole leaves private copies alone", holes_leave_copies },
	{ "stores and the file are one, mapped or not", stores_reach_the_file },
	{ "what Linux cannot map is ENODEV, O_PATH is EBADF", refused },
	{ "a write seal is EPERM for shared writing, not for private", seals },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "hostfile", rules);
}
