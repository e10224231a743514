/*
 * Scope-bound ownership.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A local that owns something is declared with msn_auto(<free function>), so
 * that every return path releases it.  Ownership leaves the scope only through
 * msn_steal(), which makes the hand-over visible where it happens.
 */
#ifndef MSN_BASE_CLEANUP_H
#define MSN_BASE_CLEANUP_H

#include <stddef.h>

#define msn_auto(freep_fn) __attribute__((cleanup(freep_fn)))

/* Takes the pointer out of @ptr, leaving NULL behind. */
#define msn_steal(ptr)                                                         \
	__extension__({                                                        \
		__typeof__(ptr) *slot_ = &(ptr);                               \
		__typeof__(ptr) taken_ = *slot_;                               \
		*slot_ = NULL;                                                 \
		taken_;                                                        \
	})

/*
 * Defines <free_fn>p() for msn_auto() from a free function that accepts NULL.
 */
#define MSN_DEFINE_AUTO(type, free_fn)                                         \
	static inline void free_fn##p(type **ptr)                              \
	{                                                                      \
		free_fn(*ptr);                                                 \
	}

#define msn_container_of(ptr, type, member)                                    \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define MSN_MUST_CHECK __attribute__((warn_unused_result))
#define MSN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define MSN_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif /* MSN_BASE_CLEANUP_H */
