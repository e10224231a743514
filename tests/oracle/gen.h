/*
 * Gen: numbers for steps.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything comes from one seed and from what the kernel answered before, so
 * that a seed makes the same sequence again.  Each sequence has a taste: which
 * calls it prefers and how many pages it plays with.
 */
#ifndef MSN_TESTS_ORACLE_GEN_H
#define MSN_TESTS_ORACLE_GEN_H

#include "oracle/side.h"

#define GEN_RECENT 16
#define GEN_OPS_MAX 64
#define GEN_KNOWN 64

struct gen_range {
	uint64_t addr, len;
};

struct gen_known {
	struct gen_range list[GEN_KNOWN];
	unsigned count;
};

struct gen {
	uint64_t rand;
	unsigned weight[GEN_OPS_MAX]; /* of each op; 0: not in this sequence */
	unsigned pages;		      /* of an arena that are used */
	bool restores;		   /* see op_restore.c for what is not then */
	unsigned restore_permille; /* so often is the step a restore */
	unsigned threads_permille; /* and so often a group */
	struct gen_range recent[GEN_RECENT]; /* mapped lately */
	unsigned recent_count;
	unsigned spaces; /* a bit for each that is there */
	unsigned space;	 /* that the step at hand is for */
	struct gen_known known[STEPPER_SLOTS]; /* mapped, as last seen */
	unsigned limited[STEPPER_SLOTS]; /* a bit for each limit that is low */
	/* While the steps of a group are made. */
	bool in_slice;
	unsigned slice;		 /* that the step at hand is for */
	unsigned file;		 /* that all prefer, or FILE_NONE */
	struct gen_known mapped; /* in it, as far as one can tell */
	bool grouped; /* the last step that was taken is a group; set by the
			 caller */
};

/* @weights: of each op, 0 for what may not be used. */
void gen_start(struct gen *g, uint64_t seed, const unsigned *weights);

/*
 * Makes the next step of a sequence, or the steps of a group, which never
 * follows another.  How many: at most GROUP_STEPS.
 */
size_t gen_steps(struct gen *g, struct step *out);

/* Takes note of what a step did that was taken. */
void gen_learn(struct gen *g, const struct step *s, const struct outcome *o);

/* Takes note of what is mapped in a space. */
void gen_observe(struct gen *g, unsigned space, const struct view *v);

/* ---- For the ops --------------------------------------------------------- */

uint64_t gen_pick(struct gen *g, uint64_t n); /* 0 to n - 1 */
bool gen_percent(struct gen *g, unsigned percent);

/* A page of an arena, or in or near something that is mapped. */
uint64_t gen_page(struct gen *g);
/* The same, and rarely an address that is no good. */
uint64_t gen_addr(struct gen *g);
/* Bytes: mostly 1 to 8 pages, rarely none, odd, or 2 MiB. */
uint64_t gen_len(struct gen *g);
/* The same, and rarely far too many. */
uint64_t gen_wild_len(struct gen *g);
/* A range inside one mapping if there is any, mostly short. */
void gen_inside(struct gen *g, uint64_t *addr, uint64_t *len);
/* An address to touch: inside something mapped, mostly. */
uint64_t gen_spot(struct gen *g);
/* Bytes that are mapped in the space, or nearly so. */
uint64_t gen_mapped(struct gen *g);
/* Makes a step use only the pages of a file that are the slice's, if any. */
void gen_fit_file(struct gen *g, uint64_t *offset, uint64_t *len);
/* PROT_* bits that are in use. */
uint64_t gen_prot(struct gen *g);

/* One of a list. */
#define GEN_ONE_OF(g, list) ((list)[gen_pick((g), MSN_ARRAY_LEN(list))])

/* Where the heap is: the start that kernel.c gives it. */
#define GEN_HEAP UINT64_C(0x160000000000)
/* A place for mappings as large as a limit. */
#define GEN_GIANT UINT64_C(0x600000000000)
#define GEN_GIANT_LEN (UINT64_C(1) << 40)

#endif /* MSN_TESTS_ORACLE_GEN_H */
