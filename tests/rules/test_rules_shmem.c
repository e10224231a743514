/*
 * The rules of memfds and shared anonymous memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "shmem/seals.h"
#include "shmem/shmem.h"
#include "support/check.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#define PAGE MSN_PAGE_SIZE
#define PAGES(a, b) ((struct msn_obj_range){ (a)*PAGE, (b)*PAGE })
#define ADDRS(a, b) ((struct msn_addr_range){ (a)*PAGE, (b)*PAGE })
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* An object of eight pages, and a space that remembers what it is told. */
struct ground {
	struct msn_account_table *accounts;
	struct msn_memfile *mf;
	struct msn_shmem *s;
	struct msn_mappable *obj;

	struct msn_mapping_space space;
	unsigned told;
	bool copies_too;
	struct msn_addr_range where;
	uint64_t size_then, used_then;
};

static struct msn_shmem_stat stat_of(struct ground *g)
{
	struct msn_shmem_stat st;

	CHECK(msn_shmem_stat(g->s, &st) == 0);
	return st;
}

static void hear(struct msn_mapping_space *ms, struct msn_addr_range ar,
		 struct msn_invalidate_opts opts)
{
	struct ground *g = msn_container_of(ms, struct ground, space);

	g->told++;
	g->copies_too = opts.invalidate_private;
	g->where = ar;
	g->size_then = stat_of(g).size_bytes;
	g->used_then = msn_memfile_used(g->mf);
}

static const struct msn_mapping_space_ops hear_ops = { .invalidate = hear };

static struct ground *ground_new(void)
{
	struct ground *g = calloc(1, sizeof(*g));

	CHECK(g);
	g->space.ops = &hear_ops;
	CHECK(msn_account_table_new(&g->accounts) == 0);
	CHECK(msn_memfile_new(&g->mf, &(struct msn_memfile_opts){
					      .accounts = g->accounts }) == 0);
	CHECK(msn_memfd_create(&g->s, &(struct msn_memfd_opts){
					      .memfile = g->mf,
					      .name = "x",
					      .flags = MFD_ALLOW_SEALING,
					      .account = 7 }) == 0);
	CHECK(msn_shmem_truncate(g->s, 8 * PAGE) == 0);
	g->obj = msn_shmem_mappable(g->s);
	return g;
}

static void ground_free(struct ground *g)
{
	EXPECT(msn_shmem_check(g->s) == NULL);
	msn_identity_dec_ref(msn_shmem_identity(g->s));
	EXPECT(msn_memfile_used(g->mf) == 0);
	msn_memfile_free(g->mf);
	msn_account_table_free(g->accounts);
	free(g);
}

#define ON_GROUND(g)                                                           \
	for (struct ground *g = ground_new(); g; ground_free(g), g = NULL)

static void map(struct ground *g, bool writable)
{
	CHECK(msn_mappable_add_mapping(g->obj, &g->space, ADDRS(0, 8), 0,
				       writable) == 0);
}

static void unmap(struct ground *g, bool writable)
{
	msn_mappable_remove_mapping(g->obj, &g->space, ADDRS(0, 8), 0,
				    writable);
}

static int touch(struct ground *g, uint64_t page, unsigned access)
{
	struct msn_translation t;
	int why;

	return msn_mappable_translate(g->obj, PAGES(page, page + 1),
				      PAGES(page, page + 1), access, &t, 1,
				      &why);
}

static void put(struct ground *g, uint64_t at, char c)
{
	CHECK(msn_shmem_pwrite(g->s, &c, 1, (int64_t)at) == 1);
}

static int get(struct ground *g, uint64_t at)
{
	char c = 0;

	return msn_shmem_pread(g->s, &c, 1, (int64_t)at) == 1 ? c : -1;
}

static uint64_t allocated(struct ground *g)
{
	return stat_of(g).allocated_bytes / PAGE;
}

static void holes_are_free(void)
{
	ON_GROUND(g)
	{
		CHECK(msn_shmem_truncate(g->s, INT64_C(1) << 50) == 0);
		EXPECT(allocated(g) == 0 && msn_memfile_used(g->mf) == 0);
		put(g, UINT64_C(1) << 49, 'x');
		EXPECT(allocated(g) == 1 && msn_memfile_used(g->mf) == PAGE);
	}
}

static void touched_comes_into_being(void)
{
	ON_GROUND(g)
	{
		EXPECT(get(g, 3 * PAGE) == 0 && allocated(g) == 0);
		CHECK(touch(g, 3, MSN_ACCESS_READ) == 1);
		EXPECT(allocated(g) == 1);
	}
}

static void past_the_end(void)
{
	ON_GROUND(g)
	{
		CHECK(msn_shmem_truncate(g->s, 5 * PAGE + 1) == 0);
		EXPECT(touch(g, 5, MSN_ACCESS_READ) == 1);
		EXPECT(touch(g, 6, MSN_ACCESS_READ) == 0);
	}
}

