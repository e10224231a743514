/*
 * Error tracing: one line a frame on stderr when MSN_TRACE_ERRORS is set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int msn_error_note(int rc, const char *how, const char *func, const char *file,
		   int line)
{
	if (getenv("MSN_TRACE_ERRORS"))
		fprintf(stderr, "%s %s (%s:%d): %s\n", how, func, file, line,
			strerror(rc < 0 ? -rc : rc));
	return rc;
}
