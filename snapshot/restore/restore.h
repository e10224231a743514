/*
 * Restore: a snapshot becomes spaces again.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two steps.  Opening a snapshot makes its image on this host: eagerly (every
 * page read and verified) or on demand (pages are read when they are touched).
 * Cloning makes a space of it: mappings, and placements that point into the
 * image copy-on-write.  Cloning costs O(mappings + runs), never O(pages), and
 * may be done any number of times; restoring is cloning once.
 *
 * The first clones of an image that was opened eagerly may be made in forked
 * children: they share its pages.
 */
#ifndef MSN_RESTORE_RESTORE_H
#define MSN_RESTORE_RESTORE_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "format/manifest.h"
#include "image/image.h"
#include "mm/mm.h"
#include "store/store.h"

#include <stdbool.h>

struct msn_opened; /* one snapshot, opened */

struct msn_open_opts {
	bool eager; /* read every page before returning */
};

/*
 * Opens snapshot @uid of @store.  An eager one needs @store no longer; one on
 * demand needs it as long as it lives.  DATA_LOSS if anything is damaged.
 */
MSN_MUST_CHECK int msn_open_snapshot(struct msn_opened **out,
				     struct msn_store *store,
				     struct msn_uid uid,
				     const struct msn_open_opts *opts,
				     struct msn_failure *why);

/* Clones hold what they need themselves.  NULL is allowed.  Returns NULL. */
struct msn_opened *msn_opened_free(struct msn_opened *o);
MSN_DEFINE_AUTO(struct msn_opened, msn_opened_free)

const struct msn_manifest *msn_opened_manifest(const struct msn_opened *o);
struct msn_image *msn_opened_image(const struct msn_opened *o);

/* A blob's bytes, borrowed; loaded and verified when it was opened. */
MSN_MUST_CHECK int msn_opened_blob(const struct msn_opened *o, const char *name,
				   const uint8_t **data, size_t *len);

/*
 * What went wrong when pages were last wanted of a snapshot opened on demand:
 * text to show beside the errno of a copy that failed.  Borrowed.
 */
const struct msn_failure *msn_opened_failure(const struct msn_opened *o);

/* What to do about a host file that is gone or has changed since the save. */
enum msn_file_policy {
	MSN_FILE_POLICY_FAIL, /* PRECONDITION, naming the file and what changed
			       */
	MSN_FILE_POLICY_SKIP, /* leave the mapping out: its addresses fault */
};

struct msn_clone_opts {
	enum msn_file_policy files;
	bool keep_kernel; /* map saved vdso pages too, for reading only */
};

/*
 * Makes the empty @mm a clone of the snapshot, at the same addresses.  What it
 * opens and makes is charged as the space is, in the table of its memory file.
 * On failure @mm may hold part of it: free it.
 */
MSN_MUST_CHECK int msn_clone(struct msn_opened *o, struct msn_mm *mm,
			     const struct msn_clone_opts *opts,
			     struct msn_failure *why);

/* The lowest and highest address that its mappings use. */
struct msn_addr_range msn_opened_span(const struct msn_opened *o);

#endif /* MSN_RESTORE_RESTORE_H */
