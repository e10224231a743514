/*
 * The malloc family with fault points.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *msn_alloc(size_t size)
{
	return msn_alloc_array(1, size);
}

void *msn_alloc_array(size_t count, size_t size)
{
	if (msn_fault("alloc"))
		return NULL;
	return calloc(count ? count : 1, size);
}

void *msn_realloc_array(void *old, size_t count, size_t size)
{
	if (msn_fault("alloc"))
		return NULL;
	return reallocarray(old, count, size);
}

void *msn_alloc_aligned(size_t align, size_t size)
{
	void *p;

	if (msn_fault("alloc") || posix_memalign(&p, align, size) != 0)
		return NULL;
	return p;
}

char *msn_strdup(const char *text)
{
	return msn_fault("alloc") ? NULL : strdup(text);
}

char *msn_format(const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	if (msn_fault("alloc"))
		return NULL;
	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

int msn_grow(void **array, size_t *cap, size_t count, size_t elem_size)
{
	size_t want = *cap ? *cap * 2 : 16;
	void *grown;

	if (count < *cap)
		return 0;
	grown = msn_realloc_array(*array, want, elem_size);
	if (!grown)
		return msn_fail(-ENOMEM);
	*array = grown;
	*cap = want;
	return 0;
}
