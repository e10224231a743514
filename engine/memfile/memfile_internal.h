/*
 * Memory file: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    memfile.c    life, the table of operations, the checker
 *    arena.c      the file's arenas: finding, making
 *    allocate.c   choosing a range
 *    refs.c       page references
 *    release.c    waste -> releasing -> free, and the thread for it
 *    content.c    what is behind pages: data, residence, zeroing, punching
 *    huge.c       what the host says about huge pages
 */
#ifndef MSN_MEMFILE_MEMFILE_INTERNAL_H
#define MSN_MEMFILE_MEMFILE_INTERNAL_H

#include "base/limits.h"
#include "base/lock.h"
#include "block/table.h"
#include "block/window.h"
#include "memfile/memfile.h"
#include "range/segset.h"

#include <pthread.h>
#include <stdatomic.h>

/* Bytes of a huge page. */
#define MEMFILE_HUGE_BYTES (UINT64_C(2) << 20)

/*
 * Arenas that threads are spread over when they get into each other's way;
 * past that they wait.  Each costs some 200 KiB of nodes at hand.
 */
#define MEMFILE_HOMES 16

/* References on each page of a range; 0 while it is being released. */
struct msn_page_refs {
	uint64_t refs;
	msn_account_id account; /* that its pages are charged to */
};

struct msn_no_value {
	char none;
};

MSN_SEGSET_DEFINE(msn_refs_set, struct msn_file_range, struct msn_page_refs)
MSN_SEGSET_DEFINE(msn_waste_set, struct msn_file_range, struct msn_no_value)

extern const struct msn_segset_ops msn_page_refs_ops;
extern const struct msn_segset_ops msn_waste_ops;

/*
 * A part of the file with a lock of its own.  Every page of @range is in @refs
 * (used, releasing), in @waste, or in neither (free); never in both.
 */
struct msn_arena {
	struct msn_file_range range; /* whole windows; set once */
	unsigned nr;		     /* its place in the list; set once */
	bool huge;		     /* for huge pages; set once */

	struct msn_mutex lock;
	struct msn_refs_set refs;   /* under lock */
	struct msn_waste_set waste; /* under lock */
	uint64_t releasing_bytes;   /* under lock */

	/*
	 * Bytes not in @refs, and bytes in @waste: written under lock, read
	 * without by who only wants to know whether it is worth locking.
	 */
	_Atomic uint64_t room, waste_bytes;
};

struct msn_releaser {
	bool wanted;	/* set once */
	unsigned forks; /* forks before the file was made; set once */

	struct msn_mutex lock;
	pthread_cond_t wake; /* of the thread: waste, urgency, the end */
	pthread_cond_t idle; /* of drainers: nothing is in flight */
	pthread_t thread;    /* under lock, while started */
	bool started;	     /* under lock */
	unsigned flights;    /* batches that are being released; under lock */

	/*
	 * The thread will look at the waste again without being woken.  It
	 * says no, then looks once more; who adds waste adds, then asks.  Both
	 * sequentially consistent, so one of them sees the other.
	 */
	atomic_bool awake;
	atomic_bool stop; /* set under lock */
};

struct msn_memfile {
	struct msn_file base;
	struct msn_account_table *accounts; /* set once; or NULL */
	enum msn_memfile_huge huge;	    /* set once */
	int fd;				    /* set once */
	struct msn_windows windows[2];	    /* by kind of arena: small, huge */

	struct msn_mutex grow; /* held alone */
	uint64_t size_bytes;   /* of the memfd; under grow */
	struct msn_table
		by_window;	 /* window -> its arena; changed under grow */
	struct msn_table by_nr;	 /* number -> arena; changed under grow */
	atomic_uint arena_count; /* stored after the entry of by_nr */

	/* Where threads look first, by kind; hints. */
	_Atomic(struct msn_arena *) home[2][MEMFILE_HOMES];

	_Atomic uint64_t waste_bytes; /* in all arenas; changed under theirs */
	struct msn_releaser releaser;
};

struct msn_memfile *msn_memfile_of(struct msn_file *file);

/* ---- arena.c ------------------------------------------------------------- */

/* The arena that @at belongs to, or NULL past the end. */
static inline struct msn_arena *msn_arena_at(const struct msn_memfile *mf,
					     uint64_t at)
{
	return msn_table_get(&mf->by_window, at / MSN_WINDOW_BYTES);
}

/* Arena @nr, below mf->arena_count. */
static inline struct msn_arena *msn_arena_nr(const struct msn_memfile *mf,
					     unsigned nr)
{
	return msn_table_get(&mf->by_nr, nr);
}

/*
 * Makes the file longer by an arena with room for @length.  -ENOMEM past the
 * largest offset; the errno of ftruncate.
 */
MSN_MUST_CHECK int msn_arena_new(struct msn_memfile *mf, uint64_t length,
				 bool huge, struct msn_arena **out);
void msn_arenas_free(struct msn_memfile *mf);

/* Brings the hints up to date.  Under the arena's lock, after a change. */
void msn_arena_settle(struct msn_memfile *mf, struct msn_arena *a);

/* Text of the first broken invariant, or NULL. */
const char *msn_arena_check(struct msn_arena *a);

/* ---- refs.c -------------------------------------------------------------- */

/* Implementations of struct msn_file_ops. */
void msn_memfile_inc_ref(struct msn_file *file, struct msn_file_range r,
			 msn_account_id account);
void msn_memfile_dec_ref(struct msn_file *file, struct msn_file_range r);
uint64_t msn_memfile_sharers(struct msn_file *file, struct msn_file_range r,
			     struct msn_file_range *run);

/*
 * Finds the first run of used pages in @r, or a prefix of it.  False when there
 * is none.
 */
bool msn_memfile_next_used(struct msn_memfile *mf, struct msn_file_range r,
			   struct msn_file_range *run);

/* ---- release.c ----------------------------------------------------------- */

void msn_releaser_init(struct msn_memfile *mf, bool wanted);
void msn_releaser_deinit(struct msn_memfile *mf);

/* Is this a forked child of the process that made @mf? */
bool msn_memfile_is_forked(const struct msn_memfile *mf);

/* @added bytes became waste: sees to it that they are given back. */
void msn_memfile_wasted(struct msn_memfile *mf, uint64_t added);

/* ---- content.c ----------------------------------------------------------- */

int msn_memfile_next_data(struct msn_file *file, struct msn_file_range r,
			  struct msn_file_range *out);
int msn_memfile_resident(struct msn_file *file, struct msn_file_range r,
			 uint8_t *vec);
int msn_memfile_map_internal(struct msn_file *file, struct msn_file_range r,
			     unsigned access, struct msn_spans *out);

/* Gives the memory of @r back to the host; it reads as zero afterwards. */
void msn_memfile_punch(struct msn_memfile *mf, struct msn_file_range r);

/* Makes @r read as zero, keeping its memory. */
void msn_memfile_zero(struct msn_memfile *mf, struct msn_file_range r);

/* ---- huge.c -------------------------------------------------------------- */

/*
 * Does a host give huge pages to a file that asks for them?  @shmem_enabled is
 * the text of that file, @of_size that of the one for 2 MiB pages; either may
 * be empty.
 */
bool msn_huge_is_given(const char *shmem_enabled, const char *of_size);

#endif /* MSN_MEMFILE_MEMFILE_INTERNAL_H */
