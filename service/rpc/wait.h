/*
 * Wait: calls that answer when an operation has ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_RPC_WAIT_H
#define MSN_RPC_WAIT_H

#include "base/cleanup.h"
#include "operations/operations.h"
#include "wire/call.h"

#include <stdint.h>

/* Sends the call's answer.  Loop thread. */
typedef int (*rpc_wait_fn)(struct msn_call *call, struct msn_operation *op);

/*
 * Answers when @op has ended, or after @wait_ns (UINT64_MAX: not before the
 * call is cancelled): at once if it has, else later.  The result is that of a
 * handler.  Loop thread; takes references of its own.
 */
MSN_MUST_CHECK int rpc_wait(struct msn_call *call, struct msn_operation *op,
			    uint64_t wait_ns, rpc_wait_fn answer);

#endif /* MSN_RPC_WAIT_H */
