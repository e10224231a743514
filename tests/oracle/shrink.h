/*
 * Shrink: the shortest sequence that still shows a difference.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_ORACLE_SHRINK_H
#define MSN_TESTS_ORACLE_SHRINK_H

#include "oracle/world.h"

/*
 * Cuts @list down as long as a fresh world still differs in @facet, and then
 * makes its numbers smaller.  Stops after @seconds.  True if the sequence shows
 * the difference at all when it is run again; *d is then how.
 */
bool shrink(const struct world_opts *opts, struct steps *list, enum facet facet,
	    unsigned seconds, struct difference *d);

#endif /* MSN_TESTS_ORACLE_SHRINK_H */
