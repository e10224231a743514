/*
 * The end of a program that broke a promise to itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void msn_assert_failed(const char *what, const char *func, const char *file,
		       int line)
{
	fprintf(stderr, "memsnap: internal error: %s (%s, %s:%d)\n", what, func,
		file, line);
	abort();
}
