/*
 * Side: one of the two that are compared.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A side has up to STEPPER_SLOTS spaces, of which space 0 is there from the
 * start, and its own copy of the files.  It runs steps, and it can be looked
 * at without being disturbed.
 */
#ifndef MSN_TESTS_ORACLE_SIDE_H
#define MSN_TESTS_ORACLE_SIDE_H

#include "oracle/files.h"
#include "oracle/group.h"
#include "oracle/step.h"
#include "oracle/stepper.h"

struct file_state {
	uint64_t size, blocks;
	size_t len; /* of @data, as far as it has room */
	unsigned char data[FILE_MAX_PAGES * 4096];
};

/* How much of a space a side can tell. */
enum side_detail {
	SIDE_MAPS = 1 << 0,	  /* the layout */
	SIDE_SMAPS = 1 << 1,	  /* and the fields of smaps */
	SIDE_PAGEMAP = 1 << 2,	  /* which pages are present */
	SIDE_BYTES = 1 << 3,	  /* the bytes of pages */
	SIDE_FLAGS_ONLY = 1 << 4, /* with SIDE_SMAPS: of the fields VmFlags */
};

struct page {
	uint64_t addr, bits; /* bits: those of PAGE_BITS */
};

/* Bits of a pagemap entry that are compared. */
#define PAGE_PRESENT (UINT64_C(1) << 63)
#define PAGE_FILE (UINT64_C(1) << 61)
#define PAGE_GUARD (UINT64_C(1) << 58)
#define PAGE_EXCLUSIVE (UINT64_C(1) << 56)
#define PAGE_BITS (PAGE_PRESENT | PAGE_FILE | PAGE_GUARD | PAGE_EXCLUSIVE)

/* One space as it is at a moment.  Buffers are kept from look to look. */
struct view {
	char *text; /* normalised smaps or maps */
	size_t text_len, text_cap;
	struct page *pages; /* present ones, ascending */
	size_t count, cap;
	unsigned char *bytes; /* of them */
	size_t bytes_cap;
};

void view_free(struct view *v);
void view_add_page(struct view *v, uint64_t addr, uint64_t bits);
void view_reserve_bytes(struct view *v);

struct side;

struct side_ops {
	const char *name;
	bool (*can)(const struct op *op);
	void (*run)(struct side *side, const struct step *s, struct outcome *o);
	/*
	 * Before: the kernel says that they may (kernel_group_forbidden()).
	 * In the common slice: leaves @out alone, and the slice unmapped.
	 */
	void (*run_group)(struct side *side, const struct group *g,
			  struct outcome **out);
	/*
	 * Looks at a space that is there, as far as @detail.  @model: what the
	 * kernel said; with SIDE_BYTES but without SIDE_PAGEMAP the bytes of
	 * the kernel's pages are read, wherever they are here.
	 */
	void (*look)(struct side *side, unsigned space, unsigned detail,
		     const struct view *model, struct view *out);
	/* Reads this side's copy of a file. */
	void (*read_file)(struct side *side, unsigned file,
			  struct file_state *out);
	void (*free)(struct side *side);
};

struct side {
	const struct side_ops *ops;
	unsigned detail; /* the most that look() can tell */
	unsigned spaces; /* a bit for each space that is there */
};

#endif /* MSN_TESTS_ORACLE_SIDE_H */
