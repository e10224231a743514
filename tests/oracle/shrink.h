/*
 * Shrink: the shortest sequence that still shows a difference.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_ORACLE_SHRINK_H
#define MSN_TESTS_ORACLE_SHRINK_H

#include "oracle/trial.h"

/*
 * Cuts the sequence of @t down as long as a fresh world still shows the
 * difference of the same signature, and then makes its numbers smaller.  Stops
 * after @seconds.  False if the difference does not show again at all.
 */
bool shrink(const struct world_opts *opts, struct trial *t, unsigned seconds);

#endif /* MSN_TESTS_ORACLE_SHRINK_H */
