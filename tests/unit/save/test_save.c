/*
 * Save and restore: what goes in comes out, and nothing is stored twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/save/fixture.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_space_comes_back_as_it_was(void)
{
	FOR_BOTH(f)
	{
		map(f.mm, 10, 600);
		map(f.mm, 1000, 4);
		CHECK(msn_mm_mprotect(f.mm, AT(1001), PAGE, MSN_ACCESS_READ) ==
		      0);
		for (uint64_t i = 0; i < 600; i++)
			fill(f.mm, 10 + i, i % 3 ? i : 0);
		fill(f.mm, 1003, 77);
		for (int eager = 0; eager < 2; eager++) {
			msn_auto(msn_freep) char *before = NULL;
			msn_auto(msn_freep) char *after = NULL;

			CHECK(msn_mm_maps(f.mm, &before) == 0);
			go_through(&f, save(&f, f.mm, NULL, NULL), eager);
			CHECK(msn_mm_maps(f.mm, &after) == 0);
			EXPECT(strcmp(before, after) == 0);
			for (uint64_t i = 0; i < 600; i++)
				EXPECT(holds(f.mm, 10 + i, i % 3 ? i : 0));
			EXPECT(holds(f.mm, 1003, 77) && holds(f.mm, 1002, 0));
			EXPECT(msn_mm_copy_out(f.mm, AT(1001), "x", 1, plain,
					       &(size_t){ 0 }) == -EFAULT);
		}
	}
}

static void zero_pages_and_repeats_are_not_stored(void)
{
	FOR_BOTH(f)
	{
		struct msn_manifest_stats stats;

		map(f.mm, 0, 100);
		for (uint64_t i = 0; i < 60; i++)
			fill(f.mm, i, i < 20 ? 0 : 1 + i % 10);
		save(&f, f.mm, NULL, &stats);
		EXPECT(stats.mapped == 100);
		EXPECT(stats.stored == 10);
		EXPECT(stats.deduped == 30);
		EXPECT(stats.zero == 20);
		EXPECT(stats.private_pages == 40);
	}
}

static void repeats_far_apart_are_found_too(void)
{
	FOR_BOTH(f)
	{
		struct msn_manifest_stats stats;

		map(f.mm, 0, 1200);
		for (uint64_t i = 0; i < 1200; i++)
			fill(f.mm, i, 1 + i % 600);
		go_through(&f, save(&f, f.mm, NULL, &stats), true);
		EXPECT(stats.stored == 600 && stats.deduped == 600);
		for (uint64_t i = 0; i < 1200; i += 7)
			EXPECT(holds(f.mm, i, 1 + i % 600));
	}
}

static void a_child_stores_only_what_changed(void)
{
	FOR_BOTH(f)
	{
		struct msn_save_opts opts = { 0 };
		struct msn_manifest_stats stats;
		struct msn_uid first;

		map(f.mm, 0, 300);
		for (uint64_t i = 0; i < 300; i++)
			fill(f.mm, i, 1000 + i);
		first = save(&f, f.mm, NULL, &stats);
		EXPECT(stats.stored == 300);
		/* By comparing: the space did not come from a snapshot. */
		fill(f.mm, 5, 42);
		fill(f.mm, 6, 0);
		fill(f.mm, 7, 1007);
		opts.parent = &first;
		go_through(&f, save(&f, f.mm, &opts, &stats), true);
		EXPECT(stats.stored == 1 && stats.inherited == 298);
		EXPECT(holds(f.mm, 5, 42) && holds(f.mm, 6, 0));
		/* By lineage: the parent is where it came from. */
		fill(f.mm, 9, 43);
		go_through(&f, save(&f, f.mm, NULL, &stats), true);
		EXPECT(stats.stored == 1 && stats.inherited == 298);
		EXPECT(holds(f.mm, 9, 43) && holds(f.mm, 5, 42) &&
		       holds(f.mm, 8, 1008) && holds(f.mm, 6, 0));
	}
}

