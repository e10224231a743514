/*
 * Manifests made up from a seed, with something in every list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_SAMPLE_MANIFEST_H
#define MSN_TESTS_SAMPLE_MANIFEST_H

#include "format/manifest.h"

/* Keeps every promise of format/manifest.h.  @size: about how many of each. */
struct msn_manifest *sample_manifest(uint64_t seed, unsigned size);

/* The same, with what only calls that come later can tell. */
struct msn_manifest *sample_manifest_exact(uint64_t seed, unsigned size);

/* Are both the same in every field? */
bool sample_manifest_equal(const struct msn_manifest *a,
			   const struct msn_manifest *b);

#endif /* MSN_TESTS_SAMPLE_MANIFEST_H */
