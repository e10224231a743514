/*
 * Jitter: stands between the engine and its own calls (-Wl,--wrap).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/jitter.h"

#include "base/rand.h"

#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <time.h>

/* One in so many calls. */
#define YIELDS 32
#define SLEEPS 128

static _Thread_local uint64_t state; /* 0: no jitter */

void jitter_start(void)
{
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* sleeps are short ones */
	msn_random_bytes(&state, sizeof(state));
	state |= 1;
}

void jitter_stop(void)
{
	state = 0;
}

#pragma GCC visibility push(hidden)
void jitter_give_way(void);
#pragma GCC visibility pop

void jitter_give_way(void)
{
	uint64_t n;

	if (!state)
		return;
	n = msn_rand_next(&state);
	if (n % SLEEPS == 1) {
		/* Up to 64 us: the others may do all they have. */
		struct timespec t = { 0, (long)(n >> 32 & 0xffff) };

		nanosleep(&t, NULL);
	} else if (n % YIELDS == 0) {
		sched_yield();
	}
}

/* What the linker calls instead of @call: whatever its arguments are. */
__asm__(".macro	jitter_point call\n"
	"	.pushsection .text\n"
	"	.globl __wrap_\\call\n"
	"__wrap_\\call:\n"
	"	push %rdi\n"
	"	push %rsi\n"
	"	push %rdx\n"
	"	push %rcx\n"
	"	push %r8\n"
	"	push %r9\n"
	"	sub $8, %rsp\n"
	"	call jitter_give_way\n"
	"	add $8, %rsp\n"
	"	pop %r9\n"
	"	pop %r8\n"
	"	pop %rcx\n"
	"	pop %rdx\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	jmp __real_\\call\n"
	"	.popsection\n"
	".endm\n");
#define JITTER_POINT(call) __asm__("jitter_point " #call "\n");

#include "jitter_points.h" /* made by CMakeLists.txt */
