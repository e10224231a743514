/*
 * Frozen: a process with known values in registers and known bytes in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    frozen count      counts in memory and prints the address; runs for ever
 *    frozen fill MIB   fills memory with bytes that no page shares; sleeps
 *    frozen read PID ADDRESS LENGTH
 *                      reads that much of another process, three times, with
 *                      process_vm_readv() into memory that is there already,
 *                      and prints the fastest in microseconds
 *
 * "count" has three threads; one holds values in vector registers.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
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

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* In pieces of 1 MiB into one buffer: nothing is kept, so it is only reading.
 */
static int read_all(pid_t pid, uint64_t addr, uint64_t len)
{
	const size_t piece = 1 << 20;
	char *buf = malloc(piece);
	uint64_t best = UINT64_MAX;

	if (!buf)
		return 1;
	memset(buf, 1, piece);
	for (int turn = 0; turn < 3; turn++) {
		uint64_t start = now_us(), took;

		for (uint64_t at = 0; at < len; at += piece) {
			struct iovec to = { buf, piece };
			struct iovec from = { (void *)(uintptr_t)(addr + at),
					      piece };

			if (process_vm_readv(pid, &to, 1, &from, 1, 0) !=
			    (ssize_t)piece)
				return 1;
		}
		took = now_us() - start;
		best = took < best ? took : best;
	}
	printf("%lu\n", best);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "count") == 0)
		return count();
	if (argc == 3 && strcmp(argv[1], "fill") == 0)
		return fill(strtoul(argv[2], NULL, 10));
	if (argc == 5 && strcmp(argv[1], "read") == 0)
		return read_all(atoi(argv[2]), strtoull(argv[3], NULL, 0),
				strtoull(argv[4], NULL, 0));
	fputs("usage: frozen count | fill MIB | read PID ADDRESS LENGTH\n",
	      stderr);
	return 2;
}
