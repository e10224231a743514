/*
 * memsnap: the command line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "cmd.h"
#include "exit.h"
#include "options.h"
#include "output.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>

/* The reader of stdout has gone: end as it expects, without a word. */
static void end_by_sigpipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}

static int run(struct msn_cli *cli, int argc, char **argv)
{
	int rc = msn_options_parse(cli, argc, argv);

	if (rc) {
		cli->json = cli->json || msn_options_want_json(argc, argv);
		return msn_pass(rc);
	}
	return msn_pass(cli->cmd->run(cli));
}

int main(int argc, char **argv)
{
	struct msn_cli cli = {};
	int rc, end, code;

	setlocale(LC_CTYPE, "");
	msn_interrupt_watch();
	msn_output_begin();
	rc = run(&cli, argc, argv);
	code = cli.exit_code;
	if (rc && rc != -EPIPE) {
		(void)msn_failure_errno(&cli.why, rc, "could not do it");
		code = msn_exit_tell(&cli);
	}
	end = msn_output_end(rc ? NULL : &cli.why);
	if (rc == -EPIPE || end == -EPIPE)
		end_by_sigpipe();
	if (!rc && end)
		code = msn_exit_tell(&cli);
	free(cli.given);
	free(cli.store_default);
	return code;
}
