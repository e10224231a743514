/*
 * Objects in snapshots: memfds and System V segments, mapped in every way.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/save/fixture.h"

#include "base/alloc.h"
#include "mapping/open_identity.h"
#include "shmem/seals.h"
#include "sysv/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

static struct msn_shmem *object_at(struct msn_mm *mm, uint64_t page)
{
	struct msn_shmem *s = msn_shmem_of(view_at(mm, page).mappable);

	CHECK(s);
	return s;
}

static void drop(struct msn_shmem *s)
{
	msn_identity_dec_ref(msn_shmem_identity(s));
}

/* ---- Private mappings ---------------------------------------------------- */

/*
 * object    0  1  2  3  ...  7
 *           a     c
 * at 10        x  0             private: x and zeros are copies
 * at 30                         shared
 */
static void map_both_ways(struct fixture *f)
{
	struct msn_shmem *s = make_memfd(f, 8);

	map_object(f->mm, s, 10, 8, true);
	map_object(f->mm, s, 30, 8, false);
	fill(f->mm, 30, 'a');
	fill(f->mm, 32, 'c');
	fill(f->mm, 11, 'x');
	fill(f->mm, 12, 0);
	drop(s);
}

static void expect_both_ways(struct msn_mm *mm)
{
	EXPECT(holds(mm, 10, 'a') && holds(mm, 11, 'x') && holds(mm, 12, 0));
	EXPECT(holds(mm, 30, 'a') && holds(mm, 31, 0) && holds(mm, 32, 'c'));
	EXPECT(holds(mm, 17, 0) && holds(mm, 37, 0));
	EXPECT(object_at(mm, 10) == object_at(mm, 30));
}

static void copies_lie_over_the_object(void)
{
	FOR_BOTH(f)
	{
		struct msn_manifest_stats stats;

		map_both_ways(&f);
		for (int eager = 0; eager < 2; eager++) {
			msn_auto(msn_freep) char *before = NULL;
			msn_auto(msn_freep) char *after = NULL;

			CHECK(msn_mm_maps(f.mm, &before) == 0);
			go_through(&f, save(&f, f.mm, NULL, &stats), eager);
			EXPECT(stats.private_pages == 3);
			EXPECT(stats.stored == (eager ? 0 : 3));
			CHECK(msn_mm_maps(f.mm, &after) == 0);
			/* But for the inode: the object is another. */
			EXPECT(strlen(before) == strlen(after));
			expect_both_ways(f.mm);
		}
	}
}

static void what_is_not_copied_still_follows_the_object(void)
{
	FOR_BOTH(f)
	{
		map_both_ways(&f);
		go_through(&f, save(&f, f.mm, NULL, NULL), true);
		fill(f.mm, 30, 'A');
		fill(f.mm, 31, 'B');
		EXPECT(holds(f.mm, 10, 'A') && holds(f.mm, 11, 'x'));
		fill(f.mm, 10, 'y');
		EXPECT(holds(f.mm, 30, 'A') && holds(f.mm, 10, 'y'));
		go_through(&f, save(&f, f.mm, NULL, NULL), true);
		EXPECT(holds(f.mm, 10, 'y') && holds(f.mm, 30, 'A'));
		EXPECT(holds(f.mm, 11, 'x') && holds(f.mm, 31, 'B'));
		EXPECT(holds(f.mm, 12, 0) && holds(f.mm, 32, 'c'));
	}
}

static void clones_have_objects_of_their_own(void)
{
	FOR_BOTH(f)
	{
		struct msn_opened *o;
		struct msn_mm *other;

		map_both_ways(&f);
		o = open_it(&f, save(&f, f.mm, NULL, NULL), false);
		f.mm = msn_mm_free(f.mm);
		f.mm = clone_it(&f, o, f.local);
		other = clone_it(&f, o, false);
		EXPECT(object_at(other, 10) != object_at(f.mm, 10));
		fill(f.mm, 30, 'A');
		fill(f.mm, 11, 'X');
		expect_both_ways(other);
		msn_mm_free(other);
		msn_opened_free(o);
	}
}

static void an_object_is_saved_whole_whatever_is_mapped_of_it(void)
{
	FOR_BOTH(f)
	{
		struct msn_shmem *s = make_memfd(&f, 64);
		struct msn_shmem_stat st;
		char got[5] = "";

		CHECK(msn_shmem_pwrite(s, "front", 5, 0) == 5);
		CHECK(msn_shmem_pwrite(s, "back", 5, 60 * (int64_t)PAGE) == 5);
		map_object(f.mm, s, 10, 2, true);
		drop(s);
		go_through(&f, save(&f, f.mm, NULL, NULL), true);
		s = object_at(f.mm, 10);
		CHECK(msn_shmem_stat(s, &st) == 0);
		EXPECT(st.size_bytes == LEN(64));
		EXPECT(msn_shmem_pread(s, got, 5, 60 * (int64_t)PAGE) == 5);
		EXPECT(memcmp(got, "back", 5) == 0);
		EXPECT(reads(f.mm, 10, "front"));
	}
}

