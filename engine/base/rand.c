/*
 * Randomness from the kernel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/rand.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>

void msn_random_bytes(void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom((char *)buf + done, len - done, 0);

		msn_assert(n > 0 || errno == EINTR);
		if (n > 0)
			done += (size_t)n;
	}
}
