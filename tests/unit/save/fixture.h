/*
 * A space and a store, for the tests of save and restore.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * FOR_BOTH() runs its body over a fresh space without page tables and over one
 * in this process.  Whatever must work stops the test if it does not, and says
 * why.
 */
#ifndef MSN_TESTS_SAVE_FIXTURE_H
#define MSN_TESTS_SAVE_FIXTURE_H

#include "hostfile/hostfile.h"
#include "mm/mm_calls.h"
#include "restore/restore.h"
#include "save/save.h"
#include "shmem/shmem.h"
#include "support/check.h"

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x130000000000)
#define REGION_PAGES 8192
#define AT(page) (BASE + (page)*PAGE)
#define LEN(pages) ((pages)*PAGE)
#define RW (MSN_ACCESS_READ | MSN_ACCESS_WRITE)

#define plain ((struct msn_mm_io){ 0 })

struct fixture {
	char *path; /* of the store */
	struct msn_store *store;
	struct msn_memfile *mf;
	struct msn_mm *mm;
	struct msn_failure why;
	bool local; /* the platform that @mm is over */
};

void setup(struct fixture *f, bool local);

/* Finds pages that are left behind. */
void teardown(struct fixture *f);

#define FOR_BOTH(f)                                                            \
	for (int local_ = 0; local_ < 2; local_++)                             \
		for (struct fixture f, *once_ = (setup(&f, local_), &f);       \
		     once_; teardown(&f), once_ = NULL)

/* An empty space over the memory file of @f. */
struct msn_mm *new_space(struct fixture *f, bool local);

/* ---- Contents ------------------------------------------------------------ */

/* Private memory, or what is mapped by an object's or a file's opts. */
void map(struct msn_mm *mm, uint64_t page, uint64_t pages);
void map_opts(struct msn_mm *mm, uint64_t page, uint64_t pages,
	      struct msn_mmap_opts opts);

/* Fills a page with bytes of its own; @kind 0 is all zero. */
void fill(struct msn_mm *mm, uint64_t page, uint64_t kind);
bool holds(struct msn_mm *mm, uint64_t page, uint64_t kind);

/* A text at the start of a page. */
void put(struct msn_mm *mm, uint64_t page, const char *text);
bool reads(struct msn_mm *mm, uint64_t page, const char *text);

/* The byte at the start of a page, or -1. */
int first_byte(struct msn_mm *mm, uint64_t page);

/* A file of 4 pages of 'A' to 'D', at a new path in @path. */
void make_file(char path[64]);

/* The same, opened to be mapped. */
struct msn_hostfile *open_file(char path[64]);
void map_file(struct msn_mm *mm, struct msn_hostfile *hf, uint64_t page,
	      bool private);

/* A memfd of @pages pages; the reference is the caller's. */
struct msn_shmem *make_memfd(struct fixture *f, uint64_t pages);
void map_object(struct msn_mm *mm, struct msn_shmem *s, uint64_t page,
		uint64_t pages, bool private);

/* ---- Saving and restoring ------------------------------------------------ */

/* @opts and @stats may be NULL. */
struct msn_uid save(struct fixture *f, struct msn_mm *mm,
		    const struct msn_save_opts *opts,
		    struct msn_manifest_stats *stats);
struct msn_opened *open_it(struct fixture *f, struct msn_uid uid, bool eager);
struct msn_mm *clone_it(struct fixture *f, struct msn_opened *o, bool local);
struct msn_mm *restore(struct fixture *f, struct msn_uid uid, bool local);

/* Gives the space up and restores it from @uid over the same platform. */
void go_through(struct fixture *f, struct msn_uid uid, bool eager);

/* What is mapped at a page.  Borrowed. */
struct msn_mapping_view view_at(struct msn_mm *mm, uint64_t page);

#endif /* MSN_TESTS_SAVE_FIXTURE_H */
