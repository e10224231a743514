/*
 * Trial: a sequence in a process of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An engine that stops at a broken promise ends its process.  That is one more
 * way to differ, and shall be shrunk like the others.
 */
#ifndef MSN_TESTS_ORACLE_TRIAL_H
#define MSN_TESTS_ORACLE_TRIAL_H

#include "oracle/world.h"

#define TRIAL_STEPS 4096
#define TRIAL_TEXT (64 << 10)

/* Shared with the process that runs it. */
struct trial {
	struct step list[TRIAL_STEPS];
	size_t count; /* steps that were taken; the last one differed, or
		       * the last group */
	bool different;
	char signature[128]; /* which difference it is */
	char text[TRIAL_TEXT];
};

struct trial *trial_new(void);
void trial_free(struct trial *t);

/*
 * Empties @t and runs @body, which adds steps to it by trial_add() before it
 * takes them, in a process of its own.
 */
void trial_run(struct trial *t, void (*body)(struct trial *t, void *ctx),
	       void *ctx);

void trial_add(struct trial *t, const struct step *s, size_t count);

/* Prints the last step, or the last group. */
void trial_print_last(FILE *to, const struct trial *t);

/* Takes the steps of @list one after the other, until two sides differ. */
struct trial_script {
	const struct world_opts *opts;
	const struct steps *list;
	bool everything; /* look at every space after every step */
	bool complete; /* every group has to go together, or the program ends */
};

/* The body of a trial; @ctx is a struct trial_script. */
void trial_take(struct trial *t, void *ctx);

/* The last step differed so. */
void trial_differs(struct trial *t, const struct difference *d);

#endif /* MSN_TESTS_ORACLE_TRIAL_H */