static void removing_the_parent_leaves_the_child_whole(void)
{
	FOR_BOTH(f)
	{
		struct msn_uid first, second;

		map(f.mm, 0, 100);
		for (uint64_t i = 0; i < 100; i++)
			fill(f.mm, i, 1 + i);
		first = save(&f, f.mm, NULL, NULL);
		go_through(&f, first, true);
		fill(f.mm, 3, 999);
		second = save(&f, f.mm, NULL, NULL);
		CHECK(msn_store_remove(f.store, first, NULL, &f.why) == 0);
		/* Something new may now take the room that is free. */
		for (uint64_t i = 0; i < 100; i++)
			fill(f.mm, i, 5000 + i);
		save(&f, f.mm, &(struct msn_save_opts){ .no_parent = true },
		     NULL);
		go_through(&f, second, true);
		for (uint64_t i = 0; i < 100; i++)
			EXPECT(holds(f.mm, i, i == 3 ? 999 : 1 + i));
	}
}

static void clones_do_not_see_each_other(void)
{
	struct fixture f;
	struct msn_mm *clones[5];
	struct msn_opened *o;

	setup(&f, false);
	map(f.mm, 0, 64);
	for (uint64_t i = 0; i < 64; i++)
		fill(f.mm, i, 1 + i);
	o = open_it(&f, save(&f, f.mm, NULL, NULL), true);
	for (uint64_t k = 0; k < 5; k++)
		clones[k] = clone_it(&f, o, false);
	for (uint64_t k = 0; k < 5; k++)
		fill(clones[k], 10, 100 + k);
	for (uint64_t k = 0; k < 5; k++) {
		EXPECT(holds(clones[k], 10, 100 + k));
		EXPECT(holds(clones[k], 11, 12));
		msn_mm_free(clones[k]);
	}
	msn_opened_free(o);
	teardown(&f);
}

static void blobs_come_back_byte_for_byte(void)
{
	FOR_BOTH(f)
	{
		msn_auto(msn_freep) uint8_t *big = msn_alloc(300001);
		struct msn_save_blob blobs[] = { { "registers", "hello", 5 },
						 { "empty", "", 0 },
						 { "device", big, 300001 } };
		struct msn_save_opts opts = { .blobs = blobs, .blob_count = 3 };
		struct msn_manifest_stats stats;
		uint64_t state = 7;
		const uint8_t *data;
		struct msn_opened *o;
		size_t len;

		CHECK(big);
		for (size_t i = 0; i < 300001; i++)
			big[i] = (uint8_t)msn_rand_next(&state);
		map(f.mm, 0, 1);
		o = open_it(&f, save(&f, f.mm, &opts, &stats), true);
		EXPECT(stats.private_pages == 0 && stats.stored == 0);
		CHECK(msn_opened_blob(o, "registers", &data, &len) == 0);
		EXPECT(len == 5 && memcmp(data, "hello", 5) == 0);
		CHECK(msn_opened_blob(o, "empty", &data, &len) == 0);
		EXPECT(len == 0);
		CHECK(msn_opened_blob(o, "device", &data, &len) == 0);
		EXPECT(len == 300001 && memcmp(data, big, len) == 0);
		EXPECT(msn_opened_blob(o, "none", &data, &len) == -ENOENT);
		msn_opened_free(o);
	}
}

/* ---- Host files and shared objects --------------------------------------- */

