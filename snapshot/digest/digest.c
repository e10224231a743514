/*
 * XXH3 from libxxhash, by the variant that picks the widest vectors of the
 * machine it runs on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "digest/digest.h"

#include "range/range.h"

#include <string.h>
#include <xxh_x86dispatch.h>

uint64_t msn_digest_page(const void *page)
{
	return XXH3_64bits_dispatch(page, MSN_PAGE_SIZE);
}

uint64_t msn_digest_bytes(const void *bytes, size_t len)
{
	return XXH3_64bits_dispatch(bytes, len);
}

struct msn_digest128 msn_digest128_bytes(const void *bytes, size_t len)
{
	XXH128_hash_t h = XXH3_128bits_dispatch(bytes, len);

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
