/*
 * What spaces share: objects that change their size, counters, and a store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stress/stress.h"

#include "restore/restore.h"
#include "save/save.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

static void change_shmem(struct worker *k, struct msn_shmem *s)
{
	uint64_t most = OBJECT_PAGES * PAGE;
	int64_t at = (int64_t)pick(k, most);
	uint8_t bytes[300];
	ssize_t n;

	switch (pick(k, 7)) {
	case 0:
		MUST(msn_shmem_truncate(s, at) == 0);
		break;
	case 1:
		MUST(msn_shmem_truncate(s, (int64_t)most) == 0);
		break;
	case 2:
		MUST(msn_shmem_fallocate(
			     s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
			     3 * PAGE) == 0);
		break;
	case 3:
		MUST(msn_shmem_fallocate(s, FALLOC_FL_KEEP_SIZE, at,
					 2 * PAGE) == 0);
		break;
	case 4:
		memset(bytes, SHARED_BYTE, sizeof(bytes));
		MUST(msn_shmem_pwrite(s, bytes, sizeof(bytes), at) ==
		     sizeof(bytes));
		break;
	default:
		n = msn_shmem_pread(s, bytes, sizeof(bytes), at);
		MUST(n >= 0);
		chaos_look(bytes, (size_t)n, 0, true);
	}
}

static void change_file(struct worker *k, struct msn_hostfile *hf)
{
	uint64_t most = OBJECT_PAGES * PAGE, at = pick(k, most);
	struct msn_obj_range r = { msn_page_down(at),
				   msn_page_down(at) + 2 * PAGE };

	switch (pick(k, 4)) {
	case 0:
		MUST(msn_hostfile_truncate(hf, at) == 0);
		break;
	case 1:
		MUST(msn_hostfile_truncate(hf, most) == 0);
		break;
	case 2:
		MUST(msn_mappable_punch_hole(msn_hostfile_mappable(hf), r) ==
		     0);
		break;
	default:
		MUST(msn_hostfile_revalidate(hf) == 0);
	}
}

void object_step(struct worker *k)
{
	const struct object *o = &k->w->objects[pick(k, OBJECTS)];

	if (o->shmem)
		change_shmem(k, o->shmem);
	else
		change_file(k, o->file);
}

static void add_one(struct msn_mm *mm, uint64_t addr)
{
	uint32_t value, seen;

	MUST(msn_mm_load32(mm, addr, &value) == 0);
	for (;;) {
		MUST(msn_mm_cas32(mm, addr, value, value + 1, &seen) == 0);
		if (seen == value)
			return;
		value = seen;
	}
}

void counter_step(struct worker *k, struct slot *s)
{
	bool root = s == &k->w->slots[s->root];
	unsigned times = 1 + (unsigned)pick(k, 20);

	for (unsigned i = 0; i < times; i++) {
		add_one(s->mm, AT(COUNTER_SHARED));
		add_one(s->mm, AT(COUNTER_PRIVATE));
	}
	atomic_fetch_add(&k->w->shared_count, times);
	if (root)
		atomic_fetch_add(&k->w->private_count[s->root], times);
}

/* Takes away what others change: the rest of a fork stands still. */
static void leave_private(struct msn_mm *mm)
{
	msn_mm_munlockall(mm);
	MUST(msn_mm_munmap(mm, AT(COUNTER_SHARED), PAGE) == 0);
	MUST(msn_mm_munmap(mm, AT(PRIVATE_AREA), AREA_PAGES * PAGE) == 0);
	MUST(msn_mm_munmap(mm, AT(SHARED_AREA), AREA_PAGES * PAGE) == 0);
}

static void compare(struct msn_mm *a, struct msn_mm *b)
{
	for (uint64_t page = 0; page < HEAP + HEAP_PAGES; page++) {
		uint8_t x[PAGE] = { 0 }, y[PAGE] = { 0 };
		size_t n = 0, m = 0;
		int rc = msn_mm_copy_in(a, AT(page), x, PAGE, forced, &n);

		MUST(rc == msn_mm_copy_in(b, AT(page), y, PAGE, forced, &m));
		MUST(n == m && memcmp(x, y, n) == 0);
	}
}

static void restore(struct world *w, struct msn_uid uid, struct msn_mm *was)
{
	struct msn_open_opts how = { .eager = true };
	struct msn_address_space *as;
	struct msn_failure why = { 0 };
	struct msn_opened *o;
	struct msn_mm *mm;

	MUST(msn_open_snapshot(&o, w->store.store, uid, &how, &why) == 0);
	MUST(msn_platform_none_new(&as) == 0);
	MUST(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = w->mf,
						    .as = as,
						    .layout = w->layout }) ==
	     0);
	MUST(msn_clone(o, mm, &(struct msn_clone_opts){ 0 }, &why) == 0);
	compare(was, mm);
	msn_mm_free(mm);
	msn_opened_free(o);
}

void save_step(struct worker *k, struct slot *s)
{
	struct msn_save_opts opts = { 0 };
	struct msn_failure why = { 0 };
	struct msn_mm *child;
	struct msn_uid uid;

	if (pthread_mutex_trylock(&k->w->saving))
		return;
	child = slot_fork(k, s);
	if (child) {
		struct msn_mm_limits all = msn_mm_no_limits();

		msn_mm_set_limits(child, &all);
		leave_private(child);
		MUST(msn_save(child, k->w->store.store, &opts, &uid, NULL,
			      &why) == 0);
		restore(k->w, uid, child);
		stress_check(msn_mm_check(child));
		msn_mm_free(child);
		atomic_fetch_add(&k->w->saves, 1);
	}
	MUST(pthread_mutex_unlock(&k->w->saving) == 0);
}
