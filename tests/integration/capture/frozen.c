/*
 * Frozen: a process with known values in registers and known bytes in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    frozen count      counts in memory and prints the address; runs for ever
 *    frozen fill MIB   fills memory with bytes that no page shares; sleeps
 *
 * "count" has three threads; one holds values in vector registers.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
	printf("%p\n", (void *)(uintptr_t)counters);
	fflush(stdout);
	spin((void *)(uintptr_t)&counters[0]);
	return 1;
}

static int fill(size_t mib)
{
	size_t words = (mib << 20) / sizeof(uint64_t);
	uint64_t *at = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t x = 1;

	if (at == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < words; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at[i] = x;
	}
	printf("%p\n", (void *)at);
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "count") == 0)
		return count();
	if (argc == 3 && strcmp(argv[1], "fill") == 0)
		return fill(strtoul(argv[2], NULL, 10));
	fputs("usage: frozen count | fill MIB\n", stderr);
	return 2;
}
