/*
 * Stepper: what the harness and the program that it drives agree on.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The stepper is the process whose address space is the kernel's side of a
 * comparison.  It has one slot of shared memory for each space; a space is one
 * process.  The harness fills in a command, sets `turn` to STEPPER_ASKED and
 * waits until the stepper has set it to STEPPER_DONE.
 *
 * Behind them stand the slots of threads: one that a stepper has started by
 * STEPPER_THREAD serves its slot in the same way until it gets STEPPER_LEAVE.
 *
 * Only <stdint.h> is used: the stepper has no C library.
 */
#ifndef MSN_TESTS_ORACLE_STEPPER_H
#define MSN_TESTS_ORACLE_STEPPER_H

#include <stdint.h>

/* Where the stepper's own memory is, out of the way of every step. */
#define STEPPER_TEXT UINT64_C(0x200000000000)
#define STEPPER_SHARED UINT64_C(0x200010000000)
#define STEPPER_FOREIGN_END UINT64_C(0x200020000000)

#define STEPPER_SLOTS 4
#define STEPPER_THREADS 4 /* of all spaces together */
#define STEPPER_ALL_SLOTS (STEPPER_SLOTS + STEPPER_THREADS)
#define STEPPER_DATA_BYTES (3 * 4096)
#define STEPPER_STACK_BYTES 16384

/* Descriptors that the stepper is started with. */
#define STEPPER_FD_SHARED 3
#define STEPPER_FD_SCRATCH 4
#define STEPPER_FD_FILES 10

enum stepper_turn { STEPPER_DONE = 0, STEPPER_ASKED = 1 };

enum stepper_kind {
	STEPPER_SYSCALL, /* number is args[0], its arguments follow */
	STEPPER_LOAD,	 /* args[1] bytes at args[0] into data */
	STEPPER_STORE,	 /* args[1] bytes from data to args[0] */
	STEPPER_CAS,	 /* args[0]: address, args[1]: expected, args[2]: new */
	STEPPER_LOAD32,	 /* args[0]: address */
	STEPPER_SWAP32,	 /* args[0]: address, args[1]: new */
	STEPPER_FORK,	 /* the child serves slot args[0] */
	STEPPER_EXIT,
	STEPPER_THREAD, /* a thread that serves slot args[0] */
	STEPPER_LEAVE,	/* ends the thread; nobody answers */
};

struct stepper_command {
	uint32_t turn; /* enum stepper_turn; both sides wait on it */
	uint32_t stepper_sleeps, harness_sleeps;
	uint32_t kind;
	uint32_t tid; /* of the thread that serves the slot; 0: it has ended */
	uint64_t args[7];

	int64_t result; /* of the call; for touches the bytes that worked */
	int32_t signal; /* 0: none */
	int32_t code;	/* si_code */
	uint64_t fault; /* si_addr */
};

struct stepper_slot {
	union {
		struct stepper_command command;
		unsigned char page[4096];
	};
	unsigned char data[STEPPER_DATA_BYTES];
};

/* What is mapped at STEPPER_SHARED. */
struct stepper_shared {
	struct stepper_slot slots[STEPPER_ALL_SLOTS];
	unsigned char stacks[STEPPER_THREADS][STEPPER_STACK_BYTES];
};

/* The address of a slot's data as the stepper sees it. */
static inline uint64_t stepper_data(unsigned slot)
{
	return STEPPER_SHARED + slot * sizeof(struct stepper_slot) + 4096;
}

#endif /* MSN_TESTS_ORACLE_STEPPER_H */