/* ---- What an object is --------------------------------------------------- */

static void name_size_mode_and_seals_come_back(void)
{
	static const unsigned seals[] = { 0, F_SEAL_SHRINK | F_SEAL_GROW,
					  F_SEAL_WRITE | F_SEAL_SEAL };

	for (size_t i = 0; i < MSN_ARRAY_LEN(seals); i++) {
		FOR_BOTH(f)
		{
			struct msn_shmem *s = make_memfd(&f, 3);
			struct msn_shmem_stat st;

			CHECK(msn_shmem_pwrite(s, "x", 1, PAGE) == 1);
			CHECK(msn_shmem_truncate(s, 2 * PAGE + 5) == 0);
			CHECK(msn_shmem_chmod(s, 0604) == 0);
			CHECK(msn_shmem_add_seals(s, seals[i]) == 0);
			map_object(f.mm, s, 10, 4, true);
			drop(s);
			go_through(&f, save(&f, f.mm, NULL, NULL), true);
			s = object_at(f.mm, 10);
			CHECK(msn_shmem_stat(s, &st) == 0);
			EXPECT(st.size_bytes == 2 * PAGE + 5);
			EXPECT(st.mode == 0604);
			EXPECT(msn_shmem_get_seals(s) == seals[i]);
			EXPECT(!strcmp(view_at(f.mm, 10).name,
				       "/memfd:made (deleted)"));
			EXPECT(first_byte(f.mm, 11) == 'x');
			EXPECT(first_byte(f.mm, 12) == 0);
			EXPECT(first_byte(f.mm, 13) == -1);
		}
	}
}

static void what_is_allocated_comes_back(void)
{
	struct msn_shmem_stat st;
	struct msn_shmem *s;
	struct fixture f;
	uint8_t vec[8];

	/* Over page tables a mapping brings in what it shows. */
	setup(&f, false);
	s = make_memfd(&f, 8);
	CHECK(msn_shmem_pwrite(s, "", 1, 2 * PAGE) == 1);
	CHECK(msn_shmem_fallocate(s, 0, 4 * PAGE, 2 * PAGE) == 0);
	map_object(f.mm, s, 10, 8, true);
	map_object(f.mm, s, 20, 8, false);
	fill(f.mm, 11, 1);
	drop(s);
	go_through(&f, save(&f, f.mm, NULL, NULL), true);
	s = object_at(f.mm, 10);
	CHECK(msn_shmem_stat(s, &st) == 0);
	/* A copy is made of a page, which is there first. */
	EXPECT(st.allocated_bytes == 4 * PAGE);
	EXPECT(msn_mm_mincore(f.mm, AT(20), LEN(8), vec) == 0);
	EXPECT(vec[0] == 0 && vec[1] == 1 && vec[2] == 1 && vec[4] == 0);
	teardown(&f);
}

static void a_seal_that_came_later_spares_the_mapping(void)
{
	FOR_BOTH(f)
	{
		struct msn_shmem *s = make_memfd(&f, 2);

		map_object(f.mm, s, 10, 2, false);
		fill(f.mm, 10, 5);
		CHECK(msn_shmem_add_seals(s, F_SEAL_FUTURE_WRITE) == 0);
		drop(s);
		go_through(&f, save(&f, f.mm, NULL, NULL), true);
		EXPECT(holds(f.mm, 10, 5));
		fill(f.mm, 10, 6);
		EXPECT(holds(f.mm, 10, 6));
		s = object_at(f.mm, 10);
		EXPECT(msn_shmem_pwrite(s, "x", 1, 0) == -EPERM);
		EXPECT(msn_shmem_add_seals(s, F_SEAL_WRITE) == -EBUSY);
	}
}

