/*
 * What sets of metrics are made of.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_METRICS_INTERNAL_H
#define MSN_METRICS_INTERNAL_H

#include "metrics/metrics.h"

#include <stdbool.h>

#define S_NS UINT64_C(1000000000)

/* A histogram's cell: the buckets, what is longer, the sum. */
#define HISTOGRAM_LONGER MSN_METRIC_BUCKETS
#define HISTOGRAM_SUM (MSN_METRIC_BUCKETS + 1)
#define HISTOGRAM_WORDS (MSN_METRIC_BUCKETS + 2)

struct msn_metric_set {
	const struct msn_metric *rows; /* set once, as all but cells */
	size_t count;
	size_t *starts;		 /* of each row, in cells */
	_Atomic uint64_t *cells; /* any thread, relaxed */
	void (*collect)(struct msn_metric_set *set, void *ctx);
	void *ctx;
	void *own; /* rows that the set made, or NULL; freed with it */
	struct msn_metric_set *next;
};

struct msn_metrics {
	struct msn_metric_set *first, **last; /* set before it is shared */
};

/* Cells of a row, and words of one. */
size_t msn_metric_row_cells(const struct msn_metric *row);
size_t msn_metric_row_words(const struct msn_metric *row);

#endif /* MSN_METRICS_INTERNAL_H */
