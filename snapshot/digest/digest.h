/*
 * Digest: checksums of stored bytes, and the zero page.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * XXH3 finds bit rot; it is no proof against an attacker.  Two pages with the
 * same digest may be the same page: only comparing their bytes decides.
 */
#ifndef MSN_DIGEST_DIGEST_H
#define MSN_DIGEST_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* XXH3-64 of one page. */
uint64_t msn_digest_page(const void *page);

/* XXH3-64 of any bytes. */
uint64_t msn_digest_bytes(const void *bytes, size_t len);

struct msn_digest128 {
	uint64_t low, high;
};

/* XXH3-128 of any bytes. */
struct msn_digest128 msn_digest128_bytes(const void *bytes, size_t len);

/* Is the page all zero?  Stops at the first byte that is not. */
bool msn_page_is_zero(const void *page);

#endif /* MSN_DIGEST_DIGEST_H */