static void parts_keep_the_names_that_they_were_given(void)
{
	FOR_BOTH(f)
	{
		struct msn_mmap_opts o = { .name_mut =
						   MSN_NAME_MUT_ANON_SHMEM };
		struct msn_shmem *s;

		CHECK(msn_shmem_new(&s, &(struct msn_shmem_opts){
						.memfile = f.mf,
						.size = LEN(4) }) == 0);
		msn_shmem_set_mapped(s, &o);
		map_opts(f.mm, 10, 4, o);
		drop(s);
		CHECK(msn_mm_set_anon_name(f.mm, AT(10), LEN(2), "mine") == 0);
		go_through(&f, save(&f, f.mm, NULL, NULL), true);
		EXPECT(!strcmp(view_at(f.mm, 10).name, "[anon_shmem:mine]"));
		EXPECT(!strcmp(view_at(f.mm, 12).name, "/dev/zero (deleted)"));
		EXPECT(object_at(f.mm, 10) == object_at(f.mm, 12));
		/* As before, the name can be taken away. */
		CHECK(msn_mm_set_anon_name(f.mm, AT(10), LEN(2), NULL) == 0);
		EXPECT(!strcmp(view_at(f.mm, 10).name, "/dev/zero (deleted)"));
		EXPECT(view_at(f.mm, 10).addr.end == AT(14));
		EXPECT(msn_shmem_get_seals(object_at(f.mm, 10)) == F_SEAL_SEAL);
	}
}

/* ---- Open files ---------------------------------------------------------- */

/* Maps pages of @s side by side, each by the open file of its number. */
static void map_by(struct msn_mm *mm, struct msn_mmap_opts o,
		   const unsigned *by, size_t count)
{
	struct msn_identity *open[2], *inode = o.mapping_identity;

	for (size_t i = 0; i < 2; i++)
		CHECK(msn_open_identity_new(&open[i], inode) == 0);
	for (size_t i = 0; i < count; i++) {
		o.offset = i * PAGE;
		o.mapping_identity = open[by[i]];
		map_opts(mm, 10 + i, 1, o);
		/* Whatever is joined is so only afterwards. */
		CHECK(msn_mm_mprotect(mm, AT(10 + i), PAGE,
				      i % 2 ? PROT_READ : PROT_NONE) == 0);
	}
	for (size_t i = 0; i < 2; i++)
		msn_identity_dec_ref(open[i]);
}

/* Pages 0 and 1 by one open file, 2 and 3 by another. */
static void expect_two_open_files(struct fixture *f, struct msn_mmap_opts o)
{
	static const unsigned by[] = { 0, 0, 1, 1 };

	map_by(f->mm, o, by, MSN_ARRAY_LEN(by));
	go_through(f, save(f, f->mm, NULL, NULL), true);
	CHECK(msn_mm_mprotect(f->mm, AT(10), LEN(4), PROT_READ) == 0);
	EXPECT(view_at(f->mm, 10).addr.end == AT(12));
	EXPECT(view_at(f->mm, 13).addr.start == AT(12));
	EXPECT(view_at(f->mm, 10).mappable == view_at(f->mm, 13).mappable);
}

static void mappings_by_two_open_files_stay_two(void)
{
	FOR_BOTH(f)
	{
		struct msn_shmem *s = make_memfd(&f, 4);
		struct msn_mmap_opts o = { .private = true };

		msn_shmem_set_mapped(s, &o);
		expect_two_open_files(&f, o);
		EXPECT(!msn_hostfile_of(view_at(f.mm, 10).mappable));
		drop(s);
	}
}

static void a_file_is_one_however_it_was_opened(void)
{
	FOR_BOTH(f)
	{
		char path[64];
		struct msn_hostfile *hf = open_file(path);
		struct msn_mmap_opts o = {
			.private = true,
			.mappable = msn_hostfile_mappable(hf),
			.mapping_identity = msn_hostfile_identity(hf),
		};

		map_file(f.mm, hf, 40, false); /* needs to write */
		expect_two_open_files(&f, o);
		EXPECT(view_at(f.mm, 10).mappable ==
		       view_at(f.mm, 40).mappable);
		fill(f.mm, 40, 3);
		EXPECT(holds(f.mm, 10, 3));
		EXPECT(msn_hostfile_of(view_at(f.mm, 40).mappable) != hf);
		EXPECT(msn_hostfile_of(view_at(f.mm, 40).mappable) &&
		       !msn_shmem_of(view_at(f.mm, 40).mappable));
		msn_identity_dec_ref(msn_hostfile_identity(hf));
		remove(path);
	}
}

/* A lease that nobody gives up: opening for writing fails. */
static int forbid_writing(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && signal(SIGIO, SIG_IGN) != SIG_ERR);
	CHECK(fcntl(fd, F_SETLEASE, F_RDLCK) == 0);
	return fd;
}

