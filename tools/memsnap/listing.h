/*
 * Listing: what ls and show have in common about a snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TOOLS_LISTING_H
#define MSN_TOOLS_LISTING_H

#include "store/store.h"

#include <jansson.h>

/*
 * One snapshot: uid, name, parent, created, origin, mappings, mapped_bytes,
 * private_bytes, stored_bytes, inherited_bytes, deduped_bytes, zero_bytes,
 * manifest_bytes.  NULL when memory is out.
 */
json_t *msn_listing_json(const struct msn_snapshot_info *s);

/* How messages call it: its name, or the start of its uid. */
const char *msn_listing_name(const struct msn_snapshot_info *s, char *out);

#endif /* MSN_TOOLS_LISTING_H */
