/*
 * Frozen: a process with known values in registers and known bytes in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * `frozen count` counts in memory in three threads, one of which holds values
 * in vector registers, and prints the counters' address; it runs for ever.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static volatile uint64_t counters[3];

/* Spins with known values in the vector registers. */
static void *spin(void *arg)
{
	volatile uint64_t *counter = arg;
	const uint64_t low = 0x1122334455667788, high = 0x99aabbccddeeff00;

	for (;;) {
		__asm__ volatile("movq %1, %%xmm7\n\t"
				 "movq %2, %%xmm8\n\t"
				 "incq %0"
				 : "+m"(*counter)
				 : "r"(low), "r"(high)
				 : "xmm7", "xmm8");
	}
	return NULL;
}

static int count(void)
{
	pthread_t th;

	for (int i = 1; i < 3; i++)
		if (pthread_create(&th, NULL, spin,
				   (void *)(uintptr_t)&counters[i]))
			return 1;
	/* Who stops us now must find the values in the registers. */
	while (!counters[1] || !counters[2])
		sched_yield();
	printf("%p\n", (void *)(uintptr_t)counters);
	fflush(stdout);
	spin((void *)(uintptr_t)&counters[0]);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "count") == 0)
		return count();
	fputs("usage: frozen count\n", stderr);
	return 2;
}
