/*
 * View: the bytes that a saved space shows at an address.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Private pages come from the store, shared memory from the snapshot's objects,
 * and pages that the space never changed from the host file that was mapped,
 * provided that it still is the same file: device, inode, size and time of
 * change.  Rights of mappings are not looked at.
 */
#ifndef MSN_TOOLS_VIEW_H
#define MSN_TOOLS_VIEW_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

struct msn_view;

/* Both @store and @m live longer than the view. */
MSN_MUST_CHECK int msn_view_new(struct msn_view **out, struct msn_store *store,
				const struct msn_manifest *m,
				struct msn_failure *why);
struct msn_view *msn_view_free(struct msn_view *v);
MSN_DEFINE_AUTO(struct msn_view, msn_view_free)

/*
 * Shows bytes from @addr on: at least one and at most @len, borrowed until the
 * next call.  A failure is that of the byte at @addr, and names it: INVALID
 * where nothing is mapped, PRECONDITION where the host file is gone or is
 * another, UNSUPPORTED for the kernel's own pages, DATA_LOSS for damage.
 */
MSN_MUST_CHECK int msn_view_at(struct msn_view *v, uint64_t addr, uint64_t len,
			       const uint8_t **data, size_t *shown,
			       struct msn_failure *why);

/* How messages call the snapshot: its name, or the start of its uid. */
const char *msn_view_name(const struct msn_view *v);

#endif /* MSN_TOOLS_VIEW_H */
