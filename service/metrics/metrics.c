/*
 * Cells, and what is added to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A cell of a counter or gauge is one word, of a histogram the buckets, one for
 * what is longer, and the sum.  All accesses are relaxed: a number orders
 * nothing, and a reader may see one update without another.  How many a
 * histogram has seen is not kept but added up, so that it never contradicts its
 * buckets.
 */
#include "metrics_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S S_NS

const uint64_t msn_metric_bounds_ns[MSN_METRIC_BUCKETS] = {
	100 * US, 250 * US,  500 * US, 1 * MS,	 2500 * US, 5 * MS,
	10 * MS,  25 * MS,   50 * MS,  100 * MS, 250 * MS,  500 * MS,
	1 * S,	  2500 * MS, 5 * S,    10 * S,	 30 * S,    60 * S,
};

int msn_metrics_new(struct msn_metrics **out)
{
	struct msn_metrics *m = msn_alloc(sizeof(*m));

	if (!m)
		return msn_fail(-ENOMEM);
	m->last = &m->first;
	*out = m;
	return 0;
}

static void set_free(struct msn_metric_set *set)
{
	if (!set)
		return;
	free(set->cells);
	free(set->starts);
	free(set->own);
	free(set);
}

static void set_freep(struct msn_metric_set **set)
{
	set_free(*set);
}

struct msn_metrics *msn_metrics_free(struct msn_metrics *m)
{
	struct msn_metric_set *next;

	if (!m)
		return NULL;
	for (struct msn_metric_set *set = m->first; set; set = next) {
		next = set->next;
		set_free(set);
	}
	free(m);
	return NULL;
}

/* ---- What a row must be ------------------------------------------------- */

static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";

	return *name && strchr(letters, *name) &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789")];
}

static bool ends_in(const char *name, const char *end)
{
	size_t a = strlen(name), b = strlen(end);

	return a > b && strcmp(name + a - b, end) == 0;
}

static void check_row(const struct msn_metric *row)
{
	bool histogram = row->kind == MSN_METRIC_HISTOGRAM;
	bool counter = row->kind == MSN_METRIC_COUNTER;
	bool seconds = row->unit == MSN_METRIC_SECONDS;

	msn_assert(is_name(row->name) && row->help && *row->help);
	msn_assert(counter == ends_in(row->name, "_total"));
	msn_assert(!seconds || ends_in(row->name, "_seconds") ||
		   ends_in(row->name, "_seconds_total"));
	msn_assert(!histogram || seconds);
	msn_assert(row->labels[0].name || !row->labels[1].name);
	for (size_t i = 0; i < MSN_METRIC_LABELS_MAX; i++)
		msn_assert(!row->labels[i].name ||
			   (is_name(row->labels[i].name) &&
			    row->labels[i].count > 0));
	msn_assert(msn_metric_row_cells(row) <= MSN_METRIC_CELLS_MAX);
}

static bool is_known(const struct msn_metrics *m, const char *name)
{
	for (const struct msn_metric_set *set = m->first; set; set = set->next)
		for (size_t i = 0; i < set->count; i++)
			if (strcmp(set->rows[i].name, name) == 0)
				return true;
	return false;
}

/* ---- Sets --------------------------------------------------------------- */

size_t msn_metric_row_cells(const struct msn_metric *row)
{
	size_t n = 1;

	for (size_t i = 0; i < MSN_METRIC_LABELS_MAX; i++)
		if (row->labels[i].name)
			n *= row->labels[i].count;
	return n;
}

size_t msn_metric_row_words(const struct msn_metric *row)
{
	return row->kind == MSN_METRIC_HISTOGRAM ? HISTOGRAM_WORDS : 1;
}

int msn_metrics_add(struct msn_metrics *m, const struct msn_metric *rows,
		    size_t count,
		    void (*collect)(struct msn_metric_set *set, void *ctx),
		    void *ctx, struct msn_metric_set **out)
{
	msn_auto(set_freep) struct msn_metric_set *set =
		msn_alloc(sizeof(*set));
	size_t words = 0;

	if (!set)
		return msn_fail(-ENOMEM);
	set->rows = rows;
	set->count = count;
	set->collect = collect;
	set->ctx = ctx;
	set->starts = msn_alloc_array(count, sizeof(*set->starts));
	if (!set->starts)
		return msn_fail(-ENOMEM);
	for (size_t i = 0; i < count; i++) {
		check_row(&rows[i]);
		msn_assert(!is_known(m, rows[i].name));
		set->starts[i] = words;
		words += msn_metric_row_cells(&rows[i]) *
			 msn_metric_row_words(&rows[i]);
	}
	set->cells = msn_alloc_array(words, sizeof(*set->cells));
	if (!set->cells)
		return msn_fail(-ENOMEM);
	*m->last = set;
	m->last = &set->next;
	*out = msn_steal(set);
	return 0;
}

size_t msn_metric_cell(const struct msn_metric_set *set, size_t row, size_t i,
		       size_t j)
{
	const struct msn_metric_label *labels = set->rows[row].labels;

	msn_assert(i < labels[0].count && j < labels[1].count);
	return i * labels[1].count + j;
}

/* ---- Updates ------------------------------------------------------------ */

static _Atomic uint64_t *words_of(struct msn_metric_set *set, size_t row,
				  size_t cell)
{
	msn_assert(row < set->count);
	msn_assert_slow(cell < msn_metric_row_cells(&set->rows[row]));
	return set->cells + set->starts[row] +
	       cell * msn_metric_row_words(&set->rows[row]);
}

void msn_metric_add(struct msn_metric_set *set, size_t row, size_t cell,
		    int64_t more)
{
	_Atomic uint64_t *word = words_of(set, row, cell);

	msn_assert_slow(set->rows[row].kind != MSN_METRIC_HISTOGRAM);
	atomic_fetch_add_explicit(word, (uint64_t)more, memory_order_relaxed);
}

void msn_metric_set(struct msn_metric_set *set, size_t row, size_t cell,
		    int64_t value)
{
	_Atomic uint64_t *word = words_of(set, row, cell);

	msn_assert_slow(set->rows[row].kind != MSN_METRIC_HISTOGRAM);
	atomic_store_explicit(word, (uint64_t)value, memory_order_relaxed);
}

static size_t bucket_of(uint64_t ns)
{
	size_t low = 0, high = MSN_METRIC_BUCKETS;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (ns <= msn_metric_bounds_ns[mid])
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

void msn_metric_observe(struct msn_metric_set *set, size_t row, size_t cell,
			uint64_t ns)
{
	_Atomic uint64_t *words = words_of(set, row, cell);

	msn_assert_slow(set->rows[row].kind == MSN_METRIC_HISTOGRAM);
	atomic_fetch_add_explicit(&words[bucket_of(ns)], 1,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&words[HISTOGRAM_SUM], ns,
				  memory_order_relaxed);
}
