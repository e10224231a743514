/*
 * Many threads on one object: no page is freed under a space that follows a
 * translation, and the books add up at the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "shmem/shmem.h"

#include "base/cleanup.h"
#include "base/lock.h"
#include "base/rand.h"
#include "support/check.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE
#define PAGES 16
#define TURNS (CHECK_SANITIZED ? 6000 : 50000)

/* As little of mm as follows the rules: one placement a page. */
struct space {
	struct msn_mapping_space base;
	struct msn_rwlock active;
	struct msn_shmem *s;
	struct msn_file *file;
	uint64_t placed[PAGES]; /* offset + 1, or 0; under active */
	uint64_t rand;
};

static void drop(struct space *sp, uint64_t page)
{
	uint64_t at = sp->placed[page] - 1;

	if (!sp->placed[page])
		return;
	sp->placed[page] = 0;
	msn_file_dec_ref(sp->file, (struct msn_file_range){ at, at + PAGE });
}

static void invalidate(struct msn_mapping_space *ms, struct msn_addr_range ar,
		       struct msn_invalidate_opts opts)
{
	struct space *sp = msn_container_of(ms, struct space, base);

	(void)opts;
	msn_write_scope(&sp->active);
	for (uint64_t at = ar.start; at < ar.end; at += PAGE)
		drop(sp, at / PAGE - 1);
}

static const struct msn_mapping_space_ops space_ops = {
	.invalidate = invalidate,
};

static void fault(struct space *sp, uint64_t page)
{
	struct msn_obj_range r = { page * PAGE, (page + 1) * PAGE };
	struct msn_translation t;
	int why;

	msn_write_scope(&sp->active);
	if (sp->placed[page] ||
	    msn_mappable_translate(msn_shmem_mappable(sp->s), r, r,
				   MSN_ACCESS_WRITE, &t, 1, &why) != 1)
		return;
	sched_yield();
	/* Stops the program if the page is free by now. */
	msn_file_inc_ref(t.file, msn_translation_file_range(&t), 0);
	sp->placed[page] = t.offset + 1;
}

static void *touch_pages(void *arg)
{
	struct space *sp = arg;
	struct msn_mappable *obj = msn_shmem_mappable(sp->s);
	struct msn_addr_range ar = { PAGE, (PAGES + 1) * PAGE };

	for (int round = 0; round < 10; round++) {
		CHECK(msn_mappable_add_mapping(obj, &sp->base, ar, 0, true) ==
		      0);
		for (int i = 0; i < TURNS / 10; i++)
			fault(sp, msn_rand_next(&sp->rand) % PAGES);
		msn_rwlock_write(&sp->active);
		for (uint64_t page = 0; page < PAGES; page++)
			drop(sp, page);
		msn_rwlock_unlock(&sp->active);
		msn_mappable_remove_mapping(obj, &sp->base, ar, 0, true);
	}
	return NULL;
}

static void *change_sizes(void *arg)
{
	struct space *sp = arg;

	for (int i = 0; i < TURNS; i++) {
		int64_t at =
			(int64_t)(msn_rand_next(&sp->rand) % (PAGES * PAGE));
		char c = 'c';

		switch (msn_rand_next(&sp->rand) % 4) {
		case 0:
			CHECK(msn_shmem_truncate(sp->s, at) == 0);
			break;
		case 1:
			CHECK(msn_shmem_pwrite(sp->s, &c, 1, at) == 1);
			break;
		case 2:
			CHECK(msn_shmem_pread(sp->s, &c, 1, at) >= 0);
			break;
		default:
			CHECK(msn_shmem_fallocate(sp->s,
						  FALLOC_FL_PUNCH_HOLE |
							  FALLOC_FL_KEEP_SIZE,
						  at, 3 * PAGE) == 0);
		}
	}
	return NULL;
}

static void pages_are_freed_after_everybody_let_go(void)
{
	uint64_t seed = check_seed();
	struct msn_memfile *mf;
	struct space sp[4];
	pthread_t threads[4];
	struct msn_shmem *s;

	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_shmem_new(&s, &(struct msn_shmem_opts){ .memfile = mf,
							  .size = PAGES *
								  PAGE }) == 0);
	for (size_t i = 0; i < 4; i++) {
		sp[i] = (struct space){ .base = { &space_ops },
					.s = s,
					.file = msn_memfile_file(mf),
					.rand = msn_rand_next(&seed) };
		msn_rwlock_init(&sp[i].active, MSN_RANK_MM_ACTIVE);
		CHECK(pthread_create(&threads[i], NULL,
				     i < 2 ? touch_pages : change_sizes,
				     &sp[i]) == 0);
	}
	for (size_t i = 0; i < 4; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0);
		msn_rwlock_deinit(&sp[i].active);
	}
	EXPECT(!msn_shmem_check(s));
	msn_identity_dec_ref(msn_shmem_identity(s));
	EXPECT(msn_memfile_used(mf) == 0);
	msn_memfile_free(mf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(pages_are_freed_after_everybody_let_go), {}
	};

	return check_main(argc, argv, "shmem threads", tests);
}
