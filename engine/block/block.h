/*
 * Spans: memory of this process that stands for pages of a file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BLOCK_BLOCK_H
#define MSN_BLOCK_BLOCK_H

#include <stddef.h>

struct msn_span {
	void *data;
	size_t len;
};

/*
 * A short list of spans, in order.  A file of 1 GiB windows needs one or two
 * for any range that is copied at once; a caller with a longer range asks
 * again for the rest.
 */
#define MSN_SPANS_MAX 8

struct msn_spans {
	struct msn_span span[MSN_SPANS_MAX];
	size_t count;
};

#endif /* MSN_BLOCK_BLOCK_H */
