/*
 * memsnap version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd.h"
#include "format/manifest.h"
#include "output.h"

#include <stdio.h>

static int run(struct msn_cli *cli)
{
	if (cli->json)
		return msn_json_print(json_pack("{s:s, s:i}", "version",
						MSN_VERSION, "manifest_format",
						MSN_MANIFEST_VERSION),
				      &cli->why);
	printf("memsnap %s\n", MSN_VERSION);
	return 0;
}

const struct msn_cmd msn_cmd_version = {
	.name = "version",
	.help = "print the version of this program",
	.synopsis = "",
	.run = run,
};
