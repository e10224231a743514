/*
 * Bench: figures, each beside its limit from the same run.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A bench measures its subject and the physical limit (or a peer) in turn,
 * round by round, so that a machine whose speed drifts does not favour one of
 * them.  What is reported is the median of the rounds' ratios, with the lowest
 * and the highest.
 */
#ifndef MSN_BENCH_BENCH_H
#define MSN_BENCH_BENCH_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX 101

struct bench_opts {
	const char *dir;     /* where stores and files are made */
	uint64_t size_bytes; /* of the space that is saved */
	unsigned rounds;
	bool json;
};

/* One measured subject and its limit. */
struct bench_series {
	double subject[BENCH_ROUNDS_MAX]; /* seconds */
	double limit[BENCH_ROUNDS_MAX];	  /* seconds */
	unsigned rounds;
};

struct bench_row {
	const char *bench, *what;
	const char *limit_name;
	double subject, limit; /* medians, in @unit */
	const char *unit;
	double ratio, ratio_min, ratio_max; /* "more is better", see @goal */
	double goal;			    /* 0: none */
	bool goal_is_most; /* the ratio should not exceed the goal */
	unsigned rounds;
};

/* Seconds of a steady clock. */
double bench_now(void);

/*
 * Turns a series into a row.  With @bytes the figures are GB/s and the ratio is
 * subject over limit; without, they are microseconds and it is the same.
 */
struct bench_row bench_row(const struct bench_series *s, uint64_t bytes);

/* Remembers a row; bench_print() prints all of them. */
void bench_add(const struct bench_row *row);
int bench_print(bool json);

/* Ends the program with a line that says what could not be measured. */
__attribute__((noreturn)) void bench_die(const char *what, int rc,
					 const char *text);

#endif /* MSN_BENCH_BENCH_H */
