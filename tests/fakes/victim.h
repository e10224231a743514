/*
 * Victim: a process of a test's own that is there to be looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_VICTIM_H
#define MSN_TESTS_VICTIM_H

#include <stdint.h>
#include <sys/types.h>

#define VICTIM_THREADS_MAX 64

/* Memory that the victim and the test both see. */
struct victim_shared {
	_Atomic uint64_t count[VICTIM_THREADS_MAX]; /* one a thread */
	_Atomic uint64_t signals; /* SIGUSR1, SIGRTMIN handled */
	_Atomic uint64_t made;	  /* short-lived threads that it made */
	_Atomic uint32_t ready;	  /* threads that run */
	_Atomic uint64_t memory;  /* address of what victim_fn prepared */
};

struct victim {
	pid_t pid;
	struct victim_shared *shared; /* NULL: it shares nothing */
};

enum victim_kind {
	VICTIM_COUNTS, /* @threads threads, each counts as fast as it can */
	VICTIM_SLEEPS, /* @threads threads in pause() */
	VICTIM_SPAWNS, /* and one makes threads that end at once */
};

/* Starts one and waits until its threads run. */
struct victim victim_start(enum victim_kind kind, unsigned threads);

/* Starts a child that runs @fn and then sleeps; waits until it sleeps. */
struct victim victim_run(void (*fn)(struct victim_shared *shared));

/* Kills and collects it. */
void victim_end(struct victim *v);

/* Do all its threads count on within two seconds? */
int victim_goes_on(const struct victim *v, unsigned threads);

/* Is its main thread asleep within a second: neither stopped nor running? */
int victim_sleeps(const struct victim *v);

/* The state letter of the main thread. */
char victim_state(const struct victim *v);

#endif /* MSN_TESTS_VICTIM_H */
