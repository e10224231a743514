/*
 * Test support: CUnit with one table a program and a fault walk.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A test program is one list of tests:
 *
 *    int main(int argc, char **argv)
 *    {
 *            static const struct check_test tests[] = {
 *                    CHECK_TEST(insert_into_empty_set),
 *                    CHECK_TEST(merge_joins_both_neighbours),
 *                    {}
 *            };
 *            return check_main(argc, argv, "segset", tests);
 *    }
 *
 * Arguments pick tests by substring.  MSN_TEST_SEED repeats a random run.
 */
#ifndef MSN_TESTS_CHECK_H
#define MSN_TESTS_CHECK_H

#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct check_test {
	const char *name;
	void (*run)(void);
};

/* clang-format off */
#define CHECK_TEST(fn) { #fn, fn }
/* clang-format on */

/*
 * Is this a sanitizer build?  For loops that are long only to be long, and take
 * a hundred times as long there.
 */
#ifdef __has_feature
#define CHECK_HAS_ASAN __has_feature(address_sanitizer)
#else
#define CHECK_HAS_ASAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || CHECK_HAS_ASAN
#define CHECK_SANITIZED 1
#else
#define CHECK_SANITIZED 0
#endif

int check_main(int argc, char **argv, const char *suite,
	       const struct check_test *tests);

/*
 * Stops this test, not the program, when @cond is false.  CUnit leaves by
 * longjmp, so msn_auto() locals of a failing test are not released; a leak
 * report next to a failed CHECK means nothing.
 */
#define CHECK(cond)                                                            \
	do {                                                                   \
		bool ok_ = !!(cond);                                           \
		CU_ASSERT_FATAL(ok_);                                          \
		if (!ok_)                                                      \
			abort(); /* never reached: tells analyzers so */       \
	} while (0)

/* Counts a failure and goes on. */
#define EXPECT(cond) CU_ASSERT(!!(cond))

/*
 * Runs prepare, body and verify again and again, failing the 1st, 2nd, ...
 * fault point that body reaches, until body reaches no more.  Returns the
 * number of points that were failed.  @verify is told whether this turn
 * failed one (@name) or ran clean (NULL).
 */
unsigned check_every_fault(void *(*prepare)(void), int (*body)(void *state),
			   void (*verify)(void *state, int rc,
					  const char *name));

/* Does @body end by an assertion?  It runs in a child. */
bool check_asserts(void (*body)(void *ctx), void *ctx);

/*
 * From now on system call @nr of this process fails with @error, a positive
 * errno.  Cannot be taken back: for a child.  False: the kernel cannot.
 */
bool check_forbid_syscall(unsigned nr, unsigned error);

/*
 * The seed of this run: MSN_TEST_SEED if set, else fresh.  Printed, so that a
 * failure can be repeated.
 */
uint64_t check_seed(void);

/*
 * Leaves the program with the code that ctest counts as "skipped", saying why.
 */
__attribute__((noreturn)) void check_skip(const char *why);

#endif /* MSN_TESTS_CHECK_H */
