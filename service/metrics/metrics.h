/*
 * Metrics: numbers about the service, for Prometheus.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A part owns a table of what it counts, and adds it once:
 *
 *    enum { CALLS, CALL_SECONDS };
 *    static const struct msn_metric rows[] = {
 *            [CALLS] = { .name = "memsnap_calls_total",
 *                        .help = "Calls that ended.",
 *                        .kind = MSN_METRIC_COUNTER,
 *                        .labels = { { "code", codes, 17 } } },
 *            [CALL_SECONDS] = { .name = "memsnap_call_seconds",
 *                               .help = "How long calls took.",
 *                               .kind = MSN_METRIC_HISTOGRAM,
 *                               .unit = MSN_METRIC_SECONDS },
 *    };
 *    rc = msn_metrics_add(metrics, rows, 2, NULL, NULL, &set);
 *    ...
 *    msn_metric_add(set, CALLS, code, 1);
 *    msn_metric_observe(set, CALL_SECONDS, 0, duration_ns);
 *
 * The values of a label are a list that is known when the table is added, so a
 * number is a cell of an array, and an update is one addition without a lock.
 * Names of spaces, owners and the like are no labels: their number is not
 * bounded, and they are nobody else's business.
 *
 * Locks: none.  Tables are added by one thread before another knows of them;
 * updates come from any thread and order nothing.
 */
#ifndef MSN_METRICS_METRICS_H
#define MSN_METRICS_METRICS_H

#include "base/cleanup.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum msn_metric_kind {
	MSN_METRIC_COUNTER = 1, /* only grows; the name ends in _total */
	MSN_METRIC_GAUGE,
	MSN_METRIC_HISTOGRAM, /* of durations; the name ends in _seconds */
};

enum msn_metric_unit {
	MSN_METRIC_PLAIN = 0, /* a count, bytes */
	MSN_METRIC_SECONDS,   /* kept in nanoseconds, shown in seconds */
};

#define MSN_METRIC_LABELS_MAX 2
/* Cells of one row: methods times codes is some 1000. */
#define MSN_METRIC_CELLS_MAX 16384

struct msn_metric_label {
	const char *name; /* NULL: no label */
	const char *const *values;
	size_t count; /* > 0 */
};

struct msn_metric {
	const char *name, *help;
	enum msn_metric_kind kind;
	enum msn_metric_unit unit;
	struct msn_metric_label labels[MSN_METRIC_LABELS_MAX];
};

/* Upper ends of the buckets, in nanoseconds: 100 us to 60 s. */
#define MSN_METRIC_BUCKETS 18
extern const uint64_t msn_metric_bounds_ns[MSN_METRIC_BUCKETS];

struct msn_metrics;
struct msn_metric_set;

MSN_MUST_CHECK int msn_metrics_new(struct msn_metrics **out);
/* And every set with it.  NULL is allowed. */
struct msn_metrics *msn_metrics_free(struct msn_metrics *m);
MSN_DEFINE_AUTO(struct msn_metrics, msn_metrics_free)

/*
 * Adds @count @rows, which live longer, as all their texts do.  Before each
 * exposition @collect (NULL: none) is called, to set what is not counted as it
 * happens.  A row that Prometheus would not take, or a name that is there
 * already, is an assertion.
 */
MSN_MUST_CHECK int msn_metrics_add(struct msn_metrics *m,
				   const struct msn_metric *rows, size_t count,
				   void (*collect)(struct msn_metric_set *set,
						   void *ctx),
				   void *ctx, struct msn_metric_set **out);

/* The cell of a row with two labels: value @i of the first, @j of the second.
 */
size_t msn_metric_cell(const struct msn_metric_set *set, size_t row, size_t i,
		       size_t j);

/*
 * Adds to a counter or gauge; @cell is the number of the label's value, 0
 * without labels.  A gauge may be lowered.
 */
void msn_metric_add(struct msn_metric_set *set, size_t row, size_t cell,
		    int64_t more);

/* Sets a gauge; or a counter that somebody else counts (in a collect()). */
void msn_metric_set(struct msn_metric_set *set, size_t row, size_t cell,
		    int64_t value);

/* Notes a duration in a histogram. */
void msn_metric_observe(struct msn_metric_set *set, size_t row, size_t cell,
			uint64_t ns);

/*
 * All of it as text 0.0.4 for free().  A row with labels shows the counters and
 * histograms that are not zero, everything else is always shown.  One thread at
 * a time, since collect() is.
 */
MSN_MUST_CHECK int msn_metrics_write(struct msn_metrics *m, char **out,
				     size_t *len);

/* Of what msn_metrics_write() makes. */
#define MSN_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * Adds memsnap_build_info, and process_*: processor time, memory, descriptors,
 * threads, start.  What cannot be read keeps its last value.
 */
MSN_MUST_CHECK int msn_metrics_add_process(struct msn_metrics *m,
					   const char *version);

#endif /* MSN_METRICS_METRICS_H */
