/*
 * Text 0.0.4: what Prometheus reads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "metrics_internal.h"

#include "base/buffer.h"
#include "base/error.h"

#include <inttypes.h>
#include <string.h>

static uint64_t word_of(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* Backslash and newline, in values of labels quotes too. */
static void add_escaped(struct msn_buffer *b, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\n')
			msn_buffer_add(b, "\\n", 2);
		else if (*text == '\\' || (quotes && *text == '"'))
			msn_buffer_printf(b, "\\%c", *text);
		else
			msn_buffer_add(b, text, 1);
	}
}

static void add_seconds(struct msn_buffer *b, uint64_t ns)
{
	msn_buffer_printf(b, "%" PRIu64 ".%09" PRIu64, ns / S_NS, ns % S_NS);
}

static void add_value(struct msn_buffer *b, const struct msn_metric *row,
		      uint64_t value)
{
	if (row->unit == MSN_METRIC_SECONDS)
		add_seconds(b, value);
	else if (row->kind == MSN_METRIC_GAUGE)
		msn_buffer_printf(b, "%" PRId64, (int64_t)value);
	else
		msn_buffer_printf(b, "%" PRIu64, value);
	msn_buffer_add(b, "\n", 1);
}

/* In seconds, without zeros at the end; whatever the locale. */
static void add_bound(struct msn_buffer *b, const char *between, uint64_t ns)
{
	uint64_t rest = ns % S_NS;
	int digits = 9;

	msn_buffer_printf(b, "%sle=\"%" PRIu64, between, ns / S_NS);
	for (; digits > 0 && rest % 10 == 0; digits--)
		rest /= 10;
	if (digits > 0)
		msn_buffer_printf(b, ".%0*" PRIu64, digits, rest);
	msn_buffer_add(b, "\"", 1);
}

/*
 * The name with @end, and the labels of @cell; @bound is the upper end of a
 * bucket in nanoseconds, 0 for none, UINT64_MAX for all.
 */
static void add_series(struct msn_buffer *b, const struct msn_metric *row,
		       const char *end, size_t cell, uint64_t bound)
{
	const struct msn_metric_label *l = row->labels;
	size_t values[MSN_METRIC_LABELS_MAX] = { cell, 0 };
	const char *between = "{";

	if (l[1].name) {
		values[0] = cell / l[1].count;
		values[1] = cell % l[1].count;
	}
	msn_buffer_printf(b, "%s%s", row->name, end);
	for (size_t i = 0; i < MSN_METRIC_LABELS_MAX && l[i].name; i++) {
		msn_buffer_printf(b, "%s%s=\"", between, l[i].name);
		add_escaped(b, l[i].values[values[i]], true);
		msn_buffer_add(b, "\"", 1);
		between = ",";
	}
	if (bound == UINT64_MAX)
		msn_buffer_printf(b, "%sle=\"+Inf\"", between);
	else if (bound)
		add_bound(b, between, bound);
	if (bound || l[0].name)
		msn_buffer_add(b, "}", 1);
	msn_buffer_add(b, " ", 1);
}

static void add_histogram(struct msn_buffer *b, const struct msn_metric *row,
			  size_t cell, const uint64_t *words)
{
	uint64_t sum = 0;

	for (size_t i = 0; i <= HISTOGRAM_LONGER; i++) {
		sum += words[i];
		add_series(b, row, "_bucket", cell,
			   i < HISTOGRAM_LONGER ? msn_metric_bounds_ns[i]
						: UINT64_MAX);
		msn_buffer_printf(b, "%" PRIu64 "\n", sum);
	}
	add_series(b, row, "_sum", cell, 0);
	add_seconds(b, words[HISTOGRAM_SUM]);
	msn_buffer_add(b, "\n", 1);
	add_series(b, row, "_count", cell, 0);
	msn_buffer_printf(b, "%" PRIu64 "\n", sum);
}

/* Reads a cell once, so that what is shown agrees with itself. */
static bool read_cell(const struct msn_metric_set *set, size_t row, size_t cell,
		      uint64_t *words)
{
	size_t n = msn_metric_row_words(&set->rows[row]);
	const _Atomic uint64_t *at = set->cells + set->starts[row] + cell * n;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		words[i] = word_of(&at[i]);
		any = any || words[i];
	}
	return any;
}

static void add_head(struct msn_buffer *b, const struct msn_metric *row)
{
	static const char *const kinds[] = {
		[MSN_METRIC_COUNTER] = "counter",
		[MSN_METRIC_GAUGE] = "gauge",
		[MSN_METRIC_HISTOGRAM] = "histogram",
	};

	msn_buffer_printf(b, "# HELP %s ", row->name);
	add_escaped(b, row->help, false);
	msn_buffer_printf(b, "\n# TYPE %s %s\n", row->name, kinds[row->kind]);
}

static void add_row(struct msn_buffer *b, const struct msn_metric_set *set,
		    size_t row)
{
	const struct msn_metric *r = &set->rows[row];
	bool always = !r->labels[0].name || r->kind == MSN_METRIC_GAUGE;
	bool head = false;
	uint64_t words[HISTOGRAM_WORDS];

	for (size_t cell = 0; cell < msn_metric_row_cells(r); cell++) {
		if (!read_cell(set, row, cell, words) && !always)
			continue;
		if (!head)
			add_head(b, r);
		head = true;
		if (r->kind == MSN_METRIC_HISTOGRAM) {
			add_histogram(b, r, cell, words);
			continue;
		}
		add_series(b, r, "", cell, 0);
		add_value(b, r, words[0]);
	}
}

int msn_metrics_write(struct msn_metrics *m, char **out, size_t *len)
{
	struct msn_buffer b = { 0 };

	for (struct msn_metric_set *set = m->first; set; set = set->next) {
		if (set->collect)
			set->collect(set, set->ctx);
		for (size_t i = 0; i < set->count; i++)
			add_row(&b, set, i);
	}
	return msn_pass(msn_buffer_take(&b, out, len));
}
