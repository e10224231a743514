/*
 * Many threads on several spaces: what the sources of this test share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A space has a slot.  Who uses it holds the slot's gate for reading; who makes
 * or frees it, for writing.  Nobody waits for one gate while he holds another.
 *
 * Every byte in a space tells where it may come from:
 *
 *    0                    nobody wrote here
 *    ROOT_BYTE(root)      private memory of the spaces that descend from @root
 *    SHARED_BYTE          shared memory and the objects behind it
 *    REMOTE_BYTE          written by another space on purpose
 *
 * and the pages that one thread has for itself hold words that name the space,
 * the thread, the page and how often it was written.
 */
#ifndef MSN_TESTS_STRESS_STRESS_H
#define MSN_TESTS_STRESS_STRESS_H

#include "base/rand.h"
#include "hostfile/hostfile.h"
#include "mm/exact.h"
#include "mm/mm.h"
#include "mm/mm_calls.h"
#include "shmem/shmem.h"
#include "support/snapshot_maker.h"
#include "sysv/sysv.h"

#include <pthread.h>
#include <stdatomic.h>

#define PAGE MSN_PAGE_SIZE
#ifdef __SANITIZE_THREAD__
#define BASE UINT64_C(0x4000000000) /* where it has shadow memory */
#else
#define BASE UINT64_C(0x140000000000)
#endif
#define AT(page) (BASE + (page)*PAGE)
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)
#define plain ((struct msn_mm_io){ 0 })
#define forced ((struct msn_mm_io){ .ignore_permissions = true })

#define THREADS 6
#define ROOTS 3 /* spaces that live from start to end, at the most */
#define SLOTS 7 /* and those of children */
#define OBJECTS 4
#define OBJECT_PAGES 48

/* Where things are, in pages from BASE. */
#define OWN_PAGES 12
#define OWN(t) (UINT64_C(16) + (uint64_t)(t)*32)
#define SPARE(t) (OWN(t) + 16)
#define COUNTER_PRIVATE UINT64_C(1000)
#define COUNTER_SHARED UINT64_C(1010)
#define PRIVATE_AREA UINT64_C(1100) /* private mappings only */
#define SHARED_AREA UINT64_C(1300)  /* shared mappings only */
#define AREA_PAGES UINT64_C(96)
#define HEAP UINT64_C(2000)
#define HEAP_PAGES UINT64_C(32)
#define END UINT64_C(4096)

#define ROOT_BYTE(root) ((uint8_t)(0x10 + (root)))
#define SHARED_BYTE ((uint8_t)'S')
#define REMOTE_BYTE ((uint8_t)'R')

/* Stops the program, from any thread, saying what did not hold. */
#define MUST(cond) ((cond) ? (void)0 : stress_failed(#cond, __FILE__, __LINE__))
__attribute__((noreturn)) void stress_failed(const char *what, const char *file,
					     int line);

/* Says what a checker found. */
void stress_check(const char *found);

struct slot {
	pthread_rwlock_t gate;
	struct msn_mm *mm; /* or NULL; under gate */
	unsigned root;	   /* that it descends from; under gate */
};

/* Something that can be mapped: a shared memory object or a host file. */
struct object {
	struct msn_shmem *shmem; /* or NULL */
	struct msn_hostfile *file;
	struct msn_mappable *mappable;
	struct msn_identity *identity;
};

/*
 * A memfd that gets sealed sooner or later, and then another one.  Once it is,
 * no byte of it changes.
 */
struct sealed {
	pthread_rwlock_t gate;
	struct msn_shmem *shmem; /* under gate */
	bool frozen;		 /* sealed against writing; under gate */
	uint8_t bytes[OBJECT_PAGES * PAGE]; /* that it then has; under gate */
};

/* What a thread knows of a page of its own in a root's space. */
struct own_page {
	uint64_t at;	  /* number of the page; 0: not mapped */
	uint32_t version; /* of its words; 0: zeros */
	bool lazy;	  /* given up: may be zeros by now */
};

