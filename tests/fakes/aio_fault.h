/*
 * An aio that fails by rule: wraps any other and harms chosen requests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_AIO_FAULT_H
#define MSN_TESTS_AIO_FAULT_H

#include "aio/aio.h"

struct aio_fault_rule {
	enum msn_aio_op op;
	unsigned nth; /* step of this kind to harm, from 1; 0: every one */

	/*
	 * A negated errno: the step ends so and moves nothing, unless @bytes is
	 * set: then so many bytes are moved all the same (a torn write).  0:
	 * the step moves at most @bytes, and says so.
	 */
	int error;
	size_t bytes;
};

/* Wraps @inner, which it owns from now on.  NULL without memory. */
struct msn_aio *aio_fault_new(struct msn_aio *inner,
			      const struct aio_fault_rule *rules, size_t count);

/* How many steps of a kind there were so far, harmed or not. */
unsigned aio_fault_seen(const struct msn_aio *aio, enum msn_aio_op op);

/* How many steps were harmed so far. */
unsigned aio_fault_hits(const struct msn_aio *aio);

#endif /* MSN_TESTS_AIO_FAULT_H */