static void pages_are_paid(void)
{
	ON_GROUND(g)
	{
		put(g, 0, 'x');
		put(g, PAGE, 'x');
		EXPECT(msn_account_get(g->accounts, 7)
			       .bytes[MSN_ACCOUNT_ANONYMOUS] == 2 * PAGE);
		CHECK(msn_shmem_truncate(g->s, PAGE) == 0);
		EXPECT(msn_account_get(g->accounts, 7)
			       .bytes[MSN_ACCOUNT_ANONYMOUS] == PAGE);
		CHECK(msn_account_set_limit(g->accounts, 7, PAGE) == 0);
		CHECK(msn_shmem_truncate(g->s, 8 * PAGE) == 0);
		EXPECT(touch(g, 2, MSN_ACCESS_WRITE) == -ENOMEM);
		EXPECT(msn_shmem_pwrite(g->s, "x", 1, 2 * PAGE) == -ENOMEM);
	}
}

static void shrinking_in_order(void)
{
	ON_GROUND(g)
	{
		for (uint64_t page = 0; page < 8; page++)
			put(g, page * PAGE, 'x');
		map(g, true);
		CHECK(msn_shmem_truncate(g->s, 3 * PAGE + 1) == 0);
		EXPECT(g->told == 1 && g->copies_too);
		EXPECT(g->where.start == 4 * PAGE && g->where.end == 8 * PAGE);
		EXPECT(g->size_then == 3 * PAGE + 1);
		EXPECT(g->used_then == 8 * PAGE);
		EXPECT(msn_memfile_used(g->mf) == 4 * PAGE);
		unmap(g, true);
	}
}

static void cut_off_is_zero(void)
{
	ON_GROUND(g)
	{
		put(g, 3 * PAGE + 7, 'x');
		put(g, 5 * PAGE, 'y');
		CHECK(msn_shmem_truncate(g->s, 3 * PAGE + 5) == 0);
		CHECK(msn_shmem_truncate(g->s, 8 * PAGE) == 0);
		EXPECT(get(g, 3 * PAGE + 7) == 0 && get(g, 5 * PAGE) == 0);
	}
}

static void holes_leave_copies(void)
{
	ON_GROUND(g)
	{
		for (uint64_t page = 0; page < 8; page++)
			put(g, page * PAGE + 100, 'x');
		map(g, true);
		CHECK(msn_shmem_fallocate(g->s, PUNCH, 2 * PAGE + 50,
					  3 * PAGE) == 0);
		EXPECT(g->told == 1 && !g->copies_too);
		EXPECT(g->where.start == 3 * PAGE && g->where.end == 5 * PAGE);
		EXPECT(get(g, 2 * PAGE + 100) == 0 && get(g, 4 * PAGE) == 0);
		EXPECT(get(g, 5 * PAGE + 100) == 'x');
		EXPECT(stat_of(g).size_bytes == 8 * PAGE);
		unmap(g, true);
	}
}

static void allocating(void)
{
	ON_GROUND(g)
	{
		struct msn_obj_range data;

		CHECK(msn_shmem_fallocate(g->s, 0, 7 * PAGE, 2 * PAGE) == 0);
		EXPECT(stat_of(g).size_bytes == 9 * PAGE && allocated(g) == 2);
		CHECK(msn_shmem_fallocate(g->s, FALLOC_FL_KEEP_SIZE, 9 * PAGE,
					  PAGE) == 0);
		EXPECT(stat_of(g).size_bytes == 9 * PAGE && allocated(g) == 3);
		EXPECT(msn_mappable_next_data(g->obj, PAGES(0, 9), &data) ==
		       MSN_MAPPABLE_E_NO_DATA);
		EXPECT(msn_shmem_fallocate(g->s, FALLOC_FL_ZERO_RANGE, 0,
					   PAGE) == -EOPNOTSUPP);
		EXPECT(msn_shmem_fallocate(g->s, 0, 0, 0) == -EINVAL);
	}
}

static void busy_while_mapped(void)
{
	ON_GROUND(g)
	{
		map(g, true);
		EXPECT(msn_shmem_add_seals(g->s, F_SEAL_WRITE) == -EBUSY);
		unmap(g, true);
		map(g, false);
		EXPECT(msn_shmem_add_seals(g->s, F_SEAL_WRITE) == 0);
		unmap(g, false);
	}
}

