/*
 * Step: one call with its numbers, and the table of the calls there are.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A step is numbers only, so that a sequence can be written down, cut and run
 * again.  Each call is one row (struct op): how numbers for it are made, how
 * the kernel's side does it and how the engine's side does it.
 */
#ifndef MSN_TESTS_ORACLE_STEP_H
#define MSN_TESTS_ORACLE_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define STEP_ARGS 6
#define OUTCOME_DATA_BYTES (64 << 10)

struct gen;
struct kernel;
struct engine;
struct op;

struct step {
	const struct op *op;
	unsigned space;
	unsigned thread; /* 0: alone; else from 1, in a group (group.h) */
	uint64_t args[STEP_ARGS];
};

struct steps {
	struct step *list;
	size_t count, cap;
};

/* What one side made of a step. */
struct outcome {
	int64_t result;	  /* of the call, or a negated errno */
	int signal, code; /* 0, or the signal of a touch and its si_code */
	uint64_t fault;	  /* its si_addr */
	size_t len;	  /* bytes of @data */
	unsigned char data[OUTCOME_DATA_BYTES];
};

/* Which arguments of a call are a range of addresses. */
struct op_range {
	bool used;
	unsigned char addr, len; /* indexes of the arguments */
};

struct op {
	const char *name;
	const char *args[STEP_ARGS + 1]; /* names; the last one is NULL */
	unsigned weight;
	struct op_range ranges[2]; /* must stay off foreign memory */
	int errors[12]; /* that it has; stats say which were not seen */
	void (*make)(struct gen *g, struct step *s);
	/* NULL: never.  Would it take too much memory, or be undefined? */
	bool (*is_left_out)(const struct step *s);
	void (*kernel)(struct kernel *k, const struct step *s,
		       struct outcome *o);
	/*
	 * NULL: never.  May a thread take it beside the steps of others (see
	 * slice.h)?  It does not reach out of @slice, whatever is mapped, and
	 * nothing that the others may do makes a difference to it.
	 */
	bool (*beside)(const struct step *s, unsigned slice);
	/* NULL: none.  The file that it uses, or FILE_NONE. */
	unsigned (*file)(const struct step *s);
	/* NULL: the engine has no such call. */
	void (*engine)(struct engine *e, const struct step *s,
		       struct outcome *o);
};

/* Every call, ended by NULL. */
extern const struct op *const ops[];

/* NULL if there is none. */
const struct op *op_find(const char *name);
unsigned op_index(const struct op *op);

void steps_add(struct steps *list, const struct step *s);
void steps_free(struct steps *list);
bool steps_have_threads(const struct steps *list);

/* One line: "SPACE[.THREAD] CALL NAME=NUMBER ...". */
void step_print(FILE *to, const struct step *s);

/* Reads one line; false and a message on stderr if it is none. */
bool step_parse(const char *line, struct step *s);

/*
 * Shall the step be left alone, since it comes near memory that is the
 * stepper's own, or is left out by its row?
 */
bool step_is_forbidden(const struct step *s);

/* The most that a step may put in place. */
#define STEP_PLACED_MAX (UINT64_C(16) << 20)

/* Ends the program: something that is no difference went wrong. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);

/* Stops the program: the engine is broken, which is a difference ("crash"). */
__attribute__((noreturn, format(printf, 1, 2))) void broken(const char *fmt,
							    ...);

#endif /* MSN_TESTS_ORACLE_STEP_H */
