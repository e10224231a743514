/*
 * Any bytes as a manifest: refused with a text, or accepted and then whole,
 * and the same after another round.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void encode_again(const struct msn_manifest *m)
{
	struct msn_manifest *back = NULL;
	uint8_t *one, *two;
	size_t one_len, two_len;

	check(msn_manifest_encode(m, &one, &one_len) == 0);
	check(msn_manifest_decode(&back, one, one_len, NULL) == 0);
	check(msn_manifest_encode(back, &two, &two_len) == 0);
	check(one_len == two_len && memcmp(one, two, one_len) == 0);
	msn_manifest_free(back);
	free(one);
	free(two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msn_failure why = { 0 };
	struct msn_manifest *m = NULL;

	if (msn_manifest_decode(&m, data, len, &why)) {
		check(!m && why.kind != MSN_FAILURE_NONE);
		return 0;
	}
	check(!msn_manifest_check(m));
	encode_again(m);
	msn_manifest_free(m);
	return 0;
}