static void sealed_against_writing(void)
{
	ON_GROUND(g)
	{
		unsigned may = MSN_ACCESS_ANY;

		put(g, 0, 'x');
		CHECK(msn_shmem_add_seals(g->s, F_SEAL_WRITE) == 0);
		EXPECT(msn_shmem_pwrite(g->s, "y", 1, 0) == -EPERM);
		EXPECT(msn_shmem_fallocate(g->s, PUNCH, 0, PAGE) == -EPERM);
		EXPECT(msn_mappable_check_mmap(g->obj, true, RW, &may) ==
		       -EPERM);
		EXPECT(msn_mappable_check_mmap(g->obj, false, RW, &may) == 0);
		EXPECT(may == MSN_ACCESS_ANY);
		CHECK(msn_mappable_check_mmap(g->obj, true, MSN_ACCESS_READ,
					      &may) == 0);
		EXPECT(!(may & MSN_ACCESS_WRITE));
		EXPECT(msn_mappable_add_mapping(g->obj, &g->space, ADDRS(0, 8),
						0, true) == -EPERM);
		EXPECT(get(g, 0) == 'x');
	}
}

static void sealed_for_the_future(void)
{
	ON_GROUND(g)
	{
		unsigned may = MSN_ACCESS_ANY;

		map(g, true);
		CHECK(msn_shmem_add_seals(g->s, F_SEAL_FUTURE_WRITE) == 0);
		EXPECT(touch(g, 0, MSN_ACCESS_WRITE) == 1);
		EXPECT(msn_shmem_pwrite(g->s, "y", 1, 0) == -EPERM);
		EXPECT(msn_mappable_check_mmap(g->obj, true, RW, &may) ==
		       -EPERM);
		unmap(g, true);
	}
}

static void sealed_sizes(void)
{
	ON_GROUND(g)
	{
		CHECK(msn_shmem_add_seals(g->s, F_SEAL_GROW) == 0);
		EXPECT(msn_shmem_truncate(g->s, 9 * PAGE) == -EPERM);
		EXPECT(msn_shmem_pwrite(g->s, "x", 1, 8 * PAGE) == -EPERM);
		EXPECT(msn_shmem_fallocate(g->s, 0, 8 * PAGE, PAGE) == -EPERM);
		CHECK(msn_shmem_truncate(g->s, 7 * PAGE) == 0);
		CHECK(msn_shmem_add_seals(g->s, F_SEAL_SHRINK) == 0);
		EXPECT(msn_shmem_truncate(g->s, PAGE) == -EPERM);
		CHECK(msn_shmem_add_seals(g->s, F_SEAL_SEAL) == 0);
		EXPECT(msn_shmem_add_seals(g->s, F_SEAL_WRITE) == -EPERM);
		EXPECT(msn_shmem_get_seals(g->s) ==
		       (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL));
	}
}

static void never_sealed(void)
{
	ON_GROUND(g)
	{
		struct msn_shmem *zero;

		CHECK(msn_shmem_new(&zero, &(struct msn_shmem_opts){
						   .memfile = g->mf,
						   .size = PAGE }) == 0);
		EXPECT(strcmp(msn_identity_mapped_name(
				      msn_shmem_identity(zero)),
			      "/dev/zero (deleted)") == 0);
		EXPECT(msn_shmem_add_seals(zero, F_SEAL_WRITE) == -EPERM);
		msn_identity_dec_ref(msn_shmem_identity(zero));
	}
}

static void nothing_to_sync(void)
{
	ON_GROUND(g)
	{
		struct msn_identity *id = msn_shmem_identity(g->s);
		struct msn_identity_saved saved;

		put(g, 0, 'x');
		EXPECT(msn_identity_msync(id, PAGES(0, 8)) == 0);
		EXPECT(msn_mappable_invalidate_unsavable(g->obj) == 0);
		CHECK(msn_identity_save(id, &saved) == 0);
		EXPECT(saved.as == MSN_SAVED_AS_CONTENT);
	}
}

static const struct check_test rules[] = {
	{ "a hole costs nothing, however large", holes_are_free },
	{ "a page comes into being when it is written, or touched where it "
	  "is mapped; reading makes none",
	  touched_comes_into_being },
	{ "the page of the end exists, the next is a bus error", past_the_end },
	{ "its account pays for its pages, and is a limit to them",
	  pages_are_paid },
	{ "shrinking: the size, then who maps it, copies too, then the pages",
	  shrinking_in_order },
	{ "what was cut off is zero when it grows again", cut_off_is_zero },
	{ "a hole is of whole pages, zeros the rest, and leaves private "
	  "copies and the size",
	  holes_leave_copies },
	{ "allocating makes pages without data, and grows the object unless "
	  "told not to; other modes are EOPNOTSUPP",
	  allocating },
	{ "a write seal is EBUSY while a mapping may write",
	  busy_while_mapped },
	{ "then writes, holes and writable mappings are EPERM; private ones "
	  "are not",
	  sealed_against_writing },
	{ "a seal of the future leaves the mappings that are there",
	  sealed_for_the_future },
	{ "growing, shrinking and more seals are EPERM where sealed",
	  sealed_sizes },
	{ "shared anonymous memory shows /dev/zero and is never sealed",
	  never_sealed },
	{ "there is nothing behind it: msync is nothing, a save takes its "
	  "bytes",
	  nothing_to_sync },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "shmem", rules);
}
