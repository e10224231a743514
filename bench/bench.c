/*
 * Rows, medians and their printing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS_MAX 64

static struct bench_row rows[ROWS_MAX];
static size_t row_count;

double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *list, unsigned count)
{
	double sorted[BENCH_ROUNDS_MAX];

	memcpy(sorted, list, count * sizeof(*list));
	qsort(sorted, count, sizeof(*sorted), by_value);
	return sorted[count / 2];
}

struct bench_row bench_row(const struct bench_series *s, uint64_t bytes)
{
	struct bench_row row = { .rounds = s->rounds };
	double ratios[BENCH_ROUNDS_MAX];

	row.subject = median(s->subject, s->rounds);
	row.limit = median(s->limit, s->rounds);
	row.unit = "us";
	for (unsigned i = 0; i < s->rounds; i++)
		ratios[i] = bytes ? s->limit[i] / s->subject[i]
				  : s->subject[i] / s->limit[i];
	row.ratio = median(ratios, s->rounds);
	qsort(ratios, s->rounds, sizeof(*ratios), by_value);
	row.ratio_min = ratios[0];
	row.ratio_max = ratios[s->rounds - 1];
	if (bytes) {
		row.unit = "GB/s";
		row.subject = (double)bytes / row.subject / 1e9;
		row.limit = (double)bytes / row.limit / 1e9;
	} else {
		row.subject *= 1e6;
		row.limit *= 1e6;
	}
	return row;
}

void bench_add(const struct bench_row *row)
{
	if (row_count < ROWS_MAX)
		rows[row_count++] = *row;
}

static void print_text(const struct bench_row *r)
{
	char goal[32] = "";

	if (r->goal > 0)
		snprintf(goal, sizeof(goal), "%s %.2f %s",
			 r->goal_is_most ? "<=" : ">=", r->goal,
			 (r->goal_is_most ? r->ratio <= r->goal
					  : r->ratio >= r->goal)
				 ? "yes"
				 : "NO");
	printf("%-8s %-34s %10.3f %10.3f %-5s %6.2f (%.2f-%.2f) %-12s %s\n",
	       r->bench, r->what, r->subject, r->limit, r->unit, r->ratio,
	       r->ratio_min, r->ratio_max, goal, r->limit_name);
}

static json_t *row_json(const struct bench_row *r)
{
	return json_pack("{s:s, s:s, s:s, s:f, s:f, s:s, s:f, s:f, s:f, s:f, "
			 "s:b, s:i}",
			 "bench", r->bench, "what", r->what, "limit_name",
			 r->limit_name, "value", r->subject, "limit", r->limit,
			 "unit", r->unit, "ratio", r->ratio, "ratio_min",
			 r->ratio_min, "ratio_max", r->ratio_max, "goal",
			 r->goal, "goal_is_most", r->goal_is_most, "rounds",
			 (int)r->rounds);
}

int bench_print(bool json)
{
	json_t *list;

	if (!json) {
		printf("%-8s %-34s %10s %10s %-5s %s\n", "BENCH", "WHAT",
		       "MEDIAN", "LIMIT", "UNIT",
		       "RATIO (min-max) GOAL      LIMIT IS");
		for (size_t i = 0; i < row_count; i++)
			print_text(&rows[i]);
		return 0;
	}
	list = json_array();
	for (size_t i = 0; i < row_count; i++)
		json_array_append_new(list, row_json(&rows[i]));
	json_dumpf(list, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(list);
	return 0;
}

void bench_die(const char *what, int rc, const char *text)
{
	fprintf(stderr, "memsnap-bench: %s: %s\n", what,
		text && *text ? text : strerror(rc < 0 ? -rc : rc));
	exit(1);
}
