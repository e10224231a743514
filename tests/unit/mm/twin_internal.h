/*
 * Twins: what the two sides share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_MM_TWIN_INTERNAL_H
#define MSN_TESTS_MM_TWIN_INTERNAL_H

#include "mm/mm_calls.h"
#include "unit/mm/twin.h"

#define TWIN_STEPS_MAX 64
#define TWIN_SHAPE_MAX 8192

/* What one step came to. */
struct twin_outcome {
	int error;
	uint64_t value; /* pages to where a mapping went; a break, a byte */
	uint64_t locked;
	char shape[TWIN_SHAPE_MAX];
};

/* The file, by its descriptors. */
struct twin_files {
	char path[64];
	int rw, ro, zero;
};

struct twin_script {
	const struct twin_step *steps;
	size_t count;
	struct twin_opts opts;
	struct twin_files files;
};

/* Who is looked at. */
struct twin_side {
	int (*peek)(void *ctx, uint64_t addr); /* a byte, or negative */
	void *ctx;
	uint64_t base;		      /* where its page 0 is */
	uint64_t pagemap[TWIN_PAGES]; /* with .presence, the words of each */
};

/* Writes what a listing says about the compared pages. */
void twin_take_shape(char *out, const char *maps, const struct twin_side *side,
		     bool presence);

/* The byte that TWIN_TOUCH writes to the page. */
char twin_letter(uint64_t page);

/* Does all of it in a child. */
void twin_ask_kernel(const struct twin_script *s, struct twin_outcome *out);

/* A space to do it in, step by step. */
struct twin_space {
	struct fixture f;
	struct msn_hostfile *file;
};

void twin_space_init(struct twin_space *s, const struct twin_script *script);
void twin_space_deinit(struct twin_space *s);
void twin_do_step(struct twin_space *s, const struct twin_script *script,
		  const struct twin_step *step, struct twin_outcome *out);

#endif /* MSN_TESTS_MM_TWIN_INTERNAL_H */
