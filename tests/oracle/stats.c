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

static struct counts {
	unsigned good, errors[ERRNO_MAX], signals[SIGNAL_MAX];
} * counts; /* GEN_OPS_MAX of them */

void stats_start(void)
{
	counts =
		mmap(NULL, GEN_OPS_MAX * sizeof(*counts),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		die("no memory to share: %m");
}

void stats_count(const struct step *s, const struct outcome *o)
{
	unsigned i = op_index(s->op);

	if (o->signal > 0 && o->signal < SIGNAL_MAX)
		counts[i].signals[o->signal]++;
	else if (o->result < 0 && o->result > -ERRNO_MAX)
		counts[i].errors[-o->result]++;
	else
		counts[i].good++;
}

static void print_op(FILE *to, unsigned i)
{
	fprintf(to, "%-14s ok %u", ops[i]->name, counts[i].good);
	for (int n = 0; n < ERRNO_MAX; n++)
		if (counts[i].errors[n])
			fprintf(to, ", %s %u", strerrorname_np(n),
				counts[i].errors[n]);
	for (int n = 0; n < SIGNAL_MAX; n++)
		if (counts[i].signals[n])
			fprintf(to, ", SIG%s %u", sigabbrev_np(n),
				counts[i].signals[n]);
	for (size_t n = 0; n < MSN_ARRAY_LEN(ops[i]->errors); n++) {
		int error = ops[i]->errors[n];

		if (error && !counts[i].errors[error])
			fprintf(to, ", never %s", strerrorname_np(error));
	}
	fprintf(to, "\n");
}

void stats_print(FILE *to)
{
	for (unsigned i = 0; ops[i]; i++)
		print_op(to, i);
}
