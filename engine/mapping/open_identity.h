/*
 * Open identity: one more open file of an inode that has an identity already.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Shows whatever the inode's identity does and keeps it alive; but mappings by
 * two of them are never made one.
 */
#ifndef MSN_MAPPING_OPEN_IDENTITY_H
#define MSN_MAPPING_OPEN_IDENTITY_H

#include "mapping/identity.h"

/* Takes a reference on @inode; the caller has one on *@out.  -ENOMEM. */
MSN_MUST_CHECK int msn_open_identity_new(struct msn_identity **out,
					 struct msn_identity *inode);

#endif /* MSN_MAPPING_OPEN_IDENTITY_H */
