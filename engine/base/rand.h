/*
 * Randomness from the kernel, and a small seeded generator for tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BASE_RAND_H
#define MSN_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fills @buf from getrandom().  Does not fail once the kernel is up. */
void msn_random_bytes(void *buf, size_t len);

/*
 * One step of SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the
 * same seed everywhere.  For tests and benchmarks, never for identities.
 */
static inline uint64_t msn_rand_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

#endif /* MSN_BASE_RAND_H */
