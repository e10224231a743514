/*
 * Stats: counts outcomes of calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/stats.h"

#include "base/cleanup.h"
#include "oracle/gen.h"

#include <string.h>
#include <sys/mman.h>

#define ERRNO_MAX 134
#define SIGNAL_MAX 32

#define REASONS_MAX 32

struct counts {
	unsigned good, errors[ERRNO_MAX], signals[SIGNAL_MAX];
};

static struct all_counts {
	struct counts alone[GEN_OPS_MAX], in_groups[GEN_OPS_MAX];
	unsigned groups;
	struct {
		const char *why_not; /* NULL: from here on none */
		unsigned count;
	} passed[REASONS_MAX];
} * counts;

void stats_start(void)
{
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		die("no memory to share: %m");
}

void stats_count(const struct step *s, const struct outcome *o)
{
	struct counts *c = s->thread ? counts->in_groups : counts->alone;

	c += op_index(s->op);
	if (o->signal > 0 && o->signal < SIGNAL_MAX)
		c->signals[o->signal]++;
	else if (o->result < 0 && o->result > -ERRNO_MAX)
		c->errors[-o->result]++;
	else
		c->good++;
}

void stats_count_group(const char *why_not)
{
	unsigned i = 0;

	if (!why_not) {
		counts->groups++;
		return;
	}
	while (counts->passed[i].why_not &&
	       counts->passed[i].why_not != why_not)
		if (++i == REASONS_MAX)
			die("REASONS_MAX is too small");
	counts->passed[i].why_not = why_not;
	counts->passed[i].count++;
}

unsigned stats_groups(void)
{
	return counts->groups;
}

static void print_counts(FILE *to, const struct counts *c)
{
	fprintf(to, "ok %u", c->good);
	for (int n = 0; n < ERRNO_MAX; n++)
		if (c->errors[n])
			fprintf(to, ", %s %u", strerrorname_np(n),
				c->errors[n]);
	for (int n = 0; n < SIGNAL_MAX; n++)
		if (c->signals[n])
			fprintf(to, ", SIG%s %u", sigabbrev_np(n),
				c->signals[n]);
}

static void print_op(FILE *to, unsigned i)
{
	const struct counts *c = &counts->alone[i];

	fprintf(to, "%-14s ", ops[i]->name);
	print_counts(to, c);
	for (size_t n = 0; n < MSN_ARRAY_LEN(ops[i]->errors); n++) {
		int error = ops[i]->errors[n];

		if (error && !c->errors[error])
			fprintf(to, ", never %s", strerrorname_np(error));
	}
	fprintf(to, "\n");
}

static void print_groups(FILE *to)
{
	fprintf(to, "\nin threads:\n");
	for (unsigned i = 0; ops[i]; i++) {
		if (!ops[i]->beside)
			continue;
		fprintf(to, "%-14s ", ops[i]->name);
		print_counts(to, &counts->in_groups[i]);
		fprintf(to, "\n");
	}
	for (unsigned i = 0; i < REASONS_MAX && counts->passed[i].count; i++)
		fprintf(to, "passed over %u: %s\n", counts->passed[i].count,
			counts->passed[i].why_not);
}

void stats_print(FILE *to)
{
	for (unsigned i = 0; ops[i]; i++)
		print_op(to, i);
	if (counts->groups)
		print_groups(to);
}