static void a_private_file_mapping_keeps_its_own_pages(void)
{
	FOR_BOTH(f)
	{
		char path[64];
		struct msn_hostfile *hf = open_file(path);

		map_file(f.mm, hf, 10, true);
		fill(f.mm, 11, 5);
		fill(f.mm, 12, 0); /* hides the file's 'C' */
		go_through(&f, save(&f, f.mm, NULL, NULL), true);
		EXPECT(first_byte(f.mm, 10) == 'A');
		EXPECT(holds(f.mm, 11, 5));
		EXPECT(holds(f.mm, 12, 0));
		EXPECT(first_byte(f.mm, 13) == 'D');
		/* And once more, through a child that changed nothing. */
		go_through(&f, save(&f, f.mm, NULL, NULL), true);
		EXPECT(holds(f.mm, 11, 5) && holds(f.mm, 12, 0));
		EXPECT(first_byte(f.mm, 13) == 'D');
		unlink(path);
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

static void a_changed_file_is_refused_by_name(void)
{
	FOR_BOTH(f)
	{
		char path[64];
		struct msn_hostfile *hf = open_file(path);
		struct msn_clone_opts opts = { 0 };
		struct msn_opened *o;
		struct msn_mm *mm;

		map_file(f.mm, hf, 10, false);
		o = open_it(&f, save(&f, f.mm, NULL, NULL), true);
		CHECK(truncate(path, 100) == 0);
		f.mm = msn_mm_free(f.mm);
		mm = new_space(&f, f.local);
		EXPECT(msn_clone(o, mm, &opts, &f.why) == -ESTALE);
		EXPECT(f.why.kind == MSN_FAILURE_PRECONDITION);
		EXPECT(strstr(f.why.text, path) != NULL);
		f.why = (struct msn_failure){ 0 };
		opts.files = MSN_FILE_POLICY_SKIP;
		EXPECT(msn_clone(o, mm, &opts, &f.why) == 0);
		EXPECT(msn_mm_mapped_bytes(mm) == 0);
		msn_mm_free(mm);
		msn_opened_free(o);
		unlink(path);
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

/* Sets the time of a file's last change. */
static void set_mtime(const char *path, struct timespec mtime)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, mtime };

	CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
}

static void size_and_time_of_change_are_both_compared(void)
{
	FOR_BOTH(f)
	{
		static const char *const what[] = { "size", "modified" };
		char path[64];
		struct msn_hostfile *hf = open_file(path);
		struct msn_clone_opts opts = { 0 };
		struct msn_opened *o;
		struct stat st;

		CHECK(stat(path, &st) == 0);
		map_file(f.mm, hf, 10, false);
		o = open_it(&f, save(&f, f.mm, NULL, NULL), true);
		f.mm = msn_mm_free(f.mm);
		for (int i = 0; i < 2; i++) {
			CHECK(truncate(path, i ? st.st_size : 100) == 0);
			st.st_mtim.tv_sec += i;
			set_mtime(path, st.st_mtim);
			f.mm = new_space(&f, f.local);
			EXPECT(msn_clone(o, f.mm, &opts, &f.why) == -ESTALE);
			EXPECT(strstr(f.why.text, what[i]) != NULL);
			f.why = (struct msn_failure){ 0 };
			f.mm = msn_mm_free(f.mm);
		}
		msn_opened_free(o);
		unlink(path);
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

static void a_file_without_a_path_cannot_be_saved(void)
{
	FOR_BOTH(f)
	{
		char path[64];
		struct msn_hostfile *hf = open_file(path);
		struct msn_save_opts opts = { 0 };
		struct msn_snapshot_info *list;
		struct msn_uid uid;
		size_t count;

		map_file(f.mm, hf, 10, true);
		unlink(path);
		EXPECT(msn_save(f.mm, f.store, &opts, &uid, NULL, &f.why) ==
		       -EOPNOTSUPP);
		EXPECT(f.why.kind == MSN_FAILURE_PRECONDITION);
		EXPECT(strstr(f.why.text, path) != NULL);
		CHECK(msn_store_list(f.store, &list, &count, &f.why) == 0);
		EXPECT(count == 0);
		free(list);
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

static void shared_memory_is_saved_once_and_stays_shared(void)
{
	FOR_BOTH(f)
	{
		struct msn_shmem *s = make_memfd(&f, 8);
		struct msn_manifest_stats stats;
		struct msn_shmem_stat st;
		struct msn_uid uid;

		map_object(f.mm, s, 10, 8, false);
		map_object(f.mm, s, 20, 8, false);
		fill(f.mm, 13, 9);
		uid = save(&f, f.mm, NULL, &stats);
		EXPECT(stats.stored == 1);
		CHECK(msn_shmem_stat(s, &st) == 0);
		EXPECT(st.allocated_bytes == PAGE); /* no hole was filled */
		msn_identity_dec_ref(msn_shmem_identity(s));
		go_through(&f, uid, true);
		EXPECT(holds(f.mm, 13, 9) && holds(f.mm, 23, 9));
		fill(f.mm, 24, 10);
		EXPECT(holds(f.mm, 14, 10));
		save(&f, f.mm, NULL, &stats);
		EXPECT(stats.stored == 1 && stats.inherited == 1);
	}
}

/* ---- Names, cancelling, failures ----------------------------------------- */

static void a_bad_name_is_refused_before_anything_is_read(void)
{
	FOR_BOTH(f)
	{
		struct msn_save_opts opts = { .name = "Upper" };
		struct msn_uid uid;

		EXPECT(msn_save(f.mm, f.store, &opts, &uid, NULL, &f.why) ==
		       -EINVAL);
		EXPECT(f.why.kind == MSN_FAILURE_INVALID);
		EXPECT(strstr(f.why.text, "'Upper'") != NULL);
	}
}

static int stop(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	(void)total;
	return done > 0;
}

static void a_cancelled_save_leaves_nothing(void)
{
	FOR_BOTH(f)
	{
		struct msn_save_opts opts = { .progress = stop };
		struct msn_snapshot_info *list;
		struct msn_uid uid;
		size_t count;

		map(f.mm, 0, 10);
		fill(f.mm, 3, 3);
		EXPECT(msn_save(f.mm, f.store, &opts, &uid, NULL, &f.why) ==
		       -ECANCELED);
		EXPECT(f.why.kind == MSN_FAILURE_CANCELLED);
		CHECK(msn_store_list(f.store, &list, &count, &f.why) == 0);
		EXPECT(count == 0);
		free(list);
	}
}

/* Whoever publishes: what it saw, and what it says or why not. */
struct publisher {
	struct msn_snapshot_info seen;
	bool released; /* before it was asked */
	bool was_released;
	int rc;
	struct msn_record_change event;
	uint64_t number;
};

static void note_released(void *ctx)
{
	((struct publisher *)ctx)->released = true;
}

static int publishing(void *ctx, const struct msn_snapshot_info *info,
		      struct msn_companions *out, struct msn_failure *why)
{
	struct publisher *p = ctx;

	p->seen = *info;
	p->was_released = p->released;
	if (p->rc)
		return msn_failure_set(why, p->rc, MSN_FAILURE_CANCELLED,
				       "given up");
	p->event = (struct msn_record_change){ .op = MSN_RECORD_APPEND,
					       .kind = MSN_RECORD_EVENT,
					       .value = "saved",
					       .value_len = 5,
					       .number = &p->number };
	out->note = "labels";
	out->note_len = 6;
	out->beside = (struct msn_beside){ &p->event, 1 };
	return 0;
}

static void a_note_and_records_are_published_with_it(void)
{
	struct publisher p = { .rc = -ECANCELED };
	struct msn_save_opts opts = { .name = "noted",
				      .space_released = note_released,
				      .released_ctx = &p,
				      .publishing = publishing,
				      .publishing_ctx = &p };
	struct msn_snapshot_info info;
	struct msn_manifest_stats stats;
	struct msn_note note;
	struct fixture f;
	struct msn_uid uid;

	setup(&f, false);
	map(f.mm, 0, 20);
	for (uint64_t i = 0; i < 10; i++)
		fill(f.mm, i, 1 + i);
	EXPECT(msn_save(f.mm, f.store, &opts, &uid, NULL, &f.why) ==
	       -ECANCELED);
	EXPECT(f.why.kind == MSN_FAILURE_CANCELLED);
	EXPECT(msn_store_find(f.store, "noted", &uid, NULL) == -ENOENT);

	f.why = (struct msn_failure){ 0 };
	p = (struct publisher){ 0 };
	CHECK(msn_save(f.mm, f.store, &opts, &uid, &stats, &f.why) == 0);
	EXPECT(p.was_released && p.number == 1);
	CHECK(msn_store_info(f.store, uid, &info, &f.why) == 0);
	EXPECT(memcmp(&info, &p.seen, sizeof(info)) == 0);
	EXPECT(info.stats.stored == 10 && stats.stored == 10);
	CHECK(msn_store_note(f.store, uid, &note, &f.why) == 0);
	EXPECT(note.revision == 1 && note.len == 6 &&
	       memcmp(note.bytes, "labels", 6) == 0);
	free(note.bytes);
	teardown(&f);
}

static void *walk_prepare(void)
{
	struct fixture *f = msn_alloc(sizeof(*f));

	CHECK(f);
	setup(f, true);
	map(f->mm, 0, 70);
	for (uint64_t i = 0; i < 70; i++)
		fill(f->mm, i, 1 + i % 60);
	save(f, f->mm, &(struct msn_save_opts){ .name = "before" }, NULL);
	fill(f->mm, 1, 600);
	return f;
}

static int walk_body(void *state)
{
	struct fixture *f = state;
	struct msn_save_blob blob = { "b", "bytes", 5 };
	struct msn_save_opts opts = { .name = "after",
				      .blobs = &blob,
				      .blob_count = 1 };
	struct msn_failure why = { 0 };
	struct msn_uid parent, uid;
	int rc = msn_store_find(f->store, "before", &parent, &why);

	opts.parent = &parent;
	if (rc == 0)
		rc = msn_save(f->mm, f->store, &opts, &uid, NULL, &why);
	EXPECT(rc == 0 || why.kind != MSN_FAILURE_NONE);
	return rc;
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;
	struct msn_snapshot_info *list;
	struct msn_uid uid;
	size_t count;

	EXPECT(rc == 0 || name);
	CHECK(msn_store_list(f->store, &list, &count, &f->why) == 0);
	EXPECT(count == (rc ? 1 : 2));
	free(list);
	CHECK(msn_store_find(f->store, rc ? "before" : "after", &uid,
			     &f->why) == 0);
	go_through(f, uid, true);
	EXPECT(holds(f->mm, 1, rc ? 2 : 600) && holds(f->mm, 69, 10));
	teardown(f);
	free(f);
}

static void every_failure_leaves_the_store_whole(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 20);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_space_comes_back_as_it_was),
		CHECK_TEST(zero_pages_and_repeats_are_not_stored),
		CHECK_TEST(repeats_far_apart_are_found_too),
		CHECK_TEST(a_child_stores_only_what_changed),
		CHECK_TEST(removing_the_parent_leaves_the_child_whole),
		CHECK_TEST(clones_do_not_see_each_other),
		CHECK_TEST(blobs_come_back_byte_for_byte),
		CHECK_TEST(a_private_file_mapping_keeps_its_own_pages),
		CHECK_TEST(a_changed_file_is_refused_by_name),
		CHECK_TEST(size_and_time_of_change_are_both_compared),
		CHECK_TEST(a_file_without_a_path_cannot_be_saved),
		CHECK_TEST(shared_memory_is_saved_once_and_stays_shared),
		CHECK_TEST(a_bad_name_is_refused_before_anything_is_read),
		CHECK_TEST(a_cancelled_save_leaves_nothing),
		CHECK_TEST(a_note_and_records_are_published_with_it),
		CHECK_TEST(every_failure_leaves_the_store_whole),
		{}
	};

	return check_main(argc, argv, "save", tests);
}
