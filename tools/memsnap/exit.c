/*
 * How the program ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exit.h"

#include "output.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>

#define EXIT_ON_SIGINT 130

static volatile sig_atomic_t noted;

static void note(int signal)
{
	noted = signal;
}

void msn_interrupt_watch(void)
{
	/*
	 * Restarted calls: what is under way ends at a place that can undo it,
	 * where msn_interrupted() is asked.
	 */
	struct sigaction on = { .sa_handler = note,
				.sa_flags = SA_RESTART | (int)SA_RESETHAND };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigemptyset(&on.sa_mask);
	sigemptyset(&ignore.sa_mask);
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

bool msn_interrupted(void)
{
	return noted != 0;
}

int msn_interrupt_check(const char *what, struct msn_failure *why)
{
	if (!noted)
		return 0;
	return msn_failure_set(why, -ECANCELED, MSN_FAILURE_CANCELLED,
			       "%s was interrupted", what);
}

int msn_exit_code(enum msn_failure_kind kind)
{
	static const int codes[] = {
		[MSN_FAILURE_NONE] = 0,		[MSN_FAILURE_INTERNAL] = 1,
		[MSN_FAILURE_INVALID] = 2,	[MSN_FAILURE_UNSUPPORTED] = 3,
		[MSN_FAILURE_NOT_FOUND] = 4,	[MSN_FAILURE_EXISTS] = 5,
		[MSN_FAILURE_PRECONDITION] = 6, [MSN_FAILURE_ABORTED] = 6,
		[MSN_FAILURE_EXHAUSTED] = 7,	[MSN_FAILURE_DENIED] = 8,
		[MSN_FAILURE_UNAVAILABLE] = 9,	[MSN_FAILURE_DATA_LOSS] = 11,
	};

	if (kind == MSN_FAILURE_CANCELLED)
		return noted == SIGINT ? EXIT_ON_SIGINT : 1;
	return codes[kind];
}

int msn_exit_tell(struct msn_cli *cli)
{
	int code = msn_exit_code(cli->why.kind);
	const char *on = "", *off = "";
	json_t *error;

	if (msn_color_on(cli, stderr)) {
		on = "\033[31m";
		off = "\033[0m";
	}
	fprintf(stderr, "%smemsnap:%s %s\n", on, off, cli->why.text);
	if (!cli->json)
		return code;
	error = json_pack("{s:{s:s, s:o, s:i}}", "error", "kind",
			  msn_failure_kind_name(cli->why.kind), "message",
			  msn_json_text(cli->why.text), "exit", code);
	if (error) {
		json_dumpf(error, stderr, JSON_COMPACT);
		fputc('\n', stderr);
		json_decref(error);
	}
	return code;
}
