/*
 * Trusted files: small texts that decide what somebody may do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BASE_TRUSTED_H
#define MSN_BASE_TRUSTED_H

#include "base/cleanup.h"
#include "base/failure.h"

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads all of a file of text, zero terminated, for free().  It is read only if
 * root or this process's user own it and none of the @forbidden rights (S_IWOTH
 * and the like) are given to others; else -EACCES, DENIED.  -EFBIG beyond @max
 * bytes, -EINVAL for what is no file or has a zero byte, -ENOENT and so on.
 * What @why says stands behind the path: "anybody may write to the file; ...".
 *
 * A link to /dev/null is an empty file.
 */
MSN_MUST_CHECK int msn_read_trusted(char **out, const char *path,
				    mode_t forbidden, size_t max,
				    struct msn_failure *why);

#endif /* MSN_BASE_TRUSTED_H */
