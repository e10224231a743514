/*
 * Memory from the heap, with fault points.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The malloc family under names that tests can make fail.  Running out of
 * memory is an error like any other: NULL here, -ENOMEM from the caller.
 * Memory is freed with free(); msn_auto(msn_freep) frees a local's.
 */
#ifndef MSN_BASE_ALLOC_H
#define MSN_BASE_ALLOC_H

#include "base/cleanup.h"

#include <stddef.h>

/* @size zeroed bytes, or NULL. */
MSN_MUST_CHECK void *msn_alloc(size_t size);

/* @count zeroed elements of @size bytes; NULL also when the product wraps. */
MSN_MUST_CHECK void *msn_alloc_array(size_t count, size_t size);

/* As realloc() of @count * @size bytes; new bytes are not zeroed. */
MSN_MUST_CHECK void *msn_realloc_array(void *old, size_t count, size_t size);

/* @size bytes aligned to @align (a power of two), not zeroed, or NULL. */
MSN_MUST_CHECK void *msn_alloc_aligned(size_t align, size_t size);

MSN_MUST_CHECK char *msn_strdup(const char *text);

/* printf() into a new string, or NULL. */
MSN_MUST_CHECK char *msn_format(const char *fmt, ...) MSN_PRINTF(1, 2);

/*
 * Makes room for one more element in a growing array: doubles @cap when @count
 * has reached it.  0, or -ENOMEM with the array as it was.
 */
MSN_MUST_CHECK int msn_grow(void **array, size_t *cap, size_t count,
			    size_t elem_size);

/* For msn_auto(): frees any pointer. */
static inline void msn_freep(void *slot)
{
	__builtin_free(*(void **)slot);
}

#endif /* MSN_BASE_ALLOC_H */
