/*
 * The line of progress.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "progress.h"

#include "exit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_A_SECOND UINT64_C(1000000000)
#define MIB 1048576.0

/* Often enough to be seen moving, too seldom to cost anything. */
#define TERMINAL_EVERY_NS (NS_A_SECOND / 10)
#define PLAIN_EVERY_NS NS_A_SECOND

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_A_SECOND + (uint64_t)ts.tv_nsec;
}

void msn_progress_begin(struct msn_progress *p, const struct msn_cli *cli,
			const char *what)
{
	memset(p, 0, sizeof(*p));
	p->cli = cli;
	p->what = what;
	p->terminal = isatty(STDERR_FILENO);
	if (cli->progress == MSN_WHEN_AUTO)
		p->shown = p->terminal && !cli->quiet;
	else
		p->shown = cli->progress == MSN_WHEN_ALWAYS;
	p->began_ns = now_ns();
}

static void print_line(struct msn_progress *p, uint64_t done, uint64_t total,
		       uint64_t now)
{
	double seconds = (double)(now - p->began_ns) / (double)NS_A_SECOND;
	double part = total ? (double)done / (double)total : 1;

	fprintf(stderr, "%s%s %3.0f%%  %.1f of %.1f MiB  %.0f MiB/s%s",
		p->terminal ? "\r" : "", p->what, 100 * part,
		(double)done / MIB, (double)total / MIB,
		seconds > 0 ? (double)done / MIB / seconds : 0,
		p->terminal ? "\033[K" : "\n");
	p->line_open = p->terminal;
}

int msn_progress_step(void *ctx, uint64_t done_bytes, uint64_t total_bytes)
{
	struct msn_progress *p = ctx;
	uint64_t every = p->terminal ? TERMINAL_EVERY_NS : PLAIN_EVERY_NS;
	uint64_t now;

	if (msn_interrupted())
		return -ECANCELED;
	if (!p->shown)
		return 0;
	now = now_ns();
	if (now - p->told_ns < every && done_bytes != total_bytes)
		return 0;
	p->told_ns = now;
	print_line(p, done_bytes, total_bytes, now);
	return 0;
}

void msn_progress_end(struct msn_progress *p)
{
	if (p->line_open)
		fputs("\r\033[K", stderr);
	p->line_open = false;
}
