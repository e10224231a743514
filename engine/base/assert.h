/*
 * Assertions: a broken promise between parts of this program.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * msn_assert() stays in release builds: going on after a broken promise could
 * lose somebody's memory.  msn_assert_slow() is for checks that walk whole
 * structures and is compiled only with MSN_DEBUG_CHECKS.  Neither is for bad
 * input, which is an error with a message.
 */
#ifndef MSN_BASE_ASSERT_H
#define MSN_BASE_ASSERT_H

#define msn_assert(cond)                                                       \
	(__builtin_expect(!(cond), 0)                                          \
		 ? msn_assert_failed(#cond, __func__, __FILE__, __LINE__)      \
		 : (void)0)

/* For checkers that return text: fails with that text unless it is NULL. */
#define msn_assert_null(text)                                                  \
	__extension__({                                                        \
		const char *text_ = (text);                                    \
		if (__builtin_expect(text_ != NULL, 0))                        \
			msn_assert_failed(text_, __func__, __FILE__,           \
					  __LINE__);                           \
	})

#ifdef MSN_DEBUG_CHECKS
#define msn_assert_slow(cond) msn_assert(cond)
#define msn_assert_null_slow(text) msn_assert_null(text)
#else
#define msn_assert_slow(cond) ((void)0)
#define msn_assert_null_slow(text) ((void)0)
#endif

/*
 * Has broken promises told by @report, of which nothing may be asked that a
 * signal handler may not do; NULL: a line on stderr.
 */
void msn_assert_report_to(void (*report)(const char *what, const char *func,
					 const char *file, int line));

/* Prints what was promised and where, then aborts. */
__attribute__((noreturn, cold)) void msn_assert_failed(const char *what,
						       const char *func,
						       const char *file,
						       int line);

#endif /* MSN_BASE_ASSERT_H */
