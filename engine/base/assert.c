/*
 * The end of a program that broke a promise to itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/assert.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void print(const char *what, const char *func, const char *file,
		  int line)
{
	fprintf(stderr, "memsnap: internal error: %s (%s, %s:%d)\n", what, func,
		file, line);
}

static void (*_Atomic report)(const char *what, const char *func,
			      const char *file, int line) = print;

void msn_assert_report_to(void (*to)(const char *what, const char *func,
				     const char *file, int line))
{
	report = to ? to : print;
}

void msn_assert_failed(const char *what, const char *func, const char *file,
		       int line)
{
	report(what, func, file, line);
	abort();
}
