/*
 * XXH3 with the widest vectors that this machine has: the same digests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "digest/digest.h"

#include "digest/xxh_page.h"
#include "range/range.h"

#include <string.h>

uint64_t msn_digest_page(const void *page)
{
	return msn_digest_bytes(page, MSN_PAGE_SIZE);
}

uint64_t msn_digest_bytes(const void *bytes, size_t len)
{
	return __builtin_cpu_supports("avx2") ? msn_xxh3_avx2(bytes, len)
					      : XXH3_64bits(bytes, len);
}

struct msn_digest128 msn_digest128_bytes(const void *bytes, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(bytes, len);

	return (struct msn_digest128){ .low = h.low64, .high = h.high64 };
}

/*
 * A page is zero when its first word is and each word equals the next one.
 * memcmp() takes the widest vectors there are; the first word alone tells most
 * pages that are not zero.
 */
bool msn_page_is_zero(const void *page)
{
	uint64_t first;

	memcpy(&first, page, sizeof(first));
	return first == 0 && memcmp(page, (const char *)page + sizeof(first),
				    MSN_PAGE_SIZE - sizeof(first)) == 0;
}
