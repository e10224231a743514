/*
 * FdRef: files that callers give.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_RPC_FD_REF_H
#define MSN_RPC_FD_REF_H

#include "base/cleanup.h"
#include "wire/call.h"

#include "memsnap/v1/types.pb-c.h"

#include <stdbool.h>

/*
 * The descriptor behind @ref; the caller closes it.  A path is opened with the
 * peer's rights, for writing too if @writable.  Failures name @field:
 * INVALID_ARGUMENT no source, FAILED_PRECONDITION (FD_TRANSPORT_REQUIRED) a
 * source that this transport does not have, PERMISSION_DENIED.
 */
MSN_MUST_CHECK int rpc_take_fd_ref(struct msn_call *call, const char *field,
				   const Memsnap__V1__FdRef *ref, bool writable,
				   int *fd);

/*
 * Where a restore finds @fd again: @given if it is an absolute path, else what
 * the kernel calls the file.  *@out is for free().
 */
MSN_MUST_CHECK int rpc_path_of(struct msn_call *call, int fd, const char *given,
			       char **out);

#endif /* MSN_RPC_FD_REF_H */
