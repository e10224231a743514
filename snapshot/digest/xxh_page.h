/*
 * XXH3 compiled for one level of vectors: included by digest.c for what every
 * x86-64 has, and by digest_avx2.c for more.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Compiled in, so that a page costs no call through the linker.  (libxxhash's
 * own choice at run time is in its shared library only.)
 */
#ifndef MSN_DIGEST_XXH_PAGE_H
#define MSN_DIGEST_XXH_PAGE_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#define XXH_INLINE_ALL
#include <xxhash.h>
#pragma GCC diagnostic pop

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 with the vectors of AVX2, for machines that have it. */
uint64_t msn_xxh3_avx2(const void *bytes, size_t len);

#endif /* MSN_DIGEST_XXH_PAGE_H */
