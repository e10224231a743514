/*
 * XXH3 for machines with AVX2: compiled with -mavx2, called only there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "digest/xxh_page.h"

uint64_t msn_xxh3_avx2(const void *bytes, size_t len)
{
	return XXH3_64bits(bytes, len);
}
