/*
 * Options: the command line taken apart by what the command table declares.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TOOLS_OPTIONS_H
#define MSN_TOOLS_OPTIONS_H

#include "cmd.h"

/*
 * Fills @cli from @argv: the verb, its options and operands, and the global
 * settings.  --help turns the verb into help of that verb.  INVALID with a
 * hint at the nearest word for what is not known.
 */
MSN_MUST_CHECK int msn_options_parse(struct msn_cli *cli, int argc,
				     char **argv);

/* Does @argv ask for JSON?  For errors met before it is taken apart. */
bool msn_options_want_json(int argc, char **argv);

#endif /* MSN_TOOLS_OPTIONS_H */
