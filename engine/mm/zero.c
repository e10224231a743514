/*
 * Zero: one buffer of zeros, shown at every offset.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/zero.h"

#include "base/error.h"

#include <errno.h>

/* Not const, so that it takes no room in the program; nobody writes to it. */
static char zeros[MSN_ZEROS_BYTES];

static int zero_map_internal(struct msn_file *file, struct msn_file_range r,
			     unsigned access, struct msn_spans *out)
{
	(void)file;
	if (access & MSN_ACCESS_WRITE)
		return msn_fail(-EACCES);
	for (out->count = 0; r.start < r.end && out->count < MSN_SPANS_MAX;
	     out->count++) {
		uint64_t skip = r.start % sizeof(zeros);
		uint64_t len = sizeof(zeros) - skip;

		if (len > r.end - r.start)
			len = r.end - r.start;
		out->span[out->count] = (struct msn_span){ zeros + skip, len };
		r.start += len;
	}
	return 0;
}

static int zero_next_data(struct msn_file *file, struct msn_file_range r,
			  struct msn_file_range *out)
{
	(void)file;
	(void)r;
	(void)out;
	return MSN_FILE_E_NO_DATA;
}

static const struct msn_file_ops zero_ops = {
	.name = "zero",
	.map_internal = zero_map_internal,
	.next_data = zero_next_data,
};

const char *msn_zeros(void)
{
	return zeros;
}

struct msn_file *msn_zero_file(void)
{
	static struct msn_file file = { &zero_ops };

	return &file;
}