struct world {
	bool local;	/* the root has page tables */
	unsigned roots; /* how many: page tables are at one place */
	struct msn_memfile *mf;
	struct msn_sysv_host host;
	struct msn_sysv *ns;
	struct sealed sealed;
	struct slot slots[SLOTS];
	struct object objects[OBJECTS];
	struct msn_shmem *counters; /* never truncated */
	struct test_store store;
	pthread_mutex_t saving; /* the store */
	struct msn_layout layout;
	uint32_t limits_changes;
	atomic_bool stop;
	atomic_uint shared_count, private_count[ROOTS]; /* what must be there */
	atomic_uint saves, forks, frozen, attached;
};

struct worker {
	struct world *w;
	unsigned nr;
	uint64_t rand;
	uint32_t version; /* the last that was written anywhere */
	uint64_t turns;
	struct own_page own[ROOTS][OWN_PAGES];
};

static inline uint64_t pick(struct worker *k, uint64_t below)
{
	return msn_rand_next(&k->rand) % below;
}

/* ---- world.c ------------------------------------------------------------- */

void world_open(struct world *w, bool local);
void world_close(struct world *w);

/* Frees what children are left and runs every checker.  Nothing else runs. */
void world_check(struct world *w);

/* A slot with a space, its gate held for reading; NULL: there is none. */
struct slot *slot_enter(struct worker *k, unsigned nr);
void slot_leave(struct slot *s);

/* Forks @s, whose gate is held; the child is the caller's. */
struct msn_mm *slot_fork(struct worker *k, struct slot *s);

/* ---- own.c --------------------------------------------------------------- */

/* Maps the pages that @k has for itself. */
void own_start(struct worker *k);

/* Does something with one of them.  The gate of @root is held. */
void own_step(struct worker *k, struct slot *s);

/* Looks at the pages that @k has in a child, and may write them. */
void own_child_step(struct worker *k, struct slot *s);

/* All pages of @k hold what it wrote. */
void own_check(struct worker *k);

/* ---- chaos.c ------------------------------------------------------------- */

/* Does anything to the areas that all threads use.  @s: its gate is held. */
void chaos_step(struct worker *k, struct slot *s);

/* Copies between @s and another space. */
void remote_step(struct worker *k, struct slot *s);

/* What only code that runs in @s can do.  Its gate is held. */
void touch_step(struct worker *k, struct slot *s);

/* A range of one of the areas, in which a call is made. */
struct place {
	struct slot *s;
	struct msn_mm *mm;
	uint64_t addr, length;
	bool shared;
};

struct place pick_place(struct worker *k, struct slot *s);

/* Whatever comes of it; outcomes are listed in the headers. */
static inline void ignore(int rc)
{
	(void)rc;
}

/* Are these bytes that a space descending from @root may see? */
void chaos_look(const uint8_t *bytes, size_t len, unsigned root, bool shared);

/* ---- objects.c ----------------------------------------------------------- */

/* Changes one of the objects. */
void object_step(struct worker *k);

/* Adds to a counter.  The gate of @s is held. */
void counter_step(struct worker *k, struct slot *s);

/* Saves a fork of @s, restores it and compares.  The gate of @s is held. */
void save_step(struct worker *k, struct slot *s);

/* ---- sealed.c ------------------------------------------------------------ */

void sealed_open(struct world *w);
void sealed_close(struct world *w);
void sealed_check(struct world *w);

/* Maps the memfd that gets sealed, or writes it, or seals it. */
void sealed_step(struct worker *k, struct slot *s);

/* mmap(2) with any of its flags, in the areas that all use. */
void sys_mmap_step(struct worker *k, struct slot *s);

/* ---- segments.c ---------------------------------------------------------- */

void segments_open(struct world *w);

/* Nothing maps a segment any more. */
void segments_close(struct world *w);

/* Makes, attaches, detaches, removes or asks for a System V segment. */
void segments_step(struct worker *k, struct slot *s);

#endif /* MSN_TESTS_STRESS_STRESS_H */
