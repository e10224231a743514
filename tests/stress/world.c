/*
 * Many threads on several spaces: what they all use.  See stress.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stress/stress.h"

#include "platform/address_space.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void stress_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
	abort();
}

void stress_check(const char *found)
{
	if (found)
		stress_failed(found, __FILE__, __LINE__);
}

static struct msn_address_space *platform(bool local)
{
	struct msn_address_space *as = NULL;
	struct msn_addr_range region = { AT(0), AT(END) };

	MUST((local ? msn_platform_local_new(&as, region)
		    : msn_platform_none_new(&as)) == 0);
	return as;
}

static void map_at(struct msn_mm *mm, struct msn_mmap_opts o, uint64_t page)
{
	uint64_t addr;

	o.addr = AT(page);
	o.fixed = true;
	o.perms = RW;
	o.max_perms = MSN_ACCESS_ANY;
	MUST(msn_mm_mmap(mm, &o, &addr) == 0);
}

static void open_slot(struct world *w, unsigned nr)
{
	struct slot *s = &w->slots[nr];
	struct msn_mmap_opts shared = { .length = PAGE };

	MUST(pthread_rwlock_init(&s->gate, NULL) == 0);
	s->root = nr;
	if (nr >= w->roots)
		return;
	MUST(msn_mm_new(&s->mm, &(struct msn_mm_opts){ .memfile = w->mf,
						       .as = platform(w->local),
						       .layout = w->layout }) ==
	     0);
	map_at(s->mm, (struct msn_mmap_opts){ .length = PAGE, .private = true },
	       COUNTER_PRIVATE);
	msn_shmem_set_mapped(w->counters, &shared);
	map_at(s->mm, shared, COUNTER_SHARED);
	msn_mm_set_heap(s->mm, AT(HEAP));
}

static void open_shmem(struct world *w, struct object *o)
{
	MUST(msn_memfd_create(&o->shmem, &(struct msn_memfd_opts){
						 .memfile = w->mf,
						 .name = "stress" }) == 0);
	MUST(msn_shmem_truncate(o->shmem, OBJECT_PAGES * PAGE) == 0);
	o->mappable = msn_shmem_mappable(o->shmem);
	o->identity = msn_shmem_identity(o->shmem);
}

static void open_file(struct object *o, bool buffered)
{
	int fd = memfd_create("stress", MFD_CLOEXEC);

	MUST(fd >= 0 && ftruncate(fd, OBJECT_PAGES * PAGE) == 0);
	MUST(msn_hostfile_new(&o->file, &(struct msn_hostfile_opts){
						.fd = fd,
						.path = "/memfd:stress",
						.buffered = buffered }) == 0);
	o->mappable = msn_hostfile_mappable(o->file);
	o->identity = msn_hostfile_identity(o->file);
}

void world_open(struct world *w, bool local)
{
	*w = (struct world){ .local = local,
			     .roots = local ? 1 : ROOTS,
			     .layout = { .min_addr = AT(0),
					 .max_addr = AT(END),
					 .top_down_base = AT(END) } };
	MUST(pthread_mutex_init(&w->saving, NULL) == 0);
	MUST(msn_memfile_new(&w->mf, &(struct msn_memfile_opts){
					     .releaser = true }) == 0);
	MUST(msn_shmem_new(&w->counters,
			   &(struct msn_shmem_opts){ .memfile = w->mf,
						     .size = PAGE }) == 0);
	open_shmem(w, &w->objects[0]);
	open_shmem(w, &w->objects[1]);
	open_file(&w->objects[2], false);
	open_file(&w->objects[3], true);
	sealed_open(w);
	segments_open(w);
	for (unsigned i = 0; i < SLOTS; i++)
		open_slot(w, i);
	test_store_open(&w->store);
}

void world_check(struct world *w)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (i >= w->roots)
			w->slots[i].mm = msn_mm_free(w->slots[i].mm);
		else
			stress_check(msn_mm_check(w->slots[i].mm));
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		stress_check(w->objects[i].shmem
				     ? msn_shmem_check(w->objects[i].shmem)
				     : msn_hostfile_check(w->objects[i].file));
	sealed_check(w);
	stress_check(msn_shmem_check(w->counters));
	stress_check(msn_memfile_check(w->mf));
}

void world_close(struct world *w)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		msn_mm_free(w->slots[i].mm);
		pthread_rwlock_destroy(&w->slots[i].gate);
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (w->objects[i].shmem)
			MUST(msn_shmem_place_count(w->objects[i].shmem) == 0);
		else
			MUST(msn_hostfile_stats(w->objects[i].file)
				     .mapped_bytes == 0);
		msn_identity_dec_ref(w->objects[i].identity);
	}
	sealed_close(w);
	segments_close(w);
	MUST(msn_shmem_place_count(w->counters) == 0);
	msn_identity_dec_ref(msn_shmem_identity(w->counters));
	stress_check(msn_memfile_check(w->mf));
	MUST(msn_memfile_used(w->mf) == 0);
	msn_memfile_free(w->mf);
	test_store_close(&w->store);
	pthread_mutex_destroy(&w->saving);
}

struct slot *slot_enter(struct worker *k, unsigned nr)
{
	struct slot *s = &k->w->slots[nr];

	/* Never waits: he may be in another slot. */
	if (pthread_rwlock_tryrdlock(&s->gate) != 0)
		return NULL;
	if (s->mm)
		return s;
	slot_leave(s);
	return NULL;
}

void slot_leave(struct slot *s)
{
	MUST(pthread_rwlock_unlock(&s->gate) == 0);
}

struct msn_mm *slot_fork(struct worker *k, struct slot *s)
{
	struct msn_mm *child = NULL;
	int rc = msn_mm_fork(s->mm, platform(false), &child);

	/* More truncations came meanwhile than it had room for. */
	if (rc == -EAGAIN)
		return NULL;
	MUST(rc == 0);
	atomic_fetch_add(&k->w->forks, 1);
	return child;
}
