/*
 * Group: steps that run at once, in threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * In a list of steps a group is a run of neighbours that have a thread (struct
 * step).  It is one step of the sequence: the steps of a thread are taken in
 * their order, those of different threads in any, and what all came to is
 * compared when the last one is done.  slice.h says why that is always the
 * same, and what is special about the common slice.
 *
 *    0 mmap addr=...       alone
 *    0.1 mmap addr=...   \
 *    0.1 store addr=...   | a group of two threads, of spaces 0 and 1
 *    1.2 munmap addr=... /
 *    0 fork child=2        alone
 */
#ifndef MSN_TESTS_ORACLE_GROUP_H
#define MSN_TESTS_ORACLE_GROUP_H

#include "oracle/slice.h"
#include "oracle/step.h"
#include "oracle/stepper.h"

/* The most steps that a group of the generator has. */
#define GROUP_STEPS 24

/* What is known of a thread of a group.  Index: its number less one. */
struct group_thread {
	bool used;
	unsigned space, slice;
	bool uses_files; /* other than devices */
};

struct group {
	const struct step *list;
	size_t count;
	struct group_thread threads[STEPPER_THREADS];
	bool common;	 /* in the common slice, all of them */
	unsigned spaces; /* a bit for each */
};

/* How many steps, from the first of @list on, are taken as one? */
size_t group_len(const struct step *list, size_t count);

/* Where the last group of @list begins, or its last step. */
size_t group_last(const struct step *list, size_t count);

/*
 * Looks at the steps of a group, which has to live as long as @g.  NULL, or why
 * they do not go together whatever is mapped.
 */
const char *group_init(struct group *g, const struct step *list, size_t count);

/*
 * Runs @run once for each step, in a thread of this process for each thread of
 * the group, on any CPU, and returns when all are done.  Never fails: ends the
 * program instead.
 */
void group_run(const struct group *g, struct outcome **out,
	       void (*run)(void *ctx, const struct step *s, struct outcome *o),
	       void *ctx);

#endif /* MSN_TESTS_ORACLE_GROUP_H */