static void who_only_reads_a_file_needs_no_right_to_write(void)
{
	FOR_BOTH(f)
	{
		struct msn_clone_opts opts = { .files = MSN_FILE_POLICY_SKIP };
		char path[64];
		struct msn_hostfile *hf = open_file(path);
		struct msn_opened *o;
		int lease;

		map_file(f.mm, hf, 10, true);
		map_file(f.mm, hf, 40, false);
		fill(f.mm, 11, 3);
		o = open_it(&f, save(&f, f.mm, NULL, NULL), true);
		f.mm = msn_mm_free(f.mm);
		msn_identity_dec_ref(msn_hostfile_identity(hf));
		lease = forbid_writing(path);
		f.mm = new_space(&f, f.local);
		EXPECT(msn_clone(o, f.mm, &opts, &f.why) == 0);
		EXPECT(first_byte(f.mm, 10) == 'A' && holds(f.mm, 11, 3));
		EXPECT(first_byte(f.mm, 40) == -1);
		f.mm = msn_mm_free(f.mm);
		f.mm = new_space(&f, f.local);
		opts.files = MSN_FILE_POLICY_FAIL;
		EXPECT(msn_clone(o, f.mm, &opts, &f.why) == -EWOULDBLOCK);
		EXPECT(strstr(f.why.text, path) != NULL);
		close(lease);
		msn_opened_free(o);
		remove(path);
	}
}

/* ---- System V segments --------------------------------------------------- */

static int64_t now(struct msn_sysv_host *host)
{
	(void)host;
	return 1;
}

static int32_t pid(struct msn_sysv_host *host)
{
	(void)host;
	return 1;
}

static const struct msn_sysv_host_ops host_ops = { now, pid };

static void a_private_mapping_of_a_segment_comes_back(void)
{
	const struct msn_sysv_cred root = { .cap_ipc_owner = true };

	FOR_BOTH(f)
	{
		struct msn_sysv_host host = { &host_ops };
		struct msn_sysv_attach at;
		struct msn_uid uid;
		struct msn_sysv *ns;
		int id;

		CHECK(msn_sysv_new(&ns, &(struct msn_sysv_opts){
						.memfile = f.mf,
						.host = &host }) == 0);
		id = msn_sysv_shmget(ns, &root, 0x1ab, 5000, IPC_CREAT | 0600);
		CHECK(id >= 0);
		for (uint64_t page = 10; page <= 20; page += 10) {
			CHECK(msn_sysv_shmat(ns, &root, id, 0, 0, &at) == 0);
			at.opts.private = page == 20;
			map_opts(f.mm, page, 2, at.opts);
			CHECK(msn_sysv_attached(&at, 0) == 0);
		}
		fill(f.mm, 10, 1);
		fill(f.mm, 11, 2);
		fill(f.mm, 21, 3);
		uid = save(&f, f.mm, NULL, NULL);
		f.mm = msn_mm_free(f.mm);
		CHECK(msn_sysv_remove(ns, &root, id) == 0);
		msn_sysv_free(ns);
		f.mm = restore(&f, uid, f.local);
		EXPECT(holds(f.mm, 10, 1) && holds(f.mm, 11, 2));
		EXPECT(holds(f.mm, 20, 1) && holds(f.mm, 21, 3));
		EXPECT(!strcmp(view_at(f.mm, 20).name,
			       "/SYSV000001ab (deleted)"));
		EXPECT(object_at(f.mm, 10) == object_at(f.mm, 20));
		EXPECT(view_at(f.mm, 10).identity !=
		       view_at(f.mm, 20).identity);
	}
}

/* ---- The space ----------------------------------------------------------- */

static void the_most_that_was_mapped_comes_back(void)
{
	FOR_BOTH(f)
	{
		struct msn_mm_usage u;

		map(f.mm, 10, 100);
		map(f.mm, 200, 10);
		CHECK(msn_mm_munmap(f.mm, AT(10), LEN(90)) == 0);
		go_through(&f, save(&f, f.mm, NULL, NULL), true);
		msn_mm_usage(f.mm, &u);
		EXPECT(u.total == LEN(20) && u.peak == LEN(110));
		map(f.mm, 1000, 200);
		msn_mm_usage(f.mm, &u);
		EXPECT(u.peak == LEN(220));
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(copies_lie_over_the_object),
		CHECK_TEST(what_is_not_copied_still_follows_the_object),
		CHECK_TEST(clones_have_objects_of_their_own),
		CHECK_TEST(an_object_is_saved_whole_whatever_is_mapped_of_it),
		CHECK_TEST(name_size_mode_and_seals_come_back),
		CHECK_TEST(what_is_allocated_comes_back),
		CHECK_TEST(a_seal_that_came_later_spares_the_mapping),
		CHECK_TEST(parts_keep_the_names_that_they_were_given),
		CHECK_TEST(mappings_by_two_open_files_stay_two),
		CHECK_TEST(a_file_is_one_however_it_was_opened),
		CHECK_TEST(who_only_reads_a_file_needs_no_right_to_write),
		CHECK_TEST(a_private_mapping_of_a_segment_comes_back),
		CHECK_TEST(the_most_that_was_mapped_comes_back),
		{}
	};

	return check_main(argc, argv, "save_objects", tests);
}
